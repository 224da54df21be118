"""LBD5xx: which filter between load balancer and pod drops the packets.

Only targets whose reason allows for a filter are evaluated: Target.Timeout, and on a Network Load Balancer also
Target.FailedHealthChecks, which it reports for everything. A rule that looks missing while targets answer is no cause,
unless it is for a port that nobody has asked: traffic whose check goes to another port.
Both directions of every path from each of the load balancer's interfaces are followed; with instance targets also the
second hop, from the node that a NodePort was reached on to pods on other nodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from kubectl_lbdoctor.analysis.aws_changes import change_of
from kubectl_lbdoctor.analysis.balancer_settings import BACKEND_RULES, SECURITY_GROUPS, balancer_settings
from kubectl_lbdoctor.analysis.blocked_paths import READS as PATH_READS
from kubectl_lbdoctor.analysis.blocked_paths import (
    Blocked,
    blocked,
    sources,
    suspects,
    unchecked,
    world,
    world_of,
)
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.policy_engine import Enforcement, may_be_filtered, policy_engine
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import annotate, describe_load_balancer, kubectl
from kubectl_lbdoctor.checks import policy_traffic, wording
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.knowledge.annotation_rules.linted import truth
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import LoadBalancer, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact, NotApplicable, Unknown, recording
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Param, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, TargetGroupBinding
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.target_reasons import TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import network_policies, path
from kubectl_lbdoctor.network.acls import IMPLICIT, AclRemedy, AclVerdict
from kubectl_lbdoctor.network.matching import Answer, network_of
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy, ports_of
from kubectl_lbdoctor.record import record

# What a security group lacks, and what a network ACL denies.
_RULE = "TCP {ports} {direction:egress=to|ingress=from} {peers}"
_ASKED = "{direction} TCP {ports}"
_ENTRY = f"{_ASKED}: {{entry:?no entry that allows it}}"
_RULES_OUT = "the application: no packet reaches it, or no reply returns"


def _needed(traffic: TrafficPath) -> None:
    """Stop a check on paths that it has nothing to say about, before anything of EC2 is opened."""
    if traffic.target_type == "alb":
        raise NotApplicable("the target is a load balancer, whose own path is looked at")
    if traffic.target_group.need() is None or not (suspects(traffic) or unchecked(traffic)):
        raise NotApplicable("no target fails for a reason that a filter would explain")


def _findings(traffic: TrafficPath, code: str, facts: tuple[Fact[object], ...]) -> Iterator[Finding]:
    """One finding per filter that blocks, with all the targets that it cuts off."""
    for entries in _by_filter(traffic, code, facts):
        yield _finding(traffic, code, entries)


def _by_filter(traffic: TrafficPath, code: str, facts: tuple[Fact[object], ...]) -> Iterator[list[Blocked]]:
    """What each filter that blocks cuts off."""
    _needed(traffic)
    grouped: dict[object, list[Blocked]] = defaultdict(list)
    for entry in blocked(traffic):
        if entry.hop.code == code:
            grouped[(entry.hop.owner, entry.hop.filter, _missing(entry))].append(entry)
    yield from grouped.values()
    for fact in facts:
        fact.need()


def _missing(entry: Blocked) -> tuple[object, ...]:
    """What is missing, without the target: equal needs of several targets are one cause."""
    remedy = entry.hop.remedy
    if isinstance(remedy, GroupRemedy):
        return remedy.group_id, remedy.direction
    if isinstance(remedy, AclRemedy):
        return remedy.acl_id, remedy.egress
    return ()


@record
class _Filter:
    """The filter that blocks: its object, the params that say what it lacks or does, what was read of it, and that in
    a few words."""

    ref: ObjectRef
    params: Mapping[str, Param]
    evidence: tuple[Evidence, ...]
    what: str


def _finding(traffic: TrafficPath, code: str, entries: list[Blocked]) -> Finding:
    first = entries[0]
    targets = tuple(dict.fromkeys(e.target.key for e in entries))
    share = f"{part_of(len(targets), len(traffic.targets()))}"
    state = first.target.reason or f"healthy on port {first.target.check_port}; traffic goes to {first.target.port}"
    found = _filter(traffic, entries)
    remedies, made = _changes(traffic, code, entries)
    why = f"{share} time out" if first.target.reason == TIMEOUT else found.what
    name = "rule" if isinstance(first.hop.remedy, GroupRemedy) else "entry"
    return Finding(
        code,
        found.ref,
        params={"owner": first.hop.owner, "port": str(first.port), "peer": first.source, **found.params},
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{share}: {state}"),
            Evidence(Source.PATH, f"{_way(first)}{' (node to pod)' if first.second else ''}"),
            *found.evidence,
        ),
        targets=targets,
        repairs=(Repair(name, made).with_reason(why),) if made else (),
        # One filter that stays closed makes opening the others useless: then a person decides.
        fix_automatic=bool(made) and len(made) == remedies,
        confirm=_confirm(found.ref, traffic.context.region),
        rules_out=_RULES_OUT,
        of_user=not _managed(traffic),
        explains=("LBD508",) if code == "LBD507" and _meets_few_replies(traffic, entries) else (),
    )


_FEW = 100


def _meets_few_replies(traffic: TrafficPath, requests: list[Blocked]) -> bool:
    """Whether the entry that denies the requests is all that denies replies, too, and hardly any of them: where load
    balancer and targets share subnets, it meets those to the one port that it is about."""
    replies = [e.hop.detail for e in blocked(traffic) if e.hop.code == "LBD508"]
    verdicts = [detail for detail in replies if isinstance(detail, AclVerdict)]
    own = {(d.acl_id, d.denied_by) for e in requests if isinstance(d := e.hop.detail, AclVerdict)}
    few = all(sum(ports.last - ports.first + 1 for ports in verdict.denied) <= _FEW for verdict in verdicts)
    return bool(verdicts) and few and all((v.acl_id, v.denied_by) in own for v in verdicts)


def _managed(traffic: TrafficPath) -> bool:
    """Whether the controller writes the rules of the targets' groups: where a binding asks it to."""
    binding = traffic.binding.peek()
    return binding is not None and binding.networking is not None


def _way(entry: Blocked) -> str:
    """From where to where the packets go that are dropped: those of the request, or of its reply."""
    if entry.hop.filter in _OF_REPLIES:
        return f"{entry.destination}:{entry.port} -> {entry.source}"
    return f"{entry.source} -> {entry.destination}:{entry.port}"


_OF_REPLIES = (path.Filter.RETURN_ACL_OUT, path.Filter.RETURN_ROUTE, path.Filter.RETURN_ACL_IN)


def _changes(traffic: TrafficPath, code: str, entries: list[Blocked]) -> tuple[int, tuple[Change, ...]]:
    """How many remedies there are, and the changes for those that can be made."""
    every_hop = path.PathVerdict(Answer.DENIED, tuple(e.hop for e in entries), ())
    managed = code == "LBD501" and _managed(traffic)
    with recording():  # The other paths choose numbers, and are not what the check rests on.
        numbered = _entries_to_add(traffic.snapshot)
    remedies = [numbered.get(_unnumbered(r), r) for r in path.repairs([every_hop], world(traffic))]
    changes = (change_of(remedy, traffic.context.region, managed) for remedy in remedies)
    return len(remedies), tuple(change for change in changes if change is not None)


@derived
def _entries_to_add(snapshot: Snapshot) -> Mapping[path.Remedy, path.Remedy]:
    """What network ACLs lack on all paths, by what it is without its number. Numbers are given once for all: one entry
    for requests and one for replies, or those for two ports, are different causes and are made one after the other."""
    denied = []
    for traffic in traffic_paths(snapshot):
        with suppress(Unknown):
            hops = tuple(e.hop for e in blocked(traffic) if isinstance(e.hop.remedy, AclRemedy))
            denied.append(path.PathVerdict(Answer.DENIED, hops, ()))
    return {_unnumbered(remedy): remedy for remedy in path.repairs(denied, world_of(snapshot.network))}


def _unnumbered(remedy: path.Remedy) -> path.Remedy:
    return replace(remedy, number=None, before=0) if isinstance(remedy, AclRemedy) else remedy


def _filter(traffic: TrafficPath, entries: list[Blocked]) -> _Filter:
    hop = entries[0].hop
    if isinstance(hop.remedy, GroupRemedy):
        return _of_groups(traffic, hop, hop.remedy, entries)
    if isinstance(hop.detail, AclVerdict):
        return _of_acl(traffic, hop.owner, hop.detail)
    way = _way(entries[0])
    return _Filter(ObjectRef("RouteTable", "", hop.owner), {"way": way}, (), f"no usable route for {way}")


def _of_groups(traffic: TrafficPath, hop: path.Hop, remedy: GroupRemedy, entries: list[Blocked]) -> _Filter:
    needs = _group_remedies(entries)
    ports = tuple(dict.fromkeys(str(need.ports) for need in needs))
    peers = tuple(dict.fromkeys(n.peer if n.peer.startswith("sg-") else _cidr_of(traffic, n.peer) for n in needs))
    params: dict[str, Param] = {"direction": remedy.direction.value, "ports": ports, "peers": peers}
    words = wording.render(_RULE, params)
    inside = peers == (hop.owner,)
    params |= {"shared": hop.owner if inside else "", "others": () if inside else peers}
    ref = ObjectRef("SecurityGroup", "", remedy.group_id)
    return _Filter(ref, params, tuple(_rules(traffic, hop, remedy)), words)


def _group_remedies(entries: Iterable[Blocked]) -> list[GroupRemedy]:
    return [entry.hop.remedy for entry in entries if isinstance(entry.hop.remedy, GroupRemedy)]


def _of_acl(traffic: TrafficPath, identifier: str, verdict: AclVerdict) -> _Filter:
    entry = verdict.denied_by
    by_user = entry is not None and entry.number < IMPLICIT
    params: dict[str, Param] = {
        "direction": "outbound" if verdict.egress else "inbound",
        "ports": tuple(map(str, verdict.denied)),
        "entry": f"entry {entry.number} (deny {entry.cidr})" if entry and by_user else "",
    }
    subnets = next((a.subnets for a in traffic.network.acls.peek() or () if a.id == identifier), ())
    asked = wording.render(_ASKED, params)
    shown = Evidence(f"network ACL {identifier}", f"{asked}, of {', '.join(subnets) or 'the subnet'}")
    return _Filter(ObjectRef("NetworkAcl", "", identifier), params, (shown,), wording.render(_ENTRY, params))


def _cidr_of(traffic: TrafficPath, cidr: str) -> str:
    name = next((s.tags.get("Name", "") for s in traffic.network.subnets.peek() or () if cidr in s.cidrs), "")
    return f"{cidr} ({name})" if name else cidr


def _rules(traffic: TrafficPath, hop: path.Hop, remedy: GroupRemedy) -> Iterator[Evidence]:
    """What the groups do admit, for the reader to see that nothing else fits."""
    for group in traffic.network.security_groups.peek() or ():
        if group.id not in hop.owners:
            continue
        rules = group.ingress if remedy.direction is Direction.INGRESS else group.egress
        texts = []
        for rule in rules[:4]:
            peers = ",".join((*rule.groups, *rule.cidrs, *rule.prefix_lists)) or "-"
            texts.append(f"{ports_of(rule)} {'from' if remedy.direction is Direction.INGRESS else 'to'} {peers}")
        more = f" and {len(rules) - 4} more" if len(rules) > 4 else ""
        yield Evidence(f"{group.id}", f"{remedy.direction.value}: {'; '.join(texts) or 'no rule'}{more}")


def _confirm(ref: ObjectRef, region: str) -> tuple[str, ...]:
    if ref.kind == "SecurityGroup":
        return (aws("ec2", "describe-security-groups", "--group-ids", ref.name, region=region),)
    if ref.kind == "NetworkAcl":
        return (aws("ec2", "describe-network-acls", "--network-acl-ids", ref.name, region=region),)
    return (aws("ec2", "describe-route-tables", "--route-table-ids", ref.name, region=region),) if ref.name else ()


def _group_facts(traffic: TrafficPath) -> tuple[Fact[object], ...]:
    net = traffic.network
    return (net.interfaces, net.security_groups, net.prefix_lists)  # type: ignore[return-value]


def _acl_facts(traffic: TrafficPath) -> tuple[Fact[object], ...]:
    net = traffic.network
    return (net.interfaces, net.subnets, net.acls)  # type: ignore[return-value]


@check(
    "LBD501",
    title="no security group of the target admits the load balancer",
    passes="a security group of the target admits the load balancer",
    severity=Severity.ERROR,
    message="targets do not admit the load balancer: no TCP {ports} {direction:egress=to|ingress=from} {peers:,1}",
    reads=(*PATH_READS, *GATEWAY_READS),
    explains=("LBD607",),
    fix="security-group",
    distinct_by=("direction", "ports", "peers"),
)
def target_groups_block(traffic: TrafficPath) -> Iterator[Finding]:
    """The rules of all security groups of the target's interface together do not admit the load balancer on the checked
    port, so the packets are dropped and the check times out.

    The controller writes this rule itself, unless the load balancer has security groups of its own choosing
    (annotation `security-groups`; `securityGroups` of a Gateway's LoadBalancerConfiguration) without
    `manage-backend-security-group-rules: "true"` (`manageBackendSecurityGroupRules`), or is told
    `manage-backend-security-group-rules: "false"` for one that has none, or the rule was removed by
    hand: it does not put it back before the binding changes or its sync period (10 h) ends.

    Confirm by hand: `aws ec2 describe-security-groups --group-ids ID`. Repair: add the named rule to one of the
    target's groups, for the load balancer's group and this port only.
    """
    for entries in _by_filter(traffic, "LBD501", _group_facts(traffic)):
        finding = _finding(traffic, "LBD501", entries)
        binding = traffic.binding.peek()
        if binding is None:
            yield finding
        elif binding.networking is None:
            yield _unmanaged(traffic, finding)
        else:
            yield _managed_otherwise(traffic, finding, binding, _group_remedies(entries))


def _managed_otherwise(
    traffic: TrafficPath, finding: Finding, binding: TargetGroupBinding, missing: Sequence[GroupRemedy]
) -> Finding:
    """The controller writes the rules that the binding asks for, and they do not admit the load balancer: because a
    person's binding asks for others, or because somebody has taken the group that they admit from the load balancer."""
    asked = tuple(_asked_rules(binding))
    balancer = traffic.load_balancer.peek()
    if not binding.is_generated:
        if _asks_for(missing, binding):
            return finding
        said = Evidence(str(binding.ref), f"spec.networking admits {'; '.join(asked) or 'nobody'}")
        return replace(
            finding,
            object=binding.ref,
            evidence=(*finding.evidence, said),
            advice="let spec.networking of the binding admit the load balancer on the port of the pods, not on that of "
            "the Service: the controller then keeps the rule itself",
        )
    groups = {group for entry in binding.networking or () for group in _sources(entry, "securityGroup", "groupID")}
    if balancer is None or not groups or groups & set(balancer.security_groups):
        return finding
    lost = ", ".join(sorted(groups))
    return replace(
        finding,
        object=ObjectRef("LoadBalancer", "", balancer.name),
        evidence=(
            *finding.evidence,
            Evidence(str(binding.ref), f"spec.networking admits {lost}"),
            Evidence(reads.LOAD_BALANCERS, f"has {', '.join(balancer.security_groups) or 'no group'}"),
        ),
        repairs=(),
        fix_automatic=False,
        confirm=(describe_load_balancer(balancer.arn, traffic.context.region),),
        by_hand=looked_at_again(traffic),
        advice=f"somebody took {lost} from the load balancer in AWS: the controller attaches its groups again when the "
        "object changes",
    )


def _asks_for(missing: Sequence[GroupRemedy], binding: TargetGroupBinding) -> bool:
    """Whether a rule that the binding asks for would admit what is missing; what cannot be told counts as such."""
    ports, peers = {str(need.ports) for need in missing}, {need.peer for need in missing}
    for entry in binding.networking or ():
        open_to = _ports(entry)
        if open_to and all(p.isdigit() for p in open_to) and any(p.isdigit() and p not in open_to for p in ports):
            continue
        groups, blocks = _sources(entry, "securityGroup", "groupID"), _sources(entry, "ipBlock", "cidr")
        if all(peer in groups or any(_holds(block, peer) for block in blocks) for peer in peers):
            return True
    return False


def _holds(block: str, peer: str) -> bool:
    """Whether an address block holds another one; that of a security group's members is not known here."""
    if peer.startswith("sg-"):
        return True
    try:
        wide, narrow = network_of(block), network_of(peer)
    except Unknown:
        return True
    first, last = int(wide.network_address), int(wide.broadcast_address)
    return wide.version == narrow.version and first <= int(narrow.network_address) <= last


def _asked_rules(binding: TargetGroupBinding) -> Iterator[str]:
    for entry in binding.networking or ():
        peers = [*_sources(entry, "securityGroup", "groupID"), *_sources(entry, "ipBlock", "cidr")]
        yield f"{', '.join(peers) or 'nobody'} on {', '.join(_ports(entry)) or 'any port'}"


def _ports(entry: Mapping[str, object]) -> list[str]:
    """The ports that one entry opens, as they are written; none for all of them."""
    listed = entry.get("ports")
    ports = [port.get("port") for port in listed if isinstance(port, Mapping)] if isinstance(listed, Sequence) else []
    return [] if None in ports else [str(port) for port in ports]


def _sources(entry: Mapping[str, object], kind: str, name: str) -> list[str]:
    """The security groups, or the address blocks, that one entry of a binding's networking admits."""
    listed = entry.get("from")
    peers = [peer.get(kind) for peer in listed if isinstance(peer, Mapping)] if isinstance(listed, Sequence) else []
    return [str(peer[name]) for peer in peers if isinstance(peer, Mapping) and peer.get(name)]


def _unmanaged(traffic: TrafficPath, finding: Finding) -> Finding:
    """The controller writes no rules for this binding: say why, and name what makes it write them."""
    if traffic.backend is not None and traffic.backend.route is not None:
        return _unmanaged_of_gateway(traffic, finding)
    ingress, service = traffic.ingress.peek(), traffic.service.peek()
    front, prefix = (ingress, ALB_PREFIX) if ingress is not None else (service, NLB_PREFIX)
    if front is None:
        return finding
    key = prefix + "manage-backend-security-group-rules"
    chosen = prefix + "security-groups" in front.meta.annotations
    refused = truth(front.meta.annotations.get(key)) is False
    why = "annotation security-groups is set" if chosen else "its spec.networking is empty"
    if refused:
        why = f"annotation {key} is {front.meta.annotations[key]}"
    ref = ObjectRef("Ingress" if ingress is not None else "Service", front.meta.namespace, front.meta.name)
    evidence = Evidence(Source.BINDING, f"{why}, so the controller writes no backend rules")
    repairs = finding.repairs
    if chosen or refused:
        change = annotate(ref, front.meta.annotations, {key: "true"})
        why = "the controller then keeps the backend rules itself"
        repairs = (*repairs, Repair("annotation", (change,)).with_reason(why, "needs the controller's backend group"))
    return replace(finding, evidence=(*finding.evidence, evidence), repairs=repairs)


def _unmanaged_of_gateway(traffic: TrafficPath, finding: Finding) -> Finding:
    """The same of a Gateway, whose configuration names the groups
    (https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/model/model_build_security_group.go)."""
    evidence, repairs = list(finding.evidence), list(finding.repairs)
    rules = {setting.gateway.ref: setting for setting in balancer_settings(traffic, BACKEND_RULES)}
    for chosen in balancer_settings(traffic, SECURITY_GROUPS):
        if chosen.settings is None or not chosen.value:
            continue
        why = f"{SECURITY_GROUPS} of {chosen.settings.ref} is set, so the controller writes no backend rules"
        evidence.append(Evidence(Source.BINDING, why))
        if rules[chosen.gateway.ref].value is not True:
            repair = rules[chosen.gateway.ref].repair(True, "the controller then keeps the backend rules itself")
            repairs.append(
                replace(repair, value="configuration").with_reason("", "needs the controller's backend group")
            )
    return replace(finding, evidence=tuple(evidence), repairs=tuple(repairs))


@check(
    "LBD502",
    title="nodes do not admit each other",
    passes="nodes admit each other",
    severity=Severity.ERROR,
    message="nodes do not admit each other[: {owner} lacks TCP {ports} "
    "{direction:egress=to|ingress=from} {others}][: they share {shared}, which lacks TCP "
    "{ports} among its members]",
    reads=PATH_READS,
    explains=("LBD607",),
    fix="node-security-group",
    distinct_by=("direction", "ports", "peers"),
)
def nodes_block_each_other(traffic: TrafficPath) -> Iterator[Finding]:
    """With instance targets the node that was asked hands the packet on to any node with a pod. Where the nodes' groups
    do not admit each other (node groups with groups of their own, custom networking), checks of nodes without a local
    pod time out, and others do so now and then.

    Confirm by hand: compare the groups of healthy and unhealthy instances. Repair: admit the other node group's
    security group inbound, or use `target-type: ip`, which has no second hop.
    """
    for finding in _findings(traffic, "LBD502", _group_facts(traffic)):
        yield _with_node_groups(traffic, finding)


def _with_node_groups(traffic: TrafficPath, finding: Finding) -> Finding:
    """The groups of healthy and of unhealthy instances side by side."""
    extra = []
    for word, wanted in (("healthy", "healthy"), ("unhealthy", "unhealthy")):
        groups: set[str] = set()
        nodes: list[str] = []
        for target in traffic.targets():
            interface = path.primary_interface(target.id, traffic.network.interfaces.peek() or ())
            node = traffic.node_of(target)
            if target.state.startswith(wanted) and interface is not None:
                groups |= set(interface.security_groups)
                nodes.append(node.meta.name if node is not None else target.id)
        if nodes:
            extra.append(Evidence(f"{word} nodes", f"{', '.join(nodes[:5])}: groups {', '.join(sorted(groups))}"))
    return replace(finding, evidence=(*finding.evidence, *extra))


@check(
    "LBD503",
    title="the load balancer's security group lets no check out",
    passes="the load balancer's security group lets its checks out",
    severity=Severity.ERROR,
    message="the load balancer's security groups let no check out: no rule for TCP {ports} "
    "{direction:egress=to|ingress=from} {peers}",
    reads=PATH_READS,
    explains=("LBD607",),
    fix="lb-egress",
    distinct_by=("direction", "ports", "peers"),
)
def balancer_egress_blocks(traffic: TrafficPath) -> Iterator[Finding]:
    """The load balancer's own security groups do not let it connect to the target on the checked port.

    Confirm by hand: the outbound rules of the load balancer's groups. Repair: add an outbound rule to the target's
    group.
    """
    yield from _findings(traffic, "LBD503", _group_facts(traffic))


@check(
    "LBD514",
    title="the pod's own security group admits neither load balancer nor nodes",
    passes="the pod's own security group admits load balancer and nodes",
    severity=Severity.ERROR,
    message="the pods' own security groups do not admit TCP {ports} {direction:egress=to|ingress=from} {peers:,1}",
    reads=PATH_READS,
    explains=("LBD607",),
    fix="security-group",
    distinct_by=("direction", "ports", "peers"),
)
def pod_groups_block(traffic: TrafficPath) -> Iterator[Finding]:
    """The pods have security groups of their own (SecurityGroupPolicy, a branch interface), which replace the node's
    groups; they do not admit the load balancer or, behind instance targets, the nodes that hand its packets on.

    With enforcing mode strict, which is the VPC CNI's default, such pods cannot be behind instance targets with
    externalTrafficPolicy Local at all: https://docs.aws.amazon.com/eks/latest/userguide/security-groups-for-pods.html

    Confirm by hand: `kubectl get securitygrouppolicy` and the groups' inbound rules. Repair: add the named rule to
    the pods' security group.
    """
    yield from _findings(traffic, "LBD514", _group_facts(traffic))


@check(
    "LBD507",
    title="a network ACL denies the load balancer's requests",
    passes="network ACLs let the load balancer's requests pass",
    severity=Severity.ERROR,
    message="network ACL {owner} drops TCP {ports} of the health checks: {entry:?no entry allows it}",
    reads=PATH_READS,
    explains=("LBD607",),
    fix="network-acl",
    distinct_by=("direction", "ports"),
)
def acl_denies_request(traffic: TrafficPath) -> Iterator[Finding]:
    """A network ACL at the border of the load balancer's or the target's subnet denies the request. ACLs are asked at
    subnet borders only, by ascending number, and the first entry that matches decides.

    Confirm by hand: `aws ec2 describe-network-acls`. Repair: add an allow entry with a lower number than the deny.
    """
    yield from _findings(traffic, "LBD507", _acl_facts(traffic))


@check(
    "LBD508",
    title="a network ACL denies the replies to the load balancer",
    passes="network ACLs let the replies return",
    severity=Severity.ERROR,
    message="network ACL {owner} drops the replies to the load balancer: {entry:?no entry allows TCP {ports}}",
    reads=PATH_READS,
    explains=("LBD607",),
    fix="network-acl",
    distinct_by=("direction", "ports"),
)
def acl_denies_return(traffic: TrafficPath) -> Iterator[Finding]:
    """ACLs know no connections: the replies, from the checked port to the load balancer's ephemeral ports 1024-65535,
    need entries of their own, outbound at the target's subnet and inbound at the load balancer's.

    Confirm by hand: `aws ec2 describe-network-acls`. Repair: allow TCP 1024-65535 to the load balancer's subnets.
    """
    yield from _findings(traffic, "LBD508", _acl_facts(traffic))


@check(
    "LBD509",
    title="load balancer and targets have no route to each other",
    passes="load balancer and targets have routes to each other",
    severity=Severity.ERROR,
    message="route table {owner} has no usable route for {way}",
    reads=PATH_READS,
    explains=("LBD607",),
    distinct_by=("way",),
)
def no_route(traffic: TrafficPath) -> Iterator[Finding]:
    """Within one VPC every route table has a local route. Targets in another VPC or network need routes both ways that
    are not blackholes.

    Confirm by hand: `aws ec2 describe-route-tables`. Repair: add the route to the other network over the peering
    connection, transit gateway or local target that leads there.
    """
    net = traffic.network
    facts: tuple[Fact[object], ...] = (net.interfaces, net.route_tables)  # type: ignore[assignment]
    yield from _findings(traffic, "LBD509", facts)


@check(
    "LBD513",
    title="a NetworkPolicy does not admit the load balancer",
    passes="NetworkPolicies admit the load balancer",
    severity=Severity.ERROR,
    message="NetworkPolicy {policy} does not admit {who} on port {port}[ (except {excluded})]",
    reads=(*PATH_READS, reads.LISTENERS, reads.NETWORK_POLICIES, reads.KUBE_PROXY),
    explains=("LBD607",),
    distinct_by=("policy", "who", "port"),
)
def policy_blocks(traffic: TrafficPath) -> Iterator[Finding]:
    """A NetworkPolicy selects the pods, and none that does admits the addresses of the load balancer (`ip` targets) or
    of the other nodes (`instance` targets). Namespace and pod selectors never match a load balancer; it needs an
    ipBlock with its subnets.

    A policy is a mere object until a network policy engine enforces it, and the reason code must allow for a drop.
    With an engine among the DaemonSets of kube-system (the VPC CNI's with `--enable-network-policy=true`, Calico,
    Cilium…) on every node it is certain. Where none is seen there it is likely only: engines run in other namespaces,
    too, and EKS Auto Mode has its own. Where the VPC CNI's is switched off, which is its default, the policy is worth
    knowing and no cause (https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html).

    Of healthy targets the traffic is asked about that their check does not stand for: on another port than the checked
    one, and from clients whose addresses pods see (preserved ones with `ip` targets, externalTrafficPolicy Local). That
    is a warning unless an engine is seen on every node.

    Confirm by hand: `kubectl get networkpolicy -n NAMESPACE`; `kubectl get daemonsets -A` for the engine. Repair: add
    an ingress rule with the load balancer's subnets and the port.
    """
    aside = traffic.target_type != "alb" and policy_traffic.concerns(traffic)
    if aside:
        yield from policy_traffic.unvouched(traffic)
    if not suspects(traffic):
        if aside:
            return
        _needed(traffic)
    everything = traffic.namespace_facts.policies.need()
    balancer = traffic.load_balancer.need()
    if not everything or balancer is None or blocked(traffic):
        return
    denied: dict[tuple[str, ...], list[tuple[TargetHealth, network_policies.PolicyVerdict, str, int]]] = defaultdict(
        list
    )
    for target in suspects(traffic):
        for pod, address, port, cidr in policy_paths(traffic, balancer, target):
            verdict = network_policies.admits(everything, pod, address, port, name_as=cidr)
            if verdict.answer is Answer.DENIED:
                denied[verdict.selecting].append((target, verdict, cidr or address, port))
    for names, entries in denied.items():
        _, verdict, who, port = entries[0]
        ref = ObjectRef("NetworkPolicy", traffic.namespace, names[0])
        cut = tuple(dict.fromkeys(target.key for target, *_ in entries))
        engine = policy_engine(traffic.snapshot)
        off = engine.state is Enforcement.OFF
        yield Finding(
            "LBD513",
            ref,
            # What nothing seems to enforce accounts for no target; it is told, because not all engines are seen.
            severity=Severity.INFO if off else None,
            confidence=_CONFIDENCE[engine.state],
            params={
                "policy": names,
                "who": who,
                "port": str(port),
                "excluded": verdict.excluded_by,
            },
            evidence=(
                Evidence(Source.TARGET_GROUP, f"{len(cut)} of {len(traffic.targets())}: {entries[0][0].reason}"),
                Evidence(Source.POLICY_ENGINE, engine.why),
            ),
            targets=() if off else cut,
            confirm=(
                kubectl("get", "networkpolicy", "-o", "yaml", namespace=traffic.namespace),
                *(() if engine.state is Enforcement.ON else (kubectl("get", "daemonsets", "-A"),)),
            ),
            by_hand=policy_traffic.opening(verdict.missing, traffic.namespace),
        )


_CONFIDENCE = {
    Enforcement.ON: Confidence.CERTAIN,
    Enforcement.UNKNOWN: Confidence.LIKELY,
    Enforcement.OFF: Confidence.POSSIBLE,
}


def policy_paths(
    traffic: TrafficPath, balancer: LoadBalancer, target: TargetHealth
) -> Iterator[tuple[Pod, str, int, str]]:
    """(pod, source address, pod port, CIDR that names the source) of the packets that reach pods for this target."""
    subnets = {s.id: s.cidrs for s in traffic.network.subnets.peek() or ()}
    if traffic.target_type == "ip":
        pod = traffic.pod_of(target)
        port = target.asked_port
        if pod is None or not may_be_filtered(traffic.snapshot, pod):
            return
        for front in sources(traffic, balancer):
            six = ":" in front.address
            cidr = next((c for c in subnets.get(front.subnet_id or "", ()) if (":" in c) == six), "")
            if six == (":" in target.id):
                yield pod, front.address, port, cidr
        return
    node = traffic.node_of(target)
    pods = {p.meta.name: p for p in traffic.matching_pods() if may_be_filtered(traffic.snapshot, p)}
    for endpoint in traffic.ready_endpoints() if node is not None else ():
        pod = pods.get(endpoint.pod)
        if pod is None or node is None or endpoint.node == node.meta.name:
            continue
        if (":" in endpoint.address) == (":" in node.internal_ip):
            yield pod, node.internal_ip, endpoint.port, ""
