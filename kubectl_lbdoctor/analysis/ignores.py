"""What people have chosen not to hear of: codes on the command line, and an annotation on an object.

`lbdoctor.io/ignore: LBD601,LBD7` on an object leaves out the findings about it, and those that affect it, whose codes
begin so. It is root causes that are ignored, after effects were folded under them, so that nothing that a cause
explains comes up in its place. What targets do is no finding: it counts as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.report import Ignored
from kubectl_lbdoctor.model.snapshot import Snapshot

ANNOTATION = "lbdoctor.io/ignore"

BY_FLAG = "--ignore"

_PREFIX = re.compile(r"(?:LBD)?([0-9]{1,3})", re.IGNORECASE)


def beginning(word: str) -> str:
    """The beginning of codes that a word stands for ("LBD7", "7" and "lbd7" for LBD7…); "" for what is none."""
    found = _PREFIX.fullmatch(word.strip())
    return f"LBD{found[1]}" if found is not None else ""


def without_ignored(
    snapshot: Snapshot, diagnoses: Sequence[Diagnosis], everywhere: Iterable[str]
) -> tuple[tuple[Diagnosis, ...], tuple[Ignored, ...]]:
    """The diagnoses that are left, with their new ranks, and what was ignored. everywhere: beginnings of codes."""
    flags = tuple(everywhere)
    left: list[Diagnosis] = []
    ignored: list[Ignored] = []
    for diagnosis in diagnoses:
        remaining, found = _split(snapshot, diagnosis, flags)
        ignored += found
        if remaining is not None:
            left.append(replace(remaining, rank=len(left) + 1))
    return tuple(left), tuple(ignored)


def _split(snapshot: Snapshot, diagnosis: Diagnosis, flags: tuple[str, ...]) -> tuple[Diagnosis | None, list[Ignored]]:
    """A diagnosis about those objects that do not ignore it, None where there is none of them."""
    code, about = diagnosis.finding.code, diagnosis.finding.object
    if code.startswith(flags):
        return None, [Ignored(diagnosis, diagnosis.affects, BY_FLAG)]
    if code.startswith(annotated(snapshot, about)):
        return None, [Ignored(diagnosis, diagnosis.affects, _said_on(about))]
    objects = [ref for ref in diagnosis.affects if code.startswith(annotated(snapshot, ref))]
    others = tuple(ref for ref in diagnosis.affects if ref not in objects)
    ignored = [Ignored(diagnosis, (ref,), _said_on(ref)) for ref in objects]
    return (replace(diagnosis, affects=others) if others or not objects else None), ignored


def _said_on(ref: ObjectRef) -> str:
    return f"{ANNOTATION} on {ref} -n {ref.namespace}"


def annotated(snapshot: Snapshot, ref: ObjectRef) -> tuple[str, ...]:
    """The beginnings of codes that an object's annotation names; none where it has none or was not read. What is no
    beginning of a code counts for nothing."""
    meta = _annotated_objects(snapshot, ref.namespace).get(ref)
    words = meta.annotations.get(ANNOTATION, "").split(",") if meta is not None else ()
    return tuple(filter(None, map(beginning, words)))


@derived
def _annotated_objects(snapshot: Snapshot, namespace: str) -> Mapping[ObjectRef, Meta]:
    """The objects of a namespace that carry the annotation."""
    facts, gateways = snapshot.facts_of(namespace), snapshot.gateway_api
    lists: tuple[tuple[str, Fact[Any]], ...] = (
        ("Ingress", facts.ingresses),
        ("Service", facts.services),
        ("TargetGroupBinding", facts.bindings),
        ("Gateway", gateways.gateways),
        ("", gateways.routes),
    )
    return {
        ObjectRef(kind or item.kind, item.meta.namespace, item.meta.name): item.meta
        for kind, fact in lists
        for item in fact.peek() or ()
        if item.meta.namespace == namespace and ANNOTATION in item.meta.annotations
    }
