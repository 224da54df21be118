"""Who else writes an object: what Git, Helm or another tool owns takes a live change back. Pure.

Sources: the tools' own labels and annotations (Argo CD resource tracking, Flux kustomize- and helm-controller, Helm 3),
and metadata.managedFields, which names the manager of each field (Kubernetes server-side apply).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_lbdoctor.knowledge.managed_fields import covers, held_fields
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.record import record

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
    "crossplane": "Crossplane",
    "fleetagent": "Fleet",
    "kapp": "kapp",
}


FIELD_MANAGER = "kubectl-lbdoctor"
"""Under which name the API server notes what fixes write, in metadata.managedFields."""

_ANCIENT = "ancient-changes"
"""In which the API server sums up older managers (at most ten of updates are kept apart:
https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/capmanagers.go).
"""


@record
class GitOpsOwner:
    """The tool that owns an object, and where to change the value instead. owns_field: it is known to write the very
    field."""

    tool: str
    where: str
    owns_field: bool


def gitops_owner(raw: Mapping[str, Any], change: Change) -> GitOpsOwner | None:
    """The tool that would take the change back; None where no trace of one is found."""
    metadata = raw.get("metadata", {})
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    tool = where = ""
    instance = "argocd.argoproj.io/instance"
    application = (
        annotations.get("argocd.argoproj.io/tracking-id", "").partition(":")[0]  # "APP:GROUP/KIND:NAMESPACE/NAME"
        or labels.get(instance, "")
        or annotations.get(instance, "")
    )
    if application:
        tool, where = "Argo CD", f"Application {application}"
    elif "kustomize.toolkit.fluxcd.io/name" in labels:
        tool = "Flux"
        where = _flux("Kustomization", labels, "kustomize")
    elif "helm.toolkit.fluxcd.io/name" in labels:
        tool = "Flux"
        where = _flux("HelmRelease", labels, "helm")
    elif "meta.helm.sh/release-name" in annotations or labels.get("app.kubernetes.io/managed-by") == "Helm":
        tool = "Helm"
        where = f"release {annotations.get('meta.helm.sh/release-name', '')}".rstrip()
    managers = list(_managers_of(raw, change))
    owning = next((name for manager in managers for key, name in _MANAGERS.items() if key in manager.lower()), "")
    if not tool and owning:
        tool, where = owning, f"field manager {next(m for m in managers if any(k in m.lower() for k in _MANAGERS))}"
    return GitOpsOwner(tool, where, bool(owning)) if tool else None


def setter_of_another(raw: Mapping[str, Any], undoing: Change) -> str:
    """The field manager that has set a value which an undoing means to take back; "" where a fix may have done it.

    The manager of a value is who changed it last, whatever else of the object is changed afterwards. Nothing is told
    where the object names no managers, or a list only as a whole, and of values that are absent.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    """
    held = [*_held(raw)]
    for edit in undoing.edits:
        if edit.is_guard or edit.now is None:
            continue
        managers = {manager for manager, fields in held if any(covers(field, edit.pointer) for field in fields)}
        exact = [
            manager for manager, fields in held if any(f"{field}/".startswith(f"{edit.pointer}/") for field in fields)
        ]
        if exact and not {FIELD_MANAGER, _ANCIENT} & managers:
            return exact[0]
    return ""


def recorded_metadata(snapshot: Snapshot, ref: ObjectRef) -> dict[str, Any]:
    """An object of the bundle with its labels and annotations, which are all that it knows of who keeps it."""
    space = snapshot.namespaces.get(ref.namespace)
    metas = []
    if space is not None and ref.kind == "Ingress":
        metas = [ingress.meta for ingress in space.ingresses.peek() or ()]
    elif space is not None and ref.kind == "Service":
        metas = [service.meta for service in space.services.peek() or ()]
    found = next((meta for meta in metas if meta.name == ref.name), None)
    return {"metadata": {"labels": found.labels, "annotations": found.annotations} if found is not None else {}}


def _flux(kind: str, labels: Mapping[str, str], controller: str) -> str:
    prefix = f"{controller}.toolkit.fluxcd.io"
    return f"{kind} {labels.get(f'{prefix}/namespace', '')}/{labels.get(f'{prefix}/name', '')}"


def _managers_of(raw: Mapping[str, Any], change: Change) -> Iterator[str]:
    """The managers of any of the fields that the change writes."""
    pointers = [edit.pointer for edit in change.edits if not edit.is_guard]
    for manager, held in _held(raw):
        if any(covers(field, pointer) for field in held for pointer in pointers):
            yield manager


def _held(raw: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The managers that an object names, each with the pointers of the fields that it holds."""
    for entry in (raw.get("metadata") or {}).get("managedFields") or ():
        fields = entry.get("fieldsV1") if isinstance(entry, Mapping) else None
        if isinstance(fields, Mapping):
            yield str(entry.get("manager", "")), [*held_fields(fields, raw)]
