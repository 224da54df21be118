"""Help as kubectl gives it: at each level, with examples, whole at 80 columns, and guesses that are no nonsense."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.cli import cli
from kubectl_lbdoctor.examples import EXAMPLES
from kubectl_lbdoctor.suggestions import likely
from tests.support.program import run

COMMANDS = [name for name, command in cli.commands.items() if not command.hidden]


# --- The pages ---


@pytest.mark.parametrize("args", [(), *((name,) for name in COMMANDS), ("ing/web",), ("ing",), ("svc",)])
def test_nothing_is_cut_off_or_too_wide(args: tuple[str, ...]) -> None:
    page = run(*args, "-h", width=80).stdout
    assert "..." not in re.sub(r"\b[A-Z|/]+\]?,?\.\.\.", "", page), "but for NAME..."
    assert max(map(len, page.splitlines())) <= 80
    assert "\u2011" not in page and "objects" not in page.split("Usage", 1)[1].splitlines()[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_command_is_help_flag(name: str) -> None:
    assert run("help", name).stdout == run(name, "--help").stdout == run(name, "-h").stdout != ""


def test_help_of_the_program_and_of_aliases() -> None:
    assert run("help").stdout == run("--help").stdout == run("-h").stdout
    assert run("help", "ing").stdout == run("ing", "-h").stdout
    wrong = run("help", "nonsense")
    assert (wrong.status, wrong.stdout) == (2, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_lists_its_own_flags_and_points_to_the_others(name: str) -> None:
    page = run(name, "-h", width=100).stdout
    assert not re.search(r"^  (-n, )?--(namespace|context|profile)\b", page, re.MULTILINE)
    takes = {max(param.opts, key=len) for param in cli.commands[name].params}
    listed = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", page, re.MULTILINE)) - {"--help"}
    assert listed <= takes
    assert ('"kubectl lbdoctor options"' in page) is ("--context" in takes)


def test_options_lists_the_flags_of_the_connection() -> None:
    page = run("options").stdout
    for flag in ("--namespace", "--context", "--kubeconfig", "--as", "--request-timeout", "--profile", "--region"):
        assert re.search(rf"^  (-\w, )?{flag}\b", page, re.MULTILINE)
    assert "--fix" not in page


# --- The examples ---


def lines() -> list[str]:
    return [line for examples in EXAMPLES.values() for _, line in examples]


def test_every_command_has_examples_that_its_help_shows() -> None:
    for name in COMMANDS:
        page = run(name, "-h").stdout
        assert EXAMPLES[name] and all(line in page for _, line in EXAMPLES[name])
    assert all(line in run("-h").stdout for _, line in EXAMPLES[""])


@pytest.mark.parametrize("line", lines())
def test_the_words_of_an_example_are_understood(line: str) -> None:
    words = shlex.split(line.partition(" | ")[0].replace("$TARGET_GROUP_ARN", "web"))
    assert words[:2] == ["kubectl", "lbdoctor"] and len(line) <= 78
    result = run(*words[2:])
    # No cluster and no file is here; what matters is that nothing is wrong with the words.
    assert result.status in (0, 4), result.stderr


# --- Versions ---


def test_versions() -> None:
    plain = f"kubectl lbdoctor {__version__}\n"
    for args in (("version",), ("--version",), ("-V",), ("version", "--client"), ("--client", "version")[1:]):
        result = run(*args)
        assert (result.status, result.stdout, result.stderr) == (0, plain, "")
    document = run("version", "-o", "json").json
    assert document["kind"] == "Version" and document["toolVersion"] == __version__
    assert re.fullmatch(r"3\.\d+\.\d+.*", document["pythonVersion"]) and "/" in document["platform"]
    assert "name" in run("version", "-o", "name").stderr


# --- Guesses ---


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--namspace", "--namespace"),
        ("--contxt", "--context"),
        ("--outptu", "--output"),
        ("--kube-config", "--kubeconfig"),
        ("--name", "--namespace"),
        ("--dryrun", "--dry-run"),
        ("--wait-healty", "--wait-healthy"),
    ],
)
def test_a_mistyped_flag_is_guessed(flag: str, meant: str) -> None:
    result = run("ing", "web", flag, "x")
    assert result.status == 2 and f"Did you mean {meant}" in result.stderr.splitlines()[0]


@pytest.mark.parametrize("flag", ["--grace-period", "--cascade", "--prune", "--export", "--nonsense"])
def test_what_resembles_nothing_is_not_guessed(flag: str) -> None:
    result = run("ing", "web", flag)
    assert result.status == 2 and "Did you mean" not in result.stderr
    assert result.stderr.splitlines() == [f"error: No such option: {flag}.", "hint: see kubectl lbdoctor ing --help"]


def test_a_flag_without_its_value() -> None:
    result = run("ing", "web", "--selector")
    assert (result.status, result.stderr) == (2, "error: Option '--selector' requires an argument.\n")


def test_a_hint_never_names_a_hidden_command() -> None:
    for args in (("ing/web", "--nonsense"), ("ing/web", "--client"), ("objets",), ("object",)):
        result = run(*args)
        assert result.status == 2 and "lbdoctor objects" not in result.stderr, result.stderr
    assert "hint: see kubectl lbdoctor --help" in run("ing/web", "--nonsense").stderr


def test_commands_are_guessed() -> None:
    assert "Did you mean kubectl lbdoctor ingress?" in run("ingres", "web").stderr
    assert "Did you mean kubectl lbdoctor explain?" in run("explane", "LBD301").stderr
    assert "Did you mean kubectl lbdoctor scan?" in run("scna").stderr
    assert "Did you mean" not in run("describe", "ing").stderr


def test_likely() -> None:
    assert likely("--user", ("--username", "--user", "--undo-file")) == ("--user", "--username")
    assert likely("-x", ("--x-ray",)) == ()
    assert likely("", ("--a",)) == ()


def test_click_is_asked_for_no_private_thing() -> None:
    """The command that no one types stays out of the list of commands."""
    assert "objects" not in cli.list_commands(click.Context(cli)) and "objects" in cli.commands
