"""LBD516 to LBD518: the node's own part of the path, from the NodePort to a pod.

A node that never had kube-proxy's rules, or whose rules are gone, answers a NodePort with a reset:
Target.FailedHealthChecks on that node alone (seen on the lab), while a filter on the way gives Target.Timeout. Rules
outlive kube-proxy: a node that has lost it serves on, until pods or node ports change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.blocked_paths import blocked
from kubectl_lbdoctor.analysis.node_targets import COMPUTE_TYPE
from kubectl_lbdoctor.analysis.remediation import kubectl, restart
from kubectl_lbdoctor.checks.registry import check, reported
from kubectl_lbdoctor.checks.wording import counted, part_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Node, Pod
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath

KUBE_PROXY = ObjectRef("DaemonSet", "kube-system", reads.KUBE_PROXY_NAME)
RESTART = restart(
    KUBE_PROXY,
    "kube-proxy writes a node's rules anew when it starts",
    "one node after the other; connections that are established go on",
)

_READS = (
    reads.SERVICES,
    reads.BINDINGS,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
    reads.KUBE_PROXY,
    reads.KUBE_PROXY_PODS,
)
_PATH_READS = (
    reads.NETWORK_INTERFACES,
    reads.SECURITY_GROUPS,
    reads.SUBNETS,
    reads.NETWORK_ACLS,
    reads.ROUTE_TABLES,
    reads.PREFIX_LISTS,
    reads.PODS,
)


def _failing(traffic: TrafficPath, *reasons: str) -> list[tuple[TargetHealth, Node]]:
    """Failing instance targets with their nodes, where kube-proxy runs as the DaemonSet that EKS installs."""
    if traffic.target_group.need() is None or traffic.target_type != "instance":
        raise NotApplicable("no instance targets")
    failing = traffic.unhealthy(*reasons)
    if not failing:
        raise NotApplicable("every instance target answers")
    if not any(w.meta.name == KUBE_PROXY.name for w in traffic.cluster.kube_proxy.need()):
        raise NotApplicable("no kube-proxy DaemonSet: the nodes or another component do its work")
    if _is_replaced(traffic):
        raise NotApplicable("kube-proxy's DaemonSet has no pods: another component does its work")
    nodes = [(target, node) for target in failing if (node := traffic.node_of(target)) is not None]
    return [(target, node) for target, node in nodes if not _needs_none(node)]


def _is_replaced(traffic: TrafficPath) -> bool:
    """Whether node ports are served without kube-proxy: a DaemonSet that is kept and switched off has no pods. That a
    node without one is healthy does not show it: rules outlive the pod that wrote them."""
    return not traffic.cluster.kube_proxy_pods.need()


def _needs_none(node: Node) -> bool:
    """Whether a node has kube-proxy as a service of its own, and no pod of the DaemonSet.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/automode.html ("kube-proxy" is part of the node),
    https://docs.aws.amazon.com/eks/latest/userguide/windows-support.html.
    """
    labels = node.meta.labels
    return labels.get(COMPUTE_TYPE) == "auto" or labels.get("kubernetes.io/os") == "windows"


def _still_serving(traffic: TrafficPath) -> tuple[str, ...]:
    """The nodes without kube-proxy whose targets are healthy."""
    healthy = [t for t in traffic.targets() if t.state == "healthy"]
    nodes = (node for target in healthy if (node := traffic.node_of(target)) is not None)
    found = {node.meta.name for node in nodes if not _needs_none(node) and _proxy_on(traffic, node) is None}
    return tuple(sorted(found))


def _proxy_on(traffic: TrafficPath, node: Node) -> Pod | None:
    """The kube-proxy pod of a node, a ready one first."""
    mine = [p for p in traffic.cluster.kube_proxy_pods.need() if p.node == node.meta.name and not p.meta.deleted]
    return next((p for p in mine if p.is_ready), mine[0] if mine else None)


_MINOR = re.compile(r"v?1\.([0-9]{1,4})\.")
_SKEW = 3


def _skew(traffic: TrafficPath, nodes: Iterable[Node]) -> tuple[Evidence, ...]:
    """kube-proxy and kubelet more than three minor versions apart, which nobody tests (Kubernetes version skew policy):
    an add-on that was forgotten at upgrades."""
    for node in nodes:
        proxy = _proxy_on(traffic, node)
        images = [c.image.rsplit(":", 1)[-1] for c in proxy.containers] if proxy is not None else []
        theirs = next((m for image in images if (m := _MINOR.match(image))), None)
        own = _MINOR.match(node.kubelet_version)
        if theirs and own and abs(int(theirs[1]) - int(own[1])) > _SKEW:
            text = (
                f"{theirs.string} beside kubelet {own.string}: more than {_SKEW} minor versions apart is not supported"
            )
            return (Evidence(f"kube-proxy on {node.meta.name}", text),)
    return ()


def _override(proxy: Pod | None) -> str | None:
    """The node name that kube-proxy is told by --hostname-override; None without that flag."""
    for container in proxy.containers if proxy is not None else ():
        words = (*container.command, *container.args)
        for position, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name == "--hostname-override":
                return value if equals else next(iter(words[position + 1 : position + 2]), "")
    return None


def _confirm(node: Node) -> tuple[str, ...]:
    name = node.meta.name
    words = ("get", "pods", "-l", "k8s-app=kube-proxy", "-o", "wide", "--field-selector", f"spec.nodeName={name}")
    return (kubectl(*words, namespace="kube-system"),)


@check(
    "LBD516",
    title="kube-proxy does not run on a node that is a target",
    passes="kube-proxy runs on every node that is a target",
    severity=Severity.ERROR,
    message="kube-proxy {state:not ready=is not ready|missing=does not run} on node {nodes}, so its NodePort leads to "
    "no pod",
    reads=_READS,
    explains=("LBD517", "LBD518", "LBD607"),
    fix="kube-proxy",
    distinct_by=("state",),
    by_absence=(reads.KUBE_PROXY_PODS,),
)
def kube_proxy_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A node that is an instance target has no ready kube-proxy, so nothing leads its NodePort to a pod and the check
    is refused. Rules that a kube-proxy has left behind lead on for a while: a node that it was taken from may still be
    healthy, and where one is, this is likely only.

    Confirm by hand: `kubectl get pods -n kube-system -l k8s-app=kube-proxy -o wide`. Repair: correct what keeps the
    pod from the node (selector, taint, image), or `kubectl rollout restart daemonset.apps/kube-proxy -n
    kube-system`.
    """
    for state, wanted in (("missing", False), ("not ready", True)):
        hit: list[tuple[TargetHealth, Node]] = []
        for target, node in _failing(traffic, FAILED_HEALTH_CHECKS, TIMEOUT):
            proxy = _proxy_on(traffic, node)
            if (proxy is not None) is wanted and not (proxy is not None and proxy.is_ready):
                hit.append((target, node))
        if not hit:
            continue
        nodes = tuple(sorted({node.meta.name for _, node in hit}))
        left = _still_serving(traffic)
        yield Finding(
            "LBD516",
            KUBE_PROXY,
            params={"state": state, "nodes": nodes},
            evidence=(
                Evidence(Source.TARGET_GROUP, f"{part_of(len(hit), len(traffic.targets()))}: {hit[0][0].reason}"),
                Evidence(Source.KUBE_PROXY_PODS, f"none ready on {', '.join(nodes)}"),
                *(
                    (Evidence(Source.KUBE_PROXY_PODS, f"none on {', '.join(left)}, healthy by the rules left there"),)
                    if left
                    else ()
                ),
                *_skew(traffic, [node for _, node in hit]),
            ),
            confidence=Confidence.LIKELY if left else Confidence.CERTAIN,
            targets=tuple(target.key for target, _ in hit),
            confirm=_confirm(hit[0][1]),
            repairs=(RESTART,) if wanted else (),
            fix_automatic=wanted,
            advice="" if wanted else "see why it leaves the node out: kubectl describe ds kube-proxy -n kube-system",
        )


_PROXY_NAME = "service.kubernetes.io/service-proxy-name"


@check(
    "LBD521",
    title="kube-proxy leaves the Service to another proxy",
    passes="kube-proxy serves the Service",
    severity=Severity.ERROR,
    message="no node answers for Service {service}: its label leaves it to proxy {proxy}, not to kube-proxy",
    reads=_READS,
    explains=("LBD516", "LBD517", "LBD607"),
)
def left_to_another_proxy(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service has the label service.kubernetes.io/service-proxy-name, by which kube-proxy ignores it: another proxy
    is to serve it. No node hands its NodePort on, so that all instance targets fail, unless that proxy runs.

    Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#servicekubernetesioservice-proxy-name

    Confirm by hand: `kubectl get service NAME --show-labels`. Repair: remove the label, or see that the proxy that it
    names runs on the nodes. Pods as targets need neither.
    """
    service = traffic.service.need()
    if service is None or traffic.target_type != "instance":
        raise NotApplicable("no nodes as targets")
    proxy = service.meta.labels.get(_PROXY_NAME)
    failing = traffic.unhealthy(FAILED_HEALTH_CHECKS, TIMEOUT) if proxy is not None else ()
    if proxy is None or not failing or any(target.state == "healthy" for target in traffic.targets()):
        return
    ref = traffic.service_ref
    yield Finding(
        "LBD521",
        ref,
        params={"service": service.meta.name, "proxy": proxy},
        evidence=(
            Evidence(str(ref), f"label {_PROXY_NAME}: {proxy}"),
            Evidence(Source.TARGET_GROUP, f"{part_of(len(failing), len(traffic.targets()))}: {failing[0].reason}"),
        ),
        targets=tuple(target.key for target in failing),
        confirm=(kubectl("get", str(ref), "--show-labels", namespace=ref.namespace),),
        by_hand=(kubectl("label", str(ref), f"{_PROXY_NAME}-", namespace=ref.namespace),),
    )


@check(
    "LBD517",
    title="the NodePort does not answer on some nodes",
    passes="the NodePort answers on every node",
    severity=Severity.ERROR,
    message="the NodePort does not answer on node {nodes}, while others do: kube-proxy's rules are stale there",
    reads=(*_READS, *_PATH_READS, reads.TARGET_GROUP_ATTRIBUTES),
    explains=("LBD607",),
    fix="kube-proxy",
    by_absence=(reads.NETWORK_INTERFACES, reads.SECURITY_GROUPS, reads.NETWORK_ACLS),
)
def node_port_refused(traffic: TrafficPath) -> Iterator[Finding]:
    """Some nodes refuse the NodePort although endpoints are ready, kube-proxy is ready there and other nodes answer:
    its rules are missing or stale. A kube-proxy that hangs stays so until it is restarted. A probe of the node ports
    from a debug pod proves it, or shows that the node answers inside the cluster.

    Confirm by hand: `curl http://NODE_IP:NODEPORT/PATH` from another node, and kube-proxy's log. Repair:
    `kubectl rollout restart daemonset.apps/kube-proxy -n kube-system`.

    Repair: restart kube-proxy: `kubectl rollout restart daemonset.apps/kube-proxy -n kube-system`.
    """
    failing = _failing(traffic, FAILED_HEALTH_CHECKS)
    service = traffic.service.need()
    healthy = [t for t in traffic.targets() if t.state == "healthy"]
    if service is None or not healthy or not traffic.ready_endpoints():
        return
    local = {e.node for e in traffic.ready_endpoints()}
    cut = {b.target.key for b in blocked(traffic)} if not traffic.is_alb else set()
    hit = []
    probes: list[ProbeAnswer] = []
    for target, node in failing:
        proxy = _proxy_on(traffic, node)
        by_policy = service.external_traffic_policy == "Local" and node.meta.name not in local
        told = traffic.probes.to(target.key, address=node.internal_ip)
        if any(a.outcome is Outcome.ANSWERED for a in told):
            continue  # The node port answers inside the cluster: the cause is on the load balancer's way to it.
        if proxy is not None and proxy.is_ready and not by_policy and target.key not in cut:
            hit.append((target, node))
            probes += told
    if not hit:
        return
    nodes = tuple(sorted({node.meta.name for _, node in hit}))
    refused = {a.request.target for a in probes if a.outcome is Outcome.REFUSED}
    proven = refused >= {target.key for target, _ in hit}
    yield Finding(
        "LBD517",
        KUBE_PROXY,
        params={"nodes": nodes},
        evidence=(
            Evidence(
                Source.TARGET_GROUP,
                f"{counted(len(hit), 'target')} refused, {len(healthy)} healthy on the same NodePort",
            ),
            *pod_evidence.evidence(probes),
            Evidence(Source.KUBE_PROXY_PODS, f"ready on {', '.join(nodes)}"),
            *_skew(traffic, [node for _, node in hit]),
        ),
        confidence=Confidence.CERTAIN if proven else Confidence.LIKELY,
        targets=tuple(target.key for target, _ in hit),
        confirm=_confirm(hit[0][1]),
        repairs=(RESTART,),
        fix_automatic=True,
    )


@check(
    "LBD518",
    title="kube-proxy takes its node for another one",
    passes="kube-proxy knows its node by the node's name",
    severity=Severity.ERROR,
    message="kube-proxy on {nodes} runs under a wrong node name ({other}), so it finds no local pod",
    reads=_READS,
    explains=("LBD517", "LBD602", "LBD607"),
)
def node_name_differs(traffic: TrafficPath) -> Iterator[Finding]:
    """With externalTrafficPolicy Local, kube-proxy serves a node's own endpoints only, and answers the check on
    healthCheckNodePort with 503 where it counts none. It compares endpoints with its own idea of the node's name: the
    host name (with a custom DHCP domain another than the node's), or what `--hostname-override` says.

    Confirm by hand: `curl http://NODE_IP:HEALTH_PORT/` shows `localEndpoints: 0` on a node with a pod. Repair: start
    kube-proxy with `--hostname-override=$(NODE_NAME)`.
    """
    service = traffic.service.need()
    if service is None or service.external_traffic_policy != "Local":
        raise NotApplicable("not externalTrafficPolicy Local")
    local = {e.node for e in traffic.ready_endpoints()}
    hit: list[tuple[TargetHealth, Node, str, bool]] = []
    for target, node in _failing(traffic, FAILED_HEALTH_CHECKS, TIMEOUT, RESPONSE_CODE_MISMATCH):
        told = _override(_proxy_on(traffic, node))
        # "$(NODE_NAME)" is filled in by the kubelet with the node's name.
        other = node.hostname if told is None else "" if told.startswith("$(") else told
        if node.meta.name in local and other and other.lower() != node.meta.name.lower():
            hit.append((target, node, other, told is not None))
    if hit:
        flag = "started with --hostname-override=" if hit[0][3] else "host name "
        yield Finding(
            "LBD518",
            KUBE_PROXY,
            params={
                "nodes": tuple(sorted(node.meta.name for _, node, _, _ in hit)),
                "other": tuple(sorted({other for _, _, other, _ in hit})),
            },
            evidence=(
                Evidence(Source.TARGET_GROUP, f"{part_of(len(hit), len(traffic.targets()))}: {hit[0][0].reason}"),
                *(Evidence(f"node {n.meta.name}", f"runs a ready pod; {flag}{other}") for _, n, other, _ in hit[:3]),
            ),
            confidence=Confidence.CERTAIN if all(told for *_, told in hit) else Confidence.LIKELY,
            targets=tuple(target.key for target, *_ in hit),
            confirm=_confirm(hit[0][1]),
            advice="start kube-proxy with --hostname-override=$(NODE_NAME)",
        )


reported(
    "LBD519",
    title="strict reverse-path filtering drops the NodePort's replies",
    passes="reverse-path filtering lets the NodePort's replies pass",
    severity=Severity.WARNING,
    message="strict reverse-path filtering may drop NodePort replies on {nodes}",
    doc="""
    A node with several network interfaces (the VPC CNI attaches them for pods) drops packets whose reply would leave by
    another interface, where the kernel's reverse-path filter is strict (`net.ipv4.conf.*.rp_filter` is 1). NodePorts
    then answer on some nodes only, or now and then.

    Neither Kubernetes nor AWS shows this setting, so that it is never diagnosed: it is named as a hypothesis (LBD005)
    where a failing node has several interfaces and nothing else explains the failure.

    Confirm by hand on the node: `sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.eth0.rp_filter`; the larger value
    counts. Repair: 2 (loose), which the VPC CNI sets for the primary interface when it runs.
    """,
)

reported(
    "LBD520",
    title="a packet filter on the node drops the load balancer's packets",
    passes="no packet filter on the node drops the load balancer's packets",
    severity=Severity.WARNING,
    message="a packet filter on {nodes} may drop the load balancer's packets",
    doc="""
    Security groups, network ACLs and routes admit the check, the pod answers the kubelet or the API server, and the
    load balancer gets no answer: what is left on the way is the node itself. Host firewalls (iptables, nftables,
    firewalld), security agents, and policies of a network plugin that are no NetworkPolicy objects (of Calico or
    Cilium) drop by source address or port. The kubelet's probes come from the node and pass them.

    Neither Kubernetes nor AWS shows such a filter, so that it is never diagnosed: it is named as a hypothesis (LBD005)
    where nothing else explains the failure.

    Confirm by hand on the node of a failing target: `iptables-save | grep -E 'DROP|REJECT'`, `nft list ruleset`, and
    `tcpdump -ni any port PORT`, which shows the requests arriving and no reply. Repair: admit the load balancer's
    subnets on the checked port and the traffic port.
    """,
)
