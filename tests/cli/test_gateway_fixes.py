"""Fixes of Gateways as documents: what FixPlan says of a setting in a configuration, of one that is created, and of
what a listener takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.change_shapes import made_anew
from kubectl_lbdoctor.analysis.gateway_changes import NewConfiguration
from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.model.objects import ObjectRef
from tests.support import cases
from tests.support.json_schemas import violations
from tests.support.program import run


def plan(tmp_path: Path, case: str, *fixes: str) -> dict[str, Any]:
    """The one step of the plan for a recorded case."""
    (step,) = steps(tmp_path, case, *fixes)
    return step


def steps(tmp_path: Path, case: str, *fixes: str) -> list[dict[str, Any]]:
    """The steps of the plan for a recorded case."""
    file = tmp_path / "case.json"
    bundle.save(cases.result(case).snapshot, file)
    result = run("--fix", ",".join(fixes), "--from", str(file), "-o", "json")
    assert result.status == 0 and result.json["kind"] == "FixPlan", result.text
    assert violations(result.json) == [] and result.json["refused"] == []
    found: list[dict[str, Any]] = result.json["steps"]
    return found


def test_a_configuration_that_is_created(tmp_path: Path) -> None:
    step = plan(tmp_path, "LBD204-gateway-without-configuration", "target-type")
    assert step["object"] == {"kind": "TargetGroupConfiguration", "namespace": "shop", "name": "web"}
    assert (step["field"], step["now"], step["then"]) == ("creates it for Service web", "<none>", "targetType=ip")
    assert step["affects"] == [{"kind": "Gateway", "namespace": "shop", "name": "web"}]
    assert (step["reversible"], step["rehearsable"]) == (True, True)
    written = step["command"].removeprefix("printf %s '").partition("' | kubectl create -f -")
    made = json.loads(written[0])
    assert (made["apiVersion"], made["metadata"]["name"]) == ("gateway.k8s.aws/v1beta1", "web")
    assert made["spec"] == {
        "targetReference": {"kind": "Service", "name": "web"},
        "defaultConfiguration": {"targetType": "ip"},
    }


def test_a_configuration_of_a_gateway_that_is_created(tmp_path: Path) -> None:
    made, named = steps(tmp_path, "LBD226-gateway-without-configuration", "ip-address-type")
    assert made["object"] == {"kind": "LoadBalancerConfiguration", "namespace": "shop", "name": "web"}
    assert (made["field"], made["now"], made["then"]) == (
        *("creates it for a Gateway", "<none>"),
        "ipAddressType=dualstack",
    )
    assert named["object"] == {"kind": "Gateway", "namespace": "shop", "name": "web"}
    assert (named["field"], named["now"]) == ("spec.infrastructure.parametersRef", "<none>")
    assert '"kind": "LoadBalancerConfiguration", "name": "web"' in named["command"]
    assert made["reversible"] and named["reversible"]


def test_a_configuration_of_a_class_is_changed_by_name_alone(tmp_path: Path) -> None:
    """It holds for all Gateways of the class, so that nobody changes it in passing."""
    case = "LBD226-gateway-whose-class-says-ipv4"
    file = tmp_path / "case.json"
    bundle.save(cases.result(case).snapshot, file)
    result = run("--fix", "ip-address-type", "--from", str(file), "-o", "json")
    assert result.json["steps"] == [] and "say so" in result.json["refused"][0]["reason"]
    step = plan(tmp_path, case, "ip-address-type=dualstack")
    assert step["object"] == {"kind": "LoadBalancerConfiguration", "namespace": "platform", "name": "all"}
    assert (step["field"], step["now"], step["then"]) == ("spec.ipAddressType", "ipv4", "dualstack")
    assert step["risk"].startswith("it holds for all Gateways of class ")


def test_a_setting_of_a_configuration(tmp_path: Path) -> None:
    step = plan(tmp_path, "LBD301-gateway-check-path", "healthcheck-path=/healthz")
    assert step["object"]["kind"] == "TargetGroupConfiguration"
    assert step["field"] == "spec.defaultConfiguration.healthCheckConfig.healthCheckPath"
    assert (step["now"], step["then"]) == ("/nowhere", "/healthz")


@pytest.mark.parametrize(
    ("case", "fix", "field", "now", "then"),
    [
        (
            *("LBD143-route-of-another-namespace", "allowed-routes=All"),
            *("spec.listeners.0.allowedRoutes.namespaces.from", "Same", "All"),
        ),
        (
            *("LBD149-configuration-of-a-service-that-does-not-exist", "target-reference"),
            *("spec.targetReference.name", "wbe", "web"),
        ),
        (
            *("LBD107-route-to-a-missing-port", "backend-port"),
            *("backend web: port", "8080", "80"),
        ),
    ],
)
def test_other_fixes(tmp_path: Path, case: str, fix: str, field: str, now: str, then: str) -> None:
    step = plan(tmp_path, case, fix)
    assert (step["field"], step["now"], step["then"]) == (field, now, then)


def test_values_of_headers_and_logins_are_in_no_bundle(tmp_path: Path) -> None:
    """A header that tells a tenant, or a login's parameters, may be a secret."""
    file = tmp_path / "case.json"
    patches = [
        {
            "object": "HTTPRoute/web",
            "json": [
                {
                    "op": "add",
                    "path": "/spec/rules/0/matches/0/headers",
                    "value": [{"name": "X-Key", "type": "Exact", "value": "s3cr3t-key"}],
                }
            ],
        }
    ]
    bundle.save(cases.run(cases.Case("secret", "gateway-alb", "", 0, patches=patches)).snapshot, file)
    assert "x-key" in file.read_text() and "s3cr3t" not in file.read_text()


@pytest.mark.parametrize(
    ("case", "risk"),
    [
        (
            "LBD301-gateway-configuration-of-two-ports",
            "it holds for port 80 of service/web, too, whose targets are healthy now",
        ),
        (
            "LBD301-gateway-route-beside-another",
            "it holds for port 80 of service/web (httproute/web), too, which was not looked at",
        ),
        ("LBD301-gateway-configuration-of-one-route", ""),
    ],
)
def test_a_setting_that_another_target_group_has_too_is_changed_by_its_value_alone(case: str, risk: str) -> None:
    (diagnosis,) = cases.result(case).report.diagnoses
    (change,) = diagnosis.finding.repairs[0].changes
    assert change.risk.endswith(f"; {risk}" if risk else "only the check changes")
    assert diagnosis.finding.fix_automatic is not bool(risk)


def test_the_protocol_of_a_check_is_written_as_the_configuration_takes_it() -> None:
    """Annotations take "tcp"; the enumeration of a TargetGroupConfiguration has TCP alone."""
    ref = ObjectRef("TargetGroupConfiguration", "shop", "web")
    source = NewConfiguration(ref, "x", {}, "web", ("healthCheckConfig", "healthCheckProtocol"))
    assert made_anew(source.change("tcp")).then == "healthCheckConfig.healthCheckProtocol=TCP"
