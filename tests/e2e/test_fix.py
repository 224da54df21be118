"""`--fix` on the lab: every fix name takes a real fault to healthy targets, and `undo` brings the fault back."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.fix.planner import fix_names
from tests.e2e import scenarios_frontend_nlb, scenarios_objects
from tests.e2e.scenarios import SCENARIOS, Scenario, unhealthy
from tests.e2e.test_lab import wait_healthy
from tests.lab import build, examples
from tests.lab.api import CROWDED, Lab, Result

# The rules of all security groups are compared before and after.
pytestmark = pytest.mark.alone

ALB = examples.ALB
BY_NAME = {
    scenario.name: scenario
    for scenario in (*SCENARIOS, *scenarios_objects.SCENARIOS, *scenarios_frontend_nlb.SCENARIOS)
}

REDIRECTED = Scenario(
    "redirect-without-another-path",
    lambda: examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": "/old"},
        app={"args": ("--listen", ":8080", "--redirect", "/old=https://shop.example/:301"), "readiness": None},
    ),
    ["LBD303"],
    unhealthy("Target.ResponseCodeMismatch"),
)

# (fix, scenario, code that is repaired)
FIXES: list[tuple[str, Scenario, str]] = [
    ("targetport", BY_NAME["wrong-target-port"], "LBD307"),
    ("targetport", BY_NAME["wrong-target-port-instance"], "LBD307"),
    ("targetport", BY_NAME["wrong-target-port-nlb"], "LBD307"),
    ("targetport", BY_NAME["named-port-missing"], "LBD203"),
    ("selector", BY_NAME["selector-mismatch"], "LBD201"),
    ("backend-port", BY_NAME["missing-port"], "LBD107"),
    ("target-type", BY_NAME["instance-targets-without-node-port"], "LBD204"),
    ("healthcheck-path", BY_NAME["path-404"], "LBD301"),
    ("healthcheck-path", BY_NAME["path-auth"], "LBD304"),
    ("healthcheck-path", BY_NAME["own-binding-path-wrong"], "LBD301"),
    ("drift", BY_NAME["check-changed-in-aws"], "LBD311"),
    ("healthcheck-port", BY_NAME["health-check-port-wrong"], "LBD313"),
    ("healthcheck-protocol", BY_NAME["tls-port-checked-by-http"], "LBD305"),
    ("healthcheck-timeout", BY_NAME["application-slower-than-timeout"], "LBD309"),
    ("success-codes", REDIRECTED, "LBD303"),
    ("annotation-key", BY_NAME["annotation-key-mistyped"], "LBD110"),
    ("annotation-value", BY_NAME["check-protocol-lower-case"], "LBD111"),
    ("traffic-policy", BY_NAME["local-policy-behind-alb"], "LBD602"),
    ("ingress-class", BY_NAME["no-class"], "LBD101"),
    ("security-group", BY_NAME["security-group-rule-revoked"], "LBD501"),
    ("security-group", BY_NAME["security-group-rule-revoked-nlb"], "LBD501"),
    ("node-security-group", BY_NAME["nodes-do-not-admit-each-other"], "LBD502"),
    ("lb-egress", BY_NAME["balancer-egress-revoked"], "LBD503"),
    ("network-acl", BY_NAME["acl-return-denied"], "LBD508"),
    ("network-acl", BY_NAME["acl-request-denied-in-one-zone"], "LBD507"),
    ("frontend-nlb", BY_NAME["frontend-nlb-redirected-to-https"], "LBD323"),
    ("kube-proxy", BY_NAME["kube-proxy-rules-lost-on-a-node"], "LBD517"),
]
IRREVERSIBLE = {"kube-proxy"}
IN_AWS = {"own-binding-path-wrong", "check-changed-in-aws"}
"""Scenarios whose target group itself is changed."""


# Shown in test_gateways.py, and in test_ipv6.py.
FIXES_ELSEWHERE = {"allowed-routes", "target-reference", "ip-address-type"}


def test_every_fix_is_shown() -> None:
    assert {fix for fix, _, _ in FIXES} | FIXES_ELSEWHERE == fix_names(CATALOGUE)


@pytest.fixture
def broken(request: pytest.FixtureRequest, lab: Lab, space: str) -> Iterator[Scenario]:
    """A scenario with its fault in effect."""
    scenario: Scenario = request.param
    lab.apply(scenario.manifests(), space)
    with scenario.setup(lab, space) if scenario.setup is not None else nullcontext():
        if scenario.fault is not None:
            wait_healthy(lab, space, scenario.subject)
        with scenario.fault(lab, space) if scenario.fault is not None else nullcontext():
            scenario.seen(lab, space)
            yield scenario


def parameters() -> list[Any]:
    found = [pytest.param(scenario, fix, code, "", id=f"{fix}-{scenario.name}") for fix, scenario, code in FIXES]
    fix, scenario, code = FIXES[0]
    # The new state of targets must be told among hundreds of idle pods, too.
    name = f"{fix}-{scenario.name}-crowded"
    return [*found, pytest.param(scenario, fix, code, CROWDED, id=name, marks=[pytest.mark.smoke])]


@pytest.mark.parametrize(("broken", "fix", "code", "space"), parameters(), indirect=["broken", "space"])
def test_fix(lab: Lab, space: str, broken: Scenario, fix: str, code: str, tmp_path: Path) -> None:
    until_found(lab, space, broken, code)
    before, rules, checks = settings(lab, space), filters(lab), health_checks(lab, space)
    undo = tmp_path / "undo.json"
    done = lab.lbdoctor(
        "--fix", fix, broken.subject, "-n", space, "--yes", "-v", "--undo-file", str(undo), cwd=tmp_path, timeout=500
    )
    print(f"\n{done}")
    assert done.status == 0, str(done)
    assert f"{code} is gone" in done.stdout, str(done)
    assert {t.state for t in lab.target_health(space)} <= {"healthy", "draining"}, str(done)

    back = lab.lbdoctor("undo", str(undo), "--yes", timeout=120)
    assert back.status == 0, str(back)
    if fix in IRREVERSIBLE:
        assert "cannot be taken back" in back.stderr, str(back)
        return
    assert settings(lab, space) == before, str(back)
    if fix in ("security-group", "node-security-group", "lb-egress", "network-acl"):
        assert filters(lab) == rules, str(back)
    if broken.name in IN_AWS:
        assert health_checks(lab, space) == checks, str(back)
    until_found(lab, space, broken, code)


def settings(lab: Lab, space: str) -> dict[str, Any]:
    """What people write in Ingresses and Services, without the marks of writes and reconciliations."""
    return {
        f"{kind}/{item['metadata']['name']}": (item["metadata"].get("annotations"), item["spec"])
        for kind in ("ingress", "service")
        for item in lab.objects(kind, space)
    }


def health_checks(lab: Lab, space: str) -> list[dict[str, Any]]:
    """What the target groups of the namespace ask, in AWS."""
    arns = lab.target_group_arns(space)
    groups = lab.aws("elbv2").describe_target_groups(TargetGroupArns=arns)["TargetGroups"] if arns else []
    return [
        {k: v for k, v in g.items() if k.startswith(("HealthC", "Unhealthy", "Healthy", "Matcher"))} for g in groups
    ]


def filters(lab: Lab) -> dict[str, list[str]]:
    """The rules of all security groups and the entries of all network ACLs."""
    ec2 = lab.aws("ec2")
    groups, acls = ec2.describe_security_groups()["SecurityGroups"], ec2.describe_network_acls()["NetworkAcls"]
    found = {g["GroupId"]: [*g["IpPermissions"], *g["IpPermissionsEgress"]] for g in groups}
    found |= {a["NetworkAclId"]: a["Entries"] for a in acls}
    return {name: sorted(json.dumps(rule, sort_keys=True) for rule in rules) for name, rules in found.items()}


def until_found(lab: Lab, space: str, scenario: Scenario, code: str, timeout: float = 90) -> None:
    """Until the doctor diagnoses the fault."""
    end = time.monotonic() + timeout
    while True:
        result = lab.lbdoctor(scenario.subject, "-n", space, "-o", "json")
        if code in [d["code"] for d in result.json["diagnoses"]]:
            return
        assert time.monotonic() < end, f"{code} is not found\n{lab.lbdoctor(scenario.subject, '-n', space)}"
        time.sleep(1)


# --- two ways, and targets that are too new ---------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [BY_NAME["path-404"]], indirect=True)
def test_either_way_repairs_a_wrong_code(lab: Lab, space: str, broken: Scenario, tmp_path: Path) -> None:
    """A check that is answered with a wrong code can get another path or other success codes, by name."""
    until_found(lab, space, broken, broken.codes[0])
    for fix, said in (("success-codes", "healthcheck-path"), ("healthcheck-path=/healthz", "success-codes")):
        undo = tmp_path / f"{said}.json"
        asked = ("-n", space, "--yes", "--undo-file", str(undo))
        done = lab.lbdoctor("--fix", fix, broken.subject, *asked, cwd=tmp_path, timeout=300)
        assert done.status == 0 and "verified" in done.stdout and f"or instead: --fix {said}" in done.stdout, str(done)
        back = lab.lbdoctor("undo", str(undo), "--yes", timeout=120)
        assert back.status == 0, str(back)
        until_found(lab, space, broken, broken.codes[0])


# --- refusals change nothing ------------------------------------------------------------------------------------------


def objects(lab: Lab, space: str) -> str:
    """Ingresses and Services of the namespace, byte by byte."""
    found = [*lab.objects("ingress", space), *lab.objects("service", space)]
    return json.dumps([(o["metadata"]["name"], o["metadata"]["resourceVersion"], o["spec"]) for o in found])


@pytest.mark.parametrize("broken", [BY_NAME["wrong-target-port"]], indirect=True)
def test_refusals_change_nothing(lab: Lab, space: str, broken: Scenario, tmp_path: Path) -> None:
    until_found(lab, space, broken, "LBD307")
    before = objects(lab, space)
    reader = ("--as", "system:serviceaccount:default:reader", "--as-group", "lbdlab:readers")
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "lbdlab:readers"}],
    }
    lab.apply(binding, space)

    def run(*args: str) -> Result:
        return lab.lbdoctor("--fix", *args, "ing/web", "-n", space, cwd=tmp_path, timeout=200)

    cases: dict[str, tuple[Callable[[], Result], int, str]] = {
        "no terminal": (lambda: run("targetport"), 2, "--yes"),
        "unknown name": (lambda: run("target-port", "--yes"), 2, "known fixes"),
        "another fix": (lambda: run("selector", "--yes"), 1, "nothing was found that it repairs"),
        "dry run of the client": (lambda: run("targetport", "--dry-run", "client"), 0, "nothing was changed"),
        "dry run of the server": (lambda: run("targetport", "--dry-run", "server"), 0, "nothing was changed"),
        "no permission": (lambda: run("targetport", "--yes", *reader), 4, "patch services"),
        "no such value": (lambda: run("targetport=65536x y", "--yes"), 4, "nothing was changed"),
    }
    for name, (attempt, status, said) in cases.items():
        result = attempt()
        assert result.status == status and said in result.stdout + result.stderr, f"{name}: {result}"
        assert objects(lab, space) == before, name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", [BY_NAME["wrong-target-port"]], indirect=True)
def test_undo_refuses_what_has_moved_on(lab: Lab, space: str, broken: Scenario, tmp_path: Path) -> None:
    until_found(lab, space, broken, "LBD307")
    undo = tmp_path / "undo.json"
    done = lab.lbdoctor("-n", space, "--fix", "all", "--yes", "--undo-file", str(undo), "-o", "json", timeout=300)
    assert done.status == 0 and done.json["status"] == "healthy", str(done)
    lab.patch("service", "web", space, [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 8081}])
    refused = lab.lbdoctor("undo", str(undo), "--yes")
    assert refused.status == 1 and "8081" in refused.stderr, str(refused)
    assert lab.get("service", "web", space)["spec"]["ports"][0]["targetPort"] == 8081


@pytest.mark.parametrize("broken", [BY_NAME["wrong-target-port"]], indirect=True)
def test_owned_by_git(lab: Lab, space: str, broken: Scenario, tmp_path: Path) -> None:
    """Argo CD's annotation: pointed out, and done all the same with --yes."""
    until_found(lab, space, broken, "LBD307")
    tracking = f"argocd.argoproj.io/tracking-id=shop:/Service:{space}/web"
    lab.kubectl("annotate", "service/web", "-n", space, tracking)
    result = lab.lbdoctor("--fix", "targetport", "-n", space, "--yes", cwd=tmp_path, timeout=200)
    assert result.status == 0, str(result)
    assert "Argo CD" in result.stdout and "Application shop" in result.stderr, str(result)


@pytest.mark.parametrize("broken", [BY_NAME["wrong-target-port"]], indirect=True)
def test_question_on_a_terminal(lab: Lab, space: str, broken: Scenario, tmp_path: Path) -> None:
    until_found(lab, space, broken, "LBD307")
    before = objects(lab, space)
    status, said = typed(lab, tmp_path, "n\n", "--fix", "targetport", "ing/web", "-n", space)
    assert status == 1 and "Apply 1 change in context lbdlab?" in said, said
    assert objects(lab, space) == before and not list(tmp_path.iterdir())
    status, said = typed(lab, tmp_path, "y\n", "--fix", "targetport", "ing/web", "-n", space)
    assert status == 0 and "verified" in said, said


def typed(lab: Lab, cwd: Path, text: str, *args: str, timeout: float = 200) -> tuple[int, str]:
    """Run the plugin on a terminal of its own and type once it has asked: what is typed ahead is no answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [build.kubernetes("kubectl"), "lbdoctor", *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env=lab.environment(),
    )
    os.close(theirs)
    said, end, asked = b"", time.monotonic() + timeout, False
    while time.monotonic() < end:
        if not select.select([ours], [], [], 1.0)[0]:
            continue
        try:
            said += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not asked and b"[y/N]" in said:
            asked = True
            os.write(ours, text.encode())
    else:
        process.kill()
    os.close(ours)
    return process.wait(), said.decode("utf-8", "replace")


def test_a_choice_is_asked_for(lab: Lab, space: str, tmp_path: Path) -> None:
    ports = [{"name": "a", "containerPort": 8080}, {"name": "b", "containerPort": 8443}]
    lab.apply(examples.alb_ip(app={"ports": ports, "readiness": None}, service={"target_port": 9090}), space)
    unhealthy("Target.FailedHealthChecks")(lab, space)
    before = objects(lab, space)
    asked = ("ing/web", "-n", space, "--yes", "--probe", "off")
    result = lab.lbdoctor("--fix", "targetport", *asked, cwd=tmp_path)
    assert result.status == 1, str(result)
    assert "targetport=8080" in result.stdout and "targetport=8443" in result.stdout, str(result)
    assert objects(lab, space) == before and not list(tmp_path.iterdir())
    chosen = lab.lbdoctor("--fix", "targetport=8080", *asked, cwd=tmp_path, timeout=200)
    assert chosen.status == 0 and "verified" in chosen.stdout, str(chosen)
