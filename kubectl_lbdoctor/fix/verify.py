"""Whether a diagnosis shows that a fix has worked. Pure.

Judged are the objects that the plan is to heal; others that were looked at are only mentioned.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.fix.health import all_healthy
from kubectl_lbdoctor.fix.result import FixOutcome
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, Severity
from kubectl_lbdoctor.model.plan import FixPlan, Step
from kubectl_lbdoctor.model.report import Report, Status, SubjectView
from kubectl_lbdoctor.record import record


@record
class Verdict:
    """What the last diagnosis says of a fix.

    gone, left: codes of the plan that are no longer found, and those that still are. good: nothing is left, and what
    keeps the objects from being called healthy is only that something could not be read. still, new: what is found on
    the objects now, apart from notes. others: objects outside the plan that are not healthy, with the codes of errors.
    """

    outcome: FixOutcome
    report: Report
    subjects: tuple[SubjectView, ...]
    gone: tuple[str, ...]
    left: tuple[str, ...]
    good: bool
    found: tuple[tuple[Diagnosis, bool], ...]
    others: tuple[tuple[SubjectView, tuple[str, ...]], ...]


@record
class Judge:
    """Judges reports about the objects of a plan.

    before: the report that the plan was made from. fail_on: from this severity on a finding is a failure. with_aws:
    target health could be read, at least in principle.
    """

    steps: tuple[Step, ...]
    before: Report
    fail_on: Severity
    with_aws: bool

    def subjects(self, report: Report) -> tuple[SubjectView, ...]:
        """The objects of the plan."""
        affects = set(FixPlan(self.steps).affects)
        return tuple(subject for subject in report.subjects if subject.ref in affects)

    def diagnoses(self, report: Report) -> tuple[Diagnosis, ...]:
        """What is found on the objects of the plan."""
        return about(report, FixPlan(self.steps).affects)

    def left(self, report: Report) -> frozenset[str]:
        """Codes of the plan that are still found on its objects."""
        return frozenset(
            code
            for step in self.steps
            for diagnosis in about(report, step.affects)
            for code in step.codes
            if code in (diagnosis.finding.code, *diagnosis.explains)
        )

    def by_design(self, report: Report) -> frozenset[str]:
        """Keys ("id:port") of the targets that need not become healthy."""
        groups = (group for subject in self.subjects(report) for group in subject.target_groups)
        return frozenset(key for group in groups for key in group.expected_unhealthy)

    def is_good(self, report: Report) -> bool:
        """Whether nothing of the plan is left and no error is found, and the objects are healthy as far as is known."""
        if self.left(report) or any(d.severity is Severity.ERROR for d in self.diagnoses(report)):
            return False
        subjects = self.subjects(report)
        if all(subject.status is Status.HEALTHY for subject in subjects):
            return True
        # What could not be read keeps an object from being called healthy, however its targets are.
        incomplete = bool(report.unknown) or not report.coverage.complete
        return incomplete and (not self.with_aws or targets_healthy(subjects))

    def verdict(self, report: Report) -> Verdict:
        """The last word on a fix."""
        left, subjects, diagnoses = self.left(report), self.subjects(report), self.diagnoses(report)
        failing = [d for d in diagnoses if d.severity.order <= self.fail_on.order]
        clear = not left and not failing
        known = bool(left or failing) or all(g.known for s in subjects for g in s.target_groups)
        good = clear and self.is_good(report)
        if clear and all(s.status is Status.HEALTHY for s in subjects):
            outcome = FixOutcome.HEALTHY
        elif good:
            outcome = FixOutcome.UNKNOWN
        else:
            outcome = FixOutcome.UNHEALTHY if known else FixOutcome.UNKNOWN
        before = {(d.finding.code, d.finding.object) for d in self.diagnoses(self.before)}
        planned = dict.fromkeys(code for step in self.steps for code in step.codes)
        return Verdict(
            outcome=outcome,
            report=report,
            subjects=subjects,
            gone=tuple(code for code in planned if code not in left),
            left=tuple(sorted(left)),
            good=good,
            found=tuple(
                (d, (d.finding.code, d.finding.object) not in before)
                for d in diagnoses
                if d.severity is not Severity.INFO
            ),
            others=tuple(self._others(report)),
        )

    def _others(self, report: Report) -> Iterable[tuple[SubjectView, tuple[str, ...]]]:
        affects = set(FixPlan(self.steps).affects)
        for subject in report.subjects:
            if subject.ref not in affects and subject.status is not Status.HEALTHY:
                found = about(report, (subject.ref,))
                yield subject, tuple(d.finding.code for d in found if d.severity is Severity.ERROR)


def about(report: Report, refs: Iterable[ObjectRef]) -> tuple[Diagnosis, ...]:
    """The diagnoses that affect one of these objects."""
    objects = set(refs)
    return tuple(diagnosis for diagnosis in report.diagnoses if objects & set(diagnosis.affects))


def targets_healthy(subjects: Iterable[SubjectView]) -> bool:
    """Whether every target that counts is healthy, of at least one in each target group of each object."""
    views = tuple(subjects)
    groups = [group for subject in views for group in subject.target_groups]
    for group in groups:
        targets = ((target.key, target.state) for target in group.targets)
        if not group.known or not all_healthy(targets, group.expected_unhealthy):
            return False
    return bool(groups) and not any(subject.backends_without_group for subject in views)
