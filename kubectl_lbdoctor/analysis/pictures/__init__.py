"""The report as pictures of the way from clients to pods, one for each frontend. Pure.

The verdicts are those of the evaluators and of the diagnoses: a filter blocks where `analysis.blocked_paths` says so, a
station where a diagnosis lies there (`pictures.places`). What was not read is unknown, unless an answer proves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import frontend, traffic_paths
from kubectl_lbdoctor.analysis.pictures.branches import branch
from kubectl_lbdoctor.analysis.pictures.causes import Causes
from kubectl_lbdoctor.analysis.pictures.stations import balancer_hop, clients_hop, controller_hop, object_hop
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.picture import Branch, Hop, Picture, Pictured, Place, Verdict, worst
from kubectl_lbdoctor.model.report import Report, SubjectView, TargetGroupView
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

__all__ = ["pictured"]

MOST_BROKEN = 6
MOST_SOUND = 2
"""Branches that are shown in full: those with something wrong, and of a frontend without any, the first."""
MOST_FOLDED = 40
MOST_OBJECTS = 8
"""Members of an IngressGroup that are shown one by one."""


MOST_PICTURES = 60
"""More than a page has room for."""


def pictured(report: Report, snapshot: Snapshot, scan: ScanReport | None = None) -> Pictured:
    """The report with its pictures. snapshot: the facts that it was made of. scan: what it is the report of; a row is
    one picture then, with all members of an IngressGroup."""
    by_subject: dict[ObjectRef, list[TrafficPath]] = {}
    for path in traffic_paths(snapshot):
        by_subject.setdefault(path.subject, []).append(path)
    views = {subject.ref: subject for subject in sorted(report.subjects, key=lambda subject: subject.status.order)}
    shown = [(ref, (ref,)) for ref in views] if scan is None else [(row.ref, row.objects) for row in scan.rows]
    drawn = (
        _picture(report, snapshot, ref, [views[o] for o in refs], by_subject) for ref, refs in shown[:MOST_PICTURES]
    )
    return Pictured(report, tuple(drawn), scan)


def _picture(
    report: Report,
    snapshot: Snapshot,
    ref: ObjectRef,
    subjects: Sequence[SubjectView],
    by_subject: Mapping[ObjectRef, Sequence[TrafficPath]],
) -> Picture:
    """The picture of what is called so: of one subject, or of all that share a load balancer."""
    fronts = [frontend(snapshot, subject.ref) for subject in subjects]
    own = [Causes.of(report.diagnoses, f.ref, (path.key for path in by_subject.get(f.ref, ()))) for f in fronts]
    causes = Causes.joined(own)
    namespaces = {front.ref.namespace for front in fronts}
    objects = _objects([object_hop(front, mine, namespaces) for front, mine in zip(fronts, own, strict=True)])
    made = (*objects, controller_hop(fronts[0], causes))
    status = min((subject.status for subject in subjects), key=lambda status: status.order)
    paths = [path for front in fronts for path in by_subject.get(front.ref, ())]
    if not paths:
        return Picture(ref, status, made, ())
    first = next((path for path in paths if path.load_balancer.peek() is not None), paths[0])
    reached = (clients_hop(first, causes), balancer_hop(first, causes, made))
    full, folded, left_out = _branches(report, subjects, paths, reached)
    return Picture(ref, status, made, reached, full, folded, left_out)


def _objects(hops: Sequence[Hop]) -> list[Hop]:
    """The objects that share a load balancer, those first where something lies; of many, the rest as one."""
    ordered = sorted(hops, key=lambda hop: (hop.verdict.weight, not hop.causes))
    rest = ordered[MOST_OBJECTS:]
    if not rest:
        return ordered
    verdict = worst(hop.verdict for hop in rest)
    missing = tuple(dict.fromkeys(text for hop in rest for text in hop.missing))
    name = f"{len(rest)} more object{'' if len(rest) == 1 else 's'}"
    return [*ordered[:MOST_OBJECTS], Hop(Place.OBJECT, name, verdict, missing=missing)]


def _branches(
    report: Report, subjects: Sequence[SubjectView], paths: Sequence[TrafficPath], front: Sequence[Hop]
) -> tuple[tuple[Branch, ...], tuple[Branch, ...], tuple[tuple[Verdict, int], ...]]:
    """Branches in full, those as one line, and how many more of each verdict there are."""
    views = {group.arn: group for subject in subjects for group in subject.target_groups}
    broken: list[tuple[TrafficPath, TargetGroupView | None, Causes]] = []
    sound: list[tuple[TrafficPath, TargetGroupView | None, Causes]] = []
    for path in paths:
        view, mine = views.get(_arn(path)), Causes.of(report.diagnoses, path.subject, (path.key,))
        (sound if _is_sound(view, mine) else broken).append((path, view, mine))
    in_full = broken[:MOST_BROKEN] or sound[:MOST_SOUND]
    others = broken[MOST_BROKEN:] + (sound if broken else sound[MOST_SOUND:])
    several = len({subject.ref.namespace for subject in subjects}) > 1
    full = tuple(_named(branch(path, view, front, mine), path, several) for path, view, mine in in_full)
    lines = tuple(_named(branch(path, view, front, mine, full=False), path, several) for path, view, mine in others)
    rest = [line.verdict for line in lines[MOST_FOLDED:]]
    return full, lines[:MOST_FOLDED], tuple((verdict, rest.count(verdict)) for verdict in Verdict if verdict in rest)


def _named(drawn: Branch, path: TrafficPath, several: bool) -> Branch:
    """A branch whose backend is told from those of the same name in other namespaces, where there are `several`."""
    return replace(drawn, backend=f"{path.namespace}/{drawn.backend}") if several and drawn.backend else drawn


def _is_sound(view: TargetGroupView | None, causes: Causes) -> bool:
    """Whether a branch is sound by what the report says: every target that counts is healthy, and nothing stops it."""
    if view is None or causes.stopped:
        return False
    if view.idle:
        return True
    counting = [t for t in view.targets if t.state != "draining" and t.key not in view.expected_unhealthy]
    return view.known and bool(counting) and all(target.state == "healthy" for target in counting)


def _arn(path: TrafficPath) -> str:
    group, binding = path.target_group.peek(), path.binding.peek()
    return group.arn if group is not None else binding.target_group_arn if binding is not None else ""
