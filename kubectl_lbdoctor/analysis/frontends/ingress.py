"""Ingress: an Application Load Balancer from the Ingresses of a group, a target group per backend Service port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from kubectl_lbdoctor.analysis.check_settings import SettingSource, alb_setting
from kubectl_lbdoctor.analysis.frontend_nlb import frontend_nlb_setting, is_before_ingress, nlb_address
from kubectl_lbdoctor.analysis.frontends.base import Frontend
from kubectl_lbdoctor.analysis.frontends.joining import FrontendFacts, group_of_binding, join, listeners, of_stack
from kubectl_lbdoctor.analysis.ingress_backends import answered_by_balancer, backends_of, ingress_group
from kubectl_lbdoctor.analysis.ownership import Ownership, reconciler_of_ingress
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact, Unknown
from kubectl_lbdoctor.model.k8s import Ingress, TargetGroupBinding
from kubectl_lbdoctor.model.snapshot import Snapshot, lookup
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath

STACK = "ingress"


class IngressFrontend(Frontend):
    """An Ingress, alone or in an IngressGroup."""

    __slots__ = ()

    @property
    def manifest(self) -> Fact[Ingress | None]:
        return self.facts.ingresses.chosen(
            self.ref.name, lambda: index.ingresses_by_name(self.snapshot, self.ref.namespace).get(self.ref.name)
        )

    @property
    def class_name(self) -> str:
        ingress = self.manifest.peek()
        return ingress.class_name if ingress is not None else ""

    @property
    def addresses(self) -> tuple[str, ...]:
        ingress = self.manifest.peek()
        return ingress.addresses if ingress is not None else ()

    @property
    def group(self) -> str:
        ingress = self.manifest.peek()
        return ingress_group(ingress, self.snapshot) if ingress is not None else ""

    @property
    def needs_targets(self) -> bool:
        ingress = self.manifest.peek()
        return ingress is None or not answered_by_balancer(ingress)

    @derived
    def reconciler(self) -> Ownership:
        return reconciler_of_ingress(self.snapshot.cluster, self.manifest.need())

    def require_class(self) -> None:
        return  # A class always decides, if only the default one.

    def resource_tag(self, backend: Backend, namespace: str) -> str:
        return f"{namespace}/{self.ref.name}-{backend.service}:{backend.port}"

    def annotated(self, traffic: TrafficPath, name: str) -> SettingSource:
        return frontend_nlb_setting(traffic, name) if is_before_ingress(traffic) else alb_setting(traffic, name)

    def _paths(self) -> Iterator[TrafficPath]:
        ingress = self.manifest.peek()
        if ingress is None:
            yield from self._unread()
            return
        backends = backends_of(ingress)
        for backend in backends:
            yield self._path(backend, self.facts.bindings.chosen(None, lambda b=backend: self._binding(b)))  # type: ignore[misc]
        if not backends:
            yield self._path(None, self._no_binding())
        yield from self._from_frontend_nlb(ingress)

    def _from_frontend_nlb(self, ingress: Ingress) -> Iterator[TrafficPath]:
        """The paths from the listeners of the Network Load Balancer before it, where there is one."""
        address = nlb_address(self.snapshot, ingress)
        if not address:
            return
        balancer = lookup(self.snapshot.aws.load_balancers, address, reads.LOAD_BALANCERS)
        found = balancer.then(lambda lb: listeners(self.snapshot, lb, self.snapshot.unread(self.ref)))
        for listener in found.peek() or ():
            arn = next((arn for action in listener.actions for arn in action.target_groups), "")
            group: Fact[TargetGroup | None] = Fact.known(reads.TARGET_GROUPS, None)
            if arn:
                group = lookup(self.snapshot.aws.target_groups, arn, reads.TARGET_GROUPS)
            if (known := group.peek()) is not None and known.target_type != "alb":
                continue  # Somebody else's: the status still names the load balancer of a former controller.
            yield self._before(address, str(listener.port), group)
        if found.peek():
            return
        # A scan knows its target groups before its listeners, and asks no more where they are healthy.
        lb = balancer.peek()
        groups = _alb_groups(self.snapshot).get(lb.arn, ()) if lb is not None and not found.is_known else ()
        for known, fact in groups:
            yield self._before(address, str(known.port), fact)
        if not groups:
            none: Fact[TargetGroup | None] = Fact.known(reads.TARGET_GROUPS, None)
            yield self._before(address, "", none if found.is_known else found.map(lambda _: None))

    def _before(self, address: str, port: str, group: Fact[TargetGroup | None]) -> TrafficPath:
        front = FrontendFacts(
            self.ref, self.manifest, group=self.group, addresses=(address,), published_in=reads.INGRESSES
        )
        return join(self.snapshot, front, Backend(port=port, behind=self.ref), self._no_binding(), group)

    def listener_groups(self, traffic: TrafficPath) -> tuple[str, ...]:
        """Those that the Network Load Balancer before it leads to: the controller makes no binding for them."""
        if not is_before_ingress(traffic):
            return ()
        found = (listener for listener in traffic.listeners.peek() or ())
        return tuple(dict.fromkeys(arn for entry in found for action in entry.actions for arn in action.target_groups))

    def _unread(self) -> Iterator[TrafficPath]:
        """The Ingress itself may be denied: its bindings carry its name and still lead to load balancer and targets."""
        found = of_stack(self.facts.bindings.peek() or (), STACK, self.ref, "")
        for binding in found:
            yield self._path(Backend(binding.service, binding.port), Fact.known(reads.BINDINGS, binding))
        if not found:
            yield self._path(None, self._no_binding())

    def _binding(self, backend: Backend) -> TargetGroupBinding | None:
        """The binding that the controller made for this backend of the Ingress or its group."""
        same_service = index.bindings_by_service(self.snapshot, self.ref.namespace).get(backend.service, ())
        same_port = (binding for binding in same_service if binding.port == backend.port)
        found = of_stack(same_port, STACK, self.ref, self.group)
        return next((b for b in found if bool(b.group) is self._is_of_auto_mode()), next(iter(found), None))

    def _is_of_auto_mode(self) -> bool:
        """Whether EKS Auto Mode makes it, whose bindings count where an Ingress has moved from the controller to it."""
        with suppress(Unknown):
            return self.reconciler().owner == "auto-mode"
        return False

    def _path(self, backend: Backend | None, binding: Fact[TargetGroupBinding | None]) -> TrafficPath:
        ingress = self.manifest.peek()
        nlb = nlb_address(self.snapshot, ingress) if ingress is not None else ""
        published = tuple(address for address in self.addresses if address != nlb)
        front = FrontendFacts(
            self.ref,
            self.manifest,
            is_alb=True,
            group=self.group,
            # Where the name of the Network Load Balancer alone is published, the target group still tells this one.
            addresses=published if published or (ingress is not None and not nlb) else None,
            published_in=reads.INGRESSES,
        )
        if backend is not None and backend.target_group_arn and binding.is_known:
            group = lookup(self.snapshot.aws.target_groups, backend.target_group_arn, reads.TARGET_GROUPS)
        else:
            tag = self.resource_tag(backend, self.ref.namespace) if backend is not None else ""
            group = group_of_binding(self.snapshot, binding, tag)
        return join(self.snapshot, front, backend, binding, group)


@derived
def _alb_groups(snapshot: Snapshot) -> Mapping[str, tuple[tuple[TargetGroup, Fact[TargetGroup | None]], ...]]:
    """The known target groups whose target is a load balancer, by the ARN of each load balancer that leads to them."""
    known = ((group, fact) for fact in snapshot.aws.target_groups.values() if (group := fact.peek()) is not None)
    return index.grouped((found for found in known if found[0].target_type == "alb"), lambda f: f[0].load_balancer_arns)
