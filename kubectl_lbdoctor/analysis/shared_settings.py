"""Settings that several target groups read: what heals one of them may break another that is healthy. Pure.

The annotations of a Service hold for all of its ports, and those of an Ingress for all paths to the same Service.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import setting_source, traffic_paths
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Finding
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Alternative, Change, Edit, Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_PATIENCE = ("timeout", "interval", "threshold")
"""Settings that give a check more time or patience: no healthy target fails by them."""

_TCP = "tcp"
"""A check by TCP passes wherever one by HTTP does."""


def healthy_neighbours(paths: Iterable[TrafficPath], setting: str) -> tuple[TrafficPath, ...]:
    """Other paths, with other target groups, whose health check reads this setting ("healthcheck-path") from the same
    place as these paths, and whose targets are all healthy."""
    own = tuple(paths)
    sources = {source.ref for path in own if (source := setting_source(path, setting)).settable}
    groups = {_group_of(path) for path in own}
    return tuple(
        other
        for ref in sorted(sources)
        for other in _readers(own[0].snapshot).get(ref, ())
        if _group_of(other) not in groups and _is_healthy(other) and setting_source(other, setting).ref == ref
    )


def with_care(finding: Finding, paths: Iterable[TrafficPath]) -> Finding:
    """The finding of these paths; its repairs say which healthy target groups they hold for, too, and are then no
    matter of course."""
    own = tuple(paths)
    cautious = replace(
        finding,
        repairs=tuple(_said(repair, own) for repair in finding.repairs),
        repair_template=_said(finding.repair_template, own) if finding.repair_template is not None else None,
        alternatives=tuple(_cautious(way, own) for way in finding.alternatives),
    )
    return cautious if cautious.repairs == finding.repairs else replace(cautious, fix_automatic=False)


def _cautious(way: Alternative, own: tuple[TrafficPath, ...]) -> Alternative:
    repairs = tuple(_said(repair, own) for repair in way.repairs)
    template = _said(way.template, own) if way.template is not None else None
    return replace(way, repairs=repairs, template=template, automatic=way.automatic and repairs == way.repairs)


def _said(repair: Repair, own: tuple[TrafficPath, ...]) -> Repair:
    return replace(repair, changes=tuple(_warned(change, own) for change in repair.changes))


def _warned(change: Change, own: tuple[TrafficPath, ...]) -> Change:
    touched = {
        f"port {other.backend.port} of {other.service_ref}"
        for edit in change.edits
        if (setting := _setting(edit.annotation)) and not _is_harmless(edit, setting)
        for other in healthy_neighbours(own, setting)
        if other.backend is not None
    }
    if not touched:
        return change
    risk = f"it holds for {', '.join(sorted(touched)[:3])}, too, whose targets are healthy now"
    return replace(change, risk=f"{change.risk}; {risk}" if change.risk else risk)


def _is_harmless(edit: Edit, setting: str) -> bool:
    return edit.is_guard or edit.then == _TCP or any(word in setting for word in _PATIENCE)


def _setting(key: str) -> str:
    """The name of a setting by its annotation; "" for any other key."""
    for prefix in (ALB_PREFIX, NLB_PREFIX):
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            return "success-codes" if name == "healthcheck-success-codes" else name
    return ""


@derived
def _readers(snapshot: Snapshot) -> dict[ObjectRef, tuple[TrafficPath, ...]]:
    """The paths of the snapshot by the objects that their settings may stand on."""
    found: dict[ObjectRef, list[TrafficPath]] = {}
    for traffic in traffic_paths(snapshot):
        for ref in dict.fromkeys((traffic.subject, traffic.service_ref)):
            found.setdefault(ref, []).append(traffic)
    return {ref: tuple(paths) for ref, paths in found.items()}


def _group_of(traffic: TrafficPath) -> str:
    group = traffic.target_group.peek()
    return group.arn if group is not None else ""


def _is_healthy(traffic: TrafficPath) -> bool:
    targets = traffic.target_health.peek() or ()
    return bool(targets) and all(target.state == "healthy" for target in targets)
