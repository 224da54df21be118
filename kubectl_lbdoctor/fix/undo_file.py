"""The undo file of a fix: written before anything is changed, kept true after every step."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.fix.step_run import StepRun
from kubectl_lbdoctor.fix.writers import AWS_WRITES, path_of
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.codec import CodecError, from_json, to_json
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.group_edits import is_editable
from kubectl_lbdoctor.model.snapshot import Context

KIND = "lbdoctor-undo"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class UndoFile:
    """One fix: where it was made, for which objects, and how far it came. made_at, undone_at: RFC 3339, undone_at ""
    where it was not undone."""

    made_at: str
    context: Context
    subjects: tuple[ObjectRef, ...]
    steps: tuple[StepRun, ...]
    undone_at: str = ""


def place(chosen: str, now: str) -> Path:
    """Where the file of a fix goes: `chosen` names a file that is not there yet, or a directory; "" is the current one.

    Raises CouldNotRun where another file would be replaced.
    """
    path = Path(chosen)
    if chosen and not path.is_dir():
        if path.exists():
            raise CouldNotRun(f"the undo file {path} exists already", "choose another place with --undo-file FILE")
        return path
    stem, number = f"lbdoctor-undo-{now.replace('-', '').replace(':', '')}", 1
    while (found := path / f"{stem}{f'-{number}' if number > 1 else ''}.json").exists():
        number += 1
    return found


def save(content: UndoFile, path: Path) -> None:
    """Write it whole or not at all, readable by its owner only. Raises CouldNotRun when it cannot be written.

    Who owns an object is not kept: that is looked at again when it matters.
    """
    kept = replace(content, steps=tuple(replace(run, owner=None) for run in content.steps))
    document = {"kind": KIND, "schema": SCHEMA, "tool": __version__, "fix": to_json(kept)}
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(document, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CouldNotRun(
            f"cannot write the undo file {path}: {error.strerror or error}; nothing more is changed without it",
            "choose a place for it with --undo-file FILE",
        ) from error


def load(path: Path) -> UndoFile:
    """Read an undo file. Raises CouldNotRun, saying what is wrong with it."""
    try:
        document: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise CouldNotRun(f"cannot read the undo file {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CouldNotRun(f"the file {path} is no undo file, or is cut off: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise CouldNotRun(f"the file {path} is not an undo file of kubectl lbdoctor")
    schema = document.get("schema")
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise CouldNotRun(
            f"the undo file {path} has schema {schema}, this version {__version__} reads up to {SCHEMA}",
            f"it was made by version {document.get('tool', '?')}: use that version",
        )
    try:
        content: UndoFile = from_json(UndoFile, document.get("fix"))
    except CodecError as error:
        raise CouldNotRun(f"the undo file {path} cannot be read: {error}") from error
    _check(content, path)
    return content


def _check(content: UndoFile, path: Path) -> None:
    """Raise CouldNotRun for a step that no fix makes: the file may have passed through other hands, and only what a fix
    itself does is ever done from it."""
    for number, run in enumerate(content.steps, 1):
        change = run.step.change
        aws = change.aws
        if aws is not None and (aws.service != "ec2" or AWS_WRITES.get(aws.operation) != aws.undo_operation):
            raise CouldNotRun(f"the undo file {path} cannot be read: step {number} is no change that a fix makes")
        if sum((bool(change.edits), change.restart, aws is not None)) != 1:
            raise CouldNotRun(f"the undo file {path} cannot be read: step {number} does not say what was changed")
        if change.group is not None:
            named = target_group_name(change.group.arn) == change.object.name and change.object.kind == "TargetGroup"
            if not named or not all(is_editable(edit.pointer) for edit in change.edits):
                raise CouldNotRun(f"the undo file {path} cannot be read: step {number} is no change that a fix makes")
        elif aws is None:
            path_of(change.object)
