"""Causes of several paths as one: no figure and no name in a message comes from two different paths."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.correlate import correlate
from kubectl_lbdoctor.model.finding import CheckResult, CheckStatus, Finding, ObjectRef
from tests.support.world import World

PATH = traffic_paths(World().build())[0]
GROUP = ObjectRef("TargetGroup", "", "k8s-shop-web")


def messages(code: str, *params: dict[str, Any]) -> list[str]:
    results = [CheckResult(code, (PATH.key,), CheckStatus.FAIL, (Finding(code, GROUP, params=p),)) for p in params]
    return [d.message for d in correlate(CATALOGUE, (PATH,), results)]


@pytest.mark.parametrize("turned", [False, True])
def test_targets_of_two_services_in_one_group_are_told_of_each(turned: bool) -> None:
    """A target group may be bound to two Services (LBD114): what each lacks is its own."""
    common = {"group": "k8s-shop-web", "target_type": "ip"}
    api = {**common, "service": "api", "missing": 2, "wanted": 2}
    web = {**common, "service": "web", "missing": 1, "wanted": 5}
    assert sorted(messages("LBD205", *((web, api) if turned else (api, web)))) == [
        "1 of 5 ready endpoints of Service web is not registered as a target",
        "2 of 2 ready endpoints of Service api are not registered as targets",
    ]


def test_stale_targets_of_two_services_in_one_group_are_told_of_each() -> None:
    common = {"group": "k8s-shop-web", "target_type": "ip"}
    told = messages("LBD206", {**common, "service": "api", "count": 1}, {**common, "service": "web", "count": 3})
    assert sorted(told) == [
        "1 target of k8s-shop-web has no ready endpoint of Service api any more",
        "3 targets of k8s-shop-web have no ready endpoint of Service web any more",
    ]


def test_two_ways_without_a_route_are_both_named() -> None:
    first, second = ({"owner": "rtb-1", "way": f"10.0.1.5 -> 10.9.{n}.7:80", "port": "80"} for n in (1, 2))
    told = " ".join(messages("LBD509", first, second))
    assert "10.9.1.7" in told and "10.9.2.7" in told
