"""The cluster as it would be with manifests applied: their objects laid over what the API server answers.

Nothing is written. What the API server would fill in by itself, or an admission webhook would change, is not known: an
object that exists keeps what its manifest does not say, a new one has nothing else. The pods of a workload that is new
or changes are not known either: one pod made from its template stands for them, without a status.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from kubectl_lbdoctor.collect.converters import converter
from kubectl_lbdoctor.collect.kube_lists import Kube
from kubectl_lbdoctor.collect.served import AsWritten
from kubectl_lbdoctor.model.asked import Manifest
from kubectl_lbdoctor.model.k8s import TEMPLATE_POD
from kubectl_lbdoctor.model.kinds import DAEMON_SET, DEPLOYMENT, POD, REPLICA_SET, STATEFUL_SET, Kind

Raw = dict[str, Any]
Params = Mapping[str, str | int | bool]

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KEYS = ("name", "port", "containerPort", "host", "path")
"""What tells the items of a list apart, the first that all of them have."""


def applied(live: Raw | None, manifest: Raw) -> Raw:
    """The object as `kubectl apply` leaves it: fields of the manifest win, those that were applied before and are gone
    from it are removed, all others stay.

    https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#how-apply-calculates-differences-and-merges-changes
    """
    wanted = {key: value for key, value in manifest.items() if key != "status"}
    if live is None:
        return deepcopy(wanted)
    before = _last_applied(live)
    merged: Raw = _merged(live, wanted, before)
    return merged


def _last_applied(live: Raw) -> Any:
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    try:
        return json.loads(annotations.get(_LAST_APPLIED) or "null")
    except ValueError:
        return None


def _merged(live: Any, wanted: Any, before: Any) -> Any:
    if isinstance(live, dict) and isinstance(wanted, dict):
        old = before if isinstance(before, dict) else {}
        kept = {key: value for key, value in live.items() if key in wanted or key not in old}
        new = {key: _merged(live.get(key), value, old.get(key)) for key, value in wanted.items()}
        return {key: value for key, value in {**kept, **new}.items() if value is not None}
    if isinstance(live, list) and isinstance(wanted, list):
        return _merged_list(live, wanted, before if isinstance(before, list) else [])
    return deepcopy(wanted)


def _merged_list(live: list[Any], wanted: list[Any], before: list[Any]) -> list[Any]:
    """The wanted items, each with what the API server has filled into the one that it is."""
    everything = [*live, *wanted]
    key = next((k for k in _KEYS if all(isinstance(item, dict) and k in item for item in everything)), None)
    if key is None:
        same = len(live) == len(wanted)
        return [_merged(live[n], item, None) for n, item in enumerate(wanted)] if same else deepcopy(wanted)
    old = {item[key]: item for item in before if isinstance(item, dict) and key in item}
    by_key = {item[key]: item for item in live}
    return [_merged(by_key.get(item[key]), item, old.get(item[key])) for item in wanted]


def differences(live: Raw, manifest: Raw) -> tuple[str, ...]:
    """The fields, as far as they matter here, that applying the manifest would change ("spec.rules")."""
    merged = applied(live, manifest)
    return tuple(
        f"{part}.{key}"
        for part in ("metadata", "spec")
        for key in sorted({*(live.get(part) or {}), *(merged.get(part) or {})})
        if (live.get(part) or {}).get(key) != (merged.get(part) or {}).get(key)
    )


class AppliedKube:
    """A reader of the Kubernetes API whose answers hold the manifests. now: when new objects are made (RFC 3339)."""

    def __init__(self, kube: Kube, manifests: Sequence[Manifest], live: Mapping[int, Raw | None], now: str) -> None:
        """live: of each manifest, by its index, the object that exists; None or no entry where it is taken as new."""
        self._kube = kube
        self._laid: dict[str, list[Raw]] = {}
        self._gone: dict[str, set[str]] = {}
        for number, manifest in enumerate(manifests):
            existing = live.get(number)
            raw = applied(existing, manifest.raw)
            if existing is None:
                raw["metadata"]["creationTimestamp"] = now
            self._lay(manifest.kind, raw)
            if manifest.kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET) and raw != existing:
                self._lay(POD, _template_pod(manifest.kind, raw))
                self._gone.setdefault(POD.path(raw["metadata"].get("namespace", "")), set()).add(
                    raw["metadata"]["name"]
                )

    def _lay(self, kind: Kind, raw: Raw) -> None:
        namespace = raw["metadata"].get("namespace", "") if kind.namespaced else ""
        for path in {kind.path(), kind.path(namespace)}:
            self._laid.setdefault(path, []).append(AsWritten(raw))

    def list(self, path: str, params: Params | None = None) -> Iterator[Raw]:
        laid = self._laid.get(path, [])
        chosen = [raw for raw in laid if _is_selected(raw, params or {})]
        names = {_identity(raw) for raw in laid}
        leaving = self._gone.get(path, set())
        for raw in self._kube.list(path, params):
            if _identity(raw) not in names and not _belongs(raw, leaving):
                yield raw
        yield from deepcopy(chosen)

    def get(self, path: str, params: Params | None = None) -> Raw | None:
        collection, _, name = path.rpartition("/")
        for raw in self._laid.get(collection, ()):
            if raw["metadata"]["name"] == name:
                return deepcopy(raw)
        return self._kube.get(path, params)

    def text(self, path: str, params: Params | None = None, max_bytes: int = 1 << 20) -> str:
        return self._kube.text(path, params, max_bytes)


def _identity(raw: Raw) -> tuple[str, str]:
    metadata = raw.get("metadata") if isinstance(raw, dict) else None
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _belongs(raw: Raw, workloads: Iterable[str]) -> bool:
    """Whether a pod is one of these workloads, itself or by way of a ReplicaSet (NAME-HASH)."""
    owners = (raw.get("metadata") or {}).get("ownerReferences") or []
    names = {str(owner.get("name")) for owner in owners if isinstance(owner, dict)}
    return any(name == owner or owner.rpartition("-")[0] == name for name in workloads for owner in names)


def _is_selected(raw: Raw, params: Params) -> bool:
    """Whether the API server would select it. Of fields only those of names are laid over; labels are compared for
    equality, which is all that this program asks for besides what a user types."""
    labels, metadata = str(params.get("labelSelector") or ""), raw["metadata"]
    for term in filter(None, labels.split(",")):
        key, _, value = term.replace("==", "=").partition("=")
        if str((metadata.get("labels") or {}).get(key)) != value:
            return False
    fields = str(params.get("fieldSelector") or "")
    known = {"metadata.name": metadata.get("name"), "metadata.namespace": metadata.get("namespace")}
    return all(known.get(term.split("=")[0]) == term.split("=")[-1] for term in filter(None, fields.split(",")))


def _template_pod(kind: Kind, workload: Raw) -> Raw:
    """The pod that stands for those of a workload."""
    metadata, template = workload["metadata"], (workload.get("spec") or {}).get("template") or {}
    made = template.get("metadata") or {}
    return {
        "metadata": {
            "name": f"{metadata['name']}{TEMPLATE_POD}",
            "namespace": metadata.get("namespace", ""),
            "labels": made.get("labels") or {},
            "annotations": made.get("annotations") or {},
            "ownerReferences": [{"kind": kind.name, "name": metadata["name"], "controller": True}],
        },
        "spec": template.get("spec") or {},
    }


def is_same(kind: Kind, live: Raw, manifest: Raw) -> bool:
    """Whether applying the manifest would leave all that matters here as it is."""
    convert = converter(kind)
    try:
        return bool(convert(applied(live, manifest)) == convert(live))
    except ValueError:
        return False
