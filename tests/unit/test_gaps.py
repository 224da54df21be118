"""One item of a list that could not be understood: nobody is accused of what is missing, and nothing is healthy."""

from __future__ import annotations

import random

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, Gap, Unknown, joined, recording
from kubectl_lbdoctor.model.finding import Severity
from kubectl_lbdoctor.model.snapshot import Snapshot
from tests.support import cases, product
from tests.support.gaps import gaps
from tests.support.world import World

PARTIAL: Fact[tuple[str, ...]] = Fact("s", Fact.known("s", ()).state, ("a",), "1 of 2 is odd", left_out=("b",))


def test_an_item_is_absent_only_where_it_cannot_be_what_was_left_out() -> None:
    assert PARTIAL.chosen("a", lambda: "a") == Fact.known("s", "a")
    assert PARTIAL.chosen("c", lambda: None) == Fact.known("s", None)
    for name in ("b", None):
        with pytest.raises(Unknown, match="1 of 2 is odd"):
            PARTIAL.chosen(name, lambda: None).need()
    unnamed = Fact("s", PARTIAL.state, ("a",), "odd", left_out=("",))
    assert not unnamed.chosen("c", lambda: None).is_known


def test_a_gap_goes_on_into_what_follows() -> None:
    assert PARTIAL.map(len).left_out == ("b",)
    assert PARTIAL.then(lambda _: Fact.known("t", 1)).left_out == ("b",)
    assert joined("s", (Fact.known("s", ()), PARTIAL)).left_out == ("b",)
    with recording() as opened:
        PARTIAL.need()
    assert opened == {"s", Gap("s", "1 of 2 is odd")}


def errors(snapshot: Snapshot) -> set[tuple[str, str]]:
    results = run(CATALOGUE, traffic_paths(snapshot))
    return {
        (finding.code, str(finding.object))
        for result in results
        for finding in result.findings
        if CATALOGUE[finding.code].severity is Severity.ERROR
    }


# What is over looks as if it were not when the event that says so is left out, or the controller that was configured
# anew since.
_TELL_THE_END = ("core/events", reads.CONTROLLER)


@pytest.mark.parametrize("name", [n for n in cases.names() if n.startswith("healthy")][::3])
def test_a_healthy_object_is_not_accused_for_an_odd_one(name: str) -> None:
    snapshot = cases.result(name).snapshot
    before, chance = errors(snapshot), random.Random(name)
    changed = list(gaps(snapshot, named=chance.random() < 0.5))
    for what, partial in chance.sample(changed, min(15, len(changed))):
        if any(read in what for read in _TELL_THE_END):
            continue
        assert errors(partial) - before == set(), what
        if not any(f.left_out and f.source in reads.OPTIONAL for f in partial.facts()):
            assert product.judge(partial).report.status.value != "healthy", what


def test_the_report_counts_what_was_left_out() -> None:
    (_, partial), *_ = gaps(World().build())
    report = product.judge(partial).report
    assert report.status.value == "unknown" and not report.coverage.complete
    assert report.coverage.partial[0].error.endswith("could not be understood")
