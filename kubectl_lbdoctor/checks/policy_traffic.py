"""LBD513 of healthy targets: what NetworkPolicies do with traffic that the health check does not stand for.

It does not where another port is checked, and where pods see the clients' addresses while checks come from the load
balancer or end at kube-proxy: targets of type ip with preserved client addresses, and externalTrafficPolicy Local.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.analysis.blocked_paths import preserves_clients, sources, unchecked
from kubectl_lbdoctor.analysis.policy_engine import Enforcement, may_be_filtered, policy_engine
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.client_access import (
    Admitted,
    clients_of,
    left_out_of,
    named_clients,
    protocols_of,
    relevant,
)
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.model.aws import LoadBalancer, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import network_policies
from kubectl_lbdoctor.network.matching import Answer, network_of
from kubectl_lbdoctor.record import record


@record
class _Denied:
    """Who does not reach a pod's port for a target, by policies with these names."""

    target: TargetHealth
    policies: tuple[str, ...]
    who: tuple[str, ...]
    port: int
    protocol: str
    missing: network_policies.PolicyRemedy | None
    entirely: bool = True


def concerns(traffic: TrafficPath) -> bool:
    """Whether there are healthy targets that are sent what their check does not stand for."""
    return bool(unchecked(traffic)) or (preserves_clients(traffic) and bool(_healthy(traffic)))


def unvouched(traffic: TrafficPath) -> Iterator[Finding]:
    """The policies that keep traffic from healthy targets; nothing where the only engine seen is switched off."""
    group, balancer = traffic.target_group.need(), traffic.load_balancer.need()
    if group is None or balancer is None or not traffic.namespace_facts.policies.need():
        return
    engine = policy_engine(traffic.snapshot)
    if engine.state is Enforcement.OFF:
        return
    clients = preserves_clients(traffic)
    denied = _clients_denied(traffic, group, balancer) if clients else _traffic_denied(traffic, balancer)
    grouped: dict[tuple[tuple[str, ...], int, str], list[_Denied]] = defaultdict(list)
    for entry in denied:
        grouped[(entry.policies, entry.port, entry.protocol)].append(entry)
    for (policies, port, _), entries in grouped.items():
        first = entries[0]
        cut = tuple(dict.fromkeys(entry.target.key for entry in entries))
        why = "checks do not come from clients" if clients else f"checks go to port {first.target.check_port}"
        certain = engine.state is Enforcement.ON
        yield Finding(
            "LBD513",
            ObjectRef("NetworkPolicy", traffic.namespace, policies[0]),
            # Without knowing that somebody enforces it, health that AWS has seen is not called in question.
            severity=None if certain and first.entirely else Severity.WARNING,
            confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
            params={"policy": policies, "who": ", ".join(first.who[:2]), "port": str(port), "excluded": ""},
            evidence=(
                Evidence(Source.TARGET_HEALTH, f"{part_of(len(cut), len(traffic.targets()))} healthy, but {why}"),
                Evidence(Source.POLICY_ENGINE, engine.why),
            ),
            targets=cut,
            confirm=(
                kubectl("get", "networkpolicy", "-o", "yaml", namespace=traffic.namespace),
                *(() if certain else (kubectl("get", "daemonsets", "-A"),)),
            ),
            by_hand=opening(first.missing, traffic.namespace),
        )


def opening(missing: network_policies.PolicyRemedy | None, namespace: str) -> tuple[str, ...]:
    """The command that adds the rule which is missing."""
    if missing is None:
        return ()
    change = json.dumps(missing.patch(), sort_keys=True)
    words = ("patch", f"networkpolicy/{missing.policy}", "--type=json", "-p", change)
    return (kubectl(*words, namespace=missing.namespace or namespace),)


def _healthy(traffic: TrafficPath) -> list[TargetHealth]:
    return [t for t in traffic.targets() if t.state == "healthy" and t.key not in traffic.foreign]


def _clients_denied(traffic: TrafficPath, group: TargetGroup, balancer: LoadBalancer) -> Iterator[_Denied]:
    """Clients that no policy admits, of the targets whose pods see their addresses."""
    policies = traffic.namespace_facts.policies.need()
    groups = {g.id: g for g in traffic.network.security_groups.need()} if balancer.security_groups else {}
    public = balancer.scheme == "internet-facing"
    for protocol in protocols_of(group.protocol):
        everyone = clients_of(traffic, group, balancer, protocol, groups)
        for target in _healthy(traffic):
            for pod, port, address in _pods_seeing_sources(traffic, target):
                mine = [client for client in everyone if (client.version == 6) == (":" in address)]
                verdict = network_policies.blocks_of(policies, pod, port, protocol)
                if verdict is None:
                    continue
                out = left_out_of(mine, Admitted(tuple(network_of(cidr) for cidr in verdict.cidrs)), public)
                if out:
                    yield _Denied(
                        target,
                        verdict.selecting,
                        named_clients(out),
                        port,
                        protocol,
                        verdict.missing(str(out[0]), protocol, port),
                        len(out) == len(relevant(mine, public)),
                    )


def _pods_seeing_sources(traffic: TrafficPath, target: TargetHealth) -> Iterator[tuple[Pod, int, str]]:
    """(pod, its port, its address) of the pods that a target's packets reach with the address that they come from."""
    if traffic.target_type == "ip":
        pod = traffic.pod_of(target)
        if pod is not None and may_be_filtered(traffic.snapshot, pod):
            yield pod, target.port, target.id
        return
    service, node = traffic.service.need(), traffic.node_of(target)
    if service is None or node is None or service.external_traffic_policy != "Local":
        return  # kube-proxy gives the packets an address of the node, as it does with those of the check.
    pods = {p.meta.name: p for p in traffic.matching_pods()}
    for endpoint in traffic.ready_endpoints():
        pod = pods.get(endpoint.pod)
        if pod is not None and endpoint.node == node.meta.name:
            yield pod, endpoint.port, endpoint.address


def _traffic_denied(traffic: TrafficPath, balancer: LoadBalancer) -> Iterator[_Denied]:
    """The load balancer on the port that its traffic goes to, where another one is checked."""
    policies = traffic.namespace_facts.policies.need()
    subnets = {s.id: s.cidrs for s in traffic.network.subnets.peek() or ()}
    fronts = sources(traffic, balancer)
    for target in unchecked(traffic):
        for pod, port, address in _pods_seeing_sources(traffic, target):
            for front in fronts:
                if (":" in front.address) != (":" in address):
                    continue
                cidr = _of_family(subnets.get(front.subnet_id or "", ()), front.address)
                verdict = network_policies.admits(policies, pod, front.address, port, name_as=cidr)
                if verdict.answer is Answer.DENIED:
                    yield _Denied(target, verdict.selecting, (cidr or front.address,), port, "tcp", verdict.missing)


def _of_family(cidrs: Sequence[str], address: str) -> str:
    return next((cidr for cidr in cidrs if (":" in cidr) == (":" in address)), "")
