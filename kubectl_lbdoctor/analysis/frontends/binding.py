"""TargetGroupBinding: pods of a Service in a target group that somebody made."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.check_settings import SettingSource, alb_setting, nlb_setting
from kubectl_lbdoctor.analysis.frontends.base import Frontend
from kubectl_lbdoctor.analysis.frontends.joining import FrontendFacts, group_of_binding, join
from kubectl_lbdoctor.analysis.ownership import Ownership, Reconciler
from kubectl_lbdoctor.model import index
from kubectl_lbdoctor.model.fact import Fact, NotApplicable
from kubectl_lbdoctor.model.k8s import TargetGroupBinding
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath


class BindingFrontend(Frontend):
    """A TargetGroupBinding that was named itself."""

    __slots__ = ()

    @property
    def manifest(self) -> Fact[TargetGroupBinding | None]:
        return self.facts.bindings.chosen(
            self.ref.name, lambda: index.bindings_by_name(self.snapshot, self.ref.namespace).get(self.ref.name)
        )

    @property
    def class_name(self) -> str:
        return ""

    def reconciler(self) -> Ownership:
        binding = self.manifest.need()
        maker: Reconciler = "auto-mode" if binding is not None and binding.group else "controller"
        return Ownership(maker, "a TargetGroupBinding has no class")

    def require_class(self) -> None:
        raise NotApplicable("a binding has no class")

    def resource_tag(self, backend: Backend, namespace: str) -> str:
        return f"{namespace}/{backend.service}:{backend.port}"

    def annotated(self, traffic: TrafficPath, name: str) -> SettingSource:
        return alb_setting(traffic, name) if traffic.is_alb else nlb_setting(traffic, name)

    def _paths(self) -> Iterator[TrafficPath]:
        binding = self.manifest
        value = binding.peek()
        backend = Backend(value.service, value.port) if value is not None else None
        front = FrontendFacts(self.ref, ingress=Fact.by_definition(None))
        tag = self.resource_tag(backend, self.ref.namespace) if backend is not None else ""
        yield join(self.snapshot, front, backend, binding, group_of_binding(self.snapshot, binding, tag))
