"""LBD1xx: ownership, the controller's model, and the controller itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.checks.commands import json_patch, kubectl
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.runner import NotApplicable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Ingress, Service
from kubectl_lbdoctor.model.route import Route


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The most similar of the candidates ("" when none is similar)."""
    close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return close[0] if close else ""


def _ingress_backend(route: Route) -> tuple[Ingress, str]:
    ingress = route.ingress.need()
    if ingress is None or route.backend is None or not route.backend.service:
        raise NotApplicable("no Ingress backend that names a Service")
    return ingress, route.backend.service


@check(
    "LBD106",
    title="every backend Service of the Ingress exists",
    severity=Severity.ERROR,
    message="Ingress {ingress} leads {paths} to Service {service}, which does not exist{nearest}",
    reads=(reads.INGRESSES, reads.SERVICES),
    explains=("LBD109", "LBD201", "LBD217", "LBD209"),
)
def backend_service_missing(route: Route) -> Iterator[Finding]:
    """An Ingress backend names a Service that is not there.

    The controller still reports "Successfully reconciled": it answers these paths with a fixed 503 ("Backend service
    does not exist") and makes no target group for them (default of `--tolerate-non-existent-backend-service`).

    Confirm by hand: `kubectl get service NAME`. Repair: create the Service, or correct the name in the Ingress.
    """
    ingress, service = _ingress_backend(route)
    if route.backend is not None and route.backend.port == "use-annotation":
        raise NotApplicable("an action without annotation, see LBD108")
    if route.service.need() is not None:
        return
    names = sorted(s.meta.name for s in route.facts.services.need())
    close = nearest(service, names)
    evidence = [Evidence(f"services in {route.namespace}", ", ".join(names[:8]) or "none")]
    for rule in route.rules.peek() or ():
        for action in rule.actions:
            if action.type == "fixed-response" and "does not exist" in action.message_body:
                evidence.append(
                    Evidence(
                        "listener rule", f"priority {rule.priority}: fixed {action.status_code} {action.message_body!r}"
                    )
                )
    yield Finding(
        "LBD106",
        ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name),
        params={
            "ingress": ingress.meta.name,
            "service": service,
            "paths": ", ".join(route.backend.paths) if route.backend else "",
            "nearest": f' (similar: "{close}")' if close else "",
        },
        evidence=tuple(dict.fromkeys(evidence)),
        confirm=(kubectl("get", "service", service, namespace=route.namespace),),
        commands=(kubectl("edit", "ingress", ingress.meta.name, namespace=route.namespace),),
        advice=f'correct the backend name to "{close}", or create Service {service}'
        if close
        else f"create Service {service}",
    )


@check(
    "LBD107",
    title="every backend port of the Ingress is a port of its Service",
    severity=Severity.ERROR,
    message="Ingress {ingress} leads {paths} to port {port} of Service {service}, which has {ports}",
    reads=(reads.INGRESSES, reads.SERVICES),
    explains=("LBD103", "LBD109", "LBD217", "LBD209"),
    fix="backend-port",
)
def backend_port_missing(route: Route) -> Iterator[Finding]:
    """An Ingress backend names a port that the Service does not have; often it is the container's port instead.

    The controller cannot build its model then (event FailedBuildModel, "unable to find port P on service NS/NAME"),
    for every member of the same IngressGroup.

    Confirm by hand: `kubectl get service NAME`. Repair: name the Service's own port in the Ingress.
    """
    ingress, service_name = _ingress_backend(route)
    service = route.service.need()
    if service is None or route.service_port.need() is not None or route.backend is None:
        return
    port = route.backend.port
    if port == "use-annotation":
        raise NotApplicable("an action, not a port")
    wanted = _port_meant(service, port)
    commands: tuple[str, ...] = ()
    if wanted and not route.backend.action:
        commands = (_port_patch(ingress, service_name, port, wanted),)
    ports = ", ".join(f"{p.port}{f' ({p.name})' if p.name else ''} -> {p.target}" for p in service.ports) or "no port"
    yield Finding(
        "LBD107",
        ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name),
        params={
            "ingress": ingress.meta.name,
            "service": service_name,
            "port": f'"{port}"',
            "paths": ", ".join(route.backend.paths),
            "ports": f"port {ports}" if len(service.ports) == 1 else f"ports {ports}",
        },
        evidence=(Evidence(f"service/{service_name}", f"ports: {ports}"),),
        confirm=(kubectl("get", "service", service_name, "-o", "yaml", namespace=route.namespace),),
        commands=commands,
        fix_automatic=bool(wanted),
        advice="" if wanted else f"name one of the Service's ports: {ports}",
    )


def _port_meant(service: Service, port: str) -> str:
    """The Service port that was certainly meant: the only one, or the one whose targetPort was named instead."""
    by_target = [p for p in service.ports if p.target == port]
    if len(by_target) == 1:
        return str(by_target[0].port)
    return str(service.ports[0].port) if len(service.ports) == 1 else ""


def _port_patch(ingress: Ingress, service: str, port: str, wanted: str) -> str:
    """A JSON patch that corrects the port wherever the Ingress names it for this Service."""
    value: dict[str, object] = {"number": int(wanted)}
    operations: list[dict[str, object]] = []
    for path in ingress.paths:
        if path.backend.service == service and path.backend.port == port:
            pointer = f"/spec/rules/{path.rule}/http/paths/{path.index}/backend/service/port"
            operations.append({"op": "replace", "path": pointer, "value": value})
    default = ingress.default_backend
    if default is not None and default.service == service and default.port == port:
        operations.append({"op": "replace", "path": "/spec/defaultBackend/service/port", "value": value})
    return json_patch(ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name), operations)
