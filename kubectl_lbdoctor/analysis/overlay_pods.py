"""Pods whose addresses the VPC does not know: those of an overlay network. Pure.

With an overlay of Cilium or Calico (VXLAN, IP-in-IP, Geneve), pods have addresses of a range that exists between the
nodes alone. A load balancer in the VPC cannot reach them; it reaches the nodes. Addresses of a secondary range of the
VPC, as 100.64.0.0/16 with custom networking of the VPC CNI, are of the VPC, and what a route leads to is not of an
overlay either. https://docs.cilium.io/en/stable/network/concepts/routing/,
https://docs.tigera.io/calico/latest/networking/configuring/vxlan-ipip,
https://docs.aws.amazon.com/eks/latest/userguide/cni-custom-network.html
"""

from __future__ import annotations

from kubectl_lbdoctor.analysis.node_targets import is_outside_ec2
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.network import NetworkInterface
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.matching import contains, prefix_length, within

READS = (*(reads.SERVICES, reads.PODS, reads.NODES, reads.NETWORK_INTERFACES, reads.SUBNETS, reads.ROUTE_TABLES),)


@derived
def overlay_pods(traffic: TrafficPath) -> tuple[Pod, ...]:
    """The pods of the path's Service that run on instances of this VPC with addresses that no interface, no subnet and
    no route of it but the default one holds. Raises `Unknown` where that cannot be told."""
    pods = [pod for pod in traffic.matching_pods() if pod.ip and not pod.host_network]
    nodes = index.nodes_by_name(traffic.snapshot)
    everyone = traffic.network.interfaces.need()
    interfaces = index.interfaces_by_address(traffic.snapshot)
    own = [
        pod
        for pod in pods
        if (node := nodes.get(pod.node)) is not None and not is_outside_ec2(node) and node.internal_ip in interfaces
    ]
    strange = [pod for pod in own if not _is_of_interface(pod.ip, everyone)]
    if not strange:
        return ()
    routes = [route for table in traffic.network.route_tables.need() for route in table.routes if route.destination]
    if not any(route.target == "local" for route in routes):
        return ()  # Each table has a local route for each range of its VPC: without one, the ranges are not known.
    known = [cidr for subnet in traffic.network.subnets.need() for cidr in subnet.cidrs]
    known += [r.destination for r in routes if prefix_length(r.destination) > 0 and r.state == "active"]
    return tuple(pod for pod in strange if not within(known, pod.ip))


def _is_of_interface(address: str, interfaces: tuple[NetworkInterface, ...]) -> bool:
    """Whether an interface has the address, or a delegated prefix that it is of."""
    return any(
        address in interface.private_ips or any(contains(prefix, address) for prefix in interface.prefixes)
        for interface in interfaces
    )
