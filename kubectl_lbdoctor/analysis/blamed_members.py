"""Which member of an IngressGroup a complaint is about that names none: whose annotation has the value that it quotes,
or the only one with annotations that are refused so.

A group has one model, so an error of any member stands on all of them. The controller puts the member before the errors
that it finds while it builds the model, and AWS's answers quote values. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.analysis.ingress_backends import known_members
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, AnnotationContext, AnnotationProblem, lint
from kubectl_lbdoctor.model.finding import Confidence, Evidence
from kubectl_lbdoctor.model.k8s import Ingress
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class Blamed:
    """A member ("namespace/name"), what shows that it is the one, and how sure that is."""

    member: str
    evidence: Evidence
    confidence: Confidence


_COMMON = frozenset(
    {
        *("listen-ports", "scheme", "target-type", "backend-protocol", "backend-protocol-version", "ip-address-type"),
        *("healthcheck-protocol", "group.name", "group.order", "ssl-redirect", "load-balancer-name", "tags"),
    }
)
"""Annotations whose values stand in texts about anything, such as names of protocols and of the load balancer."""

_WORD = re.compile(r"[^\s,;=\"'\[\]{}()]{3,}")
_SWITCHES = ("true", "false")
_ADD_ONS = (
    (re.compile(r"operation error WAFV2\b"), ("wafv2-acl-arn", "wafv2-acl-name")),
    (re.compile(r"operation error WAF Regional\b"), ("waf-acl-id", "web-acl-id")),
    (re.compile(r"operation error Shield\b"), ("shield-advanced-protection",)),
)
"""Services whose answers quote nothing, with the annotations that ask for them."""


def blamed_member(traffic: TrafficPath, said: str, code: str) -> Blamed | None:
    """The one member that a text is about; None where it may be about several, or where they are not known. code: of
    what the text says ("LBD310": interval and timeout do not fit together)."""
    members = known_members(traffic.snapshot, traffic.group)
    quoting = {member.meta.key: dict(_quoted(member, said)) for member in members}
    everywhere = {value for value in _all(quoting) if all(value in found for found in quoting.values())}
    telling = {key: sorted(found.keys() - everywhere) for key, found in quoting.items()}
    guilty = [key for key, values in telling.items() if values]
    if len(guilty) == 1:
        value = telling[guilty[0]][-1]
        return Blamed(guilty[0], _evidence(guilty[0], f"{quoting[guilty[0]][value]} has {value}"), Confidence.CERTAIN)
    keys = next((keys for text, keys in _ADD_ONS if text.search(said)), ())
    asking = [(m, key) for m in members for key in keys if ALB_PREFIX + key in m.meta.annotations]
    if not guilty and not asking:
        return _refused(members, code)
    if guilty or len({member.meta.key for member, _ in asking}) != 1:
        return None
    member, key = asking[0]
    shown = f"the only member with annotation {ALB_PREFIX}{key}"
    return Blamed(member.meta.key, _evidence(member.meta.key, shown), Confidence.LIKELY)


def _refused(members: Sequence[Ingress], code: str) -> Blamed | None:
    """The only member whose annotations are refused for what the code says, whatever its Services say: those are not
    looked at, since they may stand in a namespace that was not read."""
    found = {member.meta.key: problem for member in members for problem in _problems(member, code)}
    if len(found) != 1:
        return None
    key, problem = next(iter(found.items()))
    shown = f"annotation {problem.key} is {problem.value[:80]}: {problem.reason}"
    return Blamed(key, _evidence(key, shown), Confidence.LIKELY)


def _problems(member: Ingress, code: str) -> Iterator[AnnotationProblem]:
    context = AnnotationContext(is_alb=True, in_group=True)
    for problem in lint("Ingress", member.meta.annotations, owner="controller", context=context):
        if problem.kind in ("conflict", "invalid-value") and code == _CODES.get(problem.rule, "LBD111"):
            yield problem


_CODES = {"interval-timeout": "LBD310"}
"""The code of a refused annotation, by the rule that finds it; LBD111 for all others."""


def _all(quoting: dict[str, dict[str, str]]) -> set[str]:
    return {value for found in quoting.values() for value in found}


def _quoted(member: Ingress, said: str) -> Iterator[tuple[str, str]]:
    """Values of a member that stand in the text as a whole, each with where the member has it."""
    for key, text in member.meta.annotations.items():
        if key.startswith(ALB_PREFIX) and key.removeprefix(ALB_PREFIX) not in _COMMON:
            words = (word for word in _WORD.findall(text) if word not in _SWITCHES)
            yield from ((word, f"annotation {key}") for word in words if _stands_in(word, said))
    for path in member.paths:
        if path.host and _stands_in(path.host, said):
            yield path.host, "a rule"


def _stands_in(word: str, said: str) -> bool:
    return word in said and re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", said) is not None


def _evidence(member: str, text: str) -> Evidence:
    return Evidence(f"ingress/{member.partition('/')[2]}", text)
