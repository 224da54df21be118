"""Text for people: tables and sentences that adapt to the width, colour, and removal of what a cluster might put into
a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import tabulate as tables

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
    from kubectl_lbdoctor.knowledge.secret_text import without_credentials  # a run without such words does without

    return clean(without_credentials(text))


def cut(text: str, width: int) -> str:
    """Text that takes no more than `width` columns; what is longer ends with an ellipsis."""
    return text if len(text) <= width else f"{text[: max(width - 1, 0)].rstrip()}…"


@record
class Column:
    """A column. `keep` orders which is dropped first when the table is too wide (the lowest; 100 never is); a `wide`
    one is shown only with -o wide."""

    title: str
    keep: int = 100
    wide: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, wide: bool, headers: bool = True
) -> str:
    """A kubectl-like plain table. Columns are dropped, never wrapped, until it fits `width` (0 = unlimited). headers:
    whether it begins with the titles."""
    shown = [i for i, column in enumerate(columns) if wide or not column.wide]
    body = [[clean(cell) for cell in row] for row in rows]
    while True:
        text = tables.tabulate(
            [[row[i] for i in shown] for row in body],
            headers=[columns[i].title for i in shown] if headers else (),
            tablefmt="plain",
            disable_numparse=True,
        )
        lines = [line.rstrip() for line in text.splitlines()]
        droppable = [i for i in shown if columns[i].keep < 100]
        if wide or not width or max(map(len, lines), default=0) <= width or not droppable:
            return "\n".join(lines)
        shown.remove(min(droppable, key=lambda i: (columns[i].keep, -i)))


def table_or_records(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, wide: bool, headers: bool = True
) -> str:
    """A table without the columns that are empty; where what must be shown is wider than `width`, a block of
    "TITLE  value" lines for each row, with everything in it."""
    kept = [i for i in range(len(columns)) if wide or any(row[i].strip("-") for row in rows) or columns[i].keep == 100]
    columns, rows = [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]
    text = table(columns, rows, width, wide, headers)
    if wide or not width or max(map(len, text.splitlines()), default=0) <= width:
        return text
    shown = [i for i, column in enumerate(columns) if not column.wide]
    pad = max(len(columns[i].title) for i in shown)
    return "\n\n".join(
        "\n".join(wrapped(f"{columns[i].title:<{pad}}  ", row[i], width) for i in shown if row[i]) for row in rows
    )


def wrapped(head: str, text: str, width: int, indent: int = -1) -> str:
    """`head` and `text` in lines of at most `width` (0 = one line), broken between words only and each continued under
    the begin of the text, or after `indent` spaces. A word that is longer than a line stays whole."""
    text = clean(text)
    if not width:
        return f"{head}{text}".rstrip()
    return "\n".join(
        textwrap.wrap(
            text,
            width,
            initial_indent=head,
            subsequent_indent=" " * (len(head) if indent < 0 else indent),
            break_long_words=False,
            break_on_hyphens=False,
        )
        or [head.rstrip()]
    )


_COLOUR_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


class Paint:
    """ANSI colours where they are wanted, the plain text where not."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, colour: str, text: str) -> str:
        return f"\x1b[{_COLOUR_CODES[colour]}m{text}\x1b[0m" if self._on else text
