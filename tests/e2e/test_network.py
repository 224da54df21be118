"""The network between load balancer and pod: every filter closed in turn, and twins that only look like it."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext

import pytest

from tests.e2e.network import FAULTS, TWINS, Twin
from tests.e2e.scenarios import Scenario
from tests.e2e.test_lab import run_fault, wait_healthy
from tests.lab.api import Lab

pytestmark = pytest.mark.alone

# The period in which two failed checks in a row would have shown.
_TWO_CHECKS_SECONDS = 6


@pytest.mark.parametrize("scenario", FAULTS, ids=str)
def test_network_fault(lab: Lab, space: str, scenario: Scenario) -> None:
    run_fault(lab, space, scenario)


@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_twin(lab: Lab, space: str, twin: Twin) -> None:
    with twin.around(lab, space) if twin.around else nullcontext():
        lab.apply(twin.manifests(), space)
        if twin.change is not None:
            wait_healthy(lab, space, twin.subject)
        with twin.change(lab, space) if twin.change else nullcontext():
            if twin.change is not None:
                time.sleep(_TWO_CHECKS_SECONDS)
            twin.seen(lab, space)
            result = lab.lbdoctor(twin.subject, "-n", space, "-o", "json")
            end = time.monotonic() + 30
            while result.status and time.monotonic() < end:
                time.sleep(2)
                result = lab.lbdoctor(twin.subject, "-n", space, "-o", "json")
            shown = str(lab.lbdoctor(twin.subject, "-n", space))
            if os.environ.get("LBDOCTOR_SHOW"):
                print(shown)
            assert result.status == 0, shown
            assert [d["code"] for d in result.json["diagnoses"]] == list(twin.infos), shown
