"""From raw EC2 answers and NetworkPolicies to the slim records of `model.network`. Pure.

The EC2 API reference (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Types.html) calls no field of an
answer required: what is missing becomes "", False or empty, unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.collect.convert_kube import meta, selector
from kubectl_lbdoctor.collect.fields import (
    Raw,
    flag,
    mapping,
    number,
    objects,
    optional_number,
    text,
    texts,
)
from kubectl_lbdoctor.model import network
from kubectl_lbdoctor.model.selectors import LabelSelector


def _tags(raw: Raw) -> dict[str, str]:
    """The tags of a resource; network interfaces alone call them TagSet."""
    return {text(t, "Key"): text(t, "Value") for t in objects(raw, "Tags") or objects(raw, "TagSet") if text(t, "Key")}


def _named(entries: Iterable[Raw], key: str) -> tuple[str, ...]:
    """The values of one field in all entries that have it."""
    return tuple(value for entry in entries if (value := text(entry, key)))


def _port(raw: Raw, key: str) -> int | None:
    """A port of a rule; None for all ports, where EC2 gives -1 or nothing."""
    value = optional_number(raw, key)
    return value if value is not None and value >= 0 else None


def permission(raw: Raw) -> network.IpPermission:
    """One IpPermission of a security group: protocol ("-1" for all), range of ports, and sources or destinations.

    A reference over a peering connection that is gone matches nothing, so it is kept apart (UserIdGroupPair's
    PeeringStatus; https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-security-groups.html).
    """
    v4, v6, lists, pairs = (
        objects(raw, key) for key in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
    )
    return network.IpPermission(
        protocol=text(raw, "IpProtocol", "-1"),
        from_port=_port(raw, "FromPort"),
        to_port=_port(raw, "ToPort"),
        cidrs=(*_named(v4, "CidrIp"), *_named(v6, "CidrIpv6")),
        prefix_lists=_named(lists, "PrefixListId"),
        groups=_named((p for p in pairs if not _stale(p)), "GroupId"),
        stale_groups=_named((p for p in pairs if _stale(p)), "GroupId"),
        description=next(iter(_named((*v4, *v6, *lists, *pairs), "Description")), ""),
    )


def _stale(pair: Raw) -> bool:
    return text(pair, "PeeringStatus") not in ("active", "")


def security_group(raw: Raw) -> network.SecurityGroup:
    """One entry of DescribeSecurityGroups' SecurityGroups (API_SecurityGroup)."""
    return network.SecurityGroup(
        id=text(raw, "GroupId"),
        name=text(raw, "GroupName"),
        vpc_id=text(raw, "VpcId"),
        tags=_tags(raw),
        ingress=tuple(permission(p) for p in objects(raw, "IpPermissions")),
        egress=tuple(permission(p) for p in objects(raw, "IpPermissionsEgress")),
    )


def network_acl(raw: Raw) -> network.NetworkAcl:
    """One entry of DescribeNetworkAcls' NetworkAcls (API_NetworkAcl). Entries without a number are left out: rules are
    evaluated in the order of their numbers (https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html). What is
    not "allow" denies. Protocols are IANA numbers, "-1" for all."""
    return network.NetworkAcl(
        id=text(raw, "NetworkAclId"),
        vpc_id=text(raw, "VpcId"),
        subnets=_named(objects(raw, "Associations"), "SubnetId"),
        entries=tuple(
            network.AclEntry(
                number=number(e, "RuleNumber"),
                egress=flag(e, "Egress"),
                allow=text(e, "RuleAction") == "allow",
                protocol=text(e, "Protocol", "-1"),
                cidr=text(e, "CidrBlock") or text(e, "Ipv6CidrBlock"),
                from_port=_port(mapping(e, "PortRange"), "From"),
                to_port=_port(mapping(e, "PortRange"), "To"),
            )
            for e in objects(raw, "Entries")
            if optional_number(e, "RuleNumber") is not None
        ),
        is_default=flag(raw, "IsDefault"),
    )


_ROUTE_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
)


def route_table(raw: Raw) -> network.RouteTable:
    """One entry of DescribeRouteTables' RouteTables (API_RouteTable). The main table's association names no subnet, and
    a gateway's neither. A route without a state is taken for active; `propagated`: learned from a virtual private
    gateway (API_Route's Origin)."""
    associations = objects(raw, "Associations")
    return network.RouteTable(
        id=text(raw, "RouteTableId"),
        vpc_id=text(raw, "VpcId"),
        subnets=_named(associations, "SubnetId"),
        main=any(flag(a, "Main") for a in associations),
        routes=tuple(
            network.VpcRoute(
                destination=text(r, "DestinationCidrBlock") or text(r, "DestinationIpv6CidrBlock"),
                prefix_list=text(r, "DestinationPrefixListId"),
                target=next((text(r, key) for key in _ROUTE_TARGETS if text(r, key)), ""),
                state=text(r, "State", "active"),
                propagated=text(r, "Origin") == "EnableVgwRoutePropagation",
            )
            for r in objects(raw, "Routes")
        ),
    )


def subnet(raw: Raw) -> network.Subnet:
    """One entry of DescribeSubnets' Subnets (API_Subnet). Its IPv4 block comes first; an IPv6-only one has none.
    free_addresses: of IPv4; None where the answer does not say."""
    return network.Subnet(
        id=text(raw, "SubnetId"),
        vpc_id=text(raw, "VpcId"),
        cidrs=(*_named((raw,), "CidrBlock"), *_named(objects(raw, "Ipv6CidrBlockAssociationSet"), "Ipv6CidrBlock")),
        zone=text(raw, "AvailabilityZone"),
        free_addresses=optional_number(raw, "AvailableIpAddressCount"),
        tags=_tags(raw),
    )


def interface(raw: Raw) -> network.NetworkInterface:
    """One entry of DescribeNetworkInterfaces' NetworkInterfaces (API_NetworkInterface): the primary address first, each
    once. An interface that is not attached to an instance has no instance_id (""), nor, attached to nothing, a
    device_index (None). `prefixes` are blocks of addresses that the VPC CNI gives to pods:
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-prefix-eni.html"""
    attachment = mapping(raw, "Attachment")
    addresses = (
        *_named((raw, *objects(raw, "PrivateIpAddresses")), "PrivateIpAddress"),
        *_named(objects(raw, "Ipv6Addresses"), "Ipv6Address"),
    )
    return network.NetworkInterface(
        id=text(raw, "NetworkInterfaceId"),
        subnet_id=text(raw, "SubnetId"),
        vpc_id=text(raw, "VpcId"),
        private_ips=tuple(dict.fromkeys(addresses)),
        prefixes=(
            *_named(objects(raw, "Ipv4Prefixes"), "Ipv4Prefix"),
            *_named(objects(raw, "Ipv6Prefixes"), "Ipv6Prefix"),
        ),
        security_groups=_named(objects(raw, "Groups"), "GroupId"),
        description=text(raw, "Description"),
        requester_managed=flag(raw, "RequesterManaged"),
        instance_id=text(attachment, "InstanceId"),
        device_index=optional_number(attachment, "DeviceIndex"),
        status=text(raw, "Status"),
    )


def prefix_list(identifier: str, entries: Iterable[Raw]) -> network.PrefixList:
    """The blocks of a prefix list: GetManagedPrefixListEntries' Entries, which do not name the list."""
    return network.PrefixList(identifier, _named(objects({"Entries": list(entries)}, "Entries"), "Cidr"))


def _peer(raw: Raw) -> network.PolicyPeer:
    """A NetworkPolicyPeer: an ipBlock, or selectors; a selector that is absent (or null) is None, not an empty one."""
    block = mapping(raw, "ipBlock")
    return network.PolicyPeer(
        cidr=text(block, "cidr"),
        excepts=texts(block, "except"),
        pod_selector=LabelSelector.of(selector(raw, "podSelector")) if raw.get("podSelector") is not None else None,
        namespace_selector=(
            LabelSelector.of(selector(raw, "namespaceSelector")) if raw.get("namespaceSelector") is not None else None
        ),
    )


def _rule(raw: Raw, peers: str) -> network.PolicyRule:
    """A rule with its peers in "from" or "to": without peers it is about everybody, without ports about all of them."""
    return network.PolicyRule(
        peers=tuple(_peer(p) for p in objects(raw, peers)),
        ports=tuple(
            network.PolicyPort(text(p, "port"), number(p, "endPort"), text(p, "protocol") or "TCP")
            for p in objects(raw, "ports")
        ),
    )


def network_policy(raw: Raw) -> network.NetworkPolicy:
    """A networking.k8s.io/v1 NetworkPolicy.

    https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
    """
    spec = mapping(raw, "spec")
    return network.NetworkPolicy(
        meta=meta(raw, managed=True),
        pod_selector=LabelSelector.of(selector(spec, "podSelector")),
        policy_types=texts(spec, "policyTypes"),
        ingress=tuple(_rule(r, "from") for r in objects(spec, "ingress")),
        egress=tuple(_rule(r, "to") for r in objects(spec, "egress")),
    )
