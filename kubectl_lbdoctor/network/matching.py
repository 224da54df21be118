"""What all filters share: the answers they give, ranges of ports, and whether an address lies in a CIDR."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from kubectl_lbdoctor.model.fact import Fact, Unknown

_ALL_PORTS_LAST = 65535
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}


class Answer(str, Enum):
    """What a filter, or a path, does with the packets in question.

    PARTIAL: with some of them only, as an ACL that lets a part of the reply ports through; connections then fail now
    and then. UNKNOWN: what was read does not decide it.
    """

    ALLOWED = "allowed"
    PARTIAL = "partial"
    DENIED = "denied"
    UNKNOWN = "unknown"

    @property
    def blocks(self) -> bool:
        return self in (Answer.PARTIAL, Answer.DENIED)


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """The ports from `first` to `last`, both included."""

    first: int
    last: int

    @classmethod
    def of(cls, ports: PortRange | int) -> PortRange:
        return ports if isinstance(ports, PortRange) else cls(ports, ports)

    @classmethod
    def between(cls, first: int | None, last: int | None) -> PortRange:
        """As the EC2 API writes it: an absent bound, or -1, does not bound (docs/facts.md, "Security groups")."""
        return cls(0 if first is None or first < 0 else first, _ALL_PORTS_LAST if last is None or last < 0 else last)

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def overlap(self, other: PortRange) -> PortRange | None:
        first, last = max(self.first, other.first), min(self.last, other.last)
        return PortRange(first, last) if first <= last else None

    def without(self, other: PortRange) -> tuple[PortRange, ...]:
        """What is left of it, in up to two pieces."""
        before = PortRange(self.first, min(self.last, other.first - 1))
        after = PortRange(max(self.first, other.last + 1), self.last)
        return tuple(piece for piece in (before, after) if piece.first <= piece.last)


EPHEMERAL = PortRange(1024, 65535)
"""The ports that a load balancer's connections come from, and replies go to: "Requests originating from Elastic Load
Balancing use ports 1024-65535" (docs/facts.md, "Network ACLs"). A NAT gateway and Lambda use the same range."""

LINUX_EPHEMERAL = PortRange(32768, 60999)
"""What a Linux kernel uses for its own connections (net.ipv4.ip_local_port_range; up to 61000 in old kernels)."""


def merged(ranges: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """The same ports in as few ranges as possible, ascending."""
    out: list[PortRange] = []
    for item in sorted(ranges):
        if out and item.first <= out[-1].last + 1:
            out[-1] = PortRange(out[-1].first, max(out[-1].last, item.last))
        else:
            out.append(item)
    return tuple(out)


def protocol_name(protocol: str) -> str:
    """One spelling for the names and numbers that EC2 and Kubernetes use: "6" and "TCP" are "tcp"; "-1" is all."""
    lower = protocol.strip().lower()
    return _PROTOCOLS.get(lower, lower)


def covers_protocol(rule: str, protocol: str) -> bool:
    name = protocol_name(rule)
    return name in ("-1", protocol_name(protocol))


def _no(text: str, what: str) -> Fact[object]:
    """What a filter does with text that is no address is not known; it is neither inside of a block nor outside."""
    return Fact.failed("addresses", f"{text!r} is no {what}")


@lru_cache(maxsize=1 << 16)
def _address(text: str) -> tuple[int, int]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Unknown(_no(text, "address")) from None
    return address.version, int(address)


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The block that the text names; raises Unknown where it names none."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Unknown(_no(text, "block of addresses")) from None


@lru_cache(maxsize=1 << 16)
def _network(text: str) -> tuple[int, int, int, int]:
    network = network_of(text)
    return network.version, int(network.network_address), int(network.netmask), network.prefixlen


def family(address: str) -> int:
    """4 or 6."""
    return _address(address)[0]


def prefix_length(cidr: str) -> int:
    return _network(cidr)[3]


def contains(cidr: str, address: str) -> bool:
    """Whether the address lies in the CIDR; never across families: 0.0.0.0/0 says nothing about IPv6."""
    version, base, mask, _ = _network(cidr)
    address_version, number = _address(address)
    return version == address_version and number & mask == base


def within(cidrs: Iterable[str], address: str) -> str:
    """The first of the CIDRs that holds the address, or ""."""
    return next((cidr for cidr in cidrs if contains(cidr, address)), "")


def host_cidr(address: str) -> str:
    return f"{address}/{32 if family(address) == 4 else 128}"


def network_for(cidrs: Iterable[str], address: str) -> str:
    """The CIDR to name an address by in a rule: the one of its subnet, or else the address alone."""
    return within(cidrs, address) or host_cidr(address)


def address_in(cidr: str) -> str:
    """An address that something in this subnet may have: AWS keeps the first four for itself
    (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html)."""
    network = network_of(cidr)
    return str(network[min(5, network.num_addresses - 1)])


def is_global(address: str) -> bool:
    """Whether the address is one of the internet's; private, shared (100.64/10) and unique-local ones are not."""
    _address(address)
    return ipaddress.ip_address(address).is_global
