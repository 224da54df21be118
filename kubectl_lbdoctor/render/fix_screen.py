"""The screen of `--fix`: the plan, what is made of it, the waiting, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.fix import events
from kubectl_lbdoctor.fix.health import described
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult
from kubectl_lbdoctor.fix.step_run import Failure, Phase, StepState
from kubectl_lbdoctor.fix.verify import Verdict
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.plan import FixPlan
from kubectl_lbdoctor.model.report import Report, SubjectView
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.options import OutputOptions
from kubectl_lbdoctor.render.fix_tables import plan_table, refusal_lines
from kubectl_lbdoctor.render.live import Live
from kubectl_lbdoctor.render.rehearsals import dry_run_words, named, not_rehearsed

_PROGRESS = {Phase.CHECK: "reading what is to be changed", Phase.REHEARSAL: "rehearsing"}


class FixScreen:
    """Shows the events of a fix."""

    def __init__(self, env: Environment, output: OutputOptions) -> None:
        self._live = Live(env, output)

    def show(self, result: FixResult, run: Run) -> None:
        """The document at the end, in the formats that are one."""
        self._live.document(result, run)

    def plan(self, result: FixResult) -> None:
        """The table of changes, and what is not planned."""
        notes = {number: _owner_note(result, number) for number, run in enumerate(result.runs) if run.owner is not None}
        plan = FixPlan(result.steps, result.refusals)
        self._live.block(
            plan_table(plan, notes, self._live.width, self._live.colour, self._live.headers, where=result.before.where)
        )

    def __call__(self, event: events.Event) -> None:
        """Show one event; those that say nothing here are passed over."""
        live = self._live
        match event:
            case events.PhaseBegan(phase) if phase in _PROGRESS:
                live.progress(_PROGRESS[phase])
            case events.FixPlanned(result):
                self.plan(result)
            case events.NothingToChange(result, shown):
                self._nothing(result, shown)
            case events.StepFailed(failure):
                self._failed(failure)
            case events.StepNotRehearsed(step, why) if not step.change.not_rehearsed:  # Else the plan has said it.
                live.note(not_rehearsed(step, why))
            case events.DryRunEnded() as ended:
                live.note(dry_run_words(ended))
            case events.Declined():
                live.note("nothing was changed")
            case events.UndoFileWritten(path):
                live.line("undo", path)
            case events.StepMade(run):
                change = run.step.change
                live.line("applied", f"{change.object}  {change.field}: {change.then}")
            case events.StoppedHalfway(result):
                live.note(f"take back what was made with: {self._undo_command(result)}")
            case events.TargetsChanged(health, seconds):
                for line in health.lines():
                    live.note(f"waiting   {line}  {seconds:.0f}s")
            case events.StillWaiting(health, seconds, limit):
                lines = health.lines() if health is not None else []
                live.progress(f"waiting   {'; '.join(lines)}  {seconds:.0f}s of {limit:.0f}s")
            case events.NotWaited():
                live.note("not waited for the targets, so nothing is verified (--wait 0)")
            case events.NotVerified(error, result):
                live.note(f"the change is made, but it cannot be verified: {error.message}")
                self._offer_undo(result)
            case events.Verified(verdict, seconds, result):
                self._verified(verdict, seconds, result)
            case events.Interrupted(result):
                self._interrupted(result)

    def _undo_command(self, result: FixResult) -> str:
        return result.before.where.command(kubectl("lbdoctor", "undo", result.undo_file))

    def _offer_undo(self, result: FixResult) -> None:
        if any(run.step.change.reversible and run.may_be_in_effect for run in result.runs):
            self._live.note(f"take the change back with: {self._undo_command(result)}")

    def _nothing(self, result: FixResult, shown: bool) -> None:
        for refusal in result.refusals if not shown else ():
            self._live.block("\n".join(refusal_lines(refusal, result.before.where)) + "\n")
        self._live.note(f"nothing was changed; {_state(result.before.subjects)}")
        if result.before.unknown:
            codes = ", ".join(dict.fromkeys(check.code for check in result.before.unknown))
            self._live.note(f"not known: {codes}: {_unread(result.before)}")

    def _failed(self, failure: Failure) -> None:
        made = f"{part_of(failure.made, failure.total, 'change')} {'is' if failure.total == 1 else 'are'} made"
        if failure.certain:
            ending = made if failure.made else "nothing was changed"
        else:  # The error says what another look has shown.
            ending = f"{made}, and this one may be" if failure.made else "the change may be made"
        self._live.note_once(f"error: {named(failure)}; {ending}")
        if failure.error.hint:
            self._live.note_once(f"hint: {failure.error.hint}")

    def _interrupted(self, result: FixResult) -> None:
        made = sum(run.may_be_in_effect for run in result.runs)
        if made:
            sent = any(run.state is StepState.SENT for run in result.runs)
            changes = "1 change is" if made == 1 else f"{made} changes are"
            made_words = f"{changes} made{', or may be' if sent else ''}"
            self._live.note(f"interrupted; {made_words}. Take back with: {self._undo_command(result)}")
        else:
            self._live.note("interrupted; nothing was changed")

    def _verified(self, verdict: Verdict, seconds: float, result: FixResult) -> None:
        for group in {g.arn: g for s in verdict.subjects for g in s.target_groups}.values():
            states = described(t.state for t in group.targets) if group.known else "target health was not read"
            self._live.line("waiting", f"{target_group_name(group.arn)}  {states} after {seconds:.0f}s")
        gone = f"{', '.join(verdict.gone)} {'is' if len(verdict.gone) == 1 else 'are'} gone" if verdict.gone else ""
        words = ", ".join(part for part in (gone, _state(verdict.subjects)) if part)
        if verdict.outcome is FixOutcome.HEALTHY:
            self._live.line("verified", words)
            for subject, codes in verdict.others:
                left_out = f"{subject.ref} is {subject.status.value} {', '.join(codes)}".rstrip()
                self._live.note(f"not part of this fix: {left_out}")
        elif verdict.good:
            self._live.line("unknown", f"{words}; not known: {_unread(verdict.report)}")
            self._offer_undo(result)
        else:
            self._not_fixed(verdict, words, seconds)
            self._offer_undo(result)

    def _not_fixed(self, verdict: Verdict, words: str, seconds: float) -> None:
        left = verdict.left
        still = f"{', '.join(left)} {'is' if len(left) == 1 else 'are'} still there, " if left else ""
        self._live.line("not fixed", f"{still}{words} after {seconds:.0f}s")
        for diagnosis, is_new in verdict.found:
            what = f"{diagnosis.finding.code} {diagnosis.severity.value}  {diagnosis.message}"
            self._live.line("", f"{'new' if is_new else 'still':<6} {what}")


def _owner_note(result: FixResult, number: int) -> str:
    """What a person should know of the tool that owns the object of a step; "" where none does."""
    run = result.runs[number]
    if run.owner is None:
        return ""
    change = run.step.change
    return (
        f"note: {change.object} belongs to {run.owner.tool} ({run.owner.where}), which will take a live change back; "
        f"change {change.field} to {change.then} at its source too"
    )


def _state(subjects: Iterable[SubjectView]) -> str:
    """ "ingress/web is healthy"; several objects by their status, the worst first."""
    by_status: dict[str, list[str]] = {}
    for subject in sorted(subjects, key=lambda s: s.status.order):
        by_status.setdefault(subject.status.value, []).append(str(subject.ref))
    return ", ".join(f"{', '.join(n)} {'is' if len(n) == 1 else 'are'} {status}" for status, n in by_status.items())


def _unread(report: Report) -> str:
    """What could not be read, in a few words."""
    coverage = report.coverage
    reasons = [f"{d.read} denied" for d in coverage.denied] + [f"{f.read} failed" for f in coverage.failed]
    reasons += [f"{p.read} read in part" for p in coverage.partial]
    reasons += coverage.not_asked
    reasons = reasons or [f"{u.code} {'crashed: ' if u.crashed else ''}{u.reason}" for u in report.unknown]
    return "; ".join(reasons[:3]) or "something that is needed was not read"
