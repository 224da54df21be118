"""LBD3xx: the health-check request and its answer.

The reason code decides first: Target.ResponseCodeMismatch proves that an HTTP server answered on the checked port, so
security groups, network ACLs, routes and the port are fine; Target.FailedHealthChecks on an Application Load Balancer
proves that the packet arrived and was refused, reset or not answered as HTTP.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import (
    SettingSource,
    checked_pod_port,
    ends_at_service_port,
    has_port_of_its_own,
    readiness_of,
    unproven,
)
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.management_port import HealthPort, beside, check_there, health_port
from kubectl_lbdoctor.analysis.meshes import application_ports
from kubectl_lbdoctor.analysis.other_askers import NOBODY, OtherAsker, other_asker
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.recent_edits import RECONCILE_SECONDS, last_edit
from kubectl_lbdoctor.analysis.remediation import describe_target_health, kubectl, restart
from kubectl_lbdoctor.analysis.shared_settings import healthy_neighbours
from kubectl_lbdoctor.analysis.tls_names import said_by_names
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.checks import wording
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.selection import target_port_repair
from kubectl_lbdoctor.checks.wording import counted, part_of
from kubectl_lbdoctor.knowledge.success_codes import AnswerKind, accepts, kind_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Param, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, Probe, Service, ServicePort
from kubectl_lbdoctor.model.plan import Alternative, Repair
from kubectl_lbdoctor.model.probe import ProbeAnswer
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH
from kubectl_lbdoctor.model.times import in_words
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_RECHECK = "none for traffic: only the check changes"


_ANSWER_READS = (
    reads.INGRESSES,
    reads.SERVICES,
    reads.PODS,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
    reads.CONTROLLER,
)
# One annotation decides the path: another path that is asked, or that answers, is another repair.
_ASKED = ("path", "better")
# What answers instead, at the end of a message: paths, or the pods of another workload.
_BETTER = '[; port {elsewhere} has "{there}"][; {better:"&"} {better:=succeeds|succeed}][; only {failing} fails it]'
_RULES_OUT = "security groups, network ACLs, routes, the port: an HTTP server answered"


class PathSource(Enum):
    """What shows that a path answers as the check wants."""

    READINESS_PROBE = "readiness probe"
    PROBE_ANSWER = "probe answer"


@record
class GoodPath:
    """A path that answers as the check wants in so many pods."""

    path: str
    source: PathSource
    pods: int

    @property
    def why(self) -> str:
        """Why the check should ask this path, as the plan of a repair says it."""
        if self.source is PathSource.READINESS_PROBE:
            return f'"{self.path}" succeeds: readiness probe of {self.pods} pods'
        return f'"{self.path}" answers a probe as the check wants in {counted(self.pods, "pod")}'


@record
class _Answer:
    """Targets whose check is answered with codes of one class, and what the pods say about themselves.

    paths: what answers as the check wants, best first; `exact` when the first of them is the
    one to take. asker: who is answered well on the check path. elsewhere: a port of the same pods that serves the
    check. to: where a redirect leads. fine: the pods answer this very check with a success now.
    """

    group: TargetGroup
    targets: tuple[TargetHealth, ...]
    codes: tuple[str, ...]
    owner: SettingSource
    paths: tuple[GoodPath, ...] = ()
    exact: bool = False
    asker: OtherAsker = NOBODY
    elsewhere: HealthPort | None = None
    to: str = ""
    fine: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def better(self) -> str:
        """The path to take, "" where none or one of several is known."""
        return self.paths[0].path if self.exact else ""


@derived
def _answers(traffic: TrafficPath, wanted: AnswerKind) -> _Answer | None:
    """Targets answered with a code of kind `wanted`; None when there is none."""
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    told = _answered_targets(traffic, group)
    answered = [(t, codes) for t, codes in told if kind_of(codes[-1], group.is_grpc) is wanted]
    if not answered:
        return None
    failing = tuple(t for t, _ in answered)
    port = checked_pod_port(traffic, failing[0])
    pods = traffic.matching_pods() if port is not None and traffic.namespace_facts.pods.is_known else ()
    asked = pod_evidence.conclusive_answers(pod_evidence.checked(traffic, failing, port))
    tried = pod_evidence.conclusive_answers(pod_evidence.variations(traffic, failing, port, asked))
    readiness = _passing_readiness(pods, port)
    paths, exact = _good_paths(traffic, group, pods, port, asked, tried)
    codes = tuple(sorted({code for _, found in answered for code in found}))
    every_answer = pod_evidence.checked(traffic, failing, port)
    asker = other_asker(traffic, codes, readiness[0] if readiness is not None else None, every_answer, tried)
    if readiness is not None:
        probe, ready = readiness
        own, other_host = pod_evidence.path_of(probe), probe.host_header
        # A readiness probe with a Host header of its own says nothing about what the load balancer's header gets.
        if own != group.health_check.path and not other_host:
            others = [entry for entry in paths if entry.path != own]
            paths, exact = [GoodPath(own, PathSource.READINESS_PROBE, ready), *others], True
    elsewhere = _elsewhere(traffic, group, failing, port, paths) if pods else None
    inside = [a for a in every_answer if a.via in pod_evidence.LOOPBACK and a not in asked] if asker.client else ()
    return _Answer(
        group,
        failing,
        codes,
        setting_source(traffic, "healthcheck-path"),
        paths=tuple(paths),
        exact=exact,
        asker=asker,
        elsewhere=elsewhere,
        to=next((a.location for a in asked if a.location), ""),
        fine=bool(asked) and all(pod_evidence.is_success(a, group.health_check.timeout) for a in asked),
        evidence=(
            *_answer_evidence(traffic, group, failing, (*asked, *inside), tried, readiness, len(pods)),
            *_evidence_of(elsewhere),
        ),
    )


def _elsewhere(
    traffic: TrafficPath,
    group: TargetGroup,
    failing: tuple[TargetHealth, ...],
    port: int | None,
    paths: list[GoodPath],
) -> HealthPort | None:
    """The port where the pods serve their health, unless the checked port has a path for it: that "/" answers there,
    too, says less."""
    found = health_port(traffic, failing, port, group.health_check.path)
    if found is None:
        return None
    asked = group.health_check.path.rstrip("/")
    of_the_check = found.path == group.health_check.path or (bool(asked) and found.path.startswith(f"{asked}/"))
    return found if of_the_check or all(good.path == "/" for good in paths) else None


def _evidence_of(port: HealthPort | None) -> tuple[Evidence, ...]:
    if port is None:
        return ()
    way = "" if port.value else ", to which no node port leads"
    return (Evidence(Source.PODS, f"{port.witness}: {port.scheme} {port.path} on port {port.port}{way}"),)


def _passing_readiness(pods: tuple[Pod, ...], port: int | None) -> tuple[Probe, int] | None:
    """An HTTP readiness probe of this port that succeeds, and in how many pods; None where none does."""
    found = [(pod, probe) for pod in pods if (probe := readiness_of(pod, port or 0)) is not None]
    ready = sum(pod.containers_ready for pod, _ in found)
    return (found[0][1], ready) if ready else None


def _answer_evidence(
    traffic: TrafficPath,
    group: TargetGroup,
    failing: tuple[TargetHealth, ...],
    asked: tuple[ProbeAnswer, ...],
    tried: tuple[ProbeAnswer, ...],
    readiness: tuple[Probe, int] | None,
    pods: int,
) -> tuple[Evidence, ...]:
    """What the load balancer says, what probes were answered, and the readiness probe that succeeds."""
    good = [a for a in tried if pod_evidence.is_success(a)]
    said = failing[0].description if failing[0].reason == RESPONSE_CODE_MISMATCH else failing[0].reason
    lines = [Evidence(Source.TARGET_GROUP, f"{part_of(len(failing), len(traffic.targets()))}: {said}")]
    lines += pod_evidence.evidence((*asked, *good))
    vain = dict.fromkeys(a.request.path for a in tried if a.request.path != group.health_check.path)
    if vain and not good:
        lines.append(Evidence(Source.PROBE, f"no success on {', '.join(vain)} either"))
    if readiness is not None:
        probe, ready = readiness
        lines.append(Evidence(Source.PODS, f"readinessProbe {describe_probe(probe)} succeeds in {ready} of {pods}"))
    return tuple(lines)


def _answered_targets(traffic: TrafficPath, group: TargetGroup) -> list[tuple[TargetHealth, tuple[str, ...]]]:
    """Failing targets and the codes that their check is answered with.

    A Network Load Balancer does not tell a wrong code from no answer: there the probes do.
    """
    found = [(t, t.codes) for t in traffic.unhealthy(RESPONSE_CODE_MISMATCH) if t.codes]
    if traffic.is_alb or group.health_check.protocol not in ("HTTP", "HTTPS"):
        return found
    for target in traffic.unhealthy(FAILED_HEALTH_CHECKS):
        told = pod_evidence.conclusive_answers(
            pod_evidence.checked(traffic, (target,), checked_pod_port(traffic, target))
        )
        wrong = [a for a in told if a.status is not None and not accepts(a.request.matcher, a.status)]
        if wrong and len(wrong) == len(told):
            found.append((target, tuple(sorted({str(a.status) for a in wrong}))))
    return found


def _good_paths(
    traffic: TrafficPath,
    group: TargetGroup,
    pods: tuple[Pod, ...],
    port: int | None,
    asked: tuple[ProbeAnswer, ...],
    tried: tuple[ProbeAnswer, ...],
) -> tuple[list[GoodPath], bool]:
    """Paths that answer probes as the check wants, those that the pods declare first, then where the server redirects
    the check to; and whether the first is the one to take: the only one, or the only one of its rank."""
    found: dict[str, set[str]] = {}
    for answer in tried:
        if answer.request.path != group.health_check.path and pod_evidence.is_success(answer):
            found.setdefault(answer.request.path, set()).add(answer.request.pod)
    failed = {a.request.path for a in tried if not pod_evidence.is_success(a)}
    good = [path for path in found if path not in failed]
    declared = {
        pod_evidence.path_of(probe)
        for pod in pods
        for container in pod.serving_containers()
        for probe in (container.readiness, container.liveness, container.startup)
        if probe is not None and probe.kind == "httpGet" and pod_evidence.port_of(pod, probe) == port
    }
    redirected = {pod_evidence.redirect_path(a) for a in asked}
    rank = {path: 0 if path in declared else 1 if path in redirected else 2 for path in good}
    good.sort(key=lambda path: rank[path])
    exact = len(good) == 1 or (bool(good) and rank[good[0]] < 2 and list(rank.values()).count(rank[good[0]]) == 1)
    return [GoodPath(path, PathSource.PROBE_ANSWER, len(found[path])) for path in good], exact


@record
class _Cure:
    """What mends an answer. fix: the name of a repair of its own, "" for the one of the code. exact: the evidence
    determines the repair."""

    repairs: tuple[Repair, ...] = ()
    template: Repair | None = None
    advice: str = ""
    by_hand: tuple[str, ...] = ()
    fix: str = ""
    exact: bool = False


def _answered(traffic: TrafficPath, code: str, answer: _Answer, **params: str) -> Finding:
    """The finding that all answers have in common; a path that answers makes the repair exact."""
    check = answer.group.health_check
    cure = _cure(traffic, answer)
    finding = Finding(
        code,
        answer.owner.ref,
        params={
            "path": check.path,
            "codes": answer.codes,
            "matcher": check.matcher,
            **_what_answers(traffic, answer),
            **params,
        },
        evidence=answer.evidence,
        confidence=Confidence.LIKELY if answer.fine else Confidence.CERTAIN,
        targets=tuple(t.key for t in answer.targets),
        confirm=(describe_target_health(answer.group.arn, traffic.context.region),),
        repairs=cure.repairs,
        by_hand=cure.by_hand,
        repair_template=cure.template,
        fix_automatic=bool(cure.repairs) and cure.exact,
        fix=cure.fix,
        alternatives=_both_ways(traffic, answer),
        advice=cure.advice,
        rules_out=_RULES_OUT if answer.targets[0].reason == RESPONSE_CODE_MISMATCH else "",
    )
    return of_one_workload(traffic, finding, answer.targets)


def _cure(traffic: TrafficPath, answer: _Answer) -> _Cure:
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
        return _Cure(template=template, advice=advice)
    if answer.paths:
        repairs = tuple(r for good in answer.paths[:3] for r in answer.owner.offer(good.path, good.why, _RECHECK))
        choose = "choose the path that tells whether the application can serve"
        advice = answer.owner.instruction or ("" if answer.exact else choose)
        return _Cure(repairs, template, advice, exact=answer.exact)
    if not answer.owner.settable:
        return _Cure(advice=answer.owner.instruction)
    asked = answer.group.health_check.path
    other = beside(traffic, answer.targets, checked_pod_port(traffic, answer.targets[0]), asked)
    if other is not None:
        advice = (
            f"container {other[0]} answers {asked} on port {other[1]}: let {traffic.service_ref} lead there "
            "(targetPort), or check a path that the container in front of it answers"
        )
        return _Cure(template=template, advice=advice)
    right = f"<a path that answers {answer.group.health_check.matcher}>"
    codes = setting_source(traffic, "success-codes").label
    return _Cure(template=template, advice=f"{answer.owner.how(right)}, or widen {codes}")


def _is_success(group: TargetGroup, code: str) -> bool:
    """Whether the application says with this code that it serves: 2xx of HTTP, 0 (OK) of gRPC.

    https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    """
    return code == "0" if group.is_grpc else code.startswith("2")


def _both_ways(traffic: TrafficPath, answer: _Answer) -> tuple[Alternative, ...]:
    """A wrong code has two repairs, another path and other success codes; which of them a check prefers, it says."""
    codes = setting_source(traffic, "success-codes")
    paths = tuple(repair for good in answer.paths[:3] for repair in answer.owner.offer(good.path, good.why, _RECHECK))
    ways = [Alternative("healthcheck-path", paths, answer.owner.template, automatic=bool(paths) and answer.exact)]
    grpc, last = answer.group.is_grpc, answer.codes[-1]
    if kind_of(last, grpc) is not AnswerKind.SERVER and not _is_success(answer.group, last):
        redirected = not grpc and all(code.startswith("3") for code in answer.codes)
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


def _ask_elsewhere(traffic: TrafficPath, answer: _Answer, port: HealthPort) -> _Cure:
    """Check the port that serves the path, and what goes with it there, all in one write for each object."""
    check = answer.group.health_check
    if not port.value:
        advice = (
            f"give {traffic.service_ref} a port that leads to {port.port}, and check its node port; or use ip targets, "
            f"which are checked on port {port.port} itself"
        )
        return _Cure(advice=advice)
    repairs = tuple(repair.with_reason("", _RECHECK) for repair in check_there(traffic, check, port))
    advice = setting_source(traffic, "healthcheck-port").instruction
    return _Cure(repairs, advice=advice, fix="healthcheck-port", exact=port.certain)


def _expect_the_code(traffic: TrafficPath, answer: _Answer) -> _Cure:
    """The application serves the path: not the path is wrong, but what is expected of it."""
    matcher = answer.group.health_check.matcher
    owner = setting_source(traffic, "success-codes")
    others = any(t.state == "healthy" for t in traffic.targets()) and "-" not in matcher
    value = ",".join(sorted({*answer.codes, *(matcher.split(",") if others else ())}))
    repairs = owner.offer(value, f"the path answers with {', '.join(answer.codes)}", _RECHECK)
    return _Cure(repairs, owner.template, owner.instruction, fix="success-codes", exact=True)


def _apply_the_annotation(traffic: TrafficPath, answer: _Answer, template: Repair | None) -> _Cure:
    """The annotation is right and the target group is not (LBD311): to set it once more would change nothing."""
    if last_edit(traffic) < RECONCILE_SECONDS:
        check = answer.group.health_check
        advice = (
            f"{answer.owner.key} asks for {answer.better} already, and was written a moment ago: the controller "
            "applies it within a minute, and targets turn healthy within "
            f"{check.healthy_threshold * check.interval} s after that"
        )
        return _Cure(template=template, advice=advice)
    controllers = traffic.cluster.controllers.peek() or ()
    return _Cure(
        template=template,
        advice=f"{answer.owner.key} asks for {answer.better} already and was not applied: the controller has to "
        "reconcile it",
        by_hand=tuple(
            restart(ObjectRef("Deployment", w.meta.namespace, w.meta.name)).commands[0] for w in controllers[:1]
        ),
    )


def of_one_workload(traffic: TrafficPath, finding: Finding, failing: Iterable[TargetHealth]) -> Finding:
    """The same finding, about the workload whose pods alone fail what those of another pass behind the same Service: to
    change the check or the Service would break what works."""
    odd = pod_evidence.differing_workload(traffic, failing)
    service = traffic.service.peek()
    if odd is None or service is None:
        return finding
    bad, good = odd
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    said = Evidence(Source.PODS, f"those of {bad} fail, and those of {good} pass the same check")
    listed = kubectl("get", "pods", "-l", selector, "--show-labels", namespace=traffic.namespace)
    return replace(
        finding,
        object=bad,
        evidence=(*finding.evidence, said),
        repairs=(),
        by_hand=(),
        repair_template=None,
        fix_automatic=False,
        alternatives=(),
        confirm=(*finding.confirm, listed),
        advice=f"let the pods of {bad} serve as those of {good} do; or, if {traffic.service_ref} is not to lead to "
        f"them, narrow its selector, which matches both ({selector})",
    )


def _what_answers(traffic: TrafficPath, answer: _Answer) -> dict[str, Param]:
    """What passes the check instead: the pods of another workload, or paths and what shows it of them."""
    odd = pod_evidence.differing_workload(traffic, answer.targets)
    if odd is not None:
        return {"better": (), "failing": str(odd[0]), "passing": str(odd[1])}
    if answer.elsewhere is not None and not answer.fine:
        port = answer.elsewhere
        return {"better": (), "elsewhere": str(port.port), "there": port.path, "names": port.witness}
    if not answer.paths or answer.fine:
        return {"better": ()}
    if answer.paths[0].source is PathSource.READINESS_PROBE:
        return {"better": (answer.paths[0].path,), "witness": answer.paths[0].source.value}
    return {"better": tuple(good.path for good in answer.paths[:3])}


@check(
    "LBD301",
    title="the health-check path is answered with an unexpected code",
    passes="the health-check path answers with a success code",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='check path "{path}" is answered with {codes}, expected {matcher}' + _BETTER,
    reads=_ANSWER_READS,
    fix="healthcheck-path",
    distinct_by=_ASKED,
)
def path_answers_outside_success_codes(traffic: TrafficPath) -> Iterator[Finding]:
    """The application answers the health check, but with a code outside the target group's success codes (404 mostly:
    the default path "/" is not served).

    Target.ResponseCodeMismatch proves that the packet reached an HTTP server on the checked port: security groups,
    network ACLs, routes and ports are not the cause.

    A gRPC server answers with 12 (UNIMPLEMENTED) for a method that it does not have, and its health service with 5
    (NOT_FOUND) for a service that it does not know.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` from another pod. Repair: set the healthcheck-path annotation
    to a path that answers with a success code, or adapt success-codes when the answer is meant.
    """
    answer = _answers(traffic, AnswerKind.CLIENT)
    if answer is not None and answer.asker == NOBODY:
        yield _answered(traffic, "LBD301", answer)


@check(
    "LBD302",
    title="the check path is refused to the load balancer, but not to others",
    passes="the answer does not depend on who asks",
    severity=Severity.ERROR,
    message='path "{path}" is answered with {codes} to the load balancer[, but not to Host {host}][, '
    "with a success to {client}]",
    reads=_ANSWER_READS,
    distinct_by=("path", "host"),
)
def answer_depends_on_host(traffic: TrafficPath) -> Iterator[Finding]:
    """The application serves the check path only for a certain host name, or to certain clients. It refuses others with
    any code: 400, 401, 403, 404 or 421, a redirect, an error of its own.

    An Application Load Balancer sends `Host: TARGET_IP:PORT`, a Network Load Balancer its own address and listener
    port; neither can be changed. The readiness probe asks the same path on the same port with a Host header of its
    own and succeeds, or a probe with a host name of the Ingress rules does. The pod itself, or the kubelet, is answered
    with a success where the client's address decides.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` against `curl -i -H 'Host: NAME' http://POD_IP:PORT/PATH`.
    Repair: answer the check path in the application's default virtual host and to the load balancer's subnets, or check
    another path, another port or by TCP.
    """
    for kind in (AnswerKind.CLIENT, AnswerKind.AUTHENTICATION, AnswerKind.REDIRECT, AnswerKind.SERVER):
        answer = _answers(traffic, kind)
        if answer is not None and answer.asker != NOBODY:
            yield _depends_on_the_asker(traffic, answer)


def _depends_on_the_asker(traffic: TrafficPath, answer: _Answer) -> Finding:
    asker = answer.asker
    finding = _answered(traffic, "LBD302", answer, host=asker.host, client=asker.client)
    advice = "answer the check path in the application's default virtual host"
    if asker.client:
        advice = "let the application answer the check path to the load balancer's subnets, too"
    advice += ", or check another port" + ("" if traffic.is_alb else ", or by TCP")
    elsewhere = answer.elsewhere is not None and bool(finding.repairs)
    # Another path or port that is answered whoever asks is a repair; any other value of the path is none.
    kept = finding.repairs if (answer.paths and not answer.fine) or elsewhere else ()
    return replace(
        finding,
        repairs=kept,
        repair_template=None,
        fix_automatic=finding.fix_automatic and bool(kept),
        fix=finding.fix or ("healthcheck-path" if kept else ""),
        advice=advice,
        confidence=finding.confidence if asker.certain else Confidence.LIKELY,
    )


@check(
    "LBD303",
    title="the health check is answered with a redirect",
    passes="the health check is not redirected",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='check path "{path}" is redirected[ to {to}] ({codes}), expected {matcher}' + _BETTER,
    reads=_ANSWER_READS,
    fix="success-codes",
    distinct_by=_ASKED,
)
def check_is_redirected(traffic: TrafficPath) -> Iterator[Finding]:
    """The application answers the check with a redirect, to HTTPS or to a login page mostly; load balancers do not
    follow it.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` shows the Location header. Repair: check a path that is served
    without a redirect, accept the redirect (`success-codes: 200-399`), or speak HTTPS to the application. Which of them
    it is depends on where the redirect leads: until a probe has seen that, nothing is accepted unasked.
    """
    answer = _answers(traffic, AnswerKind.REDIRECT)
    if answer is None or answer.asker != NOBODY:
        return
    finding = _answered(traffic, "LBD303", answer, to=answer.to[:100])
    if not answer.paths and not answer.fine and finding.alternatives:
        owner = setting_source(traffic, "success-codes")
        why = f"the path answers with a redirect ({', '.join(answer.codes)})"
        risk = "a redirect, also to a login page, counts as healthy"
        login = bool(pod_evidence.LOGIN.search(answer.to))
        advice = "a login page says nothing about the application: better check a path without one" if login else ""
        if not answer.to:
            advice = (
                "see where the redirect leads (--probe, or curl -i): to a login page, better check a path without one; "
                "to https:// of the same port, let the check speak HTTPS; else accept it"
            )
        accept, template = owner.offer("200-399", why, risk), owner.template
        advice = owner.instruction or advice
        yield replace(
            finding,
            repairs=accept,
            repair_template=template,
            fix_automatic=bool(answer.to) and not login,
            advice=advice,
        )
        return
    # What `_answered` repairs is the path, not the codes.
    yield replace(finding, fix=finding.fix or "healthcheck-path")


@check(
    "LBD304",
    title="the health-check path demands authentication",
    passes="the health-check path needs no authentication",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='check path "{path}" demands authentication ({codes})' + _BETTER,
    reads=_ANSWER_READS,
    fix="healthcheck-path",
    distinct_by=_ASKED,
)
def check_demands_authentication(traffic: TrafficPath) -> Iterator[Finding]:
    """The application answers the check with 401 or 403 (gRPC: 16 or 7): the path is protected, and checks carry no
    credentials.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH`. Repair: check a path that needs no authentication.
    """
    answer = _answers(traffic, AnswerKind.AUTHENTICATION)
    if answer is not None and answer.asker == NOBODY:
        yield _answered(traffic, "LBD304", answer)


@check(
    "LBD317",
    title="the application answers the health check with a server error",
    passes="the application does not answer the health check with a server error",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='the application answers check path "{path}" with {codes}' + _BETTER,
    reads=_ANSWER_READS,
    distinct_by=_ASKED,
)
def application_answers_5xx(traffic: TrafficPath) -> Iterator[Finding]:
    """The application itself fails on the check path (5xx; gRPC: 2, 4, 8, 13, 14, 15): a dependency is down, or the
    handler is broken.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` and the application's own log. Repair: mend the application
    (`kubectl logs`), or check a path that does not depend on what is down.
    """
    answer = _answers(traffic, AnswerKind.SERVER)
    if answer is not None and answer.asker == NOBODY:
        yield _answered(traffic, "LBD317", answer)


@check(
    "LBD305",
    title="the check speaks another protocol than the port",
    passes="the check speaks the protocol of the port",
    severity=Severity.ERROR,
    message="the health check speaks {speaks} to port {port}, the application speaks {serves}",
    reads=(*_ANSWER_READS, reads.LISTENERS),
    explains=("LBD301", "LBD302"),
    fix="healthcheck-protocol",
    distinct_by=("port", "serves"),
)
def check_speaks_wrong_protocol(traffic: TrafficPath) -> Iterator[Finding]:
    """The check sends plain HTTP to a TLS port, or TLS to a plaintext port.

    The readiness probe of the same port succeeds with the other scheme, or a probe does. A TLS server answers plain
    HTTP with a reset (Target.FailedHealthChecks) or, like Go's, with 400. The check protocol does not follow
    backend-protocol unless both are annotated. Where no probe asks the port, and no target is healthy, what names it
    makes TLS likely: backend-protocol HTTPS, appProtocol https, the name of the port, or port 443 or 8443.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#application-protocol

    Confirm by hand: `curl -v http://POD_IP:PORT/` against `curl -vk https://POD_IP:PORT/`.

    Repair: let the check speak the port's protocol (annotation healthcheck-protocol).
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    speaks = group.health_check.protocol
    failing = [
        t
        for t in traffic.unhealthy(RESPONSE_CODE_MISMATCH, FAILED_HEALTH_CHECKS)
        if t.reason == FAILED_HEALTH_CHECKS or t.codes in (("400",), ("426",))
    ]
    if not failing or speaks not in _SCHEMES:
        return
    port = checked_pod_port(traffic, failing[0])
    told = pod_evidence.answers(traffic, pod_evidence.pods_behind(traffic, failing), port=port)
    pods = [p for p in traffic.matching_pods() if p.containers_ready] if port is not None else []
    probes = [probe for pod in pods if (probe := readiness_of(pod, port or 0)) is not None]
    serves, said = _scheme_served(speaks, told, probes)
    named = said_by_names(traffic, failing, port) if port is not None and not (serves or told or probes) else ""
    if named:
        serves, said = "HTTPS", named
    if serves == speaks or serves not in _SCHEMES:
        return  # Another version is LBD306.
    shown = pod_evidence.evidence(a for a in told if a.request.version == "HTTP1" and a.request.path == _path(group))
    # The traffic takes another port than a check with one of its own: nothing says that it should change its protocol.
    traffic_too = traffic.is_alb and group.protocol != serves and not has_port_of_its_own(failing)
    finding = Finding(
        "LBD305",
        setting_source(traffic, "healthcheck-protocol").ref,
        params={"speaks": speaks, "serves": serves, "port": str(port)},
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{part_of(len(failing), len(traffic.targets()))}: {failing[0].reason}"),
            *shown,
            *(Evidence(Source.PODS, f"readinessProbe {describe_probe(p)} succeeds") for p in probes[:1]),
            *((Evidence(Source.EXPECTED, f"TLS: {named}"),) if named else ()),
        ),
        confidence=Confidence.LIKELY if named else Confidence.CERTAIN,
        targets=tuple(t.key for t in failing),
        repairs=_speak(traffic, group, serves, said, traffic_too),
        fix_automatic=not named,
        advice=_fixed_protocol(traffic, traffic_too),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
    )
    yield of_one_workload(traffic, finding, failing)


_SCHEMES = ("HTTP", "HTTPS")


def _scheme_served(speaks: str, told: tuple[ProbeAnswer, ...], probes: list[Probe]) -> tuple[str, str]:
    """What the port speaks ("" where nothing shows it), and what shows it."""
    spoken = pod_evidence.protocol_served(told)
    if spoken:
        return spoken, f"a probe of the same port was answered by {spoken}"
    if probes and all(probe.scheme != speaks for probe in probes):
        return probes[0].scheme, f"the readiness probe of the same port speaks {probes[0].scheme}"
    return "", ""


def _speak(traffic: TrafficPath, group: TargetGroup, serves: str, why: str, traffic_too: bool) -> tuple[Repair, ...]:
    """Check by this protocol. traffic_too: an Application Load Balancer has to send its traffic by it as well; then
    there is no repair where no fix can change both."""
    owner = setting_source(traffic, "healthcheck-protocol")
    if not traffic.is_alb and (neighbours := healthy_neighbours((traffic,), "healthcheck-protocol")):
        port = neighbours[0].backend.port if neighbours[0].backend is not None else ""
        suits = f"the setting holds for all ports of the Service, and port {port} speaks {group.health_check.protocol}"
        return owner.offer("tcp", suits, "only the connection is checked")
    if not traffic_too:
        return (Repair(serves, (owner.change(serves),)).with_reason(why),) if owner.settable else ()
    risk = "a target group of another protocol replaces this one"
    backend = setting_source(traffic, "backend-protocol")
    if not (owner.settable and backend.settable):
        return ()
    if backend.ref == owner.ref:  # Both in one write: the controller would replace the target group twice.
        return (Repair(serves, (owner.change(serves, (backend, serves)),)).with_reason(why, risk),)
    return (Repair(serves, (owner.change(serves), backend.change(serves))).with_reason(why, risk),)


def _fixed_protocol(traffic: TrafficPath, traffic_too: bool) -> str:
    """What a person does where no fix can change the protocol; "" where one can."""
    needed = [setting_source(traffic, "healthcheck-protocol")]
    if traffic_too:
        needed.append(setting_source(traffic, "backend-protocol"))
    return next((setting.instruction for setting in reversed(needed) if not setting.settable), "")


def _path(group: TargetGroup) -> str:
    return group.health_check.path or "/"


_LISTEN = (
    "{seen:declared=declare {declared}|probed=answer on {probed}|both=declare {declared} and answer on {probed}"
    "|open=listen on {open}|*=do not listen there}"
)


@check(
    "LBD307",
    title="the Service's targetPort is a port that the pods do not listen on",
    passes="the Service's targetPort is a port that the pods listen on",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message="Service {service} sends port {port} to targetPort {target}, but the pods " + _LISTEN,
    reads=(*_ANSWER_READS, reads.NODES),
    fix="targetport",
    distinct_by=("port",),
)
def target_port_not_served(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service's targetPort is not a port on which the pods listen; connections are refused.

    Undeclared container ports are legal, so a port that no container declares is only suspicious. It becomes the
    cause when the load balancer reports Target.FailedHealthChecks on it, which means that the connection was refused
    (a filter would give Target.Timeout), and the pods declare or successfully probe another port.

    A probe that is refused on the pod's address and its loopback proves it, and finds the port that answers. It proves
    it, too, where the health check asks another port, a status port or kube-proxy's healthCheckNodePort: then the
    targets are healthy, and every request is answered with 502.

    Confirm by hand: `kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6` lists the listening ports.
    Repair: set targetPort to the port that the container serves.
    """
    group, service, port = _served_by_tcp(traffic)
    refused = _refused(traffic)
    if refused.seen.suspects and refused.targets and not refused.as_declared:
        share = f"{len(refused.seen.suspects)} of {len(refused.pods)}"
        finding = _wrong_target_port(traffic, group, service, port, refused.seen, refused.targets, share)
        yield of_one_workload(traffic, finding, refused.targets)


def _served_by_tcp(traffic: TrafficPath) -> tuple[TargetGroup, Service, ServicePort]:
    """What a path leads to by TCP. Raises NotApplicable where it is nothing, or a UDP port."""
    group, service, port = traffic.target_group.need(), traffic.service.need(), traffic.service_port.need()
    if group is None or service is None or port is None:
        raise NotApplicable("no target group for a Service port")
    if port.protocol != "TCP" or group.protocol in ("UDP", "QUIC"):
        raise NotApplicable("what listens by TCP says nothing about a UDP port: LBD315")
    return group, service, port


@record
class _Refused:
    """Targets that are refused at the Service's targetPort. pods: of the Service, with an address. as_declared: the
    pods are at odds with themselves rather than with the Service."""

    targets: tuple[TargetHealth, ...]
    pods: tuple[Pod, ...]
    seen: _TargetPort
    as_declared: bool


@derived
def _refused(traffic: TrafficPath) -> _Refused:
    _, _, port = _served_by_tcp(traffic)
    failing = [t for t in traffic.unhealthy(FAILED_HEALTH_CHECKS) if ends_at_service_port(traffic, t)]
    unasked = () if failing else unproven(traffic)
    pods = [pod for pod in traffic.matching_pods() if pod.ip] if failing or unasked else []
    apart = frozenset(int(t.check_port) for t in unasked if t.check_port.isdigit())
    seen = _at_target_port(traffic, port, pods, apart)
    targets = [t for t in failing or unasked if _may_end_at(traffic, t, set(seen.suspects))]
    return _Refused(tuple(targets), tuple(pods), seen, _as_declared(port, pods, seen))


@record
class _TargetPort:
    """What the pods show of the Service's targetPort.

    suspects: the numbers of that port in pods that seem not to serve it, by pod. silent: those of them that a probe
    has refused. declared, probed: ports that the suspects declare, and on which their readiness probes succeed,
    instead. open: ports on which probes found all silent pods listening.
    """

    suspects: Mapping[str, int]
    silent: tuple[Pod, ...]
    declared: frozenset[int]
    probed: frozenset[int]
    open: tuple[int, ...]

    @property
    def params(self) -> dict[str, Param]:
        """What the pods do instead, as `_LISTEN` says it. What is declared counts only where no probe knows better."""
        declared = self.declared if not self.silent else frozenset[int]()
        seen = "both" if declared and self.probed else "declared" if declared else "probed" if self.probed else ""
        return {
            "seen": seen or ("open" if self.open else "nothing"),
            "declared": _listed(declared),
            "probed": _listed(self.probed),
            "open": _listed(self.open),
        }


def _at_target_port(traffic: TrafficPath, port: ServicePort, pods: list[Pod], apart: frozenset[int]) -> _TargetPort:
    """apart: ports that the health check asks instead of the traffic's. Then nothing but a probe accuses a pod, and
    what answers there is no port for the traffic."""
    suspects: dict[str, int] = {}
    silent: list[Pod] = []
    declared: set[int] = set()
    probed: set[int] = set()
    for pod in pods:
        number = int(port.target) if port.target.isdigit() else pod.named_port(port.target, port.protocol)
        passing = _probed_ports(pod) if pod.containers_ready else set()
        if number is None or number in passing:
            continue
        passing, others = passing - apart, set(application_ports(pod, port.protocol)) - {number} - apart
        told = pod_evidence.answers(traffic, (pod,), port=number)
        if pod_evidence.nothing_listens(traffic, pod, number):
            silent.append(pod)
        elif (
            apart or pod_evidence.listens(told) or number in pod.declared_ports(port.protocol) or not (others | passing)
        ):
            continue
        suspects[pod.meta.name] = number
        declared |= others
        probed |= passing
    found = pod_evidence.open_ports(traffic, silent, besides=next(iter(suspects.values()))) if suspects else ()
    found = tuple(number for number in found if number not in apart)
    return _TargetPort(suspects, tuple(silent), frozenset(declared), frozenset(probed), found)


def _ports_to_choose(traffic: TrafficPath, group: TargetGroup, seen: _TargetPort) -> list[int]:
    """The ports that the Service may mean, by the best evidence there is."""
    if seen.probed:
        return sorted(seen.probed)
    # Of several ports that answer, the one that gives the check what it wants is the one.
    right = [
        n
        for n in seen.open
        if any(pod_evidence.is_success(a) for a in pod_evidence.answers(traffic, seen.silent, port=n))
    ]
    if len(right) == 1 and group.health_check.protocol in _SCHEMES:
        return right
    return list(seen.open) or ([] if seen.silent else sorted(seen.declared))


def _is_certain(traffic: TrafficPath, seen: _TargetPort) -> bool:
    """A Network Load Balancer reports FailedHealthChecks for filters too, so one alternative is left there. Where only
    the loopback was heard, a process that is bound to the pod's address alone is the other alternative."""
    heard = any(
        pod_evidence.refused(pod_evidence.answers(traffic, (pod,), port=seen.suspects[pod.meta.name]))
        for pod in seen.silent
    )
    return heard or (traffic.is_alb and bool(seen.probed))


def _wrong_target_port(
    traffic: TrafficPath,
    group: TargetGroup,
    service: Service,
    port: ServicePort,
    seen: _TargetPort,
    targets: Sequence[TargetHealth],
    share: str,
) -> Finding:
    """share: how many of the pods it is about, "2 of 3"."""
    choices = _ports_to_choose(traffic, group, seen)
    said = f"{share} pods {wording.render(_LISTEN, seen.params)}"
    ports = {*seen.suspects.values(), *seen.open}
    asked = [a for a in pod_evidence.answers(traffic, seen.silent) if a.request.port in ports]
    advice = "" if len(choices) == 1 else "choose the port that the application serves"
    led_to = _other_target_ports(service, port, traffic.matching_pods()).intersection(choices[:1])
    if not choices:
        advice = "find the port that the application listens on: a probe found none"
    elif len(choices) == 1 and led_to:
        advice = (
            f"let the application listen on {port.target}; another port of the Service leads to {choices[0]}, which is "
            "right here only if it serves this port's requests, too"
        )
    pods = [pod.meta.name for pod in seen.silent]
    looks = [
        kubectl("exec", name, "-n", traffic.namespace, "--", "cat", "/proc/net/tcp", "/proc/net/tcp6")
        for name in pods[:1]
    ]
    ref, index = traffic.service_ref, service.ports.index(port)
    dropped = "filters on the way: the connection was refused, not dropped"
    return Finding(
        "LBD307",
        ref,
        params={"service": service.meta.name, "port": str(port.port), "target": port.target, **seen.params},
        evidence=(
            _of_targets(traffic, targets),
            Evidence(f"service/{service.meta.name}", f"port {port.port} -> targetPort {port.target}"),
            *pod_evidence.evidence(asked),
            *(() if seen.silent else (Evidence(Source.PODS, f"{said}, none declares {port.target}"),)),
        ),
        confidence=Confidence.CERTAIN if _is_certain(traffic, seen) else Confidence.LIKELY,
        targets=tuple(t.key for t in targets),
        confirm=(describe_target_health(group.arn, traffic.context.region), *([] if choices else looks)),
        repairs=tuple(target_port_repair(ref, service, index, n).with_reason(said) for n in choices[:3]),
        fix_automatic=len(choices) == 1 and not led_to,
        advice=advice,
        rules_out=dropped if traffic.is_alb or seen.silent else "",
    )


def _of_targets(traffic: TrafficPath, targets: Sequence[TargetHealth]) -> Evidence:
    """What AWS says of targets whose traffic port refuses: its check fails there, or asks another port."""
    share, first = part_of(len(targets), len(traffic.targets())), targets[0]
    if first.state == "healthy":
        return Evidence(Source.TARGET_HEALTH, f"{share}: healthy by a check of port {first.check_port}")
    return Evidence(Source.TARGET_GROUP, f"{share}: {FAILED_HEALTH_CHECKS}")


def _other_target_ports(service: Service, port: ServicePort, pods: Iterable[Pod]) -> frozenset[int]:
    """The ports of pods that the Service's other ports lead to: a status port that answers is no proof that it serves
    what this one is for."""
    others = [p for p in service.ports if p != port and p.target != port.target]
    found = {
        int(p.target) if p.target.isdigit() else pod.named_port(p.target, p.protocol) for p in others for pod in pods
    }
    return frozenset(n for n in found if n is not None)


def _listed(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(map(str, sorted(numbers)))


def _as_declared(port: ServicePort, pods: list[Pod], seen: _TargetPort) -> bool:
    """Whether the pods are at odds with themselves rather than with the Service: those that do not serve its targetPort
    declare that very port, and nothing shows another one on which they listen."""
    silent = {pod.meta.name for pod in seen.silent}
    if seen.open or seen.probed or not silent or set(seen.suspects) != silent:
        return False
    return all(seen.suspects[p.meta.name] in p.declared_ports(port.protocol) for p in pods if p.meta.name in silent)


_START_SECONDS = 600
"""An application that has not opened its port for so long is not about to do so."""


@check(
    "LBD321",
    title="the application does not listen on the port that its containers declare",
    passes="the application listens on the port that its containers declare",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message="nothing listens on port {port} of {silent} of {pods:pod}, which their containers declare[; started "
    "{age} ago]",
    reads=(*_ANSWER_READS, reads.NODES),
    distinct_by=("port",),
)
def declared_port_not_served(traffic: TrafficPath) -> Iterator[Finding]:
    """Service and containers agree on the port, and connections to it are refused: the application has not opened it
    yet, listens on another port than its manifest says, or has failed without ending.

    Pods without a readiness probe count as ready as soon as their containers run. So the load balancer gets an
    application that starts slowly as a target at once, and a rollout replaces pods that serve by pods that do not yet.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes

    Confirm by hand: `kubectl logs POD`, and `kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6`, which lists the
    listening ports. Repair: add a readiness probe that asks the port; where the application has started and listens
    elsewhere, correct its configuration, or the port in Deployment and Service.
    """
    _, service, port = _served_by_tcp(traffic)
    refused = _refused(traffic)
    targets, pods, seen = refused.targets, refused.pods, refused.seen
    if not targets or not refused.as_declared:
        return
    number = seen.suspects[seen.silent[0].meta.name]
    age = _youngest_start(traffic, seen.silent)
    unasked = all(container.readiness is None for pod in seen.silent for container in pod.serving_containers())
    starting = unasked and age < _START_SECONDS
    name = seen.silent[0].meta.name
    finding = Finding(
        "LBD321",
        workload_of(seen.silent[0]),
        params={
            "port": str(number),
            "silent": len(seen.silent),
            "pods": len(pods),
            "age": in_words(age) if starting else "",
        },
        evidence=(
            _of_targets(traffic, targets),
            Evidence(f"service/{service.meta.name}", f"port {port.port} -> targetPort {port.target}"),
            Evidence(Source.PODS, f"declare {number}/{port.protocol}"),
            *pod_evidence.evidence(a for a in pod_evidence.answers(traffic, seen.silent) if a.request.port == number),
        ),
        targets=tuple(t.key for t in targets),
        confirm=(
            kubectl("logs", name, "--tail=50", namespace=traffic.namespace),
            kubectl("exec", name, "-n", traffic.namespace, "--", "cat", "/proc/net/tcp", "/proc/net/tcp6"),
        ),
        advice="wait for its start, and add a readiness probe that asks this port: without one a pod counts as ready "
        "before it serves"
        if starting
        else f"see in its log what keeps it from opening {number}; where it listens on another port, correct its "
        "configuration, or containerPort and targetPort",
        rules_out="filters on the way: the connection was refused, not dropped",
    )
    yield of_one_workload(traffic, finding, targets)


def _youngest_start(traffic: TrafficPath, pods: Iterable[Pod]) -> float:
    """Seconds since the last of the pods' running containers was started."""
    return min((traffic.age(s.since) for pod in pods for s in pod.statuses if s.state == "running"), default=math.inf)


@check(
    "LBD308",
    title="the process listens on the loopback only",
    passes="the process listens on the pod's address",
    severity=Severity.ERROR,
    message="port {port} answers on the loopback of the pods {family:any=only|IPv6=or by IPv4 only}, "
    "not on their address",
    reads=_ANSWER_READS,
    explains=("LBD307", "LBD313"),
    distinct_by=("port",),
)
def listens_on_loopback_only(traffic: TrafficPath) -> Iterator[Finding]:
    """The application is bound to 127.0.0.1 (or localhost): it works through `kubectl port-forward` and `kubectl exec`,
    which come from inside the pod, and refuses everything from outside.

    Confirm by hand: `kubectl exec POD -- cat /proc/net/tcp` shows the local address 0100007F (127.0.0.1) and not
    00000000. Repair: let the application listen on all addresses (0.0.0.0 or ::); it is a flag, a variable such as HOST
    or BIND, or a line of its configuration.
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    found: dict[int, list[TargetHealth]] = {}
    pods: dict[str, Pod] = {}
    for target in traffic.unhealthy(FAILED_HEALTH_CHECKS):
        port = checked_pod_port(traffic, target)
        for pod in pod_evidence.pods_behind(traffic, (target,)) if port is not None else ():
            if pod_evidence.loopback_only(traffic, pod, port or 0):
                pods[pod.meta.name] = pod
                if target not in found.setdefault(port or 0, []):
                    found[port or 0].append(target)
    for port, targets in found.items():
        told = pod_evidence.answers(traffic, pods.values(), port=port)
        # An IPv6 address is refused, too, by what listens on IPv4 alone.
        six = any(":" in pod.ip for pod in pods.values())
        yield Finding(
            "LBD308",
            workload_of(next(iter(pods.values()))),
            params={"port": str(port), "family": "IPv6" if six else "any"},
            evidence=(
                Evidence(
                    Source.TARGET_GROUP, f"{part_of(len(targets), len(traffic.targets()))}: {FAILED_HEALTH_CHECKS}"
                ),
                *pod_evidence.evidence(told),
                *pod_evidence.socket_evidence(traffic, pods.values(), port),
            ),
            targets=tuple(t.key for t in targets),
            confirm=(kubectl("exec", next(iter(pods)), "-n", traffic.namespace, "--", "cat", "/proc/net/tcp"),),
            advice=f"let the application listen on 0.0.0.0:{port} (or [::]:{port}), not on 127.0.0.1 or localhost",
            rules_out="filters on the way: the connection was refused, not dropped",
        )


def _probed_ports(pod: Pod) -> set[int]:
    """Ports on which the kubelet's readiness probe succeeds now."""
    return {probed.port for probed in pod_evidence.ready((pod,))}


def _may_end_at(traffic: TrafficPath, target: TargetHealth, suspects: set[str]) -> bool:
    """An ip target is one pod; behind an instance target kube-proxy may choose any pod."""
    if traffic.target_type != "ip":
        return True
    pod = traffic.pod_of(target)
    return pod is not None and pod.meta.name in suspects
