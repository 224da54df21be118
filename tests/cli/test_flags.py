"""Which command takes which flags, what it says of others, and how the help shows them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from kubectl_lbdoctor.cli import cli
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.options import GROUPS
from kubectl_lbdoctor.render.formats import FORMATS, Result, formats_of
from tests.support.cloud import Cloud
from tests.support.program import run
from tests.support.shop import NS

CONNECTION = {"--namespace", "--context", "--kubeconfig", "--cluster", "--user", "--server", "--as", "--as-group"}
CONNECTION |= {"--as-uid", "--as-user-extra", "--token", "--username", "--password", "--client-certificate"}
CONNECTION |= {"--client-key", "--certificate-authority", "--tls-server-name"}
CONNECTION |= {"--insecure-skip-tls-verify", "--request-timeout"}
# kubectl's alone: accepted, and not shown.
CONNECTION |= {"--cache-dir", "--match-server-version", "--disable-compression", "--warnings-as-errors", "--kuberc"}
CONNECTION |= {"--profile-output", "--log-flush-frequency", "--vmodule"}
AWS = {"--profile", "--region", "--no-aws"}
DOCUMENT = {"--output", "--verbose", "--v"}
TABLES = {*DOCUMENT, "--no-headers"}
OUTPUT = {*TABLES, "--color"}
BUNDLE = {"--save", "--from"}
PROBE = {"--probe", "--probe-image", "--probe-node", "--probe-target"}
CHANGE = {"--yes", "--dry-run"}
FIX = {"--fix", "--wait", "--undo-file", *CHANGE}
OBJECTS = {"--selector", "--field-selector", "--filename", "--recursive", "--before-apply"}
VERDICT = {"--fail-on", "--ignore", "--wait-healthy"}
DIAGNOSIS = {*CONNECTION, *OBJECTS, *AWS, *OUTPUT, *BUNDLE, *PROBE, *FIX, *VERDICT, "--open", "--since", "--timeout"}


def long_flags(command: str) -> set[str]:
    return {max(param.opts, key=len) for param in cli.commands[command].params if param.param_type_name == "option"}


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("ingress", DIAGNOSIS),
        ("targetgroup", DIAGNOSIS),
        ("objects", DIAGNOSIS),
        ("undo", {*CONNECTION, *AWS, *TABLES, *CHANGE}),
        ("probe", {*CONNECTION, *OBJECTS, *AWS, *OUTPUT, *BUNDLE, *PROBE, "--timeout"}),
        (
            "scan",
            {*CONNECTION, *AWS, *OUTPUT, *BUNDLE, "--timeout", "--selector", "--fail-on", "--ignore"}
            | {"--all-namespaces", "--watch", "--aws-rate", "--no-cloudwatch"},
        ),
        ("controller", {*CONNECTION, *OUTPUT, *BUNDLE, "--timeout", "--fail-on", "--ignore"}),
        ("checks", {*TABLES, "--fixable"}),
        ("explain", DOCUMENT),
        ("policy", {"--verbose", "--v", "--probe", "--fix"}),
        ("version", {*DOCUMENT, "--client"}),
        ("help", set()),
        ("options", set()),
    ],
)
def test_each_command_takes_its_own(command: str, flags: set[str]) -> None:
    assert long_flags(command) == flags


def test_every_flag_has_one_record_and_stands_before_the_commands_too() -> None:
    declared = [max(f.metadata["flag"].names, key=len) for record in GROUPS.values() for f in fields(record)]
    assert len(declared) == len(set(declared))
    assert {*declared, "--version"} == {max(param.opts, key=len) for param in cli.params}


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("undo", "f.json", "--probe-image", "x"), "undo takes no --probe-image"),
        (("--probe-image", "x", "undo", "f.json"), "undo takes no --probe-image"),
        (("undo", "f.json", "--wait=5"), "undo takes no --wait"),
        (("--wait", "5", "--fail-on", "info", "undo", "f.json"), "undo takes no --fail-on and no --wait"),
        (("probe", "ing/web", "-y"), "probe takes no --yes"),
        (("-y", "probe", "ing/web"), "probe takes no --yes"),
        (("--fix", "all", "probe", "ing/web"), "probe takes no --fix"),
        (("-n", "shop", "version"), "version takes no --namespace"),
        (("explain", "LBD301", "--no-aws"), "explain takes no --no-aws"),
        (("--dry-run=none", "checks"), "checks takes no --dry-run"),
    ],
)
def test_a_flag_of_another_command_is_refused_by_name(args: tuple[str, ...], sentence: str) -> None:
    result = run(*args)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0] == f"error: {sentence}"
    assert "--help" in result.stderr.splitlines()[1]


def test_help_is_given_whatever_stands_before_it() -> None:
    assert run("--wait", "5", "version", "--help").status == 0


def test_a_flag_of_no_command_is_told_as_before() -> None:
    result = run("undo", "f.json", "--nonsense")
    assert result.status == 2 and "No such option" in result.stderr and "--nonsense" in result.stderr


def test_flags_before_the_command_count_and_later_ones_win(cloud: Cloud) -> None:
    assert run("-n", NS, "-o", "json", "ing", "web", env=cloud.env).json["kind"] == "Report"
    assert run("-n", "nowhere", "ing", "web", "-n", NS, env=cloud.env).status == 0
    result = run("--fail-on", "info", "ing", "web", "-n", NS, "--fail-on", "error", env=cloud.env)
    assert result.status == 0, result.text


def test_the_list_of_checks_takes_its_format_before_the_command() -> None:
    assert run("-o", "name", "checks").stdout == run("checks", "-o", "name").stdout != run("checks").stdout


@pytest.mark.parametrize("args", [("-o", "name", "probe", "ing/web"), ("probe", "ing/web", "-o", "name")])
def test_a_format_that_cannot_show_the_result(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.status == 2 and "table, wide, json" in result.stderr.replace("'", ""), result.text
    assert run("-o", "wide", "checks").status == 2


@pytest.mark.parametrize("output", ["html", "dot", "mermaid", "json"])
def test_a_format_of_a_diagnosis_stands_before_any_command(output: str) -> None:
    result = run("--from", "docs/demo/bundle.json", "-o", output)
    assert (result.status, result.stderr) == (ExitStatus.FINDINGS, "") and result.stdout
    assert run("-o", output, "--from", "docs/demo/bundle.json", "ing/web").stdout == result.stdout


def test_a_format_of_a_scan_stands_before_it() -> None:
    assert "is not an output" not in run("-o", "junit", "scan").stderr
    assert run("-o", "html", "scan").status == run("-o", "junit", "ing/web").status == ExitStatus.USAGE


def test_formats_come_from_the_table() -> None:
    for command, result in (("ingress", Result.REPORT), ("scan", Result.SCAN), ("undo", Result.UNDO)):
        (option,) = (param for param in cli.commands[command].params if param.name == "output_format")
        assert tuple(option.type.choices) == formats_of(result)  # type: ignore[attr-defined]
    assert formats_of(Result.PROBES)[:4] == ("table", "wide", "json", "yaml")
    assert tuple(FORMATS) == formats_of(Result.SCAN)
    assert {*FORMATS} - {*formats_of(Result.REPORT)} == {"junit", "sarif"}, "those of a scan"
    assert tuple(FORMATS)[:5] == ("table", "wide", "json", "yaml", "name")


def test_help_has_headings() -> None:
    def headings(*args: str) -> list[str]:
        return [line[:-1] for line in run(*args, "--help").stdout.splitlines() if line.endswith(":") and line[0] != " "]

    assert headings() == ["Examples", "Commands", "Options"]
    own = ["Objects", "Output", "Verdict", "Bundles", "Probes", "Changes"]
    assert headings("ing") == ["Examples", *own, "Options"]
    assert headings("undo") == ["Examples", "Output", "Changes", "Options"]
    assert headings("version") == ["Examples", "Output", "Options"]
    assert [line for line in run("options").stdout.splitlines() if line.endswith(":")] == ["Connection:", "AWS:"]
