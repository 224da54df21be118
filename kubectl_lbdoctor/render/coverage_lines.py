"""What a run did not see, and what could not be judged because of it: one line for each read, whatever the number of
namespaces in which it was denied or failed alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Denied, FailedRead
from kubectl_lbdoctor.model.probe import PROBES
from kubectl_lbdoctor.model.report import Report, UnknownCheck
from kubectl_lbdoctor.permission import Permission, could_not

_MOST = 2
_MOST_NAMESPACES = 3

_NOTHING = "Nothing is called healthy without it"


def coverage_lines(report: Report, wide: bool, ended: bool = True) -> Iterator[str]:
    """The lines, those that a permission would mend first; `wide` names every check and every read. ended: False where
    reads are left to be made, so that what was not asked says nothing."""
    coverage = report.coverage
    undecided = [check for check in report.unknown if not check.crashed]
    told: set[str] = set()

    def unjudged(*sources: str) -> str:
        told.update(sources)
        return _unjudged([check for check in undecided if check.read in sources], wide)

    # Probes look for causes, and no check is undecided for want of them: where all causes are proven they hide nothing.
    idle = frozenset({PROBES}) if report.is_settled else frozenset()
    alike: dict[object, list[Denied]] = {}
    for denied in (gap for gap in coverage.denied if gap.read not in idle):
        alike.setdefault(_anywhere(denied.permission), []).append(denied)
    told_denied = []
    for same in alike.values():
        permission, place = same[0].permission, _place((gap.permission for gap in same), wide)
        told_denied.append((f"LBD001 denied: {permission.in_words(place)}.", unjudged(*(gap.read for gap in same))))
    # What leaves a check of something that was found undecided comes before what may hide something else.
    yield from (f"{said} {left or _NOTHING}" for said, left in sorted(told_denied, key=lambda line: not line[1]))
    by_error: dict[object, list[FailedRead]] = {}
    for failed in (gap for gap in coverage.failed if gap.read not in idle):
        by_error.setdefault((failed.read, failed.problem, _anywhere(failed.request)), []).append(failed)
    for many in by_error.values():
        read, first = many[0].read, many[0]
        error = could_not(first.request, first.problem, _place((gap.request for gap in many), wide))
        yield f"LBD002 not read: {_named(read, error)}. {unjudged(read) or _NOTHING}"
    for part in coverage.partial:
        yield f"LBD002 read in part: {_named(part.read, part.error)}. {unjudged(part.read) or _NOTHING}"
    not_asked = coverage.not_asked if ended else ()
    for unasked in not_asked if wide else not_asked[:1]:
        yield f"LBD004 not asked: {unasked}"
    if ended and not not_asked:
        others = [check for check in undecided if check.read not in told]
        for reason in dict.fromkeys(check.reason for check in others):
            yield f"LBD002 {reason}. {_unjudged([c for c in others if c.reason == reason], wide) or _NOTHING}"
    for check in report.unknown:
        if check.crashed:
            yield f"LBD003 check {check.code} crashed: {check.reason} (trace with --verbose)"
    missing = {denied.read for denied in coverage.denied} - idle
    policies = sorted({"iam" if reads.is_aws(read) else "rbac" for read in missing})
    if policies:
        yield "print all permissions that are needed:"
        yield from (f"  kubectl lbdoctor policy {policy}" for policy in policies)


def _anywhere(permission: Permission | None) -> tuple[Permission | None, bool]:
    """What is the same of a permission in all namespaces: itself without its namespace, and whether it has one."""
    if permission is None or not permission.namespace:
        return permission, False
    return replace(permission, namespace=""), True


def _place(permissions: Iterable[Permission | None], wide: bool) -> str:
    """Where permissions are missing that differ in their namespaces alone; "" where each says it alike."""
    namespaces = list(dict.fromkeys(permission.namespace for permission in permissions if permission is not None))
    if len(namespaces) < 2:
        return ""
    names = listed(namespaces, len(namespaces) if wide else _MOST_NAMESPACES)
    return f"in {counted(len(namespaces), 'namespace')} ({names})"


def _named(read: str, error: str) -> str:
    """A read and what became of it, named once."""
    error = error.rstrip(".")
    return error if error.startswith(read) else f"{read}: {error}"


def _unjudged(checks: Iterable[UnknownCheck], wide: bool) -> str:
    """What was not judged, in the words of the checks, each once; "" for nothing."""
    missing = list(dict.fromkeys(f"whether {check.passes} ({check.code})" for check in checks))
    if not missing:
        return ""
    return f"Not judged: {listed(missing, len(missing) if wide else _MOST)}"
