"""Values in, sentences out: the language of message templates."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_lbdoctor.checks.wording import counted, fields, listed, render

ZONES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("template", "params", "text"),
    [
        ("{path} of {port}", {"path": "/", "port": "80"}, "/ of 80"),
        ("{count}", {"count": 3}, "3"),
        ("{count:pod}", {"count": 1}, "1 pod"),
        ("{count:pod}", {"count": 0}, "0 pods"),
        ("{count:ready endpoint}", {"count": 2}, "2 ready endpoints"),
        ("{count:entry|entries}", {"count": 1}, "1 entry"),
        ("{count:entry|entries}", {"count": 2}, "2 entries"),
        ("{count:=is|are}", {"count": 1}, "is"),
        ("{count:=is|are}", {"count": 2}, "are"),
        ("{zones:=zone} {zones}", {"zones": ("a",)}, "zone a"),
        ("{zones:zone}", {"zones": ZONES}, "3 zones"),
        ("{zones}", {"zones": ZONES}, "a, b, c"),
        ("{zones:,2}", {"zones": ZONES}, "a, b and 1 more"),
        ("{zones:,3}", {"zones": ZONES}, "a, b, c"),
        ("{zones:&}", {"zones": ZONES}, "a and b and c"),
        ('{zones:"&"}', {"zones": ("a", "b")}, '"a" and "b"'),
        ("{zones:?no zone}", {"zones": ()}, "no zone"),
        ("{zone:?no zone}", {"zone": "a"}, "a"),
        ("{state:unused=is idle|*=is busy}", {"state": "unused"}, "is idle"),
        ("{state:unused=is idle|*=is busy}", {"state": "used"}, "is busy"),
        ("{pods:=its pod does|{bad} of {pods} pods do}", {"pods": 1, "bad": 1}, "its pod does"),
        ("{pods:=its pod does|{bad} of {pods} pods do}", {"pods": 3, "bad": 2}, "2 of 3 pods do"),
        ("no pod[; the nearest is {nearest}].", {"nearest": "web"}, "no pod; the nearest is web."),
        ("no pod[; the nearest is {nearest}].", {"nearest": ""}, "no pod."),
        ("no pod[; the nearest is {nearest}].", {}, "no pod."),
        ("no pod[; see {zones}].", {"zones": ()}, "no pod."),
        ("[{count} pods]", {"count": 0}, "0 pods"),
        ("{said}", {"said": "codes: [404] {x}"}, "codes: [404] {x}"),
    ],
)
def test_rendering(template: str, params: dict[str, Any], text: str) -> None:
    assert render(template, params) == text


def test_a_value_that_is_needed_and_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="port"):
        render("{path} of {port}[ ({other})]", {"path": "/"})


def test_an_unforeseen_case_is_an_error() -> None:
    with pytest.raises(KeyError):
        render("{state:unused=is idle}", {"state": "used"})


def test_needed_fields_are_those_outside_of_brackets() -> None:
    assert fields("{a:=x|{b} y} of {c:pod}[; {d}]") == ("a", "b", "c")


def test_words_for_evidence() -> None:
    assert listed([], 2) == "" and listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert counted(1, "pod") == "1 pod" and counted(2, "pod") == "2 pods"
