"""The process's surroundings in one place: streams, terminal, clock, variables. Nothing else prints or reads them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TextIO

from kubectl_lbdoctor.errors import ExitStatus, UsageError
from kubectl_lbdoctor.model.run import Run

_USUAL_WIDTH, _USUAL_HEIGHT = 120, 40
"""Columns and lines of a terminal that does not say how large it is."""


def _forget_typed(terminal: TextIO) -> None:
    """Drop what was typed, or pasted, before it was asked for."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no termios, and a terminal of tests no descriptor.
        import termios

        with suppress(termios.error):
            termios.tcflush(terminal.fileno(), termios.TCIFLUSH)


def _utc_now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Environment:
    """Streams and facts of the process; tests put their own in its place.

    width: columns of the terminal, 0 when stdout is none (then nothing is cut). now: fixed time (RFC 3339) for tests.
    sleep and clock: how waiting passes, in seconds.
    """

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    fixed_width: int | None = None
    fixed_now: str = ""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    colour_choice: str = "auto"
    """What --color says: auto, always or never."""
    has_output: bool = field(default=False, init=False)
    """Whether anything was written to stdout."""

    def __post_init__(self) -> None:
        self._began = self.clock()

    def run(self, status: ExitStatus, calls: Mapping[str, int] | None = None) -> Run:
        """How the run went until now. status: what it ends with. calls: requests that it has sent, by their names."""
        return Run(status, round((self.clock() - self._began) * 1000), calls or {})

    @property
    def has_process_streams(self) -> bool:
        """Whether the input and the result go through the process's own streams."""
        return self.stdin is sys.stdin and self.stdout is sys.stdout

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at stdout."""
        return self.stdout.isatty()

    @property
    def width(self) -> int:
        """Columns for the result; COLUMNS overrides the terminal's, and counts for nothing where there is none."""
        if self.fixed_width is not None:
            return self.fixed_width
        if not self.is_terminal:
            return 0
        if self.variables.get("COLUMNS", "").isdigit():
            return int(self.variables["COLUMNS"])
        try:
            return os.get_terminal_size(self.stdout.fileno()).columns or _USUAL_WIDTH
        except OSError:
            return _USUAL_WIDTH

    @property
    def height(self) -> int:
        """Lines of the terminal."""
        if self.variables.get("LINES", "").isdigit():
            return int(self.variables["LINES"])
        try:
            return os.get_terminal_size(self.stdout.fileno()).lines or _USUAL_HEIGHT
        except (OSError, ValueError):
            return _USUAL_HEIGHT

    @property
    def colour(self) -> bool:
        """Whether the screen is coloured: --color decides, then NO_COLOR (no-color.org: any non-empty value), then
        FORCE_COLOR (force-color.org) and CLICOLOR_FORCE (bixense.com/clicolors), each but for "0", then the terminal.
        """
        if self.colour_choice != "auto":
            return self.colour_choice == "always"
        if self.variables.get("NO_COLOR"):
            return False
        if any(self.variables.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
            return True
        return self.is_terminal and self.variables.get("TERM") != "dumb"

    def now(self) -> str:
        """The current time, RFC 3339 in UTC with seconds."""
        return self.fixed_now or _utc_now()

    def out(self, text: str) -> None:
        """The result alone goes to stdout. When nobody reads on (`| head`), the exit status still tells it."""
        self.has_output = self.has_output or bool(text)
        with suppress(BrokenPipeError):
            self.stdout.write(text)

    def flush(self) -> None:
        """Show at once what was written: what follows takes a while."""
        with suppress(BrokenPipeError):
            self.stdout.flush()

    def confirm(self, question: str) -> bool:
        """Ask on stderr; only "y" or "yes" is a yes, and only one that was typed after the question. Raises UsageError
        where nobody can answer."""
        if self.stdin is None or not self.stdin.isatty():
            raise UsageError("nobody can confirm the change: standard input is no terminal", "confirm with --yes")
        self.flush()
        _forget_typed(self.stdin)
        with suppress(BrokenPipeError):
            self.stderr.write(question)
            self.stderr.flush()
        return self.stdin.readline().strip().lower() in ("y", "yes")

    def note(self, text: str) -> None:
        """Progress, warnings and errors go to stderr; where that is gone (a terminal that was closed), nowhere."""
        with suppress(OSError):
            self.stderr.write(text + "\n")
            self.stderr.flush()

    def progress(self, text: str) -> None:
        """A passing note that is overwritten; only where a person watches."""
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{text}…" if text else "\r\x1b[K")
            self.stderr.flush()
