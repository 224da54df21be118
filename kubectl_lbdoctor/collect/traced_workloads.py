"""From pods, workloads, endpoints and nodes to what leads to them: Services by their selectors, and their frontends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from kubectl_lbdoctor.analysis.led_by import frontends_of, services_of
from kubectl_lbdoctor.collect.inventory import Inventory, Objects
from kubectl_lbdoctor.collect.not_found import not_found
from kubectl_lbdoctor.errors import CouldNotRun, LbdoctorError
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.kinds import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    INGRESS,
    NODE,
    POD,
    SERVICE,
    TARGET_GROUP_BINDING,
    Kind,
)
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.record import record


@record
class Traced:
    """What leads to a workload, and the way in one sentence."""

    subjects: tuple[ObjectRef, ...]
    notes: tuple[str, ...]


def trace(inventory: Inventory, kind: Kind, namespace: str, name: str, only: str) -> Traced:
    """What leads to a Service or an object of one of `kinds.LEADS_TO_SUBJECTS`. only: the namespace that pods of a node
    are looked for in, "" for all.

    Raises CouldNotRun for an object that does not exist, and where nothing leads to it, saying what is missing between.
    """
    if kind in (ENDPOINTS, SERVICE):
        return _through(inventory, f"{kind.singular}/{name}", namespace, [name])
    record = _one(inventory, kind, namespace, name)
    if kind is NODE:
        return _of_node(inventory, record.meta.name, only or "")
    return _of_record(inventory, kind, record)


def trace_all(inventory: Inventory, records: Iterable[tuple[Kind, Any]], only: str) -> tuple[ObjectRef, ...]:
    """What leads to any of these objects."""
    found: dict[ObjectRef, None] = {}
    for kind, item in records:
        try:
            traced = _of_node(inventory, item.meta.name, only) if kind is NODE else _of_record(inventory, kind, item)
        except CouldNotRun:
            continue
        found.update(dict.fromkeys(traced.subjects))
    return tuple(found)


def _one(inventory: Inventory, kind: Kind, namespace: str, name: str) -> Any:
    home = namespace if kind.namespaced else ""
    listed = inventory.listed(kind, home, fields=f"metadata.name={name}")
    if found := listed.need():
        return found[0]
    if listed.left_out:
        raise CouldNotRun(f"{kind.singular}/{name} could not be understood: {listed.reason}")
    names = [record.meta.name for record in inventory.listed(kind, home).need()]
    elsewhere: list[str] = []
    if home:
        with suppress(LbdoctorError):  # It may not be listed: the hint does without.
            elsewhere = [r.meta.namespace for r in inventory.listed(kind, "", fields=f"metadata.name={name}").need()]
    raise not_found(ObjectRef(kind.name, home, name), names, elsewhere)


def _of_record(inventory: Inventory, kind: Kind, record: Any) -> Traced:
    namespace = record.meta.namespace
    what = f"{kind.singular}/{record.meta.name}"
    if kind is ENDPOINT_SLICE:
        return _through(inventory, what, namespace, [record.service])
    labels = record.meta.labels if kind is POD else record.template_labels
    services = inventory.listed(SERVICE, namespace)
    selecting = services_of([labels], services.need())
    if not selecting:
        mine = "it" if kind is POD else "its pods"
        carried = ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no labels"
        raise CouldNotRun(
            f"no load balancer leads to {what}: no Service of namespace {namespace} selects {mine} ({carried})"
            f"{_gap(services)}",
            _nearest(labels, services.need()) or f"kubectl get services -n {namespace} -o wide shows their selectors",
        )
    return _through(inventory, what, namespace, [service.meta.name for service in selecting])


def _through(inventory: Inventory, what: str, namespace: str, names: list[str]) -> Traced:
    """What leads to these Services; `what` stands behind them."""
    services = inventory.listed(SERVICE, namespace)
    ingresses, bindings = inventory.listed(INGRESS, namespace), inventory.listed(TARGET_GROUP_BINDING, namespace)
    behind = [service for service in services.need() if service.meta.name in names]
    subjects = frontends_of(behind, ingresses.need(), bindings.need())
    listed = ", ".join(f"service/{name}" for name in sorted(names)) or "no Service"
    if not subjects:
        raise CouldNotRun(
            f"no load balancer leads to {what}: {listed} is not of type LoadBalancer, and no Ingress and no "
            f"TargetGroupBinding of namespace {namespace} names it{_gap(services, ingresses, bindings)}",
            f"kubectl get ingresses,targetgroupbindings -n {namespace}",
        )
    return Traced(subjects, (f"{what} is behind {', '.join(map(str, subjects))} (through {listed})",))


def _of_node(inventory: Inventory, name: str, only: str) -> Traced:
    """The frontends of the pods on a node, and those whose targets are instances: every node is one of them."""
    on_node = inventory.listed(POD, only, fields=f"spec.nodeName={name}").need()
    by_namespace: dict[str, list[Mapping[str, str]]] = {}
    for pod in on_node:
        by_namespace.setdefault(pod.meta.namespace, []).append(pod.meta.labels)
    all_services = inventory.listed(SERVICE, only).need()
    all_ingresses = inventory.listed(INGRESS, only).need()
    all_bindings = inventory.listed(TARGET_GROUP_BINDING, only).need()
    for binding in all_bindings:
        if binding.target_type == "instance":
            by_namespace.setdefault(binding.meta.namespace, [])
    found: list[ObjectRef] = []
    for namespace, labels in sorted(by_namespace.items()):
        services = [s for s in all_services if s.meta.namespace == namespace]
        bindings = [b for b in all_bindings if b.meta.namespace == namespace]
        instance = {b.service for b in bindings if b.target_type == "instance"}
        behind = {
            s.meta.name: s for s in (*services_of(labels, services), *(s for s in services if s.meta.name in instance))
        }
        found += frontends_of(behind.values(), (i for i in all_ingresses if i.meta.namespace == namespace), bindings)
    if not found:
        where = f"namespace {only}" if only else "any namespace"
        raise CouldNotRun(
            f"no load balancer of {where} leads to node/{name}: no pod on it is behind one, and no binding has "
            "instance targets",
            f"kubectl get pods -A --field-selector spec.nodeName={name}",
        )
    return Traced(
        tuple(dict.fromkeys(found)), (f"node/{name} has targets of {', '.join(map(str, dict.fromkeys(found)))}",)
    )


def _nearest(labels: Mapping[str, str], services: Iterable[Service]) -> str:
    """The Service whose selector differs from the labels in one value only."""
    for service in services:
        unmet = [key for key, value in service.selector.items() if labels.get(key) != value]
        if len(unmet) == 1 and unmet[0] in labels:
            selector = ",".join(f"{key}={value}" for key, value in sorted(service.selector.items()))
            return f"service/{service.meta.name} selects {selector}"
    return ""


def _gap(*lists: Objects) -> str:
    """What may be missing from an absence: objects that could not be understood."""
    reasons = "; ".join(listed.reason for listed in lists if listed.left_out)
    return f", as far as they are understood: {reasons}" if reasons else ""
