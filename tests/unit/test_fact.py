"""Facts: only a successful read can be opened, and what is unknown stays unknown through every join."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from kubectl_lbdoctor.model.fact import Fact, Unknown, recording
from kubectl_lbdoctor.permission import Permission

DENIED: Fact[tuple[str, ...]] = Fact.denied("core/pods", "forbidden", Permission(("list",), "pods"), "shop")
FAILED: Fact[tuple[str, ...]] = Fact.failed("core/pods", "timed out", "shop")
NOT_ASKED: Fact[tuple[str, ...]] = Fact.not_asked("core/pods", "--no-aws", "shop")
UNKNOWN = [DENIED, FAILED, NOT_ASKED]


def test_known_is_opened() -> None:
    assert Fact.known("core/pods", ("a",)).need() == ("a",)


def test_absence_is_known() -> None:
    fact: Fact[str | None] = Fact.known("core/pods", None)
    assert fact.is_known and fact.need() is None


@pytest.mark.parametrize("fact", UNKNOWN)
def test_unknown_is_never_opened(fact: Fact[tuple[str, ...]]) -> None:
    with pytest.raises(Unknown) as caught:
        fact.need()
    assert caught.value.fact is fact
    assert fact.reason in str(caught.value) and "core/pods" in str(caught.value)
    assert fact.peek() is None and not fact.is_known


@pytest.mark.parametrize("fact", UNKNOWN)
def test_unknown_survives_map_and_then(fact: Fact[tuple[str, ...]]) -> None:
    mapped = fact.map(len)
    joined = fact.then(lambda value: Fact.known("core/nodes", len(value)))
    for result in (mapped, joined, mapped.map(str).then(lambda text: Fact.known("x", text))):
        assert (result.state, result.reason, result.permission) == (fact.state, fact.reason, fact.permission)


def test_a_failed_function_is_no_unknown_read() -> None:
    with pytest.raises(ZeroDivisionError):
        Fact.known("x", 0).map(lambda value: 1 // value)


def test_known_maps_and_keeps_its_source_and_scope() -> None:
    fact = Fact.known("core/pods", ("a", "b"), "shop").map(len)
    assert (fact.source, fact.scope, fact.need()) == ("core/pods", "shop", 2)


def test_then_takes_the_source_of_the_further_read() -> None:
    denied: Fact[int] = Fact.denied("core/nodes", "forbidden", Permission(("list",), "nodes"))
    assert Fact.known("core/pods", 1).then(lambda value: denied) is denied


def test_recording_sees_need_and_peek_and_what_was_refused() -> None:
    with recording() as opened:
        Fact.known("a", 1).need()
        Fact.known("b", 1).peek()
        with pytest.raises(Unknown):
            DENIED.need()
        Fact.known("c", 1).map(str)
    Fact.known("d", 1).need()
    assert opened == {"a", "b", "core/pods"}


def test_recordings_nest_without_mixing() -> None:
    with recording() as outer:
        Fact.known("a", 1).need()
        with recording() as inner:
            Fact.known("b", 1).need()
        Fact.known("c", 1).need()
    assert (outer, inner) == ({"a", "c"}, {"b"})


def test_recording_is_of_its_own_thread() -> None:
    with recording() as opened, ThreadPoolExecutor(1) as pool:
        pool.submit(Fact.known("a", 1).need).result()
    assert opened == set()
