"""What is asked of a target group against what it is: target type, check settings, one path for many backends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.analysis.check_settings import (
    checked_pod_port,
    readiness_of,
)
from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import standing_complaints
from kubectl_lbdoctor.analysis.desired_state import READS as INTENT_READS
from kubectl_lbdoctor.analysis.desired_state import (
    Declaration,
    declaration_of,
    desired_health_check,
    desired_target_type,
)
from kubectl_lbdoctor.analysis.drift import drift_blame, restored
from kubectl_lbdoctor.analysis.frontend_nlb import frontend_nlb_check, is_before_ingress
from kubectl_lbdoctor.analysis.frontends import frontend_of, ownership, setting_source
from kubectl_lbdoctor.analysis.gateway_intent import health_check_of_gateway
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.gateway_settings import target_type_of_gateway
from kubectl_lbdoctor.analysis.ingress_backends import backends_of
from kubectl_lbdoctor.analysis.management_port import check_there, health_port
from kubectl_lbdoctor.analysis.pod_problems import describe_probe
from kubectl_lbdoctor.analysis.recent_edits import RECONCILE_SECONDS, last_edit
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import (
    describe_target_group,
    describe_target_health,
    kubectl,
    with_node_ports,
)
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, HealthCheckIntent, Setting
from kubectl_lbdoctor.knowledge.success_codes import AnswerKind, kind_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import HealthCheck, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.snapshot import lookup
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_ANSWER_READS = (reads.PODS, reads.ENDPOINT_SLICES, reads.TARGET_HEALTH)
_HTTP = ("HTTP", "HTTPS")


def _front(traffic: TrafficPath) -> Declaration:
    front = declaration_of(traffic)
    if front is None:
        raise NotApplicable("no annotations decide about this target group")
    return front


@check(
    "LBD204",
    title="instance targets have no node port",
    passes="instance targets have a node port",
    severity=Severity.ERROR,
    message="Service {service} ({type}) has no node port for port {port}, which instance targets need",
    reads=(*INTENT_READS, reads.LOAD_BALANCERS, reads.LISTENERS, reads.TARGET_GROUPS, *GATEWAY_READS, *COMPLAINT_READS),
    explains=undone_by("LBD204"),
    fix="target-type",
    distinct_by=("port",),
)
def instance_targets_without_node_port(traffic: TrafficPath) -> Iterator[Finding]:
    """With target type `instance` the load balancer sends to a node port, and the Service has none: it is of type
    ClusterIP, or `allocateLoadBalancerNodePorts` is false.

    The controller cannot build its model then (event FailedBuildModel: "When using Instance targets, your service be
    must of type 'NodePort' or 'LoadBalancer'", or "unallocated NodePort").

    Confirm by hand: `kubectl get service NAME`. Repair: use target type ip, or a Service of type NodePort.
    """
    service, port = traffic.service.need(), traffic.service_port.need()
    of_gateway = traffic.backend is not None and traffic.backend.route is not None
    front = None if of_gateway else _front(traffic)
    if service is None or port is None or service.type == "ExternalName" or port.node_port:
        return
    wanted = desired_target_type(traffic, front) if front is not None else target_type_of_gateway(traffic)
    if wanted.value != "instance":
        return
    if not wanted.key and traffic.target_type == "ip" and not _is_refused(traffic):
        return  # A binding that is there says better than a default what is asked for.
    ref = traffic.service_ref
    repairs = [with_node_ports(ref, service)]
    setting = "nlb-target-type" if front is not None and front.kind == "nlb" else "target-type"
    owner = setting_source(traffic, setting)
    decided = front is not None and ("targetType" in front.parameters or front.owner.owner == "cloud-provider")
    free = owner.settable and not decided
    if free:
        risk = "the target group is replaced by one of pods; they must be reachable in the VPC"
        repairs.insert(0, owner.repair("ip", f"Service {service.meta.name} has no node port", risk))
    allocation = "" if service.allocate_node_ports else ", allocateLoadBalancerNodePorts false"
    yield Finding(
        "LBD204",
        ref,
        params={"said": wanted.said, "service": service.meta.name, "type": service.type, "port": str(port.port)},
        evidence=(
            Evidence(Source.TARGET_TYPE, f"instance: {wanted.said}"),
            Evidence(f"service/{service.meta.name}", f"type {service.type}{allocation}, port {port.port}: no nodePort"),
        ),
        confirm=(kubectl("get", "service", service.meta.name, "-o", "yaml", namespace=ref.namespace),),
        repairs=tuple(repairs),
        fix_automatic=free,
        advice="let the pods be the targets (target type ip), or give the Service a node port"
        if len(repairs) > 1
        else owner.instruction,
    )


def _is_refused(traffic: TrafficPath) -> bool:
    """Whether the controller says now that it finds no port for instance targets."""
    with suppress(Unknown):
        return any(complaint.decoded.code == "LBD204" for complaint in standing_complaints(traffic))
    return False


@check(
    "LBD311",
    title="the target group's check differs from the one that is asked for",
    passes="the target group's check is the one that is asked for",
    severity=Severity.ERROR,
    message="the check of {group} is not as {asker:gateway=configured|*=annotated}: {differences}",
    reads=(
        *(*INTENT_READS, reads.ALL_INGRESSES, reads.LOAD_BALANCERS, reads.LISTENERS, reads.TARGET_GROUPS),
        *(*_ANSWER_READS, *GATEWAY_READS),
    ),
    symptom=True,
    explains=(
        "LBD301",
        "LBD302",
        "LBD303",
        "LBD304",
        "LBD305",
        "LBD309",
        "LBD313",
        "LBD317",
        "LBD318",
        "LBD323",
        "LBD501",
    ),
    fix="drift",
)
def check_differs_from_annotations(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group's health check has other settings than the annotations (or, without them, the defaults) ask
    for. It is an error where targets fail by a setting that differs, and nothing shows that they would fail the check
    that is asked for, too.

    Either the controller could not apply a change (then its complaint is the cause), or somebody changed the target
    group in AWS. The controller compares both whenever it reconciles the object, and then takes the change back; but it
    hears nothing of a change in AWS, so that happens when the object changes, when the controller starts, or when its
    sync period (10 h) ends. To annotate the same value once more would change nothing. In the first minute after the
    objects were written nothing is late.

    Confirm by hand: `aws elbv2 describe-target-groups` against the annotations. Repair: give the target group what is
    annotated (`aws elbv2 modify-target-group`, which is what the controller itself would do); or annotate what is
    wanted; any other change of the object makes the controller apply what is annotated, too.
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    of_gateway = traffic.backend is not None and traffic.backend.route is not None
    before = is_before_ingress(traffic)
    front = None if of_gateway or before else _front(traffic)
    item = frontend_of(traffic).manifest.need() if front is None else front.ingress or front.service
    if item is None or last_edit(traffic) < RECONCILE_SECONDS:
        return
    wanted = (
        desired_health_check(traffic, front)
        if front is not None
        else frontend_nlb_check(traffic)
        if before
        else health_check_of_gateway(traffic)
    )
    if wanted.errors:
        return  # The controller refuses the annotation: LBD111.
    real = group.health_check
    owner = ownership(traffic).owner if front is None else front.owner.owner
    found = [d for d in differences(wanted, real) if owner != "auto-mode" or d[1].source != "default"]
    if not found or (owner == "cloud-provider" and real.port == "10256"):
        return  # The cloud provider's shared check of kube-proxy is configured outside the cluster.
    asked = "configured" if of_gateway else "annotated"
    texts = [f"{name} is {now}, {asked} is {setting.value}" for name, setting, now in found]
    verb = "set" if of_gateway else "annotate"
    blame = drift_blame(traffic, group, {name for name, _, _ in found}, wanted)
    finding = Finding(
        "LBD311",
        ObjectRef("TargetGroup", "", group.name),
        params={
            "group": group.name,
            "differences": texts[0] + (f"; {len(texts) - 1} more" if len(texts) > 1 else ""),
            "asker": "gateway" if of_gateway else "annotations",
        },
        evidence=(
            Evidence(Source.TARGET_GROUP, ", ".join(f"{name} {now}" for name, _, now in found)),
            Evidence(
                _ASKED if of_gateway else Source.ANNOTATIONS,
                ", ".join(f"{name} {s.value} ({_source(s)})" for name, s, _ in found),
            ),
        ),
        confirm=(describe_target_group(group.arn, traffic.context.region),),
        by_hand=looked_at_again(traffic) if owner == "controller" else (),
        advice=f"{verb} what is meant; what is asked for is applied again after any change of the object",
        severity=Severity.WARNING,
    )
    if blame is None:
        yield finding
        return
    yield replace(
        finding,
        evidence=(*finding.evidence, *blame.evidence),
        targets=tuple(target.key for target in blame.targets),
        confidence=Confidence.CERTAIN if blame.proven else Confidence.LIKELY,
        repairs=(restored(traffic, group, wanted, [(name, setting.value) for name, setting, _ in found]),),
        fix_automatic=True,
        alternatives=blame.alternatives,
        advice=f"give the target group what is {asked}, as the controller would at its next reconciliation; or {verb} "
        "what was set in AWS, if that is meant",
        severity=None,
        is_cause=True,
    )


_ASKED = "target group configuration"


def _source(setting: Setting[Any]) -> str:
    return f"the {setting.source}" if setting.source == "default" else f"{setting.source} {setting.key}"


def differences(wanted: HealthCheckIntent, real: HealthCheck) -> list[tuple[str, Setting[Any], str]]:
    """(name, wanted setting, real value) of every setting that differs, what decides about an answer before what
    decides about its time; what is not known to be wanted is left out."""
    asked: list[tuple[str, Setting[Any], str]] = [
        ("protocol", wanted.protocol, real.protocol),
        ("port", wanted.port, real.port),
    ]
    timed: list[tuple[str, Setting[Any], str]] = [
        ("interval", wanted.interval_seconds, str(real.interval)),
        ("timeout", wanted.timeout_seconds, str(real.timeout)),
        ("healthy threshold", wanted.healthy_threshold, str(real.healthy_threshold)),
        ("unhealthy threshold", wanted.unhealthy_threshold, str(real.unhealthy_threshold)),
    ]
    found = [setting for setting in asked if _differs(setting)]
    if wanted.protocol.value == real.protocol and real.protocol in _HTTP:
        if wanted.path.value is not None and wanted.path.value != real.path:
            found.append(("path", wanted.path, real.path))
        if wanted.matcher.value is not None and real.matcher and _codes(wanted.matcher.value) != _codes(real.matcher):
            found.append(("success codes", wanted.matcher, real.matcher))
    return [*found, *(setting for setting in timed if _differs(setting))]


def _differs(setting: tuple[str, Setting[Any], str]) -> bool:
    _, wanted, real = setting
    return wanted.value is not None and real not in ("", "0") and str(wanted.value) != real


def _codes(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


@check(
    "LBD312",
    title="backends share a check path that not all of them answer",
    passes="backends that share a check path all answer it",
    severity=Severity.WARNING,
    message='check path "{path}" of Ingress {ingress} is answered by {good:=Service|Services} {good}, but not by '
    "{bad:=Service|Services} {bad}",
    reads=(reads.INGRESSES, reads.SERVICES, reads.BINDINGS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    symptom=True,
    distinct_by=("path",),
)
def one_path_for_several_backends(traffic: TrafficPath) -> Iterator[Finding]:
    """One check path holds for all backends of an Ingress, by its annotation or by default; some backends answer it
    with a success code and others do not.

    Confirm by hand: `aws elbv2 describe-target-health` of each target group. Repair: annotate healthcheck-path on
    the Service of each backend that needs another path; it wins over the Ingress's.
    """
    ingress = traffic.ingress.need()
    if ingress is None:
        raise NotApplicable("not an Ingress")
    group, service = traffic.target_group.need(), traffic.service.need()
    if group is None or service is None:
        raise NotApplicable("no target group of an Ingress backend")
    binding, path = traffic.binding.need(), group.health_check.path
    if binding is None or _has_path(service) or not _mismatched(group, traffic.targets()):
        return
    good, bad = set(), {service.meta.name}
    services = {s.meta.name: s for s in traffic.namespace_facts.services.need()}
    for backend in backends_of(ingress):
        other = services.get(backend.service)
        if other is None or other.meta.name == service.meta.name or _has_path(other):
            continue
        for entry in traffic.namespace_facts.bindings.need():
            mine = (entry.service, entry.port) == (backend.service, backend.port) and _stack(entry) == _stack(binding)
            fact = lookup(traffic.aws.target_groups, entry.target_group_arn, reads.TARGET_GROUPS)
            other_group = fact.peek() if mine else None
            if other_group is None or other_group.health_check.path != path:
                continue
            health = lookup(traffic.aws.target_health, entry.target_group_arn, reads.TARGET_HEALTH).peek() or ()
            if _mismatched(other_group, health):
                bad.add(other.meta.name)
            elif any(t.state == "healthy" for t in health):
                good.add(other.meta.name)
    if not good:
        return
    yield Finding(
        "LBD312",
        ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name),
        params={
            "path": path,
            "ingress": ingress.meta.name,
            "good": tuple(sorted(good)),
            "bad": tuple(sorted(bad)),
        },
        evidence=(
            Evidence(f"target group {group.name}", next(iter(_mismatched(group, traffic.targets()))).description),
            Evidence(Source.TARGET_GROUPS_OF_INGRESS, f"healthy targets behind {_services(good)} on the same path"),
        ),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        advice=f"annotate {_services(bad)} with {ALB_PREFIX}healthcheck-path=<a path that it answers>",
    )


def _stack(binding: Any) -> list[tuple[str, str]]:
    return sorted((k, v) for k, v in binding.meta.labels.items() if k.startswith("ingress."))


def _has_path(service: Service) -> bool:
    return ALB_PREFIX + "healthcheck-path" in service.meta.annotations


def _mismatched(group: TargetGroup, targets: tuple[TargetHealth, ...]) -> list[TargetHealth]:
    """Targets that answer with a code that depends on the path (a server's error is the application's own trouble)."""
    answered = [t for t in targets if t.reason == RESPONSE_CODE_MISMATCH and t.codes]
    return [t for t in answered if kind_of(t.codes[-1], group.is_grpc) is not AnswerKind.SERVER]


def _services(names: set[str]) -> str:
    return f"Service{'s' if len(names) > 1 else ''} {', '.join(sorted(names))}"


@check(
    "LBD318",
    title="failing targets are checked on another path than their readiness probe's",
    passes="failing targets are checked on the path of their readiness probe",
    severity=Severity.INFO,
    message='the check asks "{path}", the readiness probe that passes "{probe}"[ on port {port}]',
    reads=(
        *(reads.INGRESSES, reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES, reads.BINDINGS, reads.LOAD_BALANCERS),
        *(reads.LISTENERS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    symptom=True,
    fix="healthcheck-path",
    distinct_by=("path", "probe"),
)
def check_path_is_not_the_readiness_path(traffic: TrafficPath) -> Iterator[Finding]:
    """Targets fail a check whose path is not the path of the readiness probe on the same port, or whose port is not the
    one of that probe, and that probe succeeds. Alone that proves nothing; where no cause is proven it is the next thing
    to try: a Network Load Balancer does not tell a wrong path from a closed port.

    Confirm by hand: `curl -i` both paths. Repair: check the readiness path, if that is the cause.
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    failing = traffic.unhealthy(FAILED_HEALTH_CHECKS, TIMEOUT)
    path = group.health_check.path
    if not failing or group.health_check.protocol not in _HTTP:
        return
    port = checked_pod_port(traffic, failing[0])
    ready = [pod for pod in traffic.matching_pods() if pod.containers_ready] if port is not None else []
    probes = {p.path or "/": p for pod in ready if (p := readiness_of(pod, port or 0)) is not None}
    if not probes:
        yield from _on_another_port(traffic, group, failing, port)
    if not probes or path in probes:
        return
    other, probe = sorted(probes.items())[0]
    owner = setting_source(traffic, "healthcheck-path")
    if owner.value == other:
        return  # It is asked for, and the target group does not have it: LBD311, or the controller is at it.
    yield Finding(
        "LBD318",
        owner.ref,
        params={"path": path, "probe": other},
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{group.health_check.protocol} {path}"),
            Evidence(Source.PODS, f"readinessProbe {describe_probe(probe)} succeeds in {len(ready)} of {len(ready)}"),
        ),
        confidence=Confidence.POSSIBLE,
        repairs=owner.offer(other, "the readiness probe succeeds there"),
        advice=owner.instruction,
    )


def _on_another_port(
    traffic: TrafficPath, group: TargetGroup, failing: Iterable[TargetHealth], port: int | None
) -> Iterator[Finding]:
    """The readiness probe asks a port of its own, where the health of the application is served. An Application Load
    Balancer tells the answer, and a port that no container declares is more likely a wrong one."""
    declared = {number for pod in traffic.matching_pods() for number in pod.declared_ports()}
    if traffic.is_alb or port not in declared:
        return
    found = health_port(traffic, failing, port, group.health_check.path)
    if found is None or not found.value or not found.certain:
        return
    yield Finding(
        "LBD318",
        setting_source(traffic, "healthcheck-port").ref,
        params={"path": group.health_check.path, "probe": found.path, "port": str(found.port)},
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{group.health_check.protocol} {group.health_check.path} on port {port}"),
            Evidence(Source.PODS, f"{found.witness}: {found.scheme} {found.path} on port {found.port}"),
        ),
        confidence=Confidence.POSSIBLE,
        repairs=check_there(traffic, group.health_check, found),
        fix="healthcheck-port",
    )
