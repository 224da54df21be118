"""The worked examples of docs/architecture.md work as they stand there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis import frontends
from kubectl_lbdoctor.analysis.frontends import setting_source, traffic_paths
from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.correlate import correlate
from kubectl_lbdoctor.fix.planner import FixRequest, plan
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import CheckStatus, ObjectRef
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.render import formats
from kubectl_lbdoctor.render.formats import render
from tests.support.world import World

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
EXAMPLES = dict(re.findall(r"```python\n# example: (\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL))
IMPORTS = """
from collections.abc import Iterator
from typing import Any
from kubectl_lbdoctor.analysis.frontends import FRONTENDS, setting_source
from kubectl_lbdoctor.analysis.frontends.joining import service_of
from kubectl_lbdoctor.analysis.frontends.service import ServiceFrontend
from kubectl_lbdoctor.analysis.ownership import Ownership
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath
from kubectl_lbdoctor.render.documents import document
from kubectl_lbdoctor.render.formats import FORMATS, Format, Result
from kubectl_lbdoctor.render.view import View
"""


def example(name: str, **names: Any) -> dict[str, Any]:
    """What the example defines, given these names."""
    defined = dict(names)
    exec(IMPORTS + EXAMPLES[name], defined)
    return defined


def test_the_page_has_an_example_of_each() -> None:
    assert set(EXAMPLES) == {"check", "kind", "format", "fix"}


def test_a_check_finds_its_fault_and_passes_without_it() -> None:
    catalogue = Catalogue()
    example("check", catalogue=catalogue)
    snapshot = World().build()
    assert [r.status for r in run(catalogue, traffic_paths(snapshot))] == [CheckStatus.PASS]
    shop = snapshot.namespaces["shop"]
    (service,) = shop.services.need()
    ports = tuple(replace(service.ports[0], port=80 + number) for number in range(4))
    many = Fact.known("core/services", (replace(service, ports=ports),))
    faulty = replace(snapshot, namespaces={"shop": replace(shop, services=many)})
    (found,) = run(catalogue, traffic_paths(faulty))
    assert catalogue["LBD799"].render(found.findings[0]) == "Service web has 4 ports"
    unread = replace(shop, services=Fact.denied("core/services", "no", Permission(("list",), "services")))
    (unknown,) = run(catalogue, traffic_paths(replace(snapshot, namespaces={"shop": unread})))
    assert unknown.status is CheckStatus.UNKNOWN


def test_a_kind_has_paths_by_its_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = dict(frontends.FRONTENDS)
    monkeypatch.setattr(frontends, "FRONTENDS", table)
    example("kind")
    snapshot = replace(World().build(), subjects=(ObjectRef("Settings", "shop", "web"),))
    (path,) = traffic_paths(snapshot)
    assert path.target_group.need() is not None
    assert frontends.ownership(path).why == "this kind has one controller only"


def test_a_format_is_a_function_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", dict(formats.FORMATS))
    example("format")
    assert formats.formats_of(formats.Result.REPORT)[-1] == "count"
    assert render(World().report(), "count") == "0\n"


def test_a_fix_is_planned_where_the_setting_is_read_from() -> None:
    catalogue = Catalogue()
    example("fix", catalogue=catalogue)
    paths = traffic_paths(World().build())
    diagnoses = correlate(catalogue, paths, run(catalogue, paths))
    (step,) = plan(diagnoses, [FixRequest("check-path")]).steps
    assert step.change.object == setting_source(paths[0], "healthcheck-path").ref
    assert step.change.then == "/alive"
