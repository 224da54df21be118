"""The doctor on the lab: healthy objects are called healthy, and the first diagnosis of every fault is its cause."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e import (
    scenarios,
    scenarios_controller,
    scenarios_frontend_nlb,
    scenarios_identity,
    scenarios_objects,
    scenarios_refused,
    scenarios_unsaid,
)
from tests.e2e.scenarios import Manifests, Scenario
from tests.lab import examples
from tests.lab.api import CROWDED, Lab

SCENARIOS = [
    *scenarios.SCENARIOS,
    *scenarios_objects.SCENARIOS,
    *scenarios_refused.SCENARIOS,
    *scenarios_frontend_nlb.SCENARIOS,
    *scenarios.alone(scenarios_controller.SCENARIOS),
    *scenarios.alone(scenarios_identity.SCENARIOS),
    *scenarios.alone(scenarios_unsaid.SCENARIOS),
    *scenarios.alone(scenarios_refused.OF_ALL),
]


def wait_healthy(lab: Lab, namespace: str, subject: str) -> None:
    """All targets healthy for AWS; then the doctor must agree, once the controller's own retries are over."""
    lab.wait_targets(namespace, "healthy", timeout=120)
    end = time.monotonic() + 30
    while (result := lab.lbdoctor(subject, "-n", namespace)).status and time.monotonic() < end:
        time.sleep(2)
    assert result.status == 0, str(result)
    assert "healthy: " in result.stdout, str(result)


HEALTHY: dict[str, tuple[Callable[[], Manifests], str]] = {
    "alb-ip": (examples.alb_ip, "ing/web"),
    "alb-instance": (examples.alb_instance, "ing/web"),
    "frontend-nlb": (examples.behind_frontend_nlb, "ing/web"),
    "nlb-ip": (examples.nlb_ip, "svc/web"),
    "nlb-instance": (examples.nlb_instance, "svc/web"),
}


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("name", "space"),
    [
        *(pytest.param(name, "", id=name) for name in HEALTHY),
        *(pytest.param(name, CROWDED, id=f"{name}-crowded") for name in HEALTHY),
    ],
    indirect=["space"],
)
def test_healthy(lab: Lab, space: str, name: str) -> None:
    build, subject = HEALTHY[name]
    lab.apply(build(), space)
    wait_healthy(lab, space, subject)
    # One replica of two is enough to be healthy; until the other is ready, the doctor rightly tells of a rollout.
    end = time.monotonic() + 60
    while (result := lab.lbdoctor(subject, "-n", space, "-o", "json")).json["diagnoses"] and time.monotonic() < end:
        time.sleep(2)
    assert result.json["status"] == "healthy" and result.json["diagnoses"] == [], str(result)


def parameters() -> list[Any]:
    """Every scenario in a namespace of its own, and those of the smoke test among hundreds of idle pods."""
    return [
        *(pytest.param(scenario, "", id=scenario.name) for scenario in SCENARIOS),
        *(
            pytest.param(scenario, CROWDED, id=f"{scenario.name}-crowded", marks=[pytest.mark.smoke])
            for scenario in SCENARIOS
            if scenario.smoke
        ),
    ]


@pytest.mark.parametrize(("scenario", "space"), parameters(), indirect=["space"])
def test_fault(lab: Lab, space: str, scenario: Scenario) -> None:
    run_fault(lab, space, scenario)


def run_fault(lab: Lab, space: str, scenario: Scenario) -> None:
    with ExitStack() as undo:
        if scenario.around is not None:
            undo.enter_context(scenario.around(lab, space))
        lab.apply(scenario.manifests(), space)
        if scenario.setup is not None:
            undo.enter_context(scenario.setup(lab, space))
        if scenario.fault is not None:
            wait_healthy(lab, space, subject_of(lab, space, scenario))
            undo.enter_context(scenario.fault(lab, space))
        diagnose(lab, space, scenario)


def subject_of(lab: Lab, space: str, scenario: Scenario) -> str:
    return scenario.subject if isinstance(scenario.subject, str) else scenario.subject(lab, space)


def diagnose(lab: Lab, space: str, scenario: Scenario) -> None:
    """The first diagnosis must be right as soon as the fault is seen; a fault that develops gets some seconds.

    What the controller has not done yet is no fault in the first minute of an object's life.
    """
    scenario.seen(lab, space)
    subject = subject_of(lab, space, scenario)
    end = time.monotonic() + 75
    while True:
        result = lab.lbdoctor(subject, "-n", space, "-o", "json")
        found = [d["code"] for d in result.json["diagnoses"] if d["severity"] != "info"]
        if (found[:1] and found[0] in scenario.codes) or time.monotonic() > end:
            break
        time.sleep(1)
    shown = str(lab.lbdoctor(subject, "-n", space))
    if os.environ.get("LBDOCTOR_SHOW"):
        print(shown)
    assert found[:1] and found[0] in scenario.codes, f"{found} instead of {scenario.codes}\n{shown}"
    assert result.status == scenario.exit, shown
    first = result.json["diagnoses"][0]
    if scenario.object:
        assert f"{first['object']['kind']}/{first['object']['name']}" == scenario.object, shown
    if scenario.value:
        assert first["fix"]["automatic"] and any(scenario.value in c for c in first["fix"]["commands"]), shown
    errors = [f"{d['code']} {d['message']}" for d in result.json["diagnoses"] if d["severity"] == "error"]
    assert len(errors) == scenario.exit, f"one fault gives one root cause, not {errors}\n{shown}"
    for text in scenario.says:
        assert text in shown, f"{text!r} is not said\n{shown}"
    for code in scenario.also:
        assert code in first["explains"], shown
    print(f"\nFAULT {scenario.name}: {_reasons(result.json)} -> {found[0]}")


def _reasons(report: dict[str, Any]) -> str:
    reasons = {t["reason"] or t["state"] for s in report["subjects"] for g in s["targetGroups"] for t in g["targets"]}
    return ", ".join(sorted(reasons)) or "no targets"
