"""A check declares what it reads: the collector reads no more, and the policies allow no less.

A fact that was derived from an absent object carries the source of the read that showed the absence ("no binding, so
no target group"): such an opening must be declared too, because that read is what the answer rests on.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Catalogue, CheckSpec
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, Gap, recording
from kubectl_lbdoctor.model.reads import OF_GATEWAYS
from kubectl_lbdoctor.model.snapshot import ClusterFacts, GatewayFacts, NamespaceFacts, Snapshot
from tests.support import cases
from tests.unit.test_checks import FAULTS, HEALTHY

CHECKS = CATALOGUE.checks()


def snapshots() -> Iterator[tuple[str, Snapshot]]:
    """Every snapshot that the tests have, by name: built by hand, and read from recorded worlds."""
    for name, world in {**FAULTS, **HEALTHY}.items():
        yield name, world.build()
    for name in cases.names():
        yield name, cases.result(name).snapshot


def opened_by_checks(specs: Iterable[CheckSpec], found: Iterable[tuple[str, Snapshot]]) -> dict[str, dict[str, str]]:
    """Every source that each check opens, by the check's code, with a snapshot on which it does."""
    opened: dict[str, dict[str, str]] = {spec.code: {} for spec in specs}
    for name, snapshot in found:
        for path in traffic_paths(snapshot):
            for spec in specs:
                with recording() as sources:
                    run(Catalogue({spec.code: spec}), (path,))
                for source in sources:
                    opened[spec.code].setdefault(source.source if isinstance(source, Gap) else source, name)
    return opened


@functools.cache
def opened() -> dict[str, dict[str, str]]:
    return opened_by_checks(CHECKS, snapshots())


@pytest.mark.parametrize("spec", CHECKS, ids=[spec.code for spec in CHECKS])
def test_check_opens_only_what_it_declares(spec: CheckSpec) -> None:
    # What every path of a Gateway rests on is read where there is one, whatever the checks declare; load balancers are
    # read for every diagnosis: where a Service has no binding they lead to its target group.
    allowed = spec.reads | OF_GATEWAYS | {reads.LOAD_BALANCERS}
    undeclared = {source: name for source, name in opened()[spec.code].items() if source not in allowed}
    assert undeclared == {}, f"{spec.code} opens {undeclared} without declaring it"


def test_every_declared_read_is_in_a_table() -> None:
    """Then the collector makes it: tests/cli/test_declared_reads.py sees the request of each."""
    tables = {*reads.KUBE, *reads.AWS}
    assert {spec.code: spec.reads - tables for spec in CHECKS if not spec.reads <= tables} == {}


def test_every_read_has_its_own_place_in_the_snapshot() -> None:
    """A row of the table names the field that holds the answer, and that field stands for this read."""
    apart = (reads.Scope.NAMESPACE, reads.Scope.GATEWAY)
    for holder, scope in ((NamespaceFacts(), apart[0]), (GatewayFacts(), apart[1]), (ClusterFacts(), None)):
        rows = {
            r.kept_in: name
            for name, r in reads.KUBE.items()
            if r.scope is scope or (scope is None and r.scope not in apart)
        }
        facts = {f.name: getattr(holder, f.name) for f in fields(holder) if f.name != "selected_pods"}
        assert set(rows) == set(facts)
        assert {name: fact.source for name, fact in facts.items() if isinstance(fact, Fact)} == {
            name: rows[name] for name, fact in facts.items() if isinstance(fact, Fact)
        }


def test_recording_would_notice_an_undeclared_read() -> None:
    def greedy(traffic: Any) -> Any:
        Fact.known("core/secrets", ()).need()
        return ()

    spec = CheckSpec("LBD901", "t", CHECKS[0].severity, "m", "d", function=greedy)
    world = next(iter(HEALTHY.items()))
    assert set(opened_by_checks([spec], [(world[0], world[1].build())])[spec.code]) == {"core/secrets"}
