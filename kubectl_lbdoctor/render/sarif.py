"""A scan as SARIF 2.1.0, for the dashboards that collect findings of many tools: a result for each root cause.

Findings are about objects of clusters and of AWS, so they have logical locations and no lines of files. What is ignored
is there, as suppressed. https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_lbdoctor import HOME_PAGE, __version__
from kubectl_lbdoctor.analysis.ignores import BY_FLAG
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import CheckSpec
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, Severity, plain
from kubectl_lbdoctor.model.report import Ignored
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.render.coverage_lines import coverage_lines
from kubectl_lbdoctor.render.documents import docs_url
from kubectl_lbdoctor.render.text import quoted
from kubectl_lbdoctor.render.view import View

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(scan: ScanReport, view: View) -> str:
    """The whole log, in ASCII."""
    places = {spec.code: place for place, spec in enumerate(CATALOGUE)}
    results = [_result(diagnosis, places, scan) for diagnosis in scan.report.diagnoses]
    results += [{**_result(e.diagnosis, places, scan), "suppressions": [_suppression(e)]} for e in scan.report.ignored]
    driver = {
        "name": "kubectl-lbdoctor",
        "version": __version__,
        "informationUri": HOME_PAGE,
        "rules": [_rule(spec) for spec in CATALOGUE],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"lbdoctor/{scan.report.context.cluster}/{scan.namespace}"},
        "invocations": [_invocation(scan, view)],
        "results": results,
        "properties": {"complete": scan.complete, "status": scan.status.value},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def _rule(spec: CheckSpec) -> dict[str, Any]:
    return {
        "id": spec.code,
        "shortDescription": {"text": spec.title},
        "helpUri": docs_url(spec.code),
        "defaultConfiguration": {"level": _LEVELS[spec.severity]},
    }


def _result(diagnosis: Diagnosis, places: Mapping[str, int], scan: ScanReport) -> dict[str, Any]:
    finding = diagnosis.finding
    _, _, values = CATALOGUE[finding.code].cause(finding)
    told = [diagnosis.message, *(f"{entry.source}: {entry.text}" for entry in finding.evidence)]
    told += [f"by hand: {scan.report.where.command(line)}" for line in finding.commands]
    return {
        "ruleId": finding.code,
        "ruleIndex": places[finding.code],
        "level": _LEVELS[diagnosis.severity],
        "message": {"text": "\n".join(map(quoted, told))},
        "locations": [_location(finding.object)],
        "relatedLocations": [_location(ref) for ref in diagnosis.affects if ref != finding.object],
        "partialFingerprints": {
            "cause/v1": "|".join([finding.code, _full_name(finding.object), *map(plain, values)]),
        },
        "properties": {"confidence": finding.confidence.value},
    }


def _location(ref: ObjectRef) -> dict[str, Any]:
    return {"logicalLocations": [{"name": ref.name, "fullyQualifiedName": _full_name(ref), "kind": "resource"}]}


def _full_name(ref: ObjectRef) -> str:
    return "/".join(filter(None, (ref.namespace, ref.kind, ref.name)))


def _suppression(ignored: Ignored) -> dict[str, Any]:
    kind = "external" if ignored.by == BY_FLAG else "inSource"
    return {"kind": kind, "justification": ignored.by}


def _invocation(scan: ScanReport, view: View) -> dict[str, Any]:
    """How the run went. What was not read is a notification: nothing is called healthy without it."""
    made: dict[str, Any] = {
        "executionSuccessful": scan.complete,
        "endTimeUtc": scan.report.generated_at,
        "toolExecutionNotifications": list(_notifications(scan)),
    }
    if view.run.exit_status is not None:
        made["exitCode"] = int(view.run.exit_status)
    return made


def _notifications(scan: ScanReport) -> Iterator[dict[str, Any]]:
    for line in coverage_lines(scan.report, wide=True):
        yield {"level": "warning", "message": {"text": quoted(line)}}
