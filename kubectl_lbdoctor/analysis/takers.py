"""Which controllers take an object: by its class and by its namespace. Pure.

Sources: LBC main.go, pkg/config (flags), pkg/ingress/class_loader.go; its documentation,
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.analysis.ownership import SERVICE_CLASS
from kubectl_lbdoctor.knowledge.annotations import CLASS_ANNOTATION
from kubectl_lbdoctor.knowledge.controller_identity import controller_flags, plain_flag
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.k8s import Service, Workload
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@derived
def takers(traffic: TrafficPath) -> tuple[Workload, ...]:
    """The controllers that take objects of the frontend's class; none where it is not theirs.

    Raises `Unknown` where controllers or classes were needed and not read.
    """
    frontend = frontend_of(traffic)
    owner = frontend.reconciler()
    controllers = traffic.cluster.controllers.need()
    if owner.owner != "controller":
        return ()
    manifest = frontend.manifest.need()
    if isinstance(manifest, Service) and manifest.load_balancer_class:
        wanted = manifest.load_balancer_class
        return tuple(w for w in controllers if controller_flags(w).get("load-balancer-class", SERVICE_CLASS) == wanted)
    annotated = manifest.meta.annotations.get(CLASS_ANNOTATION) if frontend.ref.kind == "Ingress" and manifest else None
    if annotated is not None:
        return tuple(w for w in controllers if (controller_flags(w).get("ingress-class", "") or "alb") == annotated)
    return controllers


def watched_namespace(workload: Workload) -> str:
    """The one namespace that a controller is confined to; "" where it takes all, or where that cannot be told."""
    return plain_flag(workload, "watch-namespace") or ""


def watching(controllers: Iterable[Workload], namespace: str) -> tuple[Workload, ...]:
    """Those of the controllers that look at a namespace."""
    return tuple(w for w in controllers if watched_namespace(w) in ("", namespace))
