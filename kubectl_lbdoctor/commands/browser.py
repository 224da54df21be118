"""`--open`: a page in a private file, shown by the browser where there is one."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun


def shown(page: str, env: Environment) -> str:
    """The line for stdout: where the page is. Raises CouldNotRun where it cannot be written.

    The file is readable by its owner alone, and stays: the browser reads it after the program has ended.
    """
    place = _written(page)
    if _has_browser(env.variables) and _opened(place):
        env.note("opened in the browser")
    else:
        env.note("there is no browser here: open the file where there is one")
    return f"{place}\n"


def _written(page: str) -> Path:
    try:
        handle, name = tempfile.mkstemp(prefix="lbdoctor-", suffix=".html")  # Mode 0600.
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise CouldNotRun(f"the page could not be written: {error}", "name another directory by TMPDIR") from error
    return Path(name)


def _has_browser(variables: Mapping[str, str]) -> bool:
    """Whether a browser can be seen: not over SSH, nor on a Unix without a display. BROWSER says that there is one."""
    if variables.get("BROWSER"):
        return True
    if variables.get("SSH_CONNECTION"):
        return False
    return sys.platform in ("darwin", "win32") or any(variables.get(d) for d in ("DISPLAY", "WAYLAND_DISPLAY"))


def _opened(place: Path) -> bool:
    try:
        return webbrowser.open(place.as_uri())
    except (webbrowser.Error, OSError):
        return False
