"""externalTrafficPolicy Local: which nodes hold an endpoint of the Service. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.model.aws import TargetHealth
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
