"""Gateways on the lab: healthy ones of each kind, what can be wrong with them, and repairs where they are set."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway_scenarios import FAULTS, TWINS, Fault, Twin, base
from tests.lab import examples, topology
from tests.lab import gateway_examples as made
from tests.lab.api import Lab
from tests.lab.examples import Manifest

pytestmark = pytest.mark.skipif(
    topology.CONTROLLER_VERSION.startswith("2."), reason="Gateways are served by default from release 3.1 on"
)
PATIENCE = 75


@pytest.fixture(autouse=True)
def gateway_classes(lab: Lab) -> None:
    lab.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, made.classes())))


def wait_for(lab: Lab, space: str, subject: str, codes: list[str]) -> list[dict[str, Any]]:
    """The first diagnosis, or health where no code is expected. What has just begun is no fault in the first minute.
    Gives the errors that were found."""
    end = time.monotonic() + PATIENCE
    while True:
        result = lab.lbdoctor(subject, "-n", space, "-o", "json")
        errors = [d for d in result.json["diagnoses"] if d["severity"] == "error"]
        found = [d["code"] for d in errors]
        if (found[: len(codes)] == codes and bool(codes) is bool(found)) and (codes or result.status == 0):
            return errors
        if time.monotonic() > end:
            raise AssertionError(f"{found} instead of {codes}\n{lab.lbdoctor(subject, '-n', space)}")
        time.sleep(2)


@pytest.mark.parametrize(
    "manifests",
    [
        pytest.param(made.alb_ip, marks=pytest.mark.smoke),
        made.nlb_ip,
        made.alb_instance,
    ],
    ids=["alb-ip", "nlb-ip", "alb-instance"],
)
def test_a_healthy_gateway(lab: Lab, space: str, manifests: Callable[[], list[Manifest]]) -> None:
    lab.apply(manifests(), space)
    wait_for(lab, space, "gateway/web", [])
    kind = next(m["kind"] for m in manifests() if m["kind"].endswith("Route"))
    assert lab.lbdoctor(f"{kind.lower()}/web", "-n", space).status == 0
    arn = lab.target_group_arns(space)[0]
    assert lab.lbdoctor("tg", arn, "-n", space, "-o", "json").json["subjects"][0]["kind"] == "Gateway"


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault(lab: Lab, space: str, fault: Fault) -> None:
    lab.apply(fault.manifests(), space)
    first = wait_for(lab, space, fault.subject, [fault.code])[0]
    assert f"{first['object']['kind']}/{first['object']['name']}" == fault.object


@pytest.mark.parametrize("twin", TWINS, ids=[twin.name for twin in TWINS])
def test_what_looks_like_a_fault_and_is_none(lab: Lab, space: str, twin: Twin) -> None:
    lab.apply(twin.manifests(), space)
    wait_for(lab, space, twin.subject, [])
    found = lab.lbdoctor(twin.subject, "-n", space, "-o", "json").json["diagnoses"]
    assert {d["code"] for d in found if d["severity"] == "info"} <= set(twin.notes)
    assert [d["code"] for d in found if d["severity"] != "info"] == []


def test_a_backend_of_another_namespace_that_grants_it(lab: Lab, space: str) -> None:
    with lab.namespace() as other:
        lab.apply(
            [examples.app(), examples.service(), made.configuration(), made.reference_grant("HTTPRoute", space)], other
        )
        lab.apply([made.gateway(), made.route(backend={"namespace": other})], space)
        wait_for(lab, space, "gateway/web", [])
        assert lab.lbdoctor("httproute/web", "-n", space, "-o", "json").json["diagnoses"] == []


def test_a_deleted_binding_comes_back_by_the_printed_command(lab: Lab, space: str) -> None:
    lab.apply(base(), space)
    wait_for(lab, space, "gateway/web", [])
    (binding,) = [b["metadata"]["name"] for b in lab.objects("targetgroupbinding", space)]
    lab.kubectl("delete", "targetgroupbinding", binding, "-n", space)
    wait_for(lab, space, "gateway/web", ["LBD109"])
    found = lab.lbdoctor("gateway/web", "-n", space, "-o", "json").json["diagnoses"][0]
    (command,) = found["fix"]["commands"]
    lab.kubectl(*shlex.split(command)[1:])
    wait_for(lab, space, "gateway/web", [])


def test_a_configuration_is_created_and_deleted_again(lab: Lab, space: str, tmp_path: Path) -> None:
    lab.apply(base()[:-1], space)
    wait_for(lab, space, "gateway/web", ["LBD204"])
    undo = tmp_path / "undo.json"
    given = ("--yes", "--wait", "0", "--undo-file", str(undo))
    fixed = lab.lbdoctor("--fix", "target-type", "gateway/web", "-n", space, *given)
    assert fixed.status == 3 and "creates it for Service web" in fixed.stdout, str(fixed)  # Nothing is verified.
    made_one = lab.get("targetgroupconfiguration", "web", space)
    assert made_one["spec"]["defaultConfiguration"] == {"targetType": "ip"}
    # Pods are targets now, and the check of "/" is what is wrong with them.
    wait_for(lab, space, "gateway/web", ["LBD301"])
    assert lab.lbdoctor("undo", str(undo), "--yes").status == 0
    # The controller has taken it back: it finds no port for instances. The pods stay registered, and fail as before.
    wait_for(lab, space, "gateway/web", ["LBD301", "LBD204"])
    assert lab.objects("targetgroupconfiguration", space) == []


def test_the_check_path_is_mended_where_it_is_set_and_put_back(lab: Lab, space: str, tmp_path: Path) -> None:
    lab.apply([*base()[:-1], made.configuration(path="/x")], space)
    wait_for(lab, space, "gateway/web", ["LBD301"])
    undo = tmp_path / "undo.json"
    given = ("--yes", "--wait", "90s", "--undo-file", str(undo))
    fixed = lab.lbdoctor("--fix", f"healthcheck-path={examples.HEALTH_PATH}", "gateway/web", "-n", space, *given)
    assert fixed.status == 0, str(fixed)
    found = lab.get("targetgroupconfiguration", "web", space)["spec"]["defaultConfiguration"]["healthCheckConfig"]
    assert found["healthCheckPath"] == examples.HEALTH_PATH
    assert lab.lbdoctor("undo", str(undo), "--yes").status == 0
    wait_for(lab, space, "gateway/web", ["LBD301"])


def test_a_configuration_is_led_to_the_service_that_it_is_meant_for(lab: Lab, space: str) -> None:
    lab.apply([*base()[:-1], made.configuration(service="wep")], space)
    wait_for(lab, space, "gateway/web", ["LBD149"])
    fixed = lab.lbdoctor("--fix", "target-reference", "gateway/web", "-n", space, "--yes", "--wait", "90s")
    assert fixed.status == 0, str(fixed)
    wait_for(lab, space, "gateway/web", [])


def test_a_route_of_another_namespace_is_let_in(lab: Lab, space: str) -> None:
    lab.apply(base(), space)
    wait_for(lab, space, "gateway/web", [])
    with lab.namespace() as other:
        # With the same path it would get no request, also with a host name of its own: the other route is older.
        path = {"matches": [{"path": {"type": "PathPrefix", "value": "/far"}}]}
        far = made.route(parent={"namespace": space}, rule=path)
        lab.apply([examples.app(), examples.service(), far, made.configuration()], other)
        wait_for(lab, other, "httproute/web", ["LBD143"])
        fixed = lab.lbdoctor("--fix", "allowed-routes=All", "httproute/web", "-n", other, "--yes", "--wait", "90s")
        assert fixed.status == 0, str(fixed)
        assert lab.get("gateway", "web", space)["spec"]["listeners"][0]["allowedRoutes"]["namespaces"]["from"] == "All"


def test_settings_for_another_protocol_than_the_listeners_are_named(lab: Lab, space: str) -> None:
    certificate = "arn:aws:acm:us-west-2:123456789012:certificate/00000000-0000-4000-8000-0000000000aa"
    entry = {"protocolPort": "TLS:80", "defaultCertificate": certificate}
    own = made.with_parameters(made.gateway(made.NLB_CLASS, protocol="TCP"), "lbc")
    settings = made.settings("LoadBalancerConfiguration", "lbc", {"listenerConfigurations": [entry]})
    stack = [settings, examples.app(), examples.service(), own, made.route("TCPRoute"), made.configuration(path="")]
    lab.apply(stack, space)
    wait_for(lab, space, "gateway/web", [])
    found = lab.lbdoctor("gateway/web", "-n", space, "-o", "json").json["diagnoses"]
    assert [(d["code"], d["severity"], d["object"]["name"]) for d in found] == [("LBD154", "warning", "lbc")]
