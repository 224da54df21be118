"""One health check over a stream of bytes, as the load balancer speaks: TCP connect, HTTP/1.1, HTTP/2 and gRPC, with or
without TLS.

The stream leads through the API server. HTTP/1.1 is written here, because the request has to be the load balancer's
byte for byte; HTTP/2 is in http2.py. What comes in is untrusted and bounded.
"""

from __future__ import annotations

import ssl

from kubectl_lbdoctor.model.probe import Outcome, ProbeRequest
from kubectl_lbdoctor.probe.requests import USER_AGENT
from kubectl_lbdoctor.probe.stream import MAX_ANSWER, Garbled, Late, Reader, Said, Stream, shown

PROXY_HEADER = b"\r\n\r\n\x00\r\nQUIT\n" + b"\x20\x00\x00\x00"
"""Of proxy protocol v2: its signature, version 2 with the command LOCAL, and no addresses, because a check stands for
no client. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt (2.2)"""


def converse(stream: Stream, request: ProbeRequest) -> Said:
    """Send the request over a connected stream and tell what became of it. Raises Broken, Refused and Late."""
    if request.proxy_protocol:
        stream.send(PROXY_HEADER)
    try:
        if request.protocol == "HTTPS":
            stream = _Tls(stream, request)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", "") or str(error)
        return Said(Outcome.TLS, detail=f"TLS handshake: {reason}".replace("_", " ").lower())
    except EOFError:
        return Said(Outcome.CLOSED, detail="closed during the TLS handshake")
    try:
        if request.version == "HTTP1":
            return _http1(stream, request)
        # Loaded for the few probes that need it.
        from kubectl_lbdoctor.probe import http2

        return http2.exchange(stream, request)
    except EOFError:
        return Said(Outcome.CLOSED, detail="closed without an answer")
    except ssl.SSLError as error:
        return Said(Outcome.TLS, detail=f"TLS: {error.reason or error}".replace("_", " ").lower())
    except Garbled as error:
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


# --- HTTP/1.1 --------------------------------------------------------------------------------------------------------


_MOST_INTERIM = 8


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
    reader = Reader(stream)
    for _ in range(_MOST_INTERIM + 1):
        status, location = _answer(reader)
        # 1xx comes before the answer, and says nothing of it; 101 is one (RFC 9110, 15.2).
        if not 100 <= status < 200 or status == 101:
            return Said(Outcome.ANSWERED, status, location)
    raise Garbled(f"more than {_MOST_INTERIM} interim answers (1xx) before one that counts")


def _answer(reader: Reader) -> tuple[int, str]:
    """The status of one answer, and where it points to ("" for nowhere). Raises Garbled for what is no HTTP/1.1."""
    if reader.start(5) != b"HTTP/":
        raise Garbled(f"no HTTP/1.1 answer: it begins with {shown(reader.start(5))}")
    line = reader.until(b"\n")
    words = line.split(None, 2)
    if len(words) < 2 or len(words[1]) != 3 or not words[1].isdigit():
        raise Garbled(f"no HTTP/1.1 answer: it begins with {shown(line)}")
    location = ""
    try:
        while line := reader.until(b"\n").strip():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"location":
                location = value.strip().decode("latin-1")
    except (EOFError, Garbled, Late):
        pass  # the status is what counts, and it is here
    return int(words[1]), location
