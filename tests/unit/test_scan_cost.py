"""The report of a scan costs a frontend what it costs, however many others there are: it is made anew at Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from bench.world import MemoryAws, MemoryKube, Shape, World
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.sweep import Stage, SweepPlan, stages
from kubectl_lbdoctor.commands.examination import examine
from kubectl_lbdoctor.knowledge import secret_text
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.render.scan_screen import render
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.report import needed_reads
from kubectl_lbdoctor.scan_report import scan_report


def before_aws(frontends: int) -> Stage:
    """A scan of so many healthy frontends before AWS has told anything."""
    half = frontends // 2
    shape = Shape(
        nodes=2,
        namespaces=2,
        services=frontends,
        ingresses=half,
        balanced=half,
        pods=frontends + 2,
        crowded=2,
        events=2,
    )
    made = World.of(shape)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    plan = SweepPlan("", needed_reads(CATALOGUE), Context(), now)
    found = stages(MemoryKube(made), lambda _: MemoryAws(made), plan)
    first = next(found)
    found.close()  # type: ignore[attr-defined]
    return first


def reported(stage: Stage) -> ScanReport:
    return scan_report(stage.snapshot, examine(stage.snapshot), stage.foreign, stage.progress, complete=False)


def calls(function: Callable[[], object]) -> int:
    """How many functions are called while it runs, those of C included."""
    count = 0

    def seen(frame: Any, event: str, argument: object) -> None:
        nonlocal count
        count += event.endswith("call")

    sys.setprofile(seen)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_the_screen_of_twice_as_many_rows_costs_twice_as_much() -> None:
    few, many = (reported(before_aws(number)) for number in (40, 80))
    view = View(100, False, False, True)
    assert calls(lambda: render(many, view)) < 2.4 * calls(lambda: render(few, view))


def test_what_could_not_be_read_is_searched_for_secrets_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check says it of each frontend, in the same words."""
    searched: list[str] = []

    def search(text: str) -> str:
        searched.append(text)
        return text

    stage = before_aws(40)
    monkeypatch.setattr(secret_text, "without_credentials", search)
    report = reported(stage)
    assert [row.status for row in report.rows] == [Status.UNKNOWN] * 40
    assert len(report.report.unknown) > 40
    assert len(searched) == len({*searched})
