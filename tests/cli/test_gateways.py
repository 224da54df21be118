"""What may not be read of Gateway API: never health, never a cause, and always with the permission to add."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.kinds import Kind
from tests.support import cases, product

NEEDED = (kinds.GATEWAY, kinds.GATEWAY_CLASS, *kinds.ROUTES, kinds.REFERENCE_GRANT, kinds.TARGET_GROUP_CONFIGURATION)
OF_NAMESPACES = tuple(kind for kind in NEEDED if kind.namespaced)


def said(*deny: str, **more: Any) -> dict[str, Any]:
    return product.said(cases.run(cases.Case("denied", "gateway-alb", "", 0, deny=list(deny), **more)))


@pytest.mark.parametrize("kind", NEEDED, ids=[kind.name for kind in NEEDED])
def test_what_may_not_be_read_is_unknown_and_named(kind: Kind) -> None:
    found = said(f"* {kind.plural}*")
    assert (found["status"], found["exit"], found["diagnoses"]) == ("unknown", 3, [])
    assert f"list {kind.plural}.{kind.group} (cluster)" in found["unknown"]


@pytest.mark.parametrize("kind", OF_NAMESPACES, ids=[kind.name for kind in OF_NAMESPACES])
def test_the_own_namespace_suffices_where_nothing_elsewhere_can_matter(kind: Kind) -> None:
    """The listeners take routes of their own namespace, and the backend is there, too."""
    found = said(f"list {kind.plural}* (cluster)")
    assert (found["status"], found["exit"]) == ("healthy", 0)


def test_routes_of_other_namespaces_matter_where_a_listener_takes_them() -> None:
    every = {"object": "Gateway/web", "merge": {"spec": {"listeners": [LISTENER]}}}
    found = said("list httproutes* (cluster)", patches=[every])
    assert (found["status"], found["exit"], found["diagnoses"]) == ("unknown", 3, [])


LISTENER = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
