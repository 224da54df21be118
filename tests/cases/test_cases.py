"""Recorded cases: a fault over a recorded world, through collector, converters, joins, checks and report.

What must be said is written by hand in each case.yaml (tests/support/cases.py describes it). Every check needs a case
in which it fails and one in which it looks at its thing and passes.
"""

from __future__ import annotations

import functools

import pytest

from kubectl_lbdoctor.knowledge.health_reasons import HEALTH_REASONS
from kubectl_lbdoctor.render.documents import document
from tests.support import cases, cassette, product

# What worlds share of their cluster has no subject of its own.
WORLDS = sorted(
    name for path in cassette.WORLDS.glob("*/world.yaml") if not (name := path.parent.name).startswith("cluster")
)
CODES = [spec.code for spec in product.CATALOGUE.checks()]

# Checks without a case in which they fail, each with the reason. The list may only shrink.
NEVER_FAILS: dict[str, str] = {}
# Checks without a case in which they pass, each with the reason. The list may only shrink.
NEVER_PASSES: dict[str, str] = {}


def _marked(name: str) -> object:
    reason = cases.load(name).known_wrong
    return pytest.param(name, marks=[pytest.mark.xfail(reason=reason, strict=True)] if reason else [])


@pytest.mark.parametrize("name", [_marked(name) for name in cases.names()])
def test_case(name: str) -> None:
    run = cases.result(name)
    assert product.said(run) == cases.load(name).expected()
    assert run.report.checks.crashed == 0
    _document_is_sound(run)
    _reasons_are_explained(run)


def _document_is_sound(run: product.Run) -> None:
    """The summary is one line, and params are values: no pieces of sentences."""
    made = document(run.report)
    assert isinstance(made, dict) and made["summary"] == " ".join(made["summary"].split())
    for shown, diagnosis in zip(made["diagnoses"], run.report.diagnoses, strict=True):
        for name, value in shown["params"].items():
            # "words" quotes an error of AWS or of the API server.
            if name != "words" and not isinstance(diagnosis.finding.params[name], tuple):
                assert len(value.split()) <= 6 and value == value.strip(" ;,:("), (diagnosis.finding.code, name, value)


def _reasons_are_explained(run: product.Run) -> None:
    """`explain REASON` names each code that accounts for a target with that reason."""
    groups = [group for subject in run.report.subjects for group in subject.target_groups]
    reasons = {target.key: target.reason for group in groups for target in group.targets if target.reason}
    for diagnosis in run.report.diagnoses:
        for key in diagnosis.finding.targets:
            if key in reasons and diagnosis.finding.code != "LBD005":
                assert diagnosis.finding.code in HEALTH_REASONS[reasons[key]].causes, (diagnosis.finding.code, key)


@pytest.mark.parametrize("world", WORLDS)
def test_world_is_healthy(world: str) -> None:
    """Each world is healthy before a case breaks it, as the lab was when it was recorded."""
    run = cases.run(cases.Case(name=world, world=world, status="healthy", exit=0))
    assert product.said(run) == {"status": "healthy", "exit": 0, "diagnoses": [], "unknown": []}
    assert run.report.checks.crashed == 0


@functools.cache
def _outcomes() -> dict[str, set[str]]:
    """The statuses that each check has had in any case or world."""
    runs = [cases.result(name) for name in cases.names()]
    runs += [cases.run(cases.Case(name=world, world=world, status="healthy", exit=0)) for world in WORLDS]
    found: dict[str, set[str]] = {code: set() for code in CODES}
    for run in runs:
        for result in run.results:
            found[result.code].add(result.status.value)
    return found


@functools.cache
def _stated() -> set[str]:
    """The codes that some case states, as a diagnosis or as explained by one."""
    stated: set[str] = set()
    for name in cases.names():
        for entry in cases.load(name).diagnoses:
            stated |= {entry["code"], *entry.get("explains", ())}
    return stated


@pytest.mark.parametrize("code", CODES)
def test_check_fails_in_a_case(code: str) -> None:
    assert (code in _stated()) != (code in NEVER_FAILS)


@pytest.mark.parametrize("code", CODES)
def test_check_passes_in_a_case(code: str) -> None:
    """PASS, not SKIPPED: what the check looks at was there."""
    assert ("pass" in _outcomes()[code]) != (code in NEVER_PASSES)
