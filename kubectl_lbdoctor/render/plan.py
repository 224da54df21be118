"""The plan of a fix for people: a table of changes, each with the command that would make it, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubectl_lbdoctor.model.plan import FixPlan, Refusal, Step
from kubectl_lbdoctor.render.text import Column, clean, table


def render(plan: FixPlan, owners: Mapping[int, str], width: int) -> str:
    """The plan, ending with a line break. owners: by the index of a step, who else writes the object."""
    blocks = []
    if plan.steps:
        blocks.append(_table(plan.steps, width))
        lines = []
        for number, step in enumerate(plan.steps, 1):
            lines.append(f"{number}  {clean(step.change.command)}")
            if number - 1 in owners:
                lines.append(f"   {clean(owners[number - 1])}")
        blocks.append("\n".join(lines))
    if plan.refusals:
        blocks.append("\n".join(line for refusal in plan.refusals for line in refusal_lines(refusal)))
    return "\n\n".join(blocks) + "\n"


def _table(steps: Sequence[Step], width: int) -> str:
    columns = [
        Column("#"),
        Column("OBJECT"),
        Column("FIELD", 60),
        Column("NOW"),
        Column("THEN"),
        Column("WHY", 40),
        Column("RISK", 50),
    ]
    rows = [
        [
            str(number),
            f"{step.change.object}" + (f" -n {step.change.object.namespace}" if step.change.object.namespace else ""),
            _short(step.change.field),
            _short(step.change.now),
            _short(step.change.then),
            step.change.why,
            step.change.risk,
        ]
        for number, step in enumerate(steps, 1)
    ]
    return table(columns, rows, width, False)


def _short(text: str) -> str:
    return text if len(text) <= 70 else text[:67] + "..."


def refusal_lines(refusal: Refusal) -> list[str]:
    """Why something is not planned, and what to type instead."""
    lines = [clean(f"not planned  {refusal.fix}: {refusal.reason}")]
    lines += [clean(f"             --fix {refusal.fix}={choice}") for choice in refusal.choices]
    lines += [clean(f"  by hand    {command}") for command in refusal.by_hand]
    return lines
