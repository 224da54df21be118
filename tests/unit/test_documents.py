"""What people read is true as far as a program can tell: links lead somewhere, and printed commands are understood."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.probe import next_probes, rounds
from tests.docs import screen
from tests.support.program import run

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")])
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- Links ------------------------------------------------------------------------------------------------------------


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def broken_links(path: Path, text: str) -> list[str]:
    """The links to files and headings of this repository that lead nowhere."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        page = (path.parent / file).resolve() if file else path
        if not page.exists() or (anchor and page.suffix == ".md" and anchor not in anchors(page)):
            found.append(target)
    return found


def test_a_broken_link_is_noticed() -> None:
    text = "[a](docs/usage.md) [b](docs/no.md) [c](docs/usage.md#exit-status) [d](docs/usage.md#no) [e](https://x.y)"
    assert broken_links(ROOT / "README.md", text) == ["docs/no.md", "docs/usage.md#no"]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


# --- Commands ---------------------------------------------------------------------------------------------------------

PROGRAM = "kubectl lbdoctor "


def commands(text: str) -> list[str]:
    """The command lines of the program in a page, in blocks and in running text, without comments and pipes. One
    with an ellipsis is none that could be run."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    found = [one.strip() for one in (*lines, *spans) if one.strip().startswith(PROGRAM)]
    whole = (re.split(r"\s+#|\s\||\s>", one)[0].strip() for one in found)
    return [one for one in whole if "…" not in one]


def test_commands_are_found() -> None:
    block = "```\nkubectl lbdoctor ing/web -n x   # why\nkubectl get x\n```\n"
    text = f"Do `kubectl lbdoctor checks`.\n{block}`kubectl lbdoctor --fix …` `kubectl -n x`"
    assert commands(text) == ["kubectl lbdoctor ing/web -n x", "kubectl lbdoctor checks"]


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES], ids=name_of)
def test_printed_commands_are_understood(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is run where there is no cluster: whatever it says then, it is not that the command is wrong."""
    monkeypatch.chdir(tmp_path)
    for command in dict.fromkeys(commands(path.read_text(encoding="utf-8"))):
        words = shlex.split(command)[2:]
        result = run(*words)
        asked = "nobody can confirm" in result.stderr  # It was understood, and would be done on a terminal.
        assert words == [] or asked or result.status != ExitStatus.USAGE, (command, result.stderr)


def test_a_wrong_command_is_noticed() -> None:
    for wrong in ("ingres web", "ing/web --no-such-flag", "undo x.json --probe pod", "ing/web -o xml"):
        assert run(*shlex.split(wrong)).status == ExitStatus.USAGE


def test_security_says_how_much_is_sent() -> None:
    text = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    bounds = (next_probes.ROUNDS, rounds.MAX_REQUESTS, next_probes.MAX_REQUESTS)
    assert "{} rounds of {} requests, {} of them about one target group".format(*bounds) in text
    assert next_probes.MAX_PODS == 3 and "usually to three of a target group" in text


# --- The picture ------------------------------------------------------------------------------------------------------


def squeezed(text: str) -> str:
    """Text without blanks: a picture places its pieces by coordinates."""
    return re.sub(r"\s", "", text)


def test_the_picture_has_the_whole_screen_as_text() -> None:
    root = ElementTree.fromstring(screen.svg())
    shown = "".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("text"))
    screen_text = run("--from", str(screen.BUNDLE), width=screen.COLUMNS).stdout
    assert squeezed(shown) == squeezed(f"$ {screen.COMMAND}\n{screen_text}")


def test_the_readme_shows_it() -> None:
    assert "](docs/demo/screen.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")


# --- Forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.name != "config.yml"], ids=name_of)
def test_issue_forms_have_github_s_shape(path: Path) -> None:
    """https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-issue-forms"""
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids)) and {"version", "bundle"} <= set(ids)
    for field in fields:
        assert field["type"] in ("input", "textarea", "dropdown", "checkboxes") and field["attributes"]["label"]
