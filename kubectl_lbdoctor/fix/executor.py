"""Makes the steps of a plan, or takes them back. It asks nobody and prints nothing: an observer hears what happens.

Every step is checked against what is there now, all are rehearsed on the servers before the first is made, and a
journal (the undo file) is kept true all the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from kubectl_lbdoctor.errors import AwsApiError, LbdoctorError, ReadFailed
from kubectl_lbdoctor.fix.errors import AlreadyThere, CannotRehearse
from kubectl_lbdoctor.fix.events import Observe, PhaseBegan, StepFailed, StepMade, StepNotNeeded, StepNotRehearsed
from kubectl_lbdoctor.fix.owners import gitops_owner
from kubectl_lbdoctor.fix.second_look import NotKnown
from kubectl_lbdoctor.fix.step_run import Failure, Phase, StepRun, StepState
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model.plan import Refusal, Step

Journal = Callable[[tuple[StepRun, ...]], None]
"""Keeps the state of all steps on disk. Raises CouldNotRun when it cannot; then nothing more is changed."""


class Direction(Protocol):
    """Which way steps go.

    done: the state of a step that was made. settled: of one that had nothing to do. sends: a step is marked SENT before
    it is made, for it may be cut off. irreversible: restarts are made, too. drops_settled: what has nothing to do is no
    part of the run.
    """

    done: StepState
    settled: StepState
    sends: bool
    irreversible: bool
    drops_settled: bool

    def order(self, runs: list[StepRun]) -> Iterable[int]:
        """The indexes of the steps that are to be made, in order."""

    def check(self, run: StepRun) -> StepRun:
        """Read again what the step builds on. Raises AlreadyThere or another LbdoctorError."""

    def rehearse(self, run: StepRun) -> None:
        """Let the server try the step. Raises LbdoctorError, CannotRehearse where no server can."""

    def write(self, run: StepRun) -> StepRun:
        """Make the step; gives it with the uid of an object that it has made. Raises AlreadyThere where it needs
        nothing, or LbdoctorError: NotKnown, or another ReadFailed that is no AwsApiError, leaves open whether it was
        made."""


class Forward:
    """A fix: every step, in the order of the plan. The check also looks who else owns the objects."""

    done, settled = StepState.APPLIED, StepState.NOTHING
    sends = irreversible = drops_settled = True

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def order(self, runs: list[StepRun]) -> Iterable[int]:
        """Every step, in the order of the plan."""
        return range(len(runs))

    def check(self, run: StepRun) -> StepRun:
        """The step with its object's uid and owner. Raises MovedOn, AlreadyThere or what keeps it from being read."""
        raw = self._writer.check(run.step.change)
        if raw is None:
            return run
        uid = str(raw.get("metadata", {}).get("uid") or "")
        return replace(run, uid=uid, owner=gitops_owner(raw, run.step.change))

    def rehearse(self, run: StepRun) -> None:
        """Try the change on the server."""
        self._writer.rehearse(run.step.change)

    def write(self, run: StepRun) -> StepRun:
        """Make the change, in the object that was checked: the way back is to that one alone."""
        made = self._writer.apply(run.step.change, run.uid)
        return replace(run, uid=made or run.uid)


class Backward:
    """An undoing: the changes that are or may be in effect, the last one first."""

    done, settled = StepState.UNDONE, StepState.UNDONE
    sends = irreversible = drops_settled = False

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def order(self, runs: list[StepRun]) -> Iterable[int]:
        """The steps that are or may be in effect, the last one first."""
        return [index for index in reversed(range(len(runs))) if runs[index].may_be_in_effect]

    def check(self, run: StepRun) -> StepRun:
        """The step. Raises MovedOn where somebody changed its value since, AlreadyThere where it is back already."""
        self._writer.check_undo(run.step.change, run.uid)
        return run

    def rehearse(self, run: StepRun) -> None:
        """Try on the server to take the change back."""
        self._writer.rehearse_undo(run.step.change, run.uid)

    def write(self, run: StepRun) -> StepRun:
        """Take the change back."""
        self._writer.undo(run.step.change, run.uid)
        return run


class Executor:
    """Takes steps one way. Call `check`, `rehearse` and `write` in this order, each after the last went well.

    runs: all steps with what became of them. todo: indexes of those that are to be made, in order. refusals: of steps
    that were in effect already. failures: of steps that could not be made. unrehearsed: steps that no server could
    try.
    """

    def __init__(self, direction: Direction, runs: Iterable[StepRun], observe: Observe) -> None:
        self._direction = direction
        self._observe = observe
        self.runs = list(runs)
        self.todo: list[int] = []
        self.refusals: list[Refusal] = []
        self.failures: list[Failure] = []
        self.unrehearsed: list[Step] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are to be made, in order."""
        return tuple(self.runs[index].step for index in self.todo)

    def check(self) -> bool:
        """Read again what the steps build on; those with nothing to do are left out. False where one cannot be made."""
        self._observe(PhaseBegan(Phase.CHECK))
        for index in self._direction.order(self.runs):
            step = self.runs[index].step
            if not (step.change.reversible or self._direction.irreversible):
                self._observe(StepNotNeeded(step))
                continue
            try:
                self.runs[index] = self._direction.check(self.runs[index])
            except AlreadyThere as there:
                self._settle(index, there)
                continue
            except LbdoctorError as error:
                self._fail(Failure(step, error, Phase.CHECK))
            self.todo.append(index)
        if self._direction.drops_settled:
            self.runs = [self.runs[index] for index in self.todo]
            self.todo = list(range(len(self.runs)))
        return not self.failures

    def rehearse(self) -> bool:
        """Try every step on the servers, so that a refusal of the last leaves the first unmade. False where one is
        refused; what no server can try is only told."""
        self._observe(PhaseBegan(Phase.REHEARSAL))
        for index in self.todo:
            try:
                self._direction.rehearse(self.runs[index])
            except CannotRehearse as error:
                self.unrehearsed.append(self.runs[index].step)
                self._observe(StepNotRehearsed(self.runs[index].step, error.message))
            except LbdoctorError as error:
                certain = not isinstance(error, NotKnown)
                self._fail(
                    Failure(self.runs[index].step, error, Phase.REHEARSAL, total=len(self.todo), certain=certain)
                )
        return not self.failures

    def write(self, journal: Journal) -> bool:
        """Make the steps one by one, and stop at the first that fails; False then. Raises what the journal raises."""
        made = 0
        for index in self.todo:
            before = self.runs[index]
            if self._direction.sends:
                self._mark(index, StepState.SENT, journal)
            try:
                written = self._direction.write(before)
            except AlreadyThere:
                self._mark(index, self._direction.settled, journal)
                if self._direction.settled is not self._direction.done:
                    continue
            except LbdoctorError as error:
                # What is not known to be unmade stays marked as sent.
                certain = not isinstance(error, ReadFailed) or isinstance(error, AwsApiError)
                if certain and self.runs[index] != before:
                    self._mark(index, before.state, journal)
                self._fail(Failure(before.step, error, Phase.WRITE, made, len(self.todo), certain))
                return False
            else:
                self.runs[index] = replace(self.runs[index], uid=written.uid)
                self._mark(index, self._direction.done, journal)
            made += 1
            self._observe(StepMade(self.runs[index]))
        return True

    def _settle(self, index: int, there: AlreadyThere) -> None:
        run = self.runs[index]
        self.runs[index] = replace(run, state=self._direction.settled)
        self.refusals.append(Refusal(run.step.fix, there.message))
        self._observe(StepNotNeeded(run.step, there.message))

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self._observe(StepFailed(failure))

    def _mark(self, index: int, state: StepState, journal: Journal) -> None:
        marked = replace(self.runs[index], state=state)
        if state is not StepState.SENT:
            self.runs[index] = marked
        journal((*self.runs[:index], marked, *self.runs[index + 1 :]))
        self.runs[index] = marked  # What could not be noted down is not sent.
