"""Debug pods are gone in the end, whatever the API server answers to their creation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.test_probe import leftovers
from tests.support.api_requests import Answer, Asked, about, not_found, refusal
from tests.support.cloud import Cloud
from tests.support.program import run
from tests.support.shop import Raw

ONE = ("probe", "ing/web", "--probe-node", "node1")

ANSWERS: dict[str, Callable[[Asked], Answer]] = {
    "500": lambda asked: refusal(500, "InternalError", "etcdserver: request timed out"),
    "504": lambda asked: refusal(504, "Timeout", "request did not complete within 60s"),
    "502 page": lambda asked: Answer(502, "<html>bad gateway</html>", Content_Type="text/html"),
    "200 page": lambda asked: Answer(200, "<html>sign in</html>", Content_Type="text/html"),
    "403 page": lambda asked: Answer(403, "<html>no</html>", Content_Type="text/html"),
    "409": lambda asked: refusal(409, "AlreadyExists", "it exists already", about(asked)),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_creation_that_is_denied_by_its_answer_only(
    cloud: Cloud, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = cloud.kube.create

    def made(asked: Asked, raw: Raw) -> Raw:
        create(asked, raw)
        raise ANSWERS[answer](asked)

    monkeypatch.setattr(cloud.kube, "create", made)
    result = run(*ONE, env=cloud.env)
    assert len(cloud.kube.pods.created) == 1 and leftovers(cloud) == [], result.text
    assert "removed: 1 debug pod" in result.stderr, result.text


def test_a_pod_that_comes_after_its_removal(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server has given up waiting for etcd; the pod is there only after it was deleted once and looked for."""
    create, delete = cloud.kube.create, cloud.kube.delete
    late: list[Callable[[], Any]] = []

    def not_yet(asked: Asked, raw: Raw) -> Raw:
        late.append(lambda: create(asked, raw))
        raise ANSWERS["504"](asked)

    def first_in_vain(asked: Asked) -> Raw:
        if len(late) == 1:
            late.append(lambda: None)
            raise not_found(asked)
        if len(late) == 2:
            late.append(late[0]())
        return delete(asked)

    monkeypatch.setattr(cloud.kube, "create", not_yet)
    monkeypatch.setattr(cloud.kube, "delete", first_in_vain)
    result = run(*ONE, env=cloud.env)
    assert len(cloud.kube.pods.created) == 1 and leftovers(cloud) == [], result.text


def test_a_pod_that_may_still_come_is_named(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.probe.pods.GONE_TIME", 0.1)

    def never(asked: Asked, raw: Raw) -> Raw:
        raise ANSWERS["504"](asked)

    monkeypatch.setattr(cloud.kube, "create", never)
    result = run(*ONE, env=cloud.env)
    assert "was created is not known: " in result.stderr and "kubectl delete pod kubectl-lbdoctor-" in result.stderr
    assert "removed: " not in result.stderr and "could not be removed" not in result.stderr, result.text


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "x",
        {"metadata": None},
        {"metadata": {"name": 5}},
        {"metadata": {"name": "x"}, "status": []},
        {"metadata": {"name": "x", "annotations": []}, "spec": 5},
    ],
)
def test_odd_pods_in_the_answers(cloud: Cloud, odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = cloud.kube.answer

    def with_odd(asked: Asked) -> Any:
        found = answer(asked)
        if "labelSelector" in asked.query and asked.resource == "pods" and asked.namespace == "shop":
            found["items"].append(odd)
        return found

    monkeypatch.setattr(cloud.kube, "answer", with_odd)
    result = run(*ONE, env=cloud.env)
    assert "this is a bug" not in result.stderr and leftovers(cloud) == [], result.text
    assert result.status == 0 and "removed: 1 debug pod" in result.stderr, result.text


@pytest.mark.parametrize(
    "status",
    [[], {"phase": 5}, {"phase": "Pending", "containerStatuses": [None]}, {"containerStatuses": [{"state": "x"}]}],
)
def test_a_debug_pod_with_an_odd_status(cloud: Cloud, status: Any) -> None:
    cloud.kube.pods.debug_status = lambda raw: status
    result = run(*ONE, env=cloud.env)
    assert "this is a bug" not in result.stderr and leftovers(cloud) == [], result.text
    assert "of the debug pod cannot be understood" in result.stderr or status == {"phase": 5}, result.text
