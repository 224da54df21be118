"""What happens in a fix or its undoing, as it happens. The engine tells an observer; a screen is one."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.fix.health import Health
from kubectl_lbdoctor.fix.result import FixResult
from kubectl_lbdoctor.fix.step_run import Failure, Phase, StepRun
from kubectl_lbdoctor.fix.verify import Verdict
from kubectl_lbdoctor.model.plan import Step
from kubectl_lbdoctor.record import record


@record
class PhaseBegan:
    """All steps are about to be checked, rehearsed or written."""

    phase: Phase


@record
class FixPlanned:
    """The plan stands. result.runs: the steps that are left, with who else owns their objects."""

    result: FixResult


@record
class NothingToChange:
    """No step is left. shown: the plan with its refusals was shown before."""

    result: FixResult
    shown: bool


@record
class UndoPlanned:
    """What will be put back, in the order in which it is. steps is empty where no change is in effect. undone_at:
    RFC 3339, "" where it was not undone before."""

    steps: tuple[Step, ...]
    undone_at: str


@record
class StepFailed:
    """A step was not made, for the reason in the failure."""

    failure: Failure


@record
class StepNotNeeded:
    """A step has nothing to do. why: what is in effect already, a sentence; "" for a change that cannot be taken back,
    and need not be."""

    step: Step
    why: str = ""


@record
class StepNotRehearsed:
    """No server could try a step without making it: whether it is accepted shows only when it is made. why: half a
    sentence."""

    step: Step
    why: str


@record
class StepMade:
    """A step was made; run.state is APPLIED or UNDONE."""

    run: StepRun


@record
class UndoFileWritten:
    """The undo file is there, and nothing has been changed yet."""

    path: str


@record
class DryRunEnded:
    """Nothing was changed, as was asked for. accepted: number of changes that the servers have accepted; None where
    they were not asked. unrehearsed: number of those that they could not try."""

    accepted: int | None = None
    unrehearsed: int = 0


@record
class Declined:
    """A person said no; nothing was changed."""


@record
class StoppedHalfway:
    """A step failed after others were made, or may have been: the undo file says which."""

    result: FixResult


@record
class UndoRefused:
    """A step cannot be taken back, so none was."""


@record
class UndoStopped:
    """A step of an undoing failed. left: number of changes that are still in effect. certain: they surely are."""

    left: int
    certain: bool = True


@record
class Undone:
    """Everything is back."""


@record
class TargetsChanged:
    """Target health is not what it was at the last look. seconds: since the change."""

    health: Health
    seconds: float


@record
class StillWaiting:
    """One look at the targets more. health: None where it cannot be read. limit: when the waiting ends, in seconds."""

    health: Health | None
    seconds: float
    limit: float


@record
class NotWaited:
    """Nothing is verified, because nobody wanted to wait for it."""


@record
class NotVerified:
    """The change is made, and the diagnosis that would verify it failed."""

    error: LbdoctorError
    result: FixResult


@record
class Verified:
    """The change was made and diagnosed again."""

    verdict: Verdict
    seconds: float
    result: FixResult


@record
class Interrupted:
    """Ctrl-C; result.runs says what was made until then."""

    result: FixResult


Event = (
    PhaseBegan
    | FixPlanned
    | NothingToChange
    | UndoPlanned
    | StepFailed
    | StepNotNeeded
    | StepNotRehearsed
    | StepMade
    | UndoFileWritten
    | DryRunEnded
    | Declined
    | StoppedHalfway
    | UndoRefused
    | UndoStopped
    | Undone
    | TargetsChanged
    | StillWaiting
    | NotWaited
    | NotVerified
    | Verified
    | Interrupted
)
Observe = Callable[[Event], None]
"""Takes events in the order in which they happen."""
