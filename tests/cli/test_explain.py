"""`explain` takes what people have in hand: a code, a reason of AWS, the name of a fix; `checks` can be narrowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.commands.explain import explanation
from kubectl_lbdoctor.fix.planner import fix_names
from kubectl_lbdoctor.knowledge.fixes import FIXES
from kubectl_lbdoctor.knowledge.further_reading import sources
from kubectl_lbdoctor.knowledge.health_reasons import HEALTH_REASONS
from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.support.program import run


@pytest.mark.parametrize("word", ["LBD301", "lbd301", "301", "LBD-301", "lbd 301"])
def test_codes_in_any_form(word: str) -> None:
    page = run("explain", word).stdout
    assert page == run("explain", "LBD301").stdout and page.startswith("LBD301 (error): ")


def test_the_page_of_a_code_has_its_fix_and_sources_and_is_wrapped() -> None:
    page = run("explain", "LBD301", width=80).stdout
    assert "\nFix:       --fix healthcheck-path. " in page
    assert "\nSources:   https://docs.aws.amazon.com/" in page
    prose = [line for line in page.splitlines() if "https://" not in line]
    assert max(map(len, prose)) <= 80
    assert "Fix:" not in run("explain", "LBD302").stdout
    assert max(len(line) for line in run("explain", "LBD301").stdout.splitlines() if "https://" not in line) <= 100


@pytest.mark.parametrize("word", ["Target.Timeout", "target.timeout", "Timeout", "timeout"])
def test_reasons_in_any_form(word: str) -> None:
    page = run("explain", word).stdout
    assert page.startswith("Target.Timeout (targets that are unhealthy)")
    assert "LBD501" in page and "LBD309" in page and "closed port" in page


@pytest.mark.parametrize("name", [n for n in vars(target_reasons) if n.isupper()])
def test_every_reason_that_the_program_knows_is_explained(name: str) -> None:
    reason = getattr(target_reasons, name)
    result = run("explain", reason)
    assert result.status == 0 and result.stdout.startswith(reason)


def test_causes_of_reasons_are_codes() -> None:
    for reason in HEALTH_REASONS.values():
        assert len(set(reason.causes)) == len(reason.causes)
        assert all(CATALOGUE.get(code) is not None for code in reason.causes), reason.name


def test_fixes_are_explained_by_their_names() -> None:
    assert set(FIXES) == fix_names(CATALOGUE)
    page = run("explain", "targetport").stdout
    assert page.startswith("--fix targetport\n") and "LBD307" in page and "LBD203" in page and "targetPort" in page
    for name in FIXES:
        assert run("explain", name).status == 0


def test_every_code_has_sources() -> None:
    for spec in CATALOGUE:
        found = sources(spec.code, spec.doc)
        assert found or spec.code.startswith("LBD0"), spec.code
        assert all(url.startswith("https://") and not url.endswith((".", ",", "`")) for url in found)


def test_no_page_names_a_source_twice() -> None:
    """Neither the explanation of a code and its list of sources, nor the docs."""
    docs = Path("docs/checks.md").read_text()
    for code in (spec.code for spec in CATALOGUE):
        section = docs.partition(f"\n## {code}\n")[2].partition("\n## ")[0]
        assert section
        for page in (render(explanation([code]), "table", View(400)), section):
            named = re.findall(r"https://[a-z][^\s`)]*[^\s`).,;]", page)
            assert len(named) == len(set(named)), (code, named)


def test_several_at_once_each_once() -> None:
    page = run("explain", "301", "timeout", "targetport", "LBD301").stdout
    first, second, third = (
        page.index("LBD301 (error)"),
        page.index("Target.Timeout ("),
        page.index("--fix targetport\n"),
    )
    assert first < second < third and page.count("LBD301 (error)") == 1
    document = run("explain", "301", "timeout", "targetport", "-o", "json").json
    assert [(t["topic"], t["name"]) for t in document["topics"]] == [
        ("check", "LBD301"),
        ("reason", "Target.Timeout"),
        ("fix", "targetport"),
    ]
    check, reason, fix = document["topics"]
    assert check["fix"] == "healthcheck-path" and check["sources"] and check["explanation"]
    assert {cause["code"] for cause in reason["causes"]} >= {"LBD501", "LBD309"} and reason["rulesOut"]
    assert {repaired["code"] for repaired in fix["repairs"]} == {"LBD203", "LBD307"}


@pytest.mark.parametrize(
    ("word", "hint"),
    [("LBD999", "checks"), ("Target.Timeuot", "Target.Timeout"), ("target-port", "targetport"), ("nonsense", "checks")],
)
def test_an_unknown_word_is_named_with_what_is_near(word: str, hint: str) -> None:
    result = run("explain", "LBD301", word)
    assert (result.status, result.stdout) == (2, "")
    assert f'"{word}"' in result.stderr.splitlines()[0] and hint in result.stderr.splitlines()[1]


# --- checks ---


def codes(*args: str) -> list[str]:
    return [line.split()[0] for line in run("checks", *args, "--no-headers").stdout.splitlines()]


def test_checks_shows_fixes() -> None:
    header, *rows = run("checks").stdout.splitlines()
    assert header.split()[:3] == ["CODE", "SEVERITY", "FIX"]
    assert next(row for row in rows if row.startswith("LBD307")).split()[2] == "targetport"


@pytest.mark.parametrize("prefix", ["LBD3", "3", "lbd3"])
def test_checks_of_a_hundred(prefix: str) -> None:
    assert codes(prefix) == [spec.code for spec in CATALOGUE if spec.code.startswith("LBD3")] != []


def test_checks_can_be_narrowed() -> None:
    assert codes("LBD301", "LBD5")[0] == "LBD301" and set(codes("LBD301", "LBD5")) > {"LBD501", "LBD508"}
    fixable = codes("--fixable")
    assert fixable == [spec.code for spec in CATALOGUE if spec.fix] != codes()
    document = run("checks", "LBD30", "--fixable", "-o", "json").json
    assert document["kind"] == "CheckList" and all(check["fix"] for check in document["checks"])
    assert run("checks", "LBD301", "-o", "name").stdout == "LBD301\n"


def test_checks_that_do_not_exist() -> None:
    for args in (("LBD9",), ("nonsense",), ("LBD302", "--fixable")):
        result = run("checks", *args)
        assert (result.status, result.stdout) == (2, ""), args
