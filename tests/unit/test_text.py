"""Tables: nothing dangerous passes, nothing wraps, and columns give way until the width is kept."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.render.text import Column, Paint, clean, table


@given(st.text())
def test_clean_leaves_one_line_without_controls(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned.splitlines()) <= 1
    assert not [c for c in cleaned if unicodedata.category(c) == "Cc"]
    assert not [
        c
        for c in cleaned
        if unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_clean_leaves_ordinary_text_alone(text: str) -> None:
    assert clean(text) == text


def test_clean_keeps_words_apart() -> None:
    assert clean("a\r\nb\tc\u2028d\x1b[31me") == "a b c d[31me"


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=12)
OTHERS = st.builds(Column, WORDS, st.sampled_from([10, 20, 30, 100]), st.booleans())


@given(st.lists(OTHERS, max_size=5, unique_by=lambda c: c.title), st.data(), st.integers(0, 60), st.booleans())
def test_columns_are_dropped_and_rows_never_wrap(
    others: list[Column], data: st.DataObject, width: int, wide: bool
) -> None:
    columns = [Column("THE-NAME-OF-IT"), *others]  # every table begins with a name, which is never dropped
    cells = st.tuples(WORDS, *(st.text(max_size=10) for _ in others))
    rows = data.draw(st.lists(cells, max_size=4))
    lines = table(columns, rows, width, wide).split("\n")
    assert len(lines) == 1 + len(rows)
    assert all(line == line.rstrip() for line in lines)
    titles = lines[0].split()
    possible = [c for c in columns if wide or not c.wide]
    shown = [c for c in possible if c.title in titles]
    assert [c.title for c in shown] == titles
    if wide or not width:
        assert shown == possible
    assert [c for c in possible if c.keep == 100 and c not in shown] == []
    if not wide and width and any(c.keep < 100 for c in shown):
        assert max(map(len, lines)) <= width, "a column that may go is still there"
    dropped = [c.keep for c in possible if c not in shown]
    assert max(dropped, default=0) <= min((c.keep for c in shown), default=100), "the least important go first"


def test_the_least_important_column_goes_first() -> None:
    columns = [Column("NAME"), Column("POD", 70), Column("ZONE", 20), Column("DNS", wide=True)]
    row = [["web", "web-abc-1", "us-west-2a", "a.example"]]
    assert table(columns, row, 0, False).split("\n")[0].split() == ["NAME", "POD", "ZONE"]
    assert table(columns, row, 20, False).split("\n")[0].split() == ["NAME", "POD"]
    assert table(columns, row, 5, False).split("\n")[0].split() == ["NAME"]
    assert table(columns, row, 5, True).split("\n")[0].split() == ["NAME", "POD", "ZONE", "DNS"]


def test_exactly_fitting_width_keeps_everything() -> None:
    columns, row = [Column("A"), Column("B", 10)], [["xx", "yyy"]]
    whole = table(columns, row, 0, False)
    width = max(map(len, whole.split("\n")))
    assert table(columns, row, width, False) == whole
    assert table(columns, row, width - 1, False) != whole


@pytest.mark.parametrize("cell", ["007", "1e5", "1,000", " 1", "nan", "0x10", "-"])
def test_numbers_are_not_reformatted(cell: str) -> None:
    assert table([Column("A")], [[cell]], 0, False).split("\n")[1].strip() == cell.strip()


def test_paint() -> None:
    assert Paint(False)("red", "x") == "x"
    assert Paint(True)("red", "x") == "\x1b[31mx\x1b[0m"
    assert re.sub("\x1b\\[[0-9]+m", "", Paint(True)("bold", "x")) == "x"
