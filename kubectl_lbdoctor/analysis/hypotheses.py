"""What could still be the cause when no check has proven one, most likely first, each with what would settle it.

Follows the reason codes (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html and
load-balancer-troubleshooting.html in the user guide of each kind of load balancer): an Application Load
Balancer reports Target.Timeout when nothing answers (a filter on the way, or an application that is too slow) and
Target.FailedHealthChecks when the connection is refused, reset or not HTTP; a Network Load Balancer reports
Target.FailedHealthChecks for all of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence, settling
from kubectl_lbdoctor.analysis.alb_answers import require_open_way
from kubectl_lbdoctor.analysis.blocked_paths import is_admitted
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port, readiness_of
from kubectl_lbdoctor.analysis.meshes import proxy_of
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.remediation import describe_listeners, kubectl
from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Evidence, Hypothesis, Source
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_SLOW = Hypothesis("LBD309", "the application answers later than the health check's timeout")
_LISTEN = Hypothesis("LBD307", "nothing listens on the checked port")
_LOOPBACK = Hypothesis("LBD308", "the process listens on 127.0.0.1 only")
_PROTOCOL = Hypothesis("LBD305", "the check speaks HTTP to a TLS port, or TLS to a plaintext port")
_GROUPS = Hypothesis("LBD501", "no security group of the target admits the load balancer on the checked port")
_ACL = Hypothesis("LBD507", "a network ACL denies the request, or its reply to ports 1024-65535")
_EGRESS = Hypothesis("LBD503", "the load balancer's own security groups let nothing out to the target")
_POLICY = Hypothesis("LBD513", "a NetworkPolicy that selects the pods does not admit the load balancer")
_PATH = Hypothesis("LBD301", "the check path is answered with an unexpected code, a redirect or a demand to log in")
_CHECK_PORT = Hypothesis("LBD315", "nothing listens by TCP on the checked port (UDP cannot be checked)")
_ZONE = Hypothesis("LBD208", "the target is in an Availability Zone that is not enabled for the load balancer")
_UNUSED = Hypothesis("LBD209", "no listener or rule forwards to the target group")
_SECOND_HOP = Hypothesis("LBD502", "nodes do not admit each other, so that a NodePort reaches no pod on another node")
_KUBE_PROXY = Hypothesis("LBD517", "kube-proxy is missing or stale on some nodes")
_REVERSE_PATH = Hypothesis(
    "LBD519",
    "strict reverse-path filtering (rp_filter 1) drops replies on nodes with several interfaces",
)
_NODE_PORTS = Hypothesis(
    "LBD517",
    "what serves node ports in kube-proxy's place (Cilium, kube-router, EKS Auto Mode) fails on some nodes",
)
_PACKET_FILTER = Hypothesis(
    "LBD520",
    "a packet filter on the node drops the packets: a host firewall, a security agent or the network plugin",
)


_ANSWER = Hypothesis("LBD323", "the application answers the check's path with another code, or after its timeout")
_RULES = Hypothesis(
    "LBD323",
    "the ALB itself answers the check: by a redirect, a login or a fixed response, or its web ACL blocks it",
)
_BETWEEN = (
    Hypothesis("LBD501", "no security group of the ALB admits the NLB on the checked port"),
    Hypothesis("LBD507", "a network ACL between the load balancers denies the check, or its reply to ports 1024-65535"),
    Hypothesis("LBD503", "the NLB's own security groups let nothing out to the ALB"),
)
"""Where an Application Load Balancer is the target of a Network Load Balancer."""


def _side_car(proxy: str) -> Hypothesis:
    return Hypothesis(
        "LBD319",
        f"the mesh's {proxy} closes the connection: it wants mutual TLS (mode STRICT), the load balancer speaks none",
    )


def hypotheses(traffic: TrafficPath, failing: Iterable[TargetHealth]) -> tuple[Hypothesis, ...]:
    """Hypotheses for targets that fail for reasons which no check has explained."""
    failing = tuple(failing)
    reasons = {target.reason for target in failing}
    if traffic.behind is not None and reasons & {target_reasons.TIMEOUT, target_reasons.FAILED_HEALTH_CHECKS}:
        return tuple(_of_balancer(traffic, failing))
    instance = traffic.target_type == "instance"
    group = traffic.target_group.peek()
    http = group is None or group.health_check.protocol in ("HTTP", "HTTPS")
    probed = _paths_that_answer(traffic, failing)
    listen = _CHECK_PORT if group is not None and group.protocol in ("UDP", "QUIC") else _LISTEN
    node_ports = [_node_ports(traffic)] if instance else []
    filters = [_GROUPS, *([_SECOND_HOP] if instance else []), *node_ports, _ACL, _EGRESS, _POLICY]
    admitted = _is_admitted(traffic, failing)
    if _asks_kube_proxy(traffic, failing):
        # No pod is asked: kube-proxy, or what stands in its place, answers by itself.
        on_the_way = [_PACKET_FILTER] if admitted else [_GROUPS, _ACL, _EGRESS, _PACKET_FILTER]
        return tuple(_with_commands(h, traffic, failing) for h in (*node_ports, *on_the_way))
    if (probed is not None or _answers_inside(traffic, failing)) and admitted:
        filters = [*node_ports, _PACKET_FILTER, _POLICY, *([_SECOND_HOP] if instance else [])]
    refused = [*([_PROTOCOL] if http else []), *node_ports]
    # A readiness probe that succeeds on the checked port shows that something listens there, on the pod's address.
    refused = [*refused, listen, _LOOPBACK] if probed is not None else [listen, _LOOPBACK, *refused]
    slow = [_SLOW] if http else []
    found: list[Hypothesis] = []
    if target_reasons.TIMEOUT in reasons:
        found += [*filters, *slow]
    if target_reasons.FAILED_HEALTH_CHECKS in reasons and traffic.is_alb:
        found += refused
    elif target_reasons.FAILED_HEALTH_CHECKS in reasons:
        # A Network Load Balancer that checks by HTTP does not tell a wrong answer from none.
        path = [_PATH] if http and group is not None else []
        if group is not None and probed is not None and group.health_check.path in probed:
            found += [*filters, *refused, *path, *slow]
        else:
            found += [*path, *refused, *filters, *slow]
    unanswered = {target_reasons.TIMEOUT, target_reasons.FAILED_HEALTH_CHECKS}
    if reasons & unanswered and _several_interfaces(traffic, failing):
        found.append(_REVERSE_PATH)
    if target_reasons.RESPONSE_CODE_MISMATCH in reasons:
        found.append(_PATH)  # Only where the target group could not be read: else LBD301 to LBD304 name the answer.
    if target_reasons.NOT_IN_USE in reasons:
        found += [_ZONE, _UNUSED]
    proxy = _proxy(traffic, failing)
    if http and proxy and target_reasons.FAILED_HEALTH_CHECKS in reasons:
        found.insert(0, _side_car(proxy))  # Nothing else fits a pod whose probes pass and which closes connections.
    out = _ruled_out(traffic, failing)
    left = tuple(h for h in dict.fromkeys(found) if h.code not in out)
    left = left or ((_POLICY,) if found else ())  # Some network plugins reset what a policy denies.
    return tuple(_with_commands(h, traffic, failing) for h in left)


def _of_balancer(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> Iterator[Hypothesis]:
    """Filters come last, and not at all where none stops the check."""
    yield _with_commands(_ANSWER, traffic, failing)
    yield replace(_RULES, settle=(describe_listeners(failing[0].id, traffic.context.region),))
    try:
        require_open_way(traffic)
    except Unknown:
        yield from (_with_commands(between, traffic, failing) for between in _BETWEEN)


def _with_commands(hypothesis: Hypothesis, traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> Hypothesis:
    settle = settling.commands(hypothesis.code, traffic, failing)
    shows = settling.SHOWS.get(hypothesis.code, "") if settle else ""
    return replace(hypothesis, text=f"{hypothesis.text}{shows and ': '}{shows}", settle=settle)


def _node_ports(traffic: TrafficPath) -> Hypothesis:
    """What may be wrong with the way from a node port to a pod, by what serves node ports here."""
    return _NODE_PORTS if settling.is_kube_proxy_replaced(traffic) else _KUBE_PROXY


def _answers_inside(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> bool:
    """Whether the pods' own address answers the very check that the load balancer gets no answer to."""
    told = [a for a in _told(traffic, failing) if a.via in pod_evidence.ADDRESS]
    return bool(told) and all(pod_evidence.is_success(a, _timeout(traffic)) for a in told)


def _is_admitted(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> bool:
    """Whether all that was read of the VPC admits the checks of these targets."""
    try:
        return all(is_admitted(traffic, target) for target in failing)
    except (Unknown, NotApplicable):
        return False


def _asks_kube_proxy(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> bool:
    """Whether the check asks the health port of externalTrafficPolicy Local, which tells whether a node runs a pod.

    https://kubernetes.io/docs/reference/networking/virtual-ips/#external-traffic-policy
    """
    service = traffic.service.peek()
    port = service.health_check_node_port if service is not None else 0
    return bool(port and failing) and all(target.check_port == str(port) for target in failing)


def _proxy(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> str:
    """What of a mesh stands before every pod of these targets on the checked port; "" where one has none."""
    facts = (traffic.namespace_facts.pods, traffic.service, traffic.slices)
    if not failing or not all(fact.is_known for fact in facts):
        return ""
    port = checked_pod_port(traffic, failing[0])
    pods = pod_evidence.pods_behind(traffic, failing) if port is not None else ()
    names = {proxy_of(pod, port or 0) for pod in pods}
    return min(names) if names else ""


def _several_interfaces(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> bool:
    """Whether a failing instance target has secondary interfaces, by which a reply may want to leave."""
    ids = {t.id for t in failing if t.id.startswith("i-")}
    seen = [i.instance_id for i in traffic.network.interfaces.peek() or () if i.instance_id in ids]
    return len(seen) > len(set(seen))


def _ruled_out(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> frozenset[str]:
    """Codes that the answers to probes leave no room for."""
    told = _told(traffic, failing)
    direct = [a for a in told if a.via in pod_evidence.ADDRESS]
    timeout = _timeout(traffic)
    out: set[str] = set()
    if pod_evidence.listens(direct):
        out |= {"LBD307", "LBD308", "LBD315"}
    elif pod_evidence.listens(told):
        out |= {"LBD307", "LBD315"}
    if any(pod_evidence.is_success(a, timeout) for a in told):
        out |= {"LBD301", "LBD305", "LBD309", "LBD319"}
    elif any(a.outcome is Outcome.ANSWERED and a.status is not None for a in told):
        out.add("LBD305")
    return frozenset(out)


def _told(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> tuple[ProbeAnswer, ...]:
    if not failing or not (
        traffic.slices.is_known and traffic.namespace_facts.pods.is_known and traffic.service.is_known
    ):
        return ()
    return pod_evidence.checked(traffic, failing, checked_pod_port(traffic, failing[0]))


def _timeout(traffic: TrafficPath) -> float:
    group = traffic.target_group.peek()
    return float(group.health_check.timeout if group is not None else 0)


def probed(traffic: TrafficPath, failing: Iterable[TargetHealth]) -> tuple[Evidence, ...]:
    """What probes saw of these targets, and what it means where the load balancer sees something else: probes of our
    own, or where there are none those of the kubelet."""
    failing = tuple(failing)
    told = _told(traffic, failing)
    if not told:
        return _ready_elsewhere(traffic, failing)
    lines = list(pod_evidence.evidence(told))
    if all(a.via in pod_evidence.ADDRESS and pod_evidence.is_success(a, _timeout(traffic)) for a in told):
        where = "inside the cluster the check is answered as it should be"
        if any(t.reason == target_reasons.TIMEOUT for t in failing) or not traffic.is_alb:
            lines.append(Evidence(Source.PROBE, f"{where}: the load balancer's packets, or its replies, get lost"))
            vpc = traffic.network
            if all(f.is_known for f in (vpc.interfaces, vpc.security_groups, vpc.acls, vpc.route_tables)):
                admitted = "no security group, network ACL or route that was read stops them"
                lines.append(Evidence(Source.PATH, admitted))
        else:
            lines.append(Evidence(Source.PROBE, f"{where}: repaired just now, or the answer depends on who asks"))
    return tuple(lines)


def _ready_elsewhere(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> tuple[Evidence, ...]:
    """That the pods of these targets are ready by something else than what the check asks, so that their readiness says
    nothing about it."""
    facts = (traffic.namespace_facts.pods, traffic.service, traffic.service_port, traffic.slices)
    if not failing or not all(fact.is_known for fact in facts):
        return ()
    port = checked_pod_port(traffic, failing[0])
    pods = [pod for pod in pod_evidence.pods_behind(traffic, failing) if pod.containers_ready]
    probed = pod_evidence.ready(pods)
    if port is None or not pods or any(found.port == port for found in probed):
        return ()
    said = f"the check asks port {port}"
    if probed:
        how = f"ready by readinessProbe {describe_probe(probed[0].probe)}, while {said}"
    elif any(container.readiness is not None for pod in pods for container in pod.serving_containers()):
        how = f"ready by a readinessProbe that does not ask the application's port, while {said}"
    else:
        how = f"ready without any readinessProbe, which says nothing about port {port}"
    return (Evidence(Source.PODS, f"{len(pods)} of {len(pods)} {how}"),)


def next_probe(traffic: TrafficPath, failing: Iterable[TargetHealth]) -> tuple[str, ...]:
    """The command that asks from a debug pod, where that would settle more than the API server's ways can."""
    if traffic.behind is not None:
        return ()  # Probes ask pods and nodes.
    told = _told(traffic, tuple(failing))
    seen = [a for a in told if a.via in pod_evidence.ADDRESS and a.outcome is not Outcome.TIMEOUT]
    if traffic.subject.kind not in ("Ingress", "Service") or (seen and traffic.target_type == "ip"):
        return ()
    return (kubectl("lbdoctor", "probe", str(traffic.subject), namespace=traffic.subject.namespace),)


def _paths_that_answer(traffic: TrafficPath, failing: tuple[TargetHealth, ...]) -> frozenset[str] | None:
    """Paths on which the kubelet gets a success on the checked port; None when nothing shows that it is served."""
    port = checked_pod_port(traffic, failing[0]) if failing and traffic.slices.is_known else None
    if port is None or not (traffic.namespace_facts.pods.is_known and traffic.service.is_known):
        return None
    ready = [pod for pod in traffic.matching_pods() if pod.containers_ready]
    probes = [readiness_of(pod, port) for pod in ready]
    if not ready or any(probe is None for probe in probes):
        return None
    return frozenset(probe.path or "/" for probe in probes if probe is not None)
