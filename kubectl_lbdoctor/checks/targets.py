"""LBD205 to LBD213: what is registered against what should be, as sets; and targets that AWS does not use.

What should be registered follows the controller's own rules (`model.wanted`, `registration.eligible_nodes`). Only AWS
says what is registered: health that was told by readiness gates proves nothing here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubectl_lbdoctor.checks.commands import describe_target_health, kubectl, shell
from kubectl_lbdoctor.checks.registration import REGISTRATION_SECONDS, eligible_nodes
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.runner import NotApplicable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Node, Pod, TargetGroupBinding, condition
from kubectl_lbdoctor.model.route import Route
from kubectl_lbdoctor.model.snapshot import lookup
from kubectl_lbdoctor.model.wanted import address_family, wanted_endpoints

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


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def group_arn(route: Route) -> str:
    """The target group's ARN: the binding names it even where AWS was not asked."""
    group, binding = route.target_group.peek(), route.binding.peek()
    if group is not None:
        return group.arn
    if route.target_group.is_known:
        raise NotApplicable("no target group")
    if binding is None:
        route.target_group.need()
        raise NotApplicable("no target group")
    return binding.target_group_arn


def group_ref(route: Route) -> ObjectRef:
    """The target group as an object, named as in AWS."""
    return ObjectRef("TargetGroup", "", target_group_name(group_arn(route)))


def asked_health(route: Route) -> tuple[TargetHealth, ...]:
    """Target health from AWS itself; raises `Unknown` where only readiness gates told it."""
    if route.target_health.source == reads.PODS:
        return lookup(route.aws.target_health, group_arn(route), reads.TARGET_HEALTH).need()
    return route.targets()


def is_registered(target: TargetHealth) -> bool:
    return target.state != "draining" and target.reason != "Target.NotRegistered"


def zone_of(route: Route, target: TargetHealth) -> str:
    """The target's Availability Zone, by AWS or else by its node; "" when neither says ("all": outside the VPC)."""
    if target.zone:
        return "" if target.zone == "all" else target.zone
    if target.id.startswith("i-"):
        node = route.node_of(target)
        return node.zone if node is not None else ""
    pod = route.pod_of(target)
    return next((n.zone for n in route.cluster.nodes.need() if pod is not None and n.meta.name == pod.node), "")


def instance_nodes(route: Route) -> tuple[tuple[Node, ...], dict[str, str]]:
    """`eligible_nodes`, with the controller's failing open: nodes with Ready=Unknown, where no other one is left."""
    taken, left = eligible_nodes(route)
    if taken:
        return taken, left
    unknown = tuple(node for node in route.cluster.nodes.need() if left.get(node.meta.name) == "Ready=Unknown")
    return unknown, {name: why for name, why in left.items() if why != "Ready=Unknown"}


@dataclass(frozen=True, slots=True)
class _Registration:
    """Both sides of the comparison. Keys are "id:port"; values say what stands there.

    late: wanted for so long that it must be registered. stale: registered, wanted by nothing, and not just left.
    """

    wanted: Mapping[str, str]
    late: Mapping[str, str]
    stale: tuple[TargetHealth, ...]
    registered: tuple[TargetHealth, ...]
    noun: str


def _bound(route: Route) -> TargetGroupBinding:
    binding = route.binding.need()
    if binding is None:
        raise NotApplicable("no TargetGroupBinding: nobody registers targets for a Service")
    if binding.meta.deleted:
        raise NotApplicable("the TargetGroupBinding is being deleted")
    if route.age(binding.meta.created) < REGISTRATION_SECONDS:
        raise NotApplicable("the TargetGroupBinding was made a moment ago")
    if route.service.need() is None or route.service_port.need() is None:
        raise NotApplicable("no Service port behind this target group")
    return binding


def _registration(route: Route) -> _Registration:
    _bound(route)
    group_arn(route)
    if route.target_type not in ("ip", "instance"):
        raise NotApplicable("targets are neither pods nor nodes")
    health = asked_health(route)
    if not health:
        raise NotApplicable("the target group is empty (see LBD217)")
    return _of_instances(route, health) if route.target_type == "instance" else _of_endpoints(route, health)


def _of_instances(route: Route, health: tuple[TargetHealth, ...]) -> _Registration:
    port = route.service_port.need()
    if port is None or not port.node_port:
        raise NotApplicable("the Service port has no node port (see LBD204)")
    taken, _ = instance_nodes(route)
    nodes = {node.instance_id: node for node in route.cluster.nodes.need() if node.instance_id}
    wanted = {f"{node.instance_id}:{port.node_port}": f"node {node.meta.name}" for node in taken}
    moving = {key for key, node in nodes.items() if _node_moves(route, node)}
    registered = tuple(t for t in health if is_registered(t))
    present = {t.key for t in registered}
    return _Registration(
        wanted=wanted,
        late={k: what for k, what in wanted.items() if k not in present and k.split(":")[0] not in moving},
        stale=tuple(t for t in registered if t.key not in wanted and t.state != "initial" and t.id not in moving),
        registered=registered,
        noun="eligible node",
    )


def _node_moves(route: Route, node: Node) -> bool:
    ready = condition(node.conditions, "Ready")
    times = [node.meta.created, ready.since if ready else "", node.meta.deleted]
    return any(route.age(time) < REGISTRATION_SECONDS for time in times)


def _of_endpoints(route: Route, health: tuple[TargetHealth, ...]) -> _Registration:
    endpoints = wanted_endpoints(route)
    pods = {pod.meta.name: pod for pod in route.facts.pods.need()}
    wanted = {e.key: f"pod {e.pod}" for e in endpoints.wanted}
    tolerated = {e.key for e in endpoints.tolerated}
    registered = tuple(t for t in health if is_registered(t))
    present = {t.key for t in registered}
    moving = {ip for pod in pods.values() if _pod_moves(route, pod) for ip in (*pod.ips, pod.ip)}
    # While pods of this Service come and go, one that is gone may not have been deregistered yet.
    rolling = any(_pod_moves(route, pod) for pod in route.matching_pods())
    return _Registration(
        wanted=wanted,
        late={
            e.key: wanted[e.key]
            for e in endpoints.wanted
            if e.key not in present and not _pod_moves(route, pods[e.pod])
        },
        stale=tuple(
            t
            for t in registered
            if t.key not in wanted
            and t.key not in tolerated
            and t.state != "initial"
            and t.id not in moving
            and not rolling
        ),
        registered=registered,
        noun="ready endpoint",
    )


def _pod_moves(route: Route, pod: Pod) -> bool:
    """Whether the pod started, became ready, lost readiness or was deleted a moment ago."""
    times = [pod.started or pod.meta.created]
    times += [c.since for kind in ("Ready", "ContainersReady") if (c := condition(pod.conditions, kind)) is not None]
    # deletionTimestamp is when the grace period ends.
    leaving = bool(pod.meta.deleted) and route.age(pod.meta.deleted) + pod.grace_seconds < REGISTRATION_SECONDS
    return leaving or any(route.age(time) < REGISTRATION_SECONDS for time in times)


def stale_targets(route: Route) -> tuple[TargetHealth, ...]:
    """Registered targets that no endpoint or node stands behind any more."""
    binding = _bound(route)
    if binding.multi_cluster:
        raise NotApplicable("the target group also holds targets of other clusters")
    shared = [b for b in route.facts.bindings.need() if b.target_group_arn == binding.target_group_arn]
    if len(shared) > 1:
        raise NotApplicable("several TargetGroupBindings fill this target group (see LBD114)")
    return _registration(route).stale


def _names(items: Iterable[str]) -> str:
    listed = list(items)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


@check(
    "LBD205",
    title="every ready endpoint is registered as a target",
    severity=Severity.ERROR,
    message="{missing} of {wanted} of Service {service} {are} not registered in target group {group}",
    reads=_READS,
    explains=("LBD206",),
)
def endpoints_not_registered(route: Route) -> Iterator[Finding]:
    """Some ready endpoints (with instance targets: eligible nodes) are not targets, while others are. They get no
    traffic, and when the registered ones go away nothing is left.

    The controller registers within seconds. What is missing for longer was not registered because the controller does
    not run or AWS denies it, or was deregistered by hand: the controller does not notice such drift until the binding
    changes or its sync period (10 h) ends. A target group without any target is LBD217.

    Confirm by hand: compare `kubectl get endpointslices -l kubernetes.io/service-name=NAME` with
    `aws elbv2 describe-target-health`. Repair: what keeps the controller from registering; `kubectl rollout restart`
    of the controller reconciles all bindings again.
    """
    state = _registration(route)
    if not state.late:
        return
    ref = group_ref(route)
    evidence = [Evidence("expected", f"{key} ({what}) is no target") for key, what in state.late.items()]
    draining = {t.key for t in route.targets() if t.state == "draining"} & set(state.late)
    if draining:
        evidence.append(Evidence(reads.TARGET_HEALTH, f"{_names(sorted(draining))} draining"))
    evidence.append(
        Evidence(reads.TARGET_HEALTH, f"registered: {_names(t.key for t in state.registered) or 'no target'}")
    )
    yield Finding(
        "LBD205",
        ref,
        params={
            "missing": str(len(state.late)),
            "wanted": counted(len(state.wanted), state.noun),
            "service": route.service_ref.name,
            "are": "is" if len(state.late) == 1 else "are",
            "group": ref.name,
        },
        evidence=(*evidence[:SHOWN], evidence[-1]) if len(evidence) > SHOWN + 1 else tuple(evidence),
        confirm=(
            kubectl(
                *("get", "endpointslices", "-l", f"kubernetes.io/service-name={route.service_ref.name}"),
                namespace=route.namespace,
            ),
            describe_target_health(group_arn(route), route.context.region),
        ),
        advice="see the controller: kubectl logs -n kube-system deployment/aws-load-balancer-controller",
    )


@check(
    "LBD206",
    title="every registered target is still an endpoint or an eligible node",
    severity=Severity.WARNING,
    message="target group {group} still holds {count} without {noun} of Service {service}",
    reads=_READS,
)
def stale_targets_registered(route: Route) -> Iterator[Finding]:
    """The target group holds targets behind which no endpoint of the Service (with instance targets: no eligible node)
    stands any more. Requests that are sent there fail, and a later pod of another application may get the address.

    Deregistration was missed while the controller did not run or was denied, or the target was registered by hand.
    The controller repairs such drift when the binding changes or its sync period (10 h) ends.

    Confirm by hand: compare `aws elbv2 describe-target-health` with `kubectl get pods -o wide`. Repair: let the
    controller reconcile, or deregister the targets.
    """
    stale = stale_targets(route)
    if not stale:
        return
    arn, ref = group_arn(route), group_ref(route)
    instance = route.target_type == "instance"
    words = [f"Id={t.id},Port={t.port}" for t in stale]
    region = ("--region", route.context.region) if route.context.region else ()
    yield Finding(
        "LBD206",
        ref,
        params={
            "group": ref.name,
            "count": counted(len(stale), "target"),
            "noun": "an eligible node" if instance else "a ready endpoint",
            "service": route.service_ref.name,
        },
        evidence=tuple(Evidence("target health", f"{t.key} {t.state}: {_behind(route, t)}") for t in stale[:SHOWN]),
        targets=tuple(t.key for t in stale),
        confirm=(describe_target_health(arn, route.context.region),),
        by_hand=(shell("aws", "elbv2", "deregister-targets", "--target-group-arn", arn, "--targets", *words, *region),),
        advice="or let the controller do it: kubectl rollout restart -n kube-system "
        "deployment/aws-load-balancer-controller",
    )


def _behind(route: Route, target: TargetHealth) -> str:
    """What is known of the place of a stale target."""
    if target.id.startswith("i-"):
        node = route.node_of(target)
        if node is None:
            return "no node of this cluster"
        why = eligible_nodes(route)[1].get(node.meta.name, "")
        return f"node {node.meta.name} ({why or 'on another port'})"
    pod = route.pod_of(target)
    if pod is None:
        return "no pod has this address"
    return f"pod {pod.meta.name} is no ready endpoint on port {target.port}"


@check(
    "LBD207",
    title="no worker node is left out as an instance target",
    severity=Severity.WARNING,
    message="{nodes} left out as instance {targets}: {why}{effect}",
    reads=_READS,
)
def nodes_left_out(route: Route) -> Iterator[Finding]:
    """With instance targets the controller registers every node that is Ready, is an EC2 instance, matches the
    binding's nodeSelector and carries none of the labels and taints that exclude it. Here worker nodes are left out.

    Fargate and control-plane nodes can never be instance targets and are named only when no node is left at all; nodes
    that a nodeSelector leaves out on purpose only when externalTrafficPolicy Local makes their pods unreachable.

    Confirm by hand: `kubectl get nodes --show-labels` and `kubectl describe node NAME` (taints, conditions).
    Repair: remove the label or taint, bring the node back, or use `target-type: ip`.
    """
    binding, service = route.binding.need(), route.service.need()
    if binding is None or service is None or route.target_type != "instance":
        raise NotApplicable("no instance targets of a Service")
    taken, left = instance_nodes(route)
    nodes = {node.meta.name: node for node in route.cluster.nodes.need()}
    local = service.external_traffic_policy == "Local"
    serving = {e.node for e in route.ready_endpoints()} if left else set()
    grouped: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for name, why in left.items():
        node = nodes[name]
        unreachable = local and name in serving
        if taken:
            if not _is_worker(node) or _joins(route, node, why):
                continue
            if why.startswith("nodeSelector") and not unreachable:
                continue
        effect = "; ready pods run there, which externalTrafficPolicy Local leaves without traffic"
        if not taken:
            effect = "; no node is left, so the target group stays empty"
        elif not unreachable:
            effect = ""
        grouped[(why, effect)].append(node)
    for (why, effect), members in grouped.items():
        names = [node.meta.name for node in members]
        single = len(members) == 1
        yield Finding(
            "LBD207",
            ObjectRef("Node", "", names[0]) if single else group_ref(route),
            params={
                "nodes": f"node {names[0]} is" if single else f"{len(names)} nodes ({_names(names)}) are",
                "targets": "target" if single else "targets",
                "why": why,
                "effect": effect,
            },
            evidence=(
                *(Evidence(f"node {name}", why) for name in names[:SHOWN]),
                Evidence("nodes", f"{len(taken)} of {len(nodes)} can be targets"),
            ),
            confirm=(kubectl("describe", "node", names[0]),),
            advice=_node_advice(why),
            # Without any node the group stays empty: nothing is served, now.
            severity=None if taken or route.target_health.peek() else Severity.ERROR,
        )


def _is_worker(node: Node) -> bool:
    labels = node.meta.labels
    control_plane = any(f"node-role.kubernetes.io/{role}" in labels for role in ("control-plane", "master"))
    return not control_plane and labels.get("eks.amazonaws.com/compute-type") != "fargate"


def _joins(route: Route, node: Node, why: str) -> bool:
    return why.startswith("Ready=") and route.age(node.meta.created) < JOINING_SECONDS


def _node_advice(why: str) -> str:
    if why.startswith("label "):
        return (
            f"remove the label where the node is to take traffic: kubectl label node NAME {why.removeprefix('label ')}-"
        )
    if why.startswith("taint "):
        return "the taint says that the node is going away; remove it where the autoscaler has left it behind"
    if why.startswith("Ready="):
        return "bring the node back: look at its instance and its kubelet"
    if why.startswith("nodeSelector"):
        return "give the node the label, or change the target-node-labels annotation (the binding's nodeSelector)"
    return "use target-type ip: these nodes are no EC2 instances of this cluster's VPC"


def _unused(route: Route, reason: str) -> tuple[TargetHealth, ...]:
    group_arn(route)
    return tuple(t for t in route.targets() if t.state == "unused" and t.reason == reason)


def _seen(route: Route, targets: tuple[TargetHealth, ...]) -> Evidence:
    text = f"{len(targets)} of {len(route.targets())} targets: {targets[0].reason} {targets[0].description}"
    return Evidence("target health", text.rstrip())


_USE_READS = (*_READS, reads.LOAD_BALANCERS, reads.INGRESSES)


@check(
    "LBD208",
    title="every target is in an Availability Zone of the load balancer",
    severity=Severity.ERROR,
    message="{count} of target group {group} {are} in {zone}, which load balancer {balancer} does not have ({zones})",
    reads=_USE_READS,
)
def zone_not_enabled(route: Route) -> Iterator[Finding]:
    """Targets sit in an Availability Zone in which the load balancer has no subnet. They are registered, are never
    checked and get no traffic (state unused, Target.NotInUse).

    Confirm by hand: compare the target's zone with
    `aws elbv2 describe-load-balancers --query 'LoadBalancers[].AvailabilityZones[].ZoneName'`.
    Repair: give the load balancer a subnet of that zone (subnet tags, or the subnets annotation), or keep the pods out
    of it.
    """
    unused = _unused(route, "Target.NotInUse")
    if not unused:
        return
    balancer = route.load_balancer.need()
    if balancer is None or not balancer.zones:
        return
    group = route.target_group.peek()
    if group is not None and balancer.arn not in group.load_balancer_arns:
        return  # LBD209: the group does not belong to this load balancer.
    by_zone: dict[str, list[TargetHealth]] = defaultdict(list)
    for target in unused:
        zone = zone_of(route, target)
        if zone and zone not in balancer.zones:
            by_zone[zone].append(target)
    region = ("--region", route.context.region) if route.context.region else ()
    role = "elb" if balancer.scheme == "internet-facing" else "internal-elb"
    for zone, targets in by_zone.items():
        yield Finding(
            "LBD208",
            ObjectRef("LoadBalancer", "", balancer.name),
            params={
                "count": counted(len(targets), "target"),
                "group": group_ref(route).name,
                "are": "is" if len(targets) == 1 else "are",
                "zone": zone,
                "balancer": balancer.name,
                "zones": ", ".join(sorted(balancer.zones)),
            },
            evidence=(
                _seen(route, tuple(targets)),
                Evidence(reads.LOAD_BALANCERS, f"zones {', '.join(sorted(balancer.zones))}"),
            ),
            targets=tuple(t.key for t in targets),
            confirm=(
                shell("aws", "elbv2", "describe-load-balancers", "--load-balancer-arns", balancer.arn, *region),
                describe_target_health(group_arn(route), route.context.region),
            ),
            advice=f"tag a subnet of {zone} with kubernetes.io/role/{role}=1, or add it to the subnets annotation",
        )


@check(
    "LBD209",
    title="a listener or rule forwards to the target group",
    severity=Severity.ERROR,
    message="target group {group} is on no listener or rule{balancer}, so its targets get no traffic",
    reads=(*_USE_READS, reads.LISTENERS, reads.RULES),
    explains=("LBD208",),
)
def group_not_used(route: Route) -> Iterator[Finding]:
    """No listener and no rule of a load balancer forwards to this target group. Its targets are not checked and get no
    traffic (state unused, Target.NotInUse).

    Confirm by hand: `aws elbv2 describe-target-groups` shows an empty LoadBalancerArns.
    Repair: for a group that the controller made, what keeps it from deploying the listener or rule; for one of your
    own, a listener or rule that forwards to it.
    """
    unused = _unused(route, "Target.NotInUse")
    if not unused:
        return
    group = route.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    where = ""
    evidence = [_seen(route, unused)]
    if group.load_balancer_arns:
        balancer = route.load_balancer.need()
        if balancer is None or balancer.arn not in group.load_balancer_arns:
            return
        listeners, rules = route.listeners.need(), route.rules.need()
        actions = [a for listener in listeners for a in listener.actions] + [a for rule in rules for a in rule.actions]
        if any(group.arn in action.target_groups for action in actions):
            return
        where = f" of load balancer {balancer.name}"
        evidence.append(
            Evidence(reads.LISTENERS, f"{len(listeners)} listeners, {len(rules)} rules, none forwards here")
        )
    else:
        evidence.append(Evidence(reads.TARGET_GROUPS, "LoadBalancerArns is empty"))
    region = ("--region", route.context.region) if route.context.region else ()
    yield Finding(
        "LBD209",
        ObjectRef("TargetGroup", "", group.name),
        params={"group": group.name, "balancer": where},
        evidence=tuple(evidence),
        targets=tuple(t.key for t in unused),
        confirm=(shell("aws", "elbv2", "describe-target-groups", "--target-group-arns", group.arn, *region),),
        advice="add a listener or rule that forwards to it"
        if route.subject.kind == "TargetGroupBinding"
        else "see the controller's events on the object: it makes listeners and rules",
    )


@check(
    "LBD210",
    title="the EC2 instances of all targets run",
    severity=Severity.ERROR,
    message="the EC2 instance {instance}{node} is not running, so it cannot be a target",
    reads=_READS,
    explains=("LBD207", "LBD409"),
)
def instance_not_running(route: Route) -> Iterator[Finding]:
    """A registered EC2 instance is stopped or terminated (state unused, Target.InvalidState).

    Confirm by hand: `aws ec2 describe-instances --instance-ids ID`. Repair: start or replace the instance and delete
    the Node object that is left behind. Instances that are no node of the cluster any more are LBD206.
    """
    invalid = _unused(route, "Target.InvalidState")
    if not invalid:
        return
    gone = {t.key for t in stale_targets(route) if route.node_of(t) is None} if _comparable(route) else set()
    region = ("--region", route.context.region) if route.context.region else ()
    for target in invalid:
        if target.key in gone:
            continue
        node = route.node_of(target) if route.cluster.nodes.is_known else None
        yield Finding(
            "LBD210",
            ObjectRef("Node", "", node.meta.name) if node is not None else group_ref(route),
            params={"instance": target.id, "node": f" (node {node.meta.name})" if node is not None else ""},
            evidence=(
                _seen(route, (target,)),
                *((Evidence(f"node {node.meta.name}", f"Ready={node.ready}"),) if node is not None else ()),
            ),
            targets=(target.key,),
            confirm=(shell("aws", "ec2", "describe-instances", "--instance-ids", target.id, *region),),
            advice="start or replace the instance",
        )


def _comparable(route: Route) -> bool:
    """Whether stale targets can be told here; LBD210 and LBD211 say what they can without it."""
    binding = route.binding.peek()
    if binding is None or binding.multi_cluster:
        return False
    facts = (route.service, route.slices, route.facts.pods, route.facts.bindings, route.cluster.nodes)
    if not all(fact.is_known for fact in facts) or route.target_health.source == reads.PODS:
        return False
    try:
        stale_targets(route)
    except NotApplicable:
        return False
    return True


@check(
    "LBD211",
    title="no target has the address of a load balancer",
    severity=Severity.ERROR,
    message="target {target} cannot be used: a load balancer has its address",
    reads=_READS,
    explains=("LBD206",),
)
def address_of_a_load_balancer(route: Route) -> Iterator[Finding]:
    """The address of an `ip` target belongs to a load balancer's own network interface (state unused,
    Target.IpUnusable): a pod's address was freed and a load balancer got it, or a target was registered by hand.

    Confirm by hand: `aws ec2 describe-network-interfaces --filters Name=addresses.private-ip-address,Values=IP`.
    Repair: deregister the target; the controller registers what the endpoints name.
    """
    region = ("--region", route.context.region) if route.context.region else ()
    for target in _unused(route, "Target.IpUnusable"):
        arn = group_arn(route)
        lookup_words = ("--filters", f"Name=addresses.private-ip-address,Values={target.id}", *region)
        yield Finding(
            "LBD211",
            group_ref(route),
            params={"target": target.key},
            evidence=(_seen(route, (target,)),),
            targets=(target.key,),
            confirm=(shell("aws", "ec2", "describe-network-interfaces", *lookup_words),),
            by_hand=(
                shell(
                    *("aws", "elbv2", "deregister-targets", "--target-group-arn", arn),
                    *("--targets", f"Id={target.id},Port={target.port}", *region),
                ),
            ),
        )


def _ip_service(route: Route) -> str:
    """The Service behind `ip` targets, by name."""
    service, binding = route.service.need(), route.binding.need()
    if service is None or binding is None or route.target_type != "ip":
        raise NotApplicable("no ip targets of a Service")
    return service.meta.name


@check(
    "LBD212",
    title="every endpoint of ip targets is a pod",
    severity=Severity.ERROR,
    message="{count} of Service {service} {refer} to no Pod, so the controller does not register {them}",
    reads=(reads.SERVICES, reads.ENDPOINT_SLICES, reads.BINDINGS, reads.TARGET_GROUPS),
    explains=("LBD217", "LBD202", "LBD205"),
)
def endpoints_without_pod(route: Route) -> Iterator[Finding]:
    """The Service's endpoints were written by hand (or by another controller) and name no Pod as their target. With
    `ip` targets the AWS Load Balancer Controller registers endpoints of pods only and skips these silently.

    Confirm by hand: `kubectl get endpointslices -l kubernetes.io/service-name=NAME -o yaml` shows no targetRef.
    Repair: give the Service a selector, or register the addresses in a target group of your own.
    """
    name = _ip_service(route)
    ready = route.ready_endpoints()
    without = [e for e in ready if not e.pod]
    if not without:
        return
    yield Finding(
        "LBD212",
        ObjectRef("Service", route.namespace, name),
        params={
            "count": counted(len(without), "endpoint"),
            "service": name,
            "refer": "refers" if len(without) == 1 else "refer",
            "them": "it" if len(without) == 1 else "them",
        },
        evidence=(
            Evidence("endpointslices", f"no targetRef of kind Pod: {_names(e.key for e in without)}"),
            Evidence("endpointslices", f"{len(ready) - len(without)} of {len(ready)} ready endpoints are pods"),
        ),
        confirm=(
            kubectl(
                *("get", "endpointslices", "-l", f"kubernetes.io/service-name={name}", "-o", "yaml"),
                namespace=route.namespace,
            ),
        ),
        advice="give the Service a selector, or keep a target group of your own for these addresses",
        severity=Severity.WARNING if len(without) < len(ready) else None,
    )


@check(
    "LBD213",
    title="binding and endpoints have the same address family",
    severity=Severity.ERROR,
    message="the binding takes {family} targets, but the endpoints of Service {service} are {found}",
    reads=(
        *(reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES),
        *(reads.BINDINGS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    explains=("LBD217", "LBD205", "LBD206"),
)
def address_family_differs(route: Route) -> Iterator[Finding]:
    """The target group takes addresses of one family, and the Service has ready endpoints of the other only; so
    nothing is registered: newer controllers leave such EndpointSlices out, older ones are refused by AWS.

    Confirm by hand: `kubectl get targetgroupbinding NAME -o jsonpath='{.spec.ipAddressType}'` against
    `kubectl get endpointslices -l kubernetes.io/service-name=NAME`. Repair: the Service's ipFamilies, the
    ip-address-type annotation (IPv6 targets need a dualstack load balancer), or the binding.
    """
    name = _ip_service(route)
    binding = route.binding.need()
    route.target_group.need()  # A binding that says nothing takes the family of its target group.
    family = address_family(route)
    families = sorted({e.family for e in route.ready_endpoints() if e.pod})
    if binding is None or not families or family in families:
        return
    registered = {t.key for t in route.targets() if is_registered(t)}
    if any(e.key in registered for e in route.ready_endpoints()):
        return  # AWS took one of them, whatever the binding says.
    yield Finding(
        "LBD213",
        ObjectRef("TargetGroupBinding", route.namespace, binding.meta.name),
        params={"family": family, "service": name, "found": " and ".join(families)},
        evidence=(
            Evidence(
                f"targetgroupbinding/{binding.meta.name}", f"ipAddressType {binding.ip_address_type or 'not set'}"
            ),
            Evidence("endpointslices", f"ready endpoints: {_names(e.key for e in route.ready_endpoints())}"),
        ),
        confirm=(
            kubectl("get", "targetgroupbinding", binding.meta.name, "-o", "yaml", namespace=route.namespace),
            kubectl("get", "endpointslices", "-l", f"kubernetes.io/service-name={name}", namespace=route.namespace),
        ),
        advice="make the Service's ipFamilies and the ip-address-type of load balancer and binding agree",
    )


@check(
    "LBD220",
    title="the backend Service can have pods",
    severity=Severity.ERROR,
    message="Service {service} leads to no pod: {why}",
    reads=(reads.SERVICES, reads.ENDPOINT_SLICES),
    explains=("LBD202", "LBD205", "LBD217", "LBD212"),
)
def service_without_pods(route: Route) -> Iterator[Finding]:
    """The Service is of type ExternalName, or has no selector and no endpoints of its own. The controller makes a
    target group for it all the same, reports success, and never registers a target.

    Confirm by hand: `kubectl get service NAME -o yaml`. Repair: a selector that matches the pods. For a name outside
    the cluster use a redirect action, or a target group of your own with the addresses as `ip` targets.
    """
    service = route.service.need()
    if service is None:
        raise NotApplicable("no Service behind this route")
    if service.type == "ExternalName":
        name = f" {service.external_name}" if service.external_name else ""
        why = f"it is of type ExternalName, a DNS alias{name}, and only pods and nodes become targets"
        shown = f"type ExternalName{name}"
    elif not service.selector and not route.endpoints():
        why, shown = "it has no selector, and nobody writes endpoints for it", "no selector, no endpoint"
    else:
        return
    ref = ObjectRef("Service", route.namespace, service.meta.name)
    yield Finding(
        "LBD220",
        ref,
        params={"service": service.meta.name, "why": why},
        evidence=(Evidence(str(ref), shown),),
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
        advice="select pods, or send these paths elsewhere with an action or a target group of your own",
    )
