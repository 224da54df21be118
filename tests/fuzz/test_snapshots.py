"""Bundles that were bent: each is refused in a sentence or diagnosed, without a crashed check, and what does not work
in it is never called healthy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.collect import bundle
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
    pool = NAMES[::40]  # to make each snapshot only once
    for name, chance in runs(few=40):
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


def test_what_was_cut_out_of_a_bundle_is_not_known(tmp_path: Path) -> None:
    """A healthy bundle is not healthy without one of its facts, whichever it is; what only sharpens a diagnosis, and
    what a run reads only where it is needed, may lack."""
    document = to_json(cases.result("healthy-with-a-fargate-node").snapshot)
    assert product.judge(bundle.load(written(document, tmp_path / "bundle.json"))).report.status.value == "healthy"
    facts = [at for at in facts_of(document) if "identity" not in at]
    healthy = []
    for at in facts:
        changed = copy.deepcopy(document)
        holder: Any = changed
        for key in at[:-1]:
            holder = holder[key]
        del holder[at[-1]]
        report = product.judge(bundle.load(written(changed, tmp_path / "bundle.json"))).report
        if report.status.value == "healthy":
            healthy.append(at)
    spare = {"webhook_certificates", "group_ingresses", "controller_logs", "service_accounts", "probes"}
    assert [at for at in healthy if not spare & set(at)] == []


@pytest.mark.parametrize("text", ["", "odd", "10.0.0.0/99", "10.0.0.1.5", "::g"])
def test_text_that_is_no_address_is_unknown(text: str, tmp_path: Path) -> None:
    """Wherever an address or a block stands: no check crashes over it."""
    for name in ("LBD501-beside-a-wrong-path", "healthy-rule-by-cidr-nlb-instance"):
        document = to_json(cases.result(name).snapshot)
        for at in places(document):
            holder: Any = document
            for key in at[:-1]:
                holder = holder[key]
            before = holder[at[-1]]
            if not isinstance(before, str) or before.count(".") != 3 or not before[:3].isascii() or " " in before:
                continue
            changed = copy.deepcopy(document)
            holder = changed
            for key in at[:-1]:
                holder = holder[key]
            holder[at[-1]] = text
            snapshot = bundle.load(written(changed, tmp_path / "bundle.json"))
            report = product.judge(snapshot).report
            crashed = [check.trace for check in report.unknown if check.crashed]
            assert not crashed, f"{name} {at}: {crashed[0]}"
