"""The loop over the table of reads: what it asks for, and that waiting for a list of all namespaces blocks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest

from kubectl_lbdoctor.collect.kube_lists import KubeLists, start_cluster, start_namespaces
from kubectl_lbdoctor.collect.outcomes import results
from kubectl_lbdoctor.errors import CouldNotRun, ReadDenied, Unreachable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.permission import Permission

ALL = frozenset(reads.KUBE)
PODS = reads.KUBE[reads.PODS]
# Ingresses, Services, bindings, slices, pods, events, policies, Namespaces and four kinds of workloads.
KINDS_OF_A_NAMESPACE = 12
# Bindings are listed in the group of EKS Auto Mode as well.
LISTS_OF_A_NAMESPACE = 13


class Kube:
    """One pod `web` in each namespace and nothing else; what is listed or read is counted by its path."""

    def __init__(self, namespaces: list[str], denied: tuple[str, ...] = ()) -> None:
        self.namespaces, self.denied = namespaces, denied
        self.calls: Counter[str] = Counter()
        self.params: dict[str, Any] = {}
        self._counting = Lock()

    def list(self, path: str, params: Any = None) -> Iterator[dict[str, Any]]:
        with self._counting:
            self.calls[path] += 1
        self.params[path] = params
        if path in self.denied:
            raise ReadDenied(f"may not list {path}", Permission(("list",), url=path))
        if path == "/api/v1/namespaces":
            yield from ({"metadata": {"name": namespace}} for namespace in self.namespaces)
        if path.endswith("/pods"):
            for namespace in self.namespaces:
                if path in ("/api/v1/pods", f"/api/v1/namespaces/{namespace}/pods"):
                    spec, status = {"containers": [{"name": "app"}]}, {"phase": "Running"}
                    yield {"metadata": {"name": "web", "namespace": namespace}, "spec": spec, "status": status}

    def get(self, path: str, params: Any = None) -> dict[str, Any] | None:
        with self._counting:
            self.calls[path] += 1
        name = path.rpartition("/")[2]
        if path.count("/") == 2:
            return {"kind": "APIGroup", "name": name}
        return {"metadata": {"name": name}} if name in self.namespaces else None

    def text(self, path: str, params: Any = None, max_bytes: int = 0) -> str:
        return ""


def read_namespaces(kube: Kube, namespaces: list[str], workers: int = 4) -> dict[str, dict[str, Any]]:
    subjects = [ObjectRef("Ingress", namespace, "web") for namespace in namespaces]
    with ThreadPoolExecutor(workers) as pool:
        started = start_namespaces(KubeLists(kube), pool, ALL, subjects)
        return {namespace: results(futures) for namespace, futures in started.items()}


def names(count: int) -> list[str]:
    return [f"team-{number}" for number in range(count)]


@pytest.mark.parametrize(("namespaces", "calls"), [(1, 13), (4, 52), (5, 13), (200, 13)])
def test_calls_do_not_grow_with_the_number_of_namespaces(namespaces: int, calls: int) -> None:
    kube = Kube(names(namespaces))
    found = read_namespaces(kube, names(namespaces))
    assert sum(kube.calls.values()) == calls
    assert all([pod.meta.namespace for pod in facts["pods"].need()] == [ns] for ns, facts in found.items())
    assert all(facts["services"].need() == () for facts in found.values())


def test_namespaces_of_nobody_are_left_out() -> None:
    kube = Kube([*names(5), "kube-system"])
    found = read_namespaces(kube, names(5))
    assert sorted(found) == names(5)
    assert [pod.meta.namespace for facts in found.values() for pod in facts["pods"].need()] == names(5)


def test_a_namespace_that_does_not_exist_is_known_to_be_absent() -> None:
    found = read_namespaces(Kube(names(5)), [*names(5), "gone"])
    assert found["gone"]["namespace"].need() is None
    assert found["team-4"]["namespace"].need().meta.name == "team-4"


def test_one_worker_is_enough_even_where_all_lists_are_denied() -> None:
    """Whoever waits for a list of all namespaces waits for something that was begun before."""
    everywhere = tuple(kind.path() for read in reads.KUBE.values() for kind in read.kinds)
    kube = Kube(names(40), denied=everywhere)
    found = read_namespaces(kube, names(40), workers=1)
    assert all([pod.meta.namespace for pod in facts["pods"].need()] == [ns] for ns, facts in found.items())
    # Of a kind in two groups, the second is not asked where the first is denied, and discovery tells that it is served.
    assert sum(kube.calls.values()) == KINDS_OF_A_NAMESPACE + 1 + LISTS_OF_A_NAMESPACE * 40


def test_reads_of_the_cluster_and_of_kube_system() -> None:
    kube = Kube([])
    with ThreadPoolExecutor(2) as pool:
        found = results(start_cluster(KubeLists(kube), pool, ALL))
    assert set(found) == {"nodes", "ingress_classes", "class_params", "kube_proxy", "kube_proxy_pods"}
    assert kube.params == {
        "/api/v1/nodes": {"resourceVersion": "0"},
        "/apis/networking.k8s.io/v1/ingressclasses": None,
        "/apis/elbv2.k8s.aws/v1beta1/ingressclassparams": None,
        "/apis/eks.amazonaws.com/v1/ingressclassparams": None,
        "/apis/apps/v1/namespaces/kube-system/daemonsets": None,
        "/api/v1/namespaces/kube-system/pods": {"labelSelector": "k8s-app=kube-proxy"},
    }


def test_only_what_is_asked_for_is_read() -> None:
    kube = Kube(names(1))
    with ThreadPoolExecutor(1) as pool:
        started = start_namespaces(
            KubeLists(kube), pool, frozenset({reads.PODS, reads.NODES}), [ObjectRef("Service", "team-0", "web")]
        )
        assert sorted(started["team-0"]) == ["pods"]


def test_an_api_server_that_is_gone_ends_the_run() -> None:
    class Gone(Kube):
        def list(self, path: str, params: Any = None) -> Iterator[dict[str, Any]]:
            raise Unreachable("connection refused")

    with pytest.raises(CouldNotRun, match="connection refused"):
        read_namespaces(Gone([]), names(6))


@pytest.mark.parametrize("odd", ["", "a/b", "-n", None])
def test_an_object_that_tells_no_namespace_is_of_none_and_may_be_of_each(odd: str | None) -> None:
    class Odd(Kube):
        def list(self, path: str, params: Any = None) -> Iterator[dict[str, Any]]:
            for raw in super().list(path, params):
                yield raw
                yield {**raw, "metadata": {"name": "odd", "namespace": odd}}

    kube = Odd(["a", "b"])
    several = KubeLists(kube).by_namespace(PODS, PODS.kind, frozenset(("a", "b"))).need()
    assert {name: [pod.meta.name for pod in fact.need()] for name, fact in several.items()} == {
        "a": ["web"],
        "b": ["web"],
    }
    assert all("odd" in fact.left_out for fact in several.values())
