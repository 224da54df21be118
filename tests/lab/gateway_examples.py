"""Manifests of Gateways: builders of single objects, and two healthy stacks of which a test changes one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.lab import examples
from tests.lab.examples import Manifest

API, SETTINGS = "gateway.networking.k8s.io", "gateway.k8s.aws"
ALB_CLASS, NLB_CLASS = "aws-alb", "aws-nlb"
_FAST = {
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


def gateway(class_name: str = ALB_CLASS, **listener: Any) -> Manifest:
    """Gateway "web" with one listener, HTTP on port 80 unless it says otherwise."""
    return {
        "apiVersion": f"{API}/v1",
        "kind": "Gateway",
        "metadata": {"name": "web"},
        "spec": {
            "gatewayClassName": class_name,
            "listeners": [{"name": "main", "port": 80, "protocol": "HTTP", **listener}],
        },
    }


def route(
    kind: str = "HTTPRoute",
    *,
    parent: Mapping[str, Any] | None = None,
    hostnames: Sequence[str] = (),
    backend: Mapping[str, Any] | None = None,
) -> Manifest:
    """Route "web" from Gateway "web" to port 80 of Service "web"."""
    spec: Manifest = {
        "parentRefs": [{"name": "web", **(parent or {})}],
        "rules": [{"backendRefs": [{"name": "web", "port": 80, **(backend or {})}]}],
    }
    return {
        "apiVersion": f"{API}/{'v1' if kind in ('HTTPRoute', 'GRPCRoute') else 'v1alpha2'}",
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {**spec, **({"hostnames": list(hostnames)} if hostnames else {})},
    }


def configuration(service: str = "web", target_type: str = "ip", path: str = examples.HEALTH_PATH) -> Manifest:
    """TargetGroupConfiguration "web" for a Service. path: "" for a check by TCP."""
    check = {**_FAST, **({"healthCheckPath": path} if path else {})}
    return {
        "apiVersion": f"{SETTINGS}/v1beta1",
        "kind": "TargetGroupConfiguration",
        "metadata": {"name": "web"},
        "spec": {
            "targetReference": {"name": service},
            "defaultConfiguration": {"targetType": target_type, "healthCheckConfig": check},
        },
    }


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
