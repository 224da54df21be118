"""The screen of `undo`."""

from __future__ import annotations

from pathlib import Path

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.fix import events
from kubectl_lbdoctor.fix.result import UndoResult
from kubectl_lbdoctor.fix.step_run import Failure, Phase, StepRun
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Step
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.where import NOWHERE, Where
from kubectl_lbdoctor.options import OutputOptions
from kubectl_lbdoctor.render.fix_tables import undo_table
from kubectl_lbdoctor.render.live import Live
from kubectl_lbdoctor.render.rehearsals import dry_run_words, named, not_rehearsed


class UndoScreen:
    """Shows the events of an undoing. subjects: the objects that the fix was for. path: of the undo file. where: what
    leads the commands that it prints to the same cluster and account."""

    def __init__(
        self,
        env: Environment,
        output: OutputOptions,
        subjects: tuple[ObjectRef, ...],
        path: Path,
        where: Where = NOWHERE,
    ) -> None:
        self._live = Live(env, output)
        self._subjects = subjects
        self._path = path
        self._where = where

    def show(self, result: UndoResult, run: Run) -> None:
        """The document at the end, in the formats that are one."""
        self._live.document(result, run)

    def __call__(self, event: events.Event) -> None:
        """Show one event; those that say nothing here are passed over."""
        match event:
            case events.StepNotNeeded(step, why):
                self._not_needed(step, why)
            case events.UndoPlanned(steps, undone_at):
                self._planned(steps, undone_at)
            case events.StepFailed(failure):
                self._failed(failure)
            case events.UndoRefused():
                self._live.note("nothing was taken back")
            case events.StepNotRehearsed(step, why):
                self._live.note(not_rehearsed(step, why))
            case events.DryRunEnded() as ended:
                self._live.note(dry_run_words(ended))
            case events.Declined():
                self._live.note("nothing was changed")
            case events.StepMade(run):
                self._made(run)
            case events.UndoStopped(left, certain):
                still = "1 change is" if left == 1 else f"{left} changes are"
                again = self._where.command(kubectl("lbdoctor", "undo", str(self._path)))
                still += " still in effect" if certain else " or may still be in effect"
                self._live.note(f"{still}; try again with: {again}")
            case events.Undone():
                self._advise()

    def _not_needed(self, step: Step, why: str) -> None:
        self._live.note(why or f"{step.change.object}: a restart cannot be taken back, and need not be")

    def _planned(self, steps: tuple[Step, ...], undone_at: str) -> None:
        if steps:
            self._live.block(undo_table(steps, self._live.width, self._live.headers, self._where))
        else:
            used = f"it was undone {undone_at}" if undone_at else "no change is in effect"
            self._live.note(f"nothing is left to take back: {used}")

    def _failed(self, failure: Failure) -> None:
        ending = "; nothing was taken back" if failure.phase is Phase.REHEARSAL else ""
        said = failure.error.message if failure.phase is Phase.CHECK else named(failure)
        self._live.note_once(f"error: {said}{ending}")

    def _made(self, run: StepRun) -> None:
        change = run.step.change
        self._live.line("undone", f"{change.object}  {change.field}: {change.now}")

    def _advise(self) -> None:
        """How to look at the objects now."""
        by_namespace: dict[str, list[str]] = {}
        for ref in self._subjects:
            by_namespace.setdefault(ref.namespace, []).append(str(ref))
        for namespace, names in by_namespace.items():
            look = self._where.command(kubectl("lbdoctor", *names, namespace=namespace))
            self._live.note(f"look with: {look}")
