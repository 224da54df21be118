"""LBD320: the protocol of the requests against that of the port, as health check, readiness probe or names tell it."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, has_port_of_its_own, traffic_pod_port
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.remediation import describe_target_health
from kubectl_lbdoctor.analysis.tls_names import said_by_its_names
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_SENDS = {"HTTP": "HTTP", "HTTPS": "HTTPS", "TLS": "HTTPS"}
"""By the protocol of a target group: whether its requests are encrypted."""
_ANSWER_TO_PLAIN = (400, 426)
"""How TLS servers answer plain HTTP, if at all: a check that takes these codes for success shows no protocol."""


@check(
    "LBD320",
    title="requests are sent by another protocol than their port speaks",
    passes="requests are sent by the protocol that their port speaks",
    severity=Severity.ERROR,
    message="requests go to port {port} by {sends}, while {witness:probe=its readiness probe succeeds by|"
    "check=its health check succeeds by|name=its name says} {speaks}",
    reads=(
        *(reads.INGRESSES, reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES, reads.BINDINGS),
        *(reads.LOAD_BALANCERS, reads.LISTENERS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    distinct_by=("port", "sends"),
)
def requests_by_another_protocol(traffic: TrafficPath) -> Iterator[Finding]:
    """Health check and requests go to the same port, one of them encrypted and the other not. The targets are healthy,
    because the check speaks the port's protocol, and every request is answered with 502 or 400, because the target
    group speaks the other one. The controller takes the two from two annotations: without one of its own the check
    follows the requests, and the requests never follow the check.

    A Network Load Balancer checks by TCP, which proves no protocol. It sends by TLS where its target group says so, and
    plain what its TLS listener has decrypted ("The plain HTTP request was sent to HTTPS port"). There the readiness
    probe of the same port tells what the pods speak, else the name that their container gives it, else appProtocol.

    A server may take both on one port. So this is an error only where a readiness probe of that port speaks the check's
    protocol, too, and a warning elsewhere; a probe that succeeds by the protocol of the requests ends it.

    Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2726,
    https://github.com/kubernetes/ingress-nginx/issues/9786 (a TLS listener before a TLS port),
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/create-listener.html (what each protocol sends),
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#backend-protocol

    Confirm by hand: `aws elbv2 describe-target-groups` (Protocol against HealthCheckProtocol), and `curl -v
    http://POD_IP:PORT/` against `curl -vk https://POD_IP:PORT/`. Repair: set backend-protocol to what the port speaks;
    the controller replaces the target group.
    """
    group = traffic.target_group.need()
    if group is None or traffic.service.need() is None:
        raise NotApplicable("no target group of a Service")
    if group.protocol == "TCP" or (group.protocol == "TLS" and group.health_check.protocol == "TCP"):
        yield from _of_network_balancer(traffic, group)
        return
    sends, speaks = _SENDS.get(group.protocol, ""), group.health_check.protocol
    healthy = [target for target in traffic.targets() if target.state == "healthy"]
    if not sends or speaks not in ("HTTP", "HTTPS") or sends == speaks or not healthy:
        return
    if has_port_of_its_own(healthy) or _proves_nothing(group):
        return
    port = checked_pod_port(traffic, healthy[0])
    probes = [found.probe for found in pod_evidence.ready(traffic.matching_pods()) if found.port == port]
    schemes = {probe.scheme or "HTTP" for probe in probes if probe.kind == "httpGet"}
    if port is None or sends in schemes:
        return
    yield _finding(traffic, group, healthy, sends, port, tuple(describe_probe(p) for p in probes if speaks in schemes))


def _proves_nothing(group: TargetGroup) -> bool:
    """Whether the plain check may be content with what a TLS port says to it."""
    check = group.health_check
    return check.protocol == "HTTP" and any(accepts(check.matcher, code) for code in _ANSWER_TO_PLAIN)


def _finding(
    traffic: TrafficPath,
    group: TargetGroup,
    healthy: list[TargetHealth],
    sends: str,
    port: int,
    probes: tuple[str, ...],
) -> Finding:
    check = group.health_check
    owner = setting_source(traffic, "backend-protocol")
    return Finding(
        "LBD320",
        owner.ref,
        params={"port": str(port), "sends": sends, "speaks": check.protocol, "witness": "check"},
        evidence=(
            Evidence(reads.TARGET_GROUPS, f"Protocol {group.protocol}, HealthCheckProtocol {check.protocol}"),
            Evidence(Source.TARGET_HEALTH, f"{part_of(len(healthy), len(traffic.targets()))} healthy"),
            *(Evidence(Source.PODS, f"readinessProbe {probe} succeeds by {check.protocol}") for probe in probes[:1]),
        ),
        confidence=Confidence.LIKELY,
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        by_hand=(owner.change(check.protocol).command,) if owner.settable else (),
        advice="" if owner.settable else owner.instruction,
        severity=None if probes else Severity.WARNING,
    )


def _of_network_balancer(traffic: TrafficPath, group: TargetGroup) -> Iterator[Finding]:
    """Requests of a Network Load Balancer: what its listener leaves of them, or what its target group encrypts."""
    healthy = [target for target in traffic.targets() if target.state == "healthy"]
    port = traffic_pod_port(traffic, healthy[0]) if healthy else None
    sends_tls, check = group.protocol == "TLS", group.health_check
    if port is None or not (sends_tls or _is_decrypted(traffic, group)):
        return
    ready = pod_evidence.ready(traffic.matching_pods())
    probes = [f.probe for f in ready if f.port == port and f.probe.kind == "httpGet"]
    proven = check.protocol in ("HTTP", "HTTPS") and not has_port_of_its_own(healthy) and not _proves_nothing(group)
    schemes = {probe.scheme or "HTTP" for probe in probes} | ({check.protocol} if proven else set())
    named = "" if schemes or sends_tls else said_by_its_names(traffic, port)
    if schemes != {"HTTP" if sends_tls else "HTTPS"} and not named:
        return
    owner = setting_source(traffic, "backend-protocol")
    of_gateway = owner.ref.kind == "TargetGroupConfiguration"
    wanted = ("TCP" if of_gateway else "tcp") if sends_tls else ("TLS" if of_gateway else "ssl")
    asked = f"readinessProbe {describe_probe(probes[0])} succeeds" if probes else named
    yield Finding(
        "LBD320",
        owner.ref,
        params={
            "port": str(port),
            "sends": "TLS" if sends_tls else "plain TCP",
            "speaks": next(iter(schemes), "TLS"),
            "witness": "probe" if probes else "check" if proven else "name",
        },
        evidence=(
            Evidence(reads.TARGET_GROUPS, f"Protocol {group.protocol}, HealthCheckProtocol {check.protocol}"),
            *(() if sends_tls else (Evidence(reads.LISTENERS, "a TLS listener decrypts what it sends there"),)),
            *((Evidence(Source.PODS, asked),) if asked else ()),
        ),
        confidence=Confidence.LIKELY,
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        by_hand=(owner.change(wanted).command,) if owner.settable and schemes else (),
        advice=owner.how(wanted)
        if sends_tls
        else f"lead this port of the Service to a port of the pods that is not encrypted (targetPort), or send by TLS: "
        f"{owner.how(wanted)}",
        severity=None if probes else Severity.WARNING,
    )


def _is_decrypted(traffic: TrafficPath, group: TargetGroup) -> bool:
    """Whether all listeners that lead to the group are of TLS: they decrypt, and a group of TCP gets what is left."""
    leading = [
        one for one in traffic.listeners.need() if any(group.arn in action.target_groups for action in one.actions)
    ]
    return bool(leading) and all(listener.protocol == "TLS" for listener in leading)
