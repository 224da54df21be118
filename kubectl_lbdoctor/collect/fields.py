"""Fields of raw JSON as values of one type: what is absent or null becomes "", 0 or empty, what is of another type is
refused.

The Kubernetes API leaves empty fields out, and a null means the same as an absent field
(https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#optional-vs-required);
botocore leaves out what AWS did not send. A value of another type, or a null inside a list, is never sent by either: to
read it as empty would say that something is absent, so every function here raises NotUnderstood for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

Raw = Mapping[str, Any]

T = TypeVar("T")

_MAX_DEPTH = 60
"""Levels of a value that is kept as it is: more than any API has, less than what JSON libraries write."""

_LARGEST = 1 << 63


class NotUnderstood(ValueError):
    """A field has another type than its API gives it; the text names the field."""


def _refuse(key: str, expected: str, value: object) -> NoReturn:
    shown = "null" if value is None else type(value).__name__
    raise NotUnderstood(f"{key}: {expected} was expected, not {shown}")


def _of(kind: type[T], expected: str, raw: Raw, key: str) -> T | None:
    value = raw.get(key)
    if value is None or isinstance(value, kind):
        return value
    _refuse(key, expected, value)


def mapping(raw: Raw, key: str) -> dict[str, Any]:
    """The object in this field; {} without one."""
    return _of(dict, "an object", raw, key) or {}


def listed(raw: Raw, key: str) -> list[Any]:
    """The list in this field; [] without one."""
    return _of(list, "a list", raw, key) or []


def objects(raw: Raw, key: str) -> list[dict[str, Any]]:
    """The objects of the list in this field."""
    entries = listed(raw, key)
    for entry in entries:
        if not isinstance(entry, dict):
            _refuse(key, "a list of objects", entry)
    return entries


def texts(raw: Raw, key: str) -> tuple[str, ...]:
    """The entries of the list in this field as text."""
    return tuple(_text(key, entry) for entry in listed(raw, key))


def text(raw: Raw, key: str, default: str = "") -> str:
    """The value of this field as text (an IntOrString keeps its form); `default` without one."""
    value = raw.get(key)
    return default if value is None else _text(key, value)


def _text(key: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(_number(key, value))
    _refuse(key, "text", value)


def number(raw: Raw, key: str, default: int = 0) -> int:
    """The whole number in this field; `default` without one."""
    value = optional_number(raw, key)
    return default if value is None else value


def optional_number(raw: Raw, key: str) -> int | None:
    """The whole number in this field; None without one."""
    value = raw.get(key)
    return None if value is None else _number(key, value)


def _number(key: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST:
        return value
    _refuse(key, "a whole number of 64 bits", value)


def flag(raw: Raw, key: str, default: bool = False) -> bool:
    """The boolean in this field; `default` without one."""
    value = optional_flag(raw, key)
    return default if value is None else value


def optional_flag(raw: Raw, key: str) -> bool | None:
    """The boolean in this field; None without one."""
    return _of(bool, "true or false", raw, key)


def strings(raw: Raw, key: str) -> dict[str, str]:
    """The object in this field as a map of texts (labels, annotations, selectors). A null value is an empty text."""
    return {name: text(mapping(raw, key), name) for name in mapping(raw, key)}


def free(raw: Raw, key: str) -> dict[str, Any]:
    """The object in this field with whatever is in it; {} without one."""
    value = mapping(raw, key)
    _check_free(key, value, 0)
    return value


def _check_free(key: str, value: object, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise NotUnderstood(f"{key}: it is nested more than {_MAX_DEPTH} times")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                _refuse(key, "text for a name", name)
            _check_free(key, inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_free(key, inner, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool):
        _number(key, value)
    elif not (value is None or isinstance(value, (str, bool, float))):
        _refuse(key, "JSON", value)
