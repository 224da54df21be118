"""The objects that a person edits to change the controller itself. Pure.

What ails the controller is told of every object that it works on, and none of those is what has to be changed.
"""

from __future__ import annotations

from kubectl_lbdoctor.model.k8s import Workload
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.snapshot import ClusterFacts


def controller_log(cluster: ClusterFacts) -> tuple[str, ...]:
    """The command that shows what the controller says; () where it does not run in the cluster's pods."""
    ref = controller_deployment(cluster)
    return (kubectl("logs", str(ref), "--since=1h", namespace=ref.namespace),) if ref is not None else ()


def controller_restart(cluster: ClusterFacts) -> tuple[str, ...]:
    """The command that makes the controller reconcile everything again; () where it does not run in pods."""
    ref = controller_deployment(cluster)
    return (kubectl("rollout", "restart", str(ref), namespace=ref.namespace),) if ref is not None else ()


def controller_deployment(cluster: ClusterFacts) -> ObjectRef | None:
    """The Deployment, whose arguments hold region, VPC, endpoints, classes and feature gates; None where no controller
    runs here or none could be read."""
    workload = _controller(cluster)
    return ObjectRef("Deployment", workload.meta.namespace, workload.meta.name) if workload is not None else None


def controller_account(cluster: ClusterFacts) -> ObjectRef | None:
    """The ServiceAccount, by which IRSA and EKS Pod Identity give the controller its role; None as above."""
    workload = _controller(cluster)
    if workload is None:
        return None
    return ObjectRef("ServiceAccount", workload.meta.namespace, workload.service_account or "default")


def webhook_service(cluster: ClusterFacts) -> ObjectRef | None:
    """The Service that the API server calls the controller's webhooks by; the Deployment where webhook configurations
    could not be read."""
    named = next((w for w in cluster.webhooks.peek() or () if w.service_name), None)
    if named is not None:
        return ObjectRef("Service", named.service_namespace, named.service_name)
    return controller_deployment(cluster)


def _controller(cluster: ClusterFacts) -> Workload | None:
    found = cluster.controllers.peek() or ()
    return next((workload for workload in found if workload.ready), next(iter(found), None))
