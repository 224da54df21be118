"""From what a run is asked about to its subjects: named themselves, found in a namespace, or traced from what an alarm,
a client or a workload names.

Only Kubernetes is asked: bindings carry target group ARNs, and Ingresses and Services publish the load balancer's DNS
name, whose head is the load balancer's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kubectl_lbdoctor.analysis.led_by import is_of_stack
from kubectl_lbdoctor.collect import sites, traced_balancers, traced_workloads
from kubectl_lbdoctor.collect.inventory import Inventory
from kubectl_lbdoctor.errors import CouldNotRun, LbdoctorError, ReadDenied, ReadFailed, Unreachable
from kubectl_lbdoctor.model.asked import AllOf, Asked, AwsName, LeadingTo, Named, Question, Site
from kubectl_lbdoctor.model.kinds import (
    LOAD_BALANCER,
    ROUTES,
    SERVICE,
    SUBJECTS,
    TARGET_GROUP,
    TARGET_GROUP_BINDING,
    Kind,
)
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.route import Route

_SWEPT = tuple(kind for kind in SUBJECTS if kind not in ROUTES)


@dataclass
class Found:
    """What a question leads to. Whether objects that were named themselves exist is not looked at.

    swept: subjects that nobody named; those of other controllers are no part of what was asked. missing: what was named
    and leads to nothing, or cannot be looked up. notes: what leads where, for people. routes: the paths that clients
    asked about.
    """

    subjects: dict[ObjectRef, None] = field(default_factory=dict)
    swept: set[ObjectRef] = field(default_factory=set)
    missing: list[LbdoctorError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)

    def add(self, refs: Iterable[ObjectRef]) -> None:
        self.subjects.update(dict.fromkeys(refs))


class Finder:
    """Looks names up in an inventory. namespace: of the run ("" in a bundle: any). chosen: it was given with -n."""

    def __init__(self, inventory: Inventory, namespace: str, chosen: bool = False) -> None:
        self._inventory = inventory
        self._namespace = namespace
        self._only = namespace if chosen else ""

    def find(self, question: Question) -> Found:
        """Everything that the question leads to. Raises Unreachable where nobody answers."""
        found, unled = Found(), list[LbdoctorError]()
        for asked in question:
            self._inventory.narrowed = None
            try:
                self._add(found, asked)
            except Unreachable:
                raise
            except (CouldNotRun, ReadDenied, ReadFailed) as failure:
                # Nothing may be said of the cluster where one namespace was looked at.
                error = self._inventory.narrowed or failure
                (unled if isinstance(asked, LeadingTo) else found.missing).append(error)
        if not found.subjects and not found.missing:
            found.missing += unled
        return found

    def _add(self, found: Found, asked: Asked) -> None:
        if isinstance(asked, AllOf):
            refs = self._all_of(asked)
            found.swept.update(ref for ref in refs if ref not in found.subjects)
            found.add(refs)
        elif isinstance(asked, Site):
            site = sites.find(self._inventory, asked, self._namespace)
            found.add(site.subjects)
            found.notes += site.notes
            found.routes += site.routes
        elif isinstance(asked, AwsName):
            found.add(traced_balancers.either(self._inventory, asked.name, self._namespace))
        elif isinstance(asked, LeadingTo):
            found.add(
                traced_workloads.trace(self._inventory, asked.kind, asked.namespace, asked.name, self._only).subjects
            )
        elif asked.kind is None:
            found.add(self._of_any_kind(asked))
        elif asked.kind.is_subject:
            found.add((ObjectRef(asked.kind.name, self._home(asked), asked.name),))
        elif asked.kind is TARGET_GROUP:
            found.add(traced_balancers.target_group(self._inventory, asked.name, self._namespace))
        elif asked.kind is LOAD_BALANCER:
            found.add(traced_balancers.load_balancer(self._inventory, asked.name, self._namespace))
        else:
            traced = traced_workloads.trace(self._inventory, asked.kind, self._home(asked), asked.name, self._only)
            found.add(traced.subjects)
            found.notes += traced.notes

    def _home(self, asked: Named) -> str:
        return asked.namespace or self._namespace

    def _of_any_kind(self, asked: Named) -> tuple[ObjectRef, ...]:
        """What leads to targets under this name; a Service that is no load balancer only where nothing else does."""
        by_name = AllOf((), asked.namespace, fields=f"metadata.name={asked.name}")
        if refs := self._swept(by_name):
            return refs
        if self._whole(SERVICE, by_name):
            return (ObjectRef(SERVICE.name, asked.namespace, asked.name),)
        known = [str(ref) for ref in self._swept(AllOf((), asked.namespace))]
        hint = (
            f"there is: {', '.join(known[:5])}"
            if known
            else f"{asked.namespace} is neither a kind nor a namespace with any"
        )
        raise CouldNotRun(f'nothing named "{asked.name}" leads to targets in namespace "{asked.namespace}"', hint)

    def _all_of(self, asked: AllOf) -> tuple[ObjectRef, ...]:
        """Raises CouldNotRun where there is none of them, or what there is leads to no load balancer."""
        refs = self._swept(asked)
        workloads = [
            (kind, record) for kind in asked.kinds if not kind.is_subject for record in self._whole(kind, asked)
        ]
        traced = traced_workloads.trace_all(self._inventory, workloads, self._only)
        if refs or traced:
            return tuple(dict.fromkeys((*refs, *traced)))
        namespace = asked.namespace or self._namespace
        what = " and no ".join(kind.name for kind in asked.kinds)
        with_labels = " with these labels" if asked.labels else " with these fields" if asked.fields else ""
        hint = "choose another with -n" if namespace else "list them: kubectl get ingresses,services,gateways -A"
        if workloads:
            of = f" of namespace {namespace}" if namespace else ""
            raise CouldNotRun(f"no {what}{of}{with_labels} is behind a load balancer", hint)
        if SERVICE in asked.kinds:
            what = what.replace(SERVICE.name, f"{SERVICE.name} of type LoadBalancer")
        everything = "Ingress, no Service of type LoadBalancer, no Gateway and no binding"
        has = f"namespace {namespace} has" if namespace else "there is"
        raise CouldNotRun(f"{has} no {what or everything}{with_labels}", hint)

    def _swept(self, asked: AllOf) -> tuple[ObjectRef, ...]:
        """What leads to targets in a namespace: Ingresses, Services of type LoadBalancer, Gateways, and bindings that
        are not made for one of them; or those of these kinds. Bindings alone are all bindings, and routes are part of
        their Gateways.

        A kind that may not be listed raises ReadDenied, and an object that cannot be understood ReadFailed: half a
        namespace must not pass for the whole.
        """
        found: list[ObjectRef] = []
        for kind in [kind for kind in asked.kinds or _SWEPT if kind.is_subject]:
            for record in self._whole(kind, asked):
                if kind is SERVICE and record.type != "LoadBalancer":
                    continue
                if kind is TARGET_GROUP_BINDING and asked.kinds != (kind,) and is_of_stack(record):
                    continue
                found.append(ObjectRef(kind.name, record.meta.namespace, record.meta.name))
        return tuple(found)

    def _whole(self, kind: Kind, asked: AllOf) -> tuple[Any, ...]:
        namespace = asked.namespace or self._namespace
        listed = self._inventory.listed(kind, namespace if kind.namespaced else "", asked.labels, asked.fields)
        if listed.left_out:
            raise ReadFailed(f"what is in namespace {namespace} is not known: {listed.reason}", "name the objects")
        return listed.need()
