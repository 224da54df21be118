"""Puts `kubectl_complete-lbdoctor` on PATH, where kubectl asks it for completions.

krew links one program per plugin, so that this second one cannot come with an installation by krew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from kubectl_lbdoctor.errors import CouldNotRun, UsageError
from kubectl_lbdoctor.record import record

NAME = "kubectl_complete-lbdoctor"
"""The name that kubectl looks for."""

_MARK = "kubectl lbdoctor completion install"
_WINDOWS_SCRIPT = f"@rem Written by the plugin: {_MARK}\r\n@kubectl-lbdoctor __complete %*\r\n"


@record
class Installation:
    """What is to be written where. found: the file is there already and needs no change."""

    path: Path
    content: str
    found: bool
    on_path: bool

    def write(self) -> None:
        """Write the file, executable. Raises CouldNotRun where the system refuses."""
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            beside.write_text(self.content, encoding="utf-8", newline="")
            beside.chmod(0o755)
            os.replace(beside, self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise CouldNotRun(f"cannot write {self.path}: {error.strerror}", "choose another --dir") from error


def script(windows: bool = os.name == "nt") -> str:
    """The content of the file."""
    if windows:
        return _WINDOWS_SCRIPT
    return files("kubectl_lbdoctor").joinpath("data", NAME).read_text(encoding="utf-8")


def plan(directory: str, variables: Mapping[str, str]) -> Installation:
    """Where the file goes: `directory`, else krew's bin folder, else a folder of the user on PATH, else any on PATH.

    Raises UsageError where no folder on PATH can be written, CouldNotRun where another file has the name.
    """
    search = [Path(part) for part in variables.get("PATH", "").split(os.pathsep) if part]
    name = f"{NAME}.cmd" if os.name == "nt" else NAME
    present = shutil.which(NAME, path=variables.get("PATH", ""))
    if present and not directory and _is_ours(Path(present)):
        found = Path(present)
        content = found.read_text("utf-8", "replace")
        if _MARK not in content or content == script():  # What pip, pipx and uv make calls the program as well.
            return Installation(found, content, found=True, on_path=True)
        return Installation(found, script(), found=False, on_path=True)
    path = (Path(directory) if directory else _folder(search, variables)) / name
    if directory and not path.parent.is_dir():
        raise UsageError(f"{directory} is no folder", "make it, or choose another --dir")
    if path.exists() and not _is_ours(path):
        raise CouldNotRun(f"{path} is not this plugin's, so it stays as it is", "move it away, or choose another --dir")
    same = path.exists() and path.read_text("utf-8", "replace") == script()
    return Installation(path, script(), found=same, on_path=path.parent in search)


def _is_ours(path: Path) -> bool:
    try:
        content = path.read_text("utf-8", "replace")
    except OSError:
        return False
    return _MARK in content or "kubectl_lbdoctor" in content


def _folder(search: list[Path], variables: Mapping[str, str]) -> Path:
    home = Path(variables.get("HOME") or variables.get("USERPROFILE") or "/nonexistent")
    krew = Path(variables.get("KREW_ROOT") or home / ".krew") / "bin"
    writable = [path for path in search if path.is_dir() and os.access(path, os.W_OK)]
    ranked = sorted(writable, key=lambda path: (path != krew, home not in path.parents))
    if not ranked:
        raise UsageError("no folder on PATH can be written", "pass --dir DIR, and put DIR on your PATH")
    return ranked[0]
