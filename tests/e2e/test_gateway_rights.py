"""Gateways on the lab for people with half of the permissions: what they see, and what a fix may do for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway_scenarios import base
from tests.e2e.test_gateways import gateway_classes as gateway_classes
from tests.e2e.test_gateways import pytestmark as pytestmark
from tests.e2e.test_gateways import wait_for
from tests.lab import examples
from tests.lab import gateway_examples as made
from tests.lab.api import Lab, Result

Run = Callable[..., Result]
ACCOUNT = "half"


@pytest.fixture
def someone(lab: Lab, space: str, tmp_path: Path) -> Iterator[Run]:
    """Runs the program as a ServiceAccount that may read and fix in one namespace, and nothing elsewhere."""
    lab.kubectl("create", "serviceaccount", ACCOUNT, "-n", space)
    roles = []
    try:
        for part in ("read", "fix"):
            flags = ["--fix"] if part == "fix" else []
            role = lab.lbdoctor("policy", "rbac", *flags).stdout.replace(f"lbdoctor-{part}", f"{space}-{part}")
            lab.kubectl("create", "-f", "-", stdin=role)
            roles.append(f"clusterrole/{space}-{part}")
            bound = (f"--clusterrole={space}-{part}", f"--serviceaccount={space}:{ACCOUNT}")
            lab.kubectl("create", "rolebinding", part, "-n", space, *bound)
        kubeconfig = json.loads(lab.kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
        token = lab.kubectl("create", "token", ACCOUNT, "-n", space).strip()
        kubeconfig["users"] = [{"name": user["name"], "user": {"token": token}} for user in kubeconfig["users"]]
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(kubeconfig))
        yield lambda *args, **more: lab.lbdoctor(*args, env={"KUBECONFIG": str(file)}, **more)
    finally:
        lab.kubectl("delete", *roles, "--ignore-not-found")


def missing(result: Result) -> set[str]:
    return {entry["permission"] for entry in result.json["coverage"]["denied"]}


def test_who_reads_one_namespace_never_hears_that_all_is_well(lab: Lab, space: str, someone: Run) -> None:
    lab.apply(base(), space)
    wait_for(lab, space, "gateway/web", [])
    result = someone("gateway/web", "-n", space, "-o", "json")
    assert (result.status, result.json["status"], result.json["diagnoses"]) == (3, "unknown", [])
    assert "list gatewayclasses.gateway.networking.k8s.io (cluster)" in missing(result)


def test_who_reads_one_namespace_finds_and_mends_what_is_wrong_there(lab: Lab, space: str, someone: Run) -> None:
    lab.apply([*base()[:-1], made.configuration(path="/x")], space)
    wait_for(lab, space, "gateway/web", ["LBD301"])
    result = someone("gateway/web", "-n", space, "-o", "json")
    first = result.json["diagnoses"][0]
    assert (first["code"], first["object"]["kind"]) == ("LBD301", "TargetGroupConfiguration"), str(result)
    wanted = f"healthcheck-path={examples.HEALTH_PATH}"
    fixed = someone("--fix", wanted, "gateway/web", "-n", space, "--yes", "--wait", "90s")
    assert fixed.status in (0, 3), str(fixed)  # The classes cannot be read, so that the rest is unknown.
    check = lab.get("targetgroupconfiguration", "web", space)["spec"]["defaultConfiguration"]["healthCheckConfig"]
    assert check["healthCheckPath"] == examples.HEALTH_PATH
    wait_for(lab, space, "gateway/web", [])


def test_a_gateway_of_another_namespace_is_not_accused_and_not_changed(lab: Lab, space: str, someone: Run) -> None:
    """The route is in the own namespace; its Gateway, which does not let it in, is in one that may not be read."""
    with lab.namespace() as other:
        lab.apply(base(), other)
        wait_for(lab, other, "gateway/web", [])
        own = made.route(parent={"namespace": other})
        lab.apply([examples.app(), examples.service(), own, made.configuration()], space)
        wait_for(lab, space, "httproute/web", ["LBD143"])
        result = someone("httproute/web", "-n", space, "-o", "json")
        assert (result.status, result.json["diagnoses"]) == (3, []), str(result)
        partly = json.dumps(result.json["coverage"]["partial"])  # Its own namespace was read.
        assert "list gateways.gateway.networking.k8s.io (cluster)" in partly, partly
        fixed = someone("--fix", "allowed-routes=All", "httproute/web", "-n", space, "--yes", "--wait", "0")
        assert fixed.status in (1, 3), str(fixed)
        # Who may read that namespace and not write there is refused before anything is changed.
        reader = (f"--clusterrole={space}-read", f"--serviceaccount={space}:{ACCOUNT}")
        lab.kubectl("create", "rolebinding", "reader", "-n", other, *reader)
        lab.kubectl("create", "clusterrolebinding", f"{space}-lists", *reader)
        try:
            refused = someone("--fix", "allowed-routes=All", "httproute/web", "-n", space, "--yes", "--wait", "0")
            assert refused.status == 4 and "patch gateways" in refused.stderr, str(refused)
        finally:
            lab.kubectl("delete", "clusterrolebinding", f"{space}-lists")
        listener = lab.get("gateway", "web", other)["spec"]["listeners"][0]
        assert listener["allowedRoutes"]["namespaces"]["from"] == "Same"
