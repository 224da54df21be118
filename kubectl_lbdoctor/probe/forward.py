"""The API server's port-forward: bytes to and from the loopback of a pod's network namespace; nothing is created.

kubelet connects to `localhost` inside the pod. Where that works and the pod's own address refuses, the application
listens on the loopback alone. Connection, credentials and proxy are those of the kubeconfig; the protocol is
`v4.channel.k8s.io`: each message begins with its channel, 0 for data and 1 for kubelet's errors, and the first message
of each channel names the port. https://kubernetes.io/docs/reference/using-api/api-concepts/ (WebSocket)
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from kubectl_lbdoctor.collect.deadline import Deadline
from kubectl_lbdoctor.collect.deadline import Late as TooSlow
from kubectl_lbdoctor.collect.kubernetes_api.client import GRACE, KubeReader
from kubectl_lbdoctor.collect.kubernetes_api.configuration import Configuration
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import KubeContext
from kubectl_lbdoctor.collect.kubernetes_api.socks_proxy import connect
from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport, inconclusive
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe.stream import MAX_ANSWER, Broken, Late, Refused
from kubectl_lbdoctor.probe.wire import converse

SILENCE = 1.0
"""Seconds without kubelet's "connection refused" after which a connection stands: it says nothing when one does."""

_DATA, _ERROR = 0, 1

_MOST = 4 * MAX_ANSWER
"""Bytes that come through one port-forward: an answer and the frames around it."""


def send(kube: KubeReader, request: ProbeRequest, timeout: float) -> ProbeAnswer:
    """The answer to one request on the pod's loopback. timeout: seconds for all of it, the connection included."""
    if not request.pod:
        return _answer(request, Outcome.INCONCLUSIVE, "the target is no pod, and port-forward leads to pods")
    deadline = time.monotonic() + timeout
    channel: list[Any] = []
    try:
        return Deadline().bound(
            "port-forward",
            lambda: _asked(kube, request, deadline, channel),
            lambda: deadline + GRACE - time.monotonic(),
        )
    except TooSlow:
        # A limit of a socket begins anew with every byte. What reads there now finds its end.
        _hang_up(channel)
        return _answer(
            request, Outcome.INCONCLUSIVE, f"the port-forward did not come to an end in {timeout:g}s", timeout
        )


def _hang_up(channel: list[Any]) -> None:
    for opened in channel:
        with suppress(OSError, AttributeError):  # There is no socket before it is connected.
            opened.sock.shutdown(socket.SHUT_RDWR)


def _asked(kube: KubeReader, request: ProbeRequest, deadline: float, channel: list[Any]) -> ProbeAnswer:
    """The answer, by the deadline where the other end sends what it sends at once. channel: gets what is opened."""
    begun = time.monotonic()
    try:
        with _Forwarded(kube, request, deadline, channel) as stream:
            begun = time.monotonic()
            if request.protocol == "TCP":
                stream.settle(min(deadline, begun + SILENCE))
                return _answer(request, Outcome.ANSWERED, "connected", time.monotonic() - begun)
            said = converse(stream, request)
        seconds = time.monotonic() - begun
        return ProbeAnswer(request, Transport.FORWARD, said.outcome, said.status, said.location, seconds, said.detail)
    except Refused as refused:
        return _answer(request, Outcome.REFUSED, str(refused), time.monotonic() - begun)
    except Late:
        seconds = time.monotonic() - begun
        if seconds + 0.1 < request.timeout:
            what = f"no answer within {seconds:.1f}s (the check waits {request.timeout:g}s)"
            return _answer(request, Outcome.INCONCLUSIVE, what, seconds)
        return _answer(request, Outcome.TIMEOUT, f"no answer in {request.timeout:g}s", seconds)
    except Denied as denied:
        return inconclusive(request, Transport.FORWARD, str(denied), permission=denied.permission)
    except Broken as broken:
        return _answer(request, Outcome.INCONCLUSIVE, str(broken), time.monotonic() - begun)
    except LbdoctorError as error:
        return _answer(request, Outcome.INCONCLUSIVE, error.message)


def _answer(request: ProbeRequest, outcome: Outcome, detail: str, seconds: float = 0.0) -> ProbeAnswer:
    return ProbeAnswer(request, Transport.FORWARD, outcome, seconds=seconds, detail=detail)


class Denied(Broken):
    """This user may not open a port-forward. permission: what to add."""

    def __init__(self, message: str, permission: Permission) -> None:
        super().__init__(message)
        self.permission = permission


class _Forwarded:
    """A connection to one port of a pod's loopback (see wire.Stream)."""

    def __init__(self, kube: KubeReader, request: ProbeRequest, deadline: float, channel: list[Any]) -> None:
        self._deadline = deadline
        self._socket = _open(kube, request, deadline, channel)
        self._begun = {_DATA: False, _ERROR: False}

    def __enter__(self) -> _Forwarded:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown()

    def settle(self, until: float) -> None:
        """Wait until the connection stands: data comes, or no refusal does. Raises Refused."""
        try:
            while not self._next(until):
                pass
        except Late:
            return
        except EOFError:
            raise Broken("the port-forward ended before it told whether the pod accepts connections") from None

    def send(self, data: bytes) -> None:
        import websocket

        try:
            self._socket.settimeout(max(self._deadline - time.monotonic(), 0.01))
            self._socket.send_binary(bytes((_DATA,)) + data)
        except websocket.WebSocketTimeoutException as error:
            raise Late from error
        except (websocket.WebSocketException, OSError) as error:
            self._say_why(error)

    def _say_why(self, error: Exception) -> NoReturn:
        """Where the other end has hung up, kubelet's reason may be waiting to be read."""
        try:
            until = time.monotonic() + 0.2
            while True:
                self._next(until)
        except (Late, EOFError, Broken):
            raise Broken(f"the port-forward broke: {error}") from error

    def receive(self) -> bytes:
        try:
            while True:
                data = self._next(self._deadline)
                if data:
                    return data
        except EOFError:
            return b""

    def _next(self, until: float) -> bytes:
        """The data of one message (b"" for one without). Raises Late, Refused, Broken, and EOFError at the end."""
        import websocket

        left = until - time.monotonic()
        if left <= 0:
            raise Late
        try:
            self._socket.settimeout(left)
            kind, message = self._socket.recv_data()
        except websocket.WebSocketTimeoutException as error:
            raise Late from error
        except websocket.WebSocketConnectionClosedException as error:
            raise EOFError from error
        except (websocket.WebSocketException, OSError) as error:
            raise Broken(f"the port-forward broke: {error}") from error
        if kind == websocket.ABNF.OPCODE_CLOSE:
            raise EOFError
        if not message:
            return b""
        channel, payload = message[0], message[1:]
        if channel in self._begun and not self._begun[channel]:
            self._begun[channel] = True
            payload = payload[2:]
        if channel == _ERROR and payload:
            raise _failure(payload.decode("utf-8", "replace"))
        return bytes(payload) if channel == _DATA else b""


def _failure(said: str) -> Exception:
    """kubelet's words on the error channel: only a refusal is the pod's, all else is the way's."""
    text = " ".join(said.split())
    if "refused" in text.lower():
        return Refused("connection refused on the pod's loopback")
    if re.search(r"reset by peer|broken pipe|EOF", text):
        return EOFError(text)
    return Broken(f"port-forward: {text[:300]}")


class _Bounded:
    """A socket that gives no more than a probe looks at: the length of a frame is what the other end says it is."""

    def __init__(self, connected: Any) -> None:
        self._connected = connected
        self._left = _MOST

    def recv(self, size: int) -> bytes:
        data: bytes = self._connected.recv(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"more than {_MOST >> 10} KiB came")
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connected, name)


def _open(kube: KubeReader, request: ProbeRequest, deadline: float, opened: list[Any]) -> Any:
    import websocket

    server = urlsplit(kube.context.server)
    scheme = "wss" if server.scheme == "https" else "ws"
    path = f"{kinds.POD.path(request.namespace, request.pod)}/portforward?ports={request.port}"
    credentials = [
        f"{name}: {value}"
        for name, value in kube.headers(as_text=True).items()
        if name.lower() in ("authorization", "user-agent") or name.lower().startswith("impersonate-")
    ]
    url, begun = f"{scheme}://{server.netloc}{server.path}{path}", time.monotonic()
    channel: Any = websocket.WebSocket(sslopt=_tls(kube.context), enable_multithread=False)
    opened.append(channel)
    try:
        if kube.context.socks:
            way: dict[str, Any] = {"socket": _through_socks(kube.context, max(deadline - time.monotonic(), 0.01))}
        else:
            way = _proxy(kube.context.configuration, server.hostname or "")
        channel.connect(
            url,
            header=credentials,
            subprotocols=["v4.channel.k8s.io"],
            suppress_origin=True,
            timeout=max(deadline - time.monotonic(), 0.01),
            redirect_limit=0,
            **way,
        )
    except websocket.WebSocketBadStatusException as error:
        raise _refused(request, error) from error
    except websocket.WebSocketTimeoutException as error:
        raise Broken("the API server did not open the port-forward in time") from error
    except (websocket.WebSocketException, OSError, ValueError) as error:
        raise Broken(f"the API server opened no port-forward: {type(error).__name__}: {error}") from error
    if kube.log is not None:
        answered = (channel.getheaders() or {}).items()
        kube.log.ended("GET", url, begun, channel.getstatus() or 0, (c.split(": ", 1) for c in credentials), answered)
    if channel.getstatus() != 101:
        raise Broken(f"the API server opened no port-forward: it answered {channel.getstatus()}")
    channel.sock = _Bounded(channel.sock)
    return channel


def _refused(request: ProbeRequest, error: Any) -> Broken:
    import orjson

    try:
        document = orjson.loads(error.resp_body or b"")
        said = str(document.get("message") or "") if isinstance(document, dict) else ""
    except orjson.JSONDecodeError:
        said = ""
    if error.status_code == 403:
        # A WebSocket begins with a GET; API servers since 1.35 ask for `create`, too.
        permission = Permission(("get", "create"), "pods/portforward", namespace=request.namespace)
        return Denied(f"may not {permission}: {said or 'forbidden'}", permission)
    return Broken(f"the API server opened no port-forward: it answered {error.status_code} {said}".rstrip())


def _tls(context: KubeContext) -> dict[str, Any]:
    """The kubeconfig's certificates in the terms of websocket-client."""
    if not context.server.startswith("https:"):
        return {}
    options: dict[str, Any] = {"context": context.tls.context()}
    if context.tls.server_name:
        options["server_hostname"] = context.tls.server_name
    return options


def _through_socks(context: KubeContext, timeout: float) -> Any:
    """A connection to the API server through the SOCKS proxy, with TLS where the server speaks it."""
    server = urlsplit(context.server)
    secure = server.scheme == "https"
    connection = connect(context.socks, server.hostname or "", server.port or (443 if secure else 80), timeout)
    if not secure:
        return connection
    return context.tls.context().wrap_socket(connection, server_hostname=context.tls.server_name or server.hostname)


def _proxy(configuration: Configuration, host: str) -> dict[str, Any]:
    """The proxy that the other requests take; never the environment's by websocket-client's own rules."""
    from requests.utils import should_bypass_proxies

    if not configuration.proxy or should_bypass_proxies(f"https://{host}", no_proxy=configuration.no_proxy or ""):
        return {"http_no_proxy": [host]}
    proxy = urlsplit(configuration.proxy)
    options: dict[str, Any] = {
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port or (443 if proxy.scheme == "https" else 80),
        "proxy_type": "http",
        "http_no_proxy": ["-"],
    }
    if proxy.username:
        options["http_proxy_auth"] = (unquote(proxy.username), unquote(proxy.password or ""))
    return options
