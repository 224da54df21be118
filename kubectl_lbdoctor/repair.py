"""`--fix` and `undo`: plan, show, confirm, check again, write the undo file, apply, wait for the targets, verify."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus, LbdoctorError, ReadFailed, UsageError
from kubectl_lbdoctor.fix import planner, undo_file, waiting
from kubectl_lbdoctor.fix.owners import SourceOwner, source_owner
from kubectl_lbdoctor.fix.undo_file import DoneStep, State, UndoFile
from kubectl_lbdoctor.fix.writers import AlreadyThere, Aws, Writer
from kubectl_lbdoctor.model.finding import ObjectRef, Severity
from kubectl_lbdoctor.model.join import routes
from kubectl_lbdoctor.model.plan import FixPlan, Refusal, Step
from kubectl_lbdoctor.model.report import Report, Status
from kubectl_lbdoctor.model.shell import kubectl, shell
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render import machine
from kubectl_lbdoctor.render import plan as plan_screen
from kubectl_lbdoctor.render.text import clean
from kubectl_lbdoctor.report import build
from kubectl_lbdoctor.session import Session

POLL_SECONDS = 2.0


@dataclass
class _Outcome:
    """What a run has come to so far, for the result document of -o json|yaml."""

    plan: FixPlan
    before: Report
    status: str = "planned"
    undo: str = ""
    seconds: float | None = None
    after: Report | None = None
    errors: list[str] = field(default_factory=list)


class _Screen:
    """Lines for people as they become true; silent where a document is asked for instead."""

    def __init__(self, env: Environment, options: Options) -> None:
        self._env = env
        self.machine = options.output in ("json", "yaml")
        self._options = options

    def line(self, label: str, text: str) -> None:
        if not self.machine:
            self._env.progress("")
            self._env.out(f"{label:<9} {clean(text)}\n")
            self._env.flush()

    def text(self, text: str) -> None:
        if not self.machine:
            self._env.progress("")
            self._env.out(text)
            self._env.flush()

    def document(self, outcome: _Outcome) -> None:
        if self.machine:
            self._env.progress("")
            self._env.out(machine.render_fix(_document(outcome), self._options.output))


def fix(options: Options, env: Environment, wanted: tuple[tuple[str, str], ...]) -> ExitStatus:
    """Repair what `options.fix` names, on the given objects or, without any, in the whole namespace.

    Raises UsageError for an unknown name or when nobody can confirm, CouldNotRun when there is nothing to diagnose;
    nothing is changed then.
    """
    names = planner.parse(options.fix, CATALOGUE)
    if options.from_file:
        return _plan_of_bundle(options, env, names)
    wait_seconds(options)
    with Session(options, env) as session:
        subjects = session.subjects(wanted) if wanted else session.all_subjects()
        if not subjects:
            env.note(f"nothing to look at: no Ingress, LoadBalancer Service or binding in {session.namespace}")
            return ExitStatus.HEALTHY
        if not wanted:
            env.note(f"looking at {len(subjects)} objects of namespace {session.namespace}")
        snapshot = session.probed(session.collect(subjects))
        report = examine(snapshot)
        plan = planner.plan(report.diagnoses, names)
        return _Run(session, options, env, subjects, snapshot, report, plan).go()


def examine(snapshot: Snapshot) -> Report:
    joined = routes(snapshot)
    return build(snapshot, joined, run(CATALOGUE, joined), CATALOGUE)


def wait_seconds(options: Options) -> float | None:
    """How long `--wait` says to wait (seconds, "90s", "2m"); None without it. Raises UsageError."""
    if not options.wait:
        return None
    units = {"s": 1, "m": 60, "h": 3600}
    text = options.wait.strip()
    factor = units.get(text[-1:], 0)
    number = text[:-1] if factor else text
    if not number.isascii() or not number.isdigit():
        raise UsageError(f'"{options.wait}" is no time to wait', "write seconds or 90s, 2m; 0 does not wait")
    return float(int(number) * (factor or 1))


def _plan_of_bundle(options: Options, env: Environment, names: tuple[planner.Wanted, ...]) -> ExitStatus:
    """With --from nothing can be changed: the plan is all there is."""
    from kubectl_lbdoctor.collect import bundle

    report = examine(bundle.load(Path(options.from_file)))
    outcome = _Outcome(planner.plan(report.diagnoses, names), report)
    screen = _Screen(env, options)
    screen.text(plan_screen.render(outcome.plan, {}, env.width))
    screen.document(outcome)
    env.note("nothing was changed: a bundle is diagnosed, not a cluster")
    return report.exit_status(Severity(options.fail_on))


class _Run:
    """One fix from the plan to its verification."""

    def __init__(
        self,
        session: Session,
        options: Options,
        env: Environment,
        subjects: tuple[ObjectRef, ...],
        snapshot: Snapshot,
        report: Report,
        plan: FixPlan,
    ) -> None:
        self._session = session
        self._options = options
        self._env = env
        self._subjects = subjects
        self._snapshot = snapshot
        self._outcome = _Outcome(plan, report)
        self._screen = _Screen(env, options)
        self._writer = Writer(session.kube, cast("Aws | None", session.aws), env.now())

    def go(self) -> ExitStatus:
        status = self._go()
        self._screen.document(self._outcome)
        return status

    def _go(self) -> ExitStatus:
        plan, report = self._outcome.plan, self._outcome.before
        if not plan.steps:
            return self._nothing(plan, report)
        checked = self._check()
        if checked is None:
            return ExitStatus.COULD_NOT_RUN
        plan, owners = checked
        self._outcome.plan = plan
        self._screen.text(plan_screen.render(plan, owners, self._env.width) + "\n")
        if not plan.steps:
            return self._nothing(FixPlan(), report)
        if self._options.dry_run == "client":
            self._env.note("dry run: nothing was changed")
            return ExitStatus.HEALTHY
        if self._options.dry_run == "server":
            if not self._rehearse():
                return ExitStatus.COULD_NOT_RUN
            self._env.note("dry run: the servers accept every change; nothing was changed")
            self._outcome.status = "accepted"
            return ExitStatus.HEALTHY
        if not self._confirm(plan, bool(owners)):
            self._env.note("nothing was changed")
            self._outcome.status = "declined"
            return ExitStatus.FINDINGS
        if not self._rehearse():
            return ExitStatus.COULD_NOT_RUN
        begun = time.monotonic()
        if not self._apply(plan.steps):
            return ExitStatus.COULD_NOT_RUN
        try:
            return self._follow(begun)
        except KeyboardInterrupt:
            self._env.progress("")
            self._env.note(f"stopped waiting; the change is made. Take it back with: {self._undo_command()}")
            raise

    def _nothing(self, plan: FixPlan, report: Report) -> ExitStatus:
        for refusal in plan.refusals:
            self._screen.text("\n".join(plan_screen.refusal_lines(refusal)) + "\n")
        self._outcome.status = "nothing to change"
        status = report.exit_status(Severity(self._options.fail_on))
        if status is ExitStatus.HEALTHY and any(r.choices for r in plan.refusals):
            return ExitStatus.FINDINGS
        self._env.note(f"nothing was changed; {_state(report)}")
        return status

    def _check(self) -> tuple[FixPlan, dict[int, str]] | None:
        """The plan with what is in effect already left out, and who else writes its objects."""
        kept: list[Step] = []
        refusals = list(self._outcome.plan.refusals)
        owners: dict[int, str] = {}
        for step in self._outcome.plan.steps:
            try:
                raw = self._writer.check(step.change)
            except AlreadyThere as there:
                refusals.append(Refusal(step.fix, there.message))
                continue
            except LbdoctorError as error:
                self._failed(step, error, "nothing was changed")
                return None
            owner = source_owner(raw, step.change) if raw is not None else None
            if owner is not None:
                owners[len(kept)] = _owned(step, owner)
            kept.append(step)
        return replace(self._outcome.plan, steps=tuple(kept), refusals=tuple(refusals)), owners

    def _rehearse(self) -> bool:
        """Every step on the servers without making it, so that a refusal of the last leaves the first unmade."""
        for step in self._outcome.plan.steps:
            try:
                self._writer.rehearse(step.change)
            except LbdoctorError as error:
                self._failed(step, error, "nothing was changed")
                return False
        return True

    def _failed(self, step: Step, error: LbdoctorError, ending: str) -> None:
        self._env.progress("")
        self._env.note(clean(f"error: {step.change.object}: {error.message}; {ending}"))
        if error.hint:
            self._env.note(clean(f"hint: {error.hint}"))
        self._outcome.status = "refused" if ending == "nothing was changed" else "failed"
        self._outcome.errors.append(error.message)

    def _confirm(self, plan: FixPlan, foreign: bool) -> bool:
        if self._options.yes:
            return True
        number = f"{len(plan.steps)} change{'s' if len(plan.steps) > 1 else ''}"
        where = f" in context {self._session.context.name}" if self._session.context.name else ""
        question = f"Apply {number}{where}{' although another tool owns it' if foreign else ''}? [y/N]: "
        return self._env.confirm(question)

    def _undo_command(self) -> str:
        context = ("--context", self._options.context) if self._options.context else ()
        return kubectl("lbdoctor", "undo", self._outcome.undo, *context)

    def _apply(self, steps: Sequence[Step]) -> bool:
        """The undo file first, then step by step; it is kept true all the way."""
        path = Path(self._options.undo_file or f"lbdoctor-undo-{_stamp(self._env.now())}.json")
        content = UndoFile(
            self._env.now(), self._snapshot.context, self._subjects, tuple(DoneStep(step) for step in steps)
        )
        if path.exists():
            raise CouldNotRun(f"the undo file {path} exists already", "choose another place with --undo-file FILE")
        undo_file.save(content, path)
        self._outcome.undo = str(path)
        self._screen.line("undo", str(path))
        for index, step in enumerate(steps):
            content = content.with_state(index, State.SENT)
            undo_file.save(content, path)
            try:
                self._writer.apply(step.change)
            except AlreadyThere:
                content = content.with_state(index, State.NOTHING)
                undo_file.save(content, path)
                continue
            except LbdoctorError as error:
                # A connection that broke may have carried the write; whatever was refused was certainly not made.
                certain = type(error) is not ReadFailed
                content = content.with_state(index, State.PLANNED if certain else State.SENT)
                undo_file.save(content, path)
                made = sum(1 for done in content.steps if done.state is State.APPLIED)
                ending = f"{made} of {len(steps)} changes are made" if made else "nothing was changed"
                self._failed(step, error, ending if certain else f"{ending}, and this one may be")
                if made or not certain:
                    self._env.note(f"take back what was made with: {self._undo_command()}")
                else:
                    path.unlink(missing_ok=True)
                return False
            content = content.with_state(index, State.APPLIED)
            undo_file.save(content, path)
            self._screen.line("applied", f"{step.change.object}  {step.change.field}: {step.change.then}")
        return True

    # --- after the change ---

    def _follow(self, begun: float) -> ExitStatus:
        asked = wait_seconds(self._options)
        if asked == 0:
            self._outcome.status = "applied"
            self._env.note("not waited for the targets (--wait 0)")
            return ExitStatus.HEALTHY
        limit = asked if asked is not None else float(waiting.longest_wait(routes(self._snapshot)))
        end = begun + limit
        settled = self._wait(begun, end)
        self._outcome.seconds = round(time.monotonic() - begun, 1)
        report = self._verify(end if settled else time.monotonic())
        self._outcome.after = report
        return self._verdict(report, limit)

    def _wait(self, begun: float, end: float) -> bool:
        """Follow the target groups until all agree; False at the deadline or where nobody tells their health."""
        by_design = frozenset(
            target for s in self._outcome.before.subjects for g in s.target_groups for target in g.expected_unhealthy
        )
        shown = ""
        while True:
            try:
                snapshot = self._session.collect(self._subjects, waiting.READS, quiet=True)
                state = waiting.progress(routes(snapshot), by_design)
            except LbdoctorError as error:
                if not isinstance(error, ReadFailed):
                    raise
                state = ()
            if state is None:
                self._env.note("the targets' health cannot be read, so it is not waited for")
                return False
            seconds = int(time.monotonic() - begun)
            if state and all(one.settled for one in state):
                for one in state:
                    self._screen.line("waiting", f"{one} after {seconds}s")
                return True
            text = ", ".join(str(one) for one in state if not one.settled)
            if text and text != shown:
                shown = text
                self._env.note(clean(f"waiting   {text} ({seconds}s)"))
            if time.monotonic() + POLL_SECONDS > end:
                return False
            time.sleep(POLL_SECONDS)

    def _verify(self, end: float) -> Report:
        """The same checks again; what lags behind (events, annotations that are applied) gets until the deadline."""
        codes = {step.code for step in self._outcome.plan.steps}
        while True:
            report = examine(self._session.probed(self._session.collect(self._subjects, quiet=True)))
            left = {d.finding.code for d in report.diagnoses} & codes
            if (not left and report.status is Status.HEALTHY) or time.monotonic() + POLL_SECONDS > end:
                return report
            time.sleep(POLL_SECONDS)

    def _verdict(self, report: Report, limit: float) -> ExitStatus:
        before, codes = self._outcome.before, {step.code for step in self._outcome.plan.steps}
        now = {d.finding.code for d in report.diagnoses}
        gone = sorted(codes - now)
        left = sorted(codes & now)
        subjects = ", ".join(f"{s.ref} is {s.status.value}" for s in report.subjects)
        text = f"{' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} gone, {subjects}" if gone else subjects
        if left:
            text = f"{' and '.join(left)} {'is' if len(left) == 1 else 'are'} still there, {text}"
        errors = [d for d in report.diagnoses if d.severity is Severity.ERROR]
        status = report.exit_status(Severity(self._options.fail_on))
        if status is ExitStatus.HEALTHY and not left:
            self._outcome.status = "healthy"
            self._screen.line("verified", text)
            return status
        self._outcome.status = (
            "unknown" if status is ExitStatus.UNKNOWN else "unhealthy" if errors or left else "applied"
        )
        label = "verified" if not errors and not left else "failed"
        self._screen.line(label if status is not ExitStatus.UNKNOWN else "unknown", text)
        old = {d.finding.code for d in before.diagnoses}
        for diagnosis in report.diagnoses:
            word = "still" if diagnosis.finding.code in old else "new"
            self._screen.line("", f"{word:<6} {diagnosis.finding.code} {diagnosis.severity.value}  {diagnosis.message}")
        if errors or left:
            self._env.note(f"not healthy within {limit:.0f}s of the change; take it back with: {self._undo_command()}")
        elif status is ExitStatus.UNKNOWN:
            self._env.note(f"health cannot be verified; take the change back with: {self._undo_command()}")
        return ExitStatus.FINDINGS if left else status


def _owned(step: Step, owner: SourceOwner) -> str:
    change = step.change
    return (
        f"note: {change.object} belongs to {owner.tool} ({owner.where}), which will take a live change back; "
        f"change {change.field} to {change.then} at its source too"
    )


def _state(report: Report) -> str:
    return ", ".join(f"{s.ref} is {s.status.value}" for s in report.subjects)


def _stamp(now: str) -> str:
    return now.replace("-", "").replace(":", "")


def _document(outcome: _Outcome) -> dict[str, Any]:
    """The result of a fix as plain data (additions are free, changes are a new version)."""

    def codes(report: Report | None) -> list[dict[str, str]]:
        return [
            {"code": d.finding.code, "severity": d.severity.value, "message": d.message}
            for d in (report.diagnoses if report is not None else ())
        ]

    return {
        "status": outcome.status,
        "steps": [
            {
                "fix": step.fix,
                "code": step.code,
                "object": machine.ref(step.change.object),
                "field": step.change.field,
                "now": step.change.now,
                "then": step.change.then,
                "why": step.change.why,
                "risk": step.change.risk,
                "command": step.change.command,
                "reversible": step.change.reversible,
            }
            for step in outcome.plan.steps
        ],
        "refused": [
            {"fix": r.fix, "reason": r.reason, "choices": list(r.choices), "commands": list(r.by_hand)}
            for r in outcome.plan.refusals
        ],
        "undoFile": outcome.undo,
        "seconds": outcome.seconds,
        "errors": outcome.errors,
        "before": {"status": outcome.before.status.value, "diagnoses": codes(outcome.before)},
        "after": {"status": outcome.after.status.value, "diagnoses": codes(outcome.after)}
        if outcome.after is not None
        else None,
    }


# --- undo -------------------------------------------------------------------------------------------------------------


def undo(options: Options, env: Environment, name: str) -> ExitStatus:
    """Put back what a fix has changed, exactly; refuse all of it when any of it has moved on since.

    Raises CouldNotRun for a file that cannot be used or that belongs to another cluster.
    """
    path = Path(name)
    content = undo_file.load(path)
    todo = [(i, d) for i, d in enumerate(content.steps) if d.state in (State.APPLIED, State.SENT)]
    if not todo:
        raise CouldNotRun(f"there is nothing to take back: no change of {path} is in effect")
    with Session(options, env) as session:
        _same_place(session, content)
        if any(done.step.change.aws is not None for _, done in todo):
            session.open_aws(content.context.region)
        writer = Writer(session.kube, cast("Aws | None", session.aws), env.now())
        back: list[tuple[int, DoneStep]] = []
        for index, done in reversed(todo):
            change = done.step.change
            if not change.reversible:
                env.note(clean(f"{change.object}: a restart cannot be taken back"))
                continue
            try:
                writer.check_undo(change)
            except AlreadyThere:
                env.note(clean(f"{change.object}: {change.field} is {change.now} already"))
                content = content.with_state(index, State.UNDONE)
                continue
            except LbdoctorError as error:
                if done.state is State.SENT:
                    env.note(clean(f"{change.object}: the change was not made: {error.message}"))
                    continue
                env.note(clean(f"error: {error.message.replace(' as planned', ' as the fix has set it')}"))
                env.note("nothing was taken back: put it right by hand")
                return ExitStatus.COULD_NOT_RUN
            back.append((index, done))
        for _, done in back:
            change = done.step.change
            env.out(clean(f"{change.object}  {change.field}: {change.then} -> {change.now}") + "\n")
        env.flush()
        if not back:
            undo_file.save(content, path)
            return ExitStatus.HEALTHY
        if options.dry_run:
            env.note("dry run: nothing was changed")
            return ExitStatus.HEALTHY
        number = f"{len(back)} change{'s' if len(back) > 1 else ''}"
        if not options.yes and not env.confirm(f"Take back {number} in context {session.context.name}? [y/N]: "):
            env.note("nothing was changed")
            return ExitStatus.FINDINGS
        for index, done in back:
            try:
                writer.undo(done.step.change)
            except LbdoctorError as error:
                env.note(clean(f"error: {done.step.change.object}: {error.message}"))
                env.note(f"the rest is still in effect; try again with: {shell('kubectl', 'lbdoctor', 'undo', name)}")
                return ExitStatus.COULD_NOT_RUN
            content = content.with_state(index, State.UNDONE)
            undo_file.save(content, path)
            env.out(clean(f"undone    {done.step.change.object}  {done.step.change.field}") + "\n")
        return ExitStatus.HEALTHY


def _same_place(session: Session, content: UndoFile) -> None:
    """Raise CouldNotRun when the current context is another cluster than the one that was changed."""
    if content.context.server != session.context.server:
        raise CouldNotRun(
            f"the fix was made in another cluster: {content.context.server}, not {session.context.server}",
            f"switch with --context {content.context.kube_context}" if content.context.kube_context else "",
        )
