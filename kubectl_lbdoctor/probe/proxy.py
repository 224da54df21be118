"""The API server's pod proxy: an HTTP request to the pod's own address, and nothing is created for it.

The API server passes Host and User-Agent on, strips the credentials, and follows nothing (seen with 1.34). It cleans
the path, speaks HTTP/2 to a TLS target that offers it, and rewrites a Location that stays on the target. Where it gets
no answer it answers itself, with a Status of 503 (502 in old versions): that must not be taken for the application's.
"""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import unquote, urlsplit

from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport, inconclusive
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe.requests import USER_AGENT

_MAX_BODY = 4096
"""Bytes of an answer's body that are read: the API server's own words fit."""

_UNREACHED = "error trying to reach service: "

# The API server's words (Go's net, crypto/tls and net/http) when it got no HTTP answer, and what they mean.
_ERRORS = (
    (re.compile(r"connect: connection refused"), Outcome.REFUSED),
    (re.compile(r"i/o timeout|deadline exceeded|Client\.Timeout|handshake timeout"), Outcome.TIMEOUT),
    (
        re.compile(r"malformed HTTP|HTTP/1\.x transport connection broken|http2: |bad status|protocol error"),
        Outcome.GARBLED,
    ),
    (re.compile(r"\btls: |x509: |remote error: "), Outcome.TLS),
    (re.compile(r"connection reset by peer|\bEOF\b|broken pipe|server closed idle connection"), Outcome.CLOSED),
)


def send(kube: KubeReader, request: ProbeRequest, timeout: float) -> ProbeAnswer:
    """The answer to one request; inconclusive where the pod proxy cannot say what the target does."""
    reason = unsupported_reason(request)
    if reason:
        return _inconclusive(request, reason)
    # A TCP check connects and says nothing. The proxy can only speak HTTP: whatever comes of it, it was connected.
    path = request.path or "/"
    scheme = "https:" if request.protocol == "HTTPS" else ""
    pod = kinds.POD.path(request.namespace, f"{scheme}{request.pod}:{request.port}")
    prefix = f"{pod}/proxy"
    headers = {"User-Agent": USER_AGENT, **({"Host": request.host} if request.host else {})}
    begun = time.monotonic()
    try:
        status, answered, body = kube.exchange(prefix + path, headers, timeout, _MAX_BODY)
    except TimeoutError:
        seconds = time.monotonic() - begun
        if timeout < request.timeout:
            return _inconclusive(
                request, f"no answer within {timeout:.1f}s (the check waits {request.timeout:g}s)", seconds
            )
        return ProbeAnswer(
            request, Transport.PROXY, Outcome.TIMEOUT, seconds=seconds, detail=f"no answer in {timeout:g}s"
        )
    except LbdoctorError as error:
        return _inconclusive(request, error.message)
    return decode(request, status, answered, body, time.monotonic() - begun, prefix)


def unsupported_reason(request: ProbeRequest) -> str:
    """Why the pod proxy cannot send this request as it is; "" when it can."""
    if not request.pod:
        return "the target is no pod, and the API server's proxy leads to pods"
    if request.version != "HTTP1":
        return f"the API server's proxy cannot be held to {'gRPC' if request.version == 'GRPC' else 'HTTP/2'}"
    if request.proxy_protocol:
        return "the API server's proxy sends no header of proxy protocol"
    if request.tls:
        return f"the API server's proxy cannot be held to TLS {request.tls}"
    path, _, _ = request.path.partition("?")
    whole = path.startswith("/") or not request.path  # A TCP check has none.
    if not whole or "//" in path or "%2f" in path.lower() or "#" in request.path or _leads_elsewhere(path):
        return "the API server's proxy would change the path"
    return ""


def _leads_elsewhere(path: str) -> bool:
    """Whether a path has segments that a gateway before the API server might resolve. Some decode more than once, take
    a backslash for a slash, or pass over what stands behind a semicolon ("/..;/")."""
    for _ in range(3):
        path = unquote(path)
    segments = re.split(r"[/\\]", path)
    return any(segment.partition(";")[0] in (".", "..") for segment in segments)


def decode(
    request: ProbeRequest, status: int, headers: Any, body: bytes, seconds: float, prefix: str = ""
) -> ProbeAnswer:
    """Tell the application's answer from the API server's own."""
    if "Audit-Id" not in headers:
        # Every answer of an API server carries one, whoever is behind it.
        return _inconclusive(request, f"something in front of the API server answered {status} in its place", seconds)
    said = _status_document(body) if status >= 400 else None
    text = str((said or {}).get("message") or "")
    if said is None and status in (502, 503) and body.startswith(_UNREACHED.encode()):
        text = " ".join(body.decode("utf-8", "replace").split())
    if text.startswith(_UNREACHED):
        return _unreached(request, text.removeprefix(_UNREACHED), seconds)
    if said is not None:
        refusal = _refusal(request, status, text)
        if refusal:
            permission = _permission(request) if _is_denied(status, text) else None
            return inconclusive(request, Transport.PROXY, refusal, permission=permission, seconds=seconds)
    if request.protocol == "TCP":
        return ProbeAnswer(request, Transport.PROXY, Outcome.ANSWERED, seconds=seconds, detail="connected")
    location = _location(str(headers.get("Location") or ""), prefix)
    return ProbeAnswer(request, Transport.PROXY, Outcome.ANSWERED, status, location, seconds)


def _unreached(request: ProbeRequest, said: str, seconds: float) -> ProbeAnswer:
    outcome = next((kind for pattern, kind in _ERRORS if pattern.search(said)), Outcome.INCONCLUSIVE)
    if request.protocol == "TCP" and outcome in (Outcome.GARBLED, Outcome.CLOSED, Outcome.TLS):
        return ProbeAnswer(request, Transport.PROXY, Outcome.ANSWERED, seconds=seconds, detail="connected")
    return ProbeAnswer(request, Transport.PROXY, outcome, seconds=seconds, detail=said)


def _refusal(request: ProbeRequest, status: int, text: str) -> str:
    """Why the API server did not send the request at all; "" when the Status is the application's (which may be
    another API server)."""
    if _is_denied(status, text):
        return f"may not {_permission(request)}: {text}"
    if status == 401 and text == "Unauthorized":
        return "the API server or the application answered 401 Unauthorized: which one cannot be told"
    if status == 404 and text == f'pods "{request.pod}" not found':
        return "the pod is gone"
    if status in (400, 500) and "address not allowed" in text:
        return text
    if status == 429 and "too many requests" in text.lower():
        return f"the API server is overloaded: {text}"
    return ""


def _permission(request: ProbeRequest) -> Permission:
    return Permission(("get",), "pods/proxy", namespace=request.namespace)


def _is_denied(status: int, text: str) -> bool:
    """Whether a Status denies the pod proxy itself; the application may be another API server that denies something."""
    return status == 403 and '"pods/proxy"' in text


def _location(location: str, prefix: str) -> str:
    """Where a redirect leads for the load balancer: the proxy prefixes its own path to what stays on the target. What
    is no address stays as the application wrote it."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return location
    if prefix and parts.path.startswith(prefix):
        return parts._replace(scheme="", netloc="", path=parts.path.removeprefix(prefix) or "/").geturl()
    return location


def _status_document(body: bytes) -> dict[str, Any] | None:
    import orjson

    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) and document.get("kind") == "Status" else None


def _inconclusive(request: ProbeRequest, reason: str, seconds: float = 0.0) -> ProbeAnswer:
    return inconclusive(request, Transport.PROXY, reason, seconds=seconds)
