"""What the controller itself says about a path: its events and its log, decoded, with only what still stands.

Some failures of a TargetGroupBinding make no event and stand in the log alone (seen with 2.17.1: a denied
RegisterTargets, a missing target group, several tagged security groups behind instance targets); events alone would
miss them. An event is over when a later "SuccessfullyReconciled" of the same object follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.knowledge.controller_errors import STAGE_CODE, DecodedError, decode_event
from kubectl_lbdoctor.knowledge.controller_logs import ControllerError, relevant_errors
from kubectl_lbdoctor.model import index, kinds, reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Evidence, ObjectRef, Source
from kubectl_lbdoctor.model.k8s import Event
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# The controller retries a failing object at least every 16m40s; an error that it has not repeated since is over.
STALE_SECONDS = 25 * 60
SUCCESS = frozenset({"SuccessfullyReconciled", "EnsuredLoadBalancer"})

READS = (
    reads.INGRESSES,
    reads.SERVICES,
    reads.BINDINGS,
    reads.EVENTS,
    reads.CONTROLLER,
    reads.CONTROLLER_PODS,
    reads.CONTROLLER_LOGS,
)


@dataclass(frozen=True, slots=True)
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
    seen: set[tuple[ObjectRef, str, str]] = set()
    for entry in (*_from_events(traffic), *_from_logs(traffic)):
        key = (entry.ref, entry.decoded.code, entry.decoded.summary)
        if key not in seen:
            seen.add(key)
            yield entry
    for fact in (traffic.namespace_facts.events, traffic.cluster.controllers, traffic.cluster.controller_pods):
        fact.need()
    for log in traffic.cluster.controller_logs.values():
        log.need()


def _objects(traffic: TrafficPath) -> list[tuple[ObjectRef, str]]:
    """The objects of the path that the controller works on, with their uids ("" where the object was not read): the
    frontend itself, whatever its kind, the Service and the binding."""
    frontend = frontend_of(traffic)
    manifest, service, binding = frontend.manifest.peek(), traffic.service.peek(), traffic.binding.peek()
    found = {frontend.ref: manifest.meta.uid if manifest is not None else ""}
    for kind, entry in ((kinds.SERVICE, service), (kinds.TARGET_GROUP_BINDING, binding)):
        if entry is not None:
            ref = ObjectRef(kind.name, entry.meta.namespace or traffic.namespace, entry.meta.name)
            found.setdefault(ref, entry.meta.uid)
    return list(found.items())


def _from_events(traffic: TrafficPath) -> Iterator[Complaint]:
    for ref, uid in _objects(traffic):
        mine = [e for e in _events_of(traffic, ref) if not uid or not e.uid or e.uid == uid]
        # Events tell whole seconds, and the controller's first retries come within one: a success of the same second
        # is the later of the two, since a failure would be repeated.
        over = max((event.last for event in mine if event.reason in SUCCESS), default="")
        for event in mine:
            if event.type != "Warning" or event.last <= over or event.component == "kube-proxy":
                continue
            decoded = decode_event(event.reason, event.message)
            if decoded.code:
                yield Complaint(ref, decoded, Evidence(f"event on {ref}", _event_text(traffic, event)))


def _events_of(traffic: TrafficPath, ref: ObjectRef) -> tuple[Event, ...]:
    """The events of an object, newest first; none where they could not be read."""
    if not traffic.snapshot.facts_of(ref.namespace).events.is_known:
        return ()
    return index.events_by_object(traffic.snapshot, ref.namespace).get((ref.kind, ref.name), ())


def _event_text(traffic: TrafficPath, event: Event) -> str:
    age = traffic.age(event.last)
    when = f" ({_duration(age)} ago{f', {event.count} times' if event.count > 1 else ''})" if age < 1e6 else ""
    return f"{event.reason}: {event.message[:300]}{when}"


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"


@lru_cache(maxsize=8)
def _errors(logs: tuple[str, ...]) -> tuple[ControllerError, ...]:
    return relevant_errors(line for log in logs for line in log.splitlines())


def log_errors(traffic: TrafficPath) -> tuple[ControllerError, ...]:
    """The errors in the controllers' logs that still stand, newest first; unknown logs give none."""
    logs = tuple(text for log in traffic.cluster.controller_logs.values() if (text := log.peek()))
    now = parse_time(traffic.now)
    return tuple(e for e in _errors(logs) if not e.superseded and not _stale(e.last_seen, now))


def _stale(last: datetime | None, now: datetime | None) -> bool:
    if last is None or now is None:
        return False
    last = last if last.tzinfo else last.replace(tzinfo=timezone.utc)
    return (now - last).total_seconds() > STALE_SECONDS


def _from_logs(traffic: TrafficPath) -> Iterator[Complaint]:
    objects = {(ref.kind, ref.namespace, ref.name): ref for ref, _ in _objects(traffic)}
    if traffic.group:
        objects[("IngressGroup", "", traffic.group)] = traffic.subject
    for error in log_errors(traffic):
        ref = objects.get((error.kind, error.namespace, error.name))
        if ref is not None and error.decoded.code:
            times = f" ({error.count} times)" if error.count > 1 else ""
            text = f"{error.msg}: {error.decoded.raw[:300]}{times}" if error.decoded.raw else error.msg
            yield Complaint(ref, error.decoded, Evidence(Source.CONTROLLER_LOG, text))


@derived
def unattached_errors(traffic: TrafficPath) -> Iterator[Complaint]:
    """Standing errors of the controllers that name no object: start-up, identity, endpoints."""
    deployments = traffic.cluster.controllers.need()
    ref = (
        ObjectRef("Deployment", deployments[0].meta.namespace, deployments[0].meta.name)
        if deployments
        else traffic.subject
    )
    for error in log_errors(traffic):
        if not error.name and error.decoded.code:
            yield Complaint(
                ref, error.decoded, Evidence(Source.CONTROLLER_LOG, f"{error.msg}: {error.decoded.raw[:300]}")
            )
