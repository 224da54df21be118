"""LBD306: does the check speak the application's version of HTTP: HTTP/1.1, HTTP/2 or gRPC?

A Network Load Balancer reports Target.FailedHealthChecks for every failure, filters included, so that what is found
here is only likely there, unless a probe has tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, has_port_of_its_own
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.pod_evidence import Ready, ready
from kubectl_lbdoctor.analysis.remediation import describe_target_health
from kubectl_lbdoctor.checks.health_check.findings import (
    READS,
    checked_group,
    health_evidence,
    keys_of,
    probe_evidence,
    request_of,
)
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.k8s import ServicePort
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_VERSIONS = {"HTTP": "HTTP1", "HTTP2": "HTTP2", "GRPC": "GRPC"}
_SAID = {"HTTP1": "HTTP/1.1", "HTTP2": "HTTP/2", "GRPC": "gRPC"}

# What a client of gRPC makes of an answer without a status of gRPC; all others only an application of gRPC gives.
# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_FOR_A_SERVER_WITHOUT_GRPC = frozenset({"2", "7", "12", "13", "14", "16"})

# What a server of gRPC answers to a request whose content type is not gRPC's.
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md ("Requests")
_NO_GRPC_ASKED = frozenset({"415"})


@check(
    "LBD306",
    title="the check speaks another protocol version than the application",
    passes="the check speaks the protocol version of the application",
    severity=Severity.ERROR,
    message="the health check speaks {speaks} to port {port}, the application speaks {serves}",
    reads=(*READS, reads.RULES),
    explains=("LBD301", "LBD302", "LBD303", "LBD304", "LBD305", "LBD307", "LBD311", "LBD317"),
    distinct_by=("port", "serves"),
)
def check_speaks_wrong_version(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group's protocol version is not the application's. The check uses the version too: a target group with
    HTTP2 or GRPC sends HTTP/2 without negotiation, which an HTTP/1.1 server refuses; one with HTTP1 or HTTP2 gets no
    HTTP answer that it can use from a gRPC server. A Network Load Balancer checks by HTTP/1.1.

    A probe, the readiness probe of the same port, or the port's appProtocol says what the application speaks. A
    readiness probe that passes proves that its version is served, and not that another one is not: servers such as
    Envoy, or Go's with h2c, know both. So it is certain, and repaired unasked, only where a probe has tried.

    Confirm by hand: `curl --http2-prior-knowledge http://POD_IP:PORT/` against `curl --http1.1`. Repair: set the
    backend-protocol-version annotation (the target group is replaced); behind a Network Load Balancer check by TCP.
    """
    group = checked_group(traffic)
    failing = list(traffic.unhealthy(FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH))
    speaks = _spoken(group)
    port = checked_pod_port(traffic, failing[0]) if failing and speaks else None
    if port is None:
        return
    told = pod_evidence.answers(traffic, pod_evidence.pods_behind(traffic, failing), port=port)
    served = _version_served(traffic, failing, port, told)
    if any(a.outcome is Outcome.ANSWERED and pod_evidence.is_check(traffic, a.request) for a in told):
        served = served if served.version == "GRPC" else _Served()  # The check itself is understood.
    if not served.version and _speaks_no_http(traffic, told):
        yield _no_http(traffic, group, failing, speaks, port, told)
    elif served.version and _unfit(speaks, served.version, failing):
        yield _wrong_version(traffic, group, failing, speaks, port, told, served)


@record
class _Served:
    """The HTTP version that the application speaks, "" where nothing says it, and who says so: an answer to a probe of
    ours (`answered`), readiness probes that succeed (`probed`, where they are the ones that say it), or the Service's
    appProtocol."""

    version: str = ""
    answered: bool = False
    probed: tuple[Ready, ...] = ()


def _version_served(
    traffic: TrafficPath, failing: list[TargetHealth], port: int, told: tuple[ProbeAnswer, ...]
) -> _Served:
    service_port = traffic.service_port.need()
    spoken = _VERSIONS.get(pod_evidence.protocol_served(told), "")
    if spoken:
        return _Served(spoken, answered=True)
    probed = [p for p in ready(traffic.matching_pods()) if p.port == port]
    # A check port of its own is not the port that appProtocol is about.
    own = traffic.target_type == "ip" and has_port_of_its_own(failing)
    return _served(probed, None if own else service_port)


def _wrong_version(
    traffic: TrafficPath,
    group: TargetGroup,
    failing: list[TargetHealth],
    speaks: str,
    port: int,
    told: tuple[ProbeAnswer, ...],
    served: _Served,
) -> Finding:
    """What goes with every repair: who speaks what, and what shows it."""
    # A readiness probe that passes proves what is served, not what is not: Go's h2c and Envoy serve both versions.
    codes = {code for t in failing for code in t.codes}
    certain = served.answered or (traffic.is_alb and served.version == "GRPC" and codes == _NO_GRPC_ASKED)
    finding = Finding(
        "LBD306",
        traffic.service_ref,
        params={"speaks": _SAID[speaks], "serves": _SAID[served.version], "port": str(port)},
        evidence=(
            health_evidence(traffic, failing),
            _check_evidence(group),
            *_version_evidence(traffic, told, served),
        ),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
        targets=keys_of(failing),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        rules_out="filters on the way: the connection was answered" if traffic.is_alb else "",
    )
    if not traffic.is_alb:
        return _checked_by_tcp(traffic, finding, served)
    return (
        _other_check_port(traffic, finding, speaks)
        if has_port_of_its_own(failing)
        else _served_as(traffic, finding, served)
    )


def _served_as(traffic: TrafficPath, finding: Finding, served: _Served) -> Finding:
    """An Application Load Balancer checks and serves by one version: that of the application. To a target group of
    HTTP2 or GRPC only HTTPS listeners forward:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html#target-group-protocol-version
    """
    owner = setting_source(traffic, "backend-protocol-version")
    accepted = served.version == "HTTP1" or _by_https_alone(traffic)
    needs = "GRPC needs an HTTPS listener, and success-codes that are gRPC codes" if served.version == "GRPC" else ""
    if accepted is False:
        needs = f"{served.version} needs HTTPS listeners alone in front of it; set the version then"
    why = f"the application speaks {_SAID[served.version]}"
    offered = owner.offer(served.version, why, "a target group of this version replaces the present one")
    return replace(
        finding,
        object=owner.ref,
        repairs=() if accepted is False else offered,
        fix_automatic=finding.confidence is Confidence.CERTAIN and accepted is True,
        advice=owner.instruction or needs,
    )


def _by_https_alone(traffic: TrafficPath) -> bool | None:
    """Whether the listeners that lead to the path's target group are of HTTPS; None where they are not all known."""
    group, listeners, rules = traffic.target_group.peek(), traffic.listeners.peek(), traffic.rules.peek()
    if group is None or listeners is None or rules is None:
        return None
    forwarding = {rule.listener_arn for rule in rules if any(group.arn in a.target_groups for a in rule.actions)}
    forwarding |= {found.arn for found in listeners if any(group.arn in a.target_groups for a in found.actions)}
    protocols = {found.protocol for found in listeners if found.arn in forwarding}
    return protocols == {"HTTPS"} if protocols else None


def _other_check_port(traffic: TrafficPath, finding: Finding, speaks: str) -> Finding:
    """The check asks a port of its own. The protocol version is that of the traffic, too: to change it for the check's
    sake would break what the traffic port serves."""
    owner = setting_source(traffic, "healthcheck-port")
    why = f"the target group speaks {_SAID[speaks]} to the traffic port, and the check may ask that"
    return replace(
        finding,
        object=owner.ref,
        repairs=owner.offer("traffic-port", why, "the path must answer there, too"),
        fix="healthcheck-port",
        advice=f"let port {finding.params['port']} speak {_SAID[speaks]}, or check the traffic port by a path that it "
        "serves; backend-protocol-version is that of the traffic, too",
    )


def _checked_by_tcp(traffic: TrafficPath, finding: Finding, served: _Served) -> Finding:
    """A Network Load Balancer checks by HTTP/1.1 or by TCP, whatever it carries."""
    owner = setting_source(traffic, "healthcheck-protocol")
    return replace(
        finding,
        object=owner.ref,
        repairs=owner.offer("tcp", f"the application speaks {_SAID[served.version]}"),
        fix_automatic=finding.confidence is Confidence.CERTAIN,
        fix="healthcheck-protocol",
        advice=owner.instruction,
    )


def _version_evidence(traffic: TrafficPath, told: tuple[ProbeAnswer, ...], served: _Served) -> tuple[Evidence, ...]:
    """The answers to the check and to the version that is served; without such, what else says what is served."""
    answering = (served.version, Outcome.ANSWERED)
    shown = pod_evidence.evidence(
        a
        for a in told
        if pod_evidence.is_check(traffic, a.request)
        or (served.answered and (a.request.version, a.outcome) == answering)
    )
    if served.answered:
        return shown
    if served.probed:
        return (*shown, probe_evidence(list(served.probed)))
    port = traffic.service_port.need()
    named = port.app_protocol if port is not None else ""
    return (*shown, Evidence(str(traffic.service_ref), f"appProtocol {named}"))


def _check_evidence(group: TargetGroup) -> Evidence:
    return Evidence(
        Source.TARGET_GROUP, f"protocol version {group.protocol_version or 'none'}, check {request_of(group)}"
    )


def _speaks_no_http(traffic: TrafficPath, told: tuple[ProbeAnswer, ...]) -> bool:
    """Whether something listens and answers none of HTTP/1.1, HTTP/2, gRPC and TLS."""
    garbled = [a for a in told if pod_evidence.is_check(traffic, a.request) and a.outcome is Outcome.GARBLED]
    tried = {(a.request.protocol, a.request.version) for a in told if a.outcome in pod_evidence.NOT_THE_PROTOCOL}
    answered = any(a.outcome is Outcome.ANSWERED for a in told)
    return bool(garbled) and not answered and tried >= {("HTTP", v) for v in _SAID} | {("HTTPS", "HTTP1")}


def _no_http(
    traffic: TrafficPath,
    group: TargetGroup,
    failing: list[TargetHealth],
    speaks: str,
    port: int,
    told: tuple[ProbeAnswer, ...],
) -> Finding:
    owner = setting_source(traffic, "healthcheck-protocol")
    network = not traffic.is_alb
    checked = [a for a in told if pod_evidence.is_check(traffic, a.request)]
    return Finding(
        "LBD306",
        owner.ref,
        params={"speaks": _SAID[speaks], "serves": "none of HTTP, gRPC and TLS", "port": str(port)},
        evidence=(
            health_evidence(traffic, failing),
            _check_evidence(group),
            *pod_evidence.evidence(checked),
            Evidence(Source.PROBE, "no answer to https, HTTP/2 and gRPC either"),
        ),
        targets=keys_of(failing),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=owner.offer("tcp", "the port speaks no HTTP", "only the connection is checked") if network else (),
        fix_automatic=network,
        fix="healthcheck-protocol" if network else "",
        advice=owner.instruction
        if network
        else "an Application Load Balancer carries HTTP only; a Network Load Balancer carries all TCP",
        rules_out="filters on the way: the connection was answered",
    )


def _spoken(group: TargetGroup) -> str:
    """The HTTP version of the check; "" for one that is not HTTP or is encrypted, where versions are negotiated."""
    if group.health_check.protocol != "HTTP":
        return ""
    return group.protocol_version or "HTTP1"


def _served(probed: list[Ready], port: ServicePort | None) -> _Served:
    """What readiness probes that succeed show, or else the Service's appProtocol says."""
    kinds = {p.probe.kind for p in probed}
    if kinds == {"grpc"}:
        return _Served("GRPC", probed=tuple(probed))
    if kinds == {"httpGet"} and all(p.probe.scheme == "HTTP" for p in probed):
        return _Served("HTTP1", probed=tuple(probed))
    if "httpGet" in kinds or "grpc" in kinds:
        return _Served()
    named = port.app_protocol.lower() if port is not None else ""
    return _Served({"grpc": "GRPC", "kubernetes.io/h2c": "HTTP2", "http": "HTTP1"}.get(named, ""))


def _unfit(speaks: str, serves: str, failing: list[TargetHealth]) -> bool:
    """Whether such a check must fail in the way that is seen."""
    answered = any(t.reason == RESPONSE_CODE_MISMATCH for t in failing)
    if serves == "HTTP1" and speaks == "GRPC":
        return not answered or {code for t in failing for code in t.codes} <= _FOR_A_SERVER_WITHOUT_GRPC
    if serves == "HTTP1":
        return speaks == "HTTP2" and not answered
    if serves == "GRPC":
        return speaks == "HTTP2" or (speaks == "HTTP1" and not answered)
    return serves == "HTTP2" and speaks == "HTTP1" and not answered
