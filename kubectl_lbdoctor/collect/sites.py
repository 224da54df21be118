"""From a DNS name or URL of a site to the Ingress or Service that answers for it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from kubectl_lbdoctor.analysis.site_rules import answers, hosts_of, is_published, published_names
from kubectl_lbdoctor.collect.inventory import Inventory
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.asked import Site
from kubectl_lbdoctor.model.k8s import Ingress, Service
from kubectl_lbdoctor.model.kinds import INGRESS, SERVICE
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.route import Route
from kubectl_lbdoctor.record import record


@record
class SiteFound:
    """Who answers for a site; notes: by which rule. routes: the backends of that rule."""

    subjects: tuple[ObjectRef, ...]
    notes: tuple[str, ...]
    routes: tuple[Route, ...]


def find(inventory: Inventory, site: Site, namespace: str) -> SiteFound:
    """The Ingresses whose rules are about the host, or whose load balancer has this name, and the Services that publish
    it, in all namespaces, or in the given one where these may not be listed.

    Raises CouldNotRun where nothing of the cluster answers for the host, or no rule for the path.
    """
    ingresses = inventory.everywhere(INGRESS, namespace)
    services = inventory.everywhere(SERVICE, namespace)
    found = list(answers(ingresses.need(), site.host, site.path))
    published = [s for s in services.need() if s.type == "LoadBalancer" and is_published(s, site.host)]
    matched = [answer for answer in found if answer.rule]
    if not matched and not published:
        raise _no_rule(site, [a.ingress for a in found]) if found else _nobody(site, ingresses.need(), services.need())
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
    fronts = (ObjectRef(INGRESS.name, a.ingress.meta.namespace, a.ingress.meta.name) for a in matched)
    return SiteFound(tuple(dict.fromkeys((*fronts, *refs))), tuple(notes), tuple(routes))


def _no_rule(site: Site, ingresses: Iterable[Ingress]) -> CouldNotRun:
    """The host is known and the path is not: the listener's default action of the controller is a 404
    (https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/spec/)."""
    named = list(ingresses)
    rules = dict.fromkeys(f"{rule.host or '*'}{rule.path or '/'}" for ingress in named for rule in ingress.paths)
    refs = ", ".join(f"ingress/{i.meta.name} -n {i.meta.namespace}" for i in named)
    return CouldNotRun(
        f"no rule of {refs} matches {site.host}{site.path}: the load balancer answers it with 404",
        f"its rules: {', '.join(rules)}",
    )


def _nobody(site: Site, ingresses: Iterable[Ingress], services: Iterable[Service]) -> CouldNotRun:
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
    near = difflib.get_close_matches(site.host, [*known], n=1, cutoff=0.7)
    if near:
        hint = f"did you mean {near[0]}?"
    elif anyone:
        hint = (
            f"{', '.join(anyone[:3])} answers for any host: see with `nslookup {site.host}` whose load balancer it is"
        )
    else:
        hint = (
            f"hosts of this cluster: {', '.join([*known][:5])}" if known else "this cluster has no Ingress with a host"
        )
    return CouldNotRun(f'no Ingress or Service of this cluster answers for "{site.host}"', hint)
