"""On the lab: the program runs with exactly what `policy` prints, as a ServiceAccount, and names each single permission
that is taken away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.gateway_scenarios import base
from tests.e2e.platform_faults import two_tagged_groups
from tests.lab import examples, faults, topology
from tests.lab import gateway_examples as made
from tests.lab.api import Lab, Result
from tests.support.roles import Permission, Policy, Role

# What is denied is denied to every run of the program.
pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).parents[2] / "examples"
ACCOUNT = "lbdoctor"

# Asked where something is wrong, or in many namespaces: tests/cli/test_policy.py has worlds for them.
SELDOM = {
    ("", "namespaces", "list"),
    ("", "secrets", "get"),
    # Who leads is told on the controllers' page; without it a diagnosis is as sure as before.
    ("coordination.k8s.io", "leases", "get"),
    # A Gateway that cannot be listed is asked for by its name, as is a route that somebody asks about.
    ("gateway.networking.k8s.io", "gateways", "get"),
    ("gateway.networking.k8s.io", "gateways", "list"),
    *(("gateway.networking.k8s.io", f"{kind}routes", "get") for kind in ("grpc", "http", "tcp", "tls", "udp")),
}
GATEWAYS = ("gateway.networking.k8s.io", "gateway.k8s.aws")
NOT_SERVED = ("eks.amazonaws.com",)

Run = Callable[..., Result]


@pytest.fixture
def account(lab: Lab, space: str, tmp_path: Path) -> Iterator[Run]:
    """Runs the program as a ServiceAccount of the namespace, which has the printed role and no other right."""
    role = lab.lbdoctor("policy", "rbac").stdout.replace("name: lbdoctor-read", f"name: {space}-read")
    lab.kubectl("create", "serviceaccount", ACCOUNT, "-n", space)
    made = (f"clusterrole/{space}-read", f"clusterrolebinding/{space}-read")
    try:
        lab.kubectl("create", "-f", "-", stdin=role)
        bound = (f"--clusterrole={space}-read", f"--serviceaccount={space}:{ACCOUNT}")
        lab.kubectl("create", "clusterrolebinding", f"{space}-read", *bound)
        kubeconfig = json.loads(lab.kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
        token = lab.kubectl("create", "token", ACCOUNT, "-n", space).strip()
        kubeconfig["users"] = [{"name": user["name"], "user": {"token": token}} for user in kubeconfig["users"]]
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(kubeconfig))
        yield lambda *args, **more: lab.lbdoctor(*args, "-n", space, env={"KUBECONFIG": str(file)}, **more)
    finally:
        lab.kubectl("delete", *made, "--ignore-not-found")


@pytest.fixture
def policy(lab: Lab) -> Iterator[Policy]:
    """The printed policy; AWS refuses the doctor everything else."""
    printed = Policy.of(lab.lbdoctor("policy", "iam").stdout)
    doctor = topology.DOCTOR_ACCESS_KEY
    # The first entry that fits decides: no delay to speak of is the lab's way to let a call through.
    with (
        faults.aws_denied(lab, "*", access_key=doctor),
        faults.aws_denied(lab, *sorted(printed.actions), access_key=doctor, effect="delay", seconds=0.001),
    ):
        yield printed


def healthy(lab: Lab, space: str) -> None:
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)


def missing(result: Result) -> set[str]:
    """The permissions that a report lacks, those that it may lack included."""
    coverage = result.json["coverage"]
    return {entry["permission"] for entry in coverage["denied"] + coverage["optional"]}


def until(attempt: Callable[[], Result], good: Callable[[Result], bool], seconds: float = 15) -> Result:
    """The API server learns of a changed role a moment later."""
    end = time.monotonic() + seconds
    while not good(result := attempt()) and time.monotonic() < end:
        time.sleep(0.3)
    return result


def test_the_printed_permissions_are_enough(lab: Lab, space: str, account: Run, policy: Policy) -> None:
    healthy(lab, space)
    lab.calls(reset=True)
    result = until(lambda: account("ing/web", "-o", "json"), lambda r: r.status == 0)
    assert result.status == 0 and missing(result) == set(), str(result)
    assert result.json["coverage"]["failed"] == []
    assert set(lab.calls()[topology.DOCTOR_ACCESS_KEY]) <= policy.actions


def test_each_missing_permission_in_kubernetes_is_named(lab: Lab, space: str, account: Run) -> None:
    healthy(lab, space)
    subjects = ["ing/web"]
    if not topology.CONTROLLER_VERSION.startswith("2."):
        lab.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, made.classes())))
        lab.apply(base(), space)
        subjects.append("gateway/web")
    until(lambda: account(*subjects), lambda r: r.status == 0, seconds=60)
    role = json.loads(lab.kubectl("get", "clusterrole", f"{space}-read", "-o", "json"))
    del role["metadata"]["resourceVersion"]  # It is replaced many times, whatever its version.
    whole = Role.of(yaml.safe_dump({"rules": role["rules"]}))
    wrong = {}
    # Only `scan -w` watches.
    for permission in sorted(p for p in whole.permissions if p.verb != "watch"):
        lab.kubectl("replace", "-f", "-", stdin=json.dumps(role | {"rules": rules(whole.without(permission))}))
        full = f"{permission.resource}.{permission.group}" if permission.group else permission.resource
        name = f"{permission.verb} {full}"
        for_gateways = permission.group in GATEWAYS and len(subjects) == 1
        if permission[:3] in SELDOM or permission.group in NOT_SERVED or for_gateways:
            result = account(*subjects, "-o", "json")
            good = result.status == 0 and {said[: len(name)] for said in missing(result)} <= {name}
        else:
            result = until(
                lambda: account(*subjects, "-o", "json"),
                lambda r, name=name: {" ".join(said.split()[:2]) for said in missing(r)} == {name},  # type: ignore[misc]
            )
            good = result.status == 3 and {" ".join(said.split()[:2]) for said in missing(result)} == {name}
        if not good:
            wrong[name] = str(result)
    assert wrong == {}, "\n".join(wrong)


def rules(role: Role) -> list[dict[str, Any]]:
    """The rules of a role, one for each permission."""
    return [
        {"apiGroups": [p.group], "resources": [p.resource], "verbs": [p.verb]}
        | ({"resourceNames": [p.name]} if p.name else {})
        for p in sorted(role.permissions)
    ]


def test_each_missing_permission_in_aws_is_named(lab: Lab, space: str, account: Run, policy: Policy) -> None:
    healthy(lab, space)
    lab.calls(reset=True)
    assert until(lambda: account("ing/web"), lambda r: r.status == 0).status == 0
    asked = set(lab.calls()[topology.DOCTOR_ACCESS_KEY])
    assert "elasticloadbalancing:DescribeTargetHealth" in asked
    wrong = {}
    for action in sorted(asked):
        with faults.aws_denied(lab, action, access_key=topology.DOCTOR_ACCESS_KEY):
            result = account("ing/web", "-o", "json")
            screen = account("ing/web")
        if result.status != 3 or missing(result) != {action} or f"denied: {action}. " not in screen.stdout:
            wrong[action] = f"{result}\n{screen}"
    assert wrong == {}


def test_a_fix_needs_the_printed_role_and_no_more(lab: Lab, space: str, account: Run, tmp_path: Path) -> None:
    healthy(lab, space)
    port = "/spec/ports/0/targetPort"
    lab.patch("service", "web", space, [{"op": "replace", "path": port, "value": 9090}])
    until(lambda: account("ing/web", "-o", "json"), lambda r: "LBD307" in r.stdout, seconds=60)
    undo = str(tmp_path / "undo.json")
    fix = ("--fix", "targetport", "ing/web", "--yes", "--undo-file", undo)
    denied = account(*fix, timeout=200)
    assert denied.status == 4 and "services" in denied.stderr, str(denied)
    role = lab.lbdoctor("policy", "rbac", "--fix").stdout.replace("name: lbdoctor-fix", f"name: {space}-fix")
    lab.kubectl("create", "-f", "-", stdin=role)
    try:
        who = (f"--clusterrole={space}-fix", f"--serviceaccount={space}:{ACCOUNT}")
        lab.kubectl("create", "rolebinding", "fix", "-n", space, *who)
        done = until(lambda: account(*fix, timeout=200), lambda r: r.status == 0)
        assert done.status == 0 and "verified" in done.stdout, str(done)
        back = account("undo", undo, "--yes", timeout=200)
        assert back.status == 0, str(back)
        assert lab.get("service", "web", space)["spec"]["ports"][0]["targetPort"] == 9090
    finally:
        lab.kubectl("delete", f"clusterrole/{space}-fix", "--ignore-not-found")


def test_the_manifests_of_the_cronjob_are_taken(lab: Lab) -> None:
    """By the API server, in a namespace that enforces the restricted Pod Security Standard."""
    text = (EXAMPLES / "cronjob" / "cronjob.yaml").read_text()
    documents = [doc for doc in yaml.safe_load_all(text) if doc]
    labels = next(doc for doc in documents if doc["kind"] == "Namespace")["metadata"]["labels"]
    with lab.namespace(labels=labels) as space:
        dry_run = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
        lab.kubectl(*dry_run, stdin=(EXAMPLES / "cronjob" / "role.yaml").read_text())
        for document in documents:
            if document["metadata"].get("namespace") == ACCOUNT:
                document["metadata"]["namespace"] = space
            lab.kubectl(*dry_run, stdin=json.dumps(document))
        lab.kubectl("create", "serviceaccount", ACCOUNT, "-n", space)
        template = next(doc for doc in documents if doc["kind"] == "CronJob")["spec"]["jobTemplate"]["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "job", "namespace": space},
            "spec": template["spec"],
        }
        lab.kubectl(*dry_run, stdin=json.dumps(pod))


def test_the_permissions_are_those_of_the_record() -> None:
    """A guard for the list of what is seldom asked: all of it is in the printed role."""
    printed = Role.of((EXAMPLES / "cronjob" / "role.yaml").read_text()).permissions
    assert {Permission(*seldom) for seldom in SELDOM} <= {permission._replace(name="") for permission in printed}


def test_tags_of_security_groups_tell_what_log_and_events_would(lab: Lab, space: str, account: Run) -> None:
    """Who may read neither the controller's log nor events is told by the groups of the nodes that the cluster's tag
    stands on two of them."""
    role = json.loads(lab.kubectl("get", "clusterrole", f"{space}-read", "-o", "json"))
    del role["metadata"]["resourceVersion"]
    whole = Role.of(yaml.safe_dump({"rules": role["rules"]}))
    for permission in [p for p in whole.permissions if p.resource in ("events", "pods/log")]:
        whole = whole.without(permission)
    lab.kubectl("replace", "-f", "-", stdin=json.dumps(role | {"rules": rules(whole)}))
    with two_tagged_groups(lab, space):
        lab.apply(examples.alb_ip(), space)
        lab.wait_targets(space, "unhealthy", "Target.Timeout", count=2)
        result = until(
            lambda: account("ing/web", "-o", "json"),
            lambda r: [d["code"] for d in r.json["diagnoses"]][:1] == ["LBD505"],
            seconds=75,
        )
    assert [d["code"] for d in result.json["diagnoses"]][:1] == ["LBD505"], str(result)
    denied = {entry["permission"].split()[1] for entry in result.json["coverage"]["denied"]}
    assert {"events", "pods/log"} <= denied | {e["permission"].split()[1] for e in result.json["coverage"]["optional"]}
