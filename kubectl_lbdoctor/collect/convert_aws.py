"""From what botocore's elbv2 client returns to slim records. Pure.

The API reference (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Types.html) calls hardly any
field of an answer required: what is missing becomes "", 0 or empty, unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kubectl_lbdoctor.collect.fields import Raw, flag, mapping, number, objects, text, texts
from kubectl_lbdoctor.model import aws


def load_balancer(raw: Raw) -> aws.LoadBalancer:
    """One entry of DescribeLoadBalancers' LoadBalancers (API_LoadBalancer)."""
    state = mapping(raw, "State")
    return aws.LoadBalancer(
        arn=text(raw, "LoadBalancerArn"),
        name=text(raw, "LoadBalancerName"),
        dns_name=text(raw, "DNSName"),
        type=text(raw, "Type"),
        scheme=text(raw, "Scheme"),
        state=text(state, "Code"),
        state_reason=text(state, "Reason"),
        vpc_id=text(raw, "VpcId"),
        zones={text(z, "ZoneName"): text(z, "SubnetId") for z in objects(raw, "AvailabilityZones")},
        security_groups=texts(raw, "SecurityGroups"),
        ip_address_type=text(raw, "IpAddressType"),
        created=_time(raw, "CreatedTime"),
    )


def _time(raw: Raw, key: str) -> str:
    """A time as botocore gives it, or as a bundle has kept it; "" where it is not told."""
    value = raw.get(key)
    return value.isoformat() if isinstance(value, datetime) else text(raw, key)


def _login(raw: Raw) -> str:
    """What an action that asks for a login answers who has none; "" where it lets everybody in, or asks for none."""
    for kind in ("AuthenticateOidcConfig", "AuthenticateCognitoConfig"):
        if raw.get(kind) is not None:
            said = text(mapping(raw, kind), "OnUnauthenticatedRequest") or "authenticate"
            return {"authenticate": "302", "deny": "401"}.get(said, "")
    return "401" if raw.get("JwtValidationConfig") is not None else ""


def _action(raw: Raw) -> aws.Action:
    """An action of a listener or rule (API_Action). One that forwards names its groups in ForwardConfig, with weights,
    or a single one beside it; a group without a weight counts as 1, and one of weight 0 gets no traffic. The code of a
    redirect stands as "HTTP_301"; one who has not logged in is sent to do so unless it is said otherwise
    (OnUnauthenticatedRequest)."""
    forward = mapping(raw, "ForwardConfig")
    groups = {
        text(g, "TargetGroupArn"): number(g, "Weight", 1)
        for g in objects(forward, "TargetGroups")
        if text(g, "TargetGroupArn")
    }
    if not groups and raw.get("TargetGroupArn"):
        groups = {text(raw, "TargetGroupArn"): 1}
    fixed, redirect = mapping(raw, "FixedResponseConfig"), mapping(raw, "RedirectConfig")
    return aws.Action(
        type=text(raw, "Type"),
        target_groups=groups,
        status_code=text(fixed, "StatusCode") or text(redirect, "StatusCode").removeprefix("HTTP_") or _login(raw),
        message_body=text(fixed, "MessageBody"),
    )


def listener(raw: Raw) -> aws.Listener:
    """One entry of DescribeListeners' Listeners (API_Listener), with its default actions."""
    return aws.Listener(
        arn=text(raw, "ListenerArn"),
        load_balancer_arn=text(raw, "LoadBalancerArn"),
        protocol=text(raw, "Protocol"),
        port=number(raw, "Port"),
        actions=tuple(_action(a) for a in objects(raw, "DefaultActions")),
    )


def rule(raw: Raw, listener_arn: str) -> aws.ListenerRule:
    """One entry of DescribeRules' Rules (API_Rule); the answer does not name the listener that was asked about.

    Hosts and paths stand in the condition's own config; `Values` beside it is the older form (API_RuleCondition).
    Conditions of other kinds (headers, methods, source addresses, regular expressions) are not kept, only that there
    are some.
    """
    further = False
    values: dict[str, tuple[str, ...]] = {"host-header": (), "path-pattern": ()}
    config = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}
    for condition in objects(raw, "Conditions"):
        field = text(condition, "Field")
        said = texts(mapping(condition, config.get(field, "")), "Values") or texts(condition, "Values")
        if field in values and said:
            # Each condition must hold; of two about the same field the second one narrows the first.
            further |= bool(values[field])
            values[field] += said
        else:
            further = True
    return aws.ListenerRule(
        arn=text(raw, "RuleArn"),
        listener_arn=listener_arn,
        priority=text(raw, "Priority"),
        hosts=values["host-header"],
        paths=values["path-pattern"],
        actions=tuple(_action(a) for a in objects(raw, "Actions")),
        further=further,
    )


def target_group(raw: Raw) -> aws.TargetGroup:
    """One entry of DescribeTargetGroups' TargetGroups (API_TargetGroup).

    A health check is enabled and goes to "traffic-port" unless the answer says otherwise: the defaults of
    CreateTargetGroup. Its success codes stand in Matcher, under HttpCode or, for gRPC, GrpcCode (API_Matcher).
    """
    matcher = mapping(raw, "Matcher")
    return aws.TargetGroup(
        arn=text(raw, "TargetGroupArn"),
        name=text(raw, "TargetGroupName"),
        target_type=text(raw, "TargetType"),
        protocol=text(raw, "Protocol"),
        protocol_version=text(raw, "ProtocolVersion"),
        port=number(raw, "Port"),
        vpc_id=text(raw, "VpcId"),
        ip_address_type=text(raw, "IpAddressType"),
        load_balancer_arns=texts(raw, "LoadBalancerArns"),
        health_check=aws.HealthCheck(
            enabled=flag(raw, "HealthCheckEnabled", True),
            protocol=text(raw, "HealthCheckProtocol"),
            port=text(raw, "HealthCheckPort", "traffic-port"),
            path=text(raw, "HealthCheckPath"),
            matcher=text(matcher, "HttpCode") or text(matcher, "GrpcCode"),
            interval=number(raw, "HealthCheckIntervalSeconds"),
            timeout=number(raw, "HealthCheckTimeoutSeconds"),
            healthy_threshold=number(raw, "HealthyThresholdCount"),
            unhealthy_threshold=number(raw, "UnhealthyThresholdCount"),
        ),
    )


def target_health(raw: Raw) -> aws.TargetHealth:
    """One entry of DescribeTargetHealth's TargetHealthDescriptions (API_TargetHealthDescription).

    A healthy target has no reason and no description. AdministrativeOverride is the state of a zonal shift, and
    AnomalyDetection exists for HTTP and HTTPS groups of application load balancers.
    """
    target, health = mapping(raw, "Target"), mapping(raw, "TargetHealth")
    return aws.TargetHealth(
        id=text(target, "Id"),
        port=number(target, "Port"),
        zone=text(target, "AvailabilityZone"),
        state=text(health, "State"),
        reason=text(health, "Reason"),
        description=text(health, "Description"),
        check_port=text(raw, "HealthCheckPort"),
        override_state=text(mapping(raw, "AdministrativeOverride"), "State"),
        anomaly=text(mapping(raw, "AnomalyDetection"), "Result"),
    )


def attributes(raw: Iterable[Raw]) -> dict[str, str]:
    """Attributes of a target group or a load balancer, key to value (API_TargetGroupAttribute): all values are text."""
    return {text(entry, "Key"): text(entry, "Value") for entry in raw}
