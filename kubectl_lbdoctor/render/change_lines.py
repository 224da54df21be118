"""Changes between two scans, a line for each, for logs and pipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.render.scan_screen import count_healthy
from kubectl_lbdoctor.render.text import quoted
from kubectl_lbdoctor.scan_changes import RowChange


def change_lines(changes: Iterable[RowChange], now: str) -> Iterator[str]:
    """Time, object, what it is now, how many targets are healthy and why, with what it was."""
    for change in changes:
        row = change.row
        name = f"{'+'.join(row.namespaces)}/{row.name}"
        yield quoted(f"{now}  {row.kind} {name}  {_said(change)}")


def _said(change: RowChange) -> str:
    if change.after is None:
        return "is gone"
    row = change.row
    cause = row.cause if change.after is not Status.HEALTHY else None
    targets = f"{count_healthy(row)} targets healthy"
    why = f", {cause.finding.code} {cause.message}" if cause is not None else ""
    if change.same_state:
        return f"still {change.after.value}, the cause has changed: {targets}{why or ', no cause'}"
    word = "recovered: healthy" if _recovered(change) else change.after.value
    was = f", was {change.before.value}" if change.before is not None else ""
    return f"{word}, {targets}{why}{was}"


def _recovered(change: RowChange) -> bool:
    return change.after is Status.HEALTHY and change.before is not None
