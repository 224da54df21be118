"""LBD313 and LBD315: does the health check ask a port that answers it?"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import traffic_pod_port
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.management_port import node_port_for
from kubectl_lbdoctor.analysis.meshes import application_ports
from kubectl_lbdoctor.analysis.pod_evidence import ready
from kubectl_lbdoctor.analysis.remediation import describe_target_health
from kubectl_lbdoctor.analysis.service_ports import ports_of_services
from kubectl_lbdoctor.checks.health_check.findings import READS, checked_group, health_evidence, keys_of, request_of
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import index
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, Service
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_DATAGRAMS = ("UDP", "QUIC", "TCP_UDP", "TCP_QUIC")

# Ports of every node that belong to no Service: kubelet and kube-proxy.
_NODE_PORTS = frozenset({10248, 10249, 10250, 10255, 10256})


@check(
    "LBD313",
    title="nothing answers on the health-check port",
    passes="something answers on the health-check port",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message="the health check asks port {port}, {why}; traffic port {traffic} is served",
    reads=READS,
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
    group, service = checked_group(traffic), traffic.service.need()
    if group.protocol in _DATAGRAMS or service is None:
        raise NotApplicable("a UDP target group needs a port of its own: LBD315")
    find = _dead_on_pods if traffic.target_type == "ip" else _dead_on_nodes
    found = find(traffic, service)
    if found is None:
        return
    owner = setting_source(traffic, "healthcheck-port")
    # The check keeps its path: traffic-port is a sure repair where that path is known to answer there.
    end = traffic_pod_port(traffic, found.targets[0])
    tried = pod_evidence.answers(traffic, pod_evidence.pods_behind(traffic, found.targets))
    sure = (
        group.health_check.protocol == "TCP"
        or any(a.request.port == end and pod_evidence.is_success(a) for a in tried)
        or any(
            (p.port, p.probe.kind, pod_evidence.path_of(p.probe)) == (end, "httpGet", group.health_check.path)
            for p in ready(traffic.matching_pods())
        )
    )
    why = f"port {found.traffic} is served, {found.port} is not"
    if found.better:
        why = f"node port {found.better} leads to {found.port} of the pods"
    yield Finding(
        "LBD313",
        owner.ref,
        params={"port": found.port, "why": found.why, "traffic": found.traffic},
        evidence=(
            health_evidence(traffic, found.targets),
            Evidence(Source.TARGET_GROUP, f"health check {request_of(group)} on port {found.port}"),
            *pod_evidence.evidence(a for a in tried if a.request.port in (int(found.port), end)),
            *(
                Evidence(Source.PODS if traffic.target_type == "ip" else str(traffic.service_ref), text)
                for text in found.shown
            ),
        ),
        confidence=Confidence.CERTAIN if found.certain else Confidence.LIKELY,
        targets=keys_of(found.targets),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=owner.offer(found.better or "traffic-port", why),
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


@check(
    "LBD315",
    title="a UDP target group is checked on a TCP port that does not answer",
    passes="a UDP target group has a TCP check port that answers",
    severity=Severity.ERROR,
    message="the {check} check of {protocol} target group {group} asks port {port}, {why}",
    reads=READS,
    explains=("LBD307",),
    distinct_by=("port",),
)
def datagram_group_without_check_port(traffic: TrafficPath) -> Iterator[Finding]:
    """There are no health checks by UDP or QUIC: the load balancer checks by TCP or HTTP, by default on the traffic
    port, which a UDP server does not serve.

    Confirm by hand: `nc -zv POD_IP PORT`. Repair: a healthcheck-port on which the pods answer TCP (a side-car will do),
    or instance targets with externalTrafficPolicy Local, which are checked on kube-proxy's own port.
    """
    group, service = checked_group(traffic), traffic.service.need()
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
    asked = {number, *map(int, candidates)}
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
        evidence=(
            health_evidence(traffic, failing),
            *pod_evidence.evidence(a for a in pod_evidence.answers(traffic, pods) if a.request.port in asked),
            Evidence(Source.PODS, f"declare {shown}"),
        ),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
        targets=keys_of(failing),
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
