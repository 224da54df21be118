"""What the objects in front of a target group ask its maker to build: target type and health check. Pure.

The defaults are in docs/facts.md, "Health checks that the controller asks for". Precedence: IngressClassParams where
they have the setting (those of the health check they have not), then the Service's annotation, then the Ingress's, then
the controller's own default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from kubectl_lbdoctor.analysis.desired_target_type import DesiredTargetType
from kubectl_lbdoctor.analysis.ingress_backends import (
    backends_of,
    group_members,
    ingress_group,
    is_class_of,
    is_of_class,
)
from kubectl_lbdoctor.analysis.ownership import (
    READS as OWNERSHIP_READS,
)
from kubectl_lbdoctor.analysis.ownership import (
    Ownership,
    Reconciler,
    controller_flags,
    owner_of_ingress,
    owner_of_service,
)
from kubectl_lbdoctor.analysis.running_version import READS as VERSION_READS
from kubectl_lbdoctor.analysis.running_version import controller_version
from kubectl_lbdoctor.knowledge.annotations import (
    ALB_PREFIX,
    NLB_PREFIX,
    HealthCheckIntent,
    Owner,
    effective_health_check,
    resolve,
)
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Ingress, Service, TargetGroupBinding
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

READS = (*OWNERSHIP_READS, *VERSION_READS, reads.BINDINGS, reads.INGRESS_CLASS_PARAMS)

_NOTHING: Mapping[str, str] = {}


@record
class Declaration:
    """Who decides about a path's target group.

    kind: "alb" reads annotations of Ingress and Service, "nlb" those of the Service. parameters: the spec of the
    IngressClassParams in force, whose fields win over annotations.
    """

    kind: Literal["alb", "nlb"]
    owner: Ownership
    ingress: Ingress | None
    service: Service | None
    parameters: Mapping[str, object]

    @property
    def ingress_annotations(self) -> Mapping[str, str]:
        return self.ingress.meta.annotations if self.ingress is not None else _NOTHING

    @property
    def service_annotations(self) -> Mapping[str, str]:
        return self.service.meta.annotations if self.service is not None else _NOTHING


@derived
def declaration_of(traffic: TrafficPath) -> Declaration | None:
    """The objects that decide about the path's target group; None when nobody of ours makes one from annotations."""
    if traffic.backend is not None and traffic.backend.target_group_arn:
        return None  # An action names a group that people made: it has settings of its own.
    if traffic.backend is not None and traffic.backend.route is not None:
        return None  # A Gateway's load balancer is made of configurations, whatever annotations its Service has.
    if traffic.behind is not None:
        return None  # Its target is another load balancer: it has annotations of its own (`analysis.frontend_nlb`).
    if traffic.subject.kind == "Ingress":
        ingress = traffic.ingress.need()
        return _alb(traffic, ingress, owner_of_ingress(traffic)) if ingress is not None else None
    binding = traffic.binding.need()
    if binding is not None and binding.stack == "ingress":
        found = _ingress_of(traffic, binding)
        maker: Reconciler = "auto-mode" if binding.group else "controller"
        return _alb(traffic, found, Ownership(maker, "made by it")) if found is not None else None
    if binding is not None and binding.stack != "service":
        return None  # Made by a user, whose target group has settings of its own.
    owner = owner_of_service(traffic)
    service = traffic.service.need()
    return Declaration("nlb", owner, None, service, {}) if owner.is_ours and service is not None else None


def _alb(traffic: TrafficPath, ingress: Ingress, owner: Ownership) -> Declaration | None:
    if not owner.is_ours:
        return None
    return Declaration("alb", owner, ingress, traffic.service.need(), class_parameters(traffic, owner.class_name))


def _ingress_of(traffic: TrafficPath, binding: TargetGroupBinding) -> Ingress | None:
    """The Ingress for whose backend the controller made a binding; None when several of a group may be it."""
    found = traffic.namespace_facts.ingresses.need()
    if name := binding.stack_label("stack-name"):
        return next((i for i in found if i.meta.name == name), None)
    group = binding.stack_label("stack")
    members = [
        i
        for i in found
        if ingress_group(i, traffic.snapshot) == group
        and any((b.service, b.port) == (binding.service, binding.port) for b in backends_of(i))
    ]
    return members[0] if len(members) == 1 else None


def class_parameters(traffic: TrafficPath, class_name: str) -> Mapping[str, object]:
    """The spec of the IngressClassParams that an IngressClass refers to, {} without any."""
    if not class_name:
        return {}
    for entry in traffic.cluster.ingress_classes.peek() or ():
        if entry.meta.name == class_name and entry.parameters_name:
            for params in traffic.cluster.class_params.need():
                if is_of_class(params, entry):
                    return params.spec
    return {}


def desired_target_type(traffic: TrafficPath, front: Declaration) -> DesiredTargetType:
    """The target type that is asked for; needs the controller's flags only where nothing else says it."""
    chosen = front.parameters.get("targetType")
    if front.kind == "alb" and chosen:
        return DesiredTargetType(str(chosen), "IngressClassParams")
    if front.owner.owner == "cloud-provider":
        return DesiredTargetType("instance", "the cloud provider registers instances only")
    if front.kind == "nlb" and front.service_annotations.get(f"{NLB_PREFIX}type") == "nlb-ip":
        return DesiredTargetType("ip", f"annotation {NLB_PREFIX}type", traffic.service_ref, f"{NLB_PREFIX}type")
    key = f"{NLB_PREFIX}nlb-target-type" if front.kind == "nlb" else f"{ALB_PREFIX}target-type"
    asked = resolve(key, front.ingress_annotations, front.service_annotations)
    if asked.source != "default" and asked.value is not None:
        ref = traffic.service_ref
        if asked.source == "Ingress annotation" and front.ingress is not None:
            ref = ObjectRef("Ingress", front.ingress.meta.namespace, front.ingress.meta.name)
        return DesiredTargetType(asked.value, f"annotation {key} of {ref}", ref, key)
    if front.owner.owner == "auto-mode":
        return DesiredTargetType("ip", "the default of EKS Auto Mode")
    for workload in traffic.cluster.controllers.need():
        flag = controller_flags(workload).get("default-target-type")
        if flag:
            return DesiredTargetType(flag, f"the controller's flag --default-target-type={flag}")
    return DesiredTargetType("instance", "the controller's default")


@record
class AskedAddressType:
    """The address type of a load balancer that is asked for ("ipv4" without a word), and the annotation for it.

    said_by: the object that says it by that annotation, or may. decided: IngressClassParams say it, which win.
    """

    value: str
    key: str
    said_by: Ingress | Service
    decided: bool = False

    @property
    def is_dual_stack(self) -> bool:
        return self.value.startswith("dualstack")


def asked_address_type(traffic: TrafficPath, front: Declaration) -> AskedAddressType | None:
    """The address type that is asked for; None where there is no object that could. Whichever member of an IngressGroup
    says it says it for all, and what AWS has at the time does not count.

    Raises `Unknown` where the object itself says nothing and other members could not be read.

    Sources: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#ip-address-type,
    buildLoadBalancerIPAddressType in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_load_balancer.go.
    """
    key = (ALB_PREFIX if front.kind == "alb" else NLB_PREFIX) + "ip-address-type"
    owner = front.ingress if front.kind == "alb" else front.service
    if owner is None:
        return None
    if decided := front.parameters.get("ipAddressType"):
        return AskedAddressType(str(decided), key, owner, decided=True)
    if said := owner.meta.annotations.get(key):
        return AskedAddressType(said, key, owner)
    silent = AskedAddressType("ipv4", key, owner)
    group = ingress_group(owner, traffic.snapshot) if isinstance(owner, Ingress) else ""
    if not group:
        return silent
    others = (m for m in group_members(traffic.snapshot, group) if m.meta.key != owner.meta.key)
    found = [asked for member in others if (asked := _said_by_member(traffic, member, key)) is not None]
    return next((asked for asked in found if asked.is_dual_stack), next(iter(found), silent))


def _said_by_member(traffic: TrafficPath, member: Ingress, key: str) -> AskedAddressType | None:
    for entry in traffic.cluster.ingress_classes.need():
        if is_class_of(entry, member) and (decided := class_parameters(traffic, entry.meta.name).get("ipAddressType")):
            return AskedAddressType(str(decided), key, member, decided=True)
    said = member.meta.annotations.get(key)
    return AskedAddressType(said, key, member) if said else None


def desired_health_check(traffic: TrafficPath, front: Declaration) -> HealthCheckIntent:
    """The health check that the annotations ask for, with targets of the type that the target group has."""
    service = front.service
    local = service is not None and service.external_traffic_policy == "Local"
    target_type = traffic.target_type
    if not target_type:
        target_type = desired_target_type(traffic, front).value if front.kind == "nlb" or _names_port(front) else "ip"
    ports = {}
    for port in service.ports if service is not None else ():
        if port.name:
            numeric = int(port.target) if port.target.isdigit() else None
            ports[port.name] = port.node_port if target_type == "instance" else numeric
    return effective_health_check(
        front.kind,
        ingress_annotations=front.ingress_annotations,
        service_annotations=front.service_annotations,
        target_type="instance" if target_type == "instance" else "ip",
        external_traffic_policy="Local" if local else "Cluster",
        service_type=service.type if service is not None else "",
        health_check_node_port=service.health_check_node_port if service is not None else None,
        port_names=ports,
        owner=lint_owner(front.owner),
        controller_version=controller_version(traffic),
    )


def _names_port(front: Declaration) -> bool:
    asked = resolve(f"{ALB_PREFIX}healthcheck-port", front.ingress_annotations, front.service_annotations)
    return asked.source != "default" and not (asked.value or "").isdigit()


def lint_owner(owner: Ownership) -> Owner:
    """The owner in the words of the annotation catalogue."""
    return cast(Owner, owner.owner) if owner.is_ours else "unknown"
