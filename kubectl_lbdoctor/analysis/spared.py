"""Of which frontends of a scan nothing more has to be asked: those that are certainly healthy, and those that stay
unknown whatever AWS would say. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.blocked_paths import preserves_clients
from kubectl_lbdoctor.analysis.check_settings import traffic_pod_port
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.gateway_settings import gateway_of_path
from kubectl_lbdoctor.analysis.gateways import listener_owners
from kubectl_lbdoctor.analysis.tls_names import said_by_its_names
from kubectl_lbdoctor.analysis.told_healthy import gates_are_recent, nothing_bad_counted, wanted_targets
from kubectl_lbdoctor.knowledge.annotations import NLB_PREFIX
from kubectl_lbdoctor.knowledge.controller_identity import RECONCILED
from kubectl_lbdoctor.knowledge.standing import unsettled
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.kinds import TARGET_GROUP_BINDING
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_ACTIVE, _TRAFFIC_PORT = "active", "traffic-port"


def spared(snapshot: Snapshot) -> frozenset[ObjectRef]:
    """The subjects behind whose every path all wanted targets are healthy and no other is registered, whose health
    checks vouch for their traffic, whose load balancer is active, and of which nobody complains. Nor is one behind
    another that is not: why that one fails may be told by its listeners."""
    suspects = [traffic for traffic in traffic_paths(snapshot) if not _is_sound(traffic)]
    behind = {traffic.behind for traffic in suspects}
    return frozenset(snapshot.subjects) - {traffic.subject for traffic in suspects} - behind


def outlined(snapshot: Snapshot) -> frozenset[ObjectRef]:
    """The subjects whose bindings could not be read, so that they are unknown whatever more is asked, and of which what
    is known says nothing bad: no unhealthy target, an active load balancer, and no complaint."""
    found = dict.fromkeys(snapshot.subjects, True)
    for traffic in traffic_paths(snapshot):
        found[traffic.subject] &= not traffic.binding.is_known and not _looks_bad(traffic)
    return frozenset(ref for ref, is_so in found.items() if is_so)


def _looks_bad(traffic: TrafficPath) -> bool:
    balancer, health, arn = traffic.load_balancer, traffic.target_health, _arn(traffic)
    if balancer.is_known and ((known := balancer.peek()) is None or known.state != _ACTIVE):
        return True
    if health.is_known:
        return not (targets := health.need()) or any(target.state != "healthy" for target in targets)
    try:
        return (bool(arn) and not nothing_bad_counted(traffic.snapshot, arn)) or _is_complained_of(traffic)
    except Unknown:
        return False


def unasked_groups(snapshot: Snapshot) -> tuple[str, ...]:
    """ARNs of the target groups whose health nothing tells but DescribeTargetHealth; those that look bad first.

    Without its binding it is open which targets a group should have, and with it whether those that it has are all:
    it is then asked only where something may be wrong.
    """
    found: dict[str, int] = {}
    for traffic in traffic_paths(snapshot):
        if (
            (arn := _arn(traffic))
            and not is_told(traffic)
            and (traffic.binding.is_known or not nothing_bad_counted(snapshot, arn))
        ):
            found[arn] = min(_urgency(traffic, arn), found.get(arn, _UNKNOWN))
    return tuple(sorted(found, key=lambda arn: found[arn]))


def groups_of(snapshot: Snapshot) -> dict[str, bool]:
    """The target groups of the scan, each with whether its health is known."""
    found: dict[str, bool] = {}
    for traffic in traffic_paths(snapshot):
        if arn := _arn(traffic):
            found[arn] = is_told(traffic) and found.get(arn, True)
    return found


def is_told(traffic: TrafficPath) -> bool:
    """Whether the health of the path's targets is known as it is now: by AWS, by its counts, or by readiness gates that
    have just turned."""
    health = traffic.target_health
    return health.is_known and (health.source != reads.PODS or gates_are_recent(traffic))


def _arn(traffic: TrafficPath) -> str:
    group, binding = traffic.target_group.peek(), traffic.binding.peek()
    if group is not None:
        return group.arn
    if traffic.target_group.is_known or binding is None:
        return ""
    return binding.target_group_arn


_BAD, _DOUBTFUL, _UNKNOWN = range(3)


def _urgency(traffic: TrafficPath, arn: str) -> int:
    counts = (traffic.aws.target_counts.peek() or {}).get(arn)
    if counts is not None and (counts.unhealthy or not counts.healthy):
        return _BAD
    gates = traffic.target_health.peek() or ()
    return _DOUBTFUL if counts is not None or any(t.state != "healthy" for t in gates) else _UNKNOWN


def _is_sound(traffic: TrafficPath) -> bool:
    try:
        healthy = is_told(traffic) and _as_wanted(traffic) and _is_active(traffic)
        return healthy and _vouches(traffic) and not _is_complained_of(traffic)
    except Unknown:
        return False


def _vouches(traffic: TrafficPath) -> bool:
    """Whether the traffic takes the way that the health check takes. It does not where another port is checked, where
    targets see the clients' addresses and so must admit them, where a second protocol has no target group, and where a
    listener may decrypt what it hands on to a port of TLS (LBD320)."""
    group, service = traffic.target_group.need(), traffic.service.need()
    if group is None or preserves_clients(traffic):
        return False
    if group.protocol == "TCP" and _may_be_decrypted(traffic) and _may_speak_tls(traffic, group):
        return False
    if group.health_check.port not in ("", _TRAFFIC_PORT, str(group.port)):
        return False
    port = traffic.service_port.need()
    ports = service.ports if service is not None else ()
    return port is None or {p.protocol for p in ports if p.port == port.port} == {port.protocol}


def _may_be_decrypted(traffic: TrafficPath) -> bool:
    """Whether a TLS listener of a Network Load Balancer may lead to the group; its listeners are not read in a scan. Of
    those that people bind to a group nothing tells it."""
    service, gateway, binding = traffic.service.peek(), gateway_of_path(traffic), traffic.binding.need()
    if gateway is not None:
        owners = listener_owners(traffic.snapshot, gateway)
        return any(listener.protocol == "TLS" for owner in owners for listener in owner.listeners)
    if binding is not None and not binding.is_generated:
        return True
    return service is not None and f"{NLB_PREFIX}ssl-cert" in service.meta.annotations


def _may_speak_tls(traffic: TrafficPath, group: TargetGroup) -> bool:
    """Whether health check, a readiness probe or names say that the pods' port speaks TLS."""
    ports = {traffic_pod_port(traffic, target) for target in traffic.targets()} - {None}
    probes = pod_evidence.ready(traffic.matching_pods())
    return (
        group.health_check.protocol == "HTTPS"
        or any(found.port in ports and found.probe.scheme == "HTTPS" for found in probes)
        or any(said_by_its_names(traffic, port) for port in ports if port is not None)
    )


def _as_wanted(traffic: TrafficPath) -> bool:
    """Whether exactly the wanted targets are there, all healthy."""
    binding = traffic.binding.need()
    targets: tuple[TargetHealth, ...] = traffic.targets()
    if is_before_ingress(traffic):
        return len(targets) == 1 and targets[0].state == "healthy"
    wanted = wanted_targets(traffic, binding) if binding is not None else ()
    return bool(wanted) and all(t.state == "healthy" for t in targets) and _keys(targets) == _keys(wanted)


def _keys(targets: tuple[TargetHealth, ...]) -> set[str]:
    return {target.key for target in targets}


def _is_active(traffic: TrafficPath) -> bool:
    balancer = traffic.load_balancer.need()
    if balancer is None:
        return traffic.subject.kind == TARGET_GROUP_BINDING.name
    return balancer.state == _ACTIVE


def _is_complained_of(traffic: TrafficPath) -> bool:
    binding = traffic.binding.peek()
    about = {(traffic.subject.kind, traffic.subject.name), ("Service", traffic.service_ref.name)}
    if binding is not None:
        about.add((TARGET_GROUP_BINDING.name, binding.meta.name))
    return any(
        not about.isdisjoint(_complained_of(traffic.snapshot, namespace))
        for namespace in {traffic.namespace, traffic.subject.namespace}
    )


@derived
def _complained_of(snapshot: Snapshot, namespace: str) -> frozenset[tuple[str, str]]:
    """Kind and name of what events of the namespace say that something is wrong with."""
    return frozenset(_warned(snapshot, namespace))


def _warned(snapshot: Snapshot, namespace: str) -> Iterator[tuple[str, str]]:
    for event in unsettled(snapshot.facts_of(namespace).events.need()):
        if event.kind in RECONCILED:
            yield event.kind, event.name
