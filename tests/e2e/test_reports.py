"""The doctor on the lab against other people's reports: each fault's first diagnosis, and silence on legal set-ups."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

import pytest

from tests.e2e import legal, reports_aws, reports_more, reports_objects, reports_platform
from tests.e2e.legal import SetUp
from tests.e2e.scenarios import Scenario, alone
from tests.e2e.test_lab import run_fault
from tests.lab import topology
from tests.lab.api import Lab

SCENARIOS = [
    *reports_objects.SCENARIOS,
    *reports_more.SCENARIOS,
    *reports_aws.SCENARIOS,
    *alone(reports_platform.SCENARIOS),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_report(lab: Lab, space: str, scenario: Scenario) -> None:
    if scenario.name.startswith("gateway-") and topology.CONTROLLER_VERSION.startswith("2."):
        pytest.skip("Gateways are served by default from release 3.1 on")
    run_fault(lab, space, scenario)


@pytest.mark.parametrize("set_up", legal.SET_UPS, ids=str)
def test_legal(lab: Lab, space: str, set_up: SetUp) -> None:
    with ExitStack() as undo:
        if set_up.around is not None:
            undo.enter_context(set_up.around(lab, space))
        lab.apply(set_up.manifests(), space)
        if set_up.setup is not None:
            undo.enter_context(set_up.setup(lab, space))
        set_up.seen(lab, space)
        subject = set_up.subject if isinstance(set_up.subject, str) else set_up.subject(lab, space)
        end = time.monotonic() + 30
        while True:
            result = lab.lbdoctor(subject, "-n", space, "-o", "json")
            found = {(d["code"], d["severity"]) for d in result.json["diagnoses"]}
            allowed = {(c, "info") for c in set_up.notes} | {(c, "warning") for c in set_up.warns}
            if (result.status == 0 and found <= allowed) or time.monotonic() > end:
                break
            time.sleep(2)
        shown = str(lab.lbdoctor(subject, "-n", space))
    if os.environ.get("LBDOCTOR_SHOW"):
        print(shown)
    assert result.status == 0, shown
    assert found <= allowed, f"{sorted(found - allowed)} on what is legal\n{shown}"
