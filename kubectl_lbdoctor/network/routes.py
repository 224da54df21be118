"""Route tables: where a subnet's packets to an address go.

Sources (https://docs.aws.amazon.com/vpc/latest/userguide/RouteTables.html and, of that guide,
route-tables-priority.html):
- A subnet without an association uses the VPC's main table.
- "We use the most specific route that matches"; among equal destinations static routes win over prefix lists and these
  over propagated routes. Propagated routes never win over the local route, even where they are more specific
  (https://docs.aws.amazon.com/vpn/latest/s2svpn/vpn-route-priority.html).
- Every table has a `local` route per CIDR of its VPC; it cannot be deleted.
- A route whose target is gone is a `blackhole`: its packets are dropped, no other route is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from kubectl_lbdoctor.model.network import PrefixList, RouteTable, VpcRoute
from kubectl_lbdoctor.network.matching import Answer, contains, is_global, network_of, prefix_length
from kubectl_lbdoctor.record import record


class RouteKind(str, Enum):
    """What a route gives its packets to."""

    LOCAL = "local"
    PEERING = "peering"
    TRANSIT = "transit-gateway"
    VPN = "virtual-private-gateway"
    INTERNET = "internet-gateway"
    NAT = "nat-gateway"
    MIDDLEBOX = "middlebox"
    OTHER = "other"
    NONE = "none"


_KINDS = {
    "local": RouteKind.LOCAL,
    "pcx": RouteKind.PEERING,
    "tgw": RouteKind.TRANSIT,
    "vgw": RouteKind.VPN,
    "igw": RouteKind.INTERNET,
    "eigw": RouteKind.INTERNET,
    "nat": RouteKind.NAT,
    "eni": RouteKind.MIDDLEBOX,
    "i": RouteKind.MIDDLEBOX,
    "vpce": RouteKind.MIDDLEBOX,
}


@record
class RouteVerdict:
    """`route` is the one that is used, None where none matches or the table was not read (then `table_id` is "").

    UNKNOWN: the packet leaves for something whose own routing was not read (transit gateway, VPN, middlebox), or the
    table names a prefix list that was not read; `unknown` says which.
    """

    answer: Answer
    table_id: str = ""
    route: VpcRoute | None = None
    kind: RouteKind = RouteKind.NONE
    unknown: tuple[str, ...] = ()

    @property
    def blackhole(self) -> bool:
        return self.route is not None and self.route.state == "blackhole"


@record
class RouteRemedy:
    """The route that is missing from a table. `replaces` is the target of the route that drops the packets now.

    The new target is the user's choice (a peering connection, a transit gateway), so there is no command for it.
    """

    table_id: str
    destination: str
    replaces: str = ""


def table_of(subnet_id: str, vpc_id: str, tables: Iterable[RouteTable]) -> RouteTable | None:
    """The table associated with the subnet, or the main one of its VPC; None where neither was read."""
    main = None
    for table in tables:
        if subnet_id in table.subnets:
            return table
        if table.main and vpc_id and table.vpc_id == vpc_id:
            main = table
    return main


def route_for(table: RouteTable, address: str, prefix_lists: Mapping[str, PrefixList]) -> RouteVerdict:
    """The route that the table uses for this address, and whether packets get anywhere by it."""
    matching = [(r, length) for r in table.routes if (length := _match(r, address, prefix_lists)) is not None]
    local = any(_kind(r) is RouteKind.LOCAL for r, _ in matching)
    if local:
        matching = [(r, length) for r, length in matching if not r.propagated]
    route, _ = max(matching, key=lambda item: (item[1], _rank(item[0])), default=(None, 0))
    unread = tuple(r.prefix_list for r in table.routes if r.prefix_list and r.prefix_list not in prefix_lists)
    if unread and _kind(route) is not RouteKind.LOCAL:
        # A list that was not read may hold a more specific CIDR. Than the local route it may not: what is more specific
        # must be a whole subnet's CIDR, written out: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
        return RouteVerdict(Answer.UNKNOWN, table.id, route, _kind(route), unread)
    return RouteVerdict(_answer(route, address), table.id, route, _kind(route), _beyond(route))


def internet_routes(table: RouteTable, six: bool) -> list[VpcRoute]:
    """The routes of one family by which packets leave for addresses of the internet. Of a prefix list it is not known
    what it holds, but an endpoint reached by one is taken for a gateway endpoint (Amazon S3, DynamoDB)."""
    return [
        route
        for route in table.routes
        if _kind(route) is not RouteKind.LOCAL
        and (
            not route.target.startswith("vpce-")
            if route.prefix_list
            else (":" in route.destination) == six and _is_of_internet(route.destination)
        )
    ]


def is_public(table: RouteTable, six: bool) -> bool:
    """Whether clients on the internet may get replies by this table: a route leads to an internet gateway, or to
    something whose own way there is not known. A NAT gateway and an egress-only internet gateway take no connection
    in (https://docs.aws.amazon.com/vpc/latest/userguide/egress-only-internet-gateway.html)."""
    usable = (r for r in internet_routes(table, six) if r.state != "blackhole")
    return any(not r.target.startswith(("nat-", "eigw-")) for r in usable)


_INSIDE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10")
"""Blocks that are not routed on the internet (RFC 1918, 6598, 3927, 4193 and 4291)."""


def _is_of_internet(cidr: str) -> bool:
    first = str(network_of(cidr)[0])
    return prefix_length(cidr) == 0 or not any(contains(block, first) for block in _INSIDE)


def _match(route: VpcRoute, address: str, prefix_lists: Mapping[str, PrefixList]) -> int | None:
    """The length of the longest of the route's prefixes that holds the address."""
    if route.prefix_list:
        found = prefix_lists.get(route.prefix_list)
        cidrs = found.cidrs if found else ()
    else:
        cidrs = (route.destination,) if route.destination else ()
    return max((prefix_length(cidr) for cidr in cidrs if contains(cidr, address)), default=None)


def _rank(route: VpcRoute) -> int:
    """Among routes of the same length: local, static, prefix list, propagated."""
    if _kind(route) is RouteKind.LOCAL:
        return 3
    return 0 if route.propagated else 1 if route.prefix_list else 2


def _kind(route: VpcRoute | None) -> RouteKind:
    if route is None:
        return RouteKind.NONE
    return _KINDS.get(route.target.split("-", 1)[0], RouteKind.OTHER)


def _answer(route: VpcRoute | None, address: str) -> Answer:
    kind = _kind(route)
    if route is None or route.state == "blackhole":
        return Answer.DENIED
    if kind in (RouteKind.LOCAL, RouteKind.PEERING):
        return Answer.ALLOWED
    if kind is RouteKind.INTERNET:
        # Private addresses are not routed on the internet.
        return Answer.ALLOWED if is_global(address) else Answer.DENIED
    return Answer.UNKNOWN


def _beyond(route: VpcRoute | None) -> tuple[str, ...]:
    if route is None or route.state == "blackhole":
        return ()
    known = (RouteKind.LOCAL, RouteKind.PEERING, RouteKind.INTERNET)
    return () if _kind(route) in known else (f"the routing of {route.target}",)
