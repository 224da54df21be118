"""LBD314: does the checked port understand the header of proxy protocol, which the checks carry, too?"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.asked_proxy_protocol import ALL_PORTS, ATTRIBUTES, SOME_PORTS
from kubectl_lbdoctor.analysis.check_settings import SettingSource, checked_pod_port
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.group_settings import Maker, attribute, maker_of
from kubectl_lbdoctor.analysis.local_traffic import without_local_endpoint
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.proxy_header import HeaderAnswers, header_answers
from kubectl_lbdoctor.analysis.remediation import annotate, describe_target_health
from kubectl_lbdoctor.checks.health_check.findings import (
    READS,
    SCHEMES,
    checked_group,
    health_evidence,
    keys_of,
    probe_evidence,
    request_of,
)
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import PROXY_PROTOCOL, TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@check(
    "LBD314",
    title="the check port does not understand proxy protocol",
    passes="the check port understands proxy protocol",
    severity=Severity.ERROR,
    message="proxy protocol v2 is on, so checks carry its header, and "
    "{server:kube-proxy=kube-proxy's health server|traffic port=port {port}"
    "|check port=port {port}, which is not the traffic port,} does not understand it",
    reads=(*READS, reads.TARGET_GROUP_ATTRIBUTES, reads.NODES),
    explains=("LBD307", "LBD305"),
    distinct_by=("port", "server"),
)
def check_port_knows_no_proxy_protocol(traffic: TrafficPath) -> Iterator[Finding]:
    """With proxy_protocol_v2.enabled a Network Load Balancer sends the header with its health checks, too. An HTTP
    server that does not expect it answers with an error or closes the connection; kube-proxy's health server, which
    the check asks with externalTrafficPolicy Local, never understands it. A check by TCP does not mind. A request with
    the header beside the same without it, from inside the cluster, proves it.

    Confirm by hand: the application's log ("broken header", "malformed request") and
    `aws elbv2 describe-target-group-attributes`. Repair: check by TCP, or check a port that expects the header, or
    switch proxy protocol off.
    """
    group, service = checked_group(traffic), traffic.service.need()
    if traffic.is_alb or service is None:
        raise NotApplicable("only Network Load Balancers speak proxy protocol")
    if traffic.group_attributes.need().get(PROXY_PROTOCOL) != "true":
        return
    failing = list(traffic.unhealthy(FAILED_HEALTH_CHECKS, TIMEOUT))
    if not failing or group.health_check.protocol not in SCHEMES:
        return
    answers = header_answers(traffic, failing, checked_pod_port(traffic, failing[0]))
    if answers.known and not answers.minds:
        return
    found = _deaf(traffic, service, failing, answers)
    if found is None:
        return
    owner = setting_source(traffic, "healthcheck-protocol")
    by_kube_proxy = found.server == "kube-proxy"
    yield Finding(
        "LBD314",
        owner.ref,
        params={"server": found.server, "port": found.port},
        evidence=(
            health_evidence(traffic, found.targets),
            Evidence(Source.TARGET_GROUP_ATTRIBUTES, f"{PROXY_PROTOCOL}=true"),
            Evidence(Source.TARGET_GROUP, f"health check {request_of(group)} on port {found.targets[0].check_port}"),
            *found.evidence,
        ),
        confidence=Confidence.CERTAIN if by_kube_proxy or answers.minds else Confidence.LIKELY,
        targets=keys_of(found.targets),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=(
            *(() if by_kube_proxy else owner.offer("tcp", "a check by TCP does not mind the header")),
            *_without_proxy_protocol(traffic, service, owner),
        ),
        advice="use ip targets or externalTrafficPolicy Cluster with a TCP check, or switch proxy protocol off"
        if by_kube_proxy
        else "check by TCP, or switch proxy protocol off where the application does not need it",
    )


@record
class _Deaf:
    """Failing targets whose check port does not parse the header. server: what answers there: "kube-proxy" (which is
    certain), a "check port" of its own or the "traffic port"."""

    targets: list[TargetHealth]
    server: str
    port: str
    evidence: tuple[Evidence, ...] = ()


def _deaf(traffic: TrafficPath, service: Service, failing: list[TargetHealth], answers: HeaderAnswers) -> _Deaf | None:
    health_port = str(service.health_check_node_port or "-")
    asked = [t for t in failing if t.check_port == health_port]
    if asked:
        without_pod = {t.key for t in without_local_endpoint(traffic)[0]}
        targets = [t for t in asked if t.key not in without_pod]
        said = Evidence(str(traffic.service_ref), f"healthCheckNodePort {health_port}: answered by kube-proxy")
        return _Deaf(targets, "kube-proxy", health_port, (said,)) if targets else None
    port = checked_pod_port(traffic, failing[0])
    compared = pod_evidence.evidence((*answers.with_header, *answers.without)) if answers.minds else ()
    own = [t for t in failing if t.check_port and t.check_port != _traffic_port(traffic, t)]
    probed = [p for p in pod_evidence.ready(traffic.matching_pods()) if p.probe.kind == "httpGet"]
    if own:
        number = own[0].check_port
        served = {n for pod in traffic.matching_pods() for n in pod.declared_ports()} | {p.port for p in probed}
        if traffic.target_type == "ip" and int(number) not in served and not compared:
            return None  # Nothing shows that anybody listens there at all: LBD313.
        mine = [p for p in probed if str(p.port) == number]
        return _Deaf(own, "check port", number, compared or ((probe_evidence(mine),) if mine else ()))
    if compared:
        return _Deaf(failing, "traffic port", str(port), tuple(compared))
    mine = [p for p in probed if p.port == port]
    if not mine:
        return None
    said = Evidence(
        Source.PODS, f"readinessProbe {describe_probe(mine[0].probe)}, which sends no such header, succeeds"
    )
    return _Deaf(failing, "traffic port", str(port), (said,))


def _traffic_port(traffic: TrafficPath, target: TargetHealth) -> str:
    port = traffic.service_port.need()
    return str(port.node_port) if traffic.target_type == "instance" and port is not None else str(target.port)


def _without_proxy_protocol(traffic: TrafficPath, service: Service, owner: SettingSource) -> tuple[Repair, ...]:
    """What switches proxy protocol off where annotations, or an attribute in AWS, switch it on.

    Any of the annotations does: `proxy-protocol` for all ports, `proxy-protocol-per-target-group` for those that it
    lists, and else the attributes
    (https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/).
    """
    risk = "applications that read the client's address from the header lose it"
    group = traffic.target_group.peek()
    if group is not None and maker_of(traffic) is Maker.OUTSIDE:
        off = attribute(traffic, group, PROXY_PROTOCOL, "true", "false")
        return (Repair("off", (off,)).with_reason("the check port does not understand the header", risk),)
    if not owner.settable:
        return ()
    annotations, port = service.meta.annotations, traffic.service_port.peek()
    values: dict[str, str | None] = {ALL_PORTS: None} if ALL_PORTS in annotations else {}
    ports = [text.strip() for text in annotations.get(SOME_PORTS, "").split(",")]
    if port is not None and str(port.port) in ports:
        values[SOME_PORTS] = ",".join(text for text in ports if text not in ("", str(port.port))) or None
    attributes = annotations.get(ATTRIBUTES, "")
    if f"{PROXY_PROTOCOL}=true" in attributes:
        values[ATTRIBUTES] = attributes.replace(f"{PROXY_PROTOCOL}=true", f"{PROXY_PROTOCOL}=false")
    if not values:
        return ()
    change = annotate(owner.ref, annotations, values)
    return (Repair("off", (change,)).with_reason("the check port does not understand the header", risk),)
