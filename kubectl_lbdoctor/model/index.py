"""Look-ups into the lists of a snapshot, each built once: by name, label, address, Service, instance or object.

Every function raises `Unknown` where the list that it looks into was not read, as `Fact.need` does. A path therefore
costs what it touches, and not what its namespace holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact, Unknown
from kubectl_lbdoctor.model.k8s import EndpointSlice, Event, Ingress, Node, Pod, Service, TargetGroupBinding
from kubectl_lbdoctor.model.network import NetworkInterface
from kubectl_lbdoctor.model.snapshot import Snapshot

T = TypeVar("T")
K = TypeVar("K")


def grouped(items: Iterable[T], keys: Callable[[T], Iterable[K]]) -> Mapping[K, tuple[T, ...]]:
    """The items by each of their keys, in their own order; an item that gives a key twice stands there once."""
    found: dict[K, list[T]] = defaultdict(list)
    for item in items:
        for key in dict.fromkeys(keys(item)):
            found[key].append(item)
    return {key: tuple(mine) for key, mine in found.items()}


def all_pods(snapshot: Snapshot, namespace: str) -> tuple[Pod, ...]:
    """All pods of a namespace, also those that no Service of the subjects selects; `Unknown` where only these were
    read."""
    facts = snapshot.facts_of(namespace)
    if facts.selected_pods:
        reason = f"of the pods of namespace {namespace} only those that the Services select were read"
        raise Unknown(Fact.not_asked(reads.PODS, reason, namespace))
    return facts.pods.need()


@derived
def pods_by_name(snapshot: Snapshot, namespace: str) -> Mapping[str, Pod]:
    """The pods of a namespace by name."""
    return {pod.meta.name: pod for pod in snapshot.facts_of(namespace).pods.need()}


@derived
def pods_by_label(snapshot: Snapshot, namespace: str) -> Mapping[tuple[str, str], tuple[Pod, ...]]:
    """The pods of a namespace by each (label, value) that they carry."""
    return grouped(snapshot.facts_of(namespace).pods.need(), lambda pod: pod.meta.labels.items())


@derived
def pods_by_address(snapshot: Snapshot, namespace: str) -> Mapping[str, tuple[Pod, ...]]:
    """The pods of a namespace by each of their addresses; host-network pods share the address of their node."""
    return grouped(snapshot.facts_of(namespace).pods.need(), lambda pod: pod.ips or (pod.ip,))


def pods_with_labels(snapshot: Snapshot, namespace: str, labels: Mapping[str, str]) -> tuple[Pod, ...]:
    """The pods that carry all of these labels; none without any label, as a Service without a selector has none."""
    if not labels:
        snapshot.facts_of(namespace).pods.need()
        return ()
    by_label = pods_by_label(snapshot, namespace)
    rarest = min((by_label.get(pair, ()) for pair in labels.items()), key=len)
    wanted = labels.items()
    return tuple(pod for pod in rarest if wanted <= pod.meta.labels.items())


@derived
def ingresses_by_name(snapshot: Snapshot, namespace: str) -> Mapping[str, Ingress]:
    """The Ingresses of a namespace by name."""
    return {ingress.meta.name: ingress for ingress in snapshot.facts_of(namespace).ingresses.need()}


@derived
def bindings_by_name(snapshot: Snapshot, namespace: str) -> Mapping[str, TargetGroupBinding]:
    """The TargetGroupBindings of a namespace by name."""
    return {binding.meta.name: binding for binding in snapshot.facts_of(namespace).bindings.need()}


@derived
def services_by_name(snapshot: Snapshot, namespace: str) -> Mapping[str, Service]:
    """The Services of a namespace by name."""
    return {service.meta.name: service for service in snapshot.facts_of(namespace).services.need()}


@derived
def slices_by_service(snapshot: Snapshot, namespace: str) -> Mapping[str, tuple[EndpointSlice, ...]]:
    """The EndpointSlices of a namespace by the name of their Service."""
    return grouped(snapshot.facts_of(namespace).slices.need(), lambda piece: (piece.service,))


@derived
def bindings_by_service(snapshot: Snapshot, namespace: str) -> Mapping[str, tuple[TargetGroupBinding, ...]]:
    """The TargetGroupBindings of a namespace by the name of the Service that they refer to."""
    return grouped(snapshot.facts_of(namespace).bindings.need(), lambda binding: (binding.service,))


@derived
def bindings_by_group(snapshot: Snapshot, namespace: str) -> Mapping[str, tuple[TargetGroupBinding, ...]]:
    """The TargetGroupBindings of a namespace by the ARN of their target group."""
    return grouped(snapshot.facts_of(namespace).bindings.need(), lambda binding: (binding.target_group_arn,))


@derived
def events_by_object(snapshot: Snapshot, namespace: str) -> Mapping[tuple[str, str], tuple[Event, ...]]:
    """The events of a namespace by (kind, name) of their object, newest first."""
    newest_first = sorted(snapshot.facts_of(namespace).events.need(), key=lambda event: event.last, reverse=True)
    return grouped(newest_first, lambda event: ((event.kind, event.name),))


@derived
def nodes_by_name(snapshot: Snapshot) -> Mapping[str, Node]:
    """The nodes by name."""
    return {node.meta.name: node for node in snapshot.cluster.nodes.need()}


@derived
def nodes_by_instance(snapshot: Snapshot) -> Mapping[str, Node]:
    """The nodes that are EC2 instances, by instance id; of two nodes with one id, the first."""
    return {node.instance_id: node for node in reversed(snapshot.cluster.nodes.need()) if node.instance_id}


@derived
def interfaces_by_address(snapshot: Snapshot) -> Mapping[str, NetworkInterface]:
    """The network interfaces by each of their private addresses."""
    found: dict[str, NetworkInterface] = {}
    for interface in snapshot.network.interfaces.need():
        for address in interface.private_ips:
            found.setdefault(address, interface)
    return found
