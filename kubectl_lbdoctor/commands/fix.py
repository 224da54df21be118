"""`--fix`: diagnose, plan, make the changes that a person confirms, and diagnose again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import parse_duration
from kubectl_lbdoctor.commands.dialogue import Dialogue
from kubectl_lbdoctor.commands.ending import to_the_end
from kubectl_lbdoctor.commands.examination import (
    Examination,
    check_save,
    deadline_of,
    examine,
    from_bundle,
    save_bundle,
    where_of_bundle,
)
from kubectl_lbdoctor.commands.fix_verification import Verification
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.fix import planner
from kubectl_lbdoctor.fix.clients import Aws
from kubectl_lbdoctor.fix.events import Observe
from kubectl_lbdoctor.fix.owners import gitops_owner, recorded_metadata
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult
from kubectl_lbdoctor.fix.run import FixRun
from kubectl_lbdoctor.fix.step_run import StepRun
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model.asked import AllOf, Question
from kubectl_lbdoctor.model.plan import FixPlan
from kubectl_lbdoctor.model.report import FailOn, Report
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.fix_screen import FixScreen


def fix(options: Options, env: Environment, question: Question) -> ExitStatus:
    """Repair what --fix names, on what is asked about or, without a word, in the whole namespace.

    Raises UsageError for an unknown name or when nobody can confirm, CouldNotRun when there is nothing to diagnose or
    one of several objects does not exist; nothing is changed then.
    """
    requests = planner.parse(options.fix.names, CATALOGUE)
    wait = parse_duration(options.fix.wait, "--wait", "0 does not wait") if options.fix.wait else None
    screen = FixScreen(env, options.output)
    check_save(options)
    if options.bundle.load:
        return _plan_of_bundle(options, env, question, requests, screen)
    with Connections(options.kube, options.aws, env, deadline_of(options), options.output.level) as connections:
        examination = Examination(connections, options, env, strict=True)
        dialogue = Dialogue(env, options.change.yes)
        run = prepared(examination, question, requests, wait, dialogue.confirm_fix, screen)

        def show(status: ExitStatus) -> None:
            screen.show(run.result, env.run(status, connections.calls))
            if options.output.verbose:
                env.note(f"{sum(connections.calls.values())} calls in all")

        return to_the_end(run.go, lambda: run.result.exit_status(FailOn(options.verdict.fail_on)), show)


def prepared(
    examination: Examination,
    question: Question,
    requests: tuple[planner.FixRequest, ...],
    wait: float | None,
    confirm: Callable[[FixResult], bool],
    observe: Observe,
    accept: Callable[[FixResult], None] = lambda result: None,
) -> FixRun:
    """A fix of what is asked about, ready to go: diagnosed and planned. wait: seconds of --wait, None without it.
    confirm, observe, accept: as in `FixRun`. Raises CouldNotRun where there is nothing to diagnose."""
    connections, options, env = examination.connections, examination.options, examination.env
    snapshot = _snapshot(examination, question)
    connections.deadline.lift()  # Nothing that is written is cut off, and --wait has its own time.
    report = examine(snapshot, connections.where)
    plan = planner.plan(report.diagnoses, requests, report.subjects)
    return FixRun(
        result=_result(options, report, plan),
        writer=Writer(connections.kube, cast("Aws | None", connections.aws), env.now()),
        context=snapshot.context,
        dry_run=options.change.dry_run,
        undo_place=options.fix.undo_file,
        now=env.now(),
        confirm=confirm,
        verifier=Verification(examination, snapshot.subjects, report, wait, observe),
        observe=observe,
        accept=accept,
    )


def _result(options: Options, report: Report, plan: FixPlan) -> FixResult:
    return FixResult(options.fix.names, report, tuple(map(StepRun, plan.steps)), plan.refusals)


def _snapshot(examination: Examination, question: Question) -> Snapshot:
    """The facts about what is asked, or about all of the namespace that are no other controller's."""
    options, env = examination.options, examination.env
    snapshot, found = examination.examined(question or (AllOf(),))
    if found.swept:
        number = len(snapshot.subjects)
        namespace = examination.connections.namespace
        env.note(f"looked at {number} object{'' if number == 1 else 's'} of namespace {namespace}")
    snapshot = examination.probes().settle(snapshot)
    save_bundle(snapshot, options, env)
    return snapshot


def _plan_of_bundle(
    options: Options,
    env: Environment,
    question: Question,
    requests: tuple[planner.FixRequest, ...],
    screen: FixScreen,
) -> ExitStatus:
    """With --from nothing can be changed: the plan is all there is."""
    result = planned_of_bundle(options, env, question, requests)
    screen.plan(result)
    env.note("nothing was changed: a bundle is diagnosed, not a cluster")
    status = result.exit_status(FailOn(options.verdict.fail_on))
    screen.show(result, env.run(status))
    return status


def planned_of_bundle(
    options: Options, env: Environment, question: Question, requests: tuple[planner.FixRequest, ...]
) -> FixResult:
    """What would be changed of the recorded objects, with the tools that keep them. Raises CouldNotRun for a file that
    is no bundle, or that does not hold one of the objects."""
    snapshot, _ = from_bundle(options, env, question)
    report = examine(snapshot, where_of_bundle(options))
    result = _result(options, report, planner.plan(report.diagnoses, requests, report.subjects))
    runs = tuple(
        replace(run, owner=gitops_owner(recorded_metadata(snapshot, run.step.change.object), run.step.change))
        for run in result.runs
    )
    outcome = FixOutcome.PLANNED if runs else FixOutcome.NOTHING
    return replace(result, runs=runs, outcome=outcome, from_bundle=True)
