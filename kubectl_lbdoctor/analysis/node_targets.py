"""Which nodes are instance targets, and why every other one is not. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.model.k8s import Node
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# Labels and taints that keep a node from being an instance target (LBC pkg/k8s/node_utils.go, endpoint_utils).
EXCLUDE_LABELS = (
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/exclude-from-external-load-balancers",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
)


def eligible_nodes(traffic: TrafficPath) -> tuple[tuple[Node, ...], dict[str, str]]:
    """Nodes that the controller registers as instance targets, and for every other node the reason it is left out.

    Source: LBC pkg/k8s/node_utils.go and pkg/targetgroupbinding (labels, taints, Ready condition, provider id).
    """
    binding = traffic.binding.peek()
    selector = binding.node_selector if binding is not None else None
    taken, left = [], {}
    for node in traffic.cluster.nodes.need():
        reason = _why_no_target(node, selector)
        if reason:
            left[node.meta.name] = reason
        else:
            taken.append(node)
    return tuple(taken), left


def _why_no_target(node: Node, selector: Mapping[str, object] | None) -> str:
    labels = node.meta.labels
    excluded = next((label for label in EXCLUDE_LABELS if label in labels), "")
    if excluded:
        return f"label {excluded}"
    if labels.get("eks.amazonaws.com/compute-type") == "fargate":
        return "Fargate node"
    taint = next(
        (
            t
            for t in node.taints
            if t.key == "ToBeDeletedByClusterAutoscaler"
            or (t.key == "karpenter.sh/disrupted" and t.effect == "NoSchedule")
        ),
        None,
    )
    if taint is not None:
        return f"taint {taint.key}"
    if node.ready != "True":
        return f"Ready={node.ready}"
    if not node.instance_id:
        return f"providerID {node.provider_id or 'is empty'}: no EC2 instance"
    wanted = selector.get("matchLabels") if selector else None
    if isinstance(wanted, dict):
        missing = [f"{k}={v}" for k, v in wanted.items() if labels.get(k) != v]
        if missing:
            return f"nodeSelector {missing[0]}"
    expressions = selector.get("matchExpressions") if selector else None
    for expression in expressions if isinstance(expressions, list) else []:
        if not _expression_holds(expression, labels):
            return f"nodeSelector {expression.get('key')} {expression.get('operator')}"
    return ""


def _expression_holds(expression: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    """One requirement of a label selector (Kubernetes LabelSelectorRequirement)."""
    key, operator, values = str(expression.get("key")), expression.get("operator"), expression.get("values")
    listed = values if isinstance(values, list) else []
    if operator == "In":
        return labels.get(key) in listed
    if operator == "NotIn":
        return labels.get(key) not in listed
    return (key in labels) is (operator == "Exists")


def instance_nodes(traffic: TrafficPath) -> tuple[tuple[Node, ...], dict[str, str]]:
    """`eligible_nodes`, with the controller's failing open: nodes with Ready=Unknown, where no other one is left."""
    taken, left = eligible_nodes(traffic)
    if taken:
        return taken, left
    unknown = tuple(node for node in traffic.cluster.nodes.need() if left.get(node.meta.name) == "Ready=Unknown")
    return unknown, {name: why for name, why in left.items() if why != "Ready=Unknown"}
