"""A screen takes the place of the one before, whatever wraps on a terminal and however tall it is."""

from __future__ import annotations

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
