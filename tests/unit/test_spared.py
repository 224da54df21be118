"""A scan looks closer at everything but frontends that are certainly healthy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.spared import groups_of, spared, unasked_groups
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run_one
from kubectl_lbdoctor.commands.examination import examine
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.aws import TargetCounts
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import CheckStatus
from kubectl_lbdoctor.model.snapshot import SPARED, NetworkFacts, Snapshot
from kubectl_lbdoctor.permission import Permission
from tests.support.world import GROUP_ARN, HOST, READY, World, pod, refused, target

COUNTED = {
    "target_health": {},
    "target_counts": Fact.known(reads.TARGET_COUNTS, {GROUP_ARN: TargetCounts(2, 0, "2026-11-23T11:57:00Z")}),
}
NOTHING_MORE = {"listeners": {}, "rules": {}, "group_attributes": {}, "balancer_attributes": {}}


def built(world: World, cloud: Mapping[str, Any] = COUNTED) -> Snapshot:
    return replace(world, aws={**cloud, **world.aws}).build()


def test_a_frontend_with_the_wanted_healthy_targets_is_spared() -> None:
    assert spared(built(World())) == {World().subject}
    assert spared(built(World(), {})) == {World().subject}, "asked, and just as wanted"


@pytest.mark.parametrize(
    "health",
    [
        (target(1),),
        (target(1), target(2), target(3)),
        (target(1), refused(2)),
        (target(1), target(2, state="draining")),
    ],
)
def test_one_whose_targets_are_not_exactly_the_wanted_ones_is_not(health: Any) -> None:
    assert not spared(built(World(health=health), {}))


def test_one_of_which_the_controller_complains_is_not() -> None:
    event = k8s.Event("Ingress", "web", "shop", type="Warning", reason="FailedDeployModel", message="AccessDenied")
    assert not spared(built(World(events=(event,))))
    about_another = replace(event, name="other")
    assert spared(built(World(events=(about_another,))))


def test_one_whose_events_may_not_be_read_is_not() -> None:
    assert not spared(built(World(facts={"events": Fact.denied(reads.EVENTS, "no", Permission(("list",), "events"))})))


def test_one_whose_load_balancer_is_not_active_or_not_known_is_not() -> None:
    world = World()
    assert not spared(built(replace(world, balancer=replace(world.balancer, state="provisioning"))))
    gone = {"load_balancers": {HOST: Fact.known(reads.LOAD_BALANCERS, None, HOST)}}
    assert not spared(built(replace(world, aws=gone)))
    denied = {"load_balancers": {HOST: Fact.denied(reads.LOAD_BALANCERS, "no", Permission(said="x"), HOST)}}
    assert not spared(built(replace(world, aws=denied)))


def test_what_is_not_told_is_asked_the_bad_ones_first() -> None:
    assert unasked_groups(built(World())) == ()
    assert unasked_groups(built(World(), {"target_health": {}})) == (GROUP_ARN,)
    assert groups_of(built(World())) == {GROUP_ARN: True}
    assert groups_of(built(World(), {"target_health": {}})) == {GROUP_ARN: False}


def test_a_spared_frontend_is_healthy_without_what_was_not_looked_at() -> None:
    snapshot = built(World(), {**COUNTED, **NOTHING_MORE})
    blind = replace(snapshot, network=NetworkFacts(interfaces=Fact.not_asked(reads.NETWORK_INTERFACES, "later", "ec2")))
    assert examine(blind).status.value == "unknown"
    report = examine(replace(blind, spared=spared(blind)))
    assert report.status.value == "healthy"
    assert report.subjects[0].target_groups[0].targets[0].state == "healthy"
    assert report.unknown == ()


def test_a_check_that_would_look_there_is_skipped_and_says_why() -> None:
    snapshot = built(World().as_nlb(), {**COUNTED, **NOTHING_MORE})
    snapshot = replace(snapshot, spared=frozenset(snapshot.subjects))
    (traffic,) = traffic_paths(snapshot)
    result = run_one(CATALOGUE["LBD314"], traffic, (traffic.key,))
    assert (result.status, result.reason) == (CheckStatus.SKIPPED, SPARED)


def test_what_a_suspect_beside_it_has_read_is_known_for_a_spared_one_too() -> None:
    """Two Ingresses of a group share their load balancer's listeners."""
    snapshot = replace(built(World(), COUNTED), spared=frozenset({World().subject}))
    (traffic,) = traffic_paths(snapshot)
    assert [listener.port for listener in traffic.listeners.need()] == [80]
    assert not traffic.network.interfaces.is_known


def test_old_gates_do_not_make_up_for_health_that_may_not_be_read() -> None:
    """They tell what was when they turned; a target may have failed since."""
    denied = {
        "target_health": {
            GROUP_ARN: Fact.denied(reads.TARGET_HEALTH, "no", Permission(said="DescribeTargetHealth"), GROUP_ARN)
        }
    }
    gate = "target-health.elbv2.k8s.aws/k8s-shop-web-fdbb6ec3c4"

    def gated(number: int, since: str) -> k8s.Pod:
        turned = k8s.Condition(gate, "True", since=since)
        return pod(number, conditions=(*READY, turned), readiness_gates=(gate,))

    def status(since: str) -> str:
        return examine(built(World(pods=(gated(1, since), gated(2, since))), denied)).subjects[0].status.value

    assert status("2026-11-23T08:00:00Z") == "unknown"
    assert status("2026-11-23T11:58:00Z") == "unknown", "and nothing tells which targets are registered"


def test_one_whose_check_does_not_vouch_for_its_traffic_is_looked_at() -> None:
    world = World()
    check = world.group.health_check
    assert spared(built(world.with_group(health_check=replace(check, port="8080"))))
    assert not spared(built(world.with_group(health_check=replace(check, port="8081"))))
    assert not spared(built(world.with_group(port=9000, health_check=replace(check, port="8080")), {}))


def test_targets_that_see_clients_are_looked_at() -> None:
    assert spared(built(World().as_nlb(), {}))
    assert not spared(built(World().instance_mode().as_nlb(), {}))
    assert spared(built(World().instance_mode(), {})), "an Application Load Balancer is the client itself"


def test_a_port_with_two_protocols_is_looked_at() -> None:
    tcp = World().service.ports[0]
    both = World().as_nlb().with_service(ports=(tcp, replace(tcp, protocol="UDP", name="udp")))
    assert not spared(built(both, {}))
