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
COLUMNS = st.lists(
    st.builds(Column, WORDS, st.sampled_from([10, 20, 30, 100]), st.booleans()), min_size=1, max_size=6
).filter(lambda columns: any(not c.wide for c in columns))


@given(COLUMNS, st.data(), st.integers(0, 60), st.booleans())
def test_columns_are_dropped_and_rows_never_wrap(
    columns: list[Column], data: st.DataObject, width: int, wide: bool
) -> None:
    cells = st.lists(st.text(max_size=10), min_size=len(columns), max_size=len(columns))
    rows = data.draw(st.lists(cells, max_size=4))
    text = table(columns, rows, width, wide)
    lines = text.split("\n")
    assert len(lines) == 1 + len(rows)
    assert all(line == line.rstrip() for line in lines)
    shown = [c for c in columns if wide or not c.wide]
    if wide or not width:
        assert all(c.title in lines[0] for c in shown)
    elif any(c.keep < 100 and c.title in lines[0].split() for c in shown) and len({c.title for c in columns}) == len(
        columns
    ):
        assert max(map(len, lines)) <= width, "a column that may go is still there"
    assert all(c.title in lines[0] for c in shown if c.keep == 100)


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
