"""Steps that end whole: a signal that would end the process waits until they are done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def signals_held() -> Iterator[None]:
    """Signals that would end the process reach it when the block has ended, which has to be soon. Only the main thread
    can arrange that; elsewhere nothing is held."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        waiting.append(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    before = {number: signal.signal(number, hold) for name in names if (number := getattr(signal, name, None))}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for number in waiting:
            signal.raise_signal(number)
