"""`scan -w` on the lab, on a terminal, until somebody presses Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable

import pyte
import pytest

from tests.lab import build, examples
from tests.lab.api import Lab

CTRL_C = b"\x03"
COLUMNS, LINES = 110, 40
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """A program on a terminal of its own, with what it has written and what stands there after it."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.text = ""
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True, preexec_fn=self._own
        )

    def _own(self) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSCTTY, 0)
        # As a shell does at its terminal: a job in the background of another shell was told to ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def until(self, reached: Callable[[str], bool], timeout: float = 60) -> None:
        """Read on until it has written what is waited for."""
        deadline = time.monotonic() + timeout
        while not reached(COLOUR.sub("", self.text)):
            assert time.monotonic() < deadline and self._process.poll() is None, self.text
            self._read()

    def _read(self) -> bool:
        """Read what it has written, if it writes within a moment."""
        readable = bool(select.select([self._ours], [], [], 0.2)[0])
        if readable:
            self.text += os.read(self._ours, 65536).decode()
        return readable

    def press(self, key: bytes) -> int:
        """Its exit status after this key. What it writes until then is read, as a terminal does: a full one would stop
        it."""
        os.write(self._ours, key)
        deadline = time.monotonic() + 30
        while self._process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self._read()
        while self._read():
            pass
        status = self._process.returncode
        self.settings = termios.tcgetattr(self._theirs)
        os.close(self._ours)
        os.close(self._theirs)
        return status

    @property
    def lines(self) -> list[str]:
        """The lines that a person sees now."""
        terminal = pyte.Screen(COLUMNS, LINES)
        pyte.Stream(terminal).feed(self.text)
        return [line.rstrip() for line in terminal.display]


@pytest.mark.smoke
def test_ctrl_c_ends_it_and_leaves_the_last_state(lab: Lab, space: str) -> None:
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)
    env = {**lab.environment(), "COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm"}
    screen = Screen([str(build.kubernetes("kubectl")), "lbdoctor", "scan", "-w", "-n", space], env)
    screen.until(lambda text: "1 healthy of 1 frontend" in text)
    lab.patch("service", "web", space, [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9090}])
    screen.until(lambda text: "LBD307" in text, timeout=120)
    assert screen.press(CTRL_C) == 130, screen.text
    assert screen.settings == screen.before
    lines = screen.lines
    assert sum("KIND" in line for line in lines) == 1, lines
    assert any("web" in line and "LBD307" in line for line in lines), lines
    assert "Traceback" not in screen.text and "Exception" not in screen.text
