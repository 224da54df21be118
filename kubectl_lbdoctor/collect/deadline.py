"""When a run must end: one deadline that all reads of the run keep, whatever the other side does.

A time limit of a socket begins anew with every byte, so that a server that sends one now and then, or a helper that
hangs, is stopped by no such limit. Here the waiting is limited and not the work: it is done on a thread of its own,
which is left alone when the time is over; the program ends without it (`__main__` leaves by `os._exit`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kubectl_lbdoctor.errors import ReadFailed
from kubectl_lbdoctor.permission import Permission

T = TypeVar("T")

DEFAULT = 30.0
"""Seconds for one object."""

FURTHER = 1.0
"""Seconds more for each further object, where nobody has chosen the time."""

_STEP = 0.25
"""Seconds after which a wait looks whether its limit has changed."""


class Late(Exception):
    """The work was not done within the limit that its caller gave."""


class Deadline:
    """The end of a run, seconds from its making on; None sets no end. chosen: the user has asked for this time.

    Safe to use from many threads.
    """

    def __init__(
        self, seconds: float | None = None, *, chosen: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._end = None if seconds is None else clock() + seconds
        self.chosen = chosen

    def left(self) -> float:
        """Seconds until the end; infinite without one, never less than 0."""
        return float("inf") if self._end is None else max(0.0, self._end - self._clock())

    def check(self, what: str | Permission) -> None:
        """Raise ReadFailed where the time is over."""
        if self.left() <= 0:
            raise self.over(what)

    def over(self, what: str | Permission) -> ReadFailed:
        """The error for what was not answered, or not begun, before the end: a request, or something in words."""
        problem, hint = f"no answer within the {self._seconds or 0:g}s of this run", "allow more: --timeout 2m"
        if isinstance(what, Permission):
            return ReadFailed(problem, hint, request=what)
        return ReadFailed(f"{what}: {problem}", hint)

    def for_objects(self, number: int) -> None:
        """Allow more for many objects, where nobody has chosen the time."""
        if self._end is not None and self._seconds is not None and not self.chosen:
            self._end += DEFAULT + FURTHER * (number - 1) - self._seconds
            self._seconds = DEFAULT + FURTHER * (number - 1)

    def lift(self) -> None:
        """No end from now on: what is written is never cut off."""
        self._end = None

    def end(self) -> None:
        """End the run now: nobody waits for its answer any more. What has no end, because it writes, goes on."""
        if self._end is not None:
            self._end = self._clock()

    @contextmanager
    def again(self) -> Iterator[None]:
        """The whole time anew for what is done inside, and no end after it."""
        self._end = None if self._seconds is None else self._clock() + self._seconds
        try:
            yield
        finally:
            self._end = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """What is done inside has limits of its own, and does not count."""
        begun, end = self._clock(), self._end
        self._end = None
        try:
            yield
        finally:
            self._end = None if end is None else end + self._clock() - begun

    def bound(self, what: str | Permission, work: Callable[[], T], limit: Callable[[], float] | None = None) -> T:
        """What `work` gives or raises. Raises ReadFailed at the end of the run, naming `what`, and Late once `limit`
        gives no more seconds."""
        self.check(what)
        if self._end is None and limit is None:
            return work()
        done = threading.Event()
        outcome: list[Any] = []

        def run() -> None:
            try:
                outcome.extend((work(), None))
            except BaseException as error:
                outcome.extend((None, error))
            finally:
                done.set()

        threading.Thread(target=run, name="bounded", daemon=True).start()
        while not done.wait(min(self.left(), limit() if limit else _STEP, _STEP)):
            if done.is_set():
                break
            self.check(what)
            if limit is not None and limit() <= 0:
                raise Late
        value, error = outcome
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]
