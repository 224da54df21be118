"""Writes docs/checks.md from the declared checks: `python -m tests.write_docs` (make docs)."""

from __future__ import annotations

from pathlib import Path

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.render.explain import markdown

CHECKS = Path(__file__).parent.parent / "docs" / "checks.md"


def main() -> None:
    CHECKS.parent.mkdir(exist_ok=True)
    CHECKS.write_text(markdown(CATALOGUE), encoding="utf-8")
    print(f"written: {CHECKS}")


if __name__ == "__main__":
    main()
