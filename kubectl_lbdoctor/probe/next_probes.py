"""Which probes a diagnosis sends: those that separate the hypotheses which the facts and earlier answers leave. Pure.

It is asked in rounds. First the health check itself, to a few failing pods; then what its answer leaves open: other
paths and Host headers where it is answered with a wrong code, other ports where it is refused, other protocols where
the answer is none; last, what one pod answered well is asked of the others. A target whose cause and repair are certain
is never asked, and a healthy one only for a connection to its traffic port, where its check asks another port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.annotation_readings import meant_paths
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, unproven
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.gateways import route_of
from kubectl_lbdoctor.analysis.pod_evidence import (
    ADDRESS,
    from_pod_address,
    is_success,
    listens,
    loopback_only,
    path_of,
    pods_behind,
    port_of,
    redirect_path,
    refused,
)
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Confidence, Diagnosis, Finding, Severity
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.probe.requests import Unasked, authority, request_for

_FAILING = (RESPONSE_CODE_MISMATCH, FAILED_HEALTH_CHECKS, TIMEOUT)

ROUNDS = 4
"""After so many rounds there is nothing left to ask."""

MAX_PODS = 3
"""Pods of one target group that are asked: replicas of one application seldom differ."""

MAX_PODS_THAT_DIFFER = 10

MAX_REQUESTS = 16
"""Requests of one round about one target group."""

QUICK = 2.0
"""Seconds that an answer is waited for, at most: the shortest timeout that a health check can have."""

PATIENCE = 10.0
"""Seconds that an answer which may be late is waited for, at least; twice the check's timeout where that is longer."""

HEALTH_PATHS = ("/healthz", "/health", "/ready", "/livez", "/ping", "/")
USUAL_PORTS = (80, 443, 3000, 5000, 8000, 8080, 8443, 9090)


# What is blamed where the pods of one workload fail what those of another pass: no probe finds a repair for that.
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"})


def next_probes(traffic: TrafficPath, diagnoses: Iterable[Diagnosis] = ()) -> tuple[ProbeRequest, ...]:
    """What to ask next about a path, given its diagnoses so far and the answers that it holds; nothing at the end."""
    known = {a.request for a in traffic.probes.answers.peek() or ()}
    try:
        group = traffic.target_group.need()
        if group is None:
            return ()
        targets = traffic.unhealthy(*_FAILING)
        checks = _checks(traffic, group, targets)
        if not known.intersection(checks):  # What was begun is brought to its end: one pod is no proof for all.
            targets = _unsettled(targets, diagnoses)
            checks = _checks(traffic, group, targets)
        found = [r for r in checks if r not in known] or list(_next(traffic, checks, targets))
        if not found and not targets:
            healthy = unproven(traffic)
            checks = _traffic_checks(traffic, group, healthy)
            found = [r for r in checks if r not in known] or list(_next(traffic, checks, healthy))
    except Unknown:
        return ()
    return tuple(r for r in dict.fromkeys(found) if r not in known)[:MAX_REQUESTS]


def is_failing(traffic: TrafficPath) -> bool:
    """Whether any target of a path fails its check. Raises Unknown where their health is not known."""
    return bool(traffic.unhealthy(*_FAILING))


def _unsettled(targets: tuple[TargetHealth, ...], diagnoses: Iterable[Diagnosis]) -> tuple[TargetHealth, ...]:
    """Failing targets whose cause, or the exact repair of it, is still open. Those that fail by design have theirs."""
    settled: set[str] = set()
    for diagnosis in diagnoses:
        finding = diagnosis.finding
        spec = CATALOGUE[finding.code]
        meant = diagnosis.severity is Severity.ERROR or spec.by_design
        certain = finding.confidence is Confidence.CERTAIN and meant
        exact = (finding.fix_automatic and not _accepts_more(finding)) or finding.object.kind in _WORKLOADS
        if certain and (exact or not spec.refined_by_probe):
            settled |= set(finding.targets)
    return tuple(t for t in targets if t.key not in settled)


def _accepts_more(finding: Finding) -> bool:
    """A redirect may be accepted; whether it is better avoided is told by where it leads, and by other paths."""
    return finding.code == "LBD303" and any(not repair.value.startswith("/") for repair in finding.repairs)


# --- The health check itself ------------------------------------------------------------------------------------------


def _checks(traffic: TrafficPath, group: TargetGroup, targets: tuple[TargetHealth, ...]) -> tuple[ProbeRequest, ...]:
    """The load balancer's request to the pods that it ends at."""
    found: list[ProbeRequest] = []
    for target in targets:
        made = request_for(traffic, group, target)
        port = checked_pod_port(traffic, target)
        if isinstance(made, Unasked) or port is None:
            continue
        wait = _patience(made) if target.reason == TIMEOUT else min(made.timeout, QUICK)
        for pod in pods_behind(traffic, (target,)):
            if _runs(pod):
                found.append(_to(replace(made, timeout=wait), pod, port))
    found = list(dict.fromkeys(found))
    most = MAX_PODS_THAT_DIFFER if _differ(traffic.probes.told, found[:MAX_PODS]) else MAX_PODS
    return tuple(found[:most])


def _traffic_checks(
    traffic: TrafficPath, group: TargetGroup, targets: tuple[TargetHealth, ...]
) -> tuple[ProbeRequest, ...]:
    """A connection to the port of each pod behind these targets that the traffic takes."""
    ports = {endpoint.pod: endpoint.port for endpoint in traffic.ready_endpoints()} if targets else {}
    found: list[ProbeRequest] = []
    for target in targets:
        made = request_for(traffic, group, target)
        if isinstance(made, Unasked):
            continue
        asked = replace(made, timeout=min(made.timeout, QUICK), proxy_protocol=False)
        for pod in pods_behind(traffic, (target,)):
            if _runs(pod) and pod.meta.name in ports:
                found += (_to(r, pod, ports[pod.meta.name]) for r in _connection(traffic, asked, pod))
    return tuple(dict.fromkeys(found))[:MAX_PODS]


def _runs(pod: Pod) -> bool:
    """Whether all containers run: what is starting or crashing refuses for that reason."""
    return bool(pod.ip) and pod.phase == "Running" and all(s.state == "running" for s in pod.statuses if not s.init)


def _patience(request: ProbeRequest) -> float:
    """Seconds to wait where the answer may be late, longer than the check does, so that its time can be measured."""
    return min(max(2 * request.timeout, PATIENCE), 30.0) if request.protocol != "TCP" else min(request.timeout, QUICK)


def _to(request: ProbeRequest, pod: Pod, port: int) -> ProbeRequest:
    """The same request to a port of this pod. An Application Load Balancer's Host header names what it asks."""
    host = request.host
    if host == authority(request.address, request.port):
        host = authority(pod.ip, port)
    return replace(
        request,
        target=request.target if request.address == pod.ip else "",
        address=pod.ip,
        port=port,
        namespace=pod.meta.namespace,
        pod=pod.meta.name,
        node=pod.node,
        host=host,
    )


def _differ(answers: Iterable[ProbeAnswer], asked: Iterable[ProbeRequest]) -> bool:
    asked = set(asked)
    return len({(a.via, a.outcome, a.status) for a in answers if a.request in asked}) > len(
        {a.via for a in answers if a.request in asked}
    )


# --- What its answer leaves open --------------------------------------------------------------------------------------


def _next(
    traffic: TrafficPath, checks: tuple[ProbeRequest, ...], targets: tuple[TargetHealth, ...]
) -> Iterator[ProbeRequest]:
    """Variations for one pod of each kind of answer; then the variations that were answered well, to the other pods."""
    pods = {pod.meta.name: pod for pod in pods_behind(traffic, targets)}
    kinds: dict[str, list[ProbeRequest]] = {}
    for check in checks:
        kind = _kind(traffic, check, pods[check.pod])
        if kind:
            kinds.setdefault(kind, []).append(check)
    group = traffic.target_group.peek()
    asked = float(group.health_check.timeout if group is not None else 0)
    for kind, mine in kinds.items():
        if kind == "late":
            yield from (replace(check, timeout=_patience(replace(check, timeout=asked))) for check in mine)
            continue
        lead, others = replace(mine[0], timeout=min(mine[0].timeout, QUICK)), mine[1:]
        plain = (replace(lead, proxy_protocol=False),) if lead.proxy_protocol else ()
        variations = tuple(dict.fromkeys((*plain, *_VARIATIONS[kind](traffic, lead, pods[lead.pod]))))
        yield from variations
        good = [v for v in variations if _good(traffic, v, kind)]
        for other in others:
            yield from (_to(v, pods[other.pod], v.port) for v in good[:3])


def _kind(traffic: TrafficPath, check: ProbeRequest, pod: Pod) -> str:
    """What became of the health check: "refused", "late", "protocol", "code", or "bad request", which may be one or the
    other; "inside" and "closed" where only the loopback was asked, and answers well or refuses; "" where no
    variation tells more."""
    answers = [a for a in traffic.probes.told if a.request == check]
    if loopback_only(traffic, pod, check.port):
        return ""
    if refused(answers):
        return "refused"
    told = from_pod_address(answers)
    answered = [a for a in told if a.outcome is Outcome.ANSWERED]
    if told and all(a.outcome is Outcome.REFUSED for a in told):
        return "closed"
    if answers and all(a.outcome is Outcome.TIMEOUT for a in answers):
        return "late" if check.timeout < PATIENCE and check.protocol != "TCP" else ""
    if not answered:
        return "protocol" if listens(told) else ""
    if any(is_success(a) for a in answered) or check.protocol == "TCP":
        return "" if check.protocol == "TCP" or any(a.via in ADDRESS for a in answers) else "inside"
    return "bad request" if check.version == "HTTP1" and answered[0].status in (400, 426) else "code"


def _good(traffic: TrafficPath, request: ProbeRequest, kind: str) -> bool:
    """Whether a variation shows what the repair may be."""
    answers = [a for a in traffic.probes.told if a.request == request]
    if kind == "code":
        return any(is_success(a) for a in answers)
    return listens(answers) if kind in ("refused", "closed") else any(a.outcome is Outcome.ANSWERED for a in answers)


def _other_answers(traffic: TrafficPath, check: ProbeRequest, pod: Pod) -> Iterator[ProbeRequest]:
    """Other ports that the pod itself names for its health, paths that may answer with a success, the one that is
    annotated, those that the pod declares and where it redirects to first, and the Ingress's host names."""
    if check.version != "GRPC":
        yield from _management_ports(check, pod)
        declared = [
            path_of(p)
            for container in pod.serving_containers()
            for p in (container.readiness, container.liveness, container.startup)
            if p is not None and p.kind == "httpGet" and port_of(pod, p) == check.port
        ]
        annotated = setting_source(traffic, "healthcheck-path").value
        redirected = [redirect_path(a) for a in traffic.probes.told if a.request == check]
        for path in dict.fromkeys((annotated, *declared, *meant_paths(traffic), *redirected, *HEALTH_PATHS)):
            if path.startswith("/") and path != check.path:
                yield replace(check, path=path)
        for host in _hosts(traffic)[:2]:
            yield replace(check, host=host)


def _management_ports(check: ProbeRequest, pod: Pod) -> Iterator[ProbeRequest]:
    """The check's path, and the path that is named there, on each other port that an HTTP probe of the pod asks."""
    for container in pod.serving_containers():
        for probe in (container.readiness, container.liveness, container.startup):
            number = port_of(pod, probe) if probe is not None and probe.kind == "httpGet" else None
            if probe is None or number is None or number == check.port:
                continue
            version = check.version if probe.scheme == check.protocol else "HTTP1"
            there = replace(_to(check, pod, number), protocol=probe.scheme, version=version)
            yield from (replace(there, path=path) for path in (check.path, path_of(probe)))


def _hosts(traffic: TrafficPath) -> list[str]:
    """Host names of the Ingress rules, or of the route of a Gateway, that lead to this backend."""
    ingress, backend = traffic.ingress.peek(), traffic.backend
    named: Iterable[str] = ()
    if ingress is not None and backend is not None:
        named = (p.host for p in ingress.paths if p.host and p.backend.service == backend.service)
    elif backend is not None and backend.route is not None:
        route = route_of(traffic.snapshot, backend.route).peek()
        named = route.hostnames if route is not None else ()
    return [f"www{host[1:]}" if host.startswith("*.") else host for host in dict.fromkeys(named)]


def _other_ports(traffic: TrafficPath, check: ProbeRequest, pod: Pod) -> Iterator[ProbeRequest]:
    """Ports that may be the one that the application serves."""
    own_ports = [int(t.port) for t in traffic.targets() if traffic.target_type == "ip" and t.id == pod.ip]
    probed = [
        number
        for container in pod.serving_containers()
        for p in (container.readiness, container.liveness, container.startup)
        if p is not None and p.kind != "exec" and (number := port_of(pod, p)) is not None
    ]
    for port in dict.fromkeys((*own_ports, *probed, *pod.declared_ports(), *USUAL_PORTS)):
        if port != check.port:
            yield _to(check, pod, port)


def _other_protocols(traffic: TrafficPath, check: ProbeRequest, pod: Pod) -> Iterator[ProbeRequest]:
    """The same request with and without TLS, in other versions, and with TLS as new as the application likes."""
    if check.tls:
        yield replace(check, tls="")
    other = "HTTPS" if check.protocol == "HTTP" else "HTTP"
    yield replace(check, protocol=other, version="HTTP1", tls="")
    if check.protocol == "HTTP":
        for version in ("HTTP1", "HTTP2", "GRPC"):
            if version != check.version:
                yield replace(check, version=version)


def _connection(traffic: TrafficPath, check: ProbeRequest, pod: Pod) -> Iterator[ProbeRequest]:
    """Whether the pod's address accepts connections: the API server's proxy can tell that of any port."""
    yield replace(check, protocol="TCP", version="HTTP1", path="", host="", matcher="", tls="")


def _connections(traffic: TrafficPath, check: ProbeRequest, pod: Pod) -> Iterator[ProbeRequest]:
    """The same of every port that may be the one."""
    for first in _connection(traffic, check, pod):
        yield first
        yield from _other_ports(traffic, first, pod)


def _either(traffic: TrafficPath, check: ProbeRequest, pod: Pod) -> Iterator[ProbeRequest]:
    """A TLS server's answer to plain HTTP may be 400, and so may an application's to a path that it dislikes."""
    yield from _other_protocols(traffic, check, pod)
    yield from _other_answers(traffic, check, pod)


_VARIATIONS = {
    "code": _other_answers,
    "refused": _other_ports,
    "protocol": _other_protocols,
    "bad request": _either,
    "inside": _connection,
    "closed": _connections,
}
