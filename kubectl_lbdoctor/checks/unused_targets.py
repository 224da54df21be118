"""LBD208 to LBD211: why does AWS not use a target that is registered?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import known_complaints
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.node_targets import vpc_of_nodes
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.registration import group_arn, group_ref, health_is_inferred, stale_targets, zone_of
from kubectl_lbdoctor.analysis.remediation import (
    deregister_targets,
    describe_load_balancer,
    describe_target_group,
    describe_target_health,
)
from kubectl_lbdoctor.checks.registered_targets import READS
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted, part_of
from kubectl_lbdoctor.model import kinds, reads, target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def _unused(traffic: TrafficPath, reason: str) -> tuple[TargetHealth, ...]:
    group_arn(traffic)
    return tuple(t for t in traffic.targets() if t.state == "unused" and t.reason == reason)


def _seen(traffic: TrafficPath, targets: tuple[TargetHealth, ...]) -> Evidence:
    text = f"{part_of(len(targets), len(traffic.targets()))}: {targets[0].reason} {targets[0].description}"
    return Evidence(Source.TARGET_HEALTH, text.rstrip())


_USE_READS = (*READS, reads.LOAD_BALANCERS, reads.INGRESSES)


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
    own_vpc = vpc_of_nodes(traffic)
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


@check(
    "LBD210",
    title="the EC2 instance of a target does not run",
    passes="the EC2 instances of all targets run",
    severity=Severity.ERROR,
    message="the EC2 instance {instance}[ (node {node})] is not running, so it cannot be a target",
    reads=READS,
    explains=("LBD207", "LBD409"),
    distinct_by=("instance",),
)
def instance_not_running(traffic: TrafficPath) -> Iterator[Finding]:
    """A registered EC2 instance is stopped or terminated (state unused, Target.InvalidState).

    Confirm by hand: `aws ec2 describe-instances --instance-ids ID`. Repair: start or replace the instance and delete
    the Node object that is left behind. Instances that are no node of the cluster any more are LBD206.
    """
    invalid = _unused(traffic, target_reasons.INVALID_STATE)
    if not invalid or traffic.target_type == "alb":
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
    reads=READS,
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
            by_hand=(deregister_targets(group_arn(traffic), (target.key,), traffic.context.region),),
        )
