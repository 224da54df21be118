"""Runs every check once per scope; each pair of check and scope gives exactly one result and none may vanish."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.analysis.frontends import Frontend, frontend_of
from kubectl_lbdoctor.checks.outranking import Subject, outranked
from kubectl_lbdoctor.checks.registry import Catalogue, CheckSpec, Scope
from kubectl_lbdoctor.model.fact import Gap, NotApplicable, ReadState, Unknown, note_opened, recording
from kubectl_lbdoctor.model.finding import CheckResult, CheckStatus, Finding
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def run(catalogue: Catalogue, paths: Iterable[TrafficPath]) -> tuple[CheckResult, ...]:
    """All results for the paths of one snapshot, in the order of codes and then of subjects.

    A result names all paths that it is about: those of the snapshot or of the frontend, or the one path.
    """
    paths = tuple(paths)
    # The same for every check of a scope: hundreds of paths are not named anew for each of them.
    checks = catalogue.checks()
    subjects = {scope: tuple(_subjects(scope, paths)) for scope in {spec.scope for spec in checks}}
    return tuple(run_one(spec, *subject) for spec in checks for subject in subjects[spec.scope])


def _subjects(scope: Scope, paths: tuple[TrafficPath, ...]) -> Iterator[tuple[Subject, tuple[str, ...]]]:
    """What the checks of a scope look at, each with the keys of the paths that it is about."""
    if scope is Scope.PATH:
        yield from ((path, (path.key,)) for path in paths)
    elif scope is Scope.CLUSTER and paths:
        yield paths[0].snapshot, tuple(path.key for path in paths)
    elif scope is Scope.FRONTEND:
        by_frontend: dict[Frontend, list[str]] = {}
        for path in paths:
            by_frontend.setdefault(frontend_of(path), []).append(path.key)
        yield from ((frontend, tuple(keys)) for frontend, keys in by_frontend.items())


def run_one(spec: CheckSpec, subject: Subject, paths: tuple[str, ...]) -> CheckResult:
    """One result, about the paths with these keys: a needed fact that is not known gives UNKNOWN, a crash gives
    CRASHED, and the run goes on.

    Findings made before a fact turned out to be unknown are kept: what is proven stays proven. Where a list that was
    opened has a gap, the check cannot have passed, and what rests on the absence of something there (`by_absence`) is
    not proven either.
    """
    with recording() as opened:
        result = _result(spec, subject, paths)
    note_opened(opened)
    gaps = {entry.source: entry for entry in opened if isinstance(entry, Gap)}
    if not gaps or result.status in (CheckStatus.UNKNOWN, CheckStatus.CRASHED):
        return result
    doubtful = [gaps[read] for read in spec.by_absence if read in gaps]
    if result.status is CheckStatus.FAIL and not doubtful:
        return result
    gap = (doubtful or [gaps[min(gaps)]])[0]
    return CheckResult(spec.code, paths, CheckStatus.UNKNOWN, reason=f"{gap.source}: {gap.reason}", read=gap.source)


def _result(spec: CheckSpec, subject: Subject, paths: tuple[str, ...]) -> CheckResult:
    assert spec.function is not None
    found: list[Finding] = []
    try:
        for made in spec.function(subject):
            finding = outranked(spec, made, subject)
            if finding is not None:
                found.append(finding)
    except Unknown as unknown:
        fact = unknown.fact
        if fact.state is ReadState.NOT_NEEDED and not found:
            return CheckResult(spec.code, paths, CheckStatus.SKIPPED, reason=fact.reason)
        reason = fact.why if fact.state is ReadState.NOT_ASKED else f"{fact.source}: {fact.why}"
        status = CheckStatus.FAIL if found else CheckStatus.UNKNOWN
        return CheckResult(spec.code, paths, status, tuple(found), reason, read=fact.source)
    except NotApplicable as skipped:
        # What was found before there was nothing more to look at stays found.
        status = CheckStatus.FAIL if found else CheckStatus.SKIPPED
        return CheckResult(spec.code, paths, status, tuple(found), reason="" if found else str(skipped))
    except Exception as crash:
        reason = f"{type(crash).__name__}: {crash}"
        return CheckResult(spec.code, paths, CheckStatus.CRASHED, tuple(found), reason, traceback.format_exc())
    return CheckResult(spec.code, paths, CheckStatus.FAIL if found else CheckStatus.PASS, tuple(found))
