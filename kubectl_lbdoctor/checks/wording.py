"""The language of message templates: a finding's params are values, and their grammar stands in the check's template.

After the plural and select of ICU MessageFormat (unicode-org.github.io/icu/userguide/format_parse/messages), in the
syntax of `str.format`. With count=1, zones=("a", "b", "c") and state="unused":

    {count}                      1
    {count:pod}                  1 pod         (2 pods)
    {count:child|children}       1 child       (2 children)
    {count:=is|are}              is            (are): only the word, by number
    {zones}                      a, b, c
    {zones:,2}                   a, b and 1 more
    {zones:&}                    a and b and c
    {zones:"&"}                  "a" and "b" and "c"
    {zones:=zone|zones}          zones: a tuple's number is its length
    {zones:?no zone}             a, b, c       (no zone, where the value is empty)
    {state:unused=is idle|*=is busy}   is idle (* is any other value)
    [; see {zones}]              left out where a value in it is empty or is not given

A word may hold fields of its own: {count:=its pod does|{count} of {total} pods do}.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubectl_lbdoctor.model.finding import Param, plain

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_BOUNDED = re.compile(r",([0-9]+)")


def render(template: str, params: Mapping[str, Param]) -> str:
    """The message; raises KeyError where a value outside of square brackets is missing."""
    words = []
    for position, part in enumerate(_OPTIONAL.split(template)):
        optional = position % 2 == 1
        if not optional or all(params.get(name, "") not in ("", ()) for name in _names(part)):
            words.append(_FORMATTER.vformat(part, (), _guarded(params)))
    return "".join(words).replace(_BAR, "|")


_BAR = "\ue000"
"""Stands for a | within a value while words are told apart by theirs: of Unicode's private use area, so in no text."""


def _guarded(params: Mapping[str, Param]) -> dict[str, Param]:
    """The same values, in which no | looks like one of the template."""
    return {name: _without_bar(value) for name, value in params.items()}


def _without_bar(value: Param) -> Param:
    if isinstance(value, str):
        return value.replace("|", _BAR)
    return tuple(item.replace("|", _BAR) for item in value) if isinstance(value, tuple) else value


def fields(template: str) -> tuple[str, ...]:
    """The names of the values that every message of this template needs."""
    return tuple(_names(_OPTIONAL.sub("", template)))


def listed(items: Sequence[str], most: int) -> str:
    """A list that stays readable: "a, b and 4 more"."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def counted(number: int, noun: str) -> str:
    """ "1 pod", "3 pods"."""
    return f"{number} {_by_number(number, [noun])}"


def part_of(part: int, whole: int, noun: str = "target") -> str:
    """ "1 of 3 targets", "1 of 1 target"."""
    return f"{part} of {counted(whole, noun)}"


def _names(template: str) -> Iterator[str]:
    for _, name, spec, _ in string.Formatter().parse(template):
        if name:
            yield name
            yield from _names(spec or "")


def _by_number(number: int, words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0] if number == 1 else f"{words[0]}s"
    return words[0] if number == 1 else words[1]


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if not format_spec:
            return plain(value)
        bounded = _BOUNDED.fullmatch(format_spec)
        if bounded is not None:
            return listed(value, int(bounded[1]))
        if format_spec == "&":
            return " and ".join(value)
        if format_spec == '"&"':
            return " and ".join(f'"{item}"' for item in value)
        if format_spec.startswith("?"):
            return plain(value) or format_spec[1:]
        number = value if isinstance(value, int) else len(value)
        if format_spec.startswith("="):
            return _by_number(number, format_spec[1:].split("|"))
        words = format_spec.split("|")
        if "=" in words[0]:
            cases = dict(word.split("=", 1) for word in words)
            return cases[value] if value in cases else cases["*"]
        return f"{number} {_by_number(number, words)}"


_FORMATTER = _Formatter()
