"""From what an alarm names, a target group or a load balancer, to the objects that it was made for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from kubectl_lbdoctor.analysis.frontend_nlb import ENABLE
from kubectl_lbdoctor.analysis.ingress_backends import GROUP_ANNOTATION, backends_of
from kubectl_lbdoctor.analysis.led_by import gateway_of_binding
from kubectl_lbdoctor.collect.inventory import Inventory
from kubectl_lbdoctor.errors import CouldNotRun, ReadDenied
from kubectl_lbdoctor.knowledge.annotation_rules.linted import truth
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Ingress, Service, TargetGroupBinding
from kubectl_lbdoctor.model.kinds import GATEWAY, INGRESS, SERVICE, TARGET_GROUP_BINDING
from kubectl_lbdoctor.model.objects import ObjectRef


def _none_found(what: str, hint: str, *lists: Fact[Any]) -> CouldNotRun:
    """The error for what no object names; an object that could not be understood may do so."""
    reasons = "; ".join(fact.reason for fact in lists if fact.left_out)
    return CouldNotRun(f"{what}, as far as they are understood: {reasons}" if reasons else what, hint)


def either(inventory: Inventory, name: str, namespace: str) -> tuple[ObjectRef, ...]:
    """The frontends of a target group or else a load balancer with this name. Raises CouldNotRun where neither is,
    and ReadDenied where one of them may be what cannot be listed."""
    denied: list[ReadDenied] = []
    for find in (target_group, load_balancer):
        try:
            return find(inventory, name, namespace)
        except CouldNotRun:
            continue
        except ReadDenied as error:
            denied.append(error)
    if denied:
        raise denied[0]
    raise CouldNotRun(
        f'no target group and no load balancer of this cluster is named "{name}"',
        "list them: kubectl get targetgroupbindings,ingresses,services -A -o wide",
    )


def target_group(inventory: Inventory, wanted: str, namespace: str) -> tuple[ObjectRef, ...]:
    """The frontends of a target group given by ARN or name: the Ingress or Service that it was made for, else the
    TargetGroupBinding itself.

    Raises CouldNotRun when no binding of the cluster names it, and ReadDenied where it may be before an Ingress that
    may not be listed.
    """
    bindings: Fact[tuple[TargetGroupBinding, ...]] = inventory.everywhere(TARGET_GROUP_BINDING, namespace)
    name = target_group_name(wanted)
    found = [
        b
        for b in bindings.need()
        if b.target_group_arn == wanted
        or (not wanted.startswith("arn:") and target_group_name(b.target_group_arn) == name)
    ]
    if not found and (before := _behind_frontend_nlb(inventory, name, namespace)):
        return before
    if not found:
        raise _none_found(
            f'no TargetGroupBinding of this cluster names target group "{wanted}"',
            f"{_elsewhere(wanted, bindings.need())}it belongs to another cluster, or to no cluster; "
            "list: kubectl get targetgroupbindings -A -o wide",
            bindings,
        )
    ingresses: tuple[Ingress, ...] = inventory.everywhere(INGRESS, namespace).need()
    return tuple(dict.fromkeys(owner for binding in found for owner in _owners(binding, ingresses)))


def _behind_frontend_nlb(inventory: Inventory, name: str, namespace: str) -> tuple[ObjectRef, ...]:
    """The Ingresses before whose load balancer the controller may have put a Network Load Balancer with a target group
    of this name. Nothing in the cluster names that group, and its name says the beginning of the Ingress's or of the
    group's (buildFrontendNlbTargetGroupName in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_frontend_nlb.go).

    Raises ReadDenied where Ingresses may not be listed: one of them may be what is looked for."""
    ingresses: tuple[Ingress, ...] = inventory.everywhere(INGRESS, namespace).need()
    enabled = {_group_or_name(i) for i in ingresses if truth(i.meta.annotations.get(ENABLE))}
    return tuple(
        ObjectRef(INGRESS.name, ingress.meta.namespace, ingress.meta.name)
        for ingress in ingresses
        if _group_or_name(ingress) in enabled and re.fullmatch(rf"k8s-{_group_or_name(ingress)}-[0-9a-f]{{10}}", name)
    )


def _group_or_name(ingress: Ingress) -> str:
    """How the names of what the controller makes for an Ingress, or for its group, begin behind "k8s-"."""
    group = ingress.meta.annotations.get(GROUP_ANNOTATION, "")
    if group:
        return _plain(group)[:17]
    return f"{_plain(ingress.meta.namespace)[:8]}-{_plain(ingress.meta.name)[:8]}"


def _plain(text: str) -> str:
    return re.sub("[^0-9A-Za-z]", "", text)


def _elsewhere(wanted: str, bindings: Iterable[TargetGroupBinding]) -> str:
    """How an ARN's account or region is another one than that of all target groups of the cluster; "" where it is not,
    or that is not known."""
    arn = parse_arn(wanted)
    own = {(own.account, own.region) for b in bindings if (own := parse_arn(b.target_group_arn)) is not None}
    if arn is None or not own or (arn.account, arn.region) in own:
        return ""
    here = " and ".join(f"{account} in {region}" for account, region in sorted(own))
    return f"it is of account {arn.account} in {arn.region}, and those of this cluster are of {here}: "


_MADE_FOR = {"ingress": INGRESS.name, "service": SERVICE.name}


def _owners(binding: TargetGroupBinding, ingresses: Iterable[Ingress]) -> tuple[ObjectRef, ...]:
    """By the controller's stack labels; an IngressGroup's binding leads to the members that use its Service port."""
    if (gateway := gateway_of_binding(binding)) is not None:
        return (gateway,)
    kind, name = _MADE_FOR.get(binding.stack, ""), binding.stack_label("stack-name")
    if kind and name:
        return (ObjectRef(kind, binding.stack_label("stack-namespace") or binding.meta.namespace, name),)
    if binding.stack == "ingress":
        members = tuple(
            ObjectRef(INGRESS.name, i.meta.namespace, i.meta.name)
            for i in ingresses
            if i.meta.namespace == binding.meta.namespace
            and any(b.service == binding.service and b.port == binding.port for b in backends_of(i))
        )
        if members:
            return members
    return (binding.ref,)


def load_balancer(inventory: Inventory, wanted: str, namespace: str) -> tuple[ObjectRef, ...]:
    """The Ingresses, Services and Gateways that publish a load balancer given by ARN, name or DNS name.

    Raises CouldNotRun when none of the cluster does, and ReadDenied when none does of what may be listed.
    """
    found: list[ObjectRef] = []
    lists: list[Fact[Any]] = []
    denied: list[ReadDenied] = []
    fronts: list[tuple[str, Ingress | Service | Gateway]] = []
    for kind in (INGRESS, SERVICE, GATEWAY):
        try:
            listed = inventory.everywhere(kind, namespace)
        except ReadDenied as error:
            denied.append(error)
            continue
        lists.append(listed)
        fronts += ((kind.name, front) for front in listed.need())
    name = balancer_name(wanted)
    for name_of_kind, front in fronts:
        for address in front.addresses:
            if address.lower() == wanted.lower() or ("." not in wanted and balancer_name(address) == name):
                found.append(ObjectRef(name_of_kind, front.meta.namespace, front.meta.name))
    if not found and denied:
        raise denied[0]
    if not found:
        raise _none_found(
            f'no Ingress, Service or Gateway of this cluster publishes load balancer "{wanted}"',
            "list the addresses: kubectl get ingress,service,gateway -A",
            *lists,
        )
    return tuple(dict.fromkeys(found))


def balancer_name(text: str) -> str:
    """The name in an ARN ("…:loadbalancer/app/NAME/ID") or in a DNS name ("internal-NAME-HASH.…"), or the text."""
    arn = parse_arn(text)
    if arn is not None and arn.load_balancer:
        return arn.load_balancer
    if ".elb." not in text.lower():
        return text
    head = re.sub(r"^(internal-|dualstack\.)+", "", text.split(".elb.", 1)[0].split(".", 1)[0])
    return head.rsplit("-", 1)[0]
