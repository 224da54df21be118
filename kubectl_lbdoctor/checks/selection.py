"""LBD2xx: from the Service to registered targets."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.alb_answers import paths_behind
from kubectl_lbdoctor.analysis.controller_objects import controller_log
from kubectl_lbdoctor.analysis.desired_targets import GATE_PREFIXES, waits_for_gate
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.meshes import application_ports
from kubectl_lbdoctor.analysis.node_targets import describe_exclusion, eligible_nodes
from kubectl_lbdoctor.analysis.other_workloads import is_another_application, is_job
from kubectl_lbdoctor.analysis.pod_makers import describe_end, finished_pods, left_to_themselves, pod_makers
from kubectl_lbdoctor.analysis.pod_problems import problems
from kubectl_lbdoctor.analysis.recent_edits import last_edit
from kubectl_lbdoctor.analysis.registration import REGISTRATION_SECONDS, require_due
from kubectl_lbdoctor.analysis.remediation import describe_target_health, edit, kubectl, patch, register_targets
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Pod, Service, ServicePort, condition
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


def _service(traffic: TrafficPath) -> Service:
    """The backend's Service, where there is one with a selector."""
    service = traffic.service.need()
    if service is None:
        raise NotApplicable("no Service behind this path")
    if service.type == "ExternalName":
        raise NotApplicable("an ExternalName Service has no pods")
    if not service.selector:
        raise NotApplicable("the Service has no selector")
    return service


@record
class _Candidate:
    """Labels that pods carry, and whose pods these are: those of a workload, or pods without one that carry the same of
    what the selector asks for."""

    owners: tuple[ObjectRef, ...]
    labels: Mapping[str, str]
    pods: int
    score: float

    @property
    def is_bare(self) -> bool:
        """Whether the pods have no workload, and so are named themselves."""
        return self.owners[0].kind == "Pod"

    @property
    def words(self) -> str:
        """The pods, as a sentence names them."""
        names = listed([str(owner) for owner in self.owners], 2)
        return names if self.is_bare else f"{counted(self.pods, 'pod')} of {names}"


def _candidates(traffic: TrafficPath, service: Service) -> list[_Candidate]:
    """Who else in the namespace may have been meant by the selector, best first.

    Scored per selector label: the same key with a similar value counts most, the same value under another key less; a
    workload that carries the Service's name counts a little, so that "web" is preferred for Service "web".
    """
    grouped: dict[Hashable, list[tuple[ObjectRef, Pod]]] = defaultdict(list)
    for pod in index.all_pods(traffic.snapshot, traffic.namespace):
        if not pod.is_finished and not pod.meta.deleted:
            owner = workload_of(pod)
            whose = _asked_for(service, pod.meta.labels) if owner.kind == "Pod" else owner
            grouped[whose].append((owner, pod))
    found = []
    for pods in grouped.values():
        owners = tuple(dict.fromkeys(sorted(owner for owner, _ in pods)))
        labels = pods[0][1].meta.labels
        if len(owners) > 1:
            labels = {k: v for k, v in labels.items() if all(pod.meta.labels.get(k) == v for _, pod in pods)}
        score = 0.0
        for key, value in service.selector.items():
            if key in labels:
                score += 1 + 2 * difflib.SequenceMatcher(None, labels[key], value).ratio()
            elif value in labels.values():
                score += 1.5
        if any(owner.name == service.meta.name for owner in owners):
            score += 1
        if score >= 1:
            found.append(_Candidate(owners, labels, len(pods), score))
    return sorted(found, key=lambda c: (-c.score, c.owners))


def _asked_for(service: Service, labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """What of a pod's labels a selector for it would be made of."""
    wanted = {*service.selector.values()}
    return frozenset((k, v) for k, v in labels.items() if k in service.selector or v in wanted)


@check(
    "LBD201",
    title="the Service's selector matches no pod",
    passes="the Service's selector matches pods",
    severity=Severity.ERROR,
    message="the selector of Service {service} ({selector}) matches no pod[; "
    "{whose:pods={nearest:,2} {nearest:=has|have}|*=the pods of {nearest} have} {nearest_labels}]",
    reads=(reads.SERVICES, reads.PODS, reads.WORKLOADS),
    explains=("LBD202", "LBD217", "LBD205"),
    fix="selector",
)
def selector_matches_nothing(traffic: TrafficPath) -> Iterator[Finding]:
    """No pod carries all labels of the Service's selector, so the Service has no endpoints and the load balancer no
    targets.

    Confirm by hand: `kubectl get pods -l SELECTOR` prints nothing; `kubectl get pods --show-labels` shows what the
    pods carry. Repair: correct the Service's selector, or the labels of the pod template.
    """
    service = _service(traffic)
    if any(
        not pod.is_finished for pod in index.pods_with_labels(traffic.snapshot, traffic.namespace, service.selector)
    ):
        return
    if left_to_themselves(traffic):
        return  # The pods were there, and have ended: LBD202 says how.
    try:
        if pod_makers(traffic):
            return  # The workload exists and has no pods: LBD401, LBD406 or LBD412 says why.
        confidence = Confidence.CERTAIN
    except Unknown:
        confidence = Confidence.LIKELY
    ref = ObjectRef("Service", traffic.namespace, service.meta.name)
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    meant = _meant(traffic, service, ref)
    yield Finding(
        "LBD201",
        ref,
        params={
            "service": service.meta.name,
            "selector": selector,
            "whose": meant.whose,
            "nearest": meant.nearest,
            "nearest_labels": meant.labels,
        },
        evidence=(
            Evidence(f"service/{service.meta.name}", f"selector {selector}"),
            *meant.evidence,
            *(Evidence(f"pod {p.meta.name}", f"has ended: {describe_end(p)}") for p in finished_pods(traffic)[:2]),
        ),
        confidence=confidence,
        confirm=(kubectl("get", "pods", "-l", selector, namespace=traffic.namespace),),
        repairs=meant.repairs,
        fix_automatic=meant.is_clear,
        advice="" if meant.repairs else "give the pods these labels, or the Service the labels of its pods",
    )


@record
class _Meant:
    """Whom the selector may have meant. nearest: the most similar workload, or pods without one, as `whose` says
    ("workload", "pods"); none where nothing is similar. labels: what the pods have in place of the labels that do not
    match. is_clear: nobody else comes near, and a selector fits."""

    evidence: tuple[Evidence, ...]
    whose: str = ""
    nearest: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    is_clear: bool = False


def _meant(traffic: TrafficPath, service: Service, ref: ObjectRef) -> _Meant:
    candidates = _candidates(traffic, service)
    if not candidates:
        text = f"{counted(len(index.all_pods(traffic.snapshot, traffic.namespace)), 'pod')}, none similar"
        return _Meant((Evidence(f"pods in {traffic.namespace}", text),))
    best = candidates[0]
    differing = [k for k, v in sorted(service.selector.items()) if best.labels.get(k) != v]
    near = [c for c in candidates if best.score - c.score < 1]
    return _Meant(
        tuple(_carried(c) for c in near[:3]),
        "pods" if best.is_bare else "workload",
        tuple(str(owner) for owner in best.owners),
        tuple(f"{k}={best.labels[k]}" if k in best.labels else f"no {k}" for k in differing),
        _repairs(ref, service, near[:3]),
        len(near) == 1 and bool(_repaired_selector(service, best)),
    )


def _carried(candidate: _Candidate) -> Evidence:
    labels = ",".join(f"{k}={v}" for k, v in sorted(candidate.labels.items()) if k != "pod-template-hash")
    first = str(candidate.owners[0])
    if not candidate.is_bare:
        return Evidence(first, f"{counted(candidate.pods, 'pod')} with labels {labels}")
    others = candidate.pods - 1
    return Evidence(first, f"labels {labels}" + (f", as on {counted(others, 'more pod')}" if others else ""))


def _repairs(ref: ObjectRef, service: Service, candidates: Sequence[_Candidate]) -> tuple[Repair, ...]:
    """The selector of each candidate's pods, each once; chosen among several by the labels, as `kubectl get -l` takes
    them."""
    carried: dict[str, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        wanted = _repaired_selector(service, candidate)
        if wanted:
            carried[",".join(f"{k}={v}" for k, v in sorted(wanted.items()))].append(candidate)
    return tuple(_repair(ref, service, value, by) for value, by in carried.items())


def _repair(ref: ObjectRef, service: Service, value: str, by: Sequence[_Candidate]) -> Repair:
    wanted = _repaired_selector(service, by[0])
    change = patch(ref, "spec.selector", edit("/spec/selector", dict(service.selector), wanted))
    carry = "carries" if sum(candidate.pods for candidate in by) == 1 else "carry"
    return Repair(value, (change,)).with_reason(f"{' and '.join(c.words for c in by)} {carry} these labels")


def _repaired_selector(service: Service, candidate: _Candidate) -> dict[str, str]:
    """The selector with each label that differs taken from the candidate; {} when a label has no counterpart there."""
    repaired: dict[str, str] = {}
    for key, value in service.selector.items():
        if key in candidate.labels:
            repaired[key] = candidate.labels[key]
        else:
            other = next((k for k, v in sorted(candidate.labels.items()) if v == value), "")
            if not other:
                return {}
            repaired[other] = value
    return repaired


@check(
    "LBD202",
    title="no matching pod is ready",
    passes="at least one matching pod is ready",
    severity=Severity.ERROR,
    message="{count:pod} {count:=matches|match} Service {service} and none is ready"
    "[: readiness gate {gate} is not open][: {count:=it has|they have} ended ({ended})]",
    reads=(reads.SERVICES, reads.PODS, reads.EVENTS, reads.NODES, reads.ENDPOINT_SLICES, reads.WORKLOADS),
    explains=("LBD217",),
)
def no_pod_ready(traffic: TrafficPath) -> Iterator[Finding]:
    """Pods match the Service's selector, but none is ready, so there is no ready endpoint to register.

    What keeps each pod from being ready is found by LBD401 to LBD410; this code stands alone only when none of them
    fits. Confirm by hand: `kubectl get pods -l SELECTOR` and `kubectl describe pod NAME`.

    Pods that no workload makes are not made anew once they have ended, as where the kubelet evicts them.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-lifetime

    Repair: correct what the states of the pods name.
    """
    service = _service(traffic)
    pods = traffic.matching_pods()
    if not pods:
        yield from _ended(traffic, service)
    if not pods or any(pod.is_ready or waits_for_gate(pod) for pod in pods):
        return  # A pod that only waits for its target-health gate is registered: what its target lacks is the cause.
    if service.publish_not_ready or any(endpoint.ready for endpoint in traffic.endpoints()):
        return
    why = problems(traffic)
    if why and all(problem.is_starting or problem.is_given_time for _, problem in why):
        return  # All of them were started a moment ago (LBD408), or have time left to start (LBD404).
    gates = closed_gates(pods)
    reason = [
        Evidence(
            f"pod {pod.meta.name}",
            f"phase {pod.phase}, Ready={ready.status if ready else 'absent'}"
            + (f", containers ready, {', '.join(f'{g}={_said(pod, g)}' for g in gates)}" if gates else ""),
        )
        for pod in pods[:3]
        for ready in [condition(pod.conditions, "Ready")]
    ]
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    yield Finding(
        "LBD202",
        ObjectRef("Service", traffic.namespace, service.meta.name),
        params={"service": service.meta.name, "count": len(pods), "gate": gates[0] if gates else ""},
        evidence=tuple(reason),
        confirm=(kubectl("get", "pods", "-l", selector, "-o", "wide", namespace=traffic.namespace),),
        advice="whoever asks for this gate has to open it, by the condition of that name in the status of each pod: "
        "see that its controller runs, or take the gate out of the pod template"
        if gates
        else "",
    )


def _ended(traffic: TrafficPath, service: Service) -> Iterator[Finding]:
    """All pods that match have ended, and nobody makes new ones."""
    pods = left_to_themselves(traffic)
    if not pods or (traffic.namespace_facts.workloads.is_known and pod_makers(traffic)):
        return
    yield Finding(
        "LBD202",
        ObjectRef("Service", traffic.namespace, service.meta.name),
        params={
            "service": service.meta.name,
            "count": len(pods),
            "ended": tuple(sorted({pod.reason or pod.phase for pod in pods})),
        },
        evidence=tuple(Evidence(f"pod {pod.meta.name}", describe_end(pod)) for pod in pods[:3]),
        confirm=(kubectl("describe", "pod", pods[0].meta.name, namespace=traffic.namespace),),
        advice="make the pods anew, best by a Deployment: it replaces pods that end, which nobody does with these",
    )


def closed_gates(pods: tuple[Pod, ...]) -> tuple[str, ...]:
    """The readiness gates that alone keep all of these pods from being ready; those of target health have a code of
    their own. () where containers are not ready either."""
    if not all(pod.containers_ready for pod in pods):
        return ()
    shut = [{g for g in pod.readiness_gates if _said(pod, g) != "True"} - _of_targets(pod) for pod in pods]
    return tuple(sorted(set.intersection(*shut)))


def _of_targets(pod: Pod) -> set[str]:
    return {gate for gate in pod.readiness_gates if gate.startswith(tuple(GATE_PREFIXES.values()))}


def _said(pod: Pod, gate: str) -> str:
    found = condition(pod.conditions, gate)
    return found.status if found is not None else "absent"


@check(
    "LBD203",
    title="matching pods do not declare the named targetPort",
    passes="a named targetPort is declared by every matching pod",
    severity=Severity.ERROR,
    message='Service {service} sends port {port} to the port named "{name}", which {pods:=its pod '
    "does|{without} of {pods} pods do} not declare",
    reads=(reads.SERVICES, reads.PODS),
    explains=("LBD202", "LBD205", "LBD217"),
    fix="targetport",
    distinct_by=("port",),
)
def named_target_port_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service's targetPort is a name that some or all matching pods do not declare; those pods are no endpoints.

    Native side-cars (init containers with restartPolicy Always) count; other init containers do not. A port of this
    name counts only with the protocol of the Service port. Where ready pods have the port, pods of Jobs, of another
    application and those that are not ready are not missed.

    Confirm by hand: `kubectl get pods -l SELECTOR -o jsonpath='{..ports}'`. Repair: name the container port, or use
    its number as targetPort.
    """
    service, port = _service(traffic), traffic.service_port.need()
    if port is None or port.target.isdigit():
        return
    pods = traffic.matching_pods()
    without = _missing_the_port(pods, port)
    if not without:
        return
    declared = sorted(
        {
            f"{p.name or 'unnamed'} {p.port}"
            for pod in without
            for c in pod.serving_containers()
            for p in c.ports
            if p.protocol == port.protocol
        }
    )
    # A name is looked up among the ports of the Service port's protocol alone.
    others = sorted(
        {
            f"{p.name} {p.port}/{p.protocol}"
            for pod in without
            for c in pod.serving_containers()
            for p in c.ports
            if p.name == port.target and p.protocol != port.protocol
        }
    )
    index = service.ports.index(port)
    numbers = sorted({n for pod in without for n in application_ports(pod, port.protocol)})
    ref = ObjectRef("Service", traffic.namespace, service.meta.name)
    yield Finding(
        "LBD203",
        workload_of(without[0]) if others else ref,
        params={
            "service": service.meta.name,
            "port": str(port.port),
            "name": port.target,
            "without": len(without),
            "pods": len(pods),
            "declared": tuple(declared),
        },
        evidence=tuple(
            Evidence(f"pod {pod.meta.name}", f"declares {', '.join([*declared, *others]) or 'no port'}")
            for pod in without[:3]
        ),
        confirm=(kubectl("get", "pod", without[0].meta.name, "-o", "yaml", namespace=traffic.namespace),),
        repairs=tuple(
            target_port_repair(ref, service, index, number).with_reason(f"pods declare {', '.join(declared)}")
            for number in numbers[:3]
        ),
        fix_automatic=len(numbers) == 1 and len(without) == len(pods),
        advice=f"declare it with protocol {port.protocol} in the pod template: the pods have this name for another "
        "protocol, which the Service port does not find"
        if others
        else "",
    )


def _missing_the_port(pods: tuple[Pod, ...], port: ServicePort) -> list[Pod]:
    """The pods without the named port that ought to have it. Beside ready pods that do, those of Jobs, of another
    application (see LBD221) and those that are not ready would get no traffic anyway."""
    without = [pod for pod in pods if pod.named_port(port.target, port.protocol) is None]
    serving = [pod for pod in pods if pod.containers_ready and pod not in without]
    if not serving:
        return without
    ready = [pod for pod in without if pod.containers_ready and not is_job(pod)]
    own = {workload_of(pod) for pod in serving}
    return [pod for pod in ready if workload_of(pod) in own or not is_another_application(serving, (pod,))]


def target_port_repair(ref: ObjectRef, service: Service, index: int, then: int) -> Repair:
    """Another number as targetPort of one of the Service's ports."""
    port = service.ports[index]
    now = int(port.target) if port.target.isdigit() else port.target
    change = patch(ref, f"spec.ports[port={port.port}].targetPort", edit(f"/spec/ports/{index}/targetPort", now, then))
    guard = edit(f"/spec/ports/{index}/port", port.port, port.port)
    change = replace(change, edits=(guard, *change.edits))
    return Repair(str(then), (change,), accepts_any_value=True).with_reason(
        "", "endpoints, and with them targets, are registered anew"
    )


def _freshest(traffic: TrafficPath) -> float:
    """Seconds since the newest pod of this Service became ready (infinite when no pod says)."""
    ages = [float("inf")]
    for pod in traffic.matching_pods():
        ready = condition(pod.conditions, "Ready")
        if ready is not None and ready.status == "True":
            ages.append(traffic.age(ready.since))
    return min(ages)


@check(
    "LBD217",
    title="the target group is empty though endpoints are ready",
    passes="ready endpoints are registered as targets",
    severity=Severity.ERROR,
    message="target group {group} is empty though {expected:{target_type:alb=load balancer|instance=node|"
    "*=ready endpoint}} should be registered",
    reads=(
        *(reads.INGRESSES, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, reads.LISTENERS, reads.RULES),
        reads.CONTROLLER,
        reads.SERVICES,
        reads.PODS,
        reads.NODES,
        reads.ENDPOINT_SLICES,
        reads.BINDINGS,
        reads.TARGET_GROUPS,
        reads.TARGET_HEALTH,
    ),
    by_absence=(reads.TARGET_HEALTH,),
)
def target_group_empty(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service has ready endpoints (or, with instance targets, the cluster has eligible nodes), but the target group
    holds no target at all.

    Before the load balancer of an Ingress, the target that is missing is this load balancer itself: where AWS refuses
    it as a target, the controller tries again every 15 seconds, and says so nowhere.

    The controller registers targets within seconds. An empty group with ready endpoints means that it does not run,
    that AWS denies it elasticloadbalancing:RegisterTargets, or that targets were deregistered by hand, which it notices
    after hours only (see LBD205).

    Confirm by hand: compare `kubectl get endpointslices -l kubernetes.io/service-name=NAME` with `aws elbv2
    describe-target-health`. Repair: correct what keeps the controller from registering, which its log names; register
    what was deregistered by hand again.
    """
    group = traffic.target_group.need()
    if group is None or traffic.targets():
        return
    if is_before_ingress(traffic):
        yield from _load_balancer_not_registered(traffic, group)
        return
    if traffic.service.need() is None:
        raise NotApplicable("no Service behind this target group")
    if (binding := traffic.binding.peek()) is not None:
        require_due(traffic, binding)
    if group.target_type == "instance":
        nodes, left = eligible_nodes(traffic)
        port = traffic.service_port.need()
        expected = [node.meta.name for node in nodes]
        keys = [f"{node.instance_id}:{port.node_port}" for node in nodes] if port is not None and port.node_port else []
        young = False
        extra = [
            Evidence(f"node {name}", f"left out: {describe_exclusion(exclusion)}") for name, exclusion in left.items()
        ]
    else:
        endpoints = [e for e in traffic.ready_endpoints() if e.pod]
        expected = keys = [e.key for e in endpoints]
        young = _freshest(traffic) < REGISTRATION_SECONDS
        extra = []
    if not expected or young:
        return
    yield Finding(
        "LBD217",
        ObjectRef("TargetGroup", "", group.name),
        params={"group": group.name, "expected": len(expected), "target_type": group.target_type},
        evidence=(
            Evidence(reads.TARGET_HEALTH, "no target is registered"),
            Evidence(Source.EXPECTED, ", ".join(expected[:6])),
            *extra,
        ),
        confirm=(describe_target_health(group.arn, traffic.context.region), *controller_log(traffic.cluster)),
        by_hand=(register_targets(group.arn, keys, traffic.context.region),) if keys else (),
        advice="correct what keeps the controller from registering, which its log names; what somebody deregistered by "
        "hand it notices after hours: register it again",
    )


def _load_balancer_not_registered(traffic: TrafficPath, group: TargetGroup) -> Iterator[Finding]:
    """https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/deploy/elbv2/frontend_nlb_target_synthesizer.go"""
    behind = next((lb for path in paths_behind(traffic) if (lb := path.load_balancer.need()) is not None), None)
    if behind is None or last_edit(traffic) < REGISTRATION_SECONDS:
        return
    key = f"{behind.arn}:{group.port}"
    yield Finding(
        "LBD217",
        ObjectRef("TargetGroup", "", group.name),
        params={"group": group.name, "expected": 1, "target_type": group.target_type},
        evidence=(
            Evidence(reads.TARGET_HEALTH, "no target is registered"),
            Evidence(Source.EXPECTED, f"{behind.name}, the load balancer of {traffic.subject}"),
        ),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        by_hand=(register_targets(group.arn, [key], traffic.context.region),),
        advice="register the load balancer again, on a port of one of its listeners; AWS says what it refuses of it",
    )


@check(
    "LBD218",
    title="targets wait for registration or their first checks",
    passes="no target waits for its first checks",
    severity=Severity.INFO,
    message="{count} of {total:target} of {group} {count:=waits|wait} for registration or first "
    "checks (usually within {seconds} s)",
    reads=(reads.BINDINGS, reads.SERVICES, reads.LOAD_BALANCERS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
)
def targets_initial(traffic: TrafficPath) -> Iterator[Finding]:
    """Targets are in state `initial`: being registered, or not yet checked often enough. Wait before judging.

    A new target of an Application Load Balancer needs one check that passes, whatever the healthy threshold is; one of
    a Network Load Balancer that threshold times the interval. Registration comes before that, and may take a Network
    Load Balancer minutes more.

    Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html ("must
    pass one health check to be considered healthy"),
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html.

    Repair: wait; this is over after registration and the first checks.
    """
    group = traffic.target_group.need()
    if group is None:
        return
    waiting = [t for t in traffic.targets() if t.state == "initial"]
    if not waiting:
        return
    check_settings = group.health_check
    reasons: dict[str, int] = defaultdict(int)
    for target in waiting:
        reasons[target.reason] += 1
    yield Finding(
        "LBD218",
        ObjectRef("TargetGroup", "", group.name),
        params={
            "count": len(waiting),
            "total": len(traffic.targets()),
            "group": group.name,
            "seconds": (1 if traffic.is_alb else check_settings.healthy_threshold) * check_settings.interval,
        },
        evidence=tuple(
            Evidence(Source.TARGET_HEALTH, f"{counted(n, 'target')}: {reason}") for reason, n in reasons.items()
        ),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
    )
