"""The writer over bent answers, before a change, at it and at its undoing: it always ends in one of the program's own
errors, for what a check cannot understand is never written over."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model.plan import Change, unescape
from tests.fuzz.mutation import bent, runs
from tests.fuzz.test_answers import NAMES, model, of_shape
from tests.fuzz.test_undo_files import written

UID = "uid-1"
LOOKS = ("check", "rehearse")
WRITES = ("apply", "check_undo", "rehearse_undo", "undo")
ODD: tuple[Any, ...] = (
    {},
    {"metadata": None},
    {"metadata": []},
    {"metadata": {"uid": 5}, "spec": 5},
    {"kind": "Status"},
)


@cache
def changes() -> tuple[Change, ...]:
    """One change of each shape that the repairs of recorded cases have."""
    files = filter(None, map(written, NAMES[::8]))
    every = [run.step.change for file in files for run in file.steps]
    return tuple({(c.object.kind, c.field, c.restart, c.creates is None): c for c in every}.values())


def standing(change: Change, made: bool) -> dict[str, Any]:
    """The object that a change is about, before it or after."""
    ref = change.object
    metadata = {"name": ref.name, "namespace": ref.namespace, "uid": UID, "resourceVersion": "5", "generation": 1}
    raw: dict[str, Any] = {"kind": ref.kind, "metadata": metadata, "spec": copy.deepcopy(dict(change.creates or {}))}
    for edit in change.edits:
        value = edit.then if made else edit.now
        holder: Any = raw
        *way, last = map(unescape, edit.pointer.split("/")[1:])
        for place, following in zip(way, [*way[1:], last], strict=True):
            holder = _within(holder, place, [] if following.isdigit() else {})
        if value is not None:
            holder[int(last) if isinstance(holder, list) else last] = copy.deepcopy(value)
    return raw


def _within(holder: Any, place: str, fresh: Any) -> Any:
    if not isinstance(holder, list):
        return holder.setdefault(place, fresh)
    holder += [copy.deepcopy(fresh) for _ in range(int(place) + 1 - len(holder))]
    return holder[int(place)]


class Servers:
    """The API server and AWS, which answer with anything."""

    def __init__(self, change: Change, chance: Any) -> None:
        self._change, self._chance, self._made = change, chance, chance.random() < 0.5

    def _object(self) -> Any:
        how = self._chance.random()
        if how < 0.2:
            return self._chance.choice(ODD)
        raw = standing(self._change, self._made)
        return raw if how < 0.5 else bent(raw, self._chance)

    def get(self, path: str, params: Any = None) -> Any:
        return None if self._chance.random() < 0.1 else self._object()

    def send(self, *sent: Any, **more: Any) -> Any:
        return self._object()

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        shape = model(service).operation_model(operation).output_shape
        made = of_shape(shape, self._chance) if shape is not None else {}
        return made if result_key is None else made.get(result_key, [])


def test_bent_answers_to_writes() -> None:
    for name, chance in runs(few=200):
        change = chance.choice(changes())
        servers = Servers(change, chance)
        writer = Writer(servers, servers, "2026-11-23T12:00:00Z")
        for way in (*LOOKS, *WRITES):
            try:
                getattr(writer, way)(*((change,) if way in LOOKS else (change, UID)))
            except LbdoctorError:
                continue
            except Exception as error:
                raise AssertionError(f"FUZZ run {name}: {way} of {change.object}") from error
