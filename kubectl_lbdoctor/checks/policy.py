"""LBD6xx: traffic policy and what the load balancer makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.checks.commands import annotate, json_patch
from kubectl_lbdoctor.checks.healthcheck import ALB_PREFIX
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.runner import NotApplicable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.route import Route

_READS = (
    reads.SERVICES,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
)


def _local_instance_service(route: Route) -> Service:
    service = route.service.need()
    if service is None or route.target_group.need() is None:
        raise NotApplicable("no target group for a Service")
    if route.target_type != "instance" or service.external_traffic_policy != "Local":
        raise NotApplicable("not instance targets with externalTrafficPolicy Local")
    return service


def without_local_endpoint(route: Route) -> tuple[list[TargetHealth], list[str]]:
    """Failing instance targets whose node runs no ready pod of the Service, and the nodes that run one."""
    with_pod = sorted({e.node for e in route.ready_endpoints() if e.node})
    failing = []
    for target in route.unhealthy():
        node = route.node_of(target)
        if node is not None and node.meta.name not in with_pod:
            failing.append(target)
    return failing, with_pod


def _evidence(route: Route, failing: list[TargetHealth], with_pod: list[str]) -> tuple[Evidence, ...]:
    names = [node.meta.name for t in failing if (node := route.node_of(t)) is not None]
    return (
        Evidence("target group", f"{len(failing)} of {len(route.targets())} targets: {failing[0].reason}"),
        Evidence("endpointslices", f"ready pods on {', '.join(with_pod) or 'no node'}; none on {', '.join(names[:6])}"),
    )


@check(
    "LBD601",
    title="no node is left out by externalTrafficPolicy Local",
    severity=Severity.INFO,
    message="externalTrafficPolicy Local keeps {count} without a ready pod of Service {service} unhealthy by design",
    reads=_READS,
    fix="traffic-policy",
)
def local_policy_by_design(route: Route) -> Iterator[Finding]:
    """Behind a Network Load Balancer with instance targets and externalTrafficPolicy Local, only nodes that run a
    ready pod pass the check (kube-proxy answers 503 on the healthCheckNodePort of the others). That is how the client
    address is kept; traffic goes to the healthy nodes.

    Nothing needs repair. Cluster policy or `ip` targets make every target healthy, at the price of another hop or of
    the node ports.
    """
    service = _local_instance_service(route)
    if route.is_alb:
        raise NotApplicable("see LBD602")
    failing, with_pod = without_local_endpoint(route)
    if failing and with_pod:
        yield Finding(
            "LBD601",
            ObjectRef("Service", route.namespace, service.meta.name),
            params={"count": _nodes(failing), "service": service.meta.name},
            evidence=_evidence(route, failing, with_pod),
            targets=tuple(t.key for t in failing),
        )


@check(
    "LBD602",
    title="externalTrafficPolicy is not Local behind an Application Load Balancer with instance targets",
    severity=Severity.ERROR,
    message="externalTrafficPolicy Local of Service {service} drops the checks on {count} without a ready pod",
    reads=_READS,
    fix="traffic-policy",
)
def local_policy_behind_alb(route: Route) -> Iterator[Finding]:
    """externalTrafficPolicy Local with instance targets behind an Application Load Balancer: nodes without a ready pod
    drop the node port's traffic, and the load balancer, which checks the node port and never the healthCheckNodePort,
    sees them time out.

    An Application Load Balancer carries the client address in X-Forwarded-For, so Local gains nothing there.

    Confirm by hand: compare `kubectl get endpointslices -o wide` with the unhealthy instances.
    Repair: externalTrafficPolicy Cluster, or `target-type: ip`.
    """
    service = _local_instance_service(route)
    if not route.is_alb:
        raise NotApplicable("see LBD601")
    failing, with_pod = without_local_endpoint(route)
    if not failing or not with_pod:
        return
    ref = ObjectRef("Service", route.namespace, service.meta.name)
    commands = [
        json_patch(
            ref,
            [
                {"op": "test", "path": "/spec/externalTrafficPolicy", "value": "Local"},
                {"op": "replace", "path": "/spec/externalTrafficPolicy", "value": "Cluster"},
            ],
        )
    ]
    ingress = route.ingress.peek()
    if ingress is not None:
        ingress_ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
        commands.append(annotate(ingress_ref, ALB_PREFIX + "target-type", "ip"))
    yield Finding(
        "LBD602",
        ref,
        params={"count": _nodes(failing), "service": service.meta.name},
        evidence=(
            Evidence(f"service/{service.meta.name}", "externalTrafficPolicy Local, instance targets behind an ALB"),
            *_evidence(route, failing, with_pod),
        ),
        targets=tuple(t.key for t in failing),
        commands=tuple(commands),
        fix_automatic=True,
        advice="one of the two",
    )


def _nodes(failing: list[TargetHealth]) -> str:
    return f"{len(failing)} nodes" if len(failing) != 1 else "1 node"


@check(
    "LBD607",
    title="the load balancer does not fail open",
    severity=Severity.WARNING,
    message="all {count} of target group {group} are unhealthy, so the load balancer fails open and may hide it",
    reads=(reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    symptom=True,
)
def fails_open(route: Route) -> Iterator[Finding]:
    """When no target of a group is healthy, the load balancer sends traffic to all of them: the site may seem to work
    although every check fails. It stops working when the first target turns healthy or the pods move on.

    Confirm by hand: `aws elbv2 describe-target-health`. Repair: the cause of the failing checks.
    """
    group = route.target_group.need()
    targets = [t for t in route.targets() if t.state != "draining"]
    if group is not None and targets and all(t.state.startswith("unhealthy") for t in targets):
        yield Finding(
            "LBD607",
            ObjectRef("TargetGroup", "", group.name),
            params={"count": f"{len(targets)} targets", "group": group.name},
            evidence=(Evidence("target health", "; ".join(sorted({t.reason for t in targets}))),),
        )
