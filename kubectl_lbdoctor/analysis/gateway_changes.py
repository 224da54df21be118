"""How a setting of a target group that is made for a Gateway is changed: in the block of a TargetGroupConfiguration
that it is read from, or in a new one. Pure.

Source: as of `analysis.gateway_settings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.gateway_settings import (
    FIELDS,
    Properties,
    astray_configurations,
    blocks,
    configurations,
    properties_of,
    service_of,
)
from kubectl_lbdoctor.analysis.gateways import attachments, backends, gateways_of_route, is_foreign
from kubectl_lbdoctor.analysis.group_settings import FixedSetting
from kubectl_lbdoctor.analysis.remediation import free_name, written
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.api_path import is_label
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.gateway_api import BackendReference, Route
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit, Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.spec_values import leaves, mapping_in, value_in, with_value
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_NUMBERS = frozenset({"healthCheckInterval", "healthCheckTimeout", "healthyThresholdCount", "unhealthyThresholdCount"})


def group_setting_of_gateway(traffic: TrafficPath, name: str) -> SettingSource:
    """Where a setting of the path's health check is changed: in the block that it is read from, else in the default of
    the Service's TargetGroupConfiguration."""
    name = name.removesuffix("-seconds").removeprefix("nlb-")
    field = FIELDS.get(name)
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
        field = FIELDS["grpc-codes"]
    found = properties_of(traffic)
    own = [block for block in found if service_of(block.settings) == traffic.service_ref.name]
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
            f"it names {service_of(settings)}, which is no Service there"
        )
    return ""


def _free_name(traffic: TrafficPath) -> ObjectRef:
    """What a new TargetGroupConfiguration is called: as its Service, unless another one has that name."""
    wanted = ObjectRef(kinds.TARGET_GROUP_CONFIGURATION.name, traffic.namespace, traffic.service_ref.name)
    return free_name(wanted, configurations(traffic.snapshot))


def _value_of(inherited: object, field: tuple[str, ...]) -> str:
    """What a field has where this is the value of its first part; "" for nothing."""
    found = value_in(inherited, field[1:])
    return "" if found is None else str(found)


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
        return _value_of(self.inherited, self.field)

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
        return _value_of(self.inherited, self.field)

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
                props = with_value(props, source.field, _typed(source.field, value))
        made = new_configuration(self.ref, self.service, props)
        return replace(made, inherits={"defaultConfiguration": inherited}) if inherited else made


def new_configuration(ref: ObjectRef, service: str, props: Mapping[str, object]) -> Change:
    """The change that makes a TargetGroupConfiguration for a Service, with these settings for all of its routes."""
    said = ", ".join(f"{'.'.join(path)}={value}" for path, value in leaves(props))
    return Change(
        ref,
        field=f"creates it for Service {service}",
        now="<none>",
        then=said,
        creates={"targetReference": {"kind": "Service", "name": service}, "defaultConfiguration": dict(props)},
    )


def created_configuration(ref: ObjectRef, spec: Mapping[str, object]) -> Change | None:
    """The change that makes a TargetGroupConfiguration of this spec; None where no fix makes such."""
    reference, props = mapping_in(spec, "targetReference"), mapping_in(spec, "defaultConfiguration")
    service = reference.get("name")
    if not isinstance(service, str) or not is_label(service) or not props or not _fits("", props):
        return None
    made = new_configuration(ref, service, props)
    return made if made.creates == spec else None


def settings_in(change: Change) -> Iterator[tuple[str, object]]:
    """The settings of target groups that a change of a TargetGroupConfiguration gives values, by the names of the
    annotations for them."""
    names = {field: name for name, field in FIELDS.items()}
    made = mapping_in(change.creates or {}, "defaultConfiguration")
    values = list(leaves(made))
    for edit in change.edits:
        where = _BLOCK.fullmatch(edit.pointer) if not edit.is_guard else None
        if where is not None:
            above = tuple((where[3] or "").split("/")) if where[3] else ()
            inside = leaves(edit.then) if isinstance(edit.then, Mapping) else [((), edit.then)]
            values += [((*above, *path), value) for path, value in inside]
    for field, value in values:
        name = "success-codes" if field == FIELDS["grpc-codes"] else names.get(field)
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
    """The backends of the routes that some Gateway of ours takes, by namespace and name of their Service."""
    found: dict[tuple[str, str], list[tuple[Route, BackendReference]]] = {}
    for route in snapshot.gateway_api.routes.peek() or ():
        ours = (g for g in gateways_of_route(snapshot, route) if not is_foreign(snapshot, g))
        taken = any(a.taken for g in ours for a in attachments(snapshot, route, g))
        for _, backend in backends(route) if taken else ():
            if backend.kind == "Service":
                home = backend.namespace or route.meta.namespace
                found.setdefault((home, backend.name), []).append((route, backend))
    return {key: tuple(several) for key, several in found.items()}


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
    r"/spec/(defaultConfiguration|routeConfigurations/(0|[1-9][0-9]{0,3})/targetGroupProps)"
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
            yield Edit(block.pointer, None, with_value(around, field, value))
            continue
        for depth, key in enumerate(field):
            inside = present.get(key) if isinstance(present, Mapping) else None
            pointer = f"{pointer}/{key}"
            if depth == len(field) - 1:
                yield Edit(pointer, inside, value)
            elif inside is None:
                base = inherited if depth == 0 and isinstance(inherited, Mapping) else {}
                yield Edit(pointer, None, with_value(base, field[depth + 1 :], value))
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
