"""Runs every check on every route; each pair gives exactly one result and none may vanish."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from kubectl_lbdoctor.checks.registry import Catalogue, CheckSpec
from kubectl_lbdoctor.model.fact import NotApplicable, ReadState, Unknown
from kubectl_lbdoctor.model.finding import CheckResult, CheckStatus, Finding
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def run(catalogue: Catalogue, routes: Iterable[TrafficPath]) -> tuple[CheckResult, ...]:
    """All results, in the order of routes and codes."""
    return tuple(run_one(spec, traffic) for traffic in routes for spec in catalogue.checks())


def run_one(spec: CheckSpec, traffic: TrafficPath) -> CheckResult:
    """One result: a needed fact that is not known gives UNKNOWN, a crash gives CRASHED, and the run goes on.

    Findings made before a fact turned out to be unknown are kept: what is proven stays proven.
    """
    assert spec.function is not None
    found: list[Finding] = []
    try:
        for finding in spec.function(traffic):
            found.append(finding)
    except Unknown as unknown:
        fact = unknown.fact
        reason = fact.reason if fact.state is ReadState.NOT_ASKED else f"{fact.source}: {fact.reason}"
        status = CheckStatus.FAIL if found else CheckStatus.UNKNOWN
        return CheckResult(spec.code, traffic.key, status, tuple(found), reason)
    except NotApplicable as skipped:
        return CheckResult(spec.code, traffic.key, CheckStatus.SKIPPED, reason=str(skipped))
    except Exception as crash:
        reason = f"{type(crash).__name__}: {crash}"
        return CheckResult(spec.code, traffic.key, CheckStatus.CRASHED, tuple(found), reason, traceback.format_exc())
    return CheckResult(spec.code, traffic.key, CheckStatus.FAIL if found else CheckStatus.PASS, tuple(found))
