"""A load balancer's network interfaces: what EC2 shows of them, and real addresses from which health checks come.

AWS places one interface (an ALB: at least one) with the load balancer's security groups into every enabled subnet.
moto creates none. Here each gets an address in the load balancers' network namespace.
"""

from __future__ import annotations

from typing import Any

from tests.lab import topology
from tests.lab.aws import netns

_PUBLIC = {subnet.cidr for subnet in topology.SUBNETS if subnet.public}


def interfaces(balancer: Any) -> dict[str, Any]:
    """The load balancer's interfaces by subnet id, kept on moto's object."""
    found: dict[str, Any] = balancer.__dict__.setdefault("lab_interfaces", {})
    return found


def addresses(balancer: Any, six: bool = False) -> list[str]:
    """What it sends from, of one family."""
    present = list(interfaces(balancer).values())
    if six:
        return [str(address) for interface in present for address in interface.ipv6_addresses]
    return [str(interface.private_ip_address) for interface in present]


def description(balancer: Any) -> str:
    """`ELB app/NAME/ID`: the end of the load balancer's ARN."""
    return "ELB " + str(balancer.arn).partition(":loadbalancer/")[2]


def sync(ec2: Any, balancer: Any) -> None:
    """Bring interfaces in line with the load balancer's subnets and security groups."""
    present = interfaces(balancer)
    wanted = {subnet.id: subnet for subnet in balancer.subnets}
    for subnet_id in [subnet_id for subnet_id in present if subnet_id not in wanted]:
        _remove(ec2, present.pop(subnet_id))
    for subnet_id, subnet in wanted.items():
        if subnet_id not in present:
            present[subnet_id] = _add(ec2, balancer, subnet)
    known = [ec2.get_security_group_from_id(group_id) for group_id in balancer.security_groups or []]
    # moto takes a load balancer with a group that does not exist, and one such group stopped the whole packet filter.
    groups = [group for group in known if group is not None]
    for interface in present.values():
        _give_family(interface, balancer.ip_address_type != "ipv4")
        # A network load balancer may have no group at all; moto would give its interface the VPC's default group.
        interface._group_set = groups


def _give_family(interface: Any, dual: bool) -> None:
    """An IPv6 address, where the load balancer is dual-stack and the subnet has a range of that family."""
    if not dual:
        _take_family(interface)
    elif interface.subnet.ipv6_cidr_block_associations and not interface.ipv6_addresses:
        address = topology.six(str(interface.private_ip_address))
        interface.ipv6_addresses.append(address)
        netns.ip("addr", "add", f"{address}/128", "dev", "eth0", "nodad", netns=topology.NETNS_ELB)
        if interface.subnet.cidr_block not in _PUBLIC:
            netns.ip("route", "replace", f"{address}/128", "dev", "elb", "src", topology.CONTROL_PLANE_IP6)


def _take_family(interface: Any) -> None:
    for address in interface.ipv6_addresses:
        netns.ip("addr", "del", f"{address}/128", "dev", "eth0", netns=topology.NETNS_ELB)
        if interface.subnet.cidr_block not in _PUBLIC:
            netns.ip("route", "del", f"{address}/128")
    interface.ipv6_addresses.clear()


def clear(ec2: Any, balancer: Any) -> None:
    for subnet_id in list(interfaces(balancer)):
        _remove(ec2, interfaces(balancer).pop(subnet_id))


def _add(ec2: Any, balancer: Any, subnet: Any) -> Any:
    address = subnet.get_available_subnet_ip(instance=balancer)
    interface = ec2.create_network_interface(subnet, address, description=description(balancer))
    interface.requester_managed = True
    interface.requester_id = "amazon-elb"
    interface.status = "in-use"
    interface.interface_type = "network_load_balancer" if balancer.type == "network" else "interface"
    netns.ip("addr", "add", f"{address}/32", "dev", "eth0", netns=topology.NETNS_ELB)
    if subnet.cidr_block not in _PUBLIC:
        # The router sends only the public subnets to the load balancers as a whole.
        netns.ip("route", "replace", f"{address}/32", "dev", "elb", "src", topology.CONTROL_PLANE_IP)
    return interface


def _remove(ec2: Any, interface: Any) -> None:
    _take_family(interface)
    address = interface.private_ip_address
    ec2.enis.pop(interface.id, None)
    interface.subnet.del_subnet_ip(address)
    netns.ip("addr", "del", f"{address}/32", "dev", "eth0", netns=topology.NETNS_ELB)
    if interface.subnet.cidr_block not in _PUBLIC:
        netns.ip("route", "del", f"{address}/32")
