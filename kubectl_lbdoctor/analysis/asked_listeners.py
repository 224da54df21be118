"""Which listeners a frontend asks for. Pure.

Sources: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#listen-ports,
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/nlb/ (a listener for each port).
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.analysis.frontend_nlb import asked_of_frontend_nlb, is_before_ingress
from kubectl_lbdoctor.analysis.gateways import attachments, gateways_of_route, route_of
from kubectl_lbdoctor.knowledge.annotation_values import ValueProblem, parse_listen_ports
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.traffic_path import TrafficPath

LISTEN_PORTS = ALB_PREFIX + "listen-ports"


def asked_listeners(traffic: TrafficPath) -> Mapping[int, str]:
    """The ports that the path's load balancer must listen on, with what asks for each; {} where that is not certain.

    Of an Ingress only what its annotation says: the default depends on certificates, which a class may give it. The
    Network Load Balancer before it has listeners of the same ports, or of those that are mapped to them. Of a route the
    listeners of its Gateway that take it: others have no listener in AWS.
    """
    if is_before_ingress(traffic):
        return asked_of_frontend_nlb(traffic)
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
