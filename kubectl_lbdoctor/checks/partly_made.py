"""LBD222 to LBD224: the load balancer is there, and something that was asked for is silently not part of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from kubectl_lbdoctor.analysis.desired_state import class_parameters
from kubectl_lbdoctor.analysis.frontends import ownership
from kubectl_lbdoctor.analysis.ownership import READS as OWNERSHIP_READS
from kubectl_lbdoctor.analysis.recent_edits import RECONCILE_SECONDS, last_edit
from kubectl_lbdoctor.analysis.remediation import annotate, describe_listeners, describe_load_balancer, kubectl
from kubectl_lbdoctor.analysis.subnet_choice import cloud_provider_scheme
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotation_rules.linted import truth
from kubectl_lbdoctor.knowledge.annotation_values import parse_list
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.knowledge.controller_identity import gate_is_on
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_READS = (*OWNERSHIP_READS, reads.INGRESS_CLASS_PARAMS, reads.BINDINGS, reads.TARGET_GROUPS, reads.LOAD_BALANCERS)
_SECURITY_GROUPS = NLB_PREFIX + "security-groups"
_WITHOUT_GROUPS = NLB_PREFIX + "disable-nlb-sg"
_BOTH_PROTOCOLS = NLB_PREFIX + "enable-tcp-udp-listener"
# Which protocols of a Service port a listener of each protocol serves.
_SERVES = {
    "TCP": {"TCP"},
    "TLS": {"TCP"},
    "UDP": {"UDP"},
    "QUIC": {"UDP"},
    "TCP_UDP": {"TCP", "UDP"},
    "TCP_QUIC": {"TCP", "UDP"},
}


def _own_service(traffic: TrafficPath) -> Service:
    """The Service that the Network Load Balancer is made from."""
    service = traffic.service.need()
    if traffic.subject.kind != "Service" or service is None or service.meta.name != traffic.subject.name:
        raise NotApplicable("no load balancer of a Service")
    return service


@check(
    "LBD222",
    title="a Network Load Balancer lacks the security groups that are asked for",
    passes="a Network Load Balancer has the security groups that are asked for",
    severity=Severity.WARNING,
    message="load balancer {balancer} has no security group, though Service {service} asks for {groups:,3}",
    reads=_READS,
)
def groups_not_attached(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service names security groups for its Network Load Balancer, which was made without any. AWS attaches them to
    such a load balancer only when it is created, and the controller then ignores the annotation without a word: rules
    of these groups limit nobody, and targets that admit only them admit nothing.

    Where the feature gate NLBSecurityGroup is off, every load balancer of the controller is made so.

    Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/service/model_build_load_balancer.go.

    Confirm by hand: `aws elbv2 describe-load-balancers` (SecurityGroups is empty). Repair: create the Service again
    (its load balancer gets another name), or remove the annotation.
    """
    service = _own_service(traffic)
    asked = tuple(parse_list(service.meta.annotations.get(_SECURITY_GROUPS, "")))
    balancer = traffic.load_balancer.need()
    if not asked or balancer is None or balancer.type != "network" or balancer.security_groups:
        return
    if truth(service.meta.annotations.get(_WITHOUT_GROUPS)) or ownership(traffic).owner != "controller":
        return  # Asked for, or said by the linter.
    off = next((w for w in traffic.cluster.controllers.peek() or () if not gate_is_on(w, "NLBSecurityGroup")), None)
    evidence = [
        Evidence(str(traffic.service_ref), f"annotation {_SECURITY_GROUPS}: {', '.join(asked)}"),
        Evidence(reads.LOAD_BALANCERS, f"{balancer.name}: no security group"),
    ]
    if off is not None:
        evidence.append(Evidence(f"deployment {off.meta.key}", "--feature-gates=NLBSecurityGroup=false"))
    yield Finding(
        "LBD222",
        traffic.service_ref if off is None else ObjectRef("Deployment", off.meta.namespace, off.meta.name),
        params={
            "balancer": balancer.name,
            "service": service.meta.name,
            "groups": asked,
            "why": "they can be attached only when it is created"
            if off is None
            else f"{off.meta.key} runs with --feature-gates=NLBSecurityGroup=false",
        },
        evidence=tuple(evidence),
        confirm=(describe_load_balancer(balancer.arn, traffic.context.region),),
        by_hand=() if off is None else (kubectl("edit", "deployment", off.meta.name, namespace=off.meta.namespace),),
        advice="delete the Service and create it again; its load balancer gets a new DNS name"
        if off is None
        else "take NLBSecurityGroup out of --feature-gates, then delete the Service and create it again",
    )


@check(
    "LBD223",
    title="a setting was given too late: it takes effect at creation only",
    passes="settings that can only be set at creation are those of the load balancer",
    severity=Severity.WARNING,
    message="load balancer {balancer} keeps {setting} {is}: {asked} takes effect at creation only",
    reads=_READS,
    distinct_by=("setting",),
)
def set_at_creation_only(traffic: TrafficPath) -> Iterator[Finding]:
    """A setting was changed after the load balancer was made, and whoever made it ignores the change: its name in every
    case, and its scheme where the cloud provider's service controller made it.

    The AWS Load Balancer Controller replaces a load balancer whose scheme or type is changed, and a target group whose
    target type or protocol is; it changes address type, subnets and security groups in place. So these are not meant
    here. The name alone is information only.

    The cloud provider reads any value of the annotation aws-load-balancer-internal but "false" as internal, also
    0.0.0.0/0, which its documentation named for years.

    Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/deploy/elbv2/load_balancer_synthesizer.go,
    .../pkg/deploy/elbv2/target_group_synthesizer.go and .../pkg/deploy/elbv2/load_balancer_manager.go;
    https://github.com/kubernetes/cloud-provider-aws/blob/v1.36.1/pkg/providers/v1/aws.go (EnsureLoadBalancer) and
    .../pkg/providers/v1/aws_loadbalancer.go.

    Confirm by hand: `aws elbv2 describe-load-balancers` against the annotation. Repair: create the object again (the
    load balancer gets a new DNS name), or take the annotation back.
    """
    balancer = traffic.load_balancer.need()
    owner = ownership(traffic)
    if balancer is None or not owner.is_ours or traffic.subject.kind not in ("Ingress", "Service"):
        return
    kind = "application" if traffic.subject.kind == "Ingress" else "network"
    if balancer.type != kind:
        return  # An Ingress may have a Network Load Balancer in front of its own.
    name, said = _asked_name(traffic, owner.class_name)
    if owner.owner != "cloud-provider" and name and name != balancer.name:
        yield _ignored(traffic, balancer, "name", balancer.name, name, said, Severity.INFO)
    service = traffic.service.peek()
    if owner.owner == "cloud-provider" and service is not None and balancer.scheme:
        wanted = cloud_provider_scheme(service.meta.annotations)
        # No annotation means internet-facing, too; only what is written is asked for.
        if wanted and wanted != balancer.scheme:
            said = f"annotation {NLB_PREFIX}internal: {service.meta.annotations[NLB_PREFIX + 'internal']}"
            yield _ignored(traffic, balancer, "scheme", balancer.scheme, wanted, said, None)


def _asked_name(traffic: TrafficPath, class_name: str) -> tuple[str, str]:
    """The name that is asked for, and where; "" without one."""
    if traffic.subject.kind == "Service":
        service = _own_service(traffic)
        key = NLB_PREFIX + "name"
        return service.meta.annotations.get(key, "").strip(), f"annotation {key}"
    ingress = traffic.ingress.need()
    chosen = class_parameters(traffic, class_name).get("loadBalancerName")
    if chosen:
        return str(chosen), "IngressClassParams loadBalancerName"
    key = ALB_PREFIX + "load-balancer-name"
    return (ingress.meta.annotations.get(key, "").strip() if ingress is not None else ""), f"annotation {key}"


def _ignored(
    traffic: TrafficPath,
    balancer: LoadBalancer,
    setting: str,
    now: str,
    asked: str,
    said: str,
    severity: Severity | None,
) -> Finding:
    ref = traffic.subject
    return Finding(
        "LBD223",
        ref,
        params={
            "balancer": balancer.name,
            "setting": setting,
            "is": now,
            "asked": asked,
            "object": f"{ref.kind} {ref.name}",
        },
        evidence=(
            Evidence(str(ref), f"{said}: {asked}" if asked not in said else said),
            Evidence(reads.LOAD_BALANCERS, f"{setting} {now}"),
        ),
        confirm=(describe_load_balancer(balancer.arn, traffic.context.region),),
        advice="create the object again, or take the setting back",
        severity=severity,
    )


@check(
    "LBD224",
    title="a protocol of a Service port has no listener",
    passes="every protocol of a Service port has a listener",
    severity=Severity.ERROR,
    message="{missing} clients of port {port} of Service {service} get no answer: its listener serves {served} only",
    reads=(*_READS, reads.LISTENERS),
    distinct_by=("port",),
)
def second_protocol_not_served(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service has one port number with two protocols (DNS: TCP and UDP). A Network Load Balancer has one listener
    for each number, and the controller makes it for one of the protocols only, without an event about the other.

    Version 2.13 and later make one TCP_UDP listener of both when told so, by annotation or for all Services by
    `--feature-gates=EnableTCPUDPListener=true`. Both ports then lead to the same targets.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/service/model_build_listener.go.

    Confirm by hand: `aws elbv2 describe-listeners` (Protocol). Repair: set the annotation enable-tcp-udp-listener;
    with older versions make a second Service.
    """
    service = _own_service(traffic)
    if ownership(traffic).owner not in ("controller", "auto-mode"):
        raise NotApplicable("no load balancer of the controller")
    balancer = traffic.load_balancer.need()
    if balancer is None or balancer.type != "network":
        return
    asked: dict[int, list[str]] = defaultdict(list)
    for port in service.ports:
        asked[port.port].append(port.protocol)
    live = {listener.port: listener.protocol for listener in traffic.listeners.need()}
    refused = service.meta.annotations.get(_BOTH_PROTOCOLS, "")
    for number, protocols in asked.items():
        served = _SERVES.get(live.get(number, ""))
        missing = [p for p in protocols if served is not None and p not in served and p in ("TCP", "UDP")]
        if len(set(protocols)) < 2 or not missing:
            continue
        if truth(refused) and last_edit(traffic) < RECONCILE_SECONDS:
            continue  # The controller is at it.
        change = annotate(traffic.service_ref, service.meta.annotations, {_BOTH_PROTOCOLS: "true"})
        yield Finding(
            "LBD224",
            traffic.service_ref,
            params={
                "port": str(number),
                "service": service.meta.name,
                "wanted": tuple(protocols),
                "served": live[number],
                "missing": missing[0],
            },
            evidence=(
                Evidence(str(traffic.service_ref), f"port {number}: {', '.join(protocols)}"),
                Evidence(str(traffic.service_ref), f"annotation {_BOTH_PROTOCOLS}: {refused or 'not set'}"),
                Evidence(reads.LISTENERS, f"{number}: {live[number]}"),
            ),
            confirm=(describe_listeners(balancer.arn, traffic.context.region),),
            by_hand=() if truth(refused) else (change.command,),
            advice="see the controller's events and version: it knows the annotation from 2.13 on"
            if truth(refused)
            else "",
            severity=Severity.WARNING if truth(refused) is False else None,
        )
