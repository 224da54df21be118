"""What the pods behind a target group show of themselves: readiness probes that succeed, and answers to our own probes.

The kubelet asks the pod's own address, as the load balancer does, so that its success is a witness; so is the API
server's pod proxy. A port-forward asks the loopback: it tells what the application speaks, and beside a refusal on the
address that it listens on the loopback alone. What was not sent, or came to nothing, proves nothing: no check may turn
unknown for the want of a probe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from kubectl_lbdoctor.analysis.meshes import application_containers, is_answered_by_mesh
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.finding import Evidence, ObjectRef
from kubectl_lbdoctor.model.k8s import Pod, Probe
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

ADDRESS = (Transport.PROXY, Transport.POD)
"""Ways that lead to the pod's own address."""
LOOPBACK = (Transport.FORWARD, Transport.CONTAINER)
NOT_THE_PROTOCOL = (Outcome.CLOSED, Outcome.GARBLED, Outcome.TLS)


# --- Readiness probes -------------------------------------------------------------------------------------------------


@record
class Ready:
    """A readiness probe that succeeds now, and the port that it asks."""

    pod: Pod
    probe: Probe
    port: int


def ready(pods: Iterable[Pod]) -> list[Ready]:
    """The network probes of pods whose containers are all ready; not those that a mesh answers (`analysis.meshes`)."""
    found = []
    for pod in pods:
        for container in application_containers(pod) if pod.containers_ready else ():
            probe = container.readiness
            if probe is None or probe.kind not in ("httpGet", "tcpSocket", "grpc"):
                continue
            number = port_of(pod, probe)
            if number is not None and not is_answered_by_mesh(pod, number):
                found.append(Ready(pod, probe, number))
    return found


def port_of(pod: Pod, probe: Probe) -> int | None:
    """The number of the port that a container probe asks."""
    return int(probe.port) if probe.port.isdigit() else pod.named_port(probe.port)


def path_of(probe: Probe) -> str:
    """The path that the kubelet asks: it puts a missing slash in front."""
    return probe.path if probe.path.startswith("/") else f"/{probe.path}"


# --- Answers to probes ------------------------------------------------------------------------------------------------


def answers(traffic: TrafficPath, pods: Iterable[Pod], **wanted: object) -> tuple[ProbeAnswer, ...]:
    """What these pods answered; `wanted` are values of the request (port=8080, path="/")."""
    names = {(pod.meta.namespace, pod.meta.name) for pod in pods}
    return tuple(
        a
        for a in traffic.probes.told
        if (a.request.namespace, a.request.pod) in names
        and all(getattr(a.request, name) == value for name, value in wanted.items())
    )


def pods_behind(traffic: TrafficPath, targets: Iterable[TargetHealth]) -> tuple[Pod, ...]:
    """The pods that targets are; behind an instance target kube-proxy may choose any ready pod."""
    if not traffic.namespace_facts.pods.is_known:
        return ()
    if traffic.target_type == "ip":
        found = (pod for t in targets if (pod := traffic.pod_of(t)) is not None)
        return tuple({pod.meta.name: pod for pod in found}.values())
    if not (traffic.slices.is_known and traffic.service_port.is_known):
        return ()
    ready_names = {e.pod for e in traffic.ready_endpoints()}
    return tuple(p for p in traffic.matching_pods() if p.meta.name in ready_names)


def probed_pods(traffic: TrafficPath) -> set[str]:
    """Names of the pods of which something is told."""
    return {a.request.pod for a in traffic.probes.told if a.request.namespace == traffic.namespace}


def differing_workload(traffic: TrafficPath, failing: Iterable[TargetHealth]) -> tuple[ObjectRef, ObjectRef] | None:
    """The one workload that all failing targets are of, and another whose targets pass the same check; None where the
    failing ones are not apart like that."""
    if traffic.target_type != "ip" or not (traffic.namespace_facts.pods.is_known and traffic.slices.is_known):
        return None
    if not traffic.service_port.is_known:
        return None
    bad = {workload_of(pod) for t in failing if (pod := traffic.pod_of(t)) is not None}
    healthy = (t for t in traffic.targets() if t.state == "healthy")
    good = {workload_of(pod) for t in healthy if (pod := traffic.pod_of(t)) is not None}
    if len(bad) != 1 or not good or bad & good:
        return None
    return next(iter(bad)), min(good)


def is_success(answer: ProbeAnswer, timeout: float = 0.0) -> bool:
    """Whether a target group that asks so is content. timeout: of the health check, where the probe had more time."""
    if answer.outcome is not Outcome.ANSWERED or answer.seconds > (timeout or answer.request.timeout):
        return False
    if answer.request.protocol == "TCP":
        return True
    return answer.status is not None and accepts(answer.request.matcher, answer.status)


def is_check(traffic: TrafficPath, request: ProbeRequest) -> bool:
    """Whether a request is what the load balancer asks, and no variation of it."""
    group = traffic.target_group.peek()
    if group is None:
        return False
    check = group.health_check
    if request.protocol != check.protocol:
        return False
    if request.protocol == "TCP":
        return True
    version = (group.protocol_version or "HTTP1") if traffic.is_alb else "HTTP1"
    tls = "1.2" if check.protocol == "HTTPS" and not traffic.is_alb else ""
    if (request.version, request.tls) != (version, tls) or (check.path and request.path != check.path):
        return False
    # An Application Load Balancer names the target in its Host header. Only such checks are varied by Host.
    own = f"[{request.address}]" if ":" in request.address else request.address
    return not traffic.is_alb or request.host in ("", f"{own}:{request.port}")


def checked(traffic: TrafficPath, targets: Iterable[TargetHealth], port: int | None) -> tuple[ProbeAnswer, ...]:
    """Answers of the targets' pods to the very request of the health check: with the header of proxy protocol, where
    it was asked with it and without."""
    if port is None:
        return ()
    told = [a for a in answers(traffic, pods_behind(traffic, targets), port=port) if is_check(traffic, a.request)]
    return tuple(a for a in told if a.request.proxy_protocol) or tuple(told)


def variations(
    traffic: TrafficPath, targets: Iterable[TargetHealth], port: int | None, asked: tuple[ProbeAnswer, ...]
) -> tuple[ProbeAnswer, ...]:
    """Answers of the targets' pods to the check with another path or Host header, in the check's own protocol."""
    if port is None or not asked:
        return ()
    first = asked[0].request
    own = {name: getattr(first, name) for name in ("protocol", "version", "tls", "proxy_protocol")} | {"port": port}
    checks = {a.request for a in asked}
    return tuple(a for a in answers(traffic, pods_behind(traffic, targets), **own) if a.request not in checks)


def redirect_path(answer: ProbeAnswer) -> str:
    """The other path of the same server that a redirect leads to, such as the one with a slash at its end; "" where it
    leads to another server or protocol, to a login page, or with a query."""
    try:
        to, asked = urlsplit(answer.location), urlsplit(f"{answer.request.protocol.lower()}://{answer.request.host}")
        elsewhere = bool(to.netloc) and (to.scheme, to.hostname) != (asked.scheme, asked.hostname)
    except ValueError:
        return ""
    if elsewhere or to.query or LOGIN.search(to.path):
        return ""
    return to.path if to.path.startswith("/") and to.path != answer.request.path else ""


LOGIN = re.compile(r"log-?in|sign-?in|auth|sso|saml|openid", re.IGNORECASE)
"""What the address of a login page looks like."""


def listens(given: Iterable[ProbeAnswer]) -> bool:
    """Whether any of these answers shows that something listens on its port."""
    return any(a.outcome is Outcome.ANSWERED or a.outcome in NOT_THE_PROTOCOL for a in given)


def refused(given: Iterable[ProbeAnswer]) -> bool:
    """Whether the pod's own address refuses, and nothing says that it listens there."""
    given = tuple(given)
    return any(a.outcome is Outcome.REFUSED and a.via in ADDRESS for a in given) and not listens(
        a for a in given if a.via in ADDRESS
    )


def loopback_only(traffic: TrafficPath, pod: Pod, port: int) -> bool:
    """Whether the process listens on the pod's loopback and not on its address."""
    given = answers(traffic, (pod,), port=port)
    mine = [s for s in traffic.probes.sockets_of(pod.meta.namespace, pod.meta.name) if s.port == port]
    if mine:
        return all(s.loopback for s in mine)
    return refused(given) and listens(a for a in given if a.via in LOOPBACK)


def from_pod_address(given: Iterable[ProbeAnswer]) -> tuple[ProbeAnswer, ...]:
    """The answers of the pod's address; those of its loopback where the API server's packets are dropped on a way of
    their own (EKS lets its control plane reach few ports of the nodes)."""
    given = tuple(given)
    return tuple(a for a in given if a.via in ADDRESS and a.outcome is not Outcome.TIMEOUT) or tuple(
        a for a in given if a.via in LOOPBACK
    )


def conclusive_answers(given: Iterable[ProbeAnswer]) -> tuple[ProbeAnswer, ...]:
    """Of each request the answers that count (see `from_pod_address`)."""
    by_request: dict[ProbeRequest, list[ProbeAnswer]] = {}
    for answer in given:
        by_request.setdefault(answer.request, []).append(answer)
    return tuple(a for mine in by_request.values() for a in from_pod_address(mine))


def nothing_listens(traffic: TrafficPath, pod: Pod, port: int) -> bool:
    """Whether nothing listens on a port of the pod: its address refuses and its loopback too, as far as they tell."""
    given = answers(traffic, (pod,), port=port)
    return not listens(given) and any(a.outcome is Outcome.REFUSED for a in from_pod_address(given))


def open_ports(traffic: TrafficPath, pods: Iterable[Pod], besides: int) -> tuple[int, ...]:
    """Ports other than `besides` on which every pod that was asked listens, in the order of asking."""
    pods = tuple(pods)
    found = []
    for port in dict.fromkeys(a.request.port for a in answers(traffic, pods)):
        asked = [given for p in pods if (given := answers(traffic, (p,), port=port))]
        if port != besides and asked and all(listens(from_pod_address(given)) for given in asked):
            found.append(port)
    return tuple(found)


def protocol_served(given: Iterable[ProbeAnswer]) -> str:
    """What a port speaks: HTTP, HTTPS, HTTP2 or GRPC (both without TLS); "" when no answer shows it.

    TLS servers answer plain HTTP with a 400 of their own, so an answer within TLS decides. A gRPC server has a
    grpc-status for any method; a server of HTTP/1.1 that knows HTTP/2, too, is asked by HTTP/1.1.
    """
    found = {
        (a.request.protocol, a.request.version)
        for a in given
        if a.outcome is Outcome.ANSWERED and a.request.protocol in ("HTTP", "HTTPS")
    }
    if any(protocol == "HTTPS" for protocol, _ in found):
        return "HTTPS"
    for version, name in (("GRPC", "GRPC"), ("HTTP1", "HTTP"), ("HTTP2", "HTTP2")):
        if ("HTTP", version) in found:
            return name
    return ""


# --- Words ------------------------------------------------------------------------------------------------------------


def evidence(given: Iterable[ProbeAnswer], source: str = "probe") -> tuple[Evidence, ...]:
    """What was asked and what came back, in one line: "GET / 404, GET /healthz 200 from 2 of 2 pods"."""
    given = tuple(given)
    direct = {(a.request, a.outcome, a.status) for a in given if a.via in ADDRESS}
    given = tuple(a for a in given if a.via in ADDRESS or (a.request, a.outcome, a.status) not in direct)
    told: dict[str, set[str]] = {}
    pods: set[str] = set()
    several = len({a.request.port for a in given}) > 1
    for answer in given:
        name = answer.request.pod or answer.request.node
        told.setdefault(describe(answer, several), set()).add(name)
        pods.add(name)
    if not told:
        return ()
    parts: list[str] = []
    what = "pod" if any(a.request.pod for a in given) else "node"
    counts = [f"{len(names)} of {len(pods)} {what}s" if len(pods) > 1 else f"1 {what}" for names in told.values()]
    for index, (text, count) in enumerate(zip(told, counts, strict=True)):
        following = counts[index + 1] if index + 1 < len(counts) else ""
        parts.append(text if count == following else f"{text} from {count}")
    return (Evidence(source, ", ".join(parts)),)


def socket_evidence(traffic: TrafficPath, pods: Iterable[Pod], port: int) -> tuple[Evidence, ...]:
    """Where the pods listen, as far as a container could look."""
    for pod in pods:
        held = traffic.probes.sockets_of(pod.meta.namespace, pod.meta.name)
        mine = [s.address for s in held if s.port == port]
        if mine:
            return (Evidence(f"pod/{pod.meta.name}", f"listens on {', '.join(f'{a}:{port}' for a in mine)}"),)
    return ()


def describe(answer: ProbeAnswer, with_port: bool = True) -> str:
    """One request and its answer: "GET https :8443/ 200", "tcp :80 refused", "GET / 200 after 6.2 s"."""
    request = answer.request
    port = f":{request.port}" if with_port else ""
    asked = f"tcp :{request.port}"
    if request.protocol != "TCP":
        method = {"HTTP1": "GET", "HTTP2": "HTTP/2 GET", "GRPC": "gRPC"}.get(request.version, request.version)
        scheme = " https" if request.protocol == "HTTPS" else ""
        asked = f"{method}{scheme} {port}{request.path}"
        # Load balancers name an address and a port; a name alone is a variation.
        asked += f" Host {request.host}" if request.host and ":" not in request.host else ""
        asked += f" with TLS {request.tls}" if request.tls else ""
        asked += " with proxy protocol" if request.proxy_protocol else ""
    if answer.via in LOOPBACK:
        asked += " on the loopback"
    came = answer.outcome.value
    if answer.outcome is Outcome.ANSWERED:
        came = "accepted" if request.protocol == "TCP" else str(answer.status)
        came += f" to {answer.location[:80]}" if answer.location else ""
        came += f" after {answer.seconds:.1f} s" if answer.seconds >= 1 else ""
    elif answer.outcome is Outcome.TIMEOUT:
        came = f"no answer within {request.timeout:g} s"
    elif answer.outcome is Outcome.TLS:
        came = "TLS handshake failed"
    elif answer.outcome is Outcome.GARBLED:
        came = "answered in another protocol"
    elif answer.outcome is Outcome.CLOSED:
        came = "closed without an answer"
    return f"{asked} {came}"
