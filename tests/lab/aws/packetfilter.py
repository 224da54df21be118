"""Security groups and network ACLs as real packet filters: moto's objects compiled to nftables on the VPC's router.

Order as in a VPC: the network ACLs of both subnets (stateless, at the subnet boundary only), then connection tracking,
then for a new connection the groups of the sending interface (outbound) and of the receiving one (inbound).
What the control plane sends and gets does not pass the forward hook: it is never filtered, but for stopped instances.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from moto.ec2.models import ec2_backends

from tests.lab import topology

PERIOD_SECONDS = 0.5
_TABLE = "lbdlab"
_ANYWHERE = "0.0.0.0/0"
_ICMP = {"icmp", "1"}
_PORTS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp"}

log = logging.getLogger("packetfilter")


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
        rules = "\n".join(compile_table(ec2_backends[topology.ACCOUNT][topology.REGION], self._vpc_id)) + "\n"
        if rules == self._loaded:
            return
        # Declared, deleted, made anew: one transaction, whether the table exists or not.
        transaction = f"table ip {_TABLE} {{ }}\ndelete table ip {_TABLE}\n{rules}"
        done = subprocess.run(["nft", "-f", "-"], input=transaction, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"nft: {done.stderr.strip()[:2000]}")
        self._loaded = rules


def compile_table(ec2: Any, vpc_id: str) -> Iterator[str]:
    interfaces = [interface for interface in list(ec2.enis.values()) if interface.vpc_id == vpc_id]
    groups = list(ec2.groups[vpc_id].values())
    subnets = [subnet for zone in list(ec2.subnets.values()) for subnet in zone.values() if subnet.vpc_id == vpc_id]
    off = [address for interface in interfaces if _off(interface) for address in _addresses(interface)]

    yield f"table ip {_TABLE} {{"
    yield from _set("stopped", off)
    for group in groups:
        # A reference to a group means the addresses of all interfaces that carry it, pods' addresses included.
        yield from _set(_name(group.id), (a for i in interfaces if group in i.group_set for a in _addresses(i)))
    yield from _acls(ec2, subnets)
    yield from _groups(ec2, groups)
    yield from _members(interfaces)
    yield from _hooks()
    yield "}"


def _hooks() -> Iterator[str]:
    for hook in ("input", "output"):
        yield f"  chain {hook} {{"
        yield f"    type filter hook {hook} priority filter; policy accept;"
        yield f"    ip {'saddr' if hook == 'input' else 'daddr'} @stopped drop"
        yield "  }"
    yield "  chain forward {"
    yield "    type filter hook forward priority filter; policy drop;"
    yield '    iifname "host" accept'
    yield '    oifname "host" accept'
    yield "    ip saddr @stopped drop"
    yield "    ip daddr @stopped drop"
    # A load balancer learns nothing from ICMP: what is unreachable or administratively refused is silence to it.
    yield '    oifname "elb" icmp type destination-unreachable icmp code != frag-needed drop'
    yield "    jump acls"
    yield "    ct state established,related accept"
    yield "    ip saddr vmap @outbound"
    yield "    ip daddr vmap @inbound"
    yield "  }"


def _off(interface: Any) -> bool:
    return interface.instance is not None and interface.instance.state != "running"


def _addresses(interface: Any) -> list[str]:
    return [str(address["PrivateIpAddress"]) for address in interface.private_ip_addresses]


def _name(resource_id: str) -> str:
    return resource_id.replace("-", "_")


def _set(name: str, addresses: Iterable[str]) -> Iterator[str]:
    elements = ", ".join(sorted(set(addresses)))
    yield f"  set {name} {{ type ipv4_addr;{f' elements = {{ {elements} }}' if elements else ''} }}"


# --- network ACLs ----------------------------------------------------------------------------------------------------


def _acls(ec2: Any, subnets: list[Any]) -> Iterator[str]:
    used: dict[str, Any] = {}
    acl_of: dict[str, str] = {}
    for acl in list(ec2.network_acls.values()):
        for association in acl.associations:
            acl_of[association.subnet_id] = acl.id
            used[acl.id] = acl
    for acl in used.values():
        for egress in (True, False):
            yield f"  chain {_acl_chain(acl.id, egress)} {{"
            entries = [entry for entry in acl.entries if _truth(entry.egress) == egress and entry.cidr_block]
            for entry in sorted(entries, key=lambda entry: int(entry.rule_number)):
                # `return` goes on with the other subnet's ACL.
                verdict = "return" if entry.rule_action == "allow" else "drop"
                yield f"    {_acl_match(entry, 'daddr' if egress else 'saddr')}{verdict}"
            yield "    drop"
            yield "  }"
    yield "  chain acls {"
    for subnet in subnets:
        yield f"    ip saddr {subnet.cidr_block} ip daddr {subnet.cidr_block} return"
    for egress, direction in ((True, "saddr"), (False, "daddr")):
        for subnet in subnets:
            if subnet.id in acl_of:
                yield f"    ip {direction} {subnet.cidr_block} jump {_acl_chain(acl_of[subnet.id], egress)}"
    yield "  }"


def _truth(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _acl_chain(acl_id: str, egress: bool) -> str:
    return f"{_name(acl_id)}_{'out' if egress else 'in'}"


def _acl_match(entry: Any, direction: str) -> str:
    match = "" if entry.cidr_block == _ANYWHERE else f"ip {direction} {entry.cidr_block} "
    protocol = str(entry.protocol)
    if protocol == "-1":
        return match
    if protocol in _PORTS:
        return match + _ports(_PORTS[protocol], entry.port_range_from, entry.port_range_to)
    return f"{match}ip protocol {'icmp' if protocol in _ICMP else protocol} "


def _ports(protocol: str, low: Any, high: Any) -> str:
    low, high = int(low or 0), int(high if high is not None else 65535)
    if (low, high) == (0, 65535) or low < 0:
        return f"ip protocol {protocol} "
    return f"{protocol} dport {low if low == high else f'{low}-{high}'} "


# --- security groups -------------------------------------------------------------------------------------------------


def _groups(ec2: Any, groups: list[Any]) -> Iterator[str]:
    """Two chains per group: what it lets out (`return`: on to the receiver's groups) and what it lets in."""
    for group in groups:
        for egress in (True, False):
            yield f"  chain {_group_chain(group.id, egress)} {{"
            for rule in list(group.egress_rules if egress else group.ingress_rules):
                for match in _rule_matches(ec2, rule, "daddr" if egress else "saddr"):
                    yield f"    {match}{'goto passed' if egress else 'accept'}"
            yield "  }"
    # The sender's groups agree: only the receiver's are left to ask.
    yield "  chain passed {"
    yield "    ip daddr vmap @inbound"
    yield "    drop"
    yield "  }"


def _group_chain(group_id: str, egress: bool) -> str:
    return f"{_name(group_id)}_{'out' if egress else 'in'}"


def _rule_matches(ec2: Any, rule: Any, direction: str) -> Iterator[str]:
    protocol = str(rule.ip_protocol)
    if protocol == "-1":
        service = ""
    elif protocol in _PORTS:
        service = _ports(_PORTS[protocol], rule.from_port, rule.to_port)
    elif protocol in _ICMP:
        service = "ip protocol icmp "
        if rule.from_port not in (None, -1):
            service = f"icmp type {rule.from_port} "
    elif protocol.isdigit():
        service = f"ip protocol {protocol} "
    else:
        return  # icmpv6 and the like: this VPC has no IPv6
    cidrs = [rule.ip_range["CidrIp"]] if rule.ip_range.get("CidrIp") else []
    if rule.prefix_list_id:
        prefix_list = ec2.managed_prefix_lists.get(rule.prefix_list_id)
        entries = prefix_list.entries.get(prefix_list.version, []) if prefix_list else []
        cidrs += [entry["Cidr"] for entry in entries if ":" not in entry["Cidr"]]
    for cidr in cidrs:
        yield service if cidr == _ANYWHERE else f"ip {direction} {cidr} {service}"
    source = rule.source_group.get("GroupId")
    if source and ec2.get_security_group_from_id(source) is not None:
        yield f"ip {direction} @{_name(source)} {service}"


def _members(interfaces: list[Any]) -> Iterator[str]:
    """Every address of an interface goes to a chain that asks the interface's groups one after the other."""
    combinations: dict[tuple[str, ...], list[str]] = {}
    for interface in interfaces:
        # No group at all: a network load balancer that was made without; it sends what it likes.
        if interface.group_set:
            key = tuple(sorted(group.id for group in interface.group_set))
            combinations.setdefault(key, []).extend(_addresses(interface))
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
        yield f"  map {name} {{ type ipv4_addr : verdict;{f' elements = {{ {elements} }}' if elements else ''} }}"
