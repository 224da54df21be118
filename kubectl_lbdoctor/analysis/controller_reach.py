"""What a controller that takes an object is told to leave alone, and whether anybody has taken it. Pure.

A controller that does not take an object says nothing about it, neither in events nor in its log. Sources:
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/config/feature_gates.go,
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/k8s/service_utils.go,
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/class_loader.go, and
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kubectl_lbdoctor.analysis.desired_state import declaration_of, desired_target_type
from kubectl_lbdoctor.analysis.frontends import Frontend, frontend_of
from kubectl_lbdoctor.analysis.registration import registration
from kubectl_lbdoctor.knowledge.controller_identity import gate_is_on
from kubectl_lbdoctor.knowledge.standing import SUCCESS
from kubectl_lbdoctor.model import index
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.k8s import Service, Workload
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

# Whoever takes an object marks it within seconds.
TAKING_SECONDS = 30
# A load balancer is published within minutes.
PUBLISHING_SECONDS = 5 * 60
# Of the controller, of EKS Auto Mode, and of the cloud provider's service controller.
FINALIZERS = (".k8s.aws/", "eks.amazonaws.com/", "service.kubernetes.io/load-balancer-cleanup")
# How the reasons of events begin by which the controller and the cloud provider show that they work on an object.
_AT_WORK = ("Failed", "EnsuringLoadBalancer", "SyncLoadBalancer", "CreatingLoadBalancer")


@record
class SwitchedOff:
    """A part of a controller that is off: the feature gate, what it must be instead, and what is not done therefore
    ("Services", "targets of type ip")."""

    gate: str
    needed: bool
    part: str

    @property
    def flag(self) -> str:
        """The flag as it stands now."""
        return f"--feature-gates={self.gate}={str(not self.needed).lower()}"


def switched_off(traffic: TrafficPath, workload: Workload) -> SwitchedOff | None:
    """What a controller is told not to do and the frontend asks for; None where nothing is in its way.

    Raises `Unknown` where what the frontend asks for was not read.
    """
    frontend = frontend_of(traffic)
    manifest = frontend.manifest.need()
    if isinstance(manifest, Service):
        if not gate_is_on(workload, "EnableServiceController"):
            return SwitchedOff("EnableServiceController", True, "Services")
        if manifest.type != "LoadBalancer" and gate_is_on(workload, "ServiceTypeLoadBalancerOnly"):
            return SwitchedOff("ServiceTypeLoadBalancerOnly", False, f"Services of type {manifest.type}")
    if frontend.ref.kind != "TargetGroupBinding" and not gate_is_on(workload, "EnableIPTargetType"):
        front = declaration_of(traffic)
        if front is not None and desired_target_type(traffic, front).value == "ip":
            return SwitchedOff("EnableIPTargetType", True, "targets of type ip")
    return None


def is_untouched(frontend: Frontend, manifest: Any) -> bool:
    """Whether nothing shows that anybody ever took the object: no address, no finalizer, no event of such work.

    The controller puts its finalizer on an object before it makes anything of it
    (https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/k8s/finalizer.go).
    """
    if frontend.addresses or any(mark in f for f in manifest.meta.finalizers for mark in FINALIZERS):
        return False
    if not frontend.facts.events.is_known:
        return True
    ref = frontend.ref
    events = index.events_by_object(frontend.snapshot, ref.namespace).get((ref.kind, ref.name), ())
    return not any(e.reason in SUCCESS or e.reason.startswith(_AT_WORK) for e in events)


@derived
def still_served(traffic: TrafficPath) -> bool:
    """Whether what was made before still does all its work: targets are there, all of them pass, none is missing."""
    with suppress(Unknown, NotApplicable):
        targets = [t for t in traffic.targets() if t.state != "draining"]
        return bool(targets) and all(t.state == "healthy" for t in targets) and not registration(traffic).late
    return False
