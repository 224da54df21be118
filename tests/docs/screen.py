"""docs/demo/screen.svg: what a terminal shows of the recorded run of `make demo`. Its text is text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.program import Terminal, run

BUNDLE = Path(__file__).parents[2] / "docs" / "demo" / "bundle.json"
COMMAND = "kubectl lbdoctor ingress web -n shop"
"""What the bundle is a recording of."""

COLUMNS = 114
_COLUMN, _LINE, _MARGIN, _BAR = 8.0, 18, 16, 30
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
# SGR codes (ECMA-48, 8.3.117) as attributes; the colours have a contrast of 4.5 and more with the background.
_STYLES = {
    "1": 'font-weight="bold"',
    "2": 'fill="#9aa4b0"',
    "31": 'fill="#ff7b72"',
    "32": 'fill="#7ee787"',
    "33": 'fill="#e3b341"',
    "36": 'fill="#76e3ea"',
}
_SGR = re.compile(r"\x1b\[([0-9;]*)m")


@dataclass(frozen=True)
class Piece:
    """Text of one style on one line: its first column, and the SGR codes that are in force."""

    column: int
    text: str
    codes: tuple[str, ...]


def recorded() -> str:
    """What the terminal shows, with its colours."""
    stdout = Terminal()
    result = run("--from", str(BUNDLE), width=COLUMNS, stdout=stdout, env={"TERM": "xterm-256color"})
    return f"$ {COMMAND}\n{result.stdout}"


def svg() -> str:
    """The picture."""
    lines = [part for line in recorded().rstrip("\n").split("\n") for part in _terminal_lines(line)]
    width = int(COLUMNS * _COLUMN) + 2 * _MARGIN
    height = _BAR + len(lines) * _LINE + _MARGIN
    dots = "".join(
        f'<circle cx="{_MARGIN + 4 + 18 * n}" cy="{_BAR // 2}" r="5" fill="{colour}"/>'
        for n, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    texts = "\n".join(_text(number, pieces) for number, pieces in enumerate(lines) if pieces)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title">\n'
        f'<title id="title">{escape(COMMAND)}, recorded on a real cluster</title>\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>{dots}\n'
        f'<g font-family="{_FONT}" font-size="13" fill="#e6edf3" xml:space="preserve">\n{texts}\n</g>\n</svg>\n'
    )


def _text(number: int, pieces: list[Piece]) -> str:
    """One line. Each piece has the width of its columns, so that columns stand in any font."""
    y = _BAR + (number + 1) * _LINE - 5
    spans = "".join(
        f'<tspan x="{_MARGIN + piece.column * _COLUMN:g}" textLength="{len(piece.text) * _COLUMN:g}" '
        f'lengthAdjust="spacingAndGlyphs"{"".join(f" {_STYLES[code]}" for code in piece.codes)}>'
        f"{escape(piece.text)}</tspan>"
        for piece in pieces
    )
    return f'<text y="{y}">{spans}</text>'


def _terminal_lines(line: str) -> Iterator[list[Piece]]:
    """A line as a terminal breaks it, in pieces of one style without the blanks around them."""
    pieces: list[Piece] = []
    codes: tuple[str, ...] = ()
    column = 0
    for number, part in enumerate(_SGR.split(line)):
        if number % 2:
            codes = () if part in ("", "0") else (*codes, *part.split(";"))
            continue
        while part:
            room, part = part[: COLUMNS - column], part[COLUMNS - column :]
            pieces += [Piece(column + m.start(), m.group(), codes) for m in re.finditer(r"\S+(?: \S+)*", room)]
            column += len(room)
            if part:
                yield pieces
                pieces, column = [], 0
    yield pieces
