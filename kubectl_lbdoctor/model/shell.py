"""Command lines for people to copy, with everything that comes from the cluster quoted. Standard library only."""

from __future__ import annotations

import shlex


def shell(*words: str) -> str:
    """One command line; each word is quoted where the shell would take it apart."""
    return " ".join(shlex.quote(word) for word in words)


def kubectl(*words: str, namespace: str = "") -> str:
    """A command of kubectl. What stands behind "--" is not kubectl's, so the namespace goes before it."""
    own = words.index("--") if "--" in words else len(words)
    return shell("kubectl", *words[:own], *(["-n", namespace] if namespace else []), *words[own:])


def aws(*words: str, region: str) -> str:
    """A command of the AWS CLI in a region; "" where it is not known."""
    return shell("aws", *words, *(["--region", region] if region else []))
