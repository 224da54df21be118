"""What only names say of a port of pods: that it speaks TLS. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.analysis.pod_evidence import port_of
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.k8s import ContainerPort, Pod
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_TLS = re.compile(r"https|tls|ssl")
_PLAIN = re.compile(r"^(?!.*(?:https|tls|ssl)).*(?:http|web|metrics|admin)")
_PORTS = (443, 8443)


def said_by_names(traffic: TrafficPath, failing: Iterable[TargetHealth], port: int) -> str:
    """What makes it likely that a port speaks TLS; "" where nothing does.

    Nothing is likely while the same check succeeds elsewhere in the group. A Network Load Balancer may end TLS itself,
    so that there only appProtocol says what the pods speak, unless the container's name for the port says otherwise. A
    connection that fails may as well be refused: there a number tells nothing unless a probe finds that something
    listens.
    """
    group, declared = traffic.target_group.need(), traffic.service_port.need()
    if group is None or group.health_check.protocol != "HTTP" or any(t.state == "healthy" for t in traffic.targets()):
        return ""
    pods = [pod for pod in traffic.matching_pods() if pod.containers_ready]
    ports = [p for pod in pods for p in _ports(pod, port)]
    if not pods:
        return ""
    plain = any(_PLAIN.search(p.name) for p in ports)
    if declared is not None and declared.app_protocol.lower() == "https" and (traffic.is_alb or not plain):
        return f"port {declared.port} of the Service has appProtocol https"
    if not traffic.is_alb:
        return ""
    refused = any(target.reason == FAILED_HEALTH_CHECKS for target in failing)
    if plain and refused:
        return ""
    if group.protocol == "HTTPS":
        return "requests are sent by HTTPS (backend-protocol)"
    name = next((p.name for p in ports if _TLS.search(p.name)), "")
    if name:
        return f'the container port is named "{name}"'
    if declared is not None and _TLS.search(declared.name):
        return f'port {declared.port} of the Service is named "{declared.name}"'
    if port in _PORTS and not plain and (not refused or all(_listens(pod, port) for pod in pods)):
        return f"port {port} is one of TLS by custom"
    return ""


def said_by_its_names(traffic: TrafficPath, port: int) -> str:
    """What of a port itself makes it likely that it speaks TLS, whatever stands before it; "" where nothing does.

    How the container names it comes first. The Service's port may say by name and appProtocol what clients speak, as
    the chart of ingress-nginx does, whose port https leads to the container's http where a load balancer ends TLS:
    https://github.com/kubernetes/ingress-nginx/blob/main/deploy/static/provider/aws/nlb-with-tls-termination/deploy.yaml
    A number tells nothing: on 8443 a gateway of a mesh takes plain HTTP where that is what its listener is set to.
    """
    declared = traffic.service_port.need()
    ports = [p for pod in traffic.matching_pods() if pod.containers_ready for p in _ports(pod, port)]
    if any(_PLAIN.search(p.name) for p in ports):
        return ""
    if name := next((p.name for p in ports if _TLS.search(p.name)), ""):
        return f'the container port is named "{name}"'
    if declared is not None and declared.app_protocol.lower() == "https":
        return f"port {declared.port} of the Service has appProtocol https"
    return ""


def _ports(pod: Pod, number: int) -> Iterator[ContainerPort]:
    yield from (p for c in pod.serving_containers() for p in c.ports if p.port == number)


def _listens(pod: Pod, number: int) -> bool:
    """Whether a readiness probe finds that something listens there."""
    probes = (container.readiness for container in pod.serving_containers())
    return any(p is not None and p.kind == "tcpSocket" and port_of(pod, p) == number for p in probes)
