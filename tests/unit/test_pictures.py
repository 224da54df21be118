"""Pictures: every code has its place, and large objects are folded to counts that are right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.pictures import MOST_BROKEN, MOST_FOLDED, pictured
from kubectl_lbdoctor.analysis.pictures.places import BY_FILTER, PLACES, place_of
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Finding, ObjectRef
from kubectl_lbdoctor.model.picture import Pictured, Place, Verdict, worst
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.support import cases, product

LIMIT = 300_000
"""Bytes of a page."""

OF_THE_PROGRAM = {"LBD001", "LBD002", "LBD003", "LBD004"}
"""They say what was not read, and are no problem of the way."""


def test_every_code_has_one_place() -> None:
    codes = {spec.code for spec in CATALOGUE}
    assert not BY_FILTER & PLACES.keys()
    assert BY_FILTER | PLACES.keys() | {"LBD515"} == codes - OF_THE_PROGRAM


@pytest.mark.parametrize(
    ("kind", "direction", "place"),
    [
        ("SecurityGroup", "ingress", Place.TARGET_GROUPS),
        ("NetworkAcl", "ingress", Place.REQUEST_ACL_IN),
        ("NetworkAcl", "egress", Place.RETURN_ACL_OUT),
    ],
)
def test_the_gate_that_shuts_out_clients(kind: str, direction: str, place: Place) -> None:
    assert place_of(Finding("LBD515", ObjectRef(kind, "", "x"), params={"direction": direction})) is place


def test_what_blocks_outweighs_what_is_unknown() -> None:
    assert worst([Verdict.PASSES, Verdict.UNKNOWN, Verdict.BLOCKS, Verdict.NOT_REACHED]) is Verdict.BLOCKS
    assert worst([Verdict.PASSES, Verdict.UNKNOWN]) is Verdict.UNKNOWN
    assert worst([]) is Verdict.PASSES


def crowded(name: str, count: int, healthy: int) -> Snapshot:
    """The snapshot of a case with so many targets in two subnets, of which the last ones are healthy."""
    snapshot = cases.result(name).snapshot
    ((arn, fact),) = snapshot.aws.target_health.items()
    failing = fact.need()[0]
    targets = tuple(_target(failing, number, number >= count - healthy) for number in range(count))
    facts = snapshot.facts_of("shop")
    interfaces = snapshot.network.interfaces.need()
    nodes = [interface for interface in interfaces if interface.instance_id]
    held = tuple(
        replace(node, private_ips=(*node.private_ips, *(t.id for t in targets[half::2])))
        for half, node in enumerate(nodes[:2])
    )
    others = tuple(interface for interface in interfaces if interface.id not in {node.id for node in held})
    return replace(
        snapshot,
        aws=replace(snapshot.aws, target_health={arn: Fact.known(reads.TARGET_HEALTH, targets)}),
        namespaces={"shop": facts},
        network=replace(snapshot.network, interfaces=Fact.known(reads.NETWORK_INTERFACES, (*held, *others))),
    )


def _target(like: TargetHealth, number: int, healthy: bool) -> TargetHealth:
    state = ("healthy", "", "") if healthy else (like.state, like.reason, like.description)
    address, zone = f"10.0.{10 + number // 250}.{number % 250 + 1}", f"us-west-2{'ac'[number % 2]}"
    return replace(like, id=address, zone=zone, state=state[0], reason=state[1], description=state[2])


def drawn(snapshot: Snapshot) -> Pictured:
    run = product.judge(snapshot)
    return pictured(run.report, run.snapshot)


def test_three_thousand_targets_are_counted() -> None:
    made = drawn(crowded("LBD501-security-group-rule-revoked", 3000, healthy=1200))
    ((branch,),) = [picture.branches for picture in made.pictures]
    assert (branch.healthy, branch.total) == (1200, 3000)
    counted = [
        sum(stop.alike + 1 for stop in zone.stops) + sum(crowd.count for crowd in zone.crowds) for zone in branch.zones
    ]
    assert counted == [1500, 1500]
    assert [[(crowd.count, crowd.state, crowd.verdict) for crowd in zone.crowds] for zone in branch.zones] == [
        [(600, "healthy", Verdict.PASSES)],
        [(600, "healthy", Verdict.PASSES)],
    ]
    gates = [gate for zone in branch.zones for gate in zone.gates if gate.place is Place.TARGET_GROUPS]
    assert [(gate.verdict, gate.share) for gate in gates] == [(Verdict.BLOCKS, (900, 1500))] * 2
    assert len(render(made, "html", View()).encode()) < LIMIT


def many_backends(name: str, count: int) -> Snapshot:
    """The snapshot of a case whose Ingress leads to so many further Services that do not exist."""
    snapshot = cases.result(name).snapshot
    facts = snapshot.facts_of("shop")
    (ingress,) = facts.ingresses.need()
    first = ingress.paths[0]
    more = tuple(
        replace(first, path=f"/{number}", backend=replace(first.backend, service=f"gone-{number}"))
        for number in range(count)
    )
    changed = replace(ingress, paths=(*ingress.paths, *more))
    listed = replace(facts, ingresses=Fact.known(reads.INGRESSES, (changed,)))
    return replace(snapshot, namespaces={"shop": listed})


@pytest.mark.parametrize("count", [40, 90])
def test_many_backends_are_counted(count: int) -> None:
    made = drawn(many_backends("LBD301-path-404", count))
    (picture,) = made.pictures
    assert len(picture.branches) == MOST_BROKEN and len(picture.folded) == min(MOST_FOLDED, count + 1 - MOST_BROKEN)
    left = sum(number for _, number in picture.left_out)
    assert len(picture.branches) + len(picture.folded) + left == count + 1
    assert {branch.verdict for branch in picture.branches + picture.folded} == {Verdict.BLOCKS}
    assert len(render(made, "html", View()).encode()) < LIMIT
