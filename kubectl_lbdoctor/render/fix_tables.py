"""The plan of a fix for people: a table of changes, each with the command that would make it, and what is refused."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from kubectl_lbdoctor.model.plan import FixPlan, Refusal, Step
from kubectl_lbdoctor.model.where import NOWHERE, Where
from kubectl_lbdoctor.render.text import Column, Paint, clean, table

# A selector or several annotations may be long; the command below the table holds them whole.
_LONGEST = 60
_LONGEST_FIELD = 40


def plan_table(
    plan: FixPlan,
    owners: Mapping[int, str],
    width: int,
    colour: bool = False,
    headers: bool = True,
    where: Where = NOWHERE,
) -> str:
    """The plan, ending with a line break. owners: by the index of a step, who else writes the object. where: what leads
    the commands to the cluster and account that the plan is for.

    Each row is followed by its command. What a person confirms is said in full: where a column has no room, below.
    """
    paint = Paint(colour)
    lines: list[str] = []
    if plan.steps:
        header, *rows = _table(plan.steps, width).splitlines()
        lines += [header] if headers else []
        for number, (row, step) in enumerate(zip(rows, plan.steps, strict=True)):
            change = step.change
            lines.append(row)
            for title, text in (("FIELD", change.field), ("WHY", change.why), ("RISK", change.risk)):
                if text and (title not in header.split() or clean(text) not in row):
                    lines.append(f"   {title.lower():<5} {clean(text)}")
            lines.append(f"   {clean(where.command(change.command))}")
            if change.not_rehearsed:
                lines.append(f"   cannot be tried beforehand: {change.not_rehearsed}; it is read again right before")
            lines += [f"   or instead: --fix {shlex.quote(clean(text))}" for text in _instead(plan.steps, number)]
            if not change.reversible:
                lines.append("   a restart cannot be taken back, and need not be")
            if number in owners:
                lines.append(f"   {paint('yellow', clean(owners[number]))}")
    for refusal in plan.refusals:
        lines += [""] if lines else []
        lines += refusal_lines(refusal, where)
    lines += where.notes if plan.steps or plan.refusals else ()
    return "\n".join(lines) + "\n"


def _instead(steps: Sequence[Step], number: int) -> list[str]:
    """The other ways, said once, after the last step of a repair; none that is planned, too."""
    step = steps[number]
    same = [s for s in steps if (s.code, s.affects) == (step.code, step.affects)]
    if any(s.fix == step.fix for s in same if steps.index(s) > number):
        return []
    planned = {s.fix for s in same}
    return [text for text in step.instead if text.partition("=")[0] not in planned]


def _table(steps: Sequence[Step], width: int) -> str:
    columns = [
        Column("#"),
        Column("OBJECT"),
        Column("FIELD", 80),
        Column("NOW", 70),
        Column("THEN"),
        Column("WHY", 40),
        Column("RISK", 50),
    ]
    several = len({step.change.object.namespace for step in steps} - {""}) > 1
    rows = [
        [
            str(number),
            _named(step) if several else str(step.change.object),
            _short(step.change.field, width, _LONGEST_FIELD),
            _short(step.change.now, width),
            _short(step.change.then, width),
            _short(step.change.why, width),
            _short(step.change.risk, width) or "none known",
        ]
        for number, step in enumerate(steps, 1)
    ]
    return table(columns, rows, width, False)


def _named(step: Step) -> str:
    ref = step.change.object
    return f"{ref} -n {ref.namespace}" if ref.namespace else str(ref)


def _short(text: str, width: int, longest: int = _LONGEST) -> str:
    """Cut for a terminal; whole where nothing limits the line."""
    text = clean(text)
    return text if not width or len(text) <= longest else f"{text[: longest - 1]}…"


def refusal_lines(refusal: Refusal, where: Where = NOWHERE) -> list[str]:
    """Why something is not planned, and what to type instead."""
    lines = [clean(f"not planned  {refusal.fix}: {refusal.reason}")]
    lines += [clean(f"   --fix {shlex.quote(f'{refusal.fix}={choice}')}") for choice in refusal.choices]
    lines += [clean(f"   by hand: {where.command(command)}") for command in refusal.by_hand]
    return lines


def undo_table(steps: Sequence[Step], width: int, headers: bool = True, where: Where = NOWHERE) -> str:
    """What `undo` would put back, in the order in which it does, each row with the command that does the same."""
    columns = [Column("#"), Column("OBJECT"), Column("FIELD", 60), Column("NOW", 70), Column("THEN")]
    rows = [
        [
            str(number),
            _named(step),
            _short(step.change.field, width),
            _short(step.change.then, width),
            _short(step.change.now, width),
        ]
        for number, step in enumerate(steps, 1)
    ]
    header, *shown = table(columns, rows, width, False).splitlines()
    lines = [header] if headers else []
    for row, step in zip(shown, steps, strict=True):
        lines.append(row)
        if clean(step.change.field) not in row:
            lines.append(f"   field {clean(step.change.field)}")
        lines.append(f"   {clean(where.command(step.change.undo_command))}")
    return "\n".join(lines) + "\n"
