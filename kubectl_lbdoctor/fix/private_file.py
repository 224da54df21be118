"""A small file that is written whole or not at all, is readable by its owner only, and is never something else: no
device, no pipe, and nothing that a link leads to."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

PART = ".lbdoctor-part"
"""The end of the name of a file that is not yet complete."""

STALE = 60.0
"""Seconds after which an incomplete file has no writer any more: one is written in milliseconds."""


def write(path: Path, data: bytes, new: bool) -> None:
    """Write the file; one that was there is replaced when the new one is complete. new: nothing may be there.

    Whoever ends the process meanwhile leaves the former file. Raises OSError: FileExistsError for `new`, and one that
    says so where something is there that is no regular file.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if new or not _is_regular(path.name, folder):
            if not _linked(path.parent, path.name, folder, data):
                _fill(path.name, folder, data)
        else:
            temporary = f".{path.name[:100]}.{secrets.token_hex(4)}{PART}"
            if not _linked(path.parent, temporary, folder, data):
                _fill(temporary, folder, data)
            try:
                os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(temporary, dir_fd=folder)
                raise
        _remove_stale(folder, path)
        with suppress(OSError):  # Not every file system can do it for a directory.
            os.fsync(folder)
    finally:
        os.close(folder)


def _linked(place: Path, name: str, folder: int, data: bytes) -> bool:
    """Write a file that gets its name when it is complete, so that it vanishes with the process until then.

    False where the system or the file system cannot do it. Raises OSError, FileExistsError where the name is taken.
    """
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        return False
    try:
        handle = os.open(place, flag | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:  # What else is wrong with the place shows at the ordinary way.
        return False
    with os.fdopen(handle, "wb") as file:
        _put(file, data)
        try:
            os.link(f"/proc/self/fd/{handle}", name, dst_dir_fd=folder)
        except FileExistsError:
            raise
        except OSError:
            return False
    return True


def _fill(name: str, folder: int, data: bytes) -> None:
    """Write a new file of this name; it is removed where that fails."""
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            _put(file, data)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise


def _put(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def read(path: Path, limit: int) -> bytes:
    """The content of a regular file. Raises OSError, ValueError for more than `limit` bytes."""
    # A pipe is not waited for, and a device not touched.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(handle, "rb") as file:
        _check_regular(os.fstat(handle))
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it has more than {limit >> 20} MiB")
    return data


def _is_regular(name: str, folder: int) -> bool:
    """Whether a regular file is there; False where nothing is. Raises OSError for anything else."""
    try:
        _check_regular(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return False
    return True


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is no regular file")


def _remove_stale(folder: int, path: Path) -> None:
    """Remove what a killed run of the same user has left of a write. path: of the file that was written just now."""
    with suppress(OSError):
        now = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mtime
        for name in os.listdir(path.parent):
            if not (name.startswith(".") and name.endswith(PART)):
                continue
            with suppress(OSError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                stale = now - found.st_mtime > STALE
                if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and stale:
                    os.unlink(name, dir_fd=folder)
