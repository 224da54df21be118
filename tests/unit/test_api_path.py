"""Paths of the API: a segment stays one, whatever it holds."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.errors import CouldNotRun, UsageError
from kubectl_lbdoctor.fix.writers import paths_of
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.api_path import api_path, is_label, is_subdomain
from kubectl_lbdoctor.model.objects import ObjectRef


def test_segments_are_quoted() -> None:
    assert (
        kinds.SERVICE.path("shop", "a/../b?x=1&y#z%2f")
        == "/api/v1/namespaces/shop/services/a%2F..%2Fb%3Fx%3D1%26y%23z%252f"
    )
    assert kinds.INGRESS.path() == "/apis/networking.k8s.io/v1/ingresses"
    assert api_path("api", "https:web:8080") == "/api/https:web:8080"


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_what_a_client_would_resolve_is_refused(segment: str) -> None:
    with pytest.raises(UsageError, match="no name"):
        api_path("api", segment)
    if segment:
        with pytest.raises(UsageError):
            kinds.POD.path(segment, "web")


@pytest.mark.parametrize(
    ("text", "label", "subdomain"),
    [
        *(("web", True, True), ("web-1", True, True), ("web.shop", False, True), ("a" * 63, True, True)),
        *(("a" * 64, False, False), ("", False, False), ("-a", False, False), ("Web", False, False)),
        *(
            ("web\n", False, False),
            ("a..b", False, False),
            ("ä", False, False),
            (".".join(["a" * 60] * 5), False, False),
        ),
    ],
)
def test_names(text: str, label: bool, subdomain: bool) -> None:
    assert (is_label(text), is_subdomain(text)) == (label, subdomain)


@pytest.mark.parametrize(("namespace", "name"), [("shop", "web/x"), ("shop", ".."), ("", "web"), ("a.b", "web")])
def test_writes_take_names_of_objects_only(namespace: str, name: str) -> None:
    with pytest.raises(CouldNotRun):
        paths_of(ObjectRef("Service", namespace, name))
