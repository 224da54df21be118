"""Who else writes an object: what Git, Helm or another tool owns takes a live change back. Pure.

Sources: the tools' own labels and annotations (Argo CD resource tracking, Flux kustomize- and helm-controller, Helm 3),
and metadata.managedFields, which names the manager of each field (Kubernetes server-side apply).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_lbdoctor.model.plan import Change, unescape

# managedFields managers of tools that apply from a source of their own, by a part of their names.
_MANAGERS = {
    "argocd": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux (HelmRelease)",
    "terraform": "Terraform",
    "pulumi": "Pulumi",
    "config-sync": "Config Sync",
    "configsync": "Config Sync",
    "helm": "Helm",
}


@dataclass(frozen=True, slots=True)
class SourceOwner:
    """The tool that owns an object, and where to change the value instead."""

    tool: str
    where: str
    owns_field: bool


def source_owner(raw: Mapping[str, Any], change: Change) -> SourceOwner | None:
    """The tool that would take the change back; None where no trace of one is found."""
    metadata = raw.get("metadata", {})
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    tool = where = ""
    if "argocd.argoproj.io/tracking-id" in annotations or "argocd.argoproj.io/instance" in labels:
        application = annotations.get("argocd.argoproj.io/tracking-id", "").partition(":")[0]
        tool, where = "Argo CD", f"Application {application or labels.get('argocd.argoproj.io/instance', '')}"
    elif "kustomize.toolkit.fluxcd.io/name" in labels:
        tool = "Flux"
        where = _flux("Kustomization", labels, "kustomize")
    elif "helm.toolkit.fluxcd.io/name" in labels:
        tool = "Flux"
        where = _flux("HelmRelease", labels, "helm")
    elif "meta.helm.sh/release-name" in annotations or labels.get("app.kubernetes.io/managed-by") == "Helm":
        tool = "Helm"
        where = f"release {annotations.get('meta.helm.sh/release-name', '')}".rstrip()
    managers = list(_managers_of(metadata.get("managedFields") or [], change))
    owning = next((name for manager in managers for key, name in _MANAGERS.items() if key in manager.lower()), "")
    if not tool and owning:
        tool, where = owning, f"field manager {next(m for m in managers if any(k in m.lower() for k in _MANAGERS))}"
    return SourceOwner(tool, where, bool(owning)) if tool else None


def _flux(kind: str, labels: Mapping[str, str], controller: str) -> str:
    prefix = f"{controller}.toolkit.fluxcd.io"
    return f"{kind} {labels.get(f'{prefix}/namespace', '')}/{labels.get(f'{prefix}/name', '')}"


def _managers_of(entries: list[Mapping[str, Any]], change: Change) -> Iterator[str]:
    """The managers of any of the fields that the change edits."""
    for entry in entries:
        fields = entry.get("fieldsV1") or {}
        if any(_owns(fields, edit.pointer) for edit in change.edits):
            yield str(entry.get("manager", ""))


def _owns(fields: Mapping[str, Any], pointer: str) -> bool:
    """Whether a managedFields tree holds the field at this pointer (list items by key count as their list)."""
    node: Any = fields
    for segment in pointer.split("/")[1:]:
        key = f"f:{unescape(segment)}"
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        else:
            # An atomic value above it, or an item of a list that is keyed otherwise than by position.
            return isinstance(node, Mapping) and node is not fields and (not node or any(k[:2] == "k:" for k in node))
    return True
