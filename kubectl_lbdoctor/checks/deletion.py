"""LBD116: what keeps an object that was deleted from going away?"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_complaints import Complaint, known_complaints
from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.analysis.frontends.gateway import GatewayApiFrontend
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.complaints import READS
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.knowledge.controller_errors import decode_event
from kubectl_lbdoctor.knowledge.spoken_errors import quotation
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Condition, Ingress, Service, TargetGroupBinding, condition
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@check(
    "LBD116",
    title="the object is stuck deleting",
    passes="the object is not stuck deleting",
    severity=Severity.WARNING,
    message="{object} has been deleting for {minutes:minute}[: {why}]",
    reads=(*READS, *GATEWAY_READS),
)
def stuck_deleting(traffic: TrafficPath) -> Iterator[Finding]:
    """The object was deleted, but the controller has not removed its finalizer: it does not run, AWS refuses the
    clean-up, the load balancer is protected, or another member of the group blocks it.

    Repair what the event FailedRemoveFinalizer or FailedCleanup names, or the binding's condition Ready; removing the
    finalizer by hand leaves the AWS objects behind.
    """
    for entry in (traffic.ingress.peek(), traffic.binding.peek(), traffic.service.peek(), *_gateways(traffic)):
        if entry is None or not entry.meta.deleted or traffic.age(entry.meta.deleted) < 60:
            continue
        own = [f for f in entry.meta.finalizers if ".k8s.aws/" in f or ".eks.amazonaws.com/" in f]
        if own:
            kind = type(entry).__name__
            complaints = [e for e in known_complaints(traffic) if e.ref.name == entry.meta.name]
            told, ref = _failed_cleanup(entry), ObjectRef(kind, entry.meta.namespace, entry.meta.name)
            if isinstance(entry, TargetGroupBinding):
                ref = entry.ref
            yield Finding(
                "LBD116",
                ref,
                params={
                    "object": f"{kind} {entry.meta.name}",
                    "minutes": int(traffic.age(entry.meta.deleted) // 60),
                    "finalizer": own[0],
                    "why": _why(complaints, told),
                },
                evidence=(
                    Evidence(f"{kind.lower()}/{entry.meta.name}", f"waits for finalizer {own[0]}"),
                    *(c.evidence for c in complaints[:3]),
                    *((Evidence(str(ref), f"{told.reason}: {quotation(told.message)}"),) if told is not None else ()),
                ),
                confirm=(kubectl("get", kubectl_name(ref), "-o", "yaml", namespace=ref.namespace),),
                advice=_unprotect(kind)
                if any(c.param("protection") for c in complaints)
                else "let the controller run and AWS accept its clean-up: the controller then removes the finalizer",
            )


def _gateways(traffic: TrafficPath) -> tuple[Gateway, ...]:
    front = frontend_of(traffic)
    return front.gateways if isinstance(front, GatewayApiFrontend) else ()


def _why(complaints: list[Complaint], told: Condition | None) -> str:
    if complaints:
        return complaints[0].decoded.clause
    return decode_event(told.reason, told.message).clause if told is not None else ""


def _failed_cleanup(item: Ingress | TargetGroupBinding | Service | Gateway) -> Condition | None:
    """What a binding's status says about its clean-up. Controllers write it since 3.0, and unlike the event it stays.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/controllers/elbv2/targetgroupbinding_controller.go
    """
    ready = condition(item.conditions, "Ready") if isinstance(item, TargetGroupBinding) else None
    return ready if ready is not None and ready.status == "False" else None


def _unprotect(kind: str) -> str:
    if kind == "Gateway":
        where = "loadBalancerAttributes of the Gateway's LoadBalancerConfiguration"
        return f"set deletion_protection.enabled=false in {where} if the load balancer may go"
    key = ALB_PREFIX + "load-balancer-attributes" if kind == "Ingress" else NLB_PREFIX + "attributes"
    return f"set deletion_protection.enabled=false in annotation {key} if the load balancer may go"
