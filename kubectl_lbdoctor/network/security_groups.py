"""Security groups: allow-only rules of all groups of an interface together, in one direction.

Sources (https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html):
- "You can specify allow rules, but not deny rules"; the rules of all groups of an interface are aggregated, there is no
  order. They are stateful: replies pass whatever the other direction says, so only the direction of the request counts.
- A rule that names a group matches "the private IP addresses" of the interfaces that carry it: not what comes from a
  public address, nor what a NAT gateway or another middlebox forwards under its own address.
- IpProtocol "-1" is all traffic on all ports; a TCP or UDP rule without ports is all ports
  (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from kubectl_lbdoctor.model.network import IpPermission, PrefixList, SecurityGroup
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.network.matching import (
    Answer,
    PortRange,
    covers_protocol,
    host_cidr,
    protocol_name,
    within,
)
from kubectl_lbdoctor.record import record

CLUSTER_TAG = "kubernetes.io/cluster/"
"""How the key of the tag begins that says which cluster a subnet or a security group belongs to; its name follows."""


class Direction(str, Enum):
    INGRESS = "ingress"
    EGRESS = "egress"


@record
class Peer:
    """The other end as a security group sees it.

    address: its private address, as it arrives: after NAT, the translator's.
    group_ids: the groups of the interface that has this address; () where it is no interface of this network,
    None where that was not read.
    name_as: the group id or CIDR by which a new rule should name it; by default its only group, else its address.
    """

    address: str
    group_ids: tuple[str, ...] | None = ()
    name_as: str = ""

    @property
    def named(self) -> str:
        if self.name_as:
            return self.name_as
        return self.group_ids[0] if self.group_ids and len(self.group_ids) == 1 else host_cidr(self.address)


@record
class GroupRemedy:
    """The rule to add: to `group_id`, or to any other of `choices`. `peer` is a group id or a CIDR."""

    group_id: str
    direction: Direction
    protocol: str
    ports: PortRange
    peer: str
    choices: tuple[str, ...] = ()

    @property
    def permission(self) -> IpPermission:
        first, last, peer = self.ports.first, self.ports.last, (self.peer,)
        if _is_group(self.peer):
            return IpPermission(self.protocol, first, last, groups=peer)
        return IpPermission(self.protocol, first, last, cidrs=peer)


@record
class GroupVerdict:
    """ALLOWED names the rule: `rule` of `group_id` by its `source` (the CIDR, prefix list or group that matched).

    DENIED carries the rule that is `missing`. UNKNOWN lists in `unknown` the ids that were not read and may admit.
    """

    answer: Answer
    direction: Direction
    group_id: str = ""
    rule: IpPermission | None = None
    source: str = ""
    missing: GroupRemedy | None = None
    unknown: tuple[str, ...] = ()


def admits(
    direction: Direction,
    groups: Sequence[SecurityGroup],
    peer: Peer,
    protocol: str,
    port: int,
    prefix_lists: Mapping[str, PrefixList],
    unread: Sequence[str] = (),
) -> GroupVerdict:
    """Whether the groups of one interface let a connection from, or to, the peer through on this port.

    groups: those of the interface that were read; unread: the ids of the others. An interface always has a group:
    none of either kind means that they are not known. (A load balancer without groups is not to be asked about.)
    """
    unknown = list(unread) if groups or unread else ["security groups of the interface"]
    for group in groups:
        for rule in _rules(group, direction):
            if not covers(rule, protocol, port):
                continue
            source = _source(rule, peer, prefix_lists)
            if source:
                return GroupVerdict(Answer.ALLOWED, direction, group.id, rule, source)
            unknown += _undecided(rule, peer, prefix_lists)
    if unknown:
        return GroupVerdict(Answer.UNKNOWN, direction, unknown=tuple(dict.fromkeys(unknown)))
    chosen = group_to_change(groups)
    missing = GroupRemedy(
        chosen.id, direction, protocol_name(protocol), PortRange(port, port), peer.named, tuple(g.id for g in groups)
    )
    return GroupVerdict(Answer.DENIED, direction, missing=missing)


def rules_counted(
    group: SecurityGroup, direction: Direction, prefix_lists: Mapping[str, PrefixList]
) -> tuple[int, int]:
    """The rules of one direction as the quota counts them, for IPv4 and for IPv6.

    Every source is a rule of its own; one that names a group counts in both families, and a prefix list as many times
    as it may have entries (Amazon VPC quotas, "Inbound or outbound rules per security group": 60 by default).
    """
    four = six = 0
    for rule in _rules(group, direction):
        lists = [prefix_lists[i] for i in rule.prefix_lists if i in prefix_lists]
        both = len(rule.groups) + len(rule.stale_groups) + sum(max(p.max_entries, len(p.cidrs)) for p in lists)
        wide = sum(":" in cidr for cidr in rule.cidrs)
        four += both + len(rule.cidrs) - wide
        six += both + wide
    return four, six


def group_to_change(groups: Sequence[SecurityGroup]) -> SecurityGroup:
    """Where a rule is best added: the one group with the cluster's tag, which is the only one that the controller
    edits (AWS Load Balancer Controller, networking_manager), or else the first."""
    tagged = [g for g in groups if any(key.startswith(CLUSTER_TAG) for key in g.tags)]
    return tagged[0] if len(tagged) == 1 else groups[0]


def command(remedy: GroupRemedy, region: str = "", verb: str = "authorize") -> str:
    """The `aws ec2 authorize-security-group-…` command line that adds the rule; verb: revoke takes it away."""
    if remedy.direction is Direction.INGRESS and ":" not in remedy.peer:
        source = ["--source-group" if _is_group(remedy.peer) else "--cidr", remedy.peer]
        rule = ["--protocol", remedy.protocol, "--port", str(remedy.ports), *source]
    else:
        # The short options know IPv4 only, and old releases of the CLI no group for outbound rules.
        if _is_group(remedy.peer):
            named = f"UserIdGroupPairs=[{{GroupId={remedy.peer}}}]"
        elif ":" in remedy.peer:
            named = f"Ipv6Ranges=[{{CidrIpv6={remedy.peer}}}]"
        else:
            named = f"IpRanges=[{{CidrIp={remedy.peer}}}]"
        ports = f"FromPort={remedy.ports.first},ToPort={remedy.ports.last}"
        rule = ["--ip-permissions", f"IpProtocol={remedy.protocol},{ports},{named}"]
    words = ["ec2", f"{verb}-security-group-{remedy.direction.value}", "--group-id", remedy.group_id, *rule]
    return aws(*words, region=region)


def ports_of(rule: IpPermission) -> str:
    """What a rule admits: "all protocols", "tcp 8080", "tcp 1024-65535"."""
    if rule.protocol == "-1":
        return "all protocols"
    if rule.from_port is None:
        return f"{rule.protocol} all ports"
    return f"{rule.protocol} {rule.from_port}" + (f"-{rule.to_port}" if rule.to_port != rule.from_port else "")


def covers(rule: IpPermission, protocol: str, port: int) -> bool:
    """Whether a rule is about this port of this protocol, whoever its peers are."""
    if protocol_name(rule.protocol) == "-1":
        return True
    return covers_protocol(rule.protocol, protocol) and port in PortRange.between(rule.from_port, rule.to_port)


def describe_rules(group: SecurityGroup, direction: Direction) -> str:
    """The first rules of one direction: "tcp 80 from 0.0.0.0/0; all protocols from sg-1 and 3 more", or "no rule"."""
    rules = _rules(group, direction)
    way = "from" if direction is Direction.INGRESS else "to"
    peers = (",".join((*rule.groups, *rule.cidrs, *rule.prefix_lists)) or "-" for rule in rules)
    texts = [f"{ports_of(rule)} {way} {peer}" for rule, peer in zip(rules[:_SHOWN], peers, strict=False)]
    more = f" and {len(rules) - _SHOWN} more" if len(rules) > _SHOWN else ""
    return f"{'; '.join(texts) or 'no rule'}{more}"


_SHOWN = 4


def _rules(group: SecurityGroup, direction: Direction) -> Sequence[IpPermission]:
    return group.ingress if direction is Direction.INGRESS else group.egress


def _source(rule: IpPermission, peer: Peer, prefix_lists: Mapping[str, PrefixList]) -> str:
    """The part of the rule that matches the peer, or ""."""
    for group_id in rule.groups:
        if group_id in (peer.group_ids or ()):
            return group_id
    cidr = within(rule.cidrs, peer.address)
    if cidr:
        return cidr
    for list_id in rule.prefix_lists:
        found = prefix_lists.get(list_id)
        if found and within(found.cidrs, peer.address):
            return list_id
    return ""


def _undecided(rule: IpPermission, peer: Peer, prefix_lists: Mapping[str, PrefixList]) -> Iterator[str]:
    """What this rule names and nothing was read about."""
    yield from (list_id for list_id in rule.prefix_lists if list_id not in prefix_lists)
    if peer.group_ids is None and rule.groups:
        yield f"security groups of {peer.address}"


def _is_group(peer: str) -> bool:
    return "/" not in peer
