"""The fix engine without a screen: what it does in which order, what it tells, and what the journal holds meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_lbdoctor.errors import AwsApiError, ExitStatus, LbdoctorError, ReadDenied, ReadFailed, WriteRefused
from kubectl_lbdoctor.fix import events
from kubectl_lbdoctor.fix.errors import AlreadyThere, MovedOn
from kubectl_lbdoctor.fix.executor import Backward, Executor, Forward
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult, UndoOutcome, UndoResult
from kubectl_lbdoctor.fix.step_run import Failure, Phase, StepRun, StepState
from kubectl_lbdoctor.model.finding import Coverage, Severity
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit, Refusal, Step
from kubectl_lbdoctor.model.report import CheckCounts, Report, Status
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.permission import Permission

PLANNED, SENT, APPLIED = StepState.PLANNED, StepState.SENT, StepState.APPLIED
UNDONE, NOTHING = StepState.UNDONE, StepState.NOTHING


def step(name: str, restart: bool = False) -> Step:
    ref = ObjectRef("Service", "shop", name)
    edits = () if restart else (Edit("/spec/x", 1, 2),)
    return Step("targetport", "LBD307", Change(ref, "spec.x", "1", "2", edits=edits, restart=restart))


class FakeWriter:
    """Writes down what it is asked to do; raises what `errors` holds for (what, name of the object)."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors
        self.asked: list[str] = []

    def _do(self, what: str, change: Change) -> None:
        key = f"{what}_{change.object.name}"
        self.asked.append(key)
        if key in self.errors:
            raise self.errors[key]

    def check(self, change: Change) -> dict[str, Any]:
        self._do("check", change)
        annotations = {"meta.helm.sh/release-name": "shop"} if change.object.name == "helm" else {}
        return {"metadata": {"uid": f"uid-{change.object.name}", "annotations": annotations}}

    def rehearse(self, change: Change) -> None:
        self._do("rehearse", change)

    def apply(self, change: Change, uid: str = "") -> None:
        self._do("apply", change)

    def check_undo(self, change: Change, uid: str) -> None:
        self._do("check", change)

    def rehearse_undo(self, change: Change, uid: str) -> None:
        self._do("rehearse", change)

    def undo(self, change: Change, uid: str) -> None:
        self._do("undo", change)


class Heard:
    """An observer and a journal that keep everything."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.journal: list[tuple[StepState, ...]] = []

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)

    def keep(self, runs: tuple[StepRun, ...]) -> None:
        self.journal.append(tuple(run.state for run in runs))


def forward(heard: Heard, writer: FakeWriter, *steps: Step) -> Executor:
    return Executor(Forward(writer), map(StepRun, steps), heard)  # type: ignore[arg-type]


def backward(heard: Heard, writer: FakeWriter, *runs: StepRun) -> Executor:
    return Executor(Backward(writer), runs, heard)  # type: ignore[arg-type]


def test_a_fix_checks_rehearses_and_makes_every_step() -> None:
    heard, writer = Heard(), FakeWriter()
    executor = forward(heard, writer, step("a"), step("helm"))
    assert executor.check() and executor.rehearse() and executor.write(heard.keep)
    assert writer.asked == ["check_a", "check_helm", "rehearse_a", "rehearse_helm", "apply_a", "apply_helm"]
    assert heard.journal == [(SENT, PLANNED), (APPLIED, PLANNED), (APPLIED, SENT), (APPLIED, APPLIED)]
    first, second = executor.runs
    assert (first.uid, first.owner) == ("uid-a", None)
    assert second.owner is not None and second.owner.tool == "Helm"
    assert heard.events == [
        events.PhaseBegan(Phase.CHECK),
        events.PhaseBegan(Phase.REHEARSAL),
        events.StepMade(first),
        events.StepMade(second),
    ]


def test_what_is_in_effect_is_no_part_of_a_fix() -> None:
    heard, writer = Heard(), FakeWriter(check_a=AlreadyThere("x is 2 already"))
    executor = forward(heard, writer, step("a"), step("b"))
    assert executor.check()
    assert [run.step for run in executor.runs] == [step("b")]
    assert executor.refusals == [Refusal("targetport", "x is 2 already")]


def test_all_steps_are_checked_before_the_failure_is_told() -> None:
    moved = MovedOn("changed")
    heard, writer = Heard(), FakeWriter(check_a=moved, check_b=ReadDenied("no", Permission(("get",), "services")))
    executor = forward(heard, writer, step("a"), step("b"))
    assert not executor.check()
    first, second = executor.failures
    assert first == Failure(step("a"), moved, Phase.CHECK)
    assert first.moved_on and not second.moved_on
    assert (first.status, second.status) == (ExitStatus.FINDINGS, ExitStatus.COULD_NOT_RUN)
    assert [run.step for run in executor.runs] == [step("a"), step("b")]


@pytest.mark.parametrize(
    ("error", "state", "certain"),
    [
        (WriteRefused("no", 422), PLANNED, True),
        (ReadDenied("no", Permission(("patch",), "services")), PLANNED, True),
        (AwsApiError("no", "InvalidParameter"), PLANNED, True),
        (ReadFailed("the connection broke"), SENT, False),
    ],
)
def test_the_second_write_fails(error: LbdoctorError, state: StepState, certain: bool) -> None:
    """Whatever was refused was not made; a lost answer leaves it open. Nothing is written after it."""
    heard, writer = Heard(), FakeWriter(apply_b=error)
    executor = forward(heard, writer, step("a"), step("b"), step("c"))
    assert executor.check() and executor.rehearse() and not executor.write(heard.keep)
    assert [run.state for run in executor.runs] == [APPLIED, state, PLANNED]
    assert heard.journal[-1] == (APPLIED, state, PLANNED)
    (failure,) = executor.failures
    assert (failure.made, failure.total, failure.certain) == (1, 3, certain)
    assert not failure.nothing_changed and "apply_c" not in writer.asked


def test_the_first_write_fails() -> None:
    heard, writer = Heard(), FakeWriter(apply_a=MovedOn("changed"))
    executor = forward(heard, writer, step("a"), step("b"))
    assert executor.check() and executor.rehearse() and not executor.write(heard.keep)
    assert executor.failures[0].nothing_changed and heard.journal[-1] == (PLANNED, PLANNED)


def test_somebody_else_was_faster() -> None:
    """Between check and write the value became what was wanted: not our change, and not ours to take back."""
    heard, writer = Heard(), FakeWriter(apply_a=AlreadyThere("so"))
    executor = forward(heard, writer, step("a"), step("b"))
    assert executor.check() and executor.rehearse() and executor.write(heard.keep)
    assert [run.state for run in executor.runs] == [NOTHING, APPLIED]
    assert [e.run.step for e in heard.events if isinstance(e, events.StepMade)] == [step("b")]


def test_a_journal_that_cannot_be_kept_stops_before_the_write() -> None:
    def full(runs: tuple[StepRun, ...]) -> None:
        raise LbdoctorError("disk full")

    writer = FakeWriter()
    executor = forward(Heard(), writer, step("a"))
    assert executor.check()
    with pytest.raises(LbdoctorError, match="disk full"):
        executor.write(full)
    assert writer.asked == ["check_a"] and executor.runs[0].state is PLANNED


def test_a_journal_that_fails_after_the_write() -> None:
    """The write is made: the run says so, and the journal has said before that it was sent."""
    kept: list[StepState] = []

    def full(runs: tuple[StepRun, ...]) -> None:
        if kept:
            raise LbdoctorError("disk full")
        kept.append(runs[0].state)

    executor = forward(Heard(), FakeWriter(), step("a"))
    assert executor.check()
    with pytest.raises(LbdoctorError, match="disk full"):
        executor.write(full)
    assert kept == [SENT] and executor.runs[0].state is APPLIED


def test_an_undoing_goes_backwards_over_what_may_be_in_effect() -> None:
    heard, writer = Heard(), FakeWriter(check_c=AlreadyThere("back"))
    runs = (
        StepRun(step("a"), APPLIED, "uid-a"),
        StepRun(step("b"), PLANNED),
        StepRun(step("c"), SENT),
        StepRun(step("d", restart=True), APPLIED),
        StepRun(step("e"), APPLIED),
    )
    executor = backward(heard, writer, *runs)
    assert executor.check() and executor.rehearse() and executor.write(heard.keep)
    assert writer.asked == ["check_e", "check_c", "check_a", "rehearse_e", "rehearse_a", "undo_e", "undo_a"]
    assert [run.state for run in executor.runs] == [UNDONE, PLANNED, UNDONE, APPLIED, UNDONE]
    assert [e.step for e in heard.events if isinstance(e, events.StepNotNeeded)] == [runs[3].step, runs[2].step]
    assert executor.steps == (step("e"), step("a"))


def test_an_undoing_that_fails_leaves_the_rest_in_effect() -> None:
    heard, writer = Heard(), FakeWriter(undo_a=ReadFailed("broke"))
    executor = backward(heard, writer, StepRun(step("a"), APPLIED), StepRun(step("b"), APPLIED))
    assert executor.check() and executor.rehearse() and not executor.write(heard.keep)
    assert [run.state for run in executor.runs] == [APPLIED, UNDONE] and heard.journal == [(APPLIED, UNDONE)]
    (failure,) = executor.failures
    assert failure.total - failure.made == 1


# --- Exit statuses ----------------------------------------------------------------------------------------------------


def report(status: Status) -> Report:
    return Report(status, "now", Context(), (), (), CheckCounts(1), Coverage(known=1))


CHOICE = (Refusal("selector", "choose", ("a", "b")),)
MOVED = (Failure(step("a"), MovedOn("x"), Phase.CHECK),)
DENIED = (Failure(step("a"), ReadDenied("x", Permission(said="y")), Phase.REHEARSAL),)


@pytest.mark.parametrize(
    ("outcome", "more", "status"),
    [
        (FixOutcome.PLANNED, {}, ExitStatus.HEALTHY),
        (FixOutcome.PLANNED, {"refusals": CHOICE}, ExitStatus.FINDINGS),
        (FixOutcome.ACCEPTED, {}, ExitStatus.HEALTHY),
        (FixOutcome.NOTHING, {}, ExitStatus.UNKNOWN),
        (FixOutcome.NOTHING, {"refusals": CHOICE}, ExitStatus.FINDINGS),
        (FixOutcome.DECLINED, {}, ExitStatus.FINDINGS),
        (FixOutcome.REFUSED, {"failures": MOVED}, ExitStatus.FINDINGS),
        (FixOutcome.REFUSED, {"failures": DENIED}, ExitStatus.COULD_NOT_RUN),
        (FixOutcome.FAILED, {"failures": MOVED}, ExitStatus.COULD_NOT_RUN),
        (FixOutcome.INTERRUPTED, {}, ExitStatus.INTERRUPTED),
        (FixOutcome.APPLIED, {}, ExitStatus.UNKNOWN),
        (FixOutcome.HEALTHY, {}, ExitStatus.HEALTHY),
        (FixOutcome.HEALTHY, {"refusals": CHOICE}, ExitStatus.FINDINGS),
        (FixOutcome.UNHEALTHY, {}, ExitStatus.FINDINGS),
        (FixOutcome.UNKNOWN, {}, ExitStatus.UNKNOWN),
        (FixOutcome.PLANNED, {"from_bundle": True, "refusals": (Refusal("x", "y"),)}, ExitStatus.FINDINGS),
    ],
)
def test_exit_status_of_a_fix(outcome: FixOutcome, more: dict[str, Any], status: ExitStatus) -> None:
    result = FixResult(("all",), report(Status.UNKNOWN), outcome=outcome, **more)
    assert result.exit_status(Severity.ERROR) is status


@pytest.mark.parametrize(
    ("outcome", "failures", "status"),
    [
        (UndoOutcome.NOTHING, (), ExitStatus.HEALTHY),
        (UndoOutcome.PLANNED, (), ExitStatus.HEALTHY),
        (UndoOutcome.UNDONE, (), ExitStatus.HEALTHY),
        (UndoOutcome.DECLINED, (), ExitStatus.FINDINGS),
        (UndoOutcome.REFUSED, MOVED, ExitStatus.FINDINGS),
        (UndoOutcome.REFUSED, (*MOVED, *DENIED), ExitStatus.COULD_NOT_RUN),
        (UndoOutcome.FAILED, MOVED, ExitStatus.COULD_NOT_RUN),
    ],
)
def test_exit_status_of_an_undoing(outcome: UndoOutcome, failures: tuple[Failure, ...], status: ExitStatus) -> None:
    assert UndoResult("f.json", (), outcome, failures).exit_status is status
