"""Healthy targets, and the intent that a backend gets no traffic, outrank suspicion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.idle_backends import idle
from kubectl_lbdoctor.analysis.serving import accepted_and_healthy, all_targets_healthy, served_from_elsewhere
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.outranking import NEEDS_TRAFFIC, STATIC_SUSPICIONS, outranked
from kubectl_lbdoctor.checks.registry import Scope
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import Action, ListenerRule
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.permission import Permission
from tests.support.world import World, refused, target

WEB = ObjectRef("Service", "shop", "web")


def path(world: World) -> TrafficPath:
    return traffic_paths(world.build())[0]


def weighted(traffic: TrafficPath, own: int, other: int) -> TrafficPath:
    group = traffic.target_group.need()
    assert group is not None
    rule = ListenerRule("rule", actions=(Action("forward", {group.arn: own, "other": other}),))
    return replace(traffic, rules=Fact.known(reads.RULES, (rule,)), ingress=Fact.by_definition(None))


def test_every_code_of_the_tables_is_declared() -> None:
    assert {*STATIC_SUSPICIONS, *NEEDS_TRAFFIC} <= {spec.code for spec in CATALOGUE}


def test_what_needs_traffic_is_asked_per_path() -> None:
    """Idleness is a property of a path: a code of a wider scope would have to say of which."""
    assert all(CATALOGUE[code].scope is Scope.PATH for code in NEEDS_TRAFFIC)


@pytest.mark.parametrize("code", sorted(STATIC_SUSPICIONS))
def test_a_suspicion_stands_where_a_target_fails(code: str) -> None:
    found = Finding(code, WEB, {}, ())
    assert outranked(CATALOGUE[code], found, path(World(health=(target(1), refused(2))))) == found


# Those of a group that clusters share need targets of another cluster: recorded cases show them.
BY_OWN_TARGETS = sorted(c for c, s in STATIC_SUSPICIONS.items() if s.disproof is not served_from_elsewhere)


@pytest.mark.parametrize("code", BY_OWN_TARGETS)
def test_healthy_targets_outrank_a_suspicion(code: str) -> None:
    given = outranked(CATALOGUE[code], Finding(code, WEB, {}, ()), path(World()))
    left = STATIC_SUSPICIONS[code].left
    assert (given.severity if given is not None else None) is left
    if given is not None:
        assert any("2 of 2 targets healthy" in line.text for line in given.evidence)


def test_a_suspicion_stands_where_health_is_not_known() -> None:
    denied: Fact[object] = Fact.denied(reads.TARGET_HEALTH, "forbidden", Permission(said="x"))
    world = World(aws={"target_health": {World().group.arn: denied}})
    assert all_targets_healthy(path(world)) is None


def test_a_setting_that_may_be_refused_stands_where_nobody_hears_the_controller() -> None:
    world = World(facts={"events": Fact.denied(reads.EVENTS, "forbidden", Permission(said="x"))})
    assert all_targets_healthy(path(world)) is not None and accepted_and_healthy(path(world)) is None


def test_what_is_proven_by_failing_targets_is_no_suspicion() -> None:
    found = Finding("LBD221", WEB, {}, (), targets=("10.0.1.1:80",))
    assert outranked(CATALOGUE["LBD221"], found, path(World())) == found


@pytest.mark.parametrize("own, other, is_idle", [(0, 1, True), (1, 0, False), (0, 0, False)])
def test_weight_zero_beside_another_weight_is_idle(own: int, other: int, is_idle: bool) -> None:
    """With weight 0 everywhere nothing is served at all, which is nobody's intent."""
    assert (idle(weighted(path(World()), own, other)) is not None) is is_idle


def test_an_idle_backend_is_information_without_a_repair() -> None:
    traffic = weighted(path(World()), 0, 100)
    found = Finding("LBD406", WEB, {}, (Evidence("a", "b"),), by_hand=("kubectl scale",), advice="scale")
    given = outranked(CATALOGUE["LBD406"], found, traffic)
    assert given is not None and given.severity is Severity.INFO and not given.by_hand and not given.advice
    assert outranked(CATALOGUE["LBD607"], Finding("LBD607", WEB, {}, ()), traffic) is None  # An effect of it.


def test_what_does_not_depend_on_traffic_stays() -> None:
    found = Finding("LBD120", WEB, {}, ())
    assert outranked(CATALOGUE["LBD120"], found, weighted(path(World()), 0, 100)) == found
