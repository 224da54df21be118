"""The commands that settle by hand which of several possible causes it is, with the objects of this very path. Pure.

Each of them runs as it stands: it names pods, addresses, groups and subnets that were read, and where these were not
read, it is the command that finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.alb_answers import balancer_behind
from kubectl_lbdoctor.analysis.check_settings import checked_pod_port
from kubectl_lbdoctor.analysis.remediation import describe_target_group, kubectl
from kubectl_lbdoctor.model.aws import LoadBalancer, TargetHealth
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.network import NetworkInterface
from kubectl_lbdoctor.model.probe import DEFAULT_IMAGE
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_TOOLS = "busybox"
"""Image of a debug pod on a node: it only has to hold chroot."""

SHOWS: Mapping[str, str] = {
    "LBD209": "LoadBalancerArns is empty",
    "LBD307": "the command finds no line",
    "LBD308": "the command finds 0100007F",
    "LBD315": "the command finds no line",
}
"""What the command shows where a code is the cause."""

Failing = tuple[TargetHealth, ...]


def commands(code: str, traffic: TrafficPath, failing: Iterable[TargetHealth]) -> tuple[str, ...]:
    """What to run to know whether this code is the cause for the failing targets; () where no command can tell."""
    failing = tuple(failing)
    make = _BY_CODE.get(code)
    return tuple(filter(None, make(traffic, failing))) if make is not None and failing else ()


def _request(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    """The health check as the load balancer sends it, from a pod of the cluster, with the time that it took."""
    url = _url(traffic, failing[0])
    return (_curl(traffic, "-sik", "-m", "30", "-w", "%{http_code} after %{time_total} s", url),) if url else ()


def _both_protocols(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    url = _url(traffic, failing[0])
    rest = url.partition("://")[2]
    return (
        tuple(_curl(traffic, "-sik", "-m", "10", f"{scheme}://{rest}") for scheme in ("http", "https")) if rest else ()
    )


def _curl(traffic: TrafficPath, *words: str) -> str:
    name = ("run", "lbdoctor-check", "--rm", "-i", "--restart=Never", f"--image={DEFAULT_IMAGE}")
    space = ("-n", traffic.namespace) if traffic.namespace else ()
    return kubectl(*name, *space, "--", "curl", *words)


def _url(traffic: TrafficPath, target: TargetHealth) -> str:
    """The check's URL on this target; "" where the target's address or the check is not known."""
    group = traffic.target_group.peek()
    address = _address(traffic, target)
    if group is None or not address or not target.check_port.isdigit():
        return ""
    host = f"[{address}]" if ":" in address else address
    scheme = "https" if group.health_check.protocol in ("HTTPS", "TLS") else "http"
    return f"{scheme}://{host}:{target.check_port}{group.health_check.path or '/'}"


def _address(traffic: TrafficPath, target: TargetHealth) -> str:
    """The address that a check of this target is sent to, of a load balancer its name; "" where it was not read."""
    if traffic.behind is not None:
        balancer = _behind(traffic)
        return balancer.dns_name if balancer is not None else ""
    if not target.id.startswith("i-"):
        return target.id
    node = traffic.node_of(target) if traffic.cluster.nodes.is_known else None
    return node.internal_ip if node is not None else ""


def _behind(traffic: TrafficPath) -> LoadBalancer | None:
    """The load balancer that is the target; None for other targets, and where it was not read."""
    with suppress(Unknown):
        return balancer_behind(traffic)
    return None


def _listening(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    """What listens on the checked port in a pod behind a failing target, as the kernel lists it (proc_net_tcp(5)):
    "LOCAL:PORT" in hexadecimal, state 0A."""
    facts = (traffic.namespace_facts.pods, traffic.service, traffic.service_port, traffic.slices)
    if not all(fact.is_known for fact in facts):
        return ()
    pods = pod_evidence.pods_behind(traffic, failing)
    port = checked_pod_port(traffic, failing[0])
    if not pods or port is None:
        return ()
    exec_ = kubectl("exec", pods[0].meta.name, "-n", traffic.namespace, "--", "cat", "/proc/net/tcp", "/proc/net/tcp6")
    return (f"{exec_} | grep ':{port:04X} .* 0A '",)


def _policies(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    return (kubectl("get", "networkpolicies", "-o", "yaml", namespace=traffic.namespace),)


def _peer_authentication(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    return (kubectl("get", "peerauthentications.security.istio.io", "-A"), *_request(traffic, failing))


def _target_groups(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    """The security groups of a failing target's interface."""
    target = failing[0]
    if traffic.behind is not None:
        words = ("elbv2", "describe-load-balancers", "--load-balancer-arns", target.id)
        return (aws(*words, "--query", "LoadBalancers[].SecurityGroups", region=traffic.context.region),)
    if target.id.startswith("i-"):
        return (_aws(traffic, "describe-instances", "--instance-ids", target.id, query=_GROUPS_OF_INSTANCE),)
    where = ("--filters", f"Name=addresses.private-ip-address,Values={target.id}")
    return (_aws(traffic, "describe-network-interfaces", *where, query="NetworkInterfaces[].Groups[].GroupId"),)


_GROUPS_OF_INSTANCE = "Reservations[].Instances[].SecurityGroups[].GroupId"


def _inbound_rules(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    groups = _group_ids(traffic, failing)
    if not groups:
        return _target_groups(traffic, failing)
    return (_aws(traffic, "describe-security-groups", "--group-ids", *groups),)


def _outbound_rules(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    balancer = traffic.load_balancer.peek()
    if balancer is None or not balancer.security_groups:
        return ()
    query = "SecurityGroups[].IpPermissionsEgress"
    return (_aws(traffic, "describe-security-groups", "--group-ids", *balancer.security_groups, query=query),)


def _acls(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    balancer = traffic.load_balancer.peek()
    subnets = [zone for lb in (balancer, _behind(traffic)) if lb is not None for zone in lb.zones.values()]
    subnets += [i.subnet_id for i in _interfaces(traffic, failing)]
    if subnets:
        where = f"Name=association.subnet-id,Values={','.join(dict.fromkeys(filter(None, subnets)))}"
        return (_aws(traffic, "describe-network-acls", "--filters", where),)
    return ()


def _group_ids(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    behind = _behind(traffic)
    if behind is not None:
        return behind.security_groups
    return tuple(dict.fromkeys(g for i in _interfaces(traffic, failing) for g in i.security_groups))


def _interfaces(traffic: TrafficPath, failing: Failing) -> list[NetworkInterface]:
    ids = {t.id for t in failing}
    found = traffic.network.interfaces.peek() or ()
    return [i for i in found if ids & {i.instance_id, *i.private_ips}]


def _balancer(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    balancer = traffic.load_balancer.peek()
    if balancer is None:
        return ()
    words = ("elbv2", "describe-load-balancers", "--load-balancer-arns", balancer.arn)
    return (aws(*words, "--query", "LoadBalancers[].AvailabilityZones", region=traffic.context.region),)


def _used(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    group = traffic.target_group.peek()
    return (describe_target_group(group.arn, traffic.context.region),) if group is not None else ()


def _kube_proxy(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    if is_kube_proxy_replaced(traffic):
        return _request(traffic, failing)
    return (kubectl("get", "pods", "-l", "k8s-app=kube-proxy", "-o", "wide", namespace="kube-system"),)


def is_kube_proxy_replaced(traffic: TrafficPath) -> bool:
    """Whether something else serves node ports here: Cilium, kube-router, EKS Auto Mode."""
    workloads = traffic.cluster.kube_proxy.peek()
    replaced = workloads is not None and not any(w.meta.name == "kube-proxy" for w in workloads)
    return replaced or traffic.cluster.kube_proxy_pods.peek() == ()


def _reverse_path(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    return _on_node(traffic, failing, "sysctl -a --pattern '\\.rp_filter$'")


def _packet_filter(traffic: TrafficPath, failing: Failing) -> tuple[str, ...]:
    return _on_node(traffic, failing, "iptables-save | grep -E 'DROP|REJECT'; nft list ruleset")


def _on_node(traffic: TrafficPath, failing: Failing, script: str) -> tuple[str, ...]:
    """A script with the node's own programs, as root there (kubectl debug node, profile sysadmin)."""
    names = [_node_name(traffic, target) for target in failing]
    name = next(filter(None, names), "")
    debug = ("debug", f"node/{name}", "-it", "--profile=sysadmin", f"--image={_TOOLS}")
    return (kubectl(*debug, "--", "chroot", "/host", "sh", "-c", script),) if name else ()


def _node_name(traffic: TrafficPath, target: TargetHealth) -> str:
    if target.id.startswith("i-"):
        node = traffic.node_of(target) if traffic.cluster.nodes.is_known else None
        return node.meta.name if node is not None else ""
    known = traffic.namespace_facts.pods.is_known and traffic.slices.is_known and traffic.service_port.is_known
    pod = traffic.pod_of(target) if known else None
    return pod.node if pod is not None else ""


def _aws(traffic: TrafficPath, *words: str, query: str = "") -> str:
    return aws("ec2", *words, *(("--query", query) if query else ()), region=traffic.context.region)


_BY_CODE: Mapping[str, Callable[[TrafficPath, Failing], Iterable[str]]] = {
    "LBD208": _balancer,
    "LBD209": _used,
    "LBD301": _request,
    "LBD305": _both_protocols,
    "LBD307": _listening,
    "LBD308": _listening,
    "LBD309": _request,
    "LBD315": _listening,
    "LBD319": _peer_authentication,
    "LBD323": _request,
    "LBD501": _inbound_rules,
    "LBD502": _inbound_rules,
    "LBD503": _outbound_rules,
    "LBD507": _acls,
    "LBD513": _policies,
    "LBD517": _kube_proxy,
    "LBD519": _reverse_path,
    "LBD520": _packet_filter,
}
