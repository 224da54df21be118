"""`--wait-healthy TIME`: diagnose again until nothing is wrong any more, or the time is over. For pipelines."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import parse_duration
from kubectl_lbdoctor.commands.examination import Examination, examine, note
from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.report import FailOn
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.render.summaries import of_report

PAUSE = 10.0
"""Seconds between two looks: no check interval that a load balancer can have by default is shorter, and AWS answers the
controller from the same quota."""


def seconds(text: str) -> float:
    """The time of --wait-healthy. Raises UsageError for what is no time."""
    return parse_duration(text, "--wait-healthy", "0 looks once")


@dataclass
class Waiting:
    """One wait. limit: seconds, from `begun` of the clock on. fail_on: what the exit status is judged by. ignore:
    beginnings of codes that do not count."""

    examination: Examination
    begun: float
    limit: float
    fail_on: FailOn
    ignore: tuple[str, ...] = ()

    def snapshot(self, first: Snapshot) -> Snapshot:
        """The last facts about the objects of the first look: the first that are good, or those at the end of the time.

        Raises LbdoctorError where the last look is not possible; one between may fail.
        """
        env, begun = self.examination.env, self.begun
        snapshot, said = first, ""
        while True:
            report = examine(snapshot, ignore=self.ignore)
            passed = env.clock() - begun
            if report.exit_status(self.fail_on) is ExitStatus.HEALTHY:
                return snapshot
            if passed >= self.limit:
                # Probes find out more about what is wrong; while things change nobody needs that.
                with self.examination.connections.deadline.again():
                    return self.examination.probes().settle(snapshot)
            if (summary := of_report(report)) != said:
                said = summary
                note(env, f"waiting   {said}  {passed:.0f}s")
            env.progress(f"waiting   {passed:.0f}s of {self.limit:.0f}s")
            env.sleep(min(PAUSE, self.limit - passed))
            try:
                snapshot = self._look(first.subjects)
            except LbdoctorError as error:
                if env.clock() - begun >= self.limit:
                    raise
                note(env, f"waiting   {error.message}")

    def _look(self, subjects: tuple[ObjectRef, ...]) -> Snapshot:
        if self.examination.connections.aws_refused:
            self.examination.connections.forget_aws()
        with self.examination.connections.deadline.again():
            return self.examination.collect(subjects, quiet=True)
