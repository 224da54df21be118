"""Which EC2 reads are made for which interfaces: one page set per kind, none for what is not there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubectl_lbdoctor.collect.network_reads import NetworkReader


class Ec2:
    """Remembers the filters that it was asked with, and holds these interfaces."""

    def __init__(self, *interfaces: dict[str, Any]) -> None:
        self.interfaces = list(interfaces)
        self.asked: list[tuple[str, str, tuple[str, ...]]] = []

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        for one in params.get("Filters", ()):
            self.asked.append((operation, one["Name"], tuple(one["Values"])))
        return self.interfaces if operation == "DescribeNetworkInterfaces" else []


def filters(ec2: Ec2, instances: list[str], addresses: list[str]) -> set[tuple[str, tuple[str, ...]]]:
    with ThreadPoolExecutor(2) as pool:
        reader = NetworkReader(ec2, pool)
        reader.finish(reader.start_interfaces(instances, addresses), [])
    return {(name, values) for operation, name, values in ec2.asked if operation == "DescribeNetworkInterfaces"}


def test_addresses_of_each_family_have_their_own_filter() -> None:
    """EC2 finds nothing by an IPv6 address in the filter for private IPv4 ones."""
    assert filters(Ec2(), ["i-1"], ["10.0.1.34", "fd00::34", "10.0.2.34"]) == {
        ("attachment.instance-id", ("i-1",)),
        ("addresses.private-ip-address", ("10.0.1.34", "10.0.2.34")),
        ("ipv6-addresses.ipv6-address", ("fd00::34",)),
    }


def test_nothing_is_asked_for_nothing() -> None:
    assert filters(Ec2(), [], ["10.0.1.34"]) == {("addresses.private-ip-address", ("10.0.1.34",))}
    assert filters(Ec2(), [], []) == set()


def subnet_filters(whole_vpc: bool, *interfaces: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    ec2 = Ec2(*interfaces)
    with ThreadPoolExecutor(2) as pool:
        reader = NetworkReader(ec2, pool)
        reader.finish(reader.start_interfaces(["i-1"], []), [], whole_vpc)
    return [(name, values) for operation, name, values in ec2.asked if operation == "DescribeSubnets"]


def test_the_subnets_of_the_whole_vpc_are_one_read_in_place_of_the_other() -> None:
    interface = {"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-1", "VpcId": "vpc-1"}
    assert subnet_filters(False, interface) == [("subnet-id", ("subnet-1",))]
    assert subnet_filters(True, interface) == [("vpc-id", ("vpc-1",))]
    assert subnet_filters(True) == []
