"""A second, naive model of a VPC's filters, one packet at a time, and small random networks to compare both with.

It shares no code with `kubectl_lbdoctor.network`: CIDRs are prefixes of strings of bits, ports are tried one by one.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from kubectl_lbdoctor.model.network import (
    AclEntry,
    IpPermission,
    NetworkAcl,
    PrefixList,
    RouteTable,
    SecurityGroup,
    Subnet,
    VpcRoute,
)

V4 = ("10.0.0.1", "10.0.0.2", "10.0.0.9", "10.0.0.10", "10.1.0.1")
V6 = ("fd00::1", "fd00::2", "fd00::9", "fd00::a", "fd01::1")
CIDRS = (
    *("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/28", "10.0.0.0/29", "10.0.0.8/29", "10.0.0.1/32", "10.0.0.9/32"),
    *("10.1.0.0/29", "192.0.2.0/24"),
    *("::/0", "fd00::/16", "fd00::/124", "fd00::/125", "fd00::8/125", "fd00::1/128", "fd00::9/128", "fd01::/125"),
)
GROUPS = ("sg-a", "sg-b", "sg-c")
LISTS = ("pl-1", "pl-2")
PORTS = range(10)
EPHEMERAL_PORTS = range(4, 10)


# --- one packet at a time ---------------------------------------------------------------------------------------------


def bits(address: str) -> str:
    raw = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return "".join(f"{byte:08b}" for byte in raw)


def in_cidr(cidr: str, address: str) -> bool:
    network, length = cidr.split("/")
    return (":" in cidr) == (":" in address) and bits(network)[: int(length)] == bits(address)[: int(length)]


def same_protocol(rule: str, protocol: str) -> bool:
    numbers = {"tcp": "6", "udp": "17", "icmp": "1"}
    return rule == "-1" or numbers.get(rule, rule) == numbers.get(protocol, protocol)


def rule_passes(
    rule: IpPermission, address: str, carried: Sequence[str], protocol: str, port: int, lists: Mapping[str, PrefixList]
) -> bool:
    if not same_protocol(rule.protocol, protocol):
        return False
    if rule.protocol != "-1":
        if rule.from_port is not None and port < rule.from_port:
            return False
        if rule.to_port is not None and port > rule.to_port:
            return False
    cidrs = [*rule.cidrs, *(cidr for i in rule.prefix_lists if i in lists for cidr in lists[i].cidrs)]
    return any(in_cidr(cidr, address) for cidr in cidrs) or bool(set(rule.groups) & set(carried))


def acl_passes(acl: NetworkAcl, egress: bool, address: str, protocol: str, port: int) -> bool:
    deciding = [
        entry
        for entry in acl.entries
        if entry.egress == egress
        and same_protocol(entry.protocol, protocol)
        and in_cidr(entry.cidr, address)
        and (
            entry.protocol == "-1"
            or (entry.from_port or 0) <= port <= (65535 if entry.to_port is None else entry.to_port)
        )
    ]
    return bool(deciding) and min(deciding, key=lambda entry: entry.number).allow


def route_used(table: RouteTable, address: str, lists: Mapping[str, PrefixList]) -> VpcRoute | None:
    candidates = []
    for index, route in enumerate(table.routes):
        cidrs = lists[route.prefix_list].cidrs if route.prefix_list else (route.destination,)
        for cidr in cidrs:
            if in_cidr(cidr, address):
                kind = ["local"] if route.target == "local" else ["vgw"] if route.propagated else []
                order = {"local": 0, "vgw": 3}.get("".join(kind), 2 if route.prefix_list else 1)
                candidates.append((-int(cidr.split("/")[1]), order, index))
    if any(order == 0 for _, order, _ in candidates):
        candidates = [c for c in candidates if c[1] != 3]
    return table.routes[min(candidates)[2]] if candidates else None


# --- random networks --------------------------------------------------------------------------------------------------

protocols = st.sampled_from(["tcp", "udp"])
ports = st.sampled_from(PORTS)
port_bounds = st.one_of(
    st.tuples(st.none(), st.none()), st.tuples(ports, ports).map(lambda pair: (min(pair), max(pair)))
)


def few(values: Sequence[str], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


@st.composite
def permissions(draw: st.DrawFn) -> IpPermission:
    low, high = draw(port_bounds)
    return IpPermission(
        draw(st.sampled_from(["-1", "tcp", "tcp", "6", "udp", "icmp"])),
        low,
        high,
        cidrs=draw(few(CIDRS)),
        prefix_lists=draw(few(LISTS, 1)),
        groups=draw(few(GROUPS, 1)),
        stale_groups=draw(few(GROUPS, 1)),
    )


rules = st.lists(permissions(), max_size=3).map(tuple)


def group(group_id: str) -> st.SearchStrategy[SecurityGroup]:
    return st.builds(SecurityGroup, id=st.just(group_id), vpc_id=st.just("vpc-1"), ingress=rules, egress=rules)


all_groups = st.tuples(*(group(i) for i in GROUPS)).map(lambda found: {g.id: g for g in found})
all_lists = st.tuples(*(st.builds(PrefixList, id=st.just(i), cidrs=few(CIDRS, 3)) for i in LISTS)).map(
    lambda found: {item.id: item for item in found}
)


@st.composite
def acl_entries(draw: st.DrawFn) -> tuple[AclEntry, ...]:
    entries = []
    for egress in (False, True):
        numbers = draw(
            st.lists(st.one_of(st.integers(1, 6), st.sampled_from([100, 32766, 32767])), max_size=5, unique=True)
        )
        for number in numbers:
            if number == 32767:
                entries.append(AclEntry(number, egress, False, "-1", "0.0.0.0/0"))
                continue
            low, high = draw(port_bounds)
            protocol = draw(st.sampled_from(["-1", "6", "6", "17", "1"]))
            # Rather allow, or all paths are closed.
            allow = draw(st.sampled_from([True, True, False]))
            entries.append(AclEntry(number, egress, allow, protocol, draw(st.sampled_from(CIDRS)), low, high))
    return tuple(entries)


def acl(acl_id: str, subnets: tuple[str, ...] = ()) -> st.SearchStrategy[NetworkAcl]:
    return st.builds(
        NetworkAcl, id=st.just(acl_id), vpc_id=st.just("vpc-1"), subnets=st.just(subnets), entries=acl_entries()
    )


@st.composite
def tables(draw: st.DrawFn, table_id: str = "rtb-1", subnets: tuple[str, ...] = ()) -> RouteTable:
    routes, seen = [], set()
    for _ in range(draw(st.integers(0, 5))):
        by_list = draw(st.booleans())
        destination = draw(st.sampled_from(LISTS if by_list else CIDRS))
        propagated = not by_list and draw(st.booleans())
        if (destination, propagated) in seen:
            continue
        seen.add((destination, propagated))
        target = "vgw-1" if propagated else draw(st.sampled_from(["local", "pcx-1", "igw-1"]))
        if by_list:
            # Lists overlap with nothing that would leave the choice open.
            target = "pcx-1"
        state = "active" if target == "local" else draw(st.sampled_from(["active", "active", "blackhole"]))
        routes.append(
            VpcRoute("" if by_list else destination, destination if by_list else "", target, state, propagated)
        )
    return RouteTable(table_id, "vpc-1", subnets, False, tuple(routes))


SUBNETS = {
    "subnet-1": Subnet("subnet-1", "vpc-1", ("10.0.0.0/29", "fd00::/125")),
    "subnet-2": Subnet("subnet-2", "vpc-1", ("10.0.0.8/29", "fd00::8/125")),
    "subnet-3": Subnet("subnet-3", "vpc-2", ("10.1.0.0/29", "fd01::/125")),
}
