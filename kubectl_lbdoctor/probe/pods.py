"""Debug pods: short-lived, one per node, each runs the script of its requests once. They never survive.

Their names are known before they are asked for, so that whatever happens (Ctrl-C, SIGTERM, a lost answer, an image that
cannot be pulled) they are deleted by name and looked for afterwards. What could still be left by a killed process has a
label, stops by its own deadline, and is removed by the next run.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from kubectl_lbdoctor.collect.kube import KubeReader
from kubectl_lbdoctor.errors import LbdoctorError, ReadDenied, WriteRefused
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.probe import DEFAULT_IMAGE, ProbeAnswer, Transport, inconclusive
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.probe import script
from kubectl_lbdoctor.probe.placement import Batch

IMAGE = DEFAULT_IMAGE

NAME = "kubectl-lbdoctor-probe"
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
    batch: Batch
    name: str
    token: str
    answers: tuple[ProbeAnswer, ...] | None = None
    unscheduled: float = 0.0
    refused: bool = False

    def give_up(self, reason: str | LbdoctorError) -> None:
        """No answer of this pod will come, for a reason in one sentence or an error's."""
        text = reason.message if isinstance(reason, LbdoctorError) else reason
        permission = reason.permission if isinstance(reason, ReadDenied) else ""
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
        with interruptible():
            try:
                self.note(_announcement(pods, self.image))
                self._create(pods, pull)
                self._follow(pods)
            finally:
                with uninterruptible():
                    self._remove(pods)
        return tuple(answer for pod in pods for answer in pod.answers or ())

    # --- Steps ---

    def _create(self, pods: Sequence[_Pod], pull: Mapping[str, list[str]]) -> None:
        for pod in pods:
            body = manifest(pod.name, pod.token, pod.batch, self.image, pull[pod.batch.namespace], self._marks())
            try:
                self.kube.send("POST", _path(pod.batch.namespace), body=body)
            except ReadDenied as error:
                pod.refused = True
                pod.give_up(error)
            except WriteRefused as error:
                pod.refused = True
                pod.give_up(f"the cluster does not admit the debug pod: {error.message}")
            except LbdoctorError as error:
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

    def _follow(self, pods: Sequence[_Pod]) -> None:
        """Wait for each pod to end, and read what it found."""
        started = time.monotonic()
        last = {pod.name: started + START_TIME for pod in pods}
        running: set[str] = set()
        while waiting := [pod for pod in pods if pod.answers is None]:
            self.progress(f"waiting for {len(waiting)} debug pod{'s' if len(waiting) > 1 else ''}")
            for namespace in dict.fromkeys(pod.batch.namespace for pod in waiting):
                mine = [pod for pod in waiting if pod.batch.namespace == namespace]
                try:
                    found = {raw["metadata"]["name"]: raw for raw in self._list(namespace)}
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
                    if raw.get("status", {}).get("phase") == "Running" and pod.name not in running:
                        running.add(pod.name)
                        last[pod.name] = time.monotonic() + script.seconds(pod.batch.requests) + 5.0
                    self._look(pod, raw, last[pod.name])
            if any(pod.answers is None for pod in pods):
                time.sleep(POLL)

    def _look(self, pod: _Pod, raw: Mapping[str, Any], last: float) -> None:
        status = raw.get("status") or {}
        phase = status.get("phase")
        # A second before the phase says so.
        ended = any((s.get("state") or {}).get("terminated") for s in status.get("containerStatuses") or ())
        if phase == "Succeeded" or (ended and not status.get("reason")):
            self._read(pod)
            return
        if phase == "Failed":
            pod.give_up(f"the debug pod failed: {status.get('reason')}: {status.get('message') or ''}".rstrip(": "))
            return
        reason = stuck(raw, self.image)
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
            log = self.kube.text(f"{_path(pod.batch.namespace, pod.name)}/log", max_bytes=MAX_LOG)
        except LbdoctorError as error:
            pod.give_up(error)
        else:
            pod.answers = script.parse(log, pod.batch.requests, pod.token, Transport.POD, pod.batch.node)

    def _list(self, namespace: str) -> Iterator[dict[str, Any]]:
        return self.kube.list(_path(namespace), {"labelSelector": f"{RUN_LABEL}={self.run}"})

    def _pull_secrets(self, batches: Sequence[Batch], namespace: str) -> list[str]:
        """Those of a target pod: an image from the same private registry can then be pulled. Best effort."""
        name = next((r.pod for b in batches if b.namespace == namespace for r in b.requests if r.pod), "")
        if not name:
            return []
        try:
            raw = self.kube.get(_path(namespace, name)) or {}
        except LbdoctorError:
            return []
        return [s["name"] for s in (raw.get("spec") or {}).get("imagePullSecrets") or () if s.get("name")]

    # --- Taking away ---

    def _remove(self, pods: Sequence[_Pod]) -> None:
        """Delete by name (also what may only seem not to have been created) and see that all are gone."""
        left = {pod.name: pod.batch.namespace for pod in pods if not pod.refused}
        made = len(left)
        deadline = time.monotonic() + GONE_TIME
        why = ""
        while left:
            for name, namespace in left.items():
                try:
                    self._delete(namespace, name)
                except WriteRefused as error:
                    why = error.message if error.http_status != 404 else why
                except LbdoctorError as error:
                    why = error.message
            try:
                found = {raw["metadata"]["name"] for n in dict.fromkeys(left.values()) for raw in self._list(n)}
                left = {name: namespace for name, namespace in left.items() if name in found}
            except LbdoctorError as error:
                why = why or error.message
            if not left or time.monotonic() > deadline:
                break
            time.sleep(POLL)
        for name, namespace in left.items():
            self.note(
                f"the debug pod {name} could not be removed: {why or 'it is still there'}; remove it with: "
                f"{kubectl('delete', 'pod', name, namespace=namespace)}"
            )
        if made and not left:
            self.note(f"removed: {made} debug pod{'s' if made > 1 else ''}")

    def _delete(self, namespace: str, name: str) -> None:
        body = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        self.kube.send("DELETE", _path(namespace, name), body=body)

    def remove_leftovers(self, namespace: str) -> None:
        """Remove debug pods of earlier runs that outlived their own deadline: their process was killed."""
        try:
            found = list(self.kube.list(_path(namespace), {"labelSelector": f"{LABEL}={NAME}"}))
        except LbdoctorError:
            return
        for raw in found:
            if not overdue(raw, self.now):
                continue
            name = raw["metadata"]["name"]
            by = (raw["metadata"].get("annotations") or {}).get(BY) or "unknown"
            try:
                self._delete(namespace, name)
                self.note(f"removed the debug pod {name} that a killed run of {by} had left")
            except LbdoctorError as error:
                self.note(f"the debug pod {name}, left by a killed run of {by}, could not be removed: {error.message}")


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
                "name": "probe",
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
    """Why a container will not start; "" while it may."""
    for status in (raw.get("status") or {}).get(statuses) or ():
        if name and status.get("name") != name:
            continue
        waiting = (status.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason") or "", " ".join(str(waiting.get("message") or "").split())
        if reason in _IMAGE:
            said = f": {message}" if message else ""
            return f"the image {image} cannot be pulled ({reason}{said}); choose another with --probe-image"
        if reason in _START:
            return f"the debug container does not start ({reason}: {message})"
    return ""


def unscheduled(raw: Mapping[str, Any]) -> str:
    """Why the scheduler finds no place for it; "" while it may."""
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return " ".join(str(condition.get("message") or condition.get("reason") or "unscheduled").split())
    return ""


def overdue(raw: Mapping[str, Any], now: str) -> bool:
    """Whether a debug pod is older than its own deadline, so that no run can still be waiting for it."""
    created, current = parse_time(raw["metadata"].get("creationTimestamp") or ""), parse_time(now)
    seconds = (raw.get("spec") or {}).get("activeDeadlineSeconds")
    if created is None or current is None or not isinstance(seconds, int):
        return False
    return (current - created).total_seconds() > seconds + START_TIME


# --- Signals ---------------------------------------------------------------------------------------------------------


def _signals() -> list[signal.Signals]:
    return [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does: with an exception, so that pods are removed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling(dict.fromkeys(_signals(), interrupt)):
        yield


@contextmanager
def uninterruptible() -> Iterator[None]:
    """Ctrl-C again does not stop the removal: it takes seconds at most."""

    def hold(number: int, frame: FrameType | None) -> None:
        os.write(2, b"removing debug pods, a moment\n")

    with _handling(dict.fromkeys((signal.SIGINT, *_signals()), hold)):
        yield


@contextmanager
def _handling(handlers: Mapping[int, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers can be set in the main thread only; there the caller is the one that is interrupted
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
