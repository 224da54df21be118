"""Service of type LoadBalancer: a Network (or Classic) Load Balancer, a target group per port.

A Service without a load balancer of its own is the subject, too, when bindings lead to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from kubectl_lbdoctor.analysis.check_settings import SettingSource, alb_setting, nlb_setting
from kubectl_lbdoctor.analysis.frontends.base import Frontend
from kubectl_lbdoctor.analysis.frontends.joining import (
    FrontendFacts,
    group_of_binding,
    join,
    listeners,
    service_of,
)
from kubectl_lbdoctor.analysis.ownership import Ownership, reconciler_of_service
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact, NotApplicable
from kubectl_lbdoctor.model.k8s import Service, TargetGroupBinding
from kubectl_lbdoctor.model.snapshot import lookup
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath


class ServiceFrontend(Frontend):
    """A Service: its own load balancer, and every binding that leads to it."""

    __slots__ = ()

    @property
    def manifest(self) -> Fact[Service | None]:
        return service_of(self.snapshot, self.ref.namespace, Backend(self.ref.name))

    @property
    def class_name(self) -> str:
        service = self.manifest.peek()
        return service.load_balancer_class if service is not None else ""

    @property
    def addresses(self) -> tuple[str, ...]:
        service = self.manifest.peek()
        return service.addresses if service is not None else ()

    @derived
    def reconciler(self) -> Ownership:
        return reconciler_of_service(self.snapshot.cluster, self.manifest.need())

    def require_class(self) -> None:
        service = self.manifest.need()
        if service is None or service.type != "LoadBalancer":
            raise NotApplicable("not of type LoadBalancer: other objects decide about it")

    def resource_tag(self, backend: Backend, namespace: str) -> str:
        return f"{namespace}/{backend.service}:{backend.port}"

    def annotated(self, traffic: TrafficPath, name: str) -> SettingSource:
        return alb_setting(traffic, name) if traffic.is_alb else nlb_setting(traffic, name)

    def listener_groups(self, traffic: TrafficPath) -> tuple[str, ...]:
        """The groups that the listener of the path's port feeds: the cloud provider makes no binding."""
        if traffic.binding.peek() is not None or traffic.backend is None:
            return ()
        return tuple(
            arn
            for listener in traffic.listeners.peek() or ()
            if str(listener.port) == traffic.backend.port
            for action in listener.actions
            for arn in action.target_groups
        )

    def _paths(self) -> Iterator[TrafficPath]:
        service = self.manifest.peek()
        own_ports = service.ports if service is not None and service.type == "LoadBalancer" else ()
        if not self.facts.bindings.is_known and own_ports:
            for port in own_ports:
                yield self._path(Backend(self.ref.name, str(port.port)), self._no_binding())
            return
        bound: tuple[TargetGroupBinding, ...] = ()
        if self.facts.bindings.is_known:
            bound = index.bindings_by_service(self.snapshot, self.ref.namespace).get(self.ref.name, ())
        for binding in bound:
            yield self._path(Backend(binding.service, binding.port), Fact.known(reads.BINDINGS, binding))
        ports = {binding.port for binding in bound}
        unbound = [port for port in own_ports if not ports & {str(port.port), port.name or str(port.port)}]
        for port in unbound:
            yield self._path(Backend(self.ref.name, str(port.port)), self._no_binding())
        if not bound and not unbound:
            yield self._path(Backend(self.ref.name), self._no_binding())

    def _path(self, backend: Backend, binding: Fact[TargetGroupBinding | None]) -> TrafficPath:
        read = self.manifest.peek() is not None
        front = FrontendFacts(
            self.ref,
            ingress=Fact.by_definition(None),
            addresses=self.addresses if read else None,
            published_in=reads.SERVICES,
        )
        if binding.is_known and binding.peek() is None:
            group = self._by_listener(backend)
        else:
            group = group_of_binding(self.snapshot, binding, self.resource_tag(backend, self.ref.namespace))
        return join(self.snapshot, front, backend, binding, group)

    def _by_listener(self, backend: Backend) -> Fact[TargetGroup | None]:
        """The cloud provider makes no binding: the listener of the Service port says which target group it feeds."""
        service, aws = self.manifest.peek(), self.snapshot.aws
        addresses = service.addresses if service is not None and service.type == "LoadBalancer" else ()
        if not addresses:
            return Fact.known(reads.SERVICES, None)
        source = reads.LISTENERS
        for address in addresses:
            balancer = lookup(aws.load_balancers, address, reads.LOAD_BALANCERS)
            if not balancer.is_known:
                return cast("Fact[TargetGroup | None]", balancer)
            found = listeners(self.snapshot, balancer.peek())
            if not found.is_known:
                return cast("Fact[TargetGroup | None]", found)
            for listener in found.peek() or ():
                for action in listener.actions:
                    if str(listener.port) == backend.port and action.target_groups:
                        return lookup(aws.target_groups, next(iter(action.target_groups)), reads.TARGET_GROUPS)
            if found.left_out:
                return Fact.failed(found.source, found.reason, found.scope)
            source = found.source
        return Fact.known(source, None)
