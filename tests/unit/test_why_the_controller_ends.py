"""LBD102 says why no pod of the controller is ready: by the log of the run that ended, or by what its pods lack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support import cases

_HEAD = "the controller has no ready replica: "


@pytest.mark.parametrize(
    "case, why",
    [
        ("LBD102-definition-missing", "the custom resource definition of ListenerSet is not installed"),
        ("LBD102-killed-for-memory", "CrashLoopBackOff (OOMKilled with exit code 137, 7 restarts)"),
        ("LBD102-controller-crashes", "CrashLoopBackOff (Error with exit code 1, 7 restarts)"),
        (
            "LBD102-certificate-of-the-webhooks-missing",
            "the Secret of its webhooks' certificate does not exist",
        ),
    ],
)
def test_why_no_pod_is_ready(case: str, why: str) -> None:
    assert cases.result(case).report.diagnoses[0].message == _HEAD + why


def test_a_missing_definition_is_installed_from_where_it_comes() -> None:
    """Those of Gateway API come with Gateway API, those of the controller with its chart."""
    case = cases.load("LBD102-definition-missing")
    assert "gateway-api/releases" in cases.run(case).report.diagnoses[0].finding.advice
    lines = case.patches[-1]["log"].replace("ListenerSet", "TargetGroupConfiguration")
    lines = lines.replace("gateway.networking.k8s.io/v1", "gateway.k8s.aws/v1beta1")
    case = replace(case, patches=[*case.patches[:-1], {"log": lines}])
    found = cases.run(case).report.diagnoses[0]
    assert found.message.endswith("definition of TargetGroupConfiguration is not installed")
    assert "aws-load-balancer-controller/crds" in found.finding.advice


def test_the_secret_of_the_webhooks_that_was_not_read_is_not_missing() -> None:
    case = replace(
        cases.load("LBD102-certificate-of-the-webhooks-missing"), deny=["get secrets in namespace kube-system"]
    )
    assert cases.run(case).report.diagnoses[0].message == _HEAD + "ContainerCreating (0 restarts)"


def test_a_certificate_that_is_in_no_secret_is_not_missing() -> None:
    """A driver may mount it from a store of secrets."""
    case = cases.load("LBD102-certificate-of-the-webhooks-missing")
    by_driver = {"name": "cert", "csi": {"driver": "secrets-store.csi.k8s.io"}}
    change = {"object": "Deployment/kube-system/aws-load-balancer-controller"}
    change |= {"merge": {"spec": {"template": {"spec": {"volumes": [by_driver]}}}}}
    case = replace(case, patches=[*case.patches, change])
    assert cases.run(case).report.diagnoses[0].message == _HEAD + "ContainerCreating (0 restarts)"
