"""LBD305 and LBD316: does the check speak the port's protocol, plain HTTP or TLS, in a version that the port takes?

A readiness probe that succeeds is the best witness: the kubelet asks the pod's own address, as the load balancer does.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, has_port_of_its_own, readiness_of
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.remediation import describe_target_health
from kubectl_lbdoctor.analysis.shared_settings import healthy_neighbours
from kubectl_lbdoctor.analysis.tls_names import said_by_names
from kubectl_lbdoctor.checks.health_check.findings import (
    ANSWER_READS,
    READS,
    SCHEMES,
    checked_group,
    health_evidence,
    keys_of,
    of_one_workload,
)
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.k8s import Probe
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@check(
    "LBD305",
    title="the check speaks another protocol than the port",
    passes="the check speaks the protocol of the port",
    severity=Severity.ERROR,
    message="the health check speaks {speaks} to port {port}, the application speaks {serves}",
    reads=(*ANSWER_READS, reads.LISTENERS),
    explains=("LBD301", "LBD302"),
    fix="healthcheck-protocol",
    distinct_by=("port", "serves"),
)
def check_speaks_wrong_protocol(traffic: TrafficPath) -> Iterator[Finding]:
    """The check sends plain HTTP to a TLS port, or TLS to a plaintext port.

    The readiness probe of the same port succeeds with the other scheme, or a probe does. A TLS server answers plain
    HTTP with a reset (Target.FailedHealthChecks) or, like Go's, with 400. Behind an Application Load Balancer the check
    follows backend-protocol, unless healthcheck-protocol says otherwise; a Network Load Balancer checks by TCP unless
    told. Where no probe asks the port, and no target is healthy, what names it makes TLS likely: backend-protocol
    HTTPS, appProtocol https, the name of the port, or port 443 or 8443.

    Sources: https://kubernetes.io/docs/concepts/services-networking/service/#application-protocol,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/ingress/model_build_target_group.go
    (buildTargetGroupHealthCheckProtocol)

    Confirm by hand: `curl -v http://POD_IP:PORT/` against `curl -vk https://POD_IP:PORT/`.

    Repair: let the check speak the port's protocol (annotation healthcheck-protocol).
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    speaks = group.health_check.protocol
    failing = [
        t
        for t in traffic.unhealthy(RESPONSE_CODE_MISMATCH, FAILED_HEALTH_CHECKS)
        if t.reason == FAILED_HEALTH_CHECKS or t.codes in (("400",), ("426",))
    ]
    if not failing or speaks not in SCHEMES:
        return
    port = checked_pod_port(traffic, failing[0])
    told = pod_evidence.answers(traffic, pod_evidence.pods_behind(traffic, failing), port=port)
    pods = [p for p in traffic.matching_pods() if p.containers_ready] if port is not None else []
    probes = [probe for pod in pods if (probe := readiness_of(pod, port or 0)) is not None]
    serves, said = _scheme_served(speaks, told, probes)
    named = said_by_names(traffic, failing, port) if port is not None and not (serves or told or probes) else ""
    if named:
        serves, said = "HTTPS", named
    if serves == speaks or serves not in SCHEMES:
        return  # Another version is LBD306.
    shown = pod_evidence.evidence(a for a in told if a.request.version == "HTTP1" and a.request.path == _path(group))
    # The traffic takes another port than a check with one of its own: nothing says that it should change its protocol.
    traffic_too = traffic.is_alb and group.protocol != serves and not has_port_of_its_own(failing)
    finding = Finding(
        "LBD305",
        setting_source(traffic, "healthcheck-protocol").ref,
        params={"speaks": speaks, "serves": serves, "port": str(port)},
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{part_of(len(failing), len(traffic.targets()))}: {failing[0].reason}"),
            *shown,
            *(Evidence(Source.PODS, f"readinessProbe {describe_probe(p)} succeeds") for p in probes[:1]),
            *((Evidence(Source.EXPECTED, f"TLS: {named}"),) if named else ()),
        ),
        confidence=Confidence.LIKELY if named else Confidence.CERTAIN,
        targets=tuple(t.key for t in failing),
        repairs=_speak(traffic, group, serves, said, traffic_too),
        fix_automatic=not named,
        advice=_fixed_protocol(traffic, traffic_too),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
    )
    yield of_one_workload(traffic, finding, failing)


def _scheme_served(speaks: str, told: tuple[ProbeAnswer, ...], probes: list[Probe]) -> tuple[str, str]:
    """What the port speaks ("" where nothing shows it), and what shows it."""
    spoken = pod_evidence.protocol_served(told)
    if spoken:
        return spoken, f"a probe of the same port was answered by {spoken}"
    if probes and all(probe.scheme != speaks for probe in probes):
        return probes[0].scheme, f"the readiness probe of the same port speaks {probes[0].scheme}"
    return "", ""


def _speak(traffic: TrafficPath, group: TargetGroup, serves: str, why: str, traffic_too: bool) -> tuple[Repair, ...]:
    """Check by this protocol. traffic_too: an Application Load Balancer has to send its traffic by it as well; then
    there is no repair where no fix can change both."""
    owner = setting_source(traffic, "healthcheck-protocol")
    if not traffic.is_alb and (neighbours := healthy_neighbours((traffic,), "healthcheck-protocol")):
        port = neighbours[0].backend.port if neighbours[0].backend is not None else ""
        suits = f"the setting holds for all ports of the Service, and port {port} speaks {group.health_check.protocol}"
        return owner.offer("tcp", suits, "only the connection is checked")
    if not traffic_too:
        return (Repair(serves, (owner.change(serves),)).with_reason(why),) if owner.settable else ()
    risk = "a target group of another protocol replaces this one"
    backend = setting_source(traffic, "backend-protocol")
    if not (owner.settable and backend.settable):
        return ()
    if backend.ref == owner.ref:  # Both in one write: the controller would replace the target group twice.
        return (Repair(serves, (owner.change(serves, (backend, serves)),)).with_reason(why, risk),)
    return (Repair(serves, (owner.change(serves), backend.change(serves))).with_reason(why, risk),)


def _fixed_protocol(traffic: TrafficPath, traffic_too: bool) -> str:
    """What a person does where no fix can change the protocol; "" where one can."""
    needed = [setting_source(traffic, "healthcheck-protocol")]
    if traffic_too:
        needed.append(setting_source(traffic, "backend-protocol"))
    return next((setting.instruction for setting in reversed(needed) if not setting.settable), "")


def _path(group: TargetGroup) -> str:
    return group.health_check.path or "/"


@check(
    "LBD316",
    title="the check and the application have no TLS version in common",
    passes="the check and the application have a TLS version in common",
    severity=Severity.ERROR,
    message="port {port} takes TLS 1.3 only, and the HTTPS check of a Network Load Balancer offers TLS 1.2 at most",
    reads=READS,
    explains=("LBD301", "LBD305", "LBD307"),
    fix="healthcheck-protocol",
    distinct_by=("port",),
)
def check_offers_old_tls(traffic: TrafficPath) -> Iterator[Finding]:
    """The HTTPS checks of Network Load Balancers fail on targets that accept TLS 1.3 alone (ELB user guide). A probe
    with TLS 1.2 fails in the handshake where one with TLS 1.3 is answered. The certificate of a target is never the
    reason: load balancers do not validate it, and take expired and self-signed ones
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html).

    Confirm by hand: `curl -vk --tls-max 1.2 https://POD_IP:PORT/` against `curl -vk https://POD_IP:PORT/`.

    Repair: let the application accept TLS 1.2, too, or check by TCP.
    """
    group = checked_group(traffic)
    if traffic.is_alb or group.health_check.protocol != "HTTPS":
        raise NotApplicable("only the HTTPS checks of Network Load Balancers are bound to TLS 1.2")
    hit: list[TargetHealth] = []
    told: list[ProbeAnswer] = []
    for target in traffic.unhealthy(FAILED_HEALTH_CHECKS):
        port = checked_pod_port(traffic, target)
        mine = pod_evidence.answers(traffic, pod_evidence.pods_behind(traffic, (target,)), port=port, protocol="HTTPS")
        old = [a for a in mine if a.request.tls == "1.2"]
        new = [a for a in mine if not a.request.tls and a.outcome is Outcome.ANSWERED]
        if new and old and all(a.outcome is Outcome.TLS for a in old):
            hit.append(target)
            told += [a for a in (*old, *new) if a not in told]
    if not hit:
        return
    owner = setting_source(traffic, "healthcheck-protocol")
    yield Finding(
        "LBD316",
        owner.ref,
        params={"port": str(told[0].request.port)},
        evidence=(health_evidence(traffic, hit), *pod_evidence.evidence(told)),
        targets=keys_of(hit),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=owner.offer("tcp", "a check by TCP needs no TLS", "only the connection is checked, not the answer"),
        fix_automatic=True,
        advice="let the application accept TLS 1.2, too, or check by TCP"
        + ("" if owner.settable else f": {owner.instruction}"),
    )
