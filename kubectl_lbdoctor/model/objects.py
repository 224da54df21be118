"""Names of objects, in Kubernetes and in AWS."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """A Kubernetes or AWS object: kind in its API's spelling, namespace "" for cluster-wide and AWS objects.

    group: the API group, where the kind is served in several and this is not the usual one; kubectl then needs it to
    find the object. It is no part of the name: two references that differ in it alone are equal.
    """

    kind: str
    namespace: str = ""
    name: str = ""
    group: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.resource}/{self.name}"

    def among(self, namespaces: Collection[str]) -> str:
        """As a sentence names it beside objects of these namespaces: with its own, where that is not the only one."""
        alone = not self.namespace or {*namespaces} == {self.namespace}
        return str(self) if alone else f"{self} in namespace {self.namespace}"

    @property
    def resource(self) -> str:
        """The kind as kubectl takes it, with the group where that is needed."""
        return f"{self.kind.lower()}.{self.group}" if self.group else self.kind.lower()
