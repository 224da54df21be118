"""What the manifests of `-f` ask about: what is live where it exists, and what it would be once they are applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.collect import manifests
from kubectl_lbdoctor.collect.overlay import differences, is_same
from kubectl_lbdoctor.collect.served_lists import Lists, objects_of
from kubectl_lbdoctor.collect.sieve import object_name
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ReadDenied, UsageError
from kubectl_lbdoctor.model.asked import Asked, LeadingTo, Manifest, Named
from kubectl_lbdoctor.model.kinds import INGRESS, LEADS_TO_SUBJECTS, NAMESPACE, SERVICE, TARGET_GROUP_BINDING, Kind
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import LaidObject
from kubectl_lbdoctor.options import ObjectOptions
from kubectl_lbdoctor.record import record

FLAG = "--before-apply"


@record
class Files:
    """manifests: with their namespaces. live: of each one, by its index, the object that exists, None where it does
    not; what may not be read has no entry, and is taken to exist. planned: what is asked about is the cluster as it
    would be with them applied."""

    manifests: Sequence[Manifest]
    live: Mapping[int, dict[str, Any] | None]
    planned: bool

    @property
    def question(self) -> tuple[Asked, ...]:
        """The frontends among them, and what leads to their workloads and Services."""
        found: list[Asked] = []
        for number, manifest in enumerate(self.manifests):
            if self.planned or self.live.get(number, {}) is not None:
                found += _asked(manifest, self.live.get(number) if not self.planned else None)
        return tuple(dict.fromkeys(found))

    @property
    def laid(self) -> tuple[LaidObject, ...]:
        """What is laid over the facts."""
        return tuple(LaidObject(_ref(manifest), manifest.place) for manifest in self.manifests) if self.planned else ()

    @property
    def missing(self) -> tuple[CouldNotRun, ...]:
        """Frontends that are not live while others are, and so are not diagnosed."""
        return tuple(
            CouldNotRun(
                f"{_ref(manifest)} of {manifest.place} does not exist in namespace {_ref(manifest).namespace}",
                f"{FLAG} tells what would be wrong with it",
            )
            for number, manifest in enumerate(self.manifests)
            if not self.planned and _is_frontend(manifest) and self.live.get(number, {}) is None
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """How the manifests and the cluster differ."""
        if self.planned:
            places = ", ".join(dict.fromkeys(manifest.place for manifest in self.manifests))
            return (f"not applied: this is what would be wrong with {places}, as far as it can be seen before",)
        return tuple(
            f"{_ref(manifest)} of {manifest.place} differs from what is live ({', '.join(fields)}): what is live is "
            f"diagnosed, {FLAG} tells of the manifest"
            for number, manifest in enumerate(self.manifests)
            if (live := self.live.get(number)) is not None
            and not is_same(manifest.kind, live, manifest.raw)
            and (fields := differences(live, manifest.raw))
        )


def read(options: ObjectOptions, env: Environment, kube: Lists, namespace: str, chosen: bool) -> Files:
    """The manifests of -f and what is live of them. chosen: the namespace was given with -n.

    Raises UsageError for what is no manifest, or is of another namespace than -n says.
    """
    found = tuple(
        _homed(manifest, namespace, chosen) for manifest in manifests.read(options.files, options.recursive, env.stdin)
    )
    live = _live(kube, found)
    frontends = [n for n, m in enumerate(found) if _is_frontend(m)] or [*range(len(found))]
    absent = all(live.get(number, {}) is None for number in frontends)
    return Files(found, live, options.before_apply or absent)


def _homed(manifest: Manifest, namespace: str, chosen: bool) -> Manifest:
    """The manifest with its namespace: its own, else that of the run."""
    if not manifest.kind.namespaced:
        return manifest
    raw = deepcopy(manifest.raw)
    own = str(raw["metadata"].get("namespace") or "")
    if chosen and own not in ("", namespace):
        raise UsageError(
            f'{manifest.place}: {manifest.kind.singular}/{raw["metadata"]["name"]} is of namespace "{own}", '
            f'and -n says "{namespace}"',
            f"leave -n out, or say -n {own}",
        )
    raw["metadata"]["namespace"] = own or namespace
    return replace(manifest, raw=raw)


def _live(kube: Lists, found: Sequence[Manifest]) -> dict[int, dict[str, Any] | None]:
    """One list for each kind and namespace."""
    listed: dict[tuple[Kind, str], dict[str, dict[str, Any]] | None] = {}
    live: dict[int, dict[str, Any] | None] = {}
    for number, manifest in enumerate(found):
        ref = _ref(manifest)
        place = (manifest.kind, ref.namespace)
        if place not in listed:
            listed[place] = _by_name(kube, *place)
        names = listed[place]
        if names is not None:
            live[number] = names.get(ref.name)
    return live


def _by_name(kube: Lists, kind: Kind, namespace: str) -> dict[str, dict[str, Any]] | None:
    """None where it may not be read."""
    try:
        return {object_name(raw): raw for raw in objects_of(kube, kind, namespace)}
    except ReadDenied:
        return None


def _ref(manifest: Manifest) -> ObjectRef:
    metadata = manifest.raw["metadata"]
    return ObjectRef(manifest.kind.name, str(metadata.get("namespace") or ""), str(metadata["name"]))


def _is_frontend(manifest: Manifest, live: dict[str, Any] | None = None) -> bool:
    """Whether a load balancer is made from it."""
    if manifest.kind is SERVICE:
        types = [(raw.get("spec") or {}).get("type") for raw in (manifest.raw, live or {}) if isinstance(raw, dict)]
        return "LoadBalancer" in types
    return manifest.kind in (INGRESS, TARGET_GROUP_BINDING)


def _asked(manifest: Manifest, live: dict[str, Any] | None) -> tuple[Asked, ...]:
    ref = _ref(manifest)
    if _is_frontend(manifest, live):
        return (Named(manifest.kind, ref.name, ref.namespace),)
    if manifest.kind is SERVICE or (manifest.kind in LEADS_TO_SUBJECTS and manifest.kind is not NAMESPACE):
        return (LeadingTo(manifest.kind, ref.name, ref.namespace),)
    return ()
