"""LBD134, LBD135: one wrong thing elsewhere keeps the controller from working on this object, and is what to change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from kubectl_lbdoctor.analysis import cluster_name
from kubectl_lbdoctor.analysis.cluster_name import name_mismatch
from kubectl_lbdoctor.analysis.controller_complaints import READS as REPORT_READS
from kubectl_lbdoctor.analysis.controller_complaints import Complaint, standing_complaints
from kubectl_lbdoctor.analysis.controller_reach import still_served
from kubectl_lbdoctor.analysis.desired_state import READS as DESIRED_READS
from kubectl_lbdoctor.analysis.node_targets import Exclusion, instance_nodes
from kubectl_lbdoctor.analysis.remediation import kubectl, shell
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Node, TargetGroupBinding
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.selectors import LabelSelector
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_GROUP = re.compile(r"\bsg-[0-9a-z]+\b")


def _heard(traffic: TrafficPath) -> Iterator[Complaint]:
    """What the controller says; where events or logs were not read, that is all that can be heard."""
    with suppress(Unknown):
        yield from standing_complaints(traffic)


@check(
    "LBD134",
    title="the controller runs under another cluster's name",
    passes="the controller knows the cluster by its name",
    severity=Severity.ERROR,
    message="the controller runs as cluster {told} in {name}: {what} seem another cluster's to it",
    reads=(*REPORT_READS, *cluster_name.READS),
    explains=(*undone_by("LBD134"), "LBD505", "LBD511"),
)
def name_of_another_cluster(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller looks for subnets and security groups by the tag `kubernetes.io/cluster/NAME` with the name from
    its flag `--cluster-name`. It was given another name than the nodes' security groups, labels or subnets carry, and
    says that all subnets belong to other clusters, or that no security group is tagged.

    The tags are right then; to add the wrong name to all of them would hide the fault. Where the nodes' own tags carry
    the controller's name, the subnets' tags are what is wrong (LBD511).

    Confirm by hand: the argument `--cluster-name` of the controller's Deployment against `aws eks list-clusters`.
    Repair: correct the flag --cluster-name (chart value clusterName).
    """
    complaints = [c for c in _heard(traffic) if _finds_others(c)]
    if not complaints:
        return
    mismatch = name_mismatch(traffic)
    if mismatch is None:
        return
    workload = mismatch.controller
    codes = {c.decoded.code for c in complaints}
    yield Finding(
        "LBD134",
        ObjectRef("Deployment", workload.meta.namespace, workload.meta.name),
        params={
            "controller": workload.meta.key,
            "told": mismatch.told,
            "name": mismatch.name,
            "what": "security groups" if codes == {"LBD505"} else "subnets",
        },
        evidence=(
            cluster_name.describe_flag(mismatch),
            *mismatch.evidence,
            *(c.evidence for c in complaints[:2]),
        ),
        confidence=Confidence.CERTAIN if mismatch.sure else Confidence.LIKELY,
        confirm=(kubectl("get", "deployment", workload.meta.name, "-o", "yaml", namespace=workload.meta.namespace),),
        by_hand=(kubectl("edit", "deployment", workload.meta.name, namespace=workload.meta.namespace),),
        advice=f"start it with {shell(f'--cluster-name={mismatch.name}')} (chart value clusterName)",
    )


def _finds_others(complaint: Complaint) -> bool:
    """Whether the controller found what it looked for under other clusters' names only."""
    params = complaint.decoded.params
    if complaint.decoded.code == "LBD511":
        others = params.get("other_clusters", 0)
        return isinstance(others, int) and others > 0
    return complaint.decoded.code == "LBD505" and not params.get("security_groups")


@check(
    "LBD135",
    title="another object stops the controller's work on this one",
    passes="no other object stops the controller's work on this one",
    severity=Severity.ERROR,
    message="{culprit} stops the controller: {why}",
    reads=(
        *(*REPORT_READS, *DESIRED_READS, reads.NODES, reads.PODS),
        *(reads.ENDPOINT_SLICES, reads.TARGET_GROUPS, reads.TARGET_HEALTH, reads.ALL_BINDINGS),
    ),
    explains=(*undone_by("LBD135"), "LBD207"),
    distinct_by=("why",),
)
def stopped_by_another(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller gives up the whole step at the first thing that it cannot use, so one object stops others.

    A Node whose providerID names no EC2 instance, as that of a virtual kubelet, stops the registration of every node in
    all bindings with instance targets that select it. A TargetGroupBinding whose networking names a security group that
    is gone stops the rules of all bindings that share a security group of nodes or pods with it: they are written in
    one call.

    Fargate and hybrid nodes, nodes with the label node-role.kubernetes.io/master or an exclude label, nodes that are
    not Ready and nodes that are not selected are passed over by the controller and stop nothing.

    Sources: ExtractNodeInstanceID in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/k8s/node_utils.go,
    ResolveNodePortEndpoints in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/backend/endpoint_resolver.go,
    the labels in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/backend/endpoint_utils.go,
    and https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/networking/networking_manager.go

    Confirm by hand: `kubectl get nodes -o custom-columns=NAME:.metadata.name,ID:.spec.providerID`, or the events of the
    named binding. Repair: delete the Node or give it its providerID (the cloud controller does), or keep it out with
    the label node.kubernetes.io/exclude-from-external-load-balancers; correct or delete the named binding.
    """
    binding = traffic.binding.need()
    if binding is None:
        return
    yield from _by_nodes(traffic, binding)
    for entry in _heard(traffic):
        if entry.decoded.params.get("error_code") == "InvalidGroup.NotFound":
            yield from _by_bindings(traffic, binding, entry)


def _by_nodes(traffic: TrafficPath, binding: TargetGroupBinding) -> Iterator[Finding]:
    if traffic.target_type != "instance":
        return
    complaints = [c for c in _heard(traffic) if c.param("node") or c.param("node2")]
    served = still_served(traffic)
    for node in _without_instance(traffic, binding):
        said = [c for c in complaints if node.meta.name in (c.param("node"), c.param("node2"))]
        state = f"providerID {node.provider_id}" if node.provider_id else "no providerID"
        yield Finding(
            "LBD135",
            ObjectRef("Node", "", node.meta.name),
            params={
                "culprit": f"Node {node.meta.name}",
                "victims": (f"TargetGroupBinding {binding.meta.key}",),
                "why": "it has no EC2 providerID, so no node is registered",
            },
            evidence=(
                Evidence(f"node {node.meta.name}", f"{state}, Ready={node.ready}, no exclude label"),
                *(c.evidence for c in said[:2]),
            ),
            confidence=Confidence.CERTAIN if said else Confidence.LIKELY,
            confirm=("kubectl get nodes -o custom-columns=NAME:.metadata.name,ID:.spec.providerID",),
            by_hand=(
                kubectl(
                    "label", "node", node.meta.name, "node.kubernetes.io/exclude-from-external-load-balancers=true"
                ),
            ),
            advice="keep the node out of all load balancers, let the cloud controller set its providerID, or delete "
            "a Node that is left behind",
            severity=Severity.WARNING if served and not said else None,
        )


def _without_instance(traffic: TrafficPath, binding: TargetGroupBinding) -> list[Node]:
    """Nodes that the controller would register and of which it cannot tell the instance."""
    selector = LabelSelector.of(binding.node_selector)
    left = instance_nodes(traffic)[1]
    return [
        node
        for node in traffic.cluster.nodes.need()
        if (exclusion := left.get(node.meta.name)) is not None
        and exclusion.kind is Exclusion.NO_INSTANCE
        # Newer controllers know hybrid nodes and leave them out.
        and not node.provider_id.startswith("eks-hybrid://")
        and next(selector.unmet(node.meta.labels), None) is None
    ]


def _by_bindings(traffic: TrafficPath, binding: TargetGroupBinding, entry: Complaint) -> Iterator[Finding]:
    """Other bindings that name the security group that AWS does not find."""
    missing = set(_GROUP.findall(entry.decoded.raw))
    if not missing or missing & _sources(binding):
        return  # Its own fault.
    everywhere = traffic.cluster.all_bindings.peek()
    for other in traffic.namespace_facts.bindings.need() if everywhere is None else everywhere:
        named = sorted(missing & _sources(other))
        if not named:
            continue
        ref = other.ref
        yield Finding(
            "LBD135",
            ref,
            params={
                "culprit": f"TargetGroupBinding {other.meta.key}",
                "victims": (f"TargetGroupBinding {binding.meta.key}",),
                "why": f"it admits {named[0]}, which is gone",
            },
            evidence=(
                Evidence(Source.BINDING, f"{other.meta.key}: spec.networking names {named[0]}"),
                entry.evidence,
            ),
            confirm=(kubectl("get", kubectl_name(ref), "-o", "yaml", namespace=ref.namespace),),
            by_hand=(kubectl("edit", kubectl_name(ref), namespace=ref.namespace),),
            advice="name a group that exists; a binding of the controller follows its Ingress or Service",
        )


def _sources(binding: TargetGroupBinding) -> set[str]:
    """The security groups that a binding's networking admits."""
    return set(_GROUP.findall(repr(binding.networking)))
