from __future__ import annotations

from datetime import datetime, timezone

import pytest

from kubectl_lbdoctor.model.times import in_words, parse_time, seconds_between

NOON = datetime(2026, 11, 29, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-29T12:00:00Z",
        "2026-11-29T12:00:00.000000Z",
        "2026-11-29T12:00:00.0Z",
        "2026-11-29T12:00:00.000000000Z",
        "2026-11-29T13:00:00+01:00",
        "2026-11-29T13:00:00.000+0100",
        "2026-11-29T12:00:00",
    ],
)
def test_every_way_to_write_noon(text: str) -> None:
    assert parse_time(text) == NOON


def test_fractions_count() -> None:
    told = parse_time("2026-11-29T12:00:00.25Z")
    assert told is not None and (told - NOON).total_seconds() == 0.25


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01T00:00:00Z", "<nil>", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"]
)
def test_what_is_no_time(text: str) -> None:
    assert parse_time(text) is None


def test_a_duration_that_is_not_known_has_words() -> None:
    assert in_words(seconds_between("", "2026-11-29T12:00:00Z")) == "an unknown time"
    assert in_words(90) == "90 s"
