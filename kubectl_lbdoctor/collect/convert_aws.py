"""From what boto3 returns to slim records. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.model import aws

Raw = Mapping[str, Any]


def load_balancer(raw: Raw) -> aws.LoadBalancer:
    state = raw.get("State") or {}
    return aws.LoadBalancer(
        arn=raw["LoadBalancerArn"],
        name=raw.get("LoadBalancerName", ""),
        dns_name=raw.get("DNSName", ""),
        type=raw.get("Type", ""),
        scheme=raw.get("Scheme", ""),
        state=state.get("Code", ""),
        state_reason=state.get("Reason", ""),
        vpc_id=raw.get("VpcId", ""),
        zones={z.get("ZoneName", ""): z.get("SubnetId", "") for z in raw.get("AvailabilityZones", ())},
        security_groups=tuple(raw.get("SecurityGroups", ())),
        ip_address_type=raw.get("IpAddressType", ""),
    )


def _action(raw: Raw) -> aws.Action:
    groups = {
        g["TargetGroupArn"]: int(g.get("Weight", 1)) for g in raw.get("ForwardConfig", {}).get("TargetGroups", ())
    }
    if not groups and raw.get("TargetGroupArn"):
        groups = {raw["TargetGroupArn"]: 1}
    fixed = raw.get("FixedResponseConfig", {})
    return aws.Action(
        type=raw.get("Type", ""),
        target_groups=groups,
        status_code=fixed.get("StatusCode", ""),
        message_body=fixed.get("MessageBody", ""),
    )


def listener(raw: Raw) -> aws.Listener:
    return aws.Listener(
        arn=raw["ListenerArn"],
        load_balancer_arn=raw.get("LoadBalancerArn", ""),
        protocol=raw.get("Protocol", ""),
        port=raw.get("Port", 0),
        actions=tuple(_action(a) for a in raw.get("DefaultActions", ())),
    )


def rule(raw: Raw, listener_arn: str) -> aws.ListenerRule:
    hosts: list[str] = []
    paths: list[str] = []
    for condition in raw.get("Conditions", ()):
        if condition.get("Field") == "host-header":
            hosts += condition.get("HostHeaderConfig", {}).get("Values") or condition.get("Values", ())
        if condition.get("Field") == "path-pattern":
            paths += condition.get("PathPatternConfig", {}).get("Values") or condition.get("Values", ())
    return aws.ListenerRule(
        arn=raw["RuleArn"],
        listener_arn=listener_arn,
        priority=str(raw.get("Priority", "")),
        hosts=tuple(hosts),
        paths=tuple(paths),
        actions=tuple(_action(a) for a in raw.get("Actions", ())),
    )


def target_group(raw: Raw) -> aws.TargetGroup:
    matcher = raw.get("Matcher") or {}
    return aws.TargetGroup(
        arn=raw["TargetGroupArn"],
        name=raw.get("TargetGroupName", ""),
        target_type=raw.get("TargetType", ""),
        protocol=raw.get("Protocol", ""),
        protocol_version=raw.get("ProtocolVersion", ""),
        port=raw.get("Port", 0),
        vpc_id=raw.get("VpcId", ""),
        ip_address_type=raw.get("IpAddressType", ""),
        load_balancer_arns=tuple(raw.get("LoadBalancerArns", ())),
        health_check=aws.HealthCheck(
            enabled=raw.get("HealthCheckEnabled", True),
            protocol=raw.get("HealthCheckProtocol", ""),
            port=str(raw.get("HealthCheckPort", "traffic-port")),
            path=raw.get("HealthCheckPath", ""),
            matcher=matcher.get("HttpCode") or matcher.get("GrpcCode") or "",
            interval=raw.get("HealthCheckIntervalSeconds", 0),
            timeout=raw.get("HealthCheckTimeoutSeconds", 0),
            healthy_threshold=raw.get("HealthyThresholdCount", 0),
            unhealthy_threshold=raw.get("UnhealthyThresholdCount", 0),
        ),
    )


def target_health(raw: Raw) -> aws.TargetHealth:
    target, health = raw.get("Target", {}), raw.get("TargetHealth", {})
    return aws.TargetHealth(
        id=target.get("Id", ""),
        port=target.get("Port", 0),
        zone=target.get("AvailabilityZone", ""),
        state=health.get("State", ""),
        reason=health.get("Reason", ""),
        description=health.get("Description", ""),
        check_port=str(raw.get("HealthCheckPort", "")),
        override_state=(raw.get("AdministrativeOverride") or {}).get("State", ""),
        anomaly=(raw.get("AnomalyDetection") or {}).get("Result", ""),
    )


def attributes(raw: list[Raw]) -> dict[str, str]:
    """Attributes of a target group or a load balancer: key to value."""
    return {entry.get("Key", ""): str(entry.get("Value", "")) for entry in raw}
