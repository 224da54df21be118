"""`--fix` and `undo`: plan, show, confirm, check again, write the undo file, apply, wait for the targets, verify."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from kubectl_lbdoctor.analysis.frontends import ownership, traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect import bundle
from kubectl_lbdoctor.collect.kubeconfig import parse_duration
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import AwsApiError, CouldNotRun, ExitStatus, LbdoctorError, ReadFailed
from kubectl_lbdoctor.fix import planner, undo_file
from kubectl_lbdoctor.fix.follow import INTERVAL, Follower, Health, Reconciliations, described, group_name
from kubectl_lbdoctor.fix.owners import SourceOwner, source_owner
from kubectl_lbdoctor.fix.undo_file import DoneStep, State, UndoFile
from kubectl_lbdoctor.fix.writers import AlreadyThere, Aws, MovedOn, Writer
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, Severity
from kubectl_lbdoctor.model.plan import FixPlan, Refusal, Step
from kubectl_lbdoctor.model.report import Report, Status, SubjectView
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render import machine
from kubectl_lbdoctor.render import plan as plan_screen
from kubectl_lbdoctor.render.text import clean
from kubectl_lbdoctor.report import build
from kubectl_lbdoctor.session import Session

SLACK = 90.0
NLB_SLACK = 240.0
"""Seconds that registration, deregistration and the making of a target group may take besides the checks: a Network
Load Balancer takes minutes."""

RESTART_SLACK = 60.0
"""Seconds more for a rolling restart: one pod after the other stops and starts."""

VERIFY_EVERY = 6.0
"""Seconds between two whole diagnoses while the outcome is open: each is some 40 calls."""

LOOK_AGAIN = 15.0
"""Seconds after which a whole diagnosis is made even though target health says nothing new."""

RECONCILED_WITHIN = 45.0
"""Longest wait for the controller's word where target health was good before and so shows nothing."""

WITHOUT_AWS = 30.0
"""Longest wait where target health cannot be read: endpoints have followed by then."""


@dataclass
class _Outcome:
    """What a run has come to so far, for the result document of -o json|yaml."""

    plan: FixPlan
    before: Report
    wanted: tuple[str, ...] = ()
    status: str = "planned"
    states: dict[int, State] = field(default_factory=dict)
    owners: dict[int, SourceOwner] = field(default_factory=dict)
    undo: str = ""
    seconds: float | None = None
    after: Report | None = None
    gone: tuple[str, ...] = ()
    errors: list[str] = field(default_factory=list)


class Screen:
    """Lines for people as they become true; for a document they go to stderr, and the document comes at the end."""

    def __init__(self, env: Environment, options: Options) -> None:
        self._env = env
        self._options = options
        self.for_people = options.output in ("table", "wide")
        self.width = 0 if options.output == "wide" else env.width

    def line(self, label: str, text: str) -> None:
        self.text(f"{label:<9} {clean(text)}\n")

    def text(self, text: str) -> None:
        self._env.progress("")
        if self.for_people:
            self._env.out(text)
            self._env.flush()
        else:
            self._env.note(text.rstrip("\n"))

    def plan(self, text: str) -> None:
        """What a document holds anyway."""
        if self.for_people:
            self.text(text)

    def note(self, text: str) -> None:
        self._env.progress("")
        self._env.note(clean(text))

    def document(self, kind: str, content: dict[str, Any]) -> None:
        if self.for_people:
            return
        self._env.progress("")
        if self._options.output == "name":
            names = dict.fromkeys(f"{s['object']['kind'].lower()}/{s['object']['name']}" for s in content["steps"])
            self._env.out("".join(f"{clean(name)}\n" for name in names))
        else:
            self._env.out(machine.render_fix(kind, content, self._options.output))


def fix(options: Options, env: Environment, wanted: tuple[tuple[str, str], ...]) -> ExitStatus:
    """Repair what `options.fix` names, on the given objects or, without any, in the whole namespace.

    Raises UsageError for an unknown name or when nobody can confirm, CouldNotRun when there is nothing to diagnose;
    nothing is changed then.
    """
    names = planner.parse(options.fix, CATALOGUE)
    wait_seconds(options)
    if options.from_file:
        return _plan_of_bundle(options, env, names, wanted)
    with Session(options, env) as session:
        subjects = session.subjects(wanted) if wanted else session.all_subjects()
        if not subjects:
            raise CouldNotRun(
                f"namespace {session.namespace} has no Ingress, no Service of type LoadBalancer and no binding",
                "choose another with -n",
            )
        snapshot = session.collect(subjects)
        if not wanted:
            snapshot = _ours(snapshot)
            number = len(snapshot.subjects)
            env.note(f"looked at {number} object{'' if number == 1 else 's'} of namespace {session.namespace}")
        snapshot = session.probed(snapshot)
        if options.save:
            bundle.save(snapshot, Path(options.save))
            env.note(f"bundle saved: {options.save}")
        report = examine(snapshot)
        plan = planner.plan(report.diagnoses, names)
        try:
            return _Run(session, options, env, snapshot, report, plan).go()
        finally:
            if options.verbose:
                env.note(f"{session.calls} calls in all")


def examine(snapshot: Snapshot) -> Report:
    joined = traffic_paths(snapshot)
    return build(snapshot, joined, run(CATALOGUE, joined), CATALOGUE)


def _ours(snapshot: Snapshot) -> Snapshot:
    """Without the objects of other controllers: who repairs a namespace does not mean those."""
    foreign = set()
    for traffic in traffic_paths(snapshot):
        try:
            if ownership(traffic).owner == "other":
                foreign.add(traffic.subject)
        except Unknown:
            continue
    return replace(snapshot, subjects=tuple(ref for ref in snapshot.subjects if ref not in foreign))


def wait_seconds(options: Options) -> float | None:
    """How long `--wait` says to wait ("90", "90s", "2m"); None without it. Raises UsageError."""
    return parse_duration(options.wait, "--wait", "0 does not wait") if options.wait else None


def _plan_of_bundle(
    options: Options, env: Environment, names: tuple[planner.Wanted, ...], wanted: tuple[tuple[str, str], ...]
) -> ExitStatus:
    """With --from nothing can be changed: the plan is all there is."""
    snapshot = bundle.chosen(bundle.load(Path(options.from_file)), wanted, options.namespace)
    report = examine(snapshot)
    outcome = _Outcome(planner.plan(report.diagnoses, names), report, options.fix)
    outcome.owners = {
        number: owner
        for number, step in enumerate(outcome.plan.steps)
        if (owner := source_owner({"metadata": _metadata(snapshot, step.change.object)}, step.change)) is not None
    }
    screen = Screen(env, options)
    screen.plan(plan_screen.render(outcome.plan, _said(outcome), screen.width, env.colour))
    env.note("nothing was changed: a bundle is diagnosed, not a cluster")
    if not outcome.plan.steps:
        outcome.status = "nothing to change"
    screen.document("FixPlan", _document(outcome))
    if not outcome.plan.steps:
        return _without_steps(outcome, options)
    return ExitStatus.FINDINGS if outcome.plan.refusals else ExitStatus.HEALTHY


def _metadata(snapshot: Snapshot, ref: ObjectRef) -> dict[str, Any]:
    """Labels and annotations of an object of the bundle, which is all that it knows of who keeps it."""
    space = snapshot.namespaces.get(ref.namespace)
    metas = []
    if space is not None and ref.kind == "Ingress":
        metas = [i.meta for i in space.ingresses.peek() or ()]
    elif space is not None and ref.kind == "Service":
        metas = [s.meta for s in space.services.peek() or ()]
    found = next((m for m in metas if m.name == ref.name), None)
    return {"labels": found.labels, "annotations": found.annotations} if found is not None else {}


def _without_steps(outcome: _Outcome, options: Options) -> ExitStatus:
    """Nothing to do is fine where the objects are; what waits for a choice is not."""
    status = outcome.before.exit_status(Severity(options.fail_on))
    if any(refusal.choices or refusal.by_hand for refusal in outcome.plan.refusals):
        return ExitStatus.FINDINGS
    return status


class _Run:
    """One fix from the plan to its verification."""

    def __init__(
        self,
        session: Session,
        options: Options,
        env: Environment,
        snapshot: Snapshot,
        report: Report,
        plan: FixPlan,
    ) -> None:
        self._session = session
        self._options = options
        self._env = env
        self._snapshot = snapshot
        self._outcome = _Outcome(plan, report, options.fix)
        self._screen = Screen(env, options)
        self._uids: dict[int, str] = {}
        self._writer = Writer(session.kube, cast("Aws | None", session.aws), env.now())

    def go(self) -> ExitStatus:
        """Every ending leaves the document, Ctrl-C included."""
        try:
            return self._go()
        except KeyboardInterrupt:
            self._outcome.status = "interrupted"
            made = sum(1 for state in self._outcome.states.values() if state in (State.APPLIED, State.SENT))
            changes = "1 change is" if made == 1 else f"{made} changes are"
            self._screen.note(
                f"interrupted; {changes} made. Take back with: {self._undo_command()}"
                if made
                else "interrupted; nothing was changed"
            )
            return ExitStatus.INTERRUPTED
        except LbdoctorError as error:
            self._outcome.status = "failed" if self._outcome.states else "refused"
            self._outcome.errors.append(error.message)
            raise
        finally:
            kind = "FixPlan" if self._outcome.status in ("planned", "accepted") else "FixResult"
            self._screen.document(kind, _document(self._outcome))

    def _go(self) -> ExitStatus:
        plan, report = self._outcome.plan, self._outcome.before
        if not plan.steps:
            return self._nothing(plan, report)
        self._env.progress("reading what is to be changed")
        refused = self._check()
        plan = self._outcome.plan
        self._screen.plan(plan_screen.render(plan, _said(self._outcome), self._screen.width, self._env.colour))
        if refused is not None:
            return refused
        if not plan.steps:
            return self._nothing(FixPlan(), report)
        partly = self._partly
        if self._options.dry_run == "client":
            self._screen.note("dry run: nothing was changed")
            return partly
        if self._options.dry_run == "server":
            refused = self._rehearse()
            if refused is not None:
                return refused
            self._screen.note("dry run: the servers accept every change; nothing was changed")
            self._outcome.status = "accepted"
            return partly
        if not self._confirm(plan):
            self._screen.note("nothing was changed")
            self._outcome.status = "declined"
            return ExitStatus.FINDINGS
        refused = self._rehearse()
        if refused is not None:
            return refused
        watched = self._watched()
        refused = self._apply(plan.steps)
        return refused if refused is not None else self._follow(watched)

    @property
    def _partly(self) -> ExitStatus:
        """What a run that went well ends with: a fix that waits for a choice is not made."""
        waiting = any(refusal.choices or refusal.by_hand for refusal in self._outcome.plan.refusals)
        return ExitStatus.FINDINGS if waiting else ExitStatus.HEALTHY

    def _nothing(self, plan: FixPlan, report: Report) -> ExitStatus:
        for refusal in plan.refusals:
            self._screen.plan("\n".join(plan_screen.refusal_lines(refusal)) + "\n")
        self._outcome.status = "nothing to change"
        self._screen.note(f"nothing was changed; {_state(report.subjects)}")
        if report.unknown:
            codes = ", ".join(dict.fromkeys(check.code for check in report.unknown))
            self._screen.note(f"not known: {codes}: {_unread(report)}")
        return _without_steps(self._outcome, self._options)

    def _check(self) -> ExitStatus | None:
        """Leave out what is in effect already, and see who else writes the objects; a status where a step cannot be
        made any more."""
        kept: list[Step] = []
        refusals = list(self._outcome.plan.refusals)
        failed: ExitStatus | None = None
        for step in self._outcome.plan.steps:
            try:
                raw = self._writer.check(step.change)
            except AlreadyThere as there:
                refusals.append(Refusal(step.fix, there.message))
                continue
            except LbdoctorError as error:
                failed = self._failed(step, error, "nothing was changed")
                raw = None
            owner = source_owner(raw, step.change) if raw is not None else None
            if owner is not None:
                self._outcome.owners[len(kept)] = owner
            if raw is not None:
                self._uids[len(kept)] = str(raw.get("metadata", {}).get("uid") or "")
            kept.append(step)
        self._outcome.plan = replace(self._outcome.plan, steps=tuple(kept), refusals=tuple(refusals))
        return failed

    def _rehearse(self) -> ExitStatus | None:
        """Every step on the servers without making it, so that a refusal of the last leaves the first unmade."""
        self._env.progress("rehearsing")
        failed: ExitStatus | None = None
        for step in self._outcome.plan.steps:
            try:
                self._writer.rehearse(step.change)
            except LbdoctorError as error:
                failed = self._failed(step, error, "nothing was changed")
        return failed

    def _failed(self, step: Step, error: LbdoctorError, ending: str) -> ExitStatus:
        """Say why a step is not made; what was changed by others since is refused, all else could not be done."""
        self._screen.note(f"error: {step.change.object}: {error.message}; {ending}")
        if error.hint:
            self._screen.note(f"hint: {error.hint}")
        self._outcome.status = "refused" if ending == "nothing was changed" else "failed"
        self._outcome.errors.append(error.message)
        return ExitStatus.FINDINGS if isinstance(error, MovedOn) else ExitStatus.COULD_NOT_RUN

    def _confirm(self, plan: FixPlan) -> bool:
        owned = dict.fromkeys(
            f"{plan.steps[number].change.object} belongs to {owner.tool} ({owner.where})"
            for number, owner in self._outcome.owners.items()
        )
        if self._options.yes:
            for text in owned:
                self._screen.note(f"warning: {text}, which may take the change back")
            return True
        number = f"{len(plan.steps)} change{'s' if len(plan.steps) > 1 else ''}"
        where = f" in context {clean(self._session.context.name)}" if self._session.context.name else ""
        if not self._env.confirm(f"Apply {number}{where}? [y/N]: "):
            return False
        return not owned or self._env.confirm(
            f"{clean('; '.join(owned))}, which may take it back. Change it all the same? [y/N]: "
        )

    def _undo_command(self) -> str:
        context = ("--context", self._options.context) if self._options.context else ()
        return kubectl("lbdoctor", "undo", self._outcome.undo, *context)

    def _apply(self, steps: Sequence[Step]) -> ExitStatus | None:
        """The undo file first, then step by step; it is kept true all the way. A status where a step failed."""
        path = undo_file.place(self._options.undo_file, self._env.now())
        done = tuple(DoneStep(step, uid=self._uids.get(number, "")) for number, step in enumerate(steps))
        content = UndoFile(self._env.now(), self._snapshot.context, self._outcome.plan.affects, done)
        undo_file.save(content, path)
        self._outcome.undo = str(path)
        self._screen.line("undo", str(path))

        def mark(index: int, state: State) -> None:
            nonlocal content
            self._outcome.states[index] = state
            content = content.with_state(index, state)
            undo_file.save(content, path)

        for index, step in enumerate(steps):
            mark(index, State.SENT)
            try:
                self._writer.apply(step.change)
            except AlreadyThere:
                mark(index, State.NOTHING)
                continue
            except LbdoctorError as error:
                # A connection that broke may have carried the write; whatever was refused was certainly not made.
                certain = not isinstance(error, ReadFailed) or isinstance(error, AwsApiError)
                mark(index, State.PLANNED if certain else State.SENT)
                made = sum(1 for state in self._outcome.states.values() if state is State.APPLIED)
                ending = f"{made} of {len(steps)} changes are made" if made else "nothing was changed"
                status = self._failed(step, error, ending if certain else f"{ending}, and this one may be")
                if made or not certain:
                    self._screen.note(f"take back what was made with: {self._undo_command()}")
                    return ExitStatus.COULD_NOT_RUN
                path.unlink(missing_ok=True)
                self._outcome.undo = ""
                return status
            mark(index, State.APPLIED)
            self._screen.line("applied", f"{step.change.object}  {step.change.field}: {step.change.then}")
        return None

    # --- after the change ---

    @property
    def _affects(self) -> tuple[ObjectRef, ...]:
        return self._outcome.plan.affects

    def _watched(self) -> Reconciliations | None:
        """The controller's word, where the health of the targets alone would not show that a change has arrived."""
        edits = any(step.change.edits for step in self._outcome.plan.steps)
        if not edits or not _all_healthy(_subjects(self._outcome.before, self._affects)):
            return None
        watched = Reconciliations(self._session.kube, [ref.namespace for ref in self._affects])
        watched.mark()
        return watched

    def _limit(self) -> float:
        asked = wait_seconds(self._options)
        if asked is not None:
            return asked
        subjects = _subjects(self._outcome.before, self._affects)
        checks = [g.health_check for s in subjects for g in s.target_groups]
        turns = max((c.interval * c.healthy_threshold for c in checks), default=0)
        network = any(s.load_balancer is not None and s.load_balancer.type == "network" for s in subjects)
        restart = any(step.change.restart for step in self._outcome.plan.steps)
        return turns + (NLB_SLACK if network else SLACK) + (RESTART_SLACK if restart else 0)

    def _follow(self, watched: Reconciliations | None) -> ExitStatus:
        if wait_seconds(self._options) == 0:
            self._outcome.status = "applied"
            self._screen.note("not waited for the targets, so nothing is verified (--wait 0)")
            return ExitStatus.UNKNOWN
        try:
            report, seconds = self._await(watched)
        except LbdoctorError as error:
            self._outcome.status = "unknown"
            self._outcome.errors.append(error.message)
            self._screen.note(f"the change is made, but it cannot be verified: {error.message}")
            self._offer_undo()
            return ExitStatus.UNKNOWN
        self._outcome.after, self._outcome.seconds = report, round(seconds, 1)
        return self._verdict(report, seconds)

    def _follower(self) -> Follower | None:
        if self._session.aws is None:
            return None
        services: set[tuple[str, str]] = set()
        arns: set[str] = set()
        for subject in _subjects(self._outcome.before, self._affects):
            for group in subject.target_groups:
                arns.add(group.arn)
                services.add((group.namespace, group.service))
            for backend in subject.backends_without_group:
                services.add((subject.ref.namespace, backend.rpartition(":")[0]))
        return Follower(self._session.kube, cast(Aws, self._session.aws), frozenset(services), frozenset(arns))

    def _await(self, watched: Reconciliations | None) -> tuple[Report, float]:
        """The diagnosis that ends the waiting: the first good one, or the one at the deadline."""
        env, follower = self._env, self._follower()
        start, limit = env.clock(), self._limit()
        if follower is None and wait_seconds(self._options) is None:
            limit = min(limit, WITHOUT_AWS)
        shown: list[str] = []
        diagnosed_at = float("-inf")
        latest = self._outcome.before
        while True:
            elapsed = env.clock() - start
            over = elapsed >= limit
            health = _look(follower)
            lines = health.lines() if health is not None else []
            if lines != shown:
                shown = lines
                for line in lines:
                    self._screen.note(f"waiting   {line}  {elapsed:.0f}s")
            views = _subjects(latest, self._affects)
            by_design = frozenset(key for s in views for g in s.target_groups for key in g.expected_unhealthy)
            promising = health is None or health.all_healthy(by_design)
            arrived = watched is None or not watched.known or elapsed > RECONCILED_WITHIN or watched.seen()
            due = elapsed - diagnosed_at >= (VERIFY_EVERY if promising else LOOK_AGAIN)
            if over or (due and arrived and promising) or (due and elapsed >= LOOK_AGAIN):
                diagnosed_at = elapsed
                latest = examine(self._session.probed(self._session.collect(self._snapshot.subjects, quiet=True)))
                if over or (arrived and self._is_good(latest)):
                    return latest, elapsed
            env.progress(f"waiting   {'; '.join(map(clean, lines))}  {elapsed:.0f}s of {limit:.0f}s")
            env.sleep(INTERVAL)

    def _left(self, report: Report) -> set[str]:
        """Codes of the plan that are still found on its objects."""
        return {
            step.code
            for step in self._outcome.plan.steps
            for diagnosis in _about(report, step.affects)
            if step.code in (diagnosis.finding.code, *diagnosis.explains)
        }

    def _is_good(self, report: Report) -> bool:
        if self._left(report) or any(d.severity is Severity.ERROR for d in _about(report, self._affects)):
            return False
        subjects = _subjects(report, self._affects)
        if all(subject.status is Status.HEALTHY for subject in subjects):
            return True
        # What could not be read keeps an object from being called healthy, however its targets are.
        incomplete = bool(report.unknown) or not report.coverage.complete
        return incomplete and (self._session.aws is None or _all_healthy(subjects))

    def _verdict(self, report: Report, seconds: float) -> ExitStatus:
        """Judged are the objects of the plan; others that were looked at are mentioned."""
        outcome, left = self._outcome, self._left(report)
        subjects, diagnoses = _subjects(report, self._affects), _about(report, self._affects)
        for group in {g.arn: g for s in subjects for g in s.target_groups}.values():
            said = described(t.state for t in group.targets) if group.known else "target health was not read"
            self._screen.line("waiting", f"{group_name(group.arn)}  {said} after {seconds:.0f}s")
        outcome.gone = tuple(c for c in dict.fromkeys(s.code for s in outcome.plan.steps) if c not in left)
        gone = f"{', '.join(outcome.gone)} {'is' if len(outcome.gone) == 1 else 'are'} gone" if outcome.gone else ""
        words = ", ".join(part for part in (gone, _state(subjects)) if part)
        failing = [d for d in diagnoses if d.severity.order <= Severity(self._options.fail_on).order]
        if not left and not failing and all(s.status is Status.HEALTHY for s in subjects):
            outcome.status = "healthy"
            self._screen.line("verified", words)
            self._mention_others(report)
            return self._partly
        if not left and not failing and self._is_good(report):
            outcome.status = "unknown"
            self._screen.line("unknown", f"{words}; not known: {_unread(report)}")
            self._offer_undo()
            return ExitStatus.UNKNOWN
        known = bool(left or failing) or all(g.known for s in subjects for g in s.target_groups)
        outcome.status = "unhealthy" if known else "unknown"
        still = f"{', '.join(sorted(left))} {'is' if len(left) == 1 else 'are'} still there, " if left else ""
        self._screen.line("not fixed", f"{still}{words} after {seconds:.0f}s")
        old = {(d.finding.code, d.finding.object) for d in _about(outcome.before, self._affects)}
        for diagnosis in diagnoses:
            if diagnosis.severity is not Severity.INFO:
                word = "still" if (diagnosis.finding.code, diagnosis.finding.object) in old else "new"
                what = f"{diagnosis.finding.code} {diagnosis.severity.value}  {diagnosis.message}"
                self._screen.line("", f"{word:<6} {what}")
        self._offer_undo()
        return ExitStatus.FINDINGS if known else ExitStatus.UNKNOWN

    def _mention_others(self, report: Report) -> None:
        for subject in report.subjects:
            if subject.ref not in self._affects and subject.status is not Status.HEALTHY:
                codes = [d.finding.code for d in _about(report, (subject.ref,)) if d.severity is Severity.ERROR]
                said = f"{subject.ref} is {subject.status.value} {', '.join(codes)}".rstrip()
                self._screen.note(f"not part of this fix: {said}")

    def _offer_undo(self) -> None:
        steps, states = self._outcome.plan.steps, self._outcome.states
        if any(steps[n].change.reversible and state in (State.APPLIED, State.SENT) for n, state in states.items()):
            self._screen.note(f"take the change back with: {self._undo_command()}")


def _about(report: Report, refs: Iterable[ObjectRef]) -> tuple[Diagnosis, ...]:
    wanted = set(refs)
    return tuple(d for d in report.diagnoses if wanted & set(d.affects))


def _subjects(report: Report, refs: Iterable[ObjectRef]) -> tuple[SubjectView, ...]:
    wanted = set(refs)
    return tuple(subject for subject in report.subjects if subject.ref in wanted)


def _look(follower: Follower | None) -> Health | None:
    if follower is None:
        return None
    try:
        return follower.look()
    except LbdoctorError:
        return None  # One look that failed says nothing; the diagnosis names what cannot be read.


def _all_healthy(subjects: Iterable[SubjectView]) -> bool:
    """Whether every target that counts is healthy, of at least one in each target group."""
    views = tuple(subjects)
    groups = [group for subject in views for group in subject.target_groups]
    for group in groups:
        counted = [
            t for t in group.targets if t.state != "draining" and f"{t.id}:{t.port}" not in group.expected_unhealthy
        ]
        if not group.known or not counted or any(t.state != "healthy" for t in counted):
            return False
    return bool(groups) and not any(subject.backends_without_group for subject in views)


def _state(subjects: Iterable[SubjectView]) -> str:
    """ "ingress/web is healthy"; several objects by their status, the worst first."""
    by_status: dict[str, list[str]] = {}
    for subject in sorted(subjects, key=lambda s: s.status.order):
        by_status.setdefault(subject.status.value, []).append(str(subject.ref))
    return ", ".join(f"{', '.join(n)} {'is' if len(n) == 1 else 'are'} {status}" for status, n in by_status.items())


def _unread(report: Report) -> str:
    coverage = report.coverage
    reasons = [f"{d.read} denied" for d in coverage.denied] + [f"{f.read} failed" for f in coverage.failed]
    reasons += coverage.not_asked
    reasons = reasons or [f"{u.code} {'crashed: ' if u.crashed else ''}{u.reason}" for u in report.unknown]
    return "; ".join(reasons[:3]) or "something that is needed was not read"


def _said(outcome: _Outcome) -> dict[int, str]:
    return {number: _owned(outcome.plan.steps[number], owner) for number, owner in outcome.owners.items()}


def _owned(step: Step, owner: SourceOwner) -> str:
    change = step.change
    return (
        f"note: {change.object} belongs to {owner.tool} ({owner.where}), which will take a live change back; "
        f"change {change.field} to {change.then} at its source too"
    )


def _document(outcome: _Outcome) -> dict[str, Any]:
    """The result of a fix as plain data (additions are free, changes are a new version)."""
    context = outcome.before.context
    affects = outcome.plan.affects

    def found(report: Report) -> dict[str, Any]:
        return {
            "status": min((s.status for s in report.subjects), key=lambda s: s.order, default=Status.UNKNOWN).value,
            "diagnoses": [
                {
                    "code": d.finding.code,
                    "severity": d.severity.value,
                    "object": machine.ref(d.finding.object),
                    "message": d.message,
                }
                for d in (_about(report, affects) if affects else report.diagnoses)
            ],
        }

    return {
        "status": outcome.status,
        "generatedAt": outcome.before.generated_at,
        "context": {
            "kubeContext": context.kube_context,
            "namespace": context.namespace,
            "region": context.region,
            "account": context.account,
            "cluster": context.cluster,
        },
        "wanted": list(outcome.wanted),
        "lookedAt": [machine.ref(subject.ref) for subject in outcome.before.subjects],
        "steps": [_step(number, step, outcome) for number, step in enumerate(outcome.plan.steps)],
        "refused": [
            {"fix": r.fix, "reason": r.reason, "choices": list(r.choices), "commands": list(r.by_hand)}
            for r in outcome.plan.refusals
        ],
        "undoFile": outcome.undo,
        "seconds": outcome.seconds,
        "gone": list(outcome.gone),
        "errors": outcome.errors,
        "before": found(outcome.before),
        "after": found(outcome.after) if outcome.after is not None else None,
    }


def _step(number: int, step: Step, outcome: _Outcome) -> dict[str, Any]:
    owner = outcome.owners.get(number)
    return {
        **step_document(step),
        "state": outcome.states.get(number, State.PLANNED).value,
        "ownedBy": {"tool": owner.tool, "where": owner.where} if owner is not None else None,
    }


def step_document(step: Step) -> dict[str, Any]:
    change = step.change
    return {
        "fix": step.fix,
        "code": step.code,
        "object": machine.ref(change.object),
        "affects": [machine.ref(ref) for ref in step.affects],
        "field": change.field,
        "now": change.now,
        "then": change.then,
        "why": change.why,
        "risk": change.risk,
        "command": change.command,
        "reversible": change.reversible,
    }
