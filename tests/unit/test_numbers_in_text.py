"""Text of others that looks like a number and is none that Python reads: digits of other scripts and superscripts, and
more than 4,300 digits (https://docs.python.org/3/library/stdtypes.html#int-max-str-digits)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.meshes import _names
from kubectl_lbdoctor.collect.fields import NotUnderstood
from kubectl_lbdoctor.collect.names import check_names
from kubectl_lbdoctor.knowledge.releases import parse_version
from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.k8s import ServicePort
from kubectl_lbdoctor.model.probe import Outcome, ProbeRequest, Transport
from kubectl_lbdoctor.probe import script

ENDLESS = "9" * 5000
ODD = ("²", "1²", "٣", ENDLESS)


@pytest.mark.parametrize("odd", ODD)
def test_no_record_carries_one(odd: str) -> None:
    target = TargetHealth("10.0.1.34", 8080, check_port=odd)
    for record in (target, ServicePort(name="http", port=80, target_port=odd)):
        with pytest.raises(NotUnderstood, match="is no name"):
            check_names(record)
    check_names(replace(target, check_port="8080", description=f"Health checks failed with these codes: [{odd}]"))


def test_they_are_no_codes() -> None:
    described = TargetHealth("i-1", 80, description="Health checks failed with these codes: [404, ²]")
    assert described.codes == ("404",)
    assert replace(described, description=f"codes: [{ENDLESS}]").codes == ()
    assert not accepts(f"200-{ENDLESS}", 300) and accepts(f"²,{ENDLESS},200-299", 204)


def test_they_are_no_releases_and_no_ports() -> None:
    assert parse_version(f"v2.{ENDLESS}") is None and parse_version("v2.٣") is None
    assert parse_version("v2.17.1-eks.1") == (2, 17, 1)
    assert not any(_names(ports, 8080) for ports in (*ODD, f"1-{ENDLESS}", "²-9999"))
    assert all(_names(ports, 8080) for ports in ("8080", "80,8000-8100", "8080-"))


def test_they_are_no_status_of_grpc() -> None:
    request = ProbeRequest("10.0.1.34:8080", "10.0.1.34", 8080, "shop", "web-1", "node1", version="GRPC", timeout=2.0)
    log = "\n".join(f"T 0 {line}" for line in (f"< grpc-status: {ENDLESS}", "LBDW 200 2 0.1 0.2", "EXIT 0"))
    (answer,) = script.parse(log + f"\nT {ENDLESS} x\n", (request,), "T", Transport.POD)
    assert answer.outcome is not Outcome.ANSWERED
