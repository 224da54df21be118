"""Manifests of Gateways: builders of single objects, and two healthy stacks of which a test changes one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.lab import examples
from tests.lab.examples import Manifest

API, SETTINGS = "gateway.networking.k8s.io", "gateway.k8s.aws"
ALB_CLASS, NLB_CLASS = "aws-alb", "aws-nlb"
FAST = {
    "healthCheckInterval": 5,
    "healthCheckTimeout": 2,
    "healthyThresholdCount": 2,
    "unhealthyThresholdCount": 2,
}
"""The fastest that AWS accepts, as in `examples`."""


def classes() -> list[Manifest]:
    """The GatewayClasses of both kinds of load balancers; they belong to no namespace."""
    return [
        {
            "apiVersion": f"{API}/v1",
            "kind": "GatewayClass",
            "metadata": {"name": name},
            "spec": {"controllerName": f"gateway.k8s.aws/{kind}"},
        }
        for name, kind in ((ALB_CLASS, "alb"), (NLB_CLASS, "nlb"))
    ]


def gateway(class_name: str = ALB_CLASS, name: str = "web", more: Sequence[Manifest] = (), **listener: Any) -> Manifest:
    """A Gateway with one listener, HTTP on port 80 unless it says otherwise, and more of them."""
    return {
        "apiVersion": f"{API}/v1",
        "kind": "Gateway",
        "metadata": {"name": name},
        "spec": {
            "gatewayClassName": class_name,
            "listeners": [{"name": "main", "port": 80, "protocol": "HTTP", **listener}, *more],
        },
    }


def with_parameters(own: Manifest, name: str) -> Manifest:
    """The Gateway with a LoadBalancerConfiguration of its own."""
    reference = {"group": SETTINGS, "kind": "LoadBalancerConfiguration", "name": name}
    return {**own, "spec": {**own["spec"], "infrastructure": {"parametersRef": reference}}}


def settings(kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    """A configuration of group gateway.k8s.aws, as the release on the lab serves it."""
    return {"apiVersion": f"{SETTINGS}/v1beta1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def route(
    kind: str = "HTTPRoute",
    *,
    name: str = "web",
    parent: Mapping[str, Any] | None = None,
    hostnames: Sequence[str] = (),
    backend: Mapping[str, Any] | None = None,
    backends: Sequence[Mapping[str, Any]] = (),
    rule: Mapping[str, Any] | None = None,
) -> Manifest:
    """A route from Gateway "web" to port 80 of Service "web", with one rule. backend: changes of that one; backends:
    others in its place; rule: what the rule has besides."""
    own = [{"name": "web", "port": 80, **(backend or {})}]
    spec: Manifest = {
        "parentRefs": [{"name": "web", **(parent or {})}],
        "rules": [{"backendRefs": [dict(entry) for entry in backends] or own, **(rule or {})}],
    }
    return {
        "apiVersion": f"{API}/{'v1alpha2' if kind in ('TCPRoute', 'UDPRoute') else 'v1'}",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**spec, **({"hostnames": list(hostnames)} if hostnames else {})},
    }


def listener_set(name: str, **listener: Any) -> Manifest:
    """A ListenerSet that adds one listener to Gateway "web"."""
    spec = {"parentRef": {"name": "web"}, "listeners": [{"name": "more", "port": 8081, "protocol": "HTTP", **listener}]}
    return {"apiVersion": f"{API}/v1", "kind": "ListenerSet", "metadata": {"name": name}, "spec": spec}


def reference_grant(route_kind: str, source: str, kind: str = "Service") -> Manifest:
    """Lets routes of namespace `source` refer to Services of the namespace that it is made in."""
    group = API if kind == "Gateway" else ""
    spec = {
        "from": [{"group": API, "kind": route_kind, "namespace": source}],
        "to": [{"group": group, "kind": kind}],
    }
    return {"apiVersion": f"{API}/v1beta1", "kind": "ReferenceGrant", "metadata": {"name": "web"}, "spec": spec}


def configuration(
    service: str = "web", target_type: str = "ip", path: str = examples.HEALTH_PATH, name: str = "web"
) -> Manifest:
    """A TargetGroupConfiguration for a Service ("" for none: a default). path: "" for a check by TCP."""
    check = {**FAST, **({"healthCheckPath": path} if path else {})}
    spec = {"defaultConfiguration": {"targetType": target_type, "healthCheckConfig": check}}
    reference = {"targetReference": {"name": service}} if service else {}
    return settings("TargetGroupConfiguration", name, {**reference, **spec})


def alb_ip() -> list[Manifest]:
    """An Application Load Balancer from a Gateway, with pods as targets."""
    return [examples.app(), examples.service(), gateway(), route(), configuration()]


def nlb_ip() -> list[Manifest]:
    """A Network Load Balancer from a Gateway, with pods as targets."""
    own = gateway(NLB_CLASS, protocol="TCP")
    return [examples.app(), examples.service(), own, route("TCPRoute"), configuration(path="")]


def alb_instance() -> list[Manifest]:
    """An Application Load Balancer from a Gateway, with nodes as targets, which is the controller's default."""
    own = configuration(target_type="instance")
    return [examples.app(), examples.service(type="NodePort"), gateway(), route(), own]
