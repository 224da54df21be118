"""Which listeners a frontend asks for, and how its controller is made to look at it again. Pure.

Sources: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#listen-ports,
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/nlb/ (a listener for each port).
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.analysis.gateways import attachments, gateways_of_route, route_of
from kubectl_lbdoctor.knowledge.annotation_values import ValueProblem, parse_listen_ports
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.times import seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath

LISTEN_PORTS = ALB_PREFIX + "listen-ports"
_MARK = "lbdoctor.io/reconcile"


def asked_listeners(traffic: TrafficPath) -> Mapping[int, str]:
    """The ports that the path's load balancer must listen on, with what asks for each; {} where that is not certain.

    Of an Ingress only what its annotation says: the default depends on certificates, which a class may give it. Of a
    route the listeners of its Gateway that take it: others have no listener in AWS.
    """
    if traffic.subject.kind == kinds.INGRESS.name:
        ingress = traffic.ingress.need()
        text = ingress.meta.annotations.get(LISTEN_PORTS, "") if ingress is not None else ""
        try:
            return dict.fromkeys(parse_listen_ports(text), f"annotation {LISTEN_PORTS}: {text}") if text else {}
        except ValueProblem:
            return {}
    if traffic.subject.kind == kinds.SERVICE.name:
        service = traffic.service.need()
        if service is None or service.meta.name != traffic.subject.name:
            return {}
        return {port.port: f"spec.ports: {port.port}/{port.protocol}" for port in service.ports}
    backend = traffic.backend
    route = route_of(traffic.snapshot, backend.route).need() if backend is not None and backend.route else None
    gateways = gateways_of_route(traffic.snapshot, route) if route is not None else ()
    if route is None or len(gateways) != 1:
        return {}
    return {
        section.listener.port: f"listener {section.listener.name} of {section.owner}"
        for attachment in attachments(traffic.snapshot, route, gateways[0])
        for section in attachment.taken
    }


def youngest_change(traffic: TrafficPath) -> float:
    """Seconds since the frontend, or a Gateway that a route belongs to, was made or written; infinite where nothing
    says it."""
    frontend = frontend_of(traffic)
    manifest = frontend.manifest.peek()
    metas = [*([manifest.meta] if manifest is not None else []), *(meta for _, meta in frontend.reconciled)]
    times = [time for meta in metas for time in (meta.created, *(m.time for m in meta.managers)) if time]
    return min((seconds_between(time, traffic.now) for time in times), default=float("inf"))


def looked_at_again(traffic: TrafficPath) -> tuple[str, ...]:
    """The commands that make the controller reconcile the frontend again: it hears of any change of an annotation, also
    of one that means nothing
    (https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/main/controllers, the event handlers of
    Ingresses, Services and Gateways). Bindings that people made are reconciled of themselves."""
    frontend = frontend_of(traffic)
    gateways = [ref for ref, _ in frontend.reconciled if ref.kind == kinds.GATEWAY.name]
    objects: list[ObjectRef] = gateways or [frontend.ref]
    if objects == [frontend.ref] and frontend.ref.kind == kinds.TARGET_GROUP_BINDING.name:
        return ()
    mark = f"{_MARK}={traffic.now.replace(':', '').replace('-', '')}"
    return tuple(kubectl("annotate", str(ref), mark, "--overwrite", namespace=ref.namespace) for ref in objects)
