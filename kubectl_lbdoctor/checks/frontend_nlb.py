"""LBD323: does an Application Load Balancer answer the check of the Network Load Balancer before it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.alb_answers import (
    READS,
    Answer,
    Answered,
    answer_to_check,
    checked,
    paths_behind,
    paths_to,
    require_open_way,
    stopping_hop,
)
from kubectl_lbdoctor.analysis.answered_checks import CODES, PATH, how, speaks_https_instead, ways
from kubectl_lbdoctor.analysis.chained_gateways import fault_of_check
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.inbound_cidrs import inbound_cidrs
from kubectl_lbdoctor.analysis.remediation import describe_listeners, describe_target_health
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotation_values import parse_list
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth, describe_check
from kubectl_lbdoctor.model.fact import Fact, NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import path

_UNUSED = "unused"
_FAILING = ("unhealthy", _UNUSED)
_FILTER, _APPLICATION, _HTTPS = "filter", "application", "https"
_FIELDS = {_HTTPS: "healthCheckProtocol to HTTPS", Answer.SPEAKS_PLAIN.value: "healthCheckProtocol to HTTP"}
"""What of a TargetGroupConfiguration is to be changed, where it is not what is asked for."""

_FILTERS = {
    path.Filter.SOURCE_GROUPS: "the NLB's own security group",
    path.Filter.TARGET_GROUPS: "the ALB's security group",
    path.Filter.REQUEST_ROUTE: "a route table",
    path.Filter.RETURN_ROUTE: "a route table",
}
"""What stops the check, in words; the rest are network ACLs."""


@check(
    "LBD323",
    title="an ALB does not answer the check of the NLB before it",
    passes="the ALB answers the check of the NLB before it",
    severity=Severity.ERROR,
    message="the NLB's check of the ALB fails ({ports:=port|ports} {ports}): {fault:"
    "listener=the ALB has no such listener|"
    "https=the ALB serves by HTTPS, the check asks by HTTP|plain=the ALB speaks HTTP, the check HTTPS|"
    "redirect=the ALB redirects ({code})|login=the ALB asks for a login ({code})|"
    'unmatched=no rule without a host takes "{path}" ({code})|fixed=a rule answers "{path}" with {code}|'
    "filter={filter} does not let it through|"
    '*=the application does not answer "{path}" with {matcher}}',
    reads=(*READS, reads.ALL_INGRESSES, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS),
    fix="frontend-nlb",
    distinct_by=("fault", "code"),
)
def frontend_nlb_is_not_answered(traffic: TrafficPath) -> Iterator[Finding]:
    """`enable-frontend-nlb` puts a Network Load Balancer before the Application Load Balancer of an Ingress, and a
    route may lead from one Gateway to another one. The load balancer behind is the target, and healthy where it answers
    the health check: by default GET / over HTTP on each port, and 200.

    The request names no host, so rules with hosts do not take it, and the answer is 404. A port that redirects to HTTPS
    answers 301, a port of HTTPS answers HTTP with 400. The check comes from the Network Load Balancer's own addresses,
    which the security group of the other one has to admit: of one that the controller made, `inbound-cidrs` decides.
    Where a rule hands the request to targets, what is wrong with these is the cause. Of Gateways LBD145 tells where no
    route takes it, or a listener speaks HTTPS.

    Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_frontend_nlb.go,
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2392

    Confirm by hand: `aws elbv2 describe-target-health` of its target group, and `curl -i http://ALB/` without the host
    of a rule. Repair: let `frontend-nlb-healthcheck-…`, or the TargetGroupConfiguration for the Gateway behind, ask
    what is answered.
    """
    if not paths_behind(traffic):
        raise NotApplicable("no load balancer is the target")
    target = checked(traffic)
    group = traffic.target_group.need()
    if group is None or target is None or not target.state.startswith(_FAILING):
        traffic.targets()
        return
    for finding in _found(traffic, target, group):
        yield finding if is_before_ingress(traffic) else _of_route(traffic, finding)


def _found(traffic: TrafficPath, target: TargetHealth, group: TargetGroup) -> Iterator[Finding]:
    found = answer_to_check(traffic)
    if target.state == _UNUSED and (found is None or found.answer is not Answer.NO_LISTENER):
        return  # No check is sent: what keeps AWS from it has codes of its own.
    hop = stopping_hop(traffic)
    if hop is not None and (found is None or found.answer is not Answer.NO_LISTENER):
        yield _stopped(traffic, target, hop)
        return
    if found is None or fault_of_check(traffic):
        return
    if found.suits(group.health_check) is not False:
        require_open_way(traffic)  # Else a filter may be why, whatever is answered.
    if found.answer is Answer.TARGETS:
        yield from _refused_by_targets(traffic, target, found)
    elif not found.suits(group.health_check):
        yield _answered(traffic, target, found)


def _of_route(traffic: TrafficPath, finding: Finding) -> Finding:
    """The same of a Gateway behind: its check is set in a TargetGroupConfiguration of its own, which nobody needs to
    have made yet."""
    backend = traffic.backend
    assert backend is not None and backend.route is not None and backend.behind is not None
    there = f"a TargetGroupConfiguration whose targetReference is {backend.behind.kind} {backend.behind.name}"
    fields = _FIELDS.get(str(finding.params["fault"]), "healthCheckPath or matcher")
    advice = f"set {fields} in {there} (namespace {backend.behind.namespace})"
    return replace(
        finding,
        object=backend.route,
        repairs=(),
        repair_template=None,
        fix_automatic=False,
        advice=finding.advice if finding.params["fault"] == _FILTER else advice,
    )


def _finding(traffic: TrafficPath, target: TargetHealth, fault: str, seen: Evidence, code: str = "") -> Finding:
    """What all faults have in common."""
    group, balancer = traffic.target_group.need(), traffic.load_balancer.peek()
    assert group is not None
    region = traffic.context.region
    behind = next((lb for other in paths_behind(traffic) if (lb := other.load_balancer.peek()) is not None), None)
    asked = f"{describe_check(group.health_check, target.port)} of {balancer.name if balancer is not None else 'it'}"
    return Finding(
        "LBD323",
        setting_source(traffic, PATH).ref if is_before_ingress(traffic) else traffic.subject,
        params={
            "ports": (str(target.asked_port),),
            "fault": fault,
            "path": group.health_check.path or "/",
            "matcher": group.health_check.matcher,
            "code": code,
            "filter": "",
        },
        evidence=(
            Evidence(Source.TARGET_HEALTH, f"{target.state}: {target.reason} {target.description}".strip()),
            Evidence(f"target group {group.name}", asked),
            seen,
        ),
        targets=(target.key,),
        confirm=(
            describe_target_health(group.arn, region),
            *((describe_listeners(behind.arn, region),) if behind is not None else ()),
        ),
    )


def _answered(traffic: TrafficPath, target: TargetHealth, found: Answered) -> Finding:
    """The load balancer itself answers, and otherwise than the check wants."""
    group = traffic.target_group.need()
    assert group is not None
    place = f"rule {found.rule}" if found.rule else "default action"
    said = {
        Answer.NO_LISTENER: f"no listener of port {found.port}",
        Answer.SPEAKS_TLS: f"listener :{found.port} is HTTPS",
        Answer.SPEAKS_PLAIN: f"listener :{found.port} is HTTP",
    }.get(found.answer, f"listener :{found.port}, {place}: {found.code}")
    fault, code = (_HTTPS, "") if speaks_https_instead(traffic, found) else (found.answer.value, found.code)
    finding = _finding(traffic, target, fault, Evidence(Source.LISTENER_RULE, said), code)
    repairs, placeholder = _repairs(traffic, group, found), "<a path that a rule without a host takes>"
    advice = "" if repairs else how(traffic, group.health_check, found, placeholder)
    return replace(finding, repairs=repairs, fix_automatic=bool(repairs), advice=advice)


def _repairs(traffic: TrafficPath, group: TargetGroup, found: Answered) -> tuple[Repair, ...]:
    offered = (way.repair for way in ways(traffic, group.health_check, found))
    return tuple(repair for repair in offered if repair is not None)


def _refused_by_targets(traffic: TrafficPath, target: TargetHealth, found: Answered) -> Iterator[Finding]:
    """Targets answer the check, and pass their own: they do not answer this one as it wants. Where none of a group
    passes its own, that is why (`correlate`)."""
    serving = {arn: paths_to(traffic.snapshot, (arn,)) for arn in found.groups}
    for arn, paths in serving.items():
        if not paths:
            why = f"targets of {target_group_name(arn)}, of another member of the IngressGroup, were not read"
            raise Unknown(Fact.not_asked(reads.TARGET_HEALTH, why))
        paths[0].targets()
    deciding = [paths[0] for paths in serving.values()]
    if not deciding or not all(other.is_served for other in deciding):
        return
    group, states = deciding[0].target_group.need(), [target.state for target in deciding[0].targets()]
    assert group is not None
    place, passing = f"rule {found.rule}" if found.rule else "default action", states.count("healthy")
    some = "whose targets" if passing == len(states) else f"{passing} of whose {len(states)} targets"
    verb = "passes" if passing == 1 < len(states) else "pass"
    own = f"{place} leads to {group.name}, {some} {verb} {describe_check(group.health_check, group.port)}"
    finding = _finding(traffic, target, _APPLICATION, Evidence(Source.LISTENER_RULE, own))
    asked = traffic.target_group.need()
    assert asked is not None
    source, codes = setting_source(traffic, PATH), setting_source(traffic, CODES)
    repairs = _repairs(traffic, asked, found)
    by_hand = how(traffic, asked.health_check, found, "<a path that it answers>")
    yield replace(
        finding,
        confidence=Confidence.LIKELY,
        repairs=repairs,
        fix_automatic=bool(repairs),
        repair_template=None if repairs else source.template,
        advice="" if repairs else f"{by_hand}, or set {codes.label} to what it answers",
    )


def _stopped(traffic: TrafficPath, target: TargetHealth, hop: path.Hop) -> Finding:
    """A filter of the VPC stops the check on its way from one load balancer to the other."""
    balancer = traffic.load_balancer.need()
    assert balancer is not None
    subnets = {subnet.id: subnet for subnet in traffic.network.subnets.peek() or ()}
    blocks = sorted(cidr for zone in balancer.zones.values() if zone in subnets for cidr in subnets[zone].cidrs)
    kind = _FILTERS.get(hop.filter, "a network ACL")
    seen = Evidence(hop.owner or kind, f"nothing admits TCP {target.asked_port} from {', '.join(blocks) or 'it'}")
    finding = _finding(traffic, target, _FILTER, seen)
    finding = replace(finding, params={**finding.params, "filter": kind})
    source = inbound_cidrs(traffic, target.asked_port) if hop.filter is path.Filter.TARGET_GROUPS else None
    if source is None or not blocks:
        return replace(finding, advice=f"let {hop.owner or kind} admit TCP {target.asked_port} from {balancer.name}")
    wider = ",".join(dict.fromkeys([*parse_list(source.value), *blocks]))
    why = f"the subnets of {balancer.name}, from which the check comes"
    repairs = source.offer(wider, why, "whatever is in these subnets may come in, too")
    advice = "" if repairs else source.how(wider)
    return replace(finding, object=source.ref, repairs=repairs, fix_automatic=bool(repairs), advice=advice)
