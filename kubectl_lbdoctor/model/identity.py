"""Who the controller is in AWS: its IAM role with its policies, as `collect.identity_reads` finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TypeVar

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import parse
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.record import record

T = TypeVar("T")


@record
class Role:
    """An IAM role. `trust` is its trust policy, `boundary` the ARN of its permissions boundary ("" without one)."""

    name: str
    arn: str = ""
    trust: Mapping[str, object] = field(default_factory=dict)
    boundary: str = ""


@record
class RolePolicy:
    """A policy of a role: by its name (inline) or ARN (attached)."""

    name: str
    document: Mapping[str, object] = field(default_factory=dict)


@record
class PodIdentity:
    """An EKS Pod Identity association: the role that pods of a service account get. target_role_arn: the one that EKS
    assumes with it for them, in another account as a rule, and whose permissions they then have; "" for none."""

    namespace: str
    service_account: str
    role_arn: str = ""
    target_role_arn: str = ""


_WHY = "asked only where the controller has trouble with its permissions"


@record
class IdentityFacts:
    """What was read of IAM and EKS; asked only where the controller has trouble, keyed by the role's name. A role of an
    account that the credentials do not lead to is keyed by `elsewhere`, and not asked for.

    issuer: the cluster's OIDC issuer, a URL; "" without one. roles: None where the role does not exist.
    """

    issuer: Fact[str] = field(default_factory=lambda: Fact.not_asked(reads.CLUSTER, _WHY))
    associations: Fact[tuple[PodIdentity, ...]] = field(
        default_factory=lambda: Fact.not_asked(reads.POD_IDENTITIES, _WHY)
    )
    roles: Mapping[str, Fact[Role | None]] = field(default_factory=dict)
    attached: Mapping[str, Fact[tuple[RolePolicy, ...]]] = field(default_factory=dict)
    inline: Mapping[str, Fact[tuple[RolePolicy, ...]]] = field(default_factory=dict)

    def role(self, arn: str) -> Fact[Role | None] | None:
        """What was read of the role with this ARN (STS's of a session, too); None where nothing was."""
        return _of(self.roles, arn)

    def policies(self, arn: str) -> tuple[Fact[tuple[RolePolicy, ...]] | None, ...]:
        """The policies that are attached to that role, and its inline ones."""
        return _of(self.attached, arn), _of(self.inline, arn)


def elsewhere(arn: str) -> str:
    """The key of a role that another account holds: ours may have one of the same name."""
    found = parse(arn)
    return f"{found.account}:{found.role}" if found is not None else ""


def _of(table: Mapping[str, Fact[T]], arn: str) -> Fact[T] | None:
    found = parse(arn)
    if found is None or not found.role:
        return None
    return table.get(elsewhere(arn)) or table.get(found.role)
