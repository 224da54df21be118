"""Recorded cases: snapshots of the lab (real reads, redacted) with the diagnosis that they must give.

A case is a folder with snapshot.json (made by `--save`) and expected.yaml. Record them again with
`LBDOCTOR_RECORD=1 make e2e`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect.bundle import load
from kubectl_lbdoctor.report import build

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/expected.yaml"))


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_case(folder: Path) -> None:
    expected = yaml.safe_load((folder / "expected.yaml").read_text())
    snapshot = load(folder / "snapshot.json")
    joined = traffic_paths(snapshot)
    report = build(snapshot, joined, run(CATALOGUE, joined), CATALOGUE)
    found = [
        {"code": d.finding.code, "kind": d.finding.object.kind, "name": d.finding.object.name}
        for d in report.diagnoses
        if d.severity.value != "info"
    ]
    assert found == expected["diagnoses"]
    assert report.status.value == expected["status"]
    assert int(report.exit_status()) == expected["exit"]
    assert report.checks.crashed == 0


def test_there_are_cases() -> None:
    assert len(CASES) >= 20
