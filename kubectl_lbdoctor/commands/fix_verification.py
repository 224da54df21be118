"""How `--fix` finds out whether it has worked: wait for the targets, and diagnose the same objects again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from kubectl_lbdoctor.commands.examination import Examination, examine
from kubectl_lbdoctor.fix.clients import Aws
from kubectl_lbdoctor.fix.events import Observe
from kubectl_lbdoctor.fix.follow import WITHOUT_AWS, Lists, Reconciliations, Wait, follower_of, longest_wait
from kubectl_lbdoctor.fix.result import FixResult
from kubectl_lbdoctor.fix.verify import Judge, Verdict, targets_healthy
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.report import FailOn, Report


@dataclass
class Verification:
    """Diagnoses the objects of a fix again, until they are good or the time is over. wait: seconds of --wait, None
    without it. subjects: all objects that were looked at; before: the report about them."""

    examination: Examination
    subjects: tuple[ObjectRef, ...]
    before: Report
    wait: float | None
    observe: Observe

    def prepare(self, result: FixResult) -> None:
        """Where the health of the targets alone would not show that a change has arrived, note what the controller has
        said until now."""
        connections, options = self.examination.connections, self.examination.options
        fail_on = FailOn(options.verdict.fail_on).severity
        self._judge = Judge(result.steps, self.before, fail_on, with_aws=connections.aws is not None)
        self._watched: Reconciliations | None = None
        edits = any(step.change.edits and step.change.group is None for step in result.steps)
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
        with self.examination.connections.deadline.again():
            return examine(self.examination.snapshot(self.subjects, quiet=True), self.before.where)
