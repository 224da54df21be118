"""What is registered in a target group against what should be, as sets. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.analysis.desired_targets import desired_endpoints
from kubectl_lbdoctor.analysis.node_targets import (
    instance_nodes,
)
from kubectl_lbdoctor.model import index, reads, target_reasons
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Node, Pod, TargetGroupBinding, condition
from kubectl_lbdoctor.model.snapshot import lookup
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

# The controller registers within a second or two of an endpoint becoming ready; below this age nothing is late.
REGISTRATION_SECONDS = 30


def group_arn(traffic: TrafficPath) -> str:
    """The target group's ARN: the binding names it even where AWS was not asked."""
    group, binding = traffic.target_group.peek(), traffic.binding.peek()
    if group is not None:
        return group.arn
    if traffic.target_group.is_known:
        raise NotApplicable("no target group")
    if binding is None:
        traffic.target_group.need()
        raise NotApplicable("no target group")
    return binding.target_group_arn


def group_ref(traffic: TrafficPath) -> ObjectRef:
    """The target group as an object, named as in AWS."""
    return ObjectRef("TargetGroup", "", target_group_name(group_arn(traffic)))


def health_is_inferred(traffic: TrafficPath) -> bool:
    """Whether the targets' health is what their pods' readiness gates or CloudWatch's counts tell, because AWS was not
    asked for it: neither knows which targets are registered."""
    return traffic.target_health.source in (reads.PODS, reads.TARGET_COUNTS)


def health_from_aws(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    """Target health from AWS itself; raises `Unknown` where only readiness gates told it, and `NotApplicable` where a
    scan has counted the targets instead."""
    if traffic.target_health.source == reads.TARGET_COUNTS:
        raise NotApplicable("a scan only counts the targets of a group where all of them are healthy")
    if health_is_inferred(traffic):
        return lookup(traffic.aws.target_health, group_arn(traffic), reads.TARGET_HEALTH).need()
    return traffic.targets()


def is_registered(target: TargetHealth) -> bool:
    """Whether AWS counts the target in: it neither drains nor was it never registered."""
    return target.state != "draining" and target.reason != target_reasons.NOT_REGISTERED


def zone_of(traffic: TrafficPath, target: TargetHealth) -> str:
    """The target's Availability Zone, by AWS or else by its node; "" when neither says ("all": outside the VPC)."""
    if target.zone:
        return "" if target.zone == "all" else target.zone
    if target.id.startswith("i-"):
        node = traffic.node_of(target)
        return node.zone if node is not None else ""
    pod = traffic.pod_of(target)
    home = index.nodes_by_name(traffic.snapshot).get(pod.node) if pod is not None else None
    return home.zone if home is not None else ""


@record
class Registration:
    """Both sides of the comparison. Keys are "id:port"; values say what stands there.

    late: wanted for so long that it must be registered. stale: registered, wanted by nothing, and not just left.
    """

    wanted: Mapping[str, str]
    late: Mapping[str, str]
    stale: tuple[TargetHealth, ...]
    registered: tuple[TargetHealth, ...]


def require_due(traffic: TrafficPath, binding: TargetGroupBinding) -> None:
    """Raises NotApplicable where nobody can ask for a binding's targets yet, or any more."""
    if binding.meta.deleted:
        raise NotApplicable("the TargetGroupBinding is being deleted")
    if traffic.age(binding.meta.created) < REGISTRATION_SECONDS:
        raise NotApplicable("the TargetGroupBinding was made a moment ago")


def _bound(traffic: TrafficPath) -> TargetGroupBinding:
    binding = traffic.binding.need()
    if binding is None:
        raise NotApplicable("no TargetGroupBinding: nobody registers targets for a Service")
    require_due(traffic, binding)
    if traffic.service.need() is None or traffic.service_port.need() is None:
        raise NotApplicable("no Service port behind this target group")
    return binding


@derived
def registration(traffic: TrafficPath) -> Registration:
    _bound(traffic)
    group_arn(traffic)
    if traffic.target_type not in ("ip", "instance"):
        raise NotApplicable("targets are neither pods nor nodes")
    health = health_from_aws(traffic)
    if not health:
        raise NotApplicable("the target group is empty (see LBD217)")
    return _of_instances(traffic, health) if traffic.target_type == "instance" else _of_endpoints(traffic, health)


def _of_instances(traffic: TrafficPath, health: tuple[TargetHealth, ...]) -> Registration:
    port = traffic.service_port.need()
    if port is None or not port.node_port:
        raise NotApplicable("the Service port has no node port (see LBD204)")
    taken, _ = instance_nodes(traffic)
    wanted = {f"{node.instance_id}:{port.node_port}": f"node {node.meta.name}" for node in taken}
    instances = index.nodes_by_instance(traffic.snapshot)
    concerned = {*(node.instance_id for node in taken), *(t.id for t in health)}
    moving = {key for key in concerned if key in instances and _node_moves(traffic, instances[key])}
    registered = tuple(t for t in health if is_registered(t))
    present = {t.key for t in registered}
    return Registration(
        wanted=wanted,
        late={k: what for k, what in wanted.items() if k not in present and k.split(":")[0] not in moving},
        stale=tuple(t for t in registered if t.key not in wanted and t.state != "initial" and t.id not in moving),
        registered=registered,
    )


def _node_moves(traffic: TrafficPath, node: Node) -> bool:
    ready = condition(node.conditions, "Ready")
    times = [node.meta.created, ready.since if ready else "", node.meta.deleted]
    return any(traffic.age(time) < REGISTRATION_SECONDS for time in times)


def _of_endpoints(traffic: TrafficPath, health: tuple[TargetHealth, ...]) -> Registration:
    endpoints = desired_endpoints(traffic)
    pods = index.pods_by_name(traffic.snapshot, traffic.namespace)
    by_address = index.pods_by_address(traffic.snapshot, traffic.namespace)
    wanted = {e.key: f"pod {e.pod}" for e in endpoints.wanted}
    tolerated = {e.key for e in endpoints.tolerated}
    registered = tuple(t for t in health if is_registered(t))
    present = {t.key for t in registered}
    moving = {t.id for t in registered if any(_pod_moves(traffic, pod) for pod in by_address.get(t.id, ()))}
    # While pods of this Service come and go, one that is gone may not have been deregistered yet.
    rolling = any(_pod_moves(traffic, pod) for pod in traffic.matching_pods())
    return Registration(
        wanted=wanted,
        late={
            e.key: wanted[e.key]
            for e in endpoints.wanted
            if e.key not in present and not _pod_moves(traffic, pods[e.pod])
        },
        stale=tuple(
            t
            for t in registered
            if t.key not in wanted
            and t.key not in tolerated
            and t.state != "initial"
            and t.id not in moving
            and not rolling
        ),
        registered=registered,
    )


def _pod_moves(traffic: TrafficPath, pod: Pod) -> bool:
    """Whether the pod started, became ready, lost readiness or was deleted a moment ago."""
    times = [pod.started or pod.meta.created]
    times += [c.since for kind in ("Ready", "ContainersReady") if (c := condition(pod.conditions, kind)) is not None]
    # deletionTimestamp is when the grace period ends.
    leaving = bool(pod.meta.deleted) and traffic.age(pod.meta.deleted) + pod.grace_seconds < REGISTRATION_SECONDS
    return leaving or any(traffic.age(time) < REGISTRATION_SECONDS for time in times)


@derived
def stale_targets(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    """Registered targets that no endpoint or node stands behind any more."""
    binding = _bound(traffic)
    if binding.multi_cluster:
        raise NotApplicable("the target group also holds targets of other clusters")
    shared = index.bindings_by_group(traffic.snapshot, traffic.namespace)[binding.target_group_arn]
    if len(shared) > 1:
        raise NotApplicable("several TargetGroupBindings fill this target group (see LBD114)")
    return registration(traffic).stale
