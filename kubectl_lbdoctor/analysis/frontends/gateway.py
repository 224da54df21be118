"""Gateway and its routes: an Application or a Network Load Balancer, a target group per route and Service port.

Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/main/pkg/gateway/model (listeners, target
groups and bindings that are made of a Gateway).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.frontends.base import Frontend
from kubectl_lbdoctor.analysis.frontends.joining import FrontendFacts, group_of_binding, join, service_of
from kubectl_lbdoctor.analysis.gateway_changes import group_setting_of_gateway
from kubectl_lbdoctor.analysis.gateways import (
    ALB_CONTROLLER,
    AUTO_MODE_CONTROLLERS,
    NLB_CONTROLLER,
    attachments,
    backends,
    balancer_arn,
    class_of,
    gateway_of,
    gateways_of_route,
    granted,
    is_foreign,
    requests_of,
    route_of,
    routes_of,
)
from kubectl_lbdoctor.analysis.ownership import Ownership
from kubectl_lbdoctor.model import index, kinds, reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact, NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, ObjectRef
from kubectl_lbdoctor.model.gateway_api import BackendReference, Gateway, Route
from kubectl_lbdoctor.model.k8s import Meta, TargetGroupBinding
from kubectl_lbdoctor.model.snapshot import lookup
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath

_GROUP_BACKEND = "TargetGroupName"


class GatewayApiFrontend(Frontend):
    """What a Gateway and a route have in common."""

    __slots__ = ()

    @property
    @abstractmethod
    def named(self) -> tuple[Gateway, ...]:
        """The existing Gateways that it is, or that it names as its parents, whoever makes something of them."""

    @property
    def ours(self) -> tuple[Gateway, ...]:
        """Those of them that are not known to be another controller's: their class makes load balancers in AWS, does
        not exist, or could not be read. What another one asks of its Gateways is no fault of theirs."""
        return tuple(gateway for gateway in self.named if not is_foreign(self.snapshot, gateway))

    @property
    def gateways(self) -> tuple[Gateway, ...]:
        """The Gateways whose load balancers it is published by: ours; where it has none, those of others."""
        return self.ours or self.named

    @abstractmethod
    def _routes(self, gateway: Gateway) -> Iterable[Route]:
        """The routes at a Gateway that the frontend is about."""

    @property
    def class_name(self) -> str:
        return next((gateway.class_name for gateway in self.gateways), "")

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(address for gateway in self.gateways for address in gateway.addresses))

    @property
    def reconciled(self) -> tuple[tuple[ObjectRef, Meta], ...]:
        return tuple((g.ref, g.meta) for g in self.gateways)

    @derived
    def reconciler(self) -> Ownership:
        self.manifest.need()
        if not self.gateways:
            return Ownership("nobody", "no Gateway takes it")
        return _reconciler(self, self.gateways[0])

    @property
    def needs_targets(self) -> bool:
        """Not where every rule of its routes redirects."""
        rules = [rule for gateway in self.gateways for route in self._routes(gateway) for rule in route.rules]
        return not rules or any("RequestRedirect" not in rule.filters for rule in rules)

    def require_class(self) -> None:
        self.manifest.need()
        if not self.gateways:
            raise NotApplicable("no Gateway takes it")

    def resource_tag(self, backend: Backend, namespace: str) -> str:
        if backend.at is None or backend.route is None or not backend.service:
            return ""  # The controller makes no target group for it.
        service = service_of(self.snapshot, namespace, backend).peek()
        port = service.find_port(backend.port) if service is not None else None
        if port is None:
            return ""
        at, route = backend.at, backend.route
        to = f"{namespace}-{backend.service}:{port.target}"  # Not the Service's port, as with other kinds.
        return f"{at.namespace}/{at.name}:{route.namespace}-{route.name}:{route.kind}-{to}"

    def annotated(self, traffic: TrafficPath, name: str) -> SettingSource:
        return group_setting_of_gateway(traffic, name)

    def setting(self, traffic: TrafficPath, name: str) -> SettingSource:
        return self.annotated(traffic, name)

    def listener_groups(self, traffic: TrafficPath) -> tuple[str, ...]:
        """The groups that a route names itself, or that lead to another Gateway: told by what leads to them."""
        backend = traffic.backend
        if backend is None or (backend.group_name == "" and backend.behind is None):
            return ()
        actions = [a for listener in traffic.listeners.peek() or () for a in listener.actions]
        actions += [a for rule in traffic.rules.peek() or () for a in rule.actions]
        arns = dict.fromkeys(arn for action in actions for arn in action.target_groups)
        return tuple(arn for arn in arns if backend.behind or target_group_name(arn) == backend.group_name)

    def _paths(self) -> Iterator[TrafficPath]:
        found = [path for gateway in self.gateways for path in self._paths_of(gateway)]
        yield from found
        if not found:
            yield self._path(next(iter(self.gateways), None), None, self._no_binding(), self.ref.namespace)

    def _paths_of(self, gateway: Gateway) -> Iterator[TrafficPath]:
        for route in self._routes(gateway):
            if not any(
                attachment.taken or attachment.undecided for attachment in attachments(self.snapshot, route, gateway)
            ):
                continue  # Nothing is made for a route that no listener takes.
            seen: dict[tuple[str, str, str, int], list[str]] = {}
            refs: dict[tuple[str, str, str, int], BackendReference] = {}
            for rule, backend in backends(route):
                if not self._is_target(route, backend) or granted(self.snapshot, route, backend) is False:
                    continue  # No target group is made for it.
                key = (backend.kind, backend.namespace or route.meta.namespace, backend.name, backend.port)
                refs.setdefault(key, backend)
                seen.setdefault(key, []).extend(requests_of(route, rule))
            for key, backend in refs.items():
                yield self._to(gateway, route, backend, tuple(dict.fromkeys(seen[key])))

    def _is_target(self, route: Route, backend: BackendReference) -> bool:
        if backend.kind == kinds.GATEWAY.name:
            home = backend.namespace or route.meta.namespace
            return gateway_of(self.snapshot, home, backend.name).peek() is not None
        return backend.kind in ("Service", _GROUP_BACKEND)

    def _to(self, gateway: Gateway, route: Route, ref: BackendReference, paths: tuple[str, ...]) -> TrafficPath:
        namespace = ref.namespace or route.meta.namespace
        if ref.kind == _GROUP_BACKEND:
            named = Backend(paths=paths, route=route.ref, group_name=ref.name, at=gateway.ref)
            return self._path(gateway, named, self._no_binding(), namespace)
        if ref.kind == kinds.GATEWAY.name:
            behind = ObjectRef(ref.kind, namespace, ref.name)
            chained = Backend(port=str(ref.port or ""), paths=paths, route=route.ref, behind=behind, at=gateway.ref)
            return self._path(gateway, chained, self._no_binding(), namespace)
        backend = Backend(ref.name, str(ref.port or ""), paths, route=route.ref, at=gateway.ref)
        bindings = self.snapshot.facts_of(namespace).bindings
        return self._path(
            gateway,
            backend,
            bindings.chosen(None, lambda: self._binding(gateway, route, backend, namespace)),
            namespace,
        )

    def _binding(self, gateway: Gateway, route: Route, backend: Backend, namespace: str) -> TargetGroupBinding | None:
        """The binding that the controller made for this route's backend. Its name begins with the route's."""
        same_service = index.bindings_by_service(self.snapshot, namespace).get(backend.service, ())
        found = [b for b in same_service if b.port == backend.port and is_of_gateway(b, gateway)]
        head = f"k8s-{_plain(route.meta.namespace)}-{_plain(route.meta.name)}-"
        return next((b for b in found if b.meta.name.startswith(head)), found[0] if len(found) == 1 else None)

    def _path(
        self,
        gateway: Gateway | None,
        backend: Backend | None,
        binding: Fact[TargetGroupBinding | None],
        namespace: str,
    ) -> TrafficPath:
        front = FrontendFacts(
            self.ref,
            ingress=Fact.by_definition(None),
            is_alb=gateway is not None and self._is_alb(gateway),
            addresses=gateway.addresses if gateway is not None else self._no_address(),
            published_in=reads.GATEWAYS,
        )
        if backend is not None and backend.group_name:
            group = self._named_group(front, backend)
        elif backend is not None and backend.behind is not None:
            group = self._group_before(backend, backend.behind)
        else:
            tag = self.resource_tag(backend, namespace) if backend is not None else ""
            group = group_of_binding(self.snapshot, binding, tag)
        return join(self.snapshot, front, backend, binding, group, namespace)

    def _no_address(self) -> tuple[str, ...] | None:
        """What is published where no Gateway takes it: nothing; None where that is not known."""
        return () if self.manifest.is_known and self.snapshot.gateway_api.gateways.is_known else None

    def _named_group(self, front: FrontendFacts, backend: Backend) -> Fact[TargetGroup | None]:
        for arn in self.snapshot.aws.target_groups:
            if target_group_name(arn) == backend.group_name:
                return lookup(self.snapshot.aws.target_groups, arn, reads.TARGET_GROUPS)
        return Fact.not_asked(reads.TARGET_GROUPS, f"no listener rule leads to target group {backend.group_name}")

    def _group_before(self, backend: Backend, behind: ObjectRef) -> Fact[TargetGroup | None]:
        """The target group whose target is the load balancer of another Gateway: no binding names it."""
        found = gateway_of(self.snapshot, behind.namespace, behind.name).peek()
        balancer = balancer_arn(found) if found is not None else ""
        if not balancer:
            return Fact.known(reads.GATEWAYS, None)
        empty = []
        for arn, fact in self.snapshot.aws.target_groups.items():
            group = fact.peek()
            if group is None or (group.target_type, str(group.port)) != ("alb", backend.port):
                continue
            health = lookup(self.snapshot.aws.target_health, arn, reads.TARGET_HEALTH).peek()
            if any(target.id == balancer for target in health or ()):
                return fact
            if not health:  # Nothing is registered yet, or nobody could tell what is.
                empty.append(fact)
        if len(empty) == 1:
            return empty[0]
        return Fact.not_asked(reads.TARGET_GROUPS, f"no listener leads to a target group of {behind}")

    def _is_alb(self, gateway: Gateway) -> bool:
        found = class_of(self.snapshot, gateway).peek()
        if found is not None:
            return found.controller in (ALB_CONTROLLER, AUTO_MODE_CONTROLLERS[0])
        return any(listener.protocol in ("HTTP", "HTTPS") for listener in gateway.listeners)


class GatewayFrontend(GatewayApiFrontend):
    """A Gateway with all routes that name it."""

    __slots__ = ()

    @property
    def manifest(self) -> Fact[Gateway | None]:
        return gateway_of(self.snapshot, self.ref.namespace, self.ref.name)

    @property
    def named(self) -> tuple[Gateway, ...]:
        gateway = self.manifest.peek()
        return (gateway,) if gateway is not None else ()

    def _routes(self, gateway: Gateway) -> Iterable[Route]:
        return routes_of(self.snapshot, gateway.meta.namespace, gateway.meta.name).peek() or ()


class RouteFrontend(GatewayApiFrontend):
    """One route, at each of the Gateways that it names."""

    __slots__ = ()

    @property
    def manifest(self) -> Fact[Route | None]:
        return route_of(self.snapshot, self.ref)

    @property
    def named(self) -> tuple[Gateway, ...]:
        route = self.manifest.peek()
        return gateways_of_route(self.snapshot, route) if route is not None else ()

    def _routes(self, gateway: Gateway) -> Iterable[Route]:
        route = self.manifest.peek()
        return (route,) if route is not None else ()


def is_of_gateway(binding: TargetGroupBinding, gateway: Gateway) -> bool:
    """Whether the controller made a binding for this Gateway, by its stack labels.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/deploy/tracking/provider.go
    """
    return binding.made_for("gateway", gateway.meta.namespace, gateway.meta.name)


def _plain(name: str) -> str:
    """The part of a name that stands in the names of target groups: letters and digits, at most eight."""
    return re.sub("[^0-9A-Za-z]", "", name)[:8]


def _reconciler(frontend: Frontend, gateway: Gateway) -> Ownership:
    named = class_of(frontend.snapshot, gateway)
    ref = gateway.ref
    first = Evidence(str(ref), f"gatewayClassName: {gateway.class_name}")
    if not named.is_known and (spoken := _spoken_for(frontend, gateway)):
        said = Evidence(str(ref), f"the status of its routes is written by {spoken}")
        return Ownership("controller", f"GatewayClass {gateway.class_name}", gateway.class_name, (first, said))
    found = named.need()
    if found is None:
        why = f"GatewayClass {gateway.class_name} does not exist"
        return Ownership("nobody", why, gateway.class_name, (first,))
    evidence = (first, Evidence(f"gatewayclass/{found.meta.name}", f"controllerName: {found.controller}"))
    if found.controller in (ALB_CONTROLLER, NLB_CONTROLLER):
        return Ownership("controller", f"GatewayClass {found.meta.name}", found.meta.name, evidence)
    if found.controller in AUTO_MODE_CONTROLLERS:
        return Ownership("auto-mode", f"GatewayClass {found.meta.name}", found.meta.name, evidence)
    why = f"GatewayClass {found.meta.name} is of {found.controller}"
    return Ownership("other", why, found.meta.name, evidence)


def _spoken_for(frontend: Frontend, gateway: Gateway) -> str:
    """Our controller's name, where it has written the status of a route at this Gateway; "" where it has not."""
    routes = routes_of(frontend.snapshot, gateway.meta.namespace, gateway.meta.name).peek() or ()
    written = (status.controller for route in routes for status in route.status)
    return next((name for name in written if name in (ALB_CONTROLLER, NLB_CONTROLLER)), "")
