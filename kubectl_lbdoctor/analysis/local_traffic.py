"""externalTrafficPolicy Local: which nodes hold an endpoint of the Service. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def local_instance_service(traffic: TrafficPath) -> Service:
    service = traffic.service.need()
    if service is None or traffic.target_group.need() is None:
        raise NotApplicable("no target group for a Service")
    if traffic.target_type != "instance" or service.external_traffic_policy != "Local":
        raise NotApplicable("not instance targets with externalTrafficPolicy Local")
    return service


def without_local_endpoint(traffic: TrafficPath) -> tuple[list[TargetHealth], list[str]]:
    """Failing instance targets whose node runs no ready pod of the Service, and the nodes that run one."""
    with_pod = sorted({e.node for e in traffic.ready_endpoints() if e.node})
    failing = []
    for target in traffic.unhealthy():
        node = traffic.node_of(target)
        if node is not None and node.meta.name not in with_pod:
            failing.append(target)
    return failing, with_pod


def passing_without_endpoint(traffic: TrafficPath) -> tuple[list[TargetHealth], list[str]]:
    """Healthy instance targets whose node runs no pod that serves the Service, and the nodes that run a ready one.

    Without a ready pod kube-proxy sends to one that terminates and still serves (KEP-1669): that node drops nothing. Of
    endpoints that name no node nobody can tell where they are: then no target is accused.
    """
    serving = [e for e in traffic.endpoints() if e.ready or e.terminating]
    if not all(e.node for e in serving):
        return [], []
    nodes = {e.node for e in serving}
    passing = [t for t in traffic.targets() if t.state == "healthy"]
    dropping = [t for t in passing if (node := traffic.node_of(t)) is not None and node.meta.name not in nodes]
    return dropping, sorted({e.node for e in traffic.ready_endpoints()})


def told_by_check(group: TargetGroup, service: Service) -> bool:
    """Whether a node without a ready pod fails the group's check: one of a node port, which is dropped there, or of the
    healthCheckNodePort, where kube-proxy answers 503."""
    asked = group.health_check
    if not asked.port.isdigit() or int(asked.port) in {group.port, *(port.node_port for port in service.ports)}:
        return True
    own = int(asked.port) == service.health_check_node_port
    return own and asked.protocol != "TCP" and not accepts(asked.matcher, 503)
