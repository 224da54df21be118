"""Success codes of target groups."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.knowledge.success_codes import accepts_all_of


@pytest.mark.parametrize(
    ("matcher", "other", "expected"),
    [
        ("200-299", "200", True),
        ("200", "200-299", False),
        ("200-249,250-299", "200-299", True),
        ("250-299,200-249", "210-260", True),
        ("200-249,251-299", "200-299", False),
        ("200", "200,202", False),
        ("0-99", "12", True),
    ],
)
def test_whether_one_accepts_all_that_another_does(matcher: str, other: str, expected: bool) -> None:
    assert accepts_all_of(matcher, other) is expected
