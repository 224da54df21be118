"""What a run did not see, and what could not be judged because of it: one line for each read, whatever the number of
namespaces in which it was denied or failed alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.probe import PROBES
from kubectl_lbdoctor.model.report import Report, UnknownCheck

_MOST = 2
_MOST_NAMESPACES = 3

_NAMESPACE = re.compile(r"\bin namespace ([a-z0-9]([-a-z0-9]*[a-z0-9])?)")
"""How a permission, or the error of a read, names where it was asked for."""

_ANYWHERE = "\ue000"
"""Stands for that where it is all the same: of Unicode's private use area, so in no text."""

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
    by_action: dict[str, tuple[dict[str, None], list[str]]] = {}
    for denied in (gap for gap in coverage.denied if gap.read not in idle):
        _collect(by_action, denied.permission, denied.read)
    told_denied = [
        (f"LBD001 denied: {_placed(action, *places, wide=wide)}.", unjudged(*sources))
        for action, (places, sources) in by_action.items()
    ]
    # What leaves a check of something that was found undecided comes before what may hide something else.
    yield from (f"{said} {left or _NOTHING}" for said, left in sorted(told_denied, key=lambda line: not line[1]))
    by_error: dict[str, tuple[dict[str, None], list[str]]] = {}
    for failed in (gap for gap in coverage.failed if gap.read not in idle):
        _collect(by_error, _named(failed.read, failed.error), failed.read)
    for error, (places, sources) in by_error.items():
        yield f"LBD002 not read: {_placed(error, *places, wide=wide)}. {unjudged(*sources) or _NOTHING}"
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


def _collect(found: dict[str, tuple[dict[str, None], list[str]]], said: str, source: str) -> None:
    """Add what was said of a read to what was said alike of other namespaces, which differ in their names alone."""
    named = _NAMESPACE.search(said)
    alike = _NAMESPACE.sub(_ANYWHERE, said) if named and len({*_namespaces(said)}) == 1 else said
    places, sources = found.setdefault(alike, ({}, []))
    if alike != said and named:
        places.setdefault(named.group(1))
    sources.append(source)


def _namespaces(said: str) -> Iterator[str]:
    return (found.group(1) for found in _NAMESPACE.finditer(said))


def _placed(said: str, *namespaces: str, wide: bool) -> str:
    """What was said alike of these namespaces, as one sentence."""
    if not namespaces:
        return said
    if len(namespaces) == 1:
        return said.replace(_ANYWHERE, f"in namespace {namespaces[0]}")
    names = listed(namespaces, len(namespaces) if wide else _MOST_NAMESPACES)
    first = f"in {counted(len(namespaces), 'namespace')} ({names})"
    return said.replace(_ANYWHERE, first, 1).replace(_ANYWHERE, "there")


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
