"""Dataclasses to JSON and back, for the bundle of `--save`/`--from` and for test cases.

Fields that hold their default are left out, so that a hand-written case needs only what matters to it; unknown fields
are refused, so that a typing error in a case or a bundle of another version cannot be overlooked.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

from kubectl_lbdoctor.model.fact import Fact, ReadState


class CodecError(ValueError):
    """The JSON does not have the shape of the type; the message names the place."""


def to_json(value: Any) -> Any:
    """A JSON-ready copy: dataclasses become objects without their default-valued fields, tuples become arrays, and so
    do sets, in order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out = {}
        for field in dataclasses.fields(value):
            if not field.init:
                continue  # Derived from the rest, such as a memo.
            item = getattr(value, field.name)
            if not is_default(field, item):
                out[field.name] = to_json(item)
        return out
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, frozenset):
        return [to_json(item) for item in sorted(value)]
    return value


def is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a record's field holds its default, and is therefore not written."""
    if field.default is not dataclasses.MISSING:
        return bool(value == field.default) and type(value) is type(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return False


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_json(kind: Any, data: Any, where: str = "$") -> Any:
    """Build a value of type `kind` from JSON data; raises `CodecError` naming the place that does not fit."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in (Any, object):
        return data
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        return from_json(next(a for a in args if a is not type(None)), data, where)
    cls = origin or kind
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        return _dataclass_from_json(cls, args, data, where)
    if cls in (tuple, frozenset):
        if not isinstance(data, list):
            raise CodecError(f"{where}: an array was expected")
        return cls(from_json(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if cls in (Mapping, dict) or (isinstance(cls, type) and issubclass(cls, Mapping)):
        if not isinstance(data, dict):
            raise CodecError(f"{where}: an object was expected")
        return {key: from_json(args[1], item, f"{where}.{key}") for key, item in data.items()}
    if isinstance(cls, type) and issubclass(cls, Enum):
        try:
            return cls(data)
        except ValueError as error:
            raise CodecError(f"{where}: {error}") from error
    if isinstance(cls, type) and not isinstance(data, cls) and not (cls is float and isinstance(data, int)):
        raise CodecError(f"{where}: {cls.__name__} was expected")
    return data


def _dataclass_from_json(cls: Any, args: tuple[Any, ...], data: Any, where: str) -> Any:
    if isinstance(data, str) and hasattr(cls, "from_text"):
        return cls.from_text(data)  # What is a record now was a text in older bundles.
    if not isinstance(data, dict):
        raise CodecError(f"{where}: an object was expected")
    hints, values = _hints(cls), {}
    parameters = dict(zip(getattr(cls, "__parameters__", ()), args, strict=False))
    for field in dataclasses.fields(cls):
        if field.name in data:
            hint = _substitute(hints[field.name], parameters)
            values[field.name] = from_json(hint, data[field.name], f"{where}.{field.name}")
    if cls is Fact and args and data.get("state") == ReadState.KNOWN.value and data.get("value") is None:
        _check_none(args[0], where)
    unknown = set(data) - set(values)
    if unknown:
        raise CodecError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    try:
        return cls(**values)
    except TypeError as error:
        raise CodecError(f"{where}: {error}") from error


def _check_none(kind: Any, where: str) -> None:
    """Raise CodecError for a known fact without a value, where nothing but a value can be known."""
    if type(None) not in typing.get_args(kind) and kind not in (None, type(None), Any, object):
        raise CodecError(f"{where}: it is known, but has no value")


def _substitute(hint: Any, parameters: dict[Any, Any]) -> Any:
    """Replace the type variables of a generic dataclass (`Fact[T]`) in a field's annotation by its arguments."""
    if hint in parameters:
        return parameters[hint]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.Union[tuple(_substitute(a, parameters) for a in typing.get_args(hint))]  # noqa: UP007
    return hint
