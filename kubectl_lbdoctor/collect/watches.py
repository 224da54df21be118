"""What tells a watching scan that something has changed: watches of the objects that decide which targets there are.

A watch carries no state here, only that there is news: which target is healthy is what the next scan reads. So objects
come as metadata alone, nothing of them is kept, and a watch that is denied only makes the scan later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from kubectl_lbdoctor.collect.fields import mapping, text
from kubectl_lbdoctor.errors import ApiMissing, LbdoctorError, ReadDenied, ReadFailed
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.kinds import Kind

WATCHED = tuple(served for name in reads.WATCHED for kind in reads.KUBE[name].kinds for served in (kind, *kind.twins))

_PARAMS = {kinds.EVENT: {"fieldSelector": "type=Warning"}}

_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""Objects without spec and status: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

WATCH_SECONDS, SILENCE = 240, 300.0
"""For how long a watch is asked for, and after which silence its connection counts as dropped: bookmarks come about
once a minute."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a watch that broke is begun again; the pause doubles up to the longest."""

_GONE = 410


class Kube(Protocol):
    """What is needed of `collect.kubernetes_api.client.KubeReader`."""

    def get(self, path: str, params: Any = None) -> dict[str, Any] | None: ...

    def watch(self, path: str, params: Any, accept: str, silence: float) -> Iterator[bytes]: ...


class Watches:
    """Watches of one namespace, "" for all of them, each on a thread of its own until `close`."""

    def __init__(self, kube: Kube, namespace: str, watched: tuple[Kind, ...] = WATCHED) -> None:
        self._kube = kube
        self._namespace = namespace
        self._watched = watched
        self._changed = threading.Event()
        self._closed = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        for kind in self._watched:
            threading.Thread(target=self._follow, args=(kind,), name=f"watch {kind.plural}", daemon=True).start()

    def close(self) -> None:
        """End all watches; those that wait for a byte end with the next one."""
        self._closed.set()

    @property
    def changed(self) -> bool:
        """Whether there is news since `forget`."""
        return self._changed.is_set()

    def forget(self) -> None:
        """What has changed so far is looked at now."""
        self._changed.clear()

    def _follow(self, kind: Kind) -> None:
        """Watch one kind, and begin again whatever ends it but a denial or a missing API: credentials are those of the
        time of each beginning."""
        version, pause = "", FIRST_PAUSE
        while not self._closed.is_set():
            try:
                version = version or self._present(kind)
                for event in self._events(kind, version):
                    version, pause = self._after(event, version), FIRST_PAUSE
                    if self._closed.is_set() or not version:
                        break
                # What ends without a word is a proxy that knows no watches, or a server that has too many of them.
                self._closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except (ReadDenied, ApiMissing):
                return
            except (LbdoctorError, ValueError):
                # What happened meanwhile is not known: the next scan looks.
                version = ""
                self._changed.set()
                self._closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _present(self, kind: Kind) -> str:
        """The version of the collection as it is now, from where on it is watched."""
        page = self._kube.get(kind.path(self._namespace), {"limit": 1}) or {}
        return text(mapping(page, "metadata"), "resourceVersion") or "0"

    def _events(self, kind: Kind, version: str) -> Iterator[dict[str, Any]]:
        import orjson

        params = {
            **_PARAMS.get(kind, {}),
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }
        for line in self._kube.watch(kind.path(self._namespace), params, _METADATA, SILENCE):
            event = orjson.loads(line)
            if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
                raise ValueError("an event without an object")
            yield event

    def _after(self, event: dict[str, Any], version: str) -> str:
        """The version after an event, "" where the watch has expired and begins anew. Raises ReadFailed for what else
        ends it."""
        item = event["object"]
        if event.get("type") == "ERROR":
            self._changed.set()
            if item.get("code") != _GONE:
                raise ReadFailed("the watch ended with an error")
            return ""
        if event.get("type") != "BOOKMARK":
            self._changed.set()
        return text(mapping(item, "metadata"), "resourceVersion") or version


def news(follow: Watches, least: float, most: float, sleep: Callable[[float], None]) -> bool:
    """Wait until something has changed, but no less than `least` and no longer than `most` seconds. Whether it has."""
    waited = 0.0
    while waited < most and not (waited >= least and follow.changed):
        step = min(1.0, most - waited)
        sleep(step)
        waited += step
    return follow.changed
