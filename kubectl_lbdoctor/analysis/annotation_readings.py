"""What would be different if an annotation that nobody reads were read: the test of whether it is a cause. Pure.

The object is read again with the key taken as the one that is meant. Where another value of a setting follows, the
findings that rest on the present value would not be made, unless an answer to a probe shows that the meant value fails,
too. The key is then the cause, and those findings are its effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, readiness_of
from kubectl_lbdoctor.analysis.desired_state import (
    Declaration,
    declaration_of,
    desired_health_check,
    desired_target_type,
)
from kubectl_lbdoctor.knowledge.annotations import (
    ALB_PREFIX,
    NLB_STEM,
    HealthCheckIntent,
    ValueProblem,
    check_value,
    nearest_key,
    resolve,
    same_name,
    spec_for,
)
from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model.aws import HealthCheck, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Confidence
from kubectl_lbdoctor.model.k8s import Ingress, Meta, Service
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_ANSWERS = ("LBD301", "LBD302", "LBD303", "LBD304", "LBD317")
_UNEXPLAINED = "LBD005"

OF_THE_CHECK: Mapping[str, tuple[str, ...]] = {
    "path": (*_ANSWERS, "LBD309", "LBD312", "LBD318"),
    "matcher": (*_ANSWERS, "LBD312"),
    "port": (*_ANSWERS, "LBD305", "LBD306", "LBD307", "LBD308", "LBD309", "LBD313", "LBD314", "LBD315", "LBD318"),
    "protocol": (*_ANSWERS, "LBD305", "LBD306", "LBD314", "LBD316"),
    "timeout_seconds": ("LBD309",),
    "interval_seconds": ("LBD309",),
}
"""Setting of a health check (`HealthCheckIntent`) → codes of the findings that rest on its value."""

_SCHEME = ("LBD504", "LBD510", "LBD511", "LBD512")
_CERTIFICATE = ("LBD103", "LBD104", "LBD209")

OF_THE_REST: Mapping[str, tuple[str, ...]] = {
    "scheme": _SCHEME,
    "internal": _SCHEME,
    "subnets": ("LBD208", "LBD510", "LBD511", "LBD512"),
    "security-groups": ("LBD504",),
    "inbound-cidrs": ("LBD504",),
    "load-balancer-source-ranges": ("LBD504",),
    "manage-backend-security-group-rules": ("LBD501", "LBD514"),
    "backend-protocol-version": ("LBD306",),
    "proxy-protocol": ("LBD314", "LBD322"),
    "target-group-attributes": ("LBD314", "LBD322", "LBD603"),
    "load-balancer-attributes": ("LBD208", "LBD603"),
    "attributes": ("LBD208", "LBD603"),
    "cross-zone-load-balancing-enabled": ("LBD208", "LBD603"),
    "target-node-labels": ("LBD206", "LBD207"),
    "listen-ports": _CERTIFICATE,
    "certificate-arn": _CERTIFICATE,
    "ssl-cert": _CERTIFICATE,
    "ssl-ports": _CERTIFICATE,
    "ip-address-type": ("LBD213",),
    "type": ("LBD101",),
}
"""Name of any other annotation, without the prefix → codes of the findings that rest on its value."""

OF_THE_TARGET_TYPE: Mapping[str, tuple[str, ...]] = {
    "instance": (
        *("LBD204", "LBD207", "LBD502", "LBD516", "LBD517", "LBD518", "LBD519", "LBD601", "LBD602", "LBD605"),
        "LBD609",
    ),
    "ip": ("LBD211", "LBD212", "LBD213", "LBD514"),
}
"""Target type that is in force → codes of the findings that are only made with such targets."""


_ADDED_LATER = {"healthcheck-success-codes": "matcher"}
"""The settings of a health check that older controllers do not read: annotation → field of `HealthCheckIntent`."""


@record
class Reading:
    """An annotation that is not read, and what it is taken for: the key `meant` on the object `place`."""

    place: ObjectRef
    meant: str
    value: str


def explained_by(traffic: TrafficPath, reading: Reading) -> tuple[str, ...]:
    """The codes of the findings on this path that would not be made if the annotation were read; () where it would
    change nothing, where its value would be refused, or where what is needed to tell is not known."""
    with suppress(Unknown):
        front = declaration_of(traffic)
        if front is None:
            return OF_THE_REST["type"] if _name(reading.meant) == "type" else ()
        then = _read_again(front, reading)
        if then is not None and _is_valid(reading):
            rest = _by_rest(traffic, front, then, reading)
            return tuple(dict.fromkeys((*explained_by_check(traffic, reading), *rest)))
    return ()


def explained_if_read(traffic: TrafficPath, key: str, value: str) -> tuple[str, ...]:
    """The codes of the findings that rest on the setting of a known annotation that the running controller is too old
    for: the desired state, which takes the annotation for read, cannot be compared with itself. () for a setting of the
    health check that AWS has all the same."""
    name = _name(key)
    setting = _ADDED_LATER.get(name, "")
    if not setting:
        return OF_THE_REST.get(name, ())
    group = traffic.target_group.peek()
    differs = group is not None and _real(group.health_check, setting) != value
    return OF_THE_CHECK[setting] if differs and failing_targets(traffic) else ()


def explained_by_check(traffic: TrafficPath, reading: Reading) -> tuple[str, ...]:
    """The same, of the findings about targets that fail their health check now."""
    with suppress(Unknown):
        front = declaration_of(traffic)
        then = _read_again(front, reading) if front is not None else None
        if front is not None and then is not None and _is_valid(reading):
            return _by_check(traffic, front, then)
    return ()


def confidence(traffic: TrafficPath, reading: Reading) -> Confidence:
    """How sure it is that what `explained_by` gives would not be found: certain unless it is about the health check,
    and nothing shows that the targets pass the check that is meant."""
    if not explained_by_check(traffic, reading) or is_known_to_pass(traffic, reading):
        return Confidence.CERTAIN
    return Confidence.LIKELY


def meant_paths(traffic: TrafficPath) -> tuple[str, ...]:
    """The check paths that annotations of Ingress and Service ask for under keys that nobody reads."""
    found: dict[str, None] = {}
    for item in (traffic.ingress.peek(), traffic.service.peek()):
        for key, value in item.meta.annotations.items() if item is not None else ():
            near = None if spec_for(key) is not None else nearest_key(key) or same_name(ALB_PREFIX, key)
            if near is not None and _name(near.key) == "healthcheck-path" and value.startswith("/"):
                found[value] = None
    return tuple(found)


def is_known_to_pass(traffic: TrafficPath, reading: Reading) -> bool:
    """Whether a probe or the readiness probe shows that the check, with this annotation read, is passed."""
    with suppress(Unknown):
        front, group = declaration_of(traffic), traffic.target_group.need()
        then = _read_again(front, reading) if front is not None else None
        if then is None or group is None or not _is_valid(reading):
            return False
        wanted = desired_health_check(traffic, then)
        failing = failing_targets(traffic)
        if _real(group.health_check, "path") == wanted.path.value and _accepted(wanted, failing):
            return True
        told = _answers(traffic, wanted, failing)
        if told:
            return all(told)
        ports = {checked_pod_port(traffic, target) for target in failing}
        pods = [pod for pod in pod_evidence.pods_behind(traffic, failing) if pod.containers_ready]
        probes = [readiness_of(pod, port) for pod in pods for port in ports if port is not None]
        return bool(probes) and all(
            probe is not None
            and not probe.host_header
            and (probe.scheme, pod_evidence.path_of(probe)) == (wanted.protocol.value, wanted.path.value)
            for probe in probes
        )
    return False


def _name(key: str) -> str:
    return key.partition("/")[2].removeprefix(NLB_STEM)


def _is_valid(reading: Reading) -> bool:
    spec = spec_for(reading.meant)
    if spec is None or reading.place.kind not in spec.locations:
        return False
    try:
        check_value(spec, reading.meant, reading.value)
    except ValueProblem:
        return False
    return True


def _read_again(front: Declaration, reading: Reading) -> Declaration | None:
    """The same objects, with the annotation read; None where the place is none of them."""
    if front.ingress is not None and _is(reading.place, front.ingress):
        return replace(front, ingress=replace(front.ingress, meta=_annotated(front.ingress.meta, reading)))
    if front.service is not None and _is(reading.place, front.service):
        return replace(front, service=replace(front.service, meta=_annotated(front.service.meta, reading)))
    return None


def _is(ref: ObjectRef, item: Ingress | Service) -> bool:
    return (ref.kind, ref.namespace, ref.name) == (type(item).__name__, item.meta.namespace, item.meta.name)


def _annotated(meta: Meta, reading: Reading) -> Meta:
    return replace(meta, annotations={**meta.annotations, reading.meant: reading.value})


# --- The health check -------------------------------------------------------------------------------------------------


def failing_targets(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    return traffic.unhealthy(RESPONSE_CODE_MISMATCH, FAILED_HEALTH_CHECKS, TIMEOUT)


def _by_check(traffic: TrafficPath, front: Declaration, then: Declaration) -> tuple[str, ...]:
    group, failing = traffic.target_group.need(), failing_targets(traffic)
    if group is None or not failing:
        return ()
    now, wanted = desired_health_check(traffic, front).settings(), desired_health_check(traffic, then)
    if wanted.errors:
        return ()
    changed = {
        name
        for name, setting in wanted.settings().items()
        if name in OF_THE_CHECK
        and setting.value is not None
        and setting.value != now[name].value
        and str(setting.value) != _real(group.health_check, name)
    }
    if not changed or not _may_pass(traffic, group, wanted, changed, failing):
        return ()
    codes = [code for name in sorted(changed) for code in OF_THE_CHECK[name]]
    # No code says what is wrong where the load balancer does not tell a wrong answer from none.
    untold = any(t.reason == FAILED_HEALTH_CHECKS for t in failing) and changed - {"timeout_seconds"}
    return (*codes, _UNEXPLAINED) if untold else tuple(codes)


def _real(check: HealthCheck, name: str) -> str:
    return str(getattr(check, name.removesuffix("_seconds")))


def _may_pass(
    traffic: TrafficPath,
    group: TargetGroup,
    wanted: HealthCheckIntent,
    changed: set[str],
    failing: tuple[TargetHealth, ...],
) -> bool:
    """Whether nothing that is known says that the targets would fail the wanted check, too."""
    if changed <= {"timeout_seconds", "interval_seconds"}:
        return (wanted.timeout_seconds.value or 0) > group.health_check.timeout
    if changed == {"matcher"} and any(target.codes for target in failing):
        return _accepted(wanted, failing)
    told = _answers(traffic, wanted, failing)
    return not told or any(told)


def _accepted(wanted: HealthCheckIntent, failing: tuple[TargetHealth, ...]) -> bool:
    """Whether the codes that the targets answer with are success codes of the wanted check."""
    codes = {code for target in failing for code in target.codes}
    return bool(codes) and all(code.isdigit() and accepts(wanted.matcher.value or "", int(code)) for code in codes)


def _answers(traffic: TrafficPath, wanted: HealthCheckIntent, failing: tuple[TargetHealth, ...]) -> list[bool]:
    """Whether each answer of the failing targets' pods to the wanted check is a success."""
    found: list[bool] = []
    for target in failing:
        port = _port(traffic, wanted, target)
        if port is None:
            continue
        pods = pod_evidence.pods_behind(traffic, (target,))
        told = pod_evidence.answers(traffic, pods, port=port, protocol=wanted.protocol.value)
        mine = [a for a in told if wanted.path.value in (None, a.request.path) and _of_the_balancer(a.request.host)]
        for answer in pod_evidence.conclusive_answers(mine):
            asked = replace(answer, request=replace(answer.request, matcher=wanted.matcher.value or "200-399"))
            found.append(pod_evidence.is_success(asked))
    return found


def _of_the_balancer(host: str) -> bool:
    """Whether a load balancer sends such a Host header: an address and a port, or none that is told."""
    return not host or ":" in host


def _port(traffic: TrafficPath, wanted: HealthCheckIntent, target: TargetHealth) -> int | None:
    value = str(wanted.port.value)
    if traffic.target_type != "ip":
        return checked_pod_port(traffic, target) if value == "traffic-port" else None
    return int(value) if value.isdigit() else target.port


# --- Everything else --------------------------------------------------------------------------------------------------


def _by_rest(traffic: TrafficPath, front: Declaration, then: Declaration, reading: Reading) -> tuple[str, ...]:
    name = _name(reading.meant)
    if name in ("target-type", "nlb-target-type"):
        now = traffic.target_type or desired_target_type(traffic, front).value
        return OF_THE_TARGET_TYPE.get(now, ()) if desired_target_type(traffic, then).value != now else ()
    present = resolve(reading.meant, front.ingress_annotations, front.service_annotations).value
    return OF_THE_REST.get(name, ()) if present != reading.value else ()
