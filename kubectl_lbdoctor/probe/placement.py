"""Which node's debug pod sends which health check. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubectl_lbdoctor.analysis.node_targets import COMPUTE_TYPE
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.model.k8s import Node
from kubectl_lbdoctor.model.probe import ProbeRequest
from kubectl_lbdoctor.probe.requests import invalid_request
from kubectl_lbdoctor.record import record

MAX_PODS = 10
"""Debug pods of one run: nodes beyond that are not asked from."""

ALL_NODES = "all"
"""The value of --probe-node that means every node of a target."""


@record
class Batch:
    """The requests that one debug pod sends. node: where it must run."""

    namespace: str
    node: str
    requests: tuple[ProbeRequest, ...]


@record
class Placement:
    """One batch per debug pod, and the requests that no node can send, with the reason in one sentence."""

    batches: tuple[Batch, ...]
    left_out: tuple[tuple[ProbeRequest, str], ...]


@dataclass
class _Pods:
    """The pods that are planned so far, by namespace and node, with what each sends."""

    requests: dict[tuple[str, str], list[ProbeRequest]] = field(default_factory=dict)

    def node_in_use(self, among: Sequence[str]) -> str:
        """One of these nodes, one that has a pod already where it can be: then fewer pods do."""
        return next((node for _, node in self.requests if node in among), among[0])

    def add(self, request: ProbeRequest, node: str) -> bool:
        """Give a request to the pod of a node; False where that would be a pod too many."""
        key = (request.namespace, node)
        if key not in self.requests and len(self.requests) >= MAX_PODS:
            return False
        self.requests.setdefault(key, []).append(request)
        return True


def assign_to_nodes(requests: Sequence[ProbeRequest], nodes: Sequence[Node], chosen: Sequence[str] = ()) -> Placement:
    """Which node sends which request.

    A pod is asked from its own node: what it answers there has met no security group, so it is the application's word.
    A node port is asked from another node, as the load balancer comes from outside: a node's own pods may be let past
    `externalTrafficPolicy: Local`.

    nodes: of the cluster; none where they could not be listed, and then every name is taken as it is. chosen: names of
    --probe-node, or "all". Raises UsageError for a chosen node that does not exist.
    """
    known = {node.meta.name for node in nodes}
    usable = [node.meta.name for node in nodes if node.ready == "True" and _takes_pods(node)]
    for name in chosen:
        if name != ALL_NODES and known and name not in known:
            raise UsageError(f'there is no node "{name}"', "list them with: kubectl get nodes")
    if ALL_NODES in chosen:
        chosen = tuple(dict.fromkeys(r.node for r in requests if r.node in usable or not known))
    pods = _Pods()
    left_out: list[tuple[ProbeRequest, str]] = []
    for request in requests:
        if invalid := invalid_request(request):
            left_out.append((request, invalid))
            continue
        senders = tuple(chosen) or _senders(request, usable, bool(known), pods)
        if not senders:
            left_out.append((request, "no node that is ready can run a debug pod"))
        for node in senders:
            if not pods.add(request, node):
                left_out.append((request, f"not sent: at most {MAX_PODS} debug pods at once (--probe-node NAME)"))
    batches = tuple(Batch(namespace, node, tuple(own)) for (namespace, node), own in pods.requests.items())
    return Placement(batches, tuple(left_out))


def _senders(request: ProbeRequest, usable: Sequence[str], listed: bool, pods: _Pods) -> tuple[str, ...]:
    """The node that sends a request where nobody has chosen one, () where none can. listed: the nodes are known."""
    others = [name for name in usable if name != request.node]
    own_node_works = bool(request.node) and (request.node in usable or not listed)
    if own_node_works and (request.pod or not others):
        return (request.node,)
    return (pods.node_in_use(others),) if others else ()


def _takes_pods(node: Node) -> bool:
    """Whether a node takes pods of ours: Fargate's hold one pod each, Windows cannot run the image."""
    labels = node.meta.labels
    return labels.get(COMPUTE_TYPE) != "fargate" and labels.get("kubernetes.io/os") != "windows"
