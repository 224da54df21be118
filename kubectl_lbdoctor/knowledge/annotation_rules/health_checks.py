"""Annotations of a health check that contradict each other or count for nothing: interval against timeout, a path that
a check by TCP does not ask, a protocol version that its listeners do not take, a port that has no such name.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.knowledge.annotation_catalogue import NLB_STEM
from kubectl_lbdoctor.knowledge.annotation_health import (
    NO_ANNOTATIONS,
    HealthCheckIntent,
    Setting,
    TargetType,
    effective_health_check,
)
from kubectl_lbdoctor.knowledge.annotation_rules.linted import AnnotationProblem, Facts
from kubectl_lbdoctor.knowledge.annotation_values import (
    GRPC_CODES,
    HTTP_CODES_ALB,
    TRAFFIC_PORT,
    ValueProblem,
    parse_port,
)

_ALB_TIMING_ERROR = "Health check interval must be greater than the timeout."


def alb_interval_over_timeout(facts: Facts) -> Iterator[AnnotationProblem]:
    """An ALB's interval must be longer than its timeout: ELB refuses the target group otherwise
    (https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2951). Which of the two counts where both
    objects have one is the Service's.
    """
    interval, timeout = "healthcheck-interval-seconds", "healthcheck-timeout-seconds"
    if not facts.complete and None in (facts.own(interval), facts.own(timeout)):
        return
    other = facts.context.counterpart or NO_ANNOTATIONS
    ingress, service = (facts.annotations, other) if facts.kind == "Ingress" else (other, facts.annotations)
    intent = effective_health_check("alb", ingress_annotations=ingress, service_annotations=service)
    wanted, limit = intent.interval_seconds, intent.timeout_seconds
    if wanted.value is None or limit.value is None or wanted.value > limit.value:
        return
    here = f"{facts.kind} annotation"
    # Reported once per route: on the object whose interval is in force, else on the one whose timeout is. What a
    # Service says beside an interval for all backends of its Ingress is about itself, and so is the repair.
    apart = (wanted.source, limit.source) == ("Ingress annotation", "Service annotation")
    if here != (limit.source if apart or wanted.source == "default" else wanted.source):
        return
    suffix = timeout if apart or wanted.source == "default" else interval
    below = f"it must be below the interval ({wanted.value} s)"
    yield facts.problem(
        "conflict",
        "interval-timeout",
        suffix,
        below if apart else f"it must exceed the timeout ({_said(limit)})",
        controller_error=_ALB_TIMING_ERROR,
        suggested_value=_timing_fix(suffix == interval, wanted.value, limit.value, 1),
        related=tuple(setting.key for setting in (wanted, limit) if setting.key),
    )


def nlb_interval_not_under_timeout(facts: Facts) -> Iterator[AnnotationProblem]:
    """An NLB's interval must not be shorter than its timeout, whichever of the two has its default.
    The defaults are in docs/facts.md, "Health checks that the controller asks for"."""
    asked = [facts.own(NLB_STEM + name) is not None for name in ("healthcheck-interval", "healthcheck-timeout")]
    # The defaults are certain for a network load balancer of a known owner; else both numbers must be written.
    if not any(asked) or (not all(asked) and (facts.owner == "unknown" or facts.is_classic)):
        return
    # Where it is not known whether kube-proxy's port is checked, only what is wrong either way counts.
    found = [_nlb_timing(facts, intent) for intent in _possible_intents(facts)]
    if found and all(found):
        yield from (problem for problem in found[:1] if problem is not None)


def _nlb_timing(facts: Facts, intent: HealthCheckIntent) -> AnnotationProblem | None:
    wanted, limit = intent.interval_seconds, intent.timeout_seconds
    if wanted.value is None or limit.value is None or wanted.value >= limit.value or not (wanted.key or limit.key):
        return None
    key = wanted.key or limit.key
    return facts.problem(
        "conflict",
        "interval-timeout",
        key,
        f"the interval ({_said(wanted)}) must not be shorter than the timeout ({_said(limit)})",
        suggested_value=_timing_fix(key == wanted.key, wanted.value, limit.value, 0),
        related=tuple(setting.key for setting in (wanted, limit) if setting.key),
    )


def _said(setting: Setting[int]) -> str:
    return f"{setting.value} s{', the default' if setting.source == 'default' else ''}"


def _timing_fix(interval: bool, wanted: int, limit: int, distance: int) -> str:
    """A value within AWS's ranges that repairs the pair by changing only the interval, or only the timeout."""
    if interval:
        return str(max(5, limit + distance)) if limit + distance <= 300 else ""
    return str(wanted - distance) if 2 <= wanted - distance <= 120 else ""


def _possible_intents(facts: Facts) -> list[HealthCheckIntent]:
    """What the annotations may ask an NLB for, given that some facts may be missing."""
    policy, service_type, target_type = (
        facts.context.external_traffic_policy,
        facts.context.service_type,
        facts.nlb_target_type,
    )
    return [
        effective_health_check(
            "nlb",
            service_annotations=facts.annotations,
            target_type=possible_type,
            external_traffic_policy=possible_policy,
            service_type=service_type or "LoadBalancer",
            owner=facts.owner,
            controller_version=facts.controller_version,
        )
        for possible_type in ([target_type] if target_type else _TARGET_TYPES)
        for possible_policy in ([policy] if policy is not None else ["Cluster", "Local"])
    ]


_TARGET_TYPES: list[TargetType] = ["instance", "ip"]


def frontend_interval_not_under_timeout(facts: Facts) -> Iterator[AnnotationProblem]:
    """The same for the NLB that `enable-frontend-nlb` puts in front of an ALB. Nothing is said of a member of a group,
    whose other members may set the other number."""
    intent = effective_health_check("frontend-nlb", ingress_annotations=facts.annotations)
    problem = _nlb_timing(facts, intent)
    if problem is not None and not facts.in_group:
        yield problem


def unused_with_tcp_check(facts: Facts) -> Iterator[AnnotationProblem]:
    """An NLB's path and success codes are not used while its check is TCP, which is the default."""
    names = [
        NLB_STEM + name for name in ("healthcheck-path", "healthcheck-success-codes") if facts.own(NLB_STEM + name)
    ]
    if not names or not all(intent.protocol.value == "TCP" for intent in _possible_intents(facts)):
        return
    protocol = NLB_STEM + "healthcheck-protocol"
    default = "" if facts.own(protocol) is not None else ", the default"
    for name in names:
        yield facts.problem(
            "no-effect",
            "tcp-check",
            name,
            f"the check is TCP{default}",
            suggested_key=protocol,
            suggested_value="http",
            related=(protocol,),
        )


def success_code_limits(facts: Facts) -> tuple[tuple[int, int], ...]:
    """The ranges that an ALB's success codes may come from: one, or both when the protocol version is not known."""
    version = facts.merged("backend-protocol-version")
    overridden = facts.kind == "Ingress" and facts.merged("success-codes") != facts.own("success-codes")
    if overridden or (version is None and facts.context.counterpart is None):
        return (HTTP_CODES_ALB, GRPC_CODES)
    return (GRPC_CODES,) if version == "GRPC" else (HTTP_CODES_ALB,)


def newer_versions_need_https(facts: Facts) -> Iterator[AnnotationProblem]:
    """Only HTTPS listeners forward to a target group of version HTTP2 or GRPC, and the controller puts the rules of an
    Ingress on all of its listeners: AWS refuses those of an HTTP one.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html#target-group-protocol-version
    """
    version = facts.own("backend-protocol-version")
    if version not in ("HTTP2", "GRPC") or facts.merged("backend-protocol-version") != version:
        return
    ports = facts.plain_ports()
    if ports:
        yield facts.problem(
            "conflict",
            "version-listener",
            "backend-protocol-version",
            f"AWS refuses it for HTTP port{'s' if ports[1:] else ''} {', '.join(map(str, ports))}",
            controller_error="InvalidLoadBalancerAction: Listener protocol 'HTTP' is not supported with a target group "
            f"with the protocol-version '{version}'",
            related=("listen-ports",),
            advice="listen by HTTPS (listen-ports, certificate-arn), and let HTTP redirect there (ssl-redirect)",
        )


def alb_port_name(facts: Facts) -> Iterator[AnnotationProblem]:
    """The health check port of an ALB's target group names a port that the Service does not have."""
    if facts.merged("healthcheck-port") == facts.own("healthcheck-port"):
        yield from _port_name(facts, "healthcheck-port")


def nlb_port_name(facts: Facts) -> Iterator[AnnotationProblem]:
    """The health check port of an NLB's target group names a port that the Service does not have. The cloud provider
    takes numbers only, and is left out."""
    if facts.owner != "cloud-provider":
        yield from _port_name(facts, NLB_STEM + "healthcheck-port")


def _port_name(facts: Facts, suffix: str) -> Iterator[AnnotationProblem]:
    text, ports = facts.own(suffix), facts.context.service_ports
    if not text or ports is None:
        return
    try:
        port = parse_port(text)
    except ValueProblem:
        return
    names = [name for name, _ in ports if name]
    if isinstance(port, int) or port == TRAFFIC_PORT or port in names:
        return
    yield facts.problem(
        "invalid-value",
        "port-name",
        suffix,
        f"the Service has no port named {port!r} (it has {', '.join(names) or 'no named port'})",
        controller_error=f"failed to resolve healthCheckPort: unable to find port {port} on service",
        suggested_value=next((name for name in names if name.lower() == port.lower()), TRAFFIC_PORT),
    )
