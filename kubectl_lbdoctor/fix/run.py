"""One fix from its plan to its verification: the order of things. What is asked and shown is somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.events import (
    Declined,
    DryRunEnded,
    FixPlanned,
    Interrupted,
    NothingToChange,
    NotVerified,
    NotWaited,
    Observe,
    StoppedHalfway,
    UndoFileWritten,
    Verified,
)
from kubectl_lbdoctor.fix.executor import Executor, Forward
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.fix.verify import Verdict
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import Context


class Verifier(Protocol):
    """Waits for a fix and diagnoses again."""

    def prepare(self, result: FixResult) -> None:
        """Look at what has to be known before anything is changed."""

    def verify(self) -> tuple[Verdict, Report, float] | None:
        """The verdict, the report that it is about, and the seconds until then; None where nobody wants to wait.

        Raises LbdoctorError where the diagnosis fails.
        """


@dataclass
class FixRun:
    """One fix. `result` is true at every moment, and holds how it ended.

    dry_run: none, client or server. confirm: asks a person. undo_place: the file or directory of the undo file, "" for
    the current one. now: RFC 3339. accept: looks at the plan once it stands, before any server tries it, and raises
    LbdoctorError where it is not the one that was agreed to.
    """

    result: FixResult
    writer: Writer
    context: Context
    dry_run: str
    undo_place: str
    now: str
    confirm: Callable[[FixResult], bool]
    verifier: Verifier
    observe: Observe
    accept: Callable[[FixResult], None] = lambda result: None

    def __post_init__(self) -> None:
        self._executor = Executor(Forward(self.writer), self.result.runs, self.observe)

    def go(self) -> None:
        """Run it to its end. Raises LbdoctorError for what ends it otherwise than in a planned way, never
        KeyboardInterrupt."""
        try:
            self._go()
        except KeyboardInterrupt:
            self._update(outcome=FixOutcome.INTERRUPTED)
            self.observe(Interrupted(self.result))
        except LbdoctorError as error:
            self._stopped(error=error)
            raise
        except Exception:
            self._stopped()  # A mistake of ours must not keep the way back to itself.
            raise

    def _stopped(self, **changes: Any) -> None:
        self._update(outcome=FixOutcome.FAILED if self._begun else FixOutcome.REFUSED, **changes)
        if self._begun:
            self.observe(StoppedHalfway(self.result))

    @property
    def _begun(self) -> bool:
        """Whether a step was made, or may have been."""
        return any(run.state is not StepState.PLANNED for run in self._executor.runs)

    def _go(self) -> None:
        if not self.result.runs:
            self._nothing(shown=False)
            return
        checked = self._executor.check()
        self._update(refusals=(*self.result.refusals, *self._executor.refusals))
        self.observe(FixPlanned(self.result))
        if not checked:
            self._update(outcome=FixOutcome.REFUSED)
        elif not self.result.runs:
            self._nothing(shown=True)
        else:
            self.accept(self.result)
            undo_file.check(self.context, self.result.runs)
            self._try()

    def _try(self) -> None:
        """Rehearse and make what is planned, as far as was asked for."""
        if self.dry_run == "client":
            self.observe(DryRunEnded())
        elif not self._rehearse():
            return
        elif self.dry_run == "server":
            unrehearsed = len(self._executor.unrehearsed)
            accepted = len(self._executor.steps) - unrehearsed
            self._update(outcome=FixOutcome.ACCEPTED if accepted else FixOutcome.PLANNED)
            self.observe(DryRunEnded(accepted, unrehearsed))
        elif not self.confirm(self.result):
            self._update(outcome=FixOutcome.DECLINED)
            self.observe(Declined())
        else:
            self.verifier.prepare(self.result)
            if self._write():
                self._verify()

    def _update(self, **changes: Any) -> None:
        """Bring the result up to date."""
        self.result = replace(
            self.result,
            runs=tuple(self._executor.runs),
            failures=tuple(self._executor.failures),
            **changes,
        )

    def _nothing(self, shown: bool) -> None:
        self._update(outcome=FixOutcome.NOTHING)
        self.observe(NothingToChange(self.result, shown))

    def _rehearse(self) -> bool:
        accepted = self._executor.rehearse()
        if not accepted:
            certain = all(failure.certain for failure in self._executor.failures)
            self._update(outcome=FixOutcome.REFUSED if certain else FixOutcome.FAILED)
        return accepted

    def _write(self) -> bool:
        """The undo file first, then step by step; it is kept true all the way. False where a step failed."""
        affects = self.result.affects

        def content(runs: tuple[StepRun, ...]) -> UndoFile:
            return UndoFile(self.now, self.context, affects, runs)

        path = undo_file.begin(content(tuple(self._executor.runs)), self.undo_place, self.now)
        self._update(undo_file=str(path))

        def journal(runs: tuple[StepRun, ...]) -> None:
            undo_file.save(content(runs), path)

        self.observe(UndoFileWritten(str(path)))
        if self._executor.write(journal):
            return True
        if self._executor.failures[-1].nothing_changed:
            path.unlink(missing_ok=True)
            self._update(outcome=FixOutcome.REFUSED, undo_file="")
        else:
            self._update(outcome=FixOutcome.FAILED)
            self.observe(StoppedHalfway(self.result))
        return False

    def _verify(self) -> None:
        try:
            verified = self.verifier.verify()
        except LbdoctorError as error:
            self._update(outcome=FixOutcome.UNKNOWN, error=error)
            self.observe(NotVerified(error, self.result))
            return
        if verified is None:
            self._update(outcome=FixOutcome.APPLIED)
            self.observe(NotWaited())
            return
        verdict, report, seconds = verified
        self._update(outcome=verdict.outcome, after=report, seconds=round(seconds, 1), gone=verdict.gone)
        self.observe(Verified(verdict, seconds, self.result))
