"""Pieces that several parts of the page share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.where import Where
from kubectl_lbdoctor.render.markup import Child, Markup, tag
from kubectl_lbdoctor.render.report_screen import first_repair

MOST_OF_TEXT, MOST_OF_COMMAND = 1_000, 4_000
"""Characters. A page is read by people and sent by mail; `-o json` holds everything."""

_QUOTED = re.compile("`([^`]*)`")


def anchor(diagnosis: Diagnosis) -> str:
    """The name of the place on the page that says what to do about a diagnosis."""
    return f"cause-{diagnosis.rank}"


def hop_anchor(diagnosis: Diagnosis) -> str:
    """The name of the place on the page where a diagnosis stands at a hop."""
    return f"at-{diagnosis.rank}"


def command(line: str) -> Markup:
    """A command line to be copied whole; where scripts run, it gets a button for that. One that is too long for the
    page is not shown: half a command would be worse than none."""
    if len(line) > MOST_OF_COMMAND:
        return tag("p", f"a command of {len(line):,} characters, with hundreds of names: see -o json")
    return tag("pre", tag("code", list(unbroken(line))), class_="command", tabindex="0")


def cut(text: str) -> str:
    """A text without the rest of what is too long to be read."""
    return text if len(text) <= MOST_OF_TEXT else f"{text[:MOST_OF_TEXT]} …"


def unbroken(text: str) -> Iterator[Child]:
    """A text whose words with hyphens (flags, ids) go to the next line whole, where they fit there."""
    for number, word in enumerate(text.split(" ")):
        if number:
            yield " "
        yield tag("span", word, class_="w") if "-" in word.strip("-") or word.startswith("-") else word


def next_step(diagnosis: Diagnosis, where: Where) -> Iterator[Child]:
    """What repairs it in short: the advice, and the one command, of the program itself or else by hand, that runs as
    it stands. Where nothing is known to repair it, the command that tells more."""
    finding = diagnosis.finding
    if finding.advice:
        yield tag("p", unbroken(cut(where.sentence(finding.advice))), class_="advice")
    repair = first_repair(diagnosis)
    if repair:
        yield command(where.command(repair))
    elif finding.confirm and not finding.advice:
        yield tag("p", "to settle", class_="between")
        yield command(where.command(finding.confirm[0]))


def with_code(text: str) -> Iterator[Child]:
    """A text in which what stands between backticks is code."""
    for number, piece in enumerate(_QUOTED.split(text)):
        yield tag("code", piece) if number % 2 else piece


def paragraphs(text: str) -> list[Markup]:
    """The paragraphs of an explanation."""
    return [tag("p", list(with_code(" ".join(part.split())))) for part in text.split("\n\n")]
