"""What IAM and EKS say about the controller's role.

Asked only where an event or the log complains about permissions or identity: few people may read IAM, a healthy object
needs none of it, and it would cost every run six calls. What is denied stays an unknown fact that no verdict depends
on (`reads.OPTIONAL`): the denial itself is proven by what AWS told the controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, Protocol, TypeVar

from kubectl_lbdoctor.collect.accounts import Credentials, other_account
from kubectl_lbdoctor.collect.outcomes import attempt, or_absent
from kubectl_lbdoctor.errors import LbdoctorError, NoCredentials, ReadFailed
from kubectl_lbdoctor.knowledge.controller_identity import (
    accused_role,
    complaints,
    controller_flags,
    irsa_roles,
    role_name,
    uses_pod_identity,
)
from kubectl_lbdoctor.knowledge.iam_policy import concerning_controller
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.identity import IdentityFacts, PodIdentity, Role, RolePolicy, elsewhere
from kubectl_lbdoctor.model.snapshot import Snapshot

T = TypeVar("T")

MAX_ROLES = 4
MAX_POLICIES = 20
"""IAM's quota of attached policies is 10, or 20 on request; inline ones are bounded in their size alone.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
_ROLE_ABSENT = "NoSuchEntity"


class Aws(Credentials, Protocol):
    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...


class _RoleReads(NamedTuple):
    """What is being read of one role."""

    role: Future[Fact[Role | None]]
    attached: Future[Fact[tuple[RolePolicy, ...]]]
    inline: Future[Fact[tuple[RolePolicy, ...]]]


class IdentityReader:
    """Reads of IAM and EKS."""

    def __init__(self, reader: Aws, pool: Executor) -> None:
        self._reader = reader
        self._pool = pool

    def read(self, snapshot: Snapshot) -> IdentityFacts:
        """The roles of the controller, where something complains about its permissions; else nothing is asked."""
        heard = list(complaints(snapshot.cluster, snapshot.namespaces.values()))
        if not heard:
            return IdentityFacts()
        cluster = _cluster_name(snapshot)
        issuer = self._pool.submit(self._issuer, cluster)
        associating = None
        if uses_pod_identity(snapshot.cluster) or not irsa_roles(snapshot.cluster):
            associating = self._pool.submit(self._associations, cluster, snapshot.cluster.service_accounts)
        arns = [*(accused_role(entry) for entry in heard), *irsa_roles(snapshot.cluster).values()]
        reading: dict[str, _RoleReads] = {}
        hidden: dict[str, LbdoctorError] = {}
        self._start(reading, hidden, arns)  # Beside EKS: each of the two may be silent.
        associated = associating.result() if associating is not None else IdentityFacts().associations
        roles = [arn for entry in associated.peek() or () for arn in (entry.role_arn, entry.target_role_arn)]
        self._start(reading, hidden, roles)
        return IdentityFacts(
            issuer=issuer.result(),
            associations=associated,
            roles={name: started.role.result() for name, started in reading.items()} | _unread(reads.ROLE, hidden),
            attached={name: started.attached.result() for name, started in reading.items()}
            | _unread(reads.ATTACHED_POLICIES, hidden),
            inline={name: started.inline.result() for name, started in reading.items()}
            | _unread(reads.INLINE_POLICIES, hidden),
        )

    def _start(self, reading: dict[str, _RoleReads], hidden: dict[str, LbdoctorError], arns: Iterable[str]) -> None:
        """Begin to read further roles, up to MAX_ROLES in all. hidden: gets those that IAM would not find, or of whose
        name it has another one, because they are of another account."""
        for arn in dict.fromkeys(arns):
            name = role_name(arn)
            if not name:
                continue
            try:
                if reason := other_account(self._reader, arn, f"role {name}"):
                    raise NoCredentials(reason)
            except LbdoctorError as error:
                hidden[elsewhere(arn)] = error
                continue
            if name not in reading and len(reading) < MAX_ROLES:
                reading[name] = _RoleReads(
                    self._pool.submit(self._role, name),
                    self._pool.submit(self._attached, name),
                    self._pool.submit(self._inline, name),
                )

    def _call(self, read: str, result_key: str | None = None, **params: Any) -> Any:
        service, _, operation = read.partition(":")
        return self._reader.call(service, operation, result_key, **params)

    def _issuer(self, cluster: str) -> Fact[str]:
        def read() -> str:
            answer = self._call(reads.CLUSTER, name=cluster)
            return str(answer["cluster"].get("identity", {}).get("oidc", {}).get("issuer", ""))

        if not cluster:
            return Fact.not_asked(reads.CLUSTER, "the name of the EKS cluster is not known")
        return attempt(reads.CLUSTER, cluster, read)

    def _associations(self, cluster: str, accounts: Iterable[str]) -> Fact[tuple[PodIdentity, ...]]:
        def read() -> tuple[PodIdentity, ...]:
            found = []
            for key in sorted(accounts):
                namespace, _, name = key.partition("/")
                listed = self._call(
                    reads.POD_IDENTITIES,
                    "associations",
                    clusterName=cluster,
                    namespace=namespace,
                    serviceAccount=name,
                )
                for entry in listed:
                    answer = self._call(
                        reads.POD_IDENTITY,
                        clusterName=cluster,
                        associationId=entry["associationId"],
                    )
                    raw = answer["association"]
                    role, target = str(raw.get("roleArn") or ""), str(raw.get("targetRoleArn") or "")
                    found.append(PodIdentity(namespace, name, role, target))
            return tuple(found)

        if not cluster:
            return Fact.not_asked(reads.POD_IDENTITIES, "the name of the EKS cluster is not known")
        return attempt(reads.POD_IDENTITIES, cluster, read)

    def _role(self, name: str) -> Fact[Role | None]:
        def read() -> Role | None:
            raw = or_absent(lambda: self._call(reads.ROLE, RoleName=name)["Role"], _ROLE_ABSENT)
            if raw is None:
                return None
            boundary = (raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", "")
            return Role(name, str(raw.get("Arn", "")), _document(raw.get("AssumeRolePolicyDocument")), str(boundary))

        return attempt(reads.ROLE, name, read)

    def _attached(self, role: str) -> Fact[tuple[RolePolicy, ...]]:
        def read() -> tuple[RolePolicy, ...]:
            listed = or_absent(
                lambda: self._call(reads.ATTACHED_POLICIES, "AttachedPolicies", RoleName=role), _ROLE_ABSENT
            )
            found = []
            for entry in _at_most(listed or ()):
                arn = entry["PolicyArn"]
                version = self._call(reads.POLICY, PolicyArn=arn)["Policy"]["DefaultVersionId"]
                answer = self._call(reads.POLICY_VERSION, PolicyArn=arn, VersionId=version)
                found.append(RolePolicy(arn, concerning_controller(_document(answer["PolicyVersion"].get("Document")))))
            return tuple(found)

        return attempt(reads.ATTACHED_POLICIES, role, read)

    def _inline(self, role: str) -> Fact[tuple[RolePolicy, ...]]:
        def read() -> tuple[RolePolicy, ...]:
            listed = or_absent(lambda: self._call(reads.INLINE_POLICIES, "PolicyNames", RoleName=role), _ROLE_ABSENT)
            found = []
            for name in _at_most(listed or ()):
                answer = self._call(reads.INLINE_POLICY, RoleName=role, PolicyName=name)
                found.append(RolePolicy(name, concerning_controller(_document(answer.get("PolicyDocument")))))
            return tuple(found)

        return attempt(reads.INLINE_POLICIES, role, read)


def _at_most(listed: Sequence[T]) -> Sequence[T]:
    """The policies of a list. Raises ReadFailed where they are too many to be asked one by one: a part of them does not
    tell what is permitted."""
    if len(listed) > MAX_POLICIES:
        raise ReadFailed(f"the role has {len(listed)} policies, and no more than {MAX_POLICIES} are read")
    return listed


def _unread(source: str, hidden: Mapping[str, LbdoctorError]) -> dict[str, Fact[Any]]:
    def refuse(error: LbdoctorError) -> None:
        raise error

    return {key: attempt(source, key, lambda error=error: refuse(error)) for key, error in hidden.items()}  # type: ignore[misc]


def _cluster_name(snapshot: Snapshot) -> str:
    """As the controller is told to call it, else as the kubeconfig does."""
    named = [controller_flags(w).get("cluster-name", "") for w in snapshot.cluster.controllers.peek() or ()]
    return next(filter(None, named), snapshot.context.cluster)


def _document(value: object) -> Mapping[str, object]:
    """A policy: botocore gives it decoded; what is not one allows nothing."""
    return value if isinstance(value, dict) else {}
