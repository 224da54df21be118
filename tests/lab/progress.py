"""What every part of the lab needs to report: progress lines, clear failures, and waiting with a deadline."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_started = time.monotonic()
# Set when `up` gives up (Ctrl-C or a failure in another thread), so that no thread keeps waiting for its deadline.
cancelled = threading.Event()


class LabError(Exception):
    """The lab cannot be started or used; `log` is the file that says more."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


class Missing(LabError):
    """The machine lacks something that the lab needs (exit status 2, nothing started)."""


def say(message: str) -> None:
    print(f"[{time.monotonic() - _started:6.1f}s] {message}", file=sys.stderr, flush=True)


def wait_until(
    what: str,
    check: Callable[[], object],
    *,
    timeout: float,
    failed: Callable[[], LabError | None] | None = None,
    log: Path | None = None,
    interval: float = 0.2,
) -> None:
    """Call `check` until it is true. `failed` may report early that waiting is in vain (a daemon died)."""
    deadline = time.monotonic() + timeout
    last: Exception | None = None
    while True:
        try:
            if check():
                return
        except OSError as error:  # not answering yet: URLError and refused connections are OSErrors
            last = error
        if failed is not None and (failure := failed()) is not None:
            raise failure
        if cancelled.is_set():
            raise LabError(f"{what}: interrupted", log)
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not reached within {timeout:.0f} s" + (f" ({last})" if last else ""), log)
        time.sleep(interval)
