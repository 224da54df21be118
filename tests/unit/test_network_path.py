"""The whole path: order of the filters, what blocks first, what to add; random networks against a naive model."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.network import (
    AclEntry,
    IpPermission,
    NetworkAcl,
    NetworkInterface,
    PrefixList,
    RouteTable,
    SecurityGroup,
    Subnet,
    VpcRoute,
)
from kubectl_lbdoctor.network import path
from kubectl_lbdoctor.network.acls import AclRemedy
from kubectl_lbdoctor.network.matching import EPHEMERAL, LINUX_EPHEMERAL, Answer, PortRange, merged
from kubectl_lbdoctor.network.path import (
    FROM_CLIENT,
    SECOND_HOP,
    Endpoint,
    Filter,
    NetworkWorld,
    PathVerdict,
    evaluate,
)
from kubectl_lbdoctor.network.routes import RouteRemedy, RouteVerdict
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy
from tests.support import network as naive

ANY = IpPermission(cidrs=("0.0.0.0/0", "::/0"))
LB = Endpoint("10.0.1.5", "subnet-lb", ("sg-lb",))
NODE = Endpoint("10.0.2.9", "subnet-node", ("sg-node",))


def open_acl(acl_id: str, *subnets: str, vpc: str = "vpc-1", default: bool = False) -> NetworkAcl:
    entries = [AclEntry(n, out, True, "-1", c) for out in (True, False) for n, c in ((100, "0.0.0.0/0"), (101, "::/0"))]
    entries += [AclEntry(32767, out, False, "-1", "0.0.0.0/0") for out in (True, False)]
    return NetworkAcl(acl_id, vpc, subnets, tuple(entries), default)


def deny(acl: NetworkAcl, egress: bool, number: int = 50, **entry: Any) -> NetworkAcl:
    return replace(acl, entries=(*acl.entries, AclEntry(number, egress, False, **{"cidr": "0.0.0.0/0", **entry})))


ACL_LB, ACL_NODE = open_acl("acl-lb", "subnet-lb"), open_acl("acl-node", "subnet-node")
LOCAL = VpcRoute("10.0.0.0/16", target="local")
WORLD = NetworkWorld(
    groups={
        "sg-lb": SecurityGroup("sg-lb", vpc_id="vpc-1", egress=(ANY,)),
        "sg-node": SecurityGroup(
            "sg-node", vpc_id="vpc-1", ingress=(IpPermission("tcp", 8080, 8080, groups=("sg-lb",)),)
        ),
    },
    acls=(ACL_LB, ACL_NODE),
    tables=(RouteTable("rtb-main", "vpc-1", main=True, routes=(LOCAL,)),),
    subnets={
        "subnet-lb": Subnet("subnet-lb", "vpc-1", ("10.0.1.0/24",)),
        "subnet-node": Subnet("subnet-node", "vpc-1", ("10.0.2.0/24",)),
        "subnet-far": Subnet("subnet-far", "vpc-2", ("10.9.0.0/24",)),
    },
)


def with_groups(**groups: SecurityGroup) -> NetworkWorld:
    return replace(WORLD, groups={**WORLD.groups, **{group.id: group for group in groups.values()}})


def with_acls(*acls: NetworkAcl) -> NetworkWorld:
    return replace(WORLD, acls=acls)


def ask(world: NetworkWorld = WORLD, source: Endpoint = LB, target: Endpoint = NODE, port: int = 8080) -> PathVerdict:
    return evaluate(source, target, "TCP", port, world)


def test_an_open_path_names_every_filter_in_packet_order() -> None:
    verdict = ask()
    assert verdict.answer is Answer.ALLOWED
    assert [hop.filter for hop in verdict.hops] == list(Filter)
    assert [hop.owner for hop in verdict.hops] == [
        *("sg-lb", "acl-lb", "rtb-main", "acl-node", "sg-node", "acl-node", "rtb-main", "acl-lb"),
    ]
    assert (verdict.first, verdict.unknown, verdict.reply_ports) == (None, (), (EPHEMERAL,))


def test_a_closed_target_group() -> None:
    verdict = ask(port=9090)
    assert verdict.first and (verdict.first.filter, verdict.first.code) == (Filter.TARGET_GROUPS, "LBD501")
    assert verdict.first.remedy == GroupRemedy(
        "sg-node", Direction.INGRESS, "tcp", PortRange(9090, 9090), "sg-lb", ("sg-node",)
    )
    assert path.command(verdict.first.remedy) == (
        "aws ec2 authorize-security-group-ingress --group-id sg-node --protocol tcp --port 9090 --source-group sg-lb"
    )


def test_no_egress() -> None:
    verdict = ask(with_groups(lb=SecurityGroup("sg-lb", egress=(IpPermission("tcp", 443, 443, ("0.0.0.0/0",)),))))
    assert verdict.first and (verdict.first.filter, verdict.first.code) == (Filter.SOURCE_GROUPS, "LBD503")
    assert "authorize-security-group-egress --group-id sg-lb" in path.command(verdict.first.remedy)
    assert "GroupId=sg-node" in path.command(verdict.first.remedy)


def test_the_reply_needs_no_group() -> None:
    """Groups are stateful: neither the target's outbound nor the load balancer's inbound rules count."""
    assert not WORLD.groups["sg-node"].egress and not WORLD.groups["sg-lb"].ingress
    assert ask().answer is Answer.ALLOWED


@pytest.mark.parametrize(
    ("acls", "where", "code", "egress", "cidr", "ports"),
    [
        ((deny(ACL_LB, True), ACL_NODE), Filter.REQUEST_ACL_OUT, "LBD507", True, "10.0.2.0/24", "8080"),
        ((ACL_LB, deny(ACL_NODE, False)), Filter.REQUEST_ACL_IN, "LBD507", False, "10.0.1.0/24", "8080"),
        ((ACL_LB, deny(ACL_NODE, True)), Filter.RETURN_ACL_OUT, "LBD508", True, "10.0.1.0/24", "1024-65535"),
        ((deny(ACL_LB, False), ACL_NODE), Filter.RETURN_ACL_IN, "LBD508", False, "10.0.2.0/24", "1024-65535"),
    ],
)
def test_each_acl(acls: tuple[NetworkAcl, ...], where: Filter, code: str, egress: bool, cidr: str, ports: str) -> None:
    verdict = ask(with_acls(*acls))
    assert [(hop.filter, hop.code) for hop in verdict.blocking] == [(where, code)]
    remedy = verdict.blocking[0].remedy
    assert isinstance(remedy, AclRemedy)
    assert (remedy.egress, remedy.cidr, str(remedy.ports), remedy.number) == (egress, cidr, ports, 10)
    assert remedy.acl_id == ("acl-lb" if acls[1] is ACL_NODE else "acl-node")


def test_within_one_subnet_no_acl_and_no_route_counts() -> None:
    world = replace(WORLD, acls=(deny(deny(ACL_LB, True), False),), tables=())
    verdict = ask(world, target=replace(NODE, subnet_id="subnet-lb"))
    assert [hop.filter for hop in verdict.hops] == [Filter.SOURCE_GROUPS, Filter.TARGET_GROUPS]
    assert verdict.answer is Answer.ALLOWED


def test_an_acl_made_for_linux_clients_fails_now_and_then() -> None:
    narrow = NetworkAcl("acl-node", "vpc-1", ("subnet-node",), (
        AclEntry(100, False, True, "-1", "0.0.0.0/0"), AclEntry(100, True, True, "6", "0.0.0.0/0", 32768, 60999),
    ))  # fmt: skip
    verdict = ask(with_acls(ACL_LB, narrow))
    assert (verdict.answer, verdict.reply_ports) == (Answer.PARTIAL, (LINUX_EPHEMERAL,))
    assert verdict.first and (verdict.first.code, verdict.first.answer) == ("LBD508", Answer.PARTIAL)
    # From a node's kernel, the same ACL lets everything through.
    assert (
        evaluate(LB, NODE, "tcp", 8080, with_acls(ACL_LB, narrow), ephemeral=LINUX_EPHEMERAL).answer is Answer.ALLOWED
    )


def test_two_partial_acls_without_a_common_port_deny() -> None:
    low = deny(ACL_NODE, True, protocol="6", from_port=30000, to_port=65535)
    high = deny(ACL_LB, False, protocol="6", from_port=0, to_port=29999)
    verdict = ask(with_acls(high, low))
    assert (verdict.answer, [hop.answer for hop in verdict.blocking]) == (Answer.DENIED, [Answer.PARTIAL] * 2)


def test_several_blocks_come_in_packet_order() -> None:
    world = replace(
        with_acls(deny(ACL_LB, False), ACL_NODE), groups={**WORLD.groups, "sg-node": SecurityGroup("sg-node")}
    )
    assert [hop.code for hop in ask(world).blocking] == ["LBD501", "LBD508"]


def test_second_hop_and_client_codes() -> None:
    other = Endpoint("10.0.3.1", "subnet-node", ("sg-node",))
    world = with_groups(node=SecurityGroup("sg-node", egress=(ANY,)))
    verdict = evaluate(other, NODE, "tcp", 8080, world, SECOND_HOP)
    assert verdict.first and verdict.first.code == "LBD502"
    assert isinstance(verdict.first.remedy, GroupRemedy) and verdict.first.remedy.peer == "sg-node"
    client = Endpoint("203.0.113.7", "", ())
    refused = evaluate(client, NODE, "tcp", 8080, WORLD, FROM_CLIENT)
    assert [hop.code for hop in refused.blocking] == ["LBD515"]
    assert path.command(refused.blocking[0].remedy).endswith("--cidr 203.0.113.7/32")
    # "or reference the NLB's group, which works"
    assert evaluate(replace(client, groups=("sg-lb",)), NODE, "tcp", 8080, WORLD, FROM_CLIENT).answer is Answer.ALLOWED
    closed = evaluate(replace(client, groups=("sg-lb",)), NODE, "tcp", 9, WORLD, FROM_CLIENT).first
    assert closed and isinstance(closed.remedy, GroupRemedy) and closed.remedy.peer == "sg-lb"


def test_a_load_balancer_without_groups_is_admitted_by_cidr_only() -> None:
    bare = replace(LB, groups=())
    verdict = ask(source=bare)
    assert [hop.filter for hop in verdict.blocking] == [Filter.TARGET_GROUPS]
    assert path.command(verdict.blocking[0].remedy).endswith("--cidr 10.0.1.0/24")
    opened = SecurityGroup("sg-node", ingress=(IpPermission("tcp", 8080, 8080, ("10.0.1.0/24",)),))
    assert ask(with_groups(node=opened), source=bare).answer is Answer.ALLOWED


@pytest.mark.parametrize(
    "tags",
    [
        {"elbv2.k8s.aws/resource": "backend-sg"},
        {"ingress.eks.amazonaws.com/resource": "ManagedBackendSecurityGroup"},
        {"service.eks.amazonaws.com/resource": "ManagedBackendSecurityGroup"},
    ],
)
def test_of_several_groups_the_shared_backend_group_is_named(tags: dict[str, str]) -> None:
    front, back = SecurityGroup("sg-lb", egress=(ANY,)), SecurityGroup("sg-back", tags=tags)
    two = replace(LB, groups=("sg-lb", "sg-back"))
    named = ask(with_groups(front=front, back=back), source=two, port=9).first
    assert named and isinstance(named.remedy, GroupRemedy) and named.remedy.peer == "sg-back"
    unnamed = ask(with_groups(front=front, back=replace(back, tags={})), source=two, port=9).first
    assert unnamed and isinstance(unnamed.remedy, GroupRemedy) and unnamed.remedy.peer == "10.0.1.0/24"


@pytest.mark.parametrize(
    ("world", "unknown"),
    [
        (replace(WORLD, groups={"sg-lb": WORLD.groups["sg-lb"]}), "sg-node"),
        (replace(WORLD, groups={"sg-node": WORLD.groups["sg-node"]}), "sg-lb"),
        (replace(WORLD, acls=None), "network ACL of subnet-lb"),
        (replace(WORLD, acls=(ACL_LB,)), "network ACL of subnet-node"),
    ],
)
def test_what_was_not_read_makes_it_unknown(world: NetworkWorld, unknown: str) -> None:
    verdict = ask(world)
    assert (verdict.answer, verdict.first, verdict.unknown[0]) == (Answer.UNKNOWN, None, unknown)


def test_a_certain_block_outweighs_what_is_not_known() -> None:
    verdict = ask(replace(WORLD, acls=None), port=9)
    assert (verdict.answer, verdict.first and verdict.first.code) == (Answer.DENIED, "LBD501")


def test_groups_and_subnets_that_are_not_known() -> None:
    assert ask(target=replace(NODE, groups=None)).unknown == ("security groups of 10.0.2.9",)
    # The address alone says that it is in another subnet, not in which.
    lost = ask(target=replace(NODE, subnet_id=None))
    assert (lost.answer, lost.unknown) == (
        Answer.UNKNOWN,
        ("network ACL of the subnet of 10.0.2.9", "route table of the subnet of 10.0.2.9"),
    )
    # Where even that is open, an ACL that would deny may not count.
    blind = replace(with_acls(deny(ACL_LB, True), ACL_NODE), subnets={})
    assert ask(blind, target=replace(NODE, subnet_id=None)).answer is Answer.UNKNOWN
    assert ask(blind, target=replace(NODE, address="10.0.1.9", subnet_id=None)).answer is Answer.UNKNOWN
    # The same subnet after all: its CIDR says so.
    near = replace(NODE, address="10.0.1.9", subnet_id=None)
    assert ask(with_acls(deny(ACL_LB, True), ACL_NODE), target=near).answer is Answer.ALLOWED


def test_within_a_vpc_route_tables_need_not_be_read() -> None:
    assert ask(replace(WORLD, tables=None)).answer is Answer.ALLOWED


FAR = Endpoint("10.9.0.4", "subnet-far", ("sg-far",))
FAR_GROUP = SecurityGroup("sg-far", vpc_id="vpc-2", ingress=(IpPermission("tcp", 8080, 8080, groups=("sg-lb",)),))


def far_world(there: str, back: str, *, state: str = "active") -> NetworkWorld:
    main = RouteTable("rtb-main", "vpc-1", main=True, routes=(LOCAL, VpcRoute("10.9.0.0/16", target=there)))
    far = VpcRoute("10.0.0.0/16", target=back, state=state)
    routes = (VpcRoute("10.9.0.0/16", target="local"), *((far,) if back else ()))
    return replace(
        WORLD,
        groups={**WORLD.groups, "sg-far": FAR_GROUP},
        acls=(ACL_LB, ACL_NODE, open_acl("acl-far", vpc="vpc-2", default=True)),
        tables=(main, RouteTable("rtb-far", "vpc-2", ("subnet-far",), routes=routes)),
    )


def test_peered_vpc_needs_routes_both_ways() -> None:
    assert ask(far_world("pcx-1", "pcx-1"), target=FAR).answer is Answer.ALLOWED
    no_way_back = ask(far_world("pcx-1", ""), target=FAR)
    assert no_way_back.first and (no_way_back.first.filter, no_way_back.first.code) == (Filter.RETURN_ROUTE, "LBD509")
    assert no_way_back.first.remedy == RouteRemedy("rtb-far", "10.0.1.0/24")
    assert path.command(no_way_back.first.remedy) == ""
    hole = ask(far_world("pcx-1", "pcx-gone", state="blackhole"), target=FAR).first
    assert hole and hole.remedy == RouteRemedy("rtb-far", "10.0.1.0/24", "pcx-gone")


def test_group_references_over_a_transit_gateway_are_not_certain() -> None:
    verdict = ask(far_world("tgw-1", "tgw-1"), target=FAR)
    assert verdict.answer is Answer.UNKNOWN
    hop = verdict.hop(Filter.TARGET_GROUPS)
    assert hop and hop.unknown == ("security groups of 10.0.1.5",)
    by_cidr = replace(FAR_GROUP, ingress=(IpPermission("tcp", 8080, 8080, ("10.0.0.0/16",)),))
    world = far_world("tgw-1", "tgw-1")
    admitted = ask(replace(world, groups={**world.groups, "sg-far": by_cidr}), target=FAR)
    assert admitted.unknown == ("the routing of tgw-1",)


def test_a_target_outside_is_judged_up_to_the_gateway() -> None:
    hybrid = Endpoint("192.168.7.7", "", ())
    assert ask(target=hybrid).first is not None, "no route"
    tables = (RouteTable("rtb-main", "vpc-1", main=True, routes=(LOCAL, VpcRoute("192.168.0.0/16", target="vgw-1"))),)
    verdict = ask(replace(WORLD, tables=tables), target=hybrid)
    assert (verdict.answer, verdict.unknown) == (Answer.UNKNOWN, ("the routing of vgw-1",))


def test_families_do_not_mix() -> None:
    with pytest.raises(ValueError, match="address families"):
        ask(target=replace(NODE, address="2001:db8::1"))


def test_the_whole_path_over_ipv6() -> None:
    subnets = {
        "subnet-lb": Subnet("subnet-lb", "vpc-1", ("10.0.1.0/24", "2001:db8:0:1::/64")),
        "subnet-node": Subnet("subnet-node", "vpc-1", ("10.0.2.0/24", "2001:db8:0:2::/64")),
    }
    route = VpcRoute("2001:db8::/56", target="local")
    world = replace(WORLD, subnets=subnets, tables=(RouteTable("rtb-main", "vpc-1", main=True, routes=(LOCAL, route)),))
    source, target = replace(LB, address="2001:db8:0:1::5"), replace(NODE, address="2001:db8:0:2::9")
    assert ask(world, source, target).answer is Answer.ALLOWED
    four_only = replace(
        world, acls=(ACL_LB, replace(ACL_NODE, entries=tuple(e for e in ACL_NODE.entries if ":" not in e.cidr)))
    )
    blocked = ask(four_only, source, target)
    assert [hop.code for hop in blocked.blocking] == ["LBD507", "LBD508"]
    assert "--ipv6-cidr-block 2001:db8:0:1::/64" in path.command(blocked.blocking[0].remedy)
    bare = ask(world, replace(source, groups=()), target).first
    assert bare and "CidrIpv6=2001:db8:0:1::/64" in path.command(bare.remedy)


def test_endpoints_from_interfaces() -> None:
    addresses, prefixes = ("10.0.2.9", "10.0.2.10"), ("10.0.2.16/28",)
    node = NetworkInterface("eni-1", "subnet-node", "vpc-1", addresses, prefixes, ("sg-node",), instance_id="i-1")
    node = replace(node, device_index=0)
    branch = NetworkInterface("eni-2", "subnet-node", "vpc-1", ("10.0.2.17",), (), ("sg-pod",))
    second = NetworkInterface("eni-3", "subnet-node", "vpc-1", ("10.0.2.40",), instance_id="i-1", device_index=1)
    found = [second, node, branch]
    assert path.endpoint_at("10.0.2.10", found) == Endpoint("10.0.2.10", "subnet-node", ("sg-node",))
    assert path.endpoint_at("10.0.2.20", found).groups == ("sg-node",), "by its prefix"
    assert path.endpoint_at("10.0.2.17", found).groups == ("sg-pod",), "an interface of its own comes before a prefix"
    assert path.endpoint_at("10.0.2.99", found) == Endpoint("10.0.2.99", None, None)
    assert path.endpoint_at("10.0.2.9", found, vpc_id="vpc-2").subnet_id is None
    assert path.primary_interface("i-1", found) is node
    assert path.primary_interface("i-2", found) is None
    assert from_json(NetworkInterface, to_json(node)) == node


def test_repairs_of_many_paths_are_few_and_do_not_collide() -> None:
    shared = deny(deny(open_acl("acl-1", "subnet-lb", "subnet-node"), True), False)
    world = replace(WORLD, acls=(shared,), groups={**WORLD.groups, "sg-node": SecurityGroup("sg-node")})
    targets = [replace(NODE, address=f"10.0.2.{n}") for n in range(9, 40)]
    remedies = path.repairs([ask(world, target=t) for t in targets], world)
    entries = [r for r in remedies if isinstance(r, AclRemedy)]
    assert len(remedies) == 5 and len(entries) == 4
    assert len({(r.egress, r.number) for r in entries}) == 4


def test_repairs_go_before_every_entry_that_denies_and_name_a_rule_once() -> None:
    """One new entry serves two targets that different entries deny; one rule serves targets with different groups."""
    first = deny(deny(ACL_NODE, False, 60, cidr="10.0.1.5/32"), False, 30, cidr="10.0.1.6/32")
    world = replace(
        with_acls(ACL_LB, first),
        groups={"sg-lb": WORLD.groups["sg-lb"], "sg-1": SecurityGroup("sg-1"), "sg-2": SecurityGroup("sg-2")},
    )
    asked = [
        ask(world, LB, replace(NODE, groups=("sg-1",))),
        ask(world, replace(LB, address="10.0.1.6"), replace(NODE, groups=("sg-1", "sg-2"))),
    ]
    entry, rule = path.repairs(asked, world)
    assert isinstance(entry, AclRemedy) and (entry.number, entry.before) == (10, 30)
    assert isinstance(rule, GroupRemedy) and rule.group_id == "sg-1"
    assert path.repairs(reversed(asked), world)[0] == entry


# --- against the naive model ------------------------------------------------------------------------------------------


OPEN_GROUPS = {i: SecurityGroup(i, vpc_id="vpc-1", ingress=(ANY,), egress=(ANY,)) for i in naive.GROUPS}
Question = tuple[NetworkWorld, Endpoint, Endpoint, str, int]


class Dice(random.Random):
    """Random networks, made quickly: each kind of filter is random or open, so that every kind gets to decide."""

    def some(self, values: Iterable[Any], most: int, least: int = 0) -> tuple[Any, ...]:
        found = sorted(values)
        return tuple(self.sample(found, self.randint(least, min(most, len(found)))))

    def bounds(self) -> tuple[int | None, int | None]:
        if self.random() < 0.4:
            return None, None
        return tuple(sorted((self.choice(naive.PORTS), self.choice(naive.PORTS))))

    def rules(self) -> tuple[IpPermission, ...]:
        kinds = ("-1", "tcp", "tcp", "6", "udp", "icmp")
        return tuple(
            IpPermission(
                self.choice(kinds),
                *self.bounds(),
                cidrs=self.some(naive.CIDRS, 2),
                prefix_lists=self.some(naive.LISTS, 1),
                groups=self.some(naive.GROUPS, 1),
            )
            for _ in range(self.randint(0, 4))
        )

    def acl(self, acl_id: str, *subnets: str) -> NetworkAcl:
        entries = []
        for egress in (False, True):
            for number in self.some((1, 2, 3, 4, 50, 100, 32766), 5):
                allow, protocol = self.random() < 0.7, self.choice(("-1", "6", "6", "17", "1"))
                entries.append(AclEntry(number, egress, allow, protocol, self.choice(naive.CIDRS), *self.bounds()))
            if self.random() < 0.6:
                entries += [AclEntry(n, egress, True, "-1", c) for n, c in ((90, "0.0.0.0/0"), (91, "::/0"))]
        self.shuffle(entries)
        return NetworkAcl(acl_id, "vpc-1", subnets, tuple(entries))

    def pierced_acl(self, acl_id: str, *subnets: str) -> NetworkAcl:
        """Open, but for some ports."""
        low, high = sorted((self.choice(naive.PORTS), self.choice(naive.PORTS)))
        wide = self.choice(("0.0.0.0/0", "::/0", "10.0.0.0/28"))
        hole = {"protocol": self.choice(("-1", "6", "6")), "cidr": wide, "from_port": low, "to_port": high}
        return deny(open_acl(acl_id, *subnets), self.random() < 0.5, self.choice((1, 50, 200)), **hole)

    def table(self, table_id: str, *subnets: str) -> RouteTable:
        routes = [VpcRoute("10.0.0.0/8", target="local"), VpcRoute("fd00::/16", target="local")]
        for destination in self.some(naive.CIDRS, 2):
            target = self.choice(("pcx-1", "igw-1", "vgw-1", "tgw-1", "tgw-1"))
            state = self.choice(("active", "active", "blackhole"))
            routes.append(VpcRoute(destination, target=target, state=state, propagated=target == "vgw-1"))
        for list_id in self.some(naive.LISTS, 1):
            routes.append(VpcRoute(prefix_list=list_id, target="pcx-1"))
        self.shuffle(routes)
        return RouteTable(table_id, "vpc-1", subnets, False, tuple(routes))

    def world(self) -> NetworkWorld:
        groups, acls, tables = dict(OPEN_GROUPS), [], []
        if self.random() < 0.35:
            groups = {i: SecurityGroup(i, "", "vpc-1", {}, self.rules(), self.rules()) for i in naive.GROUPS}
        for number in (1, 2):
            subnet = f"subnet-{number}"
            acls.append(self.choice((self.acl, self.pierced_acl, open_acl))(f"acl-{number}", subnet))
            plain = RouteTable(
                f"rtb-{number}",
                "vpc-1",
                (subnet,),
                False,
                (VpcRoute("10.0.0.0/8", target="local"), VpcRoute("fd00::/16", target="local")),
            )
            tables.append(self.table(f"rtb-{number}", subnet) if self.random() < 0.4 else plain)
        lists = {i: PrefixList(i, self.some(naive.CIDRS, 3)) for i in naive.LISTS}
        return NetworkWorld(groups, tuple(acls), tuple(tables), naive.SUBNETS, lists)

    def end(self, subnet: str, six: bool) -> Endpoint:
        addresses = [a for a in (naive.V6 if six else naive.V4) if naive.in_cidr(naive.SUBNETS[subnet].cidrs[six], a)]
        return Endpoint(self.choice(addresses), subnet, self.some(naive.GROUPS, 3, 1))

    def question(self) -> Question:
        six = self.random() < 0.4
        target = self.end(self.choice(["subnet-1", *["subnet-2"] * 4]), six)
        return self.world(), self.end("subnet-1", six), target, self.choice(("tcp", "udp")), self.choice(naive.PORTS)


def naive_route(world: NetworkWorld, subnet: str, address: str) -> Answer:
    table = next(t for t in world.tables or () if subnet in t.subnets)
    used = naive.route_used(table, address, world.prefix_lists)
    if used is None or used.state == "blackhole" or used.target == "igw-1":
        return Answer.DENIED
    return Answer.UNKNOWN if used.target in ("vgw-1", "tgw-1") else Answer.ALLOWED


def naive_connection(world: NetworkWorld, s: Endpoint, t: Endpoint, protocol: str, port: int, reply: int) -> bool:
    """One connection from one ephemeral port, every filter asked about every packet; routes aside."""
    lists = world.prefix_lists
    out = [rule for i in s.groups or () for rule in world.groups[i].egress]
    if not any(naive.rule_passes(rule, t.address, t.groups or (), protocol, port, lists) for rule in out):
        return False
    inward = [rule for i in t.groups or () for rule in world.groups[i].ingress]
    if not any(naive.rule_passes(rule, s.address, s.groups or (), protocol, port, lists) for rule in inward):
        return False
    if s.subnet_id == t.subnet_id:
        return True
    acl = {subnet: a for a in world.acls or () for subnet in a.subnets}
    near, far = acl[s.subnet_id or ""], acl[t.subnet_id or ""]
    return (
        naive.acl_passes(near, True, t.address, protocol, port)
        and naive.acl_passes(far, False, s.address, protocol, port)
        and naive.acl_passes(far, True, s.address, protocol, reply)
        and naive.acl_passes(near, False, t.address, protocol, reply)
    )


RANGE = PortRange(naive.EPHEMERAL_PORTS[0], naive.EPHEMERAL_PORTS[-1])


def naive_answer(world: NetworkWorld, s: Endpoint, t: Endpoint, protocol: str, port: int) -> tuple[Answer, list[int]]:
    works = [e for e in naive.EPHEMERAL_PORTS if naive_connection(world, s, t, protocol, port, e)]
    routed = {Answer.ALLOWED}
    if s.subnet_id != t.subnet_id:
        routed = {naive_route(world, s.subnet_id or "", t.address), naive_route(world, t.subnet_id or "", s.address)}
    if Answer.DENIED in routed or not works:
        return Answer.DENIED, []
    if len(works) < len(naive.EPHEMERAL_PORTS):
        return Answer.PARTIAL, works
    return (Answer.UNKNOWN if Answer.UNKNOWN in routed else Answer.ALLOWED), works


def compare(question: Question) -> Answer:
    world, source, target, protocol, port = question
    verdict = evaluate(source, target, protocol, port, world, ephemeral=RANGE)
    answer, works = naive_answer(*question)
    assert verdict.answer is answer
    assert verdict.reply_ports == merged(PortRange(e, e) for e in works)
    assert (verdict.first is not None) == answer.blocks
    assert all(hop.remedy is not None for hop in verdict.blocking)
    repair_opens(question, verdict)
    return answer


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_like_the_naive_model(seed: int) -> None:
    dice = Dice(seed)
    for _ in range(20):
        compare(dice.question())


def test_the_random_networks_are_of_all_kinds() -> None:
    dice = Dice(1)
    answers = Counter(compare(dice.question()) for _ in range(1500))
    assert min(answers[answer] for answer in Answer) >= 8, answers


def repair_opens(question: Question, verdict: PathVerdict) -> None:
    """What it says is missing, added all at once, is enough: the naive model says so."""
    world, *rest = question
    groups, acls = dict(world.groups), {acl.id: acl for acl in world.acls or ()}
    for remedy in path.repairs([verdict], world):
        if isinstance(remedy, GroupRemedy):
            group, side = groups[remedy.group_id], remedy.direction.value
            groups[group.id] = replace(group, **{side: (*getattr(group, side), remedy.permission)})  # type: ignore[arg-type]
        elif isinstance(remedy, AclRemedy):
            acl = acls[remedy.acl_id]
            if remedy.number is None:
                return
            assert (remedy.number, remedy.egress) not in {(e.number, e.egress) for e in acl.entries}
            acls[acl.id] = replace(acl, entries=(*acl.entries, remedy.entry(remedy.number)))
        else:
            return
    repaired = replace(world, groups=groups, acls=tuple(acls.values()))
    assert naive_answer(repaired, *rest)[0] in (Answer.ALLOWED, Answer.UNKNOWN)


COULD_BE = {
    Answer.ALLOWED: {Answer.ALLOWED},
    Answer.DENIED: {Answer.DENIED},
    Answer.PARTIAL: {Answer.PARTIAL, Answer.DENIED},
    Answer.UNKNOWN: set(Answer),
}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_less_knowledge_never_gives_another_certainty(seed: int) -> None:
    dice = Dice(seed)
    for _ in range(20):
        world, source, target, protocol, port = dice.question()
        full = evaluate(source, target, protocol, port, world, ephemeral=RANGE)
        if any(isinstance(h.detail, RouteVerdict) and h.detail.route and h.detail.route.prefix_list for h in full.hops):
            continue  # The dice put prefix lists before the local route, which AWS refuses.
        less = forget(dice, world, full)
        answer = evaluate(forget_end(dice, source), forget_end(dice, target), protocol, port, less, ephemeral=RANGE)
        # What leaves by a private gateway is not known to begin with.
        assert full.answer is Answer.UNKNOWN or full.answer in COULD_BE[answer.answer]
        assert answer.answer is not Answer.UNKNOWN or answer.unknown


def forget(dice: Dice, world: NetworkWorld, full: PathVerdict) -> NetworkWorld:
    def some(items: Mapping[str, Any]) -> dict[str, Any]:
        return {key: item for key, item in items.items() if dice.random() < 0.8}

    # That a VPC's own addresses are local is taken for granted where no table was read: only then it may be forgotten.
    local = all(
        h.answer is Answer.ALLOWED for h in full.hops if h.filter in (Filter.REQUEST_ROUTE, Filter.RETURN_ROUTE)
    )
    return NetworkWorld(
        some(world.groups),
        dice.choice((world.acls, world.acls, (world.acls or ())[:1], None)),
        dice.choice((world.tables, (world.tables or ())[:1], None)) if local else world.tables,
        some(world.subnets),
        some(world.prefix_lists),
    )


def forget_end(dice: Dice, known: Endpoint) -> Endpoint:
    subnet = known.subnet_id if dice.random() < 0.8 else None
    return replace(known, subnet_id=subnet, groups=known.groups if dice.random() < 0.8 else None)


def test_a_thousand_targets_take_a_moment() -> None:
    sources = [replace(LB, address=f"10.0.1.{n}") for n in range(1, 4)]
    targets = [replace(NODE, address=f"10.0.2.{n}") for n in range(1, 251)] * 4
    started = time.process_time()
    assert all(ask(source=s, target=t).answer is Answer.ALLOWED for s in sources for t in targets)
    assert time.process_time() - started < 3


def test_records_survive_a_bundle() -> None:
    for record in (*WORLD.groups.values(), *(WORLD.acls or ()), *(WORLD.tables or ()), *WORLD.subnets.values()):
        assert from_json(type(record), to_json(record)) == record
    assert from_json(PrefixList, to_json(PrefixList("pl-1", ("10.0.0.0/8",)))).cidrs == ("10.0.0.0/8",)
