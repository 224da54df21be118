"""The outcome of one read, built so that a denied read can never look like an empty list or like health.

A `Fact` is opened only by `need()`, which raises `Unknown` unless the read succeeded. "The object does not exist" is a
successful read: KNOWN with the value None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar, cast

T = TypeVar("T")
U = TypeVar("U")


class ReadState(str, Enum):
    """How a read ended."""

    KNOWN = "known"
    DENIED = "denied"
    FAILED = "failed"
    NOT_ASKED = "not-asked"


class Unknown(Exception):
    """Raised by `Fact.need()` when the read did not succeed; carries the fact that was needed."""

    def __init__(self, fact: Fact[object]) -> None:
        super().__init__(f"{fact.source}: {fact.state.value}: {fact.reason}")
        self.fact = fact


class NotApplicable(Exception):
    """Raised where there is nothing to look at, such as a check of target groups on a path that has none; the result
    of the check is SKIPPED, with the message as its reason."""


_opened: ContextVar[set[str] | None] = ContextVar("opened", default=None)


@contextmanager
def recording() -> Iterator[set[str]]:
    """Collect the sources of all facts that are opened inside the block (to compare with what a check declares)."""
    opened: set[str] = set()
    token = _opened.set(opened)
    try:
        yield opened
    finally:
        _opened.reset(token)


def note_opened(sources: Iterable[str]) -> None:
    """Count these sources as opened where a recording runs: for what follows from facts that were opened before."""
    opened = _opened.get()
    if opened is not None:
        opened.update(sources)


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """One read's outcome.

    source: which read, as named in `model.reads` ("core/pods", "elbv2:DescribeTargetHealth").
    value: what was read, only meaningful when KNOWN. None means that the object does not exist.
    reason: why it is not known, in one sentence. permission: what to add when DENIED.
    scope: what was asked for (namespace, name or ARN).
    """

    source: str
    state: ReadState
    value: T | None = None
    reason: str = ""
    permission: str = ""
    scope: str = ""

    @classmethod
    def known(cls, source: str, value: T, scope: str = "") -> Fact[T]:
        """A read that succeeded; None says that the object does not exist."""
        return cls(source, ReadState.KNOWN, value, scope=scope)

    @classmethod
    def by_definition(cls, value: T) -> Fact[T]:
        """What follows from the kind of an object, such as that a Service has no Ingress: it rests on no read."""
        return cls("", ReadState.KNOWN, value)

    @classmethod
    def not_asked(cls, source: str, reason: str, scope: str = "") -> Fact[T]:
        """A read that was not made, and why, in one sentence."""
        return cls(source, ReadState.NOT_ASKED, reason=reason, scope=scope)

    @classmethod
    def denied(cls, source: str, reason: str, permission: str, scope: str = "") -> Fact[T]:
        """A read that was refused; `permission` is what to add for it to succeed."""
        return cls(source, ReadState.DENIED, reason=reason, permission=permission, scope=scope)

    @classmethod
    def failed(cls, source: str, reason: str, scope: str = "") -> Fact[T]:
        """A read that was made and came to nothing, and why."""
        return cls(source, ReadState.FAILED, reason=reason, scope=scope)

    @property
    def is_known(self) -> bool:
        return self.state is ReadState.KNOWN

    def need(self) -> T:
        """The value; raises `Unknown` when the read did not succeed."""
        self._note_opened()
        if self.state is not ReadState.KNOWN:
            raise Unknown(cast("Fact[object]", self))
        return cast(T, self.value)

    def peek(self) -> T | None:
        """The value where it is known, else None. Only to choose words or a default, never to conclude absence."""
        self._note_opened()
        return self.value if self.state is ReadState.KNOWN else None

    def _note_opened(self) -> None:
        if self.source:
            note_opened((self.source,))

    def map(self, function: Callable[[T], U]) -> Fact[U]:
        """The same read with its value transformed; what is unknown stays unknown."""
        if self.state is not ReadState.KNOWN:
            return cast("Fact[U]", self)
        return Fact(self.source, self.state, function(cast(T, self.value)), scope=self.scope)

    def then(self, function: Callable[[T], Fact[U]]) -> Fact[U]:
        """A further read that depends on this one; unknown here is unknown there."""
        if self.state is not ReadState.KNOWN:
            return cast("Fact[U]", self)
        return function(cast(T, self.value))
