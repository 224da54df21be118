"""From the facts of a snapshot to one traffic path: a pure join of objects by what really links them.

The links, most reliable first: TargetGroupBinding.spec.targetGroupARN (the controller's own record), the stack labels
that it puts on bindings, and the load balancer's DNS name in the status of Ingress and Service. Names of AWS objects
are hashes with a readable head and are never used as keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.analysis.desired_targets import foreign_targets, gate_health
from kubectl_lbdoctor.analysis.told_healthy import counted_healthy
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.aws import Listener, ListenerRule, LoadBalancer, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Ingress, Service, TargetGroupBinding
from kubectl_lbdoctor.model.snapshot import Snapshot, lookup
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath
from kubectl_lbdoctor.record import record


@record
class FrontendFacts:
    """What a frontend contributes to each of its paths.

    ingress: the Ingress that the paths start at; None by definition for other kinds.
    is_alb: whether an Application Load Balancer is made from it, as far as its kind says so.
    group: the explicit IngressGroup, "" without one. addresses: the DNS names under which the frontend is published;
    None where the object itself publishes none (a binding) or could not be read. published_in: the read that shows
    them.
    """

    ref: ObjectRef
    ingress: Fact[Ingress | None]
    is_alb: bool = False
    group: str = ""
    addresses: tuple[str, ...] | None = None
    published_in: str = ""


def join(
    snapshot: Snapshot,
    front: FrontendFacts,
    backend: Backend | None,
    binding: Fact[TargetGroupBinding | None],
    target_group: Fact[TargetGroup | None],
    namespace: str = "",
) -> TrafficPath:
    """The path from a frontend to one of its backends; `namespace` is the backend's, "" for the frontend's own."""
    aws, namespace = snapshot.aws, namespace or front.ref.namespace
    unread = snapshot.unread(front.ref)
    health = target_group.then(lambda group: _health(snapshot, group, unread))
    if not target_group.is_known and (bound := binding.peek()) is not None:
        # DescribeTargetGroups may be denied alone: the binding names the ARN, which is all that target health needs.
        health = lookup(aws.target_health, bound.target_group_arn, reads.TARGET_HEALTH)
    balancer = load_balancer(snapshot, front, target_group)
    found = balancer.then(lambda lb: listeners(snapshot, lb, unread))
    traffic = TrafficPath(
        subject=front.ref,
        namespace=namespace,
        backend=backend,
        ingress=front.ingress,
        service=service_of(snapshot, namespace, backend),
        binding=binding,
        target_group=target_group,
        target_health=health,
        load_balancer=balancer,
        listeners=found,
        rules=found.then(lambda several: _rules(snapshot, several, unread)),
        group_attributes=target_group.then(
            lambda group: _attributes(
                aws.group_attributes, group.arn if group else "", reads.TARGET_GROUP_ATTRIBUTES, unread
            )
        ),
        balancer_attributes=balancer.then(
            lambda lb: _attributes(
                aws.balancer_attributes, lb.arn if lb else "", reads.LOAD_BALANCER_ATTRIBUTES, unread
            )
        ),
        snapshot=snapshot,
        made_as_alb=front.is_alb,
        group=front.group,
    )
    if not health.is_known:
        return _as_told_elsewhere(traffic)
    foreign = foreign_targets(traffic)
    return replace(traffic, foreign=foreign) if foreign else traffic


def service_of(snapshot: Snapshot, namespace: str, backend: Backend | None) -> Fact[Service | None]:
    """The Service of a backend; None where the backend names none or it does not exist."""
    if backend is None or not backend.service:
        return Fact.known(reads.SERVICES, None)
    name = backend.service
    listed = snapshot.facts_of(namespace).services
    return listed.chosen(name, lambda: index.services_by_name(snapshot, namespace).get(name))


def group_of_binding(
    snapshot: Snapshot, binding: Fact[TargetGroupBinding | None], tag: str = ""
) -> Fact[TargetGroup | None]:
    """The target group that a binding names.

    Where bindings could not be read, `tag`, the value of the controller's resource tag on the target group, still says
    which one is meant.
    """
    tagged = (snapshot.aws.tagged_groups.peek() or {}).get(tag) if tag and not binding.is_known else None
    if tagged:
        return lookup(snapshot.aws.target_groups, tagged, reads.TARGET_GROUPS)
    return binding.then(
        lambda b: (
            Fact.known(reads.BINDINGS, None)
            if b is None
            else lookup(snapshot.aws.target_groups, b.target_group_arn, reads.TARGET_GROUPS)
        )
    )


def _as_told_elsewhere(traffic: TrafficPath) -> TrafficPath:
    """Where AWS was not asked for the targets' health, its counts may tell it, or the pods' readiness gates: the source
    says which of them."""
    for source, tell in ((reads.TARGET_COUNTS, counted_healthy), (reads.PODS, gate_health)):
        told = tell(traffic)
        if told is not None:
            return replace(traffic, target_health=Fact.known(source, told))
    return traffic


def _health(snapshot: Snapshot, group: TargetGroup | None, unread: Fact[Any] | None) -> Fact[tuple[TargetHealth, ...]]:
    if group is None:
        return Fact.known(reads.TARGET_GROUPS, ())
    return lookup(snapshot.aws.target_health, group.arn, reads.TARGET_HEALTH, unread)


def _attributes(
    table: Mapping[str, Fact[Mapping[str, str]]], arn: str, source: str, unread: Fact[Any] | None
) -> Fact[Mapping[str, str]]:
    return lookup(table, arn, source, unread) if arn else Fact.known(source, {})


def listeners(
    snapshot: Snapshot, balancer: LoadBalancer | None, unread: Fact[Any] | None = None
) -> Fact[tuple[Listener, ...]]:
    if balancer is None:
        return Fact.known(reads.LOAD_BALANCERS, ())
    return lookup(snapshot.aws.listeners, balancer.arn, reads.LISTENERS, unread)


def _rules(
    snapshot: Snapshot, listeners: tuple[Listener, ...], unread: Fact[Any] | None
) -> Fact[tuple[ListenerRule, ...]]:
    found = (lookup(snapshot.aws.rules, listener.arn, reads.RULES, unread) for listener in listeners)
    return joined(reads.RULES, found)


def load_balancer(
    snapshot: Snapshot, front: FrontendFacts, target_group: Fact[TargetGroup | None]
) -> Fact[LoadBalancer | None]:
    """The load balancer in front: by the frontend's published address, else by the target group's own record."""
    table = snapshot.aws.load_balancers
    addresses = front.addresses or ()
    facts = [table[address] for address in addresses if address in table]
    known = next((f for f in facts if f.peek() is not None), None)
    if known is not None:
        return known
    group = target_group.peek()
    for arn in group.load_balancer_arns if group is not None else ():
        if arn in table:
            return table[arn]
    if facts:
        return facts[0]
    if addresses:
        return lookup(table, addresses[0], reads.LOAD_BALANCERS)
    if front.addresses is not None:
        return Fact.known(front.published_in, None)
    if group is not None or (target_group.is_known and not front.published_in):
        return Fact.known(reads.TARGET_GROUPS, None)  # Nothing else could lead to a load balancer.
    return Fact.not_asked(reads.LOAD_BALANCERS, "neither an address nor a target group leads to a load balancer")


def of_stack(
    bindings: Iterable[TargetGroupBinding], stack: str, ref: ObjectRef, group: str
) -> tuple[TargetGroupBinding, ...]:
    """The bindings that the controller made for an object of this stack ("ingress", "service") or for its group.

    Source: the labels that the controller puts on what it makes,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/deploy/tracking/provider.go
    """
    return tuple(binding for binding in bindings if _stack_is(binding, stack, ref, group))


def _stack_is(binding: TargetGroupBinding, stack: str, subject: ObjectRef, group: str) -> bool:
    """Whether the controller's labels say that this binding belongs to the Ingress or its group.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/deploy/tracking/provider.go
    """
    if group:
        return binding.stack == stack and binding.stack_label("stack") == group
    return binding.made_for(stack, subject.namespace, subject.name)
