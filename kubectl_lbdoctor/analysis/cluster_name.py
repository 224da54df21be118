"""By which name AWS knows this cluster, against the one that a controller was started with. Pure.

The controller takes a subnet that is tagged for clusters only if its own name is among them, and writes rules to the
security group that is tagged with it. A name that is not the cluster's makes all of them another cluster's, and no tag
is wrong.

Sources: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/subnet_discovery/,
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/networking/subnet_resolver.go,
.../pkg/networking/networking_manager.go.
"""

from __future__ import annotations

from collections import defaultdict

from kubectl_lbdoctor.knowledge.controller_identity import plain_flag
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Evidence, Source
from kubectl_lbdoctor.model.k8s import Workload
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.security_groups import CLUSTER_TAG
from kubectl_lbdoctor.record import record

READS = (reads.CONTROLLER, reads.NODES, reads.NETWORK_INTERFACES, reads.SECURITY_GROUPS, reads.SUBNETS)
# What eksctl puts on its nodes, and EKS on the security group that it makes for a cluster.
_NODE_LABEL = "alpha.eksctl.io/cluster-name"
_GROUP_TAG = "aws:eks:cluster-name"


@record
class NameMismatch:
    """A controller that calls the cluster otherwise than its nodes' AWS objects do.

    sure: nodes or their security groups say the name; else the subnets' tags and the kubeconfig agree in it.
    """

    controller: Workload
    told: str
    name: str
    sure: bool
    evidence: tuple[Evidence, ...]


@derived
def name_mismatch(traffic: TrafficPath) -> NameMismatch | None:
    """The controller that has another cluster's name; None where its name is among those that are found, where several
    controllers run, or where nothing says how the cluster is called. Raises `Unknown` where Deployments were not read.
    """
    controllers = traffic.cluster.controllers.need()
    told = plain_flag(controllers[0], "cluster-name") if len(controllers) == 1 else ""
    if not told:
        return None
    by_nodes = _names_of_nodes(traffic)
    if by_nodes:
        if told in by_nodes or len(by_nodes) > 1:
            return None
        name, places = next(iter(by_nodes.items()))
        return NameMismatch(controllers[0], told, name, True, (*places[:3], *_of_subnets(traffic, name)))
    by_subnets = _names_of_subnets(traffic)
    name = traffic.context.cluster
    if told in by_subnets or set(by_subnets) != {name}:
        return None
    return NameMismatch(controllers[0], told, name, False, _of_subnets(traffic, name))


def _names_of_nodes(traffic: TrafficPath) -> dict[str, list[Evidence]]:
    """The cluster's name as its nodes' labels and the tags of their security groups say it."""
    found: dict[str, list[Evidence]] = defaultdict(list)
    for node in traffic.cluster.nodes.peek() or ():
        if name := node.meta.labels.get(_NODE_LABEL, ""):
            found[name].append(Evidence(f"node {node.meta.name}", f"label {_NODE_LABEL}: {name}"))
    instances = index.nodes_by_instance(traffic.snapshot) if traffic.cluster.nodes.is_known else {}
    interfaces = traffic.network.interfaces.peek() or ()
    used = {group for i in interfaces if i.instance_id in instances for group in i.security_groups}
    for group in traffic.network.security_groups.peek() or ():
        if group.id not in used:
            continue
        names = [key[len(CLUSTER_TAG) :] for key in group.tags if key.startswith(CLUSTER_TAG)]
        names += [group.tags[_GROUP_TAG]] if _GROUP_TAG in group.tags else []
        for name in dict.fromkeys(filter(None, names)):
            found[name].append(Evidence(f"security group {group.id} of the nodes", f"tagged for cluster {name}"))
    return found


def _names_of_subnets(traffic: TrafficPath) -> tuple[str, ...]:
    tags = {key for subnet in traffic.network.subnets.peek() or () for key in subnet.tags}
    return tuple(sorted(key[len(CLUSTER_TAG) :] for key in tags if key.startswith(CLUSTER_TAG)))


def _of_subnets(traffic: TrafficPath, name: str) -> tuple[Evidence, ...]:
    subnets = traffic.network.subnets.peek() or ()
    mine = [s for s in subnets if CLUSTER_TAG + name in s.tags]
    if not mine:
        return ()
    return (Evidence(reads.SUBNETS, f"{len(mine)} of {len(subnets)} are tagged for cluster {name}"),)


def describe_flag(mismatch: NameMismatch) -> Evidence:
    return Evidence(Source.CONTROLLER, f"--cluster-name={mismatch.told}")
