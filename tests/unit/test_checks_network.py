"""LBD5xx: each filter that can drop a health check is named, and its harmless look-alike is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.model import network, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Container, Meta, Pod, ServicePort, Workload
from kubectl_lbdoctor.model.selectors import LabelSelector
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.render.report_screen import by_hand
from tests.support.world import (
    ANYONE,
    CLUSTER_TAG,
    FROM_LB,
    FROM_SELF,
    NS,
    OPEN_ACL,
    SUBNETS,
    World,
    conditions,
    instance_target,
    lb_interface,
    node,
    node_interface,
    pod,
    refused,
    timed_out,
)

LB_GROUP = network.SecurityGroup("sg-lb", "lb", "vpc-1", ingress=(ANYONE,), egress=(ANYONE,))
TIMED_OUT = (timed_out(1), timed_out(2))


def node_group(*ingress: network.IpPermission, name: str = "sg-node") -> network.SecurityGroup:
    return network.SecurityGroup(name, name, "vpc-1", CLUSTER_TAG, ingress, (ANYONE,))


def acl(*entries: network.AclEntry) -> network.NetworkAcl:
    return replace(OPEN_ACL, entries=(*entries, *OPEN_ACL.entries))


def deny(number: int, egress: bool, cidr: str, first: int, last: int) -> network.AclEntry:
    return network.AclEntry(number, egress, False, "6", cidr, first, last)


PRIVATE = ("subnet-n1", "subnet-n2")
SECOND_GROUP = node_group(FROM_LB, name="sg-two")


def instance_world(**changes: object) -> World:
    """One pod on node1; node2, which has none, times out."""
    world = replace(World().instance_mode(), pods=(pod(1),))
    return replace(
        world, **{"health": (instance_target(1), instance_target(2, "unhealthy", "Target.Timeout")), **changes}
    )


def policy(*rules: network.PolicyRule) -> Fact[tuple[network.NetworkPolicy, ...]]:
    selector = LabelSelector({"app": "web"})
    found = network.NetworkPolicy(Meta("deny", NS), selector, ("Ingress",), rules)
    return Fact.known(reads.NETWORK_POLICIES, (found,), NS)


FAULTS = {
    "LBD501": World(health=TIMED_OUT, groups=(LB_GROUP, node_group(FROM_SELF))),
    "LBD503": World(health=TIMED_OUT, groups=(replace(LB_GROUP, egress=()), node_group(FROM_LB, FROM_SELF))),
    "LBD507": World(
        health=TIMED_OUT,
        acls=(acl(deny(10, False, "10.0.101.0/24", 8080, 8080), deny(11, False, "10.0.102.0/24", 8080, 8080)),),
    ),
    "LBD508": World(health=TIMED_OUT, acls=(acl(deny(10, True, "10.0.96.0/20", 1024, 65535)),)),
    "LBD502": instance_world(
        groups=(LB_GROUP, node_group(FROM_LB), SECOND_GROUP),
        interfaces=(
            lb_interface(1),
            lb_interface(2),
            node_interface(1),
            node_interface(2, security_groups=("sg-two",)),
        ),
    ),
    "LBD514": World(
        health=TIMED_OUT,
        groups=(LB_GROUP, node_group(FROM_LB, FROM_SELF), node_group(name="sg-pod")),
        interfaces=(
            lb_interface(1),
            lb_interface(2),
            *(
                node_interface(
                    n,
                    id=f"eni-b{n}",
                    private_ips=(f"10.0.{n}.34",),
                    security_groups=("sg-pod",),
                    description="aws-k8s-branch-eni",
                    instance_id="",
                )
                for n in (1, 2)
            ),
        ),
    ),
    "LBD513": World(health=TIMED_OUT, facts={"policies": policy()}),
}


@pytest.mark.parametrize("code", FAULTS)
def test_filter_is_the_first_and_only_root_cause(code: str) -> None:
    report = FAULTS[code].report()
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == [code]
    assert report.exit_status() == 1


@pytest.mark.parametrize("code", FAULTS)
def test_the_same_filter_is_silent_while_targets_answer(code: str) -> None:
    healthy = World().instance_mode().health if code == "LBD502" else World().health
    report = replace(FAULTS[code], health=healthy).report()
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == []


@pytest.mark.parametrize(
    "code, command",
    [
        ("LBD501", "ingress --group-id sg-node --protocol tcp --port 8080 --source-group sg-lb"),
        ("LBD502", "--group-id sg-node --protocol tcp --port 8080 --source-group sg-two"),
    ],
)
def test_the_missing_rule_is_exact(code: str, command: str) -> None:
    finding = FAULTS[code].report().diagnoses[0].finding
    assert command in finding.commands[0]
    assert "0.0.0.0/0" not in finding.commands[0]


ADMITTED = {
    "by the subnets' CIDR": node_group(
        network.IpPermission("tcp", 8080, 8080, cidrs=("10.0.101.0/24", "10.0.102.0/24"))
    ),
    "by a range of all protocols": node_group(network.IpPermission("-1", cidrs=("10.0.0.0/16",))),
}


@pytest.mark.parametrize("how", ADMITTED)
def test_a_timeout_is_not_blamed_on_groups_that_admit(how: str) -> None:
    world = World(health=TIMED_OUT, groups=(LB_GROUP, ADMITTED[how]))
    assert world.codes()[:1] == ["LBD005"]


def test_a_second_untagged_group_that_admits_is_enough() -> None:
    second = network.SecurityGroup("sg-extra", "extra", "vpc-1", {}, (FROM_LB,), (ANYONE,))
    interfaces = (
        lb_interface(1),
        lb_interface(2),
        *(node_interface(n, security_groups=("sg-node", "sg-extra")) for n in (1, 2)),
    )
    world = World(health=TIMED_OUT, groups=(LB_GROUP, node_group(FROM_SELF), second), interfaces=interfaces)
    assert world.codes()[:1] == ["LBD005"]


def test_narrow_acl_entries_that_admit_both_directions_are_enough() -> None:
    entries = [
        network.AclEntry(10 + i, egress, True, "6", cidr, first, last)
        for i, (egress, cidr, first, last) in enumerate(
            (e, c, f, t)
            for c in SUBNETS.values()
            for e, f, t in ((False, 8080, 8080), (True, 8080, 8080), (False, 1024, 65535), (True, 1024, 65535))
        )
    ]
    narrow = replace(OPEN_ACL, entries=tuple(entries))
    assert World(health=TIMED_OUT, acls=(narrow,)).codes()[:1] == ["LBD005"]


def test_a_policy_that_admits_the_subnets_is_enough() -> None:
    peers = tuple(network.PolicyPeer(cidr=cidr) for cidr in ("10.0.101.0/24", "10.0.102.0/24"))
    rule = network.PolicyRule(peers, (network.PolicyPort("8080"),))
    assert World(health=TIMED_OUT, facts={"policies": policy(rule)}).codes()[:1] == ["LBD005"]


def test_what_belongs_together_is_not_offered_as_a_choice() -> None:
    """Two zones need two entries; the screen must not say that one of them will do."""
    denied = (deny(10, True, "10.0.101.0/24", 1024, 65535), deny(11, True, "10.0.102.0/24", 1024, 65535))
    report = World(health=TIMED_OUT, acls=(acl(*denied),)).report()
    finding = report.diagnoses[0].finding
    assert finding.code == "LBD508" and len(finding.repairs) == 1 and len(finding.commands) == 2
    assert [label for label, _ in by_hand(finding)] == ["by hand", "and"]
    other = replace(finding, by_hand=("kubectl annotate …",))
    assert [label for label, _ in by_hand(other)] == ["by hand", "and", "or"]
    assert [label for label, _ in by_hand(replace(finding, repairs=(), by_hand=("a", "b")))] == ["by hand", "or"]


def test_two_filters_are_two_root_causes() -> None:
    world = replace(FAULTS["LBD501"], acls=FAULTS["LBD508"].acls)
    assert sorted(c for c in world.codes() if c != "LBD607") == ["LBD501", "LBD508"]


def test_custom_frontend_groups_without_backend_rules_name_the_annotation() -> None:
    world = FAULTS["LBD501"]
    key = "alb.ingress.kubernetes.io/security-groups"
    ingress = replace(world.ingress, meta=replace(world.ingress.meta, annotations={key: "sg-lb"}))
    binding = replace(world.made_binding(), networking=None)
    finding = replace(world, ingress=ingress, binding=binding).report().diagnoses[0].finding
    assert finding.code == "LBD501"
    assert any("manage-backend-security-group-rules=true" in command for command in finding.commands)


def test_closed_listener_port_is_a_warning() -> None:
    narrow = replace(LB_GROUP, ingress=(network.IpPermission("tcp", 443, 443, cidrs=("0.0.0.0/0",)),))
    report = World(groups=(narrow, node_group(FROM_LB, FROM_SELF))).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD504"]
    assert report.diagnoses[0].severity.value == "warning" and report.exit_status() == 0


@pytest.mark.parametrize("part", ["interfaces", "security_groups", "subnets", "acls", "route_tables"])
def test_a_denied_read_gives_no_false_cause(part: str) -> None:
    denied: Fact[object] = Fact.denied(f"ec2:{part}", "denied", Permission(action="ec2:Describe"), "x")
    report = World(health=TIMED_OUT, vpc={part: denied}).report()
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == ["LBD005"]
    assert report.coverage.denied


def test_what_can_be_proven_without_the_acls_is_still_proven() -> None:
    denied: Fact[object] = Fact.denied(reads.NETWORK_ACLS, "denied", Permission(action="ec2:DescribeNetworkAcls"), "x")
    report = replace(FAULTS["LBD501"], vpc={"acls": denied}).report()
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == ["LBD501"]


def kube_proxy(*numbers: int, ready: bool = True) -> dict[str, Fact[object]]:
    """The kube-proxy DaemonSet with a pod on each of these nodes."""
    state = pod(1).conditions if ready else conditions(Ready="False")
    pods = tuple(
        Pod(Meta(f"kube-proxy-{n}", "kube-system", labels={"k8s-app": "kube-proxy"}), node=f"node{n}", conditions=state)
        for n in numbers
    )
    daemon = Workload("DaemonSet", Meta("kube-proxy", "kube-system"), 2, len(numbers))
    return {
        "kube_proxy": Fact.known(reads.KUBE_PROXY, (daemon,)),
        "kube_proxy_pods": Fact.known(reads.KUBE_PROXY_PODS, pods),
    }


REFUSED_ON_2 = (instance_target(1), instance_target(2, "unhealthy", "Target.FailedHealthChecks"))


def test_node_without_kube_proxy() -> None:
    world = replace(World().instance_mode(), health=REFUSED_ON_2, cluster=kube_proxy(1))
    assert [c for c in world.codes() if c != "LBD607"] == ["LBD516"]


def test_node_with_stale_rules() -> None:
    world = replace(World().instance_mode(), health=REFUSED_ON_2, cluster=kube_proxy(1, 2))
    diagnosis = world.report().diagnoses[0]
    assert diagnosis.finding.code == "LBD517"
    assert diagnosis.finding.commands == ("kubectl rollout restart daemonset.apps/kube-proxy -n kube-system",)


def test_all_nodes_refusing_is_not_kube_proxys_fault() -> None:
    refused = tuple(instance_target(n, "unhealthy", "Target.FailedHealthChecks") for n in (1, 2))
    world = replace(World().instance_mode(), health=refused, cluster=kube_proxy(1, 2))
    assert "LBD517" not in world.codes() and "LBD516" not in world.codes()


def test_host_name_that_is_not_the_node_name() -> None:
    nodes = tuple(node(n, hostname=f"ip-10-0-{n}-10.corp.example") for n in (1, 2))
    world = replace(
        World().as_nlb().instance_mode().with_service(external_traffic_policy="Local", health_check_node_port=31000),
        nodes=nodes,
        health=tuple(instance_target(n, "unhealthy", "Target.FailedHealthChecks", check_port="31000") for n in (1, 2)),
        cluster=kube_proxy(1, 2),
    )
    assert [c for c in world.codes() if c != "LBD607"] == ["LBD518"]


def test_reverse_path_filtering_is_a_hypothesis_for_nodes_with_several_interfaces() -> None:
    world = instance_world()
    second = node_interface(2, id="eni-second", private_ips=("10.0.2.99",), device_index=1)

    def named(changed: World) -> list[str]:
        finding = next(d.finding for d in changed.report().diagnoses if d.finding.code == "LBD005")
        return [h.code for h in finding.hypotheses]

    assert "LBD519" not in named(world)
    assert named(replace(world, interfaces=(*world.interfaces, second)))[-1] == "LBD519"


def misnamed(*command: str, hostname: str = "") -> World:
    """Every node has a pod and fails its check; kube-proxy runs there with these words."""
    facts = kube_proxy(1, 2)
    own = Container("kube-proxy", "kube-proxy:v1.34.4-eksbuild.2", command=("kube-proxy", *command))
    pods = tuple(replace(p, containers=(own,)) for p in facts["kube_proxy_pods"].need())  # type: ignore[attr-defined]
    return replace(
        World().as_nlb().instance_mode().with_service(external_traffic_policy="Local", health_check_node_port=31000),
        nodes=tuple(node(n, hostname=hostname) for n in (1, 2)),
        health=tuple(instance_target(n, "unhealthy", "Target.FailedHealthChecks", check_port="31000") for n in (1, 2)),
        cluster={**facts, "kube_proxy_pods": Fact.known(reads.KUBE_PROXY_PODS, pods)},
    )


@pytest.mark.parametrize("words", [("--hostname-override=other.example",), ("--hostname-override", "other.example")])
def test_kube_proxy_that_is_told_another_node_name(words: tuple[str, ...]) -> None:
    diagnosis = misnamed("--v=2", *words).report().diagnoses[0]
    assert diagnosis.finding.code == "LBD518" and "other.example" in diagnosis.message
    assert diagnosis.finding.confidence.value == "certain"


@pytest.mark.parametrize("words", [("--hostname-override=$(NODE_NAME)",), ("--hostname-override=node1",), ()])
def test_kube_proxy_that_knows_its_node(words: tuple[str, ...]) -> None:
    world = misnamed(*words, hostname="ip-10-0-1-10.corp.example" if words else "")
    hit = {t for d in world.report().diagnoses if d.finding.code == "LBD518" for t in d.finding.targets}
    assert world.health[0].key not in hit


def test_kube_proxy_far_behind_its_kubelet_is_said_beside_the_cause() -> None:
    old = Container("kube-proxy", "registry.example:5000/eks/kube-proxy:v1.29.0-minimal-eksbuild.1")
    facts = kube_proxy(1, 2)
    for image, said in (
        (old, True),
        (replace(old, image="eks/kube-proxy:v1.31.3"), False),
        (replace(old, image="x"), False),
    ):
        pods = tuple(replace(p, containers=(image,)) for p in facts["kube_proxy_pods"].need())  # type: ignore[attr-defined]
        cluster = {**facts, "kube_proxy_pods": Fact.known(reads.KUBE_PROXY_PODS, pods)}
        finding = replace(World().instance_mode(), health=REFUSED_ON_2, cluster=cluster).report().diagnoses[0].finding
        assert finding.code == "LBD517"
        assert any("v1.29.0" in e.text and "v1.34.4" in e.text for e in finding.evidence) is said


def test_a_proven_filter_outweighs_a_likely_port() -> None:
    """A Network Load Balancer says FailedHealthChecks for both; the missing rule is proven, the port a guess."""
    ports = (ServicePort(80, target_port="90", node_port=30080),)
    refused_all = (refused(1, port=90), refused(2, port=90))
    world = World(health=refused_all, groups=(LB_GROUP, node_group(FROM_SELF))).with_service(ports=ports).as_nlb()
    diagnosis = world.report().diagnoses[0]
    assert diagnosis.finding.code == "LBD501" and "LBD307" in diagnosis.explains
    assert [d.severity.value for d in world.report().diagnoses].count("error") == 1
