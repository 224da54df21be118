"""Network ACLs: numbered entries at a subnet's boundary, the first match decides, replies are judged anew.

Sources (https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html and its neighbours):
- "Rules are evaluated starting with the lowest numbered rule. As soon as a rule matches traffic, it's applied
  regardless of any higher-numbered rule that might contradict it." Numbers are 1 to 32766; last stands a deny of
  everything that cannot be removed (`*`; 32767 for IPv4 and 32768 for IPv6 in the API).
- They are stateless: request and reply are judged separately, so the reply needs its whole range of ephemeral ports.
- "Network ACL rules are evaluated when traffic enters and leaves the subnet, not as it is routed within a subnet."
- Each subnet has exactly one; the VPC's default ACL where none was chosen.
- With protocol -1 the ports of an entry do not count (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkAclEntry.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubectl_lbdoctor.model.network import AclEntry, NetworkAcl
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.network.matching import (
    Answer,
    PortRange,
    contains,
    covers_protocol,
    merged,
    protocol_name,
)
from kubectl_lbdoctor.record import record

IMPLICIT = 32767
"""The first number that no entry of a user can have."""

_NUMBERS = {"icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58"}


@record
class Slice:
    """Ports that one entry decides; None is the implicit deny at the end."""

    ports: PortRange
    entry: AclEntry | None

    @property
    def allow(self) -> bool:
        return self.entry is not None and self.entry.allow


@record
class AclVerdict:
    """`slices` are the ports asked about, ascending, each with the entry that decides it."""

    answer: Answer
    acl_id: str
    egress: bool
    slices: tuple[Slice, ...]

    @property
    def allowed(self) -> tuple[PortRange, ...]:
        return merged(s.ports for s in self.slices if s.allow)

    @property
    def denied(self) -> tuple[PortRange, ...]:
        return merged(s.ports for s in self.slices if not s.allow)

    @property
    def denied_by(self) -> AclEntry | None:
        """The denying entry with the lowest number; None where nothing is denied, or by the implicit deny only."""
        return min((s.entry for s in self.slices if s.entry and not s.allow), key=lambda e: e.number, default=None)


@record
class AclRemedy:
    """The entry to add. `number` is free and before every entry that denies; None where the ACL has no room there.

    before: the number of the denying entry (32767 for the implicit deny).
    """

    acl_id: str
    egress: bool
    number: int | None
    before: int
    protocol: str
    cidr: str
    ports: PortRange

    def entry(self, number: int) -> AclEntry:
        return AclEntry(number, self.egress, True, _number(self.protocol), self.cidr, self.ports.first, self.ports.last)


def acl_of(subnet_id: str, vpc_id: str, acls: Iterable[NetworkAcl]) -> NetworkAcl | None:
    """The subnet's ACL, or its VPC's default one; None where neither was read."""
    default = None
    for acl in acls:
        if subnet_id in acl.subnets:
            return acl
        if acl.is_default and vpc_id and acl.vpc_id == vpc_id:
            default = acl
    return default


def admits(acl: NetworkAcl, egress: bool, peer_address: str, protocol: str, ports: PortRange | int) -> AclVerdict:
    """What the ACL does with packets to (egress) or from the peer whose destination is one of these ports."""
    asked = PortRange.of(ports)
    left: list[PortRange] = [asked]
    slices: list[Slice] = []
    for entry in entries(acl, egress):
        if not left:
            break
        if not (covers_protocol(entry.protocol, protocol) and entry.cidr and contains(entry.cidr, peer_address)):
            continue
        bounds = asked if protocol_name(entry.protocol) == "-1" else PortRange.between(entry.from_port, entry.to_port)
        slices += [Slice(part, entry) for piece in left if (part := piece.overlap(bounds))]
        left = [rest for piece in left for rest in piece.without(bounds)]
    slices += [Slice(piece, None) for piece in left]
    slices.sort(key=lambda s: s.ports)
    allowed = sum(s.allow for s in slices)
    answer = Answer.ALLOWED if allowed == len(slices) else Answer.PARTIAL if allowed else Answer.DENIED
    return AclVerdict(answer, acl.id, egress, tuple(slices))


def entries(acl: NetworkAcl, egress: bool) -> list[AclEntry]:
    """The entries of one direction in the order in which they are evaluated."""
    return sorted((e for e in acl.entries if e.egress == egress), key=lambda e: e.number)


def opening(acl: NetworkAcl, verdict: AclVerdict, cidr: str, protocol: str, ports: PortRange | int) -> AclRemedy:
    """The one entry that lets all these ports through, placed before the first entry that denies some of them."""
    denier = verdict.denied_by
    before = min(denier.number, IMPLICIT) if denier else IMPLICIT
    number = free_number(acl, verdict.egress, before)
    return AclRemedy(acl.id, verdict.egress, number, before, protocol_name(protocol), cidr, PortRange.of(ports))


def free_number(acl: NetworkAcl, egress: bool, before: int, reserved: Iterable[int] = ()) -> int | None:
    """An unused number below `before`: the roundest after the entry that stands there. Both families share the numbers.

    reserved: numbers that other new entries of the same direction will have.
    """
    taken = {e.number for e in acl.entries if e.egress == egress}.union(reserved)
    previous = max((n for n in taken if n < before), default=0)
    for step in (100, 10, 5, 1):
        number = (previous // step + 1) * step
        if number < before:
            return number
    return next((n for n in range(before - 1, 0, -1) if n not in taken), None)


def command(remedy: AclRemedy, region: str = "") -> str:
    """The `aws ec2 create-network-acl-entry` command line; "" where entries must be renumbered first."""
    if remedy.number is None:
        return ""
    words = ["ec2", "create-network-acl-entry", "--network-acl-id", remedy.acl_id]
    words += ["--egress" if remedy.egress else "--ingress", "--rule-number", str(remedy.number)]
    words += ["--protocol", _number(remedy.protocol)]
    words += ["--port-range", f"From={remedy.ports.first},To={remedy.ports.last}"]
    words += ["--ipv6-cidr-block" if ":" in remedy.cidr else "--cidr-block", remedy.cidr, "--rule-action", "allow"]
    return aws(*words, region=region)


def undo_command(remedy: AclRemedy, number: int, region: str = "") -> str:
    """The command line that takes the entry of that number away again."""
    words = ["ec2", "delete-network-acl-entry", "--network-acl-id", remedy.acl_id]
    words += ["--egress" if remedy.egress else "--ingress", "--rule-number", str(number)]
    return aws(*words, region=region)


def open_ports(verdicts: Sequence[AclVerdict], asked: PortRange) -> tuple[PortRange, ...]:
    """The ports that every one of the ACLs lets through: two partial ACLs may leave nothing in common."""
    ports: tuple[PortRange, ...] = (asked,)
    for verdict in verdicts:
        ports = tuple(both for a in ports for b in verdict.allowed if (both := a.overlap(b)))
    return ports


def _number(protocol: str) -> str:
    """ACLs know protocols by number."""
    return _NUMBERS.get(protocol, protocol)
