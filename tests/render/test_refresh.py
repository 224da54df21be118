"""A screen takes the place of the one before, whatever wraps on a terminal and however tall it is."""

from __future__ import annotations

import signal

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.render.refresh import Refresh
from tests.support.program import Terminal


def screen(width: int, lines: int) -> tuple[Refresh, Terminal]:
    out = Terminal()
    env = Environment(stdout=out, stderr=Terminal(), variables={"LINES": str(lines)}, fixed_width=width)
    return Refresh(env), out


def test_the_next_screen_is_written_over_the_last() -> None:
    refresh, out = screen(20, 40)
    refresh.show("one\ntwo\n")
    assert out.getvalue() == "one\ntwo\n"
    refresh.show("three\n")
    assert out.getvalue() == "one\ntwo\n\x1b[2F\x1b[Jthree\n"
    refresh.clear()
    refresh.clear()
    assert out.getvalue().endswith("three\n\x1b[1F\x1b[J")


def test_lines_that_wrap_are_counted_as_the_terminal_shows_them() -> None:
    refresh, out = screen(10, 40)
    refresh.show(f"{'x' * 10}\n{'y' * 11}\n\x1b[31m{'z' * 9}\x1b[0m\n\n")
    refresh.clear()
    assert out.getvalue().endswith("\x1b[4F\x1b[J")


def test_what_is_taller_than_the_terminal_is_cut() -> None:
    refresh, out = screen(80, 6)
    refresh.show("".join(f"line {number}\n" for number in range(9)))
    assert out.getvalue() == "line 0\nline 1\nline 2\n… 6 more lines\n"
    refresh.clear()
    assert out.getvalue().endswith("\x1b[4F\x1b[J")


@given(st.lists(st.lists(st.text("ab ", max_size=45), min_size=1, max_size=9), min_size=1, max_size=5))
def test_a_terminal_shows_the_last_screen_only(screens: list[list[str]]) -> None:
    refresh, out = screen(20, 8)
    terminal = pyte.Screen(20, 8)
    stream = pyte.Stream(terminal)
    for lines in screens:
        refresh.show("\n".join([*lines, "end"]))
        stream.feed(out.getvalue().replace("\n", "\r\n"))
        out.seek(0)
        out.truncate()
    refresh.show("last")
    stream.feed(out.getvalue().replace("\n", "\r\n"))
    assert "".join(terminal.display).split() == ["last"]


def test_ctrl_c_while_a_screen_is_written_leaves_none_of_it_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    refresh, out = screen(20, 40)
    refresh.show("one\n")
    monkeypatch.setattr(out, "flush", lambda: signal.raise_signal(signal.SIGINT))
    # A shell starts what it puts into the background with SIGINT ignored, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            refresh.show("two\nthree\n")
    finally:
        signal.signal(signal.SIGINT, before)
    assert out.getvalue().endswith("two\nthree\n")
    monkeypatch.undo()
    refresh.clear()
    assert out.getvalue().endswith("two\nthree\n\x1b[2F\x1b[J")
