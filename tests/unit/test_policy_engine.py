"""How sure it is that something enforces NetworkPolicies, by the DaemonSets of kube-system and the kinds of nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.policy_engine import Enforcement, policy_engine
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Container, Meta, Node, Workload
from kubectl_lbdoctor.model.snapshot import ClusterFacts, Snapshot
from kubectl_lbdoctor.permission import Permission

NODES = tuple(Node(Meta(f"node{n}")) for n in (1, 2))


def daemon(name: str, *arguments: str, on: int = 2) -> Workload:
    return Workload("DaemonSet", Meta(name, "kube-system"), on, on, containers=(Container(name, args=arguments),))


def found(*daemons: Workload, nodes: tuple[Node, ...] = NODES, left_out: tuple[str, ...] = ()) -> Enforcement:
    listed = replace(Fact.known(reads.KUBE_PROXY, daemons), left_out=left_out)
    return policy_engine(Snapshot(cluster=ClusterFacts(kube_proxy=listed, nodes=Fact.known(reads.NODES, nodes)))).state


OFF = daemon("aws-node", "--enable-network-policy=false")


@pytest.mark.parametrize(
    "daemons",
    [
        (daemon("aws-node", "--enable-ipv6=false", "--enable-network-policy=true"),),
        (daemon("aws-node", "--enable-network-policy"),),
        (OFF, daemon("calico-node")),
        (daemon("cilium"),),
        (OFF, daemon("kube-router", "--run-router=false")),
    ],
)
def test_an_engine_on_every_node(daemons: tuple[Workload, ...]) -> None:
    assert found(*daemons) is Enforcement.ON


@pytest.mark.parametrize("other", [(), (daemon("kube-router", "--run-firewall=false"),), (daemon("cilium", on=0),)])
def test_the_agent_of_the_vpc_cni_switched_off(other: tuple[Workload, ...]) -> None:
    assert found(OFF, *other) is Enforcement.OFF


def test_a_vpc_cni_without_the_agent() -> None:
    assert found(daemon("aws-node"), daemon("kube-proxy")) is Enforcement.OFF


def test_no_engine_in_kube_system_is_not_off() -> None:
    """Calico and Cilium may stand elsewhere, and Auto Mode has no DaemonSet for it."""
    assert found() is Enforcement.UNKNOWN
    assert found(daemon("kube-proxy")) is Enforcement.UNKNOWN


@pytest.mark.parametrize("kind", ["auto", "hybrid"])
def test_nodes_with_an_engine_of_their_own(kind: str) -> None:
    nodes = (*NODES, Node(Meta("own", labels={"eks.amazonaws.com/compute-type": kind})))
    assert found(OFF, nodes=nodes) is Enforcement.UNKNOWN


def test_an_engine_on_some_nodes_only() -> None:
    nodes = (*NODES, Node(Meta("node3")))
    assert found(daemon("aws-node", "--enable-network-policy=true"), nodes=nodes) is Enforcement.UNKNOWN


def test_what_could_not_be_understood_or_read_may_be_an_engine() -> None:
    assert found(OFF, left_out=("calico-node",)) is Enforcement.UNKNOWN
    denied: Fact[tuple[Workload, ...]] = Fact.denied(reads.KUBE_PROXY, "forbidden", Permission(("list",), "daemonsets"))
    unread = Snapshot(cluster=ClusterFacts(kube_proxy=denied, nodes=Fact.known(reads.NODES, NODES)))
    assert policy_engine(unread).state is Enforcement.UNKNOWN


def test_a_fargate_node_takes_no_daemon_sets() -> None:
    fargate = Node(Meta("node3", labels={"eks.amazonaws.com/compute-type": "fargate"}))
    engine = daemon("aws-node", "--enable-network-policy=true")
    assert found(engine, nodes=(*NODES, fargate)) is Enforcement.ON
