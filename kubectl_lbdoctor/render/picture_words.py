"""How the hops of a picture are called, in every format that draws."""

from __future__ import annotations

from kubectl_lbdoctor.checks.wording import counted, part_of
from kubectl_lbdoctor.model.picture import Branch, Crowd, Hop, Place, Verdict

PLACES = {
    Place.OBJECT: "object",
    Place.CONTROLLER: "made by",
    Place.CLIENTS: "clients",
    Place.BALANCER: "load balancer",
    Place.RULE: "listener and rule",
    Place.GROUP: "target group",
    Place.REGISTRATION: "registered from",
    Place.ZONE: "zone",
    Place.SOURCE_GROUPS: "security groups of the load balancer, out",
    Place.REQUEST_ACL_OUT: "network ACL of the load balancer, out",
    Place.REQUEST_ROUTE: "route to the target",
    Place.REQUEST_ACL_IN: "network ACL of the target, in",
    Place.TARGET_GROUPS: "security groups of the target, in",
    Place.NODE: "node",
    Place.NODE_TO_POD: "security groups from node to pod",
    Place.NETWORK_POLICY: "network policies",
    Place.POD: "pod",
    Place.RETURN_ACL_OUT: "reply: network ACL of the target, out",
    Place.RETURN_ROUTE: "reply: route to the load balancer",
    Place.RETURN_ACL_IN: "reply: network ACL of the load balancer, in",
    Place.ANSWER: "health check",
}

CLASSES = {
    Verdict.PASSES: "passes",
    Verdict.BLOCKS: "blocks",
    Verdict.UNKNOWN: "unknown",
    Verdict.NOT_REACHED: "beyond",
}
"""How the styles of a page and of a graph call each verdict."""

MARKS = {Verdict.PASSES: "✓", Verdict.BLOCKS: "✗", Verdict.UNKNOWN: "?", Verdict.NOT_REACHED: "–"}
"""A sign beside each word, for those who do not see colours."""


def spoken(hop: Hop) -> str:
    """A hop in one sentence, as a screen reader says it: what it is, what it does, and why."""
    what = f"{PLACES[hop.place]} {hop.name}".strip()
    return f"{what}: {verdict_of(hop)}" + "".join(f", {text}" for text in (hop.decided, missing_of(hop)) if text)


def verdict_of(hop: Hop) -> str:
    """The verdict in words, with the share of targets that it holds for."""
    count, total = hop.share
    return f"{hop.verdict.value} ({part_of(count, total)})" if total else hop.verdict.value


def missing_of(hop: Hop) -> str:
    """What would have to be read, "" where nothing is missing."""
    return f"not read: {', '.join(hop.missing)}" if hop.missing else ""


def health_of(branch: Branch) -> str:
    """How many targets of a branch are healthy."""
    if branch.idle:
        return "no traffic is meant for it"
    if branch.total < 0:
        return "health not read"
    return f"{branch.healthy} of {counted(branch.total, 'target')} healthy" if branch.total else "no targets"


def crowd_of(crowd: Crowd) -> str:
    """Targets that are counted: "12 healthy targets on 3 nodes"."""
    where = f" on {counted(crowd.nodes, 'node')}" if crowd.nodes else ""
    reason = f" ({crowd.reason})" if crowd.reason else ""
    return f"{crowd.count} {crowd.state} target{'' if crowd.count == 1 else 's'}{where}{reason}"
