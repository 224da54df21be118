"""LBD603, LBD605, LBD606 and the restarts of LBD405 and LBD407, each with its healthy twins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.model import aws, k8s
from kubectl_lbdoctor.model.finding import Confidence, Severity
from tests.support.world import (
    FROM_LB,
    FROM_SELF,
    JUST_NOW,
    REGION,
    World,
    instance_target,
    mismatch,
    node,
    pod,
    refused,
    running,
    target,
)

RECENTLY = "2026-11-23T11:40:00Z"
YESTERDAY = "2026-11-22T11:40:00Z"
CROSS_ZONE = "load_balancing.cross_zone.enabled"
ATTRIBUTES = "service.beta.kubernetes.io/aws-load-balancer-attributes"


def old_port(number: int = 31234, **values: object) -> World:
    """NLB instance targets whose check still asks the former healthCheckNodePort."""
    world = World().as_nlb().instance_mode()
    check = aws.HealthCheck(protocol="HTTP", port=str(number), path="/healthz", interval=10, timeout=6)
    health = tuple(instance_target(n, "unhealthy", "Target.FailedHealthChecks", check_port=str(number)) for n in (1, 2))
    return replace(world.with_group(health_check=check), health=health, **values)


def ended(number: int, **values: object) -> k8s.Pod:
    """A ready pod whose container has ended before."""
    status = {"restarts": 1, "last_reason": "Error", "last_exit_code": 1, "last_finished": RECENTLY, **values}
    return pod(number, statuses=(running(**status),))


def started_event(count: int, first: str = RECENTLY) -> k8s.Event:
    return k8s.Event(
        "Pod",
        "web-abc-1",
        "shop",
        reason="Started",
        message="Started container app",
        count=count,
        first=first,
        last=RECENTLY,
    )


NLB = World().as_nlb()
ZONE_C_FAILS = replace(NLB, health=(target(1), refused(2)))
ZONE_C_EMPTY = replace(
    NLB,
    pods=(pod(1), replace(pod(3), node="node3")),
    nodes=(node(1), node(2), node(3)),
    health=(target(1), target(3, zone=f"{REGION}a")),
)
OOM = ended(1, last_reason="OOMKilled", last_exit_code=137)
FLAPS = replace(ended(1, restarts=4), started="2026-11-23T11:20:00Z")

FAULTS = {
    "LBD603 no target in a zone": ("LBD603", ZONE_C_EMPTY),
    "LBD603 by the group's own setting": (
        "LBD603",
        replace(ZONE_C_EMPTY, balancer_attributes={CROSS_ZONE: "true"}, group_attributes={CROSS_ZONE: "false"}),
    ),
    "LBD605": ("LBD605", old_port()),
    "LBD405": ("LBD405", World(pods=(OOM, pod(2)))),
    "LBD405 several kills": (
        "LBD405",
        World(pods=(ended(1, last_reason="OOMKilled", last_exit_code=137, restarts=7), pod(2))),
    ),
    "LBD407 young pod": ("LBD407", World(pods=(FLAPS, pod(2)))),
    "LBD407 old pod with events": (
        "LBD407",
        World(pods=(ended(1, restarts=40), pod(2)), events=(started_event(3),)),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_the_only_diagnosis(name: str) -> None:
    code, world = FAULTS[name]
    assert world.codes() == [code]


HEALTHY = {
    "zone whose target starts": replace(NLB, health=(target(1), target(2, "initial", "Elb.InitialHealthChecking"))),
    "target outside the VPC": replace(NLB, health=(target(1), target(2, zone="all"))),
    "Application Load Balancer": World(pods=(pod(1),), health=(target(1),)),
    "check of the healthCheckNodePort that the Service has": replace(
        old_port().with_service(external_traffic_policy="Local", health_check_node_port=31234),
        health=(instance_target(1, check_port="31234"), instance_target(2, check_port="31234")),
    ),
    "own check port that answers": replace(
        old_port(31234), health=(instance_target(1, check_port="31234"), instance_target(2, check_port="31234"))
    ),
    "one restart": World(pods=(ended(1), pod(2))),
    "OOM of yesterday": World(pods=(ended(1, last_reason="OOMKilled", last_finished=YESTERDAY), pod(2))),
    "many restarts in a long life": World(pods=(ended(1, restarts=40), pod(2))),
    "starts that began before the hour": World(
        pods=(ended(1, restarts=40), pod(2)), events=(started_event(30, YESTERDAY),)
    ),
    "restart of a finished init container": World(
        pods=(
            pod(
                1,
                statuses=(
                    running(),
                    k8s.ContainerStatus("init", restarts=5, last_reason="OOMKilled", last_finished=RECENTLY, init=True),
                ),
            ),
            pod(2),
        )
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_twin_is_silent(name: str) -> None:
    assert HEALTHY[name].codes() == []


def test_zone_whose_targets_fail_is_a_consequence_of_their_cause() -> None:
    assert ZONE_C_FAILS.codes() == ["LBD005"]
    assert "LBD603" in ZONE_C_FAILS.report().diagnoses[0].explains


@pytest.mark.parametrize("level", ["balancer_attributes", "group_attributes"])
def test_traffic_that_crosses_zones_needs_no_target_in_each(level: str) -> None:
    assert replace(ZONE_C_EMPTY, **{level: {CROSS_ZONE: "true"}}).codes() == ["LBD703"]


def test_fewer_pods_than_zones_is_information() -> None:
    report = replace(NLB, pods=(pod(1),), health=(target(1),)).report()
    assert [(d.finding.code, d.severity) for d in report.diagnoses] == [("LBD603", Severity.INFO)]


def test_cross_zone_repair_keeps_the_other_attributes() -> None:
    world = ZONE_C_EMPTY
    annotations = {ATTRIBUTES: f"deletion_protection.enabled=true,{CROSS_ZONE}=false"}
    world = world.with_service(meta=replace(world.service.meta, annotations=annotations))
    (command,) = world.report().diagnoses[0].finding.commands
    assert f"{ATTRIBUTES}=deletion_protection.enabled=true,{CROSS_ZONE}=true" in command


def test_pods_in_one_zone_are_explained_by_it() -> None:
    assert FAULTS["LBD603 no target in a zone"][1].report().diagnoses[0].explains == ("LBD703",)


def test_old_port_is_certain_in_the_node_port_range_only() -> None:
    assert old_port().report().diagnoses[0].finding.confidence is Confidence.CERTAIN
    assert old_port(8085).report().diagnoses[0].finding.confidence is Confidence.LIKELY


@pytest.mark.parametrize(
    "world",
    [
        old_port(30080),
        old_port(10256),
        old_port().with_service(external_traffic_policy="Local"),
        replace(
            old_port(),
            service=replace(
                old_port().service,
                meta=replace(
                    old_port().service.meta,
                    annotations={"service.beta.kubernetes.io/aws-load-balancer-healthcheck-port": "31234"},
                ),
            ),
        ),
        replace(old_port(), health=(mismatch(1, "503", check_port="31234"),)),
    ],
    ids=["a node port", "kube-proxy", "Local", "asked for by annotation", "somebody answers"],
)
def test_check_port_that_somebody_means_is_not_an_old_one(world: World) -> None:
    assert "LBD605" not in world.codes()


def test_zonal_shift_is_information_whatever_the_health() -> None:
    shifted = target(2, override_state="zonal_shift_active")
    report = World(health=(target(1, override_state="no_override"), shifted)).report()
    assert [(d.finding.code, d.severity) for d in report.diagnoses] == [("LBD606", Severity.INFO)]
    assert f"{REGION}c" in report.diagnoses[0].message and report.exit_status() == 0


def test_a_former_port_that_no_security_group_admits_any_more() -> None:
    front, nodes = World().groups
    only_traffic = replace(FROM_LB, from_port=30080, to_port=30080)
    world = replace(old_port(), groups=(front, replace(nodes, ingress=(only_traffic, FROM_SELF))))
    assert world.codes() == ["LBD605"]
    assert "LBD501" in world.report().diagnoses[0].explains


def test_crash_loop_wins_over_memory() -> None:
    status = running(
        ready=False, state="waiting", reason="CrashLoopBackOff", restarts=5, last_reason="OOMKilled",
        last_exit_code=137, last_finished=JUST_NOW,
    )  # fmt: skip
    broken = pod(1, statuses=(status,), conditions=(k8s.Condition("Ready", "False"),))
    world = World(pods=(broken, pod(2)), health=(target(2),))
    assert world.codes() == ["LBD403"]
    assert "memory limit" in world.report().diagnoses[0].finding.advice


def test_two_pods_with_the_same_kill_are_one_cause() -> None:
    pods = tuple(ended(n, last_reason="OOMKilled", last_exit_code=137) for n in (1, 2))
    diagnoses = World(pods=pods).report().diagnoses
    assert len(diagnoses) == 1 and (diagnoses[0].finding.params["pods"], diagnoses[0].finding.params["total"]) == (2, 2)
