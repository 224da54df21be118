"""docs/schema/lbdoctor-v1.txt: every field of the contract with its type, and every word of its enumerations.

A line once written stays: a field that is renamed, removed or of another type would be a new version of the contract.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.docs.report import FILES, FOLDER, Schema, described

FILE = FOLDER / "lbdoctor-v1.txt"


def lines() -> set[str]:
    """What the schemas say now."""
    schemas = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(FOLDER).glob("*.json"))}
    found: set[str] = set()
    for name in FILES:
        schema = schemas[name]
        kind = schema["properties"]["kind"]["const"]
        for field, value in schema["properties"].items():
            found.update(f"{kind} {line}" for line in _lines(field, value, schema, schemas))
    return found


def _lines(path: str, value: Schema, root: Schema, schemas: dict[str, Schema]) -> Iterator[str]:
    kind, inner, home = described(value, root, schemas)
    words = value.get("enum", [])
    yield f"{path}: {'one of' if words and 'type' not in value else kind}"
    yield from (f"{path} = {json.dumps(word)}" for word in words)
    below = f"{path}[]" if kind.startswith("list") else path
    for name, field in inner.items():
        yield from _lines(f"{below}.{name}", field, home, schemas)


def page() -> str:
    """All lines that there ever were."""
    before = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    return "".join(f"{line}\n" for line in sorted({*before, *lines()}))
