"""The file of a bundle: whether it can be written there, a write that never leaves half of one, a read with bounds."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

from kubectl_lbdoctor.errors import CouldNotRun

MAX_UNPACKED = 1 << 29
"""Bytes, half of the memory that unpacking takes. A bundle of 10,000 pods has some 60 MB; a file that unpacks to more
than this was not made by --save."""

# Links below these lead to open files of a process (/dev/stdout): what is there is written to, never replaced.
_OPEN_FILES = ("/dev/", "/proc/")


def check_place(path: Path) -> None:
    """Find out before the work whether a bundle can be written there. Raises CouldNotRun, with what is wrong."""
    try:
        place = _resolved(path)
        if _is_written_through(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(13, os.strerror(13))
            return
        if place.is_dir():
            raise IsADirectoryError(21, os.strerror(21))
        os.stat(place.parent)
        if not os.access(place.parent, os.W_OK | os.X_OK):
            raise PermissionError(13, os.strerror(13))
    except OSError as error:
        raise _cannot_write(path, error) from error


def write(path: Path, data: bytes) -> None:
    """Write the file, readable by its owner only; one that was there is replaced when the new one is complete.

    A symbolic link stays and what it leads to is replaced. A pipe or a device is written to. Raises CouldNotRun.
    """
    try:
        if _is_written_through(path):
            with open(os.open(path, os.O_WRONLY), "wb") as file:
                file.write(data)
            return
        place = _resolved(path)
        handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _cannot_write(path, error) from error


def read(path: Path) -> bytes:
    """The content, unpacked where it is gzip. Raises CouldNotRun for what cannot be read, is cut off or unpacks to more
    than MAX_UNPACKED."""
    try:
        with path.open("rb") as source:  # A device may have no end.
            data = _at_most(MAX_UNPACKED + 1, source)
        unpacked = data
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                unpacked = _at_most(MAX_UNPACKED + 1, file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CouldNotRun(f"the bundle {path} is cut off or damaged: {error}", "save it again with --save") from error
    except OSError as error:
        raise CouldNotRun(f"cannot read the bundle {path}: {error.strerror or error}") from error
    if len(unpacked) > MAX_UNPACKED:
        raise CouldNotRun(
            f"the bundle {path} has or unpacks to more than {MAX_UNPACKED >> 20} MiB", "no --save makes such a file"
        )
    return unpacked


def _at_most(limit: int, file: BinaryIO | gzip.GzipFile) -> bytes:
    """The content, up to a number of bytes. Python makes room for all that one read asks for, and an address space may
    be limited (ulimit -v)."""
    parts: list[bytes] = []
    left = limit
    while left and (part := file.read(min(left, _PIECE))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


_PIECE = 1 << 20


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _is_written_through(path: Path) -> bool:
    """Whether something is there that is no regular file and no directory, or an open file of a process."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if str(path.absolute()).startswith(_OPEN_FILES):
        return not stat.S_ISDIR(mode)
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _cannot_write(path: Path, error: OSError) -> CouldNotRun:
    return CouldNotRun(f"cannot write the bundle {path}: {error.strerror or error}")
