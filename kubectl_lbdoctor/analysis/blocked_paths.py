"""Which filters of the VPC stop the load balancer's packets on their way to a target. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kubectl_lbdoctor.analysis.check_settings import checked_pod_port
from kubectl_lbdoctor.analysis.local_traffic import without_local_endpoint
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.arn import interface_description
from kubectl_lbdoctor.model.aws import LoadBalancer, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.network import NetworkInterface
from kubectl_lbdoctor.model.snapshot import NetworkFacts
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import path
from kubectl_lbdoctor.network.matching import Answer, address_in, family
from kubectl_lbdoctor.record import record

READS = (
    reads.SERVICES,
    reads.BINDINGS,
    reads.PODS,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
    reads.TARGET_GROUP_ATTRIBUTES,
    reads.NETWORK_INTERFACES,
    reads.SECURITY_GROUPS,
    reads.SUBNETS,
    reads.NETWORK_ACLS,
    reads.ROUTE_TABLES,
    reads.PREFIX_LISTS,
    reads.INGRESSES,
)

PRESERVE = "preserve_client_ip.enabled"


@record
class Way:
    """What the filters do with the packets from one interface to one address and port, and with their replies."""

    source: str
    destination: str
    port: int
    verdict: path.PathVerdict


@record
class Blocked:
    """One filter that blocks the way to one target. `second`: on the hop from node to pod."""

    target: TargetHealth
    hop: path.Hop
    source: str
    destination: str
    port: int
    second: bool = False


def suspects(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    """Failing targets whose reason a filter on the way would explain, and that do not fail by traffic policy."""
    failing = traffic.unhealthy(TIMEOUT) if traffic.is_alb else traffic.unhealthy(TIMEOUT, FAILED_HEALTH_CHECKS)
    service = traffic.service.peek()
    if (
        not failing
        or service is None
        or service.external_traffic_policy != "Local"
        or traffic.target_type != "instance"
    ):
        return failing
    by_policy, _ = without_local_endpoint(traffic)
    return tuple(t for t in failing if t not in by_policy)


def preserves_clients(traffic: TrafficPath) -> bool:
    """Whether targets see the clients' addresses instead of the load balancer's (a Network Load Balancer's group
    attribute; by default on for instance targets and, without a way to turn it off, for UDP)."""
    group, balancer = traffic.target_group.peek(), traffic.load_balancer.peek()
    if group is None or balancer is None or balancer.type != "network":
        return False
    if group.protocol in ("UDP", "TCP_UDP", "QUIC", "TCP_QUIC"):
        return True
    said = (traffic.group_attributes.peek() or {}).get(PRESERVE, "")
    return said == "true" if said else group.target_type == "instance"


def unchecked(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    """Healthy targets that are checked on another port than the one that the load balancer's own traffic goes to.

    Where client addresses are preserved the traffic does not come from the load balancer: see LBD515.
    """
    if preserves_clients(traffic):
        return ()
    return tuple(
        t
        for t in traffic.targets()
        if t.state == "healthy"
        and t.check_port.isdigit()
        and int(t.check_port) != t.port
        and t.key not in traffic.foreign
    )


def is_answered(traffic: TrafficPath, target: TargetHealth) -> bool:
    """Whether packets are known to reach a target on its checked port, and their replies to return: it passes its
    check, or fails it for a reason that only an answer gives
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html)."""
    if target.state == "healthy" or target.reason == RESPONSE_CODE_MISMATCH:
        return True
    return traffic.is_alb and target.reason == FAILED_HEALTH_CHECKS


@derived
def world(traffic: TrafficPath) -> path.NetworkWorld:
    """What was read of the VPC around a path."""
    return world_of(traffic.network)


def world_of(net: NetworkFacts) -> path.NetworkWorld:
    """What was read of the VPC; what was not stays unknown in the verdicts."""
    return path.NetworkWorld(
        groups={g.id: g for g in net.security_groups.peek() or ()},
        acls=net.acls.peek(),
        tables=net.route_tables.peek(),
        subnets={s.id: s for s in net.subnets.peek() or ()},
        prefix_lists={p.id: p for p in net.prefix_lists.peek() or ()},
    )


def sources(traffic: TrafficPath, balancer: LoadBalancer) -> list[path.Endpoint]:
    """The load balancer's interfaces, one per subnet: where its checks come from. A dual-stack one has an address of
    each family, and checks a target from the one of the target's.

    Where they cannot be told apart by AWS's description of them, an address of each of its subnets stands for it.
    """
    groups = balancer.security_groups if balancer.security_groups or balancer.type == "network" else None
    wanted = interface_description(balancer.arn)
    found = [
        path.Endpoint(address, i.subnet_id, groups)
        for i in traffic.network.interfaces.peek() or ()
        if wanted and i.description == wanted
        for address in _one_of_each_family(i.private_ips)
    ]
    if found:
        return found
    subnets = {s.id: s for s in traffic.network.subnets.peek() or ()}
    return [
        path.Endpoint(address_in(cidr), identifier, groups)
        for identifier in balancer.zones.values()
        for cidr in (_one_of_each_family(subnets[identifier].cidrs) if identifier in subnets else ())
    ]


def _one_of_each_family(texts: Iterable[str]) -> tuple[str, ...]:
    """The first IPv4 and the first IPv6 one of addresses or CIDRs."""
    first = {":" in text: text for text in reversed(tuple(texts))}
    return tuple(first[six] for six in (False, True) if six in first)


def target_end(traffic: TrafficPath, target: TargetHealth) -> path.Endpoint:
    """Where a target's packets arrive: an instance's primary interface, or the interface that holds the address."""
    interfaces = traffic.network.interfaces.peek() or ()
    if target.id.startswith("i-"):
        primary = path.primary_interface(target.id, interfaces)
        node = traffic.node_of(target)
        if primary is None:
            return path.Endpoint(node.internal_ip if node is not None else "0.0.0.0")
        group = traffic.target_group.peek()
        six = group is not None and group.ip_address_type == "ipv6"
        address = next((a for a in primary.private_ips if (":" in a) == six), primary.private_ips[0])
        return path.Endpoint.of(primary, address)
    interface = _interface_of(traffic, target.id)
    if interface is not None:
        return path.Endpoint.of(interface, target.id)
    return path.endpoint_at(target.id, interfaces)


def _interface_of(traffic: TrafficPath, address: str) -> NetworkInterface | None:
    return _interfaces(traffic).get(address)


def _interfaces(traffic: TrafficPath) -> Mapping[str, NetworkInterface]:
    """The interfaces that were read, by address; none where they could not be read, so that verdicts stay unknown."""
    return index.interfaces_by_address(traffic.snapshot) if traffic.network.interfaces.is_known else {}


@derived
def _fronts(traffic: TrafficPath) -> tuple[path.Endpoint, ...]:
    """The interfaces of the load balancer in front; raises `Unknown` where it is not known which that is."""
    balancer = traffic.load_balancer.need()
    return tuple(sources(traffic, balancer)) if balancer is not None else ()


def ways(traffic: TrafficPath, target: TargetHealth, port: int) -> Iterator[Way]:
    """The ways to a port of a target, one from each interface of the load balancer that has its address family.

    Raises `Unknown` where it is not known which load balancer is in front.
    """
    end = target_end(traffic, target)
    codes = path.TO_POD_GROUPS if _is_branch(traffic, end.address) else path.FROM_LOAD_BALANCER
    for front in _fronts(traffic):
        if family(front.address) == family(end.address):
            verdict = path.evaluate(front, end, "tcp", port, world(traffic), codes)
            yield Way(front.address, end.address, port, verdict)


def _is_branch(traffic: TrafficPath, address: str) -> bool:
    """Whether an address is a pod's on a branch interface, which has security groups of its own.
    https://docs.aws.amazon.com/eks/latest/userguide/security-groups-for-pods.html"""
    interface = _interface_of(traffic, address)
    return interface is not None and "branch-eni" in interface.description


def second_ways(traffic: TrafficPath, target: TargetHealth) -> Iterator[Way]:
    """The ways from the node of an instance target to ready pods on other nodes; kube-proxy gives them the node's
    address. None where it does not lead there. Raises `Unknown` where Service or endpoints were not read."""
    service = traffic.service.need()
    node = traffic.node_of(target)
    if service is None or node is None or service.external_traffic_policy == "Local":
        return
    if target.state != "healthy" and checked_pod_port(traffic, target) is None:
        return
    node_end = target_end(traffic, target)
    for endpoint in traffic.ready_endpoints():
        # kube-proxy leads a node port to endpoints of the packet's own family.
        if endpoint.node == node.meta.name or (":" in endpoint.address) != (":" in node_end.address):
            continue
        end = path.endpoint_at(endpoint.address, traffic.network.interfaces.peek() or ())
        codes = path.NODE_TO_POD_GROUPS if _is_branch(traffic, endpoint.address) else path.SECOND_HOP
        verdict = path.evaluate(node_end, end, "tcp", endpoint.port, world(traffic), codes)
        yield Way(node_end.address, endpoint.address, endpoint.port, verdict)


@derived
def blocked(traffic: TrafficPath) -> tuple[Blocked, ...]:
    """Every filter that blocks the way to a suspect target, first hop and second; raises `Unknown` where it is not
    known which load balancer is in front."""
    return tuple(_blocked(traffic))


@derived
def is_admitted(traffic: TrafficPath, target: TargetHealth) -> bool:
    """Whether the VPC lets the check of a target through from every interface of the load balancer, and the replies:
    all groups, ACLs and routes on the way were read and admit it. Raises `Unknown` like `blocked`."""
    balancer = traffic.load_balancer.need()
    if balancer is None or not target.check_port.isdigit() or any(b.target == target for b in blocked(traffic)):
        return False
    verdicts = [way.verdict for way in ways(traffic, target, int(target.check_port))]
    return bool(verdicts) and all(verdict.answer is Answer.ALLOWED for verdict in verdicts)


def _blocked(traffic: TrafficPath) -> Iterator[Blocked]:
    targets, silent = suspects(traffic), unchecked(traffic)
    if not (targets or silent) or not _fronts(traffic):
        return
    for target in (*targets, *silent):
        reached = cut = False
        for port in _ports(traffic, target):
            if target.state != "healthy" and port == target.port and not cut and str(port) != target.check_port:
                break  # The check is not stopped by a filter: what stands on the other port is not why it fails.
            for way in ways(traffic, target, port):
                reached = reached or way.verdict.answer in (Answer.ALLOWED, Answer.PARTIAL)
                for hop in way.verdict.blocking:
                    cut = True
                    yield Blocked(target, hop, way.source, way.destination, port)
        if reached and target.id.startswith("i-"):
            for way in second_ways(traffic, target):
                for hop in way.verdict.blocking:
                    yield Blocked(target, hop, way.source, way.destination, way.port, second=True)


def _ports(traffic: TrafficPath, target: TargetHealth) -> tuple[int, ...]:
    """The ports of a target that the load balancer must reach and that no healthy check vouches for."""
    if target.state == "healthy":
        return (target.port,)
    return (
        (target.asked_port,) if preserves_clients(traffic) else tuple(dict.fromkeys((target.asked_port, target.port)))
    )
