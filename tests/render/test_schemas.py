"""The schemas of docs/schema hold for the documents of all recorded cases, and say no to what is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kubectl_lbdoctor.fix.planner import FixRequest, plan
from kubectl_lbdoctor.fix.result import FixOutcome, FixResult, UndoOutcome, UndoResult
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.model.finding import Confidence, Severity
from kubectl_lbdoctor.model.probe import Outcome, Transport
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.scan_report import scan_report
from tests.docs import contract, report
from tests.support import cases
from tests.support.json_schemas import kinds, schemas, violations


def document(result: Any) -> Any:
    return json.loads(render(result, "json"))


def test_the_schemas_are_schemas() -> None:
    for schema in schemas().values():
        Draft202012Validator.check_schema(schema)
    assert set(kinds().values()) == set(report.FILES)
    results = {"Report", "ScanReport", "ControllerPage", "FixPlan", "FixResult", "UndoResult", "ProbeReport", "Error"}
    assert set(kinds()) == results | {"CheckList", "Explanation", "Version"}


@pytest.mark.parametrize("name", cases.names())
def test_documents_of_a_recorded_case(name: str) -> None:
    found = cases.result(name).report
    assert violations(document(found)) == []
    assert violations(document(scan_report(cases.result(name).snapshot, found))) == []
    made = plan(found.diagnoses, [FixRequest("all")])
    runs = tuple(StepRun(step) for step in made.steps)
    planned = FixResult(("all",), found, runs, made.refusals)
    assert violations(document(planned)) == []
    done = FixResult(("all",), found, runs, made.refusals, FixOutcome.UNHEALTHY, "undo.json", 4.2, found, ("LBD301",))
    assert document(done)["kind"] == "FixResult" and violations(document(done)) == []
    assert violations(document(UndoResult("undo.json", runs, UndoOutcome.UNDONE))) == []


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """All parts of a schema that describe an object."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_every_object_is_closed_and_every_field_explained() -> None:
    for name, schema in schemas().items():
        for part in objects(schema):
            closed = part.get("additionalProperties") is False or part.get("unevaluatedProperties") is False
            extended = [schemas()["common.json"]["$defs"][base] for base in ("step", "check")]
            assert closed or any(part is base for base in extended), (name, list(part["properties"]))
            for field, value in part["properties"].items():
                if isinstance(value, dict) and not (name == "common.json" and field == "properties"):
                    assert value.get("description"), (name, field)
            assert part["required"] == list(part["properties"]), "every field is always there"


def values(file: str, *path: str) -> list[Any]:
    """The values of an enumeration in a schema."""
    found: Any = schemas()[file]
    for key in path:
        found = found[key]
    return list(found["enum"])


def test_the_words_are_those_of_the_program() -> None:
    diagnosis = ("$defs", "diagnosis", "properties")
    probes = ("properties", "probes", "items", "properties")
    assert values("report.json", "properties", "status") == [status.value for status in Status]
    assert values("report.json", *diagnosis, "severity") == [severity.value for severity in Severity]
    assert values("report.json", *diagnosis, "confidence") == [confidence.value for confidence in Confidence]
    assert values("fix-plan.json", "properties", "status") == [outcome.value for outcome in FixOutcome]
    assert values("common.json", "$defs", "check", "properties", "severity") == [s.value for s in Severity]
    assert set(values("fix-result.json", "properties", "status")) < {outcome.value for outcome in FixOutcome}
    assert set(values("undo-result.json", "properties", "status")) == {outcome.value for outcome in UndoOutcome}
    assert set(values("common.json", "$defs", "step", "properties", "state")) == {state.value for state in StepState}
    assert set(values("probe-report.json", *probes, "via")) == {way.value for way in Transport}
    assert set(values("probe-report.json", *probes, "answer", "properties", "outcome")) == {o.value for o in Outcome}


def test_nothing_of_the_contract_goes() -> None:
    """A field that is renamed, removed or of another type is a new version: docs/schema/CHANGELOG.md."""
    written = contract.FILE.read_text(encoding="utf-8").splitlines()
    assert len(written) > 300 and sorted({*written} - contract.lines()) == []


REPORT = document(cases.result("LBD301-path-404").report)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("status",), "ill"),
        (("statuses",), "healthy"),
        (("diagnoses", 0, "code"), "301"),
        (("diagnoses", 0, "object", "uid"), "1"),
        (("subjects", 0, "targetGroups", 0, "port"), "80"),
        (("coverage", "denied"), None),
        (("kind",), "FixPlan"),
    ],
)
def test_a_document_that_is_none_is_refused(place: tuple[Any, ...], value: object) -> None:
    wrong = deepcopy(REPORT)
    inner = wrong
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert violations(wrong) != []


@pytest.mark.parametrize("field", ["apiVersion", "status", "diagnoses", "coverage"])
def test_a_field_that_is_missing_is_noticed(field: str) -> None:
    wrong = deepcopy(REPORT)
    del wrong[field]
    assert violations(wrong) != []
