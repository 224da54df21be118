"""What is known of a target group's health without asking for its targets: by counts of CloudWatch, by readiness gates.

Neither names targets, so both only ever confirm what the controller wants to be registered: where one of them does not
fit exactly, or is not of now, the group has to be asked. Nothing here takes silence for health. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kubectl_lbdoctor.analysis.desired_targets import desired_endpoints, gate_health, target_gates
from kubectl_lbdoctor.analysis.gateway_settings import manifests_of
from kubectl_lbdoctor.analysis.node_targets import instance_nodes
from kubectl_lbdoctor.knowledge.controller_identity import watching
from kubectl_lbdoctor.model import index
from kubectl_lbdoctor.model.aws import TargetCounts, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.k8s import Condition, Pod, TargetGroupBinding, condition
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import CLOCK_TOLERANCE, seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath

FRESH = 300.0
"""Seconds for which a count or a gate's turning True stands for now. CloudWatch gives a minute two to three minutes
after its end."""


def _is_of_now(time: str, now: str) -> bool:
    """Whether something was so just now. What is told of the future is of another clock, and may be of any time."""
    return -CLOCK_TOLERANCE.total_seconds() <= seconds_between(time, now) <= FRESH


def counted_healthy(traffic: TrafficPath) -> tuple[TargetHealth, ...] | None:
    """Every target that the controller wants, as healthy; None unless CloudWatch counts exactly as many healthy ones
    and no other, in a minute that is not long past and that nothing about these targets has changed since."""
    binding = traffic.binding.peek()
    counts = (traffic.aws.target_counts.peek() or {}).get(binding.target_group_arn) if binding is not None else None
    if binding is None or counts is None or not _is_of_now(counts.at, traffic.now):
        return None
    try:
        wanted = wanted_targets(traffic, binding)
        confirmed = (
            bool(wanted)
            and _is_kept_so(traffic, binding)
            and _fits(counts, len(wanted))
            and all(seconds_between(time, counts.at) >= 0 for time in _changes(traffic, binding))
        )
    except Unknown:
        return None
    return wanted if confirmed else None


def nothing_bad_counted(snapshot: Snapshot, arn: str) -> bool:
    """Whether CloudWatch counts healthy targets of a target group by now, and no other. It does not tell which they
    are, so that nothing follows but that there is no sign of a fault."""
    counts = (snapshot.aws.target_counts.peek() or {}).get(arn)
    return counts is not None and _is_of_now(counts.at, snapshot.taken_at) and counts.healthy > 0 == counts.unhealthy


def gates_are_recent(traffic: TrafficPath) -> bool:
    """Whether readiness gates say of every target that the controller wants that it has just become healthy.

    The controller looks after a target until its gate is True, and not afterwards; it writes True as well when the
    binding is deleted. So only one that has just turned tells of now.
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/targetgroupbinding/resource_manager.go
    """
    binding, told = traffic.binding.peek(), gate_health(traffic)
    if binding is None or binding.meta.deleted or told is None or any(t.state != "healthy" for t in told):
        return False
    try:
        edits = tuple(_edits(traffic, binding))
    except Unknown:
        return False
    for pod in _pods(traffic):
        turned = [g.condition.since for g in target_gates(pod) if g.binding == binding.meta.name and g.condition]
        if not turned or not _is_of_now(turned[0], traffic.now):
            return False
        if any(seconds_between(time, turned[0]) < 0 for time in (*_starts(pod), *edits)):
            return False
    return True


def _is_kept_so(traffic: TrafficPath, binding: TargetGroupBinding) -> bool:
    """Whether a controller that looks at the binding's namespace makes the wanted targets the registered ones: without
    any, old targets stay, and are counted. One that may not be looked for leaves more unknown than this."""
    controllers = traffic.cluster.controllers.peek()
    return (
        controllers is None
        or binding.group == AUTO_MODE_GROUP
        or any(workload.ready for workload in watching(controllers, binding.meta.namespace))
    )


def _fits(counts: TargetCounts, wanted: int) -> bool:
    return counts.healthy == wanted and counts.unhealthy == 0


def wanted_targets(traffic: TrafficPath, binding: TargetGroupBinding) -> tuple[TargetHealth, ...]:
    """The targets that must be registered and no other can be; none where that is open: more than one binding or
    cluster fills the group, targets come and go, or some nodes are unhealthy by design."""
    if binding.meta.deleted or binding.multi_cluster or _times_bound(traffic.snapshot)[binding.target_group_arn] != 1:
        return ()
    if binding.target_type == "instance":
        return tuple(_instances(traffic))
    endpoints = desired_endpoints(traffic)
    if endpoints.tolerated:
        return ()
    nodes = index.nodes_by_name(traffic.snapshot)
    return tuple(
        TargetHealth(e.address, e.port, zone=nodes[e.node].zone if e.node in nodes else "", state="healthy")
        for e in endpoints.wanted
    )


def _instances(traffic: TrafficPath) -> Iterator[TargetHealth]:
    service, port = traffic.service.need(), traffic.service_port.need()
    if service is None or port is None or not port.node_port or service.external_traffic_policy == "Local":
        return
    for node in instance_nodes(traffic)[0]:
        yield TargetHealth(node.instance_id, port.node_port, zone=node.zone, state="healthy")


def _changes(traffic: TrafficPath, binding: TargetGroupBinding) -> Iterator[str]:
    """When something last changed that decides which targets there are and whether they answer."""
    yield from _edits(traffic, binding)
    # What is taken out of a manifest leaves no time behind; that the controller has been at work since tells of it.
    for ref in {traffic.subject, binding.ref}:
        if traffic.snapshot.facts_of(ref.namespace).events.is_known:
            told = index.events_by_object(traffic.snapshot, ref.namespace).get((ref.kind, ref.name), ())
            yield from (event.last for event in told)
    # A Service that selects other pods has those that were ready long ago: only its slices tell when.
    yield from (piece.changed for piece in traffic.slices.need())
    if binding.target_type == "instance":
        for node in instance_nodes(traffic)[0]:
            yield from _since(condition(node.conditions, "Ready"))
        return
    for pod in _pods(traffic):
        yield from _since(condition(pod.conditions, "Ready"))
        yield from _starts(pod)


def _edits(traffic: TrafficPath, binding: TargetGroupBinding) -> Iterator[str]:
    """When the manifests that decide on the targets, their check and who reaches them were last written.

    Raises `Unknown` where those of a Gateway could not be read.
    """
    present = (traffic.service.peek(), traffic.ingress.peek(), *(traffic.namespace_facts.policies.peek() or ()))
    metas = (found.meta for found in present if found is not None)
    for meta in (binding.meta, *metas, *manifests_of(traffic)):
        yield meta.created
        yield from (manager.time for manager in meta.managers)


def _since(found: Condition | None) -> Iterator[str]:
    if found is not None:
        yield found.since


def _starts(pod: Pod) -> Iterator[str]:
    """When the containers that serve were last started."""
    yield from (status.since for status in pod.statuses if not status.init and status.state == "running")


def _pods(traffic: TrafficPath) -> Iterator[Pod]:
    """The pods behind the wanted endpoints."""
    pods = index.pods_by_name(traffic.snapshot, traffic.namespace)
    yield from (pods[endpoint.pod] for endpoint in desired_endpoints(traffic).wanted)


@derived
def _times_bound(snapshot: Snapshot) -> Counter[str]:
    """How many bindings name each target group, in all namespaces that were read."""
    spaces = snapshot.namespaces.values()
    return Counter(b.target_group_arn for facts in spaces for b in facts.bindings.peek() or ())
