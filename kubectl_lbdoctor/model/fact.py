"""The outcome of one read, built so that a denied read can never look like an empty list or like health.

A `Fact` is opened only by `need()`, which raises `Unknown` unless the read succeeded. "The object does not exist" is a
successful read: KNOWN with the value None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import replace
from enum import Enum
from typing import Generic, TypeVar, cast

from kubectl_lbdoctor.permission import Permission, could_not
from kubectl_lbdoctor.record import record

T = TypeVar("T")
U = TypeVar("U")


class ReadState(str, Enum):
    """How a read ended. NOT_ASKED leaves open what was needed; NOT_NEEDED is what nobody has to know here, so that a
    check that would look at it is skipped and takes nothing from health."""

    KNOWN = "known"
    DENIED = "denied"
    FAILED = "failed"
    NOT_ASKED = "not-asked"
    NOT_NEEDED = "not-needed"


class Unknown(Exception):
    """Raised by `Fact.need()` when the read did not succeed; carries the fact that was needed."""

    def __init__(self, fact: Fact[object]) -> None:
        super().__init__(f"{fact.source}: {fact.state.value}: {fact.why}")
        self.fact = fact


class NotApplicable(Exception):
    """Raised where there is nothing to look at, such as a check of target groups on a path that has none; the result
    of the check is SKIPPED, with the message as its reason."""


@record
class Gap:
    """A list was opened of which a part could not be understood: what is not in it may exist all the same."""

    source: str
    reason: str


_opened: ContextVar[set[str | Gap] | None] = ContextVar("opened", default=None)


class recording:
    """Collect the sources of all facts that are opened inside the block (to compare with what a check declares), and
    the gaps in them.

    A class, because a scan of a large cluster opens a hundred thousand of these blocks.
    """

    __slots__ = ("_outer",)

    def __enter__(self) -> set[str | Gap]:
        opened: set[str | Gap] = set()
        self._outer = _opened.set(opened)
        return opened

    def __exit__(self, *_: object) -> None:
        _opened.reset(self._outer)


def note_opened(sources: Iterable[str | Gap]) -> None:
    """Count these sources and gaps as opened where a recording runs: for what follows from facts opened before."""
    opened = _opened.get()
    if opened is not None:
        opened.update(sources)


@record
class Fact(Generic[T]):
    """One read's outcome.

    source: which read, as named in `model.reads` ("core/pods", "elbv2:DescribeTargetHealth").
    value: what was read, only meaningful when KNOWN. None means that the object does not exist.
    reason: why it is not known; `why` says it in one sentence. permission: what to add when DENIED. request: what was
    asked for when FAILED, where the reason does not name it.
    scope: what was asked for (namespace, name or ARN).
    left_out: names of the items of a KNOWN list that could not be understood ("" for one whose name cannot be told
    either); `reason` then says so. What such a list does not hold may exist.
    """

    source: str
    state: ReadState
    value: T | None = None
    reason: str = ""
    permission: Permission | None = None
    scope: str = ""
    left_out: tuple[str, ...] = ()
    request: Permission | None = None

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
    def not_needed(cls, source: str, reason: str, scope: str = "") -> Fact[T]:
        """A read that was left out because nothing has to be known there, and why, in one sentence."""
        return cls(source, ReadState.NOT_NEEDED, reason=reason, scope=scope)

    @classmethod
    def denied(cls, source: str, reason: str, permission: Permission, scope: str = "") -> Fact[T]:
        """A read that was refused; `permission` is what to add for it to succeed."""
        return cls(source, ReadState.DENIED, reason=reason, permission=permission, scope=scope)

    @classmethod
    def failed(cls, source: str, reason: str, scope: str = "", request: Permission | None = None) -> Fact[T]:
        """A read that was made and came to nothing, and why. request: what was asked for, where the reason does not
        name it."""
        return cls(source, ReadState.FAILED, reason=reason, scope=scope, request=request)

    @property
    def is_known(self) -> bool:
        return self.state is ReadState.KNOWN

    @property
    def why(self) -> str:
        """Why it is not known, in one sentence."""
        return could_not(self.request, self.reason)

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
        opened = _opened.get()
        if opened is None or not self.source:
            return
        opened.add(self.source)
        if self.left_out:
            opened.add(Gap(self.source, self.reason))

    def map(self, function: Callable[[T], U]) -> Fact[U]:
        """The same read with its value transformed; what is unknown stays unknown."""
        if self.state is not ReadState.KNOWN:
            return cast("Fact[U]", self)
        value = function(cast(T, self.value))
        return Fact(self.source, self.state, value, self.reason, scope=self.scope, left_out=self.left_out)

    def chosen(self, name: str | None, find: Callable[[], U | None]) -> Fact[U | None]:
        """What `find` finds in this list; None from it says that there is no such thing. Where it may be among what was
        left out, the fact is FAILED. name: of what is looked for; None where it is not known by its name."""
        if self.state is not ReadState.KNOWN:
            return cast("Fact[U | None]", self)
        value = find()
        if value is None and self.left_out and (name is None or {"", name} & {*self.left_out}):
            return Fact.failed(self.source, self.reason, self.scope)
        return Fact.known(self.source, value, self.scope)

    def then(self, function: Callable[[T], Fact[U]]) -> Fact[U]:
        """A further read that depends on this one; unknown here is unknown there, and a gap here is a gap there."""
        if self.state is not ReadState.KNOWN:
            return cast("Fact[U]", self)
        found = function(cast(T, self.value))
        if not self.left_out or not found.is_known:
            return found
        reason = "; ".join(filter(None, (self.reason, found.reason)))
        return replace(found, left_out=(*self.left_out, *found.left_out), reason=reason)


def joined(source: str, parts: Iterable[Fact[tuple[T, ...]]], scope: str = "") -> Fact[tuple[T, ...]]:
    """Several lists as one; the first that is not known makes the whole unknown, and says why."""
    found: list[T] = []
    left_out: list[str] = []
    reasons: list[str] = []
    for part in parts:
        if not part.is_known:
            return part
        found += part.need()
        left_out += part.left_out
        reasons += [part.reason] if part.left_out else []
    return replace(Fact.known(source, tuple(found), scope), left_out=tuple(left_out), reason="; ".join(reasons))
