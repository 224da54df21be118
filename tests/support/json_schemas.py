"""The JSON Schemas of docs/schema, as validators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

FOLDER = Path(__file__).parents[2] / "docs" / "schema"


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """All schemas by their file names."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


@cache
def kinds() -> dict[str, str]:
    """The file of each kind of document."""
    of_documents = {name: schema for name, schema in schemas().items() if "properties" in schema}
    return {schema["properties"]["kind"]["const"]: name for name, schema in of_documents.items()}


@cache
def validator(kind: str) -> Draft202012Validator:
    """The validator of a kind ("Report"). Raises KeyError for one without a schema."""
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas().values()
    )
    return Draft202012Validator(schemas()[kinds()[kind]], registry=registry)


def violations(document: Any) -> list[str]:
    """Everything in which a document departs from the schema of its kind."""
    found: Iterator[Any] = validator(document["kind"]).iter_errors(document)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]
