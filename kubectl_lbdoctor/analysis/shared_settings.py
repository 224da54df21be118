"""Settings that several target groups read: what heals one of them may break another that is healthy. Pure.

The annotations of a Service hold for all of its ports, and those of an Ingress for all paths to the same Service. A
TargetGroupConfiguration holds for all ports and routes of its Service, but where it says something for a route itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import setting_source, traffic_paths
from kubectl_lbdoctor.analysis.gateway_changes import routes_sharing, settings_in
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Finding
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Alternative, Change, Repair
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
    sources = [(path, source) for path in own if (source := setting_source(path, setting)).settable]
    places = {source.place for _, source in sources}
    # A configuration is named by nobody's path: it is the Service that it is for.
    refs = {path.service_ref if _is_of_route(path) else source.ref for path, source in sources}
    groups = {_group_of(path) for path in own}
    return tuple(
        other
        for ref in sorted(refs)
        for other in _readers(own[0].snapshot).get(ref, ())
        if _group_of(other) not in groups and _is_healthy(other) and setting_source(other, setting).place in places
    )


def _unseen_neighbours(own: tuple[TrafficPath, ...], setting: str) -> Iterator[str]:
    """Other ports of a Service whose target groups have a setting from the same place, and were not looked at because
    they belong to routes that were not asked about."""
    seen = {p.backend.route for p in traffic_paths(own[0].snapshot) if p.backend is not None}
    for path in own:
        if path.backend is None or path.backend.route is None:
            continue
        source = setting_source(path, setting)
        for route, backend in routes_sharing(path.snapshot, source, path.namespace, path.service_ref.name):
            # Of the same port the same is true: what it answers to this path's check.
            if route.ref not in seen and str(backend.port) != path.backend.port:
                yield f"port {backend.port} of {path.service_ref} ({route.ref})"


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
    harmful = [(name, value) for name, value in _settings(change) if not _is_harmless(name, value)]
    touched = {
        f"port {other.backend.port} of {other.service_ref}"
        for name, value in harmful
        for other in healthy_neighbours(own, name)
        if other.backend is not None and setting_source(other, name).value != str(value)
    }
    unseen = {said for name, value in harmful if _is_new(own, name, value) for said in _unseen_neighbours(own, name)}
    risks = [
        *((f"it holds for {', '.join(sorted(touched)[:3])}, too, whose targets are healthy now",) if touched else ()),
        *((f"it holds for {', '.join(sorted(unseen)[:3])}, too, which was not looked at",) if unseen else ()),
    ]
    return replace(change, risk="; ".join(filter(None, (change.risk, *risks)))) if risks else change


def _is_new(own: tuple[TrafficPath, ...], name: str, value: object) -> bool:
    """Whether the value is another one than that which holds now."""
    return any(setting_source(path, name).value != str(value) for path in own)


def _settings(change: Change) -> Iterator[tuple[str, object]]:
    """The settings that a change gives values, by their names ("healthcheck-path")."""
    for edit in change.edits:
        if not edit.is_guard and (name := _setting(edit.annotation)):
            yield name, edit.then
    if change.object.kind == kinds.TARGET_GROUP_CONFIGURATION.name:
        yield from settings_in(change)


def _is_harmless(name: str, value: object) -> bool:
    return str(value).lower() == _TCP or any(word in name for word in _PATIENCE)


def _setting(key: str) -> str:
    """The name of a setting by its annotation; "" for any other key."""
    for prefix in (ALB_PREFIX, NLB_PREFIX):
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            return "success-codes" if name == "healthcheck-success-codes" else name
    return ""


def _is_of_route(traffic: TrafficPath) -> bool:
    return traffic.backend is not None and traffic.backend.route is not None


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
