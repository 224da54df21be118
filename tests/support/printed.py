"""The commands and texts that a report's document shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def commands(report: dict[str, Any]) -> Iterator[str]:
    """Every command of the document of a Report: those that confirm, settle a choice and repair."""
    for diagnosis in report["diagnoses"]:
        yield from diagnosis["confirm"]
        for hypothesis in diagnosis["hypotheses"]:
            yield from hypothesis["commands"]
        if diagnosis["fix"] is not None:
            yield from filter(None, [diagnosis["fix"]["command"]])
            yield from diagnosis["fix"]["otherCommands"]
            yield from diagnosis["fix"]["commands"]


def strings(value: object) -> Iterator[str]:
    """Every text in a document, without the names of its fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
