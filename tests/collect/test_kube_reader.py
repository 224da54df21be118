"""KubeReader over real HTTP: kmock where it can play the API server, a small HTTP server where it cannot."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.collect.kubernetes_api import client as kube
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader, permission_of
from kubectl_lbdoctor.collect.kubernetes_api.configuration import bearer, bearer_refused
from kubectl_lbdoctor.collect.kubernetes_api.credentials import RenewingToken
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import KubeContext, load_kube_context
from kubectl_lbdoctor.errors import ApiMissing, CouldNotRun, ReadDenied, ReadFailed, Unreachable
from kubectl_lbdoctor.options import KubeOptions

PODS = "/api/v1/namespaces/shop/pods"
TGBS = "/apis/elbv2.k8s.aws/v1beta1/namespaces/shop/targetgroupbindings"


@dataclass
class Request:
    path: str
    query: dict[str, str]
    headers: Any


class Cut(Exception):
    """Raised by a body that is sent chunked: the server closes the connection in the middle."""


@dataclass
class Response:
    """`body` as an iterator is sent chunked, as it comes."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Unhurried:
    """A body of a length that is known, sent byte by byte until a test stops it."""

    text: bytes
    stop: threading.Event = field(default_factory=threading.Event)

    def send(self, to: Any) -> None:
        for byte in self.text:
            if self.stop.wait(0.02):
                return
            to.write(bytes([byte]))


def status(code: int, message: str = "", reason: str = "", headers: dict[str, str] | None = None) -> Response:
    """A refusal as the API server words it."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Response(json.dumps(document).encode(), code, {"Content-Type": "application/json", **(headers or {})})


def as_json(document: Any) -> Response:
    return Response(json.dumps(document).encode(), headers={"Content-Type": "application/json"})


def chunks(data: bytes, size: int = 4096) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def big(document: Any, content_type: str = "application/json", code: int = 200) -> Response:
    """As the API server sends what is above 128 KiB: gzipped and chunked."""
    data = gzip.compress(json.dumps(document).encode(), 1)
    return Response(chunks(data), code, {"Content-Type": content_type, "Content-Encoding": "gzip"})


NO_SUCH_API = Response(b"404 page not found\n", 404, {"Content-Type": "text/plain; charset=utf-8"})


class Api:
    """An HTTP/1.1 server whose answers a test scripts; keeps every request and counts connections."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.answer: Callable[[Request], Response] = lambda request: NO_SUCH_API
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                api.connections += 1
                super().setup()

            def log_message(self, *args: Any) -> None:
                pass

            def do_PATCH(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                request = Request(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}, self.headers)
                api.requests.append(request)
                response = api.answer(request)
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                if isinstance(response.body, Unhurried):
                    self.send_header("Content-Length", str(len(response.body.text)))
                    self.end_headers()
                    response.body.send(self.wfile)
                    return
                if isinstance(response.body, bytes):
                    self.send_header("Content-Length", str(len(response.body)))
                    self.end_headers()
                    self.wfile.write(response.body)
                    return
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for chunk in response.body:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.write(b"0\r\n\r\n")
                except (OSError, Cut):
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # with the default of 5, the 16 threads of a test wait for repeated SYNs

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.handle_error = lambda *args: None  # type: ignore[method-assign]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def sequence(self, *responses: Response) -> None:
        """One answer after the other; the last one again and again."""
        left = list(responses)
        self.answer = lambda request: left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    yield server
    server.close()


@pytest.fixture
def context_for(tmp_path: Path) -> Callable[..., KubeContext]:
    """A context "dev" for a server, through a real kubeconfig file. Credentials are read for https alone; here a server
    without TLS gets them all the same."""

    def make(
        url: str,
        user: dict[str, Any] | None = None,
        cluster: dict[str, Any] | None = None,
        options: KubeOptions | None = None,
    ) -> KubeContext:
        path = tmp_path / "config"
        secure = url.replace("http://", "https://")
        path.write_text(
            json.dumps(
                {
                    "current-context": "dev",
                    "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": secure, **(cluster or {})}}],
                    "users": [{"name": "u", "user": user if user is not None else {"token": "secret"}}],
                }
            )
        )
        context = load_kube_context(options or KubeOptions(), {"KUBECONFIG": str(path)})
        return replace(context, server=url) if url != secure else context

    return make


@pytest.fixture
def reader(api: Api, context_for: Callable[..., KubeContext]) -> Iterator[KubeReader]:
    made = KubeReader(context_for(api.url), sleep=lambda seconds: None)
    yield made
    made.close()


# --- Against kmock ---


@pytest.fixture
def emulator() -> Iterator[Any]:
    """kmock's Kubernetes emulator on a real port, in a thread of its own (its pytest plugin is for asyncio tests)."""
    kmock = pytest.importorskip("kmock", reason="kmock needs Python 3.11")
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    made: dict[str, Any] = {}

    async def serve() -> None:
        made["stop"] = asyncio.Event()
        async with kmock.KubernetesEmulator() as handler, kmock.Server(handler) as server:
            made["handler"], made["url"] = handler, str(server.url).rstrip("/")
            ready.set()
            await made["stop"].wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(5)
    yield made
    loop.call_soon_threadsafe(made["stop"].set)
    thread.join(5)
    loop.close()


def test_get_and_list_on_kmock(emulator: Any, context_for: Callable[..., KubeContext]) -> None:
    handler = emulator["handler"]
    handler.resources["v1/pods"] = {"kind": "Pod", "namespaced": True}
    for name in ("a", "b"):
        handler.objects["v1/pods", "shop", name] = {"metadata": {"name": name, "namespace": "shop"}}
    reader = KubeReader(context_for(emulator["url"]))
    assert [pod["metadata"]["name"] for pod in reader.list(PODS)] == ["a", "b"]
    assert reader.get(f"{PODS}/b") == {"metadata": {"name": "b", "namespace": "shop"}}
    assert (reader.get("/version") or {})["major"] == "1"
    assert reader.get(f"{PODS}/c") is None
    assert reader.calls == {"list pods": 1, "get pods": 2, "get /version": 1}
    reader.close()


# --- Absent or missing ---


def test_missing_api_is_not_a_missing_object(api: Api, reader: KubeReader) -> None:
    api.sequence(NO_SUCH_API)
    with pytest.raises(ApiMissing):
        reader.get(f"{TGBS}/web")
    with pytest.raises(ApiMissing):
        list(reader.list(TGBS))
    api.sequence(status(404, "the server could not find the requested resource", "NotFound"))
    with pytest.raises(ApiMissing):
        reader.get("/apis/apps/v1/namespaces/shop/nosuchkind/web")
    api.sequence(status(404, 'targetgroupbindings.elbv2.k8s.aws "web" not found', "NotFound"))
    assert reader.get(f"{TGBS}/web") is None


# --- Lists ---


def page(*names: str, token: str = "") -> Response:
    return as_json({"metadata": {"continue": token}, "items": [{"metadata": {"uid": name}} for name in names]})


def uids(reader: KubeReader, **params: Any) -> list[str]:
    return [item["metadata"]["uid"] for item in reader.list(PODS, params)]


def test_list_follows_pages(api: Api, reader: KubeReader) -> None:
    api.sequence(page("a", "b", token="t1"), page("c", token="t2"), page("d"))
    assert uids(reader, labelSelector="app=web", resourceVersion="0", resourceVersionMatch="NotOlderThan") == list(
        "abcd"
    )
    first, second, third = (request.query for request in api.requests)
    assert first == {
        "limit": "500", "labelSelector": "app=web", "resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"
    }  # fmt: skip
    assert second == {"limit": "500", "labelSelector": "app=web", "continue": "t1"}
    assert third["continue"] == "t2"
    assert api.connections == 1


def test_pages_are_read_when_they_are_needed(api: Api, reader: KubeReader) -> None:
    api.sequence(page("a", token="t1"), page("b"))
    items = reader.list(PODS)
    assert not api.requests
    assert next(items)["metadata"]["uid"] == "a"
    assert len(api.requests) == 1


def test_null_items_are_an_empty_list(api: Api, reader: KubeReader) -> None:
    api.sequence(as_json({"kind": "PodList", "metadata": {}, "items": None}))
    assert uids(reader) == []
    api.sequence(as_json({"items": None}))
    with pytest.raises(ReadFailed, match="an object without kind instead of PodList"):
        uids(reader)


def test_a_404_means_absent_for_custom_resources_alone(api: Api, reader: KubeReader) -> None:
    """Behind a gateway with a wrong path everything is a 404: no list is empty by that, and no object absent."""
    html = Response(b"<html><h1>Not Found</h1></html>", 404, {"Content-Type": "text/html"})
    for answer in (NO_SUCH_API, html, status(404, "the server could not find the requested resource", "NotFound")):
        api.sequence(answer)
        with pytest.raises(ReadFailed, match=r"could not list pods in namespace shop: .* answered 404"):
            uids(reader)
    api.sequence(html)
    with pytest.raises(ReadFailed, match="answered 404"):
        list(reader.list(TGBS))
    with pytest.raises(ReadFailed, match="answered 404"):
        reader.get(f"{PODS}/a")


@pytest.mark.parametrize("kind", ["ConfigMapList", "List", "Pod", "Status"])
@pytest.mark.parametrize("items", [[], None])
def test_another_list_is_not_an_empty_one(api: Api, reader: KubeReader, kind: str, items: Any) -> None:
    api.sequence(as_json({"kind": kind, "metadata": {}, "items": items}))
    with pytest.raises(ReadFailed, match=f"{kind}"):
        uids(reader)


@pytest.mark.parametrize(
    "metadata",
    [[], "x", 5, {"continue": 5}, {"continue": ["t"]}, {"remainingItemCount": 7}, {"remainingItemCount": "x"}],
)
def test_a_list_that_does_not_say_whether_it_goes_on_is_none(api: Api, reader: KubeReader, metadata: Any) -> None:
    api.sequence(as_json({"metadata": metadata, "items": []}))
    with pytest.raises(ReadFailed, match="metadata cannot be understood"):
        uids(reader)


def test_odd_items_are_given_as_they_are(api: Api, reader: KubeReader) -> None:
    odd = [None, 1, [], {"metadata": []}, {"metadata": {"uid": "a"}}]
    api.sequence(as_json({"metadata": {"continue": "t"}, "items": odd}), page("b"))
    assert list(reader.list(PODS)) == [*odd, {"metadata": {"uid": "b"}}]


def test_pages_that_bring_nothing_new_end_the_list(api: Api, reader: KubeReader) -> None:
    api.sequence(page(token="again"))
    with pytest.raises(ReadFailed, match="do not end"):
        uids(reader)
    assert reader.calls["list pods"] == 2
    api.sequence(page("a", token="t1"), page("b", token="t2"), page("a", "b", token="t1"))
    with pytest.raises(ReadFailed, match="do not end"):
        uids(reader)
    api.sequence(*(page("a", token=f"t{number}") for number in range(50)))
    with pytest.raises(ReadFailed, match="do not end"):
        uids(reader)


def test_what_is_no_list_is_not_an_empty_one(api: Api, reader: KubeReader) -> None:
    api.sequence(Response(status(403, "the proxy says no").body))
    with pytest.raises(ReadFailed, match="answered 200 with a Status: the proxy says no"):
        uids(reader)
    with pytest.raises(ReadFailed, match="answered 200 with a Status: the proxy says no"):
        reader.get(f"{PODS}/a")
    for document, kind in (({"kind": "Pod"}, "Pod"), ({"kind": "PodList", "items": {}}, "PodList"), ({}, "an object")):
        api.sequence(as_json(document))
        with pytest.raises(ReadFailed, match=f"answered with {kind}.* instead of PodList"):
            uids(reader)


def test_empty_page_with_a_token_is_not_the_last(api: Api, reader: KubeReader) -> None:
    metadata = {"continue": "t2", "remainingItemCount": 0}
    empty = as_json({"kind": "PodList", "metadata": metadata, "items": None})
    api.sequence(page("a", token="t1"), empty, page("b"))
    assert uids(reader) == ["a", "b"]


def test_content_type_of_a_watch_is_json(api: Api, reader: KubeReader) -> None:
    watch = {"Content-Type": "application/json;stream=watch"}
    api.sequence(Response(page("a").body, headers=watch))
    assert uids(reader) == ["a"]
    api.sequence(Response(b'{"type":"ADDED"}\n{"type":"ADDED"}\n', headers=watch))
    with pytest.raises(ReadFailed, match="34 bytes that are no JSON object, though it calls them application/json;str"):
        uids(reader)


def test_overload_in_the_middle_of_pages(api: Api, context_for: Callable[..., KubeContext]) -> None:
    waits: list[float] = []
    busy = Response(b"Too many requests, please try again later.\n", 429, {"Retry-After": "1"})
    api.sequence(page("a", token="t1"), busy, page("b"))
    assert uids(KubeReader(context_for(api.url), sleep=waits.append)) == ["a", "b"]
    assert waits == [1.0]
    assert [request.query.get("continue") for request in api.requests] == [None, "t1", "t1"]


def expired(token: str) -> Response:
    """A 410 as the API server gives it: with a token for the rest of the list in the newest snapshot."""
    document = json.loads(status(410, "The provided continue parameter is too old", "Expired").body)
    return Response(json.dumps({**document, "metadata": {"continue": token}}).encode(), 410)


def test_expired_snapshot_goes_on_with_the_token_of_the_refusal(api: Api, reader: KubeReader) -> None:
    api.sequence(page("a", token="t1"), expired("n1"), page("b", token="t2"), expired("n2"), page("c"))
    assert uids(reader, resourceVersion="0") == ["a", "b", "c"]
    assert [request.query.get("continue") for request in api.requests] == [None, "t1", "n1", "t2", "n2"]
    assert [request.query.get("resourceVersion") for request in api.requests] == ["0", None, None, None, None]
    api.requests.clear()
    api.sequence(page("a", token="t1"), expired("n1"), expired("n2"))
    with pytest.raises(ReadFailed, match="410: The provided continue parameter is too old"):
        uids(reader)
    assert len(api.requests) == 3


def test_expired_snapshot_starts_again_once_without_repeats(api: Api, reader: KubeReader) -> None:
    expired = status(410, "The provided continue parameter is too old", "Expired")
    api.sequence(page("a", "b", token="t1"), expired, page("a", "x", token="t2"), page("c"))
    assert uids(reader) == ["a", "b", "x", "c"]
    assert [request.query.get("continue") for request in api.requests] == [None, "t1", None, "t2"]
    api.sequence(page("a", token="t1"), expired, page("a", token="t2"), expired)
    with pytest.raises(ReadFailed, match="410: The provided continue parameter is too old"):
        uids(reader)


# --- Requests ---


def test_headers(api: Api, context_for: Callable[..., KubeContext]) -> None:
    api.sequence(as_json({}))
    reader = KubeReader(context_for(api.url, options=KubeOptions(as_user="me", as_groups=("a", "b"))))
    assert reader.get("/version", {"pretty": False, "n": 1}) == {}
    request = api.requests[0]
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"] == f"kubectl-lbdoctor/{__version__}"
    assert request.headers["Impersonate-User"] == "me"
    assert request.headers.get_all("Impersonate-Group") == ["a", "b"]
    assert request.query == {"pretty": "false", "n": "1"}


def test_gzip_and_counted_bytes(api: Api, reader: KubeReader) -> None:
    body = gzip.compress(json.dumps({"x": "y" * 5000}).encode())
    api.sequence(Response(body, headers={"Content-Encoding": "gzip"}))
    assert (reader.get(f"{PODS}/a") or {})["x"] == "y" * 5000
    assert api.requests[0].headers["Accept-Encoding"] == "gzip"
    assert reader.bytes_read == len(gzip.decompress(body))


@pytest.mark.parametrize("packed", [True, False])
def test_no_answer_unpacks_without_end(
    api: Api, reader: KubeReader, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kilobyte of gzip is a megabyte of spaces."""
    monkeypatch.setattr(kube, "MAX_BODY", 100_000)
    body = b" " * 100_001
    headers = {"Content-Encoding": "gzip"} if packed else {}
    api.sequence(Response(gzip.compress(body) if packed else body, headers=headers))
    with pytest.raises(ReadFailed, match="has more than 0 MiB"):
        uids(reader)


def test_big_answers_are_gzipped_and_chunked(api: Api, reader: KubeReader) -> None:
    pods = [{"metadata": {"uid": str(number), "annotations": {"x": "y" * 1000}}} for number in range(300)]
    first = {"metadata": {"continue": "t1", "remainingItemCount": 100}, "items": pods[:200]}
    api.sequence(big(first), big({"metadata": {}, "items": pods[200:]}))
    assert uids(reader) == [str(number) for number in range(300)]
    assert reader.bytes_read == len(json.dumps(first)) + len(json.dumps({"metadata": {}, "items": pods[200:]}))
    assert api.connections == 1
    api.sequence(big(pods[0]))
    assert reader.get(f"{PODS}/0") == pods[0]
    refusal = json.loads(status(403, 'pods is forbidden: User "me" cannot list resource "pods"').body)
    api.sequence(big(refusal, code=403))
    with pytest.raises(ReadDenied, match='User "me" cannot list'):
        uids(reader)
    api.sequence(big({"metadata": {"resourceVersion": "2"}}))
    assert reader.send("PATCH", f"{PODS}/0", body=[]) == {"metadata": {"resourceVersion": "2"}}


def test_text_is_measured_unpacked(api: Api, reader: KubeReader) -> None:
    log = b"0123456789\n" * 1000
    api.answer = lambda request: Response(chunks(gzip.compress(log), 7), headers={"Content-Encoding": "gzip"})
    assert reader.text(f"{PODS}/a/log") == log.decode()
    assert reader.text(f"{PODS}/a/log", max_bytes=25) == "0123456789\n0123456789\n"


PACKED = gzip.compress(json.dumps({"items": [{"metadata": {"uid": str(n)}} for n in range(500)]}).encode())


@pytest.mark.parametrize(
    ("encoding", "body", "said"),
    [
        ("gzip", b"{" + PACKED, "its gzip data is damaged"),
        ("gzip", PACKED[:50] + b"\0" * 50 + PACKED[100:], "its gzip data is damaged"),
        ("gzip", PACKED[:-30], "its gzip data is incomplete"),
        ("br", PACKED, "it is br where gzip was asked for"),
    ],
)
@pytest.mark.parametrize("chunked", [True, False])
def test_broken_compression(api: Api, reader: KubeReader, encoding: str, body: bytes, said: str, chunked: bool) -> None:
    api.answer = lambda request: Response(chunks(body, 40) if chunked else body, headers={"Content-Encoding": encoding})
    for read in (lambda: uids(reader), lambda: reader.get(f"{PODS}/a"), lambda: reader.text(f"{PODS}/a/log")):
        with pytest.raises(ReadFailed) as caught:
            read()
        assert caught.value.message.endswith(f"the compressed answer of {api.url} cannot be unpacked: {said}")


def test_page_that_is_cut_off_is_asked_for_again(api: Api, reader: KubeReader) -> None:
    whole = {"metadata": {}, "items": [{"metadata": {"uid": "b"}}, {"metadata": {"uid": "c"}}]}

    def cut(body: bytes) -> Iterator[bytes]:
        yield body[: len(body) // 2]
        raise Cut

    for compress in (bytes, gzip.compress):
        headers = {"Content-Encoding": "gzip"} if compress is gzip.compress else {}
        data = compress(json.dumps(whole).encode())
        first = page("a", token="t1")
        api.sequence(first, Response(cut(data), headers=headers), Response(chunks(data), headers=headers))
        assert uids(reader) == ["a", "b", "c"]
        api.requests.clear()
        broken = [Response(cut(data), headers=headers) for _ in range(3)]
        api.sequence(first, *broken, NO_SUCH_API)
        given = reader.list(PODS)
        assert next(given)["metadata"]["uid"] == "a"
        with pytest.raises(ReadFailed, match=r"could not list pods in namespace shop: the connection to .* broke"):
            next(given)
        assert [request.query.get("continue") for request in api.requests] == [None, "t1", "t1", "t1"]


def test_threads_share_connections(api: Api, reader: KubeReader) -> None:
    def slow(request: Request) -> Response:
        time.sleep(0.02)
        return as_json({"path": request.path})

    api.answer = slow
    paths = [f"{PODS}/p{number}" for number in range(64)]
    with ThreadPoolExecutor(16) as pool:
        assert [(answer or {})["path"] for answer in pool.map(reader.get, paths)] == paths
    assert api.connections <= 16
    assert reader.calls["get pods"] == 64


def test_token_hook_is_asked_for_each_request(api: Api, context_for: Callable[..., KubeContext]) -> None:
    context = context_for(api.url)
    tokens = iter(["one", "two"])

    context.configuration.authorization = bearer(lambda: next(tokens))
    api.sequence(as_json({}))
    reader = KubeReader(context)
    reader.get("/version")
    reader.get("/version")
    assert [request.headers["Authorization"] for request in api.requests] == ["Bearer one", "Bearer two"]


def test_token_that_cannot_be_renewed_or_sent(api: Api, context_for: Callable[..., KubeContext]) -> None:
    context = context_for(api.url, user={"token": "se\ncret"})
    with pytest.raises(ReadFailed, match="holds characters that HTTP forbids") as caught:
        KubeReader(context).get("/version")
    assert "cret" not in str(caught.value)

    def broken() -> str:
        raise FileNotFoundError("token")

    context.configuration.authorization = broken
    with pytest.raises(CouldNotRun, match="credentials of context 'dev' cannot be renewed: FileNotFoundError: token"):
        KubeReader(context).get("/version")


# --- Text ---


def test_text_stops_at_the_limit_of_bytes_at_a_whole_line(api: Api, reader: KubeReader) -> None:
    def forever() -> Iterator[bytes]:
        while True:
            yield b"0123456789\n" * 100

    api.answer = lambda request: Response(forever(), headers={"Content-Type": "text/plain"})
    text = reader.text(f"{PODS}/a/log", {"tailLines": 5}, max_bytes=25)
    assert text == "0123456789\n0123456789\n"
    assert api.requests[0].query == {"tailLines": "5"}


def test_text_stops_at_the_limit_of_time(api: Api, context_for: Callable[..., KubeContext]) -> None:
    stop = threading.Event()

    def stalls() -> Iterator[bytes]:
        yield b"line\nhalf"
        stop.wait(5)

    api.answer = lambda request: Response(stalls())
    reader = KubeReader(context_for(api.url, options=KubeOptions(request_timeout="300ms")))
    assert reader.text(f"{PODS}/a/log") == "line\n"
    stop.set()


def test_whole_text_is_kept_as_it_is(api: Api, reader: KubeReader) -> None:
    api.sequence(Response(b"one\ntwo \xff"))
    assert reader.text(f"{PODS}/a/log") == "one\ntwo \N{REPLACEMENT CHARACTER}"
    api.sequence(status(400, 'container "a" in pod "a" is waiting to start: ContainerCreating', "BadRequest"))
    with pytest.raises(ReadFailed, match="waiting to start"):
        reader.text(f"{PODS}/a/log")
    api.sequence(status(404, 'pods "a" not found', "NotFound"))
    with pytest.raises(ReadFailed, match='pods "a" not found'):
        reader.text(f"{PODS}/a/log")


# --- Refusals ---


@pytest.mark.parametrize(
    ("verb", "path", "permission"),
    [
        ("list", "/api/v1/nodes", "list nodes (cluster)"),
        ("list", PODS, "list pods in namespace shop"),
        ("list", "/api/v1/pods", "list pods (cluster)"),
        ("get", f"{PODS}/web-1", "get pods in namespace shop"),
        ("get", f"{PODS}/web-1/log", "get pods/log in namespace shop"),
        ("list", "/apis/networking.k8s.io/v1/ingresses", "list ingresses.networking.k8s.io (cluster)"),
        ("get", "/apis/discovery.k8s.io/v1/namespaces/a/x/y", "get x.discovery.k8s.io in namespace a"),
        ("get", "/apis/apps/v1/namespaces/shop/deployments/w/scale", "get deployments.apps/scale in namespace shop"),
        ("get", "/api/v1/namespaces/shop", "get namespaces (cluster)"),
        ("list", "/api/v1/namespaces", "list namespaces (cluster)"),
        ("get", "/version", "get /version"),
        ("get", "/apis/elbv2.k8s.aws/v1beta1", "get /apis/elbv2.k8s.aws/v1beta1"),
    ],
)  # fmt: skip
def test_permission_from_the_path(verb: str, path: str, permission: str) -> None:
    assert str(permission_of(verb, path)) == permission


def test_denied_names_the_permission(api: Api, reader: KubeReader, tmp_path: Path) -> None:
    api.sequence(status(403, 'pods is forbidden: User "me" cannot list resource "pods"', "Forbidden"))
    with pytest.raises(ReadDenied) as caught:
        list(reader.list(PODS))
    assert str(caught.value.permission) == "list pods in namespace shop"
    assert 'User "me" cannot list' in caught.value.message
    there = f"--kubeconfig {tmp_path / 'config'} --context dev"
    assert caught.value.hint == f"check with: kubectl auth can-i list pods -n shop {there}"
    with pytest.raises(ReadDenied) as caught:
        reader.text("/api/v1/namespaces/shop/pods/a/log")
    assert "can-i get pods --subresource log -n shop" in caught.value.hint
    with pytest.raises(ReadDenied) as caught:
        reader.get("/metrics")
    assert str(caught.value.permission) == "get /metrics"


def test_denied_impersonation_and_anonymous(api: Api, reader: KubeReader) -> None:
    api.sequence(status(403, 'users "x" is forbidden: User "me" cannot impersonate resource "users" in API group ""'))
    with pytest.raises(ReadDenied) as caught:
        reader.get(f"{PODS}/a")
    assert str(caught.value.permission) == "impersonate users (cluster)"
    api.sequence(status(403, 'pods is forbidden: User "system:anonymous" cannot get resource "pods"'))
    with pytest.raises(ReadDenied) as caught:
        reader.get(f"{PODS}/a")
    assert "sends no credentials" in caught.value.hint


def with_tokens(context: KubeContext, *tokens: str) -> list[str]:
    """Let the context renew its token: the first of these is the one that it has. Which were asked for, afterwards."""
    left, given = list(tokens[1:]), [tokens[0]]

    def renew() -> tuple[str, float | None]:
        given.append(left.pop(0))
        return given[-1], None

    token = RenewingToken(renew, (tokens[0], None))
    context.configuration.authorization = bearer(token.current)
    context.configuration.refused = bearer_refused(token.refused)
    return given


def only(api: Api, token: str) -> None:
    """Let the server accept one token alone."""

    def answer(request: Request) -> Response:
        good = request.headers["Authorization"] == f"Bearer {token}"
        return as_json({"metadata": {}, "items": []}) if good else status(401, "Unauthorized", "Unauthorized")

    api.answer = answer


def test_a_token_that_is_refused_is_renewed_once(api: Api, context_for: Callable[..., KubeContext]) -> None:
    """As kubectl does it: its plugin is run again after a 401, which a session that was ended elsewhere gives."""
    context = context_for(api.url)
    given = with_tokens(context, "old", "new", "unused")
    only(api, "new")
    reader = KubeReader(context)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: reader.get(PODS), range(8)))
    assert all(answer == {"metadata": {}, "items": []} for answer in found) and given == ["old", "new"]
    # A write that was answered with 401 was not made.
    given = with_tokens(context, "old", "new")
    assert reader.send("PATCH", f"{PODS}/0", body=[]) == {"metadata": {}, "items": []} and given == ["old", "new"]


def test_a_new_token_that_is_refused_ends_the_run(api: Api, context_for: Callable[..., KubeContext]) -> None:
    context = context_for(api.url)
    given = with_tokens(context, "old", "new", "newer")
    only(api, "none of them")
    reader = KubeReader(context)
    for _ in range(2):
        with pytest.raises(CouldNotRun, match="does not accept the credentials"):
            reader.get(PODS)
    assert given == ["old", "new"] and len(api.requests) == 3
    assert "new" not in repr(kube._Answer(401, {}, b"", authorization="Bearer new"))


def test_unauthorized_ends_the_run(api: Api, context_for: Callable[..., KubeContext], tmp_path: Path) -> None:
    api.sequence(status(401, "Unauthorized", "Unauthorized"))
    context = context_for(api.url)
    with pytest.raises(CouldNotRun) as caught:
        KubeReader(context).get(f"{PODS}/a")
    assert caught.value.message == (
        f"the API server {api.url} does not accept the credentials of context 'dev' (401: Unauthorized)"
    )
    assert caught.value.hint == f"check with: kubectl auth whoami --kubeconfig {tmp_path / 'config'} --context dev"
    with pytest.raises(CouldNotRun) as caught:
        KubeReader(replace(context, name="dev;touch ran")).get(f"{PODS}/a")
    assert (
        caught.value.hint
        == f"check with: kubectl auth whoami --kubeconfig {tmp_path / 'config'} --context 'dev;touch ran'"
    )
    with pytest.raises(CouldNotRun) as caught:
        KubeReader(context_for(api.url, user={})).get(f"{PODS}/a")
    assert "context 'dev' sends no credentials" in caught.value.hint
    named = context_for(api.url, user={"username": "me", "password": "pw"})
    with pytest.raises(CouldNotRun) as caught:
        KubeReader(replace(named, headers=(("Authorization", "Basic bWU6cHc="),))).get(f"{PODS}/a")
    assert "sends no credentials" not in caught.value.hint
    import dataclasses

    with pytest.raises(CouldNotRun) as caught:
        KubeReader(dataclasses.replace(context, plugin="aws eks get-token")).get(f"{PODS}/a")
    assert "the token comes from: aws eks get-token" in caught.value.hint


@pytest.mark.parametrize("code", [429, 500, 503])
def test_overload_is_retried_then_reported(api: Api, context_for: Callable[..., KubeContext], code: int) -> None:
    waits: list[float] = []
    reader = KubeReader(context_for(api.url), sleep=waits.append)
    busy = status(code, "too busy", headers={"Retry-After": "2"})
    api.sequence(busy, as_json({"ok": True}))
    assert reader.get(f"{PODS}/a") == {"ok": True}
    assert waits == [2.0]
    api.sequence(status(code, "too busy"))
    with pytest.raises(ReadFailed, match=rf"could not get pods in namespace shop: .* {code} \(3 attempts\): too busy"):
        reader.get(f"{PODS}/a")
    assert waits[1:] == [0.2, 0.4]
    assert reader.calls["get pods"] == 5


def test_long_retry_after_is_not_waited_for(api: Api, reader: KubeReader) -> None:
    api.sequence(status(429, "later", headers={"Retry-After": "60"}))
    with pytest.raises(ReadFailed, match=r"1 attempt, it asks to wait 60s"):
        reader.get(f"{PODS}/a")
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Response(b"<html>", headers={"Content-Type": "text/html"}), "answered with text/html instead of JSON"),
        (Response(b"[]"), "instead of JSON"),
        (Response(b'{"items": [', headers={"Content-Type": "application/json"}), "11 bytes that are no JSON object"),
        (Response(b"", 302, {"Location": "https://login"}), "redirects to https://login"),
        (Response(b"", 418), "answered 418: no explanation"),
        (status(400, "bad selector"), "answered 400: bad selector"),
    ],
)
def test_strange_answers(api: Api, reader: KubeReader, response: Response, said: str) -> None:
    api.sequence(response)
    with pytest.raises(ReadFailed) as caught:
        reader.get(f"{PODS}/a")
    assert said in caught.value.message


# --- No answer ---


def test_timeout_before_the_answer(api: Api, context_for: Callable[..., KubeContext]) -> None:
    stop = threading.Event()

    def never(request: Request) -> Response:
        stop.wait(5)
        return as_json({})

    api.answer = never
    reader = KubeReader(context_for(api.url, options=KubeOptions(request_timeout="200ms")))
    with pytest.raises(ReadFailed) as caught:
        list(reader.list(PODS))
    stop.set()
    assert caught.value.message == "could not list pods in namespace shop: it timed out after 0.2s"
    assert not isinstance(caught.value, Unreachable)


def test_timeout_of_an_answer_that_trickles_in(api: Api, context_for: Callable[..., KubeContext]) -> None:
    stop = threading.Event()

    def trickle() -> Iterator[bytes]:
        while not stop.wait(0.02):
            yield b" "

    api.answer = lambda request: Response(trickle())
    reader = KubeReader(context_for(api.url, options=KubeOptions(request_timeout="200ms")))
    started = time.monotonic()
    with pytest.raises(ReadFailed, match=r"timed out after 0\.2s"):
        reader.get(f"{PODS}/a")
    assert time.monotonic() - started < 1
    stop.set()


@pytest.mark.parametrize("packed", [True, False])
def test_timeout_of_an_answer_that_trickles_in_whatever_its_form(
    api: Api, context_for: Callable[..., KubeContext], packed: bool
) -> None:
    """Its length is known, or nothing can be unpacked from it yet: either way nothing comes out for a long time."""
    stop = threading.Event()

    def trickle() -> Iterator[bytes]:
        for byte in PACKED:
            if stop.wait(0.02):
                return
            yield bytes([byte])

    def answer(request: Request) -> Response:
        if packed:
            return Response(trickle(), headers={"Content-Encoding": "gzip"})
        return Response(Unhurried(b" " * 300, stop))

    api.answer = answer
    reader = KubeReader(context_for(api.url, options=KubeOptions(request_timeout="200ms")))
    started = time.monotonic()
    with pytest.raises(ReadFailed, match=r"timed out after 0\.2s"):
        reader.get(f"{PODS}/a")
    assert time.monotonic() - started < 1
    status_code, _, body = reader.exchange(f"{PODS}/a:80/proxy/", {}, 0.2, 4096)
    assert time.monotonic() - started < 2
    assert status_code == 200
    assert len(body) < 100
    stop.set()


def test_no_limit_waits(api: Api, context_for: Callable[..., KubeContext]) -> None:
    api.sequence(as_json({"ok": True}))
    assert KubeReader(context_for(api.url, options=KubeOptions(request_timeout="0"))).get("/version") == {"ok": True}


def test_broken_connection_is_tried_again(context_for: Callable[..., KubeContext]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve(answers: list[bytes]) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
    for answers, ends_well in (([b"", good], True), ([cut, good], True), ([b"", cut, b""], False)):
        thread = threading.Thread(target=serve, args=(answers,), daemon=True)
        thread.start()
        reader = KubeReader(context_for(url))
        if ends_well:
            assert reader.get("/version") == {}
        else:
            with pytest.raises(ReadFailed, match="broke"):
                reader.get("/version")
        thread.join(2)
    listener.close()


def test_refused_connection(context_for: Callable[..., KubeContext], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(Unreachable) as caught:
        KubeReader(context_for(url)).get("/version")
    assert caught.value.message == f"the API server {url} refuses connections"
    assert caught.value.hint == f"check with: kubectl cluster-info --kubeconfig {tmp_path / 'config'} --context dev"


def test_unknown_host(context_for: Callable[..., KubeContext], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable, match=r"API server https://gone\.example cannot be resolved"):
        KubeReader(context_for("https://gone.example")).get("/version")


def test_connection_that_is_never_accepted(
    context_for: Callable[..., KubeContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silence(*args: Any, **kwargs: Any) -> Any:
        raise TimeoutError("timed out")

    reader = KubeReader(context_for("https://10.255.255.1"))
    monkeypatch.setattr("urllib3.util.connection.create_connection", silence)
    with pytest.raises(Unreachable, match="accepted no connection within 15s"):
        reader.get("/version")


def test_broken_proxy(context_for: Callable[..., KubeContext]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(Unreachable, match=r"the proxy for the API server https://10\.0\.0\.1 does not work"):
        KubeReader(context_for("https://10.0.0.1", cluster={"proxy-url": proxy})).get("/version")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_tls(certificate: Path, context_for: Callable[..., KubeContext], recwarn: pytest.WarningsRecorder) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    api = Api(tls)
    api.sequence(as_json({"ok": True}))
    try:
        trusting = context_for(api.url, cluster={"certificate-authority": str(certificate)})
        assert KubeReader(trusting).get("/version") == {"ok": True}
        careless = context_for(api.url, cluster={"insecure-skip-tls-verify": True})
        assert KubeReader(careless).get("/version") == {"ok": True}
        assert not list(recwarn)
        with pytest.raises(Unreachable) as caught:
            KubeReader(context_for(api.url)).get("/version")
        assert "certificate not trusted: self" in caught.value.message
        assert "update-kubeconfig" in caught.value.hint
        broken = context_for(api.url, cluster={"certificate-authority": __file__})
        with pytest.raises(CouldNotRun, match="the certificate authority of the cluster cannot be used"):
            KubeReader(broken)
    finally:
        api.close()


def test_page_size_is_kubectls() -> None:
    assert kube.PAGE_SIZE == 500


def test_the_clock_is_that_of_the_answers(api: Api, reader: KubeReader, monkeypatch: pytest.MonkeyPatch) -> None:
    an_hour_ahead = formatdate(time.time() + 3600, usegmt=True)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: an_hour_ahead)
    assert reader.clock.corrected("2026-11-23T12:00:00Z") == "2026-11-23T12:00:00Z"
    api.answer = lambda request: as_json({"major": "1"})
    reader.get("/version")
    assert reader.clock.corrected("2026-11-23T12:00:30Z") > "2026-11-23T12:59:00Z"
