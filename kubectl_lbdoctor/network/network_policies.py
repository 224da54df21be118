"""NetworkPolicies: whether the policies that select a pod admit a load balancer's, or a node's, packets.

Sources:
- networking.k8s.io/v1: a pod that a policy with type Ingress selects is isolated; then only what some rule of some such
  policy admits comes in. Policies add up, there is no order and no deny rule. policyTypes defaults to Ingress, with
  Egress where there are egress rules. A rule without `from` admits everyone, one without `ports` all ports.
- "Traffic to and from the node where a Pod is running is always allowed" (https://kubernetes.io/docs/concepts/services-networking/network-policies/).
- A load balancer's or node's address is never matched by podSelector or namespaceSelector, by ipBlock only
  (https://github.com/kubernetes/kubernetes/issues/122151; ipBlock is for addresses outside the cluster).
- Ports are those of the pod, after any translation from a Service's port or NodePort.
- Pods on the host's network are not restricted (the agent attaches to the interfaces of pods:
  https://github.com/aws/amazon-vpc-cni-k8s/blob/master/docs/network-policy-faq.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.network import NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from kubectl_lbdoctor.network.matching import Answer, contains, host_cidr, protocol_name
from kubectl_lbdoctor.record import record


@record
class PolicyRemedy:
    """The ingress rule to add to one of the policies that select the pod. `empty`: the policy has no rule yet."""

    namespace: str
    policy: str
    cidr: str
    protocol: str
    port: int
    empty: bool

    def patch(self) -> list[dict[str, object]]:
        """The operations of a JSON patch of the policy."""
        rule: dict[str, object] = {
            "from": [{"ipBlock": {"cidr": self.cidr}}],
            "ports": [{"protocol": self.protocol, "port": self.port}],
        }
        if self.empty:
            return [{"op": "add", "path": "/spec/ingress", "value": [rule]}]
        return [{"op": "add", "path": "/spec/ingress/-", "value": rule}]


@record
class PolicyVerdict:
    """`selecting` are the names of the policies that isolate the pod. ALLOWED by a rule names it: `policy`, `rule`.

    `excluded_by` is the `except` CIDR that takes the address out of an ipBlock which would admit it on this port.
    """

    answer: Answer
    selecting: tuple[str, ...] = ()
    policy: str = ""
    rule: PolicyRule | None = None
    excluded_by: str = ""
    missing: PolicyRemedy | None = None


def admits(
    policies: Sequence[NetworkPolicy],
    pod: Pod,
    source: str,
    port: int,
    protocol: str = "TCP",
    node_local: bool = False,
    name_as: str = "",
) -> PolicyVerdict:
    """Whether packets from this address of a load balancer or node reach the pod's port.

    policies: all of the pod's namespace (others do not count). node_local: the source is an address of the pod's own
    node, beyond the host address that the pod names itself. name_as: the CIDR that a new rule should admit.
    """
    selecting = [p for p in policies if isolates(p, pod)]
    names = tuple(p.meta.name for p in selecting)
    if not selecting or pod.host_network or node_local or source == pod.host_ip:
        return PolicyVerdict(Answer.ALLOWED, names)
    excluded_by = ""
    for policy in selecting:
        for rule in policy.ingress:
            if not _covers_port(rule.ports, pod, port, protocol):
                continue
            if not rule.peers or any(_admits_address(peer, source) for peer in rule.peers):
                return PolicyVerdict(Answer.ALLOWED, names, policy.meta.name, rule)
            excluded_by = excluded_by or _exception(rule.peers, source)
    first = selecting[0]
    missing = PolicyRemedy(
        first.meta.namespace, first.meta.name, name_as or host_cidr(source), protocol.upper(), port, not first.ingress
    )
    return PolicyVerdict(Answer.DENIED, names, excluded_by=excluded_by, missing=missing)


@record
class AdmittedBlocks:
    """The addresses that policies admit to one port of a pod that they isolate. `selecting` are those policies."""

    selecting: tuple[str, ...]
    cidrs: tuple[str, ...]
    first: NetworkPolicy

    def missing(self, cidr: str, protocol: str, port: int) -> PolicyRemedy:
        """The rule by which they would admit these addresses, too."""
        meta = self.first.meta
        return PolicyRemedy(meta.namespace, meta.name, cidr, protocol.upper(), port, not self.first.ingress)


def blocks_of(policies: Sequence[NetworkPolicy], pod: Pod, port: int, protocol: str) -> AdmittedBlocks | None:
    """What policies admit to a pod's port; None where that is everybody. What `except` takes out of a block is
    somebody's choice, and does not count."""
    selecting = [p for p in policies if isolates(p, pod)]
    if not selecting or pod.host_network:
        return None
    rules = [r for policy in selecting for r in policy.ingress if _covers_port(r.ports, pod, port, protocol)]
    if any(not rule.peers for rule in rules):
        return None
    cidrs = tuple(peer.cidr for rule in rules for peer in rule.peers if peer.cidr)
    return AdmittedBlocks(tuple(p.meta.name for p in selecting), cidrs, selecting[0])


def selects(policy: NetworkPolicy, pod: Pod) -> bool:
    """Whether the policy is about this pod, for what comes in or for what goes out."""
    return policy.meta.namespace == pod.meta.namespace and policy.pod_selector.selects(pod.meta.labels)


def isolates(policy: NetworkPolicy, pod: Pod) -> bool:
    """Whether the policy restricts what comes in to this pod."""
    return policy.isolates_ingress and selects(policy, pod)


def _covers_port(ports: Iterable[PolicyPort], pod: Pod, port: int, protocol: str) -> bool:
    wanted = protocol_name(protocol)
    entries = tuple(ports)
    for entry in entries:
        if protocol_name(entry.protocol or "TCP") != wanted:
            continue
        if not entry.port:
            return True
        if entry.port.isdigit():
            if int(entry.port) <= port <= max(entry.end_port, int(entry.port)):
                return True
        elif pod.named_port(entry.port, entry.protocol or "TCP") == port:
            return True
    return not entries


def _admits_address(peer: PolicyPeer, address: str) -> bool:
    return bool(peer.cidr) and contains(peer.cidr, address) and not any(contains(c, address) for c in peer.excepts)


def _exception(peers: Iterable[PolicyPeer], address: str) -> str:
    for peer in peers:
        if peer.cidr and contains(peer.cidr, address):
            return next((c for c in peer.excepts if contains(c, address)), "")
    return ""
