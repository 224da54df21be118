"""The shapes of all changes that fixes make: nothing else is written, whatever asks for it. Pure.

An undo file may have passed through other hands. What it says to have been changed is taken apart and made anew here,
by the same words as the checks use, so that the screen, the write and its inverse follow from the edits alone. A fix
that changes something new declares its shape here; a test holds the repairs of all recorded cases against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.aws_changes import change_by
from kubectl_lbdoctor.analysis.balancer_settings import (
    changed_balancer_configuration,
    created_balancer_configuration,
    named_configuration,
)
from kubectl_lbdoctor.analysis.gateway_changes import changed_configuration, created_configuration
from kubectl_lbdoctor.analysis.group_settings import setting
from kubectl_lbdoctor.analysis.remediation import annotate, class_now, patch, restart, written
from kubectl_lbdoctor.knowledge.annotations import (
    ALB_PREFIX,
    CLASS_ANNOTATION,
    SERVICE_PREFIX,
    is_ours,
    same_name,
    spec_for,
)
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.api_path import is_label, is_subdomain
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.group_edits import (
    ATTRIBUTES,
    GRPC_CODES,
    HTTP_CODES,
    PATH,
    PROTOCOL,
    calls,
    is_editable,
)
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit, Spec

_CHOICES: dict[str, tuple[tuple[object, object], ...]] = {
    "/spec/externalTrafficPolicy": (("Local", "Cluster"),),
    "/spec/type": (("ClusterIP", "NodePort"),),
    "/spec/allocateLoadBalancerNodePorts": ((False, True),),
}
"""Fields of a Service that are changed by themselves, with the values that they are changed from and to."""

_CREATED: Mapping[str, Callable[[ObjectRef, Spec], Change | None]] = {
    kinds.TARGET_GROUP_CONFIGURATION.name: created_configuration,
    kinds.LOAD_BALANCER_CONFIGURATION.name: created_balancer_configuration,
}
_RESTARTED = (kinds.DEPLOYMENT.name, kinds.DAEMON_SET.name, kinds.STATEFUL_SET.name)

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_KEY = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?")
_SERVICE_PORT = re.compile(r"/spec/ports/(0|[1-9][0-9]{0,3})/(port|targetPort)")
_BACKEND = re.compile(
    r"(/spec/rules/(?:0|[1-9][0-9]{0,3})/http/paths/(?:0|[1-9][0-9]{0,3})/backend/service|/spec/defaultBackend/service)"
    r"/(name|port)"
)

_BACKEND_REF = re.compile(r"(/spec/rules/(?:0|[1-9][0-9]{0,3})/backendRefs/(?:0|[1-9][0-9]{0,3}))/(name|port)")
_LISTENER = re.compile(r"(/spec/listeners/(?:0|[1-9][0-9]{0,3}))/name")
_FROM = ("Same", "All")
_ROUTE_IDENTIFIER = re.compile(r"/spec/routeConfigurations/(?:0|[1-9][0-9]{0,3})/routeIdentifier")

_GROUP_VALUES: dict[str, re.Pattern[str] | range] = {
    PROTOCOL: re.compile("HTTP|HTTPS|TCP"),
    PATH: re.compile(r"[!-~]{1,1024}"),
    "/HealthCheckPort": re.compile(r"traffic-port|[1-9][0-9]{0,4}"),
    "/HealthCheckIntervalSeconds": range(1, 301),
    "/HealthCheckTimeoutSeconds": range(1, 121),
    "/HealthyThresholdCount": range(1, 11),
    "/UnhealthyThresholdCount": range(1, 11),
    HTTP_CODES: re.compile(r"[0-9,-]{1,64}"),
    GRPC_CODES: re.compile(r"[0-9,-]{1,64}"),
}
"""What the settings of a target group may be, by pointer; path and codes may be absent (a check by TCP has none).

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyTargetGroup.html
"""


class NoSuchShape(ValueError):
    """No fix makes such a change. The message says what of it, in a few words."""


def made_anew(change: Change, region: str = "") -> Change:
    """The same change with all its words made of what it writes. region: of the commands that name one.

    Raises NoSuchShape for what no fix writes: another kind, field, value or call. why and risk are not derived.
    """
    ways = (bool(change.edits), change.restart, change.aws is not None, change.creates is not None)
    if sum(ways) != 1:
        raise NoSuchShape("it does not say what was changed")
    if change.aws is not None:
        made = change_by(change.aws.operation, change.aws.params, region)
        if made is None or change.group is not None:
            raise NoSuchShape("the call in EC2")
    elif change.group is not None:
        if change.creates is not None:
            raise NoSuchShape("the target group")
        made = _of_group(change)
    else:
        made = _of_kubernetes(change)
    if made.object != change.object:
        raise NoSuchShape("the object")
    return made


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def _of_kubernetes(change: Change) -> Change:
    ref, edits = change.object, change.edits
    if not is_label(ref.namespace) or not is_subdomain(ref.name):
        raise NoSuchShape("the name of the object")
    if change.restart:
        if ref.kind not in _RESTARTED:
            raise NoSuchShape(f"a restart of a {ref.kind}")
        return restart(ref).changes[0]
    if change.creates is not None:
        created = _CREATED[ref.kind](ref, change.creates) if ref.kind in _CREATED else None
        if created is None:
            raise NoSuchShape(f"a new {ref.kind}, or what it says")
        return created
    if not all(_is_text(edit.pointer) for edit in edits):
        raise NoSuchShape("the field")
    for shape in _SHAPES:
        made = shape(ref, edits)
        if made is not None:
            return made
    raise NoSuchShape("the field or its value")


def _annotations(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """Annotations of Ingresses and Services: those that the controller knows, and what was meant to be one."""
    keys = [edit.annotation for edit in edits]
    if ref.kind not in (kinds.INGRESS.name, kinds.SERVICE.name) or not all(keys) or len(set(keys)) < len(keys):
        return None
    if not all(_is_text(value) for edit in edits for value in (edit.now, edit.then) if value is not None):
        return None
    for key, edit in zip(keys, edits, strict=True):
        spec = spec_for(key)
        known = is_ours(key) if edit.then is None else spec is not None and ref.kind in spec.locations
        if key == CLASS_ANNOTATION or not (known or _is_meant_for(edit, edits)):
            return None
    present = {key: str(edit.now) for key, edit in zip(keys, edits, strict=True) if edit.now is not None}
    made = annotate(
        ref,
        present,
        {key: None if e.then is None else str(e.then) for key, e in zip(keys, edits, strict=True)},
    )
    return made if made.edits == tuple(edits) else None


def _is_meant_for(edit: Edit, edits: Sequence[Edit]) -> bool:
    """Whether a key of another controller is taken away, and its value set under the key of ours with its name."""
    for other in edits:
        prefix = next((p for p in (ALB_PREFIX, SERVICE_PREFIX) if other.annotation.startswith(p)), "")
        near = same_name(prefix, edit.annotation) if prefix else None
        if near is not None and near.key == other.annotation and (edit.then, other.then) == (None, edit.now):
            return True
    return False


def _service_field(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """One field of a Service by itself."""
    if ref.kind != kinds.SERVICE.name or len(edits) != 1:
        return None
    (edit,) = edits
    if edit.pointer == "/spec/selector":
        good = _is_selector(edit.now) and _is_selector(edit.then)
    else:
        allowed = _CHOICES.get(edit.pointer, ())
        good = any(_same(edit.now, now) and _same(edit.then, then) for now, then in allowed)
    return patch(ref, edit.pointer[1:].replace("/", "."), edit) if good else None


def _target_port(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The targetPort of one port of a Service, with a guard for its place in the list."""
    if ref.kind != kinds.SERVICE.name or len(edits) != 2:
        return None
    guard, edit = sorted(edits, key=lambda e: not e.is_guard)
    where = [_SERVICE_PORT.fullmatch(e.pointer) for e in (guard, edit)]
    if where[0] is None or where[1] is None or where[0][1] != where[1][1]:
        return None
    good = guard.is_guard and (where[0][2], where[1][2]) == ("port", "targetPort") and _is_port(guard.now)
    if not good or not all(_is_port(v) or _is_match(_PORT_NAME, v) for v in (edit.now, edit.then)):
        return None
    return replace(patch(ref, f"spec.ports[port={guard.now}].targetPort", edit), edits=tuple(edits))


def _ingress_class(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The class of an Ingress, and the annotation that would win over it."""
    if ref.kind != kinds.INGRESS.name or len(edits) > 2 or edits[-1].pointer != "/spec/ingressClassName":
        return None
    then, now = edits[-1].then, edits[-1].now
    if not _is_name(then) or not (now is None or _is_name(now)):
        return None
    if len(edits) == 2:
        legacy = edits[0]
        if legacy.annotation != CLASS_ANNOTATION or legacy.then is not None or not _is_text(legacy.now):
            return None
        now = class_now(str(legacy.now), str(now or ""))
    return replace(patch(ref, "spec.ingressClassName", *edits), now=str(now or "<none>"), then=str(then))


def _backend_port(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The port by which an Ingress names one Service, wherever it does, with guards for the places."""
    if ref.kind != kinds.INGRESS.name or len(edits) % 2:
        return None
    service, ports = edits[0].now, (edits[1].now, edits[1].then)
    if not _is_name(service) or not all(_is_backend_port(port) for port in ports):
        return None
    for guard, edit in zip(edits[::2], edits[1::2], strict=True):
        named, port = _BACKEND.fullmatch(guard.pointer), _BACKEND.fullmatch(edit.pointer)
        if named is None or port is None or (named[1], named[2], port[2]) != (port[1], "name", "port"):
            return None
        if not guard.is_guard or guard.now != service or (edit.now, edit.then) != ports:
            return None
    now, then = (next(iter(port.values())) for port in ports if isinstance(port, dict))
    return replace(patch(ref, f"backend {service}: port", *edits), now=str(now), then=str(then))


def _route_port(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The port by which a route names one Service, wherever it does, with guards for the places."""
    if ref.kind not in {kind.name for kind in kinds.ROUTES} or not edits or len(edits) % 2:
        return None
    service, ports = edits[0].now, (edits[1].now, edits[1].then)
    if not _is_name(service) or not all(_is_port(port) for port in ports):
        return None
    for guard, edit in zip(edits[::2], edits[1::2], strict=True):
        named, port = _BACKEND_REF.fullmatch(guard.pointer), _BACKEND_REF.fullmatch(edit.pointer)
        if named is None or port is None or (named[1], named[2], port[2]) != (port[1], "name", "port"):
            return None
        if not guard.is_guard or guard.now != service or (edit.now, edit.then) != ports:
            return None
    return replace(patch(ref, f"backend {service}: port", *edits), now=str(ports[0]), then=str(ports[1]))


def _allowed_routes(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """From which namespaces a listener of a Gateway takes routes, with a guard for its place in the list."""
    if ref.kind != kinds.GATEWAY.name or len(edits) != 2:
        return None
    guard, edit = edits
    where = _LISTENER.fullmatch(guard.pointer)
    if where is None or not guard.is_guard or not _is_name(guard.now):
        return None
    wanted = f"{where[1]}/allowedRoutes/namespaces/from"
    if edit.pointer != wanted or edit.now not in _FROM or edit.then not in _FROM:
        return None
    return written(ref, edits)


def _group_configuration(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """Settings of a TargetGroupConfiguration: of its default, or of one route, with a guard for which one."""
    if ref.kind != kinds.TARGET_GROUP_CONFIGURATION.name or not edits:
        return None
    return changed_configuration(ref, edits)


def _target_reference(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The Service that a TargetGroupConfiguration is for."""
    if ref.kind != kinds.TARGET_GROUP_CONFIGURATION.name or [e.pointer for e in edits] != [
        "/spec/targetReference/name"
    ]:
        return None
    (edit,) = edits
    named = all(isinstance(name, str) and is_label(name) for name in (edit.now, edit.then))
    return patch(ref, "spec.targetReference.name", edit) if named and edit.now != edit.then else None


def _route_identifier(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The route that an entry of a TargetGroupConfiguration is for."""
    if ref.kind != kinds.TARGET_GROUP_CONFIGURATION.name or len(edits) != 1:
        return None
    (edit,) = edits
    if _ROUTE_IDENTIFIER.fullmatch(edit.pointer) is None or edit.now == edit.then:
        return None
    good = _is_identifier(edit.now) and _is_identifier(edit.then)
    return patch(ref, edit.pointer[1:].replace("/", "."), edit) if good else None


def _is_identifier(value: object) -> bool:
    """Whether it names a route, there or not, by kind and name, and by namespace where it says one."""
    if not isinstance(value, dict) or not {"kind", "name"} <= value.keys() <= {"kind", "name", "namespace"}:
        return False
    return all(_is_text(part) and 0 < len(str(part)) <= 253 for part in value.values())


_SHAPES: tuple[Callable[[ObjectRef, Sequence[Edit]], Change | None], ...] = (
    *(_annotations, _service_field, _target_port, _ingress_class, _backend_port),
    *(_route_port, _allowed_routes, _group_configuration, _target_reference, _route_identifier),
    *(changed_balancer_configuration, named_configuration),
)


def _is_selector(value: object) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(_is_match(_LABEL_KEY, k) and _is_match(_LABEL_VALUE, v) for k, v in value.items())


def _is_backend_port(value: object) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    return _is_port(value.get("number")) or _is_match(_PORT_NAME, value.get("name"))


def _is_port(value: object) -> bool:
    return type(value) is int and 1 <= value <= 65535


def _is_match(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and is_subdomain(value)


def _same(found: object, wanted: object) -> bool:
    return type(found) is type(wanted) and found == wanted


def _is_text(value: object) -> bool:
    """Whether it is text that every program takes: no half of a surrogate pair, no end of a C string."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- Target groups ----------------------------------------------------------------------------------------------------


def _of_group(change: Change) -> Change:
    group, edits = change.group, change.edits
    assert group is not None
    arn = parse_arn(group.arn)
    whole = re.fullmatch(
        r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-z]+", group.arn
    )
    if arn is None or whole is None or group.region not in ("", arn.region):
        raise NoSuchShape("the target group")
    if change.object != ObjectRef(kinds.TARGET_GROUP.name, "", arn.target_group):
        raise NoSuchShape("the object")
    values = {edit.pointer: edit.then for edit in edits}
    back = {edit.pointer: edit.now for edit in edits}
    if len(values) < len(edits) or any(len(calls(group, given)) != 1 for given in (values, back)):
        raise NoSuchShape("more than one call for a target group")
    if not all(_is_group_edit(edit) for edit in edits):
        raise NoSuchShape("the setting of the target group")
    return setting(change.object, edits, group)


def _is_group_edit(edit: Edit) -> bool:
    if not is_editable(edit.pointer) or _same(edit.now, edit.then):
        return False
    return all(_is_group_value(edit.pointer, value) for value in (edit.now, edit.then))


def _is_group_value(pointer: str, value: object) -> bool:
    if pointer.startswith(ATTRIBUTES):
        return value in ("true", "false")
    allowed = _GROUP_VALUES[pointer]
    if value is None:
        return pointer in (PATH, HTTP_CODES, GRPC_CODES)
    return type(value) is int and value in allowed if isinstance(allowed, range) else _is_match(allowed, value)
