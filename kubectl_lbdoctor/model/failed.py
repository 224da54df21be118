"""Why a program ended without a result, for those who read documents instead of standard error."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Reason(str, Enum):
    """Whose trouble it is. The values are words of lbdoctor/v1.

    USAGE: the command line cannot be used as given. COULD_NOT_RUN: there is no cluster, no such object, no readable
    bundle. INTERRUPTED: by Ctrl-C. BUG: of this program.
    """

    USAGE = "Usage"
    COULD_NOT_RUN = "CouldNotRun"
    INTERRUPTED = "Interrupted"
    BUG = "Bug"


class Failed(NamedTuple):
    """message: what was tried and what went wrong. hint: what to do next, "" for nothing."""

    reason: Reason
    message: str
    hint: str = ""
