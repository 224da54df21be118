"""The workloads behind pods: what a person edits to change them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.k8s import Pod, Workload
from kubectl_lbdoctor.model.objects import ObjectRef

WORKLOAD_KINDS = frozenset(kind.name for kind in reads.KUBE[reads.WORKLOADS].kinds)
"""The kinds of workloads that are read: all that Kubernetes itself brings and that stand behind a Service."""

HELD_BY = {
    "paused": "spec.paused: true",
    "OnDelete": "updateStrategy: OnDelete",
    "partition": "updateStrategy.rollingUpdate.partition leaves pods of a lower ordinal as they are",
}
"""What keeps a changed template from its pods (`Workload.held`), as its spec says it."""

_TEMPLATE_HASHES = (("Deployment", "pod-template-hash"), ("Rollout", "rollouts-pod-template-hash"))


def workload_of(pod: Pod) -> ObjectRef:
    """What makes this pod: its controller, and of a Deployment's ReplicaSet the Deployment; the pod itself without one.

    A ReplicaSet of a Deployment is named after it and the hash of its pod template, which its pods carry in the label
    pod-template-hash (Kubernetes, Deployments); those of an Argo Rollout likewise, in rollouts-pod-template-hash
    (Argo Rollouts, DefaultRolloutUniqueLabelKey).
    """
    owner = next((o for o in pod.meta.owners if o.controller), None)
    if owner is None:
        return ObjectRef("Pod", pod.meta.namespace, pod.meta.name)
    for kind, label in _TEMPLATE_HASHES:
        template_hash = pod.meta.labels.get(label, "")
        if owner.kind == "ReplicaSet" and template_hash and owner.name.endswith(f"-{template_hash}"):
            return ObjectRef(kind, pod.meta.namespace, owner.name.removesuffix(f"-{template_hash}"))
    return ObjectRef(owner.kind, pod.meta.namespace, owner.name)


def owner_of(workload: Workload) -> ObjectRef | None:
    """What has made a workload and scales it: of a ReplicaSet a Deployment, or a kind that is not read, such as Argo's
    Rollout; None where people made it."""
    owner = next((o for o in workload.meta.owners if o.controller), None)
    return ObjectRef(owner.kind, workload.meta.namespace, owner.name) if owner is not None else None


def held_back(workloads: Iterable[Workload], pods: Collection[Pod]) -> Workload | None:
    """The workload that all of these pods are of, where its present template, which does not reach its pods, may be
    none of theirs; None where it is."""
    makers = {workload_of(pod) for pod in pods}
    for workload in workloads:
        ref = ObjectRef(workload.kind, workload.meta.namespace, workload.meta.name)
        if makers == {ref} and workload.held and len(pods) <= workload.replicas - workload.updated:
            return workload
    return None
