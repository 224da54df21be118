"""Debug pods: short-lived, one per node, each runs the script of its requests once. They never survive.

Their names are known before they are asked for, so that whatever happens (Ctrl-C, SIGTERM, a lost answer, an image that
cannot be pulled) they are deleted by name and looked for afterwards. What could still be left by a killed process has a
label, stops by its own deadline, and is removed by the next run.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubectl_lbdoctor.collect.fields import NotUnderstood, mapping, number, objects, strings, text
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.errors import LbdoctorError, ReadDenied, Unreachable, WriteRefused
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.probe import DEFAULT_IMAGE, ProbeAnswer, Transport, inconclusive
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.probe import script
from kubectl_lbdoctor.probe.interruption import Guard, guarded
from kubectl_lbdoctor.probe.placement import Batch

IMAGE = DEFAULT_IMAGE

NAME = "kubectl-lbdoctor-probe"
CONTAINER = "probe"
"""Of the pod. Others may be beside it: an admission webhook of the cluster puts side-cars into every pod."""
LABEL = "app.kubernetes.io/name"
RUN_LABEL = "kubectl-lbdoctor/run"
BY, AT = "kubectl-lbdoctor/created-by", "kubectl-lbdoctor/created-at"

START_TIME = 45.0
"""Seconds that a pod may take to be scheduled, to pull its image and to start."""

UNSCHEDULED = 5.0
"""Seconds after which a pod that no node takes is given up: its affinity leaves it no other."""

POLL = 0.25
GONE_TIME = 10.0
MAX_LOG = 256 * 1024
USER = 65532

# kubelet's reasons of a container that waits and will not start by itself in the time of a diagnosis.
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_START = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff")

Note = Callable[[str], None]
"""Takes one line for the person who waits."""


@dataclass
class _Pod:
    """asked: it was sent to the API server. made: it is known to have been there."""

    batch: Batch
    name: str
    token: str
    answers: tuple[ProbeAnswer, ...] | None = None
    unscheduled: float = 0.0
    asked: bool = False
    made: bool = False

    def give_up(self, reason: str | LbdoctorError) -> None:
        """No answer of this pod will come, for a reason in one sentence or an error's."""
        text = reason.message if isinstance(reason, LbdoctorError) else reason
        permission = reason.permission if isinstance(reason, ReadDenied) else None
        self.answers = tuple(
            inconclusive(r, Transport.POD, text, permission=permission, source=self.batch.node)
            for r in self.batch.requests
        )


@dataclass
class DebugPods:
    """Runs batches in debug pods. user, now: for the annotations that say who made a pod, and when."""

    kube: KubeReader
    image: str
    note: Note
    progress: Note
    user: str = ""
    now: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def send(self, batches: Sequence[Batch]) -> tuple[ProbeAnswer, ...]:
        """The answers of all batches. Every pod is gone when this returns or raises."""
        pods = [_Pod(b, f"{NAME}-{self.run}-{n}", f"LBD{secrets.token_hex(8)}") for n, b in enumerate(batches, 1)]
        namespaces = list(dict.fromkeys(batch.namespace for batch in batches))
        for namespace in namespaces:
            self.remove_leftovers(namespace)
        pull = {namespace: self._pull_secrets(batches, namespace) for namespace in namespaces}
        with guarded() as guard:
            try:
                try:
                    self.note(_announcement(pods, self.image))
                    self._create(pods, pull)
                    self._follow(pods, guard)
                finally:
                    guard.hold()
            finally:
                self._remove(pods)
            guard.check()
        return tuple(answer for pod in pods for answer in pod.answers or ())

    # --- Steps ---

    def _create(self, pods: Sequence[_Pod], pull: Mapping[str, list[str]]) -> None:
        for pod in pods:
            body = manifest(pod.name, pod.token, pod.batch, self.image, pull[pod.batch.namespace], self._marks())
            pod.asked = True
            try:
                self.kube.send("POST", _path(pod.batch.namespace), body=body)
                pod.made = True
            except WriteRefused as error:
                pod.asked = not _was_refused(error)
                refused = "could not be created" if pod.asked else "is not admitted by the cluster"
                pod.give_up(f"the debug pod {refused}: {error.message}")
            except LbdoctorError as error:
                pod.asked = not isinstance(error, (ReadDenied, Unreachable))
                pod.give_up(error)

    def _marks(self) -> dict[str, dict[str, str]]:
        return {
            "labels": {LABEL: NAME, RUN_LABEL: self.run},
            "annotations": {
                BY: self.user,
                AT: self.now,
                # A side-car would outlive the probe, and answer in its own way.
                "sidecar.istio.io/inject": "false",
                "linkerd.io/inject": "disabled",
            },
        }

    def _follow(self, pods: Sequence[_Pod], guard: Guard) -> None:
        """Wait for each pod to end, and read what it found."""
        started = time.monotonic()
        last = {pod.name: started + START_TIME for pod in pods}
        running: set[str] = set()
        while waiting := [pod for pod in pods if pod.answers is None]:
            guard.check()
            self.progress(f"waiting for {len(waiting)} debug pod{'s' if len(waiting) > 1 else ''}")
            for namespace in dict.fromkeys(pod.batch.namespace for pod in waiting):
                mine = [pod for pod in waiting if pod.batch.namespace == namespace]
                try:
                    found = self._found(namespace)
                except ReadDenied as error:
                    for pod in mine:
                        pod.give_up(error)
                    continue
                except LbdoctorError as error:
                    if time.monotonic() > started + START_TIME:
                        for pod in mine:
                            pod.give_up(error)
                    continue
                for pod in mine:
                    raw = found.get(pod.name)
                    if raw is None:
                        pod.give_up("the debug pod was deleted by somebody else")
                        continue
                    try:
                        if pod.name not in running and text(mapping(raw, "status"), "phase") == "Running":
                            running.add(pod.name)
                            last[pod.name] = time.monotonic() + script.seconds(pod.batch.requests) + 5.0
                        self._look(pod, raw, last[pod.name])
                    except NotUnderstood as error:
                        pod.give_up(f"what the API server says of the debug pod cannot be understood ({error})")
            if any(pod.answers is None for pod in pods):
                time.sleep(POLL)

    def _look(self, pod: _Pod, raw: Mapping[str, Any], last: float) -> None:
        status = mapping(raw, "status")
        phase, why = text(status, "phase"), text(status, "reason")
        # A second before the phase says so; and beside a container that was injected, the phase may never say so.
        own = [s for s in objects(status, "containerStatuses") if s.get("name", CONTAINER) == CONTAINER]
        ended = any(mapping(mapping(s, "state"), "terminated") for s in own)
        if phase == "Succeeded" or (ended and not why):
            self._read(pod)
            return
        if phase == "Failed":
            pod.give_up(f"the debug pod failed: {why}: {text(status, 'message')}".rstrip(": "))
            return
        reason = stuck(raw, self.image, name=CONTAINER)
        if reason:
            pod.give_up(reason)
            return
        refused = unscheduled(raw)
        if refused:
            pod.unscheduled = pod.unscheduled or time.monotonic()
            if time.monotonic() - pod.unscheduled > UNSCHEDULED:
                pod.give_up(f"no debug pod on node {pod.batch.node}: {refused}")
                return
        if time.monotonic() > last:
            pod.give_up(f"the debug pod on node {pod.batch.node} did not end in time (phase {phase})")

    def _read(self, pod: _Pod) -> None:
        try:
            path = f"{_path(pod.batch.namespace, pod.name)}/log"
            log = self.kube.text(path, {"container": CONTAINER}, max_bytes=MAX_LOG)
        except LbdoctorError as error:
            pod.give_up(error)
        else:
            pod.answers = script.parse(log, pod.batch.requests, pod.token, Transport.POD, pod.batch.node)

    def _found(self, namespace: str) -> dict[str, Any]:
        """The pods of this run that are there, by name."""
        return _by_name(self.kube.list(_path(namespace), {"labelSelector": f"{RUN_LABEL}={self.run}"}))

    def _pull_secrets(self, batches: Sequence[Batch], namespace: str) -> list[str]:
        """Those of a target pod: an image from the same private registry can then be pulled. Best effort."""
        name = next((r.pod for b in batches if b.namespace == namespace for r in b.requests if r.pod), "")
        if not name:
            return []
        try:
            raw = self.kube.get(_path(namespace, name)) or {}
            found = [text(secret, "name") for secret in objects(mapping(raw, "spec"), "imagePullSecrets")]
        except (LbdoctorError, NotUnderstood):
            return []
        return list(filter(None, found))

    # --- Taking away ---

    def _remove(self, pods: Sequence[_Pod]) -> None:
        """Delete by name (also what may only seem not to have been created) and see that all are gone.

        A pod whose creation was not answered is looked for until the time is over: the API server may be at it still.
        """
        left = {pod.name: pod for pod in pods if pod.asked}
        found: set[str] = set()
        deadline = time.monotonic() + GONE_TIME
        why = ""
        while left:
            for pod in left.values():
                try:
                    self._delete(pod.batch.namespace, pod.name)
                    pod.made = True
                except WriteRefused as error:
                    why = error.message if error.http_status != 404 else why
                except LbdoctorError as error:
                    why = error.message
            try:
                spaces = dict.fromkeys(pod.batch.namespace for pod in left.values())
                found = {name for namespace in spaces for name in self._found(namespace)}
                left = {name: pod for name, pod in left.items() if name in found or not pod.made}
            except LbdoctorError as error:
                why = why or error.message
            if not left or time.monotonic() > deadline:
                break
            time.sleep(POLL)
        for pod in left.values():
            self.note(_left_behind(pod, why, pod.name in found))
        removed = sum(pod.made and pod.name not in left for pod in pods)
        if removed:
            self.note(f"removed: {removed} debug pod{'s' if removed > 1 else ''}")

    def _delete(self, namespace: str, name: str) -> None:
        body = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        self.kube.send("DELETE", _path(namespace, name), body=body)

    def remove_leftovers(self, namespace: str) -> None:
        """Remove debug pods of earlier runs that outlived their own deadline: their process was killed."""
        try:
            found = _by_name(self.kube.list(_path(namespace), {"labelSelector": f"{LABEL}={NAME}"}))
        except LbdoctorError:
            return
        for name, raw in found.items():
            # The label alone may stand on a pod of somebody else's.
            if not name.startswith(f"{NAME}-") or not overdue(raw, self.now):
                continue
            by = _maker(raw)
            try:
                self._delete(namespace, name)
                self.note(f"removed the debug pod {name} that a killed run of {by} had left")
            except LbdoctorError as error:
                self.note(f"the debug pod {name}, left by a killed run of {by}, could not be removed: {error.message}")


def _was_refused(error: WriteRefused) -> bool:
    """Whether the answer to a creation proves that nothing was made. A 5xx comes for pods that were, and a 409 may be
    for the second of two equal requests, of which something in between has made two."""
    return error.by_server and error.http_status < 500 and error.http_status != 409


def _left_behind(pod: _Pod, why: str, there: bool) -> str:
    """What a person has to know of a pod that may be there after the run."""
    by_hand = kubectl("delete", "pod", pod.name, namespace=pod.batch.namespace)
    if there or pod.made:
        return f"the debug pod {pod.name} could not be removed: {why or 'it is still there'}; remove it with: {by_hand}"
    return (
        f"whether the debug pod {pod.name} was created is not known: {why or 'it is not there'}; should it come, it "
        f"ends by itself, the next probe in this namespace removes it, and so does: {by_hand}"
    )


def _by_name(raws: Iterable[Any]) -> dict[str, Any]:
    """The pods of a list by their names; what has none is no pod of ours."""
    named = ((raw, raw.get("metadata")) for raw in raws if isinstance(raw, Mapping))
    return {m["name"]: raw for raw, m in named if isinstance(m, Mapping) and isinstance(m.get("name"), str)}


def _maker(raw: Mapping[str, Any]) -> str:
    try:
        return strings(mapping(raw, "metadata"), "annotations").get(BY) or "unknown"
    except NotUnderstood:
        return "unknown"


def _announcement(pods: Sequence[_Pod], image: str) -> str:
    nodes = ", ".join(pod.batch.node for pod in pods)
    namespaces = ", ".join(dict.fromkeys(pod.batch.namespace for pod in pods))
    what = "a debug pod" if len(pods) == 1 else f"{len(pods)} debug pods"
    return f"creating {what} in namespace {namespaces} on {nodes} (image {image}); removed when done"


def _path(namespace: str, name: str = "") -> str:
    return kinds.POD.path(namespace, name)


# --- Pure parts ------------------------------------------------------------------------------------------------------


def manifest(
    name: str, token: str, batch: Batch, image: str, pull_secrets: Sequence[str], marks: Mapping[str, Any]
) -> dict[str, Any]:
    """A pod that the "restricted" Pod Security Standard admits and that runs on its node whatever the taints."""
    affinity = {"key": "metadata.name", "operator": "In", "values": [batch.node]}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(START_TIME + script.seconds(batch.requests)) + 30,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists"}],
        # Bound to the node by the scheduler, as a DaemonSet's pods are: where `nodeName` is set, quotas of the node and
        # admission policies would be passed by.
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [affinity]}]}
            }
        },
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "command": ["/bin/sh", "-c", script.script(batch.requests, token)],
                "securityContext": SECURITY,
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"cpu": "500m", "memory": "128Mi"},
                },
            }
        ],
    }
    if pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in pull_secrets]
    metadata = {"name": name, "namespace": batch.namespace, **marks}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


SECURITY: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": USER,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def stuck(raw: Mapping[str, Any], image: str, statuses: str = "containerStatuses", name: str = "") -> str:
    """Why a container will not start; "" while it may. Raises NotUnderstood."""
    for status in objects(mapping(raw, "status"), statuses):
        if name and status.get("name", name) != name:
            continue
        waiting = mapping(mapping(status, "state"), "waiting")
        reason, message = text(waiting, "reason"), " ".join(text(waiting, "message").split())
        if reason in _IMAGE:
            said = f": {message}" if message else ""
            return f"the image {image} cannot be pulled ({reason}{said}); choose another with --probe-image"
        if reason in _START:
            return f"the debug container does not start ({reason}: {message})"
    return ""


def unscheduled(raw: Mapping[str, Any]) -> str:
    """Why the scheduler finds no place for it; "" while it may. Raises NotUnderstood."""
    for condition in objects(mapping(raw, "status"), "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            said = text(condition, "message") or text(condition, "reason", "unscheduled")
            return " ".join(said.split())
    return ""


def overdue(raw: Mapping[str, Any], now: str) -> bool:
    """Whether a debug pod is older than its own deadline, so that no run can still be waiting for it."""
    try:
        created = parse_time(text(mapping(raw, "metadata"), "creationTimestamp"))
        seconds = number(mapping(raw, "spec"), "activeDeadlineSeconds")
    except NotUnderstood:
        return False
    current = parse_time(now)
    if created is None or current is None or not seconds:
        return False
    return (current - created).total_seconds() > seconds + START_TIME
