"""Health checks over a bare stream: HTTP/1.1, HTTP/2 and gRPC, and everything that a target may answer instead."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.probe import Outcome, ProbeRequest
from kubectl_lbdoctor.probe import wire

REQUEST = ProbeRequest("10.0.1.34:8080", "10.0.1.34", 8080, path="/healthz", host="10.0.1.34:8080", matcher="200")
HTTP2, GRPC = replace(REQUEST, version="HTTP2"), replace(REQUEST, version="GRPC", path="/AWS.ALB/healthcheck")


class Script:
    """A target that answers with these chunks, then closes (or stays silent)."""

    def __init__(self, *chunks: bytes, silent: bool = False) -> None:
        self.sent = b""
        self._chunks = list(chunks)
        self._silent = silent

    def send(self, data: bytes) -> None:
        self.sent += data

    def receive(self) -> bytes:
        if self._chunks:
            return self._chunks.pop(0)
        if self._silent:
            raise wire.Late
        return b""


def say(*chunks: bytes, request: ProbeRequest = REQUEST) -> wire.Said:
    return wire.converse(Script(*chunks), request)


def test_the_request_is_the_load_balancers() -> None:
    script = Script(b"HTTP/1.1 200 OK\r\n\r\n")
    wire.converse(script, REQUEST)
    assert script.sent == (
        b"GET /healthz HTTP/1.1\r\nHost: 10.0.1.34:8080\r\nConnection: close\r\n"
        b"User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
    )


def test_http1_answers() -> None:
    assert say(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n\r\nbody") == wire.Said(Outcome.ANSWERED, 200)
    assert say(b"HT", b"TP/1.0 404\r\n\r\n") == wire.Said(Outcome.ANSWERED, 404)
    moved = say(b"HTTP/1.1 302 Found\r\nlocation: /login\r\n\r\n")
    assert (moved.status, moved.location) == (302, "/login")
    # A bare line feed, and a head that never ends: the status is there.
    assert say(b"HTTP/1.1 503 X\nA: b\n").status == 503


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
    with pytest.raises(wire.Late):
        wire.converse(Script(silent=True), REQUEST)


def frame(kind: int, flags: int, payload: bytes = b"", stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


SETTINGS = frame(4, 0, stream=0)


def test_http2_answers() -> None:
    script = Script(SETTINGS, frame(6, 0, b"12345678", 0), frame(1, 4, b"\x88"))
    assert wire.converse(script, HTTP2) == wire.Said(Outcome.ANSWERED, 200)
    assert script.sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert frame(4, 1, stream=0) in script.sent and frame(6, 1, b"12345678", 0) in script.sent
    # ":status: 302" as a literal, plain and in Huffman code ("302" is 0x640017, RFC 7541 C.6.1: 0x6402).
    assert say(SETTINGS, frame(1, 4, b"\x48\x03302"), request=HTTP2).status == 302
    assert say(SETTINGS, frame(1, 4, b"\x48\x82\x64\x02"), request=HTTP2).status == 302
    # A table size update before it, padding, and a priority.
    assert say(frame(1, 4 | 8 | 32, b"\x02" + b"\0" * 5 + b"\x20\x8d" + b"\0\0"), request=HTTP2).status == 404


def test_a_long_path_is_coded_in_full() -> None:
    path = "/" + "x" * 900
    sent = wire.opening(replace(HTTP2, path=path))
    assert path.encode() in sent and b"\x7f\x86\x06" + path.encode() in sent


@pytest.mark.parametrize(
    "chunks",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (frame(7, 0, b"\0" * 8, 0),),
        (frame(3, 0, b"\0" * 4),),
        (frame(1, 4, b""),),
        (frame(1, 4, b"\x48\x03xyz"),),
        (b"\xff" * 40,),
        (SETTINGS[:5],),
    ],
)
def test_what_is_no_http2_answer(chunks: tuple[bytes, ...]) -> None:
    said = say(*chunks, request=HTTP2)
    assert said.outcome is Outcome.GARBLED and said.detail


def test_grpc_answers() -> None:
    only_trailers = frame(1, 4 | 1, b"\x88\x00\x0bgrpc-status\x0212")
    assert say(SETTINGS, only_trailers, request=GRPC) == wire.Said(Outcome.ANSWERED, 12)
    huffman = b"\x40\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x010"
    parted = (frame(1, 4, b"\x88"), frame(0, 0, b"\0\0\0\0\0"), frame(1, 4 | 1, huffman))
    assert say(SETTINGS, *parted, request=GRPC) == wire.Said(Outcome.ANSWERED, 0)
    web = say(frame(1, 4 | 1, b"\x8d"), request=GRPC)
    assert web.outcome is Outcome.GARBLED and "404" in web.detail
    script = Script(only_trailers)
    wire.converse(script, GRPC)
    assert script.sent.endswith(frame(0, 1, b"\0" * 5))  # one empty message


def test_tls_to_a_plain_target() -> None:
    secure = replace(REQUEST, protocol="HTTPS")
    assert say(b"HTTP/1.1 400 Bad Request\r\n\r\n", request=secure).outcome is Outcome.TLS
    assert say(request=secure).outcome is Outcome.CLOSED


@given(st.lists(st.binary(max_size=200), max_size=5), st.sampled_from([REQUEST, HTTP2, GRPC]))
def test_whatever_comes_back_has_an_outcome(chunks: list[bytes], request: ProbeRequest) -> None:
    said = wire.converse(Script(*(c for c in chunks if c)), request)
    assert said.outcome in (Outcome.ANSWERED, Outcome.CLOSED, Outcome.GARBLED)
