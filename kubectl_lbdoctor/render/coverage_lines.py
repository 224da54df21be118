"""What a run did not see, and what could not be judged because of it: one line for each read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.checks.wording import listed
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.report import Report, UnknownCheck

_MOST = 2


def coverage_lines(report: Report, wide: bool, ended: bool = True) -> Iterator[str]:
    """The lines, those that a permission would mend first; `wide` names every check and every read. ended: False where
    reads are left to be made, so that what was not asked says nothing."""
    coverage = report.coverage
    undecided = [check for check in report.unknown if not check.crashed]
    told: set[str] = set()

    def unjudged(*sources: str) -> str:
        told.update(sources)
        return _unjudged([check for check in undecided if check.read in sources], wide)

    by_permission: dict[str, list[str]] = {}
    for denied in coverage.denied:
        by_permission.setdefault(denied.permission, []).append(denied.read)
    for permission, sources in by_permission.items():
        yield f"LBD001 denied: {permission}. {unjudged(*sources)}"
    for failed in coverage.failed:
        yield f"LBD002 not read: {_named(failed.read, failed.error)}. {unjudged(failed.read)}"
    for part in coverage.partial:
        yield f"LBD002 read in part: {_named(part.read, part.error)}. {unjudged(part.read)}"
    not_asked = coverage.not_asked if ended else ()
    for missing in not_asked if wide else not_asked[:1]:
        yield f"LBD004 not asked: {missing}"
    if ended and not not_asked:
        others = [check for check in undecided if check.read not in told]
        for reason in dict.fromkeys(check.reason for check in others):
            yield f"LBD002 {reason}. {_unjudged([c for c in others if c.reason == reason], wide)}"
    for check in report.unknown:
        if check.crashed:
            yield f"LBD003 check {check.code} crashed: {check.reason} (trace with --verbose)"
    policies = sorted({"iam" if reads.is_aws(denied.read) else "rbac" for denied in coverage.denied})
    if policies:
        yield "print all permissions that are needed:"
        yield from (f"  kubectl lbdoctor policy {policy}" for policy in policies)


def _named(read: str, error: str) -> str:
    """A read and what became of it, named once."""
    error = error.rstrip(".")
    return error if error.startswith(read) else f"{read}: {error}"


def _unjudged(checks: Iterable[UnknownCheck], wide: bool) -> str:
    """What was not judged, in the words of the checks, each once."""
    missing = list(dict.fromkeys(f"whether {check.passes} ({check.code})" for check in checks))
    if not missing:
        return "Nothing is called healthy without it"
    return f"Not judged: {listed(missing, len(missing) if wide else _MOST)}"
