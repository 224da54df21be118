"""From a DNS name or URL of a site to the Ingress, Service or route of a Gateway that answers for it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from kubectl_lbdoctor.analysis.gateway_sites import GatewayAnswer, gateway_answers, hosts_of_routes, names_of
from kubectl_lbdoctor.analysis.gateways import requests_of, routes_of
from kubectl_lbdoctor.analysis.site_rules import answers, hosts_of, is_published, published_names
from kubectl_lbdoctor.collect.inventory import Inventory
from kubectl_lbdoctor.errors import CouldNotRun, ReadDenied
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.asked import Site
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Ingress, Service
from kubectl_lbdoctor.model.kinds import (
    GATEWAY,
    INGRESS,
    INGRESS_CLASS,
    INGRESS_CLASS_PARAMS,
    LISTENER_SET,
    NAMESPACE,
    ROUTES,
    SERVICE,
)
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.route import Route
from kubectl_lbdoctor.model.snapshot import ClusterFacts, GatewayFacts, NamespaceFacts, Snapshot
from kubectl_lbdoctor.record import record


@record
class SiteFound:
    """Who answers for a site; notes: by which rule. routes: the backends of that rule."""

    subjects: tuple[ObjectRef, ...]
    notes: tuple[str, ...]
    routes: tuple[Route, ...]


def find(inventory: Inventory, site: Site, namespace: str) -> SiteFound:
    """The Ingresses and routes whose rules are about the host, or whose load balancer has this name, and the Services
    that publish it, in all namespaces, or in the given one where these may not be listed.

    Raises CouldNotRun where nothing of the cluster answers for the host, or no rule for the path, and ReadDenied where
    nothing else answers and Gateways may not be listed.
    """
    ingresses = inventory.everywhere(INGRESS, namespace)
    services = inventory.everywhere(SERVICE, namespace)
    gateway_api, denied = _gateway_api(inventory, namespace)
    found = list(answers(ingresses.need(), site.host, site.path, _classes(inventory)))
    at_gateways = list(gateway_answers(gateway_api, site.host, site.path))
    published = [s for s in services.need() if s.type == "LoadBalancer" and is_published(s, site.host)]
    matched = [answer for answer in found if answer.rule]
    routed = [answer for answer in at_gateways if answer.rule]
    if not matched and not published and not routed:
        if denied is not None:
            raise denied
        if found or at_gateways:
            raise _no_rule(site, [a.ingress for a in found], [a.gateway for a in at_gateways], gateway_api)
        raise _nobody(site, ingresses.need(), services.need(), gateway_api)
    notes, routes = [], []
    for answer in matched:
        subject = ObjectRef(INGRESS.name, answer.ingress.meta.namespace, answer.ingress.meta.name)
        if answer.backend is not None:
            leads = (
                f"service {answer.backend.service}"
                if not answer.backend.is_action
                else f"action {answer.backend.service}"
            )
            notes.append(
                f"{site.word} is answered by {subject} -n {subject.namespace}: rule {answer.rule} leads to {leads}"
            )
            routes.append(Route(subject, answer.backend.service, answer.backend.port))
        else:
            notes.append(f"{site.word} is answered by {subject} -n {subject.namespace}")
    refs = [ObjectRef(SERVICE.name, s.meta.namespace, s.meta.name) for s in published]
    notes += [f"{site.word} is answered by {ref} -n {ref.namespace}" for ref in refs]
    notes += [_at_gateway(site, answer) for answer in routed]
    routes += [
        Route(answer.subject, backend.name, str(backend.port or "")) for answer in routed for backend in answer.backends
    ]
    fronts = (ObjectRef(INGRESS.name, a.ingress.meta.namespace, a.ingress.meta.name) for a in matched)
    behind = (answer.subject for answer in routed)
    return SiteFound(tuple(dict.fromkeys((*fronts, *refs, *behind))), tuple(notes), tuple(routes))


def _classes(inventory: Inventory) -> Snapshot:
    """The IngressClasses and their parameters, which may put Ingresses into a group; where they may not be read, or a
    bundle does not hold them, the annotations tell."""
    try:
        classes = inventory.everywhere(INGRESS_CLASS, "")
        parameters = inventory.everywhere(INGRESS_CLASS_PARAMS, "")
    except (ReadDenied, CouldNotRun):
        return Snapshot()
    return Snapshot(cluster=ClusterFacts(ingress_classes=classes, class_params=parameters))


def _gateway_api(inventory: Inventory, namespace: str) -> tuple[Snapshot, ReadDenied | None]:
    """The Gateways and routes of the cluster, as far as a site needs them, and the denial where they may not be listed:
    who looks for an Ingress need not have that right."""
    try:
        gateways = inventory.everywhere(GATEWAY, namespace)
        sets = inventory.everywhere(LISTENER_SET, namespace)
        routes = joined(reads.ROUTES, [inventory.everywhere(kind, namespace) for kind in ROUTES])
        facts = GatewayFacts(gateways=gateways, listener_sets=sets, routes=routes)
        spaces = inventory.everywhere(NAMESPACE, "") if _selects_namespaces(facts) else Fact.by_definition(())
    except ReadDenied as error:
        nothing: Fact[tuple[Any, ...]] = Fact.by_definition(())
        return Snapshot(gateway_api=GatewayFacts(gateways=nothing, listener_sets=nothing, routes=nothing)), error
    named = {space.meta.name: NamespaceFacts(namespace=Fact.by_definition(space)) for space in spaces.need()}
    return Snapshot(gateway_api=facts, namespaces=named), None


def _selects_namespaces(facts: GatewayFacts) -> bool:
    """Whether labels of namespaces decide which routes a listener takes."""
    listeners = [listener for gateway in facts.gateways.need() for listener in gateway.listeners]
    listeners += [listener for entry in facts.listener_sets.need() for listener in entry.listeners]
    return any(listener.allowed.namespaces == "Selector" for listener in listeners)


def _at_gateway(site: Site, answer: GatewayAnswer) -> str:
    subject = answer.subject
    said = f"{site.word} is answered by {subject} -n {subject.namespace}"
    if not answer.backends:
        return said
    leads = " and ".join(f"{backend.kind.lower()} {backend.name}" for backend in answer.backends)
    return f"{said}: rule {answer.rule} leads to {leads}"


def _no_rule(
    site: Site, ingresses: Iterable[Ingress], gateways: Iterable[Gateway], gateway_api: Snapshot
) -> CouldNotRun:
    """The host is known and the path is not: the listener's default action of the controller is a 404
    (https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/spec/)."""
    named, listed = list(ingresses), list(gateways)
    rules = dict.fromkeys(f"{rule.host or '*'}{rule.path or '/'}" for ingress in named for rule in ingress.paths)
    for gateway in listed:
        for route in routes_of(gateway_api, gateway.meta.namespace, gateway.meta.name).need():
            rules.update(dict.fromkeys(request for rule in route.rules for request in requests_of(route, rule)))
    refs = [f"ingress/{i.meta.name} -n {i.meta.namespace}" for i in named]
    refs += [f"{gateway.ref} -n {gateway.meta.namespace}" for gateway in listed]
    return CouldNotRun(
        f"no rule of {', '.join(refs)} matches {site.host}{site.path}: the load balancer answers it with 404",
        f"its rules: {', '.join(rules)}",
    )


def _nobody(
    site: Site, ingresses: Iterable[Ingress], services: Iterable[Service], gateway_api: Snapshot
) -> CouldNotRun:
    known: dict[str, None] = {}
    anyone = []
    for ingress in ingresses:
        for rule in ingress.paths:
            known.update(dict.fromkeys(hosts_of(ingress, rule)))
        known.update(dict.fromkeys(published_names(ingress)))
        if any(not hosts_of(ingress, rule) for rule in ingress.paths):
            anyone.append(f"ingress/{ingress.meta.name} -n {ingress.meta.namespace}")
    for service in services:
        known.update(dict.fromkeys(published_names(service)))
    for gateway in gateway_api.gateway_api.gateways.need():
        known.update(dict.fromkeys(names_of(gateway)))
    known.update(dict.fromkeys(hosts_of_routes(gateway_api)))
    near = difflib.get_close_matches(site.host, [*known], n=1, cutoff=0.7)
    if near:
        hint = f"did you mean {near[0]}?"
    elif anyone:
        hint = (
            f"{', '.join(anyone[:3])} answers for any host: see with `nslookup {site.host}` whose load balancer it is"
        )
    else:
        hint = f"hosts of this cluster: {', '.join([*known][:5])}" if known else "this cluster has no rule with a host"
    return CouldNotRun(f'no Ingress, Service or Gateway of this cluster answers for "{site.host}"', hint)
