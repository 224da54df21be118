"""What the controller itself says about a path: its events and its log, decoded, with only what still stands.

Some failures of a TargetGroupBinding make no event and stand in the log alone (seen with 2.17.1: a denied
RegisterTargets, a missing target group, several tagged security groups behind instance targets); events alone would
miss them. Events, on the other hand, outlive the pod that made them, and may be dropped (client-go's recorder makes 25
of an object, and then one in five minutes). So both are one account of an object, and what stands is told by
`knowledge.standing`: what is over is over.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from kubectl_lbdoctor.analysis.controller_present import present_controller
from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.knowledge.controller_errors import STAGE_CODE, DecodedError, Stage, decode_event
from kubectl_lbdoctor.knowledge.controller_logs import ControllerError, LogReading, normalise, read_log
from kubectl_lbdoctor.knowledge.reconcile_steps import BindingStep, FrontStep, Reached, reached
from kubectl_lbdoctor.knowledge.spoken_errors import quotation
from kubectl_lbdoctor.knowledge.standing import SUCCESS, Statement, Verdict, verdicts
from kubectl_lbdoctor.model import index, kinds, reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Evidence, ObjectRef, Source
from kubectl_lbdoctor.model.k8s import Event, Meta
from kubectl_lbdoctor.model.times import CLOCK_TOLERANCE, in_words, parse_time, whole_second
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

# The controller retries a failing object at least every 16m40s; a log that has not repeated an error since is past it.
STALE_SECONDS = 25 * 60
_IDENTITY = "LBD121"
_FORBIDDEN = "LBD119"
_LISTED_AGAIN_SECONDS = 180
"""A controller that runs asks again for what it may not list, at the latest after a minute:
https://github.com/kubernetes/client-go/blob/v0.34.0/tools/cache/reflector.go (its back-off)."""

READS = (
    reads.INGRESSES,
    reads.SERVICES,
    reads.BINDINGS,
    reads.EVENTS,
    reads.CONTROLLER,
    reads.CONTROLLER_PODS,
    reads.CONTROLLER_LOGS,
)


@record
class Complaint:
    """One current complaint of the controller about `ref`."""

    ref: ObjectRef
    decoded: DecodedError
    evidence: Evidence

    @property
    def stage_code(self) -> str:
        """The generic code of the step that failed (LBD103, LBD104, LBD109…)."""
        return STAGE_CODE.get(self.decoded.stage, "LBD103")

    def param(self, name: str) -> str:
        value = self.decoded.params.get(name, "")
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@derived
def standing_complaints(traffic: TrafficPath) -> Iterator[Complaint]:
    """Everything that still stands, from events and logs, each cause once per object.

    Raises `Unknown` after what is known has been given, when events or logs could not be read.
    """
    yield from _each_once(c for c, verdict in _judged(traffic) if verdict is Verdict.STANDS)
    for fact in (traffic.namespace_facts.events, traffic.cluster.controllers, traffic.cluster.controller_pods):
        fact.need()
    for log in traffic.cluster.controller_logs.values():
        log.need()


def known_complaints(traffic: TrafficPath) -> list[Complaint]:
    """The controller's words as additional evidence: unknown events or logs do not make the check unknown."""
    found: list[Complaint] = []
    with suppress(Unknown):
        for entry in standing_complaints(traffic):
            found.append(entry)
    return found


@derived
def former_complaints(traffic: TrafficPath) -> tuple[Complaint, ...]:
    """Hints, which prove nothing: what the controller said before it was configured as it is now, or of steps that it
    does not come to any more. Each cause once per object, unless it stands."""
    judged = _judged(traffic)
    standing = {_identity(c) for c, verdict in judged if verdict is Verdict.STANDS}
    hints = (_as_hint(c, verdict) for c, verdict in judged if verdict in _HINTS)
    return tuple(c for c in _each_once(hints) if _identity(c) not in standing)


_HINTS = {
    Verdict.FORMER: "earlier, and not again since",
    Verdict.HIDDEN: "earlier, of a step that it does not come to now",
}


def _as_hint(complaint: Complaint, verdict: Verdict) -> Complaint:
    said = complaint.evidence
    return replace(complaint, evidence=Evidence(said.source, f"{_HINTS[verdict]}: {said.text}"))


def _identity(complaint: Complaint) -> tuple[ObjectRef, str, str, str]:
    return (complaint.ref, complaint.decoded.code, complaint.decoded.summary, complaint.decoded.words)


def _each_once(complaints: Iterable[Complaint]) -> Iterator[Complaint]:
    seen: set[tuple[ObjectRef, str, str, str]] = set()
    for complaint in complaints:
        if _identity(complaint) not in seen:
            seen.add(_identity(complaint))
            yield complaint


@record
class _Heard:
    """A statement with the complaint that it was read from; None for a success."""

    statement: Statement
    complaint: Complaint | None = None


@derived
def _judged(traffic: TrafficPath) -> tuple[tuple[Complaint, Verdict], ...]:
    """Every complaint about an object of the path, with what is to be made of it."""
    heard = _united((*_from_events(traffic), *_from_logs(traffic)))
    accepted = _credentials_accepted(traffic, heard)
    found = []
    for entry, verdict in zip(heard, verdicts([entry.statement for entry in heard]), strict=True):
        if entry.complaint is None:
            continue
        if entry.complaint.decoded.code == _IDENTITY and _before(entry.statement.at, accepted):
            verdict = Verdict.OVER
        found.append((entry.complaint, verdict))
    return tuple(found)


def _before(told: datetime | None, accepted: datetime | None) -> bool:
    return told is not None and accepted is not None and whole_second(told) < whole_second(accepted)


def _united(heard: Iterable[_Heard]) -> list[_Heard]:
    """One statement of each complaint, however often events and logs repeat it: the first in order speaks, and was last
    said when the latest of them was."""
    found: dict[Hashable, _Heard] = {}
    for number, entry in enumerate(heard):
        one = entry.statement
        key = (one.about, one.speaker, one.cause) if one.cause is not None else number
        known = found.get(key)
        found[key] = entry if known is None else replace(known, statement=_latest(known.statement, one))
    return list(found.values())


def _latest(one: Statement, other: Statement) -> Statement:
    late = max(one, other, key=lambda s: (s.at is None, s.at.timestamp() if s.at is not None else 0.0))
    proofs = [s.over_at for s in (one, other) if s.over_at is not None]
    return replace(
        late,
        # The event's reason tells the step; the log's message may not.
        reached=one.reached,
        count=max(one.count, other.count),
        former=one.former and other.former,
        over_at=max(proofs, default=None),
    )


def _credentials_accepted(traffic: TrafficPath, heard: Iterable[_Heard]) -> datetime | None:
    """When AWS last took the controller for whom it is: credentials are those of the whole controller, so a success of
    one object, or an answer of another kind, ends the complaint about them of every other object."""
    if len(traffic.cluster.controllers.peek() or ()) > 1:
        return None  # Each of them has credentials of its own.
    times = [passed.time for passed in _reading(_logs(traffic, present=True)).passed]
    for entry in heard:
        answered = entry.complaint is not None and (
            entry.complaint.decoded.code != _IDENTITY and "error_code" in entry.complaint.decoded.params
        )
        if answered or (entry.statement.is_success and not entry.statement.speaker):
            times.append(entry.statement.at)
    return max((time for time in times if time is not None), default=None)


@record
class _Object:
    """An object of the path that a controller works on; `meta` is None where it was not read."""

    ref: ObjectRef
    meta: Meta | None = None

    @property
    def in_aws(self) -> bool:
        """Whether the controller of EKS Auto Mode works on it, which runs in AWS and has no pods. Its finalizers are of
        its own API group (https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html)."""
        return self.meta is not None and any(".eks.amazonaws.com/" in name for name in self.meta.finalizers)

    def is_meant(self, event: Event) -> bool:
        """Whether an event is about this object, and not about a former one of its name."""
        if event.uid and self.meta is not None and self.meta.uid:
            return event.uid == self.meta.uid
        return self.existed(parse_time(event.last))

    def existed(self, time: datetime | None) -> bool:
        """Whether something that was said then can be about this object."""
        made = parse_time(self.meta.created) if self.meta is not None else None
        return made is None or time is None or time >= made - CLOCK_TOLERANCE


def _objects(traffic: TrafficPath) -> list[_Object]:
    """The frontend itself, whatever its kind, the Service and the binding."""
    frontend = frontend_of(traffic)
    manifest, service, binding = frontend.manifest.peek(), traffic.service.peek(), traffic.binding.peek()
    found = {frontend.ref: _Object(frontend.ref, manifest.meta if manifest is not None else None)}
    found |= {ref: _Object(ref, meta) for ref, meta in frontend.reconciled if ref != frontend.ref}
    if service is not None:
        ref = ObjectRef(kinds.SERVICE.name, service.meta.namespace or traffic.namespace, service.meta.name)
        found.setdefault(ref, _Object(ref, service.meta))
    if binding is not None:
        found[binding.ref] = _Object(binding.ref, binding.meta)
    return list(found.values())


def _cause(decoded: DecodedError) -> Hashable:
    """What a complaint says, however an event and a log line word it."""
    if decoded.known:
        return (decoded.code, decoded.summary, decoded.words)
    return normalise(decoded.raw.partition(" due to ")[2] or decoded.raw)


def _whole_pass(kind: str) -> Reached:
    step = BindingStep.DONE if kind == kinds.TARGET_GROUP_BINDING.name else FrontStep.DONE
    return Reached(step, step)


def _from_events(traffic: TrafficPath) -> Iterator[_Heard]:
    present = present_controller(traffic.snapshot)
    for about in _objects(traffic):
        for event in _events_of(traffic, about.ref):
            if not about.is_meant(event) or event.component == "kube-proxy":
                continue
            at = parse_time(event.last)
            if event.reason in SUCCESS:
                speaker = "" if event.reason == "SuccessfullyReconciled" else _IN_TREE
                yield _Heard(Statement(about.ref, None, _whole_pass(about.ref.kind), at, speaker=speaker))
            elif event.type == "Warning" and _is_a_fault(decoded := decode_event(event.reason, event.message)):
                speaker = _speaker(event, decoded)
                statement = Statement(
                    about.ref,
                    _cause(decoded),
                    reached(about.ref.kind, decoded, event.reason),
                    at,
                    speaker=speaker,
                    count=event.count,
                    passing=decoded.retryable,
                    former=not speaker and not about.in_aws and present.came_after(at),
                )
                evidence = Evidence(f"event on {about.ref}", _event_text(traffic, event))
                yield _Heard(statement, Complaint(about.ref, decoded, evidence))


def _is_a_fault(decoded: DecodedError) -> bool:
    """Whether an event tells of something that is wrong. That work is scheduled again, such as a look at a load
    balancer until it is active, is an event of failure, too (FailedUpdateStatus of a Gateway); it is left out as in
    logs."""
    return bool(decoded.code) and "waiting_for" not in decoded.params


_IN_TREE = "service-controller"


def _speaker(event: Event, decoded: DecodedError) -> str:
    """Who wrote an event: "" for the controller, which alone has these reasons, whatever it calls itself."""
    if decoded.stage is Stage.SYNC:
        return _IN_TREE
    own = ("", "ingress", "service", "targetGroupBinding", "gateway")
    return event.component if decoded.stage is Stage.NONE and event.component not in own else ""


def _events_of(traffic: TrafficPath, ref: ObjectRef) -> tuple[Event, ...]:
    """The events of an object, newest first; none where they could not be read."""
    if not traffic.snapshot.facts_of(ref.namespace).events.is_known:
        return ()
    return index.events_by_object(traffic.snapshot, ref.namespace).get((ref.kind, ref.name), ())


def _event_text(traffic: TrafficPath, event: Event) -> str:
    said = quotation(f"{event.reason}: {event.message}")
    age = traffic.age(event.last)
    if age >= 1e6:
        return said
    when = f"{in_words(age)} ago"
    if event.count > 1:
        begun = traffic.age(event.first)
        since = f" in {in_words(begun - age)}" if age < begun < 1e6 else ""
        when += f", {event.count} times{since}"
    return f"{said} ({when})"


@lru_cache(maxsize=8)
def _reading(logs: tuple[str, ...]) -> LogReading:
    return read_log(line for log in logs for line in log.splitlines())


def _logs(traffic: TrafficPath, present: bool) -> tuple[str, ...]:
    """The known logs of the present controllers, or of pods of former configurations that still exist."""
    gone = present_controller(traffic.snapshot).gone
    logs = traffic.cluster.controller_logs.items()
    return tuple(text for pod, log in logs if (pod not in gone) is present and (text := log.peek()))


def _stale(last: datetime | None, now: datetime | None) -> bool:
    return _older(last, now, STALE_SECONDS)


def _older(last: datetime | None, now: datetime | None, seconds: float) -> bool:
    return last is not None and now is not None and (now - last).total_seconds() > seconds


def _from_logs(traffic: TrafficPath) -> Iterator[_Heard]:
    objects = {(o.ref.kind, o.ref.namespace, o.ref.name): o for o in _objects(traffic)}
    if traffic.group:
        # A group is older than some of its members; what was said of it is not about one of them.
        objects[("IngressGroup", "", traffic.group)] = _Object(traffic.subject)
    now = parse_time(traffic.now)
    for present in (True, False):
        reading = _reading(_logs(traffic, present))
        for passed in reading.passed:
            about = objects.get((passed.kind, passed.namespace, passed.name))
            if about is not None and passed.time is not None and about.existed(passed.time):
                step = Reached(passed.step, passed.step)
                yield _Heard(Statement(about.ref, None, step, passed.time, exact=True))
        for error in reading.errors:
            about = objects.get((error.kind, error.namespace, error.name))
            if about is None or not error.decoded.code or not about.existed(error.last_seen):
                continue
            if error.superseded and error.last_seen is None:
                continue
            # A log that has not repeated an error for so long is a hint; an event of the same still counts.
            former = not present or _stale(error.last_seen, now)
            yield _Heard(_said(about.ref, error, former), _of_log(about.ref, error))


def _said(ref: ObjectRef, error: ControllerError, former: bool) -> Statement:
    return Statement(
        ref,
        _cause(error.decoded),
        reached(ref.kind, error.decoded, error.msg),
        error.last_seen,
        exact=True,
        count=error.count,
        passing=error.decoded.retryable,
        former=former,
        over_at=(error.superseded_at or error.last_seen) if error.superseded else None,
    )


def _of_log(ref: ObjectRef, error: ControllerError) -> Complaint:
    times = f" ({error.count} times)" if error.count > 1 else ""
    text = quotation(f"{error.msg}: {error.decoded.raw}") + times if error.decoded.raw else error.msg
    return Complaint(ref, error.decoded, Evidence(Source.CONTROLLER_LOG, text))


@derived
def unattached_errors(traffic: TrafficPath) -> Iterator[Complaint]:
    """Standing errors of the present controllers that name no object: start-up, identity, endpoints."""
    deployments = traffic.cluster.controllers.need()
    ref = (
        ObjectRef("Deployment", deployments[0].meta.namespace, deployments[0].meta.name)
        if deployments
        else traffic.subject
    )
    now = parse_time(traffic.now)
    accepted = _credentials_accepted(traffic, ())
    for error in _reading(_logs(traffic, present=True)).errors:
        over = error.superseded or _stale(error.last_seen, now)
        if error.decoded.code == _IDENTITY:
            over = over or _before(error.last_seen, accepted)
        if error.decoded.code == _FORBIDDEN and any(workload.ready for workload in deployments):
            over = over or _older(error.last_seen, now, _LISTED_AGAIN_SECONDS)
        if not over and not error.name and error.decoded.code:
            yield Complaint(
                ref, error.decoded, Evidence(Source.CONTROLLER_LOG, quotation(f"{error.msg}: {error.decoded.raw}"))
            )
