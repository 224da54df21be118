"""Reads of a namespace that holds much more than serves the subjects: what selectors and names lead to, and no more.

A diagnosis then costs the same beside ten pods and beside three thousand. Only where something asks for the rest, such
as a selector that matches nothing, is all of it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
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
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

NAMED = 10
"""Objects that are asked for one by one; of more of them the whole list is."""

_NOT_ABOUT_PODS = "involvedObject.kind!=Pod,type!=Normal"
"""Complaints about everything else, as of a webhook that is in the way of a ReplicaSet. The API server filters events
by these fields: https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/"""


_FAILED_PROBES = "involvedObject.kind=Pod,reason=Unhealthy"
"""Answers of pods to the kubelet's probes: also a pod that is ready now tells there that it is slow."""


class CrowdedReader:
    """Completes what was read of namespaces in which some lists were too long (`kube_lists.TOO_MANY`)."""

    def __init__(self, lists: KubeLists, pool: Executor) -> None:
        self._lists = lists
        self._pool = pool

    def complete(self, snapshot: Snapshot, crowded: Mapping[str, frozenset[str]]) -> Snapshot:
        """With what serves the subjects. crowded: by namespace, the reads whose lists are too long."""
        needed = wanted(snapshot)
        spaces = dict(snapshot.namespaces)
        for namespace, names in crowded.items():
            spaces[namespace] = self._completed(snapshot, spaces[namespace], namespace, names, needed)
        return replace(snapshot, namespaces=spaces)

    def with_the_rest(self, snapshot: Snapshot) -> Snapshot:
        """With all pods of the namespaces in which something asks for those that no Service of the subjects selects."""
        spaces = dict(snapshot.namespaces)
        for namespace in sorted({t.namespace for t in traffic_paths(snapshot) if _asks_for_others(t)}):
            read = reads.KUBE[reads.PODS]
            everyone = self._lists.list(read, read.kind, namespace)
            spaces[namespace] = replace(spaces[namespace], pods=everyone, selected_pods=False)
        return replace(snapshot, namespaces=spaces)

    def _completed(
        self, snapshot: Snapshot, facts: NamespaceFacts, namespace: str, names: frozenset[str], needed: Wanted
    ) -> NamespaceFacts:
        if reads.ENDPOINT_SLICES in names:
            selectors = of_services(needed.services.get(namespace, ()))
            facts = replace(facts, slices=self._selected(reads.ENDPOINT_SLICES, namespace, selectors))
        if reads.PODS in names:
            selectors = label_selectors(needed.selectors.get(namespace, ()))
            facts = replace(facts, pods=self._selected(reads.PODS, namespace, selectors), selected_pods=True)
        mine = tuple(p for p in facts.pods.peek() or () if needed.selects(namespace, p.meta.labels))
        if reads.EVENTS in names:
            facts = replace(facts, events=self._events(snapshot, namespace, mine))
        if reads.WORKLOADS in names:
            unmatched = any(
                not any(selector.items() <= pod.meta.labels.items() for pod in mine)
                for selector in needed.selectors.get(namespace, ())
            )
            facts = replace(facts, workloads=self._workloads(namespace, mine, unmatched))
        return facts

    def _selected(self, name: str, namespace: str, selectors: Iterable[str]) -> Fact[Objects]:
        """The objects that any of these label selectors takes, each once."""
        found = self._joined(name, namespace, [{"labelSelector": selector} for selector in selectors])
        return found.map(lambda objects: tuple({entry.meta.name: entry for entry in objects}.values()))

    def _joined(self, name: str, namespace: str, questions: Iterable[Mapping[str, str]]) -> Fact[Objects]:
        read = reads.KUBE[name]
        parts = [self._pool.submit(self._lists.list, read, read.kind, namespace, asked) for asked in questions]
        return joined(name, [part.result() for part in parts], read.kind.path(namespace))

    def _events(self, snapshot: Snapshot, namespace: str, pods: tuple[Pod, ...]) -> Fact[Objects]:
        """Events of what is reconciled, complaints of anything but pods, failed probes, and the events of pods in
        trouble."""
        about = [kind for kind in (*RECONCILED, *(k.name for k in kinds.ROUTES)) if kind in _kinds_of(snapshot)]
        fields = [_NOT_ABOUT_PODS, _FAILED_PROBES, *(f"involvedObject.kind={kind},type=Normal" for kind in about)]
        troubled = [pod.meta.name for pod in pods if _is_troubled(pod)]
        if len(troubled) > NAMED:
            fields.append("involvedObject.kind=Pod,reason!=Unhealthy")
        else:
            fields += [f"involvedObject.kind=Pod,involvedObject.name={name},reason!=Unhealthy" for name in troubled]
        return self._joined(reads.EVENTS, namespace, [{"fieldSelector": field} for field in fields])

    def _workloads(self, namespace: str, pods: tuple[Pod, ...], unmatched: bool) -> Fact[Objects]:
        """What makes these pods; all workloads where a selector has no pods, because one of them may be meant to."""
        read = reads.KUBE[reads.WORKLOADS]
        makers = dict.fromkeys(ref for pod in pods for ref in _makers(pod))
        if unmatched or len(makers) > NAMED:
            lists = [self._pool.submit(self._lists.list, read, kind, namespace) for kind in read.kinds]
            return joined(read.name, [part.result() for part in lists], namespace)
        single = [self._pool.submit(self._lists.one, read, KINDS[r.kind], namespace, r.name) for r in makers]
        return joined(read.name, [part.result().map(_listed) for part in single], namespace)


def _kinds_of(snapshot: Snapshot) -> frozenset[str]:
    """The kinds whose events tell of the subjects, and of what was made for them."""
    return frozenset({*(ref.kind for ref in snapshot.subjects), kinds.SERVICE.name, kinds.TARGET_GROUP_BINDING.name})


def _makers(pod: Pod) -> Iterator[ObjectRef]:
    """The workload of a pod and what stands between the two, as far as they are kinds that are read."""
    known = {kind.name for kind in reads.KUBE[reads.WORKLOADS].kinds}
    owners = (ObjectRef(o.kind, pod.meta.namespace, o.name) for o in pod.meta.owners if o.controller)
    yield from (ref for ref in (workload_of(pod), *owners) if ref.kind in known)


def _listed(found: Workload | None) -> Objects:
    return () if found is None else (found,)


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
