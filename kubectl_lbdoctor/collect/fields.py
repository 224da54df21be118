"""Fields of raw JSON as values of one type: what is absent, null or of another type becomes "", 0 or empty.

The Kubernetes API leaves empty fields out, and a null means the same as an absent field
(https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#optional-vs-required);
boto3 leaves out what AWS did not send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]


def mapping(raw: Raw, key: str) -> dict[str, Any]:
    """The object in this field; {} without one."""
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def objects(raw: Raw, key: str) -> list[dict[str, Any]]:
    """The objects of the list in this field; entries that are none (null) are left out."""
    value = raw.get(key)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def texts(raw: Raw, key: str) -> tuple[str, ...]:
    """The entries of the list in this field as text; nulls are left out."""
    value = raw.get(key)
    return tuple(str(entry) for entry in value if entry is not None) if isinstance(value, list) else ()


def text(raw: Raw, key: str, default: str = "") -> str:
    """The value of this field as text (an IntOrString keeps its form); `default` without one."""
    value = raw.get(key)
    return default if value is None else str(value)


def number(raw: Raw, key: str, default: int = 0) -> int:
    """The whole number in this field; `default` without one."""
    value = raw.get(key)
    return value if isinstance(value, int) else default


def optional_number(raw: Raw, key: str) -> int | None:
    """The whole number in this field; None without one."""
    value = raw.get(key)
    return value if isinstance(value, int) else None


def flag(raw: Raw, key: str, default: bool = False) -> bool:
    """The boolean in this field; `default` without one."""
    value = raw.get(key)
    return value if isinstance(value, bool) else default


def optional_flag(raw: Raw, key: str) -> bool | None:
    """The boolean in this field; None without one."""
    value = raw.get(key)
    return value if isinstance(value, bool) else None


def strings(raw: Raw, key: str) -> dict[str, str]:
    """The object in this field as a map of texts (labels, annotations, selectors)."""
    return {str(name): str(value) for name, value in mapping(raw, key).items()}
