"""LBD101 and LBD109: does a controller take the object, and has it made a TargetGroupBinding for each backend?"""

from __future__ import annotations

import json
from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import former_complaints, standing_complaints
from kubectl_lbdoctor.analysis.controller_reach import is_untouched
from kubectl_lbdoctor.analysis.frontends import Frontend, frontend_of, ownership
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.gateways import fitting_classes
from kubectl_lbdoctor.analysis.ownership import OUR_CONTROLLERS
from kubectl_lbdoctor.analysis.ownership import READS as OWNERSHIP_READS
from kubectl_lbdoctor.analysis.recent_edits import RECONCILE_SECONDS, last_edit
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import class_repair, kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.complaints import OWN_CODES
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Ingress
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@check(
    "LBD109",
    title="a backend has no reconciled TargetGroupBinding",
    passes="every backend has a reconciled TargetGroupBinding",
    severity=Severity.ERROR,
    message="[TargetGroupBinding {binding} is not reconciled: {summary}]"
    "[{object} has no TargetGroupBinding for backend {backend}]",
    reads=(*COMPLAINT_READS, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, *GATEWAY_READS),
    explains=("LBD205", "LBD206", "LBD217"),
    distinct_by=("backend", "summary"),
    by_absence=(reads.BINDINGS, reads.EVENTS),
)
def binding_not_reconciled(traffic: TrafficPath) -> Iterator[Finding]:
    """A backend has no TargetGroupBinding although its Service and port exist, or the controller cannot reconcile the
    binding. The binding is the controller's own record of a target group; without it nothing is registered.

    Most failures of a binding stand in the controller's log only and make no event. One that somebody deleted is made
    again when its Ingress, Service or Gateway changes, after the sync period (10 h), or when the controller is
    restarted. In the first minute after these were written nothing is late.

    Confirm by hand: `kubectl get targetgroupbindings` and the controller's log.

    Repair: read why in the controller's log (`kubectl logs -n kube-system deployment/aws-load-balancer-controller`)
    and correct that. Where somebody deleted the binding, a change of any annotation of the Ingress, Service or Gateway
    makes the controller look at it again.
    """
    for entry in standing_complaints(traffic):
        if entry.stage_code == "LBD109" and entry.decoded.code not in OWN_CODES:
            params = {"binding": entry.ref.name, "summary": entry.decoded.clause, "backend": ""}
            yield Finding("LBD109", entry.ref, params=params, evidence=(entry.evidence,))
    if traffic.subject.kind == "TargetGroupBinding" or traffic.binding.need() is not None:
        return
    front, service = frontend_of(traffic).manifest.need(), traffic.service.need()
    if front is None or service is None or traffic.service_port.need() is None or traffic.backend is None:
        return
    if traffic.subject.kind == "Service" and service.type != "LoadBalancer":
        return
    maker = ownership(traffic).owner
    if maker not in _BINDINGS_OF or last_edit(traffic) < RECONCILE_SECONDS:
        return
    in_aws = maker == "auto-mode"
    if in_aws and is_untouched(frontend_of(traffic), front):
        return  # Whether anybody works on it cannot be seen; LBD132 tells where Auto Mode does not run.
    where = f"{traffic.backend.service}:{traffic.backend.port}"
    yield Finding(
        "LBD109",
        traffic.subject,
        params={"object": f"{traffic.subject.kind} {traffic.subject.name}", "backend": where, "summary": ""},
        evidence=(
            Evidence(
                f"targetgroupbindings in {traffic.namespace}",
                ", ".join(b.service + ":" + b.port for b in traffic.namespace_facts.bindings.need()) or "none",
            ),
            *(hint.evidence for hint in former_complaints(traffic)),
        ),
        confirm=(kubectl("get", _BINDINGS_OF[maker], namespace=traffic.namespace),),
        by_hand=() if in_aws else looked_at_again(traffic),
        advice="EKS Auto Mode makes it when it reconciles the object again, after any change of it; the events of the "
        "object say what keeps it from that"
        if in_aws
        else "the controller makes it when it reconciles the object again, and its log says what keeps it from that",
    )


_BINDINGS_OF = {
    "controller": f"{kinds.TARGET_GROUP_BINDING.plural}.{kinds.TARGET_GROUP_BINDING.group}",
    "auto-mode": f"{kinds.TARGET_GROUP_BINDING.plural}.{kinds.AUTO_MODE_GROUP}",
}
_CLASSES = {kinds.INGRESS.name: ("ingressclass",), kinds.GATEWAY.name: ("gatewayclass",)}


@check(
    "LBD101",
    title="no AWS Load Balancer Controller class owns the object",
    passes="an AWS Load Balancer Controller class owns the object",
    severity=Severity.ERROR,
    message="{object} belongs to no AWS Load Balancer Controller: {why}",
    scope=Scope.FRONTEND,
    reads=(*OWNERSHIP_READS, *GATEWAY_READS),
    explains=(*undone_by("LBD101"), "LBD102"),
    fix="ingress-class",
    by_absence=(reads.INGRESS_CLASSES, reads.CONTROLLER, reads.GATEWAY_CLASSES, reads.GATEWAYS),
)
def not_owned(frontend: Frontend) -> Iterator[Finding]:
    """The object's class does not lead to the AWS Load Balancer Controller (or to EKS Auto Mode), so nobody makes a
    load balancer for it, and no event says so.

    Confirm by hand: `kubectl get ingressclass` (of a Gateway: `kubectl get gatewayclass`) and the object's class.
    Repair: set `ingressClassName` to a class whose controller is `ingress.k8s.aws/alb`, for a Service
    `loadBalancerClass: service.k8s.aws/nlb` (only when it is created), for a Gateway a class whose controllerName is
    `gateway.k8s.aws/alb` or `gateway.k8s.aws/nlb`.
    """
    frontend.require_class()
    owner = frontend.reconciler()
    if owner.owner not in ("other", "nobody"):
        return
    ref, manifest = frontend.ref, frontend.manifest.peek()
    repairs: tuple[Repair, ...] = ()
    ours = [c.meta.name for c in frontend.snapshot.cluster.ingress_classes.need() if c.controller in OUR_CONTROLLERS]
    if isinstance(manifest, Ingress):
        # Where the field names a class of the controller and the annotation wins over it, that one is meant.
        named = manifest.spec_class_name
        repairs = tuple(class_repair(ref, manifest, name) for name in ([named] if named in ours else ours))
    gateway = manifest if isinstance(manifest, Gateway) else None
    fitting = fitting_classes(frontend.snapshot, gateway) if gateway is not None else ()
    yield Finding(
        "LBD101",
        ref,
        params={"object": f"{ref.kind} {ref.name}", "why": owner.why},
        evidence=tuple(owner.evidence),
        confirm=tuple(kubectl("get", name) for name in _CLASSES.get(ref.kind, ())),
        repairs=repairs,
        fix_automatic=len(repairs) == 1 and owner.owner == "nobody",
        by_hand=(_with_class(ref, fitting[0]),) if len(fitting) == 1 and owner.owner == "nobody" else (),
        advice="" if repairs else _advice(ref, fitting),
    )


def _with_class(ref: ObjectRef, name: str) -> str:
    written = json.dumps({"spec": {"gatewayClassName": name}})
    return kubectl("patch", str(ref), "--type=merge", "-p", written, namespace=ref.namespace)


def _advice(ref: ObjectRef, fitting: tuple[str, ...]) -> str:
    """Which class to give to the object. fitting: the GatewayClasses that serve what a Gateway listens for."""
    if ref.kind == kinds.SERVICE.name:
        return "make the Service anew with loadBalancerClass: service.k8s.aws/nlb, which cannot be set afterwards"
    if ref.kind == kinds.INGRESS.name:
        return "make an IngressClass whose controller is ingress.k8s.aws/alb, and name it in ingressClassName"
    if ref.kind != kinds.GATEWAY.name:
        return "attach it to a Gateway of the AWS Load Balancer Controller"
    if fitting:
        return f"set gatewayClassName to {' or '.join(fitting[:3])}"
    return "make a GatewayClass whose controllerName is gateway.k8s.aws/alb, of TCP and UDP gateway.k8s.aws/nlb"
