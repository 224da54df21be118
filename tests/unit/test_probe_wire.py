"""Health checks over a bare stream: HTTP/1.1 and TLS, and everything that a target may answer instead."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.probe import Outcome, ProbeRequest
from kubectl_lbdoctor.probe import stream, wire
from tests.support.streams import Script

REQUEST = ProbeRequest("10.0.1.34:8080", "10.0.1.34", 8080, path="/healthz", host="10.0.1.34:8080", matcher="200")


def say(*chunks: bytes, request: ProbeRequest = REQUEST) -> stream.Said:
    return wire.converse(Script(*chunks), request)


def test_the_request_is_the_load_balancers() -> None:
    script = Script(b"HTTP/1.1 200 OK\r\n\r\n")
    wire.converse(script, REQUEST)
    assert script.sent == (
        b"GET /healthz HTTP/1.1\r\nHost: 10.0.1.34:8080\r\nConnection: close\r\n"
        b"User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
    )


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
def test_proxy_protocol_comes_before_all_else(protocol: str) -> None:
    """Version 2, LOCAL, without addresses: as a Network Load Balancer begins its checks where it is on."""
    script = Script(b"")
    wire.converse(script, replace(REQUEST, protocol=protocol, proxy_protocol=True))
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
    assert script.sent[:16] == signature + bytes.fromhex("20000000")
    assert script.sent[16:].startswith(b"GET " if protocol == "HTTP" else b"\x16\x03")


def test_http1_answers() -> None:
    assert say(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n\r\nbody") == stream.Said(Outcome.ANSWERED, 200)
    assert say(b"HT", b"TP/1.0 404\r\n\r\n") == stream.Said(Outcome.ANSWERED, 404)
    moved = say(b"HTTP/1.1 302 Found\r\nlocation: /login\r\n\r\n")
    assert (moved.status, moved.location) == (302, "/login")
    # A bare line feed, and a head that never ends: the status is there.
    assert say(b"HTTP/1.1 503 X\nA: b\n").status == 503


def test_answers_that_come_before_the_answer_are_passed_over() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nLocation: /elsewhere\r\n\r\n"
    assert say(hints, b"HTTP/1.1 200 OK\r\n\r\n") == stream.Said(Outcome.ANSWERED, 200)
    assert say(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + b"HTTP/1.1 404 No\r\n\r\n").status == 404
    assert say(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").status == 101
    assert say(hints).outcome is Outcome.CLOSED
    assert say(hints * 20).outcome is Outcome.GARBLED


@pytest.mark.parametrize(
    ("chunks", "outcome"),
    [
        ((), Outcome.CLOSED),
        ((b"SSH-2.0-OpenSSH_9\r\n",), Outcome.GARBLED),
        ((b"\x15\x03\x01\x00\x02\x02\x16",), Outcome.GARBLED),
        ((b"HTT",), Outcome.GARBLED),
        ((b"HTTP/1.1 abc\r\n\r\n",), Outcome.GARBLED),
        ((b"HTTP/1.1 " + b"9" * 70000,), Outcome.GARBLED),
    ],
)
def test_what_is_no_http1_answer(chunks: tuple[bytes, ...], outcome: Outcome) -> None:
    assert say(*chunks).outcome is outcome


def test_silence_is_the_callers() -> None:
    with pytest.raises(stream.Late):
        wire.converse(Script(silent=True), REQUEST)


def test_tls_to_a_plain_target() -> None:
    secure = replace(REQUEST, protocol="HTTPS")
    assert say(b"HTTP/1.1 400 Bad Request\r\n\r\n", request=secure).outcome is Outcome.TLS
    assert say(request=secure).outcome is Outcome.CLOSED


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_whatever_comes_back_has_an_outcome(chunks: list[bytes]) -> None:
    said = wire.converse(Script(*(c for c in chunks if c)), REQUEST)
    assert said.outcome in (Outcome.ANSWERED, Outcome.CLOSED, Outcome.GARBLED)
