"""Since when targets fail, how often they turned, and who changed what is the cause, where that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetCounts, TargetGroup
from kubectl_lbdoctor.model.finding import Diagnosis, Evidence, Severity
from kubectl_lbdoctor.model.history import GroupHistory
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import in_words, seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath

CLOUDWATCH, CLOUDTRAIL = "cloudwatch", "cloudtrail"
"""The sources of this evidence."""

_IN_AWS = ("SecurityGroup", "NetworkAcl", "TargetGroup", "LoadBalancer", "RouteTable", "Subnet")

SHOWN = 2
"""Changes of one resource that are told, the newest."""


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
    turns = len(runs) - 1
    return f"{now} since {age} ago; turned {'once' if turns == 1 else f'{turns} times'} in the last {span}"


def _who(snapshot: Snapshot, diagnosis: Diagnosis) -> Iterator[Evidence]:
    groups = [group for fact in snapshot.aws.target_groups.values() if (group := fact.peek()) is not None]
    for resource in resources_of((diagnosis,), groups):
        mine = [change for change in snapshot.history.changes.peek() or () if change.resource == resource]
        for change in mine[:SHOWN]:
            name = target_group_name(resource) if resource.startswith("arn:") else resource
            age = in_words(seconds_between(change.at, snapshot.taken_at))
            yield Evidence(CLOUDTRAIL, f"{name}: {change.operation} by {change.by} {age} ago")
