"""The undoing of one fix: what it has changed is put back exactly, or not at all where somebody changed it since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.events import Declined, DryRunEnded, Observe, Undone, UndoPlanned, UndoRefused, UndoStopped
from kubectl_lbdoctor.fix.executor import Backward, Executor
from kubectl_lbdoctor.fix.result import UndoOutcome, UndoResult
from kubectl_lbdoctor.fix.step_run import StepRun
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.fix.writers import Writer


@dataclass
class UndoRun:
    """One undoing. `result` is true at every moment, and holds how it ended.

    content, path: the undo file. dry_run: none, client or server. confirm: asks a person about a number of changes.
    now: RFC 3339.
    """

    content: UndoFile
    path: Path
    writer: Writer
    dry_run: str
    now: str
    confirm: Callable[[int], bool]
    observe: Observe

    def __post_init__(self) -> None:
        self._executor = Executor(Backward(self.writer), self.content.steps, self.observe)
        self._outcome = UndoOutcome.NOTHING

    @property
    def result(self) -> UndoResult:
        """How far it has come."""
        return UndoResult(
            str(self.path),
            tuple(self._executor.runs),
            self._outcome,
            tuple(self._executor.failures),
            self.content.context,
            self.now,
        )

    def go(self) -> None:
        """Run it to its end, the last change first. Raises LbdoctorError when nobody can confirm."""
        if not self._executor.check():
            self._outcome = UndoOutcome.REFUSED
            self.observe(UndoRefused())
            return
        self.observe(UndoPlanned(self._executor.steps, self.content.undone_at))
        if not self._executor.steps:
            return
        if self.dry_run == "client":
            self._outcome = UndoOutcome.PLANNED
            self.observe(DryRunEnded())
        elif not self._executor.rehearse():
            self._outcome = UndoOutcome.REFUSED
        elif self.dry_run == "server":
            self._outcome = UndoOutcome.PLANNED
            unrehearsed = len(self._executor.unrehearsed)
            self.observe(DryRunEnded(len(self._executor.steps) - unrehearsed, unrehearsed))
        elif not self.confirm(len(self._executor.steps)):
            self._outcome = UndoOutcome.DECLINED
            self.observe(Declined())
        elif self._executor.write(self._journal):
            self._outcome = UndoOutcome.UNDONE
            self.observe(Undone())
        else:
            self._outcome = UndoOutcome.FAILED
            failure = self._executor.failures[-1]
            self.observe(UndoStopped(failure.total - failure.made, failure.certain))

    def _journal(self, runs: tuple[StepRun, ...]) -> None:
        self.content = replace(self.content, steps=runs, undone_at=self.now)
        undo_file.save(self.content, self.path)
