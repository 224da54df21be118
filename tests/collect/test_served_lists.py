"""RBAC refuses before the API server looks whether it serves a kind: what is not served at all is denied to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kubectl_lbdoctor.collect.served_lists import objects_of
from kubectl_lbdoctor.errors import ApiMissing, ReadDenied
from kubectl_lbdoctor.model.kinds import GATEWAY, INGRESS, TARGET_GROUP_BINDING
from kubectl_lbdoctor.permission import Permission


class Forbidding:
    """A cluster that refuses every list. served: its API groups, which everybody may discover."""

    def __init__(self, *served: str) -> None:
        self.served = served
        self.asked: list[str] = []

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        raise ReadDenied(f"may not list {path}", Permission(("list",), url=path))

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        self.asked.append(path)
        if path.removeprefix("/apis/") not in self.served:
            raise ApiMissing(f"the cluster does not serve {path}")
        return {"kind": "APIGroup"}


def test_a_denied_list_of_a_group_that_the_cluster_does_not_serve_is_empty() -> None:
    assert list(objects_of(Forbidding(), GATEWAY)) == []
    assert list(objects_of(Forbidding(), TARGET_GROUP_BINDING)) == []


@pytest.mark.parametrize("kind", [GATEWAY, TARGET_GROUP_BINDING])
def test_a_denied_list_of_a_group_that_it_serves_is_denied(kind: Any) -> None:
    with pytest.raises(ReadDenied):
        list(objects_of(Forbidding(kind.group), kind))


def test_what_every_cluster_serves_is_not_looked_for() -> None:
    kube = Forbidding()
    with pytest.raises(ReadDenied):
        list(objects_of(kube, INGRESS))
    assert kube.asked == []
