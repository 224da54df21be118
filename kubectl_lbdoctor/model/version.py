"""What this program is and what it runs on."""

from __future__ import annotations

import platform
import sys

from kubectl_lbdoctor.record import record


@record
class Version:
    """number: of this program."""

    number: str

    @property
    def python(self) -> str:
        """The version of Python: "3.11.9"."""
        return platform.python_version()

    @property
    def platform(self) -> str:
        """System and processor, as Go and kubectl name them: "linux/amd64"."""
        machine = platform.machine().lower()
        return f"{sys.platform}/{_PROCESSORS.get(machine, machine)}"


_PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's names: https://go.dev/doc/install/source#environment."""
