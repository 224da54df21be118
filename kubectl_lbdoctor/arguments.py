"""Words of the command line, as kubectl's parser takes them apart (github.com/spf13/pflag), for click's.

The two agree on most: `-n shop`, `-nshop`, `--namespace shop`, `--namespace=shop`. pflag takes `-n=shop` and
`--yes=false` besides, which click does not. Every flag that the command knows is written as `--long=value`, which means
the same to both; what it does not know is left as it is, so that click says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import click

from kubectl_lbdoctor.errors import UsageError

_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
"""What Go takes for a boolean: https://pkg.go.dev/strconv#ParseBool."""

LEVEL, VERBOSE = "--v", "--verbose"
"""kubectl's -v wants a number. Without one it is taken for --verbose, because many programs have it so."""


def canonical(words: Sequence[str], params: Iterable[click.Parameter], whole: bool) -> list[str]:
    """The words with each known flag in one form.

    whole: flags stand behind other words, too (a command without further commands). Otherwise what follows the first
    word that is no flag is left to the command that it names. Raises UsageError for a switch that is neither true nor
    false.
    """
    options = {name: param for param in params if isinstance(param, click.Option) for name in param.opts}
    return list(_Words(words, options).canonical(whole))


class _Words:
    """Takes the words apart, from left to right."""

    def __init__(self, words: Sequence[str], options: dict[str, click.Option]) -> None:
        self._words = list(words)
        self._options = options
        self._switches: dict[str, bool] = {}

    def canonical(self, whole: bool) -> Iterator[str]:
        rest: list[str] = []
        while self._words:
            word = self._words.pop(0)
            if word == "--" or (not whole and not _is_flag(word)):
                rest = [word, *self._words]
                break
            if word.startswith("--"):
                yield from self._long(word)
            elif _is_flag(word):
                yield from self._short(word)
            else:
                yield word
        # The last one counts, as in pflag; click has no word that switches one off.
        yield from (name for name, on in self._switches.items() if on)
        yield from rest

    def _long(self, word: str) -> Iterator[str]:
        name, equals, value = word.partition("=")
        option = self._options.get(name)
        if option is None:
            yield word
        else:
            yield from self._written(option, name, value if equals else None)

    def _short(self, word: str) -> Iterator[str]:
        """One word with short flags: -y, -yn, -nshop, -n=shop."""
        letters = word[1:]
        while letters:
            name, letters = f"-{letters[0]}", letters[1:]
            option = self._options.get(name)
            if option is None:
                yield f"-{name[1:]}{letters}"
                return
            if letters.startswith("="):
                yield from self._written(option, name, letters[1:])
                return
            if option.is_flag or (_is_level(option) and not letters.isdigit()):
                yield from self._written(option, name, None)
            elif letters:
                yield from self._written(option, name, letters)
                return
            else:
                yield from self._written(option, name, None)

    def _written(self, option: click.Option, name: str, value: str | None) -> Iterator[str]:
        long = max(option.opts, key=len)
        if option.name == "help":
            yield name
        elif option.is_flag:
            self._switches[long] = _boolean(name, value)
        elif value is not None:
            yield f"{long}={value}"
        elif _is_level(option) and not (self._words and re.fullmatch(r"-?\d+", self._words[0])):
            self._switches[VERBOSE] = True
        elif self._words:
            yield f"{long}={self._words.pop(0)}"
        else:
            yield name


def _is_flag(word: str) -> bool:
    """Whether a word is a flag: "-" alone stands for a file."""
    return word.startswith("-") and word != "-"


def _is_level(option: click.Option) -> bool:
    return LEVEL in option.opts


def _boolean(name: str, value: str | None) -> bool:
    if value is None or value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise UsageError(f"{name} is a switch: {value!r} is neither true nor false", f"write {name}, or {name}=false")
