"""What rehearsals and steps come to, in the words that the screens of fix and undo share."""

from __future__ import annotations

from kubectl_lbdoctor.fix.events import DryRunEnded
from kubectl_lbdoctor.fix.step_run import Failure
from kubectl_lbdoctor.model.plan import Step


def not_rehearsed(step: Step, why: str) -> str:
    """That one change could not be tried before it is made."""
    change = step.change
    return f"not rehearsed: {change.object} {change.field}: {why}, so a refusal would show only when it is made"


def dry_run_words(ended: DryRunEnded) -> str:
    """The last line of a dry run: it claims no more than the servers have said."""
    said = ""
    if ended.accepted is not None and not ended.unrehearsed:
        said = "the servers accept every change; "
    elif ended.accepted:
        others = "1 other was" if ended.unrehearsed == 1 else f"{ended.unrehearsed} others were"
        changes = "1 change" if ended.accepted == 1 else f"{ended.accepted} changes"
        said = f"the servers accept {changes}, {others} not rehearsed; "
    elif ended.unrehearsed:
        said = "no server could rehearse it; "
    return f"dry run: {said}nothing was changed"


def named(failure: Failure) -> str:
    """The error with the object that it is about, which it may name itself."""
    what, message = str(failure.step.change.object), failure.error.message
    return message if message.startswith(what) else f"{what}: {message}"
