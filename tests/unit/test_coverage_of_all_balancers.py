"""A subject rests on every load balancer that it is published under, not on the first that was read alone.

An Ingress with a frontend NLB (annotation enable-frontend-nlb) publishes two:
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import Action, Listener, TargetHealth
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.report import Status
from tests.support.world import HOST, NLB_ARN, World

SECOND = "front-1234567890.elb.us-west-2.amazonaws.com"
NLB = replace(World().balancer, arn=NLB_ARN, type="network", dns_name=SECOND)
GROUP = replace(
    World().group,
    arn=World().group.arn.replace("0123456789abcdef", "fedcba9876543210"),
    name="k8s-shop-front",
    target_type="alb",
    protocol="TCP",
    port=80,
    load_balancer_arns=(NLB_ARN,),
    health_check=replace(World().group.health_check, path="/"),
)
LISTENER = Listener(f"{NLB_ARN}/80", NLB_ARN, "TCP", 80, (Action("forward", {GROUP.arn: 1}),))
ALB_TARGET = TargetHealth(World().balancer.arn, 80, state="healthy", check_port="80")
KNOWN = Fact.known(reads.LOAD_BALANCERS, NLB, SECOND)


def world(**second: Any) -> World:
    world = World()
    snapshot = world.build()
    tables = {
        "load_balancers": {SECOND: KNOWN},
        "listeners": {NLB_ARN: Fact.known(reads.LISTENERS, (LISTENER,))},
        "rules": {LISTENER.arn: Fact.known(reads.RULES, ())},
        "target_groups": {GROUP.arn: Fact.known(reads.TARGET_GROUPS, GROUP)},
        "target_health": {GROUP.arn: Fact.known(reads.TARGET_HEALTH, (ALB_TARGET,))},
        "group_attributes": {GROUP.arn: Fact.known(reads.TARGET_GROUP_ATTRIBUTES, {})},
        "balancer_attributes": {NLB_ARN: Fact.known(reads.LOAD_BALANCER_ATTRIBUTES, {}, NLB_ARN)},
        **second,
    }
    merged = {name: {**getattr(snapshot.aws, name), **table} for name, table in tables.items()}
    return replace(world, ingress=replace(world.ingress, addresses=(HOST, SECOND)), aws=merged)


def test_two_balancers_that_were_read_are_healthy() -> None:
    report = world().report()
    assert (report.status, report.exit_status()) == (Status.HEALTHY, 0)


@pytest.mark.parametrize(
    "second",
    [
        {"load_balancers": {SECOND: Fact.failed(reads.LOAD_BALANCERS, "timed out", SECOND)}},
        {"listeners": {NLB_ARN: Fact.failed(reads.LISTENERS, "throttled", NLB_ARN)}},
        {"balancer_attributes": {NLB_ARN: Fact.failed(reads.LOAD_BALANCER_ATTRIBUTES, "throttled", NLB_ARN)}},
    ],
    ids=["balancer", "listeners", "attributes"],
)
def test_a_second_balancer_that_was_not_read_leaves_the_subject_unknown(second: dict[str, Any]) -> None:
    report = world(**second).report()
    assert [s.status for s in report.subjects] == [Status.UNKNOWN]
    assert (report.status, report.exit_status()) == (Status.UNKNOWN, 3)
