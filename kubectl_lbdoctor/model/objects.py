"""Names of objects, in Kubernetes and in AWS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """A Kubernetes or AWS object: kind in its API's spelling, namespace "" for cluster-wide and AWS objects."""

    kind: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"
