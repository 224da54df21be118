"""Every command that is shown leads to the cluster, the account and the region that were diagnosed, as the same user.

The commands of all recorded cases run in a real shell, in which kubectl and aws only note their words.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest

from kubectl_lbdoctor.model.where import NOWHERE, Where, where_of
from kubectl_lbdoctor.options import AwsOptions, KubeOptions
from kubectl_lbdoctor.render.documents import document
from kubectl_lbdoctor.render.report_screen import render
from kubectl_lbdoctor.render.view import View
from tests.support import cases
from tests.support.printed import commands, strings

GIVEN = KubeOptions(
    namespace="shop",
    context="lab two",
    kubeconfig="/clusters/my config",
    cluster="east",
    user="admin",
    server="https://me:pa55@10.0.0.1:6443/api",
    as_user="bob",
    as_groups=("view", "team a"),
    as_uid="7",
    as_user_extra=("scopes=x",),
    token="s3cret",
    username="alice",
    password="pa55",
    client_certificate="/me.crt",
    client_key="/me.key",
    certificate_authority="/ca.crt",
    tls_server_name="api",
    insecure_skip_tls_verify=True,
    request_timeout="5s",
)
KUBECTL = (
    *("--kubeconfig", "/clusters/my config", "--context", "lab two", "--cluster", "east", "--user", "admin"),
    *("--server", "https://10.0.0.1:6443/api", "--as", "bob", "--as-group", "view", "--as-group", "team a"),
    *("--as-uid", "7", "--as-user-extra", "scopes=x", "--token", "value of TOKEN"),
    *("--username", "alice", "--password", "value of PASSWORD", "--client-certificate", "/me.crt"),
    *("--client-key", "/me.key", "--certificate-authority", "/ca.crt", "--tls-server-name", "api"),
    "--insecure-skip-tls-verify",
)
AWS = ("--profile", "prod")
WHERE = where_of(GIVEN, {}).in_aws(AwsOptions(profile="prod", region="us-west-2"))

BY_LABEL = re.compile(
    r"^  (?:fix      |or       |by hand  |and      |confirm  |to settle|more     |         ) ((?:kubectl|aws) .*)$",
    re.MULTILINE,
)
NOT_LED = re.compile(r"\bkubectl (?:get|describe|logs|exec|rollout|edit|annotate|patch|label|delete|scale)\b")


def run_in_shell(folder: Path, lines: list[str]) -> list[list[str]]:
    """The words of each call of kubectl and aws that these lines make."""
    functions = "\n".join(
        f'{name}() {{ {{ printf "%s\\0" {name} "$@"; printf "\\n\\0"; }} >>calls; }}' for name in ("kubectl", "aws")
    )
    quiet = "\n".join(f"{name}() {{ :; }}" for name in ("openssl", "base64", "curl", "jq", "grep"))
    (folder / "all.sh").write_text("\n".join([functions, quiet, *lines]))
    (folder / "calls").write_text("")
    variables = {"PATH": "/nonexistent", "TOKEN": "value of TOKEN", "PASSWORD": "value of PASSWORD"}
    ended = subprocess.run(
        [shutil.which("bash") or "/bin/bash", "all.sh"], cwd=folder, env=variables, capture_output=True, timeout=60
    )
    assert ended.stderr == b"" and ended.returncode == 0, ended.stderr.decode()
    text = (folder / "calls").read_text()
    return [call.split("\0")[:-1] for call in text.split("\n\0")[:-1]]


def check(words: list[str]) -> None:
    """One call leads to where WHERE leads."""
    if words[:2] == ["kubectl", "lbdoctor"]:
        if words[2] == "explain":
            return
        assert tuple(words[2 : 2 + len(KUBECTL)]) == KUBECTL
        assert tuple(words[2 + len(KUBECTL) :][:4]) == ("--profile", "prod", "--region", "us-west-2")
    elif words[0] == "kubectl":
        assert tuple(words[1 : 1 + len(KUBECTL)]) == KUBECTL
        assert "-n" not in words[words.index("--") :] if "--" in words else True
    else:
        assert tuple(words[1:3]) == AWS
        assert words[words.index("--region") + 1] == "us-west-2"


@pytest.mark.parametrize("name", cases.names())
def test_every_command_of_a_recorded_case(name: str, tmp_path: Path) -> None:
    report = replace(cases.result(name).report, where=WHERE)
    made = document(report)
    assert isinstance(made, dict)
    found = [*commands(made)]
    screen = render(report, View())
    shown = BY_LABEL.findall(screen)
    calls = run_in_shell(tmp_path, [*found, *shown])
    assert len(calls) >= len(found) + len(shown)
    for words in calls:
        check(words)
    assert NOT_LED.search(screen) is None
    for text in (screen, *strings(made)):
        assert "s3cret" not in text and "pa55" not in text
    if made["diagnoses"]:
        assert "$TOKEN stands for the value of --token" in screen


def test_every_flag_of_the_connection_is_repeated() -> None:
    """A new field of KubeOptions is repeated, or it is known why not."""
    not_repeated = {"namespace", "request_timeout"}
    for field in fields(KubeOptions):
        value = getattr(GIVEN, field.name)
        assert value, f"{field.name} is not tried here"
        flags = where_of(KubeOptions(**{field.name: value}), {}).kube
        assert bool(flags) == (field.name not in not_repeated), field.name


def test_nothing_is_added_where_nothing_was_given() -> None:
    for line in ("kubectl get pods -n shop", "aws ec2 describe-vpcs", "kubectl lbdoctor ing/web"):
        assert NOWHERE.command(line) == NOWHERE.sentence(line) == line


SHORT = Where(kube=("--context", "lab"), aws=("--profile", "prod"), doctor=("--region", "r"))


@pytest.mark.parametrize(
    ("line", "led"),
    [
        ("kubectl get pods -n shop", "kubectl --context lab get pods -n shop"),
        ("kubectl exec web -n s -- cat /x", "kubectl --context lab exec web -n s -- cat /x"),
        ("kubectl lbdoctor --fix a ing/web", "kubectl lbdoctor --context lab --region r --fix a ing/web"),
        ("kubectl lbdoctor explain LBD301", "kubectl lbdoctor explain LBD301"),
        ("aws ec2 x && aws ec2 y", "aws --profile prod ec2 x && aws --profile prod ec2 y"),
        ("kubectl get s | base64 -d", "kubectl --context lab get s | base64 -d"),
        ("kubectl patch s -p '[\"; kubectl get x\"]'", "kubectl --context lab patch s -p '[\"; kubectl get x\"]'"),
        ("kubectl label x 'a'\"'\"'b && kubectl get y'", "kubectl --context lab label x 'a'\"'\"'b && kubectl get y'"),
        ("", ""),
    ],
)
def test_where_the_flags_stand(line: str, led: str) -> None:
    assert SHORT.command(line) == led


@pytest.mark.parametrize(
    ("text", "led"),
    [
        ("see the controller's log: kubectl logs x", "see the controller's log: kubectl --context lab logs x"),
        ("kubectl refuses it too", "kubectl refuses it too"),
        ("aws elbv2 describe-target-groups shows it", "aws --profile prod elbv2 describe-target-groups shows it"),
        ("look: kubectl lbdoctor ingress a -n b", "look: kubectl lbdoctor --context lab --region r ingress a -n b"),
        ("annotate kubectl.kubernetes.io/x", "annotate kubectl.kubernetes.io/x"),
    ],
)
def test_commands_in_sentences(text: str, led: str) -> None:
    assert SHORT.sentence(text) == led


def test_files_of_the_environment() -> None:
    """They may be set for this command alone, so that the next one would go elsewhere."""
    home = {"HOME": "/me"}
    assert where_of(KubeOptions(), home) == NOWHERE
    assert where_of(KubeOptions(), {**home, "KUBECONFIG": "/me/.kube/config"}) == NOWHERE
    one = where_of(KubeOptions(context="lab"), {**home, "KUBECONFIG": "/tmp/a b:"})
    assert one.command("kubectl get x") == "kubectl --kubeconfig '/tmp/a b' --context lab get x"
    two = where_of(KubeOptions(), {**home, "KUBECONFIG": "/tmp/a:/tmp/b c"})
    assert two.command("kubectl get x && aws sts y") == "KUBECONFIG='/tmp/a:/tmp/b c' kubectl get x && aws sts y"
    assert two.command("kubectl lbdoctor ing/x") == "KUBECONFIG='/tmp/a:/tmp/b c' kubectl lbdoctor ing/x"
    assert where_of(KubeOptions(kubeconfig="/c"), {**home, "KUBECONFIG": "/tmp/a:/tmp/b"}).variables == ()


def test_paths_hold_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert where_of(KubeOptions(kubeconfig="c"), {}).kube == ("--kubeconfig", str(tmp_path / "c"))


def test_profiles_and_regions() -> None:
    nothing = AwsOptions()
    found = NOWHERE.in_aws(nothing, "prod", "r", same_profile=True)
    assert found == Where(aws=("--profile", "prod"), region="r")
    lost = NOWHERE.in_aws(nothing, "prod", "r", same_region=False)
    assert lost.doctor == ("--profile", "prod", "--region", "r")
    given = AwsOptions(profile="p q", region="r")
    assert NOWHERE.in_aws(given, "other", "elsewhere").doctor == ("--profile", "'p q'", "--region", "r")
    assert found.command("aws eks x") == "aws --profile prod --region r eks x"
    assert found.command("aws ec2 x --region q") == "aws --profile prod ec2 x --region q"
    both = found.command("aws ec2 x && aws ec2 y --region q")
    assert both == "aws --profile prod --region r ec2 x && aws --profile prod ec2 y --region q"
