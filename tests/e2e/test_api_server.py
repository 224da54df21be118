"""The API server that the tests of the whole program run against answers as the lab's real one does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import urllib3

from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import KubeContext, KubeOptions, load_kube_context
from tests.lab.api import Lab
from tests.support.api_server import FakeKube

CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
BINDINGS = "/apis/elbv2.k8s.aws/v1beta1/namespaces/default/targetgroupbindings"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMESPACES = "/api/v1/namespaces"
# After "default", in the newest snapshot: what the refusal of an expired token hands out. That refusal itself takes a
# lab that is ten minutes old.
NEWEST = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiZGVmYXVsdFx1MDAwMCJ9"

REQUESTS: list[tuple[str, dict[str, str], str]] = [
    (f"{NAMESPACES}/default", {}, ""),
    (f"{NAMESPACES}/nope", {}, ""),
    (NAMESPACES, {"limit": "1"}, ""),
    (NAMESPACES, {"limit": "1", "resourceVersion": "0"}, ""),
    (NAMESPACES, {"limit": "1", "labelSelector": "!nope"}, ""),
    (NAMESPACES, {"limit": "abc"}, ""),
    (NAMESPACES, {"limit": "1", "continue": NEWEST}, ""),
    (NAMESPACES, {"limit": "1", "continue": NEWEST, "resourceVersion": "5"}, ""),
    (NAMESPACES, {"limit": "1", "continue": NEWEST, "resourceVersion": "0"}, ""),
    (NAMESPACES, {"fieldSelector": "metadata.name=default"}, ""),
    (NAMESPACES, {"fieldSelector": "spec.foo=x"}, ""),
    (NAMESPACES, {"fieldSelector": "bad"}, ""),
    (NAMESPACES, {"labelSelector": "kubernetes.io/metadata.name in (default, nope)"}, ""),
    (NAMESPACES, {}, "text/html"),
    (NAMESPACES, {"watch": "1", "resourceVersion": "0", "timeoutSeconds": "1"}, ""),
    (CLASSES, {}, ""),
    (CLASSES, {"fieldSelector": "spec.foo=x"}, ""),
    (BINDINGS, {}, ""),
    (BINDINGS, {"fieldSelector": "spec.foo=x"}, ""),
    (f"{BINDINGS}/nope", {}, ""),
    (f"{NAMESPACES}/default/pods/nope", {}, ""),
    (f"{NAMESPACES}/default/pods/nope/log", {}, "*/*"),
    ("/api/v1/foos", {}, ""),
    ("/apis/foo/v1/foos", {}, ""),
    ("/apis/elbv2.k8s.aws/v1beta1/foos", {}, ""),
]


def pool_of(context: KubeContext) -> urllib3.PoolManager:
    """Connections to the lab's API server without the plugin's own reader."""
    return urllib3.PoolManager(ssl_context=context.tls.context())


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeKube]:
    """With the lab's own namespaces, as it is when nobody uses it."""
    server = FakeKube()
    names = ("default", "kube-node-lease", "kube-public", "kube-system")
    namespaces = [{"metadata": {"name": n, "labels": {"kubernetes.io/metadata.name": n}}} for n in names]
    server.reset({("", "namespaces"): namespaces})
    yield server
    server.close()


def seen(response: Any) -> dict[str, Any]:
    """What does not depend on the objects that there are."""
    names = ("Content-Type", "Content-Encoding", "Cache-Control", "Vary")
    found: dict[str, Any] = {name: response.headers.get(name) for name in names}
    found["status"] = response.status
    try:
        document = orjson.loads(response.data)
    except orjson.JSONDecodeError:
        return {**found, "text": response.data[:30] if response.status != 200 else None}
    metadata = document["metadata"]
    if document["kind"] == "Status":
        return {**found, **document, "continued": metadata.get("continue")}
    found |= {key: document[key] for key in ("kind", "apiVersion")}
    # "default" comes first or is the only one: what other tests make has no part in it.
    if "items" in document:
        found |= {"empty token": metadata.get("continue") == "", "paged": bool(metadata.get("continue"))}
        found |= {"counted": "remainingItemCount" in metadata, "typed": "kind" in (document["items"] or [{}])[0]}
    return found


@pytest.mark.smoke
@pytest.mark.parametrize(("path", "query", "accept"), REQUESTS)
def test_the_stand_in_answers_as_the_real_one(
    lab: Lab, fake: FakeKube, path: str, query: dict[str, str], accept: str
) -> None:
    context = load_kube_context(KubeOptions(), lab.environment())
    headers = KubeReader(context).headers()
    if accept:
        headers["Accept"] = accept
    url = path + (f"?{urlencode(query)}" if query else "")
    real = pool_of(context).request("GET", context.server + url, headers=headers)
    played = urllib3.PoolManager().request("GET", fake.url + url, headers=headers)
    assert seen(played) == seen(real)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("path", "packed", "chunked"),
    [
        (f"{NAMESPACES}/default", False, False),
        (f"{DEFINITIONS}/gateways.gateway.networking.k8s.io", False, True),  # some 120 KiB
        (f"{DEFINITIONS}/gateways.gateway.networking.k8s.io?pretty=true", True, True),  # some 180 KiB
    ],
)
def test_large_answers_are_packed_alike(lab: Lab, fake: FakeKube, path: str, packed: bool, chunked: bool) -> None:
    context = load_kube_context(KubeOptions(), lab.environment())
    headers = KubeReader(context).headers()
    real = pool_of(context).request("GET", context.server + path, headers=headers)
    filler = {"metadata": {"name": "x", "annotations": {"x": "y" * (len(real.data) - 300)}}}
    fake.objects["networking.k8s.io", "ingressclasses"] = [filler]
    played = urllib3.PoolManager().request("GET", fake.url + CLASSES, headers=headers)
    fake.objects["networking.k8s.io", "ingressclasses"] = []
    for response in (real, played):
        found = "Content-Encoding" in response.headers, "Transfer-Encoding" in response.headers
        assert found == (packed, chunked), len(response.data)
