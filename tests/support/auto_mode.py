"""A recorded world as EKS Auto Mode would have made it.

Auto Mode runs what the AWS Load Balancer Controller does in AWS: no controller, no webhook of its own pods and no
kube-proxy in the cluster, and its objects, labels, finalizers, readiness gates and tags carry its own names. Sources:
https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html (groups and classes),
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSLoadBalancingPolicy.html (tags), and what users
show of their clusters (labels of bindings, finalizers, gates).
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.cassette import World

GROUP = "eks.amazonaws.com"

# The longer names come first: they hold the shorter ones.
_NAMES = (
    ("ingress.k8s.aws/alb", f"{GROUP}/alb"),
    ("service.k8s.aws/nlb", f"{GROUP}/nlb"),
    ("ingress.k8s.aws/", f"ingress.{GROUP}/"),
    ("service.k8s.aws/", f"service.{GROUP}/"),
    ("target-health.elbv2.k8s.aws/", f"target-health.{GROUP}/"),
    ("elbv2.k8s.aws/pod-readiness-gate-inject", f"{GROUP}/pod-readiness-gate-inject"),
    ("elbv2.k8s.aws/v1beta1", f"{GROUP}/v1"),
    ("elbv2.k8s.aws/cluster", "eks:eks-cluster-name"),
    ("elbv2.k8s.aws/resource", f"ingress.{GROUP}/resource"),
    ("backend-sg", "ManagedBackendSecurityGroup"),
    ("elbv2.k8s.aws/", f"elbv2.{GROUP}/"),
)
_NOT_THERE = (
    ("Deployment", "aws-load-balancer-controller"),
    ("Pod", "aws-load-balancer-controller-*"),
    ("EndpointSlice", "aws-load-balancer-webhook-service-*"),
    ("DaemonSet", "kube-proxy"),
    ("Pod", "kube-proxy-*"),
    ("MutatingWebhookConfiguration", "*"),
    ("ValidatingWebhookConfiguration", "*"),
)


def convert(world: World) -> None:
    """Change the world into what Auto Mode would have made."""
    world.objects = [_renamed(item) for item in world.objects if not _is_gone(item)]
    world.aws = {kind: [_renamed(record) for record in records] for kind, records in world.aws.items()}
    world.log = ""
    for item in world.objects:
        if item["kind"] == "Node":
            labels = item["metadata"]["labels"]
            labels.pop("eks.amazonaws.com/nodegroup", None)
            labels |= {"eks.amazonaws.com/compute-type": "auto", "karpenter.sh/nodepool": "general-purpose"}
        if item["kind"] == "IngressClass" and "parameters" in item["spec"]:
            item["spec"]["parameters"]["apiGroup"] = GROUP


def _is_gone(item: dict[str, Any]) -> bool:
    name = item["metadata"]["name"]
    return any(item["kind"] == kind and fnmatch.fnmatchcase(name, pattern) for kind, pattern in _NOT_THERE)


def _renamed(item: Any) -> Any:
    if isinstance(item, dict):
        return {_renamed(key): _renamed(part) for key, part in item.items()}
    if isinstance(item, list):
        return [_renamed(part) for part in item]
    if isinstance(item, str):
        for theirs, ours in _NAMES:
            if theirs in item:
                return item.replace(theirs, ours)
    return item
