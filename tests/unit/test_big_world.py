"""The generated clusters of the benchmarks: healthy for the doctor, and as large as they say."""

from __future__ import annotations

import json

from bench import paths
from bench.world import Shape, World

SMALL = Shape(nodes=4, namespaces=2, services=6, ingresses=3, balanced=2, pods=22, crowded=4, events=10)


def test_a_generated_cluster_is_healthy() -> None:
    world = World.of(SMALL)
    snapshot = paths.collect(world)
    joined = paths.join(snapshot)
    report = paths.fold(snapshot, joined, paths.check(joined))
    assert [d.finding.code for d in report.diagnoses] == []
    assert report.status.value == "healthy"
    assert [(s.ref.kind, s.ref.namespace, s.ref.name, s.status.value) for s in report.subjects] == [
        ("Ingress", "team-000", "app-0000", "healthy"),
        ("Ingress", "team-001", "app-0001", "healthy"),
        ("Ingress", "team-000", "app-0002", "healthy"),
        ("Service", "team-001", "app-0003", "healthy"),
        ("Service", "team-000", "app-0004", "healthy"),
    ]
    assert [len(g.targets) for s in report.subjects for g in s.target_groups] == [3, 3, 3, 3, 3]


def test_a_generated_cluster_has_the_shape_that_was_asked_for() -> None:
    world = World.of(SMALL)
    counted = {name: len(items) for name, items in world.kube.items()}
    # The controller's own pod comes on top.
    assert (counted["nodes"], counted["services"], counted["pods"], counted["events"]) == (4, 6, 23, 10)
    assert (counted["ingresses"], counted["targetgroupbindings"], len(world.health)) == (3, 5, 5)
    addresses = [pod["status"]["podIP"] for pod in world.kube["pods"]]
    assert len(set(addresses)) == len(addresses)


def test_twenty_pods_are_a_list_that_an_api_server_compresses() -> None:
    """It does so above 128 KiB; half of what it sends of a pod are the managedFields, which it adds itself."""
    world = World.with_nodes(2)
    world.idle_pods("shop", 20)
    assert len(json.dumps(world.kube["pods"], separators=(",", ":"))) * 2 > 128 * 1024
