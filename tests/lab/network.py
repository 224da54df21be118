"""The lab's network: one namespace per node, one for the load balancers, and the VPC's router between them.

    node1 10.0.1.10 ──┐
    node2 10.0.2.10 ──┤ lbdlab-vpc (router, 10.0.0.1: API server and AWS) ── host (reaches 10.0.0.1 only)
    elb 10.0.101/102 ─┘

Each namespace hangs on a veth pair of its own and holds /32 addresses, so that even two machines of one subnet
talk through the router's FORWARD path, where the packet filter plays the security groups.
"""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.lab import topology
from tests.lab.progress import LabError, Missing

# What the router answers to on every link; link-local, so it can repeat.
ROUTER = "169.254.1.1"
ROUTER6 = "fe80::1"
ELB_KEEPER = "169.254.1.2"
HOST_LINK = "lbdlab0"
HOST_NETWORK = ipaddress.ip_network("169.254.99.0/30")
HOST_ADDRESS, HOST_ROUTER = (str(address) for address in reversed(list(HOST_NETWORK.hosts())))
NETNS_DIR = Path("/run/netns")
CNI_NETWORK = "lbdlab"
CNI_PLUGINS = Path("/usr/lib/cni")  # where Debian's containernetworking-plugins are

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # A load balancer's or a pod's packets may come in on one link and leave on another: no reverse-path filter.
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
}
_SYSCTLS6 = {
    "net/ipv6/conf/all/forwarding": "1",
    # Nobody else is on these links: an address is there at once.
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
}


def _ip(*arguments: str, netns: str | None = None) -> str:
    command = ["ip", *(("-n", netns) if netns else ()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def check_host() -> None:
    """Refuse a machine that itself needs the one address that the lab routes."""
    mine = ipaddress.ip_address(topology.CONTROL_PLANE_IP)
    for route in json.loads(_ip("-json", "-4", "route", "show") or "[]"):
        if route.get("dev") == HOST_LINK:
            continue
        destination = ipaddress.ip_network("0.0.0.0/0" if route["dst"] == "default" else route["dst"], strict=False)
        on_link = "gateway" not in route and destination.prefixlen > 0 and mine in destination
        if on_link or route.get("gateway") == str(mine):
            raise Missing(f"missing: a free address {mine}: this machine's own network uses it (route {route['dst']})")


def exists(netns: str) -> bool:
    return (NETNS_DIR / netns).exists()


def _add_netns(netns: str) -> None:
    _ip("netns", "add", netns)
    _ip("link", "set", "lo", "up", netns=netns)
    wanted = {**_SYSCTLS, **(_SYSCTLS6 if topology.IPV6 else {})}
    settings = [f"{name.replace('/', '.')}={value}" for name, value in wanted.items()]
    command = ["nsenter", f"--net={NETNS_DIR / netns}", "sysctl", "-q", "-w", *settings]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"sysctl in {netns}: {done.stderr.strip()}")


def create() -> None:
    """The router, the host's link to it and the load balancers' namespace. Nodes come one by one."""
    vpc = topology.NETNS_VPC
    _add_netns(vpc)
    _ip("addr", "add", f"{topology.CONTROL_PLANE_IP}/32", "dev", "lo", netns=vpc)
    # What nobody holds is silence, as in a VPC, and not an ICMP error.
    _ip("route", "add", "blackhole", topology.VPC_CIDR, netns=vpc)
    if topology.IPV6:
        _ip("addr", "add", f"{topology.CONTROL_PLANE_IP6}/128", "dev", "lo", netns=vpc)
        _ip("route", "add", "blackhole", topology.VPC_CIDR6, netns=vpc)

    _ip("link", "add", HOST_LINK, "type", "veth", "peer", "name", "host", "netns", vpc)
    _ip("addr", "add", f"{HOST_ROUTER}/{HOST_NETWORK.prefixlen}", "dev", "host", netns=vpc)
    _ip("link", "set", "host", "up", netns=vpc)
    _ip("addr", "add", f"{HOST_ADDRESS}/{HOST_NETWORK.prefixlen}", "dev", HOST_LINK)
    _ip("link", "set", HOST_LINK, "up")
    _ip("route", "add", f"{topology.CONTROL_PLANE_IP}/32", "via", HOST_ROUTER, "dev", HOST_LINK)

    _add_netns(topology.NETNS_ELB)
    public = [subnet for subnet in topology.SUBNETS if subnet.public]
    _attach(topology.NETNS_ELB, "elb", [subnet.cidr for subnet in public], [subnet.cidr6 for subnet in public])
    # Load balancers come and go; the kernel would drop the routes with the last address of the link.
    _ip("addr", "add", f"{ELB_KEEPER}/32", "dev", "eth0", netns=topology.NETNS_ELB)


def add_node(node: topology.Node) -> None:
    _add_netns(node.netns)
    _attach(node.netns, node.name, [f"{node.ip}/32"], [f"{node.ip6}/128"])
    _ip("addr", "add", f"{node.ip}/32", "dev", "eth0", netns=node.netns)
    # Again with the right source address, which is known only now.
    _ip("route", "replace", "default", "via", ROUTER, "dev", "eth0", "onlink", "src", node.ip, netns=node.netns)
    _ip("route", "add", node.pod_cidr, "via", node.ip, "dev", node.name, netns=topology.NETNS_VPC)
    # A pod that is gone: silence too (each living pod has a /32 route), instead of a loop between node and router.
    _ip("route", "add", "blackhole", node.pod_cidr, netns=node.netns)
    if topology.IPV6:
        _ip("addr", "add", f"{node.ip6}/128", "dev", "eth0", netns=node.netns)
        _ip("route", "replace", "default", "via", ROUTER6, "dev", "eth0", "src", node.ip6, netns=node.netns)
        _ip("route", "add", node.pod_cidr6, "via", node.ip6, "dev", node.name, netns=topology.NETNS_VPC)
        _ip("route", "add", "blackhole", node.pod_cidr6, netns=node.netns)


def _attach(netns: str, link: str, cidrs: list[str], cidrs6: list[str]) -> None:
    """A veth pair between a namespace (eth0) and the router (`link`), which reaches `cidrs` over it."""
    vpc = topology.NETNS_VPC
    _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", netns, netns=vpc)
    _ip("addr", "add", f"{ROUTER}/32", "dev", link, netns=vpc)
    _ip("link", "set", link, "up", netns=vpc)
    _ip("link", "set", "eth0", "up", netns=netns)
    for cidr in cidrs:
        _ip("route", "add", cidr, "dev", link, "src", topology.CONTROL_PLANE_IP, netns=vpc)
    _ip("route", "add", "default", "via", ROUTER, "dev", "eth0", "onlink", netns=netns)
    if topology.IPV6:
        _ip("addr", "add", f"{ROUTER6}/64", "dev", link, netns=vpc)
        for cidr in cidrs6:
            _ip("route", "add", cidr, "dev", link, "src", topology.CONTROL_PLANE_IP6, netns=vpc)
        _ip("route", "add", "default", "via", ROUTER6, "dev", "eth0", netns=netns)


def write_cni(node: topology.Node, directory: Path, data: Path) -> None:
    """Pods get VPC addresses of the node, routed and never translated, as with the VPC CNI."""
    ranges: list[list[dict[str, str]]] = [[{"subnet": node.pod_cidr}]]
    routes = [{"dst": "0.0.0.0/0"}]
    if topology.IPV6:
        first, *_, last = node.pod_addresses6
        ranges.append([{"subnet": node.pod_cidr6, "rangeStart": first, "rangeEnd": last}])
        routes.append({"dst": "::/0"})
    ipam = {"type": "host-local", "dataDir": str(data), "ranges": ranges, "routes": routes}
    plugins = [
        {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    directory.mkdir(parents=True, exist_ok=True)
    conf = {"cniVersion": "0.4.0", "name": CNI_NETWORK, "plugins": plugins}
    (directory / "10-lbdlab.conflist").write_text(json.dumps(conf, indent=2))


def namespaces() -> list[str]:
    return sorted(path.name for path in NETNS_DIR.glob(topology.NETNS_PREFIX + "*"))


def remove(netns: str) -> None:
    """Delete a namespace and whatever still runs in it (a shell that somebody left open would keep it alive)."""
    if not exists(netns):
        return
    pids = subprocess.run(["ip", "netns", "pids", netns], capture_output=True, text=True).stdout.split()
    for pid in map(int, pids):
        if pid != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    _ip("netns", "del", netns)


def wipe() -> None:
    """Everything that `create` and `add_node` made; the veths and rules inside go with their namespaces."""
    for netns in namespaces():
        remove(netns)
    if Path("/sys/class/net", HOST_LINK).exists():
        _ip("link", "del", HOST_LINK)
    # `ip netns add` turned the directory into a mount point when it was the first to use it.
    if NETNS_DIR.is_dir() and not any(NETNS_DIR.iterdir()):
        while subprocess.run(["umount", str(NETNS_DIR)], capture_output=True).returncode == 0:
            pass
        with suppress(OSError):
            NETNS_DIR.rmdir()
