"""LBD5xx with IPv6: each target is asked about from the load balancer's address of the same family."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.model import network, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Endpoint, EndpointPort, EndpointSlice
from kubectl_lbdoctor.model.network import AclEntry, IpPermission
from kubectl_lbdoctor.model.selectors import LabelSelector
from tests.support.world import (
    ANYONE,
    CLUSTER_TAG,
    FROM_LB,
    FROM_SELF,
    OPEN_ACL,
    SUBNETS,
    World,
    instance_target,
    lb_interface,
    meta,
    node_interface,
    pod,
    timed_out,
)

SIX = {"subnet-n1": "fd00:0:0:1::/64", "subnet-n2": "fd00:0:0:2::/64"}
SIX |= {"subnet-a": "fd00:0:0:101::/64", "subnet-c": "fd00:0:0:102::/64"}
BOTH = tuple(network.Subnet(name, "vpc-1", (cidr, SIX[name])) for name, cidr in SUBNETS.items())
LB_GROUP = network.SecurityGroup(
    "sg-lb", "lb", "vpc-1", ingress=(ANYONE,), egress=(IpPermission("-1", cidrs=("::/0",)),)
)
ONLY_FOUR = IpPermission("tcp", 0, 65535, cidrs=("0.0.0.0/0",))
OPEN_SIX = replace(
    OPEN_ACL, entries=(*OPEN_ACL.entries, *(AclEntry(101, egress, True, "-1", "::/0") for egress in (False, True)))
)
LOCAL = (network.VpcRoute("10.0.0.0/16", target="local"), network.VpcRoute("fd00::/16", target="local"))
LOCAL += tuple(network.VpcRoute(everyone, target="igw-1") for everyone in ("0.0.0.0/0", "::/0"))


def vpc() -> dict[str, Fact[object]]:
    table = network.RouteTable("rtb-1", "vpc-1", main=True, routes=LOCAL)
    return {
        "subnets": Fact.known(reads.SUBNETS, BOTH),
        "route_tables": Fact.known(reads.ROUTE_TABLES, (table,)),
    }


def node_group(*ingress: IpPermission) -> network.SecurityGroup:
    return network.SecurityGroup("sg-node", "node", "vpc-1", CLUSTER_TAG, ingress, (ANYONE,))


def six_pod(number: int) -> str:
    return f"fd00:0:0:{number}:ab::{number}"


def six_world(*ingress: IpPermission) -> World:
    """A dual-stack load balancer whose ip targets have IPv6 addresses out of their node's delegated prefix."""
    fronts = tuple(
        replace(i, private_ips=(*i.private_ips, f"fd00:0:0:10{n}::5"))
        for n, i in enumerate((lb_interface(1), lb_interface(2)), 1)
    )
    backs = tuple(
        node_interface(n, private_ips=(f"10.0.{n}.10", f"fd00:0:0:{n}::10"), prefixes=(f"fd00:0:0:{n}:ab::/80",))
        for n in (1, 2)
    )
    pods = tuple(pod(n, ip=six_pod(n), ips=(six_pod(n),)) for n in (1, 2))
    world = World(
        pods=pods,
        health=tuple(timed_out(n, id=six_pod(n)) for n in (1, 2)),
        interfaces=(*fronts, *backs),
        groups=(LB_GROUP, node_group(*ingress)),
        acls=(OPEN_SIX,),
        vpc=vpc(),
    )
    world = replace(
        world.with_group(ip_address_type="ipv6"), balancer=replace(world.balancer, ip_address_type="dualstack")
    )
    endpoints = tuple(
        Endpoint((six_pod(n),), True, node=f"node{n}", target_kind="Pod", target_name=f"web-abc-{n}") for n in (1, 2)
    )
    labels = {"kubernetes.io/service-name": "web"}
    piece = EndpointSlice(meta("web-x6", labels=labels), "web", "IPv6", (EndpointPort(8080, "", "TCP"),), endpoints)
    return replace(world, slices=(piece,))


def test_an_ipv4_rule_says_nothing_about_ipv6_targets() -> None:
    report = six_world(ONLY_FOUR, FROM_SELF).report()
    assert report.diagnoses[0].finding.code == "LBD501"
    assert set(report.diagnoses[0].finding.targets) == {f"{six_pod(n)}:8080" for n in (1, 2)}


@pytest.mark.parametrize(
    "rule",
    [FROM_LB, IpPermission("tcp", 8080, 8080, cidrs=("fd00:0:0:100::/56",)), IpPermission("-1", cidrs=("::/0",))],
    ids=["group", "cidr", "anyone"],
)
def test_ipv6_targets_that_are_admitted_are_not_blamed_on_groups(rule: IpPermission) -> None:
    assert "LBD501" not in six_world(rule, FROM_SELF).codes()


def test_an_egress_rule_for_ipv4_only_lets_no_ipv6_out() -> None:
    world = six_world(FROM_LB, FROM_SELF)
    only_four = replace(LB_GROUP, egress=(ANYONE,))
    assert replace(world, groups=(only_four, *world.groups[1:])).codes()[0] == "LBD503"


def test_an_acl_with_entries_for_ipv4_only_denies_ipv6() -> None:
    assert replace(six_world(FROM_LB, FROM_SELF), acls=(OPEN_ACL,)).codes()[0] in ("LBD507", "LBD508")


def test_the_sources_family_is_the_targets_where_only_subnets_are_known() -> None:
    """Without interfaces of the load balancer an address of each subnet stands for it, of the family in question."""
    world = six_world(ONLY_FOUR, FROM_SELF)
    nodes_only = tuple(i for i in world.interfaces if not i.requester_managed)
    assert replace(world, interfaces=nodes_only).codes()[0] == "LBD501"


def test_instance_targets_of_an_ipv6_group_are_reached_at_their_ipv6_address() -> None:
    world = replace(six_world(ONLY_FOUR, FROM_SELF).instance_mode().with_group(ip_address_type="ipv6"))
    health = tuple(instance_target(n, "unhealthy", "Target.Timeout") for n in (1, 2))
    finding = replace(world, health=health).report().diagnoses[0].finding
    assert finding.code == "LBD501"
    assert any("fd00:0:0:1::10" in evidence.text for evidence in finding.evidence), finding.evidence


def test_pods_of_the_other_family_are_no_second_hop() -> None:
    """A dual-stack Service: kube-proxy leads an IPv4 NodePort to IPv4 endpoints only."""
    world = replace(World().instance_mode(), pods=(pod(1), pod(2)))
    six = Endpoint((six_pod(2),), True, node="node2", target_kind="Pod", target_name="web-abc-2")
    labels = {"kubernetes.io/service-name": "web"}
    piece = EndpointSlice(meta("web-x6", labels=labels), "web", "IPv6", (EndpointPort(8080, "", "TCP"),), (six,))
    slow = tuple(instance_target(n, "unhealthy", "Target.Timeout") for n in (1, 2))
    world = replace(world, slices=(*world.made_slices(), piece), health=slow)
    assert [r for r in world.results() if r.status.value == "crashed"] == []
    assert "LBD502" not in world.codes()


def test_a_policy_for_ipv6_subnets_admits_ipv6_checks() -> None:
    world = six_world(FROM_LB, FROM_SELF)
    blocks = tuple(network.PolicyPeer(cidr=SIX[name]) for name in ("subnet-a", "subnet-c"))
    rule = network.PolicyRule(peers=blocks, ports=(network.PolicyPort("8080"),))
    selector = LabelSelector({"app": "web"})
    found = network.NetworkPolicy(meta("only-lb"), selector, ("Ingress",), (rule,))
    policies = {"policies": Fact.known(reads.NETWORK_POLICIES, (found,))}
    assert "LBD513" not in replace(world, facts=policies).codes()
