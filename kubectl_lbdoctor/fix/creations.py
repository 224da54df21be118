"""Several settings of one object that does not exist yet: one creation with all of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.change_shapes import NoSuchShape, made_anew
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Spec, Step

_Path = tuple[str, ...]


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
    inherited = {**_leaves(one.inherits or {}), **_leaves(other.inherits or {})}
    wanted: dict[_Path, object] = {}
    every: dict[_Path, object] = {}
    for change in (one, other):
        for path, value in _leaves(change.creates or {}).items():
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


def _leaves(spec: Spec) -> dict[_Path, object]:
    """Each value of a spec by its path."""

    def below(values: Spec, path: _Path) -> Iterator[tuple[_Path, object]]:
        for key, value in values.items():
            if isinstance(value, Mapping) and value:
                yield from below(value, (*path, key))
            else:
                yield (*path, key), value

    return dict(below(spec, ()))


def _nested(leaves: Mapping[_Path, object]) -> dict[str, object]:
    """The spec that has these values at these paths."""
    made: dict[str, object] = {}
    for path, value in leaves.items():
        place = made
        for key in path[:-1]:
            inside = place.setdefault(key, {})
            assert isinstance(inside, dict)
            place = inside
        place[path[-1]] = value
    return made
