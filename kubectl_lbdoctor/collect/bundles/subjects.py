"""What a run on a bundle is about: of the subjects that it holds, those that are asked for."""

from __future__ import annotations

from dataclasses import replace

from kubectl_lbdoctor.collect.inventory import BundleInventory
from kubectl_lbdoctor.collect.subjects import Finder, Found
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.asked import AllOf, Asked, Named, Question
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot


def chosen(snapshot: Snapshot, question: Question, namespace: str) -> tuple[Snapshot, Found]:
    """The bundle about what was asked, and how that was found; about all of its subjects when nothing was.

    namespace: "" for any. Raises CouldNotRun for what it does not hold.
    """
    found = Found()
    for asked in question:
        found.add(_subjects(snapshot, asked, namespace, found))
    if not question:
        return snapshot, found
    return replace(snapshot, subjects=tuple(found.subjects)), found


def _subjects(snapshot: Snapshot, asked: Asked, namespace: str, found: Found) -> tuple[ObjectRef, ...]:
    if isinstance(asked, Named) and asked.kind is not None and asked.kind.is_subject:
        homes = {"", asked.namespace or namespace}
        named = [s for s in snapshot.subjects if s.kind == asked.kind.name and s.name == asked.name]
        mine = tuple(s for s in named if homes == {""} or s.namespace in homes)
        if not mine:
            raise CouldNotRun(f'{asked.kind.name} "{asked.name}" is not in the bundle', f"it holds: {_held(snapshot)}")
        return mine
    led = Finder(BundleInventory(snapshot), namespace, bool(namespace)).find((asked,))
    if led.missing:
        missing = led.missing[0]
        if isinstance(asked, AllOf) and isinstance(missing, CouldNotRun):
            raise CouldNotRun(f"in the bundle {missing.message}", f"it is about: {_held(snapshot)}")
        raise missing
    found.notes += led.notes
    found.routes += led.routes
    mine = tuple(ref for ref in led.subjects if ref in snapshot.subjects)
    if not mine:
        names = ", ".join(f"{ref} -n {ref.namespace}" for ref in led.subjects)
        raise CouldNotRun(f"the bundle is not about {names}", f"it is about: {_held(snapshot)}")
    return mine


def _held(snapshot: Snapshot) -> str:
    return ", ".join(f"{s} -n {s.namespace}" for s in snapshot.subjects) or "nothing"
