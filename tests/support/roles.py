"""What a printed ClusterRole and a printed IAM policy allow: evaluators, so that a stand-in can refuse all else.

RBAC: https://kubernetes.io/docs/reference/access-authn-authz/rbac/. IAM: the statements' Action and Resource, as far as
`policy iam` uses them; an action that knows no resources is allowed by the resource "*" alone
(https://docs.aws.amazon.com/service-authorization/latest/reference/).
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import yaml

from tests.support.api_requests import Asked, rbac_resource

ACCOUNT = "123456789012"


class Permission(NamedTuple):
    """One verb on one resource; name: of the one object that it is for, "" for all."""

    group: str
    resource: str
    verb: str
    name: str = ""


@dataclass(frozen=True)
class Role:
    """Everything that a ClusterRole allows, bound for the whole cluster. Among the faults of `FakeKube` it hits every
    request that it does not allow."""

    permissions: frozenset[Permission]
    kind: str = "denied"

    @classmethod
    def of(cls, *texts: str) -> Role:
        """The sum of some ClusterRoles as YAML."""
        return cls(
            frozenset(
                Permission(group, resource, verb, name)
                for text in texts
                for rule in yaml.safe_load(text)["rules"]
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
                for name in rule.get("resourceNames", [""])
            )
        )

    def without(self, permission: Permission) -> Role:
        """The same role with one permission less."""
        return replace(self, permissions=self.permissions - {permission})

    def used_by(self, asked: Asked) -> Permission | None:
        """The permission that allows a request; None where it is refused."""
        resource = rbac_resource(asked.resource)
        wanted = (Permission(asked.group, resource, asked.verb, name) for name in ("", asked.name))
        return next((one for one in wanted if one in self.permissions), None)

    def hits(self, asked: Asked) -> bool:
        return self.used_by(asked) is None


class Call(NamedTuple):
    """One call of AWS. form: the parameters of a query API; path: of a REST API."""

    action: str
    form: Mapping[str, list[str]]
    path: str = ""


_ARNS: dict[str, Callable[[str], str]] = {
    "GroupId": lambda value: f"arn:aws:ec2:us-west-2:{ACCOUNT}:security-group/{value}",
    "NetworkAclId": lambda value: f"arn:aws:ec2:us-west-2:{ACCOUNT}:network-acl/{value}",
    "PrefixListId": lambda value: f"arn:aws:ec2:us-west-2:{ACCOUNT}:prefix-list/{value}",
    "TargetGroupArn": lambda value: value,
    "RoleName": lambda value: f"arn:aws:iam::{ACCOUNT}:role/{value}",
    "PolicyArn": lambda value: value,
}


def resource_of(call: Call) -> str:
    """The ARN that a call is authorised for; "*" for an action that knows no resources."""
    service, _, operation = call.action.partition(":")
    if service == "eks":
        _, _, cluster, *rest = call.path.split("/")
        kind = f"podidentityassociation/{cluster}/{rest[1]}" if len(rest) > 1 else f"cluster/{cluster}"
        return f"arn:aws:eks:us-west-2:{ACCOUNT}:{kind}"
    if service == "s3":
        bucket, _, key = call.path.lstrip("/").partition("/")
        return f"arn:aws:s3:::{bucket}/{key}" if operation == "GetObject" else f"arn:aws:s3:::{bucket}"
    if operation.startswith("Describe"):
        return "*"
    return next((arn(call.form[name][0]) for name, arn in _ARNS.items() if name in call.form), "*")


@dataclass(frozen=True)
class Policy:
    """Everything that an IAM policy allows. sts:GetCallerIdentity needs no permission."""

    statements: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, *texts: str) -> Policy:
        """The sum of some policies as JSON."""
        return cls(tuple(statement for text in texts for statement in json.loads(text)["Statement"]))

    @property
    def actions(self) -> frozenset[str]:
        """All actions that it names."""
        return frozenset(action for statement in self.statements for action in statement["Action"])

    def without(self, action: str) -> Policy:
        """The same policy with one action less."""
        return Policy(
            tuple(
                {**statement, "Action": [one for one in statement["Action"] if one != action]}
                for statement in self.statements
            )
        )

    def allows(self, call: Call) -> bool:
        if call.action == "sts:GetCallerIdentity":
            return True
        resource = resource_of(call)
        return any(
            call.action in statement["Action"] and _covers(statement["Resource"], resource)
            for statement in self.statements
        )


def _covers(patterns: str | list[str], resource: str) -> bool:
    """Each part of an ARN is matched by itself, as IAM does; the last one may hold colons."""
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if pattern == "*":
            return True
        wanted, given = pattern.split(":", 5), resource.split(":", 5)
        if len(wanted) == len(given) and all(map(fnmatch.fnmatchcase, given, wanted)):
            return True
    return False
