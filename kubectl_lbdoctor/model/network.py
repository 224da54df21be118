"""Slim records of what filters and routes packets between a load balancer and a pod.

Field names follow the EC2 API (DescribeSecurityGroups, …PrefixLists, …NetworkAcls, …RouteTables, …Subnets,
…NetworkInterfaces) and networking.k8s.io/v1. CIDRs and addresses of both families stand side by side as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.selectors import LabelSelector
from kubectl_lbdoctor.record import record


@record
class IpPermission:
    """One rule of a security group (EC2 IpPermission): every listed source, or destination, on these ports.

    protocol: "-1" (all), "tcp", "udp", "icmp", "icmpv6" or a number as text. from_port, to_port: None means all.
    groups: referenced group ids. stale_groups: references over a peering connection that is not active, or to a group
    that was deleted there; they match nothing (EC2 DescribeStaleSecurityGroups).
    """

    protocol: str = "-1"
    from_port: int | None = None
    to_port: int | None = None
    cidrs: tuple[str, ...] = ()
    prefix_lists: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    stale_groups: tuple[str, ...] = ()
    description: str = ""


@record
class SecurityGroup:
    id: str
    name: str = ""
    vpc_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    ingress: tuple[IpPermission, ...] = ()
    egress: tuple[IpPermission, ...] = ()


@record
class PrefixList:
    """`max_entries` is what a reference to a customer's list counts against the quota of rules."""

    id: str
    cidrs: tuple[str, ...] = ()
    name: str = ""
    max_entries: int = 0


@record
class AclEntry:
    """One numbered entry of a network ACL. protocol: "-1" (all; ports do not count) or a number as text."""

    number: int
    egress: bool = False
    allow: bool = False
    protocol: str = "-1"
    cidr: str = ""
    from_port: int | None = None
    to_port: int | None = None


@record
class NetworkAcl:
    id: str
    vpc_id: str = ""
    subnets: tuple[str, ...] = ()
    entries: tuple[AclEntry, ...] = ()
    is_default: bool = False


@record
class VpcRoute:
    """One route: `destination` is a CIDR or else `prefix_list` is set.

    target: "local" or the id of what the packet is given to (igw-, nat-, eigw-, pcx-, tgw-, vgw-, eni-, i-, vpce-…).
    state: active or blackhole. propagated: learnt from a virtual private gateway (Origin EnableVgwRoutePropagation).
    """

    destination: str = ""
    prefix_list: str = ""
    target: str = ""
    state: str = "active"
    propagated: bool = False


@record
class RouteTable:
    id: str
    vpc_id: str = ""
    subnets: tuple[str, ...] = ()
    main: bool = False
    routes: tuple[VpcRoute, ...] = ()


@record
class Subnet:
    """`public` is whether its route table leads to an internet gateway; None where that was not read."""

    id: str
    vpc_id: str = ""
    cidrs: tuple[str, ...] = ()
    zone: str = ""
    free_addresses: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    public: bool | None = None


@record
class NetworkInterface:
    """`private_ips` holds all its addresses of both families, `prefixes` the delegated /28 and /80 ranges of pods.

    device_index: 0 is an instance's primary interface, the one that an instance target's packets arrive at.
    """

    id: str
    subnet_id: str = ""
    vpc_id: str = ""
    private_ips: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    description: str = ""
    requester_managed: bool = False
    instance_id: str = ""
    device_index: int | None = None
    status: str = ""


def control_plane_description(cluster: str) -> str:
    """How EKS describes the control plane's interfaces in the cluster's subnets (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html)."""
    return f"Amazon EKS {cluster}"


@record
class PolicyPeer:
    """Who may send: an ipBlock (`cidr` without `excepts`), or pods chosen by the two selectors."""

    cidr: str = ""
    excepts: tuple[str, ...] = ()
    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None


@record
class PolicyPort:
    """`port` is a number or a container port's name as text, "" for all ports; `end_port` 0 means that port only."""

    port: str = ""
    end_port: int = 0
    protocol: str = "TCP"


@record
class PolicyRule:
    """One ingress or egress rule; no peers means everyone, no ports means all ports."""

    peers: tuple[PolicyPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()


@record
class NetworkPolicy:
    meta: Meta
    pod_selector: LabelSelector = field(default_factory=LabelSelector)
    policy_types: tuple[str, ...] = ()
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()

    @property
    def isolates_ingress(self) -> bool:
        """Whether it restricts what may come in: policyTypes defaults to Ingress, with Egress where there are rules."""
        return not self.policy_types or "Ingress" in self.policy_types
