"""Files that a kubeconfig names, or that are one: read with bounds, whatever stands at their path.

A pipe that nobody writes to and a device without an end would hold a run up for ever; `--kubeconfig <(command)` is a
pipe that somebody does write to. Standard library only.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path

MAX_BYTES = 16 << 20
"""A kubeconfig of a thousand clusters has some 4 MB."""

PIPE_PATIENCE = 10.0
"""Seconds for which a pipe is waited for: `aws eks update-kubeconfig --dry-run` takes two or three."""


def read(path: Path) -> bytes:
    """The content. Raises OSError for what cannot be read, is a directory, has more than MAX_BYTES, or is a pipe that
    does not come to its end within PIPE_PATIENCE."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        return _all_of(handle, time.monotonic() + PIPE_PATIENCE, stat.S_ISFIFO(mode), path)
    finally:
        os.close(handle)


def check_regular(path: Path) -> None:
    """Raise OSError for a file that a library could not simply read: none there, not allowed, a directory, a pipe."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode, size = os.fstat(handle).st_mode, os.fstat(handle).st_size
    finally:
        os.close(handle)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if size > MAX_BYTES:
        raise _too_large(path)


def _all_of(handle: int, end: float, is_pipe: bool, path: Path) -> bytes:
    found = bytearray()
    while True:
        try:
            part = os.read(handle, 1 << 16)
        except BlockingIOError:
            part = None
        # A pipe gives no bytes before somebody opens its other end, too.
        if part is None or (not part and is_pipe and not found):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(errno.ETIMEDOUT, "nothing comes from this pipe", str(path))
            select.select([handle], [], [], min(left, 0.05)) if part is None else time.sleep(min(left, 0.05))
            continue
        if not part:
            return bytes(found)
        found += part
        if len(found) > MAX_BYTES:
            raise _too_large(path)


def _too_large(path: Path) -> OSError:
    return OSError(errno.EFBIG, f"it has more than {MAX_BYTES >> 20} MiB", str(path))
