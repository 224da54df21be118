"""What do findings about a health check have in common: what they read and show, and which workload they are about?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.pod_evidence import Ready
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Source
from kubectl_lbdoctor.model.target_reasons import RESPONSE_CODE_MISMATCH
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_BACKEND = (
    reads.INGRESSES,
    reads.SERVICES,
    reads.PODS,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
)
READS = (*_BACKEND, reads.LISTENERS)
ANSWER_READS = (*_BACKEND, reads.CONTROLLER, reads.WORKLOADS)
"""What checks of an answer read: what mends it may be a change that the controller has not applied yet, or a template
that has not reached the pods."""
SCHEMES = ("HTTP", "HTTPS")
"""The protocols of a check that sends a request, and reads the answer."""


def checked_group(traffic: TrafficPath) -> TargetGroup:
    """The target group whose check fails. Raises NotApplicable where there is none, or none of a Service."""
    group = traffic.target_group.need()
    if group is None or traffic.service.need() is None:
        raise NotApplicable("no target group of a Service")
    return group


def health_evidence(traffic: TrafficPath, failing: Sequence[TargetHealth]) -> Evidence:
    """What the load balancer says of failing targets: "2 of 3 targets: Target.Timeout"."""
    said = failing[0].description if failing[0].reason == RESPONSE_CODE_MISMATCH else failing[0].reason
    return Evidence(Source.TARGET_GROUP, f"{part_of(len(failing), len(traffic.targets()))}: {said}")


def probe_evidence(probed: list[Ready]) -> Evidence:
    """The first of readiness probes that succeed, and in how many pods they do."""
    return Evidence(Source.PODS, f"readinessProbe {describe_probe(probed[0].probe)} succeeds in {len(probed)}")


def keys_of(failing: Iterable[TargetHealth]) -> tuple[str, ...]:
    """The targets of a finding."""
    return tuple(t.key for t in failing)


def request_of(group: TargetGroup) -> str:
    """What the check asks: "HTTP /healthz", "TCP"."""
    return f"{group.health_check.protocol} {group.health_check.path}".rstrip()


def of_one_workload(traffic: TrafficPath, finding: Finding, failing: Iterable[TargetHealth]) -> Finding:
    """The same finding, about the workload whose pods alone fail what those of another pass behind the same Service: to
    change the check or the Service would break what works."""
    odd = pod_evidence.differing_workload(traffic, failing)
    service = traffic.service.peek()
    if odd is None or service is None:
        return finding
    bad, good = odd
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    said = Evidence(Source.PODS, f"those of {bad} fail, and those of {good} pass the same check")
    listed = kubectl("get", "pods", "-l", selector, "--show-labels", namespace=traffic.namespace)
    return replace(
        finding,
        object=bad,
        evidence=(*finding.evidence, said),
        repairs=(),
        by_hand=(),
        repair_template=None,
        fix_automatic=False,
        alternatives=(),
        confirm=(*finding.confirm, listed),
        advice=f"let the pods of {bad} serve as those of {good} do; or, if {traffic.service_ref} is not to lead to "
        f"them, narrow its selector, which matches both ({selector})",
    )
