"""`--fix`: diagnose, plan, make the changes that a person confirms, and diagnose again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from kubectl_lbdoctor.analysis.ownership import ownership
from kubectl_lbdoctor.analysis.traffic_paths import routes
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.kubeconfig import parse_duration
from kubectl_lbdoctor.commands.dialogue import Dialogue
from kubectl_lbdoctor.commands.examination import Examination, Requested, examine, from_bundle, save_bundle
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.fix import planner
from kubectl_lbdoctor.fix.events import Observe
from kubectl_lbdoctor.fix.follow import WITHOUT_AWS, Aws, Lists, Reconciliations, Wait, follower_of, longest_wait
from kubectl_lbdoctor.fix.owners import gitops_owner
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult
from kubectl_lbdoctor.fix.run import FixRun
from kubectl_lbdoctor.fix.step_run import StepRun
from kubectl_lbdoctor.fix.verify import Judge, Verdict, targets_healthy
from kubectl_lbdoctor.fix.writers import Aws as AwsWriter
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Severity
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import FixPlan
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.fix_screen import FixScreen


def fix(options: Options, env: Environment, requested: Requested) -> ExitStatus:
    """Repair what --fix names, on the given objects or, without any, in the whole namespace.

    Raises UsageError for an unknown name or when nobody can confirm, CouldNotRun when there is nothing to diagnose;
    nothing is changed then.
    """
    requests = planner.parse(options.fix.names, CATALOGUE)
    wait = parse_duration(options.fix.wait, "--wait", "0 does not wait") if options.fix.wait else None
    screen = FixScreen(env, options.output.format, options.kube.context)
    if options.bundle.load:
        return _plan_of_bundle(options, env, requested, requests, screen)
    with Connections(options.kube, options.aws, env) as connections:
        examination = Examination(connections, options, env)
        snapshot = _snapshot(examination, requested)
        report = examine(snapshot)
        plan = planner.plan(report.diagnoses, requests)
        run = FixRun(
            result=_result(options, report, plan),
            writer=Writer(connections.kube, cast("AwsWriter | None", connections.aws), env.now()),
            context=snapshot.context,
            dry_run=options.change.dry_run,
            undo_place=options.fix.undo_file,
            now=env.now(),
            confirm=Dialogue(env, options.change.yes).confirm_fix,
            verifier=_Verifier(examination, snapshot, report, wait, screen),
            observe=screen,
        )
        try:
            run.go()
        finally:
            screen.show(run.result)
            if options.output.verbose:
                env.note(f"{sum(connections.calls.values())} calls in all")
        return run.result.exit_status(Severity(options.verdict.fail_on))


def _result(options: Options, report: Report, plan: FixPlan) -> FixResult:
    return FixResult(options.fix.names, report, tuple(map(StepRun, plan.steps)), plan.refusals)


def _snapshot(examination: Examination, requested: Requested) -> Snapshot:
    """The facts about the objects, or about all of the namespace that are no other controller's."""
    options, env = examination.options, examination.env
    if requested:
        snapshot = examination.collect(examination.subjects(requested))
    else:
        snapshot = _without_foreign(examination.collect(examination.all_subjects()))
        number = len(snapshot.subjects)
        namespace = examination.connections.namespace
        env.note(f"looked at {number} object{'' if number == 1 else 's'} of namespace {namespace}")
    snapshot = examination.probes().settle(snapshot)
    save_bundle(snapshot, options, env)
    return snapshot


def _without_foreign(snapshot: Snapshot) -> Snapshot:
    """Without the objects of other controllers: who repairs a namespace does not mean those."""
    foreign = set()
    for route in routes(snapshot):
        try:
            if ownership(route).owner == "other":
                foreign.add(route.subject)
        except Unknown:
            continue
    return replace(snapshot, subjects=tuple(ref for ref in snapshot.subjects if ref not in foreign))


@dataclass
class _Verifier:
    """Diagnoses the objects of a fix again, until they are good or the time is over. wait: seconds of --wait, None
    without it."""

    examination: Examination
    snapshot: Snapshot
    before: Report
    wait: float | None
    observe: Observe

    def prepare(self, result: FixResult) -> None:
        """Where the health of the targets alone would not show that a change has arrived, note what the controller has
        said until now."""
        connections, options = self.examination.connections, self.examination.options
        fail_on = Severity(options.verdict.fail_on)
        self._judge = Judge(result.steps, self.before, fail_on, with_aws=connections.aws is not None)
        self._watched: Reconciliations | None = None
        edits = any(step.change.edits for step in result.steps)
        if edits and targets_healthy(self._judge.subjects(self.before)):
            namespaces = [ref.namespace for ref in result.affects]
            self._watched = Reconciliations(cast(Lists, connections.kube), namespaces)
            self._watched.mark()

    def verify(self) -> tuple[Verdict, Report, float] | None:
        """The verdict, the report that it is about, and the seconds until then; None where nobody wants to wait."""
        if self.wait == 0:
            return None
        env, connections = self.examination.env, self.examination.connections
        subjects = self._judge.subjects(self.before)
        follower = follower_of(cast(Lists, connections.kube), cast("Aws | None", connections.aws), subjects)
        limit = self.wait if self.wait is not None else longest_wait(subjects, self._judge.steps)
        if follower is None and self.wait is None:
            limit = min(limit, WITHOUT_AWS)
        waiting = Wait(follower, self._watched, limit, env.clock, env.sleep, self.observe)
        report, seconds = waiting.until_good(self._judge, self._diagnose)
        return self._judge.verdict(report), report, seconds

    def _diagnose(self) -> Report:
        return examine(self.examination.snapshot(self.snapshot.subjects, quiet=True))


def _plan_of_bundle(
    options: Options,
    env: Environment,
    requested: Requested,
    requests: tuple[planner.FixRequest, ...],
    screen: FixScreen,
) -> ExitStatus:
    """With --from nothing can be changed: the plan is all there is."""
    snapshot = from_bundle(options, requested)
    report = examine(snapshot)
    result = _result(options, report, planner.plan(report.diagnoses, requests))
    runs = tuple(
        replace(run, owner=gitops_owner(_metadata(snapshot, run.step.change.object), run.step.change))
        for run in result.runs
    )
    outcome = FixOutcome.PLANNED if runs else FixOutcome.NOTHING
    result = replace(result, runs=runs, outcome=outcome, from_bundle=True)
    screen.plan(result)
    env.note("nothing was changed: a bundle is diagnosed, not a cluster")
    screen.show(result)
    return result.exit_status(Severity(options.verdict.fail_on))


def _metadata(snapshot: Snapshot, ref: ObjectRef) -> dict[str, Any]:
    """An object of the bundle with its labels and annotations, which are all that it knows of who keeps it."""
    space = snapshot.namespaces.get(ref.namespace)
    metas = []
    if space is not None and ref.kind == "Ingress":
        metas = [ingress.meta for ingress in space.ingresses.peek() or ()]
    elif space is not None and ref.kind == "Service":
        metas = [service.meta for service in space.services.peek() or ()]
    found = next((meta for meta in metas if meta.name == ref.name), None)
    return {"metadata": {"labels": found.labels, "annotations": found.annotations} if found is not None else {}}
