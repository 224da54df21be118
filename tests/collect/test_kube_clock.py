"""Ages are measured by the clock of the API server, because it is the one that wrote the times down."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from kubectl_lbdoctor.collect.kubernetes_api.clock import ServerClock

NOON, AN_HOUR_LATER = "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z"


def by(*ahead: float) -> ServerClock:
    """A clock that has heard from a server that is so many seconds ahead."""
    clock = ServerClock()
    for seconds in ahead:
        clock.heard(formatdate(time.time() + seconds, usegmt=True))
    return clock


@pytest.fixture(autouse=True)
def whole_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)


@pytest.mark.parametrize(
    ("ahead", "noon"),
    [
        ((3600,), AN_HOUR_LATER),
        ((-3600,), "2026-11-23T11:00:00Z"),
        ((5,), NOON),
        ((-6,), "2026-11-23T11:59:54Z"),
        ((), NOON),
    ],
)
def test_a_local_time_is_told_by_the_servers_clock(ahead: tuple[float, ...], noon: str) -> None:
    assert by(*ahead).corrected(NOON) == noon


def test_an_answer_that_was_long_under_way_does_not_set_the_clock_back() -> None:
    assert by(-30, 0, -12).corrected(NOON) == NOON


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 30 Nov 2026 09:00:00"])
def test_what_is_no_date_is_not_heard(date: str | None) -> None:
    clock = by(3600)
    clock.heard(date)
    assert clock.corrected(NOON) == AN_HOUR_LATER


def test_what_is_no_time_stays_as_it_is() -> None:
    assert by(3600).corrected("") == ""
