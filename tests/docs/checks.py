"""docs/checks.md: the pages of `explain`, each with what the program says of a recorded fault."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.render.explain import markdown
from tests.support import cases

_PAGE = re.compile(r"^## (LBD[0-9]{3})$", re.MULTILINE)


def page() -> str:
    """The whole document."""
    intro, *parts = _PAGE.split(markdown(CATALOGUE))
    pages = zip(parts[::2], parts[1::2], strict=True)
    written = (f"## {code}{text.rstrip()}\n{example(code)}{declared_in(code)}\n" for code, text in pages)
    return intro + "".join(written).rstrip() + "\n"


def declared_in(code: str) -> str:
    """Where its function stands; "" for what the program itself reports."""
    function = CATALOGUE[code].function
    if function is None:
        return ""
    path = f"{function.__module__.replace('.', '/')}.py"
    return f"\nDeclared in [{path.partition('/')[2]}](../{path}).\n"


def example(code: str) -> str:
    """What is said of the first recorded fault of this code: the sentence and its first evidence; "" without one."""
    for name in _faults(code):
        for diagnosis in cases.result(name).report.diagnoses:
            if diagnosis.finding.code == code:
                seen = [f"{e.source}: {e.text}" for e in diagnosis.finding.evidence[:1]]
                told = "".join(f"; seen in {_quoted(text)}" for text in seen)
                return f"\nExample ({_quoted(name)}): {_quoted(diagnosis.message)}{told}.\n"
    return ""


def _faults(code: str) -> Iterator[str]:
    """The cases that are about a code, and expect it."""
    for name in cases.names():
        if name.startswith(f"{code}-") and any(d["code"] == code for d in cases.load(name).diagnoses):
            yield name


def _quoted(text: str) -> str:
    """Text as code, so that nothing in it is Markdown."""
    return f"`{text.replace('`', chr(39))}`"
