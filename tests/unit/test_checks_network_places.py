"""LBD5xx where targets do not stand where most do: other subnets, other CIDRs, other interfaces, narrow rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor import permission
from kubectl_lbdoctor.model import network, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.network import AclEntry, IpPermission
from tests.support.world import (
    ANYONE,
    CLUSTER_TAG,
    FROM_LB,
    FROM_SELF,
    SUBNETS,
    World,
    instance_target,
    lb_interface,
    node_interface,
    pod,
    timed_out,
)

LB_GROUP = network.SecurityGroup("sg-lb", "lb", "vpc-1", ingress=(ANYONE,), egress=(ANYONE,))
TIMED_OUT = (timed_out(1), timed_out(2))
FRONTS = (lb_interface(1), lb_interface(2))


def group(name: str, *ingress: IpPermission, **values: object) -> network.SecurityGroup:
    return replace(
        network.SecurityGroup(name, name, "vpc-1", CLUSTER_TAG, ingress, (ANYONE,)),
        **values,  # type: ignore[arg-type]
    )


def acl(name: str, subnets: tuple[str, ...], *entries: AclEntry) -> network.NetworkAcl:
    return network.NetworkAcl(name, "vpc-1", subnets, entries)


def allow(number: int, egress: bool, cidr: str, first: int, last: int, protocol: str = "6") -> AclEntry:
    return AclEntry(number, egress, True, protocol, cidr, first, last)


# --- rules that are nearly right -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        IpPermission("udp", 8080, 8080, groups=("sg-lb",)),
        IpPermission("17", 0, 65535, groups=("sg-lb",)),
        IpPermission("icmp", groups=("sg-lb",)),
        IpPermission("50", groups=("sg-lb",)),
        IpPermission("tcp", 8081, 65535, groups=("sg-lb",)),
        IpPermission("tcp", 0, 8079, groups=("sg-lb",)),
        IpPermission("tcp", 8080, 8080, stale_groups=("sg-lb",)),
        IpPermission("tcp", 8080, 8080, cidrs=("10.0.100.0/24", "10.0.103.0/24")),
        IpPermission("tcp", 8080, 8080, cidrs=("::/0",)),
    ],
    ids=lambda rule: f"{rule.protocol}-{rule.from_port}-{rule.to_port}-{','.join(rule.cidrs + rule.stale_groups)}",
)
def test_a_rule_that_nearly_admits_does_not(rule: IpPermission) -> None:
    world = World(health=TIMED_OUT, groups=(LB_GROUP, group("sg-node", FROM_SELF, rule)))
    assert world.codes()[0] == "LBD501"


@pytest.mark.parametrize(
    "rule",
    [
        IpPermission("6", 8080, 8080, groups=("sg-lb",)),
        IpPermission("-1", 9, 9, groups=("sg-lb",)),
        IpPermission("tcp", groups=("sg-lb",)),
        IpPermission("tcp", 8080, 8080, cidrs=("10.0.101.0/24", "10.0.102.0/24")),
        IpPermission("tcp", 8080, 8080, cidrs=("10.0.101.5/32", "10.0.102.5/32")),
        IpPermission("tcp", 1, 65535, cidrs=("10.0.0.0/8",)),
    ],
    ids=lambda rule: f"{rule.protocol}-{rule.from_port}-{rule.to_port}-{','.join(rule.cidrs)}",
)
def test_every_way_to_write_the_rule_is_understood(rule: IpPermission) -> None:
    world = World(health=TIMED_OUT, groups=(LB_GROUP, group("sg-node", FROM_SELF, rule)))
    assert "LBD501" not in world.codes()


def test_a_cidr_of_one_zone_leaves_the_other_zone_out() -> None:
    """Each of the load balancer's interfaces is asked about: the rule lacks the second subnet."""
    rule = IpPermission("tcp", 8080, 8080, cidrs=("10.0.101.0/24",))
    finding = (
        World(health=TIMED_OUT, groups=(LB_GROUP, group("sg-node", FROM_SELF, rule))).report().diagnoses[0].finding
    )
    assert finding.code == "LBD501"


def test_only_the_check_port_is_closed() -> None:
    rule = IpPermission("tcp", 8080, 8080, groups=("sg-lb",))
    health = tuple(timed_out(n, check_port="9090") for n in (1, 2))
    world = World(health=health, groups=(LB_GROUP, group("sg-node", FROM_SELF, rule)))
    check = replace(world.group.health_check, port="9090")
    meta = replace(world.ingress.meta, annotations={"alb.ingress.kubernetes.io/healthcheck-port": "9090"})
    world = replace(world, ingress=replace(world.ingress, meta=meta))
    finding = world.with_group(health_check=check).report().diagnoses[0].finding
    assert finding.code == "LBD501"
    assert finding.params["ports"] == ("9090",)


def test_what_a_target_may_send_is_of_no_matter() -> None:
    closed = group("sg-node", FROM_LB, FROM_SELF, egress=())
    assert {"LBD501", "LBD503"}.isdisjoint(World(health=TIMED_OUT, groups=(LB_GROUP, closed)).codes())


def test_a_prefix_list_that_was_not_read_decides_nothing() -> None:
    rule = IpPermission("tcp", 8080, 8080, prefix_lists=("pl-1",))
    world = World(health=TIMED_OUT, groups=(LB_GROUP, group("sg-node", FROM_SELF, rule)))
    denied = Fact.denied(reads.PREFIX_LISTS, "denied", permission.Permission(action="ec2:GetManagedPrefixListEntries"))
    assert "LBD501" not in replace(world, vpc={"prefix_lists": denied}).codes()
    known = Fact.known(reads.PREFIX_LISTS, (network.PrefixList("pl-1", ("192.0.2.0/24",)),))
    assert replace(world, vpc={"prefix_lists": known}).codes()[0] == "LBD501"


# --- replies ---------------------------------------------------------------------------------------------------------


def test_replies_to_some_ports_only() -> None:
    """32768-60999 is what a Linux client needs; a load balancer's connections come from 1024 on."""
    near, far = ("subnet-a", "subnet-c"), ("subnet-n1", "subnet-n2")
    everything = [allow(100, egress, "0.0.0.0/0", 0, 65535) for egress in (False, True)]
    narrow = (allow(100, False, "10.0.0.0/16", 0, 65535), allow(100, True, "10.0.0.0/16", 32768, 60999))
    world = World(health=TIMED_OUT, acls=(acl("acl-near", near, *everything), acl("acl-far", far, *narrow)))
    finding = world.report().diagnoses[0].finding
    assert finding.code == "LBD508"
    assert "1024-32767" in finding.params["ports"]


def test_an_entry_for_udp_lets_no_tcp_reply_out() -> None:
    near, far = ("subnet-a", "subnet-c"), ("subnet-n1", "subnet-n2")
    everything = [allow(100, egress, "0.0.0.0/0", 0, 65535) for egress in (False, True)]
    udp = (allow(100, False, "0.0.0.0/0", 0, 65535), allow(100, True, "0.0.0.0/0", 0, 65535, "17"))
    world = World(health=TIMED_OUT, acls=(acl("acl-near", near, *everything), acl("acl-far", far, *udp)))
    assert world.codes()[0] == "LBD508"


# --- places ----------------------------------------------------------------------------------------------------------


def custom_networking(*ingress: IpPermission) -> World:
    """Pods on a second interface of their node, in a subnet of a secondary CIDR with a group of its own."""
    pods = tuple(pod(n, ip=f"100.64.{n}.34", ips=(f"100.64.{n}.34",)) for n in (1, 2))
    seconds = tuple(
        node_interface(
            n,
            id=f"eni-p{n}",
            subnet_id=f"subnet-p{n}",
            private_ips=(f"100.64.{n}.9", f"100.64.{n}.34"),
            security_groups=("sg-pods",),
            device_index=1,
        )
        for n in (1, 2)
    )
    primaries = tuple(node_interface(n, private_ips=(f"10.0.{n}.10",)) for n in (1, 2))
    subnets = tuple(network.Subnet(name, "vpc-1", (cidr,)) for name, cidr in SUBNETS.items())
    subnets += tuple(network.Subnet(f"subnet-p{n}", "vpc-1", (f"100.64.{n}.0/24",)) for n in (1, 2))
    routes = tuple(network.VpcRoute(cidr, target="local") for cidr in ("10.0.0.0/16", "100.64.0.0/16"))
    routes += (network.VpcRoute("0.0.0.0/0", target="igw-1"),)
    table = network.RouteTable("rtb-1", "vpc-1", main=True, routes=routes)
    names = tuple(s.id for s in subnets)
    return World(
        pods=pods,
        health=tuple(timed_out(n, id=f"100.64.{n}.34") for n in (1, 2)),
        groups=(LB_GROUP, group("sg-node", FROM_LB, FROM_SELF), group("sg-pods", *ingress)),
        interfaces=(*FRONTS, *primaries, *seconds),
        acls=(acl("acl-1", names, *(allow(100, egress, "0.0.0.0/0", 0, 65535) for egress in (False, True))),),
        vpc={
            "subnets": Fact.known(reads.SUBNETS, subnets),
            "route_tables": Fact.known(reads.ROUTE_TABLES, (table,)),
        },
    )


def test_custom_networking_the_pods_group_counts() -> None:
    finding = custom_networking(FROM_SELF).report().diagnoses[0].finding
    assert finding.code == "LBD501"
    assert finding.object.name == "sg-pods"
    assert "LBD501" not in custom_networking(FROM_LB).codes()


def test_custom_networking_second_hop_names_the_pods_group() -> None:
    """The node is reached; the pod on the other node, on an interface of another group, is not."""
    world = custom_networking(FROM_LB).instance_mode()
    health = (instance_target(1, "unhealthy", "Target.Timeout"), instance_target(2))
    finding = replace(world, health=health).report().diagnoses[0].finding
    assert finding.code == "LBD502"
    assert finding.object.name == "sg-pods"


def test_a_host_network_pod_is_reached_at_its_node() -> None:
    pods = tuple(pod(n, ip=f"10.0.{n}.10", ips=(f"10.0.{n}.10",), host_network=True) for n in (1, 2))
    health = tuple(timed_out(n, id=f"10.0.{n}.10") for n in (1, 2))
    world = World(pods=pods, health=health, groups=(LB_GROUP, group("sg-node", FROM_SELF)))
    finding = world.report().diagnoses[0].finding
    assert finding.code == "LBD501" and finding.object.name == "sg-node"


def test_within_one_subnet_no_acl_is_asked() -> None:
    """Targets in the load balancer's own subnet: an ACL that denies everything is not the cause."""
    nodes = tuple(
        node_interface(n, subnet_id="subnet-a", private_ips=(f"10.0.101.{10 + n}", f"10.0.101.{33 + n}"))
        for n in (1, 2)
    )
    pods = tuple(pod(n, ip=f"10.0.101.{33 + n}", ips=(f"10.0.101.{33 + n}",)) for n in (1, 2))
    health = tuple(timed_out(n, id=f"10.0.101.{33 + n}") for n in (1, 2))
    world = World(
        pods=pods,
        health=health,
        interfaces=(FRONTS[0], *nodes),
        acls=(acl("acl-1", tuple(SUBNETS)),),
    )
    world = replace(world, balancer=replace(world.balancer, zones={"us-west-2a": "subnet-a"}))
    assert {"LBD507", "LBD508"}.isdisjoint(world.codes())
