"""What an agent gets: each answer fits its schema, is bounded, and holds no secret and no control character."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.commands.explain import chosen, explanation
from kubectl_lbdoctor.fix.plan_digest import plan_digest
from kubectl_lbdoctor.fix.planner import FixRequest, plan
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult
from kubectl_lbdoctor.fix.step_run import StepRun
from kubectl_lbdoctor.knowledge.fixes import FIXES
from kubectl_lbdoctor.mcp_server import answers, schemas
from kubectl_lbdoctor.model.finding import Evidence
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.probe.report import probe_report
from kubectl_lbdoctor.scan_report import scan_report
from tests.support import cases

LARGEST = 60_000
"""Characters of the largest answer: some 15,000 tokens, which an agent takes in whole."""

CONTEXT = Context(server="https://cluster", region="us-west-2", account="123456789012")


def fits(answer: dict[str, Any], schema: schemas.Schema) -> None:
    found = Draft202012Validator(schema).iter_errors(answer)
    assert [f"{error.json_path}: {error.message[:200]}" for error in found] == []
    assert len(json.dumps(answer)) < LARGEST


def planned(name: str) -> FixResult:
    report = cases.result(name).report
    made = plan(report.diagnoses, [FixRequest("all")], report.subjects)
    return FixResult(("all",), report, tuple(StepRun(step) for step in made.steps), made.refusals)


@pytest.mark.parametrize("name", cases.names())
def test_answers_about_a_recorded_case(name: str) -> None:
    report, result = cases.result(name).report, planned(name)
    made = answers.of_report(report, [])
    fits(made, schemas.DIAGNOSIS)
    assert [d["code"] for d in made["diagnoses"]] == [d.finding.code for d in report.diagnoses][: answers.DIAGNOSES]
    fits(answers.of_scan(scan_report(cases.result(name).snapshot, report), []), schemas.SCAN)
    fits(answers.of_plan(result, plan_digest(result, CONTEXT), []), schemas.PLAN)
    done = replace(result, outcome=FixOutcome.UNHEALTHY, undo_file="/tmp/undo.json", seconds=4.2, after=report)
    fits(answers.of_fix(done, []), schemas.FIX)
    fits(answers.of_probes(probe_report(cases.result(name).snapshot), []), schemas.PROBES)


def test_codes_and_explanations() -> None:
    fits(answers.of_codes(chosen((), fixable=False)), schemas.CODES)
    for words in ([spec.code for spec in CATALOGUE], [*FIXES], ["timeout", "Elb.InternalError"]):
        for word in words:
            fits(answers.of_explanation(explanation([word])), schemas.EXPLANATION)


# --- bounds -----------------------------------------------------------------------------------------------------------

NAME = "LBD307-wrong-target-port"


def with_evidence(*texts: str) -> dict[str, Any]:
    report = cases.result(NAME).report
    (first, *_) = report.diagnoses
    finding = replace(first.finding, evidence=tuple(Evidence("pods", text) for text in texts))
    return answers.of_report(replace(report, diagnoses=(replace(first, finding=finding),)), ["note"] * 3)


def test_what_is_cut_is_counted() -> None:
    made = with_evidence(*(f"line {number}" for number in range(9)))
    assert [e["text"] for e in made["diagnoses"][0]["evidence"]] == [f"line {number}" for number in range(6)]
    assert made["cut"] == {"evidence": 3} and made["notes"] == ["note"]


def test_long_texts_are_cut_and_commands_are_not() -> None:
    report = cases.result(NAME).report
    (first, *_) = report.diagnoses
    long = replace(first, message="m" * 700, finding=replace(first.finding, confirm=("kubectl get " + "x" * 5000,)))
    (made,) = answers.of_report(replace(report, diagnoses=(long,)), [])["diagnoses"]
    assert made["message"] == "m" * 600 + "… (100 characters more)"
    assert made["confirm"] == ["kubectl get " + "x" * 5000]


def test_secrets_and_control_characters_are_taken_out_and_places_stay() -> None:
    made = with_evidence(
        "password=hunter2hunter2 \x1b[31mred\u202e",
        "by jane@example.com with AKIAIOSFODNN7EXAMPLE",
        "arn:aws:iam::123456789012:role/x at 52.10.20.30",
    )
    one, two, three = (e["text"] for e in made["diagnoses"][0]["evidence"])
    assert one == "password=*** [31mred"
    assert two == "by user0001@mail.invalid with REDACTEDKEY0001"
    assert three == "arn:aws:iam::123456789012:role/x at 52.10.20.30"


def test_a_plan_of_too_many_changes_has_no_digest() -> None:
    result = planned(NAME)
    (run,) = result.runs
    digest = plan_digest(result, CONTEXT)
    assert answers.of_plan(result, digest, [])["digest"] == digest
    many = answers.of_plan(replace(result, runs=(run,) * 21), digest, [])
    assert many["digest"] == "" and many["cut"] == {"steps": 1} and "name fewer objects" in many["notes"][0]


# --- digests ----------------------------------------------------------------------------------------------------------


def test_a_digest_is_of_what_is_written_and_where() -> None:
    result = planned(NAME)
    (run,) = result.runs
    digest = plan_digest(result, CONTEXT)
    change = run.step.change
    (*guards, edit) = change.edits

    def of(**changes: Any) -> str:
        return plan_digest(replace(result, runs=(replace(run, **changes),)), CONTEXT)

    def with_change(**changes: Any) -> str:
        return of(step=replace(run.step, change=replace(change, **changes)))

    assert digest.startswith("sha256:") and plan_digest(planned(NAME), CONTEXT) == digest
    assert with_change(why="other words", risk="others") == digest
    others = {
        of(uid="another"),
        with_change(edits=(*guards, replace(edit, then=1))),
        with_change(edits=(*guards, replace(edit, now=1))),
        with_change(object=replace(change.object, namespace="other")),
        plan_digest(result, replace(CONTEXT, server="https://other")),
        plan_digest(replace(result, runs=(run, run)), CONTEXT),
    }
    assert digest not in others and len(others) == 6
    assert plan_digest(replace(result, runs=()), CONTEXT) == ""


@pytest.mark.parametrize("shown", [answers.DIAGNOSES, 0])
def test_what_many_frontends_share_is_said_once(shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a diagnosis, or where that was cut, at the first of them."""
    monkeypatch.setattr(answers, "DIAGNOSES", shown)
    report = cases.result(NAME).report
    (cause,), (subject,) = report.diagnoses, report.subjects
    refs = [replace(subject.ref, name=f"web-{number}") for number in range(3)]
    many = replace(
        report,
        subjects=tuple(replace(subject, ref=ref) for ref in refs),
        diagnoses=(replace(cause, affects=tuple(refs)),),
    )
    made = answers.of_scan(scan_report(cases.result(NAME).snapshot, many), [])
    fits(made, schemas.SCAN)
    assert [row["name"] for row in made["frontends"]] == ["web-0", "web-1", "web-2"]
    causes = [row["rootCause"] for row in made["frontends"]]
    assert [(c["code"], c["rank"], c["frontends"]) for c in causes] == [("LBD307", 1, 3)] * 3
    said = [made["diagnoses"][0]["message"]] if shown else []
    assert [text for text in (*said, *(c["message"] for c in causes)) if text] == [cause.message]
    assert [d["affected"] for d in made["diagnoses"]] == [3][:shown]


def test_what_one_frontend_has_is_said_with_it() -> None:
    report = cases.result(NAME).report
    (row,) = answers.of_scan(scan_report(cases.result(NAME).snapshot, report), [])["frontends"]
    assert row["rootCause"]["message"] == report.diagnoses[0].message
