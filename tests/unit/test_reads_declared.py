"""A check declares what it reads: the collector reads no more, and the policies allow no less.

A fact that was derived from an absent object carries the source of the read that showed the absence ("no binding, so
no target group"): such an opening must be declared too, because that read is what the answer rests on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import CheckSpec
from kubectl_lbdoctor.checks.runner import run_check
from kubectl_lbdoctor.collect.bundle import load
from kubectl_lbdoctor.collect.collector import Collector
from kubectl_lbdoctor.model.fact import Fact, recording
from kubectl_lbdoctor.report import needed_reads
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


def test_the_collector_reads_everything_that_is_declared() -> None:
    """No declared read may stay NOT_ASKED for ever: the collector's source names each of them."""
    import inspect

    from kubectl_lbdoctor.collect import collector, identity_reads, network_reads
    from kubectl_lbdoctor.model import reads

    source = "".join(map(inspect.getsource, (collector, network_reads, identity_reads)))
    names = {value: name for name, value in vars(reads).items() if name.isupper() and isinstance(value, str)}
    assert [read for read in needed_reads(CATALOGUE) if f"reads.{names[read]}" not in source] == []
    assert Collector is collector.Collector


def test_recording_would_notice_an_undeclared_read() -> None:
    def greedy(traffic: Any) -> Any:
        Fact.known("core/secrets", ()).need()
        return ()

    spec = CheckSpec("LBD901", "t", CHECKS[0].severity, "m", "d", function=greedy)
    assert set(opened_by(spec)) == {"core/secrets"}
