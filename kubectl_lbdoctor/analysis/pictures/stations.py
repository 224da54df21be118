"""What stands on the way before its targets: the object, who makes its load balancer, clients, listeners, groups."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from kubectl_lbdoctor.analysis.alb_answers import deciding_paths
from kubectl_lbdoctor.analysis.controller_objects import controller_deployment
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.frontends import Frontend
from kubectl_lbdoctor.analysis.ingress_backends import spoken
from kubectl_lbdoctor.analysis.pictures.causes import Causes, judged, missing_of
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import Action, ListenerRule
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.kinds import INGRESS
from kubectl_lbdoctor.model.picture import Hop, Place, Verdict
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_MAKERS = {
    "controller": "AWS Load Balancer Controller",
    "auto-mode": "EKS Auto Mode",
    "cloud-provider": "AWS cloud provider",
    "other": "another controller",
    "nobody": "no controller takes it",
}
_BALANCERS = {"application": "Application Load Balancer", "network": "Network Load Balancer"}
_STATES = {"active": Verdict.PASSES, "active_impaired": Verdict.PASSES, "failed": Verdict.BLOCKS}
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html"""

_MOST_RULES = 2


def object_hop(front: Frontend, causes: Causes, namespaces: Collection[str]) -> Hop:
    """The object that asks for the load balancer. namespaces: of all that share it."""
    manifest = front.manifest
    own = Verdict.PASSES if manifest.is_known else Verdict.UNKNOWN
    decided = f"class {front.class_name}" if front.class_name else ""
    return judged(
        Place.OBJECT, front.ref.among(namespaces), own, causes.at(Place.OBJECT), decided, missing_of(manifest)
    )


def controller_hop(front: Frontend, causes: Causes) -> Hop:
    """Who makes it, as far as that is known."""
    cluster, mine = front.snapshot.cluster, causes.at(Place.CONTROLLER)
    try:
        owner = front.reconciler().owner
    except Unknown as unknown:
        missing = missing_of(unknown.fact)
        return judged(Place.CONTROLLER, _MAKERS["controller"], Verdict.UNKNOWN, mine, missing=missing)
    if owner != "controller":
        own = Verdict.NOT_REACHED if owner == "nobody" else Verdict.PASSES
        return judged(Place.CONTROLLER, _MAKERS[owner], own, mine)
    found = cluster.controllers
    own = Verdict.PASSES if found.is_known else Verdict.UNKNOWN
    deployment = controller_deployment(cluster)
    ready = sum(workload.ready for workload in found.peek() or ())
    decided = f"{deployment}, {ready} ready" if deployment is not None else ""
    return judged(Place.CONTROLLER, _MAKERS[owner], own, mine, decided, missing_of(found))


def clients_hop(traffic: TrafficPath, causes: Causes) -> Hop:
    """The clients, and the load balancer's own groups that they meet."""
    balancer = traffic.load_balancer.peek()
    mine = causes.at(Place.CLIENTS)
    if balancer is None:
        return judged(Place.CLIENTS, "clients", Verdict.NOT_REACHED, mine)
    name = "clients from the internet" if balancer.scheme == "internet-facing" else "clients in the VPC"
    groups = traffic.network.security_groups
    if not balancer.security_groups:
        return judged(Place.CLIENTS, name, Verdict.PASSES, mine)
    own = Verdict.PASSES if groups.is_known else Verdict.UNKNOWN
    decided = f"through {', '.join(balancer.security_groups)}"
    return judged(Place.CLIENTS, name, own, mine, decided, missing_of(groups))


def balancer_hop(traffic: TrafficPath, causes: Causes, made: Sequence[Hop]) -> Hop:
    """The load balancer. made: what makes it, whose block is why there is none."""
    fact, mine = traffic.load_balancer, causes.at(Place.BALANCER)
    balancer = fact.peek()
    if balancer is not None:
        kind = _BALANCERS.get(balancer.type, "load balancer")
        zones = ", ".join(sorted(balancer.zones))
        decided = ", ".join(filter(None, (kind, balancer.scheme, balancer.state, zones)))
        own = _STATES.get(balancer.state, Verdict.UNKNOWN)
        missing = (f"it is {balancer.state or 'in no state that AWS tells'}",)
        return judged(Place.BALANCER, balancer.name, own, mine, decided, missing)
    if fact.is_known or any(hop.verdict is Verdict.BLOCKS for hop in made):
        return judged(Place.BALANCER, "no load balancer", Verdict.NOT_REACHED, mine)
    return judged(Place.BALANCER, "load balancer", Verdict.UNKNOWN, mine, missing=missing_of(fact))


def branch_hops(traffic: TrafficPath, causes: Causes) -> tuple[Hop, ...]:
    """What a branch begins with: its rule, its target group, and the Service whose pods are registered there; before
    them the Network Load Balancer that stands before that of an Ingress."""
    if traffic.backend is None:
        places = (Place.RULE, Place.GROUP, Place.REGISTRATION)
        return tuple(judged(p, "no backend", Verdict.NOT_REACHED, mine) for p in places if (mine := causes.at(p)))
    before = balancer_hop(traffic, Causes(()), ()) if is_before_ingress(traffic) else None
    own = (before, _rule(traffic, causes), _group(traffic, causes), _registration(traffic, causes))
    return tuple(filter(None, own))


def _rule(traffic: TrafficPath, causes: Causes) -> Hop:
    mine = causes.at(Place.RULE)
    declared = ", ".join(_short([spoken(path) for path in (traffic.backend.paths if traffic.backend else ())]))
    group = traffic.target_group.peek()
    leading = list(_leading(traffic, group.arn)) if group is not None else []
    if leading:
        names = _short([name for name, _ in leading])
        return judged(Place.RULE, ", ".join(names), Verdict.PASSES, mine, "; ".join(_short([d for _, d in leading])))
    missing = missing_of(traffic.listeners, traffic.rules)
    own = Verdict.UNKNOWN if missing and group is not None else Verdict.NOT_REACHED
    return judged(Place.RULE, declared or "no listener or rule", own, mine, missing=missing)


def _leading(traffic: TrafficPath, arn: str) -> Iterator[tuple[str, str]]:
    """What of the load balancer leads to a target group, and the entry that does."""
    rules = traffic.rules.peek() or ()
    for listener in traffic.listeners.peek() or ():
        port = f"{listener.protocol} :{listener.port}"
        if _leads(listener.actions, arn):
            yield port, "default action of the listener"
        for rule in rules:
            # Its default action is listed among the rules once more.
            if rule.listener_arn == listener.arn and rule.priority != "default" and _leads(rule.actions, arn):
                yield f"{port} {_conditions(rule)}".strip(), f"rule {rule.priority} ({rule.arn.rpartition('/')[2]})"


def _leads(actions: Sequence[Action], arn: str) -> bool:
    return any(arn in action.target_groups for action in actions)


def _conditions(rule: ListenerRule) -> str:
    return ", ".join(_short(list(rule.hosts))) + ", ".join(_short(list(rule.paths)))


def _short(texts: list[str]) -> list[str]:
    """The first ones, and how many more there are."""
    unique = list(dict.fromkeys(texts))
    more = len(unique) - _MOST_RULES
    return [*unique[:_MOST_RULES], f"{more} more"] if more > 0 else unique


def _group(traffic: TrafficPath, causes: Causes) -> Hop:
    fact, binding, mine = traffic.target_group, traffic.binding.peek(), causes.at(Place.GROUP)
    group = fact.peek()
    if group is not None:
        kind = f"{group.target_type} targets, {group.protocol}"
        decided = f"{kind} :{group.port}" if group.port > 1 else kind  # 1 stands for each target's own port.
        return judged(Place.GROUP, group.name, Verdict.PASSES, mine, decided)
    name = target_group_name(binding.target_group_arn) if binding is not None else ""
    if fact.is_known:
        return judged(Place.GROUP, name or "no target group", Verdict.NOT_REACHED, mine)
    return judged(Place.GROUP, name or "target group", Verdict.UNKNOWN, mine, missing=missing_of(fact))


def _registration(traffic: TrafficPath, causes: Causes) -> Hop | None:
    """None where the backend names a target group, and so no Service."""
    mine: tuple[Diagnosis, ...] = causes.at(Place.REGISTRATION)
    behind = traffic.behind
    if behind is not None:
        # What keeps it from serving has its place in its own picture, or in the other branches of this one.
        deciding = {*deciding_paths(traffic)}
        own = behind == traffic.subject
        there = tuple(d for d in causes.diagnoses if (deciding & {*d.paths} if own else behind in d.affects))
        kind = "an Ingress" if behind.kind == INGRESS.name else f"a {behind.kind}"
        there = tuple({d.rank: d for d in (*mine, *there)}.values())
        return judged(Place.REGISTRATION, str(behind), Verdict.PASSES, there, f"Application Load Balancer of {kind}")
    if not traffic.service_ref.name:
        return None
    name, facts = str(traffic.service_ref), (traffic.service, traffic.slices)
    if not all(fact.is_known for fact in facts):
        return judged(Place.REGISTRATION, name, Verdict.UNKNOWN, mine, missing=missing_of(*facts))
    if traffic.service.peek() is None:
        return judged(Place.REGISTRATION, name, Verdict.NOT_REACHED, mine, "does not exist")
    port = traffic.service_port.peek()
    ports = f"port {port.port} to {port.target}, " if port is not None else ""
    count = len(traffic.ready_endpoints())
    decided = f"{ports}{count} ready endpoint{'' if count == 1 else 's'}"
    return judged(Place.REGISTRATION, name, Verdict.PASSES if count else Verdict.NOT_REACHED, mine, decided)
