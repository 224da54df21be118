"""The files of examples/ do what they say: roles are what `policy` prints, manifests have their shape, commands run."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.program import _BARE, run
from tests.support.roles import Policy, Role

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = [doc for doc in yaml.safe_load_all((EXAMPLES / "cronjob" / "cronjob.yaml").read_text()) if doc]
ROLE = (EXAMPLES / "cronjob" / "role.yaml").read_text()
TEMPLATE = yaml.safe_load((EXAMPLES / "pod-identity" / "pod-identity.yaml").read_text())


def manifest(kind: str) -> Any:
    (found,) = [doc for doc in MANIFESTS if doc["kind"] == kind]
    return found


# --- CronJob ----------------------------------------------------------------------------------------------------------


def test_the_role_is_what_policy_prints() -> None:
    assert run("policy", "rbac").stdout == ROLE


def test_the_binding_gives_the_role_to_the_job_s_account() -> None:
    account, binding = manifest("ServiceAccount")["metadata"], manifest("ClusterRoleBinding")
    pod = manifest("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert binding["roleRef"]["name"] == yaml.safe_load(ROLE)["metadata"]["name"]
    assert [(s["namespace"], s["name"]) for s in binding["subjects"]] == [(account["namespace"], account["name"])]
    assert (manifest("CronJob")["metadata"]["namespace"], pod["serviceAccountName"]) == (
        account["namespace"],
        account["name"],
    )


def test_the_job_s_pod_is_restricted() -> None:
    """What the namespace enforces (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted)."""
    pod = manifest("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (
        pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    )
    inner = container["securityContext"]
    assert (inner["allowPrivilegeEscalation"], inner["capabilities"]) == (False, {"drop": ["ALL"]})


def test_the_job_runs_with_its_role_and_its_policy(cloud: Cloud) -> None:
    (container,) = manifest("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    args = [{"svc/api": "svc/web"}.get(arg, arg) for arg in container["args"]]  # The stand-in has one Service.
    statuses = []
    for change in (lambda: None, cloud.wrong_path):
        cloud.kube.faults, cloud.aws.allows = [], lambda call: True
        change()
        cloud.kube.faults, cloud.aws.allows = [Role.of(ROLE)], Policy(tuple(_statements())).allows
        result = run(*args, env=cloud.env)
        statuses.append(result.status)
        assert "not read" not in result.text
    assert statuses == [ExitStatus.HEALTHY, ExitStatus.FINDINGS]


def test_the_image_copies_what_the_build_needs() -> None:
    text = (EXAMPLES / "cronjob" / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for word in line.split()}
    assert all((EXAMPLES.parent / name).exists() for name in copied)
    setup = (EXAMPLES.parent / "setup.cfg").read_text()
    assert set(re.findall(r"^long_description = file: (\S+)$", setup, re.MULTILINE)) <= copied
    assert {"LICENSE", "NOTICE", "setup.cfg", "pyproject.toml", "kubectl_lbdoctor"} <= copied


# --- Pod Identity -----------------------------------------------------------------------------------------------------


def _statements() -> list[dict[str, Any]]:
    (policy,) = TEMPLATE["Resources"]["Role"]["Properties"]["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


def test_the_policy_is_what_policy_prints() -> None:
    assert run("policy", "iam").json["Statement"] == _statements()


def test_the_association_is_for_the_job_s_account() -> None:
    association = TEMPLATE["Resources"]["Association"]["Properties"]
    account = manifest("ServiceAccount")["metadata"]
    assert (association["Namespace"], association["ServiceAccount"]) == (account["namespace"], account["name"])
    trust = TEMPLATE["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    # https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    assert trust == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ]


# --- CI ---------------------------------------------------------------------------------------------------------------

SCRIPT = EXAMPLES / "ci" / "after-deploy.sh"


def kubectl(directory: Path, text: str) -> dict[str, str]:
    """Variables of a shell whose kubectl is this script."""
    program = directory / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "PAUSE": "0"}


def after_deploy(directory: Path, variables: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *args], capture_output=True, text=True, env=variables, cwd=directory, timeout=120
    )


def test_the_step_asks_until_it_is_healthy(tmp_path: Path) -> None:
    statuses = 'echo x >>asked; case $(wc -l <asked) in 1) exit 3;; 2) exit 1;; *) echo "screen $*"; exit 0;; esac'
    done = after_deploy(tmp_path, kubectl(tmp_path, statuses), "shop", "ing/web", "svc/api")
    assert done.returncode == 0 and (tmp_path / "asked").read_text() == "x\n" * 3
    assert done.stdout == "screen lbdoctor ing/web svc/api --namespace shop --save lbdoctor.json.gz\n"


@pytest.mark.parametrize("status", [2, 4])
def test_the_step_does_not_repeat_what_time_does_not_mend(tmp_path: Path, status: int) -> None:
    done = after_deploy(tmp_path, kubectl(tmp_path, f"echo x >>asked; exit {status}"), "shop", "ing/web")
    assert done.returncode == status and (tmp_path / "asked").read_text() == "x\n"


def test_the_step_fails_with_the_diagnosis(cloud: Cloud, tmp_path: Path) -> None:
    """The real program behind kubectl's word, against a failing load balancer."""
    cloud.wrong_path()
    variables = {**_BARE, **cloud.env, "LIMIT": "0"}
    variables |= kubectl(tmp_path, f'shift; exec {sys.executable} -m kubectl_lbdoctor "$@"')
    variables["PYTHONPATH"] = str(EXAMPLES.parent)
    done = after_deploy(tmp_path, variables, "shop", "ing/web")
    assert done.returncode == ExitStatus.FINDINGS and "LBD301" in done.stdout, done.stderr
    assert run("--from", str(tmp_path / "lbdoctor.json.gz")).status == ExitStatus.FINDINGS


def test_the_job_calls_the_step_and_keeps_its_bundle() -> None:
    job = yaml.safe_load((EXAMPLES / "ci" / "github-actions.yaml").read_text())["jobs"]["deploy"]
    steps = {step.get("name", step.get("uses")): step for step in job["steps"]}
    assert steps["Targets are healthy"]["run"].startswith(f"./{SCRIPT.name} shop ing/web")
    # GitHub runs `shell: bash` with pipefail, so that the status of the step is not that of tee:
    # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
    assert steps["Targets are healthy"]["shell"] == "bash"
    assert steps["Keep what was read"]["if"] == "failure()"
    assert steps["Keep what was read"]["with"]["path"] in SCRIPT.read_text()
