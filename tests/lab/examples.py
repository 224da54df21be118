"""Manifests for tests: builders of single objects, and four healthy stacks of which a test changes one thing.

All are plain dictionaries; `find` picks one of a stack when a change has no argument of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.lab import images

Manifest = dict[str, Any]
Annotations = Mapping[str, str | None]

PORT = 8080
HEALTH_PATH = "/healthz"
# The application answers here and nowhere else, so that a default health check path ("/") fails as it does for many.
APP_ARGS = ("--listen", f":{PORT}", "--path", f"{HEALTH_PATH}=200")
READINESS: Manifest = {"httpGet": {"path": HEALTH_PATH, "port": PORT}, "periodSeconds": 1}

ALB = "alb.ingress.kubernetes.io/"
NLB = "service.beta.kubernetes.io/aws-load-balancer-"
NLB_CLASS = "service.k8s.aws/nlb"

# The fastest that AWS accepts: an interval of at least 5 s, a timeout of at least 2 s and below it, two in a row.
_FAST_ALB = {
    f"{ALB}healthcheck-interval-seconds": "5",
    f"{ALB}healthcheck-timeout-seconds": "2",
    f"{ALB}healthy-threshold-count": "2",
    f"{ALB}unhealthy-threshold-count": "2",
    f"{ALB}target-group-attributes": "deregistration_delay.timeout_seconds=0",
}
_FAST_NLB = {
    f"{NLB}healthcheck-interval": "5",
    f"{NLB}healthcheck-timeout": "2",
    f"{NLB}healthcheck-healthy-threshold": "2",
    f"{NLB}healthcheck-unhealthy-threshold": "2",
    f"{NLB}target-group-attributes": "deregistration_delay.timeout_seconds=0",
}


def app(
    name: str = "web",
    *,
    replicas: int = 2,
    args: Sequence[str] = APP_ARGS,
    container_port: int | None = PORT,
    ports: Sequence[Mapping[str, Any]] | None = None,
    readiness: Mapping[str, Any] | None = READINESS,
    labels: Mapping[str, str] | None = None,
    spread: bool = True,
    pod: Mapping[str, Any] | None = None,
) -> Manifest:
    """A Deployment of the test application (its arguments: tests/lab/app/main.go).

    `ports` replaces the one of `container_port`; `labels` are the pods' and the selector's; `spread` puts the replicas
    on different nodes; `pod` is merged into the pod's spec (nodeSelector, readinessGates, hostNetwork, …).
    """
    labels = dict(labels or {"app": name})
    container: Manifest = {
        "name": "app",
        "image": images.APP,
        "imagePullPolicy": "Never",
        "args": list(args),
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    if ports is None and container_port is not None:
        ports = [{"name": "http", "containerPort": container_port}]
    if ports:
        container["ports"] = [dict(port) for port in ports]
    if readiness is not None:
        container["readinessProbe"] = dict(readiness)
    spec: Manifest = {"containers": [container], "terminationGracePeriodSeconds": 1}
    if spread:
        # DoNotSchedule would leave a pod pending when a test takes a node away.
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            }
        ]
    spec.update(pod or {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(
    name: str = "web",
    *,
    port: int = 80,
    target_port: int | str = PORT,
    protocol: str = "TCP",
    ports: Sequence[Mapping[str, Any]] | None = None,
    type: str = "ClusterIP",
    selector: Mapping[str, str] | None = None,
    annotations: Annotations | None = None,
    external_traffic_policy: str | None = None,
    load_balancer_class: str | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Manifest:
    """A Service that selects `app: NAME`; an empty `selector` selects nothing, `spec` is merged in."""
    content: Manifest = {
        "type": type,
        "selector": dict({"app": name} if selector is None else selector),
        "ports": [dict(item) for item in ports]
        if ports
        else [{"name": "http", "port": port, "targetPort": target_port, "protocol": protocol}],
    }
    if external_traffic_policy is not None:
        content["externalTrafficPolicy"] = external_traffic_policy
    if load_balancer_class is not None:
        content["loadBalancerClass"] = load_balancer_class
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": _merged({}, annotations)},
        "spec": content | dict(spec or {}),
    }


def ingress(
    name: str = "web",
    *,
    backends: Sequence[tuple[str, str, int | str]] = (("/", "web", 80),),
    annotations: Annotations | None = None,
    class_name: str | None = "alb",
    host: str | None = None,
    group: str | None = None,
) -> Manifest:
    """An Ingress with one rule; a backend is (path, Service, its port by number or name)."""
    paths = [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {
                "service": {"name": backend, "port": {"number": port} if isinstance(port, int) else {"name": port}}
            },
        }
        for path, backend, port in backends
    ]
    rule: Manifest = {"http": {"paths": paths}}
    if host is not None:
        rule["host"] = host
    spec: Manifest = {"rules": [rule]}
    if class_name is not None:
        spec["ingressClassName"] = class_name
    own = {f"{ALB}group.name": group} if group is not None else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": _merged(own, annotations)},
        "spec": spec,
    }


# --- healthy stacks --------------------------------------------------------------------------------------------------


def alb_ip(**changes: Any) -> list[Manifest]:
    """Deployment, ClusterIP Service and Ingress with pods as targets; `changes` are the keywords of `alb`."""
    return alb("ip", **changes)


def behind_frontend_nlb(annotations: Annotations | None = None, **changes: Any) -> list[Manifest]:
    """`alb_ip` with a Network Load Balancer before its load balancer, which is checked on the application's path.
    annotations: more of the Ingress; `changes` are the keywords of `alb`."""
    own = {
        f"{ALB}enable-frontend-nlb": "true",
        f"{ALB}frontend-nlb-scheme": "internet-facing",
        f"{ALB}frontend-nlb-healthcheck-path": HEALTH_PATH,
        f"{ALB}frontend-nlb-healthcheck-interval-seconds": "5",
    }
    return alb("ip", annotations=_merged(own, annotations), **changes)


def alb_instance(**changes: Any) -> list[Manifest]:
    """Deployment, NodePort Service and Ingress with nodes as targets; `changes` are the keywords of `alb`."""
    return alb("instance", **changes)


def nlb_ip(**changes: Any) -> list[Manifest]:
    """Deployment and LoadBalancer Service with pods as targets; `changes` are the keywords of `nlb`."""
    return nlb("ip", **changes)


def nlb_instance(**changes: Any) -> list[Manifest]:
    """Deployment and LoadBalancer Service with nodes as targets; `changes` are the keywords of `nlb`."""
    return nlb("instance", **changes)


def alb(
    target_type: str,
    *,
    name: str = "web",
    annotations: Annotations | None = None,
    app: Mapping[str, Any] | None = None,
    service: Mapping[str, Any] | None = None,
    ingress: Mapping[str, Any] | None = None,
) -> list[Manifest]:
    """`annotations` are added to the Ingress's (None removes one); the others are keywords of the builders."""
    defaults = {
        f"{ALB}scheme": "internet-facing",
        f"{ALB}target-type": target_type,
        f"{ALB}healthcheck-path": HEALTH_PATH,
        **_FAST_ALB,
    }
    kind = "NodePort" if target_type == "instance" else "ClusterIP"
    return [
        _app(name, **(app or {})),
        _service(name, **({"type": kind} | dict(service or {}))),
        _ingress(
            name,
            **({"backends": [("/", name, 80)]} | dict(ingress or {}) | {"annotations": _merged(defaults, annotations)}),
        ),
    ]


def nlb(
    target_type: str,
    *,
    name: str = "web",
    annotations: Annotations | None = None,
    app: Mapping[str, Any] | None = None,
    service: Mapping[str, Any] | None = None,
) -> list[Manifest]:
    """`annotations` are added to the Service's (None removes one); the others are keywords of the builders."""
    defaults = {
        f"{NLB}scheme": "internet-facing",
        f"{NLB}nlb-target-type": target_type,
        f"{NLB}healthcheck-protocol": "http",
        f"{NLB}healthcheck-path": HEALTH_PATH,
        **_FAST_NLB,
    }
    own = {"type": "LoadBalancer", "load_balancer_class": NLB_CLASS}
    return [
        _app(name, **(app or {})),
        _service(name, **(own | dict(service or {}) | {"annotations": _merged(defaults, annotations)})),
    ]


def find(manifests: Sequence[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The one object of a kind in a stack, for a change that the builders have no argument for."""
    found = [item for item in manifests if item["kind"] == kind and (name is None or item["metadata"]["name"] == name)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} objects are {kind} {name or ''}")
    return found[0]


def _merged(defaults: Mapping[str, str], changes: Annotations | None) -> dict[str, str]:
    merged = {**defaults, **(changes or {})}
    return {key: value for key, value in merged.items() if value is not None}


# The stacks' keywords carry the builders' names.
_app, _service, _ingress = app, service, ingress
