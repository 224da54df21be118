"""LBD511, LBD512: each subnet of the VPC with what speaks against it, as the controller's discovery sees it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor import permission
from kubectl_lbdoctor.analysis.subnet_choice import judge
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Finding
from kubectl_lbdoctor.model.k8s import Event, IngressClass, IngressClassParams, Meta
from kubectl_lbdoctor.model.network import IpPermission, PrefixList, RouteTable, SecurityGroup, Subnet, VpcRoute
from kubectl_lbdoctor.network.security_groups import Direction, rules_counted
from tests.support.world import ANYONE, CLUSTER_TAG, FROM_LB, JUST_NOW, NS, World

ELB, INTERNAL = "kubernetes.io/role/elb", "kubernetes.io/role/internal-elb"
PUBLIC, FACING = "internet-facing", {"alb.ingress.kubernetes.io/scheme": "internet-facing"}
LOCAL = VpcRoute("10.0.0.0/16", target="local")
TABLES = (
    RouteTable("rtb-public", "vpc-1", ("subnet-1", "subnet-2"), routes=(LOCAL, VpcRoute("0.0.0.0/0", target="igw-1"))),
    RouteTable("rtb-private", "vpc-1", main=True, routes=(LOCAL, VpcRoute("0.0.0.0/0", target="nat-1"))),
)
NOT_FOUND = (
    "Failed build model due to couldn't auto-discover subnets: unable to resolve at least one subnet. Evaluated {} "
    "subnets: {} are tagged for other clusters, and {} have insufficient available IP addresses"
)


def subnet(number: int, free: int | None = 200, **tags: str) -> Subnet:
    named = {key.replace("__", "/").replace("_", "."): value for key, value in tags.items()}
    zone = "us-west-2a" if number % 2 else "us-west-2c"
    return Subnet(f"subnet-{number}", "vpc-1", (f"10.0.{number}.0/24",), zone, free, named)


def tagged(number: int, role: str, value: str = "1", free: int = 200, cluster: str = "") -> Subnet:
    tags = {role: value} | ({f"kubernetes.io/cluster/{cluster}": "shared"} if cluster else {})
    return replace(subnet(number, free), tags=tags)


def against(scheme: str, *subnets: Subnet) -> dict[str, str]:
    return {j.subnet.id: "; ".join(j.against) for j in judge(subnets, TABLES, scheme, "lab")}


def test_the_role_tag_of_the_scheme_counts_where_any_subnet_has_it() -> None:
    found = against(PUBLIC, tagged(1, ELB), tagged(2, ELB, ""), tagged(3, INTERNAL), tagged(4, ELB, "true"))
    assert found == {
        "subnet-1": "",
        "subnet-2": "",
        "subnet-3": f"no tag {ELB}",
        "subnet-4": f"{ELB} is 'true' instead of '1'",
    }


def test_without_any_role_tag_the_route_tables_decide() -> None:
    bare = [subnet(n) for n in (1, 2, 3)]
    assert against(PUBLIC, *bare)["subnet-1"] == ""
    assert "no route to an internet gateway" in against(PUBLIC, *bare)["subnet-3"]
    assert against("internal", *bare)["subnet-3"] == ""
    assert "public by its route table" in against("internal", *bare)["subnet-1"]


@pytest.mark.parametrize(
    "cluster, expected", [("", ""), ("lab", ""), ("other", "tagged for cluster other, not for lab")]
)
def test_a_subnet_of_another_cluster_is_left_out(cluster: str, expected: str) -> None:
    assert against(PUBLIC, tagged(1, ELB, cluster=cluster)) == {"subnet-1": expected}


@pytest.mark.parametrize("free, expected", [(7, "7 free addresses, 8 are needed"), (8, ""), (0, "0 free addresses, 8")])
def test_free_addresses(free: int, expected: str) -> None:
    assert against(PUBLIC, tagged(1, ELB, free=free))["subnet-1"].startswith(expected)
    assert bool(against(PUBLIC, tagged(1, ELB, free=free))["subnet-1"]) == bool(expected)


def world(message: str, *subnets: Subnet, annotations: dict[str, str] = FACING, **changes: object) -> World:
    event = Event("Ingress", "web", NS, type="Warning", reason="FailedBuildModel", message=message, last=JUST_NOW)
    made = World(
        events=(event,),
        vpc={
            "subnets": Fact.known(reads.SUBNETS, subnets),
            "route_tables": Fact.known(reads.ROUTE_TABLES, TABLES),
        },
    )
    made = replace(made, ingress=replace(made.ingress, meta=replace(made.ingress.meta, annotations=annotations)))
    return replace(made, **changes)


def found(made: World, code: str) -> Finding:
    finding = next(d.finding for d in made.report().diagnoses if d.finding.code == code)
    return finding


def texts(finding: Finding) -> str:
    return "\n".join(evidence.text for evidence in finding.evidence)


def test_the_untagged_public_subnets_are_named_with_the_tag() -> None:
    subnets = (replace(subnet(1), tags={ELB: "yes", "Name": "public-a"}), tagged(2, INTERNAL), tagged(3, ELB))
    finding = found(world(NOT_FOUND.format(1, 0, 0), *subnets), "LBD511")
    assert f"subnet-1 (public-a, us-west-2a): {ELB} is 'yes' instead of '1'" in texts(finding)
    assert f"subnet-2 (us-west-2c): no tag {ELB}" in texts(finding)
    assert "subnet-3 (us-west-2a): suitable" in texts(finding)
    (command,) = finding.by_hand
    # A subnet without a route to the internet gateway is not one to be tagged.
    assert command.startswith("aws ec2 create-tags --resources subnet-1 subnet-2 --tags Key=kubernetes.io/role/elb")


def test_other_clusters_and_full_subnets() -> None:
    subnets = (tagged(1, ELB, cluster="other"), tagged(2, ELB, free=3))
    finding = found(world(NOT_FOUND.format(2, 1, 1), *subnets), "LBD511")
    assert "tagged for cluster other, not for lab" in texts(finding)
    assert "3 free addresses, 8 are needed" in texts(finding)
    assert finding.by_hand == ()


def test_full_subnets_alone_are_lbd512() -> None:
    finding = found(world(NOT_FOUND.format(1, 0, 1), tagged(1, ELB, free=3)), "LBD512")
    assert "subnet-1 (us-west-2a): 3 free addresses, 8 are needed" in texts(finding)


def test_class_parameters_win_over_the_annotation() -> None:
    cluster = {
        "ingress_classes": Fact.known(
            reads.INGRESS_CLASSES,
            (IngressClass(Meta("alb"), "ingress.k8s.aws/alb", "IngressClassParams", "inner"),),
        ),
        "class_params": Fact.known(
            reads.INGRESS_CLASS_PARAMS, (IngressClassParams(Meta("inner"), {"scheme": "internal"}),)
        ),
    }
    made = world(NOT_FOUND.format(1, 0, 0), tagged(3, ELB), tagged(4, INTERNAL), cluster=cluster)
    assert f"for scheme internal: subnet-3 (us-west-2a): no tag {INTERNAL}" in texts(found(made, "LBD511"))


def test_no_annotation_is_internal() -> None:
    made = world(NOT_FOUND.format(1, 0, 0), tagged(1, ELB), tagged(3, INTERNAL), annotations={})
    assert f"for scheme internal: subnet-1 (us-west-2a): no tag {INTERNAL}" in texts(found(made, "LBD511"))


def test_many_subnets_are_counted() -> None:
    subnets = [tagged(n, INTERNAL) for n in range(1, 12)] + [tagged(12, ELB)]
    finding = found(world(NOT_FOUND.format(12, 0, 0), *subnets), "LBD511")
    assert "3 more are not suitable, 1 more are" in texts(finding)


@pytest.mark.parametrize("part", ["subnets", "interfaces"])
def test_what_was_not_read_adds_nothing(part: str) -> None:
    made = world(NOT_FOUND.format(1, 0, 0), tagged(3, INTERNAL))
    denied = Fact.denied(reads.SUBNETS, "denied", permission.Permission(action="ec2:DescribeSubnets"))
    finding = found(replace(made, vpc={**made.vpc, part: denied}), "LBD511")
    assert ("subnet-3" in texts(finding)) == (part != "subnets")


# --- LBD506 ----------------------------------------------------------------------------------------------------------


def test_the_fullest_group_is_named_with_its_rules_as_the_quota_counts_them() -> None:
    """One entry of DescribeSecurityGroups may hold many sources: each is a rule."""
    sources = tuple(f"10.9.{n}.0/24" for n in range(57))
    rules = (IpPermission("tcp", 80, 80, cidrs=sources), IpPermission("tcp", 81, 81, groups=("sg-a", "sg-b", "sg-lb")))
    full = SecurityGroup("sg-node", "node", "vpc-1", CLUSTER_TAG, (*rules, FROM_LB), (ANYONE,))
    message = (
        "Failed deploy model due to operation error EC2: AuthorizeSecurityGroupIngress, https response error "
        "StatusCode: 400, RequestID: x, api error RulesPerSecurityGroupLimitExceeded: The maximum number of rules per "
        "security group has been reached."
    )
    event = Event("Ingress", "web", NS, type="Warning", reason="FailedDeployModel", message=message, last=JUST_NOW)
    small = SecurityGroup("sg-lb", "lb", "vpc-1", ingress=(ANYONE,), egress=(ANYONE,))
    finding = found(World(events=(event,), groups=(small, full)), "LBD506")
    assert "sg-node (node): 61 inbound rules; the default quota is 60" in texts(finding)
    assert "sg-lb (lb): 1 inbound rule" in texts(finding)


def test_rules_are_counted_for_each_family() -> None:
    rule = IpPermission(
        "tcp", 1, 1, cidrs=("10.0.0.0/8", "fd00::/8", "fd01::/16"), groups=("sg-a",), prefix_lists=("p", "q")
    )
    lists = {"p": PrefixList("p", ("10.0.0.0/8",), max_entries=20)}
    group = SecurityGroup("sg-1", ingress=(rule,))
    assert rules_counted(group, Direction.INGRESS, lists) == (1 + 1 + 20, 2 + 1 + 20)
    assert rules_counted(group, Direction.EGRESS, lists) == (0, 0)
