"""From pods back to what leads to them: the Services that select them, and the frontends of those. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubectl_lbdoctor.analysis.ingress_backends import backends_of
from kubectl_lbdoctor.model.k8s import Ingress, Service, TargetGroupBinding
from kubectl_lbdoctor.model.kinds import GATEWAY, INGRESS, SERVICE
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
    """The Ingresses that lead to one of these Services, those of them that are of type LoadBalancer, the Gateways that
    bindings were made for, and the bindings that people made. All Services are of one namespace, as Ingress backends
    are."""
    by_name = {service.meta.name: service for service in services}
    leading = [i for i in ingresses if any(backend.service in by_name for backend in backends_of(i))]
    own = [service for service in by_name.values() if service.type == "LoadBalancer"]
    bound = [binding for binding in bindings if binding.service in by_name and not is_of_stack(binding)]
    gateways = [ref for b in bindings if b.service in by_name and (ref := gateway_of_binding(b)) is not None]
    return (
        *dict.fromkeys(gateways),
        *(ObjectRef(INGRESS.name, i.meta.namespace, i.meta.name) for i in leading),
        *(ObjectRef(SERVICE.name, s.meta.namespace, s.meta.name) for s in own),
        *(b.ref for b in bound),
    )


def gateway_of_binding(binding: TargetGroupBinding) -> ObjectRef | None:
    """The Gateway that a binding was made for, by the controller's labels; None for any other.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/deploy/tracking/provider.go
    """
    name = binding.stack_label("stack-name") if binding.stack == "gateway" else ""
    if not name:
        return None
    return ObjectRef(GATEWAY.name, binding.stack_label("stack-namespace") or binding.meta.namespace, name)


def is_of_stack(binding: TargetGroupBinding) -> bool:
    """Whether a controller made the binding for an Ingress, a Service or a Gateway, which is diagnosed in its place."""
    return binding.is_generated
