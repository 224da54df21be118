"""The lists of Kubernetes behind a scan: one of all namespaces for each kind, and of what they hold only what serves a
load balancer.

The number of calls is O(pages). Where a kind may not be listed in all namespaces, each namespace is asked for it; those
that deny it are named, and take nothing from the others. What serves frontends is then asked for only where there are
any: who may see ten namespaces of a hundred is not told ninety times, for each kind, what else may not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.analysis.chained_gateways import gateways_behind
from kubectl_lbdoctor.analysis.frontends import traffic_paths, without_foreign
from kubectl_lbdoctor.analysis.led_by import is_of_stack
from kubectl_lbdoctor.analysis.pod_makers import FAILED_CREATE
from kubectl_lbdoctor.analysis.workloads import WORKLOAD_KINDS, owner_of
from kubectl_lbdoctor.collect.controller_reads import ControllerReader
from kubectl_lbdoctor.collect.convert_kube import holds_node_ports, pod_outline
from kubectl_lbdoctor.collect.converters import Converter, converter
from kubectl_lbdoctor.collect.elsewhere import bindings_matter, bound_groups, namesakes, of_the_same_groups
from kubectl_lbdoctor.collect.gateway_reads import backend_namespaces, read_gateway_api
from kubectl_lbdoctor.collect.kube_lists import (
    ByNamespace,
    Kube,
    KubeLists,
    Objects,
    start_cluster,
    start_namespaces,
    without_any,
)
from kubectl_lbdoctor.collect.outcomes import results
from kubectl_lbdoctor.collect.served import require_whole
from kubectl_lbdoctor.collect.wanted import Wanted, wanted
from kubectl_lbdoctor.knowledge.controller_identity import RECONCILED
from kubectl_lbdoctor.model import kinds, reads, selectors
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.k8s import Event, Pod, Workload
from kubectl_lbdoctor.model.kinds import Kind
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.reads import KubeRead
from kubectl_lbdoctor.model.snapshot import ClusterFacts, Context, NamespaceFacts, Snapshot
from kubectl_lbdoctor.record import record

WORKERS = 16
"""Enough for every first list to run at once."""

SINGLE_WORKERS = 8
"""Lists of single namespaces at a time, where all of them may not be listed at once."""

_FIRST = (reads.INGRESSES, reads.SERVICES, reads.BINDINGS)
"""What tells the frontends and whom they lead to: everything else is kept by what these name."""

_EVENTS_KEPT = frozenset((*RECONCILED, *(kind.name for kind in kinds.ROUTES)))
_WEBHOOK = "webhook"
_NO_FRONTENDS = "no frontend is known in this namespace"


@record
class Spread:
    """The objects of one kind by namespace. rest: what holds for a namespace that is not in it."""

    facts: Mapping[str, Fact[Objects]]
    rest: Fact[Objects]

    def of(self, namespace: str) -> Fact[Objects]:
        return self.facts.get(namespace) or self.rest

    def __iter__(self) -> Iterator[Any]:
        for fact in self.facts.values():
            yield from fact.peek() or ()

    def unread(self) -> Iterator[str]:
        """The namespaces of which not all objects are known."""
        return (name for name, fact in self.facts.items() if not _is_whole(fact))


@record
class Swept:
    """What Kubernetes tells a scan. foreign: objects of other controllers, which are left out of the subjects."""

    snapshot: Snapshot
    foreign: tuple[ObjectRef, ...]


class SweptLists:
    """One scan's reads of Kubernetes; `read` is called once. namespace: "" for all. labels: of the subjects."""

    def __init__(self, kube: Kube, asked: frozenset[str], namespace: str, labels: str, context: Context) -> None:
        self._kube = kube
        self._lists = KubeLists(kube)
        self._asked = asked | reads.SUBJECTS
        self._only = namespace
        self._labels = selectors.parse(labels)
        self._context = context
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="list")
        self._singles = ThreadPoolExecutor(SINGLE_WORKERS, thread_name_prefix="list-single")
        self._wanted: Future[Wanted] = Future()
        self._places: Future[frozenset[str]] = Future()
        self._names: Future[Fact[Objects]] = self._pool.submit(self._list_names)

    def close(self) -> None:
        """Let go of everything that still runs, without waiting."""
        self._places.cancel()
        self._wanted.cancel()
        for pool in (self._pool, self._singles):
            pool.shutdown(wait=False, cancel_futures=True)

    def read(self, taken_at: str) -> Swept:
        """Everything. Raises CouldNotRun when the API server does not answer or refuses the credentials."""
        cluster = start_cluster(self._lists, self._pool, self._asked)
        controller = self._pool.submit(ControllerReader(self._kube, self._lists).read, self._asked)
        first = {name: self._start(reads.KUBE[name], self._whole) for name in _FIRST}
        gateways = self._pool.submit(self._lists.list, reads.KUBE[reads.GATEWAYS], kinds.GATEWAY, self._only)
        later = self._start_later()
        spread = {name: [part.result() for part in parts] for name, parts in first.items()}
        listed = gateways.result()
        subjects = tuple(self._subjects(spread, listed))
        snapshot = Snapshot(taken_at=taken_at, context=self._context, subjects=subjects)
        if any(ref.kind == kinds.GATEWAY.name for ref in subjects):
            everywhere = None if self._only else listed
            found = read_gateway_api(self._lists, self._pool, self._asked, subjects, everywhere)
            snapshot = replace(snapshot, gateway_api=found)
            # As in a diagnosis: whether a load balancer serves that has another Gateway's as its target is decided
            # behind that one, which may stand in another namespace or carry other labels.
            snapshot = snapshot.about((*subjects, *gateways_behind(snapshot, subjects)))
        elif not _is_whole(listed):
            snapshot = replace(snapshot, gateway_api=replace(snapshot.gateway_api, gateways=listed))
        spaces = self._spaces(snapshot, spread)
        led_to = (*(ref.namespace for ref in snapshot.subjects), *backend_namespaces(snapshot))
        also = [name for name in dict.fromkeys(led_to) if self._only and name != self._only]
        beside = start_namespaces(self._lists, self._pool, self._asked, (), also, frozenset())
        snapshot = replace(
            snapshot,
            namespaces={name: self._facts(name, spread) for name in spaces},
            cluster=ClusterFacts(**results(cluster)),
        )
        snapshot, foreign = without_foreign(snapshot)
        self._places.set_result(
            frozenset((*(ref.namespace for ref in snapshot.subjects), *backend_namespaces(snapshot)))
        )
        self._wanted.set_result(wanted(snapshot))
        spread |= {name: [part.result() for part in parts] for name, parts in later.items()}
        facts = {name: self._facts(name, spread) for name in spaces}
        facts |= {name: NamespaceFacts(**results(futures)) for name, futures in beside.items()}
        snapshot = replace(
            snapshot,
            namespaces=facts,
            cluster=replace(snapshot.cluster, **controller.result()),
            others=self._others(spread),
        )
        return Swept(replace(snapshot, cluster=replace(snapshot.cluster, **self._of_all(snapshot, spread))), foreign)

    # --- Lists -------------------------------------------------------------------------------------------------------

    def _list_names(self) -> Fact[Objects]:
        read = reads.KUBE[reads.NAMESPACES]
        if not self._only:
            return self._lists.list(read, read.kind)
        found: Fact[Any] = self._lists.one(read, read.kind, "", self._only)
        return found.map(lambda namespace: () if namespace is None else (namespace,))

    def _start(
        self, read: KubeRead, convert: Callable[[Kind], Converter], before: Sequence[Future[Spread]] = ()
    ) -> list[Future[Spread]]:
        """Begin to read all kinds of a row of the table of reads. before: what the converter waits for."""
        return [self._pool.submit(self._spread, read, kind, convert(kind), before) for kind in read.kinds]

    def _start_later(self) -> dict[str, list[Future[Spread]]]:
        """Begin the lists of which only a part is kept: their first page is there when it is known which."""
        keeps: dict[str, Callable[[Kind], Converter]] = {
            reads.ENDPOINT_SLICES: self._slices,
            reads.PODS: self._pods,
            reads.WORKLOADS: self._workloads,
            reads.NETWORK_POLICIES: self._whole,
        }
        started = {n: self._start(reads.KUBE[n], keep) for n, keep in keeps.items() if n in self._asked}
        if reads.EVENTS in self._asked:
            pods = started.get(reads.PODS, [])
            started[reads.EVENTS] = self._start(reads.KUBE[reads.EVENTS], lambda kind: _events(kind, pods), pods)
        return started

    def _spread(self, read: KubeRead, kind: Kind, convert: Converter, before: Sequence[Future[Spread]] = ()) -> Spread:
        """One list of all namespaces; where that is denied, one of each namespace that is known, or that has frontends
        where what serves them is read."""
        whole = self._lists.everywhere(read, kind, convert, self._only)
        if self._only:
            elsewhere = Fact[Objects].not_asked(read.name, f"only namespace {self._only} was asked for")
            return Spread({self._only: _own(whole, self._only, kind)}, elsewhere)
        if whole.is_known:
            return Spread(whole.need(), without_any(whole, kind.path()))
        if not whole.permission:
            return Spread({}, _unknown(whole))
        names = self._known_names()
        facts: dict[str, Fact[Objects]] = {}
        if read.name not in _FIRST:
            # Here, before any of it takes one of the few threads: what a converter waits for needs these, too.
            wait(before)
            places = self._places.result()
            self._wanted.result()
            facts = {n: Fact[Objects].not_needed(read.name, _NO_FRONTENDS) for n in names if n not in places}
        single = {
            n: self._singles.submit(self._lists.everywhere, read, kind, convert, n) for n in names if n not in facts
        }
        facts |= {n: _own(part.result(), n, kind) for n, part in single.items()}
        return Spread(facts, _unknown(whole))

    def _known_names(self) -> tuple[str, ...]:
        """The namespaces that may be asked one by one: all, or where these may not be listed the context's own."""
        listed = self._names.result().peek()
        if listed is not None:
            return tuple(namespace.meta.name for namespace in listed)
        return (self._context.namespace,) if self._context.namespace else ()

    # --- What is kept ------------------------------------------------------------------------------------------------

    @staticmethod
    def _whole(kind: Kind) -> Converter:
        return converter(kind)

    def _pods(self, kind: Kind) -> Converter:
        """Pods behind the frontends as they are; of the others what tells whose they are."""
        convert = converter(kind)

        def kept(raw: dict[str, Any]) -> Pod:
            require_whole(kind, raw)
            outline = pod_outline(raw)
            if holds_node_ports(raw) or self._wanted.result().selects(outline.meta.namespace, outline.meta.labels):
                found: Pod = convert(raw)
                return found
            return outline

        return kept

    def _slices(self, kind: Kind) -> Converter:
        convert = converter(kind)

        def kept(raw: dict[str, Any]) -> Any:
            piece = convert(raw)
            return piece if piece.service in self._wanted.result().services.get(piece.meta.namespace, ()) else None

        return kept

    def _workloads(self, kind: Kind) -> Converter:
        """Workloads whose pods serve a frontend, or would; without what a Deployment has left behind. Of an owner that
        is not read, such as a Rollout of Argo, all ReplicaSets that make pods: they tell that it is not at zero."""
        convert = converter(kind)

        def kept(raw: dict[str, Any]) -> Workload | None:
            found: Workload = convert(raw)
            owner = owner_of(found) if kind is kinds.REPLICA_SET else None
            if owner is not None and owner.kind in WORKLOAD_KINDS and not found.replicas:
                return None
            if owner is not None and owner.kind not in WORKLOAD_KINDS and found.replicas:
                return found
            return found if self._wanted.result().selects(found.meta.namespace, found.template_labels) else None

        return kept

    # --- What it makes -----------------------------------------------------------------------------------------------

    def _subjects(self, spread: Mapping[str, list[Spread]], gateways: Fact[Objects]) -> Iterator[ObjectRef]:
        """Whatever leads to targets: Ingresses, Services of type LoadBalancer, Gateways, and bindings of people."""
        found = [(kinds.INGRESS, entry) for entry in spread[reads.INGRESSES][0]]
        found += [(kinds.SERVICE, s) for s in spread[reads.SERVICES][0] if s.type == "LoadBalancer"]
        found += [(kinds.GATEWAY, entry) for entry in gateways.peek() or ()]
        found += [(kinds.TARGET_GROUP_BINDING, b) for b in spread[reads.BINDINGS][0] if not is_of_stack(b)]
        for kind, entry in found:
            if self._labels.selects(entry.meta.labels):
                yield ObjectRef(kind.name, entry.meta.namespace, entry.meta.name)

    def _spaces(self, snapshot: Snapshot, spread: Mapping[str, list[Spread]]) -> tuple[str, ...]:
        """The namespaces that the scan is about: those of the subjects and of what they lead to, and those of which it
        is not known whether they have any."""
        unread = [name for name in _FIRST for part in spread[name] for name in part.unread()]
        also = [] if self._only else backend_namespaces(snapshot)
        own = [self._only] if self._only else []
        return tuple(dict.fromkeys((*own, *(ref.namespace for ref in snapshot.subjects), *also, *unread)))

    def _facts(self, namespace: str, spread: Mapping[str, list[Spread]]) -> NamespaceFacts:
        """What was read so far of a namespace."""
        found: dict[str, Any] = {}
        for name, parts in spread.items():
            facts = [part.of(namespace) for part in parts]
            found[reads.KUBE[name].kept_in] = facts[0] if len(facts) == 1 else joined(name, facts)
        if reads.NAMESPACES in self._asked:
            names = self._names.result()
            found[reads.KUBE[reads.NAMESPACES].kept_in] = names.chosen(
                namespace, lambda: next((n for n in names.need() if n.meta.name == namespace), None)
            )
        return NamespaceFacts(**found)

    def _of_all(self, snapshot: Snapshot, spread: Mapping[str, list[Spread]]) -> dict[str, Any]:
        """Lists of all namespaces that a diagnosis reads where it has to. Where it is about all of them they are known
        already."""
        wanted_lists = []
        if any(traffic.group for traffic in traffic_paths(snapshot)):
            wanted_lists.append((reads.ALL_INGRESSES, reads.INGRESSES))
        if bindings_matter(snapshot) or bound_groups(snapshot):
            wanted_lists.append((reads.ALL_BINDINGS, reads.BINDINGS))
        found = {}
        for whole, own in wanted_lists:
            read = reads.KUBE[whole]
            if not self._only:
                found[read.kept_in] = _everything(whole, spread[own])
            elif whole in self._asked:
                found[read.kept_in] = self._lists.list(read, read.kind)
        bindings = reads.KUBE[reads.ALL_BINDINGS].kept_in
        if bindings in found:
            found[bindings] = of_the_same_groups(snapshot, found[bindings])
        if reads.ALL_SERVICES in self._asked:
            services = None if self._only else _everything(reads.ALL_SERVICES, spread[reads.SERVICES])
            found |= namesakes(snapshot, self._lists, services)
        return found

    def _others(self, spread: Mapping[str, list[Spread]]) -> Fact[tuple[str, ...]]:
        """Which namespaces with frontends there are besides those that were read: unknown where neither they nor what
        all of them hold may be listed, or where that list failed or could not be understood."""
        names = self._names.result()
        rests = [part.rest for name in _FIRST for part in spread[name]]
        if self._only:
            return Fact.by_definition(())
        if not names.is_known and not all(rest.is_known for rest in rests):
            return _unknown(names)
        # Where all of them may not be listed at once, each has been asked.
        broken = next((rest for rest in rests if not _is_whole(rest) and not rest.permission), None)
        return broken.map(lambda _: ()) if broken is not None else Fact.by_definition(())


def _events(kind: Kind, pods: Iterable[Future[Spread]]) -> Converter:
    """Events of what is reconciled, of webhooks, of refused pods of workloads, and of pods that are kept whole."""
    convert = converter(kind)
    whole: set[tuple[str, str]] | None = None

    def kept(raw: dict[str, Any]) -> Event | None:
        nonlocal whole
        event: Event = convert(raw)
        refused = event.kind in WORKLOAD_KINDS and event.reason == FAILED_CREATE
        if refused or event.kind in _EVENTS_KEPT or _WEBHOOK in event.message:
            return event
        if event.kind != kinds.POD.name:
            return None
        if whole is None:
            whole = {(p.meta.namespace, p.meta.name) for part in pods for p in part.result() if p.containers}
        return event if (event.namespace, event.name) in whole else None

    return kept


def _everything(name: str, parts: Iterable[Spread]) -> Fact[Objects]:
    """The objects of all namespaces."""
    return joined(name, [fact for part in parts for fact in (*part.facts.values(), part.rest)])


def _own(found: Fact[ByNamespace], namespace: str, kind: Kind) -> Fact[Objects]:
    """What one list of a namespace gives for it."""
    if not found.is_known:
        return _unknown(found)
    return found.need().get(namespace) or without_any(found, kind.path(namespace))


def _is_whole(fact: Fact[Any]) -> bool:
    """Whether what the list does not hold does not exist."""
    return fact.is_known and not fact.left_out


def _unknown(fact: Fact[Any]) -> Fact[Objects]:
    """A read that came to nothing, as the list that it should have given."""
    assert not fact.is_known
    return fact
