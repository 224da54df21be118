"""LBD148: rules of routes that never get a request."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.frontends import Frontend, paths_of
from kubectl_lbdoctor.analysis.frontends.gateway import GatewayApiFrontend
from kubectl_lbdoctor.analysis.gateway_settings import READS
from kubectl_lbdoctor.analysis.gateways import routes_of_subject
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.route_precedence import Claim, Taken, routes_after_the_first, rules_without_requests
from kubectl_lbdoctor.analysis.running_version import controller_version
from kubectl_lbdoctor.checks.gateways import of_gateway_api
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.knowledge.releases import parse_version
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.gateway_api import Route
from kubectl_lbdoctor.model.kinds import resource_name

_ONE_ROUTE_SINCE = (3, 4, 0)
"""The release since which a TCP, UDP or TLS listener serves one route; earlier ones share it among all.
https://github.com/kubernetes-sigs/aws-load-balancer-controller/pull/4745"""


@check(
    "LBD148",
    title="a rule of a route never gets a request",
    passes="every rule of the routes gets requests",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{what:route={kind} {name} never gets a request|rule={rules:=rule|rules} {rules} of {kind} {name} never "
    "{rules:=gets|get} a request}: {taker} takes {requests} first",
    reads=(*READS, reads.CONTROLLER),
    distinct_by=("kind", "name"),
)
def rule_without_requests(frontend: Frontend) -> Iterator[Finding]:
    """Another route, or an earlier rule of the same one, takes every request that a rule asks for, at all ports where
    it is attached. The rule with the more specific host name comes first, then the one with the more specific path and
    more conditions, then the older route; a route without host names counts as specific as every other, so that an
    older one of the same path comes before those with a host name. HTTPRoutes come before GRPCRoutes. Since release 3.4
    a TCP, UDP or TLS listener serves the oldest of its routes alone. Nothing says so: such a route is accepted, and its
    targets are healthy.

    Source: https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule, and
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/routeutils/route_rule_precedence.go

    Confirm by hand: `kubectl get httproutes -A -o yaml`: hostnames and matches of both. Repair: a host name, path or
    header that tells them apart, or one rule with both backends and weights.
    """
    found = of_gateway_api(frontend)
    for route in routes_of_subject(frontend.snapshot, found.ref):
        taken = _taken_everywhere(found, route)
        if taken:
            yield _finding(route, taken)
        if (first := _first_of_listener(found, route)) is not None:
            yield _after_the_first(route, first)


def _taken_everywhere(frontend: GatewayApiFrontend, route: Route) -> tuple[Taken, ...]:
    """The rules of a route without requests, at every Gateway of the subject that it is attached to."""
    several = [
        {taken.rule: taken for taken in rules_without_requests(frontend.snapshot, ns, name).get(route.ref, ())}
        for ns, name in ((g.meta.namespace, g.meta.name) for g in frontend.gateways)
    ]
    common = set.intersection(*map(set, several)) if several else set()
    return tuple(several[0][rule] for rule in sorted(common))


def _finding(route: Route, taken: tuple[Taken, ...]) -> Finding:
    whole = len(taken) == len(route.rules)
    by = taken[0].by
    own = by.route.ref == route.ref
    taker = f"its rule {by.rule + 1}" if own else f"{by.route.kind} {by.route.meta.namespace}/{by.route.meta.name}"
    return Finding(
        "LBD148",
        route.ref,
        params={
            **_named(route),
            "what": "route" if whole else "rule",
            "rules": tuple(str(entry.rule + 1) for entry in taken),
            "taker": taker,
            "requests": _request(by),
        },
        severity=None if whole else Severity.WARNING,
        evidence=(
            *(Evidence(f"{route.ref}, rule {entry.rule + 1}", _rule(route, entry.rule)) for entry in taken[:3]),
            Evidence(f"{by.route.ref}, rule {by.rule + 1}", f"{_request(by)}; made {by.route.meta.created}"),
            Evidence(str(route.ref), f"made {route.meta.created}"),
        ),
        confirm=(kubectl("get", resource_name(route.ref), "-o", "yaml", namespace=route.meta.namespace),),
        by_hand=(kubectl("edit", resource_name(route.ref), namespace=route.meta.namespace),),
        advice=f"give {taker} host names, too: without any it is asked first, because it is older"
        if route.hostnames and not by.hosts
        else "tell them apart by host name, path or header, or put both backends into one rule with weights",
    )


def _named(route: Route) -> dict[str, str]:
    return {"kind": route.kind, "name": f"{route.meta.namespace}/{route.meta.name}"}


def _request(claim: Claim) -> str:
    return f"{' '.join(claim.hosts) or '*'} {claim.request.words}".strip()


def _rule(route: Route, number: int) -> str:
    hosts = " ".join(route.hostnames) or "*"
    return f"{hosts} {', '.join(match.words for match in route.rules[number].matches) or 'every request'}"


def _first_of_listener(frontend: GatewayApiFrontend, route: Route) -> Route | None:
    """The older route that has the listeners of this one to itself, at every Gateway of the subject."""
    gateways = frontend.gateways
    firsts = [routes_after_the_first(frontend.snapshot, g.meta.namespace, g.meta.name).get(route.ref) for g in gateways]
    if not firsts or any(first is None for first in firsts):
        return None
    frontend.snapshot.cluster.controllers.need()
    version = next((parse_version(controller_version(path)) for path in paths_of(frontend)), None)
    return firsts[0] if version is not None and version >= _ONE_ROUTE_SINCE else None


def _after_the_first(route: Route, first: Route) -> Finding:
    return Finding(
        "LBD148",
        route.ref,
        params={
            **_named(route),
            "what": "route",
            "rules": (),
            "taker": f"{first.kind} {first.meta.namespace}/{first.meta.name}",
            "requests": "every connection of its listener",
        },
        evidence=(
            Evidence(str(first.ref), f"made {first.meta.created}"),
            Evidence(str(route.ref), f"made {route.meta.created}"),
        ),
        confirm=(kubectl("get", resource_name(route.ref), "-o", "yaml", namespace=route.meta.namespace),),
        by_hand=(kubectl("edit", resource_name(route.ref), namespace=route.meta.namespace),),
        advice="give it a listener of its own (sectionName), or put both backends into one route with weights",
    )
