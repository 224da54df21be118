"""LBD322: what is asked of a target group about proxy protocol against what it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.asked_proxy_protocol import asked_proxy_protocol
from kubectl_lbdoctor.analysis.desired_state import READS as INTENT_READS
from kubectl_lbdoctor.analysis.desired_state import declaration_of
from kubectl_lbdoctor.analysis.group_settings import attribute
from kubectl_lbdoctor.analysis.recent_edits import RECONCILE_SECONDS, last_edit
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import describe_target_group_attributes
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotation_values import ValueProblem
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import PROXY_PROTOCOL
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@check(
    "LBD322",
    title="proxy protocol is switched otherwise than it is asked for",
    passes="proxy protocol is switched as it is asked for",
    severity=Severity.ERROR,
    message="proxy protocol of {group} is {now}, {asker:default=and nobody asks for it|*=annotated is {wanted}}",
    reads=(
        *(*INTENT_READS, reads.LOAD_BALANCERS, reads.LISTENERS, reads.TARGET_GROUPS, reads.TARGET_GROUP_ATTRIBUTES),
        *(reads.TARGET_HEALTH, reads.INGRESSES),
    ),
    explains=("LBD305", "LBD307", "LBD314", "LBD318"),
    fix="drift",
)
def proxy_protocol_differs(traffic: TrafficPath) -> Iterator[Finding]:
    """A Network Load Balancer sends the header of proxy protocol v2 where the Service does not ask for it, or sends
    none where it does: an application that does not know the header takes it for a broken request, and one that waits
    for it refuses every request without it. Checks by HTTP carry the header and fail with them; a check by TCP passes,
    and all clients are refused: then it is a warning, because some applications take both.

    The controller switches it off where no annotation asks for it. Somebody changed the target group in AWS, of which
    the controller hears nothing: it takes that back when it next reconciles the Service.

    Sources:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/service/model_build_target_group.go
    (buildTargetGroupAttributes).

    Confirm by hand: `aws elbv2 describe-target-group-attributes` (proxy_protocol_v2.enabled) against the annotations.
    Repair: give the target group what is asked for (`aws elbv2 modify-target-group-attributes`); or annotate
    what was set in AWS, if that is meant.
    """
    if traffic.is_alb:
        raise NotApplicable("only Network Load Balancers speak proxy protocol")
    front = declaration_of(traffic)
    if front is None or front.kind != "nlb" or front.owner.owner != "controller":
        raise NotApplicable("no annotations decide about this target group")
    group, port = traffic.target_group.need(), traffic.service_port.need()
    if group is None or port is None:
        raise NotApplicable("no target group of a port of a Service")
    try:
        asked = asked_proxy_protocol(front.service_annotations, port.port)
    except ValueProblem as problem:
        raise NotApplicable("the controller takes nothing of these annotations") from problem
    now, wanted = traffic.group_attributes.need().get(PROXY_PROTOCOL), str(asked.on).lower()
    if now not in ("true", "false") or now == wanted or last_edit(traffic) < RECONCILE_SECONDS:
        return
    by_request = group.health_check.protocol in ("HTTP", "HTTPS")
    failing = tuple(traffic.unhealthy(FAILED_HEALTH_CHECKS, TIMEOUT)) if by_request else ()
    change = replace(
        attribute(traffic, group, PROXY_PROTOCOL, now, wanted),
        why="the annotations ask for it" if asked.key else "nobody asks for it",
        risk="what was changed in AWS is lost; undo brings it back",
    )
    words = {"true": "on", "false": "off"}
    yield Finding(
        "LBD322",
        ObjectRef("TargetGroup", "", group.name),
        params={
            "group": group.name,
            "now": words[now],
            "wanted": words[wanted],
            "asker": "annotations" if asked.key else "default",
        },
        evidence=(
            Evidence(Source.TARGET_GROUP_ATTRIBUTES, f"{PROXY_PROTOCOL}={now}"),
            Evidence(
                str(traffic.service_ref),
                f"{asked.key}: {front.service_annotations[asked.key]}"
                if asked.key
                else "no annotation asks for proxy protocol",
            ),
        ),
        severity=None if failing else Severity.WARNING,
        confidence=Confidence.LIKELY if failing else Confidence.CERTAIN,
        targets=tuple(target.key for target in failing),
        confirm=(describe_target_group_attributes(group.arn, traffic.context.region),),
        repairs=(Repair("asked-for", (change,)),),
        fix_automatic=bool(failing),
        by_hand=looked_at_again(traffic),
        advice="give the target group what is asked for, as the controller would at its next reconciliation; or "
        "annotate what was set in AWS, if that is meant",
    )
