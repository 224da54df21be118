"""One step of a plan with what became of it."""

from __future__ import annotations

from enum import Enum

from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError
from kubectl_lbdoctor.fix.errors import MovedOn
from kubectl_lbdoctor.fix.owners import GitOpsOwner
from kubectl_lbdoctor.model.plan import Step
from kubectl_lbdoctor.record import record


class StepState(str, Enum):
    """PLANNED: not made (yet). SENT: sent, and nobody knows whether it was made. APPLIED: made. UNDONE: taken back.
    NOTHING: it was in effect before. The values are words of lbdoctor/v1 and of undo files."""

    PLANNED = "planned"
    SENT = "sent"
    APPLIED = "applied"
    UNDONE = "undone"
    NOTHING = "nothing to do"


@record
class StepRun:
    """A step on its way. uid: of the object that it changes, "" in AWS. owner: the tool that would take the change
    back, None where no trace of one is found or nobody looked."""

    step: Step
    state: StepState = StepState.PLANNED
    uid: str = ""
    owner: GitOpsOwner | None = None

    @property
    def may_be_in_effect(self) -> bool:
        """Whether the change was made, or may have been."""
        return self.state in (StepState.APPLIED, StepState.SENT)


class Phase(Enum):
    """The three looks that a step gets: read again, tried on the server without being made, made."""

    CHECK = "check"
    REHEARSAL = "rehearsal"
    WRITE = "write"


@record
class Failure:
    """A step that was not made. made, total: of the whole run at that moment. certain: it was surely not made; False
    where the answer of a write was lost."""

    step: Step
    error: LbdoctorError
    phase: Phase
    made: int = 0
    total: int = 0
    certain: bool = True

    @property
    def nothing_changed(self) -> bool:
        """Whether the run has changed nothing so far, this step included."""
        return self.made == 0 and self.certain

    @property
    def moved_on(self) -> bool:
        """Whether somebody else's change is the reason; then the right answer is another plan."""
        return isinstance(self.error, MovedOn)

    @property
    def status(self) -> ExitStatus:
        """The exit status of a run that this failure ends before anything was changed."""
        return ExitStatus.FINDINGS if self.moved_on else ExitStatus.COULD_NOT_RUN
