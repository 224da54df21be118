"""Signals while something stands in the cluster that has to be taken away again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class Guard:
    """The handler of a block: the first signal ends it with KeyboardInterrupt, all others are held until it is left.

    A terminal that is closed sends SIGHUP more than once, and an impatient person presses Ctrl-C again.
    """

    def __init__(self) -> None:
        self._held = False
        self._came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        if self._held:
            with suppress(OSError):  # The terminal may be what is gone.
                os.write(2, b"removing debug pods, a moment\n")
            return
        self._held = True
        raise KeyboardInterrupt

    def hold(self) -> None:
        """From now on no signal ends anything: what is left to do takes seconds at most."""
        self._held = True

    def check(self) -> None:
        """Raise KeyboardInterrupt where a signal came that has ended nothing: it was held, or its exception was raised
        where Python ignores one (in a destructor)."""
        if self._came:
            raise KeyboardInterrupt


@contextmanager
def guarded() -> Iterator[Guard]:
    """A block that signals end as Ctrl-C does. What the process was told to ignore (`nohup`) stays ignored.

    Handlers can be set in the main thread only; elsewhere the caller is the one that is interrupted.
    """
    guard = Guard()
    if threading.current_thread() is not threading.main_thread():
        yield guard
        return
    numbers = [number for name in _NAMES if (number := getattr(signal, name, None)) is not None]
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, guard) for number in heeded}
    try:
        yield guard
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
