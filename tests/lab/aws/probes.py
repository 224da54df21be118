"""One health check as a load balancer sends it: TCP connect, HTTP/1.1, or HTTP/2 (gRPC, too), with or without TLS."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

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


async def _http2(check: Check, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Outcome:
    grpc = check.version == "GRPC"
    connection = H2Connection(H2Configuration(header_encoding="utf-8", validate_inbound_headers=False))
    connection.initiate_connection()
    headers = [
        (":method", "POST" if grpc else "GET"),
        (":scheme", "https" if check.protocol == "HTTPS" else "http"),
        (":path", check.path),
        (":authority", check.host),
        ("user-agent", USER_AGENT),
    ]
    if grpc:
        headers += [("content-type", "application/grpc"), ("te", "trailers")]
    connection.send_headers(1, headers, end_stream=not grpc)
    if grpc:
        connection.send_data(1, b"\x00\x00\x00\x00\x00", end_stream=True)  # one empty message
    answer: dict[str, str] = {}
    taken = 0
    while True:
        writer.write(connection.data_to_send())
        data = await reader.read(_LONGEST_HEAD)
        taken += len(data)
        if not data or taken > _LONGEST_HEAD:
            raise Malformed("no answer")
        try:
            events = connection.receive_data(data)
        except ProtocolError as error:
            raise Malformed(str(error)) from error
        for event in events:
            if isinstance(event, (ResponseReceived, TrailersReceived)):
                answer |= dict(event.headers)
                if not grpc:
                    return _verdict(check, answer.get(":status"))
            elif isinstance(event, StreamEnded):
                # No gRPC answer at all: the HTTP status is what is left to report.
                missing = "grpc-status" not in answer
                return _verdict(check, answer.get(":status" if missing else "grpc-status"), never=missing)
            elif isinstance(event, (StreamReset, ConnectionTerminated)):
                raise Malformed("the target ended the stream")


def _verdict(check: Check, answered: str | None, never: bool = False) -> Outcome:
    """What the target's code is worth; `never`: it is not of the kind that the matcher is about."""
    if answered is None or not answered.isdigit():
        raise Malformed("no status")
    return OK if accepts(check.matcher, int(answered)) and not never else mismatch(int(answered))
