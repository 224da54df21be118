"""The filters of the VPC on the way to one target, each with the entry that decided. Pure.

What a filter does is told by `network.path`. That it blocks is told by `analysis.blocked_paths`, which weighs it
against what the target answers: a rule that looks missing while answers come back blocks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from kubectl_lbdoctor.analysis.blocked_paths import Blocked, Way, is_answered, second_ways, ways
from kubectl_lbdoctor.analysis.pictures.causes import Causes, judged, missing_of
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.picture import GATES, Hop, Place, Verdict
from kubectl_lbdoctor.model.report import TargetView
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import path
from kubectl_lbdoctor.network.acls import IMPLICIT, AclVerdict
from kubectl_lbdoctor.network.matching import Answer
from kubectl_lbdoctor.network.routes import RouteVerdict
from kubectl_lbdoctor.network.security_groups import Direction, GroupVerdict, ports_of
from kubectl_lbdoctor.record import record

ANSWERED = "an answer came back through it"
_UNPROVEN = "what was read does not admit it, and no health check has shown it"
_ALL = "security groups, network ACLs and routes"
_MOST_WAYS = 40
"""Ways from a node to pods that are followed for a picture."""


@record
class Stopped:
    """The filters that block the way to one target."""

    entries: tuple[Blocked, ...] = ()

    def at(self, filter: path.Filter) -> tuple[Blocked, ...]:
        """The blocks at a filter between load balancer and target."""
        return tuple(b for b in self.entries if not b.second and b.hop.filter is filter)

    @property
    def beyond_node(self) -> tuple[Blocked, ...]:
        """The blocks between the node and pods on other nodes."""
        return tuple(b for b in self.entries if b.second)

    @property
    def signature(self) -> tuple[tuple[str, str, bool], ...]:
        """What is equal for targets that the same filters stop."""
        return tuple(dict.fromkeys((b.hop.filter.value, b.hop.owner, b.second) for b in self.entries))


def gate_hops(
    traffic: TrafficPath, health: TargetHealth, view: TargetView, stopped: Stopped, causes: Causes
) -> tuple[Hop, ...]:
    """The filters on the way to a target, those of the reply last."""
    port = next((b.port for b in stopped.entries if not b.second), health.asked_port)
    answered = is_answered(traffic, health)
    try:
        found = tuple(ways(traffic, health, port))
    except Unknown as unknown:
        return (_unfollowed(answered, missing_of(unknown.fact)),)
    if not found:
        return (_unfollowed(answered, missing_of(traffic.network.interfaces, traffic.network.subnets)),)
    hops = []
    for filter in path.Filter:
        met = [(way, hop) for way in found if (hop := way.verdict.hop(filter)) is not None]
        if met:
            place, blocks = Place(filter.value), stopped.at(filter)
            known = causes.of_target(place, view)
            hops.append(
                _blocking(place, view, met, blocks, causes) if blocks else _open(traffic, place, met, known, answered)
            )
    return tuple(hops)


def _unfollowed(answered: bool, missing: tuple[str, ...]) -> Hop:
    """All filters as one, where the way could not be followed."""
    if answered:
        return Hop(Place.TARGET_GROUPS, _ALL, Verdict.PASSES, ANSWERED)
    return Hop(Place.TARGET_GROUPS, _ALL, Verdict.UNKNOWN, missing=missing)


def _open(
    traffic: TrafficPath,
    place: Place,
    met: Sequence[tuple[Way, path.Hop]],
    causes: Sequence[Diagnosis],
    answered: bool,
) -> Hop:
    """A filter that nothing shows to block."""
    owners = _owners(hop for _, hop in met)
    if all(hop.answer is Answer.ALLOWED for _, hop in met):
        return judged(place, owners, Verdict.PASSES, causes, _decided(hop for _, hop in met))
    if answered:
        return judged(place, owners, Verdict.PASSES, causes, ANSWERED)
    missing = missing_of(*_facts(traffic, place)) or tuple(dict.fromkeys(u for _, hop in met for u in hop.unknown))
    return judged(place, owners, Verdict.UNKNOWN, causes, "" if missing else _UNPROVEN, missing)


def _blocking(
    place: Place,
    view: TargetView,
    met: Sequence[tuple[Way, path.Hop]],
    blocks: Sequence[Blocked],
    causes: Causes,
) -> Hop:
    """A filter that blocks, with the interfaces of the load balancer that it blocks alone, where it does not all."""
    stopped_from = tuple(dict.fromkeys(b.source for b in blocks))
    decided = _decided(b.hop for b in blocks)
    if len(stopped_from) < len({way.source for way, _ in met}):
        decided += f", from {', '.join(stopped_from)} only"
    owners = _owners(b.hop for b in blocks)
    return causes.blocked_by(Hop(place, owners, Verdict.BLOCKS, decided), blocks[0].hop.code, view)


def second_hop(
    traffic: TrafficPath, health: TargetHealth, view: TargetView, stopped: Stopped, causes: Causes
) -> Hop | None:
    """From the node of an instance target to pods on other nodes; None where that is not the question: its packets do
    not get to the node, the target answers, or no way leads there."""
    beyond = stopped.beyond_node
    if beyond:
        owners = _owners(b.hop for b in beyond)
        hop = Hop(Place.NODE_TO_POD, owners, Verdict.BLOCKS, _decided(b.hop for b in beyond))
        return causes.blocked_by(hop, beyond[0].hop.code, view)
    if stopped.entries or is_answered(traffic, health):
        return None
    try:
        found = [way.verdict for way in islice(second_ways(traffic, health), _MOST_WAYS)]
    except Unknown as unknown:
        return Hop(Place.NODE_TO_POD, "", Verdict.UNKNOWN, missing=missing_of(unknown.fact))
    if not found:
        return None
    unread = tuple(dict.fromkeys(text for verdict in found for text in verdict.unknown))
    missing = missing_of(*_facts(traffic, Place.TARGET_GROUPS)) or unread
    return Hop(Place.NODE_TO_POD, "", Verdict.UNKNOWN if unread else Verdict.PASSES, "", missing if unread else ())


def _owners(hops: Iterable[path.Hop]) -> str:
    """The groups, ACLs or tables of several hops, each once."""
    return ", ".join(dict.fromkeys(owner for hop in hops for owner in hop.owners))


def merged(targets: Iterable[tuple[Iterable[Hop], int]]) -> tuple[Hop, ...]:
    """The gates of several targets as those of their zone, each with its worst verdict. targets: the hops of each, and
    for how many they stand."""
    found: dict[Place, list[tuple[Hop, int]]] = {}
    for hops, count in targets:
        for hop in hops:
            if hop.place.is_gate:
                found.setdefault(hop.place, []).append((hop, count))
    return tuple(_worst(found[place]) for place in GATES if place in found)


def _worst(met: Sequence[tuple[Hop, int]]) -> Hop:
    """One hop for several targets, with the share of them that its verdict holds for."""
    hop = min((hop for hop, _ in met), key=lambda hop: hop.verdict.weight)
    alike = [(other, count) for other, count in met if other.verdict is hop.verdict]
    of, total = sum(count for _, count in alike), sum(count for _, count in met)
    return Hop(
        hop.place,
        ", ".join(dict.fromkeys(other.name for other, _ in alike if other.name)),
        hop.verdict,
        "; ".join(dict.fromkeys(other.decided for other, _ in alike[:3] if other.decided)),
        tuple(dict.fromkeys(text for other, _ in alike for text in other.missing)),
        tuple(sorted({rank for other, _ in met for rank in other.causes})),
        tuple(sorted({rank for other, _ in met for rank in other.effect_of})),
        (of, total) if of < total else (0, 0),
    )


def _facts(traffic: TrafficPath, place: Place) -> tuple:  # type: ignore[type-arg]
    """What a gate is judged by."""
    net = traffic.network
    if place in (Place.SOURCE_GROUPS, Place.TARGET_GROUPS):
        return net.interfaces, net.security_groups, net.prefix_lists
    if place in (Place.REQUEST_ROUTE, Place.RETURN_ROUTE):
        return net.interfaces, net.subnets, net.route_tables, net.prefix_lists
    return net.interfaces, net.subnets, net.acls


# --- The entry that decided, as a person finds it in the console ----------------------------------------------------


def _decided(hops: Iterable[path.Hop]) -> str:
    return "; ".join(list(dict.fromkeys(filter(None, map(_entry, hops))))[:3])


def _entry(hop: path.Hop) -> str:
    if isinstance(hop.detail, GroupVerdict):
        return _rule(hop.detail)
    if isinstance(hop.detail, AclVerdict):
        return _acl_entry(hop.detail)
    return _route(hop) if isinstance(hop.detail, RouteVerdict) else ""


def _rule(verdict: GroupVerdict) -> str:
    word = "from" if verdict.direction is Direction.INGRESS else "to"
    if verdict.rule is not None:
        return f"rule of {verdict.group_id}: {ports_of(verdict.rule)} {word} {verdict.source}"
    missing = verdict.missing
    return f"no rule for {missing.protocol} {missing.ports} {word} {missing.peer}" if missing is not None else ""


def _acl_entry(verdict: AclVerdict) -> str:
    denied = [piece for piece in verdict.slices if not piece.allow]
    texts = []
    for piece in denied or verdict.slices:
        word = "allows" if piece.allow else "denies"
        if piece.entry is None or piece.entry.number >= IMPLICIT:
            texts.append(f"entry * denies ports {piece.ports}")
        else:
            ports = f" ports {piece.ports}" if len(verdict.slices) > 1 else ""
            texts.append(f"entry {piece.entry.number} {word} {piece.entry.cidr}{ports}")
    return ", ".join(dict.fromkeys(texts))


def _route(hop: path.Hop) -> str:
    detail = hop.detail
    if not isinstance(detail, RouteVerdict):
        return ""
    if detail.route is None:
        return "the VPC's local route" if detail.answer is Answer.ALLOWED else "no route leads there"
    broken = " (blackhole)" if detail.blackhole else ""
    return f"route {detail.route.destination or detail.route.prefix_list} to {detail.route.target}{broken}"
