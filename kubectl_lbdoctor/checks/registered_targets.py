"""LBD205 to LBD213: what is registered against what should be, as sets; and targets that AWS does not use.

What should be registered follows the controller's own rules (`desired_targets`, `node_targets`). Only AWS
says what is registered: health that was told by readiness gates proves nothing here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import known_complaints
from kubectl_lbdoctor.analysis.controller_objects import controller_log, controller_restart
from kubectl_lbdoctor.analysis.desired_targets import address_family
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.local_traffic import without_local_endpoint
from kubectl_lbdoctor.analysis.node_targets import (
    Exclusion,
    NodeExclusion,
    describe_exclusion,
    eligible_nodes,
    instance_nodes,
    is_outside_ec2,
)
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.registration import (
    group_arn,
    group_ref,
    health_is_inferred,
    is_registered,
    registration,
    stale_targets,
    zone_of,
)
from kubectl_lbdoctor.analysis.remediation import (
    describe_load_balancer,
    describe_target_group,
    describe_target_health,
    kubectl,
)
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted, listed, part_of
from kubectl_lbdoctor.model import index, kinds, reads, target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL, EndpointSlice, Node, Service, TargetGroupBinding
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# A node that joins is NotReady until its network plugin runs; that is no reason to miss it.
JOINING_SECONDS = 120
# How many names a sentence lists before it only counts.
SHOWN = 6

_READS = (
    reads.SERVICES,
    reads.PODS,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
)


def _deregister(traffic: TrafficPath, targets: Sequence[str]) -> str:
    words = ("--target-group-arn", group_arn(traffic), "--targets", *targets)
    return aws("elbv2", "deregister-targets", *words, region=traffic.context.region)


def _shown(items: Iterable[str]) -> str:
    return listed(list(items), SHOWN)


@check(
    "LBD205",
    title="a ready endpoint is not registered as a target",
    passes="every ready endpoint is registered as a target",
    severity=Severity.ERROR,
    message="{missing} of {wanted:{target_type:instance=eligible node|ip=ready endpoint}} of Service "
    "{service} {missing:=is|are} not registered as {missing:=a target|targets}",
    reads=(*_READS, reads.CONTROLLER),
    explains=("LBD206",),
    distinct_by=("service",),
    by_absence=(reads.TARGET_HEALTH, reads.PODS),
)
def endpoints_not_registered(traffic: TrafficPath) -> Iterator[Finding]:
    """Some ready endpoints (with instance targets: eligible nodes) are not targets, while others are. They get no
    traffic, and when the registered ones go away nothing is left.

    The controller registers within seconds. What is missing for longer was not registered because the controller does
    not run or AWS denies it, or was deregistered by hand: the controller does not notice such drift until the binding
    changes or its sync period (10 h) ends. A target group without any target is LBD217.

    Confirm by hand: compare `kubectl get endpointslices -l kubernetes.io/service-name=NAME` with `aws elbv2
    describe-target-health`. Repair: correct what keeps the controller from registering, which its log names;
    `kubectl rollout restart` of the controller reconciles all bindings again.
    """
    state = registration(traffic)
    if not state.late:
        return
    ref = group_ref(traffic)
    evidence = [Evidence(Source.EXPECTED, f"{key} ({what}) is no target") for key, what in state.late.items()]
    draining = {t.key for t in traffic.targets() if t.state == "draining"} & set(state.late)
    if draining:
        evidence.append(Evidence(reads.TARGET_HEALTH, f"{_shown(sorted(draining))} draining"))
    evidence.append(
        Evidence(reads.TARGET_HEALTH, f"registered: {_shown(t.key for t in state.registered) or 'no target'}")
    )
    yield Finding(
        "LBD205",
        ref,
        params={
            "missing": len(state.late),
            "wanted": len(state.wanted),
            "target_type": traffic.target_type,
            "service": traffic.service_ref.name,
            "group": ref.name,
        },
        evidence=(*evidence[:SHOWN], evidence[-1]) if len(evidence) > SHOWN + 1 else tuple(evidence),
        confirm=(
            kubectl(
                *("get", "endpointslices", "-l", f"{SERVICE_LABEL}={traffic.service_ref.name}"),
                namespace=traffic.namespace,
            ),
            describe_target_health(group_arn(traffic), traffic.context.region),
            *controller_log(traffic.cluster),
        ),
        advice="correct what keeps the controller from registering, which its log names",
    )


@check(
    "LBD206",
    title="a registered target is no endpoint or eligible node any more",
    passes="every registered target is still an endpoint or an eligible node",
    severity=Severity.WARNING,
    message="{count:target} of {group} {count:=has|have} no {target_type:instance=eligible "
    "node|ip=ready endpoint} of Service {service} any more",
    reads=(*_READS, reads.CONTROLLER),
    distinct_by=("service",),
    by_absence=(reads.NODES, reads.PODS, reads.ENDPOINT_SLICES),
)
def stale_targets_registered(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group holds targets behind which no endpoint of the Service (with instance targets: no eligible node)
    stands any more. Requests that are sent there fail, and a later pod of another application may get the address.

    Deregistration was missed while the controller did not run or was denied, or the target was registered by hand.
    The controller repairs such drift when the binding changes or its sync period (10 h) ends.

    Confirm by hand: compare `aws elbv2 describe-target-health` with `kubectl get pods -o wide`. Repair: let the
    controller reconcile, or deregister the targets.
    """
    stale = stale_targets(traffic)
    if not stale:
        return
    arn, ref = group_arn(traffic), group_ref(traffic)
    words = [f"Id={t.id},Port={t.port}" for t in stale]
    yield Finding(
        "LBD206",
        ref,
        params={
            "group": ref.name,
            "count": len(stale),
            "target_type": traffic.target_type,
            "service": traffic.service_ref.name,
        },
        evidence=tuple(
            Evidence(Source.TARGET_HEALTH, f"{t.key} {t.state}: {_behind(traffic, t)}") for t in stale[:SHOWN]
        ),
        targets=tuple(t.key for t in stale),
        confirm=(describe_target_health(arn, traffic.context.region),),
        by_hand=(
            _deregister(traffic, words),
            *controller_restart(traffic.cluster),
        ),
        advice="deregister it, or restart the controller, which then does so",
    )


def _behind(traffic: TrafficPath, target: TargetHealth) -> str:
    """What is known of the place of a stale target."""
    if target.id.startswith("i-"):
        node = traffic.node_of(target)
        if node is None:
            return "no node of this cluster"
        exclusion = eligible_nodes(traffic)[1].get(node.meta.name)
        why = describe_exclusion(exclusion) if exclusion is not None else "on another port"
        return f"node {node.meta.name} ({why})"
    pod = traffic.pod_of(target)
    if pod is None:
        return "no pod has this address"
    return f"pod {pod.meta.name} is no ready endpoint on port {target.port}"


@check(
    "LBD207",
    title="a worker node is left out as an instance target",
    passes="no worker node is left out as an instance target",
    severity=Severity.WARNING,
    message="{nodes:=node {nodes} is|{nodes:node} ({nodes:,3}) are} left out as instance "
    "{nodes:=target|targets}: {why}[; {effect}]",
    reads=(*_READS, reads.INGRESSES, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, reads.LOAD_BALANCERS),
    explains=("LBD601", "LBD603"),
    distinct_by=("why", "effect"),
)
def nodes_left_out(traffic: TrafficPath) -> Iterator[Finding]:
    """With instance targets the controller registers every node that is Ready, is an EC2 instance, matches the
    binding's nodeSelector and carries none of the labels and taints that exclude it. Here worker nodes are left out.

    Fargate, hybrid and virtual nodes can never be instance targets, and nobody expects those of a control plane there
    (the controller leaves out the ones with the label node-role.kubernetes.io/master): they are named only when no node
    is left at all. Nodes that a nodeSelector leaves out on purpose are named only when externalTrafficPolicy Local
    makes their pods unreachable. Where all ready pods of such a Service run on nodes that are left out, nobody serves
    it: that is an error, and it is how a drain, the Cluster Autoscaler or Karpenter takes the last pod away before
    another one is ready.

    Confirm by hand: `kubectl get nodes --show-labels` and `kubectl describe node NAME` (taints, conditions).
    Repair: remove the label or taint, bring the node back, or use `target-type: ip`.
    """
    binding, service = traffic.binding.need(), traffic.service.need()
    if binding is None or service is None or traffic.target_type != "instance":
        raise NotApplicable("no instance targets of a Service")
    taken, left = instance_nodes(traffic)
    names = {node.meta.name for node in taken}
    for (exclusion, effect), nodes in _left_out(traffic, service, names, left).items():
        finding = _node_finding(traffic, exclusion, effect, nodes, len(taken))
        if exclusion.kind is Exclusion.FARGATE and not taken:
            finding = _by_target_type(traffic, finding)
        elif exclusion.kind is Exclusion.NODE_SELECTOR and not taken:
            finding = _by_selector(traffic, binding, finding, exclusion)
        yield finding


def _by_target_type(traffic: TrafficPath, finding: Finding) -> Finding:
    """The same about the setting that asks for instances: pods on Fargate have interfaces of their own, and Fargate
    nodes are no instances (https://docs.aws.amazon.com/eks/latest/userguide/fargate.html)."""
    source = setting_source(traffic, "target-type" if traffic.is_alb else "nlb-target-type")
    if not source.settable:
        return finding
    repair = source.repair("ip", "Fargate nodes are no instances", "the target group is replaced by one of pods")
    return replace(finding, object=source.ref, repairs=(repair,), fix="target-type", fix_automatic=True, advice="")


def _by_selector(
    traffic: TrafficPath, binding: TargetGroupBinding, finding: Finding, exclusion: NodeExclusion
) -> Finding:
    """The same about what asks for a label that no node has: the annotation, or a binding of the user's own."""
    if not binding.stack:
        asked = binding.ref
    elif traffic.subject.kind in ("Ingress", "Service"):
        asked = setting_source(traffic, "target-node-labels").ref
    else:
        return finding
    return replace(finding, object=asked, confirm=(kubectl("get", "nodes", "-L", exclusion.key), *finding.confirm))


# What it comes to that nodes are left out.
_GROUP_EMPTY = "no node is left"
_PODS_UNREACHABLE = "ready pods there get no traffic"
_LAST_PODS_UNREACHABLE = "all ready pods run there"


def _left_out(
    traffic: TrafficPath, service: Service, taken: Collection[str], left: Mapping[str, NodeExclusion]
) -> dict[tuple[NodeExclusion, str], list[Node]]:
    """The nodes that are worth naming, by what excludes them and what that comes to ("" for nothing)."""
    nodes = {node.meta.name: node for node in traffic.cluster.nodes.need()}
    local = service.external_traffic_policy == "Local"
    serving = {e.node for e in traffic.ready_endpoints()} if left else set()
    grouped: dict[tuple[NodeExclusion, str], list[Node]] = defaultdict(list)
    workers = any(_is_worker(nodes[name]) for name in left)
    for name, exclusion in left.items():
        if workers and not _is_worker(nodes[name]):
            continue  # It could never be a target: the workers are what is missing.
        unreachable = local and name in serving
        if taken and _is_expected(traffic, nodes[name], exclusion, unreachable):
            continue
        others = serving.intersection(taken) or _serves(traffic)
        cut_off = _PODS_UNREACHABLE if others else _LAST_PODS_UNREACHABLE
        effect = _GROUP_EMPTY if not taken else cut_off if unreachable else ""
        grouped[(exclusion, effect)].append(nodes[name])
    return grouped


def _is_expected(traffic: TrafficPath, node: Node, exclusion: NodeExclusion, unreachable: bool) -> bool:
    """Whether nobody misses this node while others are targets."""
    if not _is_worker(node):
        return True
    if exclusion.kind is Exclusion.NOT_READY and traffic.age(node.meta.created) < JOINING_SECONDS:
        return True
    return exclusion.kind is Exclusion.NODE_SELECTOR and not unreachable


def _node_finding(
    traffic: TrafficPath, exclusion: NodeExclusion, effect: str, nodes: list[Node], taken: int
) -> Finding:
    names = [node.meta.name for node in nodes]
    why = describe_exclusion(exclusion)
    total = len(traffic.cluster.nodes.need())
    nobody_serves = effect == _LAST_PODS_UNREACHABLE
    return Finding(
        "LBD207",
        ObjectRef("Node", "", names[0]),
        params={
            "nodes": tuple(names),
            "why": why,
            "effect": effect,
        },
        evidence=(
            *(Evidence(f"node {name}", why) for name in names[:SHOWN]),
            Evidence(Source.NODES, f"{taken} of {total} can be targets"),
        ),
        confirm=(kubectl("describe", "node", *names[:SHOWN]),),
        by_hand=tuple(kubectl("label", "node", name, f"{exclusion.key}-") for name in names[:SHOWN])
        if exclusion.kind is Exclusion.EXCLUDE_LABEL
        else (),
        advice=_node_advice(exclusion),
        targets=tuple(t.key for t in without_local_endpoint(traffic)[0]) if nobody_serves else (),
        severity=_severity(exclusion, effect, nobody_serves or not (taken or traffic.target_health.peek())),
    )


def _severity(exclusion: NodeExclusion, effect: str, nothing_is_served: bool) -> Severity | None:
    """Without any node the group stays empty. A label that is there to leave a node out does so; worth a warning is
    what it takes away."""
    if nothing_is_served:
        return Severity.ERROR
    return Severity.INFO if exclusion.kind is Exclusion.EXCLUDE_LABEL and not effect else None


def _serves(traffic: TrafficPath) -> bool:
    """Whether some target passes all the same: the controller has not taken the node out yet."""
    return any(t.state == "healthy" for t in traffic.target_health.peek() or ())


def _is_worker(node: Node) -> bool:
    """Whether the node is one that people expect among instance targets."""
    labels = node.meta.labels
    control_plane = any(f"node-role.kubernetes.io/{role}" in labels for role in ("control-plane", "master"))
    return not control_plane and not is_outside_ec2(node)


def _node_advice(exclusion: NodeExclusion) -> str:
    if exclusion.kind is Exclusion.EXCLUDE_LABEL:
        return "remove the label, if the node is to take traffic"
    return _NODE_ADVICE.get(
        exclusion.kind, "use target-type ip: these nodes are no EC2 instances of this cluster's VPC"
    )


_NODE_ADVICE = {
    Exclusion.TAINT: "the taint says that the node is going away; remove it where the autoscaler has left it behind",
    Exclusion.NOT_READY: "bring the node back: look at its instance and its kubelet",
    Exclusion.NODE_SELECTOR: "correct the label in the target-node-labels annotation (the binding's nodeSelector), or "
    "give it to the nodes that are meant",
}


def _unused(traffic: TrafficPath, reason: str) -> tuple[TargetHealth, ...]:
    group_arn(traffic)
    return tuple(t for t in traffic.targets() if t.state == "unused" and t.reason == reason)


def _seen(traffic: TrafficPath, targets: tuple[TargetHealth, ...]) -> Evidence:
    text = f"{part_of(len(targets), len(traffic.targets()))}: {targets[0].reason} {targets[0].description}"
    return Evidence(Source.TARGET_HEALTH, text.rstrip())


_USE_READS = (*_READS, reads.LOAD_BALANCERS, reads.INGRESSES)


@check(
    "LBD208",
    title="a target is in an Availability Zone that the load balancer does not have",
    passes="every target is in an Availability Zone of the load balancer",
    severity=Severity.ERROR,
    message="{count:target} of {group} {count:=is|are} in {zone}, which the load balancer does not have ({zones})",
    reads=_USE_READS,
    distinct_by=("group", "zone"),
)
def zone_not_enabled(traffic: TrafficPath) -> Iterator[Finding]:
    """Targets sit in an Availability Zone in which the load balancer has no subnet. They are registered, are never
    checked and get no traffic (state unused, Target.NotInUse).

    Confirm by hand: compare the target's zone with
    `aws elbv2 describe-load-balancers --query 'LoadBalancers[].AvailabilityZones[].ZoneName'`.
    Repair: give the load balancer a subnet of that zone (subnet tags, or the subnets annotation), or keep the pods out
    of it.
    """
    unused = _unused(traffic, target_reasons.NOT_IN_USE)
    if not unused:
        return
    balancer = traffic.load_balancer.need()
    if balancer is None or not balancer.zones:
        return
    group = traffic.target_group.peek()
    if group is not None and balancer.arn not in group.load_balancer_arns:
        return  # LBD209: the group does not belong to this load balancer.
    by_zone: dict[str, list[TargetHealth]] = defaultdict(list)
    for target in unused:
        zone = zone_of(traffic, target)
        if zone and zone not in balancer.zones:
            by_zone[zone].append(target)
    role = "elb" if balancer.scheme == "internet-facing" else "internal-elb"
    place = "the subnets annotation"
    if traffic.backend is not None and traffic.backend.route is not None:
        place = "loadBalancerSubnets of the Gateway's LoadBalancerConfiguration"
    for zone, targets in by_zone.items():
        yield Finding(
            "LBD208",
            ObjectRef("LoadBalancer", "", balancer.name),
            params={
                "count": len(targets),
                "group": group_ref(traffic).name,
                "zone": zone,
                "balancer": balancer.name,
                "zones": tuple(sorted(balancer.zones)),
            },
            evidence=(
                _seen(traffic, tuple(targets)),
                Evidence(reads.LOAD_BALANCERS, f"zones {', '.join(sorted(balancer.zones))}"),
            ),
            targets=tuple(t.key for t in targets),
            confirm=(
                describe_load_balancer(balancer.arn, traffic.context.region),
                describe_target_health(group_arn(traffic), traffic.context.region),
            ),
            advice=f"tag a subnet of {zone} with kubernetes.io/role/{role}=1, or add it to {place}",
        )


@check(
    "LBD209",
    title="no listener or rule forwards to the target group",
    passes="a listener or rule forwards to the target group",
    severity=Severity.ERROR,
    message="target group {group} is on no listener or rule[ of load balancer {balancer}], so its targets get no "
    "traffic",
    reads=(
        *(*_USE_READS, *COMPLAINT_READS, *GATEWAY_READS),
        *(reads.LISTENERS, reads.RULES, reads.NODES, reads.NETWORK_INTERFACES),
    ),
    explains=("LBD208",),
    by_absence=(reads.LISTENERS, reads.RULES),
)
def group_not_used(traffic: TrafficPath) -> Iterator[Finding]:
    """No listener and no rule of a load balancer forwards to this target group. Its targets are not checked and get no
    traffic (state unused, Target.NotInUse).

    The controller makes listener and rule of its own groups. Where it says of nothing that keeps it from that,
    somebody deleted them in AWS, which it does not notice before the object changes or its sync period (10 h) ends.

    Confirm by hand: `aws elbv2 describe-target-groups` shows an empty LoadBalancerArns. Repair: for a group that
    the controller made, correct what keeps it from deploying the listener or rule, or change an annotation of the
    object, so that it makes them again; for one of your own, add a listener or rule that forwards to it.
    """
    unused = _unused(traffic, target_reasons.NOT_IN_USE)
    if not unused:
        return
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    where = ""
    evidence = [_seen(traffic, unused)]
    if group.load_balancer_arns:
        balancer = traffic.load_balancer.need()
        if balancer is None or balancer.arn not in group.load_balancer_arns:
            return
        listeners, rules = traffic.listeners.need(), traffic.rules.need()
        actions = [a for listener in listeners for a in listener.actions] + [a for rule in rules for a in rule.actions]
        if any(group.arn in action.target_groups for action in actions):
            return
        where = balancer.name
        evidence.append(
            Evidence(
                reads.LISTENERS,
                f"{counted(len(listeners), 'listener')}, {counted(len(rules), 'rule')}, none forwards here",
            )
        )
    else:
        evidence.append(Evidence(reads.TARGET_GROUPS, "LoadBalancerArns is empty"))
    own_vpc = _vpc_of_nodes(traffic)
    elsewhere = bool(own_vpc and group.vpc_id) and group.vpc_id != own_vpc
    if elsewhere:
        evidence.append(Evidence(reads.TARGET_GROUPS, f"{group.name} is of {group.vpc_id}, the nodes are in {own_vpc}"))
    own = traffic.subject.kind != kinds.TARGET_GROUP_BINDING.name
    again = looked_at_again(traffic) if own and not elsewhere and not known_complaints(traffic) else ()
    yield Finding(
        "LBD209",
        ObjectRef("TargetGroup", "", group.name),
        params={"group": group.name, "balancer": where},
        evidence=tuple(evidence),
        targets=tuple(t.key for t in unused),
        confirm=(describe_target_group(group.arn, traffic.context.region),),
        by_hand=again,
        advice=f"make the target group in {own_vpc} and bind that: load balancers take groups of their own VPC only"
        if elsewhere
        else "add a listener or rule that forwards to it"
        if not own
        else "the controller says of nothing that keeps it from its work, so what led here was deleted in AWS; it is "
        "made again when the object changes"
        if again
        else "correct what keeps the controller from making the rule: its events on the object name it",
    )


def _vpc_of_nodes(traffic: TrafficPath) -> str:
    """The VPC in which the nodes' interfaces are; "" where it is not known to be one."""
    if not traffic.cluster.nodes.is_known:
        return ""
    nodes = index.nodes_by_instance(traffic.snapshot)
    found = {i.vpc_id for i in traffic.network.interfaces.peek() or () if i.instance_id in nodes} - {""}
    return found.pop() if len(found) == 1 else ""


@check(
    "LBD210",
    title="the EC2 instance of a target does not run",
    passes="the EC2 instances of all targets run",
    severity=Severity.ERROR,
    message="the EC2 instance {instance}[ (node {node})] is not running, so it cannot be a target",
    reads=_READS,
    explains=("LBD207", "LBD409"),
    distinct_by=("instance",),
)
def instance_not_running(traffic: TrafficPath) -> Iterator[Finding]:
    """A registered EC2 instance is stopped or terminated (state unused, Target.InvalidState).

    Confirm by hand: `aws ec2 describe-instances --instance-ids ID`. Repair: start or replace the instance and delete
    the Node object that is left behind. Instances that are no node of the cluster any more are LBD206.
    """
    invalid = _unused(traffic, target_reasons.INVALID_STATE)
    if not invalid:
        return
    gone = {t.key for t in stale_targets(traffic) if traffic.node_of(t) is None} if _comparable(traffic) else set()
    for target in invalid:
        if target.key in gone:
            continue
        node = traffic.node_of(target) if traffic.cluster.nodes.is_known else None
        yield Finding(
            "LBD210",
            ObjectRef("Node", "", node.meta.name) if node is not None else group_ref(traffic),
            params={"instance": target.id, "node": node.meta.name if node is not None else ""},
            evidence=(
                _seen(traffic, (target,)),
                *((Evidence(f"node {node.meta.name}", f"Ready={node.ready}"),) if node is not None else ()),
            ),
            targets=(target.key,),
            confirm=(aws("ec2", "describe-instances", "--instance-ids", target.id, region=traffic.context.region),),
            advice="start or replace the instance",
        )


def _comparable(traffic: TrafficPath) -> bool:
    """Whether stale targets can be told here; LBD210 and LBD211 say what they can without it."""
    binding = traffic.binding.peek()
    if binding is None or binding.multi_cluster:
        return False
    facts = (
        traffic.service,
        traffic.slices,
        traffic.namespace_facts.pods,
        traffic.namespace_facts.bindings,
        traffic.cluster.nodes,
    )
    if not all(fact.is_known for fact in facts) or health_is_inferred(traffic):
        return False
    try:
        stale_targets(traffic)
    except NotApplicable:
        return False
    return True


@check(
    "LBD211",
    title="a target has the address of a load balancer",
    passes="no target has the address of a load balancer",
    severity=Severity.ERROR,
    message="target {target} cannot be used: a load balancer has its address",
    reads=_READS,
    explains=("LBD206",),
    distinct_by=("target",),
)
def address_of_a_load_balancer(traffic: TrafficPath) -> Iterator[Finding]:
    """The address of an `ip` target belongs to a load balancer's own network interface (state unused,
    Target.IpUnusable): a pod's address was freed and a load balancer got it, or a target was registered by hand.

    Confirm by hand: `aws ec2 describe-network-interfaces --filters Name=addresses.private-ip-address,Values=IP`.
    Repair: deregister the target; the controller registers what the endpoints name.
    """
    for target in _unused(traffic, target_reasons.IP_UNUSABLE):
        lookup_words = ("--filters", f"Name=addresses.private-ip-address,Values={target.id}")
        yield Finding(
            "LBD211",
            group_ref(traffic),
            params={"target": target.key},
            evidence=(_seen(traffic, (target,)),),
            targets=(target.key,),
            confirm=(aws("ec2", "describe-network-interfaces", *lookup_words, region=traffic.context.region),),
            by_hand=(_deregister(traffic, [f"Id={target.id},Port={target.port}"]),),
        )


def _ip_service(traffic: TrafficPath) -> str:
    """The Service behind `ip` targets, by name."""
    service, binding = traffic.service.need(), traffic.binding.need()
    if service is None or binding is None or traffic.target_type != "ip":
        raise NotApplicable("no ip targets of a Service")
    return service.meta.name


@check(
    "LBD212",
    title="an endpoint of ip targets is no pod",
    passes="every endpoint of ip targets is a pod",
    severity=Severity.ERROR,
    message="{count:endpoint} of Service {service} {count:=refers|refer} to no Pod, so the controller does not "
    "register "
    "{count:=it|them}",
    reads=(reads.SERVICES, reads.ENDPOINT_SLICES, reads.BINDINGS, reads.TARGET_GROUPS),
    explains=("LBD217", "LBD202", "LBD205"),
)
def endpoints_without_pod(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service's endpoints were written by hand (or by another controller) and name no Pod as their target. With
    `ip` targets the AWS Load Balancer Controller registers endpoints of pods only and skips these silently.

    Confirm by hand: `kubectl get endpointslices -l kubernetes.io/service-name=NAME -o yaml` shows no targetRef.
    Repair: give the Service a selector, or register the addresses in a target group of your own.
    """
    name = _ip_service(traffic)
    ready = traffic.ready_endpoints()
    without = [e for e in ready if not e.pod]
    if not without:
        return
    yield Finding(
        "LBD212",
        ObjectRef("Service", traffic.namespace, name),
        params={"count": len(without), "service": name},
        evidence=(
            Evidence(Source.ENDPOINT_SLICES, f"no targetRef of kind Pod: {_shown(e.key for e in without)}"),
            Evidence(Source.ENDPOINT_SLICES, f"{len(ready) - len(without)} of {len(ready)} ready endpoints are pods"),
        ),
        confirm=(
            kubectl(
                *("get", "endpointslices", "-l", f"{SERVICE_LABEL}={name}", "-o", "yaml"),
                namespace=traffic.namespace,
            ),
        ),
        advice="give the Service a selector, or keep a target group of your own for these addresses",
        severity=Severity.WARNING if len(without) < len(ready) else None,
    )


@check(
    "LBD213",
    title="binding and endpoints have different address families",
    passes="binding and endpoints have the same address family",
    severity=Severity.ERROR,
    message="the binding takes {family} targets, but the endpoints of Service {service} are {found:&}",
    reads=(
        *(reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES),
        *(reads.BINDINGS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    explains=("LBD217", "LBD205", "LBD206"),
)
def address_family_differs(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group takes addresses of one family, and the Service has ready endpoints of the other only; so
    nothing is registered: newer controllers leave such EndpointSlices out, older ones are refused by AWS.

    Confirm by hand: `kubectl get targetgroupbinding NAME -o jsonpath='{.spec.ipAddressType}'` against `kubectl get
    endpointslices -l kubernetes.io/service-name=NAME`. Repair: make the Service's `ipFamilies`, the
    `ip-address-type` annotation (IPv6 targets need a dualstack load balancer) and the binding agree.
    """
    name = _ip_service(traffic)
    binding = traffic.binding.need()
    traffic.target_group.need()  # A binding that says nothing takes the family of its target group.
    family = address_family(traffic)
    families = sorted({e.family for e in traffic.ready_endpoints() if e.pod})
    if binding is None or not families or family in families:
        return
    registered = {t.key for t in traffic.targets() if is_registered(t)}
    if any(e.key in registered for e in traffic.ready_endpoints()):
        return  # AWS took one of them, whatever the binding says.
    yield Finding(
        "LBD213",
        binding.ref,
        params={"family": family, "service": name, "found": tuple(families)},
        evidence=(
            Evidence(
                f"targetgroupbinding/{binding.meta.name}", f"ipAddressType {binding.ip_address_type or 'not set'}"
            ),
            Evidence(Source.ENDPOINT_SLICES, f"ready endpoints: {_shown(e.key for e in traffic.ready_endpoints())}"),
        ),
        confirm=(
            kubectl("get", kubectl_name(binding.ref), "-o", "yaml", namespace=traffic.namespace),
            kubectl("get", "endpointslices", "-l", f"{SERVICE_LABEL}={name}", namespace=traffic.namespace),
        ),
        advice="make the Service's ipFamilies and the ip-address-type of load balancer and binding agree",
    )


@check(
    "LBD220",
    title="the backend Service can have no pods",
    passes="the backend Service can have pods",
    severity=Severity.ERROR,
    message="Service {service} leads to no pod: {why}",
    reads=(
        *(reads.SERVICES, reads.ENDPOINT_SLICES, reads.BINDINGS),
        *(reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    explains=("LBD202", "LBD205", "LBD217", "LBD212", "LBD602", "LBD601"),
    by_absence=(reads.ENDPOINT_SLICES,),
)
def service_without_pods(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service is of type ExternalName, or has no selector and no endpoints of its own. The controller makes a
    target group for it all the same and reports success. Pods are never registered; nodes are, and have nowhere to send
    requests to. Endpoints by hand belong to a Service by the label kubernetes.io/service-name of their EndpointSlice,
    or by the name of their Endpoints, and to its port by the port's name.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors

    Confirm by hand: `kubectl get service NAME -o yaml`, `kubectl get endpointslices -o yaml`. Repair: give the Service
    a selector that matches the pods, or endpoints of its name with its port's name. For a name outside the cluster use
    a redirect action, or a target group of your own with the addresses as `ip` targets.
    """
    service = traffic.service.need()
    if service is None:
        raise NotApplicable("no Service behind this path")
    if service.type == "ExternalName":
        name = f" {service.external_name}" if service.external_name else ""
        why = "it is of type ExternalName, an alias for a DNS name"
        shown = f"type ExternalName{name}"
    elif not service.selector and not traffic.endpoints():
        why, shown = _unserved(traffic)
    else:
        return
    ref = ObjectRef("Service", traffic.namespace, service.meta.name)
    external = service.type == "ExternalName"
    by_hand = [] if external else _by_hand(traffic)
    advice = "select pods, or send these paths elsewhere with an action or a target group of your own"
    if by_hand and by_hand[0].service == service.meta.name:
        advice = "give the port of the endpoints the name of the Service's port, which is how the two belong together"
    elif not external:
        advice = (
            f"select pods, or make an EndpointSlice with the label {SERVICE_LABEL}: {service.meta.name} (Endpoints: of "
            "the Service's own name) and the port's name"
        )
    asleep = traffic.failing() if traffic.target_type == "instance" and not external else ()
    yield Finding(
        "LBD220",
        ref,
        params={"service": service.meta.name, "why": why},
        evidence=(
            Evidence(str(ref), shown),
            *(Evidence(f"endpointslice/{piece.meta.name}", _described(piece)) for piece in by_hand[:3]),
        ),
        targets=tuple(target.key for target in asleep if target.state.startswith("unhealthy")),
        confirm=(
            kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),
            *(() if external else (kubectl("get", "endpointslices", "-o", "yaml", namespace=ref.namespace),)),
        ),
        advice=advice,
    )


def _unserved(traffic: TrafficPath) -> tuple[str, str]:
    """Why a Service without a selector has no endpoint for this port, and what the Service shows of it."""
    port = traffic.service_port.need()
    if port is not None and any(piece.endpoints for piece in traffic.slices.need()):
        named = f'port "{port.name}"' if port.name else "a port without a name"
        return "its endpoints are for another port name", f"no selector; {named}"
    return "it has no selector and no endpoints", "no selector, no endpoint"


def _by_hand(traffic: TrafficPath) -> list[EndpointSlice]:
    """EndpointSlices that may be meant for the Service: its own, else those of the namespace that belong to no Service
    and carry its name at the beginning of their own."""
    own = [piece for piece in traffic.slices.need() if piece.endpoints]
    name = traffic.service_ref.name
    known = {service.meta.name for service in traffic.namespace_facts.services.peek() or ()}
    return own or [
        piece
        for piece in traffic.namespace_facts.slices.need()
        if piece.endpoints and piece.service not in known and piece.meta.name.startswith(name)
    ]


def _described(piece: EndpointSlice) -> str:
    ports = ", ".join(f'"{port.name}" {port.port}' if port.name else f"unnamed {port.port}" for port in piece.ports)
    whose = f"of Service {piece.service}" if piece.service else f"without the label {SERVICE_LABEL}"
    return f"{whose}, {counted(len(piece.endpoints), 'endpoint')}, ports: {ports or 'none'}"
