"""Who should make the pods that a Service selects, how many, and why there are none. Pure."""

from __future__ import annotations

import re

from kubectl_lbdoctor.analysis.other_workloads import is_job
from kubectl_lbdoctor.analysis.workloads import WORKLOAD_KINDS, owner_of, workload_of
from kubectl_lbdoctor.knowledge.controller_errors import COMBINED
from kubectl_lbdoctor.model import index, kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Evidence, ObjectRef
from kubectl_lbdoctor.model.k8s import Pod, Workload, condition
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

FAILED_CREATE = "FailedCreate"
"""The reason of the event with which the controller of a workload says that a pod of it was refused."""
_REPLICA_SET = kinds.REPLICA_SET.name


@record
class PodMaker:
    """What a person scales to have the pods of a Service. ref: it, also where it is of a kind that is not read, such as
    a Rollout of Argo. workload: what tells of it: itself, or the newest of its ReplicaSets. sets: the ReplicaSets that
    it has. wanted: how many pods it asks for."""

    ref: ObjectRef
    workload: Workload
    sets: tuple[Workload, ...]
    wanted: int

    @property
    def is_daemon(self) -> bool:
        return self.ref.kind == kinds.DAEMON_SET.name


@derived
def selected_workloads(traffic: TrafficPath) -> tuple[Workload, ...]:
    """Workloads whose pod template carries all labels of the Service's selector."""
    service = traffic.service.need()
    if service is None or not service.selector:
        return ()
    wanted = service.selector.items()
    return tuple(w for w in traffic.namespace_facts.workloads.need() if wanted <= w.template_labels.items())


@derived
def pod_makers(traffic: TrafficPath) -> tuple[PodMaker, ...]:
    """Who makes pods that the Service selects.

    The ReplicaSets of a Deployment are not among them, because it is the Deployment that is scaled, and whose template
    new pods are made of: what an old ReplicaSet at zero carries says nothing. Of an owner that is not read its
    ReplicaSets tell all there is to know: it is scaled to zero where all of them are.
    """
    selected = selected_workloads(traffic)
    everyone = traffic.namespace_facts.workloads.need() if selected else ()
    there = {ObjectRef(w.kind, traffic.namespace, w.meta.name) for w in everyone}
    found: dict[ObjectRef, PodMaker] = {}
    for workload in selected:
        own, owner = ObjectRef(workload.kind, traffic.namespace, workload.meta.name), owner_of(workload)
        ref = own if owner is None or (owner.kind in WORKLOAD_KINDS and owner not in there) else owner
        sets = tuple(w for w in everyone if w.kind == _REPLICA_SET and owner_of(w) == ref)
        if ref == own:
            if owner is None or workload.replicas:
                found[ref] = PodMaker(ref, workload, sets, workload.replicas)
        elif ref not in there and (workload.replicas or not any(w.replicas for w in sets)):
            found[ref] = PodMaker(ref, workload, sets, sum(w.replicas for w in sets if w in selected))
    return tuple(found.values())


@record
class Unmade:
    """A workload without any of the pods that it wants. why: what the API server answered to the controller that makes
    them, "" where nothing that was read says it. said: where that stands."""

    maker: PodMaker
    why: str = ""
    said: Evidence | None = None


def unmade(traffic: TrafficPath) -> tuple[Unmade, ...]:
    """Who should make the pods of the Service, where none exists; those that want none are not among them.

    Controllers of Deployments and ReplicaSets keep the refusal as condition ReplicaFailure; those of StatefulSets and
    DaemonSets only write an event FailedCreate.

    Sources: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment,
    https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/controller/statefulset/stateful_pod_control.go
    """
    if not traffic.namespace_facts.workloads.is_known or traffic.matching_pods():
        return ()
    return tuple(_unmade(traffic, maker) for maker in pod_makers(traffic) if maker.wanted > 0)


def _unmade(traffic: TrafficPath, maker: PodMaker) -> Unmade:
    tellers = (maker.workload, *maker.sets)
    for teller in tellers:
        failure = condition(teller.conditions, "ReplicaFailure")
        if failure is not None and failure.status == "True":
            place = f"{teller.kind.lower()}/{teller.meta.name}"
            return Unmade(maker, failure.message, Evidence(place, f"ReplicaFailure: {failure.message}"))
    for kind, name in dict.fromkeys((t.kind, t.meta.name) for t in tellers):
        refused = next((e for e in traffic.events_of(kind, name) if e.reason == FAILED_CREATE), None)
        if refused is not None:
            why = _WRAPPING.sub("", refused.message.removeprefix(COMBINED))
            return Unmade(maker, why, Evidence(f"{kind.lower()}/{name}", f"event FailedCreate: {why}"))
    return Unmade(maker)


_WRAPPING = re.compile(
    r"^(?:Error creating: |create (?:Claim \S+ )?(?:for )?Pod \S+ in StatefulSet \S+ failed error: "
    r"|failed to create PVC \S+: )"
)
"""What the controllers of ReplicaSets, DaemonSets and StatefulSets put before the answer of the API server."""


def fits_no_node(traffic: TrafficPath) -> tuple[PodMaker, ...]:
    """DaemonSets that want no pod anywhere: how many they want is the number of nodes that they fit."""
    if not traffic.namespace_facts.workloads.is_known or traffic.matching_pods():
        return ()
    return tuple(maker for maker in pod_makers(traffic) if maker.is_daemon and not maker.wanted)


def finished_pods(traffic: TrafficPath) -> tuple[Pod, ...]:
    """Pods that the selector matches and that have ended."""
    service = traffic.service.need()
    if service is None or not service.selector:
        return ()
    matching = index.pods_with_labels(traffic.snapshot, traffic.namespace, service.selector)
    return tuple(pod for pod in matching if pod.is_finished)


def awaited_ends(traffic: TrafficPath, maker: PodMaker) -> tuple[Pod, ...]:
    """Pods that terminate, and that their workload does not replace before they are gone: those of StatefulSets and
    DaemonSets, and of a Deployment that recreates them.

    Sources: https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/,
    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment
    """
    if maker.ref.kind not in _ONE_AT_A_TIME and maker.workload.strategy != "Recreate":
        return ()
    service = traffic.service.need()
    if service is None or not service.selector:
        return ()
    matching = index.pods_with_labels(traffic.snapshot, traffic.namespace, service.selector)
    return tuple(p for p in matching if p.meta.deleted and not p.is_finished and workload_of(p) == maker.ref)


_ONE_AT_A_TIME = (kinds.STATEFUL_SET.name, kinds.DAEMON_SET.name)


def left_to_themselves(traffic: TrafficPath) -> tuple[Pod, ...]:
    """Of these, the ones that nobody makes anew: they are of no workload, and of no Job, which is meant to end."""
    return tuple(p for p in finished_pods(traffic) if not is_job(p) and workload_of(p).kind not in WORKLOAD_KINDS)


def describe_end(pod: Pod) -> str:
    """How a pod ended: "Failed (Evicted): The node was low on resource: memory"."""
    said = f"{pod.phase} ({pod.reason})" if pod.reason else pod.phase
    return f"{said}: {pod.message.rstrip('. ')}" if pod.message else said
