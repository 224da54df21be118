"""AWS answered from the records of a world: the interface of `collect.aws_api.client.AwsReader`.

The operations are data: which records answer, and which parameter asks for which field. What AWS answers for an object
that does not exist is part of it, because the product tells absence by the error's code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.cassette import NotRecorded, World
from tests.support.product import AwsApiError, Permission

Record = dict[str, Any]

_IAM_PREFIX = {"elbv2": "elasticloadbalancing"}


@dataclass(frozen=True)
class _Elb:
    """records: the kind that answers, and the key of the answer. by: parameter to the record's field. absent: the error
    code where a wanted one does not exist, and of: where that is looked up when the records do not say it."""

    records: str
    by: dict[str, str]
    absent: str = ""
    of: tuple[str, str] = ("", "")
    key: str = ""


_ELB = {
    "DescribeLoadBalancers": _Elb(
        "LoadBalancers", {"LoadBalancerArns": "LoadBalancerArn", "Names": "LoadBalancerName"}, "LoadBalancerNotFound"
    ),
    "DescribeTargetGroups": _Elb(
        "TargetGroups",
        {"TargetGroupArns": "TargetGroupArn", "Names": "TargetGroupName", "LoadBalancerArn": "LoadBalancerArns"},
        "TargetGroupNotFound",
    ),
    "DescribeListeners": _Elb(
        "Listeners",
        {"LoadBalancerArn": "LoadBalancerArn", "ListenerArns": "ListenerArn"},
        "LoadBalancerNotFound",
        ("LoadBalancers", "LoadBalancerArn"),
    ),
    "DescribeRules": _Elb("Rules", {"ListenerArn": "ListenerArn"}, "ListenerNotFound", ("Listeners", "ListenerArn")),
    "DescribeTargetHealth": _Elb(
        "TargetHealth",
        {"TargetGroupArn": "TargetGroupArn"},
        "TargetGroupNotFound",
        ("TargetGroups", "TargetGroupArn"),
        "TargetHealthDescriptions",
    ),
    "DescribeTargetGroupAttributes": _Elb(
        "TargetGroupAttributes", {"TargetGroupArn": "TargetGroupArn"}, "TargetGroupNotFound", key="Attributes"
    ),
    "DescribeLoadBalancerAttributes": _Elb(
        "LoadBalancerAttributes", {"LoadBalancerArn": "LoadBalancerArn"}, "LoadBalancerNotFound", key="Attributes"
    ),
    "DescribeTags": _Elb("Tags", {"ResourceArns": "ResourceArn"}, key="TagDescriptions"),
}


@dataclass(frozen=True)
class _Ec2:
    """The records that answer, and the values of a record by the name of a filter."""

    records: str
    filters: dict[str, Callable[[Record], list[str]]] = field(default_factory=dict)


def _addresses(record: Record) -> list[str]:
    return [record.get("PrivateIpAddress", ""), *(a["PrivateIpAddress"] for a in record.get("PrivateIpAddresses", ()))]


_EC2 = {
    "DescribeNetworkInterfaces": _Ec2(
        "NetworkInterfaces",
        {
            "attachment.instance-id": lambda r: [(r.get("Attachment") or {}).get("InstanceId", "")],
            "addresses.private-ip-address": _addresses,
            "ipv6-addresses.ipv6-address": lambda r: [a["Ipv6Address"] for a in r.get("Ipv6Addresses", ())],
            "description": lambda r: [r.get("Description", "")],
            "vpc-id": lambda r: [r["VpcId"]],
        },
    ),
    "DescribeSecurityGroups": _Ec2(
        "SecurityGroups", {"group-id": lambda r: [r["GroupId"]], "vpc-id": lambda r: [r["VpcId"]]}
    ),
    "DescribeSubnets": _Ec2("Subnets", {"subnet-id": lambda r: [r["SubnetId"]], "vpc-id": lambda r: [r["VpcId"]]}),
    "DescribeNetworkAcls": _Ec2(
        "NetworkAcls",
        {
            "association.subnet-id": lambda r: [a["SubnetId"] for a in r.get("Associations", ())],
            "vpc-id": lambda r: [r["VpcId"]],
        },
    ),
    "DescribeRouteTables": _Ec2("RouteTables", {"vpc-id": lambda r: [r["VpcId"]]}),
}

# One record found by one or two parameters, and where in the answer it stands.
_SINGLES: dict[str, tuple[str, dict[str, str], str, str]] = {
    "iam:GetRole": ("Roles", {"RoleName": "RoleName"}, "Role", "NoSuchEntity"),
    "iam:GetPolicy": ("Policies", {"PolicyArn": "Arn"}, "Policy", "NoSuchEntity"),
    "iam:GetPolicyVersion": (
        "PolicyVersions",
        {"PolicyArn": "PolicyArn", "VersionId": "VersionId"},
        "PolicyVersion",
        "NoSuchEntity",
    ),
    "eks:DescribeCluster": ("Clusters", {"name": "name"}, "cluster", "ResourceNotFoundException"),
    "eks:DescribePodIdentityAssociation": (
        "PodIdentityAssociations",
        {"clusterName": "clusterName", "associationId": "associationId"},
        "association",
        "ResourceNotFoundException",
    ),
}


class ReplayAws:
    """Reads of AWS from a world. Raises NotRecorded for an operation, parameter or filter that it does not know."""

    region = "us-west-2"

    def account(self) -> str:
        """Whose credentials these are; every world is of one account."""
        self._world.refuse(Permission(action="sts:GetCallerIdentity"))
        return "123456789012"

    def __init__(self, world: World) -> None:
        self._world = world

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        self._world.refuse(Permission(action=f"{_IAM_PREFIX.get(service, service)}:{operation}"))
        what = f"{service}:{operation}"
        if service == "elbv2" and operation in _ELB:
            key, found = self._elb(what, _ELB[operation], params)
        elif service == "ec2" and operation in _EC2:
            key, found = _EC2[operation].records, self._ec2(what, _EC2[operation], params)
        elif what == "ec2:GetManagedPrefixListEntries":
            lists = self._records("PrefixLists")
            found = next((r["Entries"] for r in lists if r["PrefixListId"] == params["PrefixListId"]), None)
            if found is None:
                raise AwsApiError(f"{what} failed: no such list", "InvalidPrefixListID.NotFound")
            key = "Entries"
        elif what in _SINGLES:
            records, by, key, absent = _SINGLES[what]
            matching = [r for r in self._records(records) if all(r.get(by[p]) == v for p, v in params.items())]
            if not matching:
                raise AwsApiError(f"{what} failed: {absent}", absent)
            return {key: copy.deepcopy(matching[0])}
        elif what == "iam:ListAttachedRolePolicies":
            key, found = "AttachedPolicies", self._role(what, params["RoleName"])["AttachedPolicies"]
        elif what == "iam:ListRolePolicies":
            key, found = (
                "PolicyNames",
                [p["PolicyName"] for p in self._role(what, params["RoleName"])["InlinePolicies"]],
            )
        elif what == "iam:GetRolePolicy":
            inline = self._role(what, params["RoleName"])["InlinePolicies"]
            return copy.deepcopy(next(p for p in inline if p["PolicyName"] == params["PolicyName"]))
        elif what == "eks:ListPodIdentityAssociations":
            key = "associations"
            found = [
                r for r in self._records("PodIdentityAssociations") if all(r.get(p) == v for p, v in params.items())
            ]
        else:
            raise NotRecorded(f"world {self._world.name} has no answer to {what}")
        found = copy.deepcopy(found)
        return found if result_key == key else {key: found}

    def _records(self, kind: str) -> list[Record]:
        if kind not in self._world.aws:
            raise NotRecorded(f"world {self._world.name} has no AWS records {kind}: record it again")
        return self._world.aws[kind]

    def _role(self, what: str, name: str) -> Record:
        found = next((r for r in self._records("Roles") if r["RoleName"] == name), None)
        if found is None:
            raise AwsApiError(f"{what} failed: NoSuchEntity", "NoSuchEntity")
        return {"AttachedPolicies": [], "InlinePolicies": [], **found}

    def _elb(self, what: str, spec: _Elb, params: dict[str, Any]) -> tuple[str, list[Any]]:
        key = spec.key or spec.records
        records = self._records(spec.records)
        for parameter, asked in params.items():
            if parameter == "PageSize":
                continue  # The answer is one page, however many records a page may hold.
            if parameter not in spec.by:
                raise NotRecorded(f"world {self._world.name} has no answer to {what} by {parameter}")
            name = spec.by[parameter]
            wanted = asked if isinstance(asked, list) else [asked]
            kind, other = spec.of if spec.of[0] and spec.of[1] == name else (spec.records, name)
            there = {value for record in self._records(kind) for value in _values(record.get(other))}
            if spec.absent and not set(wanted) <= there:
                raise AwsApiError(f"{what} failed: {spec.absent}: {sorted(set(wanted) - there)}", spec.absent)
            records = [r for r in records if set(_values(r.get(name))) & set(wanted)]
        if key == "Attributes":
            table: dict[str, Any] = records[0]["Attributes"] if records else {}
            return key, _pairs(table)
        if key == "TagDescriptions":
            return key, [{"ResourceArn": r["ResourceArn"], "Tags": _pairs(r["Tags"])} for r in records]
        if key == "TargetHealthDescriptions":
            records = [{name: value for name, value in r.items() if name != "TargetGroupArn"} for r in records]
        return key, records

    def _ec2(self, what: str, spec: _Ec2, params: dict[str, Any]) -> list[Record]:
        records = self._records(spec.records)
        for entry in params.get("Filters", ()):
            values = spec.filters.get(entry["Name"])
            if values is None:
                raise NotRecorded(f"world {self._world.name} has no answer to {what} by {entry['Name']}")
            records = [r for r in records if set(values(r)) & set(entry["Values"])]
        if set(params) - {"Filters"}:
            raise NotRecorded(f"world {self._world.name} has no answer to {what} by {sorted(params)}")
        return records


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _pairs(table: dict[str, Any]) -> list[Record]:
    return [{"Key": key, "Value": str(value)} for key, value in table.items()]
