"""Text for people: tables that adapt to the width, colour, and removal of what a cluster might put into a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

import tabulate as tables

from kubectl_lbdoctor.knowledge.secret_text import without_credentials
from kubectl_lbdoctor.record import record

# kubectl puts two spaces between columns; tabulate would widen each header by two more.
tables.MIN_PADDING = 0

# Everything that Python or a terminal takes for the end of a line.
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# C0 and C1 controls, and the marks that reorder text (Trojan Source): names and messages come from applications.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """Text without terminal control and reordering characters; line breaks and tabs become spaces."""
    return _CONTROL.sub("", _BREAKS.sub(" ", text))


def quoted(text: str) -> str:
    """Somebody else's words on one line: clean, and without the credentials that they may show."""
    return clean(without_credentials(text))


@record
class Column:
    """A column. `keep` orders which is dropped first when the table is too wide (the lowest; 100 never is); a `wide`
    one is shown only with -o wide."""

    title: str
    keep: int = 100
    wide: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, wide: bool) -> str:
    """A kubectl-like plain table. Columns are dropped, never wrapped, until it fits `width` (0 = unlimited)."""
    shown = [i for i, column in enumerate(columns) if wide or not column.wide]
    body = [[clean(cell) for cell in row] for row in rows]
    while True:
        text = tables.tabulate(
            [[row[i] for i in shown] for row in body],
            headers=[columns[i].title for i in shown],
            tablefmt="plain",
            disable_numparse=True,
        )
        lines = [line.rstrip() for line in text.splitlines()]
        droppable = [i for i in shown if columns[i].keep < 100]
        if wide or not width or max(map(len, lines), default=0) <= width or not droppable:
            return "\n".join(lines)
        shown.remove(min(droppable, key=lambda i: (columns[i].keep, -i)))


_COLOUR_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


class Paint:
    """ANSI colours where they are wanted, the plain text where not."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, colour: str, text: str) -> str:
        return f"\x1b[{_COLOUR_CODES[colour]}m{text}\x1b[0m" if self._on else text
