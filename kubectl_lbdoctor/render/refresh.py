"""A screen that takes the place of the one before, for results that grow or change while a person watches."""

from __future__ import annotations

from kubectl_lbdoctor.env import Environment

_UP, _CLEAR_BELOW = "\x1b[{}F", "\x1b[J"
"""Control sequences: to the begin of the line that many lines up; clear from here to the end of the screen.
https://invisible-island.net/xterm/ctlseqs/ctlseqs.html (CPL, ED)"""


class Refresh:
    """Writes screens on a terminal, each over the last one. What is taller than the terminal is cut at its foot: lines
    that have left at the top cannot be written over."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._lines = 0

    def show(self, text: str) -> None:
        """Write a screen in the place of the last one."""
        lines = text.rstrip("\n").split("\n")
        room = self._env.height - 2
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
        self.clear()
        self._env.out("".join(f"{line}\n" for line in lines))
        self._env.flush()
        self._lines = len(lines)

    def clear(self) -> None:
        """Take the last screen away."""
        self._env.progress("")
        if self._lines:
            self._env.out(_UP.format(self._lines) + _CLEAR_BELOW)
        self._lines = 0
