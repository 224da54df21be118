"""LBD227: target groups that no request reaches, because other rules of the load balancer come first."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.ingress_backends import backends_of, group_members, known_members
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.rule_order import rules_to, takes_all_of
from kubectl_lbdoctor.analysis.site_rules import place_in_group
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import ListenerRule
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.k8s import Ingress
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_ORDER = ALB_PREFIX + "group.order"
_ACTIONS = ALB_PREFIX + "actions."
_LOWEST = -1000
"""The smallest group.order, by the page that the check cites."""


@check(
    "LBD227",
    title="no request reaches a target group, because other rules come first",
    passes="a rule or listener leads requests to the target group",
    severity=Severity.ERROR,
    message="no request reaches {service}: rule {number} ({taken})[ of Ingress {member}] takes them first",
    reads=(
        *(reads.TARGET_GROUPS, reads.LOAD_BALANCERS, reads.LISTENERS, reads.RULES, reads.BINDINGS),
        *(reads.INGRESSES, reads.ALL_INGRESSES, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, reads.SERVICES),
    ),
    distinct_by=("service",),
)
def rules_come_too_late(traffic: TrafficPath) -> Iterator[Finding]:
    """Of the rules of a listener the first one that matches answers. The controller orders those of an IngressGroup by
    `group.order`, then by the members' namespaces and names, whatever their paths say: a path `/*` of an earlier member
    takes the requests for `/api` of a later one. Within an Ingress an exact path comes first, then the longer prefix,
    and paths of type ImplementationSpecific as they stand. Nothing says so: targets are healthy, and requests go to
    another Service. A rule that asks for more than hosts and paths (headers, source addresses) is taken for none that
    takes everything. A rule that no Ingress asks for was made in AWS by hand, as for a page of maintenance; only such a
    one, which answers every request with an error, is an error here.

    Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#group.order

    Confirm by hand: `aws elbv2 describe-rules --listener-arn ARN`, in the order of Priority. Repair: a smaller
    group.order for the member with the narrower path, or a larger one for that with the wider path; a rule that was
    made by hand is deleted.
    """
    group = traffic.target_group.need()
    if group is None or traffic.subject.kind != "Ingress":
        raise NotApplicable("no target group of an Ingress")
    if any(group.arn in action.target_groups for listener in traffic.listeners.need() for action in listener.actions):
        return
    rules = traffic.rules.need()
    own = rules_to(rules, group.arn)
    if not own:
        raise NotApplicable("no rule leads to the target group")
    takers = [(rule, takes_all_of(rules, rule)) for rule in own]
    first, taker = takers[0]
    if taker is None or any(by is None for _, by in takers):
        return
    name = traffic.backend.service if traffic.backend is not None else group.name
    stranger = _is_nobodys(traffic, taker)
    member = _member_of(traffic, taker)
    yield Finding(
        "LBD227",
        traffic.subject,
        params={
            "service": name,
            "number": taker.priority,
            "taken": _words(taker),
            "member": f"{member.meta.namespace}/{member.meta.name}" if member is not None else "",
        },
        evidence=(
            Evidence(reads.RULES, f"rule {taker.priority}: {_words(taker)} {_leads(traffic, taker)}"),
            *(Evidence(reads.RULES, f"rule {rule.priority}: {_words(rule)} leads to {name}") for rule in own[:3]),
            *((_order_of(member), _order_of(traffic.ingress.need())) if member is not None else ()),
            *((Evidence(str(traffic.subject), "no action of this kind: somebody made the rule in AWS"),) * stranger),
        ),
        confirm=(aws("elbv2", "describe-rules", "--listener-arn", first.listener_arn, region=traffic.context.region),),
        by_hand=(aws("elbv2", "delete-rule", "--rule-arn", taker.arn, region=traffic.context.region),)
        if stranger
        else _before(traffic, member),
        advice="delete the rule, or put it behind the controller's: no Ingress asks for it"
        if stranger
        else f"give this Ingress a smaller {_ORDER} than the member with the wider path has"
        if traffic.group
        else "put the narrower path before the wider one, or make it one of type Prefix or Exact",
        severity=None if stranger and _refuses(taker) else Severity.WARNING,
    )


def _is_nobodys(traffic: TrafficPath, rule: ListenerRule) -> bool:
    """Whether a rule that answers by itself (with a fixed response or a redirect) comes from no Ingress of the load
    balancer: none of them has an action of this kind, whatever its path, and none redirects to HTTPS."""
    kinds = {action.type for action in rule.actions}
    if not kinds or not kinds <= {"fixed-response", "redirect"}:
        return False
    own = traffic.ingress.need()
    members = group_members(traffic.snapshot, traffic.group)
    for ingress in (*([own] if own is not None else []), *members):
        for key, value in ingress.meta.annotations.items():
            if key == f"{ALB_PREFIX}ssl-redirect" or (
                key.startswith(_ACTIONS) and any(kind in value for kind in kinds)
            ):
                return False
        if any(one.service and not _is_served(traffic, ingress, one.service) for one in backends_of(ingress)):
            return False  # The controller answers for a backend that does not exist (LBD106, LBD108).
    return True


def _refuses(rule: ListenerRule) -> bool:
    return any(a.type == "fixed-response" and a.status_code.startswith(("4", "5")) for a in rule.actions)


def _is_served(traffic: TrafficPath, ingress: Ingress, service: str) -> bool:
    known = traffic.snapshot.facts_of(ingress.meta.namespace).services.peek() or ()
    return any(one.meta.name == service for one in known)


def _member_of(traffic: TrafficPath, rule: ListenerRule) -> Ingress | None:
    """The other member of the IngressGroup whose backend a rule leads to; None where that is not known."""
    services = set(_services(traffic, rule))
    for member in sorted(known_members(traffic.snapshot, traffic.group), key=place_in_group):
        own = (member.meta.namespace, member.meta.name) == (traffic.subject.namespace, traffic.subject.name)
        if own or member.meta.namespace != traffic.namespace:
            continue
        if any(backend.service in services for backend in backends_of(member)):
            return member
    return None


def _order_of(member: Ingress | None) -> Evidence:
    order, key = place_in_group(member) if member is not None else (0, "")
    return Evidence(f"ingress/{key.rpartition('/')[2]}", f"group.order {order}")


def _before(traffic: TrafficPath, member: Ingress | None) -> tuple[str, ...]:
    """The command that puts the Ingress before a member of its group."""
    order = place_in_group(member)[0] - 1 if member is not None else _LOWEST - 1
    if order < _LOWEST:
        return ()
    own = traffic.subject
    return (kubectl("annotate", "ingress", own.name, f"{_ORDER}={order}", "--overwrite", namespace=own.namespace),)


def _words(rule: ListenerRule) -> str:
    return f"{' '.join(rule.hosts) or '*'} {' '.join(rule.paths)}".strip()


def _leads(traffic: TrafficPath, rule: ListenerRule) -> str:
    groups = [arn for action in rule.actions for arn in action.target_groups]
    if not groups:
        return f"is answered by {', '.join(action.type for action in rule.actions)}"
    return f"leads to {', '.join(_services(traffic, rule) or map(target_group_name, groups[:3]))}"


def _services(traffic: TrafficPath, rule: ListenerRule) -> list[str]:
    """The Services of this namespace that a rule leads to."""
    bound = {b.target_group_arn: b.service for b in traffic.namespace_facts.bindings.need()}
    return [bound[arn] for action in rule.actions for arn in action.target_groups if arn in bound]
