"""Completion with the Tab key: what kubectl and the shells are answered, and the file that kubectl asks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Result, Terminal, run

KUBECTL = shutil.which("kubectl")
NAMES_ONLY = ":4"
"""ShellCompDirectiveNoFileComp of cobra: names of files are no help."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer than a person would wait."""
    monkeypatch.setattr("kubectl_lbdoctor.completion.values.ANSWER_WITHIN", 20.0)
    monkeypatch.setattr("kubectl_lbdoctor.completion.values.CREDENTIALS_WITHIN", 20.0)


def complete(*words: str, env: dict[str, str] | None = None) -> Result:
    """What kubectl is answered; the words after `lbdoctor`, the unfinished one last."""
    return run("__complete", *words, env=env)


def values(result: Result) -> list[str]:
    """The values without their descriptions; the directive is checked to be the usual one."""
    *lines, directive = result.stdout.splitlines()
    assert (directive, result.stderr, result.status) == (NAMES_ONLY, "", 0)
    return [line.partition("\t")[0] for line in lines]


def test_the_commands_with_what_they_do() -> None:
    answer = complete("expl")
    assert answer.stdout.splitlines()[0].startswith("explain\tExplain ")
    assert values(answer) == ["explain"]


def test_flags_before_a_command_and_after_it() -> None:
    assert values(complete("--names")) == ["--namespace"]
    assert values(complete("ing", "web", "--no-a")) == ["--no-aws"]
    assert values(complete("explain", "--no-a")) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ing", "-o", "j"), ["json"]),
        (("ing", "--output=y"), ["yaml"]),
        (("--fail-on", "w"), ["warning"]),
        (("policy", ""), ["iam", "rbac"]),
        (("--fix", "targetp"), ["targetport"]),
        (("ing", "--fix", "targetport,healthcheck-pa"), ["targetport,healthcheck-path"]),
        (("explain", "lbd30"), [f"LBD30{number}" for number in range(1, 10)]),
        (("--region", "eu-west-"), ["eu-west-1", "eu-west-2", "eu-west-3"]),
        (("completion", "p"), ["powershell"]),
    ],
)
def test_values_that_need_no_cluster(words: tuple[str, ...], expected: list[str]) -> None:
    assert values(complete(*words)) == expected


def test_a_format_that_needs_more_is_offered_where_it_is_meant() -> None:
    """No space follows it: a template does."""
    assert complete("ing", "-o", "jsonpath").stdout == "jsonpath=\njsonpath-as-json=\njsonpath-file=\n:6\n"
    assert complete("ing", "-o", "jsonpath={.a").stdout == ":4\n"
    assert values(complete("ing", "-o", ""))[:5] == ["table", "wide", "json", "yaml", "name"]
    assert {"table", "name", "junit", "sarif"} < {*values(complete("scan", "-o", ""))}
    assert values(complete("scan", "--ignore", "LBD1,LBD30"))[:2] == ["LBD1,LBD301", "LBD1,LBD302"]
    assert values(complete("explain", "-o", "w")) == []


def test_a_file_is_the_shells_matter() -> None:
    assert complete("ing", "--save", "").stdout == ":0\n"
    assert complete("undo", "").stdout == ":0\n"


def test_names_of_the_kubeconfig(cloud: Cloud) -> None:
    assert values(complete("--context", "", env=cloud.env)) == ["bare", "lab"]
    assert values(complete("--context", "b", env=cloud.env)) == ["bare"]


def test_profiles_of_aws(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile prod]\nregion = us-west-2\n[profile test]\n")
    assert values(complete("--profile", "p", env={"AWS_CONFIG_FILE": str(config)})) == ["prod"]


def test_objects_in_the_namespace_that_is_typed(cloud: Cloud) -> None:
    ingress = cloud.kube.named("ingresses", group="networking.k8s.io")[0]
    other = json.loads(json.dumps(ingress))
    other["metadata"] |= {"name": "admin", "namespace": "back"}
    cloud.kube.objects[("networking.k8s.io", "ingresses")].append(other)
    assert values(complete("ing", "", env=cloud.env)) == ["web"]
    assert values(complete("ing", "-n", "back", "", env=cloud.env)) == ["admin"]
    assert values(complete("-n", "back", "ing", "", env=cloud.env)) == ["admin"]
    assert values(complete("ing/w", env=cloud.env)) == ["ing/web"]
    assert values(complete("ing", "web", "", env=cloud.env)) == [], "it is named already"
    assert values(complete("probe", "ing", "w", env=cloud.env)) == ["web"]
    assert values(complete("probe", "ing/w", env=cloud.env)) == ["ing/web"]
    assert complete("probe", "in", env=cloud.env).stdout == "ingress/\n:6\n", "a name follows without a space"


def test_namespaces_and_nodes(cloud: Cloud) -> None:
    names = sorted(raw["metadata"]["name"] for raw in cloud.kube.objects[("", "nodes")])
    assert values(complete("--probe-node", "", env=cloud.env)) == sorted(["all", *names])
    assert "shop" in values(complete("ing", "-n", "", env=cloud.env))


def test_what_is_in_aws_is_not_asked_for(cloud: Cloud) -> None:
    assert values(complete("tg", "", env=cloud.env)) == []
    assert cloud.kube.asked == []


@pytest.mark.parametrize("fault", [KubeFault("denied"), KubeFault("slow"), KubeFault("error")])
def test_a_cluster_that_gives_no_names_is_silent(
    cloud: Cloud, fault: KubeFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.completion.values.ANSWER_WITHIN", 0.5)
    cloud.kube.faults = [fault]
    assert values(complete("ing", "", env=cloud.env)) == []
    assert sum(cloud.kube.hit.values()) >= 1


def test_silent_whatever_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "kubeconfig"
    broken.write_text("{")
    assert values(complete("--context", "", env={"KUBECONFIG": str(broken)})) == []
    assert values(complete("ing", "", env={"KUBECONFIG": str(broken)})) == []
    assert values(complete("nonsense", "--", "x/y/z")) == []
    assert values(complete("--help", "")) != [] and values(complete("ing", "--help", "")) == []


def test_a_credential_helper_asks_and_says_nothing(cloud: Cloud, tmp_path: Path) -> None:
    document = json.loads(cloud.kubeconfig.read_text())
    section = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", "import sys; print('sign in at …', file=sys.stderr); sys.exit(1)"],
        "interactiveMode": "IfAvailable",
    }
    for user in document["users"]:
        user["user"] = {"exec": section}
    for cluster in document["clusters"]:  # Credentials are asked for only where there is TLS.
        cluster["cluster"]["server"] = cluster["cluster"]["server"].replace("http:", "https:")
    cloud.kubeconfig.write_text(json.dumps(document))
    assert values(complete("ing", "", env=cloud.env)) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_has_a_script_for_the_program_itself(shell: str) -> None:
    script = run("completion", shell)
    assert script.status == 0 and script.stderr == ""
    assert "kubectl-lbdoctor" in script.stdout and f"{shell}_complete" in script.stdout


def in_shell(shell: str, typed: str, folder: Path) -> str:
    """What a shell prints that has read the script for it. typed: its words after that."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} here")
    program = folder / "kubectl-lbdoctor"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m kubectl_lbdoctor "$@"\n')
    program.chmod(0o755)
    (folder / "script").write_text(run("completion", shell).stdout)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": os.getcwd()}
    words = [found, "-c", f"source {folder / 'script'}\n{typed}"]
    done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=folder)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("typed", "expected"), [("explain LBD60", "LBD601"), ("--fix targetport,selec", "targetport,selector")]
)
def test_bash_completes_the_program(tmp_path: Path, typed: str, expected: str) -> None:
    script = f"""
    COMP_WORDS=(kubectl-lbdoctor {typed}); COMP_CWORD=2
    _kubectl_lbdoctor_completion kubectl-lbdoctor
    echo "${{COMPREPLY[@]}}"
    """
    assert expected in in_shell("bash", script, tmp_path).split()


def test_fish_completes_the_program(tmp_path: Path) -> None:
    lines = in_shell("fish", 'complete -C "kubectl-lbdoctor --fix targetport,selec"', tmp_path)
    assert lines == "targetport,selector\n"
    described = in_shell("fish", 'complete -C "kubectl-lbdoctor expl"', tmp_path)
    assert described == "explain\tExplain a code, a reason of AWS, or a fix.\n"


def test_the_script_of_fish_takes_nothing_apart_behind_the_first_comma() -> None:
    assert 'string split --max 1 "," $completion' in run("completion", "fish").stdout


# --- The file for kubectl ---------------------------------------------------------------------------------------------


def folders(tmp_path: Path) -> tuple[dict[str, str], Path, Path]:
    """A home with krew's bin folder and ~/.local/bin, both on PATH, the latter first."""
    krew, local = tmp_path / ".krew" / "bin", tmp_path / ".local" / "bin"
    krew.mkdir(parents=True)
    local.mkdir(parents=True)
    return {"HOME": str(tmp_path), "PATH": f"{local}:{krew}"}, krew, local


def test_install_puts_the_file_into_krews_folder_first(tmp_path: Path) -> None:
    env, krew, local = folders(tmp_path)
    done = run("completion", "install", "--yes", env=env)
    written = krew / "kubectl_complete-lbdoctor"
    assert done.status == 0 and str(written) in done.stdout and f"rm {written}" in done.stdout
    assert written.read_text().startswith("#!/bin/sh\n") and os.access(written, os.X_OK)
    assert list(local.iterdir()) == []
    again = run("completion", "install", "--yes", env=env)
    assert again.status == 0 and "is there already" in again.stdout


def test_install_shows_the_file_before_it_asks(tmp_path: Path) -> None:
    env, krew, _ = folders(tmp_path)
    shown = run("completion", "install", env=env, stdin=Terminal("n\n"))
    assert "exec kubectl-lbdoctor __complete" in shown.stdout and "nothing is written" in shown.stderr
    assert list(krew.iterdir()) == [] and shown.status == 1
    unattended = run("completion", "install", env=env)
    assert unattended.status == 2 and "--yes" in unattended.stderr and list(krew.iterdir()) == []
    assert run("completion", "install", env=env, stdin=Terminal("y\n")).status == 0
    assert [path.name for path in krew.iterdir()] == ["kubectl_complete-lbdoctor"]


def test_without_krew_it_goes_into_the_users_own_folder(tmp_path: Path) -> None:
    env, krew, local = folders(tmp_path)
    shutil.rmtree(krew)
    assert run("completion", "install", "--yes", env=env).status == 0
    assert [path.name for path in local.iterdir()] == ["kubectl_complete-lbdoctor"]


def test_anothers_file_is_never_overwritten(tmp_path: Path) -> None:
    env, krew, _ = folders(tmp_path)
    foreign = krew / "kubectl_complete-lbdoctor"
    foreign.write_text("#!/bin/sh\necho mine\n")
    foreign.chmod(0o755)
    done = run("completion", "install", "--yes", env=env)
    assert done.status == 4 and "stays as it is" in done.stderr
    assert foreign.read_text() == "#!/bin/sh\necho mine\n"


def test_an_older_file_of_ours_is_renewed(tmp_path: Path) -> None:
    env, krew, _ = folders(tmp_path)
    older = krew / "kubectl_complete-lbdoctor"
    older.write_text("#!/bin/sh\n# kubectl lbdoctor completion install\nexec kubectl-lbdoctor complete\n")
    older.chmod(0o755)
    assert run("completion", "install", "--yes", env=env).status == 0
    assert 'exec kubectl-lbdoctor __complete "$@"' in older.read_text()


def test_what_pip_has_made_is_enough(tmp_path: Path) -> None:
    env, krew, local = folders(tmp_path)
    made = local / "kubectl_complete-lbdoctor"
    made.write_text("#!/usr/bin/python3\nfrom kubectl_lbdoctor.__main__ import complete\n")
    made.chmod(0o755)
    done = run("completion", "install", "--yes", env=env)
    assert done.status == 0 and f"{made} is there already" in done.stdout and list(krew.iterdir()) == []


def test_a_folder_that_is_not_on_path_is_said(tmp_path: Path) -> None:
    env, _, _ = folders(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    missing = run("completion", "install", "--yes", "--dir", str(elsewhere), env=env)
    assert missing.status == 2 and "is no folder" in missing.stderr
    elsewhere.mkdir()
    done = run("completion", "install", "--yes", "--dir", str(elsewhere), env=env)
    assert done.status == 0 and "not on your PATH" in done.stderr
    assert (elsewhere / "kubectl_complete-lbdoctor").exists()


def test_no_folder_at_all_is_said(tmp_path: Path) -> None:
    done = run("completion", "install", "--yes", env={"HOME": str(tmp_path), "PATH": str(tmp_path / "none")})
    assert done.status == 2 and "--dir DIR" in done.stderr


def test_dir_goes_with_install_alone() -> None:
    assert run("completion", "bash", "--dir", "/tmp").status == 2


@pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl here")
def test_the_real_kubectl_asks_the_file(tmp_path: Path, cloud: Cloud) -> None:
    assert KUBECTL is not None
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "kubectl-lbdoctor"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m kubectl_lbdoctor "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, **cloud.env, "PATH": f"{programs}:/usr/bin:/bin", "PYTHONPATH": os.getcwd()}
    assert run("completion", "install", "--yes", "--dir", str(programs), env=env).status == 0

    def ask(*words: str) -> list[str]:
        asked = [KUBECTL or "", "__complete", "lbdoctor", *words]
        return subprocess.run(asked, capture_output=True, text=True, env=env, check=True).stdout.splitlines()

    # The time that the cluster has is short, and this machine may be busy: one of some tries gives the name.
    assert any(ask("ing", "") == ["web", ":4"] for _ in range(5))
    assert ask("ing", "--output=j") == ["json", ":4"]
    assert ask("explain", "LBD301")[-1] == ":4" and ask("explain", "LBD301")[0].startswith("LBD301\t")
    assert ask("--no-a") == ["--no-aws\tDo not ask AWS.", ":4"]
