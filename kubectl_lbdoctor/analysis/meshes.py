"""Side-cars of service meshes: which pods have one, and what a probe that passes says beside it. Pure.

A side-car takes the pod's connections before the application does. With strict mutual TLS it accepts a plain connection
and closes it, while the kubelet's probes pass: the mesh rewrites them to a port of its own.

The ingress gateway of a mesh is a pod whose only container is that proxy. There it is the application: it declares the
traffic ports, and its status port (15021 of Istio) is what a load balancer has to check.
Sources: https://istio.io/latest/docs/ops/configuration/mesh/app-health-check/ (ports 15020 and 15021, /app-health/),
https://istio.io/latest/docs/ops/deployment/application-requirements/ (ports used by Istio; a gateway's status port),
https://istio.io/latest/docs/reference/config/annotations/ (excludeInboundPorts),
https://linkerd.io/2/reference/cli/inject/ (config.linkerd.io/skip-inbound-ports, port 4191).
"""

from __future__ import annotations

import re

from kubectl_lbdoctor.model.k8s import Container, Pod

_SIDE_CARS = frozenset({"istio-proxy", "linkerd-proxy", "kuma-sidecar", "consul-dataplane", "osm-envoy"})
# Ports of the side-cars themselves: no application listens there.
_MESH_PORTS = frozenset({4143, 4191, 15000, 15001, 15006, 15008, 15020, 15021, 15053, 15090})
_LEFT_OUT = ("traffic.sidecar.istio.io/excludeInboundPorts", "config.linkerd.io/skip-inbound-ports")
_TAKEN_IN = "traffic.sidecar.istio.io/includeInboundPorts"
_AMBIENT = ("ambient.istio.io/redirection", "enabled")


def _side_cars(pod: Pod) -> tuple[Container, ...]:
    """The proxies of a mesh beside an application; none in a gateway, which is nothing but the proxy."""
    serving = pod.serving_containers()
    found = tuple(c for c in serving if c.name in _SIDE_CARS)
    return found if len(found) < len(serving) else ()


def application_containers(pod: Pod) -> tuple[Container, ...]:
    """The containers that serve, without the side-cars of a mesh."""
    side_cars = _side_cars(pod)
    return tuple(c for c in pod.serving_containers() if c not in side_cars)


def application_ports(pod: Pod, protocol: str = "TCP") -> tuple[int, ...]:
    """The container ports that the application declares, without those of a mesh."""
    return tuple(p.port for c in application_containers(pod) for p in c.ports if p.protocol == protocol)


def is_answered_by_mesh(pod: Pod, port: int) -> bool:
    """Whether the side-car of a pod answers on this port, for itself or for the application's rewritten probes."""
    return port in _MESH_PORTS and bool(_side_cars(pod))


def proxy_of(pod: Pod, port: int) -> str:
    """What of a mesh takes the pod's connections on this port, by name; "" where nothing does."""
    annotations = pod.meta.annotations
    if annotations.get(_AMBIENT[0]) == _AMBIENT[1]:
        return "ztunnel"
    name = next((c.name for c in _side_cars(pod)), "")
    if any(_names(annotations.get(key, ""), port) for key in _LEFT_OUT):
        return ""
    taken = annotations.get(_TAKEN_IN)
    return "" if taken is not None and taken != "*" and not _names(taken, port) else name


def _names(ports: str, wanted: int) -> bool:
    """Whether a list of ports and ranges ("80,8000-8100") names this one."""
    for part in ports.split(","):
        named = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5})?)?", part.strip())
        if named is not None and int(named[1]) <= wanted <= int(named[2] or named[1]):
            return True
    return False
