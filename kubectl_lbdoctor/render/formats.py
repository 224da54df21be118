"""The formats of `-o`. A new one is a function here, or in a module of its own, and one line in the table.

Everything that a format needs is imported when it is used: `--help` only wants the names.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple


class Result(Enum):
    """What a command may print."""

    REPORT = "a diagnosis"
    PROBES = "the probe command"
    FIX = "--fix"
    UNDO = "undo"
    CHECKS = "the list of checks"


class View(NamedTuple):
    """How to print for people. width: columns of the terminal, 0 for no limit. wide: all columns. colour: ANSI."""

    width: int = 0
    wide: bool = False
    colour: bool = False


class Format(NamedTuple):
    """One format. render: the whole text of a result, ending with a line break. for_people: what happens is shown on
    stdout as it happens; with any other format it goes to stderr, and the document comes at the end. results: what it
    can show."""

    render: Callable[[Any, View], str]
    results: frozenset[Result] = frozenset(Result)
    for_people: bool = False
    wide: bool = False


def as_table(result: Any, view: View) -> str:
    """A screen for people."""
    from kubectl_lbdoctor.render import screens

    return screens.render(result, view)


def as_json(result: Any, view: View) -> str:
    """The document as JSON, in ASCII."""
    import json

    from kubectl_lbdoctor.render.documents import document

    return json.dumps(document(result), indent=2, ensure_ascii=True) + "\n"


def as_yaml(result: Any, view: View) -> str:
    """The document as YAML, in ASCII."""
    import yaml

    from kubectl_lbdoctor.render.documents import document

    text: str = yaml.safe_dump(document(result), sort_keys=False, allow_unicode=False, width=120)
    return text


def as_names(result: Any, view: View) -> str:
    """One name a line, as kubectl's -o name: of what needs attention, of what is changed, or of all checks."""
    from kubectl_lbdoctor.render.documents import names
    from kubectl_lbdoctor.render.text import clean

    return "".join(f"{clean(name)}\n" for name in dict.fromkeys(names(result)))


FORMATS = {
    "table": Format(as_table, for_people=True),
    "wide": Format(as_table, frozenset(Result) - {Result.CHECKS}, for_people=True, wide=True),
    "json": Format(as_json),
    "yaml": Format(as_yaml),
    "name": Format(as_names, frozenset(Result) - {Result.PROBES}),
}


def formats_of(result: Result) -> tuple[str, ...]:
    """The names of the formats that can show a result, the default first."""
    return tuple(name for name, format in FORMATS.items() if result in format.results)


def render(result: Any, format: str, view: View = View()) -> str:  # noqa: B008
    """The text of a result in a format of the table."""
    wide = FORMATS[format].wide
    return FORMATS[format].render(result, View(0 if wide else view.width, wide, view.colour))
