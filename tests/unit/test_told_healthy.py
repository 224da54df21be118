"""Counts and readiness gates stand for health only where they say exactly what must be so, and say it of now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.told_healthy import gates_are_recent
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.aws import TargetCounts
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP
from kubectl_lbdoctor.model.network import NetworkPolicy
from kubectl_lbdoctor.model.selectors import LabelSelector
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.permission import Permission
from tests.support import cases
from tests.support.world import GROUP_ARN, NOW, World, controller, pod

# NOW is noon of that day.
MINUTE = "2026-11-23T11:57:00Z"
LONG_AGO = "2026-11-23T08:00:00Z"


def counted(world: World, healthy: int, unhealthy: int = 0, at: str = MINUTE) -> TrafficPath:
    """The path of a world whose target group was counted and not asked."""
    table = {GROUP_ARN: TargetCounts(healthy, unhealthy, at)}
    cloud = {"target_health": {}, "target_counts": Fact.known(reads.TARGET_COUNTS, table)}
    (traffic,) = traffic_paths(replace(world, aws=cloud).build())
    return traffic


def test_now_is_noon() -> None:
    assert NOW == "2026-11-23T12:00:00Z"


def test_as_many_healthy_targets_as_are_wanted_are_healthy() -> None:
    traffic = counted(World(), 2)
    assert traffic.target_health.source == "cloudwatch:GetMetricData"
    assert [(t.key, t.state, t.zone) for t in traffic.targets()] == [
        ("10.0.1.34:8080", "healthy", "us-west-2a"),
        ("10.0.2.34:8080", "healthy", "us-west-2c"),
    ]


def test_instance_targets_are_the_nodes() -> None:
    traffic = counted(World().instance_mode(), 2)
    assert [t.key for t in traffic.targets()] == [f"{n.instance_id}:30080" for n in World().nodes]


@pytest.mark.parametrize(("healthy", "unhealthy"), [(1, 0), (3, 0), (2, 1), (0, 0), (0, 2)])
def test_any_other_count_leaves_the_health_open(healthy: int, unhealthy: int) -> None:
    assert not counted(World(), healthy, unhealthy).target_health.is_known


@pytest.mark.parametrize(
    ("at", "known"),
    [
        ("2026-11-23T11:55:00Z", True),
        ("2026-11-23T11:54:59Z", False),
        ("2026-11-23T12:00:05Z", True),
        ("2026-11-23T12:00:06Z", False),  # of a clock that is not ours
        ("2027-11-23T12:00:00Z", False),
        ("", False),
    ],
)
def test_a_count_of_another_time_says_nothing_of_now(at: str, known: bool) -> None:
    assert counted(World(), 2, at=at).target_health.is_known is known


def ready_since(since: str) -> tuple[k8s.Condition, ...]:
    return tuple(k8s.Condition(kind, "True", since=since) for kind in ("ContainersReady", "Ready"))


@pytest.mark.parametrize(("since", "known"), [("2026-11-23T11:57:00Z", True), ("2026-11-23T11:57:01Z", False)])
def test_a_count_from_before_a_pod_became_ready_is_not_about_it(since: str, known: bool) -> None:
    world = World(pods=(pod(1), pod(2, conditions=ready_since(since))))
    assert counted(world, 2).target_health.is_known is known


def test_a_count_from_before_a_container_started_again_is_not_about_it() -> None:
    again = k8s.ContainerStatus("app", ready=True, state="running", since="2026-11-23T11:58:00Z", restarts=1)
    world = World(pods=(pod(1), pod(2, statuses=(again,))))
    assert not counted(world, 2).target_health.is_known


def test_without_a_controller_at_work_a_count_is_not_about_the_wanted_targets() -> None:
    """Nobody replaces the targets then: those that were there before are counted."""
    down = {"controllers": Fact.known(reads.CONTROLLER, (controller(ready=0),))}
    none = {"controllers": Fact.known(reads.CONTROLLER, ())}
    denied = {"controllers": Fact.denied(reads.CONTROLLER, "no", Permission(("list",), "deployments"))}
    assert not counted(World(cluster=down), 2).target_health.is_known
    assert not counted(World(cluster=none), 2).target_health.is_known
    assert counted(World(cluster=denied), 2).target_health.is_known, "which leaves every frontend unknown"
    in_aws = bound(group=AUTO_MODE_GROUP)
    assert counted(replace(in_aws, cluster=none), 2).target_health.is_known, "EKS Auto Mode runs it in AWS"


EDITED = [("2026-11-23T11:57:00Z", True), ("2026-11-23T11:57:01Z", False)]


@pytest.mark.parametrize(("changed", "known"), EDITED)
def test_a_count_from_before_other_pods_were_selected_is_not_about_them(changed: str, known: bool) -> None:
    """As where a Service goes from blue pods to green ones, which have long been ready."""
    world = World()
    slices = tuple(replace(piece, changed=changed) for piece in world.build().namespaces["shop"].slices.need())
    assert counted(replace(world, slices=slices), 2).target_health.is_known is known


def written(at: str) -> tuple[k8s.FieldManager, ...]:
    return (k8s.FieldManager("kubectl", LONG_AGO, ("/spec/type",)), k8s.FieldManager("helm", at, ("/spec/ports",)))


@pytest.mark.parametrize(("at", "known"), EDITED)
def test_a_count_from_before_a_manifest_was_edited_is_not_about_it(at: str, known: bool) -> None:
    """Another node port, or another path for the health check: the counted targets were checked differently."""
    world = World()
    service = world.with_service(meta=replace(world.service.meta, managers=written(at)))
    assert counted(service, 2).target_health.is_known is known
    assert counted(service.instance_mode(), 2).target_health.is_known is known
    ingress = replace(world.ingress, meta=replace(world.ingress.meta, managers=written(at)))
    assert counted(replace(world, ingress=ingress), 2).target_health.is_known is known


@pytest.mark.parametrize(("at", "known"), EDITED)
def test_a_count_from_before_a_binding_or_a_network_policy_was_written_is_not_about_them(at: str, known: bool) -> None:
    binding = bound().made_binding()
    assert counted(bound(meta=replace(binding.meta, managers=written(at))), 2).target_health.is_known is known
    policy = NetworkPolicy(k8s.Meta("deny", "shop", created=at), LabelSelector(), ("Ingress",))
    world = World(facts={"policies": Fact.known(reads.NETWORK_POLICIES, (policy,))})
    assert counted(world, 2).target_health.is_known is known


@pytest.mark.parametrize(("at", "known"), EDITED)
@pytest.mark.parametrize("about", [("Ingress", "web"), ("TargetGroupBinding", "k8s-shop-web-fdbb6ec3c4")])
def test_a_count_from_before_the_controller_was_at_work_is_not_about_what_it_did(
    about: tuple[str, str], at: str, known: bool
) -> None:
    """An annotation that is taken away leaves no time in managedFields."""
    event = k8s.Event(*about, "shop", reason="SuccessfullyReconciled", last=at)
    world = World(facts={"events": Fact.known(reads.EVENTS, (event,))})
    assert counted(world, 2).target_health.is_known is known


def of_gateway() -> Snapshot:
    """A healthy Gateway with its route and its configurations, as recorded, at a count of ten minutes
    later."""
    snapshot = cases.run(cases.load("healthy-gateway-with-its-configurations")).snapshot
    (traffic,) = (t for t in traffic_paths(snapshot) if t.target_group.is_known)
    later = parse_time(snapshot.taken_at)
    assert later is not None
    at = (later + timedelta(minutes=10)).isoformat()
    arn, targets = traffic.target_group.need().arn, traffic.targets()  # type: ignore[union-attr]
    counts = Fact.known(reads.TARGET_COUNTS, {arn: TargetCounts(len(targets), 0, at)})
    return replace(snapshot, taken_at=at, aws=replace(snapshot.aws, target_health={}, target_counts=counts))


def is_told(snapshot: Snapshot) -> bool:
    return all(t.target_health.is_known for t in traffic_paths(snapshot))


@pytest.mark.parametrize("part", ["gateways", "classes", "routes", "group_configurations", "balancer_configurations"])
def test_a_count_from_before_a_part_of_a_gateway_was_edited_is_not_about_it(part: str) -> None:
    snapshot = of_gateway()
    assert is_told(snapshot)

    def edited(manager: tuple[k8s.FieldManager, ...]) -> Snapshot:
        listed = getattr(snapshot.gateway_api, part)
        assert listed.need(), "else nothing is shown"
        changed = tuple(replace(o, meta=replace(o.meta, managers=manager)) for o in listed.need())
        api = replace(snapshot.gateway_api, **{part: Fact.known(listed.source, changed)})
        return replace(snapshot, gateway_api=api)

    late = parse_time(snapshot.taken_at)
    assert late is not None
    before, after = (((late + timedelta(seconds=s)).isoformat()) for s in (-1, 1))
    assert is_told(edited((k8s.FieldManager("kubectl", before, ("/spec",)),)))
    assert not is_told(edited((k8s.FieldManager("kubectl", after, ("/spec",)),)))


def test_targets_that_come_and_go_leave_the_health_open() -> None:
    leaving = pod(2)
    leaving = replace(leaving, meta=replace(leaving.meta, deleted=NOW))
    assert not counted(World(pods=(pod(1), leaving)), 1).target_health.is_known


def bound(**values: Any) -> World:
    world = World()
    return replace(world, binding=replace(world.made_binding(), **values))


def test_a_group_that_others_fill_too_is_not_told_by_a_count() -> None:
    assert not counted(bound(multi_cluster=True), 2).target_health.is_known


def test_a_group_of_two_bindings_is_not_told_by_a_count() -> None:
    binding = World().made_binding()
    other = replace(binding, meta=replace(binding.meta, name="again"))
    world = World(facts={"bindings": Fact.known(reads.BINDINGS, (binding, other))})
    assert not counted(world, 2).target_health.is_known


def test_nodes_that_are_unhealthy_by_design_are_asked() -> None:
    world = World().instance_mode().with_service(external_traffic_policy="Local")
    assert not counted(world, 2).target_health.is_known


def test_what_cannot_be_counted_because_pods_may_not_be_read_stays_open() -> None:
    world = World(facts={"pods": Fact.denied(reads.PODS, "no", Permission(("list",), "pods"))})
    assert not counted(world, 2).target_health.is_known


def test_a_count_proves_no_registration() -> None:
    """LBD205 and LBD206 compare what is registered with what should be: a count does not tell that."""
    results = {r.code: r for r in run(CATALOGUE, (counted(World(), 2),))}
    assert {results[code].status.value for code in ("LBD205", "LBD206")} == {"skipped"}
    assert "only counts" in results["LBD205"].reason


GATE = "target-health.elbv2.k8s.aws/k8s-shop-web-fdbb6ec3c4"


def gated(number: int, since: str, status: str = "True", started: str = LONG_AGO) -> k8s.Pod:
    conditions = (
        *ready_since(LONG_AGO),
        k8s.Condition(GATE, status, reason="" if status == "True" else "x", since=since),
    )
    running = k8s.ContainerStatus("app", ready=True, state="running", since=started)
    return pod(number, conditions=conditions, readiness_gates=(GATE,), statuses=(running,))


def by_gates(*pods: k8s.Pod, world: World = World()) -> bool:  # noqa: B008
    (traffic,) = traffic_paths(replace(world, pods=pods, aws={"target_health": {}}).build())
    return gates_are_recent(traffic)


def test_gates_that_have_just_turned_tell_of_now() -> None:
    assert by_gates(gated(1, MINUTE), gated(2, MINUTE))


def test_gates_that_turned_before_a_manifest_was_edited_do_not() -> None:
    world = World()
    edited = world.with_service(meta=replace(world.service.meta, managers=written("2026-11-23T11:57:01Z")))
    assert not by_gates(gated(1, MINUTE), gated(2, MINUTE), world=edited)


def test_a_gate_that_turned_long_ago_does_not() -> None:
    """The controller does not look after a target any more once its gate is True."""
    assert not by_gates(gated(1, MINUTE), gated(2, LONG_AGO))


def test_a_gate_that_turned_after_now_tells_that_the_clocks_differ() -> None:
    assert not by_gates(gated(1, MINUTE), gated(2, "2026-11-23T12:10:00Z"))


def test_a_gate_from_before_the_container_started_again_does_not() -> None:
    assert not by_gates(gated(1, MINUTE), gated(2, MINUTE, started="2026-11-23T11:58:00Z"))


def test_closed_gates_and_pods_without_a_gate_tell_no_health() -> None:
    assert not by_gates(gated(1, MINUTE), gated(2, MINUTE, "False"))
    assert not by_gates(gated(1, MINUTE), pod(2))


def test_a_gate_that_turns_in_the_future_says_nothing_of_now() -> None:
    """The clock of this machine is slow, and the gate may have turned long ago."""
    assert by_gates(gated(1, "2026-11-23T12:00:05Z"), gated(2, "2026-11-23T11:59:00Z"))
    assert not by_gates(gated(1, "2026-11-23T12:00:06Z"), gated(2, "2026-11-23T11:59:00Z"))
