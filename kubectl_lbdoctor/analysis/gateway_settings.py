"""Where the settings of a target group that is made for a Gateway are read from, and how they are changed there. Pure.

A TargetGroupConfiguration names the Service that it is for, in its namespace; what it says for a route wins over its
default, and what it says at all over the one that the Gateway's LoadBalancerConfiguration names. Blocks are taken
whole: a `healthCheckConfig` replaces the other one with all its fields.

Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/tg_config_constructor.go
and pkg/gateway/routeutils/backend.go there (which of several holds).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.desired_target_type import DesiredTargetType
from kubectl_lbdoctor.analysis.gateways import attachments, backends, class_of, gateways_of_route, route_of
from kubectl_lbdoctor.analysis.group_settings import FixedSetting
from kubectl_lbdoctor.analysis.ownership import controller_flags
from kubectl_lbdoctor.analysis.remediation import patch
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.api_path import is_label
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.gateway_api import BackendReference, Gateway, GatewaySettings, Reference, Route
from kubectl_lbdoctor.model.index import grouped
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.plan import Change, Edit, Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

READS = (
    *(reads.GATEWAYS, reads.GATEWAY_CLASSES, reads.ROUTES, reads.LISTENER_SETS, reads.REFERENCE_GRANTS),
    *(reads.LOAD_BALANCER_CONFIGURATIONS, reads.TARGET_GROUP_CONFIGURATIONS),
)
"""What a path of a Gateway rests on; of other paths nothing of it is read."""

_FIELDS: Mapping[str, tuple[str, ...]] = {
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

_NUMBERS = frozenset({"healthCheckInterval", "healthCheckTimeout", "healthyThresholdCount", "unhealthyThresholdCount"})


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
        return tuple(s for s in here if (named := _service_of(s)) and named not in names)

    return services.map(lambda _: astray())


def configurations_beside_the_gateway(traffic: TrafficPath) -> tuple[GatewaySettings, ...]:
    """The TargetGroupConfigurations that name the path's Service, but stand in the namespace of its Gateway, where no
    route leads to a Service of that name. Raises `Unknown` where these or routes could not be read."""
    snapshot, backend = traffic.snapshot, traffic.backend
    route = route_of(snapshot, backend.route).peek() if backend is not None and backend.route is not None else None
    if route is None or backend is None:
        return ()
    spaces = {gateway.meta.namespace for gateway in gateways_of_route(snapshot, route)} - {traffic.namespace}
    served = {
        (reference.namespace or other.meta.namespace, reference.name)
        for other in snapshot.gateway_api.routes.need()
        for _, reference in backends(other)
    }
    return tuple(
        settings
        for settings in snapshot.gateway_api.group_configurations.need()
        if settings.meta.namespace in spaces
        and _service_of(settings) == backend.service
        and (settings.meta.namespace, backend.service) not in served
    )


def target_reference(settings: GatewaySettings) -> str:
    """The name that `targetReference` of a TargetGroupConfiguration says, of whatever kind; "" where it says none."""
    return str(_mapping(settings.spec, "targetReference").get("name") or "")


def default_name(settings: GatewaySettings) -> str:
    """The TargetGroupConfiguration that a LoadBalancerConfiguration names for all of its target groups; "" for none."""
    return str(_mapping(settings.spec, "defaultTargetGroupConfiguration").get("name") or "")


def settings_that_it_makes(settings: GatewaySettings) -> frozenset[str]:
    """The first parts of all settings that a TargetGroupConfiguration has ("targetType", "healthCheckConfig")."""
    listed = settings.spec.get("routeConfigurations")
    routes = [entry for entry in (listed if isinstance(listed, (list, tuple)) else ()) if isinstance(entry, Mapping)]
    found = [_mapping(settings.spec, "defaultConfiguration"), *(_mapping(e, "targetGroupProps") for e in routes)]
    return frozenset(key for block in found for key in block)


@derived
def _configurations_by_target(snapshot: Snapshot) -> Mapping[ObjectRef, tuple[GatewaySettings, ...]]:
    listed = snapshot.gateway_api.group_configurations.need()
    return grouped(listed, lambda s: [target] if (target := _target_of(s)).name else [])


def _target_of(settings: GatewaySettings) -> ObjectRef:
    """The Service or the Gateway that a TargetGroupConfiguration is for; without a name where it names none."""
    reference = _mapping(settings.spec, "targetReference")
    kind = str(reference.get("kind") or kinds.SERVICE.name)
    return ObjectRef(kind, settings.meta.namespace, str(reference.get("name") or ""))


def _service_of(settings: GatewaySettings) -> str:
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
def _configurations(snapshot: Snapshot) -> Mapping[ObjectRef, GatewaySettings]:
    """All that could be read."""
    api = snapshot.gateway_api
    listed = (*(api.balancer_configurations.peek() or ()), *(api.group_configurations.peek() or ()))
    return {settings.ref: settings for settings in listed}


def _balancer_configuration(snapshot: Snapshot, reference: Reference | None, home: str) -> GatewaySettings | None:
    if reference is None:
        return None
    ref = ObjectRef(kinds.LOAD_BALANCER_CONFIGURATION.name, reference.namespace or home, reference.name)
    return _configurations(snapshot).get(ref)


def _default_of_gateway(snapshot: Snapshot, gateway: Gateway) -> GatewaySettings | None:
    """The TargetGroupConfiguration that the Gateway's LoadBalancerConfiguration names for all of its target groups."""
    for settings in configurations_of_gateway(snapshot, gateway):
        ref = ObjectRef(kinds.TARGET_GROUP_CONFIGURATION.name, settings.meta.namespace, default_name(settings))
        if found := _configurations(snapshot).get(ref):
            return found
    return None


def blocks(snapshot: Snapshot, settings: GatewaySettings, route: Route | None) -> tuple[Properties, ...]:
    """The blocks of a TargetGroupConfiguration that hold for a route, the one that wins first."""
    found: list[tuple[int, Properties]] = []
    listed = settings.spec.get("routeConfigurations")
    for index, entry in enumerate(listed if isinstance(listed, (list, tuple)) else ()):
        if not isinstance(entry, Mapping):
            continue
        identifier = _mapping(entry, "routeIdentifier")
        rank = _rank(identifier, route) if route is not None else 0
        if rank:
            here = f"/spec/routeConfigurations/{index}"
            guard = Edit(f"{here}/routeIdentifier", dict(identifier), dict(identifier))
            values = _mapping(entry, "targetGroupProps")
            found.append((rank, Properties(settings, f"{here}/targetGroupProps", values, guard)))
    best = max(found, key=lambda pair: pair[0], default=None)
    default = Properties(settings, "/spec/defaultConfiguration", _mapping(settings.spec, "defaultConfiguration"))
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
        identifier = _mapping(entry, "routeIdentifier") if isinstance(entry, Mapping) else {}
        kind, namespace, name = (str(identifier.get(key) or "") for key in ("kind", "namespace", "name"))
        ref = ObjectRef(kind, namespace, name)
        if kind and name and ref not in existing:
            parts = frozenset(_mapping(entry, "targetGroupProps"))
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
    if backend is None or not (backend.service or backend.gateway):
        return ()
    route = route_of(snapshot, backend.route).peek() if backend.route is not None else None
    if backend.gateway is not None:  # The default of its own Gateway does not hold for it.
        mine = next(iter(_configurations_of(snapshot, backend.gateway).need()), None)
        return blocks(snapshot, mine, route) if mine is not None else ()
    found = configuration_of_service(snapshot, traffic.namespace, backend.service).need()
    several = blocks(snapshot, found, route) if found is not None else ()
    for gateway in gateways_of_route(snapshot, route) if route is not None else ():
        default = _default_of_gateway(snapshot, gateway)
        if default is not None:
            several = (*several, *blocks(snapshot, default, route))
            break
    return several


def manifests_of(traffic: TrafficPath) -> Iterator[Meta]:
    """What the target group of a Gateway's path is made from, beside its Service: route, Gateways, their classes, and
    the configurations of all of them; nothing for other paths.

    Raises `Unknown` where one of them could not be read.
    """
    snapshot, backend = traffic.snapshot, traffic.backend
    route = route_of(snapshot, backend.route).need() if backend is not None and backend.route is not None else None
    if route is None:
        return
    snapshot.gateway_api.balancer_configurations.need()
    yield route.meta
    for gateway in gateways_of_route(snapshot, route):
        yield gateway.meta
        found = class_of(snapshot, gateway).need()
        yield from () if found is None else (found.meta,)
        yield from (settings.meta for settings in configurations_of_gateway(snapshot, gateway))
    yield from (block.settings.meta for block in properties_of(traffic))


def value_of(traffic: TrafficPath, name: str) -> object:
    """What the configurations say of a setting ("healthcheck-path", "target-type"…); None where none says anything.

    Raises `Unknown` like `properties_of`.
    """
    first, *rest = _FIELDS[name]
    for block in properties_of(traffic):
        if first in block.values:
            found = block.values[first]
            for key in rest:
                found = found.get(key) if isinstance(found, Mapping) else None
            return found
    return None


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


def group_setting_of_gateway(traffic: TrafficPath, name: str) -> SettingSource:
    """Where a setting of the path's health check is changed: in the block that it is read from, else in the default of
    the Service's TargetGroupConfiguration."""
    name = name.removesuffix("-seconds").removeprefix("nlb-")
    field = _FIELDS.get(name)
    ref = ObjectRef(kinds.TARGET_GROUP_CONFIGURATION.name, traffic.namespace, traffic.service_ref.name)
    listed = traffic.snapshot.gateway_api.group_configurations
    if field is None:
        return FixedSetting(traffic.service_ref, name, said="a Gateway's target groups have no such setting")
    if not listed.is_known:
        said = (
            f"set {'.'.join(field)} in the TargetGroupConfiguration of {traffic.service_ref}, which could not be read"
        )
        return FixedSetting(ref, ".".join(field), said=said)
    if name == "success-codes" and (group := traffic.target_group.peek()) and group.protocol_version == "GRPC":
        field = _FIELDS["grpc-codes"]
    found = properties_of(traffic)
    own = [block for block in found if _service_of(block.settings) == traffic.service_ref.name]
    inherited = next((b.values[field[0]] for b in found if field[0] in b.values), None)
    if own:
        block = _chosen(own, field)
        return GatewaySetting(block.settings.ref, ".".join(field), {}, block, field, inherited)
    said = _why_none_is_made(traffic)
    if said:
        return FixedSetting(ref, ".".join(field), said=said)
    return NewConfiguration(_free_name(traffic), ".".join(field), {}, traffic.service_ref.name, field, inherited)


def _why_none_is_made(traffic: TrafficPath) -> str:
    """What a person does first where a new TargetGroupConfiguration for the Service may not be the answer; "" where
    it is."""
    service, listed = traffic.service_ref.name, traffic.snapshot.gateway_api.group_configurations
    if listed.left_out:
        return f"look for a TargetGroupConfiguration that names {service}: not all of them could be read"
    for settings in astray_configurations(traffic).peek() or ():
        return (
            f"let targetReference of {settings.ref} (namespace {traffic.namespace}) name {service}: "
            f"it names {_service_of(settings)}, which is no Service there"
        )
    return ""


def _free_name(traffic: TrafficPath) -> ObjectRef:
    """What a new TargetGroupConfiguration is called: as its Service, unless another one has that name."""
    service, taken = traffic.service_ref.name, _configurations(traffic.snapshot)
    names = (service, *(f"{service}-{number}" for number in range(2, 100)))
    refs = (ObjectRef(kinds.TARGET_GROUP_CONFIGURATION.name, traffic.namespace, name) for name in names)
    return next(ref for ref in refs if ref not in taken)


@record
class GatewaySetting(SettingSource):
    """A setting in a TargetGroupConfiguration. field: its place in the block; inherited: the value of the field's first
    part that holds now, wherever it is read from."""

    block: Properties | None = None
    field: tuple[str, ...] = ()
    inherited: object = None

    @property
    def place(self) -> tuple[ObjectRef, str]:
        assert self.block is not None
        return _place((self.block,), self.field)

    @property
    def present(self) -> bool:
        return bool(self.value)

    @property
    def value(self) -> str:
        found: object = self.inherited
        for key in self.field[1:]:
            found = found.get(key) if isinstance(found, Mapping) else None
        return "" if found is None else str(found)

    def how(self, value: str) -> str:
        return f"set {self.label} of {self.ref} to {value}"

    def repair(self, value: str, why: str = "", risk: str = "") -> Repair:
        change = self.change(value)
        written = [edit for edit in change.edits if not edit.is_guard]
        # Only a value that is written by itself can be another one: a whole block holds more.
        alone = len(written) == 1 and not isinstance(written[0].then, Mapping)
        return Repair(value, (change,), accepts_any_value=alone).with_reason(why, risk)

    @property
    def template(self) -> Repair | None:
        found = self.repair("")
        return found if found.accepts_any_value else None

    def _change(self, values: Iterable[tuple[SettingSource, str]]) -> Change:
        assert self.block is not None
        wanted = {
            source.field: _typed(source.field, value) for source, value in values if isinstance(source, GatewaySetting)
        }
        edits = _edits(self.block, wanted, self.inherited)
        guards = (self.block.guard,) if self.block.guard is not None else ()
        return written(self.ref, (*guards, *edits))


@record
class NewConfiguration(SettingSource):
    """A setting of a Service that has no TargetGroupConfiguration: one is made, with what it inherits now and the
    setting. ref: the object that is made. field, inherited: as of `GatewaySetting`."""

    service: str = ""
    field: tuple[str, ...] = ()
    inherited: object = None

    @property
    def place(self) -> tuple[ObjectRef, str]:
        return self.ref, f"/spec/defaultConfiguration/{'/'.join(self.field)}"

    @property
    def present(self) -> bool:
        return False

    @property
    def value(self) -> str:
        found: object = self.inherited
        for key in self.field[1:]:
            found = found.get(key) if isinstance(found, Mapping) else None
        return "" if found is None else str(found)

    def how(self, value: str) -> str:
        return f"make {self.ref} for Service {self.service}, with {self.label} {value}"

    def repair(self, value: str, why: str = "", risk: str = "") -> Repair:
        return Repair(value, (self.change(value),)).with_reason(why, risk)

    @property
    def template(self) -> Repair | None:
        return None

    def _change(self, values: Iterable[tuple[SettingSource, str]]) -> Change:
        props: Mapping[str, object] = {}
        inherited: dict[str, object] = {}
        for source, value in values:
            if isinstance(source, NewConfiguration):
                first = source.field[0]
                if first not in props and source.inherited is not None:
                    props, inherited[first] = {**props, first: source.inherited}, source.inherited
                props = _nested(props, source.field, _typed(source.field, value))
        made = new_configuration(self.ref, self.service, props)
        return replace(made, inherits={"defaultConfiguration": inherited}) if inherited else made


def new_configuration(ref: ObjectRef, service: str, props: Mapping[str, object]) -> Change:
    """The change that makes a TargetGroupConfiguration for a Service, with these settings for all of its routes."""
    said = ", ".join(f"{name}={value}" for name, value in _leaves(props))
    return Change(
        ref,
        field=f"creates it for Service {service}",
        now="<none>",
        then=said,
        creates={"targetReference": {"kind": "Service", "name": service}, "defaultConfiguration": dict(props)},
    )


def created_configuration(ref: ObjectRef, spec: Mapping[str, object]) -> Change | None:
    """The change that makes a TargetGroupConfiguration of this spec; None where no fix makes such."""
    reference, props = _mapping(spec, "targetReference"), _mapping(spec, "defaultConfiguration")
    service = reference.get("name")
    if not isinstance(service, str) or not is_label(service) or not props or not _fits("", props):
        return None
    made = new_configuration(ref, service, props)
    return made if made.creates == spec else None


def settings_in(change: Change) -> Iterator[tuple[str, object]]:
    """The settings of target groups that a change of a TargetGroupConfiguration gives values, by the names of the
    annotations for them."""
    names = {field: name for name, field in _FIELDS.items()}
    made = _mapping(change.creates or {}, "defaultConfiguration")
    values = [(tuple(path.split(".")), value) for path, value in _leaves(made)]
    for edit in change.edits:
        where = _BLOCK.fullmatch(edit.pointer) if not edit.is_guard else None
        if where is not None:
            above = tuple((where[3] or "").split("/")) if where[3] else ()
            inside = list(_leaves(edit.then)) if isinstance(edit.then, Mapping) else [("", edit.then)]
            values += [((*above, *filter(None, path.split("."))), value) for path, value in inside]
    for field, value in values:
        name = "success-codes" if field == _FIELDS["grpc-codes"] else names.get(field)
        if name is not None:
            yield name, value


def routes_sharing(
    snapshot: Snapshot, source: SettingSource, namespace: str, service: str
) -> tuple[tuple[Route, BackendReference], ...]:
    """The routes of Gateways to a Service, each with a backend of it, whose target groups have a setting from the same
    place; () where routes could not be read."""
    found = _backends_by_service(snapshot).get((namespace, service), ())
    if isinstance(source, NewConfiguration):
        return found
    if not isinstance(source, GatewaySetting) or source.block is None:
        return ()
    settings, field = source.block.settings, source.field
    return tuple((r, b) for r, b in found if _place(blocks(snapshot, settings, r), field) == source.place)


def _place(own: Sequence[Properties], field: tuple[str, ...]) -> tuple[ObjectRef, str]:
    """Where a setting stands in a Service's configuration: in the block that says it, else in the default."""
    block = _chosen(own, field)
    return block.settings.ref, f"{block.pointer}/{'/'.join(field)}"


def _chosen(own: Sequence[Properties], field: tuple[str, ...]) -> Properties:
    return next((block for block in own if field[0] in block.values), own[-1])


@derived
def _backends_by_service(
    snapshot: Snapshot,
) -> Mapping[tuple[str, str], tuple[tuple[Route, BackendReference], ...]]:
    """The backends of the routes that some Gateway takes, by namespace and name of their Service."""
    found: dict[tuple[str, str], list[tuple[Route, BackendReference]]] = {}
    for route in snapshot.gateway_api.routes.peek() or ():
        taken = any(a.taken for g in gateways_of_route(snapshot, route) for a in attachments(snapshot, route, g))
        for _, backend in backends(route) if taken else ():
            if backend.kind == "Service":
                home = backend.namespace or route.meta.namespace
                found.setdefault((home, backend.name), []).append((route, backend))
    return {key: tuple(several) for key, several in found.items()}


def _leaves(values: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    """Each value with where it stands ("healthCheckConfig.healthCheckPath")."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def written(ref: ObjectRef, edits: Sequence[Edit]) -> Change:
    """The change of a Gateway API object or its settings that makes these edits, in words that follow from them."""
    made = [edit for edit in edits if not edit.is_guard]
    words = patch(ref, ", ".join(edit.pointer[1:].replace("/", ".") for edit in made), *made)
    return replace(words, edits=tuple(edits))


def changed_configuration(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The change of a TargetGroupConfiguration that makes these edits; None where no fix makes such."""
    made = [edit for edit in edits if not edit.is_guard]
    guards = [edit.pointer for edit in edits if edit.is_guard]
    for edit in made:
        where = _BLOCK.fullmatch(edit.pointer)
        if where is None or not all(_fits(where[3] or "", value) for value in (edit.now, edit.then)):
            return None
        if where[2] and guards != [f"/spec/routeConfigurations/{where[2]}/routeIdentifier"]:
            return None
    return written(ref, edits) if made and len(guards) <= 1 else None


_BLOCK = re.compile(
    r"/spec/(defaultConfiguration|routeConfigurations/(0|[1-9]\d{0,3})/targetGroupProps)"
    r"(?:/([A-Za-z]+(?:/[A-Za-z]+){0,2}))?"
)
_CODES = re.compile(r"[0-9,-]{1,64}")
_VALUES: Mapping[str, re.Pattern[str] | range] = {
    "healthCheckConfig/healthCheckPath": re.compile(r"[!-~]{1,1024}"),
    "healthCheckConfig/healthCheckPort": re.compile(r"traffic-port|[A-Za-z0-9-]{1,15}"),
    "healthCheckConfig/healthCheckProtocol": re.compile("HTTP|HTTPS|TCP"),
    "healthCheckConfig/healthCheckInterval": range(1, 301),
    "healthCheckConfig/healthCheckTimeout": range(1, 121),
    "healthCheckConfig/healthyThresholdCount": range(1, 11),
    "healthCheckConfig/unhealthyThresholdCount": range(1, 11),
    "healthCheckConfig/matcher/httpCode": _CODES,
    "healthCheckConfig/matcher/grpcCode": _CODES,
    "protocol": re.compile("HTTP|HTTPS|TCP|TLS|UDP|TCP_UDP"),
    "protocolVersion": re.compile("HTTP1|HTTP2|GRPC"),
    "targetType": re.compile("ip|instance"),
}
"""What the settings that fixes write may be, by their place in a block.

Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/targetgroupconfig/
"""


def _fits(place: str, value: object) -> bool:
    """Whether a value, or a part of a block with all its values, may stand at this place; None is an absent one."""
    if value is None:
        return True
    if isinstance(value, Mapping):
        inside = f"{place}/" if place else ""
        return bool(value) and all(isinstance(key, str) and _fits(inside + key, inner) for key, inner in value.items())
    allowed = _VALUES.get(place)
    if isinstance(allowed, range):
        return type(value) is int and value in allowed
    return allowed is not None and isinstance(value, str) and allowed.fullmatch(value) is not None


def _typed(field: tuple[str, ...], value: str) -> object:
    if field[-1] in ("healthCheckProtocol", "protocol"):
        return value.upper()
    return int(value) if field[-1] in _NUMBERS and value.isdigit() else value


def _edits(block: Properties, wanted: Mapping[tuple[str, ...], object], inherited: object) -> Iterator[Edit]:
    """The edits that give a block these values: a value where its surroundings exist, else what surrounds it.

    Where the block has no such part, what holds now by inheritance is copied with it, because a part replaces the
    inherited one as a whole.
    """
    for field, value in wanted.items():
        present: object = block.values
        pointer = block.pointer
        if not block.values and not _has(block.settings.spec, block.pointer):
            around = {field[0]: inherited} if isinstance(inherited, Mapping) else {}
            yield Edit(block.pointer, None, _nested(around, field, value))
            continue
        for depth, key in enumerate(field):
            inside = present.get(key) if isinstance(present, Mapping) else None
            pointer = f"{pointer}/{key}"
            if depth == len(field) - 1:
                yield Edit(pointer, inside, value)
            elif inside is None:
                base = inherited if depth == 0 and isinstance(inherited, Mapping) else {}
                yield Edit(pointer, None, _nested(base, field[depth + 1 :], value))
                break
            present = inside


def _has(spec: Mapping[str, object], pointer: str) -> bool:
    found: object = spec
    for key in pointer.split("/")[2:]:
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, (list, tuple)) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return False
    return found is not None


def _nested(values: Mapping[str, object], field: tuple[str, ...], value: object) -> dict[str, object]:
    """A copy of the values in which this field has this value."""
    first, *rest = field
    return {**values, first: _nested(_mapping(values, first), tuple(rest), value) if rest else value}


def _mapping(raw: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = raw.get(key)
    return found if isinstance(found, Mapping) else {}
