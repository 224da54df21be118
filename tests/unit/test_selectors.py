"""Label selectors as the API server gives them."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_lbdoctor.model.selectors import LabelRequirement, LabelSelector

ZONE = {"key": "zone", "operator": "NotIn", "values": ["a", "b"]}


@pytest.mark.parametrize(
    ("raw", "selector"),
    [
        (None, LabelSelector()),
        ({}, LabelSelector()),
        ({"matchLabels": None, "matchExpressions": None}, LabelSelector()),
        ({"matchLabels": {"app": "web"}}, LabelSelector({"app": "web"})),
        ({"matchExpressions": [ZONE]}, LabelSelector({}, (LabelRequirement("zone", "NotIn", ("a", "b")),))),
        (
            {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
            LabelSelector({}, (LabelRequirement("gpu", "Exists"),)),
        ),
    ],
)
def test_raw_selectors(raw: Any, selector: LabelSelector) -> None:
    assert LabelSelector.of(raw) == selector


def test_what_is_unmet_is_named_in_order() -> None:
    selector = LabelSelector.of({"matchLabels": {"app": "web", "tier": "front"}, "matchExpressions": [ZONE]})
    assert list(selector.unmet({"app": "web", "zone": "a"})) == [
        LabelRequirement("tier", "", ("front",)),
        LabelRequirement("zone", "NotIn", ("a", "b")),
    ]
    assert selector.selects({"app": "web", "tier": "front"}) and not selector.selects({"app": "web"})


def test_an_operator_that_nobody_knows_selects_nothing() -> None:
    assert not LabelRequirement("a", "Gt", ("1",)).holds({"a": "2"})
