"""Where the settings of a target group that is made for a Gateway are read from. Pure.

A TargetGroupConfiguration names the Service that it is for, in its namespace; what it says for a route wins over its
default, and what it says at all over the one that the Gateway's LoadBalancerConfiguration names. Blocks are taken
whole: a `healthCheckConfig` replaces the other one with all its fields.

Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/tg_config_constructor.go
and pkg/gateway/routeutils/backend.go there (which of several holds).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubectl_lbdoctor.analysis.desired_target_type import DesiredTargetType
from kubectl_lbdoctor.analysis.gateways import backends, class_of, gateway_of, route_of
from kubectl_lbdoctor.analysis.ownership import controller_flags
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.gateway_api import Gateway, GatewaySettings, Reference, Route
from kubectl_lbdoctor.model.index import grouped
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.plan import Edit
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.spec_values import mapping_in, value_in
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

READS = (
    *(reads.GATEWAYS, reads.GATEWAY_CLASSES, reads.ROUTES, reads.LISTENER_SETS, reads.REFERENCE_GRANTS),
    *(reads.LOAD_BALANCER_CONFIGURATIONS, reads.TARGET_GROUP_CONFIGURATIONS),
)
"""What a path of a Gateway rests on; of other paths nothing of it is read."""

FIELDS: Mapping[str, tuple[str, ...]] = {
    "healthcheck-path": ("healthCheckConfig", "healthCheckPath"),
    "healthcheck-port": ("healthCheckConfig", "healthCheckPort"),
    "healthcheck-protocol": ("healthCheckConfig", "healthCheckProtocol"),
    "healthcheck-interval": ("healthCheckConfig", "healthCheckInterval"),
    "healthcheck-timeout": ("healthCheckConfig", "healthCheckTimeout"),
    "healthy-threshold-count": ("healthCheckConfig", "healthyThresholdCount"),
    "unhealthy-threshold-count": ("healthCheckConfig", "unhealthyThresholdCount"),
    "success-codes": ("healthCheckConfig", "matcher", "httpCode"),
    "grpc-codes": ("healthCheckConfig", "matcher", "grpcCode"),
    "backend-protocol": ("protocol",),
    "backend-protocol-version": ("protocolVersion",),
    "target-type": ("targetType",),
}
"""Where a setting stands below `defaultConfiguration` or a route's `targetGroupProps`, by the name of the annotation
that an Ingress has for it."""


@record
class Properties:
    """A block of target group settings: the object that it stands in, and where there."""

    settings: GatewaySettings
    pointer: str
    values: Mapping[str, object]
    guard: Edit | None = None


def configurations_of_service(snapshot: Snapshot, namespace: str, service: str) -> Fact[tuple[GatewaySettings, ...]]:
    """The TargetGroupConfigurations that name a Service, by their names. Of several the controller takes any one."""
    return _configurations_of(snapshot, ObjectRef(kinds.SERVICE.name, namespace, service))


def _configurations_of(snapshot: Snapshot, target: ObjectRef) -> Fact[tuple[GatewaySettings, ...]]:
    """The TargetGroupConfigurations that name a Service or a Gateway, by their names."""
    found = _configurations_by_target(snapshot) if snapshot.gateway_api.group_configurations.is_known else {}
    mine = tuple(sorted(found.get(target, ()), key=lambda settings: settings.meta.name))
    return snapshot.gateway_api.group_configurations.map(lambda _: mine)


@derived
def configuration_of_service(snapshot: Snapshot, namespace: str, service: str) -> Fact[GatewaySettings | None]:
    """The TargetGroupConfiguration that names a Service; of several, that of the first name. None where there is
    none."""

    def first() -> GatewaySettings | None:
        return next(iter(configurations_of_service(snapshot, namespace, service).need()), None)

    return snapshot.gateway_api.group_configurations.chosen(None, first)


def astray_configurations(traffic: TrafficPath) -> Fact[tuple[GatewaySettings, ...]]:
    """The TargetGroupConfigurations of the path's namespace that name a Service which does not exist there."""
    services = traffic.namespace_facts.services

    def astray() -> tuple[GatewaySettings, ...]:
        names = {service.meta.name for service in services.need()}
        listed = traffic.snapshot.gateway_api.group_configurations.need()
        here = (settings for settings in listed if settings.meta.namespace == traffic.namespace)
        return tuple(s for s in here if (named := service_of(s)) and named not in names)

    return services.map(lambda _: astray())


def configurations_beside_the_gateway(traffic: TrafficPath) -> tuple[GatewaySettings, ...]:
    """The TargetGroupConfigurations that name the path's Service, but stand in the namespace of its Gateway, where no
    route leads to a Service of that name. Raises `Unknown` where these or routes could not be read."""
    snapshot, backend = traffic.snapshot, traffic.backend
    if backend is None or backend.at is None:
        return ()
    spaces = {backend.at.namespace} - {traffic.namespace}
    served = {
        (reference.namespace or other.meta.namespace, reference.name)
        for other in snapshot.gateway_api.routes.need()
        for _, reference in backends(other)
    }
    return tuple(
        settings
        for settings in snapshot.gateway_api.group_configurations.need()
        if settings.meta.namespace in spaces
        and service_of(settings) == backend.service
        and (settings.meta.namespace, backend.service) not in served
    )


def target_reference(settings: GatewaySettings) -> str:
    """The name that `targetReference` of a TargetGroupConfiguration says, of whatever kind; "" where it says none."""
    return str(mapping_in(settings.spec, "targetReference").get("name") or "")


def default_name(settings: GatewaySettings) -> str:
    """The TargetGroupConfiguration that a LoadBalancerConfiguration names for all of its target groups; "" for none."""
    return str(mapping_in(settings.spec, "defaultTargetGroupConfiguration").get("name") or "")


def settings_that_it_makes(settings: GatewaySettings) -> frozenset[str]:
    """The first parts of all settings that a TargetGroupConfiguration has ("targetType", "healthCheckConfig")."""
    listed = settings.spec.get("routeConfigurations")
    routes = [entry for entry in (listed if isinstance(listed, (list, tuple)) else ()) if isinstance(entry, Mapping)]
    found = [mapping_in(settings.spec, "defaultConfiguration"), *(mapping_in(e, "targetGroupProps") for e in routes)]
    return frozenset(key for block in found for key in block)


@derived
def _configurations_by_target(snapshot: Snapshot) -> Mapping[ObjectRef, tuple[GatewaySettings, ...]]:
    listed = snapshot.gateway_api.group_configurations.need()
    return grouped(listed, lambda s: [target] if (target := _target_of(s)).name else [])


def _target_of(settings: GatewaySettings) -> ObjectRef:
    """The Service or the Gateway that a TargetGroupConfiguration is for; without a name where it names none."""
    reference = mapping_in(settings.spec, "targetReference")
    kind = str(reference.get("kind") or kinds.SERVICE.name)
    return ObjectRef(kind, settings.meta.namespace, str(reference.get("name") or ""))


def service_of(settings: GatewaySettings) -> str:
    """The Service that a TargetGroupConfiguration is for; "" where it names none."""
    target = _target_of(settings)
    return target.name if target.kind == kinds.SERVICE.name else ""


def configurations_of_gateway(snapshot: Snapshot, gateway: Gateway) -> tuple[GatewaySettings, ...]:
    """The LoadBalancerConfigurations that hold for a Gateway, the one that wins first: that of its class, unless that
    says `mergingMode: prefer-gateway`."""
    found = class_of(snapshot, gateway).peek()
    of_class = _balancer_configuration(snapshot, found.parameters, "") if found is not None else None
    own = _balancer_configuration(snapshot, gateway.parameters, gateway.meta.namespace)
    present = tuple(settings for settings in (of_class, own) if settings is not None)
    if of_class is not None and of_class.spec.get("mergingMode") == "prefer-gateway":
        return tuple(reversed(present))
    return present


@derived
def configurations(snapshot: Snapshot) -> Mapping[ObjectRef, GatewaySettings]:
    """All that could be read."""
    api = snapshot.gateway_api
    listed = (*(api.balancer_configurations.peek() or ()), *(api.group_configurations.peek() or ()))
    return {settings.ref: settings for settings in listed}


def _balancer_configuration(snapshot: Snapshot, reference: Reference | None, home: str) -> GatewaySettings | None:
    if reference is None:
        return None
    ref = ObjectRef(kinds.LOAD_BALANCER_CONFIGURATION.name, reference.namespace or home, reference.name)
    return configurations(snapshot).get(ref)


def _default_of_gateway(snapshot: Snapshot, gateway: Gateway) -> GatewaySettings | None:
    """The TargetGroupConfiguration that the Gateway's LoadBalancerConfiguration names for all of its target groups."""
    for settings in configurations_of_gateway(snapshot, gateway):
        ref = ObjectRef(kinds.TARGET_GROUP_CONFIGURATION.name, settings.meta.namespace, default_name(settings))
        if found := configurations(snapshot).get(ref):
            return found
    return None


def blocks(snapshot: Snapshot, settings: GatewaySettings, route: Route | None) -> tuple[Properties, ...]:
    """The blocks of a TargetGroupConfiguration that hold for a route, the one that wins first."""
    found: list[tuple[int, Properties]] = []
    listed = settings.spec.get("routeConfigurations")
    for index, entry in enumerate(listed if isinstance(listed, (list, tuple)) else ()):
        if not isinstance(entry, Mapping):
            continue
        identifier = mapping_in(entry, "routeIdentifier")
        rank = _rank(identifier, route) if route is not None else 0
        if rank:
            here = f"/spec/routeConfigurations/{index}"
            guard = Edit(f"{here}/routeIdentifier", dict(identifier), dict(identifier))
            values = mapping_in(entry, "targetGroupProps")
            found.append((rank, Properties(settings, f"{here}/targetGroupProps", values, guard)))
    best = max(found, key=lambda pair: pair[0], default=None)
    default = Properties(settings, "/spec/defaultConfiguration", mapping_in(settings.spec, "defaultConfiguration"))
    return ((best[1],) if best is not None else ()) + (default,)


@record
class StrayBlock:
    """An entry of routeConfigurations for a route, by kind, namespace and name, that does not exist. pointer: of its
    identifier. parts: the first parts of the settings that it makes ("healthCheckConfig")."""

    settings: GatewaySettings
    pointer: str
    identifier: Mapping[str, object]
    route: ObjectRef
    parts: frozenset[str]


def stray_blocks(snapshot: Snapshot, settings: GatewaySettings) -> tuple[StrayBlock, ...]:
    """The entries of a TargetGroupConfiguration that no route reads. Raises `Unknown` where routes could not be
    read."""
    existing = {route.ref for route in snapshot.gateway_api.routes.need()}
    listed = settings.spec.get("routeConfigurations")
    found = []
    for index, entry in enumerate(listed if isinstance(listed, (list, tuple)) else ()):
        identifier = mapping_in(entry, "routeIdentifier") if isinstance(entry, Mapping) else {}
        kind, namespace, name = (str(identifier.get(key) or "") for key in ("kind", "namespace", "name"))
        ref = ObjectRef(kind, namespace, name)
        if kind and name and ref not in existing:
            parts = frozenset(mapping_in(entry, "targetGroupProps"))
            pointer = f"/spec/routeConfigurations/{index}/routeIdentifier"
            found.append(StrayBlock(settings, pointer, dict(identifier), ref, parts))
    return tuple(found)


def _rank(identifier: Mapping[str, object], route: Route) -> int:
    """How closely a route identifier fits: kind, namespace and name; kind and namespace; kind. 0: not at all."""
    kind, namespace, name = (str(identifier.get(key) or "") for key in ("kind", "namespace", "name"))
    if kind != route.kind:
        return 0
    if name:
        return 3 if (namespace, name) == (route.meta.namespace, route.meta.name) else 0
    if namespace:
        return 2 if namespace == route.meta.namespace else 0
    return 1


@derived
def properties_of(traffic: TrafficPath) -> tuple[Properties, ...]:
    """All blocks that hold for the path's target group, the one that wins first.

    Raises `Unknown` where TargetGroupConfigurations could not be read.
    """
    snapshot, backend = traffic.snapshot, traffic.backend
    if backend is None or not (backend.service or backend.behind):
        return ()
    route = route_of(snapshot, backend.route).peek() if backend.route is not None else None
    if backend.behind is not None:  # The default of its own Gateway does not hold for it.
        mine = next(iter(_configurations_of(snapshot, backend.behind).need()), None)
        return blocks(snapshot, mine, route) if mine is not None else ()
    found = configuration_of_service(snapshot, traffic.namespace, backend.service).need()
    several = blocks(snapshot, found, route) if found is not None else ()
    gateway = gateway_of_path(traffic)
    default = _default_of_gateway(snapshot, gateway) if gateway is not None else None
    return (*several, *blocks(snapshot, default, route)) if default is not None else several


def gateway_of_path(traffic: TrafficPath) -> Gateway | None:
    """The Gateway whose load balancer the path starts at; None for other paths. A route may be at several, and each has
    settings of its own."""
    at = traffic.backend.at if traffic.backend is not None else None
    return gateway_of(traffic.snapshot, at.namespace, at.name).peek() if at is not None else None


def manifests_of(traffic: TrafficPath) -> Iterator[Meta]:
    """What the target group of a Gateway's path is made from, beside its Service: route, Gateway, its class, and the
    configurations of all of them; nothing for other paths.

    Raises `Unknown` where one of them could not be read.
    """
    snapshot, backend = traffic.snapshot, traffic.backend
    route = route_of(snapshot, backend.route).need() if backend is not None and backend.route is not None else None
    if route is None:
        return
    snapshot.gateway_api.balancer_configurations.need()
    yield route.meta
    gateway = gateway_of_path(traffic)
    if gateway is not None:
        yield gateway.meta
        found = class_of(snapshot, gateway).need()
        yield from () if found is None else (found.meta,)
        yield from (settings.meta for settings in configurations_of_gateway(snapshot, gateway))
    yield from (block.settings.meta for block in properties_of(traffic))


def value_of(traffic: TrafficPath, name: str) -> object:
    """What the configurations say of a setting ("healthcheck-path", "target-type"…); None where none says anything.

    Raises `Unknown` like `properties_of`.
    """
    field = FIELDS[name]
    return next((value_in(b.values, field) for b in properties_of(traffic) if field[0] in b.values), None)


def target_type_of_gateway(traffic: TrafficPath) -> DesiredTargetType:
    """The type of targets that a Gateway's backend is to have, and who says so. Without a word it is `instance`, unless
    the controller's flag says otherwise.

    Raises `Unknown` where configurations or controllers could not be read.
    """
    for block in properties_of(traffic):
        if "targetType" in block.values:
            said = f"targetType of {block.settings.ref}"
            return DesiredTargetType(str(block.values["targetType"]), said, block.settings.ref, "targetType")
    for workload in traffic.cluster.controllers.need():
        flag = controller_flags(workload).get("default-target-type")
        if flag:
            return DesiredTargetType(flag, f"the controller's flag --default-target-type={flag}")
    return DesiredTargetType("instance", "the controller's default for Gateways")
