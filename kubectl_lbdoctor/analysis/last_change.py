"""Who last changed the setting that a repair changes, as the object itself says it: no further permission is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from kubectl_lbdoctor.knowledge.managed_fields import covers
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Evidence, Finding
from kubectl_lbdoctor.model.k8s import FieldManager, Meta
from kubectl_lbdoctor.model.plan import Change
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import in_words, seconds_between


def last_changes(snapshot: Snapshot, finding: Finding) -> tuple[Evidence, ...]:
    """Who set what the first repair of a finding changes, each object and manager once; nothing where no object that
    was read says it, and for a value that is not there."""
    repair = next(chain(finding.repairs, filter(None, [finding.repair_template])), None)
    found = chain.from_iterable(_of_change(snapshot, change) for change in repair.changes) if repair else ()
    return tuple(dict.fromkeys(found))


def _of_change(snapshot: Snapshot, change: Change) -> Iterator[Evidence]:
    pointers = [edit.pointer for edit in change.edits if not edit.is_guard and edit.now is not None]
    if change.in_aws or not pointers:
        return
    meta = _written_objects(snapshot, change.object.namespace).get((change.object.kind, change.object.name))
    holders = [m for m in meta.managers if any(covers(f, p) for f in m.fields for p in pointers)] if meta else []
    if holders:
        yield Evidence(str(change.object), _said(max(holders, key=lambda m: m.time), change.field, snapshot.taken_at))


@derived
def _written_objects(snapshot: Snapshot, namespace: str) -> Mapping[tuple[str, str], Meta]:
    """The objects of a namespace whose writers are kept, by (kind, name); what was not read has none here."""
    space, gateways = snapshot.facts_of(namespace), snapshot.gateway_api
    settings = (*(gateways.group_configurations.peek() or ()), *(gateways.balancer_configurations.peek() or ()))
    found = [
        *(("Ingress", ingress.meta) for ingress in space.ingresses.peek() or ()),
        *(("Service", service.meta) for service in space.services.peek() or ()),
        *(("TargetGroupBinding", binding.meta) for binding in space.bindings.peek() or ()),
        *(("Gateway", gateway.meta) for gateway in gateways.gateways.peek() or ()),
        *((route.kind, route.meta) for route in gateways.routes.peek() or ()),
        *((setting.kind, setting.meta) for setting in settings),
    ]
    return {(kind, meta.name): meta for kind, meta in found if meta.namespace == namespace}


def _said(manager: FieldManager, field: str, now: str) -> str:
    """The time is that of the manager's last write to any field that it holds: no API keeps one for each field."""
    age = seconds_between(manager.time, now)
    return f"{field}: set by {manager.name}, which last wrote {in_words(age)} ago"
