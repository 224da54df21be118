"""LBD205 and LBD206: what is registered, against what should be, as sets?

What should be registered follows the controller's own rules (`desired_targets`, `node_targets`). Only AWS
says what is registered: health that was told by readiness gates proves nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.analysis.controller_objects import controller_log
from kubectl_lbdoctor.analysis.node_targets import describe_exclusion, eligible_nodes
from kubectl_lbdoctor.analysis.registration import group_arn, group_ref, registration, stale_targets
from kubectl_lbdoctor.analysis.remediation import (
    deregister_targets,
    describe_target_health,
    kubectl,
    register_targets,
)
from kubectl_lbdoctor.analysis.responsibility import AT_ITS_TARGETS
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import listed
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# How many names a sentence lists before it only counts.
SHOWN = 6
READS = (
    reads.SERVICES,
    reads.PODS,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
)


def shown(items: Iterable[str]) -> str:
    """The first names of a list, and how many more there are."""
    return listed(list(items), SHOWN)


@check(
    "LBD205",
    title="a ready endpoint is not registered as a target",
    passes="every ready endpoint is registered as a target",
    severity=Severity.ERROR,
    message="{missing} of {wanted:{target_type:instance=eligible node|ip=ready endpoint}} of Service "
    "{service} {missing:=is|are} not registered as {missing:=a target|targets}",
    reads=(*READS, reads.CONTROLLER),
    explains=("LBD206",),
    distinct_by=("service",),
    by_absence=(reads.TARGET_HEALTH, reads.PODS),
)
def endpoints_not_registered(traffic: TrafficPath) -> Iterator[Finding]:
    """Some ready endpoints (with instance targets: eligible nodes) are not targets, while others are. They get no
    traffic, and when the registered ones go away nothing is left.

    The controller registers within seconds. What is missing for longer was not registered because the controller does
    not run or AWS denies it, or was deregistered by hand: the controller does not notice such drift until its sync
    period (10 h) ends. It remembers for five minutes what it has registered, and since 2.9.1 it passes over a binding
    whose endpoints and spec are those of its annotation `elbv2.k8s.aws/checkpoint`, also after a restart. A target
    group without any target is LBD217.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/targetgroupbinding/resource_manager.go,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/targetgroupbinding/targets_manager.go

    Confirm by hand: compare `kubectl get endpointslices -l kubernetes.io/service-name=NAME` with `aws elbv2
    describe-target-health`. Repair: correct what keeps the controller from registering, which its log names; where
    targets were deregistered by hand, register them again.
    """
    state = registration(traffic)
    if not state.late:
        return
    ref = group_ref(traffic)
    evidence = [Evidence(Source.EXPECTED, f"{key} ({what}) is no target") for key, what in state.late.items()]
    draining = {t.key for t in traffic.targets() if t.state == "draining"} & set(state.late)
    if draining:
        evidence.append(Evidence(reads.TARGET_HEALTH, f"{shown(sorted(draining))} draining"))
    evidence.append(
        Evidence(reads.TARGET_HEALTH, f"registered: {shown(t.key for t in state.registered) or 'no target'}")
    )
    yield Finding(
        "LBD205",
        ref,
        params={
            "missing": len(state.late),
            "wanted": len(state.wanted),
            "target_type": traffic.target_type,
            "service": traffic.service_ref.name,
            "group": ref.name,
        },
        evidence=(*evidence[:SHOWN], evidence[-1]) if len(evidence) > SHOWN + 1 else tuple(evidence),
        confirm=(
            kubectl(
                *("get", "endpointslices", "-l", f"{SERVICE_LABEL}={traffic.service_ref.name}"),
                namespace=traffic.namespace,
            ),
            describe_target_health(group_arn(traffic), traffic.context.region),
            *controller_log(traffic.cluster),
        ),
        by_hand=(register_targets(group_arn(traffic), state.late, traffic.context.region),),
        advice="correct what keeps the controller from registering, which its log names; what somebody deregistered by "
        "hand it notices after hours: register it again",
        stopped_by=AT_ITS_TARGETS if traffic.binding.peek() is not None else None,
    )


@check(
    "LBD206",
    title="a registered target is no endpoint or eligible node any more",
    passes="every registered target is still an endpoint or an eligible node",
    severity=Severity.WARNING,
    message="{count:target} of {group} {count:=has|have} no {target_type:instance=eligible "
    "node|ip=ready endpoint} of Service {service} any more",
    reads=(*READS, reads.CONTROLLER),
    distinct_by=("service",),
    by_absence=(reads.NODES, reads.PODS, reads.ENDPOINT_SLICES),
)
def stale_targets_registered(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group holds targets behind which no endpoint of the Service (with instance targets: no eligible node)
    stands any more. Requests that are sent there fail, and a later pod of another application may get the address.

    Deregistration was missed while the controller did not run or was denied, or the target was registered by hand.
    The controller notices such drift when its sync period (10 h) ends (see LBD205).

    Confirm by hand: compare `aws elbv2 describe-target-health` with `kubectl get pods -o wide`. Repair: deregister the
    targets.
    """
    stale = stale_targets(traffic)
    if not stale:
        return
    arn, ref = group_arn(traffic), group_ref(traffic)
    yield Finding(
        "LBD206",
        ref,
        params={
            "group": ref.name,
            "count": len(stale),
            "target_type": traffic.target_type,
            "service": traffic.service_ref.name,
        },
        evidence=tuple(
            Evidence(Source.TARGET_HEALTH, f"{t.key} {t.state}: {_behind(traffic, t)}") for t in stale[:SHOWN]
        ),
        targets=tuple(t.key for t in stale),
        confirm=(describe_target_health(arn, traffic.context.region),),
        by_hand=(deregister_targets(arn, (t.key for t in stale), traffic.context.region),),
    )


def _behind(traffic: TrafficPath, target: TargetHealth) -> str:
    """What is known of the place of a stale target."""
    if target.id.startswith("i-"):
        node = traffic.node_of(target)
        if node is None:
            return "no node of this cluster"
        exclusion = eligible_nodes(traffic)[1].get(node.meta.name)
        why = describe_exclusion(exclusion) if exclusion is not None else "on another port"
        return f"node {node.meta.name} ({why})"
    pod = traffic.pod_of(target)
    if pod is None:
        return "no pod has this address"
    return f"pod {pod.meta.name} is no ready endpoint on port {target.port}"
