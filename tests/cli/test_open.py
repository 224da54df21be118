"""`-o html`, `-o dot`, `-o mermaid` and `--open` on the command line."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.program import run

BUNDLE = "docs/demo/bundle.json"


@pytest.mark.parametrize(
    ("form", "begin"), [("html", "<!doctype html>\n"), ("dot", "digraph "), ("mermaid", "flowchart")]
)
def test_a_bundle_is_drawn(form: str, begin: str) -> None:
    result = run("--from", BUNDLE, "-o", form)
    assert result.status == run("--from", BUNDLE).status == 1
    assert result.stdout.startswith(begin) and result.stderr == ""


def test_a_scan_is_a_page_with_a_line_for_each_object() -> None:
    result = run("scan", "--from", BUNDLE, "-o", "html")
    assert result.status == 1 and "<title>all namespaces: 1 not working</title>" in result.stdout
    assert result.stdout.count('class="subject"') == 1


def test_a_fix_is_not_drawn() -> None:
    result = run("--fix", "all", "ing/web", "-o", "html")
    assert result.status == 2 and "-o html is not an output of --fix" in result.stderr


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []

    def remember(url: str) -> bool:
        urls.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", remember)
    return urls


def test_open_writes_a_private_file_and_opens_it(temporary: Path, opened: list[str]) -> None:
    result = run("--from", BUNDLE, "--open", env={"BROWSER": "any"})
    (page,) = temporary.iterdir()
    assert result.status == 1 and result.stdout == f"{page}\n" and result.stderr == "opened in the browser\n"
    assert opened == [page.as_uri()] and stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("env", [{}, {"DISPLAY": ":0", "SSH_CONNECTION": "10.0.0.1 22"}])
def test_without_a_browser_it_says_where_the_file_is(temporary: Path, opened: list[str], env: dict[str, str]) -> None:
    result = run("--from", BUNDLE, "--open", env=env)
    (page,) = temporary.iterdir()
    assert result.stdout == f"{page}\n" and "there is no browser here" in result.stderr and opened == []


def test_a_browser_that_does_not_start(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    result = run("--from", BUNDLE, "--open", env={"DISPLAY": ":0"})
    assert "there is no browser here" in result.stderr and result.status == 1


def test_a_page_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    result = run("--from", BUNDLE, "--open")
    assert result.status == 4 and "error: the page could not be written" in result.stderr and result.stdout == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--open", "-o", "wide"), "--open shows the page of -o html, not -o wide"),
        (("--open", "--fix", "all"), "--open shows a diagnosis, and goes not with --fix"),
    ],
)
def test_open_shows_a_page_and_nothing_else(args: tuple[str, ...], said: str) -> None:
    result = run("ing/web", *args)
    assert result.status == 2 and said in result.stderr
