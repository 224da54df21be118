"""LBD7xx: what will fail with the next rollout, node or zone. Silent on objects that only could be better."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.desired_targets import INJECT_LABELS, target_gates
from kubectl_lbdoctor.analysis.node_targets import eligible_nodes, is_outside_ec2
from kubectl_lbdoctor.analysis.pod_makers import selected_workloads
from kubectl_lbdoctor.analysis.remediation import edit, kubectl, patch
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL, Node, Pod, Service, condition
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# A deregistration takes about 15 to 25 s to reach all nodes of a load balancer (issues 1719 and 1064 of
# https://github.com/kubernetes-sigs/aws-load-balancer-controller).
PROPAGATION_SECONDS = 25
SHORTEST_PROPAGATION_SECONDS = 15

_READS = (reads.SERVICES, reads.BINDINGS, reads.TARGET_GROUPS)


def _service(traffic: TrafficPath) -> Service:
    service = traffic.service.need()
    if service is None or not service.selector:
        raise NotApplicable("no Service with a selector behind this path")
    if traffic.target_group.is_known and traffic.target_group.need() is None:
        raise NotApplicable("no target group")
    return service


def _stops_early(pod: Pod) -> bool:
    """Whether the pod is killed before its deregistration has propagated. Without a preStop hook an application may
    still delay its own end, so a grace period that leaves the time proves nothing."""
    waits = any(container.pre_stop for container in pod.serving_containers())
    return pod.grace_seconds < (SHORTEST_PROPAGATION_SECONDS if waits else PROPAGATION_SECONDS)


@check(
    "LBD701",
    title="pods stop before their deregistration has taken effect",
    passes="pods that stop outlive their deregistration",
    severity=Severity.WARNING,
    message="pods of {owner} are killed after {grace} s{hook:none= without a preStop hook|*=}, "
    "before they are deregistered",
    reads=(*_READS, reads.PODS, reads.TARGET_HEALTH),
    symptom=True,
)
def pods_stop_too_early(traffic: TrafficPath) -> Iterator[Finding]:
    """Targets are being deregistered now, and their pods are killed sooner than the load balancer stops sending to
    them (15 to 25 s): clients see 502 and 504 during each rollout.

    Confirm by hand: `kubectl get pod NAME -o jsonpath='{.spec.terminationGracePeriodSeconds}'` and
    `{..lifecycle.preStop}`. Repair: add a preStop hook that sleeps for 20 s and a grace period that is longer than
    that and the application's own shutdown together.
    """
    service = _service(traffic)
    selected = index.pods_with_labels(traffic.snapshot, traffic.namespace, service.selector)
    # A deletionTimestamp holds the grace period: a pod that is still there long after it was let go of long ago.
    leaving = [p for p in selected if p.meta.deleted and traffic.age(p.meta.deleted) < PROPAGATION_SECONDS]
    draining = [t for t in traffic.targets() if t.state == "draining"]
    if not leaving and not draining:
        return
    early = [pod for pod in (leaving or traffic.matching_pods()) if not pod.is_finished and _stops_early(pod)]
    if not early:
        return
    worst = min(early, key=lambda pod: pod.grace_seconds)
    owner = workload_of(worst)
    waits = any(container.pre_stop for container in worst.serving_containers())
    yield Finding(
        "LBD701",
        owner,
        params={
            "owner": str(owner),
            "grace": worst.grace_seconds,
            "hook": "preStop" if waits else "none",
        },
        evidence=(
            Evidence(Source.TARGET_HEALTH, f"{counted(len(draining), 'target')} draining"),
            Evidence(Source.PODS, f"{counted(len(leaving), 'pod')} terminating"),
            Evidence(
                f"pod {worst.meta.name}",
                f"terminationGracePeriodSeconds {worst.grace_seconds}, {'a' if waits else 'no'} preStop hook",
            ),
        ),
        confidence=Confidence.LIKELY,
        confirm=(kubectl("get", str(owner), "-o", "yaml", namespace=traffic.namespace),),
        advice="add a preStop hook (sleep 20) to the serving container and raise terminationGracePeriodSeconds to 60",
    )


@check(
    "LBD702",
    title="a rollout leaves no healthy target",
    passes="a rollout leaves a healthy target",
    severity=Severity.WARNING,
    message="{owner} has one replica{gate:none= and no readiness gate|*=}: during this rollout no target takes traffic",
    reads=(*_READS, reads.PODS, reads.WORKLOADS, reads.TARGET_HEALTH),
    explains=("LBD218", "LBD701"),
    symptom=True,
)
def single_replica_rollout(traffic: TrafficPath) -> Iterator[Finding]:
    """The only replica was replaced: its target drains, while the new one is not healthy yet. Until it is, the load
    balancer has nowhere to send requests.

    With a target-health readiness gate and a rolling update the old pod stays until the new target is healthy.

    Confirm by hand: `aws elbv2 describe-target-health` during `kubectl rollout status`. Repair: run two replicas or
    more; label the namespace with elbv2.k8s.aws/pod-readiness-gate-inject=enabled (in EKS Auto Mode
    eks.amazonaws.com/pod-readiness-gate-inject=enabled) and create the pods again.
    """
    _service(traffic)
    targets = traffic.targets()
    states = {target.state for target in targets}
    if "draining" not in states or not states <= {"draining", "initial"}:
        return
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    tops = [w for w in selected_workloads(traffic) if not (w.kind == "ReplicaSet" and w.meta.owners)]
    if len(tops) != 1 or tops[0].replicas != 1 or tops[0].kind == "DaemonSet":
        return
    workload = tops[0]
    gated = any(target_gates(pod) for pod in traffic.matching_pods())
    if gated and workload.kind == "Deployment" and workload.strategy != "Recreate":
        return
    ref = ObjectRef(workload.kind, traffic.namespace, workload.meta.name)
    commands = [kubectl("scale", str(ref), "--replicas=2", namespace=traffic.namespace)]
    if not gated and traffic.target_type == "ip":
        commands.append(kubectl("label", "namespace", traffic.namespace, f"{_inject_label(traffic)}=enabled"))
    yield Finding(
        "LBD702",
        ref,
        params={"owner": str(ref), "gate": "target health" if gated else "none", "group": group.name},
        evidence=(
            Evidence(Source.TARGET_HEALTH, ", ".join(f"{t.key} {t.state}" for t in targets[:6])),
            Evidence(str(ref), f"replicas 1, strategy {workload.strategy or 'default'}"),
        ),
        by_hand=tuple(commands),
        confirm=(kubectl("rollout", "status", str(ref), namespace=traffic.namespace),),
    )


def _inject_label(traffic: TrafficPath) -> str:
    binding = traffic.binding.peek()
    return INJECT_LABELS[binding.group if binding is not None else ""]


@check(
    "LBD703",
    title="all ready pods are on one node or in one zone",
    passes="ready pods are spread over nodes and zones",
    severity=Severity.WARNING,
    message="all {count} ready pods of Service {service} are {where}, though {others}",
    reads=(*_READS, reads.PODS, reads.NODES, reads.LOAD_BALANCERS, reads.INGRESSES),
    by_absence=(reads.PODS,),
)
def pods_in_one_place(traffic: TrafficPath) -> Iterator[Finding]:
    """Several replicas run, but all on one node or in one Availability Zone, while the cluster and the load balancer
    have more: when that node or zone fails, no target is left. Which room nodes have is not read: nothing is said while
    the scheduler finds no node for another pod of the Service, because they are full, say.

    Confirm by hand: `kubectl get pods -o wide`. Repair: add topologySpreadConstraints over kubernetes.io/hostname
    and topology.kubernetes.io/zone, then restart the rollout.
    """
    service = _service(traffic)
    ready = [pod for pod in traffic.matching_pods() if pod.is_ready and pod.node]
    if len(ready) < 2 or any(_finds_no_node(pod) for pod in traffic.matching_pods()):
        return
    nodes = {node.meta.name: node for node in traffic.cluster.nodes.need()}
    on = {pod.node for pod in ready}
    zones = {nodes[name].zone for name in on if name in nodes}
    if not on <= nodes.keys() or (len(on) > 1 and len(zones) > 1):
        return
    if any(is_outside_ec2(nodes[name]) for name in on):
        return  # Fargate and hybrid nodes are given to pods by profile and place, not by the scheduler's spreading.
    usable = [node for node in eligible_nodes(traffic)[0] if _takes_pods(node)]
    elsewhere = {node.zone for node in usable} - zones - {""}
    if len(on) == 1 and len(usable) > 1:
        where, others = f"on node {next(iter(on))}", f"{len(usable)} nodes take pods"
    elif len(on) > 1 and "" not in zones and elsewhere:
        where, others = f"in zone {next(iter(zones))}", f"nodes in {', '.join(sorted(elsewhere))} take pods"
    else:
        return
    balancer = traffic.load_balancer.need()
    if balancer is None or len(balancer.zones) < 2:
        return
    owner = workload_of(ready[0])
    yield Finding(
        "LBD703",
        owner,
        params={"count": len(ready), "service": service.meta.name, "where": where, "others": others},
        evidence=(
            Evidence(Source.PODS, ", ".join(f"{pod.meta.name} on {pod.node}" for pod in ready[:6])),
            Evidence(reads.LOAD_BALANCERS, f"zones {', '.join(sorted(balancer.zones))}"),
        ),
        confirm=(kubectl("get", "pods", "-o", "wide", namespace=traffic.namespace),),
        advice="spread the pods with topologySpreadConstraints over kubernetes.io/hostname and "
        "topology.kubernetes.io/zone",
    )


def _finds_no_node(pod: Pod) -> bool:
    scheduled = condition(pod.conditions, "PodScheduled")
    return scheduled is not None and scheduled.status == "False"


def _takes_pods(node: Node) -> bool:
    return not node.unschedulable and not any(taint.effect in ("NoSchedule", "NoExecute") for taint in node.taints)


@check(
    "LBD704",
    title="the Service publishes pods that are not ready",
    passes="no unready pod is published",
    severity=Severity.WARNING,
    message="Service {service} publishes {pods} of {total:pod} that are not ready (publishNotReadyAddresses)",
    reads=(*_READS, reads.PODS, reads.ENDPOINT_SLICES),
)
def unready_pods_published(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service has publishNotReadyAddresses, so pods that fail their readiness probe are ready endpoints all the
    same, and the load balancer sends requests to them as far as its own check passes.

    Confirm by hand: `kubectl get endpointslices -l kubernetes.io/service-name=NAME -o yaml` against
    `kubectl get pods`. Repair: unset publishNotReadyAddresses; where peers must find each other before they are ready,
    use a headless Service of its own for that.
    """
    service = _service(traffic)
    if not service.publish_not_ready:
        return
    published = {e.pod for e in traffic.ready_endpoints() if e.pod}
    unready = [
        pod
        for pod in traffic.matching_pods()
        if pod.meta.name in published and not pod.is_ready and not pod.containers_ready
    ]
    if not unready:
        return
    ref = ObjectRef("Service", traffic.namespace, service.meta.name)
    yield Finding(
        "LBD704",
        ref,
        params={"service": service.meta.name, "pods": len(unready), "total": len(published)},
        evidence=(
            Evidence(str(ref), "publishNotReadyAddresses: true"),
            *(Evidence(f"pod {pod.meta.name}", "Ready=False, yet its endpoint is ready") for pod in unready[:3]),
        ),
        confirm=(
            kubectl(
                *("get", "endpointslices", "-l", f"{SERVICE_LABEL}={service.meta.name}", "-o", "yaml"),
                namespace=traffic.namespace,
            ),
        ),
        by_hand=(
            patch(ref, "spec.publishNotReadyAddresses", edit("/spec/publishNotReadyAddresses", True, False)).command,
        ),
    )
