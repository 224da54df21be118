"""Why pods that should be targets are not ready, and what a person edits to change it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from kubectl_lbdoctor.analysis.other_workloads import is_job
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.knowledge.controller_errors import COMBINED
from kubectl_lbdoctor.knowledge.spoken_errors import shortened
from kubectl_lbdoctor.model import index
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import Evidence
from kubectl_lbdoctor.model.k8s import ContainerStatus, Event, Node, Pod, Probe, condition
from kubectl_lbdoctor.model.times import seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

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


# A node that is made for another pod of what serves already (Karpenter, Cluster Autoscaler) joins within a minute or
# two; until then the scheduler finds none, and nothing is wrong. Where nothing serves, that is the answer.
SCHEDULING_SECONDS = 120


# How far back an end of a container still says something about now; the events of that time exist.
RECENT_SECONDS = 3600


FLAPPING_RESTARTS = 3


# Init containers wait for databases and migrate them; one that runs for longer than this hardly ever ends.
INIT_SECONDS = 300


# The code of pods that have not had the time to fail.
STARTING = "LBD408"


NO_ANSWER = "no event says how"


@record
class PodProblem:
    """Why one pod is not ready; params fill the message of the code.

    answer_known: False where a probe fails and no event says any more what it was answered. killed_for_memory: the
    container's last run was ended by the kernel's OOM killer. start_seconds: how long after its start a container is
    ended by its liveness probe because nothing listens yet; 0 where that is not how it ends. is_given_time: a startup
    probe fails for long, and may still pass before its threshold is reached.
    """

    code: str
    params: Mapping[str, str]
    evidence: Evidence
    answer_known: bool = True
    killed_for_memory: bool = False
    start_seconds: int = 0
    is_given_time: bool = False

    @property
    def is_starting(self) -> bool:
        """Whether the pod was made a moment ago: it complains of nothing yet, or only waits for a node."""
        return self.code == STARTING


def describe_probe(probe: Probe) -> str:
    """A probe in the words of its manifest: "httpGet /healthz port 8080"."""
    if probe.kind == "httpGet":
        scheme = "" if probe.scheme == "HTTP" else f" {probe.scheme}"
        return f"httpGet {probe.path or '/'} port {probe.port}{scheme}"
    if probe.kind == "exec":
        return f"exec {' '.join(probe.command)}"[:80]
    return f"{probe.kind} port {probe.port}"


def describe_node(node: Node) -> Evidence:
    """What the kubelet of a node, or the cluster in its stead, says of its readiness."""
    told = condition(node.conditions, "Ready")
    why = f" ({shortened(told.message or told.reason, 160)})" if told is not None and told.status != "True" else ""
    return Evidence(f"node {node.meta.name}", f"Ready={node.ready}{why}")


def pod_problem(traffic: TrafficPath, pod: Pod) -> PodProblem | None:
    """What keeps a pod from being ready, or has lately; None when it is steady or only a readiness gate is missing."""
    if pod.is_ready:
        return _unsteady(traffic, pod)
    where = f"pod {pod.meta.name}"
    # A node that is lost takes Ready from its pods and leaves their last container states as they were.
    node = index.nodes_by_name(traffic.snapshot).get(pod.node) if traffic.cluster.nodes.is_known else None
    if node is not None and node.ready != "True":
        return PodProblem(
            "LBD409",
            {"node": node.meta.name, "ready": node.ready},
            replace(said := describe_node(node), text=f"{said.text}; {where} runs there"),
        )
    if pod.containers_ready:
        return _unsteady(traffic, pod)
    for status in (*(s for s in pod.statuses if s.init), *(s for s in pod.statuses if not s.init)):
        problem = _container_problem(traffic, pod, status, where)
        if problem is not None:
            return problem
    scheduled = condition(pod.conditions, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        text = (scheduled.message or scheduled.reason).rstrip(".")
        waited = traffic.age(scheduled.since)
        if waited < SCHEDULING_SECONDS and any(other.is_ready for other in traffic.matching_pods()):
            return PodProblem(STARTING, {}, Evidence(where, f"waits for a node since {_span(waited)}: {text}"))
        seen = f"PodScheduled=False: {text}{_of_claims(traffic, pod)}"
        params = {"why": _unschedulable(pod, text), "step": "scheduled"}
        return PodProblem("LBD401", params, Evidence(where, seen))
    stuck = _newest(traffic.events_of("Pod", pod.meta.name), STUCK_EVENTS)
    # The first mounts of a new pod often wait a moment for the kubelet's caches; that is a start, not a fault.
    young = traffic.age(pod.started or pod.meta.created) < STARTING_SECONDS
    if stuck is not None and not young and not any(s.state == "running" for s in pod.statuses):
        params = {"why": _OF_ONE_POD.sub("", stuck.message), "step": "started"}
        return PodProblem("LBD401", params, Evidence(where, f"{stuck.reason}: {stuck.message}"))
    return _probe_problem(traffic, pod, where)


def _container_problem(traffic: TrafficPath, pod: Pod, status: ContainerStatus, where: str) -> PodProblem | None:
    place = f"{where} container {status.name}"
    what = {"container": status.name, "image": status.image or _image(pod, status.name)}
    if status.state == "waiting" and status.reason in IMAGE_REASONS:
        detail = status.message
        if status.reason == "ImagePullBackOff":
            # While it backs off the status holds no cause any more; the event of the last attempt does.
            failed = _newest(traffic.events_of("Pod", pod.meta.name), frozenset({"Failed"}), "pull image")
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
    between = status.state == "running" and status.restarts >= 2 and traffic.age(status.last_finished) < 600
    if crashing or (died and not (status.init and status.restarts == 0 and pod.phase == "Failed")) or between:
        code = status.exit_code if died else status.last_exit_code
        reason = (status.reason if died else status.last_reason) or "Error"
        how = f"{reason}, exit code {code}" if code is not None else reason
        killer = _killed_by_probe(traffic, pod, status)
        return PodProblem(
            "LBD403",
            {**what, "how": how, "probe": killer.kind},
            Evidence(place, f"{_restarts(status)}, last run: {how}" + (f"; {killer.said}" if killer.said else "")),
            killed_for_memory=reason == "OOMKilled",
            start_seconds=killer.start_seconds,
        )
    return None


@record
class _Killer:
    """What made the kubelet end a container: the kind of a probe, or "postStart" ("" where the container ended by
    itself), what is said of it, and `start_seconds` of a PodProblem."""

    kind: str = ""
    said: str = ""
    start_seconds: int = 0


def _killed_by_probe(traffic: TrafficPath, pod: Pod, status: ContainerStatus) -> _Killer:
    """The kubelet says so in an event "Killing" ("Container app failed liveness probe, will be restarted"), or in one
    "FailedPostStartHook", which names no container: the one that it ended has not failed by itself.

    https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-execution
    """
    events = traffic.events_of("Pod", pod.meta.name)
    for kind in ("liveness", "startup"):
        wanted = f"Container {status.name} failed {kind} probe"
        if not any(e.reason == "Killing" and e.message.startswith(wanted) for e in events):
            continue
        spec = next((c for c in pod.containers if c.name == status.name), None)
        probe = (spec.liveness if kind == "liveness" else spec.startup) if spec is not None else None
        failed = _newest(events, frozenset({"Unhealthy"}), f"{kind.capitalize()} probe")
        answer = _shorten(_told_by(failed.message), pod.ip) if failed is not None else ""
        said = f" {describe_probe(probe)}" if probe is not None else ""
        patience = 0
        unheard = answer.endswith("connection refused") and spec is not None and spec.startup is None
        if probe is not None and kind == "liveness" and unheard:
            patience = probe.initial_delay + probe.period * (probe.failure_threshold - 1)
        shown = f"the kubelet ends it because its {kind} probe{said} fails" + (f": {answer}" if answer else "")
        return _Killer(kind, shown, patience)
    ended = status.exit_code if status.state == "terminated" else status.last_exit_code
    if ended in _ENDED_FROM_OUTSIDE and any(e.reason == "FailedPostStartHook" for e in events):
        return _Killer(POST_START, "the kubelet ends it because its postStart hook fails")
    return _Killer()


_OF_ONE_POD = re.compile(
    r"^Failed to create pod sandbox: |rpc error: code = \w+ desc = "
    r"|failed to set ?up (?:sandbox container|network for sandbox)[^:]*: "
    r"|networkPlugin cni failed to set up pod [^:]*: "
    r"|plugin type=\"[\w.-]+\" name=\"[\w.-]+\" failed \(add\): |\badd cmd: |(?<=kube-api-access)-\w{5}\b"
)
"""What the kubelet says of a start that fails that is another for each pod, as ids of sandboxes, names of pods and of
the volumes of their tokens, or only says who called whom. Pods that fail alike are one cause."""

POST_START = "postStart"
_ENDED_FROM_OUTSIDE = frozenset({0, 137, 143})
"""Exit codes of a container that was told to end: by itself then, or by SIGKILL or SIGTERM."""


def _of_claims(traffic: TrafficPath, pod: Pod) -> str:
    """What Kubernetes last complained of the pod's PersistentVolumeClaims ("ProvisioningFailed: storageclass …")."""
    told = (next((e for e in traffic.events_of(_CLAIM, n) if e.type == "Warning"), None) for n in pod.claims)
    return "".join(
        f"; persistentvolumeclaim/{e.name} {e.reason}: {shortened(e.message, 160)}" for e in told if e is not None
    )


_CLAIM = "PersistentVolumeClaim"
_UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
_NO_FREE_PORTS = "node(s) didn't have free ports for the requested pod ports"
"""https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/scheduler/framework/plugins/nodeports/node_ports.go"""
_PREEMPTION = re.compile(r"[.,]? (?:no new claims to deallocate|preemption: )")


def _unschedulable(pod: Pod, text: str) -> str:
    """What the scheduler says of the nodes, without what it says of pods that might give way; with the ports of the
    nodes that the pod asks for, where they are taken."""
    short = _PREEMPTION.split(text)[0].removesuffix(". not found").rstrip(". ")
    claims = ", ".join(pod.claims)
    if claims and _UNBOUND in short:
        return short.replace(_UNBOUND, f"claim {claims} is not bound")
    if claims and "olume" in short:
        return f"{short} (claim {claims})"
    asked = ", ".join(str(p.host_port) for c in pod.containers for p in c.ports if p.host_port)
    return short.replace(_NO_FREE_PORTS, f"without free host port {asked}") if asked else short


def _unsteady(traffic: TrafficPath, pod: Pod) -> PodProblem | None:
    """Why a pod that is ready now was not a while ago: a container was killed for its memory, or restarts again and
    again."""
    serving = {container.name for container in pod.serving_containers()}
    ended = [s for s in pod.statuses if s.name in serving and traffic.age(s.last_finished) < RECENT_SECONDS]
    for status in sorted(ended, key=lambda s: s.last_finished, reverse=True):
        place = f"pod {pod.meta.name} container {status.name}"
        code = status.last_exit_code
        how = (
            f"{status.last_reason or 'Error'}, exit code {code}" if code is not None else status.last_reason or "Error"
        )
        happened = Evidence(place, f"{_restarts(status)}, last run: {how} at {status.last_finished}")
        if status.last_reason == "OOMKilled":
            return PodProblem("LBD405", {"container": status.name}, happened)
        if _recent_restarts(traffic, pod, status) >= FLAPPING_RESTARTS:
            return PodProblem("LBD407", {"container": status.name, "how": how}, happened)
    return None


def _recent_restarts(traffic: TrafficPath, pod: Pod, status: ContainerStatus) -> int:
    """Restarts of a container within the last hour, as far as they are proven: the count itself is of all time."""
    if traffic.age(pod.started or pod.meta.created) < RECENT_SECONDS:
        return status.restarts
    # Each start makes an event; those that began within the hour count no earlier start.
    starts = [
        event.count
        for event in traffic.events_of("Pod", pod.meta.name)
        if event.reason == "Started"
        and traffic.age(event.first or event.last) < RECENT_SECONDS
        and (len(pod.serving_containers()) == 1 or status.name in event.message.split())
    ]
    return min(status.restarts, sum(starts))


def _probe_problem(traffic: TrafficPath, pod: Pod, where: str) -> PodProblem | None:
    so_far = ""
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
            traffic.events_of("Pod", pod.meta.name), frozenset({"Unhealthy"}), f"{kind.capitalize()} probe"
        )
        allowed = probe.initial_delay + probe.period * probe.failure_threshold + STARTING_SECONDS
        # A probe may fail once or twice while the application starts; the kubelet turns it down at the threshold.
        few = complaint is None or complaint.count < probe.failure_threshold
        patient = few and traffic.age(status.since) < allowed
        lasts = complaint is not None and kind == "startup" and traffic.age(status.since) >= INIT_SECONDS
        if patient and not lasts:
            if complaint is not None and not so_far:
                so_far = f"; {kind}Probe {describe_probe(probe)} of {spec.name} fails so far: "
                so_far += _shorten(_told_by(complaint.message), pod.ip)
            continue
        answer = _told_by(complaint.message) if complaint is not None else NO_ANSWER
        return PodProblem(
            "LBD404",
            {"container": spec.name, "kind": kind, "probe": describe_probe(probe), "answer": _shorten(answer, pod.ip)},
            Evidence(
                f"{where} container {spec.name}", f"not ready; {kind}Probe {describe_probe(probe)}: {answer.strip()}"
            ),
            answer_known=complaint is not None,
            is_given_time=patient,
        )
    age = max(0, int(min(traffic.age(pod.started or pod.meta.created), 1e6)))
    waits = _unfinished_init(pod)
    if waits is not None:
        # An init container that waits for something must end before any other container is started.
        said = f"init container {waits.name} runs since {_span(traffic.age(waits.since))} and has to end first"
        if traffic.age(waits.since) >= INIT_SECONDS or _rollout_gave_up(traffic, pod):
            first = next((c.name for c in pod.containers if not c.init), "")
            reason = f"init container {waits.name} does not end"
            return PodProblem("LBD410", {"container": first, "reason": reason}, Evidence(where, said))
        return PodProblem(STARTING, {}, Evidence(where, said))
    return PodProblem(STARTING, {}, Evidence(where, f"starting since {age} s{so_far}"))


def has_served(pod: Pod) -> bool:
    """Whether a pod that is not ready has been ready before. The kubelet writes Ready=False as it takes a pod over, and
    leaves that time as it is until the pod turns ready; a pod without a node has no such condition."""
    ready = condition(pod.conditions, "Ready")
    return ready is not None and seconds_between(pod.started or pod.meta.created, ready.since) > _TAKEN_OVER_SECONDS


_TAKEN_OVER_SECONDS = 3


def _rollout_gave_up(traffic: TrafficPath, pod: Pod) -> bool:
    """Whether the Deployment of the pod says that its own deadline has passed without progress.

    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment
    """
    owner = workload_of(pod)
    for workload in traffic.namespace_facts.workloads.peek() or ():
        if (workload.kind, workload.meta.name) == (owner.kind, owner.name):
            progressing = condition(workload.conditions, "Progressing")
            return progressing is not None and progressing.reason == "ProgressDeadlineExceeded"
    return False


def _unfinished_init(pod: Pod) -> ContainerStatus | None:
    """The one-shot init container that runs now."""
    once = {c.name for c in pod.containers if c.init and not c.sidecar}
    return next((s for s in pod.statuses if s.init and s.name in once and s.state == "running"), None)


def _restarts(status: ContainerStatus) -> str:
    return f"{status.restarts} restart{'' if status.restarts == 1 else 's'}"


def _span(seconds: float) -> str:
    whole = max(0, int(min(seconds, 1e6)))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"


_STATUS = re.compile(r"HTTP probe failed with statuscode: (\d+)")
_SAID = {
    "connection refused": "connection refused",
    "no route to host": "no route to host",
    "connection reset by peer": "connection reset",
    "context deadline exceeded": "no answer in time",
    "Client.Timeout exceeded": "no answer in time",
    "i/o timeout": "no answer in time",
}
"""What the kubelet's probes say, by the part that tells (pkg/probe of Kubernetes and Go's net package)."""


_COMPLAINT = re.compile(r"(?:\w+ probe (?:failed|errored|warning)(?: and resulted in \w+ state)?: )")
_NOT_STARTED = re.compile(r'exec: "(?P<program>[^"]+)": (?:stat \S+: )?(?P<why>[^:]+)(?:: unknown)?$')
"""Of a command that the container's runtime cannot start. Before it stands an id, which differs each time."""


def _told_by(message: str) -> str:
    """What a probe was answered, without what the kubelet and the event recorder put in front."""
    told = _COMPLAINT.sub("", message.removeprefix(COMBINED), count=1)
    not_started = _NOT_STARTED.search(told.strip())
    return f"{not_started['program']}: {not_started['why']}" if not_started is not None else told


def _shorten(answer: str, pod_ip: str) -> str:
    """A probe's answer without what differs from pod to pod, so that equal failures of several pods are one finding."""
    text = (answer.replace(pod_ip, "POD") if pod_ip else answer).strip()
    status = _STATUS.fullmatch(text)
    if status is not None:
        return f"answered {status[1]}"
    said = next((words for part, words in _SAID.items() if part in text), "")
    return said or shortened(text, 80)


def _newest(events: Iterable[Event], kinds: frozenset[str], containing: str = "") -> Event | None:
    return next((e for e in events if e.reason in kinds and containing in e.message), None)


def _image(pod: Pod, container: str) -> str:
    return next((c.image for c in pod.containers if c.name == container), "")


@derived
def problems(traffic: TrafficPath) -> tuple[tuple[Pod, PodProblem], ...]:
    """All matching pods that are not ready, each with its one problem. Pods of Jobs that the selector takes in beside
    pods of a workload that serves are nobody's targets, and so not among them."""
    pods = traffic.matching_pods()
    lasting = [pod for pod in pods if not is_job(pod)]
    found = []
    for pod in lasting if any(pod.is_ready for pod in lasting) else pods:
        problem = pod_problem(traffic, pod)
        if problem is not None:
            found.append((pod, problem))
    return tuple(found)
