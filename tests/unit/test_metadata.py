"""What is written in several places says the same: plugin.yaml, docs, README, help; and rules of the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

import kubectl_lbdoctor
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.cli import cli
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.flags import Group
from kubectl_lbdoctor.model.kinds import BY_ALIAS
from kubectl_lbdoctor.render.explain import markdown
from tests import write_docs
from tests.docs import permissions
from tests.support.program import run

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "kubectl_lbdoctor"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def visible(group: click.Command) -> dict[str, click.Command]:
    assert isinstance(group, Group)
    return {name: group.commands[name] for name in group.list_commands(click.Context(group))}


# --- plugin.yaml ---

PLUGIN = yaml.safe_load((ROOT / "plugin.yaml").read_text())


def test_plugin_has_the_program_s_name_and_version() -> None:
    assert PLUGIN["name"] == "lbdoctor"
    assert PLUGIN["command"] == "kubectl-lbdoctor"
    assert PLUGIN["version"] == kubectl_lbdoctor.__version__
    assert run("version").stdout == f"kubectl lbdoctor {PLUGIN['version']}\n"


def test_plugin_s_tree_is_the_commands() -> None:
    assert [entry["name"] for entry in PLUGIN["tree"]] == list(visible(cli))
    assert all(entry["shortDesc"].strip() for entry in PLUGIN["tree"])


def test_plugin_says_what_the_help_says() -> None:
    help_page = " ".join(run("--help").stdout.split())
    for entry in PLUGIN["tree"]:
        assert f" {entry['name']} {entry['shortDesc']} " in help_page, entry


def test_plugin_says_nothing_twice() -> None:
    """A parser of YAML keeps the last of two equal keys and says nothing."""
    tree = yaml.compose((ROOT / "plugin.yaml").read_text())
    for node in [tree, *tree.value[-1][1].value]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys


def test_plugin_s_example_runs() -> None:
    words = PLUGIN["example"].split()
    assert words[:2] == ["kubectl", "lbdoctor"]
    assert run(*words[2:]).status == ExitStatus.COULD_NOT_RUN, "no kubeconfig here, but the words are understood"


# --- Generated and written docs ---


@pytest.mark.parametrize("path", write_docs.DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_documents_are_up_to_date(path: Path) -> None:
    assert path.exists(), "write it with: make docs"
    assert path.read_text(encoding="utf-8") == write_docs.DOCUMENTS[path](), "stale: make docs"


def test_every_declared_read_is_told_in_the_page_about_permissions() -> None:
    assert set(permissions.TELLS) == permissions.declared()


def test_docs_have_a_page_for_every_code() -> None:
    text = markdown(CATALOGUE)
    assert re.findall(r"^## (LBD[0-9]{3})$", text, re.MULTILINE) == [spec.code for spec in CATALOGUE]


def test_readme_lists_every_exit_status() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^#+ .*exit status.*?(?=^#+ |\Z)", readme, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    assert section is not None
    for status in ExitStatus:
        assert re.search(rf"(?<!\d){status.value}(?!\d)", section.group()), f"{status.name} is not explained"


def test_readme_names_only_commands_and_codes_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    aliases = set(BY_ALIAS)
    used = set(re.findall(r"kubectl[ -]lbdoctor ([a-z]+)\b(?![/:])", readme)) - {"explain"}
    assert used <= set(visible(cli)) | aliases
    assert set(re.findall(r"LBD\d{3}", readme)) <= {spec.code for spec in CATALOGUE} | {"LBD000"}


def test_help_names_every_exit_status() -> None:
    text = run("--help").stdout
    found = re.search(r"Exit status: (.*)", " ".join(text.split()))
    assert found is not None
    assert re.findall(r"\d+", found.group(1)) == [str(status.value) for status in ExitStatus]


def test_every_command_has_help() -> None:
    for name in visible(cli):
        result = run(name, "--help")
        assert result.status == ExitStatus.HEALTHY
        assert result.stdout.startswith(f"Usage: kubectl lbdoctor {name}"), result.stdout


def test_every_flag_has_help() -> None:
    for command in (cli, *visible(cli).values()):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "help" and parameter.name != "output":
                assert parameter.help or parameter.hidden, f"{command.name} {parameter.opts}"


# --- Rules of the source (style-anchors.md 13.9, 13.15) ---

OUTSIDE = {
    "print": "print",
    "input": "input",
    "sys.exit": "sys.exit",
    "sys.stdout": "sys.stdout",
    "sys.stderr": "sys.stderr",
    "sys.stdin": "sys.stdin",
    "os.environ": "os.environ",
    "os.getenv": "os.getenv",
    "datetime.now": "the clock",
    "datetime.utcnow": "the clock",
    "datetime.today": "the clock",
    "date.today": "the clock",
    "time.time": "the clock",
}


def surroundings(tree: ast.AST) -> set[str]:
    """What a module uses of the process's surroundings, by the name that it has in OUTSIDE."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"):
            found.add(node.func.id)
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if f"{owner}.{node.attr}" in OUTSIDE:
                found.add(f"{owner}.{node.attr}")
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "sys", "time"):
            found |= {f"{node.module}.{n.name}" for n in node.names if f"{node.module}.{n.name}" in OUTSIDE}
    return found


def test_the_rule_notices_what_it_should() -> None:
    text = "import os, datetime\nfrom sys import exit\nprint(os.environ, datetime.datetime.now())\nexit(1)\n"
    assert surroundings(ast.parse(text)) == {"print", "os.environ", "datetime.now", "sys.exit"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_env_and_main_touch_the_process(path: Path) -> None:
    if path.name in ("env.py", "__main__.py") and path.parent == PACKAGE:
        return
    used = surroundings(ast.parse(path.read_text(encoding="utf-8")))
    # Renewing a token needs the present time, whatever time a test gives to the report.
    allowed = {"datetime.now", "time.time"} if path.parent.name == "kubernetes_api" else set()
    assert used - allowed == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_says_why_it_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_facts_are_cited_by_their_headings() -> None:
    headings = set(re.findall(r"^## (.+)$", (ROOT / "docs" / "facts.md").read_text(encoding="utf-8"), re.MULTILINE))
    cited = set()
    for path in SOURCES:
        text = " ".join(path.read_text(encoding="utf-8").split())
        for names in re.findall(r'docs/facts\.md, ("[^"]+"(?:(?:,| and) "[^"]+")*)', text):
            cited |= set(re.findall(r'"([^"]+)"', names))
    assert cited and cited <= headings, cited - headings


@pytest.mark.parametrize("args", [["--help"], ["explain", "LBD301"], ["checks"], ["version"]])
def test_no_sdk_is_imported_for_help(args: list[str]) -> None:
    code = (
        "import sys, io\n"
        "from kubectl_lbdoctor.cli import main\n"
        "from kubectl_lbdoctor.env import Environment\n"
        f"status = main({args!r}, Environment(io.StringIO(), io.StringIO(), io.StringIO(), {{}}))\n"
        "heavy = {'boto3', 'botocore', 'kubernetes', 'urllib3', 'h2', 'hpack'} & set(sys.modules)\n"
        "assert status == 0 and not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
