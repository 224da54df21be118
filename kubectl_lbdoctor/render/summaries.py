"""One sentence for each result: what a person would say of it, without a line break. Documents carry it."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult, UndoOutcome, UndoResult
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.model.controller_page import ControllerPage
from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.report import Report, Status, SubjectView
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.probe.report import ProbeReport


def of_report(report: Report) -> str:
    """What is the matter with the objects, and why."""
    worst = [subject for subject in report.subjects if subject.status is report.status]
    if not worst:
        return "nothing was diagnosed"
    many = len(report.subjects) > 1
    who = f"{len(worst)} of {len(report.subjects)} objects {_is(worst)}" if many else f"{worst[0].ref} is"
    return f"{who} {_STATES[report.status]}: {_why(report)}"


_STATES = {
    Status.HEALTHY: "healthy",
    Status.DEGRADED: "degraded",
    Status.UNHEALTHY: "unhealthy",
    Status.UNKNOWN: "neither proven healthy nor unhealthy",
}


def _why(report: Report) -> str:
    failing = report.status in (Status.UNHEALTHY, Status.DEGRADED)
    if failing and report.diagnoses:
        return _said(report.diagnoses[0])
    coverage = report.coverage
    unread = [d.read for d in coverage.denied] + [f.read for f in (*coverage.failed, *coverage.partial)]
    if report.status is Status.UNKNOWN and (unread or coverage.not_asked):
        return f"not read: {', '.join(dict.fromkeys(unread))}" if unread else f"not read: {coverage.not_asked[0]}"
    if report.status is Status.UNKNOWN and report.diagnoses:
        return _said(report.diagnoses[0])
    states = [t.state for s in report.subjects for g in s.target_groups for t in g.targets if t.state != "draining"]
    if not states:
        return "no target is needed" if report.status is Status.HEALTHY else "no target is registered"
    return f"{part_of(states.count('healthy'), len(states))} healthy"


def _said(diagnosis: Diagnosis) -> str:
    return f"{diagnosis.message} ({diagnosis.finding.code})"


def of_scan(scan: ScanReport) -> str:
    """How many frontends are in which state, and the first root cause."""
    if not scan.rows:
        return f"nothing to diagnose was found{', and not everything was read' * (scan.status is Status.UNKNOWN)}"
    counts = ", ".join(f"{number} {status.value}" for status, number in scan.counts.items() if number)
    partial = "" if scan.complete else " so far"
    said = f"{counts} of {len(scan.rows)} frontend{'' if len(scan.rows) == 1 else 's'}{partial}"
    ill = scan.status in (Status.UNHEALTHY, Status.DEGRADED)
    return f"{said}: {_said(scan.report.diagnoses[0])}" if ill and scan.report.diagnoses else said


def of_controllers(page: ControllerPage) -> str:
    """How many controllers run, and the first root cause."""
    ready = sum(1 for controller in page.controllers if controller.ready)
    said = f"{ready} of {len(page.controllers)} controllers ready" if page.controllers else "no controller was found"
    return f"{said}: {_said(page.report.diagnoses[0])}" if page.report.diagnoses else said


def of_probes(report: ProbeReport) -> str:
    """How many targets answer as the load balancer wants."""
    total = report.passed + report.failed + report.unknown
    failed = f", {report.failed} {'fails' if report.failed == 1 else 'fail'}"
    unknown = f", {report.unknown} not known" if report.unknown else ""
    return f"{part_of(report.passed, total)} {'passes' if total == 1 else 'pass'} the health check{failed}{unknown}"


def of_fix(result: FixResult) -> str:
    """How far the fix came, and what its objects are then."""
    changes = _changes(result.runs)
    about = (result.after or result.before).subjects
    subjects = [subject for subject in about if subject.ref in result.affects] or list(about)
    states = ", ".join(f"{subject.ref} is {subject.status.value}" for subject in subjects)
    return {
        FixOutcome.PLANNED: f"{changes} planned, nothing was changed",
        FixOutcome.ACCEPTED: f"{changes} planned and accepted by the servers, nothing was changed",
        FixOutcome.NOTHING: f"nothing is to be changed; {states}",
        FixOutcome.DECLINED: f"{changes} planned and declined, nothing was changed",
        FixOutcome.REFUSED: f"{changes} planned and refused, nothing was changed",
        FixOutcome.FAILED: f"{_made(result.runs)} made, then the fix failed",
        FixOutcome.INTERRUPTED: f"interrupted with {_made(result.runs)} made",
        FixOutcome.APPLIED: f"{changes} made, nothing is verified",
        FixOutcome.HEALTHY: f"{changes} made; {states}",
        FixOutcome.UNHEALTHY: f"{changes} made; {states}",
        FixOutcome.UNKNOWN: f"{changes} made; {states}",
    }[result.outcome]


def of_undo(result: UndoResult) -> str:
    """How far the undoing came."""
    changes = _changes([run for run in result.runs if run.step.change.reversible])
    return {
        UndoOutcome.NOTHING: "nothing is to be taken back",
        UndoOutcome.PLANNED: f"{changes} can be taken back, nothing was changed",
        UndoOutcome.DECLINED: "declined, nothing was taken back",
        UndoOutcome.REFUSED: "refused, nothing was taken back",
        UndoOutcome.FAILED: f"the undoing failed, {_still_in_effect(result.runs)}",
        UndoOutcome.UNDONE: f"{_undone(result.runs)} taken back",
    }[result.outcome]


def _changes(runs: Sequence[StepRun]) -> str:
    return f"{len(runs)} change{'' if len(runs) == 1 else 's'}"


def _made(runs: Sequence[StepRun]) -> str:
    made = sum(run.may_be_in_effect for run in runs)
    return f"{made} of {_changes(runs)}"


def _undone(runs: Sequence[StepRun]) -> str:
    undone = sum(run.state is StepState.UNDONE for run in runs)
    return f"{undone} of {_changes(runs)}"


def _still_in_effect(runs: Sequence[StepRun]) -> str:
    left = sum(run.may_be_in_effect for run in runs)
    return f"{left} of {_changes(runs)} may be in effect"


def _is(subjects: Sequence[SubjectView]) -> str:
    return "is" if len(subjects) == 1 else "are"
