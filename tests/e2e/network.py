"""The network between load balancer and pod on the lab: faults of `scenarios.py`'s kind, and twins that are no faults.

A twin changes the same filters as a fault, but leaves a way open: the doctor must go on calling the object healthy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.scenarios import ALB, NLB, REFUSED, TIMEOUT, Manifests, Scenario, Seen, event, healthy, unhealthy
from tests.lab import examples, faults, topology
from tests.lab.api import Lab

PUBLIC = tuple(subnet for subnet in topology.SUBNETS if subnet.public)
PRIVATE = tuple(subnet for subnet in topology.SUBNETS if not subnet.public)
NODE_PORTS = (30000, 32767)
CHECK_PORT = 9000
Around = Callable[[Lab, str], AbstractContextManager[object]]


@dataclass(frozen=True)
class Twin:
    """What looks like a fault and is none. `around` begins before the objects are made, `change` once they are healthy.

    infos: codes that the doctor may, and must, tell as information.
    """

    name: str
    manifests: Callable[[], Manifests]
    subject: str = "ing/web"
    around: Around | None = None
    change: Around | None = None
    seen: Seen = healthy()
    infos: Sequence[str] = ()

    def __str__(self) -> str:
        return self.name


def tcp(ports: int | tuple[int, int], *, group: str = "", cidrs: Sequence[str] = ()) -> dict[str, Any]:
    """One rule of a security group as a request takes it."""
    first, last = (ports, ports) if isinstance(ports, int) else ports
    rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": first, "ToPort": last}
    if group:
        rule["UserIdGroupPairs"] = [{"GroupId": group}]
    if cidrs:
        rule["IpRanges"] = [{"CidrIp": cidr} for cidr in cidrs]
    return rule


@contextmanager
def made_group(lab: Lab, name: str, *, ingress: Sequence[Mapping[str, Any]] = ()) -> Iterator[str]:
    """A security group that nobody tagged for the cluster."""
    ec2 = lab.aws("ec2")
    group: str = ec2.create_security_group(GroupName=name, Description=name, VpcId=lab.state["vpc_id"])["GroupId"]
    try:
        if ingress:
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=list(ingress))
        yield group
    finally:
        # The controller may still have it on a load balancer that goes with the test's namespace.
        _repeated(lambda: ec2.delete_security_group(GroupId=group), ec2.exceptions.ClientError)


def _repeated(act: Callable[[], object], until_not: type[Exception], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            act()
        except until_not:
            time.sleep(1)
        else:
            break


@contextmanager
def on_nodes(lab: Lab, group: str) -> Iterator[None]:
    """The group on the interfaces of all nodes, beside those that they carry."""
    ec2 = lab.aws("ec2")
    ids = [instance["eni"] for instance in lab.state["instances"].values()]
    former = {
        interface["NetworkInterfaceId"]: [item["GroupId"] for item in interface["Groups"]]
        for interface in ec2.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
    }
    with ExitStack() as undo:
        for identifier, groups in former.items():
            ec2.modify_network_interface_attribute(NetworkInterfaceId=identifier, Groups=[*groups, group])
            undo.callback(ec2.modify_network_interface_attribute, NetworkInterfaceId=identifier, Groups=groups)
        time.sleep(1.2)
        yield


@contextmanager
def replaced_by(lab: Lab, permission: Mapping[str, Any]) -> Iterator[None]:
    """The controller's rules are gone, and one by hand stands in their place."""
    with faults.rule_authorised(lab, lab.state["cluster_sg"], dict(permission)), faults.controller_rules_revoked(lab):
        yield


@contextmanager
def second_group_admits(lab: Lab, ports: int | tuple[int, int]) -> Iterator[None]:
    """The controller's rules are gone; a second group of the nodes, without the cluster's tag, admits."""
    rule = tcp(ports, cidrs=[subnet.cidr for subnet in PUBLIC])
    made = made_group(lab, "lbdlab-second", ingress=[rule])
    with made as group, on_nodes(lab, group), faults.controller_rules_revoked(lab):
        yield


@contextmanager
def narrow_acls(lab: Lab, ports: tuple[int, int]) -> Iterator[None]:
    """ACLs of public and private subnets that allow what is needed, entry by entry, and nothing else."""
    ec2 = lab.aws("ec2")

    def allow(acl: str, number: int, egress: bool, span: tuple[int, int], cidr: str) -> None:
        ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=number,
            Protocol="6",
            RuleAction="allow",
            Egress=egress,
            CidrBlock=cidr,
            PortRange={"From": span[0], "To": span[1]},
        )

    with ExitStack() as stack:
        for own, others, requests_out in ((PUBLIC, PRIVATE, True), (PRIVATE, PUBLIC, False)):
            acl = stack.enter_context(faults.own_acl(lab, *(subnet.name for subnet in own)))
            number = 10
            for subnet in others:
                allow(acl, number, requests_out, ports, subnet.cidr)
                allow(acl, number + 1, not requests_out, faults.EPHEMERAL, subnet.cidr)
                number += 10
            if own is PUBLIC:
                allow(acl, number, False, (80, 80), "0.0.0.0/0")
                allow(acl, number, True, faults.EPHEMERAL, "0.0.0.0/0")
            if own is PRIVATE:
                for subnet in PRIVATE:
                    for egress in (True, False):
                        allow(acl, number, egress, (0, 65535), subnet.cidr)
                    number += 10
            # Last what allows everything: by now nobody needs it.
            for egress in (True, False):
                ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=egress)
        time.sleep(1.2)
        yield


@contextmanager
def two_node_groups(lab: Lab, ns: str) -> Iterator[None]:
    """A second node group, whose security group is its own; both admit each other."""
    with lab.extra_node():
        yield


@contextmanager
def groups_refuse(lab: Lab, owner: str, source: str) -> Iterator[None]:
    """One node group's security group does not admit the other's any more."""
    state = lab.state
    with faults.rule_revoked(lab, state[owner], {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": state[source]}]}):
        yield


@contextmanager
def closed_check_port(lab: Lab, port: int) -> Iterator[None]:
    """Instead of the controller's rules one for the traffic port only."""
    with replaced_by(lab, tcp(port, cidrs=[subnet.cidr for subnet in PUBLIC])):
        yield


@contextmanager
def only_the_node_port(lab: Lab, ns: str) -> Iterator[None]:
    """Clients are admitted, and the check on healthCheckNodePort is not."""
    port = lab.get("service", "web", ns)["spec"]["ports"][0]["nodePort"]
    with replaced_by(lab, tcp(port, cidrs=["0.0.0.0/0"])):
        yield


def own_front(kind: str, target_type: str, **changes: Any) -> Callable[[], Manifests]:
    """A stack whose load balancer has a security group that the user chose by its name, and so no backend rules."""

    def build() -> Manifests:
        prefix = ALB if kind == "alb" else NLB
        stack = examples.alb if kind == "alb" else examples.nlb
        return stack(target_type, annotations={f"{prefix}security-groups": "lbdlab-front"}, **changes)

    return build


@contextmanager
def front_group(lab: Lab, ns: str) -> Iterator[None]:
    ec2 = lab.aws("ec2")
    rule = tcp(80, cidrs=["0.0.0.0/0"])
    with made_group(lab, "lbdlab-front", ingress=[rule]) as group:
        # The controller finds it by its Name tag.
        ec2.create_tags(Resources=[group], Tags=[{"Key": "Name", "Value": "lbdlab-front"}])
        try:
            yield
        finally:
            lab.clean(ns)


def two_ports(kind: str, target_type: str) -> Callable[[], Manifests]:
    """Checked on a port of its own."""

    def build() -> Manifests:
        key = f"{ALB}healthcheck-port" if kind == "alb" else f"{NLB}healthcheck-port"
        stack = examples.alb if kind == "alb" else examples.nlb
        app = {
            "args": ("--listen", ":8080", "--listen", f":{CHECK_PORT}", "--path", "/healthz=200"),
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "check", "containerPort": CHECK_PORT}],
        }
        return stack(target_type, annotations={key: str(CHECK_PORT)}, app=app)

    return build


def _on(node: str) -> Mapping[str, Any]:
    return {"replicas": 1, "pod": {"nodeSelector": {"kubernetes.io/hostname": node}}}


TWINS = [
    Twin(
        "rule-by-cidr",
        examples.alb_ip,
        change=lambda lab, ns: replaced_by(lab, tcp(8080, cidrs=[subnet.cidr for subnet in PUBLIC])),
    ),
    Twin(
        "rule-by-cidr-nlb-instance",
        examples.nlb_instance,
        "svc/web",
        # The nodes see the clients' own addresses.
        change=lambda lab, ns: replaced_by(lab, tcp(NODE_PORTS, cidrs=["0.0.0.0/0"])),
    ),
    Twin(
        "second-group-admits",
        examples.alb_instance,
        change=lambda lab, ns: second_group_admits(lab, NODE_PORTS),
    ),
    Twin(
        "second-group-admits-nlb-ip",
        examples.nlb_ip,
        "svc/web",
        change=lambda lab, ns: second_group_admits(lab, 8080),
    ),
    Twin("narrow-acls", examples.alb_ip, change=lambda lab, ns: narrow_acls(lab, (8080, 8080))),
    Twin(
        "narrow-acls-nlb-ip",
        examples.nlb_ip,
        "svc/web",
        change=lambda lab, ns: narrow_acls(lab, (8080, 8080)),
    ),
    Twin(
        "local-policy-nlb",
        lambda: examples.nlb_instance(app={"replicas": 1}, service={"external_traffic_policy": "Local"}),
        "svc/web",
        seen=unhealthy(REFUSED, "any", 1),
        infos=["LBD601"],
    ),
    Twin(
        "two-node-groups",
        lambda: examples.alb_instance(app={"replicas": 1}),
        around=two_node_groups,
        seen=healthy(3),
    ),
    Twin(
        "own-front-group-with-rule",
        own_front("alb", "ip"),
        around=lambda lab, ns: front_group_admitted(lab, ns),
    ),
    Twin("check-port-of-its-own", two_ports("alb", "ip")),
]


@contextmanager
def front_group_admitted(lab: Lab, ns: str) -> Iterator[None]:
    """The user has done what the controller does not do for a group of the user's choice."""
    with front_group(lab, ns):
        group = lab.aws("ec2").describe_security_groups(Filters=[{"Name": "tag:Name", "Values": ["lbdlab-front"]}])
        identifier = group["SecurityGroups"][0]["GroupId"]
        with faults.rule_authorised(lab, lab.state["cluster_sg"], tcp(8080, group=identifier)):
            yield


@contextmanager
def subnet_tags(lab: Lab, name: str, tags: Mapping[str, str | None]) -> Iterator[None]:
    """Tags of a subnet, None for one that is missing; put back afterwards."""
    ec2, subnet = lab.aws("ec2"), lab.state["subnets"][name]
    former = {tag["Key"]: tag["Value"] for tag in ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["Tags"]}

    def write(wanted: Mapping[str, str | None]) -> None:
        gone = [{"Key": key} for key, value in wanted.items() if value is None]
        kept = [{"Key": key, "Value": value} for key, value in wanted.items() if value is not None]
        if gone:
            ec2.delete_tags(Resources=[subnet], Tags=gone)
        if kept:
            ec2.create_tags(Resources=[subnet], Tags=kept)

    write(tags)
    try:
        yield
    finally:
        write({key: former.get(key) for key in tags})


@contextmanager
def tagged_for_another_cluster(lab: Lab) -> Iterator[None]:
    """The public subnets carry the tag of another cluster in place of their own."""
    tags = {f"kubernetes.io/cluster/{topology.CLUSTER_NAME}": None, "kubernetes.io/cluster/other": "shared"}
    with subnet_tags(lab, "public-a", tags), subnet_tags(lab, "public-c", tags):
        yield


@contextmanager
def egress_revoked(lab: Lab, ns: str) -> Iterator[None]:
    """All outbound rules of the groups of a Service's load balancer; those that are shared are put back."""
    ec2, undo = lab.aws("ec2"), []
    arn = lab.load_balancer_arn("service", "web", ns)
    ids = lab.aws("elbv2").describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["SecurityGroups"]
    for group in ec2.describe_security_groups(GroupIds=ids)["SecurityGroups"]:
        if group["IpPermissionsEgress"]:
            ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
            undo.append(group)
    try:
        yield
    finally:
        for group in undo:
            ec2.authorize_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])


FAULTS = [
    Scenario(
        "node-groups-pod-on-first",
        lambda: examples.alb_instance(app=_on("node1")),
        ["LBD502"],
        unhealthy(TIMEOUT, "any", 1),
        around=two_node_groups,
        fault=lambda lab, ns: groups_refuse(lab, "cluster_sg", "second_sg"),
    ),
    Scenario(
        "node-groups-pod-on-second-nlb",
        lambda: examples.nlb_instance(app=_on("node3")),
        ["LBD502"],
        unhealthy(REFUSED, "any", 2),
        subject="svc/web",
        around=two_node_groups,
        fault=lambda lab, ns: groups_refuse(lab, "second_sg", "cluster_sg"),
    ),
    Scenario("own-front-group", own_front("alb", "ip"), ["LBD501"], unhealthy(TIMEOUT), around=front_group),
    Scenario(
        "own-front-group-instance", own_front("alb", "instance"), ["LBD501"], unhealthy(TIMEOUT), around=front_group
    ),
    Scenario(
        "own-front-group-nlb",
        own_front("nlb", "ip"),
        ["LBD501"],
        unhealthy(REFUSED),
        subject="svc/web",
        around=front_group,
    ),
    Scenario(
        "check-port-closed",
        two_ports("alb", "ip"),
        ["LBD501"],
        unhealthy(TIMEOUT),
        fault=lambda lab, ns: closed_check_port(lab, 8080),
    ),
    Scenario(
        "check-port-closed-nlb",
        two_ports("nlb", "ip"),
        ["LBD501"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=lambda lab, ns: closed_check_port(lab, 8080),
    ),
    Scenario(
        "clients-not-admitted-by-nodes",
        examples.nlb_instance,
        ["LBD515"],
        healthy(),
        subject="svc/web",
        fault=lambda lab, ns: replaced_by(lab, tcp(NODE_PORTS, cidrs=[subnet.cidr for subnet in PUBLIC])),
    ),
    Scenario(
        "clients-not-admitted-by-acl",
        examples.nlb_instance,
        ["LBD515"],
        healthy(),
        subject="svc/web",
        fault=lambda lab, ns: narrow_acls(lab, NODE_PORTS),
        says=["network ACL"],
    ),
    Scenario(
        "traffic-port-closed",
        two_ports("alb", "ip"),
        ["LBD501"],
        healthy(),
        fault=lambda lab, ns: replaced_by(lab, tcp(CHECK_PORT, cidrs=[subnet.cidr for subnet in PUBLIC])),
    ),
    Scenario(
        "one-zone-with-role-tag",
        examples.alb_ip,
        ["LBD511"],
        event("FailedBuildModel", "subnets count less"),
        around=lambda lab, ns: subnet_tags(lab, "public-c", {"kubernetes.io/role/elb": None}),
        says=["no tag kubernetes.io/role/elb", "suitable"],
    ),
    Scenario(
        "subnets-of-another-cluster",
        examples.nlb_ip,
        ["LBD511"],
        event("FailedBuildModel", "tagged for other clusters"),
        subject="svc/web",
        around=lambda lab, ns: tagged_for_another_cluster(lab),
        says=["tagged for cluster other, not for lbdlab"],
    ),
    Scenario(
        "kube-proxy-misnamed",
        lambda: examples.nlb_instance(service={"external_traffic_policy": "Local"}),
        ["LBD518"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=lambda lab, ns: faults.kube_proxy_misnamed(lab),
    ),
    Scenario(
        "health-check-node-port-closed",
        lambda: examples.nlb_instance(service={"external_traffic_policy": "Local"}),
        ["LBD501"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=lambda lab, ns: only_the_node_port(lab, ns),
    ),
    Scenario(
        "balancer-egress-revoked-nlb",
        examples.nlb_instance,
        ["LBD503"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=egress_revoked,
    ),
    Scenario(
        "acl-return-denied-nlb-instance",
        examples.nlb_instance,
        ["LBD508"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=lambda lab, ns: faults.ephemeral_return_denied(lab),
    ),
    Scenario(
        "acl-request-denied-instance",
        examples.alb_instance,
        ["LBD507"],
        unhealthy(TIMEOUT, "any", 1),
        fault=lambda lab, ns: faults.acl_denies(lab, "private-c", False, NODE_PORTS, "10.0.96.0/20"),
    ),
]
