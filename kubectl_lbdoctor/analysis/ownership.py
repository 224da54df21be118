"""Who makes the load balancer of an object: its class decides, and nobody says so where it decides wrongly.

The rules are in docs/facts.md, "Who makes a load balancer": the annotation `kubernetes.io/ingress.class` wins over
spec.ingressClassName; without both, the one default IngressClass holds.
"""

from __future__ import annotations

from typing import Literal

from kubectl_lbdoctor.analysis.similar_names import nearest
from kubectl_lbdoctor.knowledge.annotations import CLASS_ANNOTATION, NLB_PREFIX
from kubectl_lbdoctor.knowledge.controller_identity import controller_flags as controller_flags
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Evidence, ObjectRef, Source
from kubectl_lbdoctor.model.k8s import Ingress, IngressClass, Service, Workload
from kubectl_lbdoctor.model.snapshot import ClusterFacts
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

Reconciler = Literal["controller", "auto-mode", "cloud-provider", "other", "nobody"]

READS = (reads.INGRESSES, reads.SERVICES, reads.INGRESS_CLASSES, reads.CONTROLLER)

CONTROLLER_CLASS = "ingress.k8s.aws/alb"
AUTO_MODE_CLASS = "eks.amazonaws.com/alb"
OUR_CONTROLLERS = (CONTROLLER_CLASS, AUTO_MODE_CLASS)
DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
SERVICE_CLASS = "service.k8s.aws/nlb"
AUTO_MODE_SERVICE_CLASS = "eks.amazonaws.com/nlb"
_TYPE = NLB_PREFIX + "type"
_TARGET_TYPE = NLB_PREFIX + "nlb-target-type"


@record
class Ownership:
    """Who reconciles an object, and by what.

    owner: "controller" (AWS Load Balancer Controller), "auto-mode" (EKS Auto Mode), "cloud-provider" (its service
    controller), "other" (a class that is none of these) or "nobody". why: half a sentence; for "other" and "nobody" it
    follows "nobody owns it: ". class_name: the class that decided, "" without one.
    """

    owner: Reconciler
    why: str = ""
    class_name: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether somebody makes an AWS load balancer for it."""
        return self.owner not in ("other", "nobody")


@derived
def owner_of_ingress(traffic: TrafficPath) -> Ownership:
    """Who reconciles the path's Ingress; raises `Unknown` where that needs what could not be read."""
    return reconciler_of_ingress(traffic.cluster, traffic.ingress.need())


@derived
def owner_of_service(traffic: TrafficPath) -> Ownership:
    """Who makes a load balancer of its own for the path's Service; raises `Unknown` like `owner_of_ingress`."""
    return reconciler_of_service(traffic.cluster, traffic.service.need())


def reconciler_of_ingress(cluster: ClusterFacts, ingress: Ingress | None) -> Ownership:
    """Who reconciles an Ingress; raises `Unknown` where classes or controllers are needed and could not be read."""
    if ingress is None:
        return Ownership("nobody", "the Ingress does not exist")
    ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
    annotated = ingress.meta.annotations.get(CLASS_ANNOTATION)
    if annotated is not None:
        return _by_annotation(cluster, ingress, ref, annotated)
    classes = cluster.ingress_classes.need()
    if ingress.class_name:
        spec = Evidence(str(ref), f"ingressClassName: {ingress.class_name}")
        named = next((c for c in classes if c.meta.name == ingress.class_name), None)
        if named is not None:
            return _by_class(named, spec)
        names = [c.meta.name for c in classes]
        near = nearest(ingress.class_name, names)
        why = f"class {ingress.class_name} does not exist" + (f"; did you mean {near}?" if near else "")
        return Ownership("nobody", why, ingress.class_name, (spec, _listed(classes)))
    return _by_default(cluster, ref, classes)


def _by_annotation(cluster: ClusterFacts, ingress: Ingress, ref: ObjectRef, name: str) -> Ownership:
    """The controller compares the annotation with its flag --ingress-class and looks at no IngressClass."""
    evidence = Evidence(str(ref), f"annotation {CLASS_ANNOTATION}: {name}")
    known = cluster.controllers.peek()
    if name == "alb" and not known:
        if known is None or not _has_auto_mode(cluster):
            return Ownership("controller", f'annotation {CLASS_ANNOTATION} "{name}"', name, (evidence,))
        why = f'Auto Mode reads no class annotation ("{name}")'
        return Ownership("nobody", why, name, (evidence,))
    over = ingress.spec_class_name
    why = f'annotated class "{name}" wins over {over}' if over else f'class "{name}" is not the controller\'s'
    foreign = next((c for c in cluster.ingress_classes.peek() or () if c.meta.name == name), None)
    if known is None and foreign is not None and foreign.controller not in OUR_CONTROLLERS:
        return Ownership("other", why, name, (evidence, _listed((foreign,))))
    accepted = _accepted_classes(cluster.controllers.need())
    if name in accepted:
        return Ownership("controller", f'annotation {CLASS_ANNOTATION} "{name}"', name, (evidence,))
    flags = Evidence(Source.CONTROLLER, f"--ingress-class={' or '.join(sorted(accepted))}")
    return Ownership("other", why, name, (evidence, flags))


def _has_auto_mode(cluster: ClusterFacts) -> bool:
    return any(c.controller == AUTO_MODE_CLASS for c in cluster.ingress_classes.peek() or ())


def _by_class(named: IngressClass, first: Evidence) -> Ownership:
    name, controller = named.meta.name, named.controller
    evidence = (first, Evidence(f"ingressclass/{name}", f"controller: {controller}"))
    if controller == CONTROLLER_CLASS:
        return Ownership("controller", f"IngressClass {name}", name, evidence)
    if controller == AUTO_MODE_CLASS:
        return Ownership("auto-mode", f"IngressClass {name}", name, evidence)
    return Ownership("other", f"class {name} is that of {controller}", name, evidence)


def _by_default(cluster: ClusterFacts, ref: ObjectRef, classes: tuple[IngressClass, ...]) -> Ownership:
    defaults = [c for c in classes if c.meta.annotations.get(DEFAULT_ANNOTATION) == "true"]
    spec = Evidence(str(ref), "neither ingressClassName nor a class annotation")
    if len(defaults) == 1:
        return _by_class(defaults[0], spec)
    if defaults:
        names = ", ".join(c.meta.name for c in defaults)
        why = f"it names no class, and {len(defaults)} are the default ({names})"
        return Ownership("nobody", why, "", (spec, _listed(classes)))
    # A controller without --ingress-class also takes Ingresses that name no class. Its chart always sets the flag.
    controllers = cluster.controllers.peek() or ()
    if any(w.ready and not controller_flags(w).get("ingress-class", "alb") for w in controllers):
        return Ownership("controller", "the controller takes Ingresses without a class", "", (spec,))
    return Ownership("nobody", "it names no class, and none is the default", "", (spec, _listed(classes)))


def _listed(classes: tuple[IngressClass, ...]) -> Evidence:
    return Evidence(Source.INGRESS_CLASSES, ", ".join(f"{c.meta.name} ({c.controller})" for c in classes[:8]) or "none")


def reconciler_of_service(cluster: ClusterFacts, service: Service | None) -> Ownership:
    """Who makes a load balancer of its own for a Service; raises `Unknown` like `reconciler_of_ingress`."""
    if service is None:
        return Ownership("nobody", "the Service does not exist")
    ref = ObjectRef("Service", service.meta.namespace, service.meta.name)
    by_class = service.load_balancer_class
    if by_class:
        return _by_service_class(cluster, by_class, Evidence(str(ref), f"loadBalancerClass: {by_class}"))
    kind, targets = service.meta.annotations.get(_TYPE), service.meta.annotations.get(_TARGET_TYPE)
    evidence = (Evidence(str(ref), f"no loadBalancerClass; {_said(service)}"),)
    if kind == "nlb-ip" or (kind == "external" and targets in ("ip", "instance")):
        return Ownership("controller", f"annotation {_TYPE} {kind}", "", evidence)
    if service.type != "LoadBalancer":
        return Ownership("nobody", f"it is of type {service.type} and makes no load balancer", "", evidence)
    if kind == "external":
        why = f"annotation {_TYPE.rpartition('/')[2]} external needs {_TARGET_TYPE.rpartition('/')[2]}"
        return Ownership("nobody", why, "", evidence)
    made = "Classic" if is_classic(service) else "Network"
    return Ownership(
        "cloud-provider", f"no loadBalancerClass: the cloud provider makes a {made} Load Balancer", "", evidence
    )


def is_classic(service: Service) -> bool:
    """Whether the load balancer that the cloud provider makes for the Service is a Classic one.

    https://github.com/kubernetes/cloud-provider-aws/blob/master/docs/service_controller.md
    """
    return service.meta.annotations.get(_TYPE) != "nlb"


def _by_service_class(cluster: ClusterFacts, name: str, evidence: Evidence) -> Ownership:
    if name == AUTO_MODE_SERVICE_CLASS:
        return Ownership("auto-mode", f"loadBalancerClass {name}", name, (evidence,))
    controllers = cluster.controllers.peek() or ()
    classes = {controller_flags(w).get("load-balancer-class", SERVICE_CLASS) for w in controllers} or {SERVICE_CLASS}
    if name in classes:
        return Ownership("controller", f"loadBalancerClass {name}", name, (evidence,))
    cluster.controllers.need()  # A class of the controller's own choosing is told by its flag alone.
    return Ownership("other", f'loadBalancerClass "{name}" is none of AWS\'s', name, (evidence,))


def _said(service: Service) -> str:
    found = [
        f"{key}: {service.meta.annotations[key]}" for key in (_TYPE, _TARGET_TYPE) if key in service.meta.annotations
    ]
    return ", ".join(found) or f"no annotation {_TYPE}"


def _accepted_classes(controllers: tuple[Workload, ...]) -> set[str]:
    """What the annotation may say to be taken: the flag's value, and "alb" where the flag is empty."""
    return {controller_flags(w).get("ingress-class", "") or "alb" for w in controllers} or {"alb"}
