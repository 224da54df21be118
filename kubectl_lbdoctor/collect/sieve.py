"""One odd item of a list is left out, counted and named; the others are read all the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from kubectl_lbdoctor.collect.names import check_names
from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.model.fact import Fact

T = TypeVar("T")

_NAMED = 3
"""Items that a sentence names; the others are only counted."""


def object_name(raw: Mapping[str, Any]) -> str:
    """metadata.name of a raw Kubernetes object, "" where it cannot be told."""
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def under(key: str) -> Callable[[Mapping[str, Any]], str]:
    """The identity of a record of AWS: the text under this key, "" where there is none."""

    def name(raw: Mapping[str, Any]) -> str:
        value = raw.get(key)
        return value if isinstance(value, str) else ""

    return name


def target_id(raw: Mapping[str, Any]) -> str:
    """The identity of a TargetHealthDescription: its target's address or instance."""
    target = raw.get("Target")
    return under("Id")(target) if isinstance(target, dict) else ""


def plural(key: str) -> str:
    """The noun of a list of AWS's, by its name: "TargetGroups" holds target groups."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).lower()


class Sieve:
    """Converts raw items one by one, and remembers those that it could not convert.

    noun: what they are, in the plural ("pods"). An item that has no name, or carries one that no API has (`names`), is
    none of its API either, and is left out.
    """

    def __init__(self, noun: str, name: Callable[[Mapping[str, Any]], str] = object_name) -> None:
        self._noun = noun
        self._name = name
        self._total = 0
        self._left_out: list[str] = []
        self._why: list[str] = []

    def through(self, raws: Iterable[Any], convert: Callable[[Any], T]) -> Iterator[T]:
        """The records of the items that are understood. Raises what reading them raises (LbdoctorError)."""
        for raw in raws:
            self._total += 1
            name = ""
            try:
                if not isinstance(raw, Mapping):
                    raise ValueError("it is no object")
                name = self._name(raw)
                if not name:
                    raise ValueError("it has no name")
                record = convert(raw)
                check_names(record)
            except LbdoctorError:
                raise
            except Exception as error:
                self.leave_out(name, error)
                continue
            yield record

    def leave_out(self, name: str, error: Exception) -> None:
        """Count an item as not understood; "" where its name cannot be told."""
        self._left_out.append(name)
        if len(self._why) < _NAMED:
            said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self._why.append(f"{name or 'one without a name'}: {said}")

    def marked(self, fact: Fact[T]) -> Fact[T]:
        """The fact of the read that went through, with what is not in it added to what was left out before."""
        if not self._left_out or not fact.is_known:
            return fact
        more = len(self._left_out) - len(self._why)
        why = "; ".join(self._why) + (f"; and {more} more" if more else "")
        reason = f"{len(self._left_out)} of {self._total} {self._noun} could not be understood ({why})"
        reasons = (fact.reason, reason) if fact.left_out else (reason,)
        return replace(fact, left_out=(*fact.left_out, *self._left_out), reason="; ".join(reasons))
