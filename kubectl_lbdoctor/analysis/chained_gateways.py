"""A Gateway behind a Gateway: a Network Load Balancer whose target is an Application Load Balancer. Pure.

The target of the first one is healthy where the second answers its health check, an HTTP request without the host name
of any route: what keeps the route that answers it from serving is why the target fails.

Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/docs/guide/gateway/gateway_chaining.md
and https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.analysis.frontends import frontend
from kubectl_lbdoctor.analysis.gateway_sites import claim_of_check
from kubectl_lbdoctor.analysis.gateways import backends, balancer_arn, gateway_of, granted, routes_of_subject, sections
from kubectl_lbdoctor.analysis.route_precedence import Claim, claims_in_order
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def gateways_behind(snapshot: Snapshot, subjects: Iterable[ObjectRef]) -> tuple[ObjectRef, ...]:
    """The Gateways that routes of the subjects lead to, and that are no subjects themselves."""
    own = tuple(subjects)
    found = [
        ObjectRef(kinds.GATEWAY.name, backend.namespace or route.meta.namespace, backend.name)
        for subject in own
        if subject.kind in _KINDS
        for route in routes_of_subject(snapshot, subject)
        for _, backend in backends(route)
        if backend.kind == kinds.GATEWAY.name and granted(snapshot, route, backend)
    ]
    return tuple(
        ref
        for ref in dict.fromkeys(found)
        if ref not in own and gateway_of(snapshot, ref.namespace, ref.name).peek() is not None
    )


_KINDS = frozenset(kind.name for kind in (kinds.GATEWAY, *kinds.ROUTES))


def is_made(snapshot: Snapshot, ref: ObjectRef) -> bool:
    """Whether the load balancer of a Gateway is there to be a target."""
    gateway = gateway_of(snapshot, ref.namespace, ref.name).peek()
    return gateway is not None and bool(balancer_arn(gateway))


@derived
def paths_that_decide(traffic: TrafficPath) -> tuple[str, ...]:
    """The keys of the paths of the Gateway behind that decide whether this path serves: all of them while it is not
    made, then those of the rule that answers the health check, where that fails and no target of theirs passes its own;
    () for other paths."""
    ref = traffic.behind
    if ref is None or ref.kind != kinds.GATEWAY.name or ref not in traffic.snapshot.subjects:
        return ()
    several = frontend(traffic.snapshot, ref).paths()
    if not is_made(traffic.snapshot, ref):
        return tuple(path.key for path in several)
    if not _failing(traffic):
        return ()
    try:
        claim = _answering(traffic, ref)
    except Unknown:
        return ()
    if claim is None:
        return ()
    asked = claim.route.rules[claim.rule].backends
    services = {(b.namespace or claim.route.meta.namespace, b.name, str(b.port or "")) for b in asked}
    return tuple(
        path.key
        for path in several
        if path.backend is not None
        and path.backend.route == claim.route.ref
        and (path.namespace, path.backend.service, path.backend.port) in services
        and not path.is_served
    )


def fault_of_check(traffic: TrafficPath) -> str:
    """Why the health check of the first load balancer fails, whatever stands behind the second: "tls" where it asks an
    HTTPS listener by HTTP, "unanswered" where no rule takes it, so that the answer is 404; "" where neither is so.
    Raises `Unknown` where routes could not be read."""
    ref = traffic.behind
    if ref is None or ref.kind != kinds.GATEWAY.name or not _failing(traffic):
        return ""
    gateway, group = gateway_of(traffic.snapshot, ref.namespace, ref.name).peek(), traffic.target_group.peek()
    if gateway is None or group is None:
        return ""
    protocols = {s.listener.protocol for s in sections(traffic.snapshot, gateway) if s.listener.port == _port(traffic)}
    if group.health_check.protocol == "HTTP" and protocols == {"HTTPS"}:
        return "tls"
    return "unanswered" if _answering(traffic, ref) is None else ""


def _failing(traffic: TrafficPath) -> bool:
    targets = traffic.target_health.peek() or ()
    return any(target.state.startswith("unhealthy") for target in targets)


def _port(traffic: TrafficPath) -> int:
    return int(traffic.backend.port) if traffic.backend is not None and traffic.backend.port.isdigit() else 0


def _answering(traffic: TrafficPath, ref: ObjectRef) -> Claim | None:
    group = traffic.target_group.peek()
    claims = claims_in_order(traffic.snapshot, ref.namespace, ref.name).get(_port(traffic), ())
    return claim_of_check(claims, group.health_check.path or "/" if group is not None else "/")
