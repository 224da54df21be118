"""An ephemeral container in the target pod: its listening sockets, and its health check on its own loopback.

It cannot be removed again: it stays listed in the pod, ended, until the pod goes. So it is only made when asked for.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from kubectl_lbdoctor.collect.fields import NotUnderstood, mapping, objects
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.errors import LbdoctorError, ReadDenied, WriteRefused
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.probe import SOCKETS, ProbeAnswer, ProbeRequest, Socket, Transport, inconclusive
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe import script, sockets
from kubectl_lbdoctor.probe.pods import MAX_LOG, POLL, SECURITY, START_TIME, Note, stuck

Found = tuple[tuple[ProbeAnswer, ...], Fact[tuple[Socket, ...]]]


def look(
    kube: KubeReader, pod: str, namespace: str, requests: tuple[ProbeRequest, ...], image: str, note: Note
) -> Found:
    """The answers of the pod on its loopback, and where it listens."""
    note(
        f"adding an ephemeral container to pod {pod} in namespace {namespace} (image {image}); it ends by itself, "
        "and stays listed in the pod until the pod is deleted"
    )
    name = f"lbdoctor-{secrets.token_hex(4)}"
    token = f"LBD{secrets.token_hex(8)}"
    path = kinds.POD.path(namespace, pod)
    body = {"spec": {"ephemeralContainers": [_container(name, image, script.script(requests, token, True, True))]}}
    kind = "application/strategic-merge-patch+json"
    try:
        kube.send("PATCH", f"{path}/ephemeralcontainers", body=body, content_type=kind)
        _wait(kube, path, name, image, script.seconds(requests))
        log = kube.text(f"{path}/log", {"container": name}, max_bytes=MAX_LOG)
    except ReadDenied as error:
        denied = _inconclusive(requests, error.message, error.permission)
        return denied, Fact.denied(SOCKETS, error.message, error.permission, f"{namespace}/{pod}")
    except WriteRefused as error:
        reason = f"the cluster does not admit the ephemeral container: {error.message}"
        return _inconclusive(requests, reason), Fact.failed(SOCKETS, reason, f"{namespace}/{pod}")
    except LbdoctorError as error:
        return _inconclusive(requests, error.message), Fact.failed(SOCKETS, error.message, f"{namespace}/{pod}")
    answers = script.parse(log, requests, token, Transport.CONTAINER)
    if f"{token} " not in log:
        return answers, Fact.failed(SOCKETS, "the ephemeral container wrote nothing", f"{namespace}/{pod}")
    listening = sockets.parse(script.socket_lines(log, token))
    return answers, Fact.known(SOCKETS, listening, f"{namespace}/{pod}")


def _container(name: str, image: str, command: str) -> dict[str, Any]:
    """Ephemeral containers take no resources."""
    return {
        "name": name,
        "image": image,
        "command": ["/bin/sh", "-c", command],
        "securityContext": dict(SECURITY),
        "terminationMessagePolicy": "File",
    }


class _NotStarted(LbdoctorError):
    """The ephemeral container did not run."""


def _wait(kube: KubeReader, path: str, name: str, image: str, seconds: float) -> None:
    """Until the container has ended. Raises LbdoctorError when it does not."""
    last = time.monotonic() + START_TIME + seconds
    while True:
        raw = kube.get(path)
        if raw is None:
            raise _NotStarted("the pod is gone")
        try:
            for status in objects(mapping(raw, "status"), "ephemeralContainerStatuses"):
                if status.get("name") == name and mapping(mapping(status, "state"), "terminated"):
                    return
            reason = stuck(raw, image, "ephemeralContainerStatuses", name)
        except NotUnderstood as error:
            raise _NotStarted(f"what the API server says of the pod cannot be understood ({error})") from error
        if reason:
            raise _NotStarted(reason)
        if time.monotonic() > last:
            raise _NotStarted("the ephemeral container did not end in time")
        time.sleep(POLL)


def _inconclusive(
    requests: tuple[ProbeRequest, ...], reason: str, permission: Permission | None = None
) -> tuple[ProbeAnswer, ...]:
    return tuple(inconclusive(r, Transport.CONTAINER, reason, permission=permission) for r in requests)
