"""Which route of which Gateway answers a request for a host and a path. Pure.

Routes are asked in the order of the controller (`analysis.route_precedence`). A claim that asks for headers, query
parameters or another method than GET is passed over: a site says nothing of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.analysis.route_precedence import Claim, claims_in_order
from kubectl_lbdoctor.analysis.site_rules import annotated_names, matches_host
from kubectl_lbdoctor.model.gateway_api import BackendReference, Gateway, Route
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.record import record


@record
class GatewayAnswer:
    """Who answers a request at a Gateway. route: None where only the Gateway's own name was asked for, or no rule
    matches, so that the load balancer answers with 404. rule: what matched, as a person writes it; "" where nothing
    did. backends: of that rule."""

    gateway: Gateway
    route: Route | None
    rule: str
    backends: tuple[BackendReference, ...] = ()

    @property
    def subject(self) -> ObjectRef:
        """The object to diagnose: the route, or the Gateway where no route is meant."""
        return self.route.ref if self.route is not None else self.gateway.ref


def names_of(gateway: Gateway) -> tuple[str, ...]:
    """The DNS names of a Gateway: of its load balancer, and those that external-dns is asked to make."""
    return (*gateway.addresses, *annotated_names(gateway.meta))


def hosts_of_routes(snapshot: Snapshot) -> tuple[str, ...]:
    """The host names of all routes, each once."""
    return tuple(dict.fromkeys(host for route in snapshot.gateway_api.routes.need() for host in route.hostnames))


def gateway_answers(snapshot: Snapshot, host: str, path: str) -> Iterator[GatewayAnswer]:
    """Who answers for the host, at each Gateway that may. path: "" asks for the host alone; every route that is about
    it then answers. Raises `Unknown` where Gateways or routes could not be read."""
    for gateway in snapshot.gateway_api.gateways.need():
        ports = claims_in_order(snapshot, gateway.meta.namespace, gateway.meta.name)
        claims = [claim for several in ports.values() for claim in several]
        named = [claim for claim in claims if _names(claim, host)]
        published = any(matches_host(name, host.removeprefix("dualstack.")) for name in names_of(gateway))
        if not named and not published:
            continue
        if path:
            yield from _at_path(gateway, ports.values(), host, path)
        elif named:
            routes = {claim.route.ref: claim.route for claim in named}
            yield from (GatewayAnswer(gateway, route, host) for route in routes.values())
        else:
            yield GatewayAnswer(gateway, None, host)


def _at_path(gateway: Gateway, ports: Iterable[Iterable[Claim]], host: str, path: str) -> Iterator[GatewayAnswer]:
    """The answer of each port; one that only redirects gives way to one that leads to targets."""
    found: dict[tuple[ObjectRef, int], GatewayAnswer] = {}
    for claims in ports:
        claim = next((c for c in claims if _is_for(c, host) and _takes(c, path)), None)
        if claim is not None:
            rule = f"{' '.join(claim.hosts) or '*'}{claim.request.words}"
            backends = claim.route.rules[claim.rule].backends
            found.setdefault((claim.route.ref, claim.rule), GatewayAnswer(gateway, claim.route, rule, backends))
    leading = [answer for answer in found.values() if answer.backends]
    yield from leading or found.values() or (GatewayAnswer(gateway, None, ""),)


def claim_of_check(claims: Iterable[Claim], path: str) -> Claim | None:
    """The claim that takes a GET of a path for no host name that a route has; None where none does."""
    return next((claim for claim in claims if not claim.hosts and _takes(claim, path)), None)


def _names(claim: Claim, host: str) -> bool:
    """Whether a claim's route is about this host by name."""
    names = (*claim.hosts, *annotated_names(claim.route.meta))
    return any(matches_host(pattern, host) for pattern in names)


def _is_for(claim: Claim, host: str) -> bool:
    return not claim.hosts or any(matches_host(pattern, host) for pattern in claim.hosts)


def _takes(claim: Claim, path: str) -> bool:
    asked = claim.request
    if asked.headers or asked.parameters or asked.method not in ("", "GET"):
        return False
    if asked.path_kind == "RegularExpression":
        try:
            return re.fullmatch(asked.path, path) is not None
        except re.error:
            return False
    stem = asked.path.rstrip("/")
    return path == asked.path if asked.path_kind == "Exact" else path == stem or path.startswith(f"{stem}/")
