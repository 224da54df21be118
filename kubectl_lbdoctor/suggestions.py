"""What somebody may have meant by a flag or a command that does not exist. A poor guess is worse than none."""

from __future__ import annotations

from collections.abc import Iterable

_LEAST_ALIKE = 0.8
"""Of `difflib.SequenceMatcher.ratio`: "--namspace" is as close to "--namespace" as this, "--selector" to nothing."""
_LEAST_LETTERS = 3
"""From this length on, a word may be the beginning of what is meant."""


def likely(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """The known words that are written nearly alike, have the same letters, or begin with this one; the most
    alike first."""
    import difflib  # Only mistakes need it.

    bare = _bare(word)
    by_bare = {_bare(name): name for name in known if _bare(name)}
    near = difflib.get_close_matches(bare, by_bare, n=3, cutoff=_LEAST_ALIKE)
    near += [name for name in by_bare if len(bare) > _LEAST_LETTERS and sorted(name) == sorted(bare)]
    begun = sorted(name for name in by_bare if len(bare) >= _LEAST_LETTERS and name.startswith(bare))
    return tuple(by_bare[name] for name in dict.fromkeys((*near, *begun)))


def question(words: Iterable[str]) -> str:
    """ "Did you mean --user or --username?"; "" without a word."""
    listed = list(words)
    return f"Did you mean {' or '.join(listed)}?" if listed else ""


def _bare(word: str) -> str:
    return word.lstrip("-").lower()
