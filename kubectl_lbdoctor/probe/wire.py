"""One health check over a stream of bytes, as the load balancer speaks: TCP connect, HTTP/1.1, HTTP/2 and gRPC, with or
without TLS.

The stream leads through the API server, where no HTTP library can be put on top; a status and a gRPC trailer are all
that is needed of an answer, so this is just enough of each protocol. What comes in is untrusted and bounded.
"""

from __future__ import annotations

import ssl
import struct
from dataclasses import dataclass
from typing import Protocol

from kubectl_lbdoctor.model.probe import Outcome, ProbeRequest
from kubectl_lbdoctor.probe.requests import USER_AGENT

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are looked at: the head of any sane one."""

_SHOWN = 80


class Stream(Protocol):
    """Bytes to and from a target. `receive` gives b"" at the end, and raises Late and what the stream itself raises."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes: ...


class Late(Exception):
    """No answer in time."""


class Refused(Exception):
    """Nothing listens on the port."""


class Broken(Exception):
    """The way to the target failed: nothing is known of the target."""


@dataclass(frozen=True, slots=True)
class Said:
    """What came back, in the terms of ProbeAnswer."""

    outcome: Outcome
    status: int | None = None
    location: str = ""
    detail: str = ""


class _Garbled(Exception):
    """Something else than the protocol."""


def converse(stream: Stream, request: ProbeRequest) -> Said:
    """Send the request over a connected stream and tell what became of it. Raises Broken, Refused and Late."""
    try:
        if request.protocol == "HTTPS":
            stream = _Tls(stream, request)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", "") or str(error)
        return Said(Outcome.TLS, detail=f"TLS handshake: {reason}".replace("_", " ").lower())
    except EOFError:
        return Said(Outcome.CLOSED, detail="closed during the TLS handshake")
    try:
        return _http1(stream, request) if request.version == "HTTP1" else _http2(stream, request)
    except EOFError:
        return Said(Outcome.CLOSED, detail="closed without an answer")
    except ssl.SSLError as error:
        return Said(Outcome.TLS, detail=f"TLS: {error.reason or error}".replace("_", " ").lower())
    except _Garbled as error:
        return Said(Outcome.GARBLED, detail=str(error))


class _Tls:
    """TLS over a stream, without verification: load balancers do not verify their targets either."""

    def __init__(self, stream: Stream, request: ProbeRequest) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # Old targets with weak keys and TLS 1.0 pass a health check, too.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        if request.tls == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if request.version != "HTTP1":
            context.set_alpn_protocols(["h2"])
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        while True:
            try:
                self._tls.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def receive(self) -> bytes:
        while True:
            try:
                return self._tls.read(MAX_ANSWER)
            except ssl.SSLWantReadError:
                self._flush()
                try:
                    self._feed()
                except EOFError:
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._stream.send(data)

    def _feed(self) -> None:
        data = self._stream.receive()
        if not data:
            raise EOFError
        self._incoming.write(data)


class _Reader:
    """Takes an answer apart, up to MAX_ANSWER bytes of it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = b""
        self._taken = 0

    def _more(self) -> None:
        data = self._stream.receive()
        if not data:
            if self._buffer:
                raise _Garbled(f"the answer ends after: {_shown(self._buffer)}")
            raise EOFError
        self._buffer += data

    def until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if len(self._buffer) > MAX_ANSWER:
                raise _Garbled(f"no end of the head after {MAX_ANSWER // 1024} KiB")
            self._more()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def exactly(self, size: int) -> bytes:
        self._taken += size
        if self._taken > MAX_ANSWER:
            raise _Garbled(f"no status within {MAX_ANSWER // 1024} KiB")
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def start(self, size: int) -> bytes:
        """The first bytes without taking them."""
        while len(self._buffer) < size:
            self._more()
        return self._buffer[:size]


def _shown(data: bytes) -> str:
    return repr(data[:_SHOWN].decode("latin-1"))


# --- HTTP/1.1 --------------------------------------------------------------------------------------------------------


def head(request: ProbeRequest) -> bytes:
    """The request of an HTTP/1.1 check, byte for byte as the load balancer sends it."""
    lines = (
        f"GET {request.path} HTTP/1.1",
        f"Host: {request.host}",
        "Connection: close",
        f"User-Agent: {USER_AGENT}",
        "Accept-Encoding: gzip, compressed",
    )
    return "\r\n".join((*lines, "", "")).encode()


def _http1(stream: Stream, request: ProbeRequest) -> Said:
    stream.send(head(request))
    reader = _Reader(stream)
    if reader.start(5) != b"HTTP/":
        raise _Garbled(f"no HTTP/1.1 answer: it begins with {_shown(reader.start(5))}")
    line = reader.until(b"\n")
    words = line.split(None, 2)
    if len(words) < 2 or len(words[1]) != 3 or not words[1].isdigit():
        raise _Garbled(f"no HTTP/1.1 answer: it begins with {_shown(line)}")
    location = ""
    try:
        while line := reader.until(b"\n").strip():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"location":
                location = value.strip().decode("latin-1")
    except (EOFError, _Garbled, Late):
        pass  # the status is what counts, and it is here
    return Said(Outcome.ANSWERED, int(words[1]), location)


# --- HTTP/2 ----------------------------------------------------------------------------------------------------------

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
# RFC 7541, appendix A: the statuses of HPACK's static table.
_STATIC_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
# RFC 7541, appendix B: the digits.
_HUFFMAN_DIGITS = {
    **{f"{value:05b}": str(value) for value in range(3)},
    **{f"{0b011001 + value - 3:06b}": str(value) for value in range(3, 10)},
}
# "grpc-status" as a literal name, plain and in Huffman code.
_GRPC_STATUS_NAMES = (b"\x0bgrpc-status", b"\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f")
# SETTINGS_HEADER_TABLE_SIZE 0: each header block can then be read without those before it.
_NO_TABLE = struct.pack(">HI", 1, 0)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _integer(value: int, bits: int) -> bytes:
    """RFC 7541 5.1: an integer with a prefix of `bits` bits (whose other bits are 0)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((value,))
    out, value = [limit], value - limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes((*out, value))


def _literal(name: str, value: str) -> bytes:
    """A header that nobody needs to remember, name and value as plain text."""
    coded = [text.encode("latin-1", "replace") for text in (name, value)]
    return b"\x00" + b"".join(_integer(len(text), 7) + text for text in coded)


def opening(request: ProbeRequest) -> bytes:
    """Preface, settings and the whole request of an HTTP/2 check; gRPC sends one empty message."""
    grpc = request.version == "GRPC"
    headers = {
        ":method": "POST" if grpc else "GET",
        ":scheme": request.protocol.lower(),
        ":path": request.path,
        ":authority": request.host,
        "user-agent": USER_AGENT,
    }
    if grpc:
        headers |= {"content-type": "application/grpc", "te": "trailers"}
    block = b"".join(_literal(name, value) for name, value in headers.items())
    sent = _frame(_HEADERS, _END_HEADERS | (0 if grpc else _END_STREAM), 1, block)
    if grpc:
        sent += _frame(_DATA, _END_STREAM, 1, b"\x00\x00\x00\x00\x00")
    return _PREFACE + _frame(_SETTINGS, 0, 0, _NO_TABLE) + sent


def _http2(stream: Stream, request: ProbeRequest) -> Said:
    grpc = request.version == "GRPC"
    stream.send(opening(request))
    reader = _Reader(stream)
    blocks: list[bytes] = []
    if reader.start(5) == b"HTTP/":
        raise _Garbled(f"it speaks HTTP/1: {_shown(reader.start(5))}")
    while True:
        start = reader.exactly(9)
        length, kind, flags = int.from_bytes(start[:3], "big"), start[3], start[4]
        if length > MAX_ANSWER or (not blocks and kind > 9 and not flags):
            raise _Garbled(f"no HTTP/2 frame: it begins with {_shown(start)}")
        payload = reader.exactly(length)
        if kind == _SETTINGS and not flags & _ACK:
            stream.send(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            stream.send(_frame(_PING, _ACK, 0, payload))
        elif kind in (_GOAWAY, _RST_STREAM):
            raise _Garbled("it ended the HTTP/2 stream without an answer")
        elif kind in (_HEADERS, _CONTINUATION):
            if kind == _HEADERS:
                pad = payload[0] if flags & _PADDED and payload else 0
                begin = (1 if flags & _PADDED else 0) + (5 if flags & _PRIORITY else 0)
                payload = payload[begin : len(payload) - pad]
            blocks.append(payload)
            if not grpc and flags & _END_HEADERS:
                return Said(Outcome.ANSWERED, _status(blocks[0]))
        if grpc and kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            break
    code = _grpc_status(b"".join(blocks))
    if code is None:
        status = _status(blocks[0]) if blocks else 0
        return Said(Outcome.GARBLED, detail=f"HTTP {status} without a grpc-status")
    return Said(Outcome.ANSWERED, code)


def _status(block: bytes) -> int:
    """`:status` comes first in a response; an update of the table's size may precede it."""
    while block and block[0] & 0xE0 == 0x20:
        block = block[1:]
    if not block:
        raise _Garbled("an HTTP/2 answer without :status")
    if block[0] & 0x80:
        code = _STATIC_STATUS.get(block[0] & 0x7F)
        if code is None:
            raise _Garbled("an HTTP/2 answer without :status")
        return code
    return int(_digits(block[1:]))


def _grpc_status(block: bytes) -> int | None:
    for name in _GRPC_STATUS_NAMES:
        _, found, rest = block.partition(name)
        if found:
            return int(_digits(rest))
    return None


def _digits(coded: bytes) -> str:
    """An HPACK string that holds a number."""
    size = coded[0] & 0x7F if coded else 0
    plain = coded[1 : 1 + size]
    if not plain or len(plain) < size:
        raise _Garbled("an HTTP/2 header is cut off")
    if not coded[0] & 0x80:
        text = plain.decode("latin-1")
    else:
        text, prefix = "", ""
        for bit in "".join(f"{byte:08b}" for byte in plain):
            prefix += bit
            if prefix in _HUFFMAN_DIGITS:
                text, prefix = text + _HUFFMAN_DIGITS[prefix], ""
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise _Garbled("an HTTP/2 status that is no number")
    return text
