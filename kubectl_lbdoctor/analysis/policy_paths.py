"""Which packets of a load balancer, or of a node that hands them on, reach which pods, as NetworkPolicies see them."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.blocked_paths import sources
from kubectl_lbdoctor.analysis.policy_engine import may_be_filtered
from kubectl_lbdoctor.model.aws import LoadBalancer, TargetHealth
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def policy_paths(
    traffic: TrafficPath, balancer: LoadBalancer, target: TargetHealth
) -> Iterator[tuple[Pod, str, int, str]]:
    """(pod, source address, pod port, CIDR that names the source) of the packets that reach pods for this target."""
    subnets = {s.id: s.cidrs for s in traffic.network.subnets.peek() or ()}
    if traffic.target_type == "ip":
        pod = traffic.pod_of(target)
        port = target.asked_port
        if pod is None or not may_be_filtered(traffic.snapshot, pod):
            return
        for front in sources(traffic, balancer):
            six = ":" in front.address
            cidr = next((c for c in subnets.get(front.subnet_id or "", ()) if (":" in c) == six), "")
            if six == (":" in target.id):
                yield pod, front.address, port, cidr
        return
    node = traffic.node_of(target)
    pods = {p.meta.name: p for p in traffic.matching_pods() if may_be_filtered(traffic.snapshot, p)}
    for endpoint in traffic.ready_endpoints() if node is not None else ():
        pod = pods.get(endpoint.pod)
        if pod is None or node is None or endpoint.node == node.meta.name:
            continue
        if (":" in endpoint.address) == (":" in node.internal_ip):
            yield pod, node.internal_ip, endpoint.port, ""
