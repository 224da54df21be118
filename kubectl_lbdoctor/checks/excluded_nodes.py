"""LBD207: which worker nodes does the controller leave out as instance targets, and what does that come to?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.local_traffic import without_local_endpoint
from kubectl_lbdoctor.analysis.node_targets import (
    Exclusion,
    NodeExclusion,
    describe_exclusion,
    instance_nodes,
    is_outside_ec2,
)
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.registered_targets import READS, SHOWN
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Node, Service, TargetGroupBinding
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# A node that joins is NotReady until its network plugin runs; that is no reason to miss it.
JOINING_SECONDS = 120


@check(
    "LBD207",
    title="a worker node is left out as an instance target",
    passes="no worker node is left out as an instance target",
    severity=Severity.WARNING,
    message="{nodes:=node {nodes} is|{nodes:node} ({nodes:,3}) are} left out as instance "
    "{nodes:=target|targets}: {why}[; {effect}]",
    reads=(*READS, reads.INGRESSES, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, reads.LOAD_BALANCERS),
    explains=("LBD601", "LBD603"),
    distinct_by=("why", "effect"),
)
def nodes_left_out(traffic: TrafficPath) -> Iterator[Finding]:
    """With instance targets the controller registers every node that is Ready, is an EC2 instance, matches the
    binding's nodeSelector and carries none of the labels and taints that exclude it. Here worker nodes are left out.

    Fargate, hybrid and virtual nodes can never be instance targets, and nobody expects those of a control plane there
    (the controller leaves out the ones with the label node-role.kubernetes.io/master): they are named only when no node
    is left at all. Nodes that a nodeSelector leaves out on purpose are named only when externalTrafficPolicy Local
    makes their pods unreachable. Where all ready pods of such a Service run on nodes that are left out, nobody serves
    it: that is an error, and it is how a drain, the Cluster Autoscaler or Karpenter takes the last pod away before
    another one is ready.

    Confirm by hand: `kubectl get nodes --show-labels` and `kubectl describe node NAME` (taints, conditions).
    Repair: remove the label or taint, bring the node back, or use `target-type: ip`.
    """
    binding, service = traffic.binding.need(), traffic.service.need()
    if binding is None or service is None or traffic.target_type != "instance":
        raise NotApplicable("no instance targets of a Service")
    taken, left = instance_nodes(traffic)
    names = {node.meta.name for node in taken}
    for (exclusion, effect), nodes in _left_out(traffic, service, names, left).items():
        finding = _node_finding(traffic, exclusion, effect, nodes, len(taken))
        if exclusion.kind is Exclusion.FARGATE and not taken:
            finding = _by_target_type(traffic, finding)
        elif exclusion.kind is Exclusion.NODE_SELECTOR and not taken:
            finding = _by_selector(traffic, binding, finding, exclusion)
        yield finding


def _by_target_type(traffic: TrafficPath, finding: Finding) -> Finding:
    """The same about the setting that asks for instances: pods on Fargate have interfaces of their own, and Fargate
    nodes are no instances (https://docs.aws.amazon.com/eks/latest/userguide/fargate.html)."""
    source = setting_source(traffic, "target-type" if traffic.is_alb else "nlb-target-type")
    if not source.settable:
        return finding
    repair = source.repair("ip", "Fargate nodes are no instances", "the target group is replaced by one of pods")
    return replace(finding, object=source.ref, repairs=(repair,), fix="target-type", fix_automatic=True, advice="")


def _by_selector(
    traffic: TrafficPath, binding: TargetGroupBinding, finding: Finding, exclusion: NodeExclusion
) -> Finding:
    """The same about what asks for a label that no node has: the annotation, or a binding of the user's own."""
    if not binding.stack:
        asked = binding.ref
    elif traffic.subject.kind in ("Ingress", "Service"):
        asked = setting_source(traffic, "target-node-labels").ref
    else:
        return finding
    return replace(finding, object=asked, confirm=(kubectl("get", "nodes", "-L", exclusion.key), *finding.confirm))


# What it comes to that nodes are left out.
_GROUP_EMPTY = "no node is left"
_PODS_UNREACHABLE = "ready pods there get no traffic"
_LAST_PODS_UNREACHABLE = "all ready pods run there"


def _left_out(
    traffic: TrafficPath, service: Service, taken: Collection[str], left: Mapping[str, NodeExclusion]
) -> dict[tuple[NodeExclusion, str], list[Node]]:
    """The nodes that are worth naming, by what excludes them and what that comes to ("" for nothing)."""
    nodes = {node.meta.name: node for node in traffic.cluster.nodes.need()}
    local = service.external_traffic_policy == "Local"
    serving = {e.node for e in traffic.ready_endpoints()} if left else set()
    grouped: dict[tuple[NodeExclusion, str], list[Node]] = defaultdict(list)
    workers = any(_is_worker(nodes[name]) for name in left)
    for name, exclusion in left.items():
        if workers and not _is_worker(nodes[name]):
            continue  # It could never be a target: the workers are what is missing.
        unreachable = local and name in serving
        if taken and _is_expected(traffic, nodes[name], exclusion, unreachable):
            continue
        others = serving.intersection(taken) or _serves(traffic)
        cut_off = _PODS_UNREACHABLE if others else _LAST_PODS_UNREACHABLE
        effect = _GROUP_EMPTY if not taken else cut_off if unreachable else ""
        grouped[(exclusion, effect)].append(nodes[name])
    return grouped


def _is_expected(traffic: TrafficPath, node: Node, exclusion: NodeExclusion, unreachable: bool) -> bool:
    """Whether nobody misses this node while others are targets."""
    if not _is_worker(node):
        return True
    if exclusion.kind is Exclusion.NOT_READY and traffic.age(node.meta.created) < JOINING_SECONDS:
        return True
    return exclusion.kind is Exclusion.NODE_SELECTOR and not unreachable


def _node_finding(
    traffic: TrafficPath, exclusion: NodeExclusion, effect: str, nodes: list[Node], taken: int
) -> Finding:
    names = [node.meta.name for node in nodes]
    why = describe_exclusion(exclusion)
    total = len(traffic.cluster.nodes.need())
    nobody_serves = effect == _LAST_PODS_UNREACHABLE
    return Finding(
        "LBD207",
        ObjectRef("Node", "", names[0]),
        params={
            "nodes": tuple(names),
            "why": why,
            "effect": effect,
        },
        evidence=(
            *(Evidence(f"node {name}", why) for name in names[:SHOWN]),
            Evidence(Source.NODES, f"{taken} of {total} can be targets"),
        ),
        confirm=(kubectl("describe", "node", *names[:SHOWN]),),
        by_hand=tuple(kubectl("label", "node", name, f"{exclusion.key}-") for name in names[:SHOWN])
        if exclusion.kind is Exclusion.EXCLUDE_LABEL
        else (),
        advice=_node_advice(exclusion),
        targets=tuple(t.key for t in without_local_endpoint(traffic)[0]) if nobody_serves else (),
        severity=_severity(exclusion, effect, nobody_serves or not (taken or traffic.target_health.peek())),
    )


def _severity(exclusion: NodeExclusion, effect: str, nothing_is_served: bool) -> Severity | None:
    """Without any node the group stays empty. A label that is there to leave a node out does so; worth a warning is
    what it takes away."""
    if nothing_is_served:
        return Severity.ERROR
    return Severity.INFO if exclusion.kind is Exclusion.EXCLUDE_LABEL and not effect else None


def _serves(traffic: TrafficPath) -> bool:
    """Whether some target passes all the same: the controller has not taken the node out yet."""
    return any(t.state == "healthy" for t in traffic.target_health.peek() or ())


def _is_worker(node: Node) -> bool:
    """Whether the node is one that people expect among instance targets."""
    labels = node.meta.labels
    control_plane = any(f"node-role.kubernetes.io/{role}" in labels for role in ("control-plane", "master"))
    return not control_plane and not is_outside_ec2(node)


def _node_advice(exclusion: NodeExclusion) -> str:
    if exclusion.kind is Exclusion.EXCLUDE_LABEL:
        return "remove the label, if the node is to take traffic"
    return _NODE_ADVICE.get(
        exclusion.kind, "use target-type ip: these nodes are no EC2 instances of this cluster's VPC"
    )


_NODE_ADVICE = {
    Exclusion.TAINT: "the taint says that the node is going away; remove it where the autoscaler has left it behind",
    Exclusion.NOT_READY: "bring the node back: look at its instance and its kubelet",
    Exclusion.NODE_SELECTOR: "correct the label in the target-node-labels annotation (the binding's nodeSelector), or "
    "give it to the nodes that are meant",
}
