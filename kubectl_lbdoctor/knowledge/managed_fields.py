"""What `metadata.managedFields` says: which manager holds which field of an object.

An entry names its fields as a tree (structured-merge-diff): `f:NAME` for a field, `k:{"port":80,"protocol":"TCP"}` for
the list item with these keys, `v:VALUE` for an item of a set, "." for a value itself. What has nothing below it is held
as a whole.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ ("FieldsV1")
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_lbdoctor.model.plan import escape

_WHOLE = "."


def held_fields(fields: Mapping[str, Any], raw: Any) -> Iterator[str]:
    """The JSON pointers into `raw` of all that a tree holds as a whole; what is not in `raw` any more is left out."""
    todo: list[tuple[Mapping[str, Any], Any, str]] = [(fields, raw, "")]
    while todo:
        node, value, pointer = todo.pop()
        inner = [(name, child) for name, child in node.items() if name != _WHOLE]
        if not inner and pointer:
            yield pointer
        for name, child in inner:
            segment, item = _inside(name, value)
            if segment and isinstance(child, Mapping):
                todo.append((child, item, f"{pointer}/{segment}"))


def covers(held: str, pointer: str) -> bool:
    """Whether a field that is held is the one of the pointer, holds it, or is a part of it."""
    return held == pointer or pointer.startswith(f"{held}/") or held.startswith(f"{pointer}/")


def _inside(name: str, value: Any) -> tuple[str, Any]:
    """The segment of a pointer that a key of the tree means in this value, and what stands there; "" for nothing."""
    kind, _, key = name.partition(":")
    if kind == "f" and isinstance(value, Mapping) and key in value:
        return escape(key), value[key]
    if kind in ("k", "v") and isinstance(value, list):
        wanted = _json(key)
        for index, item in enumerate(value):
            same = item == wanted if kind == "v" else _has(item, wanted)
            if same:
                return str(index), item
    return "", None


def _has(item: Any, keys: Any) -> bool:
    is_both = isinstance(item, Mapping) and isinstance(keys, Mapping)
    return is_both and all(item.get(key) == value for key, value in keys.items())


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
