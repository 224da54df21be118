"""What a change builds on against what is there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.collect.fields import NotUnderstood, mapping, objects, strings, text
from kubectl_lbdoctor.errors import ReadFailed
from kubectl_lbdoctor.fix.errors import AlreadyThere, Expectation, OutOfSight, ValueChanged
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, unescape


def compare(raw: Mapping[str, Any], change: Change, expectation: Expectation = Expectation.PLANNED) -> None:
    """Raise MovedOn where the object is not as planned, AlreadyThere where all of it is as wanted."""
    if (raw.get("metadata") or {}).get("deletionTimestamp"):
        raise OutOfSight(f"{change.object} is being deleted")
    if not change.edits:
        return
    found = [(edit, value_at(raw, edit.pointer)) for edit in change.edits]
    moved = [(edit, value) for edit, value in found if not _same(value, edit.now)]
    if moved and all(_same(value, edit.then) for edit, value in found):
        raise AlreadyThere(f"{change.field} of {change.object} is {change.then} already")
    for edit, value in moved:
        name = f"annotation {edit.annotation}" if edit.annotation else edit.pointer
        raise ValueChanged(change.object, name, value, edit.now, expectation)


def check_shape(ref: ObjectRef, raw: Mapping[str, Any]) -> None:
    """Raise ReadFailed for what the API server gives of no object: nothing is compared with it, and nothing written."""
    try:
        metadata = mapping(raw, "metadata")
        for key in ("name", "uid", "resourceVersion", "deletionTimestamp"):
            text(metadata, key)
        strings(metadata, "annotations")
        strings(metadata, "labels")
        objects(metadata, "managedFields")
        mapping(raw, "spec")
    except NotUnderstood as error:
        raise ReadFailed(f"what the API server says of {ref} cannot be understood ({error})") from error


def value_at(raw: object, pointer: str) -> object:
    """What stands at a JSON pointer; None where nothing does."""
    value = raw
    for segment in pointer.split("/")[1:]:
        key = unescape(segment)
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _same(found: object, wanted: object) -> bool:
    """Whether a value is the planned one; what the API server leaves out when empty counts as absent."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return found == wanted or (found in ({}, "") and wanted is None)
