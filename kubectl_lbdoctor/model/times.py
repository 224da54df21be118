"""Times as the Kubernetes API, the controller's log and credential plugins write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache


@lru_cache(maxsize=10_000)
def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time (or one of zap's ISO 8601 form, "+0000"), in UTC where it names no zone.

    None for "" and for what is no time; Go writes none as the year 1, and sums with that would overflow. Python 3.10
    reads neither "Z", nor "+0000", nor a fraction that has not three or six digits; Go writes up to nine.
    """
    if not text:
        return None
    text = text.replace("Z", "+00:00")
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    text = re.sub(r"\.(\d{1,5})(?=[+-])", lambda found: "." + found.group(1).ljust(6, "0"), text)
    text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not _FIRST_YEAR <= parsed.year <= _LAST_YEAR:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def seconds_between(since: str, until: str) -> float:
    """Seconds from one time to the other, as texts; infinite where one of them is none."""
    start, end = parse_time(since), parse_time(until)
    return (end - start).total_seconds() if start is not None and end is not None else float("inf")


def in_words(seconds: float) -> str:
    """A duration as people say it: "90 s", "12 min", "5 h", "3 days"; "an unknown time" where it is infinite."""
    if seconds == float("inf"):
        return "an unknown time"
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far the clocks of two machines may differ before what they write is put in order by it. Nodes, control plane and
the reader's machine keep time by NTP and agree far better; a container's start and an object's creation are told in
whole seconds."""


def whole_second(time: datetime) -> datetime:
    """A time as an event of the old recorder tells it, without its fraction."""
    return time.replace(microsecond=0)
