"""Whether something in the cluster enforces NetworkPolicies: without an engine they are mere objects. Pure.

Only the DaemonSets of kube-system are read. An engine that is seen there enforces where it runs; one that is not seen
may run elsewhere, as Calico does in calico-system when the Tigera operator installs it. The VPC CNI's own is switched
on by an argument of its agent and off by default; the nodes of EKS Auto Mode have one that no object shows, and hybrid
nodes have Cilium or Calico. Fargate takes no DaemonSets.

- https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html
- https://github.com/aws/aws-network-policy-agent/blob/main/README.md (`enable-network-policy`, default false)
- https://github.com/aws/amazon-vpc-cni-k8s/blob/master/README.md (`NETWORK_POLICY_ENFORCING_MODE`, default standard)
- https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
- https://docs.aws.amazon.com/eks/latest/userguide/fargate.html
- https://docs.tigera.io/calico/latest/getting-started/kubernetes/managed-public-cloud/eks
- https://www.kube-router.io/docs/user-guide/ (`--run-firewall`)
"""

from __future__ import annotations

from enum import Enum

from kubectl_lbdoctor.analysis.node_targets import COMPUTE_TYPE
from kubectl_lbdoctor.knowledge.controller_identity import ENFORCING_MODE, GO_FALSE, controller_flags
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.k8s import Node, Pod, Workload
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.record import record

READS = (reads.KUBE_PROXY, reads.NODES)


class Enforcement(str, Enum):
    """ON: an engine runs on every node. OFF: the VPC CNI's is switched off, and no other one is seen."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


@record
class PolicyEngine:
    """Whether NetworkPolicies are enforced, and half a sentence that says by what, or how far that is known. strict: a
    pod that no policy selects admits nobody, either."""

    state: Enforcement
    why: str
    strict: bool = False


_VPC_CNI = "aws-node"
_SWITCH = "enable-network-policy"
_FIREWALL = "run-firewall"
_OTHERS = ("antrea-agent", "calico-node", "canal", "cilium", "kube-network-policies", "kube-router", "weave-net")
"""The names that their manifests and charts give to the DaemonSets of other engines."""
_OWN_ENGINE = {"auto": "EKS Auto Mode", "hybrid": "hybrid"}
"""Kinds of nodes (by their label) on which another engine than the DaemonSets of all others may run."""


@derived
def policy_engine(snapshot: Snapshot) -> PolicyEngine:
    """Whether anything enforces NetworkPolicies, as far as the DaemonSets of kube-system and the nodes tell."""
    daemons, nodes = snapshot.cluster.kube_proxy.peek(), snapshot.cluster.nodes.peek()
    if daemons is None or nodes is None:
        what = "the DaemonSets of kube-system" if daemons is None else "nodes"
        return PolicyEngine(Enforcement.UNKNOWN, f"{what} could not be read: whether one runs is not known")
    running = [daemon for daemon in daemons if daemon.replicas]
    engine = next((daemon for daemon in running if _enforces(daemon)), None)
    strange = sorted({name for node in nodes if (name := _OWN_ENGINE.get(node.meta.labels.get(COMPUTE_TYPE, "")))})
    if engine is not None:
        others = [node for node in nodes if not _is_of_fargate(node)]
        if engine.replicas >= len(others):
            but = " but those of Fargate" if len(others) < len(nodes) else ""
            why = f"daemonset/{engine.meta.name} in kube-system, on every node{but}"
            return PolicyEngine(Enforcement.ON, why, _is_strict(engine))
        why = f"daemonset/{engine.meta.name} in kube-system, on {engine.replicas} of {len(others)} nodes"
        return PolicyEngine(Enforcement.UNKNOWN, why)
    if strange:
        why = f"not known: {' and '.join(strange)} nodes may have one that no DaemonSet of kube-system shows"
        return PolicyEngine(Enforcement.UNKNOWN, why)
    if any(daemon.meta.name == _VPC_CNI for daemon in running) and not snapshot.cluster.kube_proxy.left_out:
        why = (
            f"switched off in daemonset/{_VPC_CNI} (no --{_SWITCH}=true), and no other one is seen in kube-system; "
            "one in another namespace, as calico-system, would not be seen"
        )
        return PolicyEngine(Enforcement.OFF, why)
    why = "not known: none is seen in kube-system, and other namespaces are not read"
    return PolicyEngine(Enforcement.UNKNOWN, why)


def may_be_filtered(snapshot: Snapshot, pod: Pod) -> bool:
    """Whether an engine may filter what comes to a pod: on Fargate none does, where there are no DaemonSets."""
    return pod.node not in _fargate_nodes(snapshot)


@derived
def _fargate_nodes(snapshot: Snapshot) -> frozenset[str]:
    return frozenset(node.meta.name for node in snapshot.cluster.nodes.peek() or () if _is_of_fargate(node))


def _is_of_fargate(node: Node) -> bool:
    return node.meta.labels.get(COMPUTE_TYPE) == "fargate"


def _is_strict(daemon: Workload) -> bool:
    """Whether it is the VPC CNI in its strict mode, in which pods begin with a policy that denies everything."""
    said = (container.env.get(ENFORCING_MODE, "") for container in daemon.containers)
    return daemon.meta.name == _VPC_CNI and "strict" in said


def _enforces(daemon: Workload) -> bool:
    flags = controller_flags(daemon)
    if daemon.meta.name == _VPC_CNI:
        return flags.get(_SWITCH, "false") not in GO_FALSE
    return daemon.meta.name in _OTHERS and flags.get(_FIREWALL, "true") not in GO_FALSE
