"""JUnit and SARIF of a scan fit the schemas that their readers use, and are green only where the scan is."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from jsonschema import Draft4Validator
from xmlschema import XMLSchema

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.scan_report import scan_report
from tests.support import cases
from tests.support.cloud import Cloud
from tests.support.program import Result, run

SCHEMAS = Path(__file__).parents[1] / "render" / "schemas"
JUNIT = XMLSchema(str(SCHEMAS / "junit-10.xsd"))
SARIF = Draft4Validator(json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8")))


def junit(text: str) -> dict[str, Element]:
    """The test cases by "CLASS NAME", of a report that fits the schema and counts them rightly."""
    JUNIT.validate(io.StringIO(text))
    root = fromstring(text)
    found = {f"{case.get('classname')} {case.get('name')}": case for case in root.iter("testcase")}
    for counted in (root, root[0]):
        assert int(counted.get("tests", "")) == len(found)
        assert int(counted.get("failures", "")) == len(root.findall(".//failure"))
        assert int(counted.get("errors", "")) == len(root.findall(".//error"))
    return found


def sarif(text: str) -> Any:
    """The run of a log that fits the schema."""
    log = json.loads(text)
    assert [error.message for error in SARIF.iter_errors(log)] == []
    (made,) = log["runs"]
    return made


def scan(cloud: Cloud, output: str, *args: str) -> Result:
    return run("scan", "-o", output, *args, env=cloud.env)


def test_the_schemas_refuse_what_is_none() -> None:
    assert not JUNIT.is_valid(io.StringIO("<testsuites><testsuite name='x'/></testsuites>"))
    assert list(SARIF.iter_errors({"version": "2.1.0", "runs": [{"tool": {}}]}))


def test_a_frontend_that_fails(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = scan(cloud, "junit")
    found = junit(result.stdout)
    assert result.status == ExitStatus.FINDINGS and set(found) == {"shop.Ingress web", "lbdoctor everything was read"}
    failure = found["shop.Ingress web"].find("failure")
    assert failure is not None and failure.get("type") == "LBD301"
    assert str(failure.get("message")).startswith('check path "/" is answered with 404')
    assert "by hand: kubectl" in str(failure.text) and "object: ingress/web -n shop" in str(failure.text)
    assert "--fix healthcheck-path ingress/web -n shop" in str(failure.text)
    assert len(found["lbdoctor everything was read"]) == 0


def test_a_healthy_scan_is_green(cloud: Cloud) -> None:
    assert [len(case) for case in junit(scan(cloud, "junit").stdout).values()] == [0, 0]
    made = sarif(scan(cloud, "sarif").stdout)
    assert made["results"] == [] and made["invocations"][0]["exitCode"] == 0


def test_what_is_unknown_is_not_green(cloud: Cloud) -> None:
    found = junit(scan(cloud, "junit", "--no-aws").stdout)
    assert [[child.tag for child in case] for case in found.values()] == [["error"], ["error"]]
    made = sarif(scan(cloud, "sarif", "--no-aws").stdout)
    told = [entry["message"]["text"] for entry in made["invocations"][0]["toolExecutionNotifications"]]
    assert made["invocations"][0]["exitCode"] == 3 and [text for text in told if "DescribeTargetHealth" in text]


def test_an_ignored_cause_of_failing_targets_still_fails(cloud: Cloud) -> None:
    cloud.wrong_path()
    failure = junit(scan(cloud, "junit", "--ignore", "LBD3").stdout)["shop.Ingress web"].find("failure")
    assert failure is not None and "ignored by --ignore: LBD301" in str(failure.text)
    (result,) = sarif(scan(cloud, "sarif", "--ignore", "LBD3").stdout)["results"]
    assert result["ruleId"] == "LBD301" and result["suppressions"][0]["kind"] == "external"


def test_results_name_rules_and_objects(cloud: Cloud) -> None:
    cloud.wrong_path()
    made = sarif(scan(cloud, "sarif").stdout)
    (result,) = made["results"]
    rule = made["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (result["ruleId"], rule["id"], result["level"]) == ("LBD301", "LBD301", "error")
    assert rule["helpUri"].endswith("/docs/checks.md#lbd301")
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "shop/Ingress/web"
    assert [rule["id"] for rule in made["tool"]["driver"]["rules"]] == [spec.code for spec in CATALOGUE]


@pytest.mark.parametrize("name", cases.names()[::7])
def test_recorded_cases_fit_the_schemas(name: str) -> None:
    case = cases.result(name)
    scanned = scan_report(case.snapshot, case.report)
    junit(render(scanned, "junit", View()))
    sarif(render(scanned, "sarif", View()))


def test_what_no_xml_may_hold_is_replaced(cloud: Cloud) -> None:
    cloud.wrong_path()
    cloud.aws.health[0].description = "bad \ufffe \u0007 <tag> & ]]>"
    junit(scan(cloud, "junit").stdout)
