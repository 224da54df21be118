"""Derived facts: computed once per holder, and as honest on the second call as on the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.derived import Memo, derived, memo_field
from kubectl_lbdoctor.model.fact import Fact, NotApplicable, Unknown, recording
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.permission import Permission


@dataclass(frozen=True, slots=True)
class Holder:
    pods: Fact[int]
    memo: Memo = memo_field()


CALLS: list[str] = []


@derived
def doubled(holder: Holder, factor: int = 2) -> int:
    CALLS.append(f"doubled {factor}")
    return holder.pods.need() * factor


@derived
def counted(holder: Holder) -> Iterator[int]:
    CALLS.append("counted")
    yield 1
    yield 2
    holder.pods.need()


@derived
def refused(holder: Holder) -> int:
    CALLS.append("refused")
    raise NotApplicable("nothing here")


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


KNOWN = Fact.known("core/pods", 21)
DENIED: Fact[int] = Fact.denied("core/pods", "no", Permission(("list",), "pods"))


def test_a_value_is_computed_once_for_each_set_of_arguments() -> None:
    holder = Holder(KNOWN)
    assert [doubled(holder), doubled(holder), doubled(holder, 3), doubled(holder, 3)] == [42, 42, 63, 63]
    assert CALLS == ["doubled 2", "doubled 3"]


def test_another_holder_has_facts_of_its_own() -> None:
    first = Holder(KNOWN)
    assert doubled(first) == 42
    assert doubled(replace(first, pods=Fact.known("core/pods", 4))) == 8


def test_unknown_is_raised_again() -> None:
    holder = Holder(DENIED)
    for _ in range(2):
        with pytest.raises(Unknown) as raised:
            doubled(holder)
        assert raised.value.fact.permission == Permission(("list",), "pods")
    assert CALLS == ["doubled 2"]


def test_not_applicable_is_raised_again() -> None:
    holder = Holder(KNOWN)
    for _ in range(2):
        with pytest.raises(NotApplicable, match="nothing here"):
            refused(holder)
    assert CALLS == ["refused"]


def test_a_generator_gives_what_is_known_before_it_raises_each_time() -> None:
    holder = Holder(DENIED)
    for _ in range(2):
        given = []
        with pytest.raises(Unknown):
            for item in counted(holder):
                given.append(item)
        assert given == [1, 2]
    assert CALLS == ["counted"]


def test_opened_reads_count_each_time() -> None:
    holder = Holder(KNOWN)
    for _ in range(2):
        with recording() as opened:
            doubled(holder)
        assert opened == {"core/pods"}


def test_a_memo_is_no_part_of_a_snapshot_and_not_saved() -> None:
    snapshot = Snapshot(taken_at="2026-11-29T00:00:00Z")
    snapshot.memo.outcomes["x"] = None  # type: ignore[assignment]
    assert to_json(snapshot) == {"taken_at": "2026-11-29T00:00:00Z"}
    assert from_json(Snapshot, to_json(snapshot)) == snapshot
    assert replace(snapshot, taken_at="").memo.outcomes == {}
