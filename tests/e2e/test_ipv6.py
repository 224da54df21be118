"""Targets with IPv6 addresses, on a lab that has both families (`IPV6=1 make lab`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.network import PUBLIC, replaced_by, tcp
from tests.e2e.scenarios import MISMATCH, TIMEOUT, Manifests, Scenario, unhealthy
from tests.e2e.test_lab import run_fault, wait_healthy
from tests.lab import examples, faults, gateway_examples, topology
from tests.lab.api import Lab

pytestmark = pytest.mark.skipif(not topology.IPV6, reason="this lab has IPv4 alone: IPV6=1 make lab")

ALB, NLB = examples.ALB, examples.NLB
DUAL_STACK = {f"{ALB}ip-address-type": "dualstack"}


def of_ipv6(build: Callable[..., Manifests], **changes: Any) -> Callable[[], Manifests]:
    """The stack with a Service of IPv6 addresses."""

    def made() -> Manifests:
        manifests = build(**changes)
        examples.find(manifests, "Service")["spec"] |= {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}
        return manifests

    return made


FAULTS = [
    Scenario(
        "ipv6-path-404",
        of_ipv6(examples.alb_ip, annotations={**DUAL_STACK, f"{ALB}healthcheck-path": "/nowhere"}),
        ["LBD301"],
        unhealthy(MISMATCH),
        object="Ingress/web",
        value="/healthz",
    ),
    Scenario(
        "ipv6-rule-of-the-other-family",
        of_ipv6(examples.alb_ip, annotations=DUAL_STACK),
        ["LBD501"],
        unhealthy(TIMEOUT),
        fault=lambda lab, ns: replaced_by(lab, tcp(8080, cidrs=[subnet.cidr for subnet in PUBLIC])),
        alone=True,
    ),
    Scenario(
        "ipv6-request-denied",
        of_ipv6(examples.alb_ip, annotations=DUAL_STACK),
        ["LBD507"],
        unhealthy(TIMEOUT, "any"),
        fault=lambda lab, ns: faults.acl_denies(lab, "private-a", False, (8080, 8080), "fd00:10::/48"),
        alone=True,
    ),
]


@pytest.mark.parametrize("scenario", FAULTS, ids=str)
def test_fault(lab: Lab, space: str, scenario: Scenario) -> None:
    run_fault(lab, space, scenario)


@pytest.mark.parametrize(
    ("manifests", "subject"),
    [
        (of_ipv6(examples.alb_ip, annotations=DUAL_STACK), "ing/web"),
        (of_ipv6(examples.nlb_ip, annotations={f"{NLB}ip-address-type": "dualstack"}), "svc/web"),
    ],
    ids=["alb", "nlb"],
)
def test_healthy(lab: Lab, space: str, manifests: Callable[[], Manifests], subject: str) -> None:
    lab.apply(manifests(), space)
    wait_healthy(lab, space, subject)
    assert all(":" in target.id for target in lab.target_health(space))
    assert lab.lbdoctor(subject, "-n", space, "-o", "json").json["diagnoses"] == []


@pytest.mark.alone
def test_an_entry_of_the_other_family_shuts_nothing(lab: Lab, space: str) -> None:
    lab.apply(of_ipv6(examples.alb_ip, annotations=DUAL_STACK)(), space)
    wait_healthy(lab, space, "ing/web")
    with faults.acl_denies(lab, "private-a", False, (8080, 8080), topology.VPC_CIDR):
        time.sleep(12)
        result = lab.lbdoctor("ing/web", "-n", space, "-o", "json")
        assert result.status == 0 and result.json["diagnoses"] == [], str(result)


def until_it_says(lab: Lab, space: str, subject: str, code: str) -> None:
    end = time.monotonic() + 75
    while True:
        found = lab.lbdoctor(subject, "-n", space, "-o", "json").json["diagnoses"]
        if found[:1] and (found[0]["code"], found[0]["severity"]) == (code, "error"):
            return
        assert time.monotonic() < end, str(lab.lbdoctor(subject, "-n", space))
        time.sleep(2)


def test_the_load_balancer_is_made_dual_stack(lab: Lab, space: str) -> None:
    lab.apply(of_ipv6(examples.alb_ip)(), space)
    until_it_says(lab, space, "ing/web", "LBD226")
    fixed = lab.lbdoctor("--fix", "ip-address-type", "ing/web", "-n", space, "--yes", "--wait", "120s", timeout=180)
    assert fixed.status == 0, str(fixed)
    wait_healthy(lab, space, "ing/web")


def test_a_gateway_gets_a_configuration_that_makes_it_dual_stack(lab: Lab, space: str, tmp_path: Path) -> None:
    lab.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, gateway_examples.classes())))
    lab.apply(of_ipv6(gateway_examples.alb_ip)(), space)
    until_it_says(lab, space, "gateway/web", "LBD226")
    undo = tmp_path / "undo.json"
    given = ("--yes", "--wait", "120s", "--undo-file", str(undo))
    fixed = lab.lbdoctor("--fix", "ip-address-type", "gateway/web", "-n", space, *given, timeout=180)
    assert fixed.status == 0, str(fixed)
    assert lab.get("loadbalancerconfiguration", "web", space)["spec"] == {"ipAddressType": "dualstack"}
    wait_healthy(lab, space, "gateway/web")
    assert lab.lbdoctor("undo", str(undo), "--yes", timeout=120).status == 0
    assert lab.objects("loadbalancerconfigurations", space) == []
    assert "infrastructure" not in lab.get("gateway", "web", space)["spec"]
