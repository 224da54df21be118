"""How a result is to be shown, whichever format shows it."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_lbdoctor.model.run import NOT_TOLD, Run


class View(NamedTuple):
    """How to print for people, and what a document says of its run. width: columns of the terminal, 0 for no limit.
    wide: all columns. colour: ANSI. headers: tables begin with a line of titles. output: what stands behind -o, as
    typed. run: how the run went."""

    width: int = 0
    wide: bool = False
    colour: bool = False
    headers: bool = True
    output: str = ""
    run: Run = NOT_TOLD
