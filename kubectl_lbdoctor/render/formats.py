"""The formats of `-o`. A new one is a function here, or in a module of its own, and one line in the table.

A format may take an argument behind a "=", as kubectl's templates do: `-o jsonpath={.status}`. Everything that a format
needs is imported when it is used: `--help` only wants the names.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.suggestions import likely, question


class Result(Enum):
    """What a command may print."""

    REPORT = "a diagnosis"
    SCAN = "a scan"
    CONTROLLER = "the page of the controller"
    PROBES = "the probe command"
    FIX = "--fix"
    UNDO = "undo"
    CHECKS = "the list of checks"
    EXPLANATION = "explain"
    VERSION = "version"


class Format(NamedTuple):
    """One format. render: the whole text of a result. for_people: what happens is shown on stdout as it happens; with
    any other format it goes to stderr, and the document comes at the end. results: what it can show. argument: what
    stands behind its name and a "=" ("TEMPLATE"), "" for nothing. check: takes what stands behind -o and raises
    UsageError where it cannot be used, before any work is done; CouldNotRun where this machine cannot make the format.
    tells_errors: an error is a document on stdout, too. streams: a scan writes it as things become known
    (`render.scan_stream`). draws: it shows a report with its pictures
    (`model.picture.Pictured`) in place of the report."""

    render: Callable[[Any, View], str]
    results: frozenset[Result] = frozenset(Result)
    for_people: bool = False
    wide: bool = False
    argument: str = ""
    check: Callable[[str], None] = lambda output: None
    tells_errors: bool = False
    streams: bool = False
    draws: bool = False


def as_table(result: Any, view: View) -> str:
    """A screen for people."""
    from kubectl_lbdoctor.render import screens

    return screens.render(result, view)


def as_json(result: Any, view: View) -> str:
    """The document as JSON, in ASCII."""
    import json

    from kubectl_lbdoctor.render.documents import document

    return json.dumps(document(result, view.run), indent=2, ensure_ascii=True) + "\n"


def as_yaml(result: Any, view: View) -> str:
    """The document as YAML, in ASCII."""
    import yaml

    from kubectl_lbdoctor.render.documents import document

    text: str = yaml.safe_dump(document(result, view.run), sort_keys=False, allow_unicode=False, width=120)
    return text


def as_names(result: Any, view: View) -> str:
    """One name a line, as kubectl's -o name: of what needs attention, of what is changed, or of all checks."""
    from kubectl_lbdoctor.render.documents import names
    from kubectl_lbdoctor.render.text import clean

    return "".join(f"{clean(name)}\n" for name in dict.fromkeys(names(result)))


def as_junit(result: Any, view: View) -> str:
    """JUnit XML."""
    from kubectl_lbdoctor.render import junit

    return junit.render(result, view)


def as_sarif(result: Any, view: View) -> str:
    """SARIF 2.1.0."""
    from kubectl_lbdoctor.render import sarif

    return sarif.render(result, view)


def as_kubectl_does(result: Any, view: View) -> str:
    """A template of kubectl's."""
    from kubectl_lbdoctor.render.documents import document
    from kubectl_lbdoctor.render.kubectl_printer import printed

    return printed(document(result, view.run), view.output)


def _check_template(output: str) -> None:
    from kubectl_lbdoctor.render.kubectl_printer import check

    check(output)


def as_custom_columns(result: Any, view: View) -> str:
    """A row for the document, or for each item of a list."""
    from kubectl_lbdoctor.render.custom_columns import rendered
    from kubectl_lbdoctor.render.documents import rows

    return rendered(rows(result, view.run), view.output, view.headers)


def _check_columns(output: str) -> None:
    from kubectl_lbdoctor.render.custom_columns import check

    check(output)


def as_page(result: Any, view: View) -> str:
    """One HTML page with a picture."""
    from kubectl_lbdoctor.render.page import page

    return page(result, view.run)


def as_dot(result: Any, view: View) -> str:
    """A graph for Graphviz."""
    from kubectl_lbdoctor.render.graphs import dot

    return dot(result)


def as_mermaid(result: Any, view: View) -> str:
    """A flowchart for Mermaid."""
    from kubectl_lbdoctor.render.graphs import mermaid

    return mermaid(result)


def _template(argument: str) -> Format:
    return Format(as_kubectl_does, argument=argument, check=_check_template)


_NAMED = frozenset({Result.REPORT, Result.SCAN, Result.FIX, Result.UNDO, Result.CHECKS})
_WITH_WIDE_TABLES = frozenset({Result.REPORT, Result.SCAN, Result.CONTROLLER, Result.PROBES, Result.FIX, Result.UNDO})
_FOR_CI = frozenset({Result.SCAN})
_DRAWN = frozenset({Result.REPORT, Result.SCAN})

FORMATS = {
    "table": Format(as_table, for_people=True),
    "wide": Format(as_table, _WITH_WIDE_TABLES, for_people=True, wide=True),
    "json": Format(as_json, tells_errors=True, streams=True),
    "yaml": Format(as_yaml, tells_errors=True),
    "name": Format(as_names, _NAMED),
    "junit": Format(as_junit, _FOR_CI),
    "sarif": Format(as_sarif, _FOR_CI),
    "html": Format(as_page, _DRAWN, draws=True),
    "dot": Format(as_dot, _DRAWN, draws=True),
    "mermaid": Format(as_mermaid, _DRAWN, draws=True),
    "jsonpath": _template("TEMPLATE"),
    "jsonpath-as-json": _template("TEMPLATE"),
    "jsonpath-file": _template("FILE"),
    "custom-columns": Format(as_custom_columns, argument="SPEC", check=_check_columns),
    "custom-columns-file": Format(as_custom_columns, argument="FILE", check=_check_columns),
    "go-template": _template("TEMPLATE"),
    "go-template-file": _template("FILE"),
    "template": _template("TEMPLATE"),
    "templatefile": _template("FILE"),
}


def formats_of(result: Result) -> tuple[str, ...]:
    """The names of the formats that can show a result, the default first."""
    return tuple(name for name, format in FORMATS.items() if result in format.results)


def format_of(output: str) -> Format:
    """The format of what stands behind -o. Raises UsageError for one that does not exist, or an argument too many or
    too few; the sentences are kubectl's."""
    name, equals, argument = output.partition("=")
    found = FORMATS.get(name)
    if found is None or (equals and not found.argument):
        raise UsageError(
            f'unable to match a printer suitable for the output format "{output}", allowed formats are: '
            + ",".join(FORMATS),
            question(f"-o {likely_one}" for likely_one in likely(name, FORMATS)),
        )
    if found.argument and not argument:
        missing = ("custom-columns", "custom columns") if name.startswith("custom") else ("template", "template")
        raise UsageError(
            f"{missing[0]} format specified but no {missing[1]} given", f"write -o {name}={found.argument}"
        )
    return found


def render(result: Any, output: str, view: View = View()) -> str:  # noqa: B008
    """The text of a result. output: what stands behind -o."""
    format = format_of(output)
    width = 0 if format.wide else view.width
    return format.render(result, view._replace(width=width, wide=format.wide, output=output))
