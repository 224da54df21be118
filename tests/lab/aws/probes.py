"""One health check as a load balancer sends it: TCP connect, HTTP/1.1, or HTTP/2 (gRPC, too), with or without TLS."""

from __future__ import annotations

import asyncio
import ssl
import struct
from dataclasses import dataclass

USER_AGENT = "ELB-HealthChecker/2.0"
_LONGEST_HEAD = 64 * 1024


@dataclass(frozen=True)
class Check:
    source: str
    address: str
    port: int
    protocol: str  # TCP, HTTP, HTTPS
    version: str  # HTTP1, HTTP2, GRPC
    path: str
    host: str
    matcher: str
    timeout: float
    network: bool  # sent by a network load balancer
    proxy_header: bool


@dataclass(frozen=True)
class Outcome:
    """`reason` is None for a success."""

    reason: str | None = None
    description: str | None = None


OK = Outcome()
TIMEOUT = Outcome("Target.Timeout", "Request timed out")
FAILED = Outcome("Target.FailedHealthChecks", "Health checks failed")
# PROXY protocol v2, command LOCAL: a connection of the proxy itself, without a client's address.
_PROXY_LOCAL = b"\r\n\r\n\x00\r\nQUIT\n" + b"\x20\x00\x00\x00"


def mismatch(code: int) -> Outcome:
    return Outcome("Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]")


class Malformed(Exception):
    """The answer is not what the protocol asks for."""


def _tls(newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Load balancers do not validate a target's certificate.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


_TLS_APPLICATION = _tls(ssl.TLSVersion.TLSv1_3)
_TLS_APPLICATION_H2 = _tls(ssl.TLSVersion.TLSv1_3)
_TLS_APPLICATION_H2.set_alpn_protocols(["h2"])
# A network load balancer's HTTPS check fails on a target that speaks nothing but TLS 1.3.
_TLS_NETWORK = _tls(ssl.TLSVersion.TLSv1_2)


def accepts(matcher: str, code: int) -> bool:
    """`200`, `200,302` or `200-299`."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit() and int(low) <= code <= int(high or low):
            return True
    return False


async def send(check: Check) -> Outcome | None:
    """The outcome; None when the check could not be sent at all, which says nothing about the target."""
    try:
        outcome = await asyncio.wait_for(_send(check), check.timeout)
    except (TimeoutError, asyncio.TimeoutError):
        outcome = TIMEOUT
    except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, Malformed):
        outcome = FAILED
    except OSError as error:
        if error.args and "local address" in str(error):
            return None  # the load balancer is being deleted
        # Unreachable: an ICMP error here, silence in a VPC.
        outcome = TIMEOUT
    if outcome is not OK and check.network:
        return FAILED  # a network load balancer does not tell failures apart
    return outcome


async def _send(check: Check) -> Outcome:
    context = None
    if check.protocol == "HTTPS":
        secure = _TLS_APPLICATION if check.version == "HTTP1" else _TLS_APPLICATION_H2
        context = _TLS_NETWORK if check.network else secure
    if check.proxy_header:
        # The header goes before the TLS handshake.
        reader, writer = await asyncio.open_connection(check.address, check.port, local_addr=(check.source, 0))
        writer.write(_PROXY_LOCAL)
        if context is not None:
            raise Malformed("a PROXY header before TLS is not supported by this checker")
    else:
        reader, writer = await asyncio.open_connection(
            check.address, check.port, local_addr=(check.source, 0), ssl=context
        )
    try:
        if check.protocol == "TCP":
            return OK
        if check.version == "HTTP1":
            return await _http1(check, reader, writer)
        return await _http2(check, reader, writer)
    finally:
        writer.close()


async def _http1(check: Check, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Outcome:
    lines = (
        f"GET {check.path} HTTP/1.1",
        f"Host: {check.host}",
        "Connection: close",
        f"User-Agent: {USER_AGENT}",
        "Accept-Encoding: gzip, compressed",
    )
    writer.write("\r\n".join((*lines, "", "")).encode())
    status = await reader.readuntil(b"\n")
    words = status.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise Malformed(status[:80])
    code = int(words[1])
    return OK if accepts(check.matcher, code) else mismatch(code)


# --- HTTP/2 ----------------------------------------------------------------------------------------------------------
# Just enough of it for one request: no library is needed for a status and a gRPC trailer.

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_STATIC_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
# Digits in HPACK's Huffman code.
_HUFFMAN_DIGITS = {
    **{f"{value:05b}": str(value) for value in range(3)},
    **{f"{0b011001 + value - 3:06b}": str(value) for value in range(3, 10)},
}
_GRPC_STATUS_NAMES = (b"\x0bgrpc-status", b"\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f")


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header that nobody needs to remember, names and values as plain text."""
    return b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


async def _http2(check: Check, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Outcome:
    grpc = check.version == "GRPC"
    headers = {
        ":method": "POST" if grpc else "GET",
        ":scheme": "https" if check.protocol == "HTTPS" else "http",
        ":path": check.path[:120],
        ":authority": check.host,
        "user-agent": USER_AGENT,
    }
    if grpc:
        headers |= {"content-type": "application/grpc", "te": "trailers"}
    block = b"".join(_literal(name, value) for name, value in headers.items())
    request = _frame(_HEADERS, _END_HEADERS | (0 if grpc else _END_STREAM), 1, block)
    if grpc:
        request += _frame(_DATA, _END_STREAM, 1, b"\x00\x00\x00\x00\x00")  # one empty message
    writer.write(_PREFACE + _frame(_SETTINGS, 0, 0) + request)
    blocks: list[bytes] = []
    while True:
        head = await reader.readexactly(9)
        if head.startswith(b"HTTP/"):
            raise Malformed("the target speaks HTTP/1")
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        if length > _LONGEST_HEAD:
            raise Malformed("not an HTTP/2 frame")
        payload = await reader.readexactly(length)
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_GOAWAY, _RST_STREAM):
            raise Malformed("the target ended the stream")
        elif kind in (_HEADERS, _CONTINUATION):
            if kind == _HEADERS:
                pad = payload[0] if flags & _PADDED else 0
                start = (1 if flags & _PADDED else 0) + (5 if flags & _PRIORITY else 0)
                payload = payload[start : len(payload) - pad]
            blocks.append(payload)
            if not grpc and flags & _END_HEADERS:
                code = _status(blocks[0])
                return OK if accepts(check.matcher, code) else mismatch(code)
        if grpc and kind in (_DATA, _HEADERS, _CONTINUATION) and flags & _END_STREAM:
            break
    answer = _grpc_status(b"".join(blocks))
    if answer is None:
        # No gRPC answer at all: the HTTP status is what is left to report.
        return mismatch(_status(blocks[0]))
    return OK if accepts(check.matcher, answer) else mismatch(answer)


def _status(block: bytes) -> int:
    """`:status` comes first in a response; a dynamic table update may precede it."""
    while block and block[0] & 0xE0 == 0x20:
        block = block[1:]
    if not block:
        raise Malformed("no :status")
    first = block[0]
    if first & 0x80:
        code = _STATIC_STATUS.get(first & 0x7F)
        if code is None:
            raise Malformed("no :status")
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
    if not coded:
        raise Malformed("a header without value")
    length, plain = coded[0] & 0x7F, coded[1 : 1 + (coded[0] & 0x7F)]
    if len(plain) < length:
        raise Malformed("a header is cut off")
    if not coded[0] & 0x80:
        text = plain.decode("latin-1")
    else:
        bits = "".join(f"{byte:08b}" for byte in plain)
        text, prefix = "", ""
        for bit in bits:
            prefix += bit
            if prefix in _HUFFMAN_DIGITS:
                text, prefix = text + _HUFFMAN_DIGITS[prefix], ""
    if not text.isdigit():
        raise Malformed("a status is not a number")
    return text
