"""The EC2 reads behind the network checks: one page set per kind for everything in question, never one per target."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Any, Protocol, TypeVar

from kubectl_lbdoctor.collect import convert_network
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import interface_description
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.network import NetworkInterface, SecurityGroup
from kubectl_lbdoctor.model.snapshot import NetworkFacts

R = TypeVar("R")
T = TypeVar("T")

# EC2 takes at most 200 values in one filter (EC2 API reference, "Filter").
FILTER_BATCH = 200


class Ec2(Protocol):
    """What is needed of `collect.aws.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...


Attempt = Callable[[str, str, Callable[[], T]], Fact[T]]


class NetworkReader:
    """Reads interfaces first (by instance, by address, by the load balancer's description), then what they refer to."""

    def __init__(
        self, reader: Ec2, attempt: Callable[[str, str, Callable[[], Any]], Fact[Any]], pool: Executor
    ) -> None:
        self._reader = reader
        self._attempt = attempt
        self._pool = pool

    def _describe(
        self, source: str, operation: str, key: str, name: str, values: Iterable[str], convert: Callable[[Any], R]
    ) -> Fact[tuple[R, ...]]:
        wanted = sorted(set(values))

        def read() -> tuple[R, ...]:
            found: list[R] = []
            for start in range(0, len(wanted), FILTER_BATCH):
                filters = [{"Name": name, "Values": wanted[start : start + FILTER_BATCH]}]
                found += (convert(raw) for raw in self._reader.call("ec2", operation, key, Filters=filters))
            return tuple(found)

        fact: Fact[tuple[R, ...]] = self._attempt(source, name, read)
        return fact

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
        interfaces = _merged([future.result() for future in started])
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
        fact: Fact[tuple[Any, ...]] = self._attempt(reads.PREFIX_LISTS, wanted[0], read)
        return fact


def _merged(parts: list[Fact[tuple[NetworkInterface, ...]]]) -> Fact[tuple[NetworkInterface, ...]]:
    """All interfaces once; one part that is not known makes the whole unknown."""
    for part in parts:
        if not part.is_known:
            return part
    found = {i.id: i for part in parts for i in part.peek() or ()}
    return Fact.known(reads.NETWORK_INTERFACES, tuple(found.values()), "interfaces")
