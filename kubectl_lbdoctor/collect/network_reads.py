"""The EC2 reads behind the network checks: one page set per kind for everything in question, never one per target."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Any, Protocol, TypeVar

from kubectl_lbdoctor.collect import convert_network
from kubectl_lbdoctor.collect.outcomes import attempt
from kubectl_lbdoctor.collect.sieve import Sieve, plural, under
from kubectl_lbdoctor.knowledge.controller_identity import controller_flags
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import interface_description
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.k8s import Node
from kubectl_lbdoctor.model.network import NetworkInterface, SecurityGroup, control_plane_description
from kubectl_lbdoctor.model.snapshot import ClusterFacts, NetworkFacts
from kubectl_lbdoctor.model.traffic_path import TrafficPath

R = TypeVar("R")

_IDENTITY = {
    "NetworkInterfaces": "NetworkInterfaceId",
    "SecurityGroups": "GroupId",
    "Subnets": "SubnetId",
    "NetworkAcls": "NetworkAclId",
    "RouteTables": "RouteTableId",
}
"""What names a record, by the list that it stands in."""

# EC2 takes at most 200 values in one filter (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html).
FILTER_BATCH = 200


class Ec2(Protocol):
    """What is needed of `collect.aws.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...


class NetworkReader:
    """Reads interfaces first (by instance, by address, by the load balancer's description), then what they refer to."""

    def __init__(self, reader: Ec2, pool: Executor) -> None:
        self._reader = reader
        self._pool = pool

    def _describe(
        self, source: str, operation: str, key: str, name: str, values: Iterable[str], convert: Callable[[Any], R]
    ) -> Fact[tuple[R, ...]]:
        wanted = sorted(set(values))
        sieve = Sieve(plural(key), under(_IDENTITY[key]))

        def read() -> tuple[R, ...]:
            found: list[R] = []
            for start in range(0, len(wanted), FILTER_BATCH):
                filters = [{"Name": name, "Values": wanted[start : start + FILTER_BATCH]}]
                found += sieve.through(self._reader.call("ec2", operation, key, Filters=filters), convert)
            return tuple(found)

        return sieve.marked(attempt(source, name, read))

    def start_interfaces(
        self, instances: Iterable[str], addresses: Iterable[str], descriptions: Iterable[str] = ()
    ) -> list[Future[Fact[tuple[NetworkInterface, ...]]]]:
        """Begin to read the interfaces of these instances, of these private addresses, of both families, and those that
        AWS describes so."""
        found = tuple(addresses)
        wanted = (
            ("attachment.instance-id", instances),
            ("addresses.private-ip-address", (a for a in found if ":" not in a)),
            ("ipv6-addresses.ipv6-address", (a for a in found if ":" in a)),
            ("description", descriptions),
        )
        asked = [(name, tuple(values)) for name, values in wanted]
        return [self._pool.submit(self._interfaces, name, values) for name, values in asked if values]

    def _interfaces(self, name: str, values: tuple[str, ...]) -> Fact[tuple[NetworkInterface, ...]]:
        return self._describe(
            reads.NETWORK_INTERFACES,
            "DescribeNetworkInterfaces",
            "NetworkInterfaces",
            name,
            values,
            convert_network.interface,
        )

    def finish(
        self,
        started: list[Future[Fact[tuple[NetworkInterface, ...]]]],
        balancers: list[LoadBalancer],
        whole_vpc: bool = False,
    ) -> NetworkFacts:
        """The load balancers' own interfaces, then groups, subnets, ACLs and routes of all of them.

        whole_vpc: every subnet of their VPCs, instead of those that they stand in."""
        descriptions = tuple(interface_description(lb.arn) for lb in balancers)
        if descriptions:
            started = [*started, self._pool.submit(self._interfaces, "description", descriptions)]
        interfaces = joined(reads.NETWORK_INTERFACES, (future.result() for future in started), "interfaces").map(_once)
        known = interfaces.peek() or ()
        groups = {g for i in known for g in i.security_groups} | {g for lb in balancers for g in lb.security_groups}
        subnets = {i.subnet_id for i in known} | {s for lb in balancers for s in lb.zones.values()}
        vpcs = {i.vpc_id for i in known} | {lb.vpc_id for lb in balancers}
        of_vpc = whole_vpc and bool(vpcs - {""})
        tasks = (
            (reads.SECURITY_GROUPS, "DescribeSecurityGroups", "SecurityGroups", "group-id", groups),
            (reads.SUBNETS, "DescribeSubnets", "Subnets", *(("vpc-id", vpcs) if of_vpc else ("subnet-id", subnets))),
            (reads.NETWORK_ACLS, "DescribeNetworkAcls", "NetworkAcls", "association.subnet-id", subnets),
            (reads.ROUTE_TABLES, "DescribeRouteTables", "RouteTables", "vpc-id", vpcs),
        )
        converters: tuple[Callable[[Any], Any], ...] = (
            convert_network.security_group,
            convert_network.subnet,
            convert_network.network_acl,
            convert_network.route_table,
        )
        futures = [
            self._pool.submit(self._describe, source, operation, key, name, values - {""}, convert)
            for (source, operation, key, name, values), convert in zip(tasks, converters, strict=True)
        ]
        security_groups, subnet_facts, acls, tables = [future.result() for future in futures]
        return NetworkFacts(
            interfaces=interfaces,
            security_groups=security_groups,
            subnets=subnet_facts,
            acls=acls,
            route_tables=tables,
            prefix_lists=self._prefix_lists(security_groups),
        )

    def _prefix_lists(self, groups: Fact[tuple[SecurityGroup, ...]]) -> Fact[tuple[Any, ...]]:
        wanted = sorted(
            {p for group in groups.peek() or () for rule in (*group.ingress, *group.egress) for p in rule.prefix_lists}
        )

        def read() -> tuple[Any, ...]:
            return tuple(
                convert_network.prefix_list(
                    entry,
                    self._reader.call("ec2", "GetManagedPrefixListEntries", "Entries", PrefixListId=entry),
                )
                for entry in wanted
            )

        if not wanted:
            return Fact.known(reads.PREFIX_LISTS, ())
        return attempt(reads.PREFIX_LISTS, wanted[0], read)


def _once(interfaces: tuple[NetworkInterface, ...]) -> tuple[NetworkInterface, ...]:
    return tuple({interface.id: interface for interface in interfaces}.values())


def places(paths: tuple[TrafficPath, ...]) -> tuple[list[str], list[str]]:
    """Instance ids and pod addresses whose interfaces matter: endpoints, the nodes that run them, instance targets."""
    addresses: list[str] = []
    nodes: set[str] = set()
    instance_targets = False
    for traffic in paths:
        instance_targets = instance_targets or traffic.target_type == "instance"
        for piece in traffic.slices.peek() or ():
            for endpoint in piece.endpoints:
                addresses += endpoint.addresses[:1]
                nodes.add(endpoint.node)
    everyone = paths[0].cluster.nodes.peek() or () if paths else ()
    # Behind instance targets any node may be the first hop.
    ids = [n.instance_id for n in everyone if n.instance_id and (instance_targets or n.meta.name in nodes)]
    return ids, addresses


def webhook_places(cluster: ClusterFacts, nodes: tuple[Node, ...]) -> tuple[list[str], list[str], list[str]]:
    """Instance ids, addresses and descriptions of the interfaces between the control plane and the controller."""
    endpoints = [e for piece in cluster.webhook_slices.peek() or () for e in piece.endpoints]
    homes = {e.node for e in endpoints}
    clusters = {controller_flags(w).get("cluster-name", "") for w in cluster.controllers.peek() or ()} - {""}
    return (
        [n.instance_id for n in nodes if n.instance_id and n.meta.name in homes],
        [address for e in endpoints for address in e.addresses[:1]],
        [control_plane_description(name) for name in sorted(clusters)],
    )


def not_asked(reason: str) -> NetworkFacts:
    """EC2 was not asked: for the same reason as the rest of AWS."""
    return NetworkFacts(
        interfaces=Fact.not_asked(reads.NETWORK_INTERFACES, reason, "ec2"),
        security_groups=Fact.not_asked(reads.SECURITY_GROUPS, reason, "ec2"),
        subnets=Fact.not_asked(reads.SUBNETS, reason, "ec2"),
        acls=Fact.not_asked(reads.NETWORK_ACLS, reason, "ec2"),
        route_tables=Fact.not_asked(reads.ROUTE_TABLES, reason, "ec2"),
        prefix_lists=Fact.not_asked(reads.PREFIX_LISTS, reason, "ec2"),
    )
