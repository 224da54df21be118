"""LBD106 and LBD107: do the Service that a backend names, and its port, exist?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.controller_complaints import READS as REPORT_READS
from kubectl_lbdoctor.analysis.controller_complaints import known_complaints
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.gateways import route_of
from kubectl_lbdoctor.analysis.ingress_backends import spoken
from kubectl_lbdoctor.analysis.remediation import annotate, edit, kubectl, patch
from kubectl_lbdoctor.analysis.similar_names import nearest
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.gateway_api import Route
from kubectl_lbdoctor.model.k8s import Ingress, Service
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def _backend_owner(traffic: TrafficPath) -> tuple[ObjectRef, str]:
    """The object that names the path's backend, an Ingress or a route, and the backend's Service."""
    if traffic.backend is not None and traffic.backend.route is not None and traffic.backend.service:
        return traffic.backend.route, traffic.backend.service
    ingress, service = _ingress_backend(traffic)
    return ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name), service


def _ingress_backend(traffic: TrafficPath) -> tuple[Ingress, str]:
    ingress = traffic.ingress.need()
    if ingress is None or traffic.backend is None or not traffic.backend.service:
        raise NotApplicable("no Ingress backend that names a Service")
    return ingress, traffic.backend.service


@check(
    "LBD106",
    title="a backend names a Service that does not exist",
    passes="every backend Service exists",
    severity=Severity.ERROR,
    message='{kind} {name} routes {paths} to Service "{service}", which does not exist'
    '[ here, but in {elsewhere:=namespace|namespaces} {elsewhere:,2}][; did you mean "{nearest}"?]',
    reads=(
        *(reads.INGRESSES, reads.SERVICES, reads.BINDINGS, reads.LOAD_BALANCERS, reads.LISTENERS, reads.RULES),
        *(reads.ALL_SERVICES, *GATEWAY_READS, *REPORT_READS),
    ),
    explains=("LBD109", "LBD115", "LBD201", "LBD217", "LBD209"),
    distinct_by=("service",),
)
def backend_service_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A backend of an Ingress or of a Gateway's route names a Service that is not there.

    Of an Ingress the controller still reports "Successfully reconciled": it answers these paths with a fixed 503
    ("Backend service does not exist") and makes no target group for them; started with
    `--tolerate-non-existent-backend-service=false` it refuses the whole Ingress (FailedBuildModel). Of a route it says
    BackendNotFound (condition ResolvedRefs), answers with a fixed error, and behind a Network Load Balancer makes no
    listener.

    Confirm by hand: `kubectl get service NAME`. Repair: create the Service, or correct the name in Ingress or route.
    """
    owner, service = _backend_owner(traffic)
    ingress = traffic.ingress.need() if owner.kind == "Ingress" else None
    if traffic.backend is not None and traffic.backend.port == "use-annotation":
        raise NotApplicable("an action without annotation, see LBD108")
    if traffic.service.need() is not None:
        return
    names = sorted(s.meta.name for s in traffic.namespace_facts.services.need())
    elsewhere = _namespaces_of(traffic, service)
    close = "" if elsewhere else nearest(service, names)
    evidence = [Evidence(f"services in {traffic.namespace}", ", ".join(names[:8]) or "none")]
    if elsewhere:
        evidence.append(Evidence(f"services named {service}", f"in {', '.join(elsewhere[:8])}"))
    for rule in traffic.rules.peek() or ():
        for action in rule.actions:
            if action.type == "fixed-response" and "does not exist" in action.message_body:
                evidence.append(
                    Evidence(
                        Source.LISTENER_RULE,
                        f"priority {rule.priority}: fixed {action.status_code} {action.message_body!r}",
                    )
                )
    said = [c for c in known_complaints(traffic) if (c.decoded.code, c.param("service")) == ("LBD106", service)]
    evidence += (entry.evidence for entry in said[:1])
    forwarding = traffic.backend.action if traffic.backend is not None else ""
    renamed = _name_patch(ingress, service, close, forwarding) if close and ingress is not None else None
    yield Finding(
        "LBD106",
        owner,
        params={
            "kind": owner.kind,
            "name": owner.name,
            "service": service,
            "paths": tuple(map(spoken, traffic.backend.paths)) if traffic.backend else (),
            "nearest": close,
            "elsewhere": elsewhere,
        },
        evidence=tuple(dict.fromkeys(evidence)),
        confirm=(kubectl("get", "services", "-A", f"--field-selector=metadata.name={service}"),),
        by_hand=(renamed.command if renamed is not None else kubectl("edit", str(owner), namespace=owner.namespace),),
        advice=f'correct the backend name to "{close}", or create Service {service}'
        if close
        else _ELSEWHERE[owner.kind == "Ingress"].format(namespace=elsewhere[0])
        if elsewhere
        else f"create Service {service} in namespace {traffic.namespace}, or name another one there",
        explains=("LBD103",) if said else (),
    )


# An Ingress leads to Services of its own namespace, a route to others, where a grant there allows it.
# https://kubernetes.io/docs/concepts/services-networking/ingress/,
# https://gateway-api.sigs.k8s.io/api-types/referencegrant/
_ELSEWHERE = {
    True: "an Ingress leads to Services of its own namespace only: make one in namespace {namespace}; with one "
    "IngressGroup for both they share the load balancer",
    False: "name namespace {namespace} in the route's backendRefs, and allow it by a ReferenceGrant there",
}


def _namespaces_of(traffic: TrafficPath, service: str) -> tuple[str, ...]:
    """The other namespaces in which a Service of this name is; none where they could not be searched."""
    found = traffic.cluster.services_elsewhere.peek() or ()
    return tuple(sorted({s.meta.namespace for s in found if s.meta.name == service} - {traffic.namespace}))


@check(
    "LBD107",
    title="a backend names a port that its Service does not have",
    passes="every backend port is a port of its Service",
    severity=Severity.ERROR,
    message="{kind} {name} routes {paths} to port {port} of Service {service}, which has "
    "{ports:=port|ports} {ports:?no port}",
    reads=(reads.INGRESSES, reads.SERVICES, reads.BINDINGS, *GATEWAY_READS),
    explains=("LBD103", "LBD109", "LBD115", "LBD217", "LBD209"),
    fix="backend-port",
    distinct_by=("service", "port"),
)
def backend_port_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A backend of an Ingress or of a Gateway's route names a port that the Service does not have; often it is the
    container's port instead.

    For an Ingress the controller cannot build its model then (event FailedBuildModel, "unable to find port P on service
    NS/NAME"), for every member of the same IngressGroup. Of a route it says BackendNotFound and goes on without it.

    Confirm by hand: `kubectl get service NAME`. Repair: name the Service's own port in Ingress or route.
    """
    owner, service_name = _backend_owner(traffic)
    route = route_of(traffic.snapshot, owner).need() if owner.kind != "Ingress" else None
    service = traffic.service.need()
    if service is None or traffic.service_port.need() is not None or traffic.backend is None:
        return
    port = traffic.backend.port
    if port == "use-annotation":
        raise NotApplicable("an action, not a port")
    wanted, action = _port_meant(service, port), traffic.backend.action
    repairs: tuple[Repair, ...] = ()
    if not action:
        candidates = [wanted] if wanted else [str(p.port) for p in service.ports]
        repairs = tuple(
            Repair(number, (change,)).with_reason(f"Service {service_name} has port {number}, not {port}")
            for number in candidates
            if (change := _port_change(traffic, route, service_name, port, number)) is not None
        )
    listed = tuple(f"{p.port}{f' ({p.name})' if p.name else ''} -> {p.target}" for p in service.ports)
    ports = ", ".join(listed) or "no port"
    place = f" in annotation {ALB_PREFIX}actions.{action}" if action else ""
    yield Finding(
        "LBD107",
        owner,
        params={
            "kind": owner.kind,
            "name": owner.name,
            "service": service_name,
            "port": port,
            "paths": tuple(map(spoken, traffic.backend.paths)),
            "ports": listed,
        },
        evidence=(Evidence(f"service/{service_name}", f"ports: {ports}"),),
        confirm=(kubectl("get", "service", service_name, "-o", "yaml", namespace=traffic.namespace),),
        repairs=repairs,
        fix_automatic=bool(wanted and repairs),
        advice=f"name one of the Service's ports{place}: {ports}" if place or not wanted else "",
    )


def _port_meant(service: Service, port: str) -> str:
    """The Service port that was certainly meant: the only one, or the one whose targetPort was named instead."""
    by_target = [p for p in service.ports if p.target == port]
    if len(by_target) == 1:
        return str(by_target[0].port)
    return str(service.ports[0].port) if len(service.ports) == 1 else ""


def _port_change(traffic: TrafficPath, route: Route | None, service: str, port: str, wanted: str) -> Change | None:
    """Corrects the port of a backend in the Ingress or in the route; None where it names none."""
    if route is None:
        ingress, _ = _ingress_backend(traffic)
        return _port_patch(ingress, service, port, wanted)
    edits = []
    for position, rule in enumerate(route.rules):
        for index, backend in enumerate(rule.backends):
            home = backend.namespace or route.meta.namespace
            if (home, backend.name, str(backend.port or "")) == (traffic.namespace, service, port):
                here = f"/spec/rules/{position}/backendRefs/{index}"
                edits += [edit(f"{here}/name", service, service), edit(f"{here}/port", backend.port, int(wanted))]
    if not port or not edits:
        return None
    return replace(patch(route.ref, f"backend {service}: port", *edits), now=port, then=wanted)


def _name_patch(ingress: Ingress, service: str, wanted: str, action: str) -> Change | None:
    """Names another Service wherever the Ingress names this one, in its rules or in the annotation of the action that
    forwards to it; None where neither does."""
    backends = [
        f"/spec/rules/{path.rule}/http/paths/{path.index}/backend/service/name"
        for path in ingress.paths
        if path.backend.service == service
    ]
    if ingress.default_backend is not None and ingress.default_backend.service == service:
        backends.append("/spec/defaultBackend/service/name")
    ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
    if backends:
        return patch(ref, f"backend {service}", *(edit(pointer, service, wanted) for pointer in backends))
    key = f"{ALB_PREFIX}actions.{action}"
    said = ingress.meta.annotations.get(key, "")
    # Go reads the keys of JSON in upper or lower case alike.
    then = re.sub(rf'("serviceName"\s*:\s*"){re.escape(service)}"', rf'\g<1>{wanted}"', said, flags=re.IGNORECASE)
    return annotate(ref, ingress.meta.annotations, {key: then}) if then != said else None


def _port_patch(ingress: Ingress, service: str, port: str, wanted: str) -> Change:
    """Corrects the port wherever the Ingress names it for this Service."""
    now: dict[str, object] = {"number": int(port)} if port.isdigit() else {"name": port}
    then: dict[str, object] = {"number": int(wanted)}
    backends = [
        f"/spec/rules/{path.rule}/http/paths/{path.index}/backend/service"
        for path in ingress.paths
        if path.backend.service == service and path.backend.port == port
    ]
    default = ingress.default_backend
    if default is not None and default.service == service and default.port == port:
        backends.append("/spec/defaultBackend/service")
    ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
    edits = [e for b in backends for e in (edit(f"{b}/name", service, service), edit(f"{b}/port", now, then))]
    change = patch(ref, f"backend {service}: port", *edits)
    return replace(change, now=port, then=wanted)
