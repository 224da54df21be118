"""LBD301 to LBD304 and LBD317: what does the application answer to the health check's path?

The reason code decides first: Target.ResponseCodeMismatch proves that an HTTP server answered on the checked port, so
security groups, network ACLs, routes and the port are fine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_answers import CheckAnswer, PathSource, check_answer
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.management_port import HealthPort
from kubectl_lbdoctor.analysis.other_askers import NOBODY
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.remediation import describe_target_health, kubectl
from kubectl_lbdoctor.analysis.workloads import HELD_BY, held_back
from kubectl_lbdoctor.checks.health_check.answer_repairs import both_ways, cure_of
from kubectl_lbdoctor.checks.health_check.findings import ANSWER_READS, health_evidence, of_one_workload
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.knowledge.success_codes import AnswerKind
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Param, Severity, Source
from kubectl_lbdoctor.model.target_reasons import RESPONSE_CODE_MISMATCH
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# One annotation decides the path: another path that is asked, or that answers, is another repair.
_ASKED = ("path", "better")

# What answers instead, at the end of a message: paths, or the pods of another workload.
_BETTER = '[; port {elsewhere} has "{there}"][; {better:"&"} {better:=succeeds|succeed}][; only {failing} fails it]'
_RULES_OUT = "security groups, network ACLs, routes, the port: an HTTP server answered"


def _answered(traffic: TrafficPath, code: str, answer: CheckAnswer, **params: str) -> Finding:
    """The finding that all answers have in common; a path that answers makes the repair exact."""
    check = answer.group.health_check
    cure = cure_of(traffic, answer)
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
        evidence=_evidence(traffic, answer),
        confidence=Confidence.LIKELY if answer.fine else Confidence.CERTAIN,
        targets=tuple(t.key for t in answer.targets),
        confirm=(describe_target_health(answer.group.arn, traffic.context.region),),
        repairs=cure.repairs,
        by_hand=cure.by_hand,
        repair_template=cure.template,
        fix_automatic=bool(cure.repairs) and cure.exact,
        fix=cure.fix,
        alternatives=both_ways(traffic, answer),
        advice=cure.advice,
        rules_out=_RULES_OUT if answer.targets[0].reason == RESPONSE_CODE_MISMATCH else "",
    )
    return of_one_workload(traffic, _with_template_that_waits(traffic, answer, finding), answer.targets)


def _with_template_that_waits(traffic: TrafficPath, answer: CheckAnswer, finding: Finding) -> Finding:
    """A template that does not reach the pods may change what they answer: by another image, by arguments or variables,
    which are not read. It may be the repair already, so that none is made unasked."""
    pods = pod_evidence.pods_behind(traffic, answer.targets)
    workload = held_back(traffic.namespace_facts.workloads.peek() or (), pods)
    if workload is None:
        return finding
    ref = f"{workload.kind.lower()}/{workload.meta.name}"
    made = part_of(workload.updated, workload.replicas, "pod")
    return replace(
        finding,
        evidence=(
            *finding.evidence,
            Evidence(ref, f"{HELD_BY[workload.held]}: {made} of its present template, which may answer otherwise"),
        ),
        confidence=Confidence.LIKELY,
        fix_automatic=False,
        advice=finding.advice or "look first whether the template that waits is the repair",
        confirm=(*finding.confirm, kubectl("get", ref, "-o", "yaml", namespace=workload.meta.namespace)),
    )


def _what_answers(traffic: TrafficPath, answer: CheckAnswer) -> dict[str, Param]:
    """What passes the check instead: the pods of another workload, or paths and what shows it of them."""
    odd = pod_evidence.differing_workload(traffic, answer.targets)
    if odd is not None:
        return {"better": (), "failing": str(odd[0]), "passing": str(odd[1])}
    if answer.elsewhere is not None and not answer.fine:
        port = answer.elsewhere
        return {"better": (), "elsewhere": str(port.port), "there": port.path, "names": port.witness}
    if not answer.paths or answer.fine:
        return {"better": ()}
    if answer.exact and answer.paths[0].source is PathSource.READINESS_PROBE:
        return {"better": (answer.paths[0].path,), "witness": answer.paths[0].source.value}
    return {"better": tuple(good.path for good in answer.paths[:3])}


def _evidence(traffic: TrafficPath, answer: CheckAnswer) -> tuple[Evidence, ...]:
    """What the load balancer says, what probes were answered, and the readiness probe that succeeds."""
    good = [a for a in answer.tried if pod_evidence.is_success(a)]
    lines = [health_evidence(traffic, answer.targets), *pod_evidence.evidence((*answer.told, *good))]
    vain = dict.fromkeys(a.request.path for a in answer.tried if a.request.path != answer.group.health_check.path)
    if vain and not good:
        lines.append(Evidence(Source.PROBE, f"no success on {', '.join(vain)} either"))
    if answer.readiness is not None:
        probe, ready = answer.readiness
        lines.append(
            Evidence(Source.PODS, f"readinessProbe {describe_probe(probe)} succeeds in {ready} of {answer.pods}")
        )
    return (*lines, *_evidence_of(answer.elsewhere))


def _evidence_of(port: HealthPort | None) -> tuple[Evidence, ...]:
    if port is None:
        return ()
    way = "" if port.value else ", to which no node port leads"
    return (Evidence(Source.PODS, f"{port.witness}: {port.scheme} {port.path} on port {port.port}{way}"),)


@check(
    "LBD301",
    title="the health-check path is answered with an unexpected code",
    passes="the health-check path answers with a success code",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='check path "{path}" is answered with {codes}, expected {matcher}' + _BETTER,
    reads=ANSWER_READS,
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
    answer = check_answer(traffic, AnswerKind.CLIENT)
    if answer is not None and answer.asker == NOBODY:
        yield _answered(traffic, "LBD301", answer)


@check(
    "LBD302",
    title="the check path is refused to the load balancer, but not to others",
    passes="the answer does not depend on who asks",
    severity=Severity.ERROR,
    message='path "{path}" is answered with {codes} to the load balancer[, but not to Host {host}][, '
    "but with a success to {client}]",
    reads=ANSWER_READS,
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
        answer = check_answer(traffic, kind)
        if answer is not None and answer.asker != NOBODY:
            yield _depends_on_the_asker(traffic, answer)


def _depends_on_the_asker(traffic: TrafficPath, answer: CheckAnswer) -> Finding:
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
    reads=ANSWER_READS,
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
    answer = check_answer(traffic, AnswerKind.REDIRECT)
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
    reads=ANSWER_READS,
    fix="healthcheck-path",
    distinct_by=_ASKED,
)
def check_demands_authentication(traffic: TrafficPath) -> Iterator[Finding]:
    """The application answers the check with 401 or 403 (gRPC: 16 or 7): the path is protected, and checks carry no
    credentials.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH`. Repair: check a path that needs no authentication.
    """
    answer = check_answer(traffic, AnswerKind.AUTHENTICATION)
    if answer is not None and answer.asker == NOBODY:
        yield _answered(traffic, "LBD304", answer)


@check(
    "LBD317",
    title="the application answers the health check with a server error",
    passes="the application does not answer the health check with a server error",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='the application answers check path "{path}" with {codes}' + _BETTER,
    reads=ANSWER_READS,
    distinct_by=_ASKED,
)
def application_answers_5xx(traffic: TrafficPath) -> Iterator[Finding]:
    """The application itself fails on the check path (5xx; gRPC: 2, 4, 8, 13, 14, 15): a dependency is down, or the
    handler is broken.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` and the application's own log. Repair: mend the application
    (`kubectl logs`), or check a path that does not depend on what is down.
    """
    answer = check_answer(traffic, AnswerKind.SERVER)
    if answer is not None and answer.asker == NOBODY:
        finding = _answered(traffic, "LBD317", answer)
        pods = pod_evidence.pods_behind(traffic, answer.targets)[:1]
        logs = (kubectl("logs", pod.meta.name, "--tail=50", namespace=pod.meta.namespace) for pod in pods)
        yield replace(finding, confirm=(*finding.confirm, *logs))
