"""Since when targets fail, how often they turned, and who changed what is the cause, where that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetCounts, TargetGroup
from kubectl_lbdoctor.model.finding import Diagnosis, Evidence, Severity
from kubectl_lbdoctor.model.history import CheckedTarget, GroupHistory
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import in_words, seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath

CLOUDWATCH, CLOUDTRAIL, HEALTH_LOG = "cloudwatch", "cloudtrail", "health-check-log"
"""The sources of this evidence."""

_IN_AWS = ("SecurityGroup", "NetworkAcl", "TargetGroup", "LoadBalancer", "RouteTable", "Subnet")

SHOWN = 2
"""Changes of one resource that are told, the newest."""

TARGETS, REASONS = 3, 2
"""Failing targets that the log is told of, and reasons of each."""

_GONE = 900.0
"""Seconds without a check, while others are checked, after which a target is no longer one: three files' time."""


def groups_of(paths: Iterable[TrafficPath]) -> tuple[TargetGroup, ...]:
    """The target groups that counts are asked for: of all paths, each once."""
    found = (path.target_group.peek() for path in paths)
    return tuple({group.arn: group for group in found if group is not None}.values())


def resources_of(diagnoses: Iterable[Diagnosis], groups: Iterable[TargetGroup]) -> tuple[str, ...]:
    """What CloudTrail is asked about: the objects in AWS that root causes and their repairs name. A target group has
    its ARN there."""
    arns = {group.name: group.arn for group in groups}
    names = (name for diagnosis in diagnoses for name in _named(diagnosis))
    return tuple(dict.fromkeys(arns.get(name, name) for name in names))


def _named(diagnosis: Diagnosis) -> Iterator[str]:
    changes = (change for repair in diagnosis.finding.repairs for change in repair.changes)
    for ref in (diagnosis.finding.object, *(change.object for change in changes)):
        if ref.kind in _IN_AWS:
            yield ref.name


def past(snapshot: Snapshot, paths: Sequence[TrafficPath], diagnosis: Diagnosis) -> tuple[Evidence, ...]:
    """What was before, as evidence of a diagnosis; nothing where nobody asked, nothing is known, or nothing fails."""
    return (*_since_when(snapshot, paths, diagnosis), *_who(snapshot, diagnosis))


def _since_when(snapshot: Snapshot, paths: Sequence[TrafficPath], diagnosis: Diagnosis) -> Iterator[Evidence]:
    if diagnosis.severity is not Severity.ERROR:
        return
    mine = {group.arn for group in groups_of(path for path in paths if path.subject in diagnosis.affects)}
    for history in snapshot.history.counts.peek() or ():
        if history.arn in mine and history.counts and _fails(history.counts[-1]):
            yield Evidence(CLOUDWATCH, _told(snapshot, history))
    checked = [target for target in snapshot.history.checks.peek() or () if target.group in mine]
    latest = max((target.last for target in checked), default="")
    failing = [t for t in checked if t.failing_since and seconds_between(t.last, latest) <= _GONE]
    failing.sort(key=lambda target: (target.failing_since, target.target))
    for target in failing[:TARGETS]:
        yield Evidence(HEALTH_LOG, _logged(snapshot, target))
    if len(failing) > TARGETS:
        yield Evidence(HEALTH_LOG, f"{len(failing) - TARGETS} more of these targets fail their checks")


def _fails(counts: TargetCounts) -> bool:
    return counts.unhealthy > 0 or counts.healthy == 0


def _told(snapshot: Snapshot, history: GroupHistory) -> str:
    runs = [list(run) for _, run in groupby(history.counts, key=_fails)]
    begun, span = runs[-1][0], in_words(seconds_between(snapshot.history.since, snapshot.taken_at))
    name, last = target_group_name(history.arn), history.counts[-1]
    now = f"{name}: {last.healthy} of {last.healthy + last.unhealthy} healthy"
    if len(runs) == 1:
        return f"{now}, as in all of the last {span}"
    age = in_words(seconds_between(begun.at, snapshot.taken_at))
    return f"{now} since {age} ago; {_turned(len(runs) - 1)} in the last {span}"


def _logged(snapshot: Snapshot, target: CheckedTarget) -> str:
    """What the log says of a target that fails."""
    span = in_words(seconds_between(target.begun, snapshot.taken_at))
    nodes = (
        f" from {target.failing} of {target.nodes} nodes of the load balancer" if target.failing < target.nodes else ""
    )
    why = ", ".join(target.reasons[:REASONS])
    if target.failing_since == target.begun and not target.turned:
        return f"{target.target}: every check of the last {span} failed{nodes}: {why}"
    age = in_words(seconds_between(target.failing_since, snapshot.taken_at))
    return f"{target.target}: checks fail{nodes} since {age} ago: {why}; {_turned(target.turned)} in the last {span}"


def _turned(times: int) -> str:
    return f"turned {'once' if times == 1 else f'{times} times'}"


def _who(snapshot: Snapshot, diagnosis: Diagnosis) -> Iterator[Evidence]:
    groups = [group for fact in snapshot.aws.target_groups.values() if (group := fact.peek()) is not None]
    for resource in resources_of((diagnosis,), groups):
        mine = [change for change in snapshot.history.changes.peek() or () if change.resource == resource]
        for change in mine[:SHOWN]:
            name = target_group_name(resource) if resource.startswith("arn:") else resource
            age = in_words(seconds_between(change.at, snapshot.taken_at))
            yield Evidence(CLOUDTRAIL, f"{name}: {change.operation} by {change.by} {age} ago")
