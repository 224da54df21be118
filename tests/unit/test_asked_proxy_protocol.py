"""What the annotations of a Service ask for about proxy protocol, as the controller reads them."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.analysis.asked_proxy_protocol import (
    ALL_PORTS,
    ATTRIBUTES,
    SOME_PORTS,
    AskedProxyProtocol,
    asked_proxy_protocol,
)
from kubectl_lbdoctor.knowledge.annotation_values import ValueProblem

ON = "proxy_protocol_v2.enabled=true"


@pytest.mark.parametrize(
    ("annotations", "asked"),
    [
        ({}, AskedProxyProtocol(False)),
        ({ALL_PORTS: "*", SOME_PORTS: "443"}, AskedProxyProtocol(True, ALL_PORTS)),
        ({SOME_PORTS: "443, 80", ATTRIBUTES: ON}, AskedProxyProtocol(True, SOME_PORTS)),
        ({SOME_PORTS: "443", ATTRIBUTES: ON}, AskedProxyProtocol(False, SOME_PORTS)),
        ({ATTRIBUTES: f"deregistration_delay.timeout_seconds=0, {ON}"}, AskedProxyProtocol(True, ATTRIBUTES)),
        ({ATTRIBUTES: "deregistration_delay.timeout_seconds=0"}, AskedProxyProtocol(False)),
    ],
)
def test_who_decides_and_what(annotations: dict[str, str], asked: AskedProxyProtocol) -> None:
    assert asked_proxy_protocol(annotations, 80) == asked


def test_attributes_that_the_controller_cannot_read_ask_for_nothing() -> None:
    with pytest.raises(ValueProblem):
        asked_proxy_protocol({ATTRIBUTES: "proxy_protocol_v2.enabled"}, 80)
