"""A target group's success codes (ELBv2 Matcher): "200", "200,202", "200-399", of gRPC "0-99"."""

from __future__ import annotations

from collections.abc import Iterator


def ranges(matcher: str) -> Iterator[tuple[int, int]]:
    """The (first, last) codes of "200,202,300-399"; parts that are no codes match nothing."""
    for part in matcher.split(","):
        low, dash, high = part.strip().partition("-")
        low, high = low.strip(), high.strip()
        if _number(low) and (not dash or _number(high)):
            yield int(low), int(high) if dash else int(low)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def accepts(matcher: str, code: int) -> bool:
    """Whether a target group with these success codes is content with `code`."""
    return any(low <= code <= high for low, high in ranges(matcher))
