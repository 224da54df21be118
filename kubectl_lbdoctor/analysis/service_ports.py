"""Ports of nodes that belong to Services. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.snapshot import Snapshot


@derived
def ports_of_services(snapshot: Snapshot, namespace: str) -> frozenset[int]:
    """Node ports and healthCheckNodePorts of the namespace's Services. Raises `Unknown` where they were not read."""
    services = snapshot.facts_of(namespace).services.need()
    numbers = {p.node_port for s in services for p in s.ports} | {s.health_check_node_port for s in services}
    return frozenset(number for number in numbers if number)
