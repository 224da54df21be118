"""Label selectors of Kubernetes (metav1.LabelSelector), and what they select."""

from __future__ import annotations

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
