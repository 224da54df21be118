"""LBD225: pods of an overlay network as targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import overlay_pods
from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import known_complaints
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.remediation import kubectl, with_node_ports
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_SHOWN = 3


@check(
    "LBD225",
    title="targets are pods of an overlay network, which the VPC does not know",
    passes="targets have addresses that the VPC knows",
    severity=Severity.ERROR,
    message="{pods:pod} of Service {service} {pods:=has an address|have addresses} outside of the VPC: {addresses:,2}",
    reads=(
        *(*overlay_pods.READS, reads.BINDINGS, reads.INGRESSES, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS),
        *(reads.TARGET_GROUPS, reads.TARGET_HEALTH, reads.LOAD_BALANCERS, reads.CONTROLLER, reads.ENDPOINT_SLICES),
        *COMPLAINT_READS,
    ),
    explains=("LBD109", "LBD205", "LBD217", "LBD219", "LBD501", "LBD503", "LBD509", "LBD514", "LBD607"),
    fix="target-type",
    by_absence=(reads.NETWORK_INTERFACES, reads.SUBNETS, reads.ROUTE_TABLES),
)
def overlay_targets(traffic: TrafficPath) -> Iterator[Finding]:
    """The targets are pods (target type ip), and the pods have addresses of an overlay network (Cilium or Calico with
    VXLAN, Geneve or IP-in-IP), which exists between the nodes alone: no interface, subnet or route of the VPC holds
    them. Elastic Load Balancing refuses such a target, or every check of it times out.

    The controller registers such targets in zone "all", finds no interface of theirs ("cannot resolve pod ENI for
    pods") and opens no security group for them.

    Pods in a secondary range of the VPC, such as 100.64.0.0/16 with custom networking, are reached like any other.

    Confirm by hand: `kubectl get pods -o wide` against `aws ec2 describe-vpcs` (CidrBlockAssociationSet). Repair: use
    target type instance, with a Service of type NodePort or LoadBalancer: the nodes are in the VPC, and they know the
    way to the pods. Or give the pods addresses of the VPC (the VPC CNI, or the CNI's mode with native routing).
    """
    if traffic.target_type != "ip":
        raise NotApplicable("the targets are no pods")
    service = traffic.service.need()
    if service is None:
        raise NotApplicable("no Service behind this path")
    served = {t.id for t in traffic.target_health.need() if t.state == "healthy"}
    group = traffic.target_group.need()
    six = group is not None and group.ip_address_type == "ipv6"
    pods = [p for p in overlay_pods.overlay_pods(traffic) if p.ip not in served and (":" in p.ip) is six]
    if not pods:
        return
    port = traffic.service_port.need()
    source = setting_source(traffic, "nlb-target-type" if not traffic.is_alb else "target-type")
    risk = "the target group is replaced by one of nodes; the nodes must admit the load balancer on the node port"
    repairs: tuple[Repair, ...] = ()
    if source.settable and service.cluster_ip != "None":  # A headless Service has no node ports.
        repairs = (source.repair("instance", "nodes are in the VPC", risk),)
        if port is not None and not port.node_port:
            first = with_node_ports(traffic.service_ref, service)
            repairs = (replace(repairs[0], changes=(*first.changes, *repairs[0].changes)),)
    yield Finding(
        "LBD225",
        source.ref if source.settable else traffic.service_ref,
        params={"pods": len(pods), "service": service.meta.name, "addresses": tuple(pod.ip for pod in pods)},
        evidence=(
            *_evidence(pods, len(traffic.network.subnets.need())),
            *(entry.evidence for entry in known_complaints(traffic) if entry.param("pods")),
        ),
        confirm=(kubectl("get", "pods", "-o", "wide", namespace=traffic.namespace),),
        repairs=repairs,
        fix_automatic=bool(repairs),
        advice="" if repairs else "use target type instance, with a Service of type NodePort or LoadBalancer",
    )


def _evidence(pods: list[Pod], subnets: int) -> Iterator[Evidence]:
    for pod in pods[:_SHOWN]:
        yield Evidence(f"pod {pod.meta.name}", f"{pod.ip} on node {pod.node}, whose own address is of the VPC")
    yield Evidence(reads.SUBNETS, f"none of {subnets} holds these addresses, and no interface or route does")
