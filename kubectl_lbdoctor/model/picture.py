"""The way from clients to pods as a picture: what stands on it, in order, and what each thing does with the traffic.

A picture tells nothing that the report and the facts do not hold: it puts them in the order of the way. All formats
that draw (HTML, Graphviz, Mermaid) draw these records.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.report import Report, Status
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.record import record


class Verdict(str, Enum):
    """What a hop does with the traffic. UNKNOWN: what was not read would decide it. NOT_REACHED: nothing gets here,
    because of what stands before it."""

    PASSES = "passes"
    BLOCKS = "blocks"
    UNKNOWN = "unknown"
    NOT_REACHED = "not reached"

    @property
    def weight(self) -> int:
        """Orders verdicts, the one that outweighs all others first."""
        return (Verdict.BLOCKS, Verdict.UNKNOWN, Verdict.NOT_REACHED, Verdict.PASSES).index(self)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on several hops together; PASSES for none."""
    return min(verdicts, key=lambda verdict: verdict.weight, default=Verdict.PASSES)


class Place(str, Enum):
    """What stands on the way, in its order. The first two make it; what follows is met by packets, and last the answer
    of the application is judged by the health check."""

    OBJECT = "object"
    CONTROLLER = "controller"
    CLIENTS = "clients"
    BALANCER = "load-balancer"
    RULE = "rule"
    GROUP = "target-group"
    REGISTRATION = "registration"
    ZONE = "zone"
    SOURCE_GROUPS = "source-groups"
    REQUEST_ACL_OUT = "request-acl-out"
    REQUEST_ROUTE = "request-route"
    REQUEST_ACL_IN = "request-acl-in"
    TARGET_GROUPS = "target-groups"
    NODE = "node"
    NODE_TO_POD = "node-to-pod"
    NETWORK_POLICY = "network-policy"
    POD = "pod"
    RETURN_ACL_OUT = "return-acl-out"
    RETURN_ROUTE = "return-route"
    RETURN_ACL_IN = "return-acl-in"
    ANSWER = "answer"

    @property
    def position(self) -> int:
        """Where it stands, from 0 on."""
        return _POSITIONS[self]

    @property
    def is_gate(self) -> bool:
        """Whether it is a filter of the VPC, and so no station that packets come from or go to."""
        return self in GATES


_POSITIONS = {place: position for position, place in enumerate(Place)}

GATES = (
    Place.SOURCE_GROUPS,
    Place.REQUEST_ACL_OUT,
    Place.REQUEST_ROUTE,
    Place.REQUEST_ACL_IN,
    Place.TARGET_GROUPS,
    Place.RETURN_ACL_OUT,
    Place.RETURN_ROUTE,
    Place.RETURN_ACL_IN,
)
"""The filters of the VPC between a load balancer and a target, in the order of packets and replies."""


@record
class Hop:
    """One thing on the way.

    name: as AWS or Kubernetes knows it, "" for what has no name. decided: the entry that decided, as a person finds it
    (a rule, the number of an entry, a route), or what is known of its state. missing: where it is unknown, the
    permission to add for each denied read, or what else was not read. causes: ranks of the diagnoses that lie here.
    effect_of: ranks of those that lie elsewhere and are why it blocks. share: of how many targets (2 of 3) a verdict
    on several of them holds, (0, 0) where it is about one or all.
    """

    place: Place
    name: str
    verdict: Verdict
    decided: str = ""
    missing: tuple[str, ...] = ()
    causes: tuple[int, ...] = ()
    effect_of: tuple[int, ...] = ()
    share: tuple[int, int] = (0, 0)


@record
class Stop:
    """A target, where a branch ends, with its trace: all hops from the clients on. alike: how many more targets fare
    the same and are not told one by one. reason: AWS's, with the codes of the answer."""

    target: str
    state: str
    hops: tuple[Hop, ...]
    reason: str = ""
    pod: str = ""
    node: str = ""
    alike: int = 0

    @property
    def verdict(self) -> Verdict:
        """Whether traffic gets through to it."""
        return worst(hop.verdict for hop in self.hops if hop.place.position > Place.ZONE.position)

    def hop(self, place: Place) -> Hop | None:
        """What stands at a place of its trace."""
        return next((hop for hop in self.hops if hop.place is place), None)


@record
class Crowd:
    """Targets that are counted, not shown: how many, on how many nodes, and what AWS says of them."""

    count: int
    nodes: int
    state: str
    verdict: Verdict
    reason: str = ""


@record
class ZonePart:
    """What is in one subnet of a zone: the gates before it and the targets in it. zone, subnet, cidr: "" where not
    known. gates: the filters on the way, each with its worst verdict on any target here."""

    zone: str
    subnet: str
    cidr: str
    hop: Hop
    gates: tuple[Hop, ...] = ()
    stops: tuple[Stop, ...] = ()
    crowds: tuple[Crowd, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether traffic gets through to all targets here."""
        parts = [self.hop.verdict, *(gate.verdict for gate in self.gates)]
        parts += [*(stop.verdict for stop in self.stops), *(crowd.verdict for crowd in self.crowds)]
        return worst(parts)


@record
class Branch:
    """The way through one target group. backend: the Service and its port. hops: rule, target group, registration.
    ends: what lies beyond and is of no target, such as pods that are not registered. healthy, total: targets that
    count, total -1 where health was not read. idle: no traffic is meant for it. more_zones: how many subnets with
    targets are not shown."""

    backend: str
    hops: tuple[Hop, ...]
    zones: tuple[ZonePart, ...] = ()
    ends: tuple[Hop, ...] = ()
    healthy: int = 0
    total: int = 0
    idle: bool = False
    more_zones: int = 0

    @property
    def verdict(self) -> Verdict:
        """Whether traffic gets through; PASSES for what is meant to be idle."""
        if self.idle:
            return Verdict.PASSES
        return worst([*(hop.verdict for hop in (*self.hops, *self.ends)), *(zone.verdict for zone in self.zones)])


@record
class Picture:
    """One frontend: who makes its load balancer, where clients come in, and the branches from there.

    subject: the object, or the IngressGroup. made: the object, or all members of the group, then the controller.
    branches: those that are shown in full, the broken ones first. folded: those that are one line each. left_out: how
    many more there are of each verdict.
    """

    subject: ObjectRef
    status: Status
    made: tuple[Hop, ...]
    front: tuple[Hop, ...]
    branches: tuple[Branch, ...] = ()
    folded: tuple[Branch, ...] = ()
    left_out: tuple[tuple[Verdict, int], ...] = ()

    def hops(self) -> Iterable[Hop]:
        """All hops that are shown, in the order of the way."""
        yield from self.made
        yield from self.front
        for branch in self.branches:
            yield from branch.hops
            for zone in branch.zones:
                yield zone.hop
                yield from zone.gates
                for stop in zone.stops:
                    yield from (hop for hop in stop.hops if hop.place in AT_TARGET)
            yield from branch.ends
        for branch in self.folded:
            yield from (*branch.hops, *branch.ends)


AT_TARGET = (Place.NODE, Place.NODE_TO_POD, Place.NETWORK_POLICY, Place.POD, Place.ANSWER)
"""The places of a trace that are each target's own, and no gate of its zone."""


@record
class Pictured:
    """A report with pictures of its subjects, the worst first; where there are many, not of all. scan: the scan that
    the report is of, None for a diagnosis of what was named."""

    report: Report
    pictures: tuple[Picture, ...]
    scan: ScanReport | None = None
