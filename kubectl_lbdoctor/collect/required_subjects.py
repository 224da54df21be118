"""A run about an object that does not exist ends, with the names that it may have been meant to have."""

from __future__ import annotations

import difflib
from typing import Any

from kubectl_lbdoctor.collect.kube_lists import KubeLists
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.kinds import KINDS
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot


def require_subjects(lists: KubeLists, snapshot: Snapshot) -> None:
    """Raises CouldNotRun when a subject certainly does not exist; one that could not be read is not missing."""
    for subject in snapshot.subjects:
        facts = snapshot.namespaces[subject.namespace]
        read = reads.read_of_subjects(subject.kind)
        of_gateway = read.scope is reads.Scope.GATEWAY
        listed: Fact[tuple[Any, ...]] = getattr(snapshot.gateway_api if of_gateway else facts, read.kept_in)
        if (found := listed.peek()) is None:
            continue
        objects = [entry for entry in found if _is_like(entry, subject)] if of_gateway else found
        if any(entry.meta.name == subject.name for entry in objects):
            continue
        if {"", subject.name} & {*listed.left_out}:
            continue  # It is there, or may be, and could not be understood.
        names = [entry.meta.name for entry in objects]
        if not names and _lacks_namespace(lists, facts, subject.namespace):
            raise CouldNotRun(
                f'namespace "{subject.namespace}" does not exist', "list them with: kubectl get namespaces"
            )
        raise _not_found(subject, names)


def _is_like(entry: Any, subject: ObjectRef) -> bool:
    """Whether an object of a list of several kinds and all namespaces is of the subject's."""
    return entry.meta.namespace == subject.namespace and getattr(entry, "kind", subject.kind) == subject.kind


def _not_found(subject: ObjectRef, names: list[str]) -> CouldNotRun:
    close = difflib.get_close_matches(subject.name, names, n=3, cutoff=0.4) or names[:5]
    everywhere = f"look in all namespaces: kubectl get {KINDS[subject.kind].singular} -A"
    hint = f"there is: {', '.join(close)}" if names else everywhere
    return CouldNotRun(f'{subject.kind} "{subject.name}" not found in namespace "{subject.namespace}"', hint)


def _lacks_namespace(lists: KubeLists, facts: NamespaceFacts, name: str) -> bool:
    """Whether the namespace certainly does not exist: lists are merely empty then."""
    read = reads.KUBE[reads.NAMESPACES]
    found = facts.namespace if facts.namespace.is_known else lists.in_namespace(read, read.kind, name)
    return found.is_known and found.need() is None
