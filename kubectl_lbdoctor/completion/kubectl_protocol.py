"""Answers kubectl, which asks `kubectl_complete-lbdoctor` what can stand where the cursor is.

kubectl gives the words after `lbdoctor`, the unfinished one last, and reads lines "VALUE<tab>DESCRIPTION" and at the
end ":DIRECTIVE", a sum of bits.
Sources: https://github.com/kubernetes/kubernetes/pull/105867 (plugins),
https://github.com/spf13/cobra/blob/main/site/content/completions/_index.md (`ShellCompDirective`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem, ShellComplete

from kubectl_lbdoctor import PROGRAM

NO_SPACE, NO_FILES, DIRECTORIES = 2, 4, 16
"""Bits of the directive: no space after the value; names of files are no help; names of folders alone are."""


def answer(cli: click.Command, words: Sequence[str], state: Mapping[str, Any]) -> str:
    """All lines for kubectl. words: those that were typed, the last one unfinished. state: click's `obj`.

    Whatever goes wrong, there are then no values, and nothing is said: it would be written over the command line.
    """
    *before, incomplete = words or ("",)
    try:
        items = ShellComplete(cli, {"obj": dict(state)}, PROGRAM, "").get_completions(before, incomplete)
        return _lines(items)
    except (Exception, SystemExit):
        return f":{NO_FILES}\n"


def _lines(items: Iterable[CompletionItem[str]]) -> str:
    lines, directive = [], NO_FILES
    for item in items:
        if item.type == "file":
            directive &= ~NO_FILES
        elif item.type == "dir":
            directive |= DIRECTORIES
        else:
            description = " ".join((item.help or "").split())
            lines.append(f"{item.value}\t{description}" if description else str(item.value))
            directive |= NO_SPACE if item.nospace else 0
    return "".join(f"{line}\n" for line in [*lines, f":{directive}"])
