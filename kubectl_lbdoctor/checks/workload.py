"""LBD4xx: why pods that should be targets are not ready.

Each pod is given exactly one problem, by the most basic thing that is wrong with it, so that two pods with different
problems give two root causes and one pod never gives two.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from kubectl_lbdoctor.analysis.controller_present import lost_nodes
from kubectl_lbdoctor.analysis.other_workloads import guests
from kubectl_lbdoctor.analysis.pod_makers import (
    PodMaker,
    awaited_ends,
    describe_end,
    finished_pods,
    fits_no_node,
    pod_makers,
    unmade,
)
from kubectl_lbdoctor.analysis.pod_problems import (
    POST_START,
    STARTING_SECONDS,
    PodProblem,
    describe_node,
    has_served,
    problems,
)
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.workloads import HELD_BY, workload_of
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.knowledge.spoken_errors import shortened
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Pod, Workload
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_READS = (
    *(reads.SERVICES, reads.PODS, reads.EVENTS, reads.NODES, reads.WORKLOADS),
    *(reads.BINDINGS, reads.ENDPOINT_SLICES, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
)
_SYMPTOMS = ("LBD202", "LBD217", "LBD408")


def _findings(traffic: TrafficPath, code: str) -> Iterator[Finding]:
    """One finding for all pods of one workload with the same problem."""
    if traffic.backend is None or not traffic.backend.service:
        raise NotApplicable("no Service behind this path")
    grouped: dict[tuple[ObjectRef, tuple[tuple[str, str], ...]], list[tuple[Pod, PodProblem]]] = defaultdict(list)
    found = [(pod, problem) for pod, problem in problems(traffic) if problem.code == code]
    probes = {_without_events(pod, problem): problem.params["probe"] for pod, problem in found if _probe_of(problem)}
    for pod, problem in found:
        # What events tell, a probe's answer and which probe ends a container, may be known of one pod and expired for
        # the next: it does not make them two causes.
        owner, key = alike = _without_events(pod, problem)
        probe = _probe_of(problem) or probes.get(alike, "")
        grouped[(owner, (*key, ("probe", probe)))].append((pod, problem))
    total = len(traffic.matching_pods()) if grouped else 0
    for (owner, _), members in grouped.items():
        told = max((problem for _, problem in members), key=lambda p: (bool(_probe_of(p)), p.answer_known))
        params = told.params
        names = [pod.meta.name for pod, _ in members]
        pods = [pod for pod, _ in members]
        refused = _refused_by_a_restart(traffic, pods, params["container"]) if code in _UNSTEADY else ()
        yield Finding(
            code,
            owner,
            params={**params, "pods": len(members), "total": total},
            evidence=tuple(problem.evidence for _, problem in members[:3]),
            confidence=Confidence.LIKELY if refused else Confidence.CERTAIN,
            targets=refused or _targets_of(traffic, pods),
            confirm=(
                kubectl("describe", "pod", names[0], namespace=traffic.namespace),
                *(
                    (kubectl("logs", names[0], "-c", params["container"], "--previous", namespace=traffic.namespace),)
                    if code in ("LBD403", "LBD407")
                    else ()
                ),
            ),
            advice=_advice(code, told),
            severity=Severity.ERROR
            if refused
            else _severity(traffic, code, owner, pods, [problem for _, problem in members]),
        )


def _targets_of(traffic: TrafficPath, pods: Sequence[Pod]) -> tuple[str, ...]:
    """The targets that get no answer because they are these pods, none of which is ready. EndpointSlices and target
    group follow a pod some seconds later; () where targets or endpoints were not read."""
    return _targets_behind(traffic, {pod.meta.name for pod in pods if not pod.is_ready}, FAILED_HEALTH_CHECKS, TIMEOUT)


def _targets_behind(traffic: TrafficPath, pods: Collection[str], *reasons: str) -> tuple[str, ...]:
    """The targets that fail for one of these reasons and are one of these pods."""
    try:
        unanswered = traffic.unhealthy(*reasons) if traffic.target_type == "ip" else ()
        found = [(target, traffic.pod_of(target)) for target in unanswered]
    except Unknown:
        return ()
    return tuple(target.key for target, pod in found if pod is not None and pod.meta.name in pods)


_UNSTEADY = ("LBD405", "LBD407")
"""The codes of pods that are ready now and were not a while ago."""


def _refused_by_a_restart(traffic: TrafficPath, pods: Sequence[Pod], container: str) -> tuple[str, ...]:
    """The targets that are refused because the container of these pods that serves them was started again a moment ago:
    without a readiness probe a pod is ready before it listens, and a target stays unhealthy until enough checks have
    passed. () where targets or endpoints were not read."""
    group = traffic.target_group.peek()
    if group is None or not traffic.target_health.is_known:
        return ()
    asked = {target.asked_port for target in traffic.unhealthy(FAILED_HEALTH_CHECKS)}
    passed = group.health_check.interval * group.health_check.healthy_threshold
    young = {
        pod.meta.name
        for pod in pods
        if all(_serves(pod, container, port) for port in asked)
        for status in pod.statuses
        if (status.name, status.state) == (container, "running")
        and traffic.age(status.since) < STARTING_SECONDS + passed
    }
    return _targets_behind(traffic, young, FAILED_HEALTH_CHECKS) if young else ()


def _serves(pod: Pod, container: str, port: int) -> bool:
    """Whether it is this container that listens on the port: it declares it, or it is the only one."""
    running = [c for c in pod.containers if not c.init]
    declaring = {c.name for c in running if any(p.port == port for p in c.ports)}
    return container in declaring if declaring else [c.name for c in running] == [container]


def _advice(code: str, told: PodProblem) -> str:
    if told.start_seconds:
        return _START.format(told.start_seconds)
    if told.killed_for_memory:
        return _ADVICE["LBD405"]
    if code == "LBD403" and _probe_of(told) == POST_START:
        return "correct what the container's postStart hook runs: the kubelet ends the container where it fails"
    if code == "LBD403" and (probe := _probe_of(told)):
        return f"correct the {probe} probe or what it asks: the kubelet ends the container because of it"
    return _ADVICE[code]


def _probe_of(problem: PodProblem) -> str:
    return problem.params.get("probe", "")


def _without_events(pod: Pod, problem: PodProblem) -> tuple[ObjectRef, tuple[tuple[str, str], ...]]:
    """What a problem is about, without what only events tell."""
    told = ("answer", "probe") if problem.code == "LBD403" else ("answer",)
    return workload_of(pod), tuple(sorted(item for item in problem.params.items() if item[0] not in told))


def _severity(
    traffic: TrafficPath, code: str, owner: ObjectRef, pods: Sequence[Pod], found: Sequence[PodProblem]
) -> Severity | None:
    """Milder than the code's own where the Service is served without these pods."""
    if all(problem.is_given_time for problem in found):
        return Severity.WARNING
    if code in _FAILED_START and (_has_spares(traffic, owner) or _are_additional(traffic, owner, pods)):
        return Severity.WARNING
    return Severity.WARNING if code in _NOT_READY and _is_guest(traffic, owner) else None


def _is_guest(traffic: TrafficPath, owner: ObjectRef) -> bool:
    """Whether the selector takes these pods in beside those of another application, which serves."""
    if not (traffic.target_health.is_known and traffic.service_port.is_known):
        return False
    found = guests(traffic)
    return found is not None and owner in found.guests


_FAILED_START = frozenset({"LBD401", "LBD402", "LBD403", "LBD404", "LBD410"})
_NOT_READY = _FAILED_START | {"LBD409"}


def _are_additional(traffic: TrafficPath, owner: ObjectRef, pods: Sequence[Pod]) -> bool:
    """Whether these pods have never served, as those of a scale-up, while others of the workload do and no registered
    target fails: clients are served, and would be better with them."""
    if any(has_served(pod) for pod in pods):
        return False
    try:
        states = {target.state for target in traffic.targets()}
        published = {endpoint.pod for endpoint in traffic.ready_endpoints()}
    except Unknown:
        return False
    if published & {pod.meta.name for pod in pods}:
        return False  # The Service publishes pods that are not ready: clients are led to them.
    others = any(pod.is_ready and workload_of(pod) == owner for pod in traffic.matching_pods())
    return others and "healthy" in states and states <= {"healthy", "initial", "draining"}


def _has_spares(traffic: TrafficPath, owner: ObjectRef) -> bool:
    """Whether as many other pods of the workload are ready as it asks for: a rollout is stuck, and traffic is not."""
    for workload in traffic.namespace_facts.workloads.peek() or ():
        if (workload.kind, workload.meta.name) == (owner.kind, owner.name):
            ready = sum(1 for pod in traffic.matching_pods() if pod.is_ready and workload_of(pod) == owner)
            return 0 < workload.replicas <= ready
    return False


_START = (
    "liveness ends it about {} s after its start: where it needs longer, give it a startupProbe, which liveness waits "
    "for; else correct the probe's port"
)
"""Source: https://kubernetes.io/docs/concepts/workloads/pods/probes/#startup-probe"""

NODE_ADVICE = "bring the node back or drain it, so that its pods are replaced elsewhere"

_ADVICE = {
    "LBD401": "make room for the pods or correct what they wait for, as the message says",
    "LBD402": "correct the image name or tag, or give the pods an imagePullSecret that may pull it",
    "LBD403": "read the container's last log, and correct what it complains of",
    "LBD404": "make the probe's request succeed: correct its path, port or timing, or the application",
    "LBD405": "raise the container's memory limit, or find what it needs the memory for",
    "LBD407": "read the container's last log; where its liveness probe ends it, relax the probe",
    "LBD409": NODE_ADVICE,
    "LBD410": "correct what the container is started with (config, secret, command, security context)",
}


@check(
    "LBD401",
    title="pods cannot be scheduled, or their volumes not mounted",
    passes="pods are scheduled and their volumes mounted",
    severity=Severity.ERROR,
    message="[{pods} of {total:pod} cannot be {step}: {why}][pods of {workload} cannot be created: {why}]",
    reads=_READS,
    explains=_SYMPTOMS,
    distinct_by=("why",),
)
def pods_pending(traffic: TrafficPath) -> Iterator[Finding]:
    """Pods stay Pending: no node fits them, a volume cannot be mounted, no address is free or a quota is used up.

    A Pending pod has no address, so it is no endpoint and no target. While other pods serve it is still starting in
    the first two minutes without a node (LBD408): one may just be made for it. While other pods of the workload serve
    and no target fails, pods that never served are a warning.

    Confirm by hand: `kubectl describe pod NAME` and read the last events. Repair what the message names: requests
    that no node can satisfy, node selectors and taints, persistent volume claims, free addresses of the subnet.

    Repair: make room for the pods, or correct what they wait for.
    """
    yield from (replace(finding, stopped_by=()) for finding in _findings(traffic, "LBD401"))
    for found in unmade(traffic):
        if found.said is not None:
            yield _none_made(traffic, found.maker, found.why, found.said)
    for maker in fits_no_node(traffic):
        if traffic.age(maker.workload.meta.created) >= STARTING_SECONDS:
            said = Evidence(str(maker.ref), "status.desiredNumberScheduled is 0")
            yield _none_made(traffic, maker, "no node fits its node selector, affinity and tolerations", said)


_CONTROLLERS_WEBHOOK = "mpod.elbv2.k8s.aws"
"""The webhook by which the controller adds readiness gates to new pods; while nobody answers it, none is made:
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/"""
_SHOWN = 55
"""Characters of an answer of the API server in a headline; the evidence has the whole."""
_FORBIDDEN = re.compile(r'^pods "[^"]*" is forbidden: ')


def _none_made(traffic: TrafficPath, maker: PodMaker, why: str, said: Evidence) -> Finding:
    return Finding(
        "LBD401",
        maker.ref,
        params={"workload": str(maker.ref), "why": shortened(_FORBIDDEN.sub("", why), _SHOWN)},
        evidence=(said,),
        confirm=(kubectl("describe", str(maker.ref), namespace=traffic.namespace),),
        advice=_ADVICE["LBD401"],
        stopped_by=None if _CONTROLLERS_WEBHOOK in why else (),
    )


@check(
    "LBD402",
    title="a container image cannot be pulled",
    passes="container images can be pulled",
    severity=Severity.ERROR,
    message='{pods} of {total:pod} cannot pull image "{image}" of container {container} ({reason})',
    reads=_READS,
    explains=_SYMPTOMS,
    distinct_by=("container", "image", "reason"),
)
def image_cannot_be_pulled(traffic: TrafficPath) -> Iterator[Finding]:
    """A container's image cannot be pulled, so the pod never starts and is never a target.

    Confirm by hand: `kubectl describe pod NAME`; the event of the last attempt says whether the name is wrong, the tag
    does not exist, or the registry refuses the credentials.
    """
    yield from _findings(traffic, "LBD402")


@check(
    "LBD403",
    title="a container crashes in a loop",
    passes="containers keep running",
    severity=Severity.ERROR,
    message="container {container} of {pods} of {total:pod} crashes in a loop ({how}[; its {probe} "
    "{probe:postStart=hook|*=probe} fails])",
    reads=_READS,
    explains=_SYMPTOMS,
    distinct_by=("container", "how", "probe"),
)
def container_crashes(traffic: TrafficPath) -> Iterator[Finding]:
    """A container ends again and again; between the runs its pod is not ready and no target.

    Confirm by hand: `kubectl logs POD -c CONTAINER --previous` shows the end of the last run. Exit code 137 with
    reason OOMKilled means that the memory limit is too small.
    """
    yield from _findings(traffic, "LBD403")


@check(
    "LBD404",
    title="readiness probes fail",
    passes="readiness probes pass",
    severity=Severity.ERROR,
    message="the {kind} probe {probe} fails in {pods} of {total:pod}: {answer}",
    reads=_READS,
    explains=_SYMPTOMS,
    distinct_by=("container", "kind", "probe"),
)
def readiness_probe_fails(traffic: TrafficPath) -> Iterator[Finding]:
    """The kubelet's readiness (or startup) probe fails, so the pod is not ready and the controller does not register
    it.

    In `ip` mode a failing readiness probe shows as a missing target, not as an unhealthy one.

    Confirm by hand: `kubectl describe pod NAME` shows the probe and its last answers.

    Repair: let the probe's request succeed: correct its path, port or timing, or the application.
    """
    yield from _findings(traffic, "LBD404")


@check(
    "LBD405",
    title="a container was killed for its memory",
    passes="no container was killed for its memory",
    severity=Severity.WARNING,
    message="container {container} of {pods} of {total:pod} was OOM-killed within the last hour",
    reads=_READS,
    distinct_by=("container",),
)
def container_killed_for_memory(traffic: TrafficPath) -> Iterator[Finding]:
    """A container reached its memory limit and was killed. It runs again now, but while it was away its target failed
    and its requests were lost, and it will happen again. Where its target is refused right after, this is likely why,
    and an error. A container that does not come back is LBD403.

    Confirm by hand: `kubectl describe pod NAME` shows the last state OOMKilled. Repair: raise the container's
    memory limit, or let it use less.
    """
    yield from _findings(traffic, "LBD405")


@check(
    "LBD407",
    title="a container restarts again and again",
    passes="no container restarts again and again",
    severity=Severity.WARNING,
    message="container {container} of {pods} of {total:pod} restarted 3 times or more in the last hour ({how})",
    reads=_READS,
    distinct_by=("container", "how"),
)
def restarts_make_targets_flap(traffic: TrafficPath) -> Iterator[Finding]:
    """A container ends and is started again; each time its pod leaves the endpoints, its target drains, and a new one
    has to pass its first checks: targets flap between healthy and gone.

    Confirm by hand: `kubectl get pods` (RESTARTS) and `kubectl logs POD -c CONTAINER --previous`.
    """
    yield from _findings(traffic, "LBD407")


@check(
    "LBD409",
    title="the node of a pod is not ready",
    passes="the pods' nodes are ready",
    severity=Severity.ERROR,
    message="node {node}, which runs {pods} of {total:pod}, is not ready (Ready={ready})",
    reads=(*_READS, reads.CONTROLLER, reads.CONTROLLER_PODS),
    explains=(*_SYMPTOMS, "LBD207", "LBD412"),
)
def node_not_ready(traffic: TrafficPath) -> Iterator[Finding]:
    """The node under the pods is not ready; about a minute after its last heartbeat all its pods lose readiness. Where
    all pods of the controller run there, too, nothing is reconciled until the node is back or they are replaced.

    Some minutes later its pods are deleted, and stay Terminating, because nobody tells that they have ended. A
    Deployment makes others; a StatefulSet waits until the node is back, or until a person deletes the node.

    Source: https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/

    Confirm by hand: `kubectl describe node NAME`, then look at the instance and its kubelet.
    """
    yield from _lost_with_their_pods(traffic)
    for finding in _findings(traffic, "LBD409"):
        node = str(finding.params["node"])
        runs_controller = any(lost.meta.name == node for lost in lost_nodes(traffic.snapshot))
        yield replace(
            finding,
            object=ObjectRef("Node", "", node),
            confirm=(kubectl("describe", "node", node),),
            explains=("LBD102",) if runs_controller else (),
            targets=tuple(target.key for target in _silent(traffic) if _node_under(traffic, target) == node),
        )


def _lost_with_their_pods(traffic: TrafficPath) -> Iterator[Finding]:
    """Nodes whose pods terminate, and cannot be replaced before they are gone, where no other pod is left."""
    if traffic.backend is None or not traffic.backend.service or not traffic.cluster.nodes.is_known:
        return
    nodes = index.nodes_by_name(traffic.snapshot)
    for found in unmade(traffic):
        ending = awaited_ends(traffic, found.maker)
        for name in dict.fromkeys(pod.node for pod in ending):
            node, lost = nodes.get(name), [pod for pod in ending if pod.node == name]
            if node is None or node.ready == "True":
                continue
            yield Finding(
                "LBD409",
                ObjectRef("Node", "", name),
                params={"node": name, "ready": node.ready, "pods": len(lost), "total": len(ending)},
                evidence=(
                    describe_node(node),
                    Evidence(f"pod {lost[0].meta.name}", f"Terminating since {lost[0].meta.deleted}"),
                ),
                confirm=(kubectl("describe", "node", name),),
                advice=f"bring the node back; where its instance is gone, `kubectl delete node {name}` lets "
                f"{found.maker.ref} make its pods elsewhere",
            )


def _silent(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    """The targets that fail, and not by an answer. They stay registered where the controller is lost with them."""
    return traffic.unhealthy(TIMEOUT, FAILED_HEALTH_CHECKS) if traffic.target_health.is_known else ()


def _node_under(traffic: TrafficPath, target: TargetHealth) -> str:
    pod, node = traffic.pod_of(target), traffic.node_of(target)
    return pod.node if pod is not None else node.meta.name if node is not None else ""


@check(
    "LBD410",
    title="a container cannot be started",
    passes="containers can be started",
    severity=Severity.ERROR,
    message="container {container} of {pods} of {total:pod} cannot be started ({reason})",
    reads=_READS,
    explains=_SYMPTOMS,
    distinct_by=("container", "reason"),
)
def container_cannot_start(traffic: TrafficPath) -> Iterator[Finding]:
    """A container cannot be created or started: a ConfigMap, Secret or key is missing, the command does not exist, or
    the security context is refused.

    Confirm by hand: `kubectl describe pod NAME`; the container's state holds the message.
    """
    yield from _findings(traffic, "LBD410")


@check(
    "LBD411",
    title="a changed pod template does not reach the pods",
    passes="pods are made of the present template of their workload",
    severity=Severity.ERROR,
    message="{workload} {held:paused=is paused|partition=is updated in part|*=waits for its pods to be deleted}, so "
    "that they lack the {differs} of its template",
    reads=(*_READS, reads.ENDPOINT_SLICES),
    explains=("LBD202", "LBD217"),
)
def template_held_back(traffic: TrafficPath) -> Iterator[Finding]:
    """Pods fail by something that the template of their workload says otherwise by now: their image, their ports, their
    probes. The change does not reach them, because the Deployment is paused, the StatefulSet or DaemonSet has the
    update strategy OnDelete, or the StatefulSet a partition, which leaves pods of a lower ordinal as they are. To
    repair the same thing again would change nothing.

    Sources: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pausing-and-resuming-a-deployment,
    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#on-delete, and #partitions there

    Confirm by hand: `kubectl rollout status deployment/NAME`, and the images, ports and probes of `kubectl get pod NAME
    -o yaml` against those of the template. Repair: `kubectl rollout resume`, delete the pods one after the other, or
    set the partition to 0.
    """
    if traffic.backend is None or not traffic.backend.service:
        raise NotApplicable("no Service behind this path")
    by_owner: dict[ObjectRef, list[Pod]] = defaultdict(list)
    for pod in traffic.matching_pods():
        by_owner[workload_of(pod)].append(pod)
    for workload in traffic.namespace_facts.workloads.need() if by_owner else ():
        ref = ObjectRef(workload.kind, traffic.namespace, workload.meta.name)
        pods = by_owner.get(ref, [])
        if pods and workload.held and workload.updated < workload.replicas:
            yield from _held_back(traffic, ref, workload, pods)


_PROBES = {"readiness": ("LBD404",), "startup": ("LBD404", "LBD403"), "liveness": ("LBD403", "LBD407")}


def _held_back(traffic: TrafficPath, ref: ObjectRef, workload: Workload, pods: list[Pod]) -> Iterator[Finding]:
    failing = {pod.meta.name: problem.code for pod, problem in problems(traffic) if problem.code != "LBD408"}
    differs: dict[str, set[str]] = defaultdict(set)
    old: list[Pod] = []
    for pod in pods:
        cured = _cured(traffic, workload, pod, failing.get(pod.meta.name, ""))
        old += [pod] if cured else []
        for name, codes in cured.items():
            differs[name] |= codes
    if not differs:
        return
    paused, partition = workload.held == "paused", workload.held == "partition"
    deleted = kubectl("delete", "pod", old[0].meta.name, namespace=traffic.namespace)
    all_of_them = json.dumps({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    unparted = kubectl("patch", str(ref), "--type=merge", "-p", all_of_them, namespace=traffic.namespace)
    resumed = kubectl("rollout", "resume", str(ref), namespace=traffic.namespace)
    yield Finding(
        "LBD411",
        ref,
        params={"workload": str(ref), "differs": tuple(sorted(differs)), "held": workload.held},
        evidence=(
            Evidence(str(ref), HELD_BY[workload.held]),
            Evidence(str(ref), f"{part_of(workload.updated, workload.replicas, 'pod')} of its present template"),
        ),
        confidence=Confidence.LIKELY,
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=traffic.namespace),),
        by_hand=(resumed if paused else unparted if partition else deleted,),
        advice=""
        if paused or partition
        else "delete its pods one after the other; each is made anew of the present template",
        explains=tuple(sorted(set().union(*differs.values()))),
    )


def _cured(traffic: TrafficPath, workload: Workload, pod: Pod, code: str) -> dict[str, set[str]]:
    """What the template has otherwise than this pod, with the codes of the pod's failures that come of it."""
    port = traffic.service_port.need()
    codes = {code} if code else set()
    if port is not None and not port.target.isdigit() and pod.named_port(port.target, port.protocol) is None:
        codes.add("LBD203")
    template = {container.name: container for container in workload.containers}
    cures: dict[str, set[str]] = defaultdict(set)
    for now in pod.containers:
        then = template.get(now.name)
        if then is None:
            continue
        if then.image != now.image:
            cures["images"] |= {"LBD402", "LBD403", "LBD404", "LBD407", "LBD410"}
        if then.ports != now.ports:
            cures["ports"].add("LBD203")
        for name, cured in _PROBES.items():
            if getattr(then, name) != getattr(now, name):
                cures["probes"] |= set(cured)
    return {name: cured & codes for name, cured in cures.items() if cured & codes}


@check(
    "LBD406",
    title="the workload is scaled to zero",
    passes="the workload asks for pods",
    severity=Severity.ERROR,
    message="{workload} is scaled to zero, so Service {service} has no pods",
    reads=(reads.SERVICES, reads.PODS, reads.WORKLOADS),
    explains=("LBD202", "LBD217", "LBD201"),
)
def scaled_to_zero(traffic: TrafficPath) -> Iterator[Finding]:
    """The workload whose pod template the Service selects asks for no replicas.

    Confirm by hand: `kubectl get deployment NAME`. Repair: scale the workload up with `kubectl scale`.
    """
    if traffic.backend is None or not traffic.backend.service:
        raise NotApplicable("no Service behind this path")
    if traffic.matching_pods():
        return
    makers = pod_makers(traffic)
    if any(maker.wanted or maker.is_daemon for maker in makers):
        return
    for maker in makers:
        known = maker.ref.kind in _SCALED
        told = "its pod template matches" if maker.workload.meta.name == maker.ref.name else "its ReplicaSets match"
        yield Finding(
            "LBD406",
            maker.ref,
            params={"workload": str(maker.ref), "service": traffic.backend.service},
            evidence=(Evidence(str(maker.ref), f"spec.replicas is 0 and {told} the selector"),),
            confirm=(kubectl("get", str(maker.ref), namespace=traffic.namespace),),
            by_hand=(kubectl("scale", str(maker.ref), "--replicas=2", namespace=traffic.namespace),) if known else (),
            advice="" if known else f"let {maker.ref} ask for pods again",
        )


_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "Rollout"})
"""Kinds that `kubectl scale` scales; of Argo's: https://argo-rollouts.readthedocs.io/en/stable/features/hpa-support/"""


@check(
    "LBD412",
    title="the pods that a workload wants do not exist",
    passes="the pods that workloads want exist",
    severity=Severity.ERROR,
    message="{workload} wants {count:pod}, and there is none[: {why}]",
    reads=_READS,
    explains=("LBD202", "LBD217"),
    by_absence=(reads.PODS, reads.EVENTS, reads.WORKLOADS),
)
def pods_not_made(traffic: TrafficPath) -> Iterator[Finding]:
    """The workload that the Service selects asks for pods, none exists, and nobody says why: no condition and no event
    holds an answer of the API server. A Deployment that was paused before it had any pods makes none until it is
    resumed. A StatefulSet, and a Deployment that recreates its pods, wait for a pod that terminates: for its grace
    period, for a finalizer, or for its node. Otherwise its controller does not work on it: events of a refusal last for
    an hour, and the controller manager, or the operator of a workload of its own kind, may be stopped.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pausing-and-resuming-a-deployment

    Confirm by hand: `kubectl describe deployment NAME`. Repair: `kubectl rollout resume`, or see why its controller
    makes no pods.
    """
    if traffic.backend is None or not traffic.backend.service:
        raise NotApplicable("no Service behind this path")
    for found in unmade(traffic):
        maker = found.maker
        if found.said is not None or traffic.age(maker.workload.meta.created) < STARTING_SECONDS:
            continue
        # A paused Deployment still scales the ReplicaSet that it has; it only makes no other one.
        paused = maker.workload.held == "paused" and not any(s.replicas for s in maker.sets)
        ended, ending = finished_pods(traffic), awaited_ends(traffic, maker)
        if ending:
            yield _waits_for(traffic, maker, ending[0])
            continue
        yield Finding(
            "LBD412",
            maker.ref,
            params={
                "workload": str(maker.ref),
                "count": maker.wanted,
                "why": "it is paused" if paused else "those that it had have ended" if ended else "",
            },
            evidence=(
                Evidence(str(maker.ref), f"{maker.wanted} wanted, no pod exists, and no event says why"),
                *((Evidence(str(maker.ref), "spec.paused: true"),) if paused else ()),
                *(Evidence(f"pod {pod.meta.name}", describe_end(pod)) for pod in ended[:2]),
            ),
            confidence=Confidence.CERTAIN if paused else Confidence.LIKELY,
            confirm=(kubectl("describe", str(maker.ref), namespace=traffic.namespace),),
            by_hand=(kubectl("rollout", "resume", str(maker.ref), namespace=traffic.namespace),) if paused else (),
            advice=""
            if paused
            else "see why its controller makes no pods: what refused them may have been said more than an hour ago",
        )


def _waits_for(traffic: TrafficPath, maker: PodMaker, pod: Pod) -> Finding:
    """A workload that makes no pod before this one is gone. Its deletionTimestamp holds the grace period already."""
    late = traffic.age(pod.meta.deleted) >= STARTING_SECONDS
    finalizers = ", ".join(pod.meta.finalizers)
    ref = ObjectRef("Pod", traffic.namespace, pod.meta.name)
    until = f"Terminating, to be gone at {pod.meta.deleted}" + (f"; finalizers: {finalizers}" if finalizers else "")
    return Finding(
        "LBD412",
        ref if late else maker.ref,
        params={
            "workload": str(maker.ref),
            "count": maker.wanted,
            "why": f"pod {pod.meta.name} does not end" if late else f"it waits for pod {pod.meta.name} to end",
        },
        evidence=(Evidence(str(ref), until),),
        confirm=(kubectl("describe", "pod", pod.meta.name, namespace=traffic.namespace),),
        advice="see what keeps the pod: its finalizers, its volumes, the kubelet of its node"
        if late
        else "wait until the pod has ended; a rollout without a gap needs a second replica",
    )


@check(
    "LBD408",
    title="a rollout is in progress",
    passes="no rollout is in progress",
    severity=Severity.INFO,
    message="{pods} of {total:pod} {pods:=is|are} still starting",
    reads=_READS,
)
def starting(traffic: TrafficPath) -> Iterator[Finding]:
    """Pods were started a moment ago and have not complained yet, or wait for a node that may just be made; wait before
    judging.

    Confirm by hand: `kubectl rollout status deployment/NAME`.

    Repair: wait for the rollout.
    """
    if traffic.backend is None or not traffic.backend.service:
        raise NotApplicable("no Service behind this path")
    young = [(pod, problem) for pod, problem in problems(traffic) if problem.is_starting]
    if young:
        yield Finding(
            "LBD408",
            workload_of(young[0][0]),
            params={"pods": len(young), "total": len(traffic.matching_pods())},
            evidence=tuple(problem.evidence for _, problem in young[:3]),
            confidence=Confidence.CERTAIN,
        )
