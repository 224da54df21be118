"""Label selectors as the API server gives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.selectors import LabelRequirement, LabelSelector, parse

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


LABELS = {"app": "web", "tier": "front", "example.com/zone": "a", "empty": ""}


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier = front", True),
        ("app=api", False),
        ("app!=api", True),
        ("app!=web", False),
        ("missing!=x", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("app in (api, web)", True),
        ("app in (api),tier", False),
        ("app notin (api,jobs)", True),
        ("missing notin (x)", True),
        ("missing in (x)", False),
        ("example.com/zone=a,app in (web),!missing", True),
        ("empty=", True),
        ("app=", False),
    ],
)
def test_selectors_of_people(text: str, selects: bool) -> None:
    assert parse(text).selects(LABELS) is selects


@pytest.mark.parametrize(
    "text",
    [
        *("app=web=x", "app in web", "in (a)", "app in (a b)", ",", "app,,tier", "=x", "a b", "app=(x)", "app in (a"),
        # kubectl refuses an empty set, and what no label can be: with != they would select everything.
        *("app in ()", "app notin ( )", "a/b/app!=x", "Team/app!=x", f"{'a' * 64}!=x", f"app!={'x' * 64}"),
    ],
)
def test_what_is_no_selector_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no requirement on labels"):
        parse(text)


KEYS = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)


@given(st.dictionaries(KEYS, KEYS, max_size=4), st.dictionaries(KEYS, KEYS, max_size=4))
def test_equality_selects_what_has_all_of_them(wanted: dict[str, str], labels: dict[str, str]) -> None:
    text = ",".join(f"{key}={value}" for key, value in wanted.items())
    assert parse(text).selects(labels) is (wanted.items() <= labels.items())


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    try:
        parse(text).selects(LABELS)
    except ValueError as error:
        assert "is no requirement on labels" in str(error)
