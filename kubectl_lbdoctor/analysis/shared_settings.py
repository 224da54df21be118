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
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_HARMLESS = ("timeout", "interval", "threshold")
"""Settings that give a check more time or patience: no healthy target fails by them."""

_TCP = "tcp"
"""A check by TCP passes wherever one by HTTP does."""


def healthy_neighbours(traffic: TrafficPath, setting: str) -> tuple[TrafficPath, ...]:
    """Other paths whose health check reads this setting ("healthcheck-path") from the same place, and whose targets are
    all healthy."""
    source = setting_source(traffic, setting)
    if not source.settable:
        return ()
    return tuple(
        other
        for other in _readers(traffic.snapshot).get(source.ref, ())
        if _is_another_group(traffic, other) and _is_healthy(other) and _reads(other, setting, source.ref)
    )


def with_care(finding: Finding, paths: Iterable[TrafficPath]) -> Finding:
    """The finding of these paths; its repairs say which healthy target groups they hold for, too, and are then no
    matter of course."""
    own = tuple(paths)
    repairs = tuple(_said(repair, own) for repair in finding.repairs)
    if repairs == finding.repairs:
        return finding
    return replace(finding, repairs=repairs, fix_automatic=False)


def _said(repair: Repair, own: tuple[TrafficPath, ...]) -> Repair:
    return replace(repair, changes=tuple(_warned(change, own) for change in repair.changes))


def _warned(change: Change, own: tuple[TrafficPath, ...]) -> Change:
    touched: dict[str, str] = {}
    for edit in change.edits:
        setting = _setting(edit.annotation)
        if not setting or edit.is_guard or any(word in setting for word in _HARMLESS) or edit.then == _TCP:
            continue
        for traffic in own:
            for other in healthy_neighbours(traffic, setting):
                if other.key not in {path.key for path in own}:
                    touched[other.key] = f"port {other.backend.port} of {other.service_ref}" if other.backend else ""
    if not touched:
        return change
    names = ", ".join(sorted(filter(None, touched.values()))[:3])
    risk = f"it holds for {names}, too, whose targets are healthy now"
    return replace(change, risk=f"{change.risk}; {risk}" if change.risk else risk)


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


def _is_another_group(traffic: TrafficPath, other: TrafficPath) -> bool:
    one, two = traffic.target_group.peek(), other.target_group.peek()
    return one is not None and two is not None and one.arn != two.arn


def _is_healthy(traffic: TrafficPath) -> bool:
    targets = traffic.target_health.peek() or ()
    return bool(targets) and all(target.state == "healthy" for target in targets)


def _reads(traffic: TrafficPath, setting: str, ref: ObjectRef) -> bool:
    return setting_source(traffic, setting).ref == ref
