"""A bundle gives the same diagnosis as the cluster that it was made of, for every recorded case and world."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.collect.bundles.redact import Redactor
from kubectl_lbdoctor.model.codec import from_json
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.cases.test_cases import WORLDS
from tests.support import cases, cassette, product


def _again(run: product.Run, folder: Path) -> product.Run:
    bundle.save(run.snapshot, folder / "case.json")
    return product.judge(bundle.load(folder / "case.json"))


def _without_accounts(said: dict[str, Any]) -> dict[str, Any]:
    """Account ids in names of objects by tokens, in the order in which they come."""
    redacted: dict[str, Any] = Redactor()(said)
    return redacted


@pytest.mark.parametrize("name", cases.names())
def test_the_bundle_of_a_case_says_the_same(name: str, tmp_path: Path) -> None:
    run = cases.result(name)
    again = _again(run, tmp_path)
    assert _without_accounts(product.said(again)) == _without_accounts(product.said(run))
    assert again.report.checks == run.report.checks


@pytest.mark.parametrize("name", WORLDS)
def test_the_bundle_of_a_healthy_world_is_healthy(name: str, tmp_path: Path) -> None:
    run = cases.run(cases.Case(name=name, world=name, status="healthy", exit=0))
    assert product.said(_again(run, tmp_path)) == {"status": "healthy", "exit": 0, "diagnoses": [], "unknown": []}


def _with_texts(value: Any) -> Any:
    """A bundle as it was before permissions were records."""
    if isinstance(value, list):
        return [_with_texts(item) for item in value]
    if not isinstance(value, dict):
        return value
    words = {"permission": str(from_json(Permission, value["permission"]))} if "permission" in value else {}
    return {key: _with_texts(item) for key, item in value.items()} | words


@pytest.mark.parametrize("name", [name for name in cases.names() if cases.load(name).deny])
def test_a_bundle_in_which_permissions_are_texts_is_shown_alike(name: str, tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    report = _again(cases.result(name), tmp_path).report
    file.write_text(json.dumps(_with_texts(json.loads(file.read_text()))))
    old = product.judge(bundle.load(file)).report
    assert (old.coverage != report.coverage) is bool(report.coverage.denied or report.coverage.optional)
    for form in ("table", "json"):
        assert render(old, form, View()) == render(report, form, View())


CREDENTIALS = ' (password="h4nter", postgres://app:h5nter@db.shop/web, Authorization: Bearer h6nter.x)'


@pytest.mark.parametrize("name", cases.names()[::6])
def test_quoted_messages_show_no_credentials(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in every message that the cluster gives reach no screen and no document."""
    case = cases.load(name)
    original = type(case).changed_world

    def planted(self: cases.Case) -> cassette.World:
        world = original(self)
        for item in world.objects:
            _append(item)
        return world

    monkeypatch.setattr(type(case), "changed_world", planted)
    report = cases.run(case).report
    for form in ("table", "wide", "json", "yaml"):
        text = render(report, form, View())
        assert not re.search("h[456]nter", text), form


def _append(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "message" and isinstance(item, str) and item:
                value[key] = item + CREDENTIALS
            else:
                _append(item)
    elif isinstance(value, list):
        for item in value:
            _append(item)
