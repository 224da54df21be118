"""LBD205 to LBD213: registered against wanted targets as sets, and targets that AWS does not use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.node_targets import Exclusion, NodeExclusion, describe_exclusion, eligible_nodes
from kubectl_lbdoctor.model import aws, k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Diagnosis, Severity
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.permission import Permission
from tests.support.world import (
    GROUP_ARN,
    JUST_NOW,
    REGION,
    World,
    conditions,
    instance_target,
    meta,
    node,
    pod,
    target,
    timed_out,
)

CONTAINERS_READY = conditions(PodScheduled="True", ContainersReady="True", Ready="False")


def unused(number: int, reason: str, **values: object) -> aws.TargetHealth:
    return target(number, "unused", reason, **values)


def since(time: str, **values: str) -> tuple[k8s.Condition, ...]:
    return tuple(k8s.Condition(kind, status, since=time) for kind, status in values.items())


def manual(count: int) -> tuple[k8s.EndpointSlice, ...]:
    """A slice as a person writes it for a Service: addresses without a targetRef."""
    endpoints = tuple(k8s.Endpoint((f"10.9.0.{n}",)) for n in range(1, count + 1))
    return (k8s.EndpointSlice(meta("web-manual"), "web", "IPv4", (k8s.EndpointPort(8080),), endpoints),)


def sixes(world: World) -> tuple[k8s.EndpointSlice, ...]:
    return tuple(replace(piece, address_type="IPv6") for piece in world.made_slices())


def without_rule(world: World) -> World:
    return replace(world, aws={"rules": {f"{world.balancer.arn}/80": Fact.known(reads.RULES, ())}})


INSTANCE = World().instance_mode()
EXCLUDED = node(2, labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""})
ONLY_ZONE_A = replace(World().balancer, zones={f"{REGION}a": "subnet-a"})
NOT_IN_USE = (unused(1, "Target.NotInUse"), unused(2, "Target.NotInUse"))
STALE = target(9, id="10.0.9.9")

FAULTS = {
    "LBD205 ip": ("LBD205", World(health=(target(1),))),
    "LBD205 the only one that is left drains": (
        "LBD205",
        World(health=(target(1, "draining", "Target.DeregistrationInProgress"),)),
    ),
    "LBD205 registered on another port": ("LBD205", World(health=(target(1, port=90), target(2)))),
    "LBD205 instance": ("LBD205", replace(INSTANCE, health=(instance_target(1),))),
    "LBD205 behind a closed gate": (
        "LBD205",
        World(
            pods=(
                pod(1),
                pod(2, conditions=CONTAINERS_READY, readiness_gates=("target-health.elbv2.k8s.aws/k8s-shop-web-x",)),
            ),
            binding=replace(
                World().made_binding(), meta=meta("k8s-shop-web-x", labels=World().made_binding().meta.labels)
            ),
            health=(target(1),),
        ),
    ),
    "LBD206 ip": ("LBD206", World(health=(target(1), target(2), STALE))),
    "LBD206 instance": (
        "LBD206",
        replace(INSTANCE, health=(*INSTANCE.health, instance_target(9))),
    ),
    "LBD206 terminated instance of a node that is gone": (
        "LBD206",
        replace(INSTANCE, health=(*INSTANCE.health, instance_target(9, "unused", "Target.InvalidState"))),
    ),
    "LBD207 not ready": (
        "LBD207",
        replace(
            INSTANCE,
            pods=(pod(1),),
            nodes=(node(1), node(2, conditions=conditions(Ready="Unknown"))),
            health=(instance_target(1),),
        ),
    ),
    "LBD207 taint": (
        "LBD207",
        replace(
            INSTANCE,
            nodes=(node(1), node(2, taints=(k8s.Taint("ToBeDeletedByClusterAutoscaler", "NoSchedule"),))),
            health=(instance_target(1),),
        ),
    ),
    "LBD208": ("LBD208", World(balancer=ONLY_ZONE_A, health=(target(1), unused(2, "Target.NotInUse")))),
    "LBD208 zone by the pod's node": (
        "LBD208",
        World(balancer=ONLY_ZONE_A, health=(target(1), unused(2, "Target.NotInUse", zone=""))),
    ),
    "LBD209 on no load balancer": ("LBD209", World(health=NOT_IN_USE).with_group(load_balancer_arns=())),
    "LBD209 on no rule": ("LBD209", without_rule(World(health=NOT_IN_USE))),
    "LBD210": (
        "LBD210",
        replace(INSTANCE, health=(instance_target(1), instance_target(2, "unused", "Target.InvalidState"))),
    ),
    "LBD211": ("LBD211", World(health=(target(1), unused(2, "Target.IpUnusable")))),
    "LBD220 alias": (
        "LBD220",
        World(pods=(), health=()).with_service(type="ExternalName", selector={}, external_name="example.com"),
    ),
    "LBD220 nothing behind it": ("LBD220", World(pods=(), slices=(), health=()).with_service(selector={})),
    "LBD212": ("LBD212", World(pods=(), slices=manual(2), health=()).with_service(selector={})),
    "LBD213": ("LBD213", World(slices=sixes(World()), health=())),
    "LBD005 no reason known": ("LBD005", World(health=(target(1), unused(2, "Target.NotInUse")))),
}
WARNINGS = {"LBD206", "LBD207"}


def first(world: World) -> Diagnosis:
    return world.report().diagnoses[0]


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_the_only_diagnosis(name: str) -> None:
    code, world = FAULTS[name]
    report = world.report()
    assert [d.finding.code for d in report.diagnoses] == [code]
    severity = report.diagnoses[0].severity
    assert severity is (Severity.WARNING if code in WARNINGS else Severity.ERROR)
    if severity is Severity.ERROR:
        assert report.status in (Status.UNHEALTHY, Status.DEGRADED) and report.exit_status() == 1


def recent(number: int) -> k8s.Pod:
    return pod(number, conditions=since(JUST_NOW, ContainersReady="True", Ready="True"))


NEW_NODE = node(2, conditions=since(JUST_NOW, Ready="True"))
JOINING = node(2, meta=k8s.Meta("node2", created=JUST_NOW), conditions=conditions(Ready="False"))
CONTROL_PLANE = node(3, labels={"node-role.kubernetes.io/master": ""})
FARGATE = node(3, labels={"eks.amazonaws.com/compute-type": "fargate"}, provider_id="aws:///a/b/fargate-x")

HEALTHY = {
    "endpoint that became ready a moment ago": World(pods=(pod(1), recent(2)), health=(target(1),)),
    "target of a pod that was deleted a moment ago": World(
        pods=(pod(1), pod(2), pod(3, meta=meta("web-abc-3", labels={"app": "web"}, deleted="2026-11-23T12:00:25Z"))),
        health=(target(1), target(2), target(3)),
    ),
    "target of a pod that is gone, while its successor starts": World(
        pods=(pod(1), recent(2)), health=(target(1), target(2), STALE)
    ),
    "target that is being registered": World(
        pods=(pod(1), pod(2)),
        health=(target(1), target(2), target(3, "initial", "Elb.RegistrationInProgress", id="10.0.3.34")),
    ),
    "draining target of a pod that is gone": World(
        health=(target(1), target(2), replace(STALE, state="draining", reason="Target.DeregistrationInProgress"))
    ),
    "targets of another family than the binding's that AWS has taken": World(slices=sixes(World())),
    "binding that was made a moment ago": World(
        binding=replace(
            World().made_binding(), meta=meta("b", created=JUST_NOW, labels=World().made_binding().meta.labels)
        ),
        health=(target(1),),
    ),
    "targets of another cluster": World(
        binding=replace(World().made_binding(), multi_cluster=True), health=(target(1), target(2), STALE)
    ),
    "node that became ready a moment ago": replace(INSTANCE, nodes=(node(1), NEW_NODE), health=(instance_target(1),)),
    "node that joins": replace(INSTANCE, pods=(pod(1),), nodes=(node(1), JOINING), health=(instance_target(1),)),
    "control plane in a mixed cluster": replace(INSTANCE, nodes=(node(1), node(2), CONTROL_PLANE)),
    "Fargate node in a mixed cluster": replace(INSTANCE, nodes=(node(1), node(2), FARGATE)),
    "nodes chosen by a selector": replace(
        INSTANCE,
        nodes=(node(1, labels={"pool": "web"}), node(2)),
        binding=replace(INSTANCE.made_binding(), node_selector={"matchLabels": {"pool": "web"}}),
        health=(instance_target(1),),
    ),
    "nodes chosen by an expression": replace(
        INSTANCE,
        nodes=(node(1, labels={"pool": "web"}), node(2)),
        binding=replace(
            INSTANCE.made_binding(),
            node_selector={"matchExpressions": [{"key": "pool", "operator": "In", "values": ["web"]}]},
        ),
        health=(instance_target(1),),
    ),
    "cordoned node": replace(INSTANCE, nodes=(node(1), node(2, unschedulable=True))),
    "all nodes unknown: the controller fails open": replace(
        INSTANCE, nodes=tuple(node(n, conditions=conditions(Ready="Unknown")) for n in (1, 2))
    ),
    "label in ip mode": World(nodes=(node(1), EXCLUDED)),
    "dual-stack Service": World(slices=(*World().made_slices(), *sixes(World()))),
    "IPv6 binding": World(
        slices=sixes(World()), binding=replace(World().made_binding(), ip_address_type="ipv6")
    ).with_group(ip_address_type="ipv6"),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_twin_is_silent(name: str) -> None:
    assert HEALTHY[name].codes() == []


def test_container_ready_pod_of_a_lost_node_may_still_be_a_target() -> None:
    """The controller fails open for such a node; the node is the fault, not its target."""
    world = World(
        pods=(pod(1), pod(2, conditions=CONTAINERS_READY)),
        nodes=(node(1), node(2, conditions=conditions(Ready="Unknown"))),
    )
    assert world.codes() == ["LBD409"]


def test_a_part_missing_and_an_empty_group_never_meet() -> None:
    assert World(health=()).codes() == ["LBD217"]
    assert World(health=(target(1),)).codes() == ["LBD205"]


def test_dead_targets_beside_missing_ones_are_one_cause() -> None:
    diagnosis = first(World(health=(STALE,)))
    assert diagnosis.finding.code == "LBD205" and diagnosis.explains == ("LBD206",)


def test_missing_endpoints_are_named() -> None:
    texts = [e.text for e in first(World(health=(target(1),))).finding.evidence]
    assert texts[0] == "10.0.2.34:8080 (pod web-abc-2) is no target" and texts[-1] == "registered: 10.0.1.34:8080"


def test_stale_target_accounts_for_its_failing_check() -> None:
    world = World(health=(target(1), target(2), timed_out(9, id="10.0.9.9")))
    finding = first(world).finding
    assert finding.code == "LBD206" and finding.targets == ("10.0.9.9:8080",)
    assert "--targets Id=10.0.9.9,Port=8080" in finding.commands[0]
    assert world.report().status is Status.DEGRADED


def test_what_was_deregistered_is_registered_by_hand() -> None:
    """The controller passes over a binding that has not changed, also without its checkpoint and after a restart."""
    (command,) = first(World(health=(target(1),))).finding.by_hand
    assert command.startswith(f"aws elbv2 register-targets --target-group-arn {GROUP_ARN} ")
    assert command.endswith(" --targets Id=10.0.2.34,Port=8080 --region us-west-2")


def test_several_bindings_of_one_group_are_not_stale_targets() -> None:
    other = k8s.TargetGroupBinding(meta("other"), target_group_arn=GROUP_ARN, target_type="ip", service="b", port="80")
    bindings = Fact.known(reads.BINDINGS, (World().made_binding(), other))
    assert "LBD206" not in World(health=(target(1), target(2), STALE), facts={"bindings": bindings}).codes()


def test_cluster_without_any_possible_node_says_so() -> None:
    world = replace(INSTANCE, nodes=(FARGATE,), pods=(pod(3),), health=())
    finding = first(world).finding
    assert finding.code == "LBD207" and finding.params["effect"] == "no node is left"
    assert first(world).severity is Severity.ERROR and world.report().status is Status.UNHEALTHY
    assert finding.params["why"] == "Fargate node"


def test_where_workers_are_left_out_too_fargate_nodes_are_not_the_cause() -> None:
    world = replace(INSTANCE, nodes=(FARGATE, EXCLUDED), health=())
    found = [(d.finding.code, d.finding.object.name, d.severity) for d in world.report().diagnoses]
    assert found == [("LBD207", EXCLUDED.meta.name, Severity.ERROR)]


def test_selector_matters_where_local_policy_makes_the_pod_unreachable() -> None:
    world = replace(HEALTHY["nodes chosen by a selector"]).with_service(external_traffic_policy="Local").as_nlb()
    world = world.with_group(target_type="instance", port=30080).with_service(external_traffic_policy="Local")
    binding = replace(world.made_binding(), node_selector={"matchLabels": {"pool": "web"}}, target_type="instance")
    labels = {"service.k8s.aws/stack-namespace": "shop", "service.k8s.aws/stack-name": "web"}
    world = replace(world, binding=replace(binding, meta=meta("b", labels=labels)))
    found = {d.finding.code: d.finding for d in world.report().diagnoses}
    assert found["LBD207"].params["nodes"] == ("node2",) and "ready pods" in found["LBD207"].params["effect"]


def test_a_node_that_somebody_keeps_out_is_worth_knowing_and_no_more() -> None:
    world = replace(INSTANCE, nodes=(node(1), EXCLUDED), health=(instance_target(1),))
    assert (first(world).finding.code, first(world).severity) == ("LBD207", Severity.INFO)
    alone = replace(INSTANCE, nodes=(EXCLUDED,), health=())
    assert (first(alone).finding.code, first(alone).severity) == ("LBD207", Severity.ERROR)


def test_equal_reasons_of_several_nodes_are_one_finding() -> None:
    going = (k8s.Taint("ToBeDeletedByClusterAutoscaler", "NoSchedule"),)
    world = replace(
        INSTANCE, nodes=(node(1), node(2, taints=going), node(3, taints=going)), health=(instance_target(1),)
    )
    assert world.codes() == ["LBD207"]
    assert first(world).finding.params["nodes"] == ("node2", "node3")


def test_unused_group_explains_zones_too() -> None:
    world = without_rule(World(balancer=ONLY_ZONE_A, health=NOT_IN_USE))
    assert first(world).explains == ("LBD208",)


def test_findings_of_unused_targets_carry_them() -> None:
    for name in ("LBD208", "LBD209 on no rule", "LBD210", "LBD211"):
        assert first(FAULTS[name][1]).finding.targets, name


def test_unused_targets_without_a_cause_come_with_hypotheses() -> None:
    finding = first(FAULTS["LBD005 no reason known"][1]).finding
    assert [h.code for h in finding.hypotheses] == ["LBD208", "LBD209"]
    assert finding.params["state"] == "unused"


def test_manual_endpoints_beside_pods_are_a_warning() -> None:
    world = World(slices=(*World().made_slices(), *manual(1)))
    assert world.codes() == ["LBD212"] and first(world).severity is Severity.WARNING


@pytest.mark.parametrize(
    "part, source", [("pods", reads.PODS), ("slices", reads.ENDPOINT_SLICES), ("bindings", reads.BINDINGS)]
)
def test_denied_list_proves_nothing_missing(part: str, source: str) -> None:
    denied: Fact[object] = Fact.denied(source, "forbidden", Permission(said=f"list {part}"), "shop")
    world = World(health=(target(1),), facts={part: denied})
    assert not {"LBD205", "LBD206"} & set(world.codes())
    status = {r.code: r.status.value for r in world.results()}
    assert status["LBD205"] == status["LBD206"] == "unknown"


def test_denied_nodes_still_name_a_stopped_instance() -> None:
    world = FAULTS["LBD210"][1]
    denied: Fact[object] = Fact.denied(reads.NODES, "forbidden", Permission(("list",), "nodes"))
    assert replace(world, cluster={"nodes": denied}).codes() == ["LBD210"]


def test_group_that_may_not_be_described_is_still_compared() -> None:
    denied: Fact[object] = Fact.denied(
        reads.TARGET_GROUPS, "denied", Permission(said="DescribeTargetGroups"), GROUP_ARN
    )
    world = World(health=(target(1),), aws={"target_groups": {GROUP_ARN: denied}})
    finding = first(world).finding
    assert finding.code == "LBD205" and finding.params["group"] == "k8s-shop-web-fdbb6ec3c4"


@pytest.mark.parametrize(
    ("changes", "selector", "exclusion", "words"),
    [
        (
            {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": ""}},
            None,
            NodeExclusion(Exclusion.EXCLUDE_LABEL, "node.kubernetes.io/exclude-from-external-load-balancers"),
            "label node.kubernetes.io/exclude-from-external-load-balancers",
        ),
        (
            {"labels": {"eks.amazonaws.com/compute-type": "fargate"}},
            None,
            NodeExclusion(Exclusion.FARGATE),
            "Fargate node",
        ),
        (
            {"taints": (k8s.Taint("karpenter.sh/disrupted", "NoSchedule"),)},
            None,
            NodeExclusion(Exclusion.TAINT, "karpenter.sh/disrupted"),
            "taint karpenter.sh/disrupted",
        ),
        ({"conditions": ()}, None, NodeExclusion(Exclusion.NOT_READY, value="Unknown"), "Ready=Unknown"),
        ({"provider_id": ""}, None, NodeExclusion(Exclusion.NO_INSTANCE), "providerID is empty: no EC2 instance"),
        (
            {},
            {"matchLabels": {"pool": "web"}},
            NodeExclusion(Exclusion.NODE_SELECTOR, "pool", "web"),
            "nodeSelector pool=web",
        ),
        (
            {},
            {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["web", "api"]}]},
            NodeExclusion(Exclusion.NODE_SELECTOR, "pool", "web, api", "In"),
            "nodeSelector pool In",
        ),
    ],
)
def test_what_excludes_a_node_is_a_value(
    changes: dict[str, Any], selector: dict[str, Any] | None, exclusion: NodeExclusion, words: str
) -> None:
    binding = replace(INSTANCE.made_binding(), node_selector=selector)
    world = replace(INSTANCE, nodes=(node(1, **changes),), binding=binding)
    taken, left = eligible_nodes(traffic_paths(world.build())[0])
    assert (taken, left) == ((), {"node1": exclusion})
    assert describe_exclusion(exclusion) == words
