"""LBD113 to LBD115: do TargetGroupBindings name a target group, a Service and a port that exist, and each its own?"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_complaints import known_complaints, standing_complaints
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import describe_target_group, kubectl
from kubectl_lbdoctor.analysis.similar_names import nearest
from kubectl_lbdoctor.analysis.told_healthy import wanted_targets
from kubectl_lbdoctor.checks.complaints import READS
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.fact import NotApplicable, ReadState
from kubectl_lbdoctor.model.finding import Evidence, Finding, Param, Severity, Source
from kubectl_lbdoctor.model.k8s import TargetGroupBinding
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_TARGET_READS = (reads.ENDPOINT_SLICES, reads.PODS, reads.NODES, reads.TARGET_GROUPS, reads.TARGET_HEALTH)


@check(
    "LBD113",
    title="the bound target group does not exist",
    passes="the bound target group exists",
    severity=Severity.ERROR,
    message="TargetGroupBinding {binding} points to target group {group}, which does not exist",
    reads=(*READS, *GATEWAY_READS, "elbv2:DescribeTargetGroups"),
    explains=("LBD109", "LBD205", "LBD217"),
)
def target_group_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group that a TargetGroupBinding names was deleted. What another account or region holds is unknown.

    Such a binding also stops the controller from removing security group rules in the whole cluster. One that the
    controller made names the deleted group for ever, and keeps its name from a binding of the new one.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/3493

    Confirm by hand: `aws elbv2 describe-target-groups --target-group-arns ARN`. Repair: delete a binding of the
    controller itself, and change an annotation of the Ingress, the Service or the Gateway, so that target group and
    binding are made again. In place of one that a person made comes one that names an existing target group: its
    targetGroupARN cannot be changed.
    """
    binding = traffic.binding.need()
    if binding is None or not binding.target_group_arn or traffic.target_group.need() is not None:
        return
    ref = binding.ref
    yield Finding(
        "LBD113",
        ref,
        params={"binding": binding.meta.name, "group": target_group_name(binding.target_group_arn)},
        evidence=(
            Evidence(str(ref), f"targetGroupARN {binding.target_group_arn}"),
            *(e.evidence for e in known_complaints(traffic) if e.decoded.code == "LBD113"),
        ),
        confirm=(describe_target_group(binding.target_group_arn, traffic.context.region),),
        by_hand=(
            " && ".join((kubectl("delete", kubectl_name(ref), namespace=traffic.namespace), *looked_at_again(traffic))),
        )
        if binding.is_generated
        else (),
        advice=""
        if binding.is_generated
        else "make a binding in its place that names an existing target group: targetGroupARN cannot be changed",
    )


@check(
    "LBD114",
    title="several TargetGroupBindings share one target group",
    passes="one TargetGroupBinding per target group",
    severity=Severity.ERROR,
    message="several TargetGroupBindings fill {group}: {bindings:,2}",
    reads=(*READS, reads.ALL_BINDINGS, *_TARGET_READS),
    explains=("LBD109", "LBD205", "LBD206", "LBD217"),
    distinct_by=("group",),
)
def bound_twice(traffic: TrafficPath) -> Iterator[Finding]:
    """Two bindings on one target group register and deregister each other's targets, unless both are multi-cluster;
    also where they stand in different namespaces.

    Confirm by hand: `kubectl get targetgroupbindings -A -o wide`. Repair: keep the binding that is meant and delete
    the others.
    """
    binding = traffic.binding.need()
    if binding is None:
        return
    read = (traffic.cluster.all_bindings, *(space.bindings for space in traffic.snapshot.namespaces.values()))
    everywhere = (*traffic.namespace_facts.bindings.need(), *(b for part in read for b in part.peek() or ()))
    each = {(b.meta.key, b.group): b for b in everywhere}
    same = [b for b in each.values() if b.target_group_arn == binding.target_group_arn]
    if len(same) > 1 and not all(b.multi_cluster for b in same):
        names = tuple(sorted(f"{b.meta.key} ({b.group})" if b.group else b.meta.key for b in same))
        yield Finding(
            "LBD114",
            min(b.ref for b in same),
            params={"group": target_group_name(binding.target_group_arn), "bindings": names},
            confirm=(_listing(same, traffic.namespace),),
            advice="keep the binding that is meant and delete the others: each deregisters the others' targets",
        )
        return
    for entry in standing_complaints(traffic):
        if entry.decoded.code == "LBD114":
            bindings = entry.param("bindings") or "another one"
            group = entry.param("target_group") or binding.target_group_arn
            yield Finding("LBD114", entry.ref, {"group": group, "bindings": bindings}, (entry.evidence,))
            return
    elsewhere = traffic.cluster.all_bindings
    if elsewhere.state in (ReadState.DENIED, ReadState.FAILED) and _is_filled_otherwise(traffic, binding):
        elsewhere.need()


def _is_filled_otherwise(traffic: TrafficPath, binding: TargetGroupBinding) -> bool:
    """Whether other targets are registered than the binding asks for, as where a second one fills the group."""
    wanted = {target.key for target in wanted_targets(traffic, binding)}
    registered = {t.key for t in traffic.targets() if t.state != "draining" and t.key not in traffic.foreign}
    return bool(wanted) and registered != wanted


def _listing(bindings: list[TargetGroupBinding], namespace: str) -> str:
    if {b.meta.namespace for b in bindings} == {namespace}:
        return kubectl("get", *sorted(kubectl_name(b.ref) for b in bindings), namespace=namespace)
    kinds = sorted({kubectl_name(b.ref).partition("/")[0] for b in bindings})
    return kubectl("get", ",".join(kinds), "-A", "-o", "wide")


@check(
    "LBD115",
    title="the TargetGroupBinding's Service or port does not exist",
    passes="the TargetGroupBinding's Service and port exist",
    severity=Severity.ERROR,
    message="TargetGroupBinding {binding} refers to [port {port} of ]Service {service}, which "
    "{fault:missing=does not exist|*=has {ports:=port|ports} {ports:?none}}[; did you mean "
    '"{nearest}"?]',
    reads=(reads.BINDINGS, reads.SERVICES, reads.TARGET_HEALTH),
    explains=("LBD109", "LBD217", "LBD205", "LBD206"),
)
def binding_reference_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A TargetGroupBinding names a Service, or a port of it, that does not exist (any more). The controller then
    deregisters all of its targets (event BackendNotFound), with `ip` targets when an endpoint next changes: until then
    they serve, and this is a warning.

    Confirm by hand: `kubectl get targetgroupbinding NAME -o yaml`. Repair: restore the Service or port, or correct the
    binding; a binding made by the controller follows its Ingress or Service.
    """
    binding = traffic.binding.need()
    if binding is None:
        raise NotApplicable("no TargetGroupBinding")
    service = traffic.service.need()
    if service is not None and service.find_port(binding.port) is not None:
        return
    if service is None:
        names = [s.meta.name for s in traffic.namespace_facts.services.need()]
        missing: dict[str, Param] = {"fault": "missing", "port": "", "nearest": nearest(binding.service, names)}
    else:
        ports = tuple(f"{p.port}{f' ({p.name})' if p.name else ''}" for p in service.ports)
        missing = {"fault": "other ports", "port": binding.port, "ports": ports}
    serving = [t.key for t in traffic.target_health.peek() or () if t.state == "healthy"]
    evidence = [Evidence(f"targetgroupbinding/{binding.meta.name}", f"serviceRef {binding.service}:{binding.port}")]
    if serving:
        evidence.append(
            Evidence(Source.TARGET_HEALTH, f"{', '.join(serving[:5])} healthy until the controller takes them out")
        )
    yield Finding(
        "LBD115",
        binding.ref,
        params={"binding": binding.meta.name, "service": binding.service, "ports": (), **missing},
        evidence=tuple(evidence),
        confirm=(kubectl("get", "service", namespace=traffic.namespace),),
        advice="create what the binding names, or correct its spec.serviceRef",
        severity=Severity.WARNING if serving else None,
    )
