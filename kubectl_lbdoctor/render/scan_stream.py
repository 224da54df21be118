"""`-o json` of a scan, written while the scan goes on: one document, which a reader of streams sees grow.

Its text is never held as a whole: what is known of frontends is written as it becomes known (`soFar`), the rest item by
item at the end. What reads JSON in pieces (jq --stream, ijson) sees the first frontends before the last are asked.
"""

from __future__ import annotations

import json
from typing import Any

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.render.documents import begun, document, so_far

_SO_FAR = "soFar"


class ScanStream:
    """Writes the document of one scan; once `show` was called, only `end` makes it valid."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._told: dict[tuple[str, tuple[str, ...], str], Status] = {}

    def show(self, scan: ScanReport) -> None:
        """Write the frontends whose state has become known, or another one, since the last time."""
        news = [row for row in scan.rows if row.status not in (Status.UNKNOWN, self._told.get(row.key))]
        if not news:
            return
        begin = ",\n    " if self._told else self._begin(scan) + "\n    "
        # First, because Ctrl-C may come while a slow reader is being written to.
        self._told.update((row.key, row.status) for row in news)
        self._env.progress("")
        self._env.out(begin + ",\n    ".join(_text(so_far(row), indent=4) for row in news))
        self._env.flush()

    def end(self, scan: ScanReport, run: Run) -> None:
        """Write everything else."""
        self._env.progress("")
        self._env.out("\n  ]" if self._told else self._begin(scan) + "]")
        written = {*begun(scan), _SO_FAR}
        for name, value in document(scan, run).items():
            if name not in written:
                self._field(name, value)
        self._env.out("\n}\n")

    def _begin(self, scan: ScanReport) -> str:
        head = ",\n".join(f"  {json.dumps(name)}: {_text(value)}" for name, value in begun(scan).items())
        return f"{{\n{head},\n  {json.dumps(_SO_FAR)}: ["

    def _field(self, name: str, value: Any) -> None:
        self._env.out(f",\n  {json.dumps(name)}: ")
        if not isinstance(value, list) or not value:
            self._env.out(_text(value))
            return
        for place, item in enumerate(value):
            self._env.out(("," if place else "[") + "\n    " + _text(item, indent=4))
        self._env.out("\n  ]")


def _text(value: Any, indent: int = 2) -> str:
    """A value as it stands so many columns in. A line break within a string is an escape."""
    return json.dumps(value, indent=2, ensure_ascii=True).replace("\n", "\n" + " " * indent)
