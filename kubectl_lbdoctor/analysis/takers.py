"""Which controllers take an object: by its class and by its namespace. Pure.

Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/group_loader.go
(classifyIngress: the flag --ingress-class is compared with the legacy annotation alone),
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/class_loader.go,
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/config/controller_config.go (flags), and
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/.
"""

from __future__ import annotations

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.analysis.ownership import SERVICE_CLASS
from kubectl_lbdoctor.knowledge.annotations import CLASS_ANNOTATION
from kubectl_lbdoctor.knowledge.controller_identity import controller_flags
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
