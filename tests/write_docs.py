"""Writes all documents that are made from declarations and recordings: `python -m tests.write_docs` (make docs)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kubectl_lbdoctor.render.permissions import rbac
from tests.docs import checks, contract, permissions, picture, plugin, report, screen

ROOT = Path(__file__).parent.parent
CHECKS = ROOT / "docs" / "checks.md"

DOCUMENTS: dict[Path, Callable[[], str]] = {
    CHECKS: checks.page,
    ROOT / "docs" / "permissions.md": permissions.page,
    ROOT / "docs" / "picture.md": picture.page,
    ROOT / "docs" / "report.md": report.page,
    ROOT / "plugin.yaml": plugin.page,
    contract.FILE: contract.page,
    ROOT / "docs" / "demo" / "screen.svg": screen.svg,
    ROOT / "examples" / "cronjob" / "role.yaml": lambda: rbac(permissions.declared()),
}
"""The text of each document."""


def main() -> None:
    for path, text in DOCUMENTS.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
        print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
