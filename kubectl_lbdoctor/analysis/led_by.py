"""From pods back to what leads to them: the Services that select them, and the frontends of those. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubectl_lbdoctor.analysis.ingress_backends import backends_of
from kubectl_lbdoctor.model.k8s import Ingress, Service, TargetGroupBinding
from kubectl_lbdoctor.model.kinds import INGRESS, SERVICE, TARGET_GROUP_BINDING
from kubectl_lbdoctor.model.objects import ObjectRef


def services_of(labels: Iterable[Mapping[str, str]], services: Iterable[Service]) -> tuple[Service, ...]:
    """The Services whose selector takes one of these sets of labels. A Service without a selector takes none."""
    carried = tuple(labels)
    return tuple(
        service
        for service in services
        if service.selector and any(service.selector.items() <= own.items() for own in carried)
    )


def frontends_of(
    services: Iterable[Service], ingresses: Iterable[Ingress], bindings: Iterable[TargetGroupBinding]
) -> tuple[ObjectRef, ...]:
    """The Ingresses that lead to one of these Services, those of them that are of type LoadBalancer, and the bindings
    that people made for them. All are of one namespace, as Ingress backends are."""
    by_name = {service.meta.name: service for service in services}
    leading = [i for i in ingresses if any(backend.service in by_name for backend in backends_of(i))]
    own = [service for service in by_name.values() if service.type == "LoadBalancer"]
    bound = [binding for binding in bindings if binding.service in by_name and not is_of_stack(binding)]
    return (
        *(ObjectRef(INGRESS.name, i.meta.namespace, i.meta.name) for i in leading),
        *(ObjectRef(SERVICE.name, s.meta.namespace, s.meta.name) for s in own),
        *(ObjectRef(TARGET_GROUP_BINDING.name, b.meta.namespace, b.meta.name) for b in bound),
    )


def is_of_stack(binding: TargetGroupBinding) -> bool:
    """Whether a controller made the binding for an Ingress or a Service, which is diagnosed in its place. Gateways are
    not read: what is made for them is diagnosed itself."""
    return binding.is_generated and binding.stack != "gateway"
