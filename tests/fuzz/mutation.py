"""Documents bent at random: what no API sends, and what one may send tomorrow."""

from __future__ import annotations

import copy
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long each fuzzer goes on; 0 for the few runs, always the same, of `make test`."""

SEED = os.environ.get("FUZZ_SEED", "1")

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 65536, 1 << 70, 1.5, "", "odd", "0", "ü\u202e\x1b[31m", "x" * 5000, "10.0.0.1"),
    *("999.1.1.1/99", "arn:aws:x", "2030-99-99T00:00:00Z", [], {}, [None], [[]], [{}], {"": None}, {"a": {"b": []}}),
)


def runs(few: int) -> Iterator[tuple[str, random.Random]]:
    """Runs with the name by which each can be repeated: `few` of them, or as many as the time allows."""
    end, number = time.monotonic() + SECONDS, 0
    while number < few or time.monotonic() < end:
        name = f"{SEED}:{number}"
        yield name, random.Random(name)
        number += 1


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield (*at, key)
        yield from places(inner, (*at, key))


def bent(document: Any, chance: random.Random, keep: Callable[[tuple[Any, ...]], bool] = lambda place: False) -> Any:
    """A copy with one to three places bent: absent, odd, of the same type but other, or a list with more in it."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        ways = [place for place in places(document) if not keep(place)]
        if not ways:
            return document
        place = chance.choice(ways)
        holder = document
        for key in place[:-1]:
            holder = holder[key]
        _bend(holder, place[-1], chance)
    return document


def _bend(holder: Any, key: Any, chance: random.Random) -> None:
    before = holder[key]
    how = chance.random()
    if how < 0.15:
        del holder[key]
    elif how < 0.3 and isinstance(before, str):
        position = chance.randrange(len(before) + 1)
        holder[key] = before[:position] + chance.choice(("", "/", "::", " ", "%", "é")) + before[position + 1 :]
    elif how < 0.4 and isinstance(before, list):
        holder[key] = before * chance.choice((2, 7)) + [chance.choice(ODD)]
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))
