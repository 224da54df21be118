"""From a snapshot to routes: a pure join of Kubernetes objects and AWS objects by what really links them.

The links, most reliable first: TargetGroupBinding.spec.targetGroupARN (the controller's own record), the stack labels
that it puts on bindings, and the load balancer's DNS name in the status of Ingress and Service. Names of AWS objects
are hashes with a readable head and are never used as keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar, cast

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import Listener, LoadBalancer, Rule, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Ingress, IngressBackend, Meta, Service, TargetGroupBinding
from kubectl_lbdoctor.model.route import Backend, Route
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot, lookup
from kubectl_lbdoctor.model.wanted import gate_health

ALB_PREFIX = "alb.ingress.kubernetes.io/"
GROUP_ANNOTATION = ALB_PREFIX + "group.name"


def routes(snapshot: Snapshot) -> tuple[Route, ...]:
    """All routes of the snapshot's subjects; a subject without any backend still gets one route without one."""
    found: list[Route] = []
    for subject in snapshot.subjects:
        build = {"Ingress": _of_ingress, "Service": _of_service, "TargetGroupBinding": _of_binding}[subject.kind]
        found += build(snapshot, subject)
    return tuple(found)


class _HasMeta(Protocol):
    @property
    def meta(self) -> Meta: ...


K = TypeVar("K", bound=_HasMeta)


def by_name(fact: Fact[tuple[K, ...]], name: str) -> Fact[K | None]:
    """The one object of that name; None when the list was read and does not hold it."""
    return fact.map(lambda items: next((i for i in items if i.meta.name == name), None))


def ingress_group(ingress: Ingress, snapshot: Snapshot) -> str:
    """The explicit IngressGroup of an Ingress ("" when it is on its own); IngressClassParams win over annotations."""
    classes, params = snapshot.cluster.ingress_classes.peek(), snapshot.cluster.class_params.peek()
    for ingress_class in classes or ():
        if ingress_class.meta.name == ingress.class_name and ingress_class.parameters_name:
            for entry in params or ():
                group = entry.spec.get("group") if entry.meta.name == ingress_class.parameters_name else None
                if isinstance(group, dict) and group.get("name"):
                    return str(group["name"])
    return ingress.meta.annotations.get(GROUP_ANNOTATION, "")


def backends_of(ingress: Ingress) -> tuple[Backend, ...]:
    """The Service ports that an Ingress leads to, each once, in the order of its rules, with the paths that lead there.

    Actions (`use-annotation`) are resolved to the Services and target groups that their annotation forwards to; an
    action without annotation stays a backend of its own, so that a check can name it.
    """
    collected: dict[tuple[str, str, str], list[str]] = {}
    actions: dict[tuple[str, str, str], str] = {}

    def add(backend: IngressBackend, path: str) -> None:
        if backend.resource:
            return
        for service, port, arn in _targets_of(ingress, backend):
            collected.setdefault((service, port, arn), []).append(path)
            if backend.is_action:
                actions[(service, port, arn)] = backend.service

    for path in ingress.paths:
        add(path.backend, f"{path.host or '*'}{path.path or '/'}")
    if ingress.default_backend is not None:
        add(ingress.default_backend, "default backend")
    return tuple(
        Backend(service, port, tuple(dict.fromkeys(paths)), actions.get((service, port, arn), ""), arn)
        for (service, port, arn), paths in collected.items()
    )


def action_of(ingress: Ingress, name: str) -> dict[str, object] | None:
    """The parsed `actions.<name>` annotation; None when it is absent or not a JSON object."""
    raw = ingress.meta.annotations.get(f"{ALB_PREFIX}actions.{name}")
    if raw is None:
        return None
    try:
        parsed = json.loads(raw)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _targets_of(ingress: Ingress, backend: IngressBackend) -> Iterator[tuple[str, str, str]]:
    """(service, port, target group ARN) that a backend forwards to."""
    if not backend.is_action:
        yield backend.service, backend.port, ""
        return
    action = action_of(ingress, backend.service)
    if action is None:
        yield backend.service, backend.port, ""
        return
    forward = _field(action, "forwardConfig")
    groups = _field(forward, "targetGroups") if isinstance(forward, dict) else None
    if arn := _field(action, "targetGroupARN"):
        yield "", "", str(arn)
    for group in groups if isinstance(groups, list) else []:
        if isinstance(group, dict):
            service, port = _field(group, "serviceName"), _field(group, "servicePort")
            arn = _field(group, "targetGroupARN")
            yield (str(service or ""), str(port or ""), "" if service else str(arn or ""))


def _field(table: dict[str, object], name: str) -> object:
    """A field of an action; Go's JSON decoder, which the controller uses, ignores the case of field names."""
    return next((value for key, value in table.items() if key.lower() == name.lower()), None)


def _of_ingress(snapshot: Snapshot, subject: ObjectRef) -> list[Route]:
    facts = snapshot.namespaces.get(subject.namespace, NamespaceFacts())
    ingress_fact: Fact[Ingress | None] = by_name(facts.ingresses, subject.name)
    ingress = ingress_fact.peek()
    if ingress is None:
        # The Ingress itself may be denied: its bindings carry its name and still lead to load balancer and targets.
        bindings = [b for b in facts.bindings.peek() or () if _stack_is(b, "ingress", subject, "")]
        return [
            _route(snapshot, subject, Backend(b.service, b.port), ingress_fact, facts, Fact.known(reads.BINDINGS, b))
            for b in bindings
        ] or [_route(snapshot, subject, None, ingress_fact, facts, _no_binding(facts))]
    group = ingress_group(ingress, snapshot)
    found = []
    for backend in backends_of(ingress):
        binding = facts.bindings.map(
            lambda all_bindings, b=backend: _pick(all_bindings, b, "ingress", subject, group)  # type: ignore[misc]
        )
        found.append(_route(snapshot, subject, backend, ingress_fact, facts, binding))
    return found or [_route(snapshot, subject, None, ingress_fact, facts, _no_binding(facts))]


def _of_service(snapshot: Snapshot, subject: ObjectRef) -> list[Route]:
    facts = snapshot.namespaces.get(subject.namespace, NamespaceFacts())
    nothing: Fact[Ingress | None] = Fact.known(reads.SERVICES, None)
    service = by_name(facts.services, subject.name).peek()
    if not facts.bindings.is_known and service is not None and service.type == "LoadBalancer":
        unread = _no_binding(facts)
        return [
            _route(snapshot, subject, Backend(subject.name, str(port.port)), nothing, facts, unread)
            for port in service.ports
        ]
    mine = [b for b in facts.bindings.peek() or () if b.service == subject.name]
    found = [
        _route(snapshot, subject, Backend(b.service, b.port), nothing, facts, Fact.known(reads.BINDINGS, b))
        for b in mine
    ]
    if service is not None and service.type == "LoadBalancer":
        bound = {b.port for b in mine}
        for port in service.ports:
            if not bound & {str(port.port), port.name or str(port.port)}:
                backend = Backend(subject.name, str(port.port))
                binding = _no_binding(facts)
                found.append(_route(snapshot, subject, backend, nothing, facts, binding))
    backend = Backend(subject.name, "")
    return found or [_route(snapshot, subject, backend, nothing, facts, _no_binding(facts))]


def _of_binding(snapshot: Snapshot, subject: ObjectRef) -> list[Route]:
    facts = snapshot.namespaces.get(subject.namespace, NamespaceFacts())
    binding: Fact[TargetGroupBinding | None] = by_name(facts.bindings, subject.name)
    value = binding.peek()
    backend = Backend(value.service, value.port) if value is not None else None
    return [_route(snapshot, subject, backend, Fact.known(reads.BINDINGS, None), facts, binding)]


def _no_binding(facts: NamespaceFacts) -> Fact[TargetGroupBinding | None]:
    return facts.bindings.map(lambda _: None)


def _pick(
    bindings: tuple[TargetGroupBinding, ...], backend: Backend, stack: str, subject: ObjectRef, group: str
) -> TargetGroupBinding | None:
    """The binding that the controller made for this backend of this front door."""
    return next(
        (
            b
            for b in bindings
            if b.service == backend.service and b.port == backend.port and _stack_is(b, stack, subject, group)
        ),
        None,
    )


def _stack_is(binding: TargetGroupBinding, stack: str, subject: ObjectRef, group: str) -> bool:
    """Whether the controller's labels say that this binding belongs to the Ingress or its group.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/deploy/tracking/provider.go
    """
    labels = binding.meta.labels
    if group:
        return labels.get(f"{stack}.k8s.aws/stack") == group
    return (
        labels.get(f"{stack}.k8s.aws/stack-namespace") == subject.namespace
        and labels.get(f"{stack}.k8s.aws/stack-name") == subject.name
    )


def _route(
    snapshot: Snapshot,
    subject: ObjectRef,
    backend: Backend | None,
    ingress: Fact[Ingress | None],
    facts: NamespaceFacts,
    binding: Fact[TargetGroupBinding | None],
) -> Route:
    aws = snapshot.aws
    service: Fact[Service | None]
    if backend is None or not backend.service:
        service = Fact.known(reads.SERVICES, None)
    else:
        service = by_name(facts.services, backend.service)
    target_group: Fact[TargetGroup | None]
    if subject.kind == "Service" and binding.is_known and binding.peek() is None:
        # The cloud provider makes no binding: the listener of the Service port says which target group it feeds.
        target_group = _by_listener(snapshot, service, backend)
    elif backend is not None and backend.target_group_arn:
        target_group = lookup(aws.target_groups, backend.target_group_arn, reads.TARGET_GROUPS)
    else:
        target_group = binding.then(
            lambda b: (
                Fact.known(reads.BINDINGS, None)
                if b is None
                else lookup(aws.target_groups, b.target_group_arn, reads.TARGET_GROUPS)
            )
        )
    if not binding.is_known and backend is not None:
        # Without the right to read bindings, the controller's tags in AWS still say which target group is meant.
        tagged = (aws.tagged_groups.peek() or {}).get(resource_tag(subject, backend))
        target_group = lookup(aws.target_groups, tagged, reads.TARGET_GROUPS) if tagged else target_group
    health = target_group.then(lambda group: _health(snapshot, group))
    if not target_group.is_known and binding.is_known and binding.peek() is not None:
        # DescribeTargetGroups may be denied alone: the binding names the ARN, which is all that target health needs.
        arn = binding.need().target_group_arn  # type: ignore[union-attr]
        health = lookup(aws.target_health, arn, reads.TARGET_HEALTH)
    balancer = _balancer(snapshot, ingress, service, subject, target_group)
    listeners = balancer.then(lambda lb: _listeners(snapshot, lb))
    route = Route(
        subject=subject,
        namespace=subject.namespace,
        backend=backend,
        ingress=ingress,
        service=service,
        binding=binding,
        target_group=target_group,
        target_health=health,
        load_balancer=balancer,
        listeners=listeners,
        rules=listeners.then(lambda ls: _rules(snapshot, ls)),
        group_attributes=target_group.then(
            lambda group: _attributes(aws.group_attributes, group.arn if group else "", reads.TARGET_GROUP_ATTRIBUTES)
        ),
        balancer_attributes=balancer.then(
            lambda lb: _attributes(aws.balancer_attributes, lb.arn if lb else "", reads.LOAD_BALANCER_ATTRIBUTES)
        ),
        facts=facts,
        cluster=snapshot.cluster,
        aws=aws,
        network=snapshot.network,
        context=snapshot.context,
        probes=snapshot.probes,
        now=snapshot.taken_at,
        group=ingress_group(front, snapshot) if (front := ingress.peek()) is not None else "",
    )
    return route if health.is_known else _as_gates_tell(route)


def _as_gates_tell(route: Route) -> Route:
    """Where AWS does not tell the targets' health, the pods' readiness gates may: the source says which of the two."""
    told = gate_health(route)
    return route if told is None else replace(route, target_health=Fact.known(reads.PODS, told))


def _by_listener(
    snapshot: Snapshot, service: Fact[Service | None], backend: Backend | None
) -> Fact[TargetGroup | None]:
    found = service.peek()
    nothing: Fact[TargetGroup | None] = Fact.known(reads.LISTENERS, None)
    for address in found.addresses if found is not None and found.type == "LoadBalancer" else ():
        balancer = lookup(snapshot.aws.load_balancers, address, reads.LOAD_BALANCERS)
        if not balancer.is_known:
            return cast("Fact[TargetGroup | None]", balancer)
        listeners = _listeners(snapshot, balancer.peek())
        if not listeners.is_known:
            return cast("Fact[TargetGroup | None]", listeners)
        for listener in listeners.peek() or ():
            for action in listener.actions:
                if backend is not None and str(listener.port) == backend.port and action.target_groups:
                    return lookup(snapshot.aws.target_groups, next(iter(action.target_groups)), reads.TARGET_GROUPS)
    return nothing


def resource_tag(subject: ObjectRef, backend: Backend) -> str:
    """The value of the controller's resource tag on the target group of a backend.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/ingress/model_build_target_group.go
    """
    if subject.kind == "Ingress":
        return f"{subject.namespace}/{subject.name}-{backend.service}:{backend.port}"
    return f"{subject.namespace}/{backend.service}:{backend.port}"


def listener_groups(found_routes: tuple[Route, ...]) -> tuple[str, ...]:
    """ARNs of target groups that are reached by a listener alone: those of Services without any binding."""
    found = []
    for route in found_routes:
        if route.subject.kind != "Service" or route.binding.peek() is not None or route.backend is None:
            continue
        for listener in route.listeners.peek() or ():
            if str(listener.port) == route.backend.port:
                found += [arn for action in listener.actions for arn in action.target_groups]
    return tuple(dict.fromkeys(found))


def _health(snapshot: Snapshot, group: TargetGroup | None) -> Fact[tuple[TargetHealth, ...]]:
    if group is None:
        return Fact.known(reads.TARGET_GROUPS, ())
    return lookup(snapshot.aws.target_health, group.arn, reads.TARGET_HEALTH)


def _attributes(table: Mapping[str, Fact[Mapping[str, str]]], arn: str, source: str) -> Fact[Mapping[str, str]]:
    return lookup(table, arn, source) if arn else Fact.known(source, {})


def _listeners(snapshot: Snapshot, balancer: LoadBalancer | None) -> Fact[tuple[Listener, ...]]:
    if balancer is None:
        return Fact.known(reads.LOAD_BALANCERS, ())
    return lookup(snapshot.aws.listeners, balancer.arn, reads.LISTENERS)


def _rules(snapshot: Snapshot, listeners: tuple[Listener, ...]) -> Fact[tuple[Rule, ...]]:
    found: list[Rule] = []
    for listener in listeners:
        fact = lookup(snapshot.aws.rules, listener.arn, reads.RULES)
        if not fact.is_known:
            return fact
        found += fact.peek() or ()
    return Fact.known(reads.RULES, tuple(found))


def _balancer(
    snapshot: Snapshot,
    ingress: Fact[Ingress | None],
    service: Fact[Service | None],
    subject: ObjectRef,
    target_group: Fact[TargetGroup | None],
) -> Fact[LoadBalancer | None]:
    """The load balancer in front: by the front door's published address, else by the target group's own record."""
    table = snapshot.aws.load_balancers
    front = ingress.peek() if subject.kind == "Ingress" else service.peek() if subject.kind == "Service" else None
    addresses = front.addresses if front is not None else ()
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
    if front is not None:
        return Fact.known(reads.INGRESSES if subject.kind == "Ingress" else reads.SERVICES, None)
    if group is not None:
        return Fact.known(reads.TARGET_GROUPS, None)
    return Fact.not_asked(reads.LOAD_BALANCERS, "neither an address nor a target group leads to a load balancer")
