"""A check declares what it reads: the collector reads no more, and the policies allow no less.

A fact that was derived from an absent object carries the source of the read that showed the absence ("no binding, so
no target group"): such an opening must be declared too, because that read is what the answer rests on.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import CheckSpec
from kubectl_lbdoctor.checks.runner import run_check
from kubectl_lbdoctor.collect.bundle import load
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, recording
from kubectl_lbdoctor.model.snapshot import ClusterFacts, NamespaceFacts
from tests.unit.test_checks import FAULTS, HEALTHY

RECORDED = Path(__file__).parent.parent / "cases"
SNAPSHOTS = {
    **{name: world.build() for name, world in {**FAULTS, **HEALTHY}.items()},
    **{path.parent.name: load(path) for path in sorted(RECORDED.glob("*/snapshot.json"))},
}
PATHS = {name: traffic_paths(snapshot) for name, snapshot in SNAPSHOTS.items()}
CHECKS = CATALOGUE.checks()


def opened_by(spec: CheckSpec) -> dict[str, str]:
    """Every source that the check opens, with a world in which it does."""
    found: dict[str, str] = {}
    for name, joined in PATHS.items():
        for traffic in joined:
            with recording() as opened:
                list(run_check(spec, (traffic,)))
            for source in opened:
                found.setdefault(source, name)
    return found


@pytest.mark.parametrize("spec", CHECKS, ids=[spec.code for spec in CHECKS])
def test_check_opens_only_what_it_declares(spec: CheckSpec) -> None:
    undeclared = {source: world for source, world in opened_by(spec).items() if source not in spec.reads}
    assert undeclared == {}, f"{spec.code} opens {undeclared} without declaring it"


def test_every_declared_read_is_in_a_table() -> None:
    """Then the collector makes it: tests/cli/test_declared_reads.py sees the request of each."""
    tables = {*reads.KUBE, *reads.AWS}
    assert {spec.code: spec.reads - tables for spec in CHECKS if not spec.reads <= tables} == {}


def test_every_read_has_its_own_place_in_the_snapshot() -> None:
    """A row of the table names the field that holds the answer, and that field stands for this read."""
    for holder, own in ((NamespaceFacts(), True), (ClusterFacts(), False)):
        rows = {r.kept_in: name for name, r in reads.KUBE.items() if (r.scope is reads.Scope.NAMESPACE) is own}
        facts = {f.name: getattr(holder, f.name) for f in fields(holder)}
        assert set(rows) == set(facts)
        assert {name: fact.source for name, fact in facts.items() if isinstance(fact, Fact)} == {
            name: rows[name] for name, fact in facts.items() if isinstance(fact, Fact)
        }


def test_recording_would_notice_an_undeclared_read() -> None:
    def greedy(traffic: Any) -> Any:
        Fact.known("core/secrets", ()).need()
        return ()

    spec = CheckSpec("LBD901", "t", CHECKS[0].severity, "m", "d", function=greedy)
    assert set(opened_by(spec)) == {"core/secrets"}
