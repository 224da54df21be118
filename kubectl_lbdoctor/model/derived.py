"""Derived facts are computed once and remembered by the value that they follow from.

A function under `@derived` takes a `TrafficPath` or a `Snapshot` and is pure. Its first call for one of these computes
the outcome; later calls repeat it: the value, or the `Unknown` or `NotApplicable` that it raised. The reads that it
opened count as opened again, so that a check must declare what the derived facts that it uses rest on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from kubectl_lbdoctor.model.fact import Gap, NotApplicable, Unknown, note_opened, recording
from kubectl_lbdoctor.record import record


class Memo:
    """What was derived from its holder so far, by function and further arguments.

    It is no part of its holder's value: all memos are equal, and none is copied, saved or shown.
    """

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("outcomes",)

    def __init__(self) -> None:
        self.outcomes: dict[object, _Outcome] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memo)

    def __repr__(self) -> str:
        return "Memo()"


def memo_field() -> Any:
    """The dataclass field that holds a memo; `dataclasses.replace` gives the copy a new one."""
    return field(default_factory=Memo, init=False, repr=False, compare=False)


class HasMemo(Protocol):
    """What derived facts follow from."""

    @property
    def memo(self) -> Memo: ...


@record
class _Outcome:
    """How one computation ended. `items`: what a generator gave before it ended; `error`: what it raised."""

    value: Any
    error: Unknown | NotApplicable | None
    opened: frozenset[str | Gap]


F = TypeVar("F", bound=Callable[..., Any])


def derived(function: F) -> F:
    """Remember the outcome of `function(holder, *arguments)` on its holder; the arguments must be hashable.

    A generator function gives its items as an iterator, and raises what ended it after the last of them.
    """
    generates = inspect.isgeneratorfunction(function)

    @wraps(function)
    def remembered(holder: HasMemo, *arguments: object) -> Any:
        key = (function, *arguments)
        outcome = holder.memo.outcomes.get(key)
        if outcome is None:
            outcome = _compute(function, generates, holder, arguments)
            holder.memo.outcomes[key] = outcome
        note_opened(outcome.opened)
        if generates:
            return _replayed(outcome)
        if outcome.error is not None:
            raise outcome.error.with_traceback(None)
        return outcome.value

    return cast(F, remembered)


def _compute(function: Callable[..., Any], generates: bool, holder: HasMemo, arguments: tuple[object, ...]) -> _Outcome:
    items: list[Any] = []
    value: Any = items
    error: Unknown | NotApplicable | None = None
    with recording() as opened:
        try:
            if generates:
                for item in function(holder, *arguments):
                    items.append(item)
            else:
                value = function(holder, *arguments)
        except (Unknown, NotApplicable) as raised:
            # Kept for as long as the holder: without its frames, which would keep everything that they saw.
            error = raised.with_traceback(None)
    return _Outcome(value, error, frozenset(opened))


def _replayed(outcome: _Outcome) -> Iterator[Any]:
    yield from outcome.value
    if outcome.error is not None:
        raise outcome.error.with_traceback(None)
