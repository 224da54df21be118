"""The whole path from one interface to another: every filter in the order that the packets meet them.

For a connection from a load balancer in subnet L to a target in subnet T (docs/facts.md, "Network ACLs"):

1. the groups of the source, outbound
2. the ACL of L, outbound, to the port
3. the route table of L, to the target
4. the ACL of T, inbound, to the port
5. the groups of the target, inbound
6. the ACL of T, outbound, to the source's ephemeral ports
7. the route table of T, back to the source
8. the ACL of L, inbound, to the ephemeral ports

Groups are stateful: the reply meets none. ACLs and route tables count only where L and T differ.

A Network Load Balancer's security groups apply to its checks outbound, not inbound (docs/facts.md, "Security groups"):
step 1 is the same for checks and traffic, and for both kinds of load balancer. Where client addresses are preserved,
the source is the client: its Endpoint lies outside, with the load balancer's groups, which the target's rules may name.
Replies are then taken by the load balancer again, whatever the target's route table says about the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import Enum

from kubectl_lbdoctor.model.network import (
    NetworkAcl,
    NetworkInterface,
    PrefixList,
    RouteTable,
    SecurityGroup,
    Subnet,
)
from kubectl_lbdoctor.network import acls, routes, security_groups
from kubectl_lbdoctor.network.acls import AclRemedy, AclVerdict
from kubectl_lbdoctor.network.matching import (
    EPHEMERAL,
    Answer,
    PortRange,
    family,
    merged,
    network_for,
    within,
)
from kubectl_lbdoctor.network.routes import RouteKind, RouteRemedy, RouteVerdict
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy, GroupVerdict, Peer
from kubectl_lbdoctor.record import record

Remedy = GroupRemedy | AclRemedy | RouteRemedy

_BACKEND_TAGS = {
    ("elbv2.k8s.aws/resource", "backend-sg"),
    ("ingress.eks.amazonaws.com/resource", "ManagedBackendSecurityGroup"),
    ("service.eks.amazonaws.com/resource", "ManagedBackendSecurityGroup"),
}


def is_shared_backend(tags: Mapping[str, str]) -> bool:
    """Whether a security group is the one that all load balancers of a cluster share, made to be named as a source.

    The AWS Load Balancer Controller marks it in one way (pkg/networking/backend_sg_provider.go), EKS Auto Mode in
    another (docs/facts.md, "EKS Auto Mode").
    """
    return not _BACKEND_TAGS.isdisjoint(tags.items())


class Filter(str, Enum):
    """The filters in packet order."""

    SOURCE_GROUPS = "source-groups"
    REQUEST_ACL_OUT = "request-acl-out"
    REQUEST_ROUTE = "request-route"
    REQUEST_ACL_IN = "request-acl-in"
    TARGET_GROUPS = "target-groups"
    RETURN_ACL_OUT = "return-acl-out"
    RETURN_ROUTE = "return-route"
    RETURN_ACL_IN = "return-acl-in"


@record
class Codes:
    """Which check a blocking filter belongs to."""

    target_groups: str = "LBD501"
    source_groups: str = "LBD503"
    request_acl: str = "LBD507"
    return_acl: str = "LBD508"
    route: str = "LBD509"

    def of(self, where: Filter) -> str:
        if where is Filter.SOURCE_GROUPS:
            return self.source_groups
        if where is Filter.TARGET_GROUPS:
            return self.target_groups
        if where in (Filter.REQUEST_ROUTE, Filter.RETURN_ROUTE):
            return self.route
        return self.request_acl if where in (Filter.REQUEST_ACL_OUT, Filter.REQUEST_ACL_IN) else self.return_acl


FROM_LOAD_BALANCER = Codes()
SECOND_HOP = Codes(target_groups="LBD502", source_groups="LBD502")
"""From the node that a NodePort was reached on to the pod on another node."""
TO_POD_GROUPS = Codes(target_groups="LBD514")
"""To a pod with groups of its own (SecurityGroupPolicy)."""
NODE_TO_POD_GROUPS = Codes(target_groups="LBD514", source_groups="LBD502")
"""The second hop to such a pod."""
FROM_CLIENT = Codes(target_groups="LBD515")
"""Traffic whose client address is preserved."""


@record
class Endpoint:
    """One end of the path.

    subnet_id: "" is outside of the VPCs (a client, a machine on premises), where no filter of ours stands; None is not
    known. groups: () is an end without groups, as a Network Load Balancer that was made so; None is not known.
    """

    address: str
    subnet_id: str | None = None
    groups: tuple[str, ...] | None = None

    @classmethod
    def of(cls, interface: NetworkInterface, address: str) -> Endpoint:
        return cls(address, interface.subnet_id or None, interface.security_groups or None)


@record
class NetworkWorld:
    """What was read of the VPC. None, and an id that is not there, mean not read."""

    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    acls: tuple[NetworkAcl, ...] | None = None
    tables: tuple[RouteTable, ...] | None = None
    subnets: Mapping[str, Subnet] = field(default_factory=dict)
    prefix_lists: Mapping[str, PrefixList] = field(default_factory=dict)


@record
class Hop:
    """What one filter does. `owner` is the ACL, table or groups that it stands in ("" where that was not read).

    code: the check that a block belongs to. remedy: the least that would have to be added, where it blocks.
    """

    filter: Filter
    answer: Answer
    owner: str
    code: str
    detail: GroupVerdict | AclVerdict | RouteVerdict | None = None
    remedy: Remedy | None = None
    unknown: tuple[str, ...] = ()

    @property
    def owners(self) -> tuple[str, ...]:
        """The ids in `owner`: several where a target has several security groups."""
        return tuple(self.owner.split(",")) if self.owner else ()


@record
class PathVerdict:
    """`hops` in packet order, without the filters that do not stand on this path.

    DENIED where any filter denies, even if others are not known; UNKNOWN where none blocks and one is not known.
    reply_ports: the ephemeral ports whose replies come back, for PARTIAL; connections from the others fail.
    """

    answer: Answer
    hops: tuple[Hop, ...]
    reply_ports: tuple[PortRange, ...]

    @property
    def blocking(self) -> tuple[Hop, ...]:
        return tuple(hop for hop in self.hops if hop.answer.blocks)

    @property
    def first(self) -> Hop | None:
        """The first filter that is known to block; None on a path where none does."""
        return next(iter(self.blocking), None)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What was not read and would be needed."""
        return tuple(dict.fromkeys(item for hop in self.hops for item in hop.unknown))

    def hop(self, where: Filter) -> Hop | None:
        return next((hop for hop in self.hops if hop.filter is where), None)


def evaluate(
    source: Endpoint,
    target: Endpoint,
    protocol: str,
    port: int,
    world: NetworkWorld,
    codes: Codes = FROM_LOAD_BALANCER,
    ephemeral: PortRange = EPHEMERAL,
) -> PathVerdict:
    """Whether connections from the source reach the target's port and get their replies.

    port: the one on which the target's interface is reached: pod port, NodePort or check port.
    ephemeral: the ports that the source's connections come from.
    """
    if family(source.address) != family(target.address):
        raise ValueError(f"{source.address} and {target.address} are of different address families")
    path = _Path(source, target, protocol, port, world, codes, ephemeral)
    return _sum(tuple(path.hops()), ephemeral)


def _sum(hops: tuple[Hop, ...], ephemeral: PortRange) -> PathVerdict:
    replies = (Filter.RETURN_ACL_OUT, Filter.RETURN_ACL_IN)
    known = [hop for hop in hops if hop.filter in replies and hop.answer is not Answer.UNKNOWN]
    ports = merged(acls.open_ports([hop.detail for hop in known if isinstance(hop.detail, AclVerdict)], ephemeral))
    answers = {hop.answer for hop in hops}
    if Answer.DENIED in answers or not ports:
        return PathVerdict(Answer.DENIED, hops, ())
    for answer in (Answer.PARTIAL, Answer.UNKNOWN):
        if answer in answers:
            return PathVerdict(answer, hops, ports)
    return PathVerdict(Answer.ALLOWED, hops, ports)


def endpoint_at(address: str, interfaces: Iterable[NetworkInterface], vpc_id: str = "") -> Endpoint:
    """The end of a path at this address: its interface by address, or by delegated prefix, else all not known.

    vpc_id: where interfaces of several VPCs were read, whose addresses may overlap.
    """
    candidates = [i for i in interfaces if not vpc_id or not i.vpc_id or i.vpc_id == vpc_id]
    for interface in candidates:
        if address in interface.private_ips:
            return Endpoint.of(interface, address)
    for interface in candidates:
        if within(interface.prefixes, address):
            return Endpoint.of(interface, address)
    return Endpoint(address)


def primary_interface(instance_id: str, interfaces: Iterable[NetworkInterface]) -> NetworkInterface | None:
    """The interface with device index 0, where an instance target is reached."""
    mine = [i for i in interfaces if instance_id and i.instance_id == instance_id]
    return next((i for i in mine if i.device_index == 0), mine[0] if len(mine) == 1 else None)


def repairs(verdicts: Iterable[PathVerdict], world: NetworkWorld) -> tuple[Remedy, ...]:
    """All that has to be added so that these paths open, each thing once, in packet order.

    Entries of one ACL get different numbers, so that all of them can be created (each path's own remedy knows nothing
    of the others).
    """
    found: dict[Remedy, Remedy] = {}
    for remedy in (hop.remedy for verdict in verdicts for hop in verdict.blocking):
        if isinstance(remedy, AclRemedy):
            key = replace(remedy, number=None, before=0)
            other = found.get(key)
            found[key] = other if isinstance(other, AclRemedy) and other.before <= remedy.before else remedy
        elif isinstance(remedy, GroupRemedy):
            found.setdefault(replace(remedy, choices=()), remedy)
        elif remedy is not None:
            found.setdefault(remedy, remedy)
    known = {acl.id: acl for acl in world.acls or ()}
    reserved: dict[tuple[str, bool], list[int]] = {}
    out: list[Remedy] = []
    for remedy in found.values():
        if isinstance(remedy, AclRemedy):
            numbers = reserved.setdefault((remedy.acl_id, remedy.egress), [])
            number = acls.free_number(known[remedy.acl_id], remedy.egress, remedy.before, numbers)
            numbers += [number] if number else []
            remedy = replace(remedy, number=number)
        out.append(remedy)
    return tuple(out)


@record
class _Path:
    source: Endpoint
    target: Endpoint
    protocol: str
    port: int
    world: NetworkWorld
    codes: Codes
    ephemeral: PortRange

    def hops(self) -> list[Hop]:
        request, reply = PortRange(self.port, self.port), self.ephemeral
        crosses = self._crosses()
        found = [self._groups(Filter.SOURCE_GROUPS, self.source, self.target)]
        if crosses is not False:
            found += [
                self._acl(Filter.REQUEST_ACL_OUT, self.source, self.target, request),
                self._route(Filter.REQUEST_ROUTE, self.source, self.target),
                self._acl(Filter.REQUEST_ACL_IN, self.target, self.source, request),
            ]
        found.append(self._groups(Filter.TARGET_GROUPS, self.target, self.source))
        if crosses is not False:
            found += [
                self._acl(Filter.RETURN_ACL_OUT, self.target, self.source, reply),
                None if self.source.subnet_id == "" else self._route(Filter.RETURN_ROUTE, self.target, self.source),
                self._acl(Filter.RETURN_ACL_IN, self.source, self.target, reply),
            ]
        hops = [hop for hop in found if hop is not None]
        return hops if crosses is not None else [self._perhaps(hop) for hop in hops]

    def _crosses(self) -> bool | None:
        """Whether the packets leave a subnet; None where that is not known."""
        one, other = self.source.subnet_id, self.target.subnet_id
        if one is not None and other is not None:
            return one != other
        if one == "" or other == "":
            return True
        known = self.world.subnets.get(one or other or "")
        if known is None or not known.cidrs:
            return None
        return not within(known.cidrs, self.source.address if one is None else self.target.address)

    def _perhaps(self, hop: Hop) -> Hop:
        """The hop where it is not known whether the packets leave a subnet: an ACL or a route then denies nothing."""
        if hop.filter in (Filter.SOURCE_GROUPS, Filter.TARGET_GROUPS) or not hop.answer.blocks:
            return hop
        ends = (self.source, self.target)
        unknown = tuple(f"the subnet of {end.address}" for end in ends if end.subnet_id is None)
        return replace(hop, answer=Answer.UNKNOWN, remedy=None, unknown=unknown)

    def _groups(self, where: Filter, own: Endpoint, other: Endpoint) -> Hop | None:
        if own.subnet_id == "" or own.groups == ():
            return None
        direction = Direction.EGRESS if where is Filter.SOURCE_GROUPS else Direction.INGRESS
        ids = own.groups or ()
        read = [self.world.groups[i] for i in ids if i in self.world.groups]
        unread = [i for i in ids if i not in self.world.groups] if ids else [f"security groups of {own.address}"]
        peer = Peer(other.address, self._groups_seen(own, other), self._name(own, other))
        lists = self.world.prefix_lists
        verdict = security_groups.admits(direction, read, peer, self.protocol, self.port, lists, unread)
        owner = ",".join(ids)
        return self._hop(where, verdict.answer, owner, verdict, verdict.missing, verdict.unknown)

    def _acl(self, where: Filter, own: Endpoint, other: Endpoint, ports: PortRange) -> Hop | None:
        if own.subnet_id == "":
            return None
        found = None
        if own.subnet_id is not None and self.world.acls is not None:
            found = acls.acl_of(own.subnet_id, self._vpc(own), self.world.acls)
        if found is None:
            subnet = own.subnet_id or f"the subnet of {own.address}"
            return self._hop(where, Answer.UNKNOWN, "", unknown=(f"network ACL of {subnet}",))
        egress = where in (Filter.REQUEST_ACL_OUT, Filter.RETURN_ACL_OUT)
        verdict = acls.admits(found, egress, other.address, self.protocol, ports)
        remedy = None
        if verdict.answer.blocks:
            remedy = acls.opening(found, verdict, self._subnet_cidr(other), self.protocol, ports)
        return self._hop(where, verdict.answer, found.id, verdict, remedy)

    def _route(self, where: Filter, own: Endpoint, other: Endpoint) -> Hop | None:
        if own.subnet_id == "":
            return None
        verdict = self._routing(own, other)
        if verdict is None:
            # "Every route table contains a local route for communication within the VPC": no need to have read it.
            return self._hop(where, Answer.ALLOWED, "", RouteVerdict(Answer.ALLOWED, kind=RouteKind.LOCAL))
        remedy = None
        if verdict.answer.blocks:
            replaces = verdict.route.target if verdict.route else ""
            remedy = RouteRemedy(verdict.table_id, self._subnet_cidr(other), replaces)
        return self._hop(where, verdict.answer, verdict.table_id, verdict, remedy, verdict.unknown)

    def _routing(self, own: Endpoint, other: Endpoint) -> RouteVerdict | None:
        """What the subnet's route table says; None where it was not read and need not be."""
        vpc, other_vpc = self._vpc(own), self._vpc(other)
        table = None
        if own.subnet_id and self.world.tables is not None:
            table = routes.table_of(own.subnet_id, vpc, self.world.tables)
        if table is None:
            if vpc and vpc == other_vpc:
                return None
            subnet = own.subnet_id or f"the subnet of {own.address}"
            return RouteVerdict(Answer.UNKNOWN, unknown=(f"route table of {subnet}",))
        return routes.route_for(table, other.address, self.world.prefix_lists)

    def _groups_seen(self, own: Endpoint, other: Endpoint) -> tuple[str, ...] | None:
        """The other end's groups as references in `own`'s groups see them.

        References work within a VPC and over peering in one Region; over a transit gateway only where that is switched
        on, through NAT and middleboxes never (docs/facts.md, "Security groups"): there it is not known.
        """
        if other.subnet_id == "":
            # A client behind a load balancer is seen with the load balancer's groups, where it has some.
            return other.groups
        vpc, other_vpc = self._vpc(own), self._vpc(other)
        if not vpc or not other_vpc or vpc == other_vpc or not other.groups:
            return other.groups
        route = self._routing(own, other)
        return other.groups if route and route.kind is RouteKind.PEERING else None

    def _name(self, own: Endpoint, other: Endpoint) -> str:
        """How a new rule should name the other end: by its one group, or the controller's backend group among
        several, and by its subnet where there is none or it is of another VPC. A client behind a load balancer is
        named by the load balancer's group as well."""
        if other.groups and (other.subnet_id == "" or self._vpc(own) == self._vpc(other)):
            known = self.world.groups
            backend = [i for i in other.groups if i in known and is_shared_backend(known[i].tags)]
            named = other.groups if len(other.groups) == 1 else backend
            if len(named) == 1:
                return named[0]
        return self._subnet_cidr(other)

    def _subnet_cidr(self, end: Endpoint) -> str:
        subnet = self.world.subnets.get(end.subnet_id or "")
        return network_for(subnet.cidrs if subnet else (), end.address)

    def _vpc(self, end: Endpoint) -> str:
        subnet = self.world.subnets.get(end.subnet_id or "")
        return subnet.vpc_id if subnet else ""

    def _hop(
        self,
        where: Filter,
        answer: Answer,
        owner: str,
        detail: GroupVerdict | AclVerdict | RouteVerdict | None = None,
        remedy: Remedy | None = None,
        unknown: tuple[str, ...] = (),
    ) -> Hop:
        return Hop(where, answer, owner, self.codes.of(where), detail, remedy, unknown)


def command(remedy: Remedy | None, region: str = "") -> str:
    """The command line that adds what is missing; "" where it takes a decision first (a route, a full ACL)."""
    if isinstance(remedy, GroupRemedy):
        return security_groups.command(remedy, region)
    if isinstance(remedy, AclRemedy):
        return acls.command(remedy, region)
    return ""
