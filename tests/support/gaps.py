"""What a run would have read if one item of one of its lists could not be understood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.snapshot import Snapshot


def gaps(snapshot: Snapshot, named: bool = True) -> Iterator[tuple[str, Snapshot]]:
    """The snapshot without one item of one list, for each of them; that a part was left out stands in the fact. named:
    whether the name of what was left out could be told."""
    yield from _within(snapshot, "", named)


def _within(value: Any, where: str, named: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Fact):
        if value.is_known and isinstance(value.value, tuple):
            for number, item in enumerate(value.value):
                rest = value.value[:number] + value.value[number + 1 :]
                reason = f"1 of {len(value.value)} could not be understood"
                name = item.meta.name if named and hasattr(item, "meta") else ""
                yield f"{where} {value.source}[{number}]", replace(value, value=rest, left_out=(name,), reason=reason)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            for what, changed in _within(inner, f"{where}.{key}", named):
                yield what, {**value, key: changed}
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            if part.init:
                for what, changed in _within(getattr(value, part.name), f"{where}.{part.name}", named):
                    yield what, replace(value, **{part.name: changed})
