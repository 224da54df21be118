"""LBD219: which target does AWS not accept?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.controller_complaints import known_complaints, standing_complaints
from kubectl_lbdoctor.analysis.remediation import describe_target_group, kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.complaints import READS, finding_of, member_at_fault
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_INSTANCE = re.compile(r"\bi-[0-9a-f]{8,17}\b")


@check(
    "LBD219",
    title="AWS does not accept a target",
    passes="every instance can be a target of the group",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.NODES, reads.TARGET_GROUPS),
    explains=undone_by("LBD219"),
    distinct_by=("summary", "words"),
)
def target_not_supported(traffic: TrafficPath) -> Iterator[Finding]:
    """One target that AWS does not accept (an unsupported instance type behind an NLB, an instance of another region or
    account, an address outside the VPC) makes the whole registration fail, so the others are missing, too. A binding
    of your own whose targetType is not its target group's registers nothing at all: addresses are no instances.
    Instances are targets of an IPv6 target group with a primary IPv6 address only, which nodes do not have by default.

    Sources: nothing compares the two target types when both are given,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.3.0/webhooks/elbv2/targetgroupbinding_validator.go;
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/3692 and
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-target-groups.html (primary IPv6).

    Repair: exclude the node (label node.kubernetes.io/exclude-from-external-load-balancers) or use `ip` targets; make
    the binding anew with the group's target type, which can be changed in neither.
    """
    mismatch = _of_another_type(traffic)
    if mismatch is not None:
        yield mismatch
        return
    for entry in standing_complaints(traffic):
        if entry.decoded.code != "LBD219" or member_at_fault(traffic, entry):
            continue
        finding = finding_of("LBD219", entry)
        if entry.param("lacking"):
            yield replace(finding, advice=_PRIMARY_IPV6)
            continue
        culprits = _nodes_named(traffic, finding)
        yield from (replace(finding, object=ref, by_hand=(_kept_out(ref),)) for ref in culprits)
        if not culprits:
            yield finding


_PRIMARY_IPV6 = (
    "use target type ip, or give the nodes' interfaces a primary IPv6 address: aws ec2 "
    "modify-network-interface-attribute --network-interface-id ID --enable-primary-ipv6"
)


def _of_another_type(traffic: TrafficPath) -> Finding | None:
    """A binding that registers addresses in a group of instances, or the other way round."""
    binding, group = traffic.binding.peek(), traffic.target_group.peek()
    if binding is None or group is None or binding.target_type in ("", group.target_type) or not group.target_type:
        return None
    said = f"targetType {binding.target_type}"
    return Finding(
        "LBD219",
        binding.ref,
        params={
            "summary": f"TargetGroupBinding {binding.meta.name} says {said}, and target group {group.name} is of "
            f"type {group.target_type}",
            "words": "",
        },
        evidence=(
            Evidence(str(binding.ref), said),
            Evidence(reads.TARGET_GROUPS, f"{group.name}: TargetType {group.target_type}"),
            *(e.evidence for e in known_complaints(traffic) if e.ref == binding.ref),
        ),
        confirm=(describe_target_group(group.arn, traffic.context.region),),
        advice=f"delete the binding and make it again with targetType {group.target_type} (or without: the controller "
        f"then asks AWS), or bind a target group of type {binding.target_type}; neither can be changed",
    )


def _nodes_named(traffic: TrafficPath, finding: Finding) -> list[ObjectRef]:
    """The nodes whose instances the message names: they, not the binding, are what is to be changed."""
    if not traffic.cluster.nodes.is_known:
        return []
    nodes = index.nodes_by_instance(traffic.snapshot)
    named = dict.fromkeys(i for entry in finding.evidence for i in _INSTANCE.findall(entry.text))
    return [ObjectRef("Node", "", nodes[i].meta.name) for i in named if i in nodes]


def _kept_out(node: ObjectRef) -> str:
    return kubectl("label", "node", node.name, "node.kubernetes.io/exclude-from-external-load-balancers=true")
