"""LBD151 to LBD154: what a Gateway or a route leaves open, or says to nobody, and nobody complains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import Frontend
from kubectl_lbdoctor.analysis.gateway_conditions import SETTLING_SECONDS
from kubectl_lbdoctor.analysis.gateway_settings import READS
from kubectl_lbdoctor.analysis.gateways import (
    allows,
    attachments,
    gateway_of,
    listener_owners,
    parent_ref,
    requests_of,
    routes_of,
    routes_of_subject,
)
from kubectl_lbdoctor.analysis.ingress_backends import spoken
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.rule_actions import configurations_named
from kubectl_lbdoctor.checks.gateways import of_gateway_api
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.gateway_api import Gateway, GatewayListener, GatewaySettings, ListenerSet, Route, RouteRule
from kubectl_lbdoctor.model.kinds import resource_name
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import seconds_between


@check(
    "LBD151",
    title="a Gateway does not admit a ListenerSet",
    passes="the Gateway admits the ListenerSets that name it",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="Gateway {gateway} admits {allowed}, so the listeners of ListenerSet {set} do not exist",
    reads=READS,
    explains=("LBD150",),
    distinct_by=("set",),
)
def listener_set_not_admitted(frontend: Frontend) -> Iterator[Finding]:
    """A ListenerSet names a Gateway as its parent, and the Gateway does not let it add listeners: without
    `spec.allowedListeners` it admits none. Nothing is made of its listeners, and routes that name the ListenerSet are
    attached to nothing.

    Source: https://gateway-api.sigs.k8s.io/geps/gep-1713/

    Confirm by hand: `kubectl get listenerset NAME -o yaml` (condition Accepted). Repair: let the Gateway admit
    ListenerSets of this namespace, or move the listeners into the Gateway.
    """
    found = of_gateway_api(frontend)
    snapshot = frontend.snapshot
    named = {
        (parent.namespace or route.meta.namespace, parent.name)
        for route in routes_of_subject(snapshot, frontend.ref)
        for parent in route.parents
        if parent.kind == "ListenerSet"
    }
    for entry in snapshot.gateway_api.listener_sets.need():
        home = entry.parent.namespace or entry.meta.namespace
        gateway = gateway_of(snapshot, home, entry.parent.name).need() if entry.parent.kind == "Gateway" else None
        if gateway is None:
            continue
        mine = any(gateway.ref == own.ref for own in found.gateways) or (entry.meta.namespace, entry.meta.name) in named
        if mine and allows(snapshot, gateway.allowed_sets, home, entry.meta.namespace) is False:
            yield _not_admitted(gateway, entry)


def _not_admitted(gateway: Gateway, entry: ListenerSet) -> Finding:
    allowed = gateway.allowed_sets.namespaces
    words = {"Same": "ListenerSets of its own namespace", "Selector": "ListenerSets of namespaces with other labels"}
    wanted = "Same" if entry.meta.namespace == gateway.meta.namespace else "All"
    patch = f'{{"spec": {{"allowedListeners": {{"namespaces": {{"from": "{wanted}"}}}}}}}}'
    return Finding(
        "LBD151",
        gateway.ref,
        params={
            "gateway": f"{gateway.meta.namespace}/{gateway.meta.name}",
            "set": f"{entry.meta.namespace}/{entry.meta.name}",
            "allowed": words.get(allowed, "no ListenerSet"),
        },
        evidence=(
            Evidence(str(gateway.ref), f"allowedListeners.namespaces.from: {allowed}"),
            Evidence(str(entry.ref), f"parentRef {gateway.meta.name}, listeners {_listed(entry)}"),
        ),
        confirm=(kubectl("get", f"listenerset/{entry.meta.name}", "-o", "yaml", namespace=entry.meta.namespace),),
        by_hand=()
        if allowed == "Selector"
        else (
            kubectl(
                *("patch", f"gateway/{gateway.meta.name}", "--type=merge", "-p", patch),
                namespace=gateway.meta.namespace,
            ),
        ),
        advice="give the namespace the labels that the Gateway's selector wants" if allowed == "Selector" else "",
    )


def _listed(entry: ListenerSet) -> str:
    return ", ".join(f"{listener.name} ({listener.port})" for listener in entry.listeners)


@check(
    "LBD152",
    title="a rule of a route leads nowhere",
    passes="every rule of a route has a backend or answers by itself",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{kind} {name} leads {requests:,3} nowhere: rule {rule} {fault:empty=has no backendRefs|"
    "weights=has weight 0 alone}[, and is answered with {status}]",
    reads=READS,
    distinct_by=("name", "rule"),
)
def rule_without_backend(frontend: Frontend) -> Iterator[Finding]:
    """A rule of a route that a listener takes has neither backends nor a filter, which might answer in their place; or
    all of its backends have weight 0, which is a warning where other rules serve. By the specification requests of an
    HTTPRoute are answered with 500, and the load balancer does so itself; those of other routes get no answer, because
    the controller makes no listener then.

    Sources: https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule, and shouldProvisionActions in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/gateway/routeutils/route_rule_action.go

    Confirm by hand: `kubectl get httproute NAME -o yaml`. Repair: give the rule a backendRef, or one of its backendRefs
    a weight; or remove the rule.
    """
    found = of_gateway_api(frontend)
    for route in routes_of_subject(frontend.snapshot, frontend.ref):
        taken = any(a.taken for gateway in found.gateways for a in attachments(frontend.snapshot, route, gateway))
        serving = any(backend.weight for rule in route.rules for backend in rule.backends)
        for number, rule in enumerate(route.rules if taken else (), 1):
            if not rule.backends and not rule.filters and not rule.extensions:
                yield _nowhere(route, number, "empty", "no backendRefs, no filters")
            elif rule.backends and not any(backend.weight for backend in rule.backends) and not _answers(rule):
                named = ", ".join(f"{backend.name}: 0" for backend in rule.backends)
                finding = _nowhere(route, number, "weights", f"weights {named}")
                # Of such target groups none is on a rule, and a listener of which no other rule is left is not made.
                effects = ("LBD209",) if serving or route.kind in _BY_HTTP else ("LBD209", "LBD228")
                yield replace(finding, severity=Severity.WARNING if serving else None, explains=effects)


def _answers(rule: RouteRule) -> bool:
    """Whether something may answer in place of the backends: a redirect, or what a configuration says. Extensions of
    other kinds are passed over (LBD147)."""
    return bool(configurations_named(rule)) or "RequestRedirect" in rule.filters


def _nowhere(route: Route, number: int, fault: str, seen: str) -> Finding:
    resource = f"{route.kind.lower()}/{route.meta.name}"
    return Finding(
        "LBD152",
        route.ref,
        params={
            "kind": route.kind,
            "name": f"{route.meta.namespace}/{route.meta.name}",
            "requests": tuple(spoken(request) or "*" for request in requests_of(route, route.rules[number - 1])),
            "rule": str(number),
            "fault": fault,
            "status": "500" if route.kind in _BY_HTTP else "",
        },
        evidence=(Evidence(str(route.ref), f"spec.rules[{number - 1}]: {seen}"),),
        confirm=(kubectl("get", resource, "-o", "yaml", namespace=route.meta.namespace),),
        by_hand=(kubectl("edit", resource, namespace=route.meta.namespace),),
    )


_BY_HTTP = ("HTTPRoute", "GRPCRoute")
_MOST_STRAY = 3


@check(
    "LBD153",
    title="no route names the Gateway",
    passes="a route names the Gateway",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="no route names Gateway {gateway}, so its load balancer gets no listener and answers nobody",
    reads=READS,
    by_absence=(reads.ROUTES, reads.LISTENER_SETS),
)
def gateway_without_routes(frontend: Frontend) -> Iterator[Finding]:
    """No route has the Gateway, or one of its ListenerSets, in `parentRefs`. The controller makes the load balancer of
    such a Gateway all the same and reports it as Programmed, but a listener only for a port that a route is attached
    to: clients get no connection, and nobody complains.

    Source: `buildListeners` in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/gateway/model/model_build_listener.go

    Confirm by hand: `kubectl describe gateway NAME` (Attached Routes: 0). Repair: name the Gateway in `parentRefs` of
    the route that is meant for it, or delete the Gateway, whose load balancer is paid for.
    """
    found = of_gateway_api(frontend)
    if frontend.ref.kind != kinds.GATEWAY.name:
        raise NotApplicable("a route, which names its Gateways itself")
    snapshot = frontend.snapshot
    for gateway in found.ours:
        if found.reconciler().owner not in ("controller", "auto-mode") or gateway.meta.deleted:
            raise NotApplicable("nobody makes a load balancer of it")
        snapshot.gateway_api.listener_sets.need()
        if routes_of(snapshot, gateway.meta.namespace, gateway.meta.name).need():
            continue
        if seconds_between(gateway.changed or gateway.meta.created, snapshot.taken_at) < SETTLING_SECONDS:
            raise NotApplicable("it was made a moment ago, and its routes may follow")
        yield _without_routes(snapshot, gateway)


def _without_routes(snapshot: Snapshot, gateway: Gateway) -> Finding:
    stray = tuple(_named_in_vain(snapshot))
    return Finding(
        "LBD153",
        gateway.ref,
        params={"gateway": f"{gateway.meta.namespace}/{gateway.meta.name}"},
        evidence=(
            Evidence(
                str(gateway.ref),
                f"listeners {', '.join(f'{entry.name} ({entry.port})' for entry in gateway.listeners) or 'none'}",
            ),
            Evidence(reads.ROUTES, "none has it in spec.parentRefs"),
            *stray[:_MOST_STRAY],
        ),
        confirm=(kubectl("describe", f"gateway/{gateway.meta.name}", namespace=gateway.meta.namespace),),
        advice="name the Gateway in parentRefs of the route that is meant for it, or delete the Gateway: its load "
        "balancer is paid for",
    )


def _named_in_vain(snapshot: Snapshot) -> Iterator[Evidence]:
    """Routes that name a Gateway which does not exist, and may have meant this one."""
    for route in snapshot.gateway_api.routes.need():
        for parent in route.parents:
            ref = parent_ref(route, parent)
            if ref.kind == kinds.GATEWAY.name and gateway_of(snapshot, ref.namespace, ref.name).need() is None:
                named = f"names {ref.namespace}/{ref.name}, which is not there"
                yield Evidence(str(route.ref), f"in namespace {route.meta.namespace}: {named}")


@check(
    "LBD154",
    title="settings of a listener are for another protocol than its own",
    passes="settings of listeners are for the protocols that they have",
    scope=Scope.FRONTEND,
    severity=Severity.WARNING,
    message="LoadBalancerConfiguration {name} has settings for {settings}, but listener {listener} is "
    "{protocol}:{port}",
    reads=READS,
    distinct_by=("name", "settings"),
)
def settings_for_another_protocol(frontend: Frontend) -> Iterator[Finding]:
    """An entry of `listenerConfigurations` counts for the listener whose protocol and port its `protocolPort` names.
    With the port of a listener and another protocol it counts for none, without a word: the listener gets no
    certificate of it, no TLS policy, no attribute. A TCP listener stays one of TCP whatever such an entry asks for.

    Several Gateways may share a configuration: an entry for a port that the Gateway does not have is none of its
    business, nor is one that the listener of another Gateway takes, or that stands beside one for its own listener. The
    configuration of a class is for all of them.

    Sources: mapLoadBalancerListenerConfigsByPort in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/gateway/model/model_build_listener.go,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/4398

    Confirm by hand: `kubectl get loadbalancerconfigurations -o yaml` against the listeners of the Gateway. Repair: the
    protocol of the listener, or of the entry.
    """
    for gateway in of_gateway_api(frontend).ours:
        settings = _own_configuration(frontend.snapshot, gateway)
        if settings is None:
            continue
        entries = {_protocol_and_port(entry): entry for entry in _entries(settings)}
        taken = _taken_from(frontend.snapshot, settings)
        beside: dict[str, list[GatewayListener]] = defaultdict(list)
        for listener in _all_listeners(frontend.snapshot, gateway):
            beside[str(listener.port)].append(listener)
        for (protocol, port), named in entries.items():
            spoken = {listener.protocol.upper() for listener in beside[port]}
            # Two protocols of a port become one.
            if len(spoken) != 1 or protocol not in _PLAIN or (protocol, port) in taken:
                continue
            if not any((other, port) in entries for other in spoken):
                yield _for_another(gateway, settings, named, beside[port][0])


_PLAIN = frozenset({"HTTP", "HTTPS", "TCP", "TLS", "UDP"})


def _own_configuration(snapshot: Snapshot, gateway: Gateway) -> GatewaySettings | None:
    """The LoadBalancerConfiguration that a Gateway itself names; None where there is none."""
    listed = snapshot.gateway_api.balancer_configurations.need() if gateway.parameters is not None else ()
    return next((settings for settings in listed if _names(gateway, settings)), None)


def _names(gateway: Gateway, settings: GatewaySettings) -> bool:
    named = gateway.parameters
    if named is None or named.kind != settings.ref.kind:
        return False
    return (named.namespace or gateway.meta.namespace, named.name) == (settings.meta.namespace, settings.meta.name)


def _entries(settings: GatewaySettings) -> Iterator[str]:
    listed = settings.spec.get("listenerConfigurations")
    for entry in listed if isinstance(listed, (list, tuple)) else ():
        yield str(entry.get("protocolPort") or "") if isinstance(entry, Mapping) else ""


def _protocol_and_port(named: str) -> tuple[str, str]:
    protocol, _, port = named.upper().partition(":")
    return protocol, port


def _taken_from(snapshot: Snapshot, settings: GatewaySettings) -> frozenset[tuple[str, str]]:
    """Protocol and port of all listeners that a configuration is for. One of TLS that passes through becomes one of
    TCP."""
    naming = (gateway for gateway in snapshot.gateway_api.gateways.need() if _names(gateway, settings))
    found = [listener for gateway in naming for listener in _all_listeners(snapshot, gateway)]
    spoken = {(listener.protocol.upper(), str(listener.port)) for listener in found}
    return frozenset(spoken | {("TCP", port) for protocol, port in spoken if protocol == "TLS"})


def _all_listeners(snapshot: Snapshot, gateway: Gateway) -> Iterator[GatewayListener]:
    snapshot.gateway_api.listener_sets.need()
    for owner in listener_owners(snapshot, gateway):
        yield from owner.listeners


def _for_another(gateway: Gateway, settings: GatewaySettings, named: str, listener: GatewayListener) -> Finding:
    return Finding(
        "LBD154",
        settings.ref,
        params={
            "name": settings.meta.name,
            "settings": named,
            "gateway": gateway.meta.name,
            "listener": listener.name,
            "protocol": listener.protocol,
            "port": str(listener.port),
        },
        evidence=(
            Evidence(str(settings.ref), f"listenerConfigurations: protocolPort {named}"),
            Evidence(str(gateway.ref), f"listener {listener.name}: {listener.protocol}:{listener.port}"),
        ),
        confirm=(kubectl("get", resource_name(settings.ref), "-o", "yaml", namespace=settings.meta.namespace),),
        advice=f"make the listener one of {named.partition(':')[0]}, or give the entry protocolPort "
        f"{listener.protocol}:{listener.port}",
    )
