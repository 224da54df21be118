"""LBD221: a selector that takes in another workload beside the one that the Service is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.analysis.meshes import application_ports
from kubectl_lbdoctor.analysis.other_workloads import PREFERRED_LABELS, Guests, guests, is_job, telling_labels
from kubectl_lbdoctor.analysis.pod_evidence import ready
from kubectl_lbdoctor.analysis.remediation import edit, kubectl, patch
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, Service, ServicePort
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class _Harm:
    """What comes of it that another workload's pods are taken in. kind: "targets" (they are the targets that fail),
    "nodes" (nodes lead to them, and they do not serve the port) or "nothing" (they have no such port)."""

    kind: str
    severity: Severity | None
    targets: tuple[TargetHealth, ...] = ()
    confidence: Confidence = Confidence.CERTAIN


@check(
    "LBD221",
    title="the Service's selector takes in pods of another application",
    passes="the Service's selector takes in the pods of one application",
    severity=Severity.ERROR,
    message="the selector of Service {service} ({selector}) also matches pods of "
    "{guest}{harm:targets=, the targets that fail|nodes=, which do not serve "
    '{port}|nothing=, which lack port "{port}"}',
    reads=(
        *(reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES, reads.BINDINGS),
        *(reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    explains=(
        *("LBD203", "LBD301", "LBD302", "LBD303", "LBD304", "LBD305", "LBD306", "LBD307", "LBD308", "LBD309"),
        *("LBD313", "LBD317", "LBD517"),
    ),
    fix="selector",
    distinct_by=("guest",),
)
def selector_takes_in_another_application(traffic: TrafficPath) -> Iterator[Finding]:
    """Ready pods of two applications carry the labels of the Service's selector: one serves, the other does not serve
    this port, or answers the check otherwise. Part of the requests goes to pods that cannot answer them.

    Colours, tracks and versions of one application are not meant: another application has other images, or a label of
    its own that names its purpose. Pods of a Job, as of a migration with the labels of its chart, are endpoints while
    they run, and are meant where they are the targets that fail. Pods that are not ready get no traffic.

    Confirm by hand: `kubectl get pods -l SELECTOR --show-labels`. Repair: add a label to the selector that only the
    intended pods carry, or give the other workload's pods other labels.
    """
    service, port = traffic.service.need(), traffic.service_port.need()
    if service is None or not service.selector or port is None:
        raise NotApplicable("no Service with a selector behind this path")
    if len(traffic.matching_pods()) < 2:
        return
    found = guests(traffic)
    for guest, pods in found.guests.items() if found is not None else ():
        mine = tuple(pod for pod in pods if pod.containers_ready)
        harm = _harm(traffic, port, found.host_pods, mine) if found is not None and mine else None
        if found is not None and harm is not None:
            yield _finding(traffic, service, port, found, guest, mine, harm)


def _harm(traffic: TrafficPath, port: ServicePort, own: Sequence[Pod], others: Sequence[Pod]) -> _Harm | None:
    """What comes of these ready pods behind the Service; None where nothing shows that they do not serve."""
    if not port.target.isdigit() and not any(pod.named_port(port.target, port.protocol) for pod in others):
        return None if is_job(others[0]) else _Harm("nothing", Severity.INFO)
    failing = traffic.unhealthy(FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH)
    if traffic.target_type == "ip":
        names = {pod.meta.name for pod in others}
        behind = [pod for target in failing if (pod := traffic.pod_of(target)) is not None]
        if failing and len(behind) == len(failing) and all(pod.meta.name in names for pod in behind):
            return _Harm("targets", None, failing)
        return None
    number = int(port.target) if port.target.isdigit() else 0
    if not number or number not in _ports(own, port) or number in _ports(others, port) or not _ports(others, port):
        return None
    hit = traffic.unhealthy(FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT)
    return _Harm("nodes", None if hit else Severity.WARNING, hit, Confidence.LIKELY)


def _ports(pods: Sequence[Pod], port: ServicePort) -> set[int]:
    """Ports that the pods declare, or on which their readiness probes succeed."""
    return {n for pod in pods for n in application_ports(pod, port.protocol)} | {found.port for found in ready(pods)}


def _finding(
    traffic: TrafficPath,
    service: Service,
    port: ServicePort,
    found: Guests,
    guest: ObjectRef,
    pods: tuple[Pod, ...],
    harm: _Harm,
) -> Finding:
    ref = ObjectRef("Service", traffic.namespace, service.meta.name)
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    labels = telling_labels(found.host_pods, [pod for others in found.guests.values() for pod in others])
    repairs: tuple[Repair, ...] = ()
    if labels:
        key, value = labels[0]
        wanted = {**service.selector, key: value}
        change = patch(ref, "spec.selector", edit("/spec/selector", dict(service.selector), wanted))
        why = f"only the pods of {found.host} carry {key}={value}"
        text = ",".join(f"{k}={v}" for k, v in sorted(wanted.items()))
        repairs = (Repair(text, (change,)).with_reason(why, f"the pods of {guest} get no traffic of this Service"),)
    is_clear = bool(labels) and (len(labels) == 1 or labels[0][0] in PREFERRED_LABELS)
    evidence = [
        Evidence(f"pods of {owner}", f"{', '.join(p.meta.name for p in members[:3])}: {_described(members[0], port)}")
        for owner, members in ((found.host, found.host_pods), (guest, pods))
    ]
    if harm.targets:
        said = f"{part_of(len(harm.targets), len(traffic.targets()))}: {harm.targets[0].reason}"
        evidence.insert(0, Evidence(Source.TARGET_GROUP, said))
    return Finding(
        "LBD221",
        ref,
        params={
            "service": service.meta.name,
            "selector": selector,
            "host": str(found.host),
            "guest": str(guest),
            "harm": harm.kind,
            "port": port.target,
            "label": "=".join(labels[0]) if labels else "",
        },
        evidence=tuple(evidence),
        confidence=harm.confidence,
        targets=tuple(target.key for target in harm.targets),
        confirm=(kubectl("get", "pods", "-l", selector, "--show-labels", namespace=traffic.namespace),),
        repairs=repairs,
        fix_automatic=harm.kind == "targets" and is_clear,
        advice="" if labels else "give the pods a label that tells them apart, and select by it",
        severity=harm.severity,
    )


def _described(pod: Pod, port: ServicePort) -> str:
    """The labels and ports by which a reader tells the pods apart."""
    labels = ",".join(f"{k}={v}" for k, v in sorted(pod.meta.labels.items()) if k != "pod-template-hash")
    ports = ", ".join(str(number) for number in application_ports(pod, port.protocol)) or "no port"
    return f"labels {labels}; declares {ports}"
