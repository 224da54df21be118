"""Security groups and network ACLs as real packet filters: moto's objects compiled to nftables on the VPC's router.

Each family has a table of its own, since a rule of AWS is for one of them.
Order as in a VPC: the network ACLs of both subnets (stateless, at the subnet boundary only), then connection tracking,
then for a new connection the groups of the sending interface (outbound) and of the receiving one (inbound).
What the control plane sends and gets does not pass the forward hook: it is never filtered, but for stopped instances.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from moto.ec2.models import ec2_backends

from tests.lab import topology

PERIOD_SECONDS = 0.5
_TABLE = "lbdlab"
_PORTS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp"}

log = logging.getLogger("packetfilter")


@dataclass(frozen=True)
class Family:
    """One of the two families: its words in nftables, and where AWS's objects hold what is of it."""

    name: str
    addresses: str
    anywhere: str
    icmp: str
    icmp_protocols: frozenset[str]
    unreachable: str
    cidr_of_rule: str
    cidr_of_entry: str

    @property
    def is_six(self) -> bool:
        return self.name == "ip6"


IPV4 = Family(
    name="ip",
    addresses="ipv4_addr",
    anywhere="0.0.0.0/0",
    icmp="icmp",
    icmp_protocols=frozenset({"icmp", "1"}),
    unreachable="icmp type destination-unreachable icmp code != frag-needed",
    cidr_of_rule="CidrIp",
    cidr_of_entry="cidr_block",
)
IPV6 = Family(
    name="ip6",
    addresses="ipv6_addr",
    anywhere="::/0",
    icmp="icmpv6",
    icmp_protocols=frozenset({"icmpv6", "58"}),
    unreachable="icmpv6 type destination-unreachable",
    cidr_of_rule="CidrIpv6",
    cidr_of_entry="ipv6_cidr_block",
)
FAMILIES = (IPV4, IPV6) if topology.IPV6 else (IPV4,)


class PacketFilter(threading.Thread):
    def __init__(self, vpc_id: str, changed: threading.Event) -> None:
        super().__init__(name="packetfilter", daemon=True)
        self._vpc_id = vpc_id
        self._changed = changed
        self._loaded = ""

    def run(self) -> None:
        while True:
            # At once after a call that changes something, and now and then in any case.
            self._changed.wait(PERIOD_SECONDS)
            self._changed.clear()
            try:
                self.apply()
            except Exception:
                # Request threads change moto's objects meanwhile; the next round sees them whole.
                log.exception("the packet filter was not updated")

    def apply(self) -> None:
        ec2 = ec2_backends[topology.ACCOUNT][topology.REGION]
        rules = "\n".join(line for family in FAMILIES for line in compile_table(ec2, self._vpc_id, family)) + "\n"
        if rules == self._loaded:
            return
        # Declared, deleted, made anew: one transaction, whether the tables exist or not.
        tables = [f"table {family.name} {_TABLE}" for family in FAMILIES]
        transaction = "".join(f"{table} {{ }}\ndelete {table}\n" for table in tables) + rules
        done = subprocess.run(["nft", "-f", "-"], input=transaction, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"nft: {done.stderr.strip()[:2000]}")
        self._loaded = rules


def compile_table(ec2: Any, vpc_id: str, family: Family) -> Iterator[str]:
    interfaces = [interface for interface in list(ec2.enis.values()) if interface.vpc_id == vpc_id]
    groups = list(ec2.groups[vpc_id].values())
    subnets = [subnet for zone in list(ec2.subnets.values()) for subnet in zone.values() if subnet.vpc_id == vpc_id]
    off = [address for interface in interfaces if _off(interface) for address in _addresses(interface, family)]

    yield f"table {family.name} {_TABLE} {{"
    yield from _set("stopped", off, family)
    for group in groups:
        # A reference to a group means the addresses of all interfaces that carry it, pods' addresses included.
        members = [interface for interface in interfaces if group in interface.group_set]
        yield from _set(_name(group.id), (a for interface in members for a in _addresses(interface, family)), family)
    yield from _acls(ec2, subnets, family)
    yield from _groups(ec2, groups, family)
    yield from _members(interfaces, family)
    yield from _hooks(family)
    yield "}"


def _hooks(family: Family) -> Iterator[str]:
    for hook in ("input", "output"):
        yield f"  chain {hook} {{"
        yield f"    type filter hook {hook} priority filter; policy accept;"
        yield f"    {family.name} {'saddr' if hook == 'input' else 'daddr'} @stopped drop"
        yield "  }"
    yield "  chain forward {"
    yield "    type filter hook forward priority filter; policy drop;"
    yield '    iifname "host" accept'
    yield '    oifname "host" accept'
    yield f"    {family.name} saddr @stopped drop"
    yield f"    {family.name} daddr @stopped drop"
    # A load balancer learns nothing from ICMP: what is unreachable or administratively refused is silence to it.
    yield f'    oifname "elb" {family.unreachable} drop'
    yield "    jump acls"
    yield "    ct state established,related accept"
    yield f"    {family.name} saddr vmap @outbound"
    yield f"    {family.name} daddr vmap @inbound"
    yield "  }"


def _off(interface: Any) -> bool:
    return interface.instance is not None and interface.instance.state != "running"


def _addresses(interface: Any, family: Family) -> list[str]:
    if family.is_six:
        return [str(address) for address in interface.ipv6_addresses]
    return [str(address["PrivateIpAddress"]) for address in interface.private_ip_addresses]


def _name(resource_id: str) -> str:
    return resource_id.replace("-", "_")


def _set(name: str, addresses: Iterable[str], family: Family) -> Iterator[str]:
    elements = ", ".join(sorted(set(addresses)))
    yield f"  set {name} {{ type {family.addresses};{f' elements = {{ {elements} }}' if elements else ''} }}"


# --- network ACLs ----------------------------------------------------------------------------------------------------


def _acls(ec2: Any, subnets: list[Any], family: Family) -> Iterator[str]:
    used: dict[str, Any] = {}
    acl_of: dict[str, str] = {}
    for acl in list(ec2.network_acls.values()):
        for association in acl.associations:
            acl_of[association.subnet_id] = acl.id
            used[acl.id] = acl
    for acl in used.values():
        for egress in (True, False):
            yield f"  chain {_acl_chain(acl.id, egress)} {{"
            own = [entry for entry in acl.entries if getattr(entry, family.cidr_of_entry)]
            entries = [entry for entry in own if _truth(entry.egress) == egress]
            for entry in sorted(entries, key=lambda entry: int(entry.rule_number)):
                # `return` goes on with the other subnet's ACL.
                verdict = "return" if entry.rule_action == "allow" else "drop"
                yield f"    {_acl_match(entry, 'daddr' if egress else 'saddr', family)}{verdict}"
            yield "    drop"
            yield "  }"
    yield "  chain acls {"
    ranges = [(subnet, cidr) for subnet in subnets for cidr in _ranges(subnet, family)]
    for _, cidr in ranges:
        yield f"    {family.name} saddr {cidr} {family.name} daddr {cidr} return"
    for egress, direction in ((True, "saddr"), (False, "daddr")):
        for subnet, cidr in ranges:
            if subnet.id in acl_of:
                yield f"    {family.name} {direction} {cidr} jump {_acl_chain(acl_of[subnet.id], egress)}"
    yield "  }"


def _ranges(subnet: Any, family: Family) -> list[str]:
    if family.is_six:
        return [str(entry["ipv6CidrBlock"]) for entry in subnet.ipv6_cidr_block_associations.values()]
    return [str(subnet.cidr_block)]


def _truth(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _acl_chain(acl_id: str, egress: bool) -> str:
    return f"{_name(acl_id)}_{'out' if egress else 'in'}"


def _acl_match(entry: Any, direction: str, family: Family) -> str:
    cidr = getattr(entry, family.cidr_of_entry)
    match = "" if cidr == family.anywhere else f"{family.name} {direction} {cidr} "
    protocol = str(entry.protocol)
    if protocol == "-1":
        return match
    if protocol in _PORTS:
        return match + _ports(_PORTS[protocol], entry.port_range_from, entry.port_range_to)
    return f"{match}meta l4proto {family.icmp if protocol in family.icmp_protocols else protocol} "


def _ports(protocol: str, low: Any, high: Any) -> str:
    low, high = int(low or 0), int(high if high is not None else 65535)
    if (low, high) == (0, 65535) or low < 0:
        return f"meta l4proto {protocol} "
    return f"{protocol} dport {low if low == high else f'{low}-{high}'} "


# --- security groups -------------------------------------------------------------------------------------------------


def _groups(ec2: Any, groups: list[Any], family: Family) -> Iterator[str]:
    """Two chains per group: what it lets out (`return`: on to the receiver's groups) and what it lets in."""
    for group in groups:
        for egress in (True, False):
            yield f"  chain {_group_chain(group.id, egress)} {{"
            for rule in list(group.egress_rules if egress else group.ingress_rules):
                for match in _rule_matches(ec2, rule, "daddr" if egress else "saddr", family):
                    yield f"    {match}{'goto passed' if egress else 'accept'}"
            yield "  }"
    # The sender's groups agree: only the receiver's are left to ask.
    yield "  chain passed {"
    yield f"    {family.name} daddr vmap @inbound"
    yield "    drop"
    yield "  }"


def _group_chain(group_id: str, egress: bool) -> str:
    return f"{_name(group_id)}_{'out' if egress else 'in'}"


def _rule_matches(ec2: Any, rule: Any, direction: str, family: Family) -> Iterator[str]:
    protocol = str(rule.ip_protocol)
    if protocol == "-1":
        service = ""
    elif protocol in _PORTS:
        service = _ports(_PORTS[protocol], rule.from_port, rule.to_port)
    elif protocol in family.icmp_protocols:
        service = f"meta l4proto {family.icmp} "
        if rule.from_port not in (None, -1):
            service = f"{family.icmp} type {rule.from_port} "
    elif protocol.isdigit():
        service = f"meta l4proto {protocol} "
    else:
        return  # ICMP of the other family
    cidrs = [rule.ip_range[family.cidr_of_rule]] if rule.ip_range.get(family.cidr_of_rule) else []
    if rule.prefix_list_id:
        prefix_list = ec2.managed_prefix_lists.get(rule.prefix_list_id)
        entries = prefix_list.entries.get(prefix_list.version, []) if prefix_list else []
        cidrs += [entry["Cidr"] for entry in entries if (":" in entry["Cidr"]) is family.is_six]
    for cidr in cidrs:
        yield service if cidr == family.anywhere else f"{family.name} {direction} {cidr} {service}"
    source = rule.source_group.get("GroupId")
    if source and ec2.get_security_group_from_id(source) is not None:
        yield f"{family.name} {direction} @{_name(source)} {service}"


def _members(interfaces: list[Any], family: Family) -> Iterator[str]:
    """Every address of an interface goes to a chain that asks the interface's groups one after the other."""
    combinations: dict[tuple[str, ...], list[str]] = {}
    for interface in interfaces:
        # No group at all: a network load balancer that was made without; it sends what it likes.
        if interface.group_set:
            key = tuple(sorted(group.id for group in interface.group_set))
            combinations.setdefault(key, []).extend(_addresses(interface, family))
    for egress in (True, False):
        name = "outbound" if egress else "inbound"
        verdicts = []
        for number, (group_ids, addresses) in enumerate(combinations.items()):
            yield f"  chain {name}_{number} {{"
            for group_id in group_ids:
                yield f"    jump {_group_chain(group_id, egress)}"
            yield "    drop"
            yield "  }"
            verdicts += [f"{address} : goto {name}_{number}" for address in sorted(set(addresses))]
        elements = ", ".join(verdicts)
        content = f" elements = {{ {elements} }}" if elements else ""
        yield f"  map {name} {{ type {family.addresses} : verdict;{content} }}"
