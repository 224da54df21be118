"""What a fix and its undoing come to: the results that are shown, and the exit statuses that follow from them."""

from __future__ import annotations

from enum import Enum

from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError
from kubectl_lbdoctor.fix.step_run import Failure, Phase, StepRun
from kubectl_lbdoctor.model.finding import Severity
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import FixPlan, Refusal, Step
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.record import record


class FixOutcome(str, Enum):
    """How far a fix came. The values are words of lbdoctor/v1.

    PLANNED: nothing was tried. ACCEPTED: the servers would make it. NOTHING: there is nothing to change. DECLINED: the
    person said no. REFUSED: it ended before anything was changed. FAILED: it ended on the way. INTERRUPTED: by Ctrl-C.
    APPLIED: made, and not verified. HEALTHY, UNHEALTHY, UNKNOWN: made, and what the diagnosis says then.
    """

    PLANNED = "planned"
    ACCEPTED = "accepted"
    NOTHING = "nothing to change"
    DECLINED = "declined"
    REFUSED = "refused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    APPLIED = "applied"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class UndoOutcome(str, Enum):
    """How far an undoing came. The values are words of lbdoctor/v1; the meanings are those of FixOutcome."""

    NOTHING = "nothing to undo"
    PLANNED = "planned"
    DECLINED = "declined"
    REFUSED = "refused"
    FAILED = "failed"
    UNDONE = "undone"


@record
class FixResult:
    """One fix. requested: what --fix named. undo_file: "" while there is none. seconds: from the change to `after`, the
    last diagnosis. gone: codes of the plan that are no longer found. failures: steps that were not made. error: what
    else ended the run or kept it from being verified. from_bundle: nothing could have been changed."""

    requested: tuple[str, ...]
    before: Report
    runs: tuple[StepRun, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    outcome: FixOutcome = FixOutcome.PLANNED
    undo_file: str = ""
    seconds: float | None = None
    after: Report | None = None
    gone: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    error: LbdoctorError | None = None
    from_bundle: bool = False

    @property
    def is_plan(self) -> bool:
        """Whether this is only a plan: nothing was tried, or on the servers' word alone."""
        return self.from_bundle or self.outcome in (FixOutcome.PLANNED, FixOutcome.ACCEPTED)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the plan, in order."""
        return tuple(run.step for run in self.runs)

    @property
    def affects(self) -> tuple[ObjectRef, ...]:
        """The objects that the plan is to heal."""
        return FixPlan(self.steps).affects

    @property
    def waits_for_choice(self) -> bool:
        """Whether something that was asked for is not planned because a person has to choose or to act."""
        return any(refusal.choices or refusal.by_hand for refusal in self.refusals)

    def exit_status(self, fail_on: Severity) -> ExitStatus:
        """The exit status; what waits for a choice keeps a run from being a success."""
        outcome = self.outcome
        if outcome is FixOutcome.NOTHING:
            # Nothing to do is fine where the objects are.
            return ExitStatus.FINDINGS if self.waits_for_choice else self.before.exit_status(fail_on)
        if self.from_bundle:
            return ExitStatus.FINDINGS if self.refusals else ExitStatus.HEALTHY
        if outcome is FixOutcome.REFUSED and self.failures:
            return self.failures[-1].status
        if outcome in (FixOutcome.PLANNED, FixOutcome.ACCEPTED, FixOutcome.HEALTHY):
            return ExitStatus.FINDINGS if self.waits_for_choice else ExitStatus.HEALTHY
        return {
            FixOutcome.DECLINED: ExitStatus.FINDINGS,
            FixOutcome.UNHEALTHY: ExitStatus.FINDINGS,
            FixOutcome.APPLIED: ExitStatus.UNKNOWN,
            FixOutcome.UNKNOWN: ExitStatus.UNKNOWN,
            FixOutcome.INTERRUPTED: ExitStatus.INTERRUPTED,
        }.get(outcome, ExitStatus.COULD_NOT_RUN)


@record
class UndoResult:
    """One undoing. undo_file: its path. runs: all steps of the file, in the order of the fix."""

    undo_file: str
    runs: tuple[StepRun, ...]
    outcome: UndoOutcome = UndoOutcome.NOTHING
    failures: tuple[Failure, ...] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """FINDINGS where a person said no or somebody changed the values since, COULD_NOT_RUN for other failures."""
        if self.outcome is UndoOutcome.DECLINED:
            return ExitStatus.FINDINGS
        if self.outcome is UndoOutcome.FAILED:
            return ExitStatus.COULD_NOT_RUN
        if self.outcome is UndoOutcome.REFUSED:
            moved = all(failure.moved_on and failure.phase is Phase.CHECK for failure in self.failures)
            return ExitStatus.FINDINGS if moved else ExitStatus.COULD_NOT_RUN
        return ExitStatus.HEALTHY
