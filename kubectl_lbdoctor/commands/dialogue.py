"""The questions that a person answers before anything is changed, and what --yes says in their place."""

from __future__ import annotations

from kubectl_lbdoctor.commands.examination import note
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.fix.result import FixResult
from kubectl_lbdoctor.record import record
from kubectl_lbdoctor.render.text import clean


@record
class Dialogue:
    """Asks on the terminal. yes: everything is confirmed already."""

    env: Environment
    yes: bool

    def confirm_fix(self, result: FixResult) -> bool:
        """Whether the plan is to be made; asked once more where a tool would take it back.

        Raises UsageError where nobody can answer.
        """
        owned = dict.fromkeys(
            f"{run.step.change.object} belongs to {run.owner.tool} ({run.owner.where})"
            for run in result.runs
            if run.owner is not None
        )
        if self.yes:
            for text in owned:
                note(self.env, f"warning: {text}, which may take the change back")
            return True
        context = result.before.context.kube_context
        where = f" in context {clean(context)}" if context else ""
        if not self.env.confirm(f"Apply {_changes(len(result.runs))}{where}? [y/N]: "):
            return False
        return not owned or self.env.confirm(
            f"{clean('; '.join(owned))}, which may take it back. Change it all the same? [y/N]: "
        )

    def confirm_undo(self, number: int, context: str) -> bool:
        """Whether a number of changes are to be taken back. context: where, in words. Raises UsageError as above."""
        return self.yes or self.env.confirm(f"Take back {_changes(number)} in context {clean(context)}? [y/N]: ")


def _changes(number: int) -> str:
    return f"{number} change{'s' if number > 1 else ''}"
