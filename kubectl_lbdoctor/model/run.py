"""How a run went, which the documents of its results tell beside what was found."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from kubectl_lbdoctor.errors import ExitStatus


class Run(NamedTuple):
    """exit_status: what the program ends with, None where that is not decided. milliseconds: from the start of the
    program to the result. calls: requests that were sent to the cluster and to AWS, by their names; none for a bundle.
    """

    exit_status: ExitStatus | None = None
    milliseconds: int | None = None
    calls: Mapping[str, int] = MappingProxyType({})


NOT_TOLD = Run()
"""A result without a run: nothing is known of how it was come by."""
