"""LBD4xx: why pods that should be targets are not ready.

Each pod is given exactly one problem, by the most basic thing that is wrong with it, so that two pods with different
problems give two root causes and one pod never gives two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.runner import NotApplicable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import ContainerStatus, Event, Pod, Probe, Workload, condition
from kubectl_lbdoctor.model.traffic_path import Route

# Waiting reasons as the kubelet sets them (kubernetes pkg/kubelet/images/types.go, kuberuntime).
IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
START_REASONS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        "RunContainerError",
        "StartError",
        "ContainerCannotRun",
    }
)
# Events that say why a container that is still "ContainerCreating" does not come up.
STUCK_EVENTS = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedScheduling"})
# A pod younger than this without any complaint is starting, not failing.
STARTING_SECONDS = 30
# How far back an end of a container still says something about now; the events of that time exist.
RECENT_SECONDS = 3600
FLAPPING_RESTARTS = 3
# Init containers wait for databases and migrate them; one that runs for longer than this hardly ever ends.
INIT_SECONDS = 300
NO_ANSWER = "no event says how (events expire after an hour)"

_READS = (reads.SERVICES, reads.PODS, reads.EVENTS, reads.NODES, reads.WORKLOADS)
_SYMPTOMS = ("LBD202", "LBD217", "LBD408")


@dataclass(frozen=True, slots=True)
class PodProblem:
    """Why one pod is not ready. code "" means that it is still starting. params fill the message of the code."""

    code: str
    params: Mapping[str, str]
    evidence: Evidence


def describe_probe(probe: Probe) -> str:
    """A probe in the words of its manifest: "httpGet /healthz port 8080"."""
    if probe.kind == "httpGet":
        scheme = "" if probe.scheme == "HTTP" else f" {probe.scheme}"
        return f"httpGet {probe.path or '/'} port {probe.port}{scheme}"
    if probe.kind == "exec":
        return f"exec {' '.join(probe.command)}"[:80]
    return f"{probe.kind} port {probe.port}"


def pod_problem(route: Route, pod: Pod) -> PodProblem | None:
    """What keeps a pod from being ready, or has lately; None when it is steady or only a readiness gate is missing."""
    if pod.is_ready:
        return _unsteady(route, pod)
    where = f"pod {pod.meta.name}"
    # A node that is lost takes Ready from its pods and leaves their last container states as they were.
    node = next((n for n in route.cluster.nodes.peek() or () if n.meta.name == pod.node), None)
    if node is not None and node.ready != "True":
        return PodProblem(
            "LBD409",
            {"node": node.meta.name, "ready": node.ready},
            Evidence(f"node {node.meta.name}", f"Ready={node.ready}, {where} runs there"),
        )
    if pod.containers_ready:
        return _unsteady(route, pod)
    for status in (*(s for s in pod.statuses if s.init), *(s for s in pod.statuses if not s.init)):
        problem = _container_problem(route, pod, status, where)
        if problem is not None:
            return problem
    scheduled = condition(pod.conditions, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        text = scheduled.message or scheduled.reason
        return PodProblem("LBD401", {"why": text}, Evidence(where, f"PodScheduled=False: {text}"))
    stuck = _newest(route.events_of("Pod", pod.meta.name), STUCK_EVENTS)
    # The first mounts of a new pod often wait a moment for the kubelet's caches; that is a start, not a fault.
    young = route.age(pod.started or pod.meta.created) < STARTING_SECONDS
    if stuck is not None and not young and not any(s.state == "running" for s in pod.statuses):
        return PodProblem("LBD401", {"why": stuck.message}, Evidence(where, f"{stuck.reason}: {stuck.message}"))
    return _probe_problem(route, pod, where)


def _container_problem(route: Route, pod: Pod, status: ContainerStatus, where: str) -> PodProblem | None:
    place = f"{where} container {status.name}"
    what = {"container": status.name, "image": status.image or _image(pod, status.name)}
    if status.state == "waiting" and status.reason in IMAGE_REASONS:
        detail = status.message
        if status.reason == "ImagePullBackOff":
            # While it backs off the status holds no cause any more; the event of the last attempt does.
            failed = _newest(route.events_of("Pod", pod.meta.name), frozenset({"Failed"}), "pull image")
            detail = failed.message if failed is not None else detail
        return PodProblem(
            "LBD402", {**what, "reason": status.reason}, Evidence(place, f"{status.reason}: {detail}".rstrip(": "))
        )
    starts = {status.reason, status.last_reason} & START_REASONS
    if starts and (status.state != "running"):
        message = status.message if status.reason in START_REASONS else status.last_message
        reason = status.reason if status.reason in START_REASONS else status.last_reason
        return PodProblem("LBD410", {**what, "reason": reason}, Evidence(place, f"{reason}: {message}".rstrip(": ")))
    crashing = status.state == "waiting" and status.reason == "CrashLoopBackOff"
    died = status.state == "terminated" and status.exit_code not in (None, 0)
    # Between two crashes the container runs for a moment: restarts with a recent end of the last run tell it apart.
    between = status.state == "running" and status.restarts >= 2 and route.age(status.last_finished) < 600
    if crashing or (died and not (status.init and status.restarts == 0 and pod.phase == "Failed")) or between:
        code = status.exit_code if died else status.last_exit_code
        reason = (status.reason if died else status.last_reason) or "Error"
        how = f"{reason}, exit code {code}" if code is not None else reason
        killer = _killed_by_probe(route, pod, status)
        if killer:
            how = f"{how}; {killer}"
        return PodProblem(
            "LBD403",
            {**what, "how": how},
            Evidence(place, f"{status.restarts} restarts, last run: {how}"),
        )
    return None


def _killed_by_probe(route: Route, pod: Pod, status: ContainerStatus) -> str:
    """Which probe made the kubelet end the container, with its answer; "" where it ended by itself.

    The kubelet says so in an event "Killing" ("Container app failed liveness probe, will be restarted").
    """
    events = route.events_of("Pod", pod.meta.name)
    for kind in ("liveness", "startup"):
        wanted = f"Container {status.name} failed {kind} probe"
        if not any(e.reason == "Killing" and e.message.startswith(wanted) for e in events):
            continue
        spec = next((c for c in pod.containers if c.name == status.name), None)
        probe = (spec.liveness if kind == "liveness" else spec.startup) if spec is not None else None
        failed = _newest(events, frozenset({"Unhealthy"}), f"{kind.capitalize()} probe")
        answer = _shorten(failed.message.partition(": ")[2], pod.ip) if failed is not None else ""
        said = f" {describe_probe(probe)}" if probe is not None else ""
        return f"the kubelet ends it because its {kind} probe{said} fails" + (f": {answer}" if answer else "")
    return ""


def _unsteady(route: Route, pod: Pod) -> PodProblem | None:
    """Why a pod that is ready now was not a while ago: a container was killed for its memory, or restarts again and
    again."""
    serving = {container.name for container in pod.serving_containers()}
    ended = [s for s in pod.statuses if s.name in serving and route.age(s.last_finished) < RECENT_SECONDS]
    for status in sorted(ended, key=lambda s: s.last_finished, reverse=True):
        place = f"pod {pod.meta.name} container {status.name}"
        code = status.last_exit_code
        how = (
            f"{status.last_reason or 'Error'}, exit code {code}" if code is not None else status.last_reason or "Error"
        )
        happened = Evidence(place, f"{status.restarts} restarts, last run: {how} at {status.last_finished}")
        if status.last_reason == "OOMKilled":
            return PodProblem("LBD405", {"container": status.name}, happened)
        if _recent_restarts(route, pod, status) >= FLAPPING_RESTARTS:
            return PodProblem("LBD407", {"container": status.name, "how": how}, happened)
    return None


def _recent_restarts(route: Route, pod: Pod, status: ContainerStatus) -> int:
    """Restarts of a container within the last hour, as far as they are proven: the count itself is of all time."""
    if route.age(pod.started or pod.meta.created) < RECENT_SECONDS:
        return status.restarts
    # Each start makes an event; those that began within the hour count no earlier start.
    starts = [
        event.count
        for event in route.events_of("Pod", pod.meta.name)
        if event.reason == "Started"
        and route.age(event.first or event.last) < RECENT_SECONDS
        and (len(pod.serving_containers()) == 1 or status.name in event.message.split())
    ]
    return min(status.restarts, sum(starts))


def _probe_problem(route: Route, pod: Pod, where: str) -> PodProblem | None:
    for status in pod.statuses:
        spec = next((c for c in pod.containers if c.name == status.name), None)
        if status.ready or status.state != "running" or spec is None or (spec.init and not spec.sidecar):
            continue
        kind, probe = (
            ("startup", spec.startup) if spec.startup and status.started is False else ("readiness", spec.readiness)
        )
        if probe is None:
            continue
        complaint = _newest(
            route.events_of("Pod", pod.meta.name), frozenset({"Unhealthy"}), f"{kind.capitalize()} probe"
        )
        allowed = probe.initial_delay + probe.period * probe.failure_threshold + STARTING_SECONDS
        # A probe may fail once or twice while the application starts; the kubelet turns it down at the threshold.
        few = complaint is None or complaint.count < probe.failure_threshold
        if few and route.age(status.since) < allowed:
            continue
        answer = complaint.message if complaint is not None else NO_ANSWER
        answer = answer.removeprefix(f"{kind.capitalize()} probe failed: ").removeprefix(
            f"{kind.capitalize()} probe errored: "
        )
        return PodProblem(
            "LBD404",
            {"container": spec.name, "kind": kind, "probe": describe_probe(probe), "answer": _shorten(answer, pod.ip)},
            Evidence(
                f"{where} container {spec.name}", f"not ready; {kind}Probe {describe_probe(probe)}: {answer.strip()}"
            ),
        )
    age = max(0, int(min(route.age(pod.started or pod.meta.created), 1e6)))
    waits = _unfinished_init(pod)
    if waits is not None:
        # An init container that waits for something must end before any other container is started.
        said = f"init container {waits.name} runs since {_span(route.age(waits.since))} and has to end first"
        if route.age(waits.since) >= INIT_SECONDS:
            first = next((c.name for c in pod.containers if not c.init), "")
            reason = f"init container {waits.name} does not end"
            return PodProblem("LBD410", {"container": first, "reason": reason}, Evidence(where, said))
        return PodProblem("", {}, Evidence(where, said))
    return PodProblem("", {}, Evidence(where, f"starting since {age} s"))


def _unfinished_init(pod: Pod) -> ContainerStatus | None:
    """The one-shot init container that runs now."""
    once = {c.name for c in pod.containers if c.init and not c.sidecar}
    return next((s for s in pod.statuses if s.init and s.name in once and s.state == "running"), None)


def _span(seconds: float) -> str:
    whole = max(0, int(min(seconds, 1e6)))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"


def _shorten(answer: str, pod_ip: str) -> str:
    """A probe's answer without what differs from pod to pod, so that equal failures of several pods are one finding."""
    text = answer.replace(pod_ip, "POD") if pod_ip else answer
    return text.strip()[:160]


def _newest(events: Iterable[Event], kinds: frozenset[str], containing: str = "") -> Event | None:
    return next((e for e in events if e.reason in kinds and containing in e.message), None)


def _image(pod: Pod, container: str) -> str:
    return next((c.image for c in pod.containers if c.name == container), "")


def problems(route: Route) -> list[tuple[Pod, PodProblem]]:
    """All matching pods that are not ready, each with its one problem."""
    found = []
    for pod in route.matching_pods():
        problem = pod_problem(route, pod)
        if problem is not None:
            found.append((pod, problem))
    return found


def owner_of(route: Route, pod: Pod) -> ObjectRef:
    """The workload that a person edits: the Deployment behind a ReplicaSet where the name tells it, else the owner."""
    for owner in pod.meta.owners:
        if not owner.controller:
            continue
        template_hash = pod.meta.labels.get("pod-template-hash", "")
        if owner.kind == "ReplicaSet" and template_hash and owner.name.endswith("-" + template_hash):
            return ObjectRef("Deployment", route.namespace, owner.name[: -len(template_hash) - 1])
        return ObjectRef(owner.kind, route.namespace, owner.name)
    return ObjectRef("Pod", route.namespace, pod.meta.name)


def _findings(route: Route, code: str) -> Iterator[Finding]:
    """One finding for all pods of one workload with the same problem."""
    if route.backend is None or not route.backend.service:
        raise NotApplicable("no Service behind this route")
    grouped: dict[tuple[ObjectRef, tuple[tuple[str, str], ...]], list[tuple[Pod, PodProblem]]] = defaultdict(list)
    for pod, problem in problems(route):
        if problem.code == code:
            # A probe's answer may be known of one pod and expired for the next: it does not make them two causes.
            key = tuple(sorted(item for item in problem.params.items() if item[0] != "answer"))
            grouped[(owner_of(route, pod), key)].append((pod, problem))
    total = len(route.matching_pods()) if grouped else 0
    for (owner, _), members in grouped.items():
        params = max((problem.params for _, problem in members), key=lambda p: p.get("answer", "") != NO_ANSWER)
        names = [pod.meta.name for pod, _ in members]
        yield Finding(
            code,
            owner,
            params={**params, "pods": f"{len(members)} of {total} pods"},
            evidence=tuple(problem.evidence for _, problem in members[:3]),
            confirm=(
                kubectl("describe", "pod", names[0], namespace=route.namespace),
                *(
                    (kubectl("logs", names[0], "-c", params["container"], "--previous", namespace=route.namespace),)
                    if code in ("LBD403", "LBD407")
                    else ()
                ),
            ),
            advice=_ADVICE["LBD405" if "OOMKilled" in params.get("how", "") else code],
            severity=Severity.WARNING if code in _FAILED_START and _has_spares(route, owner) else None,
        )


_FAILED_START = frozenset({"LBD401", "LBD402", "LBD403", "LBD404", "LBD410"})


def _has_spares(route: Route, owner: ObjectRef) -> bool:
    """Whether as many other pods of the workload are ready as it asks for: a rollout is stuck, and traffic is not."""
    for workload in route.facts.workloads.peek() or ():
        if (workload.kind, workload.meta.name) == (owner.kind, owner.name):
            ready = sum(1 for pod in route.matching_pods() if pod.is_ready and owner_of(route, pod) == owner)
            return 0 < workload.replicas <= ready
    return False


_ADVICE = {
    "LBD401": "make room for the pods or correct what they wait for, as the message says",
    "LBD402": "correct the image name or tag, or give the pods an imagePullSecret that may pull it",
    "LBD403": "read the container's last log; where a probe ends it, correct the probe or what it asks",
    "LBD404": "make the probe's request succeed: correct its path, port or timing, or the application",
    "LBD405": "raise the container's memory limit, or find what it needs the memory for",
    "LBD407": "read the container's last log; where its liveness probe ends it, relax the probe",
    "LBD409": "bring the node back or drain it, so that its pods are replaced elsewhere",
    "LBD410": "correct what the container is started with (config, secret, command, security context)",
}


@check(
    "LBD401",
    title="pods are scheduled and their volumes mounted",
    severity=Severity.ERROR,
    message="{pods} cannot start: {why}",
    reads=_READS,
    explains=_SYMPTOMS,
)
def pods_pending(route: Route) -> Iterator[Finding]:
    """Pods stay Pending: no node fits them, a volume cannot be mounted, no address is free or a quota is used up.

    A Pending pod has no address, so it is no endpoint and no target.

    Confirm by hand: `kubectl describe pod NAME` and read the last events. Repair what the message names: requests
    that no node can satisfy, node selectors and taints, persistent volume claims, free addresses of the subnet.
    """
    yield from _findings(route, "LBD401")
    for workload, why in unmade_pods(route):
        yield Finding(
            "LBD401",
            ObjectRef(workload.kind, route.namespace, workload.meta.name),
            params={"pods": f"pods of {workload.kind.lower()}/{workload.meta.name}", "why": why},
            evidence=(Evidence(f"{workload.kind.lower()}/{workload.meta.name}", f"ReplicaFailure: {why}"),),
            confirm=(kubectl("describe", workload.kind.lower(), workload.meta.name, namespace=route.namespace),),
            advice=_ADVICE["LBD401"],
        )


@check(
    "LBD402",
    title="container images can be pulled",
    severity=Severity.ERROR,
    message='{pods} cannot pull the image "{image}" of container {container} ({reason})',
    reads=_READS,
    explains=_SYMPTOMS,
)
def image_cannot_be_pulled(route: Route) -> Iterator[Finding]:
    """A container's image cannot be pulled, so the pod never starts and is never a target.

    Confirm by hand: `kubectl describe pod NAME`; the event of the last attempt says whether the name is wrong, the tag
    does not exist, or the registry refuses the credentials.
    """
    yield from _findings(route, "LBD402")


@check(
    "LBD403",
    title="containers keep running",
    severity=Severity.ERROR,
    message="container {container} of {pods} crashes in a loop ({how})",
    reads=_READS,
    explains=_SYMPTOMS,
)
def container_crashes(route: Route) -> Iterator[Finding]:
    """A container ends again and again; between the runs its pod is not ready and no target.

    Confirm by hand: `kubectl logs POD -c CONTAINER --previous` shows the end of the last run. Exit code 137 with
    reason OOMKilled means that the memory limit is too small.
    """
    yield from _findings(route, "LBD403")


@check(
    "LBD404",
    title="readiness probes pass",
    severity=Severity.ERROR,
    message="the {kind} probe ({probe}) of container {container} fails in {pods}: {answer}",
    reads=_READS,
    explains=_SYMPTOMS,
)
def readiness_probe_fails(route: Route) -> Iterator[Finding]:
    """The kubelet's readiness (or startup) probe fails, so the pod is not ready and the controller does not register
    it.

    In `ip` mode a failing readiness probe shows as a missing target, not as an unhealthy one.

    Confirm by hand: `kubectl describe pod NAME` shows the probe and its last answers.
    """
    yield from _findings(route, "LBD404")


@check(
    "LBD405",
    title="no container was killed for its memory",
    severity=Severity.WARNING,
    message="container {container} of {pods} was OOM-killed within the last hour",
    reads=_READS,
)
def container_killed_for_memory(route: Route) -> Iterator[Finding]:
    """A container reached its memory limit and was killed. It runs again now, but while it was away its target failed
    and its requests were lost, and it will happen again. A container that does not come back is LBD403.

    Confirm by hand: `kubectl describe pod NAME` shows the last state OOMKilled. Repair: a higher memory limit, or less
    use of memory.
    """
    yield from _findings(route, "LBD405")


@check(
    "LBD407",
    title="no container restarts again and again",
    severity=Severity.WARNING,
    message="container {container} of {pods} has restarted three times or more within the last hour ({how})",
    reads=_READS,
)
def restarts_make_targets_flap(route: Route) -> Iterator[Finding]:
    """A container ends and is started again; each time its pod leaves the endpoints, its target drains, and a new one
    has to pass its first checks: targets flap between healthy and gone.

    Confirm by hand: `kubectl get pods` (RESTARTS) and `kubectl logs POD -c CONTAINER --previous`.
    """
    yield from _findings(route, "LBD407")


@check(
    "LBD409",
    title="the pods' nodes are ready",
    severity=Severity.ERROR,
    message="node {node}, which runs {pods}, is not ready (Ready={ready})",
    reads=_READS,
    explains=(*_SYMPTOMS, "LBD207"),
)
def node_not_ready(route: Route) -> Iterator[Finding]:
    """The node under the pods is not ready; about a minute after its last heartbeat all its pods lose readiness.

    Confirm by hand: `kubectl describe node NAME`, then look at the instance and its kubelet.
    """
    yield from _findings(route, "LBD409")


@check(
    "LBD410",
    title="containers can be started",
    severity=Severity.ERROR,
    message="container {container} of {pods} cannot be started ({reason})",
    reads=_READS,
    explains=_SYMPTOMS,
)
def container_cannot_start(route: Route) -> Iterator[Finding]:
    """A container cannot be created or started: a ConfigMap, Secret or key is missing, the command does not exist, or
    the security context is refused.

    Confirm by hand: `kubectl describe pod NAME`; the container's state holds the message.
    """
    yield from _findings(route, "LBD410")


@check(
    "LBD406",
    title="the workload asks for pods",
    severity=Severity.ERROR,
    message="{workload} is scaled to zero, so Service {service} has no pods",
    reads=(reads.SERVICES, reads.PODS, reads.WORKLOADS),
    explains=("LBD202", "LBD217", "LBD201"),
)
def scaled_to_zero(route: Route) -> Iterator[Finding]:
    """The workload whose pod template the Service selects asks for no replicas.

    Confirm by hand: `kubectl get deployment NAME`. Repair: `kubectl scale deployment NAME --replicas=2`.
    """
    if route.backend is None or not route.backend.service:
        raise NotApplicable("no Service behind this route")
    if route.matching_pods():
        return
    workloads = selected_workloads(route)
    # An old ReplicaSet of the same workload always stands at zero: only what a person scales counts.
    tops = [w for w in workloads if not (w.kind == "ReplicaSet" and w.meta.owners)]
    if tops and all(w.replicas == 0 for w in tops):
        for workload in tops:
            target = ObjectRef(workload.kind, route.namespace, workload.meta.name)
            yield Finding(
                "LBD406",
                target,
                params={"workload": str(target), "service": route.backend.service},
                evidence=(Evidence(str(target), "spec.replicas is 0 and its pod template matches the selector"),),
                confirm=(kubectl("get", str(target), namespace=route.namespace),),
                by_hand=(kubectl("scale", str(target), "--replicas=2", namespace=route.namespace),),
            )


def selected_workloads(route: Route) -> tuple[Workload, ...]:
    """Workloads whose pod template carries all labels of the Service's selector."""
    service = route.service.need()
    if service is None or not service.selector:
        return ()
    wanted = service.selector.items()
    return tuple(w for w in route.facts.workloads.need() if wanted <= w.template_labels.items())


def unmade_pods(route: Route) -> Iterator[tuple[Workload, str]]:
    """Selected workloads whose pods the API server refuses to create (quota, admission), with its words."""
    if route.matching_pods():
        return
    refused = [
        (workload, failure.message)
        for workload in (selected_workloads(route) if route.facts.workloads.is_known else ())
        for failure in [condition(workload.conditions, "ReplicaFailure")]
        if failure is not None and failure.status == "True"
    ]
    # A Deployment repeats what its ReplicaSet meets: told once, of what a person edits.
    told = {(w.kind, w.meta.name) for w, _ in refused}
    yield from ((w, why) for w, why in refused if not any((owner.kind, owner.name) in told for owner in w.meta.owners))


@check(
    "LBD408",
    title="no rollout is in progress",
    severity=Severity.INFO,
    message="{pods} are still starting",
    reads=_READS,
)
def starting(route: Route) -> Iterator[Finding]:
    """Pods were started a moment ago and have not complained yet; wait before judging.

    Confirm by hand: `kubectl rollout status deployment/NAME`.
    """
    if route.backend is None or not route.backend.service:
        raise NotApplicable("no Service behind this route")
    young = [(pod, problem) for pod, problem in problems(route) if not problem.code]
    if young:
        yield Finding(
            "LBD408",
            owner_of(route, young[0][0]),
            params={"pods": f"{len(young)} of {len(route.matching_pods())} pods"},
            evidence=tuple(problem.evidence for _, problem in young[:3]),
            confidence=Confidence.CERTAIN,
        )
