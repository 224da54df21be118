"""LBD318: the pods are ready and the check fails, because the kubelet and the load balancer ask different things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, readiness_of
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.meshes import application_ports
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.remediation import annotate
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, Probe
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_HTTP = ("HTTP", "HTTPS")


@check(
    "LBD318",
    title="failing targets are checked where their readiness probe asks",
    severity=Severity.INFO,
    message='the check asks [port {port} ]["{path}"], the readiness probe, which succeeds, asks '
    '[port {probe_port} ]["{probe}"]',
    reads=(
        *(reads.INGRESSES, reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES, reads.BINDINGS, reads.LOAD_BALANCERS),
        *(reads.LISTENERS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    symptom=True,
    fix="healthcheck-path",
    distinct_by=("path", "probe", "port", "probe_port"),
)
def check_asks_elsewhere_than_readiness(traffic: TrafficPath) -> Iterator[Finding]:
    """Targets fail their check while their pods are ready: the readiness probe, which succeeds, asks another path on
    the same port, or another port. Alone that proves nothing; where no cause is proven it is the next thing to try: a
    Network Load Balancer does not tell a wrong path from a closed port.

    Confirm by hand: `curl -i` both. Repair: check what the readiness probe asks.
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    failing = traffic.unhealthy(FAILED_HEALTH_CHECKS, TIMEOUT)
    port = checked_pod_port(traffic, failing[0]) if failing else None
    if port is None:
        return
    ready = [pod for pod in traffic.matching_pods() if pod.containers_ready]
    http = group.health_check.protocol in _HTTP
    probes = {p.path or "/": p for pod in ready if (p := readiness_of(pod, port)) is not None}
    probed = pod_evidence.ready(ready)
    if probes and http and group.health_check.path not in probes:
        yield _another_path(traffic, group, ready, *sorted(probes.items())[0])
    elif probed and all(found.port != port for found in probed) and _seems_served(failing[0], port, ready):
        yield _another_port(traffic, group, port, probed)


def _seems_served(target: TargetHealth, port: int, pods: list[Pod]) -> bool:
    """Whether the pods declare the checked port, and no filter stands before it as far as the reason tells: else the
    port itself or the filter is what to look at (LBD307, LBD313, LBD501)."""
    return target.reason == FAILED_HEALTH_CHECKS and all(port in application_ports(pod) for pod in pods)


def _another_path(traffic: TrafficPath, group: TargetGroup, ready: list[Pod], other: str, probe: Probe) -> Finding:
    path = group.health_check.path
    owner = setting_source(traffic, "healthcheck-path")
    return Finding(
        "LBD318",
        owner.ref,
        params={"path": path, "probe": other, "port": "", "probe_port": ""},
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{group.health_check.protocol} {path}"),
            Evidence(Source.PODS, f"readinessProbe {describe_probe(probe)} succeeds in {len(ready)} of {len(ready)}"),
        ),
        confidence=Confidence.POSSIBLE,
        repairs=(owner.repair(other, "the readiness probe succeeds there"),),
    )


def _another_port(traffic: TrafficPath, group: TargetGroup, port: int, probed: list[pod_evidence.Ready]) -> Finding:
    """One port is asked by the load balancer, another by the kubelet: that the pods are ready says nothing of the
    first."""
    check_settings, first = group.health_check, probed[0]
    http = check_settings.protocol in _HTTP
    other = pod_evidence.path_of(first.probe) if http and first.probe.kind == "httpGet" else ""
    owner = setting_source(traffic, "healthcheck-port")
    repairs: tuple[Repair, ...] = ()
    if traffic.target_type == "ip":  # A container's port is no port of a node.
        why = "the readiness probe succeeds there"
        repair = owner.repair(str(first.port), why, "the port that takes the traffic is not checked any more")
        path_owner = setting_source(traffic, "healthcheck-path")
        if other and other != check_settings.path and path_owner.ref == owner.ref:
            both = annotate(owner.ref, owner.annotations, {owner.key: str(first.port), path_owner.key: other})
            repair = replace(repair, changes=(both,), accepts_any_value=False)
        repairs = (repair,)
    return Finding(
        "LBD318",
        owner.ref,
        params={
            "path": check_settings.path if http else "",
            "probe": other,
            "port": str(port),
            "probe_port": str(first.port),
        },
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{check_settings.protocol} {check_settings.path} on port {port}"),
            Evidence(Source.PODS, f"readinessProbe {describe_probe(first.probe)} succeeds in {len(probed)}"),
        ),
        confidence=Confidence.POSSIBLE,
        repairs=repairs,
        fix="healthcheck-port",
    )
