"""One HTTP/2 or gRPC health check over a stream of bytes.

The protocol is h2's (https://python-hyper.org/projects/h2/), which does no I/O of its own. Frames are handed to it one
by one, so that a fault in a later frame does not take an answer away that came before it.
"""

from __future__ import annotations

from collections.abc import Iterable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from kubectl_lbdoctor.model.probe import Outcome, ProbeRequest
from kubectl_lbdoctor.probe.requests import USER_AGENT
from kubectl_lbdoctor.probe.stream import MAX_ANSWER, Garbled, Reader, Said, Stream, shown

_STREAM = 1
"""The number of a client's first stream (RFC 9113 5.1.1)."""
_FRAME_HEAD = 9
_GOAWAY = 7
_EMPTY_MESSAGE = b"\x00\x00\x00\x00\x00"
"""gRPC: not compressed, of no length. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md"""

Headers = dict[bytes, bytes]


def exchange(stream: Stream, request: ProbeRequest) -> Said:
    """Send the request and tell its HTTP status, or for gRPC its grpc-status.

    Raises Garbled for what is no such answer, EOFError when the target closes without one, and what the stream raises.
    """
    grpc = request.version == "GRPC"
    connection = _opened(request)
    stream.send(connection.data_to_send())
    reader = Reader(stream)
    if reader.start(5) == b"HTTP/":
        raise Garbled(f"it speaks HTTP/1: {shown(reader.start(5))}")
    status: int | None = None
    while True:
        for event in _events(connection, reader):
            if isinstance(event, ResponseReceived):
                headers = _headers(event.headers)
                status = _number(headers, b":status")
                if status is None or not 100 <= status <= 999:
                    raise Garbled("an HTTP/2 answer without :status")
                if not grpc:
                    return Said(Outcome.ANSWERED, status)
                # An answer of trailers alone: grpc-status stands beside :status.
                if event.stream_ended is not None:
                    return _grpc(headers, status)
            elif isinstance(event, TrailersReceived):
                return _grpc(_headers(event.headers), status)
            elif isinstance(event, StreamEnded):
                return _grpc({}, status)
            elif isinstance(event, DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, _STREAM)
            elif isinstance(event, (StreamReset, ConnectionTerminated)):
                raise Garbled("it ended the HTTP/2 stream without an answer")
        pending = connection.data_to_send()
        if pending:
            stream.send(pending)


def _opened(request: ProbeRequest) -> H2Connection:
    """A connection with preface, settings and the whole request waiting to be sent; gRPC sends one empty message."""
    grpc = request.version == "GRPC"
    # Whatever a target adds to its headers, its status counts: only the framing is held to the letter.
    connection = H2Connection(H2Configuration(validate_outbound_headers=False, validate_inbound_headers=False))
    connection.local_settings = Settings(
        client=True,
        initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: MAX_ANSWER},
    )
    connection.initiate_connection()
    headers = {
        ":method": "POST" if grpc else "GET",
        ":scheme": request.protocol.lower(),
        ":path": request.path,
        ":authority": request.host,
        "user-agent": USER_AGENT,
    }
    if grpc:
        headers |= {"content-type": "application/grpc", "te": "trailers"}
    coded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    connection.send_headers(_STREAM, coded, end_stream=not grpc)
    if grpc:
        connection.send_data(_STREAM, _EMPTY_MESSAGE, end_stream=True)
    return connection


def _events(connection: H2Connection, reader: Reader) -> Iterable[Event]:
    """What the next frame means. Raises Garbled for what is no frame or not allowed there."""
    head = reader.start(_FRAME_HEAD)
    length = int.from_bytes(head[:3], "big")
    if length > connection.max_inbound_frame_size:
        raise Garbled(f"no HTTP/2 frame: it begins with {shown(head)}")
    frame = reader.exactly(_FRAME_HEAD + length)
    if _answer_still_comes(frame):
        return ()
    try:
        return connection.receive_data(frame)
    except ProtocolError as error:
        raise Garbled(f"no HTTP/2 answer: {error}") from error


def _answer_still_comes(frame: bytes) -> bool:
    """Whether this is a GOAWAY without error that leaves our stream its answer: a server that shuts down gives it first
    (RFC 9113 6.8). h2 takes no frame after a GOAWAY, so it is not shown such a one.
    """
    last_stream, error = int.from_bytes(frame[9:13], "big") & 0x7FFFFFFF, int.from_bytes(frame[13:17], "big")
    return frame[3] == _GOAWAY and len(frame) >= 17 and last_stream >= _STREAM and error == ErrorCodes.NO_ERROR


def _headers(pairs: Iterable[tuple[bytes | str, bytes | str]]) -> Headers:
    return {_bytes(name).lower(): _bytes(value) for name, value in pairs}


def _bytes(text: bytes | str) -> bytes:
    return text.encode("latin-1", "replace") if isinstance(text, str) else bytes(text)


def _number(headers: Headers, name: bytes) -> int | None:
    """The value of a header that holds a number; None without it. Raises Garbled for one that is no number."""
    value = headers.get(name)
    if value is None:
        return None
    if not value.isdigit() or len(value) > 5:
        raise Garbled(f"{name.decode()} is no number: {shown(value)}")
    return int(value)


def _grpc(trailers: Headers, status: int | None) -> Said:
    code = _number(trailers, b"grpc-status")
    if code is None:
        return Said(Outcome.GARBLED, detail=f"HTTP {status} without a grpc-status")
    return Said(Outcome.ANSWERED, code)
