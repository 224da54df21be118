"""Listening sockets from the lines of /proc/net/tcp and /proc/net/tcp6. Pure.

Addresses are written as 32-bit words in hexadecimal, each in the byte order of the machine: little-endian on x86 and
on arm64. https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from kubectl_lbdoctor.model.probe import Socket

_LISTEN = "0A"
_LINE = re.compile(r"\s*\d+:\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s+[0-9A-F]+:[0-9A-F]{4}\s+([0-9A-F]{2})\s")


def parse(lines: Iterable[str]) -> tuple[Socket, ...]:
    """The sockets in state LISTEN, by port; v4-mapped addresses as IPv4. What is no such line is left out."""
    found = set()
    for line in lines:
        match = _LINE.match(f"{line} ")
        if match is not None and match[3] == _LISTEN:
            found.add(Socket(_address(match[1]), int(match[2], 16)))
    return tuple(sorted(found, key=lambda s: (s.port, s.address)))


def _address(text: str) -> str:
    data = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    if len(data) == 4:
        return str(ipaddress.IPv4Address(data))
    address = ipaddress.IPv6Address(data)
    return str(address.ipv4_mapped or address)
