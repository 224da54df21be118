"""LBD3xx: the check's protocol version, time and port against what the pods show that they serve.

A readiness probe that succeeds is the best witness: the kubelet asks the pod's own address, as the load balancer does.
A Network Load Balancer reports Target.FailedHealthChecks for every failure, filters included, so that what is found
here is only likely there, unless objects alone prove it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import (
    SettingSource,
    checked_pod_port,
    has_port_of_its_own,
)
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.group_settings import Maker, attribute, maker_of
from kubectl_lbdoctor.analysis.local_traffic import without_local_endpoint
from kubectl_lbdoctor.analysis.management_port import node_port_for
from kubectl_lbdoctor.analysis.meshes import application_ports
from kubectl_lbdoctor.analysis.pod_evidence import Ready, ready
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.remediation import annotate, describe_target_health
from kubectl_lbdoctor.analysis.service_ports import ports_of_services
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.knowledge.annotations import NLB_PREFIX
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.aws import HealthCheck, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, Service, ServicePort
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_READS = (
    reads.INGRESSES,
    reads.SERVICES,
    reads.PODS,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.LOAD_BALANCERS,
    reads.LISTENERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
)
_HTTP = ("HTTP", "HTTPS")
_DATAGRAMS = ("UDP", "QUIC", "TCP_UDP", "TCP_QUIC")
# Ports of every node that belong to no Service: kubelet and kube-proxy.
_NODE_PORTS = frozenset({10248, 10249, 10250, 10255, 10256})
_PROXY_PROTOCOL = "proxy_protocol_v2.enabled"


def _group(traffic: TrafficPath) -> TargetGroup:
    group = traffic.target_group.need()
    if group is None or traffic.service.need() is None:
        raise NotApplicable("no target group of a Service")
    return group


def _health_evidence(traffic: TrafficPath, failing: list[TargetHealth]) -> Evidence:
    said = failing[0].description if failing[0].reason == RESPONSE_CODE_MISMATCH else failing[0].reason
    return Evidence(Source.TARGET_GROUP, f"{part_of(len(failing), len(traffic.targets()))}: {said}")


def _probe_evidence(probed: list[Ready]) -> Evidence:
    return Evidence(Source.PODS, f"readinessProbe {describe_probe(probed[0].probe)} succeeds in {len(probed)}")


def _keys(failing: list[TargetHealth]) -> tuple[str, ...]:
    return tuple(t.key for t in failing)


# --- LBD306: protocol version -----------------------------------------------------------------------------------------

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
    reads=_READS,
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
    group = _group(traffic)
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
            _health_evidence(traffic, failing),
            _check_evidence(group),
            *_version_evidence(traffic, told, served),
        ),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
        targets=_keys(failing),
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
    """An Application Load Balancer checks and serves by one version: that of the application."""
    owner = setting_source(traffic, "backend-protocol-version")
    secure = any(listener.protocol == "HTTPS" for listener in traffic.listeners.peek() or ())
    grpc = served.version == "GRPC"
    why = f"the application speaks {_SAID[served.version]}"
    return replace(
        finding,
        object=owner.ref,
        repairs=owner.offer(served.version, why, "a target group of this version replaces the present one"),
        fix_automatic=finding.confidence is Confidence.CERTAIN and (secure or not grpc),
        advice=owner.instruction
        or ("GRPC needs an HTTPS listener, and success-codes that are gRPC codes" if grpc else ""),
    )


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
        return (*shown, _probe_evidence(list(served.probed)))
    port = traffic.service_port.need()
    named = port.app_protocol if port is not None else ""
    return (*shown, Evidence(str(traffic.service_ref), f"appProtocol {named}"))


def _check_evidence(group: TargetGroup) -> Evidence:
    return Evidence(Source.TARGET_GROUP, f"protocol version {group.protocol_version or 'none'}, check {_asked(group)}")


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
            _health_evidence(traffic, failing),
            _check_evidence(group),
            *pod_evidence.evidence(checked),
            Evidence(Source.PROBE, "no answer to https, HTTP/2 and gRPC either"),
        ),
        targets=_keys(failing),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=owner.offer("tcp", "the port speaks no HTTP", "only the connection is checked") if network else (),
        fix_automatic=network,
        fix="healthcheck-protocol" if network else "",
        advice=owner.instruction
        if network
        else "an Application Load Balancer carries HTTP only; a Network Load Balancer carries all TCP",
        rules_out="filters on the way: the connection was answered",
    )


def _asked(group: TargetGroup) -> str:
    return f"{group.health_check.protocol} {group.health_check.path}".rstrip()


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


# --- LBD309: time -----------------------------------------------------------------------------------------------------


@check(
    "LBD309",
    title="the application answers later than the check's timeout",
    passes="the application answers within the check's timeout",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='path "{path}" is answered after the timeout of {timeout} s: {why}',
    reads=(*_READS, reads.EVENTS),
    fix="healthcheck-timeout",
    distinct_by=("path",),
)
def answer_is_too_slow(traffic: TrafficPath) -> Iterator[Finding]:
    """Targets time out, and the readiness probe, which asks the same path on the same port and has more time, succeeds;
    or the kubelet itself has seen that path time out. A filter on the way looks the same to the load balancer, so this
    is likely, and certain where a probe has measured it.

    Confirm by hand: `curl -w '%{time_total}' http://POD_IP:PORT/PATH`. Repair: check a path that answers at once,
    or wait longer; the timeout must stay below the interval.
    """
    group = _group(traffic)
    asked = group.health_check
    # A Network Load Balancer has one reason for everything: there only a measured time tells.
    failing = list(traffic.unhealthy(TIMEOUT) if traffic.is_alb else traffic.unhealthy(TIMEOUT, FAILED_HEALTH_CHECKS))
    port = checked_pod_port(traffic, failing[0]) if failing and asked.protocol in _HTTP else None
    if port is None:
        return
    told = pod_evidence.checked(traffic, failing, port)
    measured = _measured(asked, told)
    if measured or any(a.outcome is Outcome.ANSWERED for a in told):
        if measured:
            yield _too_slow(traffic, failing, measured)
        return
    found = _known_to_the_kubelet(traffic, asked, [t for t in failing if t.reason == TIMEOUT], port)
    if found is None:
        return
    timeout, interval = _timing(traffic)
    yield Finding(
        "LBD309",
        timeout.ref,
        params={"path": asked.path, "timeout": asked.timeout, "why": found.why},
        evidence=(_health_evidence(traffic, found.targets), found.evidence),
        confidence=Confidence.LIKELY,
        targets=_keys(found.targets),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=_longer(asked, timeout, interval, found.longest, found.why),
        fix_automatic=found.patient and found.longest <= 120,
        advice=_patience(timeout, "check a path that answers at once, or wait longer for this one"),
    )


@record
class _Slow:
    """Targets whose pods the kubelet's readiness probe shows to be slow: it succeeds because it is more patient, or
    times out, too. longest: the seconds that the check should wait."""

    targets: list[TargetHealth]
    patient: bool
    longest: int
    why: str
    evidence: Evidence


def _known_to_the_kubelet(
    traffic: TrafficPath, asked: HealthCheck, failing: list[TargetHealth], port: int
) -> _Slow | None:
    same = [
        p
        for p in ready(traffic.matching_pods())
        if p.port == port and p.probe.kind == "httpGet" and (p.probe.path or "/") == asked.path
    ]
    patient = [p for p in same if p.probe.timeout > asked.timeout]
    late = _late(traffic, same)
    slow = {p.pod.meta.name for p in patient} | set(late)
    targets = [t for t in failing if traffic.target_type != "ip" or _name_of(traffic, t) in slow]
    if not slow or not targets:
        return None
    if patient:
        longest = max(p.probe.timeout for p in patient)
        why = f"the readiness probe waits {longest} s and succeeds"
        return _Slow(targets, True, longest, why, _probe_evidence(patient))
    why = "the kubelet's probe of the same path times out, too"
    pod, words = next(iter(late.items()))
    return _Slow(targets, False, min(2 * asked.timeout, 120), why, Evidence(f"event on pod {pod}", words))


def _measured(asked: HealthCheck, told: tuple[ProbeAnswer, ...]) -> tuple[ProbeAnswer, ...]:
    """Answers that came later than the check waits, or not at all though the pod's loopback was asked: no filter is on
    that way."""
    late = tuple(a for a in told if a.outcome is Outcome.ANSWERED and a.seconds > asked.timeout)
    none = [a for a in told if a.outcome is Outcome.TIMEOUT and a.seconds > asked.timeout]
    quick = any(a.outcome is Outcome.ANSWERED and a.seconds <= asked.timeout for a in told)
    return late or (tuple(none) if any(a.via in pod_evidence.LOOPBACK for a in none) and not quick else ())


def _too_slow(traffic: TrafficPath, failing: list[TargetHealth], measured: tuple[ProbeAnswer, ...]) -> Finding:
    """What probes have measured: a time, and with it a timeout that fits; or that nothing comes."""
    group = _group(traffic)
    asked = group.health_check
    answered = [a.seconds for a in measured if a.outcome is Outcome.ANSWERED]
    timeout, interval = _timing(traffic)
    names = {a.request.pod for a in measured}
    targets = [t for t in failing if traffic.target_type != "ip" or _name_of(traffic, t) in names] or failing
    if len({t.key for t in failing}) > len(targets) and len(names) == len(pod_evidence.probed_pods(traffic)):
        targets = failing  # Only some were asked, and all of them are slow.
    fits = math.ceil(max(answered) * 1.5) if answered else 0
    seconds = f"{max(answered):.1f} s" if answered else ""
    why = f"it took {seconds} inside the cluster" if answered else "nothing came on the pod's own loopback either"
    repairs = _longer(asked, timeout, interval, fits, why)
    return Finding(
        "LBD309",
        timeout.ref,
        params={"path": asked.path, "timeout": asked.timeout, "why": why},
        evidence=(_health_evidence(traffic, targets), *pod_evidence.evidence(measured)),
        targets=_keys(targets),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=repairs if answered and fits <= 120 else (),
        fix_automatic=bool(answered) and fits <= 120,
        advice=_patience(timeout, "check a path that answers at once, or wait longer for this one")
        if answered
        else "see why it hangs (its log, what it waits for), or check a path that answers at once",
        rules_out="filters on the way: the API server reaches the application" if answered else "",
    )


def _timing(traffic: TrafficPath) -> tuple[SettingSource, SettingSource]:
    """Where the check's timeout and its interval are annotated."""
    unit = "-seconds" if traffic.is_alb else ""
    return setting_source(traffic, f"healthcheck-timeout{unit}"), setting_source(traffic, f"healthcheck-interval{unit}")


def _longer(
    asked: HealthCheck, timeout: SettingSource, interval: SettingSource, wanted: int, why: str
) -> tuple[Repair, ...]:
    """Both settings in one write where the interval has to grow with the timeout, so that neither is refused; none
    where no fix can change them."""
    if not timeout.settable:
        return ()
    wanted = min(wanted, 120)
    risk = "a target that hangs is noticed later"
    if asked.interval > wanted:
        return timeout.offer(str(wanted), why, risk)
    longer = str(wanted + 5)
    changes: tuple[Change, ...]
    if interval.ref != timeout.ref:
        changes = (interval.change(longer), timeout.change(str(wanted)))
    else:
        changes = (timeout.change(str(wanted), (interval, longer)),)
    return (Repair(str(wanted), changes).with_reason(why, risk),)


def _patience(timeout: SettingSource, advice: str) -> str:
    return advice if timeout.settable else f"{advice}; {timeout.instruction}"


def _late(traffic: TrafficPath, same: list[Ready]) -> dict[str, str]:
    """Pods whose readiness probe of the checked path ran out of time, with the kubelet's words."""
    found: dict[str, str] = {}
    for entry in same:
        for event in traffic.events_of("Pod", entry.pod.meta.name):
            timed_out = "context deadline exceeded" in event.message or "Client.Timeout exceeded" in event.message
            if event.reason == "Unhealthy" and "Readiness" in event.message and timed_out:
                found.setdefault(entry.pod.meta.name, event.message[:200])
    return found


def _name_of(traffic: TrafficPath, target: TargetHealth) -> str:
    pod = traffic.pod_of(target)
    return pod.meta.name if pod is not None else ""


# --- LBD313: the check port -------------------------------------------------------------------------------------------


@check(
    "LBD313",
    title="nothing answers on the health-check port",
    passes="something answers on the health-check port",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message="the health check asks port {port}, {why}; traffic port {traffic} is served",
    reads=_READS,
    fix="healthcheck-port",
    distinct_by=("port",),
)
def check_port_is_dead(traffic: TrafficPath) -> Iterator[Finding]:
    """The health check has a port of its own (healthcheck-port annotation), and nothing answers there.

    With `ip` targets it must be a port of the pods. With `instance` targets it is a port of the node: a node port of
    the Service, a host port, or a port of a pod in the host's network; a container's port means nothing there.

    Confirm by hand: `nc -zv TARGET PORT` for both ports. Repair: set healthcheck-port to traffic-port, or to the
    node port that leads to the wanted container port.
    """
    group, service = _group(traffic), traffic.service.need()
    if group.protocol in _DATAGRAMS or service is None:
        raise NotApplicable("a UDP target group needs a port of its own: LBD315")
    find = _dead_on_pods if traffic.target_type == "ip" else _dead_on_nodes
    found = find(traffic, service)
    if found is None:
        return
    owner = setting_source(traffic, "healthcheck-port")
    pods = ready(traffic.matching_pods())
    # The check keeps its path: traffic-port is a sure repair where that path is known to answer there.
    tried = pod_evidence.answers(traffic, pod_evidence.pods_behind(traffic, found.targets))
    right = [a for a in tried if str(a.request.port) == found.traffic and pod_evidence.is_success(a)]
    sure = (
        bool(right)
        or group.health_check.protocol == "TCP"
        or any(p.probe.kind == "httpGet" and (p.probe.path or "/") == group.health_check.path for p in pods)
    )
    yield Finding(
        "LBD313",
        owner.ref,
        params={"port": found.port, "why": found.why, "traffic": found.traffic},
        evidence=(
            _health_evidence(traffic, found.targets),
            Evidence(Source.TARGET_GROUP, f"health check {_asked(group)} on port {found.port}"),
            *pod_evidence.evidence(a for a in tried if str(a.request.port) in (found.port, found.traffic)),
            *(
                Evidence(Source.PODS if traffic.target_type == "ip" else str(traffic.service_ref), text)
                for text in found.shown
            ),
        ),
        confidence=Confidence.CERTAIN if found.certain else Confidence.LIKELY,
        targets=_keys(found.targets),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=owner.offer(found.better or "traffic-port", f"port {found.traffic} is served, {found.port} is not"),
        fix_automatic=bool(found.better) or sure,
        advice=owner.instruction,
    )


@record
class _DeadPort:
    targets: list[TargetHealth]
    port: str
    traffic: str
    why: str
    shown: tuple[str, ...]
    certain: bool
    better: str = ""


def _dead_on_pods(traffic: TrafficPath, service: Service) -> _DeadPort | None:
    targets, declared = [], set()
    certain = tried = False
    for target in traffic.unhealthy(FAILED_HEALTH_CHECKS):
        if not target.check_port.isdigit() or target.check_port == str(target.port):
            continue
        pod = traffic.pod_of(target)
        if pod is None:
            continue
        number = int(target.check_port)
        if pod_evidence.nothing_listens(traffic, pod, number):
            if not pod_evidence.listens(pod_evidence.answers(traffic, (pod,), port=target.port)):
                continue
            targets.append(target)
            tried = True
            certain = certain or pod_evidence.refused(pod_evidence.answers(traffic, (pod,), port=number))
            continue
        if pod_evidence.listens(pod_evidence.answers(traffic, (pod,), port=number)):
            continue
        open_ports, probed = set(application_ports(pod)), {p.port for p in ready((pod,))}
        if number in open_ports | probed or target.port not in open_ports | probed:
            continue
        targets.append(target)
        declared |= open_ports | probed
        certain = certain or (target.port in probed and traffic.is_alb)
    if not targets:
        return None
    return _DeadPort(
        targets,
        targets[0].check_port,
        str(targets[0].port),
        "where nothing listens" if tried else "which no container declares or answers",
        (f"declare or answer {', '.join(map(str, sorted(declared)))}",) if declared else (),
        certain,
    )


def _dead_on_nodes(traffic: TrafficPath, service: Service) -> _DeadPort | None:
    port = traffic.service_port.need()
    if port is None or not traffic.ready_endpoints():
        return None
    used = ports_of_services(traffic.snapshot, traffic.namespace) | _NODE_PORTS
    failing = [
        t
        for t in traffic.unhealthy(FAILED_HEALTH_CHECKS, TIMEOUT)
        if t.check_port.isdigit() and t.check_port != str(port.node_port) and int(t.check_port) not in used
    ]
    if failing:
        # Any pod of the namespace may hold a port of its node; where nothing fails they need not be known.
        held = _ports_on_nodes(traffic.snapshot, traffic.namespace)
        failing = [t for t in failing if int(t.check_port) not in held]
    if not failing:
        return None
    number = int(failing[0].check_port)
    failing = [t for t in failing if t.check_port == str(number)]
    containers = {e.port for e in traffic.endpoints()} | {int(p.target) for p in service.ports if p.target.isdigit()}
    for pod in traffic.matching_pods():
        containers |= set(pod.declared_ports()) | {p.port for p in ready((pod,))}
    shown = (", ".join(f"port {p.port}: node port {p.node_port} -> {p.target}" for p in service.ports),)
    if number in containers:
        why = "a container's port, where no node listens"
        return _DeadPort(
            failing, str(number), str(port.node_port), why, shown, True, node_port_for(traffic, service, number)
        )
    refused = [t for t in failing if t.reason == FAILED_HEALTH_CHECKS]
    if not refused or 30000 <= number <= 32767:
        return None  # A node port that another namespace may own, or one that the Service had before: LBD605.
    why = "which is neither a node port of the Service nor a host port of its namespace"
    return _DeadPort(refused, str(number), str(port.node_port), why, shown, False)


@derived
def _ports_on_nodes(snapshot: Snapshot, namespace: str) -> frozenset[int]:
    """Ports of the nodes that pods of the namespace hold."""
    found: set[int] = set()
    for pod in index.all_pods(snapshot, namespace):
        for container in pod.serving_containers():
            found |= {p.port if pod.host_network else p.host_port for p in container.ports}
        if pod.host_network:
            found |= {p.port for p in ready((pod,))}
    return frozenset(found - {0})


# --- LBD314: proxy protocol -------------------------------------------------------------------------------------------


@check(
    "LBD314",
    title="the check port does not understand proxy protocol",
    passes="the check port understands proxy protocol",
    severity=Severity.ERROR,
    message="proxy protocol v2 is on, so checks carry its header, and "
    "{server:kube-proxy=kube-proxy's health server|traffic port=port {port}"
    "|check port=port {port}, which is not the traffic port,} does not understand it",
    reads=(*_READS, reads.TARGET_GROUP_ATTRIBUTES, reads.NODES),
    explains=("LBD307", "LBD305"),
    distinct_by=("port", "server"),
)
def check_port_knows_no_proxy_protocol(traffic: TrafficPath) -> Iterator[Finding]:
    """With proxy_protocol_v2.enabled a Network Load Balancer sends the header with its health checks, too. An HTTP
    server that does not expect it answers with an error or closes the connection; kube-proxy's health server, which
    the check asks with externalTrafficPolicy Local, never understands it. A check by TCP does not mind.

    Confirm by hand: the application's log ("broken header", "malformed request") and
    `aws elbv2 describe-target-group-attributes`. Repair: check by TCP, or check a port that expects the header, or
    switch proxy protocol off.
    """
    group, service = _group(traffic), traffic.service.need()
    if traffic.is_alb or service is None:
        raise NotApplicable("only Network Load Balancers speak proxy protocol")
    if traffic.group_attributes.need().get(_PROXY_PROTOCOL) != "true":
        return
    failing = list(traffic.unhealthy(FAILED_HEALTH_CHECKS, TIMEOUT))
    if not failing or group.health_check.protocol not in _HTTP:
        return
    found = _deaf(traffic, service, failing)
    if found is None:
        return
    owner = setting_source(traffic, "healthcheck-protocol")
    by_kube_proxy = found.server == "kube-proxy"
    yield Finding(
        "LBD314",
        owner.ref,
        params={"server": found.server, "port": found.port},
        evidence=(
            _health_evidence(traffic, found.targets),
            Evidence(Source.TARGET_GROUP_ATTRIBUTES, f"{_PROXY_PROTOCOL}=true"),
            Evidence(Source.TARGET_GROUP, f"health check {_asked(group)} on port {found.targets[0].check_port}"),
            *found.evidence,
        ),
        confidence=Confidence.CERTAIN if by_kube_proxy else Confidence.LIKELY,
        targets=_keys(found.targets),
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


def _deaf(traffic: TrafficPath, service: Service, failing: list[TargetHealth]) -> _Deaf | None:
    health_port = str(service.health_check_node_port or "-")
    asked = [t for t in failing if t.check_port == health_port]
    if asked:
        without_pod = {t.key for t in without_local_endpoint(traffic)[0]}
        targets = [t for t in asked if t.key not in without_pod]
        said = Evidence(str(traffic.service_ref), f"healthCheckNodePort {health_port}: answered by kube-proxy")
        return _Deaf(targets, "kube-proxy", health_port, (said,)) if targets else None
    port = checked_pod_port(traffic, failing[0])
    own = [t for t in failing if t.check_port and t.check_port != _traffic_port(traffic, t)]
    probed = [p for p in ready(traffic.matching_pods()) if p.probe.kind == "httpGet"]
    if own:
        number = own[0].check_port
        served = {n for pod in traffic.matching_pods() for n in pod.declared_ports()} | {p.port for p in probed}
        if traffic.target_type == "ip" and int(number) not in served:
            return None  # Nothing shows that anybody listens there at all: LBD313.
        mine = [p for p in probed if str(p.port) == number]
        return _Deaf(own, "check port", number, (_probe_evidence(mine),) if mine else ())
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
    """What switches proxy protocol off, where one annotation alone, or an attribute in AWS, switches it on."""
    risk = "applications that read the client's address from the header lose it"
    group = traffic.target_group.peek()
    if group is not None and maker_of(traffic) is Maker.OUTSIDE:
        off = attribute(traffic, group, _PROXY_PROTOCOL, "true", "false")
        return (Repair("off", (off,)).with_reason("the check port does not understand the header", risk),)
    if not owner.settable:
        return ()
    key, annotations = NLB_PREFIX + "proxy-protocol", service.meta.annotations
    attributes_key = NLB_PREFIX + "target-group-attributes"
    attributes = annotations.get(attributes_key, "")
    if key in annotations:
        change = annotate(owner.ref, annotations, {key: None})
    elif f"{_PROXY_PROTOCOL}=true" in attributes:
        switched = attributes.replace(f"{_PROXY_PROTOCOL}=true", f"{_PROXY_PROTOCOL}=false")
        change = annotate(owner.ref, annotations, {attributes_key: switched})
    else:
        return ()
    return (Repair("off", (change,)).with_reason("the check port does not understand the header", risk),)


# --- LBD315: UDP ------------------------------------------------------------------------------------------------------


@check(
    "LBD315",
    title="a UDP target group is checked on a TCP port that does not answer",
    passes="a UDP target group has a TCP check port that answers",
    severity=Severity.ERROR,
    message="the {check} check of {protocol} target group {group} asks port {port}, {why}",
    reads=_READS,
    explains=("LBD307",),
    distinct_by=("port",),
)
def datagram_group_without_check_port(traffic: TrafficPath) -> Iterator[Finding]:
    """There are no health checks by UDP or QUIC: the load balancer checks by TCP or HTTP, by default on the traffic
    port, which a UDP server does not serve.

    Confirm by hand: `nc -zv POD_IP PORT`. Repair: a healthcheck-port on which the pods answer TCP (a side-car will do),
    or instance targets with externalTrafficPolicy Local, which are checked on kube-proxy's own port.
    """
    group, service = _group(traffic), traffic.service.need()
    if group.protocol not in _DATAGRAMS or service is None:
        raise NotApplicable("not a UDP target group")
    failing = [t for t in traffic.unhealthy(FAILED_HEALTH_CHECKS) if t.check_port.isdigit()]
    pods = [pod for pod in traffic.matching_pods() if pod.ip]
    if not failing or not pods:
        return
    number = int(failing[0].check_port)
    failing = [t for t in failing if t.check_port == str(number)]
    found = _unserved_by_tcp(traffic, service, pods, number)
    if found is None:
        return
    why, certain, candidates = found
    owner = setting_source(traffic, "healthcheck-port")
    shown = ", ".join(f"{n}/{protocol}" for protocol in ("TCP", "UDP") for n in _declared(pods, protocol)) or "no port"
    yield Finding(
        "LBD315",
        owner.ref,
        params={
            "group": group.name,
            "protocol": group.protocol,
            "check": group.health_check.protocol,
            "port": str(number),
            "why": why,
        },
        evidence=(_health_evidence(traffic, failing), Evidence(Source.PODS, f"declare {shown}")),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
        targets=_keys(failing),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=tuple(
            repair for n in candidates[:3] for repair in owner.offer(n, f"port {n} answers or is declared for TCP")
        ),
        fix_automatic=len(candidates) == 1,
        advice=owner.instruction
        if candidates
        else "let the pods answer TCP on some port (a side-car), and set it as healthcheck-port",
    )


def _unserved_by_tcp(
    traffic: TrafficPath, service: Service, pods: list[Pod], number: int
) -> tuple[str, bool, list[str]] | None:
    """Why nothing answers TCP on this check port, whether that is certain, and ports that do; None where one may."""
    if traffic.target_type == "instance":
        mine = [p for p in service.ports if p.node_port == number]
        if not mine or any(p.protocol == "TCP" for p in mine):
            return None
        others = [str(p.node_port) for p in service.ports if p.protocol == "TCP" and p.node_port]
        return "a node port that kube-proxy opens for UDP alone", True, others
    probed = sorted({p.port for p in ready(pods)})
    declared = sorted({n for pod in pods for n in application_ports(pod)})
    silent = [pod for pod in pods if pod_evidence.nothing_listens(traffic, pod, number)]
    if silent:
        found = pod_evidence.open_ports(traffic, silent, besides=number)
        return "where nothing listens by TCP", True, [str(n) for n in found or probed if n != number]
    if number in probed or number in declared:
        return None
    return "where no container serves TCP", False, [str(n) for n in probed or declared]


def _declared(pods: list[Pod], protocol: str) -> list[int]:
    return sorted({n for pod in pods for n in pod.declared_ports(protocol)})


# --- LBD316: TLS 1.3 --------------------------------------------------------------------------------------------------


@check(
    "LBD316",
    title="the check and the application have no TLS version in common",
    passes="the check and the application have a TLS version in common",
    severity=Severity.ERROR,
    message="port {port} takes TLS 1.3 only, and the HTTPS check of a Network Load Balancer offers TLS 1.2 at most",
    reads=_READS,
    explains=("LBD301", "LBD305", "LBD307"),
    fix="healthcheck-protocol",
    distinct_by=("port",),
)
def check_offers_old_tls(traffic: TrafficPath) -> Iterator[Finding]:
    """The HTTPS checks of Network Load Balancers fail on targets that accept TLS 1.3 alone (ELB user guide). A probe
    with TLS 1.2 fails in the handshake where one with TLS 1.3 is answered. The certificate of a target is never the
    reason: load balancers do not validate it, and take expired and self-signed ones
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html).

    Confirm by hand: `curl -vk --tls-max 1.2 https://POD_IP:PORT/` against `curl -vk https://POD_IP:PORT/`. Repair:
    accept TLS 1.2, too, or check by TCP.

    Repair: let the application accept TLS 1.2, too, or check by TCP.
    """
    group = _group(traffic)
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
        evidence=(_health_evidence(traffic, hit), *pod_evidence.evidence(told)),
        targets=_keys(hit),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=owner.offer("tcp", "a check by TCP needs no TLS", "only the connection is checked, not the answer"),
        fix_automatic=True,
        advice="let the application accept TLS 1.2, too, or check by TCP"
        + ("" if owner.settable else f": {owner.instruction}"),
    )
