"""Reads of Gateway API, where a run is about a Gateway or a route.

They come before the others, because routes say in which namespaces the backends are. Each list is of all namespaces: a
route may be attached from anywhere, and refer to anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.analysis.gateways import backends, gateways_of_route, routes_of_subject, sections
from kubectl_lbdoctor.collect.kube_lists import KubeLists, Objects
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.reads import KubeRead, Scope
from kubectl_lbdoctor.model.snapshot import GatewayFacts, Snapshot

_SUBJECTS = frozenset(kind.name for kind in (kinds.GATEWAY, *kinds.ROUTES))


def read_gateway_api(
    lists: KubeLists,
    pool: Executor,
    asked: frozenset[str],
    subjects: Iterable[ObjectRef],
    gateways: Fact[Objects] | None = None,
) -> GatewayFacts:
    """All of Gateway API that the run asks for; nothing is read where no subject is a Gateway or a route. gateways:
    where they have been listed already."""
    own = [subject for subject in subjects if subject.kind in _SUBJECTS]
    if not own:
        return GatewayFacts()
    namespaces = tuple(dict.fromkeys(subject.namespace for subject in own))
    chosen = [read for read in reads.KUBE.values() if read.scope is Scope.GATEWAY and read.name in asked]
    listed = {} if gateways is None else {reads.KUBE[reads.GATEWAYS].kept_in: gateways}
    found = {
        read.kept_in: pool.submit(_everywhere, lists, read, namespaces, own)
        for read in chosen
        if read.kept_in not in listed
    }
    facts = GatewayFacts(**listed, **{name: future.result() for name, future in found.items()})
    return _without_needless_gaps(facts, tuple(own), frozenset(namespaces))


def _without_needless_gaps(facts: GatewayFacts, own: tuple[ObjectRef, ...], read: frozenset[str]) -> GatewayFacts:
    """Where lists of all namespaces were denied, and what was read of single ones holds all that can matter.

    read: the namespaces that were read alone. A listener takes routes of its own namespace unless it says otherwise,
    settings stand where their Gateway, their Service or their route is, and a grant where the backend is.
    """
    snapshot = Snapshot(subjects=own, gateway_api=facts)
    routes = [route for subject in own for route in routes_of_subject(snapshot, subject)]
    gateways = [g for g in facts.gateways.peek() or () if g.ref in own]
    gateways += [g for route in routes for g in gateways_of_route(snapshot, route)]
    of_parents = {parent.namespace or route.meta.namespace for route in routes for parent in route.parents}
    of_backends = {b.namespace or route.meta.namespace for route in routes for _, b in backends(route)}
    classes = facts.classes.peek()
    configured = classes is None or any(
        c.parameters for c in classes if c.meta.name in {g.class_name for g in gateways}
    )
    alone = all(
        section.listener.allowed.namespaces == "Same" for g in gateways for section in sections(snapshot, g)
    ) or not any(subject.kind == kinds.GATEWAY.name for subject in own)
    enough = {
        "gateways": of_parents <= read,
        "routes": alone,
        "listener_sets": all(g.allowed_sets.namespaces in ("None", "Same") for g in gateways),
        "grants": of_backends <= read,
        "group_configurations": of_backends <= read,
        "rule_configurations": {route.meta.namespace for route in routes} <= read,
        "balancer_configurations": not configured and {g.meta.namespace for g in gateways} <= read,
    }
    kept = {name: getattr(facts, name) for name, holds in enough.items() if holds and getattr(facts, name).left_out}
    return replace(facts, **{name: _whole(fact) for name, fact in kept.items()})


def _whole(fact: Fact[Any]) -> Fact[Any]:
    """Without the gap of what is elsewhere; what could not be understood stays named."""
    left = tuple(name for name in fact.left_out if name)
    return replace(fact, left_out=left, reason=fact.reason if left else "")


def backend_namespaces(snapshot: Snapshot) -> tuple[str, ...]:
    """The namespaces of the Services that the routes of the subjects lead to, besides the subjects' own."""
    found = [
        backend.namespace or route.meta.namespace
        for subject in snapshot.subjects
        if subject.kind in _SUBJECTS
        for route in routes_of_subject(snapshot, subject)
        for rule in route.rules
        for backend in rule.backends
    ]
    return tuple(dict.fromkeys(found))


def _everywhere(
    lists: KubeLists, read: KubeRead, namespaces: tuple[str, ...], subjects: list[ObjectRef]
) -> Fact[Objects]:
    return joined(read.name, [_of_kind(lists, read, kind, namespaces, subjects) for kind in read.kinds])


def _of_kind(
    lists: KubeLists, read: KubeRead, kind: kinds.Kind, namespaces: tuple[str, ...], subjects: list[ObjectRef]
) -> Fact[Any]:
    """The objects of one kind in all namespaces. Where that is denied, those of the subjects' namespaces, else the
    subjects alone, with the rest left out."""
    whole = lists.list(read, kind)
    if whole.is_known or not whole.permission or not kind.namespaced:
        return whole
    parts = [lists.list(read, kind, namespace) for namespace in namespaces]
    near = joined(read.name, parts)
    if not near.is_known:
        named = [subject for subject in subjects if subject.kind == kind.name]
        single = [lists.one(read, kind, subject.namespace, subject.name) for subject in named]
        if not single or not all(fact.is_known for fact in single):
            return whole
        near = Fact.known(read.name, tuple(fact.need() for fact in single if fact.need() is not None))
    reason = "; ".join(filter(None, (f"only in namespace {', '.join(namespaces)}: {whole.why}", near.reason)))
    return replace(near, left_out=(*near.left_out, ""), reason=reason)
