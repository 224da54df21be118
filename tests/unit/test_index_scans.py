"""Look-ups into the index find what a scan of the lists finds, over random lists with duplicates and empty values."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import EndpointSlice, Event, Meta, Node, Pod
from kubectl_lbdoctor.model.network import NetworkInterface
from kubectl_lbdoctor.model.snapshot import ClusterFacts, NamespaceFacts, NetworkFacts, Snapshot
from tests.support.world import World

ADDRESSES = ("10.0.0.1", "10.0.0.2", "fd00::1", "")
VALUES = ("", "a", "b")
KEYS = ("app", "tier", "")


def labels(chance: random.Random) -> dict[str, str]:
    return {key: chance.choice(VALUES) for key in chance.sample(KEYS, chance.randint(0, 3))}


def random_snapshot(chance: random.Random) -> Snapshot:
    pods = tuple(
        Pod(
            Meta(f"p{n}", "shop", labels=labels(chance)),
            ip=chance.choice(ADDRESSES),
            ips=tuple(chance.choices(ADDRESSES, k=chance.randint(0, 2))),
        )
        for n in range(chance.randint(0, 8))
    )
    nodes = tuple(
        Node(Meta(f"n{n}"), provider_id=chance.choice(["", "aws:///us-west-2a/i-1", "aws:///us-west-2a/i-2"]))
        for n in range(chance.randint(0, 5))
    )
    interfaces = tuple(
        NetworkInterface(f"eni-{n}", private_ips=tuple(chance.choices(ADDRESSES, k=chance.randint(0, 3))))
        for n in range(chance.randint(0, 5))
    )
    slices = tuple(
        EndpointSlice(Meta(f"s{n}", "shop"), chance.choice(VALUES), "IPv4") for n in range(chance.randint(0, 5))
    )
    events = tuple(
        Event("Pod", f"p{chance.randint(0, 2)}", "shop", message=str(n), last=f"2026-01-0{chance.randint(1, 3)}")
        for n in range(chance.randint(0, 8))
    )
    whole = World().build()
    facts = NamespaceFacts(
        pods=Fact.known(reads.PODS, pods),
        slices=Fact.known(reads.ENDPOINT_SLICES, slices),
        events=Fact.known(reads.EVENTS, events),
    )
    return replace(
        whole,
        namespaces={"shop": facts},
        cluster=ClusterFacts(nodes=Fact.known(reads.NODES, nodes)),
        network=NetworkFacts(interfaces=Fact.known(reads.NETWORK_INTERFACES, interfaces)),
    )


@pytest.mark.parametrize("seed", range(100))
def test_the_index_finds_what_a_scan_finds(seed: int) -> None:
    chance = random.Random(seed)
    snapshot = random_snapshot(chance)
    facts = snapshot.facts_of("shop")
    pods, nodes = facts.pods.need(), snapshot.cluster.nodes.need()
    for address in ADDRESSES:
        assert index.pods_by_address(snapshot, "shop").get(address, ()) == tuple(
            p for p in pods if address in (p.ips or (p.ip,))
        )
        assert index.interfaces_by_address(snapshot).get(address) == next(
            (i for i in snapshot.network.interfaces.need() if address in i.private_ips), None
        )
    for _ in range(10):
        wanted = labels(chance)
        assert index.pods_with_labels(snapshot, "shop", wanted) == tuple(
            p for p in pods if wanted and wanted.items() <= p.meta.labels.items()
        )
    for value in VALUES:
        assert index.slices_by_service(snapshot, "shop").get(value, ()) == tuple(
            s for s in facts.slices.need() if s.service == value
        )
    for instance in ("i-1", "i-2", "i-3"):
        assert index.nodes_by_instance(snapshot).get(instance) == next(
            (n for n in nodes if n.instance_id == instance), None
        )
    for name in ("p0", "p1", "p2"):
        told = sorted((e for e in facts.events.need() if e.name == name), key=lambda e: e.last, reverse=True)
        assert index.events_by_object(snapshot, "shop").get(("Pod", name), ()) == tuple(told)
