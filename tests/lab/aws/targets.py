"""Registered targets and their state, in the words of DescribeTargetHealth.

moto keys targets by id alone and knows no states but "healthy". Here a registration is an (id, port), as in AWS, and
keeps the tracks that the health checker fills: one per address of the load balancer, because every node of a load
balancer checks every target on its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

# AWS takes some seconds before the first check of a new target and `deregistration_delay` (300 s) for its end.
REGISTRATION_SECONDS = 1.0
LONGEST_DRAINING_SECONDS = 3.0

Health = tuple[str, str | None, str | None]

HEALTHY: Health = ("healthy", None, None)
REGISTERING: Health = ("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING: Health = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
DRAINING: Health = ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
NOT_REGISTERED: Health = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
UNUSED: Health = (
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)
ZONE_DISABLED: Health = (
    "unused",
    "Target.NotInUse",
    "Target is in an Availability Zone that is not enabled for the load balancer",
)
IP_UNUSABLE: Health = (
    "unused",
    "Target.IpUnusable",
    "The IP address cannot be used as a target, as it is in use by a load balancer",
)
NO_OVERRIDE = {
    "State": "no_override",
    "Reason": "AdministrativeOverride.NoOverride",
    "Description": "No override is currently active on target",
}


@dataclass
class Track:
    """What one address of a load balancer knows about one target."""

    health: Health = CHECKING
    successes: int = 0
    failures: int = 0
    due: float = 0.0
    running: bool = False


@dataclass
class Registration:
    id: str
    port: int
    zone: str | None
    since: float = field(default_factory=time.monotonic)
    draining_until: float | None = None
    tracks: dict[str, Track] = field(default_factory=dict)


Key = tuple[str, int]


def key_of(group: Any, target: dict[str, Any]) -> Key:
    """A target without a port means the group's own port."""
    return target["Id"], int(target.get("Port") or group.port)


def zone_of(group: Any, target_id: str, given: str | None) -> str | None:
    ec2 = group.ec2_backend
    if target_id.startswith("i-"):
        instance = ec2.get_instance_by_id(target_id)
        return str(instance.availability_zone) if instance else None
    if target_id.startswith("arn:"):
        return None  # A load balancer is in several.
    if given:
        return given
    # AWS detects the zone of an address that lies in one of the VPC's subnets.
    for subnet in list(ec2.subnets.values()):
        for candidate in subnet.values():
            more = [entry["ipv6CidrBlock"] for entry in candidate.ipv6_cidr_block_associations.values()]
            ranges = [ip_network(cidr) for cidr in (candidate.cidr_block, *more)]
            if candidate.vpc_id == group.vpc_id and any(ip_address(target_id) in cidr for cidr in ranges):
                return str(candidate.availability_zone)
    return None


def add(group: Any, targets: Iterable[dict[str, Any]]) -> None:
    for target in targets:
        key = key_of(group, target)
        known = group.targets.get(key)
        if known is None or known.draining_until is not None:
            zone = zone_of(group, key[0], target.get("AvailabilityZone"))
            group.targets[key] = Registration(*key, zone=zone)


def remove(group: Any, targets: Iterable[dict[str, Any]]) -> None:
    """Deregistering what is not registered succeeds, as in AWS; what gets no traffic leaves at once."""
    delay = min(float(group.attributes["deregistration_delay.timeout_seconds"]), LONGEST_DRAINING_SECONDS)
    for target in targets:
        registration = group.targets.get(key_of(group, target))
        if registration is None or registration.draining_until is not None:
            continue
        if unused(group, registration):
            del group.targets[registration.id, registration.port]
        else:
            registration.draining_until = time.monotonic() + delay


def sweep(group: Any) -> list[Registration]:
    """All registrations; those whose draining is over are dropped first."""
    now = time.monotonic()
    for key, registration in list(group.targets.items()):
        if registration.draining_until is not None and registration.draining_until <= now:
            group.targets.pop(key, None)
    return list(group.targets.values())


def actions(balancer: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every action of every rule of a load balancer, with its listener."""
    for listener in list(balancer.listeners.values()):
        for rule in list(listener.rules.values()):
            for action in rule.actions:
                yield listener, action.data


def forwards_to(action: dict[str, Any]) -> set[str]:
    arns = {group["TargetGroupArn"] for group in action.get("ForwardConfig", {}).get("TargetGroups", [])}
    if "TargetGroupArn" in action:
        arns.add(action["TargetGroupArn"])
    return arns


def users(group: Any) -> dict[str, tuple[Any, Any]]:
    """The load balancers (by ARN) that forward to a group, each with one listener that does."""
    found: dict[str, tuple[Any, Any]] = {}
    for balancer in list(group.elbv2_backend.load_balancers.values()):
        for listener, action in actions(balancer):
            if group.arn in forwards_to(action):
                found.setdefault(balancer.arn, (balancer, listener))
    return found


def unused(group: Any, registration: Registration) -> Health | None:
    """Why a target gets neither traffic nor checks; None when it gets both."""
    balancers = [balancer for balancer, _ in users(group).values()]
    if not balancers:
        return UNUSED
    ec2 = group.ec2_backend
    if registration.id.startswith("i-"):
        instance = ec2.get_instance_by_id(registration.id)
        state = instance.state if instance else "terminated"
        if state != "running":
            return "unused", "Target.InvalidState", f"Target is in the {state} state"
    else:
        for interface in list(ec2.enis.values()):
            if interface.description.startswith("ELB ") and interface.private_ip_address == registration.id:
                return IP_UNUSABLE
    zones = {subnet.availability_zone for balancer in balancers for subnet in balancer.subnets}
    if registration.zone not in (None, "all") and registration.zone not in zones:
        return ZONE_DISABLED
    return None


def health(group: Any, registration: Registration) -> Health:
    if registration.draining_until is not None:
        return DRAINING
    reason = unused(group, registration)
    if reason is not None:
        return reason
    tracks = list(registration.tracks.values())
    if not tracks:
        return REGISTERING
    # Each node of the load balancer has its own opinion; the target is as good as the worst of them.
    order = ("unhealthy", "initial", "healthy")
    return min((track.health for track in tracks), key=lambda opinion: order.index(opinion[0]))


def check_port(group: Any, registration_port: int) -> str:
    """AWS resolves `traffic-port` for each target in its answers."""
    configured = str(group.health_check_port or "traffic-port")
    return str(registration_port) if configured == "traffic-port" else configured


def describe(group: Any, asked: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {(registration.id, registration.port): registration for registration in sweep(group)}
    keys = [key_of(group, target) for target in asked] or list(known)
    answers = []
    for target_id, port in keys:
        registration = known.get((target_id, port))
        target: dict[str, Any] = {"Id": target_id, "Port": port}
        if registration is not None and registration.zone and not target_id.startswith("i-"):
            target["AvailabilityZone"] = registration.zone
        state, reason, description = NOT_REGISTERED if registration is None else health(group, registration)
        verdict = {"State": state, "Reason": reason, "Description": description}
        answers.append(
            {
                "Target": target,
                "HealthCheckPort": check_port(group, port),
                "TargetHealth": {name: text for name, text in verdict.items() if text is not None},
                "AdministrativeOverride": NO_OVERRIDE,
            }
        )
    return answers
