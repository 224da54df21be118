"""From a traffic path to the requests of its load balancer, and from an answer to the verdict in AWS's own words.

Pure: the transports beside it send what is made here. What a load balancer sends is in ELB's user guides
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html, and the page of
that name under /network/) and was compared with what the lab's application logs.
"""

from __future__ import annotations

import re

from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.model.arn import interface_description
from kubectl_lbdoctor.model.aws import PROXY_PROTOCOL, HealthCheck, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

USER_AGENT = "ELB-HealthChecker/2.0"
GRPC_PATH = "/AWS.ALB/healthcheck"
"""The method that a gRPC target group calls by default: none has it, and UNIMPLEMENTED (12) is what is expected."""

_DEFAULT_TIMEOUT = 5.0


@record
class Unasked:
    """A target that no request can be made for, and why."""

    target: str
    reason: str


def requests(traffic: TrafficPath) -> tuple[tuple[ProbeRequest, ...], tuple[Unasked, ...]]:
    """The health check of each target of the path's target group, and the targets that cannot be asked.

    Raises Unknown where the target group or its targets were not read.
    """
    group = traffic.target_group.need()
    if group is None:
        return (), ()
    asked: list[ProbeRequest] = []
    unasked: list[Unasked] = []
    for target in traffic.targets():
        try:
            made = request_for(traffic, group, target)
        except Unknown as unknown:
            unasked.append(Unasked(target.key, f"{unknown.fact.source} was not read"))
            continue
        if isinstance(made, Unasked):
            unasked.append(made)
        else:
            asked.append(made)
    return tuple(asked), tuple(unasked)


def request_for(traffic: TrafficPath, group: TargetGroup, target: TargetHealth) -> ProbeRequest | Unasked:
    """The check of one target, to the port that is really checked."""
    check = group.health_check
    port = check_port(check, target)
    if not 0 < port < 65536:
        return Unasked(target.key, f"the checked port {target.check_port or check.port!r} is no number")
    namespace, pod, node, address = traffic.namespace, "", "", target.id
    if group.target_type == "instance":
        found = traffic.node_of(target)
        if found is None or not found.internal_ip:
            return Unasked(target.key, "no node of the cluster is this instance")
        node, address = found.meta.name, found.internal_ip
    elif group.target_type == "ip":
        owner = traffic.pod_of(target)
        if owner is not None:
            namespace, pod, node = owner.meta.namespace or namespace, owner.meta.name, owner.node
    else:
        return Unasked(target.key, f"a target of type {group.target_type or 'unknown'} is not in the cluster")
    network = not is_application(group)
    protocol = check.protocol or ("TCP" if network else group.protocol)
    version = (group.protocol_version or "HTTP1") if protocol != "TCP" and not network else "HTTP1"
    return ProbeRequest(
        target=target.key,
        address=address,
        port=port,
        namespace=namespace,
        pod=pod,
        node=node,
        protocol=protocol,
        version=version,
        path="" if protocol == "TCP" else check.path or (GRPC_PATH if version == "GRPC" else "/"),
        host="" if protocol == "TCP" else _host(traffic, network, address, port),
        timeout=float(check.timeout or _DEFAULT_TIMEOUT),
        matcher="" if protocol == "TCP" else check.matcher or _default_matcher(network, version),
        # The HTTPS check of a Network Load Balancer fails on a target that speaks TLS 1.3 only.
        tls="1.2" if network and protocol == "HTTPS" else "",
        # A TCP check is the connection alone, whatever is said on it.
        proxy_protocol=network and protocol != "TCP" and _speaks_proxy_protocol(traffic),
    )


def _speaks_proxy_protocol(traffic: TrafficPath) -> bool:
    """Whether a Network Load Balancer begins its checks with the header, as it does where it begins connections so:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol

    Raises Unknown where the group's attributes were not read.
    """
    return traffic.group_attributes.need().get(PROXY_PROTOCOL) == "true"


def check_port(check: HealthCheck, target: TargetHealth) -> int:
    """The port that is really checked: DescribeTargetHealth resolves it per target (a named targetPort may differ)."""
    for text in (target.check_port, check.port):
        if text.isascii() and text.isdigit():
            return int(text)
    return target.port


def is_application(group: TargetGroup) -> bool:
    """Whether an Application Load Balancer sends the checks: only it has target groups of HTTP and HTTPS."""
    return group.protocol in ("HTTP", "HTTPS")


def _default_matcher(network: bool, version: str) -> str:
    return "200-399" if network else "12" if version == "GRPC" else "200"


def _host(traffic: TrafficPath, network: bool, address: str, port: int) -> str:
    """The Host header: an ALB names the target, an NLB its own address and its listener's port."""
    if not network:
        return authority(address, port)
    group = traffic.target_group.peek()
    arn = group.arn if group is not None else ""
    forwarding = [x.port for x in traffic.listeners.peek() or () if any(arn in a.target_groups for a in x.actions)]
    listener = forwarding[0] if forwarding else port
    balancer = traffic.load_balancer.peek()
    description = interface_description(balancer.arn) if balancer is not None else ""
    for interface in traffic.network.interfaces.peek() or ():
        if description and interface.description == description and interface.private_ips:
            return authority(interface.private_ips[0], listener)
    return authority(address, listener)


def authority(address: str, port: int) -> str:
    """host:port of an URL or a Host header."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def invalid_request(request: ProbeRequest) -> str:
    """Why a request cannot be sent as it is: what stands in an annotation or a rule must not become a second header."""
    bad = [what for what, text in (("path", request.path), ("Host", request.host)) if _FORBIDDEN.search(text)]
    return f"the {' and the '.join(bad)} of the check holds characters that HTTP forbids" if bad else ""


_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")


def describe(request: ProbeRequest) -> str:
    """A request in one phrase: "GET http :8080/healthz", "tcp :8080", "gRPC http :8080/AWS.ALB/healthcheck"."""
    if request.protocol == "TCP":
        return f"tcp :{request.port}"
    method = "gRPC" if request.version == "GRPC" else "GET"
    more = " (HTTP/2)" if request.version == "HTTP2" else " (proxy protocol)" if request.proxy_protocol else ""
    return f"{method} {request.protocol.lower()} :{request.port}{request.path}{more}"


# --- Verdict ---------------------------------------------------------------------------------------------------------


@record
class Verdict:
    """What the load balancer would say of an answer, with the words of DescribeTargetHealth. state "unknown": the way
    to the target failed, so nothing is known of it."""

    state: str
    reason: str = ""
    description: str = ""

    @property
    def known(self) -> bool:
        """Whether it says anything of the target."""
        return self.state != "unknown"

    def __str__(self) -> str:
        reason = target_reasons.short(self.reason)
        start = self.description.find("[")
        words = [self.state, reason, self.description[start:] if start >= 0 else ""]
        return " ".join(word for word in words if word)


_FAILED = (target_reasons.FAILED_HEALTH_CHECKS, "Health checks failed")
REFUSED = Verdict("unhealthy", *_FAILED)


def judge(answer: ProbeAnswer, network: bool) -> Verdict:
    """The verdict on one answer. network: a Network Load Balancer asks, which has one reason for every failure."""
    request = answer.request
    if answer.outcome is Outcome.INCONCLUSIVE:
        return Verdict("unknown", description=answer.detail)
    if answer.outcome is Outcome.TIMEOUT and answer.via is Transport.PROXY:
        # The API server's packets may be dropped on their own way: its security groups are not the load balancer's.
        return Verdict("unknown", description="the API server got no answer either")
    if answer.outcome is Outcome.ANSWERED and (request.protocol == "TCP" or answer.status is None):
        return Verdict("healthy") if request.protocol == "TCP" else Verdict("unknown", description="no status")
    if answer.outcome is Outcome.ANSWERED and answer.status is not None:
        if answer.seconds > request.timeout:
            return _unhealthy(network, target_reasons.TIMEOUT, "Request timed out")
        if accepts(request.matcher, answer.status):
            return Verdict("healthy")
        codes = f"Health checks failed with these codes: [{answer.status}]"
        return _unhealthy(network, target_reasons.RESPONSE_CODE_MISMATCH, codes)
    if answer.outcome is Outcome.TIMEOUT:
        return _unhealthy(network, target_reasons.TIMEOUT, "Request timed out")
    return _unhealthy(network, *_FAILED)


def _unhealthy(network: bool, reason: str, description: str) -> Verdict:
    return Verdict("unhealthy", *(_FAILED if network else (reason, description)))


def difference(answer: ProbeAnswer, verdict: Verdict, health: TargetHealth) -> str:
    """What the probe's verdict beside the target group's proves; "" where they agree or one of them is not final."""
    if not verdict.known or not health.state.startswith(("healthy", "unhealthy")):
        return ""
    if verdict.state == "healthy" and health.state.startswith("unhealthy"):
        where = "on its own node" if answer.source and answer.source == answer.request.node else "inside the cluster"
        if answer.via in (Transport.FORWARD, Transport.CONTAINER):
            return "answers on the pod's loopback as the check wants: the pod's address or the way to it is the problem"
        if health.reason == target_reasons.TIMEOUT:
            return f"answers {where} as the check wants, and times out for the load balancer: filtered on the way"
        if health.reason == target_reasons.RESPONSE_CODE_MISMATCH:
            return f"answers {where} as the check wants, but with {health.description} to the load balancer"
        return f"answers {where} as the check wants, but fails for the load balancer: filtered on the way, or recovered"
    if verdict.state == "unhealthy" and health.state == "healthy":
        return f"fails here ({verdict}) and is healthy for the load balancer: the probe's own way, or it fails only now"
    if verdict.reason != health.reason and "FailedHealthChecks" not in health.reason:
        return f"fails here with {verdict}, for the load balancer with {health.reason}"
    return ""
