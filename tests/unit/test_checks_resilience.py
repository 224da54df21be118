"""LBD7xx: each with the ordinary object on which it has to be silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.model import aws, k8s
from tests.support.world import (
    LONG_AGO,
    NOT_READY,
    REGION,
    World,
    conditions,
    container,
    meta,
    node,
    pod,
    running,
    target,
)

HOOKED = (container(pre_stop=True),)


def draining(number: int) -> aws.TargetHealth:
    return target(number, "draining", "Target.DeregistrationInProgress")


def initial(number: int) -> aws.TargetHealth:
    return target(number, "initial", "Elb.InitialHealthChecking")


def terminating(number: int, **values: object) -> k8s.Pod:
    labels = {"app": "web", "pod-template-hash": "abc"}
    owners = (k8s.OwnerReference("ReplicaSet", "web-abc", True),)
    deleted = meta(f"web-abc-{number}", labels=labels, owners=owners, deleted="2026-11-23T12:00:05Z")
    return pod(number, meta=deleted, **values)


def together(on: str, *numbers: int) -> tuple[k8s.Pod, ...]:
    return tuple(replace(pod(n), node=on) for n in numbers)


def deployment(replicas: int, **values: object) -> tuple[k8s.Workload, ...]:
    return (replace(World().workloads[0], replicas=replicas, ready=replicas, **values),)


THREE = (draining(3), target(1), target(2))
GATE = f"target-health.elbv2.k8s.aws/{World().group.name}"
ONE = {"pods": (pod(1),), "health": (initial(1), draining(2)), "workloads": deployment(1)}
# node(3) shares a zone with node(1).
ONE_ZONE = World(
    pods=(pod(1), replace(pod(3), node="node3")), nodes=(node(1), node(2), node(3)), health=(target(1), target(3))
)
UNREADY = pod(2, conditions=NOT_READY, statuses=(running(ready=False),), started=LONG_AGO)

FAULTS = {
    "LBD701 short grace period": (
        "LBD701",
        World(pods=(pod(1, grace_seconds=5), pod(2, grace_seconds=5)), health=THREE),
    ),
    "LBD701 hook without time to run": (
        "LBD701",
        World(pods=tuple(pod(n, grace_seconds=10, containers=HOOKED) for n in (1, 2)), health=THREE),
    ),
    "LBD701 terminating": (
        "LBD701",
        World(pods=(pod(1), pod(2), terminating(3, grace_seconds=5))),
    ),
    "LBD702": ("LBD702", World(**ONE)),
    "LBD702 recreated in spite of a gate": (
        "LBD702",
        World(
            **{
                **ONE,
                "workloads": deployment(1, strategy="Recreate"),
                "pods": (
                    pod(
                        1,
                        readiness_gates=(GATE,),
                        conditions=conditions(ContainersReady="True", Ready="False", **{GATE: "False"}),
                    ),
                ),
            }
        ),
    ),
    "LBD703 node": ("LBD703", World(pods=together("node1", 1, 2))),
    "LBD703 zone": ("LBD703", ONE_ZONE),
}


@pytest.mark.parametrize("name", FAULTS)
def test_weakness_is_the_only_warning(name: str) -> None:
    code, world = FAULTS[name]
    assert world.codes() == [code]
    assert all(d.severity.value != "error" for d in world.report().diagnoses)


HEALTHY = {
    "rollout of pods with time to end": World(health=THREE),
    "rollout of pods with a hook": World(
        pods=tuple(pod(n, grace_seconds=20, containers=HOOKED) for n in (1, 2)), health=THREE
    ),
    "short grace period without a rollout": World(pods=tuple(pod(n, grace_seconds=1) for n in (1, 2))),
    "one replica that stands": World(pods=(pod(1),), health=(target(1),), workloads=deployment(1)),
    "one replica for the first time": World(pods=(pod(1),), health=(initial(1),), workloads=deployment(1)),
    "one replica, rolled out with the old one healthy": World(
        pods=(pod(1),), health=(target(1), draining(2)), workloads=deployment(1)
    ),
    "two replicas replaced at once": World(health=(initial(1), initial(2), draining(3))),
    "one replica and a gate": World(
        **{
            **ONE,
            "pods": (
                pod(
                    1,
                    readiness_gates=(GATE,),
                    conditions=conditions(ContainersReady="True", Ready="True", **{GATE: "True"}),
                ),
            ),
        }
    ),
    "two pods on the only node": World(pods=together("node1", 1, 2), nodes=(node(1),)),
    "two pods on the only node that takes pods": World(
        pods=together("node1", 1, 2), nodes=(node(1), node(2, unschedulable=True))
    ),
    "other node is tainted": World(
        pods=together("node1", 1, 2), nodes=(node(1), node(2, taints=(k8s.Taint("gpu", "NoSchedule"),)))
    ),
    "load balancer in one zone": World(
        pods=together("node1", 1, 2), balancer=replace(World().balancer, zones={f"{REGION}a": "subnet-a"})
    ),
    "one pod": World(pods=(pod(1),), health=(target(1),)),
    "nodes of one zone only": replace(ONE_ZONE, nodes=(node(1), node(3))),
    "publishNotReadyAddresses with ready pods": World().with_service(publish_not_ready=True),
    "unready pod that is not published": World(pods=(pod(1), replace(UNREADY, started=LONG_AGO))),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_ordinary_object_is_silent(name: str) -> None:
    assert [code for code in HEALTHY[name].codes() if code.startswith("LBD7")] == []


def test_unready_pod_that_is_published() -> None:
    found = {
        d.finding.code: d for d in World(pods=(pod(1), UNREADY)).with_service(publish_not_ready=True).report().diagnoses
    }
    assert found["LBD704"].finding.params["pods"] == "1 of 2 pods"
    assert '"path": "/spec/publishNotReadyAddresses", "value": true' in found["LBD704"].finding.commands[0]


def test_rollout_weakness_is_no_second_cause_beside_an_error() -> None:
    """A Service that selects nothing drains all its targets; how its pods stop is not the news."""
    pods = tuple(pod(n, grace_seconds=1) for n in (1, 2))
    world = World(pods=pods, health=(draining(1), draining(2))).with_service(selector={"app": "wbe"})
    assert world.codes()[0] == "LBD201" and "LBD701" not in world.codes()


def test_commands_of_one_replica() -> None:
    finding = FAULTS["LBD702"][1].report().diagnoses[0].finding
    assert finding.commands == (
        "kubectl scale deployment/web --replicas=2 -n shop",
        "kubectl label namespace shop elbv2.k8s.aws/pod-readiness-gate-inject=enabled",
    )
