"""What all documents have in common, and the document of an error, for those who read standard output alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.program import Clock, Result, Terminal, run

HEAD = ["apiVersion", "kind", "toolVersion", "exitCode", "summary"]


def diagnose(cloud: Cloud, *args: str, **more: object) -> Result:
    return run(*args, env=cloud.env, **more)  # type: ignore[arg-type]


# --- The head of all documents ---


def head(result: Result, kind: str) -> str:
    """The summary of a document that begins as all do, and ends as the program did."""
    document = result.json
    assert list(document)[: len(HEAD)] == HEAD
    assert (document["apiVersion"], document["kind"], document["toolVersion"]) == ("lbdoctor/v1", kind, __version__)
    assert document["exitCode"] == result.status
    assert "\n" not in document["summary"]
    return str(document["summary"])


def test_a_report(cloud: Cloud) -> None:
    healthy = diagnose(cloud, "ing/web", "-o", "json")
    assert head(healthy, "Report") == "ingress/web is healthy: 2 of 2 targets healthy"
    cloud.wrong_path()
    sick = diagnose(cloud, "ing/web", "-o", "json")
    summary = head(sick, "Report")
    assert summary.startswith("ingress/web is unhealthy: ") and summary.endswith("(LBD301)")
    assert sick.json["calls"]["list services"] == 1
    assert sick.json["calls"]["elbv2:DescribeTargetHealth"] == 1
    assert sick.json["durationMs"] >= 0
    unknown = diagnose(cloud, "ing/web", "-o", "json", "--no-aws")
    assert "not read: " in head(unknown, "Report")


def test_the_exit_code_follows_fail_on(cloud: Cloud) -> None:
    cloud.wrong_path()
    cloud.aws.health[1].state = "healthy"
    assert diagnose(cloud, "ing/web", "-o", "json", "--fail-on", "info").json["exitCode"] == 1


def test_time_is_measured_from_the_start_of_the_program(cloud: Cloud) -> None:
    clock = Clock(now=100.0)
    result = diagnose(cloud, "ing/web", "-o", "json", clock=clock)
    assert result.json["durationMs"] == 0
    cloud.wrong_path()
    waited = diagnose(cloud, "ing/web", "-o", "json", "--wait-healthy", "15", clock=Clock())
    assert waited.json["durationMs"] == 15000


def test_fix_and_undo_and_probe(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    plan = diagnose(cloud, "ing/web", "--fix", "targetport", "--dry-run=client", "-o", "json")
    assert head(plan, "FixPlan") == "1 change planned, nothing was changed"
    nobody = diagnose(cloud, "ing/web", "--fix", "targetport", "-o", "json")
    assert nobody.status == ExitStatus.USAGE
    head(nobody, "FixPlan" if nobody.json["kind"] == "FixPlan" else "FixResult")
    place = str(tmp_path / "undo.json")
    made = diagnose(cloud, "ing/web", "--fix", "targetport", "--yes", "--undo-file", place, "-o", "json")
    assert head(made, "FixResult") == "1 change made; ingress/web is healthy"
    shown = diagnose(cloud, "undo", place, "--dry-run=client", "-o", "json")
    assert head(shown, "UndoResult") == "1 change can be taken back, nothing was changed"
    undone = diagnose(cloud, "undo", place, "--yes", "-o", "json")
    assert head(undone, "UndoResult") == "1 of 1 change taken back"
    assert undone.json["context"]["kubeContext"] == "lab" and undone.json["calls"]


@pytest.mark.parametrize("command", [("checks",), ("version",), ("explain", "LBD301", "timeout", "targetport")])
def test_what_needs_no_cluster(command: tuple[str, ...]) -> None:
    kind = {"checks": "CheckList", "version": "Version", "explain": "Explanation"}[command[0]]
    assert head(run(*command, "-o", "json"), kind)
    assert yaml.safe_load(run(*command, "-o", "yaml").stdout) == run(*command, "-o", "json").json


def test_the_fix_of_a_diagnosis_is_the_line_of_the_screen(cloud: Cloud) -> None:
    cloud.wrong_path()
    fix = diagnose(cloud, "ing/web", "-o", "json").json["diagnoses"][0]["fix"]
    where = f"--kubeconfig {cloud.kubeconfig}"
    assert fix["command"] == f"kubectl lbdoctor {where} --fix healthcheck-path ingress/web -n shop"
    assert fix["command"] in diagnose(cloud, "ing/web").stdout
    assert fix["otherCommands"] == []


def test_the_page_of_a_code_is_in_the_docs(cloud: Cloud) -> None:
    cloud.wrong_path()
    url = diagnose(cloud, "ing/web", "-o", "json").json["diagnoses"][0]["docsUrl"]
    place, _, anchor = url.partition("/blob/main/")[2].partition("#")
    headings = (Path(__file__).parents[2] / place).read_text(encoding="utf-8").splitlines()
    assert anchor == "lbd301" and f"## {anchor.upper()}" in headings
    assert run("checks", "LBD301", "-o", "json").json["checks"][0]["docsUrl"] == url


def test_names_are_those_of_kubectl(cloud: Cloud) -> None:
    cloud.wrong_path()
    named = diagnose(cloud, "ing/web", "-o", "name").stdout
    assert named == "ingress.networking.k8s.io/web\n"
    assert diagnose(cloud, named.strip()).status == ExitStatus.FINDINGS


# --- Errors ---


@pytest.mark.parametrize(
    "args",
    [
        ("ing/web", "-o", "json", "--nonsense"),
        ("ing/web", "-ojson", "--fail-on", "never"),
        ("ing/web", "-o=json", "--wait", "5"),
        ("--output=json", "nonsense"),
        ("secret/web", "--output", "json"),
        ("-o", "json", "explain", "LBD999"),
        ("scan", "-o", "json", "--aws-rate", "0"),
        ("ing", "web", "-l", "app=web", "-o", "json"),
        ("undo", "-o", "json"),
        ("-o", "table", "ing/web", "-o", "json", "--probe-node"),
    ],
)
def test_a_usage_error_is_a_document_too(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.status == ExitStatus.USAGE
    assert head(result, "Error")
    document = result.json
    assert document["reason"] == "Usage" and document["message"]
    assert document["message"].splitlines()[0] in result.stderr or args == ("-o", "json")
    assert list(document) == [*HEAD, "reason", "message", "hint"]


@pytest.mark.parametrize("args", [("nonsense/web", "--output", "json"), ("ing", "-o", "json")])
def test_what_a_cluster_has_to_be_asked_for_is_a_document_without_one(args: tuple[str, ...]) -> None:
    """NAMESPACE/NAME, and all of a namespace: nothing is wrong with the words."""
    result = run(*args)
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert head(result, "Error") and result.json["reason"] == "CouldNotRun"
    assert list(result.json) == [*HEAD, "reason", "message", "hint"]


def test_what_could_not_run_is_a_document_too(cloud: Cloud) -> None:
    result = diagnose(cloud, "ing/wbe", "-o", "json")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert head(result, "Error") in result.stderr
    assert result.json["reason"] == "CouldNotRun" and result.json["hint"]
    as_yaml = diagnose(cloud, "ing/wbe", "-o", "yaml")
    assert yaml.safe_load(as_yaml.stdout) == result.json
    assert run("--from", "/nowhere", "-o", "json").json["kind"] == "Error"


def test_a_bug_and_an_interruption_are_documents_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> str:
        raise RuntimeError("oh")

    def stops(*args: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("kubectl_lbdoctor.commands.explain.render", fails)
    bug = run("explain", "LBD301", "-o", "json")
    assert (bug.status, bug.json["reason"]) == (ExitStatus.COULD_NOT_RUN, "Bug")
    assert "RuntimeError: oh" in bug.json["message"]
    monkeypatch.setattr("kubectl_lbdoctor.commands.explain.render", stops)
    ended = run("explain", "LBD301", "-o", "json")
    assert (ended.status, ended.json["reason"], ended.json["exitCode"]) == (130, "Interrupted", 130)


@pytest.mark.parametrize("output", ["table", "wide", "name", "jsonpath={.kind}"])
def test_other_formats_have_errors_on_stderr_alone(output: str) -> None:
    result = run("ing/web", "-o", output, "--nonsense")
    assert (result.status, result.stdout) == (ExitStatus.USAGE, "") and result.stderr.startswith("error: ")


def test_one_document_at_most(cloud: Cloud, tmp_path: Path) -> None:
    """What goes wrong after the result was printed is told on stderr alone: two documents would be none."""
    cloud.wrong_port()
    result = diagnose(cloud, "ing/web", "--fix", "targetport", "-o", "json")
    assert result.status == ExitStatus.USAGE and result.json["exitCode"] == ExitStatus.USAGE
    assert "confirm with --yes" in result.stderr


def test_credentials_are_hidden_in_documents_of_errors() -> None:
    result = run("ing/web", "-o", "json", "--region", "x", "Authorization: Bearer abcdefghijklmnop/x")
    assert "abcdefghijklmnop" not in result.stdout


# --- Screens ---


def test_headers_can_be_left_out(cloud: Cloud) -> None:
    cloud.wrong_path()
    whole, bare = diagnose(cloud, "ing/web").stdout, diagnose(cloud, "ing/web", "--no-headers").stdout
    titles = [line for line in whole.splitlines() if line.startswith(("INGRESS ", "TARGET "))]
    assert len(titles) == 3 and not any(title in bare for title in titles)
    assert "shop/web" in bare and "10.0.1.34:8080" in bare
    assert run("checks", "--no-headers").stdout.splitlines()[0].startswith("LBD001")


@pytest.mark.parametrize(
    ("args", "env", "terminal", "coloured"),
    [
        ((), {}, True, True),
        ((), {}, False, False),
        ((), {"NO_COLOR": "1"}, True, False),
        ((), {"TERM": "dumb"}, True, False),
        ((), {"FORCE_COLOR": "1"}, False, True),
        ((), {"FORCE_COLOR": "0"}, False, False),
        ((), {"CLICOLOR_FORCE": "1"}, False, True),
        ((), {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
        (("--color", "always"), {"NO_COLOR": "1"}, False, True),
        (("--color=always",), {"TERM": "dumb"}, True, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, True, False),
        (("--color", "auto"), {}, True, True),
    ],
)
def test_colour(cloud: Cloud, args: tuple[str, ...], env: dict[str, str], terminal: bool, coloured: bool) -> None:
    stdout = Terminal() if terminal else None
    shown = run("ing/web", *args, env={**cloud.env, **env}, stdout=stdout)
    assert ("\x1b[32mhealthy\x1b[0m" in shown.stdout) is coloured
    assert (
        run(*args, "ing/web", env={**cloud.env, **env}, stdout=Terminal() if terminal else None).stdout == shown.stdout
    )


def test_columns_count_on_a_terminal_only() -> None:
    import io

    from kubectl_lbdoctor.env import Environment

    assert Environment(stdout=io.StringIO(), variables={"COLUMNS": "40"}).width == 0
    assert Environment(stdout=Terminal(), variables={"COLUMNS": "40"}).width == 40
