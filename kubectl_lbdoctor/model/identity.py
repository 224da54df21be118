"""Who the controller is in AWS: its IAM role with its policies, as `collect.identity_reads` finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.record import record


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
    """An EKS Pod Identity association: the role that pods of a service account get."""

    namespace: str
    service_account: str
    role_arn: str = ""


_WHY = "asked only where the controller has trouble with its permissions"


@record
class IdentityFacts:
    """What was read of IAM and EKS; asked only where the controller has trouble, keyed by the role's name.

    issuer: the cluster's OIDC issuer, a URL; "" without one. roles: None where the role does not exist.
    """

    issuer: Fact[str] = field(default_factory=lambda: Fact.not_asked(reads.CLUSTER, _WHY))
    associations: Fact[tuple[PodIdentity, ...]] = field(
        default_factory=lambda: Fact.not_asked(reads.POD_IDENTITIES, _WHY)
    )
    roles: Mapping[str, Fact[Role | None]] = field(default_factory=dict)
    attached: Mapping[str, Fact[tuple[RolePolicy, ...]]] = field(default_factory=dict)
    inline: Mapping[str, Fact[tuple[RolePolicy, ...]]] = field(default_factory=dict)
