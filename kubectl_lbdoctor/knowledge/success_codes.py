"""A target group's success codes (ELBv2 Matcher): "200", "200,202", "200-399", of gRPC "0-99"; and what a code that is
none of them says. Numbers of gRPC mean nothing as numbers of HTTP: 5 is NOT_FOUND there."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum


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


def accepts_all_of(matcher: str, other: str) -> bool:
    """Whether a target group with the success codes `matcher` is content with whatever one with `other` is."""
    ends = sorted(ranges(matcher))
    return all(_covers(ends, low, high) for low, high in ranges(other))


def _covers(ends: list[tuple[int, int]], low: int, high: int) -> bool:
    """Whether ranges, in their order, hold all codes from low to high; several that touch hold them together."""
    for first, last in ends:
        if first <= low <= last:
            low = last + 1
    return low > high


class AnswerKind(Enum):
    """What an answer that is no success says."""

    AUTHENTICATION = "auth"
    REDIRECT = "redirect"
    SERVER = "server"
    CLIENT = "client"


_GRPC = {
    **dict.fromkeys(("7", "16"), AnswerKind.AUTHENTICATION),  # PERMISSION_DENIED, UNAUTHENTICATED
    # UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS
    **dict.fromkeys(("2", "4", "8", "13", "14", "15"), AnswerKind.SERVER),
}
_HTTP = {
    **dict.fromkeys(("401", "403", "407"), AnswerKind.AUTHENTICATION),
    **dict.fromkeys(("301", "302", "303", "307", "308"), AnswerKind.REDIRECT),
}


def kind_of(code: str, grpc: bool) -> AnswerKind:
    """What a code says that a health check is answered with, in a target group of gRPC or of HTTP. What asks for a
    thing that is not there, such as 12 (UNIMPLEMENTED: no such method) and 5 (NOT_FOUND: no such service, says the
    health protocol), is the client's mistake.

    https://grpc.github.io/grpc/core/md_doc_statuscodes.html, https://github.com/grpc/grpc/blob/master/doc/health-checking.md
    """
    if grpc:
        return _GRPC.get(code, AnswerKind.CLIENT)
    return _HTTP.get(code, AnswerKind.SERVER if code.startswith("5") else AnswerKind.CLIENT)
