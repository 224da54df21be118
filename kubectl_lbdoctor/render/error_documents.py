"""Errors for programs: with `-o json` or `-o yaml`, standard output holds a document of the kind Error.

An error may come before the flags are understood, so what stands behind -o is looked for in the words as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.model.failed import Failed
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.render.formats import FORMATS, render
from kubectl_lbdoctor.render.view import View


def error_document(words: Sequence[str], failed: Failed, run: Run) -> str:
    """The text for standard output; "" where the command line asks for no document."""
    output = next(reversed(list(_outputs(words))), "")
    format = FORMATS.get(output)
    return render(failed, output, View(run=run)) if format is not None and format.tells_errors else ""


def _outputs(words: Sequence[str]) -> Iterator[str]:
    """What stands behind each -o of the command line, in every form that kubectl takes."""
    for position, word in enumerate(words):
        if word == "--":
            return
        if word in ("-o", "--output"):
            yield words[position + 1] if position + 1 < len(words) else ""
        elif word.startswith("--output="):
            yield word.removeprefix("--output=")
        elif word.startswith("-o"):
            yield word.removeprefix("-o").removeprefix("=")
