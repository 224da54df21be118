"""What one sieve left out stays named when another one marks the same list."""

from __future__ import annotations

from kubectl_lbdoctor.collect.sieve import Sieve
from kubectl_lbdoctor.model.fact import Fact


def left(noun: str, *names: str) -> Sieve:
    sieve = Sieve(noun)
    for name in names:
        sieve.leave_out(name, ValueError("it is odd"))
    return sieve


def test_what_was_left_out_before_stays_named() -> None:
    fact = left("pods", "a", "b").marked(left("jobs", "c").marked(Fact.known("x", ("d",))))
    assert fact.left_out == ("c", "a", "b")
    assert fact.reason == (
        "1 of 0 jobs could not be understood (c: it is odd); "
        "2 of 0 pods could not be understood (a: it is odd; b: it is odd)"
    )


def test_a_sieve_that_left_nothing_out_changes_nothing() -> None:
    fact = left("jobs", "c").marked(Fact.known("x", ()))
    assert left("pods").marked(fact) == fact
