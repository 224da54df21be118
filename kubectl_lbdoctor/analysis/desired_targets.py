"""Which targets the controller wants in a target group, and what the pods' readiness gates tell of them. Pure.

Sources: docs/facts.md, "Which targets the controller registers" and "Pod readiness gates".
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.model import index, target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.k8s import Condition, Node, Pod, condition
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP
from kubectl_lbdoctor.model.traffic_path import RoutedEndpoint, TrafficPath
from kubectl_lbdoctor.record import record

GATE_PREFIXES = {"": "target-health.elbv2.k8s.aws", AUTO_MODE_GROUP: f"target-health.{AUTO_MODE_GROUP}"}
"""What stands before the slash of a gate, whose name is that of the binding: by the API group of the binding
(`TargetGroupBinding.group`)."""
INJECT_LABELS = {
    "": "elbv2.k8s.aws/pod-readiness-gate-inject",
    AUTO_MODE_GROUP: f"{AUTO_MODE_GROUP}/pod-readiness-gate-inject",
}
"""By which label a namespace asks for gates: by the same. EKS Auto Mode documents neither; its webhook configuration
eks-load-balancing-webhook, which a cluster shows, selects namespaces by this label."""
# Version 1 of the controller wrote this one; no later version sets its condition.
LEGACY_GATE_PREFIX = "target-health.alb.ingress.k8s.aws"

# The state behind each reason that a gate's condition copies; any other Target.* reason is a failing check.
_STATES = {
    target_reasons.REGISTRATION_IN_PROGRESS: "initial",
    target_reasons.INITIAL_HEALTH_CHECKING: "initial",
    target_reasons.INTERNAL_ERROR: "unhealthy",
    target_reasons.DEREGISTRATION_IN_PROGRESS: "draining",
    target_reasons.NOT_REGISTERED: "unused",
    target_reasons.NOT_IN_USE: "unused",
    target_reasons.INVALID_STATE: "unused",
    target_reasons.IP_UNUSABLE: "unused",
}


@record
class DesiredEndpoints:
    """`wanted` are registered by the controller; `tolerated` may or may not be, so their absence or presence proves
    nothing."""

    wanted: tuple[RoutedEndpoint, ...]
    tolerated: tuple[RoutedEndpoint, ...] = ()


def address_family(traffic: TrafficPath) -> str:
    """The address type of the slices that the binding takes its `ip` targets from: "IPv4" or "IPv6"."""
    binding, group = traffic.binding.peek(), traffic.target_group.peek()
    asked = (binding.ip_address_type if binding else "") or (group.ip_address_type if group else "")
    return "IPv6" if asked == "ipv6" else "IPv4"


@derived
def desired_endpoints(traffic: TrafficPath) -> DesiredEndpoints:
    """The endpoints that become `ip` targets.

    Ready ones with a Pod behind them; also those whose containers are ready although the pod is not (a readiness gate
    must be able to open), on a Ready node. On a node whose state is Unknown they count only where there is no other.
    """
    family = address_family(traffic)
    pods = index.pods_by_name(traffic.snapshot, traffic.namespace)
    nodes: Mapping[str, Node] | None = None
    wanted: list[RoutedEndpoint] = []
    open_: list[RoutedEndpoint] = []
    tolerated: list[RoutedEndpoint] = []
    for endpoint in traffic.endpoints():
        if not endpoint.pod:
            continue
        if endpoint.family != family:
            # Version 3 of the controller leaves them out, version 2.17 tries to register them.
            tolerated.append(endpoint)
            continue
        pod = pods.get(endpoint.pod)
        if endpoint.ready:
            leaving = endpoint.terminating or pod is None or pod.meta.deleted
            (tolerated if leaving else wanted).append(endpoint)
            continue
        if pod is None or endpoint.terminating or pod.meta.deleted or not pod.containers_ready:
            continue
        if nodes is None:
            nodes = index.nodes_by_name(traffic.snapshot)
        node = nodes.get(endpoint.node or pod.node)
        if node is not None and node.ready == "True":
            wanted.append(endpoint)
        elif node is not None and node.ready == "Unknown":
            open_.append(endpoint)
    if wanted:
        return DesiredEndpoints(tuple(wanted), (*tolerated, *open_))
    return DesiredEndpoints(tuple(open_), tuple(tolerated))


@record
class TargetGate:
    """One target-health readiness gate of a pod; `condition` is None until the controller has set it."""

    type: str
    binding: str
    condition: Condition | None

    @property
    def is_open(self) -> bool:
        return self.condition is not None and self.condition.status == "True"


def target_gates(pod: Pod) -> tuple[TargetGate, ...]:
    """The pod's target-health gates, of the controller and of EKS Auto Mode; those of the controller's first version
    name no binding."""
    return tuple(
        TargetGate(gate, "" if prefix == LEGACY_GATE_PREFIX else name, condition(pod.conditions, gate))
        for gate in pod.readiness_gates
        for prefix, slash, name in [gate.partition("/")]
        if slash and prefix in (*GATE_PREFIXES.values(), LEGACY_GATE_PREFIX)
    )


def waits_for_gate(pod: Pod) -> bool:
    """Whether nothing but a target-health gate keeps the pod from being ready."""
    return pod.containers_ready and not pod.is_ready and any(not gate.is_open for gate in target_gates(pod))


def gate_health(traffic: TrafficPath) -> tuple[TargetHealth, ...] | None:
    """The health of `ip` targets as their pods' readiness gates tell it: the controller copies AWS's reason and
    description there.

    None when the gates do not tell it of every wanted target: a pod without a gate for this binding, or with one that
    the controller has not judged yet.
    """
    binding = traffic.binding.peek()
    if binding is None or binding.target_type != "ip":
        return None
    try:
        endpoints = desired_endpoints(traffic).wanted
        pods = index.pods_by_name(traffic.snapshot, traffic.namespace)
    except Unknown:
        return None
    nodes = index.nodes_by_name(traffic.snapshot) if traffic.cluster.nodes.is_known else {}
    found = []
    for endpoint in endpoints:
        gate = next((g for g in target_gates(pods[endpoint.pod]) if g.binding == binding.meta.name), None)
        told = gate.condition if gate is not None else None
        if told is None or told.status not in ("True", "False") or (told.status == "False" and not told.reason):
            return None
        healthy = told.status == "True"
        found.append(
            TargetHealth(
                endpoint.address,
                endpoint.port,
                zone=nodes[endpoint.node].zone if endpoint.node in nodes else "",
                state="healthy" if healthy else _STATES.get(told.reason, "unhealthy"),
                reason="" if healthy else told.reason,
                description="" if healthy else told.message,
            )
        )
    return tuple(found) or None


def foreign_targets(traffic: TrafficPath) -> frozenset[str]:
    """Keys of the targets of a shared target group that somebody else registered, mostly another cluster: no pod and no
    endpoint of the Service and no node has their address. The controller leaves those alone. Empty unless the binding
    says that the group is shared, and where it cannot be told.

    Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/targetgroupbinding/targetgroupbinding/
    (multi-cluster target group).
    """
    binding, targets = traffic.binding.peek(), traffic.target_health.peek()
    if binding is None or not binding.multi_cluster or not targets:
        return frozenset()
    nodes, pods = traffic.cluster.nodes.peek(), _pods_of_the_service(traffic)
    if nodes is None or (pods is None and binding.target_type != "instance"):
        return frozenset()
    own = {node.instance_id for node in nodes}
    own |= {address for node in nodes for address in (node.internal_ip, *node.addresses)}
    own |= {address for pod in pods or () for address in (pod.ip, *pod.ips)}
    if traffic.slices.is_known and traffic.service_port.is_known:
        own |= {endpoint.address for endpoint in traffic.endpoints()}
    return frozenset(target.key for target in targets if target.id not in own)


def _pods_of_the_service(traffic: TrafficPath) -> tuple[Pod, ...] | None:
    try:
        return traffic.matching_pods()
    except Unknown:
        return None
