"""Objects that were named and do not exist are told, with the names that they may have been meant to have."""

from __future__ import annotations

from typing import Any

from kubectl_lbdoctor.collect.kube_lists import KubeLists
from kubectl_lbdoctor.collect.not_found import not_found
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.kinds import KINDS, SUBJECTS
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot


def missing_subjects(lists: KubeLists, snapshot: Snapshot) -> dict[ObjectRef, CouldNotRun]:
    """The subjects that certainly do not exist, each with what there is to say; one that could not be read is not
    missing."""
    return {ref: _why(lists, snapshot, ref) for ref in snapshot.subjects if _is_missing(snapshot, ref)}


def _listed(snapshot: Snapshot, namespace: str, kind: str) -> Fact[tuple[Any, ...]]:
    """The objects of this kind in the namespace. Those of Gateway API are read of all namespaces, routes of all kinds
    together."""
    read = reads.read_of_subjects(kind)
    if read.scope is not reads.Scope.GATEWAY:
        found: Fact[tuple[Any, ...]] = getattr(snapshot.namespaces[namespace], read.kept_in)
        return found
    everywhere: Fact[tuple[Any, ...]] = getattr(snapshot.gateway_api, read.kept_in)
    return everywhere.map(
        lambda entries: tuple(
            entry for entry in entries if entry.meta.namespace == namespace and getattr(entry, "kind", kind) == kind
        )
    )


def _is_missing(snapshot: Snapshot, subject: ObjectRef) -> bool:
    listed = _listed(snapshot, subject.namespace, subject.kind)
    objects = listed.peek()
    if objects is None or any(entry.meta.name == subject.name for entry in objects):
        return False
    # What could not be understood is there, or may be.
    return not {"", subject.name} & {*listed.left_out}


def _why(lists: KubeLists, snapshot: Snapshot, subject: ObjectRef) -> CouldNotRun:
    facts = snapshot.namespaces[subject.namespace]
    names = [entry.meta.name for entry in _listed(snapshot, subject.namespace, subject.kind).peek() or ()]
    if not names and _lacks_namespace(lists, facts, subject.namespace):
        return CouldNotRun(f'namespace "{subject.namespace}" does not exist', "list them with: kubectl get namespaces")
    others = [
        f"{kind.singular}/{subject.name}"
        for kind in SUBJECTS
        if kind.name != subject.kind
        and any(
            entry.meta.name == subject.name for entry in _listed(snapshot, subject.namespace, kind.name).peek() or ()
        )
    ]
    return not_found(subject, names, _namespaces_of(lists, subject), others)


def _namespaces_of(lists: KubeLists, wanted: ObjectRef) -> list[str]:
    """The namespaces with an object of this kind and name: one list, which the API server filters; none where it may
    not be made."""
    read, kind = reads.read_of_subjects(wanted.kind), KINDS[wanted.kind]
    found = (
        lists.list(read, kind, params={"fieldSelector": f"metadata.name={wanted.name}", "resourceVersion": "0"}).peek()
        or ()
    )
    return [entry.meta.namespace for entry in found]


def _lacks_namespace(lists: KubeLists, facts: NamespaceFacts, name: str) -> bool:
    """Whether the namespace certainly does not exist: lists are merely empty then."""
    read = reads.KUBE[reads.NAMESPACES]
    found = facts.namespace if facts.namespace.is_known else lists.in_namespace(read, read.kind, name)
    return found.is_known and found.need() is None
