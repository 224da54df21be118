"""The files of integrations/ do what they say: they fit the schemas of those who read them, and their commands run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from copy import deepcopy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import lupa
import pytest
import yaml

from kubectl_lbdoctor.mcp_server.tools import offered
from kubectl_lbdoctor.options import Options
from tests.support import cassette
from tests.support.cloud import Cloud
from tests.support.mcp_client import call
from tests.support.program import run

ROOT = Path(__file__).parents[2]
HERE = ROOT / "integrations"
BUNDLE = ROOT / "docs" / "demo" / "bundle.json"


def document(*path: str) -> Any:
    return yaml.safe_load(HERE.joinpath(*path).read_text())


def shell(directory: Path, lines: str, kubectl: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script whose kubectl is another one."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("kubectl", "kubectl-lbdoctor"):
        (programs / name).write_text(f"#!/bin/sh\n{kubectl}\n")
        (programs / name).chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        ["sh", "-e", "-c", lines], capture_output=True, text=True, env=env, cwd=directory, timeout=120
    )


ON_A_BUNDLE = f'shift; exec {sys.executable} -m kubectl_lbdoctor --from {BUNDLE} "$@"'
ASKS_NOBODY = f'shift; exec {sys.executable} -m kubectl_lbdoctor "$@"'


# --- HolmesGPT --------------------------------------------------------------------------------------------------------


def test_the_server_of_holmesgpt_is_the_programs() -> None:
    server = document("holmesgpt", "config.yaml")["mcp_servers"]["lbdoctor"]["config"]
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert server["mode"] == "stdio" and f"{server['command']} =" in setup["options.entry_points"]["console_scripts"]
    first, *args = server["args"]
    assert first == "mcp"
    assert not call("diagnose", *args, "--from", str(BUNDLE)).is_error


TOOLSET = document("holmesgpt", "toolset.yaml")["toolsets"]["lbdoctor"]
TOOLS = {tool["name"]: tool for tool in TOOLSET["tools"]}


def written(name: str, **values: str) -> str:
    """A command as HolmesGPT renders it: each parameter quoted for a shell."""
    tool = TOOLS[name]
    assert set(re.findall(r"{{ (\w+) }}", tool["command"])) == set(tool["parameters"]) == set(values)
    return re.sub(r"{{ (\w+) }}", lambda match: shlex.quote(values[match[1]]), tool["command"])


def test_the_commands_of_holmesgpt_give_findings_as_answers(tmp_path: Path) -> None:
    about = {"object": "ingress/web", "namespace": "shop"}
    found = shell(tmp_path, written("lbdoctor_diagnose", **about), ON_A_BUNDLE)
    assert found.returncode == 0 and '"LBD301"' in found.stdout, found.stderr
    plan = shell(tmp_path, written("lbdoctor_plan_fix", **about), ON_A_BUNDLE)
    assert plan.returncode == 0 and '"FixPlan"' in plan.stdout, plan.stderr
    explained = shell(tmp_path, written("lbdoctor_explain", topic="LBD301"), ASKS_NOBODY)
    assert explained.returncode == 0 and explained.stdout.startswith("LBD301 (error)")
    assert shell(tmp_path, TOOLSET["prerequisites"][0]["command"], ASKS_NOBODY).returncode == 0


@pytest.mark.parametrize("word", ["--save=out", "--kubeconfig=out", "$(touch out)", "; touch out", "--fix=all"])
def test_what_a_model_writes_is_neither_a_flag_nor_a_command(tmp_path: Path, word: str) -> None:
    done = shell(tmp_path, written("lbdoctor_diagnose", object=word, namespace="shop"), ON_A_BUNDLE)
    assert done.returncode == 4 and not (tmp_path / "out").exists()


# --- Skill ------------------------------------------------------------------------------------------------------------


def test_the_skill_names_tools_and_commands_that_there_are() -> None:
    text = (HERE / "skill" / "lbdoctor" / "SKILL.md").read_text()
    _, head, body = text.split("---\n", 2)
    front = yaml.safe_load(head)
    assert front["name"] == "lbdoctor" and 0 < len(front["description"]) <= 1024
    tools = {tool.name for tool in offered(Options(), allow_fix=True)}
    rows = [row.split("|") for row in body.splitlines() if row.startswith("|") and "`" in row]
    assert {re.findall(r"`(\w+)`", row[2])[0] for row in rows} == tools - {"list_codes"}
    for command in re.findall(r"`kubectl lbdoctor ([^`]+)`", body):
        result = run(*shlex.split(command.replace("NAME", "targetport").replace("ARN", "web")))
        assert result.status in (0, 4), result.stderr  # 4: there is no cluster here; 2 would be a wrong command


# --- Argo CD ----------------------------------------------------------------------------------------------------------

HEALTH = document("argocd", "health.yaml")["data"]["resource.customizations.health.elbv2.k8s.aws_TargetGroupBinding"]


def health(binding: dict[str, Any]) -> tuple[str, str]:
    """What Argo CD makes of an object: it runs the script with `obj` and takes what it returns."""
    lua = lupa.LuaRuntime()
    lua.globals().obj = lua.table_from(binding, recursive=True)
    made = lua.execute(HEALTH)
    return made["status"], made["message"] or ""


def test_the_health_of_a_binding() -> None:
    (binding, *_) = (o for o in cassette.load("alb-ip").objects if o["kind"] == "TargetGroupBinding")
    binding = deepcopy(binding)
    assert health(binding) == ("Healthy", "")
    binding["metadata"]["generation"] = 7
    status, message = health(binding)
    assert status == "Progressing" and f"kubectl lbdoctor tgb/{binding['metadata']['name']} -n shop" in message
    assert health({**binding, "status": None})[0] == "Progressing"
    assert health({**binding, "spec": {}}) == ("Progressing", "it names no target group yet")
    binding["metadata"]["deletionTimestamp"] = "2030-01-07T12:00:00Z"
    assert health(binding) == ("Progressing", "it is being deleted")


def test_the_hook_waits_for_healthy_targets(cloud: Cloud) -> None:
    job = document("argocd", "post-sync.yaml")
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PostSync"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert run(*container["args"], env=cloud.env).status == 0
    cloud.wrong_path()
    failed = run(*container["args"], env=cloud.env)
    assert failed.status == 1 and "LBD301" in failed.stdout and "waiting" in failed.stderr


def test_the_notification_is_about_the_hook() -> None:
    data = document("argocd", "notifications.yaml")["data"]
    (trigger,) = yaml.safe_load(data["trigger.on-targets-unhealthy"])
    assert trigger["send"] == ["targets-unhealthy"] and "template.targets-unhealthy" in data
    assert f".name == '{document('argocd', 'post-sync.yaml')['metadata']['name']}'" in trigger["when"]


# --- GitHub and GitLab ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-actions", HERE / "github-action" / "action.yml"),
        ("vendor.github-workflows", HERE / "github-action" / "workflow.yaml"),
        ("vendor.github-workflows", ROOT / "examples" / "ci" / "github-actions.yaml"),
        ("vendor.gitlab-ci", HERE / "gitlab" / "lbdoctor.gitlab-ci.yml"),
    ],
)
def test_files_of_pipelines_fit_their_schemas(schema: str, file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


ACTION = document("github-action", "action.yml")


def test_inputs_of_the_action_come_by_the_environment_alone() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert {re.findall(r"inputs\.([\w-]+)", value)[0] for value in step["env"].values()} <= set(ACTION["inputs"])
    (step,) = [step for step in document("github-action", "workflow.yaml")["jobs"]["scan"]["steps"] if step.get("id")]
    assert step["uses"].split("@")[0].endswith("/kubectl-lbdoctor/integrations/github-action")


@pytest.mark.parametrize(
    ("namespace", "words"), [("", "--all-namespaces"), ("shop; touch out", "--namespace 'shop; touch out'")]
)
def test_the_action_scans_what_it_is_told(tmp_path: Path, namespace: str, words: str) -> None:
    scan = ACTION["runs"]["steps"][-1]["run"]
    recorded = 'for word in "$@"; do printf "%s\\n" "$word"; done'
    done = shell(tmp_path, scan, recorded, NAMESPACE=namespace, FAIL_ON="warning", SARIF="found.sarif")
    assert done.returncode == 0 and not (tmp_path / "out").exists()
    given = (tmp_path / "found.sarif").read_text().splitlines()
    assert given == ["lbdoctor", "scan", *shlex.split(words), "--fail-on", "warning", "--output", "sarif"]


_QUIET = {
    "HOME": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "us-west-2",
    "NO_PROXY": "127.0.0.1",
}


def test_the_action_writes_findings_and_fails(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    variables = {**_QUIET, **cloud.env, "NAMESPACE": "shop", "FAIL_ON": "error", "SARIF": "found.sarif"}
    done = shell(tmp_path, ACTION["runs"]["steps"][-1]["run"], ASKS_NOBODY, **variables)
    found = json.loads((tmp_path / "found.sarif").read_text())
    assert done.returncode == 1, done.stderr
    assert "LBD307" in [result["ruleId"] for result in found["runs"][0]["results"]]


def test_the_job_of_gitlab_writes_a_test_for_each_object_and_fails(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    job = document("gitlab", "lbdoctor.gitlab-ci.yml")["lbdoctor"]
    (line,) = job["script"]
    program = f'exec {sys.executable} -m kubectl_lbdoctor "$@"'
    done = shell(tmp_path, line, program, **_QUIET, **cloud.env, NAMESPACE="shop")
    assert done.returncode == 1, done.stderr
    suite = ElementTree.parse(tmp_path / job["artifacts"]["reports"]["junit"]).getroot()
    assert [case.get("name") for case in suite.iter("testcase")] and "LBD307" in ElementTree.tostring(suite, "unicode")
