"""LBD226: Services with IPv6 addresses behind a load balancer that has none."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.balancer_settings import ADDRESS_TYPE, balancer_settings
from kubectl_lbdoctor.analysis.desired_state import READS as INTENT_READS
from kubectl_lbdoctor.analysis.desired_state import asked_address_type, declaration_of
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.remediation import annotate, kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_DUAL_STACK = "dualstack"


@check(
    "LBD226",
    title="the Service has IPv6 addresses, and the load balancer is not dual-stack",
    passes="the load balancer is dual-stack where the Service has IPv6 addresses",
    severity=Severity.ERROR,
    message="Service {service} has IPv6 addresses, and its load balancer is asked for as {wanted}",
    reads=(
        *(*INTENT_READS, *GATEWAY_READS, reads.ALL_INGRESSES),
        *(reads.TARGET_GROUPS, reads.TARGET_HEALTH, reads.LOAD_BALANCERS),
    ),
    explains=(*undone_by("LBD226"), "LBD213"),
    fix="ip-address-type",
)
def ipv6_needs_dual_stack(traffic: TrafficPath) -> Iterator[Finding]:
    """One of the Service's families (`spec.ipFamilies`) is IPv6. The controller then makes a target group of IPv6
    addresses for it, also where IPv4 stands first, and refuses to build anything where the load balancer has IPv4
    alone: "unsupported IPv6 configuration, lb not dual-stack". Whichever member of an IngressGroup asks for dualstack
    asks for it for all. What AWS has at the time does not count: only what is asked for.

    Source: buildTargetGroupIPAddressType in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_target_group.go
    and .../pkg/service/model_build_target_group.go, .../pkg/gateway/model/model_build_target_group.go.

    Confirm by hand: `kubectl get service NAME -o jsonpath='{.spec.ipFamilies}'`. Repair: set the annotation
    `ip-address-type` (of a Gateway: `ipAddressType` of its LoadBalancerConfiguration) to dualstack, for which each
    subnet of the load balancer needs an IPv6 range; or give the Service the family IPv4 alone.
    """
    if traffic.backend is not None and traffic.backend.route is not None:
        yield from _of_gateways(traffic)
        return
    front, service = declaration_of(traffic), traffic.service.need()
    if front is None or service is None or front.owner.owner == "cloud-provider":
        raise NotApplicable("no annotations of the controller's decide about this load balancer")
    if "IPv6" not in service.ip_families:
        return
    asked = asked_address_type(traffic, front)
    if asked is None or asked.is_dual_stack:
        return
    owner = asked.said_by
    ref = ObjectRef(type(owner).__name__, owner.meta.namespace, owner.meta.name)
    reason = f"Service {service.meta.name} has IPv6 addresses"
    change = annotate(ref, owner.meta.annotations, {asked.key: _DUAL_STACK})
    yield Finding(
        "LBD226",
        ref,
        params={"service": service.meta.name, "wanted": asked.value},
        evidence=(
            Evidence(str(traffic.service_ref), f"ipFamilies: {', '.join(service.ip_families)}"),
            Evidence(Source.CLASS_PARAMS if asked.decided else str(ref), f"ip-address-type {asked.value}"),
        ),
        confirm=(kubectl("get", "service", service.meta.name, "-o", "yaml", namespace=traffic.namespace),),
        repairs=() if asked.decided else (Repair(_DUAL_STACK, (change,)).with_reason(reason),),
        fix_automatic=not asked.decided,
        advice="set ipAddressType of the IngressClassParams to dualstack" if asked.decided else "",
    )


def _of_gateways(traffic: TrafficPath) -> Iterator[Finding]:
    service = traffic.service.need()
    if service is None or "IPv6" not in service.ip_families:
        return
    for setting in balancer_settings(traffic, ADDRESS_TYPE):
        wanted = str(setting.value or "ipv4")
        if wanted.startswith(_DUAL_STACK):
            continue
        said = str(setting.settings.ref) if setting.settings is not None else "no LoadBalancerConfiguration"
        yield Finding(
            "LBD226",
            setting.gateway.ref,
            params={"service": service.meta.name, "wanted": wanted},
            evidence=(
                Evidence(str(traffic.service_ref), f"ipFamilies: {', '.join(service.ip_families)}"),
                Evidence(said, f"{ADDRESS_TYPE} {setting.value or 'not set: ipv4'}"),
            ),
            confirm=(kubectl("get", "service", service.meta.name, "-o", "yaml", namespace=traffic.namespace),),
            repairs=(setting.repair(_DUAL_STACK, f"Service {service.meta.name} has IPv6 addresses"),),
            fix_automatic=not setting.others,
        )
