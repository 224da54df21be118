"""LBD124: what stands between the control plane and the controller's webhook, and what was found open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor import permission
from kubectl_lbdoctor.model import network, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Finding
from kubectl_lbdoctor.model.k8s import Endpoint, EndpointPort, EndpointSlice, Event, Meta
from kubectl_lbdoctor.model.network import AclEntry, IpPermission, NetworkInterface
from tests.support.world import (
    ANYONE,
    CLUSTER_TAG,
    FROM_LB,
    FROM_SELF,
    JUST_NOW,
    NS,
    OPEN_ACL,
    World,
    lb_interface,
    node_interface,
)

SERVICE = "aws-load-balancer-webhook-service"
TIMED_OUT = (
    "Failed deploy model due to Internal error occurred: failed calling webhook "
    '"mtargetgroupbinding.elbv2.k8s.aws": failed to call webhook: '
    f'Post "https://{SERVICE}.kube-system.svc:443/x?timeout=10s": context deadline exceeded'
)
LB_GROUP = network.SecurityGroup("sg-lb", "lb", "vpc-1", ingress=(ANYONE,), egress=(ANYONE,))
FROM_CONTROL_PLANE = IpPermission("tcp", 9443, 9443, groups=("sg-eks",))


def control_plane(number: int, cluster: str = "lab") -> NetworkInterface:
    return NetworkInterface(
        f"eni-eks{number}",
        "subnet-n2" if number == 1 else "subnet-n1",
        "vpc-1",
        (f"10.0.{3 - number}.200",),
        security_groups=("sg-eks",),
        description=f"Amazon EKS {cluster}",
        requester_managed=True,
    )


def webhook_world(*ingress: IpPermission, egress: tuple[IpPermission, ...] = (ANYONE,), **changes: object) -> World:
    event = Event(
        kind="Ingress",
        name="web",
        namespace=NS,
        type="Warning",
        reason="FailedDeployModel",
        message=TIMED_OUT,
        count=3,
        first=JUST_NOW,
        last=JUST_NOW,
    )
    labels = {"kubernetes.io/service-name": SERVICE}
    piece = EndpointSlice(
        Meta("webhook-x1", "kube-system", labels=labels),
        SERVICE,
        "IPv4",
        (EndpointPort(9443, "", "TCP"),),
        (Endpoint(("10.0.1.40",), True, node="node1"),),
    )
    groups = (
        LB_GROUP,
        network.SecurityGroup("sg-node", "node", "vpc-1", CLUSTER_TAG, (FROM_LB, FROM_SELF, *ingress), (ANYONE,)),
        network.SecurityGroup("sg-eks", "eks", "vpc-1", egress=egress),
    )
    home = node_interface(1, private_ips=("10.0.1.10", "10.0.1.34", "10.0.1.40"))
    fronts = (lb_interface(1), lb_interface(2))
    world = World(
        events=(event,),
        groups=groups,
        interfaces=(*fronts, home, node_interface(2), control_plane(1), control_plane(2)),
        cluster={"webhook_slices": Fact.known(reads.WEBHOOK_SLICES, (piece,))},
    )
    return replace(world, **changes)


def finding(world: World) -> Finding:
    report = world.report()
    assert report.diagnoses[0].finding.code == "LBD124", world.codes()
    return report.diagnoses[0].finding


def texts(found: Finding) -> str:
    return "\n".join(evidence.text for evidence in found.evidence)


def test_the_missing_inbound_rule_is_named() -> None:
    found = finding(webhook_world())
    assert "sg-node lacks TCP 9443 from sg-eks" in texts(found)
    assert "10.0.2.200 -> 10.0.1.40:9443" in texts(found)
    (command,) = found.by_hand
    assert "authorize-security-group-ingress --group-id sg-node --protocol tcp --port 9443" in command
    assert "--source-group sg-eks" in command


def test_a_rule_for_another_port_does_not_admit_the_call() -> None:
    other = IpPermission("tcp", 443, 443, groups=("sg-eks",))
    assert "sg-node lacks TCP 9443 from sg-eks" in texts(finding(webhook_world(other)))


@pytest.mark.parametrize(
    "rule",
    [
        FROM_CONTROL_PLANE,
        IpPermission("tcp", 1025, 65535, groups=("sg-eks",)),
        IpPermission("-1", cidrs=("10.0.0.0/16",)),
    ],
    ids=["port", "range", "cidr"],
)
def test_an_open_path_is_said_to_be_open(rule: IpPermission) -> None:
    found = finding(webhook_world(rule))
    assert found.by_hand == ()
    assert "let the control plane reach every webhook endpoint" in texts(found)


def test_the_control_planes_own_egress_counts() -> None:
    only_kubelet = (IpPermission("tcp", 10250, 10250, cidrs=("0.0.0.0/0",)),)
    found = finding(webhook_world(FROM_CONTROL_PLANE, egress=only_kubelet))
    assert "sg-eks lacks TCP 9443 to sg-node" in texts(found)


def test_an_acl_between_the_subnets_counts() -> None:
    closed = AclEntry(10, False, False, "6", "10.0.2.0/24", 9443, 9443)
    world = webhook_world(FROM_CONTROL_PLANE, acls=(replace(OPEN_ACL, entries=(closed, *OPEN_ACL.entries)),))
    assert "network ACL acl-open denies inbound TCP 9443" in texts(finding(world))


def test_interfaces_of_another_cluster_say_nothing() -> None:
    world = webhook_world()
    others = tuple(i for i in world.interfaces if not i.description.startswith("Amazon EKS"))
    found = finding(replace(world, interfaces=(*others, control_plane(1, "another"))))
    assert found.by_hand == () and "9443" not in texts(found)


@pytest.mark.parametrize("part", ["interfaces", "security_groups"])
def test_what_was_not_read_decides_nothing(part: str) -> None:
    read = {"interfaces": reads.NETWORK_INTERFACES, "security_groups": reads.SECURITY_GROUPS}[part]
    denied = Fact.denied(read, "denied", permission.Permission(said=read))
    found = finding(replace(webhook_world(), vpc={part: denied}))
    assert found.by_hand == () and "let the control plane" not in texts(found)
