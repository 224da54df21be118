"""Questions on a terminal, and words for one that is gone."""

from __future__ import annotations

import io
import os
import tty
from collections.abc import Iterator

import pytest

from kubectl_lbdoctor.env import Environment


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The descriptors of a person's side and of the program's side of a terminal."""
    person, program = os.openpty()
    tty.setcbreak(program)
    yield person, program
    os.close(person)
    os.close(program)


class Answering(io.StringIO):
    """A person types when the question is shown."""

    def __init__(self, person: int, text: bytes) -> None:
        super().__init__()
        self._person, self._text = person, text

    def write(self, text: str) -> int:
        if "?" in text:
            os.write(self._person, self._text)
        return super().write(text)


@pytest.mark.parametrize(("answer", "yes"), [(b"n\n", False), (b"y\n", True), (b"\n", False)])
def test_only_what_is_typed_after_the_question_answers_it(terminal: tuple[int, int], answer: bytes, yes: bool) -> None:
    """A line that was pasted with a "y" after the command, or an impatient Enter."""
    person, program = terminal
    os.write(person, b"y\n")
    with os.fdopen(os.dup(program)) as stdin:
        env = Environment(stdin=stdin, stdout=io.StringIO(), stderr=Answering(person, answer))
        assert env.confirm("Apply 1 change? [y/N]: ") is yes


def test_a_terminal_that_is_gone_ends_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    Environment(stderr=Gone()).note("removed: 1 debug pod")
