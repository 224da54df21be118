"""The result of the probe command: each answer with the load balancer's verdict on it, beside what its target group
says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import Fact, ReadState, Unknown
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Socket, Transport, inconclusive
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.probe.requests import (
    REFUSED,
    Unasked,
    Verdict,
    describe,
    difference,
    is_application,
    judge,
    requests,
)
from kubectl_lbdoctor.record import record


@record
class ProbeRow:
    """One answer about one target. group: name of the target group, "" where it is not known. request: what was asked,
    in words. health: what the group says. difference: what the two verdicts prove side by side, "" for nothing."""

    subject: ObjectRef
    group: str
    answer: ProbeAnswer
    request: str
    verdict: Verdict
    health: TargetHealth
    difference: str = ""


@record
class ProbeReport:
    """All answers. unasked: targets that no request could be sent to, with the reason. passed, failed, unknown: numbers
    of targets. sockets: where pods listen that were looked into, by "namespace/pod". state: of the sending as a whole.
    """

    rows: tuple[ProbeRow, ...]
    unasked: tuple[Unasked, ...]
    passed: int
    failed: int
    unknown: int
    generated_at: str = ""
    sockets: Mapping[str, Fact[tuple[Socket, ...]]] = field(default_factory=dict)
    state: ReadState = ReadState.KNOWN
    context: Context = Context()

    @property
    def status(self) -> Status:
        """What the answers say of the targets."""
        if self.failed:
            return Status.DEGRADED if self.passed else Status.UNHEALTHY
        return Status.UNKNOWN if self.unknown or not self.passed else Status.HEALTHY

    @property
    def exit_status(self) -> ExitStatus:
        """FINDINGS where a target fails, COULD_NOT_RUN where nothing could be sent, UNKNOWN where an answer is left."""
        if self.failed:
            return ExitStatus.FINDINGS
        if self.state in (ReadState.DENIED, ReadState.FAILED):
            return ExitStatus.COULD_NOT_RUN
        if self.unknown or not self.passed:
            return ExitStatus.UNKNOWN
        return ExitStatus.HEALTHY


def requests_of(snapshot: Snapshot) -> tuple[tuple[ProbeRequest, ...], tuple[Unasked, ...]]:
    """The health checks of all target groups of a snapshot, and what cannot be asked with the reason."""
    asked: list[ProbeRequest] = []
    unasked: list[Unasked] = []
    for traffic in traffic_paths(snapshot):
        try:
            made, left_out = requests(traffic)
        except Unknown as unknown:
            fact = unknown.fact
            unasked.append(Unasked(str(traffic.subject), f"{fact.source} was not read: {fact.why}"))
            continue
        if traffic.target_group.peek() is None:
            unasked.append(Unasked(str(traffic.subject), "it has no target group"))
        asked += made
        unasked += left_out
    return tuple(dict.fromkeys(asked)), tuple(dict.fromkeys(unasked))


def probe_report(snapshot: Snapshot) -> ProbeReport:
    """What the probes of a snapshot say of its targets."""
    asked, unasked = requests_of(snapshot)
    rows = tuple(_rows(snapshot, _answers(snapshot, asked)))
    passed, failed, unknown = _count(rows)
    return ProbeReport(
        rows,
        unasked,
        passed,
        failed,
        unknown + len(unasked),
        snapshot.taken_at,
        snapshot.probes.sockets,
        snapshot.probes.answers.state,
        snapshot.context,
    )


def _answers(snapshot: Snapshot, asked: Iterable[ProbeRequest]) -> tuple[ProbeAnswer, ...]:
    """The answers that count: a transport that failed says nothing where another did not. What was asked for and has
    no answer at all is unknown, too."""
    fact = snapshot.probes.answers
    answers = fact.peek() or ()
    if fact.state is not ReadState.NOT_ASKED:
        told = {answer.request for answer in answers}
        missing = "no answer to it is among the probes" if fact.is_known else fact.why
        answers += tuple(inconclusive(request, Transport.POD, missing) for request in asked if request not in told)
    conclusive = {a.request for a in answers if a.outcome is not Outcome.INCONCLUSIVE}
    return tuple(a for a in answers if a.outcome is not Outcome.INCONCLUSIVE or a.request not in conclusive)


def _rows(snapshot: Snapshot, answers: Sequence[ProbeAnswer]) -> Iterator[ProbeRow]:
    """Each answer once, at the first target group that its request is about."""
    seen: set[int] = set()
    for traffic in traffic_paths(snapshot):
        health = {target.key: target for target in traffic.target_health.peek() or ()}
        asked = _asked(traffic)
        for number, answer in enumerate(answers):
            if number not in seen and answer.request.target in health and answer.request in asked:
                seen.add(number)
                yield _row(traffic, answer, health[answer.request.target])


def _count(rows: Iterable[ProbeRow]) -> tuple[int, int, int]:
    """Numbers of targets that pass, fail and are unknown.

    What a pod answers on its own address counts; what it answers on its loopback does only where nothing is known of
    the address, or where it fails even there.
    """
    verdicts: dict[tuple[str, str], list[tuple[bool, str]]] = {}
    for row in rows:
        of_target = verdicts.setdefault((row.group, row.answer.request.target), [])
        if row.verdict.known:
            by_address = row.answer.via in (Transport.PROXY, Transport.POD)
            of_target.append((by_address or row.verdict.state == "unhealthy", row.verdict.state))
    passed = failed = unknown = 0
    for found in verdicts.values():
        counted = [state for counts, state in found if counts] or [state for _, state in found]
        failed += "unhealthy" in counted
        passed += bool(counted) and "unhealthy" not in counted
        unknown += not counted
    return passed, failed, unknown


def _asked(traffic: TrafficPath) -> frozenset[ProbeRequest]:
    """The requests that are about this target group (one pod may be a target of several)."""
    try:
        return frozenset(requests(traffic)[0])
    except Unknown:
        return frozenset()


def _row(traffic: TrafficPath, answer: ProbeAnswer, health: TargetHealth) -> ProbeRow:
    group = traffic.target_group.need()
    verdict = judge(answer, group is not None and not is_application(group))
    differs = difference(answer, verdict, health)
    if answer.via is Transport.CONTAINER and verdict.state == "healthy" and _only_on_loopback(traffic, answer.request):
        verdict = replace(REFUSED, description="listens on the loopback only")
    return ProbeRow(
        subject=traffic.subject,
        group=group.name if group is not None else "",
        answer=answer,
        request=describe(answer.request),
        verdict=verdict,
        health=health,
        difference=differs,
    )


def _only_on_loopback(traffic: TrafficPath, request: ProbeRequest) -> bool:
    """Whether the pod's sockets show that nothing on its own address listens on the checked port."""
    fact = traffic.probes.sockets.get(f"{request.namespace}/{request.pod}")
    sockets = fact.peek() if fact is not None else None
    return sockets is not None and not any(s.port == request.port and not s.loopback for s in sockets)
