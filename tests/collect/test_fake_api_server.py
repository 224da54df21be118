"""The API server that the tests of the whole program run against: it answers as a real one (1.34) was seen to."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.api_server import FakeKube

PODS = "/api/v1/namespaces/shop/pods"
BINDINGS = "/apis/elbv2.k8s.aws/v1beta1/namespaces/shop/targetgroupbindings"


def pod(number: int, size: int = 10, **labels: str) -> dict[str, Any]:
    metadata = {"name": f"p{number:03}", "namespace": "shop", "labels": labels, "annotations": {"x": "y" * size}}
    return {
        "metadata": metadata,
        "spec": {"nodeName": f"node{number % 2}", "hostNetwork": number == 0},
        "status": {"podIP": f"10.0.0.{number}"},
    }


@pytest.fixture
def kube() -> Iterator[FakeKube]:
    server = FakeKube()
    server.reset({("", "pods"): [pod(number) for number in (2, 0, 1, 4, 3)]})
    yield server
    server.close()


class Reply:
    def __init__(self, kube: FakeKube, path: str, method: str = "GET", body: Any = None, **options: Any) -> None:
        headers = options.pop("headers", {})
        connection = http.client.HTTPConnection(kube.url.removeprefix("http://"))
        query = f"?{urlencode(options)}" if options else ""
        connection.request(method, path + query, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        connection.close()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.json["items"]]


# --- HTTP ---


def test_small_answers_have_a_length(kube: FakeKube) -> None:
    reply = Reply(kube, f"{PODS}/p000", headers={"Accept-Encoding": "gzip"})
    assert len(reply.body) <= 2048 and reply.headers["Content-Length"] == str(len(reply.body))
    assert reply.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in reply.headers and "Transfer-Encoding" not in reply.headers
    assert list(reply.json)[:2] == ["kind", "apiVersion"] and reply.json["kind"] == "Pod"


def test_answers_above_2_kib_come_in_chunks_and_above_128_kib_gzipped(kube: FakeKube) -> None:
    kube.objects["", "pods"] = [pod(0, size=3000)]
    reply = Reply(kube, PODS, headers={"Accept-Encoding": "gzip"})
    assert reply.headers["Transfer-Encoding"] == "chunked" and "Content-Encoding" not in reply.headers
    kube.objects["", "pods"] = [pod(0, size=132_000)]
    reply = Reply(kube, PODS, headers={"Accept-Encoding": "gzip"})
    assert reply.headers["Transfer-Encoding"] == "chunked" and reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Vary"] == "Accept-Encoding" and kube.packed == [PODS]
    assert json.loads(gzip.decompress(reply.body))["items"][0]["metadata"]["name"] == "p000"
    plain = Reply(kube, PODS)
    assert plain.headers["Transfer-Encoding"] == "chunked" and plain.names == ["p000"]


def test_a_log_is_text_in_chunks(kube: FakeKube) -> None:
    kube.pods.logs["shop/p000"] = "one line\n"
    reply = Reply(kube, f"{PODS}/p000/log", headers={"Accept": "*/*", "Accept-Encoding": "gzip"})
    assert reply.headers["Content-Type"] == "text/plain" and reply.headers["Transfer-Encoding"] == "chunked"
    assert reply.body == b"one line\n"
    assert Reply(kube, f"{PODS}/nope/log").json["message"] == 'pods "nope" not found'


def test_only_json_is_served(kube: FakeKube) -> None:
    reply = Reply(kube, PODS, headers={"Accept": "text/html"})
    assert (reply.status, reply.json["reason"]) == (406, "NotAcceptable")
    assert Reply(kube, PODS, headers={"Accept": "application/json;stream=watch, */*"}).status == 200


# --- Lists ---


def test_pages_are_of_one_snapshot(kube: FakeKube) -> None:
    first = Reply(kube, PODS, limit=2)
    assert (first.json["kind"], first.json["apiVersion"]) == ("PodList", "v1")
    assert first.names == ["p000", "p001"] and first.json["metadata"]["remainingItemCount"] == 3
    assert "kind" not in first.json["items"][0]
    kube.objects["", "pods"] = [pod(9)]
    token = first.json["metadata"]["continue"]
    second = Reply(kube, PODS, limit=2, **{"continue": token})
    assert second.names == ["p002", "p003"]
    assert second.json["metadata"]["resourceVersion"] == first.json["metadata"]["resourceVersion"]
    last = Reply(kube, PODS, limit=2, **{"continue": second.json["metadata"]["continue"]})
    assert last.names == ["p004"] and set(last.json["metadata"]) == {"resourceVersion"}
    assert Reply(kube, PODS, limit=2).names == ["p009"]


def test_an_expired_token_is_refused_with_one_for_the_rest(kube: FakeKube) -> None:
    first = Reply(kube, PODS, limit=2)
    kube.pages.compacted = True
    kube.objects["", "pods"].append(pod(5))
    reply = Reply(kube, PODS, limit=2, **{"continue": first.json["metadata"]["continue"]})
    assert (reply.status, reply.json["reason"], reply.json["code"]) == (410, "Expired", 410)
    assert reply.json["message"].startswith("The provided continue parameter is too old to display a consistent list")
    token = reply.json["metadata"]["continue"]
    assert json.loads(base64.b64decode(token + "==")) == {"v": "meta.k8s.io/v1", "rv": -1, "start": "shop/p001\0"}
    rest = Reply(kube, PODS, limit=2, **{"continue": token})
    assert rest.names == ["p002", "p003"] and rest.json["metadata"]["remainingItemCount"] == 2
    again = Reply(kube, PODS, limit=2, **{"continue": rest.json["metadata"]["continue"]})
    assert again.status == 410


def test_the_watch_cache_knows_no_limit(kube: FakeKube) -> None:
    reply = Reply(kube, PODS, limit=2, resourceVersion="0")
    assert len(reply.names) == 5 and "continue" not in reply.json["metadata"]
    token = Reply(kube, PODS, limit=2).json["metadata"]["continue"]
    assert Reply(kube, PODS, limit=2, resourceVersion="0", **{"continue": token}).names == ["p002", "p003"]
    reply = Reply(kube, PODS, limit=2, resourceVersion="5", **{"continue": token})
    assert reply.json["message"] == "specifying resource version is not allowed when using continue"


def test_lists_of_custom_resources(kube: FakeKube) -> None:
    kube.objects["elbv2.k8s.aws", "targetgroupbindings"] = [{"metadata": {"name": "a", "namespace": "shop"}}]
    document = Reply(kube, BINDINGS).json
    assert document["kind"] == "TargetGroupBindingList" and document["metadata"]["continue"] == ""
    assert document["items"][0]["kind"] == "TargetGroupBinding"
    assert document["items"][0]["apiVersion"] == "elbv2.k8s.aws/v1beta1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": "abc"}, 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ({"continue": "abc"}, "invalid continue token: continue key is not valid"),
        ({"fieldSelector": "spec.foo=x"}, "field label not supported: spec.foo"),
        ({"fieldSelector": "status.hostIP=x"}, "field label not supported: status.hostIP"),
        ({"fieldSelector": "bad"}, "invalid selector: 'bad'; can't understand 'bad'"),
        ({"labelSelector": "a===b"}, "unable to parse requirement: found"),
        ({"labelSelector": "a in b"}, "unable to parse requirement: found"),
        ({"labelSelector": "-x=b"}, "unable to parse requirement: "),
    ],
)
def test_what_cannot_be_asked(kube: FakeKube, options: dict[str, str], message: str) -> None:
    reply = Reply(kube, PODS, **options)
    assert (reply.status, reply.json["reason"]) == (400, "BadRequest")
    assert reply.json["message"].startswith(message)


def test_field_labels_differ_by_resource(kube: FakeKube) -> None:
    said = '"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"'
    assert Reply(kube, "/apis/apps/v1/deployments", fieldSelector="spec.foo=x").json["message"] == said
    assert Reply(kube, BINDINGS, fieldSelector="spec.foo=x").json["message"] == "field label not supported: spec.foo"
    assert Reply(kube, "/api/v1/nodes", fieldSelector="metadata.namespace=x").status == 400
    assert Reply(kube, "/api/v1/nodes", fieldSelector="spec.unschedulable=true").status == 200


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=p001", ["p001"]),
        ("metadata.name!=p001,spec.nodeName==node1", ["p003"]),
        ("status.podIP=10.0.0.4", ["p004"]),
        ("spec.hostNetwork=true", ["p000"]),
        ("metadata.namespace=other", []),
    ],
)
def test_field_selectors(kube: FakeKube, selector: str, names: list[str]) -> None:
    assert Reply(kube, PODS, fieldSelector=selector).names == names


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=a", ["p000"]),
        ("app==a,tier=x", ["p000"]),
        ("app!=a", ["p001", "p002"]),
        ("app", ["p000", "p001"]),
        ("!app", ["p002"]),
        ("app in (a, b)", ["p000", "p001"]),
        ("app notin (a,c)", ["p001", "p002"]),
        ("app in (a,b),tier", ["p000"]),
        ("tier=", []),
    ],
)
def test_label_selectors(kube: FakeKube, selector: str, names: list[str]) -> None:
    kube.objects["", "pods"] = [pod(0, app="a", tier="x"), pod(1, app="b"), pod(2)]
    reply = Reply(kube, PODS, labelSelector=selector, limit=1)
    assert "remainingItemCount" not in reply.json["metadata"]
    assert Reply(kube, PODS, labelSelector=selector).names == names


def test_a_watch_ends_with_a_bookmark(kube: FakeKube) -> None:
    options = {"watch": "1", "resourceVersion": "0", "allowWatchBookmarks": "true"}
    reply = Reply(kube, PODS, **options)
    assert reply.headers["Content-Type"] == "application/json" and reply.headers["Transfer-Encoding"] == "chunked"
    events = [json.loads(line) for line in reply.body.splitlines()]
    assert [event["type"] for event in events] == ["ADDED"] * 5 + ["BOOKMARK"]
    assert {event["object"]["kind"] for event in events} == {"Pod"}
    assert set(events[-1]["object"]) == {"kind", "apiVersion", "metadata"}


# --- Refusals ---


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/apis/foo/v1/foos", "404 page not found\n"),
        ("/apis/apps/v2/deployments", "404 page not found\n"),
        ("/apis/elbv2.k8s.aws/v1beta1/foos", "404 page not found\n"),
        ("/api/v1/foos", "the server could not find the requested resource"),
        (f"{PODS}/y", 'pods "y" not found'),
        (f"{BINDINGS}/y", 'targetgroupbindings.elbv2.k8s.aws "y" not found'),
    ],
)
def test_what_is_not_there(kube: FakeKube, path: str, body: str) -> None:
    reply = Reply(kube, path)
    assert reply.status == 404
    if body.endswith("\n"):
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8" and reply.body.decode() == body
    else:
        assert (reply.json["kind"], reply.json["reason"], reply.json["message"]) == ("Status", "NotFound", body)
    if path == f"{BINDINGS}/y":
        assert reply.json["details"] == {"name": "y", "group": "elbv2.k8s.aws", "kind": "targetgroupbindings"}


def test_a_patch_is_made_as_a_whole(kube: FakeKube) -> None:
    kind = {"Content-Type": "application/json-patch+json"}
    replaced = {"op": "replace", "path": "/spec/nodeName", "value": "node7"}

    def patched(*operations: dict[str, Any]) -> Reply:
        return Reply(kube, f"{PODS}/p000", "PATCH", [replaced, *operations], headers=kind)

    stale = {"op": "replace", "path": "/metadata/resourceVersion", "value": "0"}
    reply = patched(stale)
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")
    assert reply.json["message"] == (
        'Operation cannot be fulfilled on pods "p000": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    reply = patched({"op": "test", "path": "/spec/nodeName", "value": "node3"})
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert reply.json["message"] == "the server rejected our request due to an error in our request"
    assert Reply(kube, f"{PODS}/p000").json["spec"]["nodeName"] == "node0"
    assert patched().status == 200
    assert Reply(kube, f"{PODS}/p000").json["spec"]["nodeName"] == "node7"
