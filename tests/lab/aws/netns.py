"""Network namespaces: commands in them, and moving the calling thread into one."""

from __future__ import annotations

import ctypes
import os
import subprocess

_CLONE_NEWNET = 0x40000000


def enter(name: str) -> None:
    """Move the calling thread (and only it) into a namespace; sockets that it opens from now on live there."""
    # os.setns exists from Python 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    file = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(file, _CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, f"cannot enter network namespace {name}: {os.strerror(error)}")
    finally:
        os.close(file)


def ip(*arguments: str, netns: str | None = None) -> None:
    """Run `ip`; what exists already, or is gone already, is no error."""
    command = ["ip", *(("-n", netns) if netns else ()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    harmless = ("File exists", "Cannot assign requested address", "No such process", "already assigned")
    if done.returncode and not any(text in done.stderr for text in harmless):
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
