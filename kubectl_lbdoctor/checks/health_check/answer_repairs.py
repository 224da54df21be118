"""What mends a health check that is answered with a wrong code: another path, another port, or other success codes?"""

from __future__ import annotations

import re

from kubectl_lbdoctor.analysis.check_answers import CheckAnswer, GoodPath, PathSource
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.management_port import HealthPort, beside, check_there
from kubectl_lbdoctor.analysis.recent_edits import RECONCILE_SECONDS, last_edit
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.knowledge.success_codes import AnswerKind, kind_of
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.plan import Alternative, Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_RECHECK = "none for traffic: only the check changes"


@record
class Cure:
    """What mends an answer. fix: the name of a repair of its own, "" for the one of the code. exact: the evidence
    determines the repair."""

    repairs: tuple[Repair, ...] = ()
    template: Repair | None = None
    advice: str = ""
    by_hand: tuple[str, ...] = ()
    fix: str = ""
    exact: bool = False


def cure_of(traffic: TrafficPath, answer: CheckAnswer) -> Cure:
    if all(_is_success(answer.group, number) for number in answer.codes):
        return _expect_the_code(traffic, answer)
    if answer.elsewhere is not None and not answer.fine:
        return _ask_elsewhere(traffic, answer, answer.elsewhere)
    template = answer.owner.template
    if answer.better and answer.owner.value == answer.better:
        return _apply_the_annotation(traffic, answer, template)
    if answer.fine:
        check = answer.group.health_check
        advice = (
            "inside the cluster the check is answered as it should be: where that was repaired just now, targets turn "
            f"healthy within {check.healthy_threshold * check.interval} s; else the answer depends on who asks "
            "(source address, headers)"
        )
        return Cure(template=template, advice=advice)
    if answer.paths:
        repairs = tuple(r for good in answer.paths[:3] for r in answer.owner.offer(good.path, _why(good), _RECHECK))
        choose = "choose the path that tells whether the application can serve"
        advice = answer.owner.instruction or ("" if answer.exact else choose)
        return Cure(repairs, template, advice, exact=answer.exact)
    right = f"<a path that answers {answer.group.health_check.matcher}>"
    if _is_error(answer):
        # Behind an Application Load Balancer no code of 500 and more can be a success:
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
        advice = "see in the application's log why it fails; if the path asks more than whether it can serve, "
        return Cure(template=template, advice=advice + answer.owner.how(right))
    if not answer.owner.settable:
        return Cure(advice=answer.owner.instruction)
    asked = answer.group.health_check.path
    other = beside(traffic, answer.targets, checked_pod_port(traffic, answer.targets[0]), asked)
    if other is not None:
        advice = (
            f"container {other[0]} answers {asked} on port {other[1]}: let {traffic.service_ref} lead there "
            "(targetPort), or check a path that the container in front of it answers"
        )
        return Cure(template=template, advice=advice)
    codes = setting_source(traffic, "success-codes").label
    return Cure(template=template, advice=f"{answer.owner.how(right)}, or widen {codes}")


def _why(good: GoodPath) -> str:
    """Why the check should ask this path, as the plan of a repair says it."""
    if good.source is PathSource.READINESS_PROBE:
        return f'"{good.path}" succeeds: readiness probe of {counted(good.pods, "pod")}'
    return f'"{good.path}" answers a probe as the check wants in {counted(good.pods, "pod")}'


def _is_success(group: TargetGroup, code: str) -> bool:
    """Whether the application says with this code that it serves: 2xx of HTTP, 0 (OK) of gRPC.

    https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    """
    return code == "0" if group.is_grpc else code.startswith("2")


def _is_error(answer: CheckAnswer) -> bool:
    """Whether the application says, at least once, that it fails: what is to be mended is the application."""
    return any(kind_of(code, answer.group.is_grpc) is AnswerKind.SERVER for code in answer.codes)


def both_ways(traffic: TrafficPath, answer: CheckAnswer) -> tuple[Alternative, ...]:
    """A wrong code has two repairs, another path and other success codes; which of them a check prefers, it says."""
    codes = setting_source(traffic, "success-codes")
    paths = tuple(repair for good in answer.paths[:3] for repair in answer.owner.offer(good.path, _why(good), _RECHECK))
    ways = [Alternative("healthcheck-path", paths, answer.owner.template, automatic=bool(paths) and answer.exact)]
    redirected = not answer.group.is_grpc and all(code.startswith("3") for code in answer.codes)
    if not (_is_error(answer) or all(_is_success(answer.group, code) for code in answer.codes)):
        value = "200-399" if redirected else _widened(answer.group.health_check.matcher, answer.codes)
        risk = f"an answer with {', '.join(answer.codes)} counts as healthy, whatever the application serves"
        accept = codes.offer(value, f"the path answers with {', '.join(answer.codes)}", risk)
        ways.append(Alternative("success-codes", accept, codes.template, automatic=bool(accept)))
    return tuple(way for way in ways if way.template is not None)


def _widened(matcher: str, codes: tuple[str, ...]) -> str:
    """Success codes that take these, too; a range stays one."""
    if "-" not in matcher:
        return ",".join(sorted({*filter(None, matcher.split(",")), *codes}, key=lambda code: (len(code), code)))
    numbers = [int(number) for number in re.findall(r"[0-9]{1,9}", matcher)] + [int(code) for code in codes]
    return f"{min(numbers)}-{max(numbers)}"


def _ask_elsewhere(traffic: TrafficPath, answer: CheckAnswer, port: HealthPort) -> Cure:
    """Check the port that serves the path, and what goes with it there, all in one write for each object."""
    check = answer.group.health_check
    if not port.value:
        advice = (
            f"give {traffic.service_ref} a port that leads to {port.port}, and check its node port; or use ip targets, "
            f"which are checked on port {port.port} itself"
        )
        return Cure(advice=advice)
    repairs = tuple(repair.with_reason("", _RECHECK) for repair in check_there(traffic, check, port))
    advice = setting_source(traffic, "healthcheck-port").instruction
    return Cure(repairs, advice=advice, fix="healthcheck-port", exact=port.certain)


def _expect_the_code(traffic: TrafficPath, answer: CheckAnswer) -> Cure:
    """The application serves the path: not the path is wrong, but what is expected of it."""
    matcher = answer.group.health_check.matcher
    owner = setting_source(traffic, "success-codes")
    others = any(t.state == "healthy" for t in traffic.targets())
    value = _widened(matcher if others else "", answer.codes)
    repairs = owner.offer(value, f"the path answers with {', '.join(answer.codes)}", _RECHECK)
    return Cure(repairs, owner.template, owner.instruction, fix="success-codes", exact=True)


def _apply_the_annotation(traffic: TrafficPath, answer: CheckAnswer, template: Repair | None) -> Cure:
    """The annotation is right and the target group is not (LBD311): to set it once more would change nothing."""
    if last_edit(traffic) < RECONCILE_SECONDS:
        check = answer.group.health_check
        advice = (
            f"{answer.owner.key} asks for {answer.better} already, and was written a moment ago: the controller "
            "applies it within a minute, and targets turn healthy within "
            f"{check.healthy_threshold * check.interval} s after that"
        )
        return Cure(template=template, advice=advice)
    return Cure(
        template=template,
        advice=f"{answer.owner.key} asks for {answer.better} already and was not applied: the controller does so when "
        "it looks at the object again, after any change of it; its log says what keeps it from that",
        by_hand=looked_at_again(traffic),
    )
