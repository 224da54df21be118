"""Command lines for people to copy, with everything that comes from the cluster quoted. Standard library only."""

from __future__ import annotations

import shlex


def shell(*words: str) -> str:
    """One command line; each word is quoted where the shell would take it apart."""
    return " ".join(shlex.quote(word) for word in words)


def kubectl(*words: str, namespace: str = "") -> str:
    return shell("kubectl", *words, *(["-n", namespace] if namespace else []))
