"""Label selectors of Kubernetes (metav1.LabelSelector), and what they select."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from kubectl_lbdoctor.record import record


@record
class LabelRequirement:
    """One matchExpressions entry; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """NotIn holds for objects that lack the key, too (Kubernetes, Labels and Selectors). An operator that the API
        does not know selects nothing."""
        value = labels.get(self.key)
        known = {
            "In": value is not None and value in self.values,
            "NotIn": value is None or value not in self.values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        return known.get(self.operator, False)


@record
class LabelSelector:
    """Everything in it must hold; an empty selector selects all."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = ()

    @classmethod
    def of(cls, raw: Mapping[str, object] | None) -> LabelSelector:
        """The selector of an object as the API server gives it; None, or what has another shape, selects all."""
        given = raw or {}
        labels, expressions = given.get("matchLabels"), given.get("matchExpressions")
        return cls(
            dict(labels) if isinstance(labels, Mapping) else {},
            tuple(_requirement(e) for e in expressions if isinstance(e, Mapping))
            if isinstance(expressions, (list, tuple))
            else (),
        )

    def unmet(self, labels: Mapping[str, str]) -> Iterator[LabelRequirement]:
        """What these labels do not fulfil; an entry of matchLabels is a requirement with operator ""."""
        for key, value in self.match_labels.items():
            if labels.get(key) != value:
                yield LabelRequirement(key, "", (value,))
        yield from (needed for needed in self.match_expressions if not needed.holds(labels))

    def selects(self, labels: Mapping[str, str]) -> bool:
        return next(self.unmet(labels), None) is None


def _requirement(raw: Mapping[str, object]) -> LabelRequirement:
    values = raw.get("values")
    return LabelRequirement(
        str(raw.get("key") or ""),
        str(raw.get("operator") or ""),
        tuple(map(str, values)) if isinstance(values, (list, tuple)) else (),
    )


_PREFIX = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_SEGMENT = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?P<key>(?:{_PREFIX}/)?{_SEGMENT})"
_VALUE = rf"(?:{_SEGMENT})?"
_EQUALITY = re.compile(rf"{_KEY}\s*(?P<operator>==|=|!=)\s*(?P<value>{_VALUE})")
_SET = re.compile(rf"{_KEY}\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EXISTENCE = re.compile(rf"(?P<absent>!?)\s*{_KEY}")


def parse(text: str) -> LabelSelector:
    """A selector as kubectl's -l takes it: "a=b,c!=d,e in (f,g),h notin (i),j,!k"; "" selects all.

    Raises ValueError, which says what is no requirement, such as a key or a value that no label can have, or an empty
    set of values.
    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
    """
    # A comma inside of parentheses separates values.
    parts = re.split(r",(?![^()]*\))", text) if text.strip() else []
    return LabelSelector(match_expressions=tuple(_parsed(part.strip()) for part in parts))


def _parsed(part: str) -> LabelRequirement:
    if found := _EQUALITY.fullmatch(part):
        return LabelRequirement(found["key"], "NotIn" if found["operator"] == "!=" else "In", (found["value"],))
    if (found := _SET.fullmatch(part)) and found["values"].strip():
        values = tuple(value.strip() for value in found["values"].split(","))
        if all(re.fullmatch(_VALUE, value) for value in values):
            return LabelRequirement(found["key"], "In" if found["operator"] == "in" else "NotIn", values)
    if found := _EXISTENCE.fullmatch(part):
        return LabelRequirement(found["key"], "DoesNotExist" if found["absent"] else "Exists")
    raise ValueError(f"{part!r} is no requirement on labels")
