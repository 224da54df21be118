"""Undo files bent at random, with their digests made anew: each is refused in a sentence, or says what fixes write, and
can be shown, saved and read again."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from kubectl_lbdoctor.analysis.change_shapes import made_anew
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.model.plan import Step
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.model.where import NOWHERE
from kubectl_lbdoctor.render.fix_tables import undo_table
from tests.fuzz.mutation import bent, runs
from tests.fuzz.test_answers import NAMES
from tests.support import cases, undo_files

CONTEXT = Context("lab", "https://10.0.0.1:6443", "shop", "us-west-2", "123456789012", "lab")


@cache
def written(name: str) -> UndoFile | None:
    """The undo file of all repairs of a case."""
    run = cases.result(name)
    steps = tuple(
        StepRun(Step(d.fix or "some-fix", d.finding.code, change), StepState.APPLIED, "" if change.in_aws else "uid-1")
        for d in run.report.diagnoses
        for repair in d.finding.repairs
        for change in repair.changes
    )
    return UndoFile(run.snapshot.taken_at, CONTEXT, run.snapshot.subjects, steps) if steps else None


def test_bent_undo_files(tmp_path: Path) -> None:
    place, kept = tmp_path / "undo.json", 0
    for name, chance in runs(few=400):
        content = written(chance.choice(NAMES[::8]))
        if content is None:
            continue
        place.unlink(missing_ok=True)
        undo_file.save(content, place)
        document = json.loads(place.read_text())
        document["fix"] = bent(document["fix"], chance)
        document["digest"] = undo_files.digest(document["fix"])
        if chance.random() < 0.1:
            document = bent(document, chance)
        place.write_text(json.dumps(document))
        try:
            found = undo_file.load(place)
        except CouldNotRun as error:
            assert error.message.isprintable(), f"FUZZ run {name}: {error.message!r}"
            continue
        kept += 1
        steps = tuple(run.step for run in found.steps)
        assert all(_words(made_anew(s.change, CONTEXT.region)) == _words(s.change) for s in steps), f"FUZZ run {name}"
        assert undo_table(steps, 100, True, NOWHERE), f"FUZZ run {name}"
        undo_file.save(found, tmp_path / "again.json")
        assert undo_file.load(tmp_path / "again.json") == found, f"FUZZ run {name}"
    assert kept  # A bent file may still be one that a fix could have written.


def _words(change: Any) -> tuple[object, ...]:
    return change.object, change.field, change.now, change.then, change.edits, change.aws
