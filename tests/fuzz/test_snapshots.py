"""Bundles that were bent: each is refused in a sentence or diagnosed, without a crashed check, and what does not work
in it is never called healthy."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.codec import to_json
from kubectl_lbdoctor.model.snapshot import SCHEMA
from tests.fuzz.mutation import bent, places, runs
from tests.fuzz.test_answers import NAMES, checked
from tests.support import cases, product


def written(snapshot: Any, place: Path) -> Path:
    document = {"kind": bundle.KIND, "schema": SCHEMA, "tool": "test", "snapshot": snapshot}
    place.write_text(json.dumps(document))
    return place


def facts_of(document: Any) -> list[tuple[Any, ...]]:
    """Where the facts of a snapshot's document stand."""
    return [at[:-1] for at in places(document) if at[-1] == "source"]


def test_bent_bundles(tmp_path: Path) -> None:
    pool = NAMES[::60]  # to make each snapshot only once
    for name, chance in runs(few=30):
        case = chance.choice(pool)
        document = to_json(cases.result(case).snapshot)
        place = written(bent(document, chance, lambda at: at[0] in ("subjects", "context")), tmp_path / "bundle.json")
        try:
            snapshot = bundle.load(place)
        except CouldNotRun:
            continue
        checked(snapshot, tmp_path / "again.json", f"FUZZ run {name} of {case}")


def test_a_fact_that_is_known_has_a_value(tmp_path: Path) -> None:
    document = to_json(product.judge(cases.result("healthy-with-a-fargate-node").snapshot).snapshot)
    facts = [(*at, "value") for at in facts_of(document)]
    assert len(facts) > 20
    refused = 0
    for at in facts:
        for how in ("null", "absent"):
            changed = copy.deepcopy(document)
            holder = changed
            for key in at[:-1]:
                holder = holder[key]
            holder["value"] = None
            if how == "absent":
                del holder["value"]
            try:
                product.judge(bundle.load(written(changed, tmp_path / "bundle.json")))
            except CouldNotRun as error:
                assert "it is known, but has no value" in error.message
                refused += 1
    assert refused > 20


NO_ADDRESSES = ("", "odd", "10.0.0.0/99", "10.0.0.1.5", "::g")


@pytest.mark.parametrize("name", ["LBD501-beside-a-wrong-path", "healthy-rule-by-cidr-nlb-instance"])
def test_text_that_is_no_address_is_unknown(name: str, tmp_path: Path) -> None:
    """In every field where an address or a block stands: no check crashes over it."""
    document = to_json(cases.result(name).snapshot)
    fields: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for at in places(document):
        before = value_at(document, at)
        if isinstance(before, str) and re.fullmatch(r"[0-9.]+(/[0-9]+)?|[0-9a-f:]+::[0-9a-f:/]*", before):
            fields[tuple(key for key in at if not isinstance(key, int) and ":" not in key)] = at
    assert len(fields) > 10
    for number, at in enumerate(fields.values()):
        changed = copy.deepcopy(document)
        value_at(changed, at[:-1])[at[-1]] = NO_ADDRESSES[number % len(NO_ADDRESSES)]
        report = product.judge(bundle.load(written(changed, tmp_path / "bundle.json"))).report
        crashed = [check.trace for check in report.unknown if check.crashed]
        assert not crashed, f"{at}: {crashed[0]}"


NO_NUMBERS = ("²", "9" * 5000, "٣", "1²", "0x1", "+1", "1_0", "1e9", "200-²", "200-" + "9" * 5000, "80,²")


@pytest.mark.parametrize("name", ["LBD301-path-404", "LBD317-path-500", "LBD103-certificate-not-found"])
def test_text_that_is_no_number_is_unknown(name: str, tmp_path: Path) -> None:
    """In every field of text that holds digits, and in every annotation: Python takes "²" for a digit, and reads no
    number of 5,000 of them."""
    document = to_json(cases.result(name).snapshot)
    fields: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for at in places(document):
        before = value_at(document, at)
        if isinstance(before, str) and ("annotations" in at or re.fullmatch(r"[0-9][0-9,-]*", before)):
            fields[tuple(key for key in at if not isinstance(key, int) and ":" not in key)] = at
    assert len(fields) > 10
    for number, at in enumerate(fields.values()):
        for odd in (NO_NUMBERS[number % len(NO_NUMBERS)], NO_NUMBERS[number % 2]):
            changed = copy.deepcopy(document)
            value_at(changed, at[:-1])[at[-1]] = odd
            try:
                report = product.judge(bundle.load(written(changed, tmp_path / "bundle.json"))).report
            except CouldNotRun:
                continue
            crashed = [check.trace for check in report.unknown if check.crashed]
            assert not crashed, f"{at} {odd[:10]}: {crashed[0]}"


NO_TIMES = (
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30T00:00:00Z",
    "x",
    "",
)


@pytest.mark.parametrize("name", ["LBD301-path-404", "LBD103-certificate-not-found", "LBD501-beside-a-wrong-path"])
def test_a_time_that_is_none_is_not_known(name: str, tmp_path: Path) -> None:
    """In every field that holds a time: no check crashes, and no report; Go writes "no time" as the year 1."""
    document = to_json(cases.result(name).snapshot)
    fields: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for at in places(document):
        before = value_at(document, at)
        if isinstance(before, str) and re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T", before):
            fields[tuple(key for key in at if not isinstance(key, int) and ":" not in key)] = at
    assert len(fields) > 10
    for number, at in enumerate(fields.values()):
        for odd in (NO_TIMES[0], NO_TIMES[1 + number % 5]):
            changed = copy.deepcopy(document)
            value_at(changed, at[:-1])[at[-1]] = odd
            report = product.judge(bundle.load(written(changed, tmp_path / "bundle.json"))).report
            crashed = [check.trace for check in report.unknown if check.crashed]
            assert not crashed, f"{at} {odd}: {crashed[0]}"


def value_at(document: Any, at: tuple[Any, ...]) -> Any:
    """What stands at a place of a document."""
    for key in at:
        document = document[key]
    return document
