"""Set-ups that the documentation of the controller, of EKS or of Kubernetes describes: the doctor has no complaint.

Healthy targets alone do not make one of them pass: nothing may be reported at all, or only what `notes` allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.e2e.scenarios import Manifests, Seen, healthy
from tests.lab.api import Lab


@dataclass(frozen=True)
class SetUp:
    """document: the address of the page that describes it. seen: waits until it works as AWS or Kubernetes shows it.

    notes: codes of severity "info" that may be shown. warns: codes of warnings that a careful engineer would want to
    see here. subject, setup, around: as of a Scenario.
    """

    name: str
    document: str
    manifests: Callable[[], Manifests]
    seen: Seen = healthy()
    subject: str | Callable[[Lab, str], str] = "ing/web"
    setup: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    around: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    notes: Sequence[str] = ()
    warns: Sequence[str] = ()

    def __str__(self) -> str:
        return self.name


SET_UPS: list[SetUp] = []
