"""LBD214, LBD215: target-health readiness gates, by which a pod waits for its target to be healthy."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_objects import controller_log, controller_restart
from kubectl_lbdoctor.analysis.desired_targets import INJECT_LABELS, TargetGate, target_gates
from kubectl_lbdoctor.analysis.registration import group_arn, health_from_aws
from kubectl_lbdoctor.analysis.remediation import describe_target_health, kubectl
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.knowledge.controller_identity import GO_FALSE, plain_flag
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, TargetGroupBinding, condition
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_INJECT_FLAG = "enable-pod-readiness-gate-inject"
# The controller looks every 15 s while a target is not healthy; four missed turns are no coincidence.
LAG_SECONDS = 60
# The webhook knows bindings from a cache: a pod that was made with its binding may have come first.
CACHE_SECONDS = 5

_READS = (reads.SERVICES, reads.PODS, reads.BINDINGS, reads.TARGET_GROUPS, reads.TARGET_HEALTH)


@check(
    "LBD214",
    title="pods wait for a target-health readiness gate that nothing opens",
    passes="no pod waits for a target-health readiness gate that nobody opens",
    severity=Severity.ERROR,
    message="{pods:pod} of Service {service} {pods:=waits|wait} for a readiness gate: {why}",
    reads=(*_READS, reads.CONTROLLER),
    explains=("LBD202",),
    distinct_by=("binding",),
)
def gate_stays_closed(traffic: TrafficPath) -> Iterator[Finding]:
    """All containers of a pod are ready, but its target-health readiness gate is not open, so the pod is not Ready and
    a rollout waits for it.

    Either the gate names a TargetGroupBinding that is gone (an Ingress group or a Service was changed while the pods
    were rolled out): nobody will ever open it. Or AWS calls the target healthy and the controller has not said so on
    the pod: it backs off up to 16 m 40 s after errors. A gate that is closed because the target is unhealthy is a
    consequence; the target's own cause is diagnosed instead.

    Confirm by hand: `kubectl get pod NAME -o wide` shows READINESS GATES; compare the gates' names with
    `kubectl get targetgroupbindings`. Repair: recreate the pods, or restart the controller.
    """
    service = traffic.service.need()
    if service is None:
        raise NotApplicable("no Service behind this path")
    closed = [
        (pod, gate)
        for pod in traffic.matching_pods()
        if pod.containers_ready and not pod.is_ready
        for gate in target_gates(pod)
        if not gate.is_open
    ]
    if not closed:
        return
    current = {binding.meta.name for binding in traffic.namespace_facts.bindings.need()}
    stale: dict[tuple[ObjectRef, str], list[tuple[Pod, TargetGate]]] = defaultdict(list)
    for pod, gate in closed:
        if gate.binding not in current:
            stale[(workload_of(pod), gate.binding)].append((pod, gate))
    for (owner, binding_name), members in stale.items():
        yield _stale(traffic, service.meta.name, owner, binding_name, members, current)
    yield from _lagging(traffic, service.meta.name, closed)


def _stale(
    traffic: TrafficPath,
    service: str,
    owner: ObjectRef,
    binding_name: str,
    members: list[tuple[Pod, TargetGate]],
    current: set[str],
) -> Finding:
    """Pods whose gate names a binding that is not among the current ones."""
    names = [pod.meta.name for pod, _ in members]
    why = "it is of a TargetGroupBinding that is gone"
    return Finding(
        "LBD214",
        owner,
        params={
            "pods": len(members),
            "binding": binding_name,
            "service": service,
            "why": why if binding_name else "it is of the controller's first version",
        },
        evidence=(
            *(_evidence(pod, gate) for pod, gate in members[:3]),
            Evidence(Source.BINDINGS, ", ".join(sorted(current)) or "none"),
        ),
        confirm=(kubectl("get", "pod", names[0], "-o", "wide", namespace=traffic.namespace),),
        by_hand=(_made_anew(owner, names, members[0][0] if not binding_name else None, traffic.namespace),),
    )


def _made_anew(owner: ObjectRef, pods: list[str], written: Pod | None, namespace: str) -> str:
    """The command that gives pods without the stale gate. written: a pod whose gate stands in the template of its
    workload: people wrote those of the controller's first version there, and new pods would have it again."""
    if owner.kind not in (kinds.DEPLOYMENT.name, kinds.STATEFUL_SET.name, kinds.DAEMON_SET.name):
        return kubectl("delete", "pod", *pods, namespace=namespace)
    if written is None:
        return kubectl("rollout", "restart", str(owner), namespace=namespace)
    stale = {gate.type for gate in target_gates(written)}
    kept = [{"conditionType": gate} for gate in written.readiness_gates if gate not in stale]
    patch = {"spec": {"template": {"spec": {"readinessGates": kept or None}}}}
    return kubectl("patch", str(owner), "--type=merge", "-p", json.dumps(patch), namespace=namespace)


def _lagging(traffic: TrafficPath, service: str, closed: list[tuple[Pod, TargetGate]]) -> Iterator[Finding]:
    """Pods whose target AWS calls healthy while the controller keeps their gate for this binding closed."""
    binding = traffic.binding.need()
    mine = [(pod, gate) for pod, gate in closed if binding is not None and gate.binding == binding.meta.name]
    old = [(pod, gate) for pod, gate in mine if _closed_for(traffic, pod, gate) > LAG_SECONDS]
    if not old:
        return
    healthy = {target.id for target in health_from_aws(traffic) if target.state == "healthy"}
    lagging = [(pod, gate) for pod, gate in old if healthy & {pod.ip, *pod.ips}]
    if not lagging:
        return
    yield Finding(
        "LBD214",
        workload_of(lagging[0][0]),
        params={
            "pods": len(lagging),
            "binding": "",
            "service": service,
            "why": "the controller leaves it closed",
        },
        evidence=(
            *(_evidence(pod, gate) for pod, gate in lagging[:3]),
            Evidence(Source.TARGET_HEALTH, f"healthy: the targets of {counted(len(lagging), 'pod')}"),
        ),
        # The target may have turned healthy since the controller's last look.
        confidence=Confidence.LIKELY,
        confirm=(
            kubectl("get", "pod", lagging[0][0].meta.name, "-o", "wide", namespace=traffic.namespace),
            describe_target_health(group_arn(traffic), traffic.context.region),
            *controller_log(traffic.cluster),
        ),
        by_hand=controller_restart(traffic.cluster),
        advice="restart the controller, which ends its back-off; its log names what keeps it from the pods",
    )


def _closed_for(traffic: TrafficPath, pod: Pod, gate: TargetGate) -> float:
    """Seconds for which the gate has been all that the pod waits for."""
    since = [c.since for c in (gate.condition, condition(pod.conditions, "ContainersReady")) if c is not None]
    return min((traffic.age(time) for time in since), default=float("inf"))


def _evidence(pod: Pod, gate: TargetGate) -> Evidence:
    if gate.condition is None:
        return Evidence(f"pod {pod.meta.name}", f"gate {gate.type} has no condition")
    told = f"{gate.condition.reason} {gate.condition.message}".strip()
    return Evidence(f"pod {pod.meta.name}", f"gate {gate.type} is {gate.condition.status} {told}".rstrip())


@check(
    "LBD215",
    title="pods have no readiness gate though the namespace asks for it",
    passes="readiness gates are injected where the namespace asks for them",
    severity=Severity.WARNING,
    message="{pods} of {total:pod} of Service {service} {pods:=has|have} no readiness gate, which "
    "the namespace asks for[: {off}]",
    reads=(reads.SERVICES, reads.PODS, reads.BINDINGS, reads.TARGET_GROUPS, reads.NAMESPACES, reads.CONTROLLER),
    distinct_by=("binding",),
)
def gates_not_injected(traffic: TrafficPath) -> Iterator[Finding]:
    """The namespace is labelled for readiness gates, the pods were created after the binding, and yet they carry no
    gate; so a rollout does not wait until new targets are healthy.

    The controller's webhook adds gates when a pod is created, for `ip` targets only. It did not answer at that time
    (its failure policy may let pods pass), the label was set later, or the controller runs with
    `--enable-pod-readiness-gate-inject=false`, which switches it off for all namespaces. Or the namespace has the
    label of the AWS Load Balancer Controller, elbv2.k8s.aws/pod-readiness-gate-inject, where EKS Auto Mode makes the
    targets, which reads eks.amazonaws.com/pod-readiness-gate-inject; or the other way round. Or the label has another
    value than `enabled`, which the webhook's selector does not match, or it is an annotation
    (https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1808).

    A pod gets the gates of the Services that match it when it is made. Argo Rollouts makes the pods of a release first
    and leads its Service to them afterwards, so that they have none, however often they are made again.

    Sources:
    https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/alb/#zero-downtime-updates-with-aws-targetgroup-verification,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/docs/deploy/pod_readiness_gate.md

    Confirm by hand: `kubectl get pods -o wide` shows READINESS GATES. Repair: recreate the pods when the webhook works.
    """
    service, binding = traffic.service.need(), traffic.binding.need()
    if service is None or binding is None or traffic.target_type != "ip":
        raise NotApplicable("readiness gates are for ip targets of a Service")
    label = INJECT_LABELS[binding.group]
    if (said := _value_that_is_not_read(traffic, binding)) is not None:
        yield _asked_wrongly(traffic, binding, f"label {label}={said}, not enabled")
        return
    if _is_annotated(traffic, binding):
        yield _asked_wrongly(traffic, binding, f"annotation {label}, and no such label")
        return
    without = [
        pod
        for pod in traffic.matching_pods()
        if all(gate.binding != binding.meta.name for gate in target_gates(pod))
        and _younger(pod.meta.created, binding.meta.created)
    ]
    if not without:
        return
    namespace = traffic.namespace_facts.namespace.need()
    asked = [label for label in INJECT_LABELS.values() if namespace and namespace.meta.labels.get(label) == "enabled"]
    if not asked:
        return
    if label not in asked:
        yield _asked_wrongly(traffic, binding, f"label {asked[0]}=enabled, not {label}")
        return
    owner = workload_of(without[0])
    controllers = () if binding.group else traffic.cluster.controllers.peek() or ()
    off = next((w for w in controllers if plain_flag(w, _INJECT_FLAG) in GO_FALSE), None)
    late = off is None and _ROLLOUTS_HASH in service.selector
    yield Finding(
        "LBD215",
        owner if off is None else ObjectRef("Deployment", off.meta.namespace, off.meta.name),
        params={
            "pods": len(without),
            "total": len(traffic.matching_pods()),
            "service": service.meta.name,
            "binding": binding.meta.name,
            "off": "injection is off" if off is not None else "it matched late" if late else "",
        },
        evidence=(
            *((Evidence(str(traffic.service_ref), f"selector {_ROLLOUTS_HASH}, of Argo Rollouts"),) if late else ()),
            *((Evidence(f"deployment {off.meta.key}", f"--{_INJECT_FLAG}=false"),) if off is not None else ()),
            Evidence(f"namespace {traffic.namespace}", f"label {label}=enabled"),
            *(
                Evidence(f"pod {pod.meta.name}", f"created {pod.meta.created}, binding {binding.meta.created}")
                for pod in without[:3]
            ),
        ),
        confidence=Confidence.LIKELY,
        confirm=(kubectl("get", "pods", "-o", "wide", namespace=traffic.namespace),),
        by_hand=(kubectl("rollout", "restart", str(owner), namespace=traffic.namespace),)
        if owner.kind in ("Deployment", "StatefulSet", "DaemonSet") and not late
        else (),
        advice=_VERIFY
        if late
        else "create the pods again: gates are injected into new pods only"
        if off is None
        else f"remove --{_INJECT_FLAG}=false from the controller, then create the pods again",
    )


_ROLLOUTS_HASH = "rollouts-pod-template-hash"
_VERIFY = (
    "let the controller of Argo Rollouts wait for the targets (--aws-verify-target-group), or give the canary pingPong "
    "services, whose selectors stay with their pods"
)

_MEANT = ("1", "active", "enable", "enabled", "inject", "on", "true", "yes")
"""What people write, in any case, where the webhook's selector asks for `enabled` in these letters."""


def _value_that_is_not_read(traffic: TrafficPath, binding: TargetGroupBinding) -> str | None:
    """The value of the namespace's label for gates where it means them and asks nobody; the pods' age is no matter."""
    namespace = traffic.namespace_facts.namespace.peek()
    said = namespace.meta.labels.get(INJECT_LABELS[binding.group]) if namespace is not None else None
    meant = said is not None and said != "enabled" and said.lower() in _MEANT
    return said if meant and _has_no_gates(traffic, binding) else None


def _is_annotated(traffic: TrafficPath, binding: TargetGroupBinding) -> bool:
    """Whether the namespace asks for gates by an annotation, which nobody reads."""
    namespace, label = traffic.namespace_facts.namespace.peek(), INJECT_LABELS[binding.group]
    meta = namespace.meta if namespace is not None else None
    meant = meta is not None and meta.annotations.get(label, "").lower() in _MEANT and label not in meta.labels
    return meant and _has_no_gates(traffic, binding)


def _has_no_gates(traffic: TrafficPath, binding: TargetGroupBinding) -> bool:
    pods = traffic.matching_pods()
    return bool(pods) and not any(gate.binding == binding.meta.name for pod in pods for gate in target_gates(pod))


def _asked_wrongly(traffic: TrafficPath, binding: TargetGroupBinding, label: str) -> Finding:
    """The namespace has the label by which another controller is asked for gates, or a value that asks for none."""
    wanted = INJECT_LABELS[binding.group]
    pods = traffic.matching_pods()
    maker = "EKS Auto Mode" if binding.group else "the controller"
    return Finding(
        "LBD215",
        ObjectRef("Namespace", "", traffic.namespace),
        params={
            "pods": len(pods),
            "total": len(pods),
            "service": binding.service,
            "binding": binding.meta.name,
            "off": "by a wrong label",
        },
        evidence=(
            Evidence(f"namespace {traffic.namespace}", label),
            Evidence(str(binding.ref), f"made by {maker}"),
        ),
        confirm=(kubectl("get", "namespace", traffic.namespace, "--show-labels"),),
        by_hand=(kubectl("label", "namespace", traffic.namespace, f"{wanted}=enabled", "--overwrite"),),
        advice="label the namespace, then create the pods again: gates are injected into new pods only",
    )


def _younger(pod: str, binding: str) -> bool:
    first, second = parse_time(binding), parse_time(pod)
    return first is not None and second is not None and (second - first).total_seconds() > CACHE_SECONDS
