"""Slim records of the AWS objects that a diagnosis needs. Field names follow the ELBv2 and EC2 APIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from kubectl_lbdoctor.record import record


@record
class LoadBalancer:
    """`zones` maps Availability Zone name to subnet id; `type` is application, network or gateway; `created` is a time
    (RFC 3339)."""

    arn: str
    name: str = ""
    dns_name: str = ""
    type: str = ""
    scheme: str = ""
    state: str = ""
    state_reason: str = ""
    vpc_id: str = ""
    zones: Mapping[str, str] = field(default_factory=dict)
    security_groups: tuple[str, ...] = ()
    ip_address_type: str = ""
    created: str = ""


@record
class Action:
    """What a listener or a rule does. `target_groups` maps ARN to weight. status_code: of a fixed answer or a redirect,
    or of what is answered to who has not logged in; "" for what hands requests on."""

    type: str
    target_groups: Mapping[str, int] = field(default_factory=dict)
    status_code: str = ""
    message_body: str = ""


@record
class Listener:
    arn: str
    load_balancer_arn: str = ""
    protocol: str = ""
    port: int = 0
    actions: tuple[Action, ...] = ()


@record
class ListenerRule:
    """further: whether it has conditions beside hosts and paths (headers, methods, source addresses, …)."""

    arn: str
    listener_arn: str = ""
    priority: str = ""
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    further: bool = False


@record
class HealthCheck:
    """A target group's check. Interval and timeout in seconds; `port` is "traffic-port" or a number as text."""

    enabled: bool = True
    protocol: str = ""
    port: str = "traffic-port"
    path: str = ""
    matcher: str = ""
    interval: int = 0
    timeout: int = 0
    healthy_threshold: int = 0
    unhealthy_threshold: int = 0


def describe_check(check: HealthCheck, port: int) -> str:
    """The request of a health check and what it expects: "HTTP :8080/healthz expects 200"."""
    # A group of a named targetPort shows the dummy port 1: the real port differs per target.
    number = check.port if check.port.isdigit() else str(port) if port > 1 else ""
    if check.protocol == "TCP":
        return f"TCP :{number}" if number else "TCP to each target's own port"
    where = f":{number}{check.path}" if number else f"{check.path} on each target's own port"
    expects = f" expects {check.matcher}" if check.matcher else ""
    return f"{check.protocol} {where}{expects}"


PROXY_PROTOCOL = "proxy_protocol_v2.enabled"
"""The attribute of a target group by which its Network Load Balancer begins connections, and checks by HTTP and HTTPS,
with a header: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol
"""


@record
class TargetGroup:
    arn: str
    name: str = ""
    target_type: str = ""
    protocol: str = ""
    protocol_version: str = ""
    port: int = 0
    vpc_id: str = ""
    ip_address_type: str = ""
    load_balancer_arns: tuple[str, ...] = ()
    health_check: HealthCheck = field(default_factory=HealthCheck)

    @property
    def is_grpc(self) -> bool:
        """Whether its health checks are answered with codes of gRPC."""
        return self.protocol_version == "GRPC"


@record
class TargetHealth:
    """One target's health (elbv2:DescribeTargetHealth). `check_port` is the port that is really checked."""

    id: str
    port: int = 0
    zone: str = ""
    state: str = ""
    reason: str = ""
    description: str = ""
    check_port: str = ""
    override_state: str = ""
    anomaly: str = ""

    @property
    def key(self) -> str:
        return f"{self.id}:{self.port}"

    @property
    def asked_port(self) -> int:
        """The port that is really checked, as far as AWS tells it; else the target's own."""
        return int(self.check_port) if self.check_port.isdigit() else self.port

    @property
    def codes(self) -> tuple[str, ...]:
        """The response codes that the description names: "Health checks failed with these codes: [404]" → ("404",)."""
        start, end = self.description.rfind("["), self.description.rfind("]")
        if start < 0 or end < start:
            return ()
        words = (code.strip() for code in self.description[start + 1 : end].split(","))
        return tuple(code for code in words if code.isascii() and code.isdigit() and len(code) < 10)


@record
class TargetCounts:
    """How many targets of a group CloudWatch counts as healthy and as unhealthy, in the minute that begins at `at`.

    The fewest healthy and the most unhealthy ones that any node of the load balancer has seen in that minute.
    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    """

    healthy: int
    unhealthy: int
    at: str
