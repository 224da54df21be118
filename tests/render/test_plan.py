"""The plan as a person confirms it, in several widths (LBDOCTOR_GOLDEN=1 writes the files anew)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_lbdoctor.analysis.aws_changes import change_of
from kubectl_lbdoctor.analysis.remediation import annotate, edit, patch, restart
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import FixPlan, Refusal, Step
from kubectl_lbdoctor.network.matching import PortRange
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy
from kubectl_lbdoctor.render.fix_tables import plan_table, undo_table

GOLDEN = Path(__file__).parent / "golden"
ALB = "alb.ingress.kubernetes.io/"


def a_plan() -> FixPlan:
    """An edit with a guard, two annotations at once, a rule, a restart, and what is not planned."""
    service, ingress = ObjectRef("Service", "shop", "web"), ObjectRef("Ingress", "shop", "web")
    guard, port = edit("/spec/ports/0/port", 80, 80), edit("/spec/ports/0/targetPort", 9090, 8080)
    ports = patch(service, "spec.ports[port=80].targetPort", guard, port)
    timing = annotate(
        ingress,
        {f"{ALB}healthcheck-timeout-seconds": "2"},
        {f"{ALB}healthcheck-timeout-seconds": "10", f"{ALB}healthcheck-interval-seconds": "15"},
    )
    remedy = GroupRemedy("sg-nodes", Direction.INGRESS, "tcp", PortRange(8080, 8080), "sg-front", ("sg-nodes",))
    rule = change_of(remedy, "us-west-2")
    assert rule is not None
    proxy = restart(ObjectRef("DaemonSet", "kube-system", "kube-proxy"), "its rules are stale", "one node at a time")
    steps = (
        Step("targetport", "LBD307", replace(ports, now="9090", then="8080", why="2 of 2 pods declare 8080")),
        Step("healthcheck-timeout", "LBD309", replace(timing, why="the probe waits 10 s", risk="noticed later")),
        Step("security-group", "LBD501", replace(rule, why="2 of 2 targets time out")),
        Step("kube-proxy", "LBD517", proxy.changes[0]),
    )
    refusals = (
        Refusal("selector", "several values are possible for service/api; choose one", ("app=a,tier=b", "app=c")),
        Refusal("LBD402", "no change can be made for you", (), ("kubectl describe pod x",)),
    )
    return FixPlan(steps, refusals)


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("LBDOCTOR_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("width", [0, 80, 120, 200])
def test_plan(width: int) -> None:
    owners = {0: "note: service/web belongs to Argo CD (Application shop)"}
    golden(f"plan-{width}.txt", plan_table(a_plan(), owners, width))


@pytest.mark.parametrize("width", [0, 80])
def test_undo(width: int) -> None:
    golden(f"undo-{width}.txt", undo_table(a_plan().steps[:3], width))


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_rows_fit_and_nothing_that_is_confirmed_is_lost(width: int) -> None:
    made = a_plan()
    text = plan_table(made, {}, width)
    for step in made.steps:
        assert step.change.why in text and step.change.risk in text and step.change.command in text
