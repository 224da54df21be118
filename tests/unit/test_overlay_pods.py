"""Which pods have addresses that the VPC does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.overlay_pods import overlay_pods
from kubectl_lbdoctor.model import network, reads
from kubectl_lbdoctor.model.fact import Fact, Unknown
from kubectl_lbdoctor.permission import Permission
from tests.support.world import SUBNETS, World, node, node_interface, pod

LOCAL = (network.VpcRoute("10.0.0.0/16", target="local"), network.VpcRoute("fd00:10::/56", target="local"))
DEFAULT = network.VpcRoute("0.0.0.0/0", target="nat-1")
FOUR = tuple(network.Subnet(name, "vpc-1", (cidr,)) for name, cidr in SUBNETS.items())


def world(address: str, *routes: network.VpcRoute, subnets: tuple[network.Subnet, ...] = FOUR) -> World:
    """One pod with this address on an instance of the VPC 10.0.0.0/16."""
    table = network.RouteTable("rtb-1", "vpc-1", main=True, routes=routes)
    return World(
        pods=(pod(1, ip=address, ips=(address,)),),
        vpc={
            "subnets": Fact.known(reads.SUBNETS, subnets),
            "route_tables": Fact.known(reads.ROUTE_TABLES, (table,)),
        },
    )


def found(made: World) -> Sequence[str]:
    return [p.ip for p in overlay_pods(traffic_paths(made.build())[0])]


@pytest.mark.parametrize("address", ["172.30.1.5", "192.168.7.7", "100.64.0.9", "10.42.0.5", "fd42::5"])
def test_an_address_of_no_range_is_of_an_overlay(address: str) -> None:
    assert found(world(address, *LOCAL, DEFAULT)) == [address]


@pytest.mark.parametrize(
    ("address", "route"),
    [
        ("100.64.0.9", network.VpcRoute("100.64.0.0/16", target="local")),
        ("172.30.1.5", network.VpcRoute("172.30.1.0/24", target="eni-1")),
        ("172.30.1.5", network.VpcRoute("172.16.0.0/12", target="tgw-1")),
    ],
)
def test_what_a_route_leads_to_is_of_no_overlay(address: str, route: network.VpcRoute) -> None:
    assert found(world(address, *LOCAL, DEFAULT, route)) == []
    dead = replace(route, state="blackhole")
    assert found(world(address, *LOCAL, DEFAULT, dead)) == [address]


def test_a_subnet_of_a_secondary_range_is_of_the_vpc() -> None:
    secondary = network.Subnet("subnet-x", "vpc-1", ("100.64.0.0/20",))
    assert found(world("100.64.0.9", *LOCAL, subnets=(*FOUR, secondary))) == []


def test_without_a_local_route_nothing_is_said() -> None:
    assert found(world("172.30.1.5", DEFAULT)) == []


def test_pods_of_other_machines_are_of_no_overlay() -> None:
    """Hybrid nodes and Fargate: where their pods are is no matter of an overlay between instances."""
    for kind in ("hybrid", "fargate"):
        labels = {"eks.amazonaws.com/compute-type": kind}
        outside = replace(node(1), meta=replace(node(1).meta, labels=labels))
        assert found(replace(world("172.30.1.5", *LOCAL), nodes=(outside, node(2)))) == []


def test_a_pod_of_the_nodes_network_is_of_no_overlay() -> None:
    made = world("172.30.1.5", *LOCAL)
    assert found(replace(made, pods=(replace(made.pods[0], host_network=True),))) == []


def test_an_address_of_a_delegated_prefix_is_of_the_vpc() -> None:
    made = world("172.30.1.5", *LOCAL)
    prefixed = node_interface(1, private_ips=("10.0.1.10",), prefixes=("172.30.1.0/28",))
    assert found(replace(made, interfaces=(prefixed,))) == []


def test_what_was_not_read_is_unknown() -> None:
    made = world("172.30.1.5", *LOCAL)
    denied = Fact.denied(reads.ROUTE_TABLES, "denied", Permission(action="ec2:DescribeRouteTables"))
    with pytest.raises(Unknown):
        found(replace(made, vpc={**made.vpc, "route_tables": denied}))


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFF), st.integers(0, 0xFFFF))
def test_no_address_of_the_vpc_is_of_an_overlay(third: int, fourth: int, subnet: int, host: int) -> None:
    assert found(world(f"10.0.{third}.{fourth}", *LOCAL)) == []
    assert found(world(f"fd00:10:0:{subnet:x}::{host:x}", *LOCAL)) == []
