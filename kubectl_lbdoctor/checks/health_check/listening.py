"""LBD307, LBD308 and LBD321: does the application listen where its Service leads: on that port, on the pod's address?

Target.FailedHealthChecks on an Application Load Balancer proves that the packet arrived and was refused, reset or not
answered as HTTP. A Network Load Balancer reports it for every failure, filters included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, ends_at_service_port, unproven
from kubectl_lbdoctor.analysis.meshes import application_ports
from kubectl_lbdoctor.analysis.remediation import describe_target_health, kubectl
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.checks import wording
from kubectl_lbdoctor.checks.health_check.findings import ANSWER_READS, SCHEMES, of_one_workload
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.selection import target_port_repair
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Param, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, Service, ServicePort
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS
from kubectl_lbdoctor.model.times import in_words
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_LISTEN = (
    "{seen:declared=declare {declared}|probed=answer on {probed}|both=declare {declared} and answer on {probed}"
    "|open=listen on {open}|*=do not listen there}"
)


@check(
    "LBD307",
    title="the Service's targetPort is a port that the pods do not listen on",
    passes="the Service's targetPort is a port that the pods listen on",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message="Service {service} sends port {port} to targetPort {target}, but the pods " + _LISTEN,
    reads=(*ANSWER_READS, reads.NODES),
    fix="targetport",
    distinct_by=("port",),
)
def target_port_not_served(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service's targetPort is not a port on which the pods listen; connections are refused.

    Undeclared container ports are legal, so a port that no container declares is only suspicious. It becomes the
    cause when an Application Load Balancer reports Target.FailedHealthChecks on it, which means that the connection was
    refused (a filter would give Target.Timeout), and the pods declare or successfully probe another port. A Network
    Load Balancer reports the same for filters; there this is likely.

    A name that several containers declare for different ports means that of the first container which has it; the
    others are led to by number only (https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/api/v1/pod/util.go,
    FindPort).

    A probe that is refused on the pod's address and its loopback proves it, and finds the port that answers. It proves
    it, too, where the health check asks another port, a status port or kube-proxy's healthCheckNodePort: then the
    targets are healthy, and every request is answered with 502.

    Confirm by hand: `kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6` lists the listening ports.
    Repair: set targetPort to the port that the container serves.
    """
    group, service, port = _served_by_tcp(traffic)
    refused = _refused(traffic)
    if refused.seen.suspects and refused.targets and not refused.as_declared:
        share = part_of(len(refused.seen.suspects), len(refused.pods), "pod")
        finding = _wrong_target_port(traffic, group, service, port, refused.seen, refused.targets, share)
        yield of_one_workload(traffic, finding, refused.targets)


def _served_by_tcp(traffic: TrafficPath) -> tuple[TargetGroup, Service, ServicePort]:
    """What a path leads to by TCP. Raises NotApplicable where it is nothing, or a UDP port."""
    group, service, port = traffic.target_group.need(), traffic.service.need(), traffic.service_port.need()
    if group is None or service is None or port is None:
        raise NotApplicable("no target group for a Service port")
    if port.protocol != "TCP" or group.protocol in ("UDP", "QUIC"):
        raise NotApplicable("what listens by TCP says nothing about a UDP port: LBD315")
    return group, service, port


@record
class _Refused:
    """Targets that are refused at the Service's targetPort. pods: of the Service, with an address. as_declared: the
    pods are at odds with themselves rather than with the Service."""

    targets: tuple[TargetHealth, ...]
    pods: tuple[Pod, ...]
    seen: _TargetPort
    as_declared: bool


@derived
def _refused(traffic: TrafficPath) -> _Refused:
    _, _, port = _served_by_tcp(traffic)
    failing = [t for t in traffic.unhealthy(FAILED_HEALTH_CHECKS) if ends_at_service_port(traffic, t)]
    unasked = () if failing else unproven(traffic)
    pods = [pod for pod in traffic.matching_pods() if pod.ip] if failing or unasked else []
    apart = frozenset(int(t.check_port) for t in unasked if t.check_port.isdigit())
    seen = _at_target_port(traffic, port, pods, apart)
    targets = [t for t in failing or unasked if _may_end_at(traffic, t, set(seen.suspects))]
    return _Refused(tuple(targets), tuple(pods), seen, _as_declared(port, pods, seen))


@record
class _TargetPort:
    """What the pods show of the Service's targetPort.

    suspects: the numbers of that port in pods that seem not to serve it, by pod. silent: those of them that a probe
    has refused. declared, probed: ports that the suspects declare, and on which their readiness probes succeed,
    instead. open: ports on which probes found all silent pods listening.
    """

    suspects: Mapping[str, int]
    silent: tuple[Pod, ...]
    declared: frozenset[int]
    probed: frozenset[int]
    open: tuple[int, ...]

    @property
    def params(self) -> dict[str, Param]:
        """What the pods do instead, as `_LISTEN` says it. What is declared counts only where no probe knows better."""
        declared = self.declared if not self.silent else frozenset[int]()
        seen = "both" if declared and self.probed else "declared" if declared else "probed" if self.probed else ""
        return {
            "seen": seen or ("open" if self.open else "nothing"),
            "declared": _listed(declared),
            "probed": _listed(self.probed),
            "open": _listed(self.open),
        }


def _at_target_port(traffic: TrafficPath, port: ServicePort, pods: list[Pod], apart: frozenset[int]) -> _TargetPort:
    """apart: ports that the health check asks instead of the traffic's. Then nothing but a probe accuses a pod, and
    what answers there is no port for the traffic."""
    suspects: dict[str, int] = {}
    silent: list[Pod] = []
    declared: set[int] = set()
    probed: set[int] = set()
    for pod in pods:
        number = int(port.target) if port.target.isdigit() else pod.named_port(port.target, port.protocol)
        passing = _probed_ports(pod) if pod.containers_ready else set()
        if number is None or number in passing:
            continue
        passing, others = passing - apart, set(application_ports(pod, port.protocol)) - {number} - apart
        told = pod_evidence.answers(traffic, (pod,), port=number)
        meant = number in pod.declared_ports(port.protocol) and not passing.intersection(_namesakes(pod, port))
        if pod_evidence.nothing_listens(traffic, pod, number):
            silent.append(pod)
        elif apart or pod_evidence.listens(told) or meant or not (others | passing):
            continue
        suspects[pod.meta.name] = number
        declared |= others
        probed |= passing
    found = pod_evidence.open_ports(traffic, silent, besides=next(iter(suspects.values()))) if suspects else ()
    found = tuple(number for number in found if number not in apart)
    return _TargetPort(suspects, tuple(silent), frozenset(declared), frozenset(probed), found)


def _namesakes(pod: Pod, port: ServicePort) -> tuple[int, ...]:
    """The ports that containers declare by the name of the targetPort, the one that counts first."""
    declared = (p for container in pod.serving_containers() for p in container.ports)
    found = (p.port for p in declared if p.name == port.target and p.protocol == port.protocol)
    return tuple(dict.fromkeys(found))


def _ports_to_choose(traffic: TrafficPath, group: TargetGroup, seen: _TargetPort) -> list[int]:
    """The ports that the Service may mean, by the best evidence there is."""
    if seen.probed:
        return sorted(seen.probed)
    # Of several ports that answer, the one that gives the check what it wants is the one.
    right = [
        n
        for n in seen.open
        if any(pod_evidence.is_success(a) for a in pod_evidence.answers(traffic, seen.silent, port=n))
    ]
    if len(right) == 1 and group.health_check.protocol in SCHEMES:
        return right
    return list(seen.open) or ([] if seen.silent else sorted(seen.declared))


def _is_certain(traffic: TrafficPath, seen: _TargetPort) -> bool:
    """A Network Load Balancer reports FailedHealthChecks for filters too, so one alternative is left there. Where only
    the loopback was heard, a process that is bound to the pod's address alone is the other alternative."""
    heard = any(
        pod_evidence.refused(pod_evidence.answers(traffic, (pod,), port=seen.suspects[pod.meta.name]))
        for pod in seen.silent
    )
    return heard or (traffic.is_alb and bool(seen.probed))


def _wrong_target_port(
    traffic: TrafficPath,
    group: TargetGroup,
    service: Service,
    port: ServicePort,
    seen: _TargetPort,
    targets: Sequence[TargetHealth],
    share: str,
) -> Finding:
    """share: how many of the pods it is about, "2 of 3 pods"."""
    choices = _ports_to_choose(traffic, group, seen)
    said = f"{share} {wording.render(_LISTEN, seen.params)}"
    ports = {*seen.suspects.values(), *seen.open}
    asked = [a for a in pod_evidence.answers(traffic, seen.silent) if a.request.port in ports]
    advice = "" if len(choices) == 1 else "choose the port that the application serves"
    led_to = _other_target_ports(service, port, traffic.matching_pods()).intersection(choices[:1])
    if not choices:
        advice = "find the port that the application listens on: a probe found none"
    elif len(choices) == 1 and led_to:
        advice = (
            f"let the application listen on {port.target}; another port of the Service leads to {choices[0]}, which is "
            "right here only if it serves this port's requests, too"
        )
    pods = [pod.meta.name for pod in seen.silent]
    looks = [
        kubectl("exec", name, "-n", traffic.namespace, "--", "cat", "/proc/net/tcp", "/proc/net/tcp6")
        for name in pods[:1]
    ]
    ref, index = traffic.service_ref, service.ports.index(port)
    named = next((found for pod in traffic.matching_pods() if len(found := _namesakes(pod, port)) > 1), ())
    target = f"{port.target} ({named[0]})" if named else port.target
    none = f"{port.target} is {' and '.join(map(str, named))}" if named else f"none declares {port.target}"
    dropped = "filters on the way: the connection was refused, not dropped"
    return Finding(
        "LBD307",
        ref,
        params={"service": service.meta.name, "port": str(port.port), "target": target, **seen.params},
        evidence=(
            _of_targets(traffic, targets),
            Evidence(f"service/{service.meta.name}", f"port {port.port} -> targetPort {port.target}"),
            *pod_evidence.evidence(asked),
            *(() if seen.silent else (Evidence(Source.PODS, f"{said}, {none}"),)),
        ),
        confidence=Confidence.CERTAIN if _is_certain(traffic, seen) else Confidence.LIKELY,
        targets=tuple(t.key for t in targets),
        confirm=(describe_target_health(group.arn, traffic.context.region), *([] if choices else looks)),
        repairs=tuple(target_port_repair(ref, service, index, n).with_reason(said) for n in choices[:3]),
        # The container that comes first may be a proxy that is meant to stand before the application.
        fix_automatic=len(choices) == 1 and not led_to and not named,
        advice=advice,
        rules_out=dropped if traffic.is_alb or seen.silent else "",
    )


def _of_targets(traffic: TrafficPath, targets: Sequence[TargetHealth]) -> Evidence:
    """What AWS says of targets whose traffic port refuses: its check fails there, or asks another port."""
    share, first = part_of(len(targets), len(traffic.targets())), targets[0]
    if first.state == "healthy":
        return Evidence(Source.TARGET_HEALTH, f"{share}: healthy by a check of port {first.check_port}")
    return Evidence(Source.TARGET_GROUP, f"{share}: {FAILED_HEALTH_CHECKS}")


def _other_target_ports(service: Service, port: ServicePort, pods: Iterable[Pod]) -> frozenset[int]:
    """The ports of pods that the Service's other ports lead to: a status port that answers is no proof that it serves
    what this one is for."""
    others = [p for p in service.ports if p != port and p.target != port.target]
    found = {
        int(p.target) if p.target.isdigit() else pod.named_port(p.target, p.protocol) for p in others for pod in pods
    }
    return frozenset(n for n in found if n is not None)


def _listed(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(map(str, sorted(numbers)))


def _as_declared(port: ServicePort, pods: list[Pod], seen: _TargetPort) -> bool:
    """Whether the pods are at odds with themselves rather than with the Service: those that do not serve its targetPort
    declare that very port, and nothing shows another one on which they listen."""
    silent = {pod.meta.name for pod in seen.silent}
    if seen.open or seen.probed or not silent or set(seen.suspects) != silent:
        return False
    return all(seen.suspects[p.meta.name] in p.declared_ports(port.protocol) for p in pods if p.meta.name in silent)


_START_SECONDS = 600
"""An application that has not opened its port for so long is not about to do so."""


@check(
    "LBD321",
    title="the application does not listen on the port that its containers declare",
    passes="the application listens on the port that its containers declare",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message="nothing listens on port {port} of {silent} of {pods:pod}, which their containers declare[; started "
    "{age} ago]",
    reads=(*ANSWER_READS, reads.NODES),
    distinct_by=("port",),
)
def declared_port_not_served(traffic: TrafficPath) -> Iterator[Finding]:
    """Service and containers agree on the port, and connections to it are refused: the application has not opened it
    yet, listens on another port than its manifest says, or has failed without ending.

    Pods without a readiness probe count as ready as soon as their containers run. So the load balancer gets an
    application that starts slowly as a target at once, and a rollout replaces pods that serve by pods that do not yet.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes

    Confirm by hand: `kubectl logs POD`, and `kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6`, which lists the
    listening ports. Repair: add a readiness probe that asks the port; where the application has started and listens
    elsewhere, correct its configuration, or the port in Deployment and Service.
    """
    _, service, port = _served_by_tcp(traffic)
    refused = _refused(traffic)
    targets, pods, seen = refused.targets, refused.pods, refused.seen
    if not targets or not refused.as_declared:
        return
    number = seen.suspects[seen.silent[0].meta.name]
    age = _youngest_start(traffic, seen.silent)
    unasked = all(container.readiness is None for pod in seen.silent for container in pod.serving_containers())
    starting = unasked and age < _START_SECONDS
    name = seen.silent[0].meta.name
    finding = Finding(
        "LBD321",
        workload_of(seen.silent[0]),
        params={
            "port": str(number),
            "silent": len(seen.silent),
            "pods": len(pods),
            "age": in_words(age) if starting else "",
        },
        evidence=(
            _of_targets(traffic, targets),
            Evidence(f"service/{service.meta.name}", f"port {port.port} -> targetPort {port.target}"),
            Evidence(Source.PODS, f"declare {number}/{port.protocol}"),
            *pod_evidence.evidence(a for a in pod_evidence.answers(traffic, seen.silent) if a.request.port == number),
        ),
        targets=tuple(t.key for t in targets),
        confirm=(
            kubectl("logs", name, "--tail=50", namespace=traffic.namespace),
            kubectl("exec", name, "-n", traffic.namespace, "--", "cat", "/proc/net/tcp", "/proc/net/tcp6"),
        ),
        advice="wait for its start, and add a readiness probe that asks this port: without one a pod counts as ready "
        "before it serves"
        if starting
        else f"see in its log what keeps it from opening {number}; where it listens on another port, correct its "
        "configuration, or containerPort and targetPort",
        rules_out="filters on the way: the connection was refused, not dropped",
    )
    yield of_one_workload(traffic, finding, targets)


def _youngest_start(traffic: TrafficPath, pods: Iterable[Pod]) -> float:
    """Seconds since the last of the pods' running containers was started."""
    return min((traffic.age(s.since) for pod in pods for s in pod.statuses if s.state == "running"), default=math.inf)


@check(
    "LBD308",
    title="the process listens on the loopback only",
    passes="the process listens on the pod's address",
    severity=Severity.ERROR,
    message="port {port} answers on the loopback of the pods {family:any=only|IPv6=or by IPv4 only}, "
    "not on their address",
    reads=ANSWER_READS,
    explains=("LBD307", "LBD313"),
    distinct_by=("port",),
)
def listens_on_loopback_only(traffic: TrafficPath) -> Iterator[Finding]:
    """The application is bound to 127.0.0.1 (or localhost): it works through `kubectl port-forward` and `kubectl exec`,
    which come from inside the pod, and refuses everything from outside.

    Confirm by hand: `kubectl exec POD -- cat /proc/net/tcp` shows the local address 0100007F (127.0.0.1) and not
    00000000. Repair: let the application listen on all addresses (0.0.0.0 or ::); it is a flag, a variable such as HOST
    or BIND, or a line of its configuration.
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    found: dict[tuple[int, ObjectRef], tuple[dict[TargetHealth, None], dict[str, Pod]]] = {}
    for target in traffic.unhealthy(FAILED_HEALTH_CHECKS):
        port = checked_pod_port(traffic, target)
        for pod in pod_evidence.pods_behind(traffic, (target,)) if port is not None else ():
            if port is not None and pod_evidence.loopback_only(traffic, pod, port):
                targets, pods = found.setdefault((port, workload_of(pod)), ({}, {}))
                targets[target] = None
                pods[pod.meta.name] = pod
    for (port, workload), (targets, pods) in found.items():
        told = pod_evidence.answers(traffic, pods.values(), port=port)
        # An IPv6 address is refused, too, by what listens on IPv4 alone.
        six = any(":" in pod.ip for pod in pods.values())
        yield Finding(
            "LBD308",
            workload,
            params={"port": str(port), "family": "IPv6" if six else "any"},
            evidence=(
                Evidence(
                    Source.TARGET_GROUP, f"{part_of(len(targets), len(traffic.targets()))}: {FAILED_HEALTH_CHECKS}"
                ),
                *pod_evidence.evidence(told),
                *pod_evidence.socket_evidence(traffic, pods.values(), port),
            ),
            targets=tuple(t.key for t in targets),
            confirm=(kubectl("exec", next(iter(pods)), "-n", traffic.namespace, "--", "cat", "/proc/net/tcp"),),
            advice=f"let the application listen on 0.0.0.0:{port} (or [::]:{port}), not on 127.0.0.1 or localhost",
            rules_out="filters on the way: the connection was refused, not dropped",
        )


def _probed_ports(pod: Pod) -> set[int]:
    """Ports on which the kubelet's readiness probe succeeds now."""
    return {probed.port for probed in pod_evidence.ready((pod,))}


def _may_end_at(traffic: TrafficPath, target: TargetHealth, suspects: set[str]) -> bool:
    """An ip target is one pod; behind an instance target kube-proxy may choose any pod."""
    if traffic.target_type != "ip":
        return True
    pod = traffic.pod_of(target)
    return pod is not None and pod.meta.name in suspects
