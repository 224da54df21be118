"""Which nodes are instance targets, and why every other one is not. Pure."""

from __future__ import annotations

from enum import Enum

from kubectl_lbdoctor.model import index, target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.k8s import Node, Taint
from kubectl_lbdoctor.model.selectors import LabelSelector
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
"""The label by which EKS tells Fargate, hybrid and Auto Mode nodes from others."""

# Labels that keep a node from being an instance target: docs/facts.md, "Which targets the controller registers".
EXCLUDE_LABELS = (
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/exclude-from-external-load-balancers",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
)


class Exclusion(Enum):
    """What keeps a node from being an instance target."""

    EXCLUDE_LABEL = "exclude label"
    FARGATE = "Fargate"
    TAINT = "taint"
    NOT_READY = "not ready"
    NO_INSTANCE = "no instance"
    NODE_SELECTOR = "node selector"


@record
class NodeExclusion:
    """Why a node is no instance target.

    key: the label, the taint or the label that the binding's nodeSelector asks for; "" for the other kinds. value: of
    NODE_SELECTOR the value of that label; of NOT_READY the status of the Ready condition ("False" or "Unknown"); of
    NO_INSTANCE the node's providerID ("" without one). operator: of a matchExpressions entry of the nodeSelector.
    """

    kind: Exclusion
    key: str = ""
    value: str = ""
    operator: str = ""

    @property
    def is_unknown_state(self) -> bool:
        """Whether the node's kubelet has fallen silent: the controller falls back on such nodes."""
        return self.kind is Exclusion.NOT_READY and self.value == "Unknown"


def is_outside_ec2(node: Node) -> bool:
    """Whether the node is by its kind no EC2 instance of one's own: Fargate, a hybrid node, or a virtual kubelet. It
    can never be an instance target, and where its pods run is nobody's choice of instances.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/fargate.html,
    https://docs.aws.amazon.com/eks/latest/userguide/hybrid-nodes-overview.html (label eks.amazonaws.com/compute-type),
    https://virtual-kubelet.io/docs/ (label type, taint virtual-kubelet.io/provider).
    """
    labels = node.meta.labels
    return (
        labels.get(COMPUTE_TYPE) in ("fargate", "hybrid")
        or node.provider_id.startswith("eks-hybrid:")
        or labels.get("type") == "virtual-kubelet"
        or any(taint.key == "virtual-kubelet.io/provider" for taint in node.taints)
    )


def describe_exclusion(exclusion: NodeExclusion) -> str:
    """The reason as a person reads it: "label KEY", "taint KEY", "Ready=Unknown", "nodeSelector KEY=VALUE"."""
    if exclusion.kind is Exclusion.EXCLUDE_LABEL:
        return f"label {exclusion.key}"
    if exclusion.kind is Exclusion.FARGATE:
        return "Fargate node"
    if exclusion.kind is Exclusion.TAINT:
        return f"taint {exclusion.key}"
    if exclusion.kind is Exclusion.NOT_READY:
        return f"Ready={exclusion.value}"
    if exclusion.kind is Exclusion.NO_INSTANCE:
        return f"providerID {exclusion.value or 'is empty'}: no EC2 instance"
    asked = f" {exclusion.operator}" if exclusion.operator else f"={exclusion.value}"
    return f"nodeSelector {exclusion.key}{asked}"


def eligible_nodes(traffic: TrafficPath) -> tuple[tuple[Node, ...], dict[str, NodeExclusion]]:
    """Nodes that the controller registers as instance targets, and by name every other node with what excludes it.

    Raises `Unknown` where nodes were not read.
    Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/backend/endpoint_utils.go
    (labels, taints), https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/backend/endpoint_resolver.go
    (Ready condition), https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/k8s/node_utils.go
    (providerID).
    """
    binding = traffic.binding.peek()
    selector = LabelSelector.of(binding.node_selector if binding is not None else None)
    taken, left = [], {}
    for node in traffic.cluster.nodes.need():
        exclusion = _exclusion(node, selector)
        if exclusion is not None:
            left[node.meta.name] = exclusion
        else:
            taken.append(node)
    return tuple(taken), left


def _exclusion(node: Node, selector: LabelSelector) -> NodeExclusion | None:
    labels = node.meta.labels
    excluded = next((label for label in EXCLUDE_LABELS if label in labels), "")
    if excluded:
        return NodeExclusion(Exclusion.EXCLUDE_LABEL, excluded)
    if labels.get(COMPUTE_TYPE) == "fargate":
        return NodeExclusion(Exclusion.FARGATE)
    taint = next((t for t in node.taints if _goes_away(t)), None)
    if taint is not None:
        return NodeExclusion(Exclusion.TAINT, taint.key)
    if node.ready != "True":
        return NodeExclusion(Exclusion.NOT_READY, value=node.ready)
    if not node.instance_id:
        return NodeExclusion(Exclusion.NO_INSTANCE, value=node.provider_id)
    unmet = next(selector.unmet(labels), None)
    if unmet is not None:
        return NodeExclusion(Exclusion.NODE_SELECTOR, unmet.key, ", ".join(unmet.values), unmet.operator)
    return None


def _goes_away(taint: Taint) -> bool:
    """Whether an autoscaler is about to remove the node: the taints of Cluster Autoscaler and Karpenter."""
    return taint.key == "ToBeDeletedByClusterAutoscaler" or (
        taint.key == "karpenter.sh/disrupted" and taint.effect == "NoSchedule"
    )


def instance_nodes(traffic: TrafficPath) -> tuple[tuple[Node, ...], dict[str, NodeExclusion]]:
    """`eligible_nodes`, with the controller's failing open: nodes with Ready=Unknown, where no other one is left."""
    taken, left = eligible_nodes(traffic)
    if taken:
        return taken, left
    silent = {name for name, exclusion in left.items() if exclusion.is_unknown_state}
    nodes = tuple(node for node in traffic.cluster.nodes.need() if node.meta.name in silent)
    return nodes, {name: exclusion for name, exclusion in left.items() if name not in silent}


def without_any_endpoint(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    """The instance targets that get no answer because their node port leads nowhere: the Service port has no endpoint
    that kube-proxy sends anything to, so it refuses or drops the check on every node. () where there is one.

    An endpoint that ends counts while it still serves and no other one is ready. Whoever gives an HTTP answer, or is
    asked on a port that is not the Service's, does not fail for this.

    Sources: https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-to-terminating-endpoints,
    https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/proxy/iptables/proxier.go ("has no endpoints": REJECT)

    Raises `Unknown` where Service, EndpointSlices or targets were not read.
    """
    service, port = traffic.service.need(), traffic.service_port.need()
    if service is None or port is None or traffic.target_type != "instance" or traffic.ready_endpoints():
        return ()
    if any(end.terminating and end.serving for piece in traffic.slices.need() for end in piece.endpoints):
        return ()
    ports = {str(number) for number in (port.node_port, service.health_check_node_port) if number}
    unanswered = traffic.unhealthy(target_reasons.TIMEOUT, target_reasons.FAILED_HEALTH_CHECKS)
    return tuple(target for target in unanswered if (target.check_port or str(target.port)) in ports)


def vpc_of_nodes(traffic: TrafficPath) -> str:
    """The VPC in which the nodes' interfaces are; "" where it is not known to be one."""
    if not traffic.cluster.nodes.is_known:
        return ""
    nodes = index.nodes_by_instance(traffic.snapshot)
    found = {i.vpc_id for i in traffic.network.interfaces.peek() or () if i.instance_id in nodes} - {""}
    return found.pop() if len(found) == 1 else ""
