"""Pods of more than one workload behind one Service: which of them it is about, and which it takes in by the way. Pure.

Several workloads behind one Service are legal: colours, tracks and versions of one application. Another application is
told by what it is made of, its images, or by a label that names its purpose; and which of two applications the Service
is about, by which of them serves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from kubectl_lbdoctor.analysis.meshes import application_containers
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

# Words in the keys of labels that tell versions of one application apart, and what controllers write themselves.
_VERSIONS = frozenset(
    {"version", "track", "colour", "color", "release", "revision", "slot", "stage", "canary", "chart", "rollout"}
)
_WRITTEN = (
    *("pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash", "pod-template-generation"),
    *("statefulset.kubernetes.io/", "apps.kubernetes.io/", "batch.kubernetes.io/", "job-name", "controller-uid"),
    *("service.istio.io/canonical-", "security.istio.io/", "topology.kubernetes.io/", "eks.amazonaws.com/"),
    *("app.kubernetes.io/version", "app.kubernetes.io/managed-by", "app.kubernetes.io/instance"),
)
# The keys that people select by, best first.
PREFERRED_LABELS = (
    "app.kubernetes.io/component",
    "app.kubernetes.io/name",
    "component",
    "app",
    "tier",
    "role",
    "k8s-app",
)


def is_job(pod: Pod) -> bool:
    """Whether the pod runs to its end: it is not meant to stand behind a load balancer, whatever it is labelled."""
    return workload_of(pod).kind == "Job"


def telling_labels(own: Sequence[Pod], others: Sequence[Pod]) -> tuple[tuple[str, str], ...]:
    """Labels that all of these pods carry and none of the others, the best to select by first; labels that tell
    versions of one application apart, or that controllers write, are left out."""
    first = own[0].meta.labels if own else {}
    found = [
        (key, value)
        for key, value in first.items()
        if not _tells_versions(key)
        and all(pod.meta.labels.get(key) == value for pod in own)
        and all(pod.meta.labels.get(key) != value for pod in others)
    ]
    order = {key: rank for rank, key in enumerate(PREFERRED_LABELS)}
    return tuple(sorted(found, key=lambda item: (order.get(item[0], len(order)), item)))


def _tells_versions(key: str) -> bool:
    return key.startswith(_WRITTEN) or bool(
        _VERSIONS & set(key.rpartition("/")[2].lower().replace("_", "-").split("-"))
    )


def _repositories(pods: Sequence[Pod]) -> frozenset[str]:
    """The images of the application's containers, without tag and digest."""
    images = {c.image for pod in pods for c in application_containers(pod)}
    return frozenset(_repository(image) for image in images if image)


def _repository(image: str) -> str:
    head, slash, last = image.partition("@")[0].rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def is_another_application(own: Sequence[Pod], others: Sequence[Pod]) -> bool:
    """Whether these pods are of another application, and not of another version of one."""
    mine, theirs = _repositories(own), _repositories(others)
    different_images = bool(mine and theirs) and not mine & theirs
    return different_images or bool(telling_labels(own, others)) or bool(telling_labels(others, own))


@record
class Guests:
    """Pods that the selector takes in beside those of the workload that serves.

    host: the workload that serves; guests: workloads of other applications, and Jobs of any, with their pods.
    """

    host: ObjectRef
    host_pods: tuple[Pod, ...]
    guests: Mapping[ObjectRef, tuple[Pod, ...]]


@derived
def guests(traffic: TrafficPath) -> Guests | None:
    """The workload that serves and the other applications beside it; None where the selector takes in one application
    only, or where none of the workloads serves. Raises `Unknown` where Service, pods or target health are needed and
    were not read."""
    by_workload: dict[ObjectRef, list[Pod]] = defaultdict(list)
    for pod in traffic.matching_pods():
        by_workload[workload_of(pod)].append(pod)
    if len(by_workload) < 2:
        return None
    serving = {ref: pods for ref, pods in by_workload.items() if not is_job(pods[0]) and _serves(traffic, pods)}
    if not serving:
        return None
    host = max(serving, key=lambda ref: (ref.name == traffic.service_ref.name, len(serving[ref]), ref.name))
    mine = serving[host]
    others = {
        ref: tuple(pods)
        for ref, pods in by_workload.items()
        if ref not in serving and (is_job(pods[0]) or is_another_application(mine, pods))
    }
    return Guests(host, tuple(mine), others) if others else None


def _serves(traffic: TrafficPath, pods: Sequence[Pod]) -> bool:
    """Whether pods of a workload are healthy targets, or (with nodes as targets) may be what answers there."""
    healthy = [t for t in traffic.targets() if t.state == "healthy"]
    if traffic.target_type == "ip":
        addresses = {address for pod in pods for address in (pod.ip, *pod.ips)}
        return any(target.id in addresses for target in healthy)
    port = traffic.service_port.need()
    if port is None or not healthy or not any(pod.containers_ready for pod in pods):
        return False
    numbers = {number for pod in pods for number in pod.declared_ports(port.protocol)}
    if not port.target.isdigit():
        return any(pod.named_port(port.target, port.protocol) for pod in pods)
    return int(port.target) in numbers or not numbers
