"""Reads of a namespace that holds much more than serves the subjects: what selectors and names lead to, and no more.

A diagnosis then costs the same beside ten pods and beside three thousand. Only where something asks for the rest, such
as a selector that matches nothing, is all of it read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.collect.kube_lists import KubeLists, Objects
from kubectl_lbdoctor.collect.wanted import Wanted, label_selectors, of_services, wanted
from kubectl_lbdoctor.knowledge.controller_identity import RECONCILED
from kubectl_lbdoctor.model import index, kinds, reads
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.k8s import Pod, Workload
from kubectl_lbdoctor.model.kinds import KINDS
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.reads import KubeRead
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

NAMED = 10
"""Objects that are asked for one by one; of more of them the whole list is."""

_NOT_ABOUT_PODS = "involvedObject.kind!=Pod,type!=Normal"
"""Complaints about everything else, as of a webhook that is in the way of a ReplicaSet. The API server filters events
by these fields: https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/"""


_FAILED_PROBES = "involvedObject.kind=Pod,reason=Unhealthy"
"""Answers of pods to the kubelet's probes: also a pod that is ready now tells there that it is slow."""

_Reads = list[Future[Fact[Objects]]]


class CrowdedReader:
    """Completes what was read of namespaces in which some lists were too long (`kube_lists.TOO_MANY`), in three steps:
    what each begins is read while the run goes on, so that a crowd costs few answers that are waited for one by one."""

    def __init__(self, lists: KubeLists, pool: Executor) -> None:
        self._lists = lists
        self._pool = pool
        self._crowded: Mapping[str, frozenset[str]] = {}
        self._needed = Wanted({}, {})
        self._begun: dict[str, dict[str, _Reads]] = {}

    def begin(self, snapshot: Snapshot, crowded: Mapping[str, frozenset[str]]) -> None:
        """Begin to read what manifests and Services lead to. crowded: by namespace, the reads whose lists are too
        long."""
        self._crowded, self._needed = crowded, wanted(snapshot) if crowded else self._needed
        for namespace, names in crowded.items():
            services = of_services(self._needed.services.get(namespace, ()))
            pods = label_selectors(self._needed.selectors.get(namespace, ()))
            asked = {
                reads.ENDPOINT_SLICES: [{"labelSelector": selector} for selector in services],
                reads.PODS: [{"labelSelector": selector} for selector in pods],
                reads.EVENTS: [{"fieldSelector": fields} for fields in _about_others(snapshot)],
            }
            self._begun[namespace] = {
                name: [self._start(name, namespace, params) for params in asked[name]] for name in names & asked.keys()
            }

    def complete(self, snapshot: Snapshot) -> Snapshot:
        """With the pods, EndpointSlices and events that were begun; what the pods lead to is begun."""
        spaces = dict(snapshot.namespaces)
        for namespace, names in self._crowded.items():
            facts, begun = spaces[namespace], self._begun[namespace]
            if reads.ENDPOINT_SLICES in names:
                facts = replace(facts, slices=_once(self._joined(reads.ENDPOINT_SLICES, namespace)))
            if reads.PODS in names:
                facts = replace(facts, pods=_once(self._joined(reads.PODS, namespace)), selected_pods=True)
            if reads.EVENTS in names:
                facts = replace(facts, events=self._joined(reads.EVENTS, namespace))
            mine = tuple(p for p in facts.pods.peek() or () if self._needed.selects(namespace, p.meta.labels))
            if reads.EVENTS in names:
                about = [{"fieldSelector": fields} for fields in _about_pods(mine)]
                begun[reads.EVENTS] = begun[reads.EVENTS] + [
                    self._start(reads.EVENTS, namespace, params) for params in about
                ]
            if reads.WORKLOADS in names:
                begun[reads.WORKLOADS] = self._start_workloads(namespace, mine)
            spaces[namespace] = facts
        return replace(snapshot, namespaces=spaces)

    def finish(self, snapshot: Snapshot) -> Snapshot:
        """With everything else that serves the subjects, and with all pods of the namespaces in which something asks
        for those that no Service of the subjects selects."""
        spaces = dict(snapshot.namespaces)
        for namespace, names in self._crowded.items():
            if reads.EVENTS in names:
                spaces[namespace] = replace(spaces[namespace], events=self._joined(reads.EVENTS, namespace))
            if reads.WORKLOADS in names:
                spaces[namespace] = replace(spaces[namespace], workloads=self._joined(reads.WORKLOADS, namespace))
        for namespace in sorted({t.namespace for t in traffic_paths(snapshot) if _asks_for_others(t)}):
            read = reads.KUBE[reads.PODS]
            everyone = self._lists.list(read, read.kind, namespace)
            spaces[namespace] = replace(spaces[namespace], pods=everyone, selected_pods=False)
        return replace(snapshot, namespaces=spaces)

    def _start(self, name: str, namespace: str, params: Mapping[str, str]) -> Future[Fact[Objects]]:
        read = reads.KUBE[name]
        return self._pool.submit(self._lists.list, read, read.kind, namespace, params)

    def _start_workloads(self, namespace: str, pods: tuple[Pod, ...]) -> _Reads:
        """What makes these pods; all workloads where a selector has no pods, because one of them may be meant to."""
        read = reads.KUBE[reads.WORKLOADS]
        makers = dict.fromkeys(ref for pod in pods for ref in _makers(pod))
        unmatched = any(
            not any(selector.items() <= pod.meta.labels.items() for pod in pods if not pod.is_finished)
            for selector in self._needed.selectors.get(namespace, ())
        )
        if unmatched or len(makers) > NAMED:
            return [self._pool.submit(self._lists.list, read, kind, namespace) for kind in read.kinds]
        return [self._pool.submit(self._maker, read, ref) for ref in makers]

    def _maker(self, read: KubeRead, ref: ObjectRef) -> Fact[Objects]:
        found: Fact[Workload | None] = self._lists.one(read, KINDS[ref.kind], ref.namespace, ref.name)
        return found.map(lambda workload: () if workload is None else (workload,))

    def _joined(self, name: str, namespace: str) -> Fact[Objects]:
        """What was begun of this read; waits for it."""
        read, parts = reads.KUBE[name], [part.result() for part in self._begun[namespace][name]]
        return joined(name, parts, read.kind.path(namespace) if len(read.kinds) == 1 else namespace)


def _once(found: Fact[Objects]) -> Fact[Objects]:
    """The objects that several selectors take, each once."""
    return found.map(lambda objects: tuple({entry.meta.name: entry for entry in objects}.values()))


def _about_others(snapshot: Snapshot) -> list[str]:
    """Field selectors of events of what is reconciled, complaints of anything but pods, and failed probes."""
    known = _kinds_of(snapshot)
    about = [kind for kind in (*RECONCILED, *(k.name for k in kinds.ROUTES)) if kind in known]
    return [_NOT_ABOUT_PODS, _FAILED_PROBES, *(f"involvedObject.kind={kind},type=Normal" for kind in about)]


def _about_pods(pods: tuple[Pod, ...]) -> list[str]:
    """Field selectors of the other events of those pods that are in trouble."""
    troubled = [pod.meta.name for pod in pods if _is_troubled(pod)]
    if len(troubled) > NAMED:
        return ["involvedObject.kind=Pod,reason!=Unhealthy"]
    return [f"involvedObject.kind=Pod,involvedObject.name={name},reason!=Unhealthy" for name in troubled]


def _kinds_of(snapshot: Snapshot) -> frozenset[str]:
    """The kinds whose events tell of the subjects, and of what was made for them."""
    return frozenset({*(ref.kind for ref in snapshot.subjects), kinds.SERVICE.name, kinds.TARGET_GROUP_BINDING.name})


def _makers(pod: Pod) -> Iterator[ObjectRef]:
    """The workload of a pod and what stands between the two, as far as they are kinds that are read."""
    known = {kind.name for kind in reads.KUBE[reads.WORKLOADS].kinds}
    owners = (ObjectRef(o.kind, pod.meta.namespace, o.name) for o in pod.meta.owners if o.controller)
    yield from (ref for ref in (workload_of(pod), *owners) if ref.kind in known)


def _is_troubled(pod: Pod) -> bool:
    return not pod.is_ready or any(status.restarts for status in pod.statuses)


def _asks_for_others(traffic: TrafficPath) -> bool:
    """Whether pods that the path's Service does not select may explain what was found."""
    facts = traffic.namespace_facts
    service, pods = traffic.service.peek(), facts.pods.peek()
    if not facts.selected_pods or pods is None or service is None:
        return False
    selected = index.pods_with_labels(traffic.snapshot, traffic.namespace, service.selector)
    if not any(not pod.is_finished for pod in selected):
        return True
    targets = traffic.target_health.peek() or ()
    if traffic.target_type == "instance":
        # Something else on the nodes may listen where the check asks.
        return any(target.state == "unhealthy" for target in targets)
    known = index.pods_by_address(traffic.snapshot, traffic.namespace)
    return any(target.id not in known and target.state != "draining" for target in targets)
