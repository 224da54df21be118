"""The branch of one traffic path: its targets by zone, with what is alike folded to a count. Pure.

Only what is shown is followed through the filters: targets in one subnet that AWS says the same of, that the same
filters stop and the same diagnoses name, stand for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from kubectl_lbdoctor.analysis.blocked_paths import Blocked, blocked, target_end
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.pictures.causes import Causes, judged, missing_of
from kubectl_lbdoctor.analysis.pictures.gates import Stopped, merged
from kubectl_lbdoctor.analysis.pictures.stations import branch_hops
from kubectl_lbdoctor.analysis.pictures.stops import Member, stop_of
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.picture import Branch, Crowd, Hop, Place, Stop, Verdict, ZonePart
from kubectl_lbdoctor.model.report import TargetGroupView
from kubectl_lbdoctor.model.traffic_path import TrafficPath

T = TypeVar("T")

SHOWN_SINGLY = 8
"""A branch of at most so many targets shows each of them."""
MOST_ZONES = 6
MOST_STOPS = 5
"""Of one zone: more classes of targets than these are counted."""


def branch(
    traffic: TrafficPath, view: TargetGroupView | None, front: Sequence[Hop], causes: Causes, full: bool = True
) -> Branch:
    """The branch of a path. view: what the report says of its target group. front: the hops before it, with which
    traces begin. full: with zones and targets, else one line that still tells what is wrong."""
    hops = branch_hops(traffic, causes)
    if is_before_ingress(traffic):  # Its branch begins with a load balancer of its own.
        front = [hop for hop in front if hop.place is not Place.BALANCER]
    members = _members(traffic, view)
    left = causes.left(member.view for member in members)
    ends = tuple(judged(place, str(mine[0].finding.object), Verdict.NOT_REACHED, mine) for place, mine in left.items())
    if not traffic.target_health.is_known:
        missing = missing_of(traffic.target_health)
        ends = (*ends, judged(Place.ANSWER, "health of the targets", Verdict.UNKNOWN, missing=missing))
    counted = [m for m in members if m.health.state != "draining" and not m.expected]
    failing = [m for m in counted if not m.is_sound]
    if not full and failing:
        ends = (*ends, Hop(Place.ANSWER, f"{len(failing)} of {len(counted)} targets", Verdict.BLOCKS))
    zones = _zones(traffic, members, (*front, *hops), causes) if full else []
    named = (traffic.backend.behind or traffic.backend.service) if traffic.backend is not None else ""
    return Branch(
        backend=f"{named}:{traffic.backend.port}" if traffic.backend is not None and named else "",
        hops=hops,
        ends=ends,
        zones=tuple(zones[:MOST_ZONES]),
        healthy=sum(1 for m in counted if m.health.state == "healthy"),
        total=len(counted) if traffic.target_health.is_known else -1,
        idle=view is not None and view.idle,
        more_zones=max(0, len(zones) - MOST_ZONES),
    )


def _members(traffic: TrafficPath, view: TargetGroupView | None) -> list[Member]:
    targets = {target.key: target for target in view.targets} if view is not None else {}
    stopped: dict[str, list[Blocked]] = {}
    for entry in _blocked(traffic):
        stopped.setdefault(entry.target.key, []).append(entry)
    expected = view.expected_unhealthy if view is not None else frozenset()
    return [
        Member(health, targets[health.key], Stopped(tuple(stopped.get(health.key, ()))), health.key in expected)
        for health in traffic.target_health.peek() or ()
        if health.key in targets
    ]


def _blocked(traffic: TrafficPath) -> tuple[Blocked, ...]:
    try:
        return blocked(traffic)
    except (Unknown, NotApplicable):
        return ()  # Then every filter is unknown, and says what is missing.


def _zones(traffic: TrafficPath, members: Sequence[Member], before: Sequence[Hop], causes: Causes) -> list[ZonePart]:
    """The subnets with targets, what is broken first."""
    ends = {member.health.key: target_end(traffic, member.health) for member in members}
    by_subnet = _grouped(members, lambda m: (m.health.zone, ends[m.health.key].subnet_id or ""))
    subnets = {subnet.id: subnet for subnet in traffic.network.subnets.peek() or ()}
    zones = []
    for (zone, identifier), mine in by_subnet.items():
        subnet = subnets.get(identifier)
        classes = _grouped(mine, lambda m: (*_fate(m, causes), ends[m.health.key].groups))
        named = zone if zone and zone != "all" else subnet.zone if subnet is not None else ""
        cidr = subnet.cidrs[0] if subnet is not None and subnet.cidrs else ""
        zones.append(_zone(traffic, named, identifier, cidr, list(classes.values()), len(members), before, causes))
    return sorted(zones, key=lambda part: (part.verdict.weight, part.zone, part.subnet))


def _fate(member: Member, causes: Causes) -> tuple[Hashable, ...]:
    """What is equal for targets that stand for each other."""
    named = tuple(d.rank for d in causes.diagnoses if member.health.key in d.finding.targets)
    return member.health.state, member.reason, member.expected, member.stopped.signature, named


def _zone(
    traffic: TrafficPath,
    zone: str,
    subnet: str,
    cidr: str,
    classes: list[list[Member]],
    of_branch: int,
    before: Sequence[Hop],
    causes: Causes,
) -> ZonePart:
    classes.sort(key=lambda members: members[0].is_sound)
    own = causes.of_target(Place.ZONE, classes[0][0].view)
    hop = judged(Place.ZONE, zone, Verdict.PASSES, own, f"{subnet} {cidr}".strip())
    one_by_one = of_branch <= SHOWN_SINGLY
    stops: list[Stop] = []
    followed: list[tuple[tuple[Hop, ...], int]] = []
    crowds: list[Crowd] = []
    for members in classes:
        shown = members if one_by_one else members[:1]
        more = len(members) - len(shown)
        if len(stops) >= MOST_STOPS and not one_by_one:
            crowds.append(_crowd(members, Verdict.BLOCKS if not members[0].is_sound else Verdict.PASSES))
            continue
        made = [stop_of(traffic, member, (*before, hop), causes, more) for member in shown]
        followed += [(stop.hops, len(members) if not one_by_one else 1) for stop in made]
        if one_by_one or not members[0].is_sound or len(members) == 1:
            stops += made
        else:
            crowds.append(_crowd(members, made[0].verdict))
    return ZonePart(zone, subnet, cidr, hop, merged(followed), tuple(stops), tuple(crowds))


def _crowd(members: Sequence[Member], verdict: Verdict) -> Crowd:
    first = members[0]
    nodes = len({member.view.node for member in members if member.view.node})
    return Crowd(len(members), nodes, first.health.state, verdict, first.reason)


def _grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> dict:  # type: ignore[type-arg]
    found: dict[Hashable, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
