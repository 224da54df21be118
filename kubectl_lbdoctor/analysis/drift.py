"""Whether targets fail because their group was changed in AWS, and how it gets back what is asked for. Pure.

Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/deploy/elbv2/target_group_manager.go
(each reconciliation compares the health check with DescribeTargetGroups and modifies what differs; registering targets
may be deferred, that may not) and docs/deploy/configurations.md there (sync-period).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, readiness_of
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.group_settings import codes_pointer, modify
from kubectl_lbdoctor.knowledge.annotation_health import HealthCheckIntent
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.finding import Evidence, Source
from kubectl_lbdoctor.model.group_edits import PATH, PROTOCOL, GroupAddress
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Alternative, Repair
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

POINTERS = {
    "protocol": PROTOCOL,
    "port": "/HealthCheckPort",
    "path": PATH,
    "interval": "/HealthCheckIntervalSeconds",
    "timeout": "/HealthCheckTimeoutSeconds",
    "healthy threshold": "/HealthyThresholdCount",
    "unhealthy threshold": "/UnhealthyThresholdCount",
}
"""What can differ, besides the success codes, by the name that a finding gives it."""

_ANSWER = frozenset({"path", "success codes", "protocol", "port"})
_BY_REASON = {
    RESPONSE_CODE_MISMATCH: _ANSWER,
    FAILED_HEALTH_CHECKS: frozenset({"protocol", "port"}),
    TIMEOUT: frozenset({"timeout", "port"}),
}
"""The settings by which targets can fail with a reason."""


@record
class DriftBlame:
    """Targets that fail by a setting that differs. proven: something shows that they pass the check that is asked for.
    alternatives: other ways to repair it than to undo the change in AWS."""

    targets: tuple[TargetHealth, ...]
    proven: bool
    evidence: tuple[Evidence, ...]
    alternatives: tuple[Alternative, ...]


def drift_blame(
    traffic: TrafficPath, group: TargetGroup, differing: set[str], wanted: HealthCheckIntent
) -> DriftBlame | None:
    """What a drift accounts for; None where no target fails by it, or they would fail the check that is asked for, too.

    differing: names of the settings that differ. Raises `Unknown` where target health could not be read.
    """
    if wanted.grpc != group.is_grpc:
        return None  # The controller makes another group then, whose codes are of another kind.
    targets = tuple(t for t in traffic.unhealthy(*_BY_REASON) if _reachable_by(traffic, t) & differing)
    if not targets:
        return None
    port, path = checked_pod_port(traffic, targets[0]), str(wanted.path.value or "")
    same_request = not differing & {"port", "protocol"}
    told = pod_evidence.conclusive_answers(
        pod_evidence.answers(traffic, pod_evidence.pods_behind(traffic, targets), port=port, path=path)
    )
    tried = told if same_request and path and path != group.health_check.path else ()
    good = [answer for answer in tried if pod_evidence.is_success(answer)]
    if tried and not good:
        return None
    evidence = pod_evidence.evidence(good)
    pods = traffic.matching_pods() if port is not None and traffic.namespace_facts.pods.is_known else ()
    probes = [p for pod in pods if pod.containers_ready and (p := readiness_of(pod, port or 0)) is not None]
    asks_it = same_request and any(pod_evidence.path_of(p) == path and not p.host_header for p in probes)
    other = [pod_evidence.path_of(p) for p in probes if pod_evidence.path_of(p) != path]
    if other and len(other) == len(probes) and not good and "path" in differing and group.health_check.path in other:
        return None  # The readiness probe succeeds on the path that AWS has: that one was meant.
    if asks_it:
        evidence = (*evidence, Evidence(Source.PODS, f"the readiness probe succeeds on {path}"))
    return DriftBlame(targets, bool(good) or asks_it, evidence, _other_ways(traffic, targets))


def _reachable_by(traffic: TrafficPath, target: TargetHealth) -> frozenset[str]:
    """The settings by which this target can fail."""
    # A Network Load Balancer gives one reason for a wrong answer and for none.
    found = _BY_REASON[target.reason] if traffic.is_alb else _ANSWER | {"timeout"}
    group = traffic.target_group.peek()
    port = group.health_check.port if group is not None else ""
    # AWS tells for each target which port is asked; a change that has not arrived there has not made it fail.
    asked = target.check_port in ("", str(target.port)) if not port.isdigit() else target.check_port == port
    return found if asked else found - {"port"}


def _other_ways(traffic: TrafficPath, targets: Iterable[TargetHealth]) -> tuple[Alternative, ...]:
    """To annotate another path, or other success codes, where the check is answered."""
    if not any(target.codes for target in targets):
        return ()
    sources = {name: setting_source(traffic, name) for name in ("healthcheck-path", "success-codes")}
    return tuple(Alternative(name, template=source.template) for name, source in sources.items())


def restored(
    traffic: TrafficPath, group: TargetGroup, wanted: HealthCheckIntent, differing: Iterable[tuple[str, object]]
) -> Repair:
    """Give the group what is asked for. differing: names and wanted values."""
    codes = codes_pointer(group)
    values = {POINTERS.get(name, codes): str(value) for name, value in differing}
    if values.get(PROTOCOL) in ("HTTP", "HTTPS"):
        # Path and codes of a check by another protocol are nobody's, so they are not compared.
        values |= {PATH: str(wanted.path.value)} if wanted.path.value else {}
        values |= {codes: wanted.matcher.value} if wanted.matcher.value else {}
    ref = ObjectRef("TargetGroup", "", group.name)
    change = modify(ref, GroupAddress(group.arn, traffic.context.region), group, values)
    risk = "what was changed in AWS is lost; undo brings it back"
    return Repair("asked-for", (replace(change, why="the annotations ask for it", risk=risk),))
