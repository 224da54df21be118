"""The verdict: one sentence for each object, with what does not work, by which cause, and which targets are fine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.model.finding import Diagnosis, Severity
from kubectl_lbdoctor.model.report import Report, Status, SubjectView, TargetGroupView, TargetView

_WORDS = {
    Status.UNHEALTHY: "not working",
    Status.DEGRADED: "degraded",
    Status.UNKNOWN: "unknown",
    Status.HEALTHY: "healthy",
}
_MOST_CODES = 2
_MOST_FAULTS = 2


class Verdict(NamedTuple):
    """One object's status, the word for it, and the rest of the sentence."""

    status: Status
    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.word}: {self.text}"


def verdicts(report: Report) -> Iterator[Verdict]:
    """One verdict for each object, the worst first; with several objects each names its own."""
    several, namespaces = len(report.subjects) > 1, report.namespaces
    for subject in sorted(report.subjects, key=lambda s: s.status.order):
        mine = [d for d in report.diagnoses if subject.ref in d.affects]
        text = _text(subject, mine, report)
        said = f"{subject.ref.among(namespaces)}: {text}" if several else text
        yield Verdict(subject.status, _WORDS[subject.status], said)
    if not report.subjects:
        yield Verdict(report.status, _WORDS[report.status], "there is nothing to look at")


def _text(subject: SubjectView, diagnoses: list[Diagnosis], report: Report) -> str:
    faults = list(_faults(subject))
    fine = _fine(subject)
    if subject.status is Status.HEALTHY:
        return _healthy(subject, diagnoses)
    if subject.status is Status.UNKNOWN:
        said = "nothing is proven to be wrong, but "
        unseen = not report.coverage.complete or any(not check.crashed for check in report.unknown)
        if faults:
            said += listed(faults, _MOST_FAULTS)
        elif unseen or not report.unknown:
            said += "not everything could be read"
        else:
            said += "not every check came to its end"
        return f"{said}{fine}"
    errors = [d for d in diagnoses if d.severity is Severity.ERROR] or diagnoses
    codes = tuple(dict.fromkeys(d.finding.code for d in errors))
    if not faults and errors:
        return f"{errors[0].title} ({errors[0].finding.code}){fine}"
    cause = f" ({listed(codes, _MOST_CODES)})" if codes else ""
    return f"{listed(faults, _MOST_FAULTS)}{cause}{fine}"


def _faults(subject: SubjectView) -> Iterator[str]:
    """What gets no traffic, or less than it should, each in a clause."""
    if subject.dead_paths:
        word = "path" if len(subject.dead_paths) == 1 else "paths"
        verb = "has" if len(subject.dead_paths) == 1 else "have"
        yield f"{word} {listed(subject.dead_paths, 2)} {verb} no target group"
    elif subject.backends_without_group:
        verb = "has" if len(subject.backends_without_group) == 1 else "have"
        yield f"{listed(subject.backends_without_group, 2)} {verb} no target group"
    for group in subject.target_groups:
        if group.idle:
            continue
        counting = _counting(group)
        good = sum(1 for target in counting if target.state == "healthy")
        if not group.known:
            yield f"the health of the targets of {_name(group)} was not read"
        elif not counting:
            yield f"no target is registered for {_name(group)}"
        elif not good:
            yield f"no target of {_name(group)} is healthy"
        elif good < len(counting):
            yield f"only {good} of {len(counting)} targets of {_name(group)} {'is' if good == 1 else 'are'} healthy"


def _fine(subject: SubjectView) -> str:
    """A sentence about the targets to which nothing is wrong, "" where there are none."""
    whole = [g for g in subject.target_groups if g.known and not g.idle and _counting(g) and _is_fine(g)]
    count = sum(len(_counting(group)) for group in whole)
    if not count:
        return ""
    everything = len(whole) == sum(1 for group in subject.target_groups if not group.idle)
    which = "registered target" if everything else "target"
    of = "" if everything else f" of {listed([_name(group) for group in whole], 2)}"
    return f". The {which}{of} is healthy" if count == 1 else f". The {count} {which}s{of} are healthy"


def _is_fine(group: TargetGroupView) -> bool:
    return all(target.state == "healthy" for target in _counting(group))


def _counting(group: TargetGroupView) -> list[TargetView]:
    """The targets whose health counts: neither on their way out nor unhealthy by design."""
    return [t for t in group.targets if t.state != "draining" and t.key not in group.expected_unhealthy]


def _name(group: TargetGroupView) -> str:
    return group.backend or group.name


def _healthy(subject: SubjectView, diagnoses: list[Diagnosis]) -> str:
    counting = [target for group in subject.target_groups for target in _counting(group)]
    good = sum(1 for target in counting if target.state == "healthy")
    design = sum(1 for group in subject.target_groups for t in group.targets if t.key in group.expected_unhealthy)
    if counting:
        said = f"{good} of {counted(len(counting), 'target')}"
        said += f", {design} more unhealthy by design" if design else ""
    elif design:
        said = f"no traffic is meant for {'its target' if design == 1 else f'its {design} targets'}"
    else:
        said = "no target is needed"
    warnings = [d for d in diagnoses if d.severity is not Severity.INFO]
    return said + (f", with {counted(len(warnings), 'warning')}" if warnings else "")
