"""HTTP as the API server speaks it: compact JSON, in chunks above 2 KiB, gzipped above 128 KiB where it is wanted.

Both limits are seen on a 1.34 API server; the first is of Go's net/http, the second of
https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/writers.go
"""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.api_requests import Answer, Asked, parse, refusal

UNCHUNKED = 2048
GZIP_ABOVE = 128 * 1024
_CHUNK = 4096
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
_REPRESENTATIONS = (
    "application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, "
    "application/vnd.kubernetes.protobuf;stream=watch"
)

Respond = Callable[[Asked, Any, str], Any]
"""The document, text or Stream for a request, given its JSON body and the content type of that; may raise Answer."""


@dataclass(frozen=True)
class Stream:
    """An answer whose length is not known before: always sent in chunks, never packed."""

    chunks: Iterable[bytes]
    content_type: str


class HttpServer:
    """Serves `respond` on a local port from many threads. `headers` keeps those of every request, `packed` the paths
    whose answers were gzipped."""

    def __init__(self, respond: Respond) -> None:
        self.headers: list[Any] = []
        self.packed: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body are two writes: without this the second waits 40 ms for the client's delayed ACK.
            disable_nagle_algorithm = True

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                server.headers.append(self.headers)
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                try:
                    _send(self, _answer(self, body, respond), server.packed)
                except OSError:
                    self.close_connection = True

            do_POST = do_PATCH = do_DELETE = do_GET

        class Server(ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *args: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(request: BaseHTTPRequestHandler, body: Any, respond: Respond) -> Answer:
    parts = urlsplit(request.path)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    try:
        asked = parse(_VERBS[request.command], parts.path, query)
        accepted = request.headers.get("Accept", "*/*")
        if "/" not in asked.resource and not re.search(r"\*/\*|application/(json|\*)", accepted):
            message = f"406: Not Acceptable\n\nAvailable representations: {_REPRESENTATIONS}"
            raise refusal(406, "NotAcceptable", message, {})
        return Answer(
            201 if asked.verb == "create" else 200, respond(asked, body, request.headers.get("Content-Type", ""))
        )
    except Answer as other:
        return other


def _send(request: BaseHTTPRequestHandler, answer: Answer, packed: list[str]) -> None:
    body = answer.body
    request.send_response(answer.status)
    kind = "text/plain" if isinstance(body, str) else "application/json"
    if isinstance(body, Stream):
        kind, chunks = body.content_type, body.chunks
    else:
        data = body.encode() if isinstance(body, str) else as_json(body)
        chunks = (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
    headers = {"Audit-Id": "1", "Cache-Control": "no-cache, private", "Content-Type": kind, **answer.headers}
    if isinstance(body, dict) and len(data) > GZIP_ABOVE and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        chunks = _gzipped(chunks)
        packed.append(urlsplit(request.path).path)
    for name, value in headers.items():
        request.send_header(name, value)
    if not isinstance(body, Stream) and len(data) <= UNCHUNKED:
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
        return
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    for chunk in filter(None, chunks):  # an empty one would end the body
        request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    request.wfile.write(b"0\r\n\r\n")


def _gzipped(chunks: Iterable[bytes]) -> Iterable[bytes]:
    packer = zlib.compressobj(level=1, wbits=16 + zlib.MAX_WBITS)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def as_json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
