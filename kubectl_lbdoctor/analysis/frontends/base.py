"""What a load balancer is made from, whatever its kind: the one place where kinds of frontends differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.group_settings import group_setting
from kubectl_lbdoctor.analysis.ownership import Ownership
from kubectl_lbdoctor.model.derived import Memo, memo_field
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Meta, TargetGroupBinding
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath
from kubectl_lbdoctor.record import record


@record
class Frontend(ABC):
    """An object from which somebody makes a load balancer, or binds a target group: an Ingress, a Service, a binding.

    A kind of its own says who reconciles it, where it is published, which backends it has (with their namespaces), and
    where each setting of a backend's target group is changed.
    """

    snapshot: Snapshot = field(repr=False, compare=False)
    ref: ObjectRef
    memo: Memo = memo_field()

    @property
    def facts(self) -> NamespaceFacts:
        """What was read in the frontend's own namespace."""
        return self.snapshot.facts_of(self.ref.namespace)

    @property
    @abstractmethod
    def manifest(self) -> Fact[Any]:
        """The object itself, a record with `meta`; None where it does not exist."""

    @property
    @abstractmethod
    def class_name(self) -> str:
        """The class that the object names ("" without one, or where it could not be read)."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The DNS names or addresses that its status publishes; none where it could not be read."""
        return ()

    @property
    def reconciled(self) -> tuple[tuple[ObjectRef, Meta], ...]:
        """Other objects that the controller reconciles for it, and speaks of: the Gateways of a route."""
        return ()

    @property
    def group(self) -> str:
        """The explicit IngressGroup whose load balancer it shares; "" without one."""
        return ""

    @property
    def needs_targets(self) -> bool:
        """Whether some of its requests go to targets, rather than being answered by the load balancer itself."""
        return True

    @abstractmethod
    def reconciler(self) -> Ownership:
        """Who makes its load balancer; raises `Unknown` where that needs what could not be read."""

    @abstractmethod
    def require_class(self) -> None:
        """Raise `NotApplicable` where no class decides who reconciles the object, and `Unknown` where that is open."""

    @abstractmethod
    def resource_tag(self, backend: Backend, namespace: str) -> str:
        """The value of the controller's resource tag on the target group of a backend in this namespace; "" where it
        makes none.

        Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/deploy/tracking/provider.go
        and the function of that name for each kind, such as `buildTargetGroupResourceID` in
        https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/model/model_build_target_group.go
        """

    def setting(self, traffic: TrafficPath, name: str) -> SettingSource:
        """Where a setting of the path's health check ("healthcheck-path", "success-codes"…) is read from: AWS itself
        for a target group that was made outside the cluster."""
        return group_setting(traffic, name) or self.annotated(traffic, name)

    @abstractmethod
    def annotated(self, traffic: TrafficPath, name: str) -> SettingSource:
        """Where such a setting is annotated, of a target group that is made from annotations."""

    @abstractmethod
    def _paths(self) -> Iterator[TrafficPath]:
        """The path to each backend; one without a backend where there is none."""

    def paths(self) -> tuple[TrafficPath, ...]:
        """The paths to all of its backends."""
        return tuple(self._paths())

    def listener_groups(self, traffic: TrafficPath) -> tuple[str, ...]:
        """ARNs of target groups that a listener leads to and no binding names; none for most kinds."""
        return ()

    def _no_binding(self) -> Fact[TargetGroupBinding | None]:
        return self.facts.bindings.chosen(None, lambda: None)
