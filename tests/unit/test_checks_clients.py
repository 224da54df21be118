"""LBD504, LBD515 and LBD604: healthy targets that clients do not reach, and look-alikes that they do."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.checks import client_access
from kubectl_lbdoctor.checks.registry import CATALOGUE
from kubectl_lbdoctor.model import aws, network, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.network import acls
from kubectl_lbdoctor.network.matching import Answer
from kubectl_lbdoctor.permission import Permission
from tests.support.world import (
    ANYONE,
    CLUSTER_TAG,
    FROM_LB,
    FROM_SELF,
    GROUP_ARN,
    HOST,
    NLB_ARN,
    OPEN_ACL,
    World,
    meta,
    target,
)

NODE_PORTS = (30000, 32767)
RULES = {"l": Fact.known(reads.LISTENERS, ())}
LISTENERS = {
    NLB_ARN: Fact.known(
        reads.LISTENERS, (aws.Listener("l", NLB_ARN, "TCP", 80, (aws.Action("forward", {GROUP_ARN: 1}),)),)
    )
}


def rule(*cidrs: str, groups: tuple[str, ...] = (), ports: tuple[int, int] = NODE_PORTS) -> network.IpPermission:
    return network.IpPermission("tcp", *ports, cidrs=cidrs, groups=groups)


def nlb(*node_rules: network.IpPermission, clients: network.IpPermission = ANYONE, **changes: object) -> World:
    """A Network Load Balancer with nodes as targets, whose security group has these inbound rules."""
    groups = (
        network.SecurityGroup("sg-lb", "lb", "vpc-1", ingress=(clients,), egress=(ANYONE,)),
        network.SecurityGroup("sg-node", "node", "vpc-1", CLUSTER_TAG, (*node_rules, FROM_SELF), (ANYONE,)),
    )
    world = World(groups=groups, aws={"listeners": LISTENERS, "rules": RULES}).as_nlb().instance_mode()
    return replace(world, **changes)  # type: ignore[arg-type]


def internal(world: World) -> World:
    return replace(world, balancer=replace(world.balancer, scheme="internal"))


def without_groups(world: World, **service: object) -> World:
    return replace(world, balancer=replace(world.balancer, security_groups=())).with_service(**service)


def diagnosed(world: World) -> list[Diagnosis]:
    return [d for d in world.report().diagnoses if d.finding.code == "LBD515"]


CHECKS_ONLY = rule("10.0.101.0/24", "10.0.102.0/24")
BLOCKED = {
    "the load balancer's subnets only": nlb(CHECKS_ONLY),
    "no rule for the port": nlb(rule("0.0.0.0/0", ports=(22, 22))),
    "a private range is not the internet": nlb(rule("10.0.0.0/8")),
    "another group is not the internet": nlb(CHECKS_ONLY, rule(groups=("sg-bastion",))),
    "clients of an internal one": internal(nlb(CHECKS_ONLY, clients=rule("192.168.0.0/16", ports=(80, 80)))),
    "source ranges of one without groups": without_groups(nlb(CHECKS_ONLY), source_ranges=("198.51.100.0/24",)),
    "anyone, of one without groups": without_groups(nlb(CHECKS_ONLY)),
    "ip targets that preserve when told so": replace(
        nlb(
            rule("10.0.101.0/24", "10.0.102.0/24", ports=(8080, 8080)),
            group_attributes={"preserve_client_ip.enabled": "true"},
        ),
        group=replace(World().as_nlb().group, target_type="ip"),
        health=(target(1), target(2)),
    ),
}


@pytest.mark.parametrize("how", BLOCKED)
def test_clients_that_no_rule_admits_are_an_error_although_targets_are_healthy(how: str) -> None:
    (diagnosis,) = diagnosed(BLOCKED[how])
    assert diagnosis.severity.value == "error"
    assert BLOCKED[how].report().exit_status() == 1


ADMITTED = {
    "everyone": nlb(rule("0.0.0.0/0")),
    "the load balancer's group": nlb(rule(groups=("sg-lb",))),
    "a part of the internet, as somebody chose": nlb(rule("203.0.113.0/24")),
    "not preserved": nlb(CHECKS_ONLY, group_attributes={"preserve_client_ip.enabled": "false"}),
    "an internal one's private clients": internal(nlb(rule("10.0.0.0/8"))),
    "an internal one whose clients carry a group": internal(
        nlb(CHECKS_ONLY, rule(groups=("sg-client",)), clients=rule("192.168.0.0/16", ports=(80, 80)))
    ),
    "source ranges": without_groups(nlb(rule("198.51.100.0/25")), source_ranges=("198.51.100.0/24",)),
    "source ranges by annotation": without_groups(
        nlb(rule("198.51.100.0/24")),
        meta=meta("web", annotations={"service.beta.kubernetes.io/load-balancer-source-ranges": "198.51.100.0/24, ?"}),
    ),
    "ip targets, which see the load balancer by default": replace(
        nlb(rule("10.0.101.0/24", "10.0.102.0/24", ports=(8080, 8080))),
        group=replace(World().as_nlb().group, target_type="ip"),
        health=(target(1), target(2)),
    ),
}


@pytest.mark.parametrize("how", ADMITTED)
def test_clients_that_are_admitted_are_no_finding(how: str) -> None:
    assert diagnosed(ADMITTED[how]) == []


def test_one_of_several_client_ranges_is_a_warning_that_names_it() -> None:
    world = nlb(rule("198.51.100.0/24"), clients=rule("198.51.100.0/24", "203.0.113.0/24", ports=(80, 80)))
    (diagnosis,) = diagnosed(world)
    assert diagnosis.severity.value == "warning" and diagnosis.finding.params["clients"] == ("203.0.113.0/24",)


def test_the_rule_to_add_names_the_load_balancers_group_and_the_one_port() -> None:
    (diagnosis,) = diagnosed(nlb(CHECKS_ONLY))
    rule_command, annotation = diagnosis.finding.by_hand
    assert "--group-id sg-node --protocol tcp --port 30080 --source-group sg-lb" in rule_command
    assert "target-group-attributes=preserve_client_ip.enabled=false" in annotation


def test_a_prefix_list_admits_what_is_in_it() -> None:
    lists = Fact.known(reads.PREFIX_LISTS, (network.PrefixList("pl-1", ("0.0.0.0/1", "128.0.0.0/1")),))
    by_list = network.IpPermission("tcp", *NODE_PORTS, prefix_lists=("pl-1",))
    assert diagnosed(nlb(by_list, vpc={"prefix_lists": lists})) == []
    denied: Fact[object] = Fact.denied(
        reads.PREFIX_LISTS, "denied", Permission(action="ec2:GetManagedPrefixListEntries"), "pl-1"
    )
    report = nlb(by_list, vpc={"prefix_lists": denied}).report()
    assert report.exit_status() == 3


def test_a_closed_check_is_told_as_such_and_not_twice() -> None:
    world = nlb(rule("0.0.0.0/0", ports=(22, 22)))
    failing = tuple(replace(t, state="unhealthy", reason="Target.FailedHealthChecks") for t in world.health)
    assert [c for c in replace(world, health=failing).codes() if c != "LBD607"] == ["LBD501"]


# --- network ACLs of the targets' subnets --------------------------------------------------------------------------


def acl(*entries: network.AclEntry) -> tuple[network.NetworkAcl, ...]:
    nodes = network.NetworkAcl("acl-nodes", "vpc-1", ("subnet-n1", "subnet-n2"), entries)
    return (replace(OPEN_ACL, subnets=("subnet-a", "subnet-c")), nodes)


def allow(number: int, egress: bool, cidr: str, first: int, last: int) -> network.AclEntry:
    return network.AclEntry(number, egress, True, "6", cidr, first, last)


CHECKS_BY_ACL = (
    *(allow(10, False, "10.0.96.0/20", 30000, 32767), allow(10, True, "10.0.96.0/20", 1024, 65535)),
    *(network.AclEntry(20, egress, True, "-1", "10.0.0.0/16") for egress in (False, True)),
)
IN, OUT = allow(30, False, "0.0.0.0/0", 30000, 32767), allow(30, True, "0.0.0.0/0", 1024, 65535)
DENIED_BY_ACL = {
    "only the load balancer's subnets": (acl(*CHECKS_BY_ACL), "does not admit anyone (0.0.0.0/0) on TCP 30080"),
    "the last entry, which the API lists": (
        acl(*CHECKS_BY_ACL, network.AclEntry(32767, False, False, "-1", "0.0.0.0/0")),
        "does not admit anyone",
    ),
    "replies do not get out": (acl(*CHECKS_BY_ACL, IN), "does not let out the replies to anyone"),
    "an entry denies": (
        acl(network.AclEntry(5, False, False, "6", "0.0.0.0/0", 30080, 30080), *CHECKS_BY_ACL, IN, OUT),
        "does not admit anyone",
    ),
}


@pytest.mark.parametrize("how", DENIED_BY_ACL)
def test_clients_that_an_acl_keeps_out(how: str) -> None:
    entries, said = DENIED_BY_ACL[how]
    (diagnosis,) = diagnosed(nlb(rule("0.0.0.0/0"), acls=entries))
    assert said in diagnosis.message and diagnosis.severity.value == "error"
    assert "create-network-acl-entry --network-acl-id acl-nodes" in diagnosis.finding.by_hand[0]
    assert not any("32767" in e.text for e in diagnosis.finding.evidence)


@pytest.mark.parametrize(
    "entries, changes",
    [
        (acl(*CHECKS_BY_ACL, IN, OUT), {}),
        (acl(*CHECKS_BY_ACL, allow(30, False, "203.0.113.0/24", 30000, 32767), OUT), {}),
        (acl(*CHECKS_BY_ACL), {"group_attributes": {"preserve_client_ip.enabled": "false"}}),
    ],
)
def test_clients_that_the_acl_lets_pass(entries: tuple[network.NetworkAcl, ...], changes: dict[str, object]) -> None:
    assert diagnosed(nlb(rule("0.0.0.0/0"), acls=entries, **changes)) == []


def front_acl(*entries: network.AclEntry) -> World:
    """A healthy Ingress whose load balancer stands in subnets with these entries."""
    front = network.NetworkAcl("acl-front", "vpc-1", ("subnet-a", "subnet-c"), entries)
    return World(acls=(replace(OPEN_ACL, subnets=("subnet-n1", "subnet-n2")), front))


TO_TARGETS = tuple(network.AclEntry(20, egress, True, "-1", "10.0.0.0/16") for egress in (False, True))
FRONT_IN, FRONT_OUT = allow(30, False, "0.0.0.0/0", 80, 80), allow(30, True, "0.0.0.0/0", 1024, 65535)


@pytest.mark.parametrize(
    "world, said",
    [
        (front_acl(*TO_TARGETS), "admits no client on listener port 80"),
        (front_acl(*TO_TARGETS, FRONT_IN), "lets no replies out to clients"),
    ],
)
def test_clients_that_the_load_balancers_own_subnets_keep_out(world: World, said: str) -> None:
    report = world.report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD504"] and report.exit_status() == 0
    assert said in report.diagnoses[0].message and "acl-front" in report.diagnoses[0].finding.by_hand[0]


@pytest.mark.parametrize(
    "world",
    [
        front_acl(*TO_TARGETS, FRONT_IN, FRONT_OUT),
        front_acl(*TO_TARGETS, allow(30, False, "203.0.113.0/24", 80, 80), FRONT_OUT),
        internal(front_acl(*TO_TARGETS)),
    ],
)
def test_clients_that_the_load_balancers_own_subnets_let_in(world: World) -> None:
    assert world.codes() == []


def with_alias(world: World, host: str = HOST) -> World:
    return replace(world, extra_services=(Service(meta("outside"), "ExternalName", external_name=host),))


def test_pods_sent_through_the_load_balancer_to_their_own_node() -> None:
    report = with_alias(nlb(FROM_LB)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD604"]
    assert report.exit_status() == 0
    assert "outside" in report.diagnoses[0].message


@pytest.mark.parametrize(
    "world",
    [
        nlb(FROM_LB),
        with_alias(nlb(FROM_LB), "elsewhere.example"),
        with_alias(nlb(FROM_LB, group_attributes={"preserve_client_ip.enabled": "false"})),
        with_alias(World()),
    ],
)
def test_no_hairpin_without_such_pods_or_preserved_addresses(world: World) -> None:
    assert "LBD604" not in world.codes()


def test_both_say_what_they_are_about() -> None:
    assert "preserve_client_ip" in CATALOGUE["LBD515"].doc and "ExternalName" in CATALOGUE["LBD604"].doc


# --- ranges against a brute-force model ----------------------------------------------------------------------------

CIDRS = st.builds(
    lambda bits, length: str(ipaddress.ip_network((0x0AFFFFF0 + bits, length), strict=False)),
    st.integers(0, 31),
    st.integers(26, 32),
)
"""Around 10.255.255.255 and 11.0.0.0, where private addresses end."""
ENTRIES = st.lists(
    st.builds(
        lambda number, egress, allowed, cidr: network.AclEntry(number, egress, allowed, "-1", cidr),
        st.integers(1, 6),
        st.booleans(),
        st.booleans(),
        CIDRS,
    ),
    max_size=8,
)


@given(ENTRIES, CIDRS, st.booleans())
def test_a_range_is_denied_where_each_of_its_addresses_is(
    entries: list[network.AclEntry], cidr: str, public: bool
) -> None:
    found = network.NetworkAcl("acl", "vpc-1", (), tuple({(e.number, e.egress): e for e in entries}.values()))
    client = ipaddress.ip_network(cidr)
    outside = public and not client.subnet_of(ipaddress.ip_network("10.0.0.0/8"))
    passes = [
        a
        for a in client
        if not (outside and a in ipaddress.ip_network("10.0.0.0/8"))
        and all(acls.admits(found, egress, str(a), "tcp", 80).answer is Answer.ALLOWED for egress in (False, True))
    ]
    assert (client_access._denied(found, client, "tcp", 80, public) is None) is bool(passes)


@given(st.lists(CIDRS, max_size=5), st.lists(CIDRS, min_size=1, max_size=3))
def test_a_range_is_left_out_where_no_rule_holds_any_of_its_addresses(rules: list[str], sources: list[str]) -> None:
    networks = tuple(map(ipaddress.ip_network, rules))
    wanted = tuple(map(ipaddress.ip_network, sources))
    expected = [c for c in wanted if not any(a in n for a in c for n in networks)]
    assert client_access.left_out_of(wanted, client_access.Admitted(networks), False) == expected


# --- a check port of its own: nobody vouches for the traffic port ------------------------------------------------


def checked_elsewhere(*ingress: network.IpPermission, **values: object) -> World:
    groups = (
        network.SecurityGroup("sg-lb", "lb", "vpc-1", ingress=(ANYONE,), egress=(ANYONE,)),
        network.SecurityGroup("sg-node", "node", "vpc-1", CLUSTER_TAG, (*ingress, FROM_SELF), (ANYONE,)),
    )
    world = World(groups=groups, health=(target(1, check_port="9000"), target(2, check_port="9000")))
    check = replace(world.group.health_check, port="9000")
    meta = replace(world.ingress.meta, annotations={"alb.ingress.kubernetes.io/healthcheck-port": "9000"})
    world = replace(world, ingress=replace(world.ingress, meta=meta))
    return replace(world.with_group(health_check=check), **values)  # type: ignore[arg-type]


def from_lb(port: int) -> network.IpPermission:
    return network.IpPermission("tcp", port, port, groups=("sg-lb",))


def test_healthy_targets_whose_traffic_port_is_closed() -> None:
    report = checked_elsewhere(from_lb(9000)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD501"]
    assert "TCP 8080 from sg-lb" in report.diagnoses[0].message
    assert "healthy on port 9000; traffic goes to 8080" in report.diagnoses[0].finding.evidence[0].text
    assert checked_elsewhere(from_lb(9000), from_lb(8080)).codes() == []


def test_a_closed_check_port_and_a_closed_traffic_port_are_one_cause_with_both_rules() -> None:
    failing = tuple(target(n, "unhealthy", "Target.Timeout", check_port="9000") for n in (1, 2))
    report = checked_elsewhere(health=failing).report()
    first = report.diagnoses[0].finding
    assert [d.finding.code for d in report.diagnoses] == ["LBD501"]
    assert (first.params["direction"], first.params["ports"], first.params["peers"]) == (
        "ingress",
        ("9000", "8080"),
        ("sg-lb",),
    )
    assert len(first.commands) == 2


def test_a_closed_traffic_port_is_not_why_a_check_on_another_port_fails() -> None:
    failing = tuple(target(n, "unhealthy", "Target.Timeout", check_port="9000") for n in (1, 2))
    assert checked_elsewhere(from_lb(9000), health=failing).codes()[0] != "LBD501"
