"""A screen that takes the place of the one before, for results that grow or change while a person watches."""

from __future__ import annotations

import re
from itertools import accumulate

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.held_signals import signals_held

_UP, _CLEAR_BELOW = "\x1b[{}F", "\x1b[J"
"""Control sequences: to the begin of the line that many lines up; clear from here to the end of the screen.
https://invisible-island.net/xterm/ctlseqs/ctlseqs.html (CPL, ED)"""


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Refresh:
    """Writes screens on a terminal, each over the last one. Ctrl-C comes between two screens, never within one, or
    nobody would know how many lines to write over. What is taller than the terminal is cut at its foot: lines
    that have left at the top cannot be written over."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._lines = 0

    def show(self, text: str) -> None:
        """Write a screen in the place of the last one."""
        lines = text.rstrip("\n").split("\n")
        room = self._env.height - 2
        shown = lines[: self._fitting(lines, room)]
        if len(shown) < len(lines):
            shown = lines[: self._fitting(lines, room - 1)]
            shown.append(f"… {len(lines) - len(shown)} more lines")
        with signals_held():
            self._clear()
            self._env.out("".join(f"{line}\n" for line in shown))
            self._env.flush()
            self._lines = sum(map(self._height, shown))

    def _fitting(self, lines: list[str], room: int) -> int:
        """How many of the lines fit into so many lines of the terminal."""
        heights = accumulate(map(self._height, lines))
        return sum(1 for height in heights if height <= room)

    def _height(self, line: str) -> int:
        """Lines of the terminal that a line takes: one that is wider than the terminal goes on in the next."""
        width = len(_COLOUR.sub("", line))
        return max(1, -(-width // max(self._env.width, 1)))

    def clear(self) -> None:
        """Take the last screen away."""
        with signals_held():
            self._clear()

    def _clear(self) -> None:
        self._env.progress("")
        if self._lines:
            self._env.out(_UP.format(self._lines) + _CLEAR_BELOW)
        self._lines = 0
