"""What a run is about: the objects that are named on the command line, or everything in a namespace.

What an alarm names, a target group or a load balancer, is traced to its Ingress or Service first. Only Kubernetes is
asked: bindings carry target group ARNs, and Ingresses and Services publish the load balancer's DNS name, whose head is
the load balancer's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from kubectl_lbdoctor.analysis.gateways import OUR_CONTROLLERS
from kubectl_lbdoctor.analysis.ingress_backends import backends_of
from kubectl_lbdoctor.collect.converters import converter
from kubectl_lbdoctor.collect.sieve import Sieve
from kubectl_lbdoctor.errors import ApiMissing, CouldNotRun, ReadDenied, ReadFailed
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Ingress, Service, TargetGroupBinding
from kubectl_lbdoctor.model.kinds import (
    GATEWAY,
    GATEWAY_CLASS,
    INGRESS,
    LOAD_BALANCER,
    SERVICE,
    TARGET_GROUP,
    TARGET_GROUP_BINDING,
    Kind,
)


class Lists(Protocol):
    """What is needed of `collect.kube.KubeReader`."""

    def list(self, path: str, params: Any = None) -> Iterable[dict[str, Any]]: ...


def _everywhere(kube: Lists, kind: Kind, namespace: str) -> Fact[tuple[Any, ...]]:
    """Objects of all namespaces; where that is denied, those of the current one. Raises what the read raises."""
    sieve, convert, found = Sieve(kind.plural), converter(kind), tuple[Any, ...]()
    try:
        try:
            found = tuple(sieve.through(kube.list(kind.path()), convert))
        except ReadDenied:
            found = tuple(sieve.through(kube.list(kind.path(namespace)), convert))
    except ApiMissing:
        pass
    return sieve.marked(Fact.by_definition(found))


def _none_found(what: str, hint: str, *lists: Fact[Any]) -> CouldNotRun:
    """The error for what no object names; an object that could not be understood may do so."""
    reasons = "; ".join(fact.reason for fact in lists if fact.left_out)
    return CouldNotRun(f"{what}, as far as they are understood: {reasons}" if reasons else what, hint)


def subjects_of(kube: Lists, requested: Iterable[tuple[str, str]], namespace: str) -> tuple[ObjectRef, ...]:
    """The objects behind (kind, name) pairs, each once. Whether they exist is not looked at.

    Raises CouldNotRun for a target group or a load balancer that leads to nothing in this cluster.
    """
    found: list[ObjectRef] = []
    for kind, name in requested:
        if kind == TARGET_GROUP.name:
            found += target_group(kube, name, namespace)
        elif kind == LOAD_BALANCER.name:
            found += load_balancer(kube, name, namespace)
        else:
            found.append(ObjectRef(kind, namespace, name))
    return tuple(dict.fromkeys(found))


def target_group(kube: Lists, wanted: str, namespace: str) -> tuple[ObjectRef, ...]:
    """The frontends of a target group given by ARN or name: the Ingress or Service that it was made for, else the
    TargetGroupBinding itself.

    Raises CouldNotRun when no binding of the cluster names it.
    """
    bindings = _everywhere(kube, TARGET_GROUP_BINDING, namespace)
    name = target_group_name(wanted)
    found = [
        b
        for b in bindings.need()
        if b.target_group_arn == wanted
        or (not wanted.startswith("arn:") and target_group_name(b.target_group_arn) == name)
    ]
    if not found:
        raise _none_found(
            f'no TargetGroupBinding of this cluster names target group "{wanted}"',
            "it belongs to another cluster, or to no cluster; list: kubectl get targetgroupbindings -A -o wide",
            bindings,
        )
    ingresses = _everywhere(kube, INGRESS, namespace).need()
    return tuple(dict.fromkeys(owner for binding in found for owner in _owners(binding, ingresses)))


def namespace_subjects(kube: Lists, namespace: str) -> tuple[ObjectRef, ...]:
    """What leads to targets in a namespace: Ingresses, Services of type LoadBalancer, Gateways of an AWS controller,
    and bindings that a person made (the controller labels its own with their stack).

    A kind that may not be listed raises ReadDenied, and an object that cannot be understood ReadFailed: half a
    namespace must not pass for the whole.
    """

    def listed(kind: Kind) -> tuple[Any, ...]:
        sieve, convert = Sieve(kind.plural), converter(kind)
        try:
            objects = tuple(sieve.through(kube.list(kind.path(namespace)), convert))
        except ApiMissing:
            return ()
        found = sieve.marked(Fact.by_definition(objects))
        if found.left_out:
            raise ReadFailed(f"what is in namespace {namespace} is not known: {found.reason}", "name the objects")
        return objects

    ingresses = listed(INGRESS)
    services = [s for s in listed(SERVICE) if s.type == "LoadBalancer"]
    bindings = [
        b for b in listed(TARGET_GROUP_BINDING) if not any(key.startswith(_STACK_LABELS) for key in b.meta.labels)
    ]
    gateways = listed(GATEWAY)
    return (
        *(ObjectRef(INGRESS.name, namespace, i.meta.name) for i in ingresses),
        *(ObjectRef(SERVICE.name, namespace, s.meta.name) for s in services),
        *(ObjectRef(GATEWAY.name, namespace, g.meta.name) for g in _of_aws(kube, gateways)),
        *(ObjectRef(TARGET_GROUP_BINDING.name, namespace, b.meta.name) for b in bindings),
    )


_STACKS = (
    ("ingress.k8s.aws", INGRESS.name),
    ("service.k8s.aws", SERVICE.name),
    ("gateway.k8s.aws.alb", GATEWAY.name),
    ("gateway.k8s.aws.nlb", GATEWAY.name),
)
"""Whose stack a binding belongs to, by the prefix of its labels (pkg/deploy/tracking in the controller)."""

_STACK_LABELS = ("ingress.k8s.aws/", "service.k8s.aws/", "gateway.k8s.aws")


def _of_aws(kube: Lists, gateways: tuple[Gateway, ...]) -> tuple[Gateway, ...]:
    """Those whose class is an AWS controller's: other controllers have Gateways, too. All of them where classes may not
    be listed."""
    if not gateways:
        return ()
    try:
        classes = tuple(Sieve(GATEWAY_CLASS.plural).through(kube.list(GATEWAY_CLASS.path()), converter(GATEWAY_CLASS)))
    except (ReadDenied, ReadFailed):
        return gateways
    ours = {found.meta.name for found in classes if found.controller in OUR_CONTROLLERS}
    return tuple(gateway for gateway in gateways if gateway.class_name in ours)


def _owners(binding: TargetGroupBinding, ingresses: Iterable[Ingress]) -> tuple[ObjectRef, ...]:
    """By the controller's stack labels; an IngressGroup's binding leads to the members that use its Service port."""
    labels = binding.meta.labels
    for stack, kind in _STACKS:
        name = labels.get(f"{stack}/stack-name")
        if name:
            return (ObjectRef(kind, labels.get(f"{stack}/stack-namespace", binding.meta.namespace), name),)
    if "ingress.k8s.aws/stack" in labels:
        members = tuple(
            ObjectRef(INGRESS.name, i.meta.namespace, i.meta.name)
            for i in ingresses
            if i.meta.namespace == binding.meta.namespace
            and any(b.service == binding.service and b.port == binding.port for b in backends_of(i))
        )
        if members:
            return members
    return (ObjectRef(TARGET_GROUP_BINDING.name, binding.meta.namespace, binding.meta.name),)


def load_balancer(kube: Lists, wanted: str, namespace: str) -> tuple[ObjectRef, ...]:
    """The Ingresses, Services and Gateways that publish a load balancer given by ARN, name or DNS name.

    Raises CouldNotRun when none of the cluster does.
    """
    found: list[ObjectRef] = []
    ingresses = _everywhere(kube, INGRESS, namespace)
    services = _everywhere(kube, SERVICE, namespace)
    gateways = _everywhere(kube, GATEWAY, namespace)
    fronts: list[tuple[str, Ingress | Service | Gateway]] = [
        *((INGRESS.name, i) for i in ingresses.need()),
        *((SERVICE.name, s) for s in services.need()),
        *((GATEWAY.name, g) for g in gateways.need()),
    ]
    name = balancer_name(wanted)
    for kind, front in fronts:
        for address in front.addresses:
            if address.lower() == wanted.lower() or ("." not in wanted and balancer_name(address) == name):
                found.append(ObjectRef(kind, front.meta.namespace, front.meta.name))
    if not found:
        raise _none_found(
            f'no Ingress, Service or Gateway of this cluster publishes load balancer "{wanted}"',
            "list the addresses: kubectl get ingress,service,gateway -A",
            *(ingresses, services, gateways),
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
