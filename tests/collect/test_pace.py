"""A burst, then so many a second; half of that once AWS says that it is too much, and slowly all of it again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.errors import ReadFailed


class Clock:
    """Stands still but for what a test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def waits(pace: Pace, number: int) -> list[float]:
    """What so many requests at one moment would wait for."""
    return [round(pace._reserve(), 3) for _ in range(number)]


def test_a_burst_and_then_one_in_a_fifth_of_a_second() -> None:
    pace = Pace(5.0, burst=3, clock=Clock())
    assert waits(pace, 6) == [0, 0, 0, 0.2, 0.4, 0.6]


def test_the_bucket_fills_again_and_never_over() -> None:
    clock = Clock()
    pace = Pace(5.0, burst=3, clock=clock)
    waits(pace, 3)
    clock.now += 0.4
    assert waits(pace, 3) == [0, 0, 0.2]
    clock.now += 1000
    assert waits(pace, 4) == [0, 0, 0, 0.2]


def test_a_burst_is_never_longer_than_two_seconds_of_the_pace() -> None:
    assert waits(Pace(2.0, clock=Clock()), 5) == [0, 0, 0, 0, 0.5]
    assert waits(Pace(0.25, clock=Clock()), 2) == [0, 4]


def test_a_refusal_halves_the_pace_and_ends_the_burst() -> None:
    clock = Clock()
    pace = Pace(5.0, burst=10, clock=clock)
    assert not pace.slowed
    pace.refused()
    assert pace.slowed and pace.rate == 2.5
    assert waits(pace, 2) == [0.4, 0.8]


def test_refusals_of_one_moment_count_once() -> None:
    clock = Clock()
    pace = Pace(4.0, clock=clock)
    for _ in range(5):
        pace.refused()
    assert pace.rate == 2.0
    clock.now += 2.5
    pace.refused()
    assert pace.rate == 1.0


def test_it_never_stops_for_good() -> None:
    clock = Clock()
    pace = Pace(5.0, clock=clock)
    for _ in range(20):
        pace.refused()
        clock.now += 3
    assert pace.rate == 0.5


def test_it_recovers_within_a_minute() -> None:
    clock = Clock()
    pace = Pace(6.0, clock=clock)
    pace.refused()
    clock.now += 15
    waits(pace, 1)
    assert pace.rate == 4.5
    clock.now += 60
    waits(pace, 1)
    assert pace.rate == 6.0 and pace.slowed, "it says so for the whole run"


def test_who_waits_is_let_go_at_the_end() -> None:
    pace = Pace(0.01, burst=1)
    pace.take()
    begun = threading.Event()

    def waiting() -> None:
        begun.set()
        pace.take()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(waiting)
        begun.wait(5)
        pace.end()
        with pytest.raises(ReadFailed, match="ended"):
            future.result(5)
    with pytest.raises(ReadFailed):
        pace.take()
