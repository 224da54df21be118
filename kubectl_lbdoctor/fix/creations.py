"""Several settings of one object that does not exist yet: one creation with all of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.change_shapes import NoSuchShape, made_anew
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Step
from kubectl_lbdoctor.model.spec_values import Path, leaves, with_value


def joined(steps: Sequence[Step], for_both: Callable[[Step, Step], Step]) -> list[Step]:
    """The steps, of which those that make the same object are one, in place of the first of them. Two that want
    different values for one setting stay two. for_both: the first step, for all that two are to heal."""
    found: list[Step] = []
    places: dict[ObjectRef, int] = {}
    for step in steps:
        place = places.get(step.change.object) if step.change.creates is not None else None
        together = _together(found[place].change, step.change) if place is not None else None
        if place is not None and together is not None:
            found[place] = replace(for_both(found[place], step), change=together)
            continue
        if step.change.creates is not None:
            places.setdefault(step.change.object, len(found))
        found.append(step)
    return found


def _together(one: Change, other: Change) -> Change | None:
    """One change that makes the object with the settings of both; None where they want different values for one.

    What a new object takes over as it is gives way to what the other change is about.
    """
    inherited = {**dict(leaves(one.inherits or {})), **dict(leaves(other.inherits or {}))}
    wanted: dict[Path, object] = {}
    every: dict[Path, object] = {}
    for change in (one, other):
        for path, value in leaves(change.creates or {}):
            every.setdefault(path, value)
            if path in inherited and inherited[path] == value:
                continue
            if wanted.setdefault(path, value) != value:
                return None
    try:
        made = made_anew(replace(one, creates=_nested({**every, **wanted})))
    except NoSuchShape:  # Such as a configuration that would be for two Services.
        return None
    return replace(
        made,
        why="; ".join(dict.fromkeys(filter(None, (one.why, other.why)))),
        risk="; ".join(dict.fromkeys(filter(None, (one.risk, other.risk)))),
        inherits=_nested(inherited),
    )


def _nested(values: Mapping[Path, object]) -> dict[str, object]:
    """The spec that has these values at these paths."""
    made: dict[str, object] = {}
    for path, value in values.items():
        made = with_value(made, path, value)
    return made
