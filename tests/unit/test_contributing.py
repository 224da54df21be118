"""The walk-through of CONTRIBUTING.md works: its case fails without the check of docs/architecture.md alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Catalogue
from tests.support import cases, product
from tests.unit.test_architecture_examples import example

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
(CASE,) = re.findall(r"```yaml\n( *)# example: case\n(.*?)```", TEXT, re.DOTALL)


def test_the_walk_through(monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases.Case(name="walk-through", **yaml.safe_load(CASE[1]))
    assert product.said(cases.run(case))["diagnoses"] == [], "the case fails before there is a check"
    catalogue = Catalogue()
    for spec in CATALOGUE:
        catalogue.add(spec)
    example("check", catalogue=catalogue)
    monkeypatch.setattr(product, "CATALOGUE", catalogue)
    assert product.said(cases.run(case)) == case.expected()
