"""Backends that get no traffic by intent: weight 0, a fixed answer instead, or the idle one of two colours. Pure.

Nobody misses what such a backend lacks: its target group may be empty, and its targets may fail, until it is promoted.
Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html (weights)
and https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#actions.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.analysis.ingress_backends import shares_of
from kubectl_lbdoctor.analysis.rule_actions import declared_idle
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Evidence
from kubectl_lbdoctor.model.k8s import TargetGroupBinding
from kubectl_lbdoctor.model.snapshot import lookup
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class Idle:
    """Why a backend gets no traffic by intent, as evidence."""

    evidence: Evidence


@derived
def idle(traffic: TrafficPath) -> Idle | None:
    """Why the path's backend gets no traffic by intent; None where it does, or where nothing that was read says so."""
    return _by_weight(traffic) or _by_route(traffic) or _by_colour(traffic)


def _by_weight(traffic: TrafficPath) -> Idle | None:
    """Weight 0 wherever the backend stands: in the Ingress and in the load balancer, as far as they were read."""
    ingress, backend = traffic.ingress.peek(), traffic.backend
    declared = shares_of(ingress, backend) if ingress is not None and backend is not None else ()
    actual = _shares_in_aws(traffic)
    if not (declared or actual) or not all(own == 0 and total > 0 for own, total in (*declared, *actual)):
        return None
    if ingress is not None and declared:
        return Idle(Evidence(f"ingress/{ingress.meta.name}", "weight 0: no traffic is meant for this backend"))
    return Idle(Evidence(reads.RULES, "weight 0: no traffic is meant for this target group"))


def _by_route(traffic: TrafficPath) -> Idle | None:
    """What the rules of a route say, and the load balancer, as far as it was read. Where no backend of a rule has a
    weight, the load balancer answers with 500 itself."""
    said = declared_idle(traffic)
    if not said or any(own for own, _ in _shares_in_aws(traffic)):
        return None
    return Idle(Evidence(str(traffic.backend.route) if traffic.backend is not None else "", said))


def _shares_in_aws(traffic: TrafficPath) -> tuple[tuple[int, int], ...]:
    """The weight of the target group in each action that names it, and that of all groups there."""
    group = traffic.target_group.peek()
    if group is None:
        return ()
    actions = [a for listener in traffic.listeners.peek() or () for a in listener.actions]
    actions += [a for rule in traffic.rules.peek() or () for a in rule.actions]
    weights = [a.target_groups for a in actions if group.arn in a.target_groups]
    return tuple((table[group.arn], sum(table.values())) for table in weights)


def _by_colour(traffic: TrafficPath) -> Idle | None:
    """A target group of one's own that is on no listener, while that of the other colour is."""
    binding, group = traffic.binding.peek(), traffic.target_group.peek()
    if binding is None or group is None or group.load_balancer_arns:
        return None
    for other in other_colours(traffic, binding):
        found = lookup(traffic.aws.target_groups, other.target_group_arn, reads.TARGET_GROUPS).peek()
        if found is not None and found.load_balancer_arns:
            said = f"of the same application, whose target group {found.name} is on a load balancer"
            return Idle(Evidence(f"targetgroupbinding/{other.meta.name}", f"{said}: this colour is idle"))
    return None


def other_colours(traffic: TrafficPath, binding: TargetGroupBinding) -> tuple[TargetGroupBinding, ...]:
    """Bindings that people made beside this one of theirs, for another colour of the same application: the selectors
    of both Services have the same labels, and differ in some of the values but not in all."""
    facts = traffic.snapshot.facts_of(traffic.namespace)
    if binding.is_generated or not (facts.bindings.is_known and facts.services.is_known):
        return ()
    services = index.services_by_name(traffic.snapshot, traffic.namespace)
    mine = services.get(binding.service)
    return tuple(
        other
        for other in facts.bindings.peek() or ()
        if other.meta.name != binding.meta.name
        and not other.is_generated
        and mine is not None
        and (service := services.get(other.service)) is not None
        and _are_colours(mine.selector, service.selector)
    )


def _are_colours(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    same = sum(1 for key, value in one.items() if other.get(key) == value)
    return one.keys() == other.keys() and 0 < same < len(one)
