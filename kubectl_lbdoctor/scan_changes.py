"""What has changed between two scans, a row at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.model.scan import ScanReport, ScanRow
from kubectl_lbdoctor.record import record


@record
class RowChange:
    """One frontend that is not as it was. before: None for one that is new; after: None for one that is gone."""

    row: ScanRow
    before: Status | None
    after: Status | None

    @property
    def same_state(self) -> bool:
        """Only the root cause is another one."""
        return self.before is self.after


def changes(before: ScanReport | None, after: ScanReport) -> Iterator[RowChange]:
    """The frontends whose state or root cause is another, in the order of the scan, then those that are gone.

    before: None for the first scan, of which everything is told that is not healthy.
    """
    known = {row.key: row for row in before.rows} if before is not None else {}
    for row in after.rows:
        old = known.pop(row.key, None)
        if old is None:
            if before is not None or row.status is not Status.HEALTHY:
                yield RowChange(row, None, row.status)
        elif old.status is not row.status or _cause(old) != _cause(row):
            yield RowChange(row, old.status, row.status)
    for row in known.values():
        yield RowChange(row, row.status, None)


def _cause(row: ScanRow) -> str:
    """Warnings about what is healthy come and go without anybody waiting for them."""
    return row.cause.finding.code if row.cause is not None and row.status is not Status.HEALTHY else ""
