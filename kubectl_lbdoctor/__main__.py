"""Entry point: kept small so that `--help` starts at once."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any, NoReturn


def search_rarely_for_cycles() -> None:
    """Let Python search for reference cycles after 100,000 new objects instead of 700.

    A search goes over all records of the cluster, which hold no cycles: with 2,000 paths they cost as much as reading
    and half as much as checking (`make bench`).
    """
    gc.set_threshold(100_000, 20, 50)


def terminal() -> list[Any] | None:
    """The settings of the terminal, None where there is none."""
    try:
        import termios

        with open("/dev/tty", "rb", buffering=0) as tty:
            return termios.tcgetattr(tty)
    except Exception:  # no terminal, or no module of that name (Windows); termios has an error of its own
        return None


def restore(before: list[Any] | None) -> None:
    """Give the terminal back as it was: what asked for a password, and was given up, has left it without echo."""
    if before is None or terminal() in (before, None):
        return
    import termios

    with open("/dev/tty", "rb", buffering=0) as tty:
        # In the background it is somebody else's, and setting it would stop this program.
        if os.tcgetpgrp(tty.fileno()) == os.getpgrp():
            termios.tcsetattr(tty, termios.TCSADRAIN, before)


def main() -> NoReturn:
    """Run the program and leave at once with its exit status.

    Taking down the interpreter after the SDKs were imported costs a quarter of a second, so it is skipped once the
    streams are flushed; nothing else is left to clean up then.
    """
    search_rarely_for_cycles()
    before = terminal()
    try:
        from kubectl_lbdoctor.cli import main as run
        from kubectl_lbdoctor.env import Environment

        status = int(run(sys.argv[1:], Environment()))
    except KeyboardInterrupt:
        status = 130
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    restore(before)
    os._exit(status)


def complete() -> NoReturn:
    """Answer kubectl, which asks a program of the name `kubectl_complete-lbdoctor` what can be typed."""
    sys.argv.insert(1, "__complete")
    main()


if __name__ == "__main__":
    main()
