"""LBD5xx: which filter between load balancer and pod drops the packets.

Only targets whose reason allows for a filter are evaluated: Target.Timeout, and on a Network Load Balancer also
Target.FailedHealthChecks, which it reports for everything. A rule that looks missing while targets answer is no cause,
unless it is for a port that nobody has asked: traffic whose check goes to another port.
Both directions of every path from each of the load balancer's interfaces are followed; with instance targets also the
second hop, from the node that a NodePort was reached on to pods on other nodes.
"""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kubectl_lbdoctor.checks.aws_changes import change_of
from kubectl_lbdoctor.checks.commands import annotate, kubectl
from kubectl_lbdoctor.checks.healthcheck import ALB_PREFIX, NLB_PREFIX, checked_pod_port
from kubectl_lbdoctor.checks.policy import without_local_endpoint
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.runner import NotApplicable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import interface_description
from kubectl_lbdoctor.model.aws import LoadBalancer, TargetHealth
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.network import NetworkInterface
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.route import Route
from kubectl_lbdoctor.model.snapshot import NetworkFacts
from kubectl_lbdoctor.network import path, policies
from kubectl_lbdoctor.network.acls import IMPLICIT, AclRemedy, AclVerdict
from kubectl_lbdoctor.network.matching import Answer
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy

TIMEOUT = "Target.Timeout"
CATCH_ALL = "Target.FailedHealthChecks"

_READS = (
    reads.SERVICES,
    reads.BINDINGS,
    reads.PODS,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
    reads.TARGET_GROUP_ATTRIBUTES,
    reads.NETWORK_INTERFACES,
    reads.SECURITY_GROUPS,
    reads.SUBNETS,
    reads.NETWORK_ACLS,
    reads.ROUTE_TABLES,
    reads.PREFIX_LISTS,
    reads.INGRESSES,
)
PRESERVE = "preserve_client_ip.enabled"
_RULES_OUT = "the application: no packet reaches it, or no reply returns"


@dataclass(frozen=True, slots=True)
class Blocked:
    """One filter that blocks the way to one target. `second`: on the hop from node to pod."""

    target: TargetHealth
    hop: path.Hop
    source: str
    destination: str
    port: int
    second: bool = False


def suspects(route: Route) -> tuple[TargetHealth, ...]:
    """Failing targets whose reason a filter on the way would explain, and that do not fail by traffic policy."""
    failing = route.unhealthy(TIMEOUT) if route.is_alb else route.unhealthy(TIMEOUT, CATCH_ALL)
    service = route.service.peek()
    if not failing or service is None or service.external_traffic_policy != "Local" or route.target_type != "instance":
        return failing
    by_policy, _ = without_local_endpoint(route)
    return tuple(t for t in failing if t not in by_policy)


def preserves_clients(route: Route) -> bool:
    """Whether targets see the clients' addresses instead of the load balancer's (a Network Load Balancer's group
    attribute; by default on for instance targets and, without a way to turn it off, for UDP)."""
    group, balancer = route.target_group.peek(), route.load_balancer.peek()
    if group is None or balancer is None or balancer.type != "network":
        return False
    if group.protocol in ("UDP", "TCP_UDP", "QUIC", "TCP_QUIC"):
        return True
    said = (route.group_attributes.peek() or {}).get(PRESERVE, "")
    return said == "true" if said else group.target_type == "instance"


def unchecked(route: Route) -> tuple[TargetHealth, ...]:
    """Healthy targets that are checked on another port than the one that the load balancer's own traffic goes to.

    Where client addresses are preserved the traffic does not come from the load balancer: see LBD515.
    """
    if preserves_clients(route):
        return ()
    return tuple(
        t for t in route.targets() if t.state == "healthy" and t.check_port.isdigit() and int(t.check_port) != t.port
    )


def world(route: Route) -> path.NetworkWorld:
    return world_of(route.network)


def world_of(net: NetworkFacts) -> path.NetworkWorld:
    """What was read of the VPC; what was not stays unknown in the verdicts."""
    return path.NetworkWorld(
        groups={g.id: g for g in net.security_groups.peek() or ()},
        acls=net.acls.peek(),
        tables=net.route_tables.peek(),
        subnets={s.id: s for s in net.subnets.peek() or ()},
        prefix_lists={p.id: p for p in net.prefix_lists.peek() or ()},
    )


def sources(route: Route, balancer: LoadBalancer) -> list[path.Endpoint]:
    """The load balancer's interfaces, one per subnet: where its checks come from. A dual-stack one has an address of
    each family, and checks a target from the one of the target's.

    Where they cannot be told apart by AWS's description of them, an address of each of its subnets stands for it.
    """
    groups = balancer.security_groups if balancer.security_groups or balancer.type == "network" else None
    wanted = interface_description(balancer.arn)
    found = [
        path.Endpoint(address, i.subnet_id, groups)
        for i in route.network.interfaces.peek() or ()
        if i.description == wanted
        for address in _one_of_each_family(i.private_ips)
    ]
    if found:
        return found
    subnets = {s.id: s for s in route.network.subnets.peek() or ()}
    return [
        path.Endpoint(str(ipaddress.ip_network(cidr)[5]), identifier, groups)
        for identifier in balancer.zones.values()
        for cidr in (_one_of_each_family(subnets[identifier].cidrs) if identifier in subnets else ())
    ]


def _one_of_each_family(texts: Iterable[str]) -> tuple[str, ...]:
    """The first IPv4 and the first IPv6 one of addresses or CIDRs."""
    first = {":" in text: text for text in reversed(tuple(texts))}
    return tuple(first[six] for six in (False, True) if six in first)


def target_end(route: Route, target: TargetHealth) -> path.Endpoint:
    """Where a target's packets arrive: an instance's primary interface, or the interface that holds the address."""
    interfaces = route.network.interfaces.peek() or ()
    if target.id.startswith("i-"):
        primary = path.primary_interface(target.id, interfaces)
        node = route.node_of(target)
        if primary is None:
            return path.Endpoint(node.internal_ip if node is not None else "0.0.0.0")
        group = route.target_group.peek()
        six = group is not None and group.ip_address_type == "ipv6"
        address = next((a for a in primary.private_ips if (":" in a) == six), primary.private_ips[0])
        return path.Endpoint.of(primary, address)
    return path.endpoint_at(target.id, interfaces)


def _interface_of(route: Route, address: str) -> NetworkInterface | None:
    return next((i for i in route.network.interfaces.peek() or () if address in i.private_ips), None)


class _Last:
    """The verdicts of the route that was looked at last: several checks ask for the same ones in a row."""

    route: Route | None = None
    blocked: tuple[Blocked, ...] = ()


def blocked(route: Route) -> tuple[Blocked, ...]:
    """Every filter that blocks the way to a suspect target, first hop and second."""
    if _Last.route is not route:
        _Last.blocked = tuple(_blocked(route))
        _Last.route = route
    return _Last.blocked


def _blocked(route: Route) -> Iterator[Blocked]:
    targets, silent = suspects(route), unchecked(route)
    balancer = route.load_balancer.need()
    if not (targets or silent) or balancer is None:
        return
    everything = world(route)
    fronts = sources(route, balancer)
    for target in (*targets, *silent):
        end = target_end(route, target)
        interface = _interface_of(route, end.address)
        branch = interface is not None and "branch-eni" in interface.description
        codes = path.TO_POD_GROUPS if branch else path.FROM_LOAD_BALANCER
        reached = cut = False
        for port in _ports(route, target):
            if target.state != "healthy" and port == target.port and not cut and str(port) != target.check_port:
                break  # The check is not stopped by a filter: what stands on the other port is not why it fails.
            for front in fronts:
                if ipaddress.ip_address(front.address).version != ipaddress.ip_address(end.address).version:
                    continue
                verdict = path.evaluate(front, end, "tcp", port, everything, codes)
                reached = reached or verdict.answer in (Answer.ALLOWED, Answer.PARTIAL)
                for hop in verdict.blocking:
                    cut = True
                    yield Blocked(target, hop, front.address, end.address, port)
        if reached and target.id.startswith("i-"):
            yield from _second_hop(route, target, end, everything)


def _ports(route: Route, target: TargetHealth) -> tuple[int, ...]:
    """The ports of a target that the load balancer must reach and that no healthy check vouches for."""
    checked = int(target.check_port) if target.check_port.isdigit() else target.port
    if target.state == "healthy":
        return (target.port,)
    return (checked,) if preserves_clients(route) else tuple(dict.fromkeys((checked, target.port)))


def _second_hop(
    route: Route, target: TargetHealth, node_end: path.Endpoint, everything: path.NetworkWorld
) -> Iterator[Blocked]:
    """From the node of an instance target to ready pods on other nodes; kube-proxy gives them the node's address."""
    service = route.service.need()
    node = route.node_of(target)
    if service is None or node is None or service.external_traffic_policy == "Local":
        return
    if target.state != "healthy" and checked_pod_port(route, target) is None:
        return
    for endpoint in route.ready_endpoints():
        # kube-proxy leads a node port to endpoints of the packet's own family.
        if endpoint.node == node.meta.name or (":" in endpoint.address) != (":" in node_end.address):
            continue
        end = path.endpoint_at(endpoint.address, route.network.interfaces.peek() or ())
        verdict = path.evaluate(node_end, end, "tcp", endpoint.port, everything, path.SECOND_HOP)
        for hop in verdict.blocking:
            yield Blocked(target, hop, node_end.address, endpoint.address, endpoint.port, second=True)


def _needed(route: Route) -> None:
    """Stop a check on routes that it has nothing to say about, before anything of EC2 is opened."""
    if route.target_group.need() is None or not (suspects(route) or unchecked(route)):
        raise NotApplicable("no target fails for a reason that a filter would explain")


def _findings(route: Route, code: str, facts: tuple[Fact[object], ...]) -> Iterator[Finding]:
    """One finding per filter that blocks, with all the targets that it cuts off."""
    _needed(route)
    grouped: dict[tuple[str, str, str], list[Blocked]] = defaultdict(list)
    for entry in blocked(route):
        if entry.hop.code == code:
            grouped[(entry.hop.owner, entry.hop.filter.value, _missing(entry))].append(entry)
    for (owner, _, _), entries in grouped.items():
        yield _finding(route, code, owner, entries)
    for fact in facts:
        fact.need()


def _missing(entry: Blocked) -> str:
    """What is missing, without the target: equal needs of several targets are one cause."""
    remedy = entry.hop.remedy
    if isinstance(remedy, GroupRemedy):
        return f"{remedy.group_id} {remedy.direction.value}"
    if isinstance(remedy, AclRemedy):
        return f"{remedy.acl_id} {remedy.egress}"
    return ""


def _finding(route: Route, code: str, owner: str, entries: list[Blocked]) -> Finding:
    first = entries[0]
    remedy, detail = first.hop.remedy, first.hop.detail
    targets = tuple(dict.fromkeys(e.target.key for e in entries))
    total = len(route.targets())
    state = first.target.reason or f"healthy on port {first.target.check_port}; traffic goes to {first.target.port}"
    evidence = [Evidence("target group", f"{len(targets)} of {total} targets: {state}")]
    way = f"{first.source} -> {first.destination}:{first.port}"
    evidence.append(Evidence("path", f"{way}{' (node to pod)' if first.second else ''}"))
    params = {"owner": owner, "port": str(first.port), "what": "", "peer": first.source}
    ref = ObjectRef("SecurityGroup", "", owner.split(",")[0])
    if isinstance(remedy, GroupRemedy):
        side = "from" if remedy.direction is Direction.INGRESS else "to"
        needs = [e.hop.remedy for e in entries if isinstance(e.hop.remedy, GroupRemedy)]
        ports = ", ".join(dict.fromkeys(str(need.ports) for need in needs))
        peers = dict.fromkeys(n.peer if n.peer.startswith("sg-") else _cidr_of(route, n.peer) for n in needs)
        params["what"] = f"TCP {ports} {side} {', '.join(peers)}"
        ref = ObjectRef("SecurityGroup", "", remedy.group_id)
        evidence += _rules(route, owner, remedy)
    elif isinstance(detail, AclVerdict):
        entry = detail.denied_by
        by_user = entry is not None and entry.number < IMPLICIT
        number = f"entry {entry.number} (deny {entry.cidr})" if entry and by_user else "no entry that allows it"
        denied = ", ".join(map(str, detail.denied))
        direction = "outbound" if detail.egress else "inbound"
        params["what"] = f"{direction} TCP {denied}: {number}"
        ref = ObjectRef("NetworkAcl", "", owner)
        subnets = [a.subnets for a in route.network.acls.peek() or () if a.id == owner]
        evidence.append(Evidence(f"network ACL {owner}", f"of {', '.join(subnets[0]) if subnets else 'the subnet'}"))
    else:
        ref = ObjectRef("RouteTable", "", owner)
        params["what"] = f"no usable route for {way}"
    every_hop = path.PathVerdict(Answer.DENIED, tuple(e.hop for e in entries), ())
    binding = route.binding.peek()
    managed = code == "LBD501" and binding is not None and binding.networking is not None
    remedies = path.repairs([every_hop], world(route))
    changes = [change_of(remedy, route.context.region, managed) for remedy in remedies]
    made = tuple(change for change in changes if change is not None)
    why = f"{len(targets)} of {total} targets time out" if first.target.reason == TIMEOUT else params["what"]
    repairs = (Repair("rule" if isinstance(remedy, GroupRemedy) else "entry", made).because(why),) if made else ()
    return Finding(
        code,
        ref,
        params=params,
        evidence=tuple(evidence),
        targets=targets,
        repairs=repairs,
        # One filter that stays closed makes opening the others useless: then a person decides.
        fix_automatic=bool(made) and len(made) == len(remedies),
        confirm=_confirm(ref),
        rules_out=_RULES_OUT,
    )


def _cidr_of(route: Route, cidr: str) -> str:
    name = next((s.tags.get("Name", "") for s in route.network.subnets.peek() or () if cidr in s.cidrs), "")
    return f"{cidr} ({name})" if name else cidr


def _rules(route: Route, owner: str, remedy: GroupRemedy) -> Iterator[Evidence]:
    """What the groups do admit, for the reader to see that nothing else fits."""
    for group in route.network.security_groups.peek() or ():
        if group.id not in owner.split(","):
            continue
        rules = group.ingress if remedy.direction is Direction.INGRESS else group.egress
        texts = []
        for rule in rules[:4]:
            ports = "all ports" if rule.from_port is None else f"{rule.from_port}-{rule.to_port}"
            texts.append(f"{rule.protocol} {ports} {','.join((*rule.groups, *rule.cidrs, *rule.prefix_lists)) or '-'}")
        more = f" and {len(rules) - 4} more" if len(rules) > 4 else ""
        yield Evidence(f"{group.id}", f"{remedy.direction.value}: {'; '.join(texts) or 'no rule'}{more}")


def _confirm(ref: ObjectRef) -> tuple[str, ...]:
    if ref.kind == "SecurityGroup":
        return (f"aws ec2 describe-security-groups --group-ids {ref.name}",)
    if ref.kind == "NetworkAcl":
        return (f"aws ec2 describe-network-acls --network-acl-ids {ref.name}",)
    return (f"aws ec2 describe-route-tables --route-table-ids {ref.name}",) if ref.name else ()


def _group_facts(route: Route) -> tuple[Fact[object], ...]:
    net = route.network
    return (net.interfaces, net.security_groups, net.prefix_lists)  # type: ignore[return-value]


def _acl_facts(route: Route) -> tuple[Fact[object], ...]:
    net = route.network
    return (net.interfaces, net.subnets, net.acls)  # type: ignore[return-value]


@check(
    "LBD501",
    title="a security group of the target admits the load balancer",
    severity=Severity.ERROR,
    message="no security group of the targets ({owner}) admits the load balancer: {what} is missing",
    reads=_READS,
    explains=("LBD607",),
    fix="security-group",
)
def target_groups_block(route: Route) -> Iterator[Finding]:
    """The rules of all security groups of the target's interface together do not admit the load balancer on the checked
    port, so the packets are dropped and the check times out.

    The controller writes this rule itself, unless the load balancer has security groups of its own choosing
    (annotation `security-groups`) without `manage-backend-security-group-rules: "true"`, or the rule was removed by
    hand: it does not put it back before the binding changes or its sync period (10 h) ends.

    Confirm by hand: `aws ec2 describe-security-groups --group-ids ID`. Repair: add the named rule to one of the
    target's groups, for the load balancer's group and this port only.
    """
    for finding in _findings(route, "LBD501", _group_facts(route)):
        binding = route.binding.peek()
        if binding is None or binding.networking is not None:
            yield finding
            continue
        yield _unmanaged(route, finding)


def _unmanaged(route: Route, finding: Finding) -> Finding:
    """The controller writes no rules for this binding: say why, and name the annotation."""
    ingress, service = route.ingress.peek(), route.service.peek()
    front, prefix = (ingress, ALB_PREFIX) if ingress is not None else (service, NLB_PREFIX)
    if front is None:
        return finding
    key = prefix + "manage-backend-security-group-rules"
    chosen = prefix + "security-groups" in front.meta.annotations
    why = "annotation security-groups is set" if chosen else "its spec.networking is empty"
    ref = ObjectRef("Ingress" if ingress is not None else "Service", front.meta.namespace, front.meta.name)
    evidence = Evidence("targetgroupbinding", f"{why}, so the controller writes no backend rules")
    repairs = finding.repairs
    if chosen:
        change = annotate(ref, front.meta.annotations, {key: "true"})
        why = "the controller then keeps the backend rules for the chosen groups itself"
        repairs = (*repairs, Repair("annotation", (change,)).because(why, "needs the controller's backend group"))
    return replace(finding, evidence=(*finding.evidence, evidence), repairs=repairs)


@check(
    "LBD502",
    title="nodes admit each other",
    severity=Severity.ERROR,
    message="nodes do not admit each other: {owner} lacks {what}, so a NodePort reaches no pod on another node",
    reads=_READS,
    explains=("LBD607",),
    fix="node-security-group",
)
def nodes_block_each_other(route: Route) -> Iterator[Finding]:
    """With instance targets the node that was asked hands the packet on to any node with a pod. Where the nodes' groups
    do not admit each other (node groups with groups of their own, custom networking), checks of nodes without a local
    pod time out, and others do so now and then.

    Confirm by hand: compare the groups of healthy and unhealthy instances. Repair: admit the other node group's
    security group inbound, or use `target-type: ip`, which has no second hop.
    """
    for finding in _findings(route, "LBD502", _group_facts(route)):
        yield _with_node_groups(route, finding)


def _with_node_groups(route: Route, finding: Finding) -> Finding:
    """The groups of healthy and of unhealthy instances side by side."""
    extra = []
    for word, wanted in (("healthy", "healthy"), ("unhealthy", "unhealthy")):
        groups: set[str] = set()
        nodes: list[str] = []
        for target in route.targets():
            interface = path.primary_interface(target.id, route.network.interfaces.peek() or ())
            node = route.node_of(target)
            if target.state.startswith(wanted) and interface is not None:
                groups |= set(interface.security_groups)
                nodes.append(node.meta.name if node is not None else target.id)
        if nodes:
            extra.append(Evidence(f"{word} nodes", f"{', '.join(nodes[:5])}: groups {', '.join(sorted(groups))}"))
    return replace(finding, evidence=(*finding.evidence, *extra))


@check(
    "LBD503",
    title="the load balancer's security group lets its checks out",
    severity=Severity.ERROR,
    message="the load balancer's security groups ({owner}) have no outbound rule for its targets: {what} is missing",
    reads=_READS,
    explains=("LBD607",),
    fix="lb-egress",
)
def balancer_egress_blocks(route: Route) -> Iterator[Finding]:
    """The load balancer's own security groups do not let it connect to the target on the checked port.

    Confirm by hand: the outbound rules of the load balancer's groups. Repair: an outbound rule to the target's group.
    """
    yield from _findings(route, "LBD503", _group_facts(route))


@check(
    "LBD514",
    title="the pod's own security group admits the load balancer",
    severity=Severity.ERROR,
    message="the pods' own security groups ({owner}) do not admit the load balancer: {what} is missing",
    reads=_READS,
    explains=("LBD607",),
    fix="security-group",
)
def pod_groups_block(route: Route) -> Iterator[Finding]:
    """The pods have security groups of their own (SecurityGroupPolicy, a branch interface), which replace the node's
    groups; they do not admit the load balancer.

    Confirm by hand: `kubectl get securitygrouppolicy` and the groups' inbound rules. Repair: add the named rule.
    """
    yield from _findings(route, "LBD514", _group_facts(route))


@check(
    "LBD507",
    title="network ACLs let the load balancer's requests pass",
    severity=Severity.ERROR,
    message="network ACL {owner} denies the load balancer's checks {what}",
    reads=_READS,
    explains=("LBD607",),
    fix="network-acl",
)
def acl_denies_request(route: Route) -> Iterator[Finding]:
    """A network ACL at the border of the load balancer's or the target's subnet denies the request. ACLs are asked at
    subnet borders only, by ascending number, and the first entry that matches decides.

    Confirm by hand: `aws ec2 describe-network-acls`. Repair: an allow entry with a lower number than the deny.
    """
    yield from _findings(route, "LBD507", _acl_facts(route))


@check(
    "LBD508",
    title="network ACLs let the replies return",
    severity=Severity.ERROR,
    message="network ACL {owner} denies the replies to the load balancer: {what}",
    reads=_READS,
    explains=("LBD607",),
    fix="network-acl",
)
def acl_denies_return(route: Route) -> Iterator[Finding]:
    """ACLs know no connections: the replies, from the checked port to the load balancer's ephemeral ports 1024-65535,
    need entries of their own, outbound at the target's subnet and inbound at the load balancer's.

    Confirm by hand: `aws ec2 describe-network-acls`. Repair: allow TCP 1024-65535 to the load balancer's subnets.
    """
    yield from _findings(route, "LBD508", _acl_facts(route))


@check(
    "LBD509",
    title="load balancer and targets have routes to each other",
    severity=Severity.ERROR,
    message="route table {owner} leads nowhere between load balancer and targets: {what}",
    reads=_READS,
    explains=("LBD607",),
)
def no_route(route: Route) -> Iterator[Finding]:
    """Within one VPC every route table has a local route. Targets in another VPC or network need routes both ways that
    are not blackholes.

    Confirm by hand: `aws ec2 describe-route-tables`. Repair: a route over the peering connection or transit gateway.
    """
    net = route.network
    facts: tuple[Fact[object], ...] = (net.interfaces, net.route_tables)  # type: ignore[assignment]
    yield from _findings(route, "LBD509", facts)


@check(
    "LBD513",
    title="NetworkPolicies admit the load balancer",
    severity=Severity.ERROR,
    message="NetworkPolicy {policy} selects the pods and does not admit {who} on port {port}{excluded}",
    reads=(*_READS, reads.NETWORK_POLICIES),
    explains=("LBD607",),
)
def policy_blocks(route: Route) -> Iterator[Finding]:
    """A NetworkPolicy selects the pods, and none that does admits the addresses of the load balancer (`ip` targets) or
    of the other nodes (`instance` targets). Namespace and pod selectors never match a load balancer; it needs an
    ipBlock with its subnets.

    Only where a network policy engine is switched on; the reason code must allow for it. Confirm by hand:
    `kubectl get networkpolicy -n NAMESPACE`. Repair: an ingress rule with the load balancer's subnets and the port.
    """
    _needed(route)
    everything = route.facts.policies.need()
    balancer = route.load_balancer.need()
    if not everything or balancer is None or blocked(route):
        return
    denied: dict[str, list[tuple[TargetHealth, policies.PolicyVerdict, str, int]]] = defaultdict(list)
    for target in suspects(route):
        for pod, address, port, cidr in _policy_paths(route, balancer, target):
            verdict = policies.admits(everything, pod, address, port, name_as=cidr)
            if verdict.answer is Answer.DENIED:
                denied[", ".join(verdict.selecting)].append((target, verdict, cidr or address, port))
    for names, entries in denied.items():
        _, verdict, who, port = entries[0]
        missing = verdict.missing
        ref = ObjectRef("NetworkPolicy", route.namespace, names.split(", ")[0])
        cut = tuple(dict.fromkeys(target.key for target, *_ in entries))
        by_hand: tuple[str, ...] = ()
        if missing is not None:
            patch = json.dumps(missing.patch(), sort_keys=True)
            words = ("patch", f"networkpolicy/{missing.policy}", "--type=json", "-p", patch)
            by_hand = (kubectl(*words, namespace=missing.namespace or route.namespace),)
        yield Finding(
            "LBD513",
            ref,
            params={
                "policy": names,
                "who": who,
                "port": str(port),
                "excluded": f" (except {verdict.excluded_by})" if verdict.excluded_by else "",
            },
            evidence=(Evidence("target group", f"{len(cut)} of {len(route.targets())}: {entries[0][0].reason}"),),
            targets=cut,
            confirm=(kubectl("get", "networkpolicy", "-o", "yaml", namespace=route.namespace),),
            by_hand=by_hand,
        )


def _policy_paths(route: Route, balancer: LoadBalancer, target: TargetHealth) -> Iterator[tuple[Pod, str, int, str]]:
    """(pod, source address, pod port, CIDR that names the source) of the packets that reach pods for this target."""
    subnets = {s.id: s.cidrs for s in route.network.subnets.peek() or ()}
    if route.target_type == "ip":
        pod = route.pod_of(target)
        port = int(target.check_port) if target.check_port.isdigit() else target.port
        for front in sources(route, balancer) if pod is not None else ():
            six = ":" in front.address
            cidr = next((c for c in subnets.get(front.subnet_id or "", ()) if (":" in c) == six), "")
            if pod is not None and six == (":" in target.id):
                yield pod, front.address, port, cidr
        return
    node = route.node_of(target)
    pods = {p.meta.name: p for p in route.matching_pods()}
    for endpoint in route.ready_endpoints() if node is not None else ():
        pod = pods.get(endpoint.pod)
        if pod is None or node is None or endpoint.node == node.meta.name:
            continue
        if (":" in endpoint.address) == (":" in node.internal_ip):
            yield pod, node.internal_ip, endpoint.port, ""
