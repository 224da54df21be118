"""HTTP/2 and gRPC health checks: every form in which a target may write its answer, and everything else it may send.

Header blocks are written by hand after RFC 7541 (its appendix C has the Huffman examples), frames after RFC 9113.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.probe import Outcome, ProbeRequest
from kubectl_lbdoctor.probe import stream, wire
from tests.support import grpc_server
from tests.support.streams import Connected, Script

HTTP2 = ProbeRequest(
    "10.0.1.34:8080",
    "10.0.1.34",
    8080,
    path="/healthz",
    host="10.0.1.34:8080",
    matcher="200",
    version="HTTP2",
)
GRPC = replace(HTTP2, version="GRPC", path="/AWS.ALB/healthcheck")

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32


def frame(kind: int, flags: int, payload: bytes = b"", stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def headers(block: bytes, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, block)


def goaway(last_stream: int, error: int) -> bytes:
    return frame(GOAWAY, 0, last_stream.to_bytes(4, "big") + error.to_bytes(4, "big"), stream=0)


HELLO = frame(SETTINGS, 0, stream=0)
STATUS_200 = b"\x88"  # index 8 of the static table
STATUS_404 = b"\x8d"
STATUS_NAME = b"\x07:status"


def say(request: ProbeRequest, *chunks: bytes) -> stream.Said:
    return wire.converse(Script(*chunks), request)


def answered(status: int) -> stream.Said:
    return stream.Said(Outcome.ANSWERED, status)


@pytest.mark.parametrize(
    ("block", "status"),
    [
        (STATUS_200, 200),
        (b"\x08\x03302", 302),  # name by index, not indexed
        (b"\x48\x03302", 302),  # name by index, to be indexed
        (b"\x18\x03302", 302),  # name by index, never to be indexed
        (b"\x48\x82\x64\x02", 302),  # "302" in Huffman code: RFC 7541 C.6.1
        (b"\x00" + STATUS_NAME + b"\x03302", 302),  # RFC 7541 6.2.2: the name as a literal
        (b"\x40" + STATUS_NAME + b"\x03302", 302),  # 6.2.1
        (b"\x10" + STATUS_NAME + b"\x03302", 302),  # 6.2.3
        (b"\x00" + STATUS_NAME + b"\x82\x64\x02", 302),
        (b"\x20" + STATUS_404, 404),  # a change of the dynamic table's size comes first
        (b"\x20\x3f\xe1\x1f" + STATUS_404, 404),  # two of them: to 0, then back to 4096
        (STATUS_200 + b"\x00\x06server\x05nginx", 200),
        (b"\x48\x03418", 418),
        # What RFC 9113 8.2 forbids among the headers does not take the status away.
        (STATUS_200 + b"\x00\x0aconnection\x05close", 200),
        (STATUS_200 + b"\x00\x06Server\x01x", 200),
    ],
)
def test_status_in_every_form(block: bytes, status: int) -> None:
    assert say(HTTP2, HELLO, headers(block)) == answered(status)
    assert say(HTTP2, HELLO, headers(block, END_HEADERS | END_STREAM)) == answered(status)


def test_status_from_the_dynamic_table() -> None:
    # RFC 7541 2.3.3: what the informational answer put into the table has index 62 in the next block.
    early = headers(b"\x48\x03103" + b"\x40\x04link\x01x")
    assert say(HTTP2, HELLO, early, headers(b"\x48\x03418")) == answered(418)
    named = headers(b"\x40" + STATUS_NAME + b"\x03103")
    assert say(HTTP2, HELLO, named, headers(b"\x7e\x03418")) == answered(418)


def test_informational_answers_come_before_the_answer() -> None:
    continued = headers(b"\x48\x03100")
    assert say(HTTP2, HELLO, continued, continued, headers(STATUS_200)) == answered(200)
    assert say(HTTP2, HELLO, continued).outcome is Outcome.CLOSED


def test_a_block_in_parts() -> None:
    block = b"\x00" + STATUS_NAME + b"\x03302"
    parts = (
        frame(HEADERS, 0, block[:4]),
        frame(CONTINUATION, 0, block[4:6]),
        frame(CONTINUATION, END_HEADERS, block[6:]),
    )
    assert say(HTTP2, HELLO, *parts) == answered(302)
    assert say(HTTP2, HELLO + b"".join(parts)) == answered(302)
    assert say(HTTP2, *(bytes((byte,)) for byte in HELLO + b"".join(parts))) == answered(302)


def test_padding_and_priority() -> None:
    padded = frame(HEADERS, END_HEADERS | PADDED | PRIORITY, b"\x02" + b"\0" * 5 + STATUS_404 + b"\0\0")
    assert say(HTTP2, HELLO, padded) == answered(404)


def test_settings_ping_and_window_are_answered() -> None:
    settings = frame(SETTINGS, 0, b"\x00\x03\x00\x00\x00\x64" + b"\xf0\x00\x00\x00\x00\x01", 0)
    others = (
        settings,
        frame(PING, 0, b"12345678", 0),
        frame(WINDOW_UPDATE, 0, b"\x00\x00\xff\xff", 0),
        frame(WINDOW_UPDATE, 0, b"\x00\x00\xff\xff", 1),
        frame(SETTINGS, ACK, stream=0),
        frame(0xBE, 0, b"greased", 0),  # RFC 9113 5.5: unknown types are ignored
    )
    script = Script(*others, headers(STATUS_200))
    assert wire.converse(script, HTTP2) == answered(200)
    assert script.sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert frame(SETTINGS, ACK, stream=0) in script.sent and frame(PING, ACK, b"12345678", 0) in script.sent


def test_goaway_with_an_answer() -> None:
    """A server that shuts down finishes the streams up to the one that it names (RFC 9113 6.8)."""
    assert say(HTTP2, HELLO, goaway(1, 0), headers(STATUS_200)) == answered(200)
    assert say(HTTP2, HELLO, goaway(2**31 - 1, 0), goaway(1, 0), headers(STATUS_200)) == answered(200)
    assert say(HTTP2, HELLO, headers(STATUS_200) + goaway(1, 2)) == answered(200)


@pytest.mark.parametrize(
    "chunks",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (b"HT", b"TP/1.0 400 Bad Request\r\n\r\n"),
        (b"SSH-2.0-OpenSSH_9\r\n",),
        (b"\x15\x03\x01\x00\x02\x02\x16",),
        (b"\xff" * 40,),
        (HELLO[:5],),
        (HELLO, headers(STATUS_200)[:9]),  # half a frame
        (HELLO, frame(HEADERS, 0, STATUS_200), HELLO),  # a block that is interrupted
        (HELLO, goaway(0, 0)),  # our stream was not looked at
        (HELLO, goaway(1, 2), headers(STATUS_200)),
        (HELLO, frame(RST_STREAM, 0, b"\0\0\0\x01")),
        (HELLO, frame(GOAWAY, 0, b"\0\0", 0)),
        (HELLO, frame(PUSH_PROMISE, END_HEADERS, b"\0\0\0\x02" + STATUS_200)),
        (HELLO, headers(b"")),
        (HELLO, headers(b"\x00\x06server\x01x")),
        (HELLO, headers(b"\x48\x03xyz")),
        (HELLO, headers(b"\x48\x0520000")),
        (HELLO, headers(b"\x48\x0220")),
        (HELLO, headers(b"\xff\xff\xff\xff\xff\xff\x0f")),  # an index of no table
        (HELLO, headers(b"\x48\x7f")),  # a string that is cut off
        (HELLO, headers(b"\x48\x82\xff\xff")),  # no Huffman code
    ],
)
@pytest.mark.parametrize("request_", [HTTP2, GRPC], ids=["HTTP2", "GRPC"])
def test_what_is_no_answer(chunks: tuple[bytes, ...], request_: ProbeRequest) -> None:
    said = say(request_, *chunks)
    assert said.outcome is Outcome.GARBLED and said.status is None and said.detail


def test_the_words_for_an_http1_target() -> None:
    assert say(HTTP2, b"HTTP/1.1 400 Bad Request\r\n\r\n").detail == "it speaks HTTP/1: 'HTTP/'"


def test_silence_and_hanging_up() -> None:
    for request in (HTTP2, GRPC):
        assert say(request).outcome is Outcome.CLOSED
        assert say(request, HELLO).outcome is Outcome.CLOSED
        for chunks in ((), (HELLO,), (HELLO[:4],), (HELLO, frame(HEADERS, 0, STATUS_200))):
            with pytest.raises(stream.Late):
                wire.converse(Script(*chunks, silent=True), request)


class Endless:
    """A target that repeats itself; it counts what was taken from it."""

    def __init__(self, first: bytes, again: bytes) -> None:
        self._next, self._again = first, again
        self.taken = 0

    def send(self, data: bytes) -> None:
        pass

    def receive(self) -> bytes:
        data, self._next = self._next, self._again
        self.taken += len(data)
        return data


LONG = b"\x40\x01a\x7f\xd0\x1e" + b"b" * 4047  # 4047 bytes of value: fills the dynamic table
BOMB = LONG + b"\xbe" * 12000  # index 62, over and over: 48 MB of headers in 16 KB


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (HELLO, frame(HEADERS, 0, BOMB)),
        (HELLO, headers(b"\x48\x03100" + BOMB)),
        (HELLO + frame(HEADERS, 0, STATUS_200), frame(CONTINUATION, 0)),
        (HELLO, HELLO),
        (HELLO, frame(PING, 0, b"12345678", 0)),
        (HELLO, headers(b"\x48\x03100")),
        (HELLO, goaway(1, 0)),
        (HELLO, frame(0xBE, 0, b"x" * 16384, 0)),
    ],
)
def test_what_never_ends_has_an_end(first: bytes, again: bytes) -> None:
    for request in (HTTP2, GRPC):
        target = Endless(first, again)
        assert wire.converse(target, request).outcome is Outcome.GARBLED
        assert target.taken <= 2 * stream.MAX_ANSWER


# --- gRPC ---

OK = b"\x00\x0bgrpc-status\x010"


def test_grpc_in_trailers_alone() -> None:
    assert say(GRPC, HELLO, headers(STATUS_200 + b"\x00\x0bgrpc-status\x0212", END_HEADERS | END_STREAM)) == answered(
        12
    )
    # END_STREAM stands on HEADERS, END_HEADERS on what continues it.
    parts = frame(HEADERS, END_STREAM, STATUS_200), frame(CONTINUATION, END_HEADERS, OK)
    assert say(GRPC, HELLO, *parts) == answered(0)


@pytest.mark.parametrize(
    "trailers", [OK, b"\x40\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x010", b"\x10\x0bgrpc-status\x81\x07"]
)
def test_grpc_after_a_message(trailers: bytes) -> None:
    message = frame(DATA, 0, b"\0\0\0\0\0")
    assert say(GRPC, HELLO, headers(STATUS_200), message, headers(trailers, END_HEADERS | END_STREAM)) == answered(0)


def test_grpc_status_in_a_message_is_none() -> None:
    """Bytes that look like a trailer, in another header's value."""
    decoy = b"\x00\x01a\x0e\x0bgrpc-status\x017"
    said = say(GRPC, HELLO, headers(STATUS_200 + decoy + OK, END_HEADERS | END_STREAM))
    assert said == answered(0)


@pytest.mark.parametrize(
    ("chunks", "detail"),
    [
        ((headers(STATUS_404, END_HEADERS | END_STREAM),), "HTTP 404 without a grpc-status"),
        ((headers(STATUS_200), frame(DATA, END_STREAM, b"<html>")), "HTTP 200 without a grpc-status"),
        ((headers(STATUS_200), headers(b"\x00\x01a\x01b", END_HEADERS | END_STREAM)), "HTTP 200 without a grpc-status"),
        ((headers(STATUS_200), frame(RST_STREAM, 0, b"\0\0\0\x02")), "it ended the HTTP/2 stream without an answer"),
        ((headers(STATUS_200 + b"\x00\x0bgrpc-status\x02OK", 5),), "grpc-status is no number: 'OK'"),
    ],
)
def test_no_grpc_answer(chunks: tuple[bytes, ...], detail: str) -> None:
    assert say(GRPC, HELLO, *chunks) == stream.Said(Outcome.GARBLED, detail=detail)


# --- What is sent ---


@pytest.mark.parametrize("request_", [HTTP2, replace(HTTP2, path="/" + "x" * 900), GRPC])
def test_the_request(request_: ProbeRequest) -> None:
    script = Script(HELLO, headers(STATUS_200 + OK, END_HEADERS | END_STREAM))
    wire.converse(script, request_)
    server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    events = server.receive_data(script.sent)
    (received,) = (event for event in events if isinstance(event, RequestReceived))
    method, content = (
        ("GET", {}) if request_.version == "HTTP2" else ("POST", {"content-type": "application/grpc", "te": "trailers"})
    )
    assert dict(received.headers) == {
        ":method": method,
        ":scheme": "http",
        ":path": request_.path,
        ":authority": "10.0.1.34:8080",
        "user-agent": "ELB-HealthChecker/2.0",
        **content,
    }
    assert any(isinstance(event, StreamEnded) for event in events)
    if request_.version == "GRPC":
        assert frame(DATA, END_STREAM, b"\0" * 5) in script.sent, "one empty message"


# --- Another implementation at the other end ---


def test_a_real_grpc_server() -> None:
    with grpc_server.serve("/shop.Web/Check", grpc_server.echo) as port:
        for path, code in (("/shop.Web/Check", 0), ("/AWS.ALB/healthcheck", 12)):
            with Connected(port) as stream:
                assert wire.converse(stream, replace(GRPC, path=path)) == answered(code)
        with Connected(port) as stream:
            # gRPC's C core resets the stream of a plain GET.
            assert wire.converse(stream, HTTP2).outcome is Outcome.GARBLED
        with Connected(port) as stream:
            assert wire.converse(stream, replace(HTTP2, version="HTTP1")).outcome is not Outcome.ANSWERED
    with grpc_server.serve("/shop.Web/Check", grpc_server.unavailable) as port, Connected(port) as stream:
        assert wire.converse(stream, replace(GRPC, path="/shop.Web/Check")) == answered(14)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(frame, st.integers(0, 10), st.integers(0, 255), st.binary(max_size=40), st.integers(0, 3)),
        ),
        max_size=6,
    ),
    st.sampled_from([HTTP2, GRPC]),
    st.booleans(),
)
def test_whatever_comes_back_has_an_outcome(chunks: list[bytes], request_: ProbeRequest, greeted: bool) -> None:
    said = say(request_, *([HELLO] if greeted else []), *(c for c in chunks if c))
    assert said.outcome in (Outcome.ANSWERED, Outcome.CLOSED, Outcome.GARBLED)
