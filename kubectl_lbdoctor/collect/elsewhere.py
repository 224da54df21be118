"""Objects of other namespaces, each read only where something points there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.collect.event_hints import decoded_warnings, group_is_missing
from kubectl_lbdoctor.collect.kube_lists import KubeLists, Objects
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.api_path import is_label
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.snapshot import Snapshot

_MOST_NAMES = 5
"""Of so many missing backends at most the namesakes are looked for: each is a list of its own."""


def bindings_matter(snapshot: Snapshot) -> bool:
    """Whether the controller complains of what a binding of any namespace may have caused."""
    logs = [log.peek() or "" for log in snapshot.cluster.controller_logs.values()]
    return group_is_missing(decoded_warnings(snapshot), logs)


def of_the_same_groups(snapshot: Snapshot, everywhere: Fact[Any]) -> Fact[Any]:
    """Of the bindings of all namespaces those that matter: all where the controller complains of what one of them may
    have caused, else those that fill a target group of the subjects'. A list that was denied is named as this read,
    which nothing has to be known of."""
    if not everywhere.is_known:
        return replace(everywhere, source=reads.ALL_BINDINGS)
    if bindings_matter(snapshot):
        return everywhere
    mine = bound_groups(snapshot)
    return everywhere.map(lambda found: tuple(b for b in found if b.target_group_arn in mine))


def bound_groups(snapshot: Snapshot) -> frozenset[str]:
    """ARNs of the target groups that bindings of the subjects' paths fill."""
    bindings = (path.binding.peek() for path in traffic_paths(snapshot))
    return frozenset(b.target_group_arn for b in bindings if b is not None and b.target_group_arn)


def missing_backends(snapshot: Snapshot) -> tuple[str, ...]:
    """The names of Services that backends of the subjects name, and that are certainly not in their namespace."""
    names = {
        path.backend.service
        for path in traffic_paths(snapshot)
        if path.backend is not None and path.backend.service and path.service.is_known and path.service.peek() is None
    }
    return tuple(sorted(name for name in names if is_label(name)))


def namesakes(snapshot: Snapshot, lists: KubeLists, everything: Fact[Objects] | None = None) -> dict[str, Any]:
    """The Services of all namespaces that have the name of a missing backend, by field of ClusterFacts; nothing where
    none is missing. everything: all Services, where they have been read already."""
    read, names = reads.KUBE[reads.ALL_SERVICES], missing_backends(snapshot)
    if not names:
        return {}
    if everything is not None:
        return {read.kept_in: everything.map(lambda found: tuple(s for s in found if s.meta.name in names))}
    asked = [{"fieldSelector": f"metadata.name={name}"} for name in names[:_MOST_NAMES]]
    listed = [lists.list(read, read.kind, params=params) for params in asked]
    return {read.kept_in: joined(read.name, listed)}
