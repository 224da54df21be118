"""The lists of Kubernetes objects that a run begins with: a loop over the table of reads in `model.reads`.

The number of calls is O(pages). One list per namespace and kind where a run is about a few namespaces; one list of all
namespaces per kind where it is about many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from enum import Enum
from itertools import islice
from typing import Any, Protocol, TypeVar, cast

from kubectl_lbdoctor.collect.converters import Converter, converter
from kubectl_lbdoctor.collect.fields import NotUnderstood
from kubectl_lbdoctor.collect.names import check_names
from kubectl_lbdoctor.collect.outcomes import attempt
from kubectl_lbdoctor.collect.served_lists import objects_of
from kubectl_lbdoctor.collect.sieve import Sieve, object_name
from kubectl_lbdoctor.errors import ApiMissing, CouldNotRun, Unreachable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.api_path import is_label
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.kinds import Kind
from kubectl_lbdoctor.model.reads import KubeRead, Scope

T = TypeVar("T")

MANY_NAMESPACES = 5
"""From so many namespaces on, one list of all namespaces replaces one list for each of them."""

FEW = 100
"""Up to so many objects of a kind, a namespace's list is taken whole; of more only a part serves the subjects."""

BOUNDED = frozenset({reads.PODS, reads.EVENTS, reads.ENDPOINT_SLICES, reads.WORKLOADS})
"""The reads whose lists grow with what else is in a namespace."""

Objects = tuple[Any, ...]
ByNamespace = Mapping[str, Fact[Objects]]


class TooMany(Enum):
    """What a list gives that was left because it is too long."""

    TOO_MANY = "too many"


TOO_MANY = TooMany.TOO_MANY


class Kube(Protocol):
    """What is needed of `collect.kubernetes_api.client.KubeReader`."""

    def get(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> dict[str, Any] | None: ...

    def list(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> Iterator[dict[str, Any]]: ...

    def text(self, path: str, params: Mapping[str, str | int | bool] | None = None, max_bytes: int = ...) -> str: ...


class KubeLists:
    """Lists and single objects, converted, as facts. Safe to use from many threads."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def raw(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """All objects of a collection, as the API server gives them; none where the cluster has no such API.

        Raises CouldNotRun when the API server cannot be reached (every other read would fail alike), else what
        `KubeReader.list` raises.
        """
        try:
            yield from self._kube.list(path, dict(params) if params else None)
        except ApiMissing:
            return
        except Unreachable as error:
            raise CouldNotRun(error.message, error.hint) from error

    def of_kind(
        self, kind: Kind, namespace: str = "", params: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """All objects of a kind as `served_lists.objects_of` gives them. Raises what `raw` raises."""
        try:
            yield from objects_of(self._kube, kind, namespace, params)
        except Unreachable as error:
            raise CouldNotRun(error.message, error.hint) from error

    def list(
        self, read: KubeRead, kind: Kind, namespace: str = "", params: Mapping[str, str] | None = None
    ) -> Fact[Objects]:
        """The objects of one kind in a namespace, or in all of them for "". `params` replace those of the read."""
        path = kind.path(namespace)
        convert = converter(kind, read.keeps_arguments)
        asked = read.params if params is None else params
        sieve = Sieve(kind.plural)

        def found() -> Objects:
            return tuple(sieve.through(self.of_kind(kind, namespace, asked), convert))

        return sieve.marked(attempt(read.name, path, found))

    def few(self, read: KubeRead, kind: Kind, namespace: str) -> Fact[Objects] | TooMany:
        """The objects of one kind in a namespace; TOO_MANY where there are more than FEW."""
        convert = converter(kind, read.keeps_arguments)
        sieve = Sieve(kind.plural)
        # One more than few on the first page tells that there are too many, without another call.
        params = {**read.params, "limit": str(FEW + 1)}

        def found() -> Objects | None:
            raws = list(islice(self.of_kind(kind, namespace, params), FEW + 1))
            return tuple(sieve.through(raws, convert)) if len(raws) <= FEW else None

        fact = attempt(read.name, kind.path(namespace), found)
        if fact.is_known and fact.need() is None:
            return TOO_MANY
        return sieve.marked(cast("Fact[Objects]", fact))

    def one(self, read: KubeRead, kind: Kind, namespace: str, name: str) -> Fact[Any | None]:
        """One object by its name, in the group of its API that has it; None where it does not exist."""
        path = kind.path(namespace, name)
        convert = converter(kind, read.keeps_arguments)

        def get() -> Any | None:
            raw = self._found(kind, namespace, name)
            if raw is None:
                return None
            if object_name(raw) != name:
                raise NotUnderstood("it is about another object than the one that was asked for")
            record = convert(raw)
            check_names(record)
            return record

        return attempt(read.name, path, get)

    def _found(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """The object in the first group that has it. Raises ApiMissing where the cluster serves none of them."""
        missing: ApiMissing | None = None
        for served in (kind, *kind.twins):
            try:
                raw = self._kube.get(served.path(namespace, name))
            except ApiMissing as error:
                missing = error
                continue
            if raw is not None:
                return raw
            missing = None
        if missing is not None:
            raise missing
        return None

    def in_namespace(self, read: KubeRead, kind: Kind, namespace: str) -> Fact[Any]:
        """What a read of `Scope.NAMESPACE` gives: the list of one namespace, or for its Namespace the object itself."""
        return self.list(read, kind, namespace) if kind.namespaced else self.one(read, kind, "", namespace)

    def by_namespace(self, read: KubeRead, kind: Kind, namespaces: frozenset[str]) -> Fact[ByNamespace]:
        """The objects of one kind in these namespaces, from one list of all namespaces; others are not converted. What
        does not tell its namespace may be of any of them."""
        convert = converter(kind, read.keeps_arguments)
        whole = self.everywhere(read, kind, lambda raw: convert(raw) if _home(raw, kind) in namespaces else None)

        def chosen(found: ByNamespace) -> ByNamespace:
            return {name: found.get(name) or without_any(whole, _place(kind, name)) for name in namespaces}

        return whole.map(chosen)

    def everywhere(self, read: KubeRead, kind: Kind, convert: Converter, namespace: str = "") -> Fact[ByNamespace]:
        """The objects of one kind in all namespaces that have any, or in one of them, from one list. convert: gives
        None for an object that is not kept. What does not tell its namespace may be of any of them, and is left out in
        each, and of the whole."""
        homeless = Sieve(kind.plural)

        def split() -> ByNamespace:
            found: dict[str, list[Any]] = {}
            sieves: dict[str, Sieve] = {}
            for raw in self.of_kind(kind, namespace, read.params):
                home = _home(raw, kind)
                sieve = homeless if home is None else sieves.setdefault(home, Sieve(kind.plural))
                mine = found.setdefault(home or "", [])
                taken = sieve.through((raw,), convert if home else _without_home)
                mine += (record for record in taken if record is not None)
            spaces = {name: Fact.known(read.name, tuple(found[name]), _place(kind, name)) for name in sieves}
            return {name: homeless.marked(sieves[name].marked(fact)) for name, fact in spaces.items()}

        return homeless.marked(attempt(read.name, kind.path(namespace), split))

    def with_single_objects(
        self, listed: Fact[Objects], read: KubeRead, subjects: Iterable[ObjectRef]
    ) -> Fact[Objects]:
        """The list; where only listing is denied, the subjects by their names (a common half of permissions)."""
        if listed.is_known or not listed.permission:
            return listed
        found: list[Any] = []
        for subject in subjects:
            single = self.one(read, read.kind, subject.namespace, subject.name)
            if not single.is_known:
                return listed
            found += [single.need()] if single.need() is not None else []
        return Fact.known(listed.source, tuple(found), listed.scope)


def _without_home(raw: Any) -> Any:
    raise NotUnderstood("metadata.namespace: it is no namespace")


def without_any(found: Fact[ByNamespace], path: str) -> Fact[Objects]:
    """What a list tells of a namespace of which it holds nothing; what it could not understand may be there."""
    return replace(found.map(lambda _: ()), scope=path)


def _place(kind: Kind, namespace: str) -> str:
    """The path of what a namespace has of a kind: its collection, or the Namespace itself."""
    return kind.path(namespace) if kind.namespaced else kind.path(name=namespace)


def _home(raw: Any, kind: Kind) -> str | None:
    """The namespace that a raw object of a list is in, or is; None where it cannot be told."""
    metadata = raw.get("metadata") if isinstance(raw, dict) else None
    home = metadata.get("namespace" if kind.namespaced else "name") if isinstance(metadata, dict) else None
    return home if isinstance(home, str) and is_label(home) else None


Futures = dict[str, Future[Any]]
"""What has been begun, by the field that will hold it."""


def start_cluster(lists: KubeLists, pool: Executor, asked: frozenset[str]) -> Futures:
    """Begin the reads of the cluster as a whole. By field of ClusterFacts."""
    return {
        read.kept_in: pool.submit(lists.list, read, read.kind, "kube-system" if read.scope is Scope.KUBE_SYSTEM else "")
        for read in reads.KUBE.values()
        if read.name in asked and read.scope in (Scope.CLUSTER, Scope.KUBE_SYSTEM)
    }


def start_namespaces(
    lists: KubeLists,
    pool: Executor,
    asked: frozenset[str],
    subjects: Sequence[ObjectRef],
    also: Iterable[str] = (),
    bounded: frozenset[str] = BOUNDED,
) -> dict[str, Futures]:
    """Begin the reads of every namespace of the subjects, and of those that their routes lead to (`also`). By
    namespace, then by field of NamespaceFacts. Where a namespace holds too much of it, a read that is bounded
    gives TOO_MANY."""
    namespaces = tuple(dict.fromkeys((*(subject.namespace for subject in subjects), *also)))
    chosen = [read for read in reads.KUBE.values() if read.name in asked and read.scope is Scope.NAMESPACE]
    everywhere: dict[tuple[str, str], Future[Fact[ByNamespace]]] = {}
    if len(namespaces) >= MANY_NAMESPACES:
        # Begun before everything that waits for them: so the pool is never full of tasks that only wait.
        everywhere = {
            (read.name, kind.name): pool.submit(lists.by_namespace, read, kind, frozenset(namespaces))
            for read in chosen
            for kind in read.kinds
        }
    started: dict[str, Futures] = {}
    for namespace in namespaces:
        futures: Futures = {}
        for read in chosen:
            parts = [
                pool.submit(
                    _part, lists, read, kind, namespace, everywhere.get((read.name, kind.name)), read.name in bounded
                )
                for kind in read.kinds
            ]
            futures[read.kept_in] = parts[0] if len(parts) == 1 else pool.submit(_joined, read.name, parts)
        mine = [subject for subject in subjects if subject.namespace == namespace]
        if len({subject.kind for subject in mine}) == 1:
            # Subjects of another kind need the whole list: what was not read must not look absent to them.
            read = reads.read_of_subjects(mine[0].kind)
            if listed := futures.get(read.kept_in):
                futures[read.kept_in] = pool.submit(_with_single_objects, lists, listed, read, mine)
        started[namespace] = futures
    return started


def _part(
    lists: KubeLists,
    read: KubeRead,
    kind: Kind,
    namespace: str,
    everywhere: Future[Fact[ByNamespace]] | None,
    bounded: bool,
) -> Fact[Any] | TooMany:
    """One namespace's part of the list of all namespaces; where that could not be had, the namespace's own list.

    So a user who may list some namespaces only is told of the others alone.
    """
    if everywhere is None and bounded:
        return lists.few(read, kind, namespace)
    whole = everywhere.result() if everywhere is not None else None
    if whole is None or not whole.is_known:
        return lists.in_namespace(read, kind, namespace)
    objects = whole.need()[namespace]
    return objects if kind.namespaced else objects.chosen(namespace, lambda: next(iter(objects.need()), None))


def _joined(source: str, parts: Iterable[Future[Fact[Objects] | TooMany]]) -> Fact[Objects] | TooMany:
    found = [part.result() for part in parts]
    return TOO_MANY if TOO_MANY in found else joined(source, cast("list[Fact[Objects]]", found))


def _with_single_objects(
    lists: KubeLists, listed: Future[Fact[Objects]], read: KubeRead, subjects: Iterable[ObjectRef]
) -> Fact[Objects]:
    return lists.with_single_objects(listed.result(), read, subjects)
