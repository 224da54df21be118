"""A recorded world with IPv6 pods and targets behind a dual-stack load balancer.

An EKS cluster of the IPv6 family: subnets, nodes and load balancer have both families, pods and Services have IPv6
alone.
https://docs.aws.amazon.com/eks/latest/userguide/cni-ipv6.html,
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#ip-address-type
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.cassette import World

VPC = "fd00:10::/48"
_ADDRESS = re.compile(r"10\.0\.(\d+)\.(\d+)")


def of(address: str) -> str:
    """The IPv6 address that stands for an IPv4 one of the recordings: fd00:10:0:1::41 for 10.0.1.41."""
    return _ADDRESS.sub(r"fd00:10:0:\1::\2", address)


def convert(world: World) -> None:
    """Change the world into one with IPv6 pods, targets and rules; hosts keep IPv4 beside it."""
    for kind, change in _AWS.items():
        world.aws[kind] = [change(copy.deepcopy(record)) for record in world.aws.get(kind, [])]
    for item in world.objects:
        change = _OBJECTS.get(item["kind"])
        if change is not None:
            change(item)


def _subnet(record: dict[str, Any]) -> dict[str, Any]:
    third = record["CidrBlock"].split(".")[2]
    cidr = {"Ipv6CidrBlock": f"fd00:10:0:{third}::/64", "Ipv6CidrBlockState": {"State": "associated"}}
    return record | {"Ipv6CidrBlockAssociationSet": [{"AssociationId": "subnet-cidr-assoc-1", **cidr}]}


def _route_table(record: dict[str, Any]) -> dict[str, Any]:
    local = {"DestinationIpv6CidrBlock": VPC, "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
    out = [
        {"DestinationIpv6CidrBlock": "::/0"} | {key: value for key, value in r.items() if key != "DestinationCidrBlock"}
        for r in record["Routes"]
        if r.get("DestinationCidrBlock") == "0.0.0.0/0"
    ]
    return record | {"Routes": [*record["Routes"], local, *out]}


def _acl(record: dict[str, Any]) -> dict[str, Any]:
    six = []
    for entry in record["Entries"]:
        number = 32768 if entry["RuleNumber"] == 32767 else entry["RuleNumber"] + 1
        rest = {key: value for key, value in entry.items() if key != "CidrBlock"}
        six.append(rest | {"Ipv6CidrBlock": "::/0", "RuleNumber": number})
    return record | {"Entries": [*record["Entries"], *six]}


def _group(record: dict[str, Any]) -> dict[str, Any]:
    for permission in (*record["IpPermissions"], *record["IpPermissionsEgress"]):
        if any(r["CidrIp"] == "0.0.0.0/0" for r in permission["IpRanges"]):
            permission["Ipv6Ranges"] = [{"CidrIpv6": "::/0"}]
    return record


def _interface(record: dict[str, Any]) -> dict[str, Any]:
    addresses = [entry["PrivateIpAddress"] for entry in record["PrivateIpAddresses"]]
    # Pods have no IPv4 address here; what is not the interface's own is one of theirs.
    own = [entry for entry in record["PrivateIpAddresses"] if entry["Primary"]]
    return record | {
        "PrivateIpAddresses": own,
        "Ipv6Addresses": [{"Ipv6Address": of(address)} for address in addresses],
    }


def _target(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"Target": record["Target"] | {"Id": of(record["Target"]["Id"])}}


_AWS = {
    "Subnets": _subnet,
    "RouteTables": _route_table,
    "NetworkAcls": _acl,
    "SecurityGroups": _group,
    "NetworkInterfaces": _interface,
    "LoadBalancers": lambda record: record | {"IpAddressType": "dualstack"},
    "TargetGroups": lambda record: record | {"IpAddressType": "ipv6"},
    "TargetHealth": _target,
}


def _pod(item: dict[str, Any]) -> None:
    if item["metadata"].get("namespace") == "shop":
        address = of(item["status"]["podIP"])
        item["status"] |= {"podIP": address, "podIPs": [{"ip": address}]}


def _service(item: dict[str, Any]) -> None:
    if item["metadata"].get("namespace") == "shop":
        item["spec"] |= {"ipFamilies": ["IPv6"], "clusterIP": "fd00:aaaa::10", "clusterIPs": ["fd00:aaaa::10"]}


def _slice(item: dict[str, Any]) -> None:
    if item["metadata"].get("namespace") == "shop":
        item["addressType"] = "IPv6"
        for endpoint in item["endpoints"]:
            endpoint["addresses"] = [of(address) for address in endpoint["addresses"]]


def _binding(item: dict[str, Any]) -> None:
    item["spec"]["ipAddressType"] = "ipv6"


def _ingress(item: dict[str, Any]) -> None:
    item["metadata"]["annotations"]["alb.ingress.kubernetes.io/ip-address-type"] = "dualstack"


_OBJECTS = {
    "Pod": _pod,
    "Service": _service,
    "EndpointSlice": _slice,
    "TargetGroupBinding": _binding,
    "Ingress": _ingress,
}
