"""Undo files that pass through other hands: whoever edits one can renew its digest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubectl_lbdoctor.fix.undo_file import digest


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Change the content of the file under "fix", and renew the digest."""
    document = json.loads(path.read_text())
    change(document["fix"])
    document["digest"] = digest(document["fix"])
    path.write_text(json.dumps(document))
