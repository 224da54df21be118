"""What the program prints with -o json fits the schemas of docs/schema: each kind of document, from a whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.knowledge.fixes import FIXES
from kubectl_lbdoctor.knowledge.health_reasons import HEALTH_REASONS
from tests.support.cloud import Cloud
from tests.support.json_schemas import violations
from tests.support.program import Result, run


def fits(result: Result, kind: str) -> None:
    assert result.json["kind"] == kind and violations(result.json) == []


def test_reports(cloud: Cloud) -> None:
    fits(run("ing/web", "-o", "json", env=cloud.env), "Report")
    fits(run("ing/web", "--no-aws", "-o", "json", env=cloud.env), "Report")
    cloud.crash_loop()
    fits(run("svc/web", "ing/web", "-o", "json", env=cloud.env), "Report")


def test_probes(cloud: Cloud) -> None:
    cloud.wrong_path()
    fits(run("probe", "ing/web", "--probe", "proxy", "-o", "json", env=cloud.env), "ProbeReport")
    fits(run("probe", "ing/web", "--probe-target", "pod", "-o", "json", env=cloud.env), "ProbeReport")


def test_fix_and_undo(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    file = str(tmp_path / "undo.json")
    wanted = ("--fix", "targetport", "ing/web", "-o", "json")
    fits(run(*wanted, "--dry-run=client", env=cloud.env), "FixPlan")
    fits(run(*wanted, "--dry-run=server", env=cloud.env), "FixPlan")
    fits(run(*wanted, "--yes", "--undo-file", file, env=cloud.env), "FixResult")
    fits(run(*wanted, "--yes", env=cloud.env), "FixResult")
    fits(run("undo", file, "--dry-run=client", "-o", "json", env=cloud.env), "UndoResult")
    fits(run("undo", file, "--yes", "-o", "json", env=cloud.env), "UndoResult")


def test_lists_and_pages() -> None:
    fits(run("checks", "-o", "json"), "CheckList")
    fits(run("checks", "LBD3", "--fixable", "-o", "json"), "CheckList")
    fits(run("version", "-o", "json"), "Version")
    every = [*(spec.code for spec in CATALOGUE), *HEALTH_REASONS, *FIXES]
    pages = run("explain", *every, "-o", "json")
    fits(pages, "Explanation")
    assert [topic["name"] for topic in pages.json["topics"]] == every
    assert {topic["topic"] for topic in pages.json["topics"]} == {"check", "reason", "fix"}


@pytest.mark.parametrize("args", [("--from", "none.json"), ("ing/web",), ("ing/web", "--nonsense")])
def test_errors(args: tuple[str, ...]) -> None:
    fits(run(*args, "-o", "json"), "Error")
