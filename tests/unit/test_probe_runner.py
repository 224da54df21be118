"""Where debug pods run, what a debug pod that does not start says, and port-forward over a real WebSocket."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubectl_lbdoctor.collect.kubernetes_api.configuration import Configuration
from kubectl_lbdoctor.collect.kubernetes_api.tls import Pem, Tls
from kubectl_lbdoctor.errors import ReadDenied, ReadFailed, UsageError
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.probe import SOCKETS, Outcome, ProbeAnswer, ProbeRequest, Transport, inconclusive
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe import forward, pods, runner
from kubectl_lbdoctor.probe.placement import MAX_PODS, Batch, assign_to_nodes
from tests.support import tls_api
from tests.support.world import LONG_AGO, NOW, conditions, node

REQUEST = ProbeRequest(
    "10.0.1.34:8080", "10.0.1.34", 8080, "shop", "web-1", "node1", path="/", host="10.0.1.34:8080", timeout=2.0
)
OTHER = replace(REQUEST, target="10.0.2.34:8080", pod="web-2", node="node2")
NODE_PORT = replace(REQUEST, target="i-1:30080", address="10.0.1.10", port=30080, pod="", node="node1")
NODES = (node(1), node(2), node(3))


def where(*requests: ProbeRequest, **values: Any) -> dict[str, list[str]]:
    placement = assign_to_nodes(requests, values.get("nodes", NODES), values.get("from_nodes", ()))
    return {batch.node: [r.target for r in batch.requests] for batch in placement.batches}


def test_pods_are_asked_from_their_own_node() -> None:
    assert where(REQUEST, OTHER) == {"node1": ["10.0.1.34:8080"], "node2": ["10.0.2.34:8080"]}


def test_node_ports_are_asked_from_another_node() -> None:
    second = replace(NODE_PORT, target="i-2:30080", address="10.0.2.10", node="node2")
    assert where(NODE_PORT, second) == {"node2": ["i-1:30080"], "node1": ["i-2:30080"]}
    third = replace(NODE_PORT, target="i-3:30080", node="node3")
    assert where(NODE_PORT, third) == {"node2": ["i-1:30080", "i-3:30080"]}  # one pod does for both
    assert where(NODE_PORT, nodes=(node(1),)) == {"node1": ["i-1:30080"]}  # there is no other


def test_chosen_nodes() -> None:
    assert where(REQUEST, OTHER, from_nodes=("node3",)) == {"node3": ["10.0.1.34:8080", "10.0.2.34:8080"]}
    everywhere = where(REQUEST, OTHER, from_nodes=("all",))
    assert everywhere == {n: ["10.0.1.34:8080", "10.0.2.34:8080"] for n in ("node1", "node2")}
    with pytest.raises(UsageError):
        where(REQUEST, from_nodes=("nope",))
    # Nodes may not be listed by everybody: then the name is taken as it is.
    assert where(REQUEST, nodes=(), from_nodes=("any",)) == {"any": ["10.0.1.34:8080"]}


def test_nodes_that_take_no_debug_pod() -> None:
    fargate = node(1, labels={"eks.amazonaws.com/compute-type": "fargate"})
    broken = node(2, conditions=conditions(Ready="Unknown"))
    windows = node(4, labels={"kubernetes.io/os": "windows"})
    assert where(REQUEST, OTHER, nodes=(fargate, broken, windows, node(3))) == {
        "node3": ["10.0.1.34:8080", "10.0.2.34:8080"]
    }
    placement = assign_to_nodes([REQUEST], (fargate, windows))
    assert placement.batches == ()
    assert placement.left_out == ((REQUEST, "no node that is ready can run a debug pod"),)


def test_the_number_of_debug_pods_is_bounded() -> None:
    nodes = tuple(node(n) for n in range(1, 30))
    many = [replace(REQUEST, target=f"t{n}", node=f"node{n}") for n in range(1, 30)]
    placement = assign_to_nodes(many, nodes)
    assert len(placement.batches) == MAX_PODS and len(placement.left_out) == 29 - MAX_PODS


def test_what_would_become_a_header_is_not_sent() -> None:
    for values in ({"path": "/ HTTP/1.1\r\nX: y"}, {"host": "a\nb"}, {"path": "/a b"}):
        request = replace(REQUEST, **values)
        placement = assign_to_nodes([request, OTHER], NODES)
        assert [b.node for b in placement.batches] == ["node2"] and "HTTP forbids" in placement.left_out[0][1]
        (answer,) = runner.send_through_api_server(SimpleNamespace(), [request]).answers.peek() or (None,)  # type: ignore[arg-type]
        assert answer is None  # nothing was told, and nothing was asked of the stand-in


def test_the_query_of_a_redirect_is_not_kept() -> None:
    moved = ProbeAnswer(REQUEST, Transport.POD, Outcome.ANSWERED, 302, "https://idp.example/login?state=s3cret#x")
    assert runner.as_fact([moved]).need()[0].location == "https://idp.example/login?…"
    plain = replace(moved, location="/login")
    assert runner.as_fact([plain]).need() == (plain,)


# --- Debug pods that do not start ---


def raw(waiting: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    if waiting:
        status["containerStatuses"] = [{"name": "probe", "state": {"waiting": waiting}}]
    return {
        "metadata": {"name": "p", "creationTimestamp": LONG_AGO},
        "spec": {"activeDeadlineSeconds": 80},
        "status": status,
    }


def test_why_a_container_does_not_start() -> None:
    said = pods.stuck(raw({"reason": "ImagePullBackOff", "message": 'Back-off pulling\nimage "x"'}), "x:1")
    assert said.startswith('the image x:1 cannot be pulled (ImagePullBackOff: Back-off pulling image "x")')
    assert said.endswith("choose another with --probe-image")
    assert "does not start" in pods.stuck(raw({"reason": "CreateContainerConfigError", "message": "no"}), "x:1")
    assert pods.stuck(raw({"reason": "ContainerCreating"}), "x:1") == ""
    assert pods.stuck(raw(), "x:1") == ""
    unplaced = [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]
    assert pods.unscheduled(raw(conditions=unplaced)) == "0/2 nodes are available"
    assert pods.unscheduled(raw()) == ""


def test_only_overdue_pods_are_leftovers() -> None:
    assert pods.overdue(raw(), NOW)
    young = raw()
    young["metadata"]["creationTimestamp"] = NOW
    assert not pods.overdue(young, NOW)
    assert not pods.overdue({"metadata": {}, "spec": {}}, NOW)


def test_a_missing_permission_is_carried_as_a_value() -> None:
    gone = inconclusive(REQUEST, Transport.POD, "the pod is gone")
    create = Permission(("create",), "pods", namespace="shop")
    denied = inconclusive(REQUEST, Transport.POD, "no: forbidden", permission=create)
    assert runner.as_fact([gone]).state is ReadState.FAILED
    fact = runner.as_fact([gone, denied])
    assert (fact.state, fact.permission) == (ReadState.DENIED, create)
    assert fact.reason == "no: forbidden"


def test_words_that_look_like_a_missing_permission_are_none() -> None:
    """A target may send whatever it likes, and so may an error."""
    words = inconclusive(REQUEST, Transport.PROXY, "may not create pods in namespace shop: said the application")
    assert runner.as_fact([words]).state is ReadState.FAILED


def test_a_denied_debug_pod_names_the_permission() -> None:
    def send(*args: Any, **kwargs: Any) -> Any:
        raise ReadDenied("no", Permission(("create",), "pods", namespace="shop"))

    kube = SimpleNamespace(send=send, list=lambda *args: [], get=lambda *args: None)
    options = runner.ProbeOptions("pod", nodes=NODES)
    request = replace(REQUEST, pod="")
    facts = runner.send(kube, [request], options, lambda text: None, lambda text: None)  # type: ignore[arg-type]
    assert facts.answers.permission == Permission(("create",), "pods", namespace="shop")


def test_targets_beyond_the_bound_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is left out: a group of many would else be called healthy by its first hundred."""
    monkeypatch.setattr(runner, "MAX_ASKED", 1)
    monkeypatch.setattr(
        pods.DebugPods,
        "send",
        lambda self, batches: tuple(
            ProbeAnswer(r, Transport.POD, Outcome.ANSWERED, 200) for batch in batches for r in batch.requests
        ),
    )
    notes: list[str] = []
    options = runner.ProbeOptions("pod", nodes=NODES)
    facts = runner.send(SimpleNamespace(), [REQUEST, OTHER], options, notes.append, lambda text: None)  # type: ignore[arg-type]
    told = {a.request.target: (a.outcome, a.detail) for a in facts.answers.need()}
    assert told[OTHER.target] == (Outcome.INCONCLUSIVE, "not sent: at most 1 targets are asked in one run")
    assert told[REQUEST.target][0] is Outcome.ANSWERED
    assert notes == ["2 targets: the first 1 are asked"]


def test_what_curl_cannot_send_goes_over_the_port_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a debug pod nor the API server's proxy sends the header of proxy protocol v2."""
    proxied = replace(REQUEST, proxy_protocol=True)
    sent: list[ProbeRequest] = []

    def forwarded(kube: Any, request: ProbeRequest, timeout: float) -> ProbeAnswer:
        sent.append(request)
        return ProbeAnswer(request, Transport.FORWARD, Outcome.ANSWERED, 200)

    monkeypatch.setattr(forward, "send", forwarded)
    cluster = cast(Any, SimpleNamespace())
    for options in (runner.ProbeOptions("pod", nodes=NODES), runner.ProbeOptions("proxy")):
        facts = runner.send(cluster, [proxied], options, print, lambda text: None)
        assert [a.via for a in facts.answers.need() if a.outcome is Outcome.ANSWERED] == [Transport.FORWARD]
    assert sent == [proxied, proxied]
    nothing = Fact.failed(SOCKETS, "not looked at")
    monkeypatch.setattr("kubectl_lbdoctor.probe.container.look", lambda *args: ((), nothing))
    facts = runner.send(cluster, [proxied], runner.ProbeOptions("pod", inside=True), print, print)
    assert facts.answers.reason == "curl sends no header of proxy protocol v2, and the check carries one"


class Injected:
    """A cluster that puts a side-car into every pod. Its log is that of a container, and of none where there are two.
    states: of the containers, by their names."""

    def __init__(self, states: dict[str, dict[str, Any]]) -> None:
        self.states = states
        self.asked: list[Any] = []

    def text(self, path: str, params: Any = None, max_bytes: int = 0) -> str:
        self.asked.append((params or {}).get("container"))
        if not params:
            raise ReadFailed("a container name must be specified for pod p, choose one of: [probe envoy]")
        return ""

    def look(self) -> tuple[Any, ...] | None:
        maker = pods.DebugPods(cast(Any, self), "x:1", print, print)
        pod = pods._Pod(Batch("shop", "node1", (REQUEST,)), "p", "token")
        statuses = [{"name": name, "state": state} for name, state in self.states.items()]
        maker._look(pod, {"status": {"phase": "Running", "containerStatuses": statuses}}, time.monotonic() + 60)
        return pod.answers


def test_a_side_car_does_not_hide_what_the_probe_found() -> None:
    cluster = Injected({"envoy": {"running": {}}, "probe": {"terminated": {"exitCode": 0}}})
    answers = cluster.look()
    assert answers is not None and "container name" not in answers[0].detail
    assert cluster.asked == ["probe"]


@pytest.mark.parametrize(
    "other", [{"terminated": {"exitCode": 0}}, {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}]
)
def test_how_a_side_car_fares_is_not_how_the_probe_does(other: dict[str, Any]) -> None:
    assert Injected({"certificates": other, "probe": {"running": {}}}).look() is None


# --- Port-forward ---


@contextmanager
def served(handle: Callable[[socket.socket], None], status: str = "101 Switching Protocols") -> Iterator[Any]:
    """A KubeReader's stand-in whose API server upgrades to a WebSocket (or answers `status`) and then does `handle`."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[str] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            seen.append(head.decode())
            key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
            upgraded = status.startswith("101")
            headers = (
                f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
                "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n"
                if upgraded
                else "Content-Length: 0\r\n"
            )
            connection.sendall(f"HTTP/1.1 {status}\r\n{headers}\r\n".encode())
            if upgraded:
                for channel in (0, 1):
                    connection.sendall(message(channel, struct.pack("<H", 8080)))
                handle(connection)
                # Closing with something unread would reset the connection, and take back what was sent.
                connection.settimeout(2.0)
                with suppress(OSError):
                    while connection.recv(4096):
                        pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    server = f"http://127.0.0.1:{listener.getsockname()[1]}"
    context = SimpleNamespace(server=server, configuration=Configuration(), socks="")
    headers = {"Authorization": "Bearer s3cret", "Impersonate-User": "ann", "Accept": "*/*"}
    try:
        yield SimpleNamespace(context=context, headers=lambda as_text: headers, seen=seen, log=None)
    finally:
        listener.close()
        thread.join(timeout=2)


def message(channel: int, data: bytes) -> bytes:
    payload = bytes((channel,)) + data
    assert len(payload) < 126
    return bytes((0x82, len(payload))) + payload


def sent(connection: socket.socket) -> bytes:
    """The data of one message of the client, unmasked."""
    head = connection.recv(2, socket.MSG_WAITALL)
    size = head[1] & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))
    mask = connection.recv(4, socket.MSG_WAITALL)
    coded = connection.recv(size, socket.MSG_WAITALL)
    return bytes(byte ^ mask[n % 4] for n, byte in enumerate(coded))


def test_an_answer_over_port_forward() -> None:
    asked: list[bytes] = []

    def answers(connection: socket.socket) -> None:
        asked.append(sent(connection))
        connection.sendall(message(0, b"HTTP/1.1 204 No Content\r\n") + message(0, b"\r\n"))

    with served(answers) as kube:
        answer = forward.send(kube, REQUEST, 2.0)
    assert (answer.outcome, answer.status, answer.via) == (Outcome.ANSWERED, 204, Transport.FORWARD)
    assert asked[0].startswith(b"\0GET / HTTP/1.1\r\nHost: 10.0.1.34:8080\r\n") and b"s3cret" not in asked[0]
    (head,) = kube.seen
    assert head.startswith("GET /api/v1/namespaces/shop/pods/web-1/portforward?ports=8080 HTTP/1.1")
    assert "Authorization: Bearer s3cret" in head and "Impersonate-User: ann" in head


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (b"error forwarding port 8080: failed to connect: connect: connection refused", Outcome.REFUSED),
        (b"error forwarding port 8080: read: connection reset by peer", Outcome.CLOSED),
        (b"container not running", Outcome.INCONCLUSIVE),
    ],
)
def test_kubelets_errors(said: bytes, outcome: Outcome) -> None:
    with served(lambda connection: connection.sendall(message(1, said))) as kube:
        assert forward.send(kube, REQUEST, 2.0).outcome is outcome


def test_silence_is_a_timeout_only_when_the_check_has_waited() -> None:
    def silent(connection: socket.socket) -> None:
        connection.settimeout(3.0)
        while connection.recv(4096):
            pass

    with served(silent) as kube:
        assert forward.send(kube, replace(REQUEST, timeout=0.4), 0.4).outcome is Outcome.TIMEOUT
    with served(silent) as kube:
        cut_short = forward.send(kube, REQUEST, 0.3)
    assert cut_short.outcome is Outcome.INCONCLUSIVE and "the check waits 2s" in cut_short.detail
    with served(silent) as kube:
        assert forward.send(kube, replace(REQUEST, protocol="TCP", path=""), 0.3).outcome is Outcome.ANSWERED


def test_frames_that_drip_or_never_end() -> None:
    """A time limit of a socket begins anew with every byte, and a frame is as long as the other end says."""

    def drips(connection: socket.socket) -> None:
        with suppress(OSError):
            for byte in b"\x82\x7e\xff\xff" + bytes(400):
                connection.sendall(bytes((byte,)))
                time.sleep(0.02)

    def floods(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(b"\x82\x7f" + struct.pack(">Q", 1 << 62))
            for _ in range(1000):
                connection.sendall(bytes(1 << 16))

    with served(drips) as kube:
        answer = forward.send(kube, replace(REQUEST, timeout=0.3), 0.3)
    assert answer.outcome is Outcome.INCONCLUSIVE and answer.detail == "the port-forward did not come to an end in 0.3s"
    with served(floods) as kube:
        answer = forward.send(kube, REQUEST, 2.0)
    assert answer.outcome is Outcome.INCONCLUSIVE and "more than 256 KiB came" in answer.detail


def test_an_upgrade_that_drips() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            for byte in b"HTTP/1.1 101 Switching Protocols\r\nX-A: " + bytes(400):
                connection.sendall(bytes((byte,)))
                time.sleep(0.02)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    server = f"http://127.0.0.1:{listener.getsockname()[1]}"
    context = SimpleNamespace(server=server, configuration=Configuration(), socks="")
    kube = SimpleNamespace(context=context, headers=lambda as_text: {}, log=None)
    answer = forward.send(kube, replace(REQUEST, timeout=0.3), 0.3)  # type: ignore[arg-type]
    assert answer.detail == "the port-forward did not come to an end in 0.3s"
    thread.join(timeout=5)  # The connection was ended from here.
    listener.close()
    assert not thread.is_alive()


def test_a_refused_upgrade() -> None:
    with served(lambda connection: None, "403 Forbidden") as kube:
        answer = forward.send(kube, REQUEST, 2.0)
    assert str(answer.permission) == "get,create pods/portforward in namespace shop"
    with served(lambda connection: None, "200 OK") as kube:
        assert "opened no port-forward" in forward.send(kube, REQUEST, 2.0).detail
    with served(lambda connection: None, "302 Found") as kube:
        assert forward.send(kube, REQUEST, 2.0).outcome is Outcome.INCONCLUSIVE


def test_proxies_and_certificates_are_the_kubeconfigs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://of-the-environment:1")
    configuration = Configuration(proxy="http://ann:p%40ss@proxy:3128", no_proxy="10.0.0.0/8")
    options = forward._proxy(configuration, "api.example")
    assert (options["http_proxy_host"], options["http_proxy_port"]) == ("proxy", 3128)
    assert options["http_proxy_auth"] == ("ann", "p@ss")
    assert "http_proxy_host" not in forward._proxy(configuration, "10.1.2.3")
    configuration.proxy = None
    assert forward._proxy(configuration, "api.example") == {"http_no_proxy": ["api.example"]}
    authority, me = (Pem(data=i.certificate) for i in (tls_api.authority(), tls_api.identity("me")))
    tls = Tls(authority, me, Pem(data=tls_api.identity("me").key), server_name="api")
    options = forward._tls(cast("Any", SimpleNamespace(server="https://api.example", tls=tls)))
    assert options["server_hostname"] == "api"
    assert options["context"].check_hostname and options["context"].get_ca_certs()
    assert forward._tls(cast("Any", SimpleNamespace(server="http://api.example", tls=tls))) == {}
