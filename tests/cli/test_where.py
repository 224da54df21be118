"""What a run prints leads back to its cluster and account: diagnosis, plan, undoing, and the hints of errors."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.support.cloud import Cloud
from tests.support.program import run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def without_kubeconfig(cloud: Cloud) -> dict[str, str]:
    """The environment of a shell that knows nothing of this cluster."""
    return {name: value for name, value in cloud.env.items() if name != "KUBECONFIG"}


def commands(text: str) -> list[list[str]]:
    """The commands of kubectl and aws that the lines of a screen show."""
    lines = (line.partition("kubectl ") for line in text.splitlines())
    return [shlex.split(program + rest) for _, program, rest in lines if program]


def flags(cloud: Cloud) -> list[str]:
    return ["--kubeconfig", str(cloud.kubeconfig), "--context", "lab", "--as", "bob"]


def test_a_diagnosis(cloud: Cloud) -> None:
    cloud.wrong_path()
    given = flags(cloud)
    result = run("ing/web", *given[2:], "--region", "us-west-2", env=cloud.env)
    where = [*given, "--region", "us-west-2"]
    shown = {words[1]: words for words in commands(result.stdout) if "explain" not in words}
    # The kubeconfig comes from the environment, which another shell does not have.
    assert shown["lbdoctor"][2 : 2 + len(where)] == where
    assert shown["--kubeconfig"][1 : 1 + len(given)] == given
    document = run("ing/web", *given, "-o", "json", env=without_kubeconfig(cloud)).json
    fix = document["diagnoses"][0]["fix"]
    assert shlex.split(fix["commands"][0])[1 : 1 + len(given)] == given


def test_the_printed_fix_runs_as_it_stands(cloud: Cloud) -> None:
    """From the screen to the plan, without anything of the first run's environment but the AWS credentials."""
    cloud.wrong_path()
    first = run("ing/web", "--context", "lab", env=cloud.env)
    (fix,) = (words for words in commands(first.stdout) if "--fix" in words)
    again = run(*fix[2:], "--dry-run=client", env=without_kubeconfig(cloud))
    assert again.status == 0, again.text
    assert "annotation alb.ingress.kubernetes.io/healthcheck-path" in again.stdout
    assert f"kubectl --kubeconfig {cloud.kubeconfig} --context lab annotate ingress/web" in again.stdout


def test_a_fix_and_its_undoing(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_path()
    given = flags(cloud)
    made = run("--fix", "healthcheck-path", "ing/web", *given, "--yes", "--wait", "1", env=without_kubeconfig(cloud))
    (undo,) = (words for words in commands(made.stderr) if "undo" in words)
    assert undo[2 : 2 + len(given)] == given
    undone = run(*undo[2:], "--yes", env=without_kubeconfig(cloud))
    assert undone.status == 0, undone.text
    (look,) = (words for words in commands(undone.stderr) if words[1] == "lbdoctor")
    assert look[2:] == [*given, "ingress/web", "-n", "shop"]


def test_the_profile_of_the_environment(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_path()
    (tmp_path / "credentials").write_text("[prod]\naws_access_key_id = x\naws_secret_access_key = y\n")
    variables = {**cloud.env, "AWS_PROFILE": "prod", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del variables[name]
    (found,) = run("ing/web", "-o", "json", env=variables).json["diagnoses"]
    assert found["confirm"][0].startswith("aws --profile prod elbv2 describe-target-health ")
    screen = run("ing/web", env=variables).stdout
    assert f"kubectl lbdoctor --kubeconfig {cloud.kubeconfig} --profile prod --fix " in screen


def test_the_profile_of_the_kubeconfig(cloud: Cloud, tmp_path: Path) -> None:
    """The plugin finds it there again, the AWS CLI does not."""
    cloud.wrong_path()
    document = json.loads(cloud.kubeconfig.read_text())
    arguments = ["eks", "get-token", "--cluster-name", "c", "--profile", "prod"]
    document["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": arguments}
    }
    cloud.kubeconfig.write_text(json.dumps(document))
    (tmp_path / "credentials").write_text("[prod]\naws_access_key_id = x\naws_secret_access_key = y\n")
    variables = {**cloud.env, "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    screen = run("ing/web", env=variables).stdout
    assert "confirm   aws --profile prod elbv2 describe-target-health " in screen
    assert f"kubectl lbdoctor --kubeconfig {cloud.kubeconfig} --fix " in screen


def test_secrets_are_named_and_not_shown(cloud: Cloud) -> None:
    cloud.wrong_path()
    for format in ("table", "json"):
        result = run("ing/web", "--token", "s3cret-t0ken", "-o", format, env=cloud.env)
        assert "s3cret-t0ken" not in result.text
        assert "--token" in result.stdout and "$TOKEN" in result.stdout
    assert (
        "in these commands $TOKEN stands for the value of --token: set it first"
        in run("ing/web", "--token", "s3cret-t0ken", env=cloud.env).stdout
    )


def test_hints_of_errors(cloud: Cloud) -> None:
    cloud.write_kubeconfig("http://127.0.0.1:1")
    result = run("ing/web", *flags(cloud), env=without_kubeconfig(cloud))
    assert f"kubectl cluster-info --kubeconfig {cloud.kubeconfig} --context lab --as bob\n" in result.stderr
    result = run("ing/web", env=cloud.env)
    assert f"kubectl cluster-info --kubeconfig {cloud.kubeconfig} --context lab\n" in result.stderr


def test_a_bundle_repeats_what_is_said_beside_it(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_path()
    path = str(tmp_path / "b.json")
    run("ing/web", "--save", path, env=cloud.env)
    plain = run("--from", path, env=cloud.env).stdout
    assert "kubectl lbdoctor --fix healthcheck-path ingress/web -n shop" in plain
    there = run("--from", path, "--context", "lab", "--profile", "prod", env=cloud.env).stdout
    assert "kubectl lbdoctor --context lab --profile prod --fix healthcheck-path ingress/web -n shop" in there
    assert "aws --profile prod elbv2 " in there
