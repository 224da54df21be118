"""Which route of a listener takes a request first, and which rules therefore never get one. Pure.

The controller makes a listener rule of each match of a route's rules, in this order: the more specific host name, the
more specific path, the one with more conditions, the older route, the name. HTTPRoutes come before GRPCRoutes. Host
names are compared one by one, so that a route without any is as specific as every other. Of the routes of a TCP, UDP or
TLS listener the oldest takes everything since release 3.4; before, all of them shared it.

Sources: pkg/gateway/routeutils/route_rule_precedence.go, route_rule_condition.go and pickOneL4Route in
pkg/gateway/model/model_build_listener.go of https://github.com/kubernetes-sigs/aws-load-balancer-controller.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cmp_to_key

from kubectl_lbdoctor.analysis.gateway_conditions import refused_at
from kubectl_lbdoctor.analysis.gateways import Attachment, attachments, gateway_of, hosts_in_common, routes_of
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.gateway_api import Gateway, Route, RouteMatch
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.record import record

_BY_REQUEST = ("HTTPRoute", "GRPCRoute")
_PATH_RANKS = {"Exact": 3, "PathPrefix": 2, "RegularExpression": 1}


@record
class Claim:
    """What one match of one rule of a route asks for at a port of a Gateway. rule, match: counted from 0. hosts: () for
    every host. request: as `RouteMatch`, that of a GRPCRoute as the path of its calls."""

    route: Route
    rule: int
    match: int
    port: int
    hosts: tuple[str, ...]
    request: RouteMatch


@record
class Taken:
    """A rule (counted from 0) that never gets a request at a Gateway, and a claim that takes some before it."""

    rule: int
    by: Claim


@derived
def claims_in_order(snapshot: Snapshot, namespace: str, name: str) -> Mapping[int, tuple[Claim, ...]]:
    """What the HTTPRoutes and GRPCRoutes at each port of a Gateway ask for, in the order in which they are asked.
    Raises `Unknown` where Gateways or routes could not be read."""
    gateway = gateway_of(snapshot, namespace, name).need()
    routes = routes_of(snapshot, namespace, name).need()
    found = _by_port(snapshot, gateway, routes) if gateway is not None else {}
    return {port: tuple(sorted(claims, key=cmp_to_key(_compare))) for port, claims in found.items()}


@derived
def rules_without_requests(snapshot: Snapshot, namespace: str, name: str) -> Mapping[ObjectRef, tuple[Taken, ...]]:
    """The rules of each HTTPRoute and GRPCRoute at a Gateway that never get a request, because others take all of them
    at every port. Raises `Unknown` where Gateways or routes could not be read."""
    taken: dict[tuple[ObjectRef, int], Claim] = {}
    alive: set[tuple[ObjectRef, int]] = set()
    for claims in claims_in_order(snapshot, namespace, name).values():
        for claim, before in _taken_before(claims):
            key = (claim.route.ref, claim.rule)
            if before is None:
                alive.add(key)
            else:
                taken.setdefault(key, before)
    found: dict[ObjectRef, list[Taken]] = defaultdict(list)
    for (ref, rule), before in sorted(taken.items(), key=lambda item: item[0]):
        if (ref, rule) not in alive:
            found[ref].append(Taken(rule, before))
    return {ref: tuple(several) for ref, several in found.items()}


@derived
def routes_after_the_first(snapshot: Snapshot, namespace: str, name: str) -> Mapping[ObjectRef, Route]:
    """The TCP, UDP and TLS routes at a Gateway that are not the oldest one at any of its ports, each with the one that
    is. Raises `Unknown` like `rules_without_requests`."""
    gateway = gateway_of(snapshot, namespace, name).need()
    routes = routes_of(snapshot, namespace, name).need()
    if gateway is None:
        return {}
    at_port: dict[int, list[Route]] = defaultdict(list)
    for route in routes:
        if route.kind not in _BY_REQUEST and any(rule.backends for rule in route.rules):
            for port in _hosts_by_port(route, attachments(snapshot, route, gateway)):
                at_port[port].append(route)
    firsts = {port: min(several, key=_age) for port, several in at_port.items()}
    winners = {route.ref for route in firsts.values()}
    return {
        route.ref: firsts[port] for port, several in at_port.items() for route in several if route.ref not in winners
    }


def _age(route: Route) -> tuple[str, str]:
    return route.meta.created, route.meta.key


def _by_port(snapshot: Snapshot, gateway: Gateway, routes: Iterable[Route]) -> Mapping[int, list[Claim]]:
    found: dict[int, list[Claim]] = defaultdict(list)
    for route in routes:
        if route.kind not in _BY_REQUEST:
            continue
        for port, hosts in _hosts_by_port(route, attachments(snapshot, route, gateway)).items():
            for number, rule in enumerate(route.rules):
                for index, match in enumerate(rule.matches or (RouteMatch(),)):
                    found[port].append(Claim(route, number, index, port, hosts, _as_path(route, match)))
    return found


def _hosts_by_port(route: Route, attached: Iterable[Attachment]) -> dict[int, tuple[str, ...]]:
    """The host names that a route's rules get at each port: what it has in common with the listeners there."""
    common: dict[int, dict[str, None]] = {}
    for attachment in attached:
        for section in attachment.taken if refused_at(route, attachment.parent) is None else ():
            hosts = common.setdefault(section.listener.port, {})
            for host in route.hostnames or ("",):
                shared = hosts_in_common(host, section.listener.hostname)
                if shared:
                    hosts[shared] = None
    return {port: tuple(hosts) or route.hostnames for port, hosts in common.items()}


def _as_path(route: Route, match: RouteMatch) -> RouteMatch:
    """A match with the path that is asked for: gRPC calls "/service/method"."""
    if route.kind != "GRPCRoute" or not match.method:
        return match
    service, _, method = match.method.partition("/")
    if match.path_kind == "RegularExpression":
        path, kind = f"/{service or '.*'}/{method or '.*'}", match.path_kind
    elif service and not method:
        path, kind = f"/{service}", "PathPrefix"
    else:
        path, kind = f"/{service or '*'}/{method or '*'}", "Exact"
    return RouteMatch(path, kind, headers=match.headers)


# --- Order ------------------------------------------------------------------------------------------------------------


def _taken_before(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim | None]]:
    """The claims of one port in their order, each with an earlier one that takes all of its requests, or None."""
    earlier: dict[tuple[str, str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        yield claim, next((other for other in _candidates(claim, earlier) if _takes_all(other, claim)), None)
        kind, path = claim.request.path_kind, _plain_path(claim.request)
        for host in claim.hosts or ("",):
            earlier[(host.lower(), kind, path)].append(claim)


def _compare(one: Claim, other: Claim) -> int:
    if one.route.kind != other.route.kind:
        return -1 if one.route.kind == "HTTPRoute" else 1
    by_host = _compare_hosts(one.hosts, other.hosts)
    if by_host:
        return by_host
    first, second = _rank(one), _rank(other)
    return (first > second) - (first < second)


def _compare_hosts(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """By the most specific host of each list, then the next; a longer list wins nothing."""
    for first, second in zip(sorted(map(_host_rank, one)), sorted(map(_host_rank, other)), strict=False):
        if first != second:
            return -1 if first < second else 1
    return 0


def _host_rank(host: str) -> tuple[bool, int, int]:
    return host.startswith("*."), -host.count("."), -len(host)


def _rank(claim: Claim) -> tuple[object, ...]:
    """What decides between claims of equally specific hosts, the smallest first."""
    request = claim.request
    return (
        -_PATH_RANKS.get(request.path_kind, 0),
        -len(request.path),
        not request.method,
        -len(request.headers),
        -len(request.parameters),
        *_age(claim.route),
        claim.rule,
        claim.match,
    )


# --- What covers what -------------------------------------------------------------------------------------------------


def _candidates(claim: Claim, earlier: Mapping[tuple[str, str, str], list[Claim]]) -> Iterator[Claim]:
    """Earlier claims that are about a host and a path which may hold those of a claim."""
    for host in _wider_hosts(claim.hosts[0].lower() if claim.hosts else ""):
        for kind, path in _wider_paths(claim.request):
            yield from earlier.get((host, kind, path), ())


def _wider_hosts(host: str) -> Iterator[str]:
    yield ""
    if host:
        yield host
        labels = host.removeprefix("*.").split(".")
        start = 0 if host.startswith("*.") else 1
        yield from (f"*.{'.'.join(labels[cut:])}" for cut in range(start, len(labels)))


def _wider_paths(request: RouteMatch) -> Iterator[tuple[str, str]]:
    own = _plain_path(request)
    yield request.path_kind, own
    if request.path_kind == "RegularExpression":
        yield "PathPrefix", "/"
        return
    parts = own.strip("/").split("/")
    for length in range(len(parts), -1, -1):
        yield "PathPrefix", "/" + "/".join(parts[:length])


def _plain_path(request: RouteMatch) -> str:
    """The path without the slash at its end, which means nothing in a prefix."""
    return request.path.rstrip("/") or "/" if request.path_kind == "PathPrefix" else request.path


def _takes_all(earlier: Claim, claim: Claim) -> bool:
    """Whether every request of a claim is one of an earlier claim. The candidates fit by their paths already.

    A rule with an extension may have conditions that are not seen here (source addresses).
    """
    if earlier.route.rules[earlier.rule].extensions or not _hosts_hold(earlier.hosts, claim.hosts):
        return False
    if _compare(earlier, claim) >= 0:
        return False  # Host names make no whole order: what stands before in a list need not be asked before.
    one, other = earlier.request, claim.request
    return (
        one.method in ("", other.method)
        and set(one.headers) <= set(other.headers)
        and set(one.parameters) <= set(other.parameters)
    )


def _hosts_hold(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    if not wide:
        return True
    return bool(narrow) and all(any(host in map(str.lower, wide) for host in _wider_hosts(n.lower())) for n in narrow)
