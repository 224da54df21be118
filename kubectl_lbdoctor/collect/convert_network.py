"""From raw EC2 answers and NetworkPolicies to the slim records of `model.network`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.collect.convert_kube import meta
from kubectl_lbdoctor.model import network
from kubectl_lbdoctor.model.selectors import LabelSelector

Raw = Mapping[str, Any]


def _tags(raw: Raw) -> dict[str, str]:
    return {t["Key"]: t.get("Value", "") for t in raw.get("Tags") or raw.get("TagSet") or ()}


def _port(value: Any) -> int | None:
    """EC2 says -1 for "all" where it gives a port at all."""
    return value if isinstance(value, int) and value >= 0 else None


def permission(raw: Raw) -> network.Permission:
    pairs = raw.get("UserIdGroupPairs", ())
    entries = [*raw.get("IpRanges", ()), *raw.get("Ipv6Ranges", ()), *raw.get("PrefixListIds", ()), *pairs]
    return network.Permission(
        protocol=str(raw.get("IpProtocol", "-1")),
        from_port=_port(raw.get("FromPort")),
        to_port=_port(raw.get("ToPort")),
        cidrs=(
            *(r["CidrIp"] for r in raw.get("IpRanges", ()) if r.get("CidrIp")),
            *(r["CidrIpv6"] for r in raw.get("Ipv6Ranges", ()) if r.get("CidrIpv6")),
        ),
        prefix_lists=tuple(r["PrefixListId"] for r in raw.get("PrefixListIds", ())),
        # A reference over a peering connection that is gone matches nothing (EC2: PeeringStatus).
        groups=tuple(p["GroupId"] for p in pairs if p.get("GroupId") and not _stale(p)),
        stale_groups=tuple(p["GroupId"] for p in pairs if p.get("GroupId") and _stale(p)),
        description=next((e["Description"] for e in entries if e.get("Description")), ""),
    )


def _stale(pair: Raw) -> bool:
    return pair.get("PeeringStatus", "active") not in ("active", "")


def security_group(raw: Raw) -> network.SecurityGroup:
    return network.SecurityGroup(
        id=raw["GroupId"],
        name=raw.get("GroupName", ""),
        vpc_id=raw.get("VpcId", ""),
        tags=_tags(raw),
        ingress=tuple(permission(p) for p in raw.get("IpPermissions", ())),
        egress=tuple(permission(p) for p in raw.get("IpPermissionsEgress", ())),
    )


def network_acl(raw: Raw) -> network.NetworkAcl:
    return network.NetworkAcl(
        id=raw["NetworkAclId"],
        vpc_id=raw.get("VpcId", ""),
        subnets=tuple(a["SubnetId"] for a in raw.get("Associations", ())),
        entries=tuple(
            network.AclEntry(
                number=int(e["RuleNumber"]),
                egress=bool(e.get("Egress")),
                allow=e.get("RuleAction") == "allow",
                protocol=str(e.get("Protocol", "-1")),
                cidr=e.get("CidrBlock") or e.get("Ipv6CidrBlock") or "",
                from_port=_port((e.get("PortRange") or {}).get("From")),
                to_port=_port((e.get("PortRange") or {}).get("To")),
            )
            for e in raw.get("Entries", ())
        ),
        is_default=bool(raw.get("IsDefault")),
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
    associations = raw.get("Associations", ())
    return network.RouteTable(
        id=raw["RouteTableId"],
        vpc_id=raw.get("VpcId", ""),
        subnets=tuple(a["SubnetId"] for a in associations if a.get("SubnetId")),
        main=any(a.get("Main") for a in associations),
        routes=tuple(
            network.VpcRoute(
                destination=r.get("DestinationCidrBlock") or r.get("DestinationIpv6CidrBlock") or "",
                prefix_list=r.get("DestinationPrefixListId", ""),
                target=next((r[key] for key in _ROUTE_TARGETS if r.get(key)), ""),
                state=r.get("State", "active"),
                propagated=r.get("Origin") == "EnableVgwRoutePropagation",
            )
            for r in raw.get("Routes", ())
        ),
    )


def subnet(raw: Raw) -> network.Subnet:
    six = [a.get("Ipv6CidrBlock", "") for a in raw.get("Ipv6CidrBlockAssociationSet", ())]
    return network.Subnet(
        id=raw["SubnetId"],
        vpc_id=raw.get("VpcId", ""),
        cidrs=tuple(c for c in (raw.get("CidrBlock", ""), *six) if c),
        zone=raw.get("AvailabilityZone", ""),
        free_addresses=raw.get("AvailableIpAddressCount"),
        tags=_tags(raw),
    )


def interface(raw: Raw) -> network.NetworkInterface:
    attachment = raw.get("Attachment") or {}
    addresses = [a.get("PrivateIpAddress", "") for a in raw.get("PrivateIpAddresses", ())]
    six = [a.get("Ipv6Address", "") for a in raw.get("Ipv6Addresses", ())]
    prefixes = [p.get("Ipv4Prefix", "") for p in raw.get("Ipv4Prefixes") or ()]
    prefixes += [p.get("Ipv6Prefix", "") for p in raw.get("Ipv6Prefixes") or ()]
    return network.NetworkInterface(
        id=raw["NetworkInterfaceId"],
        subnet_id=raw.get("SubnetId", ""),
        vpc_id=raw.get("VpcId", ""),
        private_ips=tuple(dict.fromkeys(a for a in (raw.get("PrivateIpAddress", ""), *addresses, *six) if a)),
        prefixes=tuple(p for p in prefixes if p),
        security_groups=tuple(g["GroupId"] for g in raw.get("Groups", ())),
        description=raw.get("Description", ""),
        requester_managed=bool(raw.get("RequesterManaged")),
        instance_id=attachment.get("InstanceId") or "",
        device_index=attachment.get("DeviceIndex"),
        status=raw.get("Status", ""),
    )


def prefix_list(identifier: str, entries: list[Raw]) -> network.PrefixList:
    return network.PrefixList(identifier, tuple(e["Cidr"] for e in entries if e.get("Cidr")))


def _peer(raw: Raw) -> network.PolicyPeer:
    block = raw.get("ipBlock") or {}
    return network.PolicyPeer(
        cidr=str(block.get("cidr", "")),
        excepts=tuple(str(e) for e in block.get("except") or ()),
        pod_selector=LabelSelector.of(raw["podSelector"]) if "podSelector" in raw else None,
        namespace_selector=LabelSelector.of(raw["namespaceSelector"]) if "namespaceSelector" in raw else None,
    )


def _rule(raw: Raw, peers: str) -> network.PolicyRule:
    return network.PolicyRule(
        peers=tuple(_peer(p) for p in raw.get(peers) or ()),
        ports=tuple(
            network.PolicyPort(
                str(p.get("port", "")) if p.get("port") is not None else "",
                int(p.get("endPort") or 0),
                str(p.get("protocol") or "TCP"),
            )
            for p in raw.get("ports") or ()
        ),
    )


def network_policy(raw: Raw) -> network.NetworkPolicy:
    spec = raw.get("spec") or {}
    return network.NetworkPolicy(
        meta=meta(raw),
        pod_selector=LabelSelector.of(spec.get("podSelector")),
        policy_types=tuple(str(t) for t in spec.get("policyTypes") or ()),
        ingress=tuple(_rule(r, "from") for r in spec.get("ingress") or ()),
        egress=tuple(_rule(r, "to") for r in spec.get("egress") or ()),
    )
