"""Whether an IAM role's trust policy lets the controller's pods assume it, and if not, which part refuses. Pure.

IRSA: STS compares issuer, subject and audience of the pod's token with the statement's provider and conditions. EKS Pod
Identity: the service principal assumes the role and tags the session. Sources:
https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html and pod-id-role.html of that guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from kubectl_lbdoctor.model.arn import parse as parse_arn

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
POD_IDENTITY_SERVICE = "pods.eks.amazonaws.com"
POD_IDENTITY_ACTIONS = ("sts:AssumeRole", "sts:TagSession")
AUDIENCE = "sts.amazonaws.com"


def web_identity_refusal(trust: Mapping[str, Any], issuer: str, subject: str, audience: str = AUDIENCE) -> str:
    """Why a token of this issuer, subject and audience is refused; "" when a statement admits it.

    `issuer` is the cluster's, without "https://"; "" (not known) leaves the provider uncompared.
    """
    statements = [s for s in _allowing(trust) if _allows(_actions(s), WEB_IDENTITY)]
    if not statements:
        return f"its trust policy has no statement that allows {WEB_IDENTITY}"
    refusals = [_refusal(s, issuer, subject, audience) for s in statements]
    # What the nearest statement lacks is most likely what was meant: provider, then subject, then audience.
    return "" if any(not text for _, text in refusals) else max(refusals)[1]


def pod_identity_refusal(trust: Mapping[str, Any]) -> str:
    """Why EKS Pod Identity may not assume the role; "" when it may."""
    allowed: set[str] = set()
    for statement in _allowing(trust):
        if POD_IDENTITY_SERVICE in _principals(statement, "Service"):
            allowed |= _actions(statement)
    if not allowed:
        return f"its trust policy does not name the service {POD_IDENTITY_SERVICE}"
    missing = [action for action in POD_IDENTITY_ACTIONS if not _allows(allowed, action)]
    return f"its trust policy does not allow {POD_IDENTITY_SERVICE} {' and '.join(missing)}" if missing else ""


def web_identity_statement(role_arn: str, issuer: str, subject: str) -> str:
    """The statement of a trust policy that admits one service account."""
    role = parse_arn(role_arn)
    partition, account = (role.partition, role.account) if role is not None else ("aws", "ACCOUNT")
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:{partition}:iam::{account}:oidc-provider/{issuer}"},
        "Action": WEB_IDENTITY,
        "Condition": {"StringEquals": {f"{issuer}:sub": subject, f"{issuer}:aud": AUDIENCE}},
    }
    return json.dumps(statement)


def pod_identity_statement() -> str:
    """The statement of a trust policy for EKS Pod Identity."""
    principal = {"Service": POD_IDENTITY_SERVICE}
    return json.dumps({"Effect": "Allow", "Principal": principal, "Action": list(POD_IDENTITY_ACTIONS)})


def _refusal(statement: Mapping[str, Any], issuer: str, subject: str, audience: str) -> tuple[int, str]:
    """How far the token gets (the further, the nearer), and what stops it."""
    providers = [p.partition(":oidc-provider/")[2] for p in _principals(statement, "Federated")]
    if issuer and issuer not in providers:
        named = ", ".join(p for p in providers if p) or "none"
        return 0, f"its trust policy names the OIDC provider {named}, and this cluster's is {issuer}"
    host = issuer or next((p for p in providers if p), "")
    values = {f"{host}:sub": subject, f"{host}:aud": audience}
    for rank, name, what in ((1, "sub", "the service account"), (2, "aud", "tokens for the audience")):
        for operator, key, wanted in _conditions(statement):
            if key.lower().rpartition(":")[2] != name:
                continue
            value = next((v for k, v in values.items() if k.lower() == key.lower()), "")
            if not value:
                return rank, f"a condition of its trust policy is about {key}, which this cluster's tokens do not have"
            if not _holds(operator, value, wanted):
                return rank, f"its trust policy admits {what} {', '.join(wanted)}, not {value}"
    return 3, ""


def _holds(operator: str, value: str, wanted: tuple[str, ...]) -> bool:
    """String conditions; any other operator is taken to hold, because a refusal must be certain."""
    base = operator.rpartition(":")[2].removesuffix("IfExists")
    if base == "StringEquals":
        return value in wanted
    if base == "StringEqualsIgnoreCase":
        return value.lower() in {text.lower() for text in wanted}
    if base == "StringLike":
        return any(fnmatchcase(value, text.replace("[", "[[]")) for text in wanted)
    if base == "StringNotEquals":
        return value not in wanted
    return True


def _allowing(trust: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = trust.get("Statement")
    for statement in found if isinstance(found, list) else [found]:
        if isinstance(statement, Mapping) and statement.get("Effect") == "Allow":
            yield statement


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list | tuple) else ()


def _actions(statement: Mapping[str, Any]) -> set[str]:
    return {action.lower() for action in _texts(statement.get("Action"))}


def _allows(patterns: set[str], action: str) -> bool:
    return any(fnmatchcase(action.lower(), pattern) for pattern in patterns)


def _principals(statement: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    principal = statement.get("Principal")
    return _texts(principal.get(kind)) if isinstance(principal, Mapping) else ()


def _conditions(statement: Mapping[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    condition = statement.get("Condition")
    for operator, pairs in condition.items() if isinstance(condition, Mapping) else ():
        for key, wanted in pairs.items() if isinstance(pairs, Mapping) else ():
            yield str(operator), str(key), _texts(wanted)
