"""Slim records of Gateway API objects, and of the controller's own settings for them.

Fields keep the names and the meaning of https://gateway-api.sigs.k8s.io/reference/spec/; what a field defaults to when
it is absent is filled in here, so that nobody else has to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from kubectl_lbdoctor.model.k8s import Condition, Meta
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.record import record

GROUP = "gateway.networking.k8s.io"
SETTINGS_GROUP = "gateway.k8s.aws"


@record
class Reference:
    """A reference to an object, as it is written. namespace: "" where the field is absent."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    group: str = ""


@record
class GatewayClass:
    """controller: who reconciles its Gateways ("gateway.k8s.aws/alb"). parameters: the LoadBalancerConfiguration that
    holds for all of them."""

    meta: Meta
    controller: str = ""
    parameters: Reference | None = None
    conditions: tuple[Condition, ...] = ()


@record
class AllowedRoutes:
    """Which routes a listener lets attach. namespaces: "Same", "All", "Selector" or "None"; selector: a LabelSelector
    as read. kinds: () where the listener's protocol decides."""

    namespaces: str = "Same"
    selector: Mapping[str, object] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()


@record
class GatewayListener:
    """hostname: "" matches every host."""

    name: str
    port: int = 0
    protocol: str = ""
    hostname: str = ""
    allowed: AllowedRoutes = field(default_factory=AllowedRoutes)


@record
class ListenerStatus:
    """What the controller says of a listener."""

    name: str
    conditions: tuple[Condition, ...] = ()


@record
class Gateway:
    """parameters: the LoadBalancerConfiguration of this Gateway, in its own namespace. has_infrastructure: whether the
    field is there that names it. allowed_sets: from which namespaces ListenerSets may add listeners ("None" where it
    does not say). addresses: what its status publishes. changed: when somebody last wrote it, its status aside (RFC
    3339, "" where nothing says so)."""

    meta: Meta
    class_name: str = ""
    listeners: tuple[GatewayListener, ...] = ()
    parameters: Reference | None = None
    allowed_sets: AllowedRoutes = field(default_factory=lambda: AllowedRoutes("None"))
    addresses: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    listener_status: tuple[ListenerStatus, ...] = ()
    changed: str = ""
    has_infrastructure: bool = False

    @property
    def ref(self) -> ObjectRef:
        """The Gateway by kind, namespace and name."""
        return ObjectRef("Gateway", self.meta.namespace, self.meta.name)


@record
class ListenerSet:
    """More listeners for a Gateway, `parent`."""

    meta: Meta
    parent: Reference = field(default_factory=Reference)
    listeners: tuple[GatewayListener, ...] = ()
    listener_status: tuple[ListenerStatus, ...] = ()

    @property
    def ref(self) -> ObjectRef:
        """The ListenerSet by kind, namespace and name."""
        return ObjectRef("ListenerSet", self.meta.namespace, self.meta.name)


@record
class ParentReference:
    """What a route wants to be attached to: a Gateway (or a ListenerSet), all its listeners or one of them, by
    `section` (a listener's name) or `port` (0 for any). namespace: "" for the route's own."""

    name: str
    namespace: str = ""
    kind: str = "Gateway"
    group: str = GROUP
    section: str = ""
    port: int = 0


@record
class ParentStatus:
    """What one controller says of a route at one parent."""

    parent: ParentReference
    controller: str = ""
    conditions: tuple[Condition, ...] = ()


@record
class BackendReference:
    """Where a rule sends requests. kind: "Service", or the controller's "TargetGroupName" and "Gateway". namespace: ""
    for the route's own. weight: its share among the backends of the rule."""

    name: str
    namespace: str = ""
    kind: str = "Service"
    group: str = ""
    port: int = 0
    weight: int = 1


@record
class MatchCondition:
    """One header or query parameter that a request must have. kind: "Exact" or "RegularExpression"; value: a digest of
    it. Names of headers are in lower case, because their case does not matter."""

    name: str
    value: str = ""
    kind: str = "Exact"


@record
class RouteMatch:
    """What a request must be to be taken by a rule, all of it.

    path_kind: "PathPrefix", "Exact" or "RegularExpression". method: of HTTP, "" for any; of gRPC "service/method",
    where either may be empty.
    """

    path: str = "/"
    path_kind: str = "PathPrefix"
    method: str = ""
    headers: tuple[MatchCondition, ...] = ()
    parameters: tuple[MatchCondition, ...] = ()

    @property
    def words(self) -> str:
        """The match as a person writes it ("/api", "GET /api (exact) header x-canary")."""
        kind = {"PathPrefix": "", "Exact": " (exact)"}.get(self.path_kind, " (regular expression)")
        said = [self.method, f"{self.path}{kind}" if self.path else ""]
        said += [f"header {entry.name}" for entry in self.headers]
        said += [f"parameter {entry.name}" for entry in self.parameters]
        return " ".join(word for word in said if word)


@record
class RouteRule:
    """One rule. matches: () for every request. extensions: the objects that its filters of type ExtensionRef name, in
    the route's namespace. filters: the types of all of its filters, in their order."""

    matches: tuple[RouteMatch, ...] = ()
    backends: tuple[BackendReference, ...] = ()
    extensions: tuple[Reference, ...] = ()
    filters: tuple[str, ...] = ()


@record
class Route:
    """An HTTPRoute, GRPCRoute, TLSRoute, TCPRoute or UDPRoute. hostnames: () for every host of its listeners."""

    kind: str
    meta: Meta
    parents: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    status: tuple[ParentStatus, ...] = ()

    @property
    def ref(self) -> ObjectRef:
        """The route by kind, namespace and name."""
        return ObjectRef(self.kind, self.meta.namespace, self.meta.name)


@record
class ReferenceGrant:
    """Which objects of other namespaces (`sources`: kind and namespace) may refer to which objects of this one
    (`targets`: kind and name, "" for every one of the kind)."""

    meta: Meta
    sources: tuple[Reference, ...] = ()
    targets: tuple[Reference, ...] = ()


@record
class GatewaySettings:
    """A LoadBalancerConfiguration, a TargetGroupConfiguration or a ListenerRuleConfiguration (gateway.k8s.aws). spec:
    as read; of the last one only the types of its actions. accepted, message: what the controller says of that, None
    and "" where nothing.

    Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/spec/
    """

    kind: str
    meta: Meta
    spec: Mapping[str, object] = field(default_factory=dict)
    accepted: bool | None = None
    message: str = ""

    @property
    def ref(self) -> ObjectRef:
        """The object by kind, namespace and name."""
        return ObjectRef(self.kind, self.meta.namespace, self.meta.name)
