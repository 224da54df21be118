"""A route at two Gateways has target groups at each of them, and so a path at each."""

from __future__ import annotations

from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.gateway_settings import value_of
from tests.support import cases


def test_a_route_at_two_gateways_has_a_path_at_each_with_its_settings() -> None:
    case = replace(cases.load("LBD311-default-of-its-own-gateway"), subjects=["HTTPRoute/web"])
    paths = traffic_paths(cases.run(case).snapshot)
    assert len({path.key for path in paths}) == len(paths) == 2
    found = {
        path.backend.at.name: value_of(path, "healthcheck-path") for path in paths if path.backend and path.backend.at
    }
    assert found == {"inner": "/inner", "web": "/healthz"}
