"""Lines that are shown as things happen: on stdout for people, on stderr where a document comes at the end."""

from __future__ import annotations

from typing import Any

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.options import OutputOptions
from kubectl_lbdoctor.render.formats import format_of, render
from kubectl_lbdoctor.render.text import clean
from kubectl_lbdoctor.render.view import View


class Live:
    """The way out of a run's events in one format."""

    def __init__(self, env: Environment, output: OutputOptions) -> None:
        format = format_of(output.format)
        self._env = env
        self._format = output.format
        self._for_people = format.for_people
        self._said: set[str] = set()
        self.width = 0 if format.wide else env.width
        """Columns of the terminal, 0 for no limit."""
        self.headers = not output.no_headers
        """Whether tables begin with a line of titles."""

    @property
    def colour(self) -> bool:
        """Whether colours are wanted."""
        return self._env.colour

    def line(self, label: str, text: str) -> None:
        """One labelled line of the result."""
        self._text(f"{label:<9} {clean(text)}\n")

    def block(self, text: str) -> None:
        """Lines that a document holds in its own way: shown to people only."""
        if self._for_people:
            self._text(text)

    def note(self, text: str) -> None:
        """A line on stderr in every format."""
        self._env.progress("")
        self._env.note(clean(text))

    def note_once(self, text: str) -> None:
        """A line on stderr, unless it was said before: several steps may fail for one reason."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)

    def progress(self, text: str) -> None:
        """A passing note that the next line overwrites."""
        self._env.progress(clean(text))

    def document(self, result: Any, run: Run) -> None:
        """The result as a document; nothing in a format for people, who have seen it happen.

        What was changed decides how the program ends: a template that does not fit the document is told, not raised.
        """
        if self._for_people:
            return
        self._env.progress("")
        try:
            self._env.out(render(result, self._format, View(headers=self.headers, run=run)))
        except LbdoctorError as error:
            self.note(f"error: {error.message}")

    def _text(self, text: str) -> None:
        self._env.progress("")
        if self._for_people:
            self._env.out(text)
            self._env.flush()
        else:
            self._env.note(text.rstrip("\n"))
