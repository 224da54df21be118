"""Which AWS actions the AWS Load Balancer Controller needs, since which release, and under which conditions.

Why this exists: a role that was made for an older controller, or by hand, lacks actions, and the controller then fails
one API call at a time. The shipped policy is the only complete list, so it is kept as data
(`data/lbc_iam_policy.json`: docs/install/iam_policy.json with the release that introduced each action; see
docs/facts.md, "The controller's permissions") and compared with what a role's policies allow.

The comparison reads Effect, Action and NotAction only. It is not IAM: resources, conditions, permissions boundaries,
session and service control policies can still deny what looks allowed here, so a missing action is certain and a
present one is not.
"""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from kubectl_lbdoctor.knowledge.releases import NEWEST_KNOWN, parse_version
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.record import record

__all__ = [
    "CLUSTER_TAG",
    "OPTIONAL_ACTIONS",
    "PolicyReview",
    "PolicyStatement",
    "concerning_controller",
    "missing_actions",
    "permission_statement",
    "required_actions",
    "review_policies",
    "shipped_statements",
    "since_version",
    "verdict",
]

CLUSTER_TAG = "elbv2.k8s.aws/cluster"
"""Tag key on everything that the controller owns; most writes in the shipped policy are conditional on it (`Null:
false`)."""


@record
class PolicyStatement:
    """One statement of the shipped policy: its actions, resources, condition (or None), and the release that
    introduced it."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Any] | None
    since: str


@record
class PolicyReview:
    """What a role's policies say about the required actions.

    missing: needed and allowed nowhere, or denied without a condition on every resource.
    denied: the part of `missing` that an explicit Deny causes (adding an Allow does not help).
    restricted: allowed, but only with a condition or on named resources; the shipped policy restricts most writes too,
    so this is a note and not a fault.
    """

    missing: tuple[str, ...]
    denied: tuple[str, ...]
    restricted: tuple[str, ...]


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    text = pkgutil.get_data("kubectl_lbdoctor", "data/lbc_iam_policy.json")
    loaded: dict[str, Any] = json.loads(text or b"")
    return loaded


def _optional() -> Mapping[str, str]:
    return dict(_data()["optional"])


OPTIONAL_ACTIONS: Mapping[str, str] = _optional()
"""Actions that are not in the shipped policy although a feature needs them: action → the feature."""


@lru_cache(maxsize=1)
def shipped_statements() -> tuple[PolicyStatement, ...]:
    """The statements of the policy that the controller's release ships, in its order."""
    base = str(_data()["base_version"])
    return tuple(
        PolicyStatement(tuple(s["actions"]), tuple(s["resources"]), s.get("condition"), str(s.get("since", base)))
        for s in _data()["statements"]
    )


def since_version(action: str) -> str:
    """The first controller release whose shipped policy has the action; "" when no release ships it."""
    known = {name.lower(): name for statement in shipped_statements() for name in statement.actions}
    name = known.get(action.lower())
    if name is None:
        return ""
    return str(_data()["since"].get(name, _data()["base_version"]))


def required_actions(version: str) -> frozenset[str]:
    """Every action in the policy that belongs to the given controller version; those of the newest release that is
    known to the end when the version is not readable."""
    wanted = parse_version(version) or NEWEST_KNOWN
    names = {name for statement in shipped_statements() for name in statement.actions}
    return frozenset(name for name in names if (parse_version(since_version(name)) or (0, 0, 0)) <= wanted)


def missing_actions(policy_documents: Iterable[Mapping[str, Any]], version: str) -> tuple[str, ...]:
    """The required actions that no statement allows, or that one denies outright, sorted. See `review_policies` for
    the notes."""
    return review_policies(policy_documents, version).missing


def review_policies(policy_documents: Iterable[Mapping[str, Any]], version: str) -> PolicyReview:
    """Compare a role's policy documents (as IAM returns them, decoded) with what the controller version needs.

    Malformed statements are passed over: a broken document must not look like a permission.
    """
    documents = tuple(policy_documents)
    verdicts = {action: verdict(documents, action) for action in sorted(required_actions(version))}

    def those(*wanted: str) -> tuple[str, ...]:
        return tuple(action for action, found in verdicts.items() if found in wanted)

    return PolicyReview(those("missing", "denied"), those("denied"), those("restricted"))


def verdict(policy_documents: Iterable[Mapping[str, Any]], action: str) -> str:
    """What the policies say about one action: "denied" by an unconditional Deny on every resource, "missing" where no
    statement allows it, "restricted" where all that do have a condition or name resources, else "allowed"."""
    statements = [statement for document in policy_documents for statement in _statements(document)]
    covering = [s for s in statements if _covers(s, action)]
    if any(s.get("Effect") == "Deny" and not s.get("Condition") and _everywhere(s) for s in covering):
        return "denied"
    granting = [s for s in covering if s.get("Effect") == "Allow"]
    if not granting:
        return "missing"
    return "restricted" if all(s.get("Condition") or not _everywhere(s) for s in granting) else "allowed"


def concerning_controller(document: Mapping[str, Any]) -> dict[str, Any]:
    """The statements of a policy about services that the controller calls; what else a role may do is nobody's business
    here, and would stand in bundles. STS is among them: bindings in other accounts are reached through a role."""
    actions = {*required_actions(""), *OPTIONAL_ACTIONS, "sts:AssumeRole"}
    services = {action.partition(":")[0].lower() for action in actions}

    def matters(statement: Mapping[str, Any]) -> bool:
        prefixes = {pattern.partition(":")[0].lower() for pattern in _strings(statement.get("Action"))}
        return "NotAction" in statement or any(prefix in services or "*" in prefix for prefix in prefixes)

    kept = ("Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
    statements = [{k: v for k, v in s.items() if k in kept} for s in _statements(document) if matters(s)]
    return {"Statement": statements}


def permission_statement(action: str, resource: str | None = None) -> str:
    """The smallest policy text that grants the action, ready to stand after `"Statement":`.

    Resources and conditions are those of the shipped policy, so that what is added is not wider than what a fresh
    installation has: one statement (a JSON object), or an array where the shipped policy needs several for one action.
    `resource` is the ARN that AWS named in the denial: it chooses between statements for different resource types and
    carries the partition (aws, aws-cn, aws-us-gov). An action that the policy does not ship is granted on that
    resource, or on `*`.
    """
    name = _canonical(action)
    candidates = [s for s in shipped_statements() if name in s.actions]
    open_ones = [s for s in candidates if s.condition is None and (resource is None or _resource_fits(s, resource))]
    fitting = [s for s in candidates if resource is None or _resource_fits(s, resource)]
    chosen = [s for s in open_ones if s.resources == ("*",)][:1] or fitting or candidates
    if not chosen:
        return json.dumps({"Effect": "Allow", "Action": name, "Resource": resource or "*"})
    parts = [_grant(name, s, resource) for s in chosen]
    return json.dumps(parts[0] if len(parts) == 1 else parts)


def _grant(action: str, statement: PolicyStatement, resource: str | None) -> dict[str, Any]:
    resources = [
        _in_partition(pattern, resource) for pattern in statement.resources if _pattern_fits(pattern, resource)
    ]
    resources = resources or list(statement.resources)
    grant: dict[str, Any] = {
        "Effect": "Allow",
        "Action": action,
        "Resource": resources[0] if len(resources) == 1 else resources,
    }
    if statement.condition is not None:
        grant["Condition"] = dict(statement.condition)
    return grant


def _canonical(action: str) -> str:
    for statement in shipped_statements():
        for name in statement.actions:
            if name.lower() == action.lower():
                return name
    return action


def _resource_fits(statement: PolicyStatement, resource: str) -> bool:
    return any(_pattern_fits(pattern, resource) for pattern in statement.resources)


def _pattern_fits(pattern: str, resource: str | None) -> bool:
    if resource is None or pattern == "*":
        return True
    return _wildcard(_in_partition(pattern, resource)).fullmatch(resource) is not None


def _in_partition(pattern: str, resource: str | None) -> str:
    """The shipped ARN pattern in the partition of the denied resource (iam_policy_cn.json and the others differ only
    in that)."""
    denied, shipped = parse_arn(resource or ""), parse_arn(pattern)
    if denied is None or shipped is None or shipped.partition != "aws":
        return pattern
    return str(replace(shipped, partition=denied.partition))


def _statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = document.get("Statement") if isinstance(document, Mapping) else None
    for statement in found if isinstance(found, list) else [found]:
        if isinstance(statement, Mapping):
            yield statement


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list | tuple) else ()


def _everywhere(statement: Mapping[str, Any]) -> bool:
    return "*" in _strings(statement.get("Resource"))


def _covers(statement: Mapping[str, Any], action: str) -> bool:
    """Action: any pattern matches. NotAction: none of them matches. Both are case-insensitive, as in IAM."""
    if "Action" in statement:
        return any(_wildcard(p).fullmatch(action) for p in _strings(statement["Action"]))
    if "NotAction" in statement:
        return not any(_wildcard(p).fullmatch(action) for p in _strings(statement["NotAction"]))
    return False


@lru_cache(maxsize=1024)
def _wildcard(pattern: str) -> re.Pattern[str]:
    """IAM's wildcards: `*` any characters, `?` one character; everything else is literal."""
    runs = re.sub(r"\*+", "*", pattern)
    return re.compile(
        "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in runs), re.IGNORECASE | re.DOTALL
    )
