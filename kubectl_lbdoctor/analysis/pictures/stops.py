"""One target of a branch: its node, its pod, and what its health check gets. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kubectl_lbdoctor.analysis.blocked_paths import is_answered
from kubectl_lbdoctor.analysis.pictures.causes import Causes, judged, missing_of
from kubectl_lbdoctor.analysis.pictures.gates import Stopped, gate_hops, second_hop
from kubectl_lbdoctor.model import index, target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth, describe_check
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.picture import Hop, Place, Stop, Verdict
from kubectl_lbdoctor.model.report import TargetView
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_UNASKED = ("unused", "draining")
"""States in which AWS sends a target nothing
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html)."""


@record
class Member:
    """A target with what the report says of it, the filters that stop it, and whether it is expected to fail."""

    health: TargetHealth
    view: TargetView
    stopped: Stopped
    expected: bool = False

    @property
    def reason(self) -> str:
        """AWS's reason, with the codes of the answer."""
        return target_reasons.with_codes(self.health.reason, self.health.description)

    @property
    def is_sound(self) -> bool:
        """Whether nothing about it needs a look."""
        return (self.health.state == "healthy" or self.expected) and not self.stopped.entries


def stop_of(traffic: TrafficPath, member: Member, before: Iterable[Hop], causes: Causes, alike: int = 0) -> Stop:
    """A target with its trace. before: the hops that lead to its zone. alike: how many more fare the same."""
    health, view = member.health, member.view
    own: list[Hop | None] = []
    gates: tuple[Hop, ...] = ()
    if traffic.target_type != "alb":  # A load balancer is on no node, and in no pod.
        own += [_node(traffic, member, causes), _pod(traffic, member, causes)]
    if traffic.target_type != "alb" and health.state not in _UNASKED:
        gates = gate_hops(traffic, health, view, member.stopped, causes)
        own += [second_hop(traffic, health, view, member.stopped, causes), _policy(traffic, member, causes)]
    way = [hop for hop in (*before, *gates, *own) if hop is not None]
    way.sort(key=lambda hop: hop.place.position)
    hops = (*way, _answer(traffic, member, way, causes))
    return Stop(view.label, health.state, hops, member.reason, view.pod, view.node, alike)


def _is_vouched_for(traffic: TrafficPath, member: Member) -> bool:
    """Whether nothing has to be known of a target's node and pod: it answers, or is meant to fail."""
    return member.expected or is_answered(traffic, member.health)


def _unread(missing: tuple[str, ...], answered: bool) -> str:
    """What is not known of a hop that nevertheless passes, "" where it is unknown and says so itself."""
    return f"not read: {', '.join(missing)}" if answered else ""


def _node(traffic: TrafficPath, member: Member, causes: Causes) -> Hop | None:
    name, mine = member.view.node, causes.of_target(Place.NODE, member.view)
    nodes = traffic.cluster.nodes
    answered = _is_vouched_for(traffic, member)
    if not name and member.expected:
        return None  # Another cluster's.
    if not name or not nodes.is_known:
        own = Verdict.PASSES if answered else Verdict.UNKNOWN
        facts = (nodes, traffic.namespace_facts.pods) if not name else (nodes,)
        missing = missing_of(*facts) or ("which node it is on",)
        return judged(Place.NODE, name or "not known", own, mine, _unread(missing, answered), missing)
    node = index.nodes_by_name(traffic.snapshot).get(name)
    ready = node.ready if node is not None else "unknown"
    own = Verdict.PASSES if ready == "True" or answered else Verdict.UNKNOWN
    decided = "ready" if ready == "True" else f"Ready={ready}"
    if traffic.target_type == "instance":
        decided += f", node port {member.health.port}"
    return judged(Place.NODE, name, own, mine, decided, ("whether it runs",))


def _pod(traffic: TrafficPath, member: Member, causes: Causes) -> Hop | None:
    mine = causes.of_target(Place.POD, member.view)
    if traffic.target_type == "instance":
        return _pods_behind(traffic, member, causes)
    answered = _is_vouched_for(traffic, member)
    if not member.view.pod and member.expected:
        return None
    pods = traffic.namespace_facts.pods
    if not pods.is_known or not member.view.pod:
        own = Verdict.PASSES if answered else Verdict.UNKNOWN
        missing = missing_of(pods, traffic.slices) or ("which pod has this address",)
        return judged(Place.POD, "not known", own, mine, _unread(missing, answered), missing)
    pod = index.pods_by_name(traffic.snapshot, traffic.namespace).get(member.view.pod)
    ready = pod is not None and pod.containers_ready
    own = Verdict.PASSES if ready or answered else Verdict.UNKNOWN
    decided = f"{member.view.ready} ready" if member.view.ready else ""
    return judged(Place.POD, member.view.pod, own, mine, decided, ("why it is not ready",))


def _pods_behind(traffic: TrafficPath, member: Member, causes: Causes) -> Hop:
    """The pods that a node port leads to, on whatever node."""
    name, mine = f"pods of {traffic.service_ref}", causes.of_target(Place.POD, member.view)
    try:
        count = len(traffic.ready_endpoints())
    except Unknown as unknown:
        own = Verdict.PASSES if _is_vouched_for(traffic, member) else Verdict.UNKNOWN
        return judged(Place.POD, name, own, mine, missing=missing_of(unknown.fact))
    own = Verdict.PASSES if count else Verdict.NOT_REACHED
    return judged(Place.POD, name, own, mine, f"{count} ready")


def _policy(traffic: TrafficPath, member: Member, causes: Causes) -> Hop | None:
    """The NetworkPolicies of the pod, where they are the question: one blocks, or they were not read and nothing
    answers."""
    mine = causes.of_target(Place.NETWORK_POLICY, member.view)
    policies = traffic.namespace_facts.policies
    if mine:
        return judged(Place.NETWORK_POLICY, str(mine[0].finding.object), Verdict.PASSES, mine)
    if policies.is_known or is_answered(traffic, member.health):
        return None
    return Hop(Place.NETWORK_POLICY, "", Verdict.UNKNOWN, missing=missing_of(policies))


def _answer(traffic: TrafficPath, member: Member, before: Iterable[Hop], causes: Causes) -> Hop:
    """What the health check gets; nothing where something before it keeps packets or replies back."""
    group, health = traffic.target_group.peek(), member.health
    mine = causes.of_target(Place.ANSWER, member.view)
    name = describe_check(group.health_check, member.health.asked_port) if group is not None else "health check"
    said = " ".join(filter(None, (health.state, member.reason)))
    if health.state == "healthy":
        return judged(Place.ANSWER, name, Verdict.PASSES, mine, said)
    if member.expected:
        return judged(Place.ANSWER, name, Verdict.NOT_REACHED, mine, f"{said}, by design")
    if health.state in _UNASKED:
        return judged(Place.ANSWER, name, Verdict.NOT_REACHED, mine, said)
    if not health.state.startswith("unhealthy"):
        return judged(Place.ANSWER, name, Verdict.UNKNOWN, mine, said, ("the first results of its check",))
    cut = any(h.verdict is Verdict.BLOCKS and h.place.position > Place.GROUP.position for h in before)
    if cut:
        return judged(Place.ANSWER, name, Verdict.NOT_REACHED, mine, said)
    others = () if mine else tuple(d.rank for d in causes.diagnoses if member.view.key in d.finding.targets)
    behind = () if mine or others else tuple(d.rank for d in causes.explaining(Place.ANSWER))
    return replace(judged(Place.ANSWER, name, Verdict.BLOCKS, mine, said), effect_of=others or behind)
