"""The terminal is given back as it was, whatever was given up while it asked for a password there."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

ASKS_AND_IS_GIVEN_UP = """
import termios
from kubectl_lbdoctor import cli

def run(*_):
    with open("/dev/tty", "rb", buffering=0) as tty:
        silent = termios.tcgetattr(tty)
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(tty, termios.TCSANOW, silent)
        assert not termios.tcgetattr(tty)[3] & termios.ECHO
    return 4

cli.main = run
from kubectl_lbdoctor.__main__ import main
main()
"""


def test_the_terminal_gets_its_echo_back() -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    try:
        ended = subprocess.run(
            [sys.executable, "-c", ASKS_AND_IS_GIVEN_UP],
            stdin=theirs,
            capture_output=True,
            text=True,
            preexec_fn=take_terminal,
            cwd=Path(__file__).parents[2],
            timeout=120,
            check=False,
        )
        assert ended.returncode == 4, ended.stderr
        assert termios.tcgetattr(theirs)[3] & termios.ECHO
    finally:
        os.close(ours)
        os.close(theirs)
