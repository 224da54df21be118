"""LBD504, LBD515 and LBD604: what becomes of clients, which no health check stands for.

A Network Load Balancer preserves client addresses for instance targets unless told otherwise, and for ip targets when
told so. Its health checks then come from its own addresses and its traffic does not: healthy targets say nothing about
clients.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kubectl_lbdoctor.analysis.blocked_paths import PRESERVE, preserves_clients, target_end
from kubectl_lbdoctor.analysis.group_settings import Maker, annotated, attribute, maker_of
from kubectl_lbdoctor.analysis.remediation import annotate, kubectl
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.traffic_policy import with_attribute
from kubectl_lbdoctor.checks.wording import counted, part_of
from kubectl_lbdoctor.knowledge.annotations import NLB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import LoadBalancer, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import Fact, NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.network import AclEntry, IpPermission, NetworkAcl, SecurityGroup
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import acls, security_groups
from kubectl_lbdoctor.network.acls import AclVerdict
from kubectl_lbdoctor.network.matching import EPHEMERAL, Answer, PortRange, network_of
from kubectl_lbdoctor.network.matching import family as family_of
from kubectl_lbdoctor.network.path import is_shared_backend
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy, group_to_change
from kubectl_lbdoctor.record import record

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
ANYWHERE = ("0.0.0.0/0", "::/0")
_UDP = ("UDP", "QUIC")
_BOTH = ("TCP_UDP", "TCP_QUIC")
_PRIVATE = tuple(
    ipaddress.ip_network(cidr)
    for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7")
)

_READS = (
    reads.INGRESSES,
    reads.SERVICES,
    reads.BINDINGS,
    reads.NODES,
    reads.LOAD_BALANCERS,
    reads.LISTENERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
    reads.TARGET_GROUP_ATTRIBUTES,
    reads.NETWORK_INTERFACES,
    reads.SECURITY_GROUPS,
    reads.NETWORK_ACLS,
    reads.PREFIX_LISTS,
)


def _preserving(traffic: TrafficPath) -> tuple[TargetGroup, LoadBalancer]:
    group, balancer = traffic.target_group.need(), traffic.load_balancer.need()
    if group is None or balancer is None or balancer.type != "network":
        raise NotApplicable("no target group of a Network Load Balancer")
    traffic.group_attributes.need()
    if not preserves_clients(traffic):
        raise NotApplicable("client addresses are not preserved: targets see the load balancer's")
    return group, balancer


@record
class Admitted:
    """Whom the groups of a target let in on one port. `balancer`: whoever comes through the load balancer, by a rule
    that names one of its groups. others: some rule names a group that is neither the load balancer's nor their own.
    """

    cidrs: tuple[Network, ...]
    balancer: bool = False
    others: bool = False


@check(
    "LBD504",
    title="the load balancer's security group or subnets admit no client",
    passes="the load balancer's security group and subnets admit clients",
    severity=Severity.WARNING,
    message="[the load balancer's security {groups:=group admits|groups admit} nobody][network ACL {acl} of the "
    "load balancer {direction:egress=lets no replies out to clients|ingress=admits no "
    "client}] on listener port {port}",
    reads=(*_READS, reads.SUBNETS),
    distinct_by=("port", "direction"),
)
def clients_not_admitted(traffic: TrafficPath) -> Iterator[Finding]:
    """The load balancer's own security groups have no inbound rule at all for one of its listener ports, or the network
    ACL of one of its subnets drops all clients or the replies to them (ports 1024-65535), so no client reaches it
    there, however healthy its targets are.

    Confirm by hand: `aws ec2 describe-security-groups`, `aws ec2 describe-network-acls`. Repair: add an inbound
    rule for the clients, or set the `inbound-cidrs` annotation where the controller manages the group; network ACLs
    need entries in both directions.
    """
    balancer = traffic.load_balancer.need()
    if balancer is None:
        raise NotApplicable("no load balancer")
    groups: dict[str, SecurityGroup] = {}
    if balancer.security_groups:
        groups = {g.id: g for g in traffic.network.security_groups.need()}
        if not set(balancer.security_groups) <= set(groups):
            return
    for listener in traffic.listeners.need():
        protocols = protocols_of(listener.protocol)
        rules = [rule for i in balancer.security_groups for rule in groups[i].ingress]
        open_to = [
            rule
            for rule in rules
            if any(security_groups.covers(rule, protocol, listener.port) for protocol in protocols)
            and (rule.cidrs or rule.groups or rule.prefix_lists)
        ]
        if balancer.security_groups and not open_to:
            names = ", ".join(balancer.security_groups)
            own = _own_group(balancer, groups)
            yield Finding(
                "LBD504",
                ObjectRef("SecurityGroup", "", own or balancer.security_groups[0]),
                params={"groups": balancer.security_groups, "direction": "ingress", "port": str(listener.port)},
                evidence=(Evidence(names, f"{counted(len(rules), 'inbound rule')}, none for {listener.port}"),),
                confirm=(
                    aws(
                        *("ec2", "describe-security-groups", "--group-ids", *balancer.security_groups),
                        region=traffic.context.region,
                    ),
                ),
                by_hand=_opened(traffic, balancer, own, protocols[0], listener.port) if own else (),
                advice="let your clients in: change the source, where the load balancer is not for these"
                if own
                else "give the load balancer a security group of its own: it has only the one that all of the "
                "controller's load balancers carry",
            )
        elif not any(rule.groups for rule in open_to):
            # Whoever comes by a group has an address of the VPC, which is not known here.
            cidrs = [cidr for rule in open_to for cidr in _cidrs(traffic, rule)] or list(_source_ranges(traffic))
            yield from _balancers_acls(traffic, balancer, listener.port, protocols[0], cidrs)


def _own_group(balancer: LoadBalancer, groups: Mapping[str, SecurityGroup]) -> str:
    """The first group that the load balancer does not carry because all of the controller's do, "" without one: to open
    that one would open every load balancer of the cluster. AWS promises no order."""
    return next((i for i in balancer.security_groups if not is_shared_backend(groups[i].tags)), "")


def _opened(traffic: TrafficPath, balancer: LoadBalancer, group: str, protocol: str, port: int) -> tuple[str, ...]:
    """The commands by which this group admits whom the object asks for, else everybody; an internal load balancer is
    for its network, which only people can name."""
    ranges = _source_ranges(traffic)
    if balancer.scheme != "internet-facing" and set(ranges) & {*ANYWHERE}:
        return ()
    opened = (
        security_groups.command(
            GroupRemedy(group, Direction.INGRESS, protocol, PortRange(port, port), cidr),
            traffic.context.region,
        )
        for cidr in ranges
    )
    return tuple(filter(None, opened))


def _balancers_acls(
    traffic: TrafficPath, balancer: LoadBalancer, port: int, protocol: str, cidrs: Sequence[str]
) -> Iterator[Finding]:
    public = balancer.scheme == "internet-facing"
    clients = [c for c in relevant(_networks(cidrs), public) if c.version == 4]
    known = {acl.id: acl for acl in traffic.network.acls.need()}
    closed: dict[str, tuple[AclVerdict, list[str]]] = {}
    for subnet in balancer.zones.values():
        acl = acls.acl_of(subnet, balancer.vpc_id, known.values())
        denied = [_denied(acl, c, protocol, port, public) for c in clients] if acl is not None else []
        if acl is not None and denied and denied[0] is not None and None not in denied:
            closed.setdefault(acl.id, (denied[0], []))[1].append(subnet)
    for identifier, (verdict, subnets) in closed.items():
        entry = verdict.denied_by
        reason = _why(entry)
        way = "outbound, to the clients' ports 1024-65535" if verdict.egress else f"inbound, to port {port}"
        ports: PortRange | int = EPHEMERAL if verdict.egress else port
        remedy = acls.opening(known[identifier], verdict, str(clients[0]), protocol, ports)
        command = acls.command(remedy, traffic.context.region)
        yield Finding(
            "LBD504",
            ObjectRef("NetworkAcl", "", identifier),
            params={
                "acl": identifier,
                "subnets": tuple(subnets),
                "direction": "egress" if verdict.egress else "ingress",
                "port": str(port),
            },
            evidence=(Evidence(f"network ACL {identifier}", f"{way}: {reason}"),),
            confirm=(
                aws("ec2", "describe-network-acls", "--network-acl-ids", identifier, region=traffic.context.region),
            ),
            by_hand=(command,) if command else (),
        )


@check(
    "LBD515",
    title="targets do not admit clients whose addresses are preserved",
    passes="targets admit clients whose addresses are preserved",
    severity=Severity.ERROR,
    message="[the targets' security {groups:=group does|groups do}][network ACL {acl} does] not "
    "{direction:egress=let out the replies to|ingress=admit} {clients:,3} on {protocol} "
    "{port}",
    reads=_READS,
    distinct_by=("direction", "protocol", "port"),
)
def clients_blocked(traffic: TrafficPath) -> Iterator[Finding]:
    """A Network Load Balancer preserves client addresses for this target group, so the targets' security groups must
    admit the clients, or name the load balancer's own group as a source (which stands for all that comes through it).
    Where they admit the health checks only, every target is healthy and every client times out. The network ACLs of the
    targets' subnets are asked about clients, too, in both directions.

    Clients are those that the load balancer's inbound rules admit; for a load balancer without security groups those
    of `loadBalancerSourceRanges`. Of an internet-facing one only those with public addresses count.

    Confirm by hand: `aws elbv2 describe-target-group-attributes` (preserve_client_ip.enabled) and the inbound rules of
    the targets. Repair: a rule that names the load balancer's group or the clients, or preserve_client_ip.enabled=false
    (applications then see the load balancer's addresses; proxy protocol can carry the clients').
    """
    group, balancer = _preserving(traffic)
    healthy = [t for t in traffic.targets() if t.state == "healthy"]
    if not healthy:
        raise NotApplicable("no healthy target: see what its health check meets")
    net = traffic.network
    groups = {g.id: g for g in net.security_groups.need()}
    net.interfaces.need()
    ends: dict[tuple[tuple[str, ...], int, int], list[TargetHealth]] = defaultdict(list)
    places: dict[tuple[str, int, int], list[TargetHealth]] = defaultdict(list)
    for target in healthy:
        end = target_end(traffic, target)
        family = family_of(end.address)
        if end.groups and all(i in groups for i in end.groups):
            ends[(end.groups, target.port, family)].append(target)
        # Within a subnet no ACL is asked, and its load balancer's interface may be the one that is used.
        if end.subnet_id and end.subnet_id not in balancer.zones.values():
            places[(end.subnet_id, target.port, family)].append(target)
    public = balancer.scheme == "internet-facing"
    for (ids, port, family), targets in ends.items():
        for protocol in protocols_of(group.protocol):
            clients = [c for c in clients_of(traffic, group, balancer, protocol, groups) if c.version == family]
            own = [groups[i] for i in ids]
            left_out = left_out_of(clients, _admitted(traffic, own, balancer, protocol, port), public)
            if left_out:
                entirely = len(left_out) == len(relevant(clients, public))
                yield _blocked(traffic, balancer, own, protocol, port, left_out, entirely, targets)
    yield from _by_acls(traffic, group, balancer, groups, places)


def _by_acls(
    traffic: TrafficPath,
    group: TargetGroup,
    balancer: LoadBalancer,
    groups: dict[str, SecurityGroup],
    places: dict[tuple[str, int, int], list[TargetHealth]],
) -> Iterator[Finding]:
    """What the ACLs of the targets' subnets do with clients: one finding per ACL, direction and port."""
    public = balancer.scheme == "internet-facing"
    found: dict[tuple[str, bool, int, str], tuple[AclVerdict, list[Network], bool, list[TargetHealth]]] = {}
    known = {acl.id: acl for acl in traffic.network.acls.need()}
    for (subnet, port, family), targets in places.items():
        acl = acls.acl_of(subnet, balancer.vpc_id, known.values())
        for protocol in protocols_of(group.protocol) if acl is not None else ():
            clients = relevant(
                [c for c in clients_of(traffic, group, balancer, protocol, groups) if c.version == family], public
            )
            denied = [(c, v) for c in clients if acl and (v := _denied(acl, c, protocol, port, public)) is not None]
            if denied and acl is not None:
                verdict = denied[0][1]
                key, left_out = (acl.id, verdict.egress, port, protocol), [c for c, _ in denied]
                found.setdefault(key, (verdict, left_out, len(denied) == len(clients), []))[3].extend(targets)
    for (identifier, _, port, protocol), (verdict, left_out, entirely, targets) in found.items():
        yield _acl_finding(traffic, known[identifier], verdict, port, protocol, left_out, entirely, targets)


def _denied(acl: NetworkAcl, client: Network, protocol: str, port: int, public: bool) -> AclVerdict | None:
    """The verdict that keeps the whole range out, or its replies in; None where some address of it gets through.

    Along the addresses an ACL changes its mind only where an entry's range begins or has just ended: one address of
    each stretch is tried, which is all of them.
    """
    stretches = [network_of(e.cidr) for e in acl.entries if e.cidr]
    outside = public and not _private(client)
    starts = {int(client[0])} | {int(n[0]) for n in stretches if n.version == client.version}
    starts |= {int(n[-1]) + 1 for n in (*stretches, *_PRIVATE) if n.version == client.version}
    kind = type(client[0])
    tried = [kind(number) for number in sorted(starts) if int(client[0]) <= number <= int(client[-1])]
    first = None
    for address in tried:
        if outside and _private(ipaddress.ip_network(address)):
            continue
        request = acls.admits(acl, False, str(address), protocol, port)
        if request.answer is Answer.ALLOWED:
            request = acls.admits(acl, True, str(address), protocol, EPHEMERAL)
        if request.answer in (Answer.ALLOWED, Answer.PARTIAL):
            return None
        # That replies do not get out says more than that other addresses do not get in.
        first = request if first is None or (request.egress and not first.egress) else first
    return first


def _why(entry: AclEntry | None) -> str:
    """The last entry, which denies what no other decides, is listed by the API like one of the user's."""
    if entry is None or entry.number >= acls.IMPLICIT:
        return "no entry allows them"
    return f"entry {entry.number} denies {entry.cidr}"


def _acl_finding(
    traffic: TrafficPath,
    acl: NetworkAcl,
    verdict: AclVerdict,
    port: int,
    protocol: str,
    left_out: Sequence[Network],
    entirely: bool,
    targets: Sequence[TargetHealth],
) -> Finding:
    ports: PortRange | int = EPHEMERAL if verdict.egress else port
    entry = verdict.denied_by
    reason = _why(entry)
    command = acls.command(acls.opening(acl, verdict, str(left_out[0]), protocol, ports), traffic.context.region)
    direction = "outbound, to the clients' ports 1024-65535" if verdict.egress else "inbound"
    return Finding(
        "LBD515",
        ObjectRef("NetworkAcl", "", acl.id),
        params={
            "acl": acl.id,
            "direction": "egress" if verdict.egress else "ingress",
            "clients": named_clients(left_out),
            "port": str(port),
            "protocol": protocol.upper(),
        },
        evidence=(
            Evidence(reads.TARGET_GROUP_ATTRIBUTES, f"{PRESERVE} is {_said(traffic)}"),
            Evidence(
                Source.TARGET_HEALTH, f"{part_of(len(targets), len(traffic.targets()))} healthy: checks are admitted"
            ),
            Evidence(f"network ACL {acl.id}", f"{direction}: {reason}"),
        ),
        targets=tuple(t.key for t in targets),
        confirm=(aws("ec2", "describe-network-acls", "--network-acl-ids", acl.id, region=traffic.context.region),),
        by_hand=(command,) if command else (),
        severity=None if entirely else Severity.WARNING,
    )


def protocols_of(protocol: str) -> tuple[str, ...]:
    if protocol in _BOTH:
        return ("tcp", "udp")
    return ("udp",) if protocol in _UDP else ("tcp",)


def clients_of(
    traffic: TrafficPath, group: TargetGroup, balancer: LoadBalancer, protocol: str, groups: dict[str, SecurityGroup]
) -> tuple[Network, ...]:
    """The addresses that the load balancer takes connections from."""
    cidrs: list[str] = []
    if balancer.security_groups:
        ports = [x.port for x in traffic.listeners.need() if any(group.arn in a.target_groups for a in x.actions)]
        for identifier in balancer.security_groups:
            for rule in groups[identifier].ingress if identifier in groups else ():
                if any(security_groups.covers(rule, protocol, port) for port in ports):
                    cidrs += _cidrs(traffic, rule)
    else:
        cidrs += _source_ranges(traffic)
    return _networks(cidrs)


def _source_ranges(traffic: TrafficPath) -> tuple[str, ...]:
    """Who may come where the load balancer has no security group."""
    service = traffic.service.need()
    annotated = service.meta.annotations.get(SOURCE_RANGES, "") if service is not None else ""
    ranges = service.source_ranges if service is not None else ()
    return ranges or tuple(part.strip() for part in annotated.split(",") if part.strip()) or ANYWHERE


def _networks(cidrs: Sequence[str]) -> tuple[Network, ...]:
    return tuple(dict.fromkeys(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs if _is_cidr(cidr)))


def _is_cidr(text: str) -> bool:
    """An annotation may hold anything."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _cidrs(traffic: TrafficPath, rule: IpPermission) -> tuple[str, ...]:
    lists = {p.id: p for p in traffic.network.prefix_lists.need()} if rule.prefix_lists else {}
    return (*rule.cidrs, *(cidr for i in rule.prefix_lists if i in lists for cidr in lists[i].cidrs))


def _admitted(
    traffic: TrafficPath, own: Sequence[SecurityGroup], balancer: LoadBalancer, protocol: str, port: int
) -> Admitted:
    ids = {g.id for g in own}
    rules = [rule for group in own for rule in group.ingress if security_groups.covers(rule, protocol, port)]
    named = {i for rule in rules for i in rule.groups}
    cidrs = tuple(network_of(cidr) for rule in rules for cidr in _cidrs(traffic, rule))
    return Admitted(cidrs, bool(named & set(balancer.security_groups)), bool(named - ids))


def relevant(clients: Sequence[Network], public: bool) -> list[Network]:
    """What comes in from the internet has public addresses, whatever else the load balancer's rules admit."""
    outside = [c for c in clients if not _private(c)] if public else []
    return outside or list(clients)


def left_out_of(clients: Sequence[Network], admitted: Admitted, public: bool) -> list[Network]:
    """Client ranges of which not one address is let in. One that is let in partly is somebody's choice."""
    if admitted.balancer or (admitted.others and not public):
        return []
    return [
        client
        for client in relevant(clients, public)
        if not any(client.overlaps(c) and (not public or _private(client) or not _private(c)) for c in admitted.cidrs)
    ]


def _private(cidr: Network) -> bool:
    return any(cidr.version == p.version and cidr.subnet_of(p) for p in _PRIVATE)  # type: ignore[arg-type]


def _blocked(
    traffic: TrafficPath,
    balancer: LoadBalancer,
    own: Sequence[SecurityGroup],
    protocol: str,
    port: int,
    left_out: Sequence[Network],
    entirely: bool,
    targets: Sequence[TargetHealth],
) -> Finding:
    chosen = group_to_change(own)
    tags = {g.id: g.tags for g in traffic.network.security_groups.peek() or ()}
    # Of several the controller's shared one, which outlives this load balancer and is made to be named.
    named = sorted(balancer.security_groups, key=lambda i: not is_shared_backend(tags.get(i, {})))
    peers = tuple(named[:1]) or tuple(map(str, left_out))
    commands = [
        security_groups.command(
            GroupRemedy(chosen.id, Direction.INGRESS, protocol, PortRange(port, port), peer), traffic.context.region
        )
        for peer in peers
    ]
    service, group = traffic.service.peek(), traffic.target_group.peek()
    if group is not None and maker_of(traffic) is Maker.OUTSIDE and protocol == "tcp":
        commands.append(attribute(traffic, group, PRESERVE, "true", "false").command)
    elif service is not None and service.type == "LoadBalancer" and protocol == "tcp" and annotated(traffic):
        key = NLB_PREFIX + "target-group-attributes"
        attributes = with_attribute(service.meta.annotations.get(key, ""), PRESERVE, "false")
        commands.append(annotate(traffic.service_ref, service.meta.annotations, {key: attributes}).command)
    return Finding(
        "LBD515",
        ObjectRef("SecurityGroup", "", chosen.id),
        params={
            "groups": tuple(g.id for g in own),
            "direction": "ingress",
            "clients": named_clients(left_out),
            "port": str(port),
            "protocol": protocol.upper(),
        },
        evidence=(
            Evidence(reads.TARGET_GROUP_ATTRIBUTES, f"{PRESERVE} is {_said(traffic)}"),
            Evidence(
                Source.TARGET_HEALTH, f"{part_of(len(targets), len(traffic.targets()))} healthy: checks are admitted"
            ),
            *(Evidence(g.id, f"inbound: {security_groups.describe_rules(g, Direction.INGRESS)}") for g in own),
        ),
        targets=tuple(t.key for t in targets),
        confirm=(
            aws("ec2", "describe-security-groups", "--group-ids", *(g.id for g in own), region=traffic.context.region),
        ),
        by_hand=tuple(commands),
        advice="keep the clients' addresses and open the port, or drop them (the last command)"
        if len(commands) > len(peers)
        else "",
        severity=None if entirely else Severity.WARNING,
    )


def named_clients(clients: Sequence[Network]) -> tuple[str, ...]:
    return tuple(f"anyone ({c})" if c.prefixlen == 0 else str(c) for c in clients)


def _said(traffic: TrafficPath) -> str:
    return (traffic.group_attributes.peek() or {}).get(PRESERVE) or "not set, and on by default"


@check(
    "LBD604",
    title="pods use a load balancer that may send them back to their own node",
    passes="pods do not use a load balancer that would send them back to their own node",
    severity=Severity.WARNING,
    message="pods reach load balancer {balancer} by Service {alias}: those on the node that it picks time out",
    reads=_READS,
    distinct_by=("balancer",),
)
def hairpin(traffic: TrafficPath) -> Iterator[Finding]:
    """With instance targets and preserved client addresses, a connection from a pod through the load balancer back to
    the pod's own node has the same source and destination, and is dropped: such clients time out now and then, all
    others are served. Health checks do not notice.

    Reported only where the cluster itself sends pods that way: a Service of type ExternalName in the same namespace
    names the load balancer. Clients elsewhere that use its host name are not seen.

    Repair: let pods use the Service's own cluster name, or `ip` targets without preserved client addresses.
    """
    group, balancer = _preserving(traffic)
    if group.target_type != "instance" or not balancer.dns_name:
        raise NotApplicable("only nodes can be sent back to themselves")
    host = balancer.dns_name.lower().rstrip(".")
    for alias in traffic.namespace_facts.services.need():
        if alias.type == "ExternalName" and alias.external_name.lower().rstrip(".") == host:
            fact: Fact[object] = traffic.group_attributes  # type: ignore[assignment]
            yield Finding(
                "LBD604",
                ObjectRef("Service", traffic.namespace, alias.meta.name),
                params={"balancer": balancer.name, "alias": alias.meta.name},
                evidence=(
                    Evidence(f"service/{alias.meta.name}", f"type ExternalName: {alias.external_name}"),
                    Evidence(fact.source, f"{PRESERVE} is on, with instance targets"),
                ),
                confidence=Confidence.LIKELY,
                confirm=(kubectl("get", "service", alias.meta.name, "-o", "yaml", namespace=traffic.namespace),),
                advice=f"let pods use {traffic.service_ref.name}.{traffic.namespace}.svc instead",
            )
