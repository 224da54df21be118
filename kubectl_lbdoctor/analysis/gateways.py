"""How Gateways, listeners, routes and their backends belong together. Pure.

The rules are those of https://gateway-api.sigs.k8s.io/reference/spec/ and of the controller's
pkg/gateway/routeutils (https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/main/pkg/gateway/routeutils).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum

from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.gateway_api import (
    AllowedRoutes,
    BackendReference,
    Gateway,
    GatewayClass,
    GatewayListener,
    ListenerSet,
    ParentReference,
    ReferenceGrant,
    Route,
    RouteRule,
)
from kubectl_lbdoctor.model.index import grouped
from kubectl_lbdoctor.model.k8s import condition
from kubectl_lbdoctor.model.selectors import LabelSelector
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.record import record

ALB_CONTROLLER = "gateway.k8s.aws/alb"
NLB_CONTROLLER = "gateway.k8s.aws/nlb"
AUTO_MODE_CONTROLLERS = ("eks.amazonaws.com/gateway-alb", "eks.amazonaws.com/gateway-nlb")
OUR_CONTROLLERS = (ALB_CONTROLLER, NLB_CONTROLLER, *AUTO_MODE_CONTROLLERS)
"""Who makes load balancers of Gateways in AWS, as a class names them."""

_BY_PROTOCOL: Mapping[str, tuple[str, ...]] = {
    "HTTP": ("HTTPRoute",),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute", "TCPRoute"),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
"""Which routes a listener takes that names no kinds (DefaultProtocolToRouteKindMap in routeutils/constants.go): gRPC
needs TLS."""


def route_kinds(listener: GatewayListener) -> tuple[str, ...]:
    """The kinds of routes that may attach to a listener; () for a protocol that is not known."""
    return listener.allowed.kinds or _BY_PROTOCOL.get(listener.protocol, ())


@derived
def gateways_by_name(snapshot: Snapshot) -> Mapping[tuple[str, str], Gateway]:
    """The Gateways by (namespace, name); raises `Unknown` where they could not be read."""
    return {(g.meta.namespace, g.meta.name): g for g in snapshot.gateway_api.gateways.need()}


@derived
def routes_by_name(snapshot: Snapshot) -> Mapping[ObjectRef, Route]:
    """The routes of all kinds by reference; raises `Unknown` where they could not be read."""
    return {route.ref: route for route in snapshot.gateway_api.routes.need()}


def gateway_of(snapshot: Snapshot, namespace: str, name: str) -> Fact[Gateway | None]:
    """The Gateway of this name; None where it does not exist."""
    return snapshot.gateway_api.gateways.chosen(name, lambda: gateways_by_name(snapshot).get((namespace, name)))


def balancer_arn(gateway: Gateway) -> str:
    """The ARN of a Gateway's load balancer, which the controller puts into the condition Programmed; "" before that."""
    programmed = condition(gateway.conditions, "Programmed")
    return programmed.message if programmed is not None and programmed.status == "True" else ""


def route_of(snapshot: Snapshot, ref: ObjectRef) -> Fact[Route | None]:
    """The route that a reference names; None where it does not exist."""
    return snapshot.gateway_api.routes.chosen(ref.name, lambda: routes_by_name(snapshot).get(ref))


def class_of(snapshot: Snapshot, gateway: Gateway) -> Fact[GatewayClass | None]:
    """The GatewayClass that a Gateway names; None where it does not exist."""
    classes = snapshot.gateway_api.classes
    return classes.chosen(
        gateway.class_name, lambda: next((c for c in classes.need() if c.meta.name == gateway.class_name), None)
    )


def fitting_classes(snapshot: Snapshot, gateway: Gateway) -> tuple[str, ...]:
    """Names of the GatewayClasses of our controllers whose load balancers serve the protocols of the Gateway's
    listeners, as far as classes could be read.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/gateway/
    """
    application = any(listener.protocol in ("HTTP", "HTTPS") for listener in gateway.listeners)
    serving = (ALB_CONTROLLER, AUTO_MODE_CONTROLLERS[0]) if application else (NLB_CONTROLLER, AUTO_MODE_CONTROLLERS[1])
    return tuple(c.meta.name for c in snapshot.gateway_api.classes.peek() or () if c.controller in serving)


def is_foreign(snapshot: Snapshot, gateway: Gateway) -> bool:
    """Whether another controller is known to make something of a Gateway; its class says whose it is."""
    found = class_of(snapshot, gateway).peek()
    return found is not None and found.controller not in OUR_CONTROLLERS


@record
class Section:
    """One listener, and the object that it stands in: the Gateway or a ListenerSet."""

    owner: ObjectRef
    listener: GatewayListener


@derived
def gateways_by_listener_set(snapshot: Snapshot) -> Mapping[ObjectRef, Gateway]:
    """The Gateway of each ListenerSet that names an existing one as its parent and may add listeners to it; none where
    they could not be read."""
    found = {}
    for entry in snapshot.gateway_api.listener_sets.peek() or ():
        home = entry.parent.namespace or entry.meta.namespace
        gateway = gateway_of(snapshot, home, entry.parent.name).peek() if entry.parent.kind == "Gateway" else None
        if gateway is not None and allows(snapshot, gateway.allowed_sets, home, entry.meta.namespace) is not False:
            found[entry.ref] = gateway
    return found


@derived
def _listener_sets_by_gateway(snapshot: Snapshot) -> Mapping[ObjectRef, tuple[ListenerSet, ...]]:
    parents = gateways_by_listener_set(snapshot)
    listed = snapshot.gateway_api.listener_sets.peek() or ()
    return grouped(listed, lambda entry: [parents[entry.ref].ref] if entry.ref in parents else [])


def listener_owners(snapshot: Snapshot, gateway: Gateway) -> tuple[Gateway | ListenerSet, ...]:
    """Whose listeners a Gateway has: its own, and those of the ListenerSets that may add some; of these none where they
    could not be read."""
    return (gateway, *_listener_sets_by_gateway(snapshot).get(gateway.ref, ()))


def sections(snapshot: Snapshot, gateway: Gateway) -> Iterator[Section]:
    """All listeners of a Gateway, with those of its ListenerSets."""
    for owner in listener_owners(snapshot, gateway):
        for listener in owner.listeners:
            yield Section(owner.ref, listener)


def parent_ref(route: Route, parent: ParentReference) -> ObjectRef:
    """The object that a parentRef names."""
    return ObjectRef(parent.kind, parent.namespace or route.meta.namespace, parent.name)


def _gateway_at(snapshot: Snapshot, route: Route, parent: ParentReference) -> Gateway | None:
    """The Gateway that a parentRef leads to, by itself or by one of its ListenerSets."""
    ref = parent_ref(route, parent)
    if ref.kind == "Gateway":
        return gateway_of(snapshot, ref.namespace, ref.name).peek()
    return gateways_by_listener_set(snapshot).get(ref)


@derived
def _routes_by_gateway(snapshot: Snapshot) -> Mapping[ObjectRef, tuple[Route, ...]]:
    routes = snapshot.gateway_api.routes.need()
    return grouped(routes, lambda route: [gateway.ref for gateway in gateways_of_route(snapshot, route)])


@derived
def routes_of(snapshot: Snapshot, namespace: str, name: str) -> Fact[tuple[Route, ...]]:
    """The routes that name a Gateway, or a ListenerSet of it, as a parent, whether it takes them or not."""
    gateway = gateway_of(snapshot, namespace, name).peek()
    routes = snapshot.gateway_api.routes
    if gateway is None or not routes.is_known:
        return routes
    found = _routes_by_gateway(snapshot).get(gateway.ref, ())
    known = routes.map(lambda _: found)
    if known.left_out and all(section.listener.allowed.namespaces == "Same" for section in sections(snapshot, gateway)):
        # No route of another namespace can be attached, so that it does not matter which there are.
        return replace(known, left_out=tuple(item for item in known.left_out if item))
    return known


def gateways_of_route(snapshot: Snapshot, route: Route) -> tuple[Gateway, ...]:
    """The existing Gateways that a route names as its parents, itself or by a ListenerSet, each once."""
    found = (_gateway_at(snapshot, route, parent) for parent in route.parents)
    return tuple({gateway.ref: gateway for gateway in found if gateway is not None}.values())


def routes_of_subject(snapshot: Snapshot, subject: ObjectRef) -> tuple[Route, ...]:
    """The routes that a subject, a Gateway or a route, is about; () where they could not be read."""
    if subject.kind == kinds.GATEWAY.name:
        return routes_of(snapshot, subject.namespace, subject.name).peek() or ()
    route = route_of(snapshot, subject).peek()
    return (route,) if route is not None else ()


def allows(snapshot: Snapshot, allowed: AllowedRoutes, home: str, other: str) -> bool | None:
    """Whether what stands in namespace `home` lets objects of namespace `other` attach; None where that needs labels
    that could not be read."""
    if allowed.namespaces == "All":
        return True
    if allowed.namespaces == "Same":
        return home == other
    if allowed.namespaces != "Selector":
        return False
    namespace = snapshot.facts_of(other).namespace.peek()
    if namespace is None:
        return None
    return LabelSelector.of(allowed.selector).selects(namespace.meta.labels) if allowed.selector else False


def hosts_in_common(one: str, other: str) -> str | None:
    """The more specific of two host names that have requests in common ("" is every host); None where they have none.

    A wildcard stands for one or more labels (Gateway API, Hostname).
    """
    first, second = one.lower(), other.lower()
    if not first or not second or first == second:
        return one or other
    if first.startswith("*.") and second.endswith(first[1:]):
        return other
    if second.startswith("*.") and first.endswith(second[1:]):
        return one
    return None


class Refusal(Enum):
    """Why a listener does not take a route; the values are the reasons that the controller gives."""

    NAMESPACE = "NotAllowedByListeners"
    KIND = "NotAllowedByListeners (kind)"
    HOSTNAME = "NoMatchingListenerHostname"
    NO_SECTION = "NoMatchingParent"


@record
class Attachment:
    """What becomes of one parentRef of a route at a Gateway: the listeners that take it, and why others do not."""

    parent: ParentReference
    taken: tuple[Section, ...] = ()
    refused: tuple[tuple[Section, Refusal], ...] = ()
    undecided: bool = False

    @property
    def refusal(self) -> Refusal | None:
        """Why no listener takes it; None where one does, or may."""
        if self.taken or self.undecided:
            return None
        return self.refused[0][1] if self.refused else Refusal.NO_SECTION


def attachments(snapshot: Snapshot, route: Route, gateway: Gateway) -> tuple[Attachment, ...]:
    """What becomes of each parentRef of a route that leads to this Gateway, by the specification's rules."""
    return tuple(
        _attachment(snapshot, route, parent, gateway)
        for parent in route.parents
        if _gateway_at(snapshot, route, parent) == gateway
    )


def _attachment(snapshot: Snapshot, route: Route, parent: ParentReference, gateway: Gateway) -> Attachment:
    owner = parent_ref(route, parent)
    taken, refused, undecided = [], [], False
    for section in sections(snapshot, gateway):
        listener = section.listener
        if section.owner != owner or (parent.section and listener.name != parent.section):
            continue
        if parent.port and parent.port != listener.port:
            continue
        allowed = allows(snapshot, listener.allowed, section.owner.namespace, route.meta.namespace)
        if allowed is None:
            undecided = True
        elif not allowed:
            refused.append((section, Refusal.NAMESPACE))
        elif route.kind not in route_kinds(listener):
            refused.append((section, Refusal.KIND))
        elif not _hosts_meet(route, listener):
            refused.append((section, Refusal.HOSTNAME))
        else:
            taken.append(section)
    return Attachment(parent, tuple(taken), tuple(refused), undecided)


def _hosts_meet(route: Route, listener: GatewayListener) -> bool:
    if route.kind in ("TCPRoute", "UDPRoute") or not route.hostnames:
        return True
    return any(hosts_in_common(host, listener.hostname) is not None for host in route.hostnames)


@derived
def _grants_by_namespace(snapshot: Snapshot) -> Mapping[str, tuple[ReferenceGrant, ...]]:
    return grouped(snapshot.gateway_api.grants.need(), lambda grant: (grant.meta.namespace,))


def grants_of(snapshot: Snapshot, namespace: str) -> tuple[ReferenceGrant, ...]:
    """The ReferenceGrants of a namespace. Raises `Unknown` where they could not be read."""
    return _grants_by_namespace(snapshot).get(namespace, ())


def granted(snapshot: Snapshot, route: Route, backend: BackendReference) -> bool | None:
    """Whether a route may refer to a backend: in its own namespace always, else by a ReferenceGrant there; None where
    grants could not be read."""
    home = backend.namespace or route.meta.namespace
    if home == route.meta.namespace:
        return True
    grants = snapshot.gateway_api.grants
    if not grants.is_known:
        return None
    for grant in grants_of(snapshot, home):
        from_here = any((s.kind, s.namespace) == (route.kind, route.meta.namespace) for s in grant.sources)
        to_there = any(t.kind == backend.kind and t.name in ("", backend.name) for t in grant.targets)
        if from_here and to_there:
            return True
    return None if grants.left_out else False


def backends(route: Route) -> Iterator[tuple[RouteRule, BackendReference]]:
    """Every backend of a route, with the rule that it stands in."""
    for rule in route.rules:
        for backend in rule.backends:
            yield rule, backend


def requests_of(route: Route, rule: RouteRule) -> tuple[str, ...]:
    """The requests that a rule is for, as an Ingress path is written ("*/api", "shop.example.com/")."""
    hosts = route.hostnames or ("*",)
    words = tuple(match.words for match in rule.matches)
    matches = words or (("/",) if route.kind in ("HTTPRoute", "GRPCRoute") else ("",))
    return tuple(
        f"{host}{match}" if not match or match.startswith("/") else f"{host} {match}"
        for host in hosts
        for match in matches
    )
