"""The list of a kind in whatever versions and groups of its API a cluster serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from kubectl_lbdoctor.errors import ApiMissing, LbdoctorError, ReadDenied
from kubectl_lbdoctor.model.kinds import BUILT_IN_GROUPS, Kind


class Lists(Protocol):
    """What is needed of `collect.kubernetes_api.client.KubeReader`."""

    def get(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> dict[str, Any] | None: ...

    def list(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> Iterable[dict[str, Any]]: ...


def objects_of(
    kube: Lists, kind: Kind, namespace: str = "", params: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """All objects of a kind as the API server gives them, in the newest version that the cluster serves, and those of
    its twins in other API groups; none where it serves no such kind. What is of a twin says its apiVersion, which the
    API server may leave out of lists.

    Raises what `KubeReader.list` raises. RBAC is asked before the API server looks for the group: a denial for a group
    that the cluster does not serve is none.
    """
    for served in (kind, *kind.twins):
        try:
            for version, raw in _newest(kube, served, namespace, params):
                yield raw if served is kind else {**raw, "apiVersion": f"{served.group}/{version}"}
        except ReadDenied:
            if served.group in BUILT_IN_GROUPS or _is_served(kube, served.group):
                raise


def _newest(
    kube: Lists, kind: Kind, namespace: str, params: Mapping[str, str] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    for version in kind.versions:
        try:
            for raw in kube.list(kind.path(namespace, version=version), dict(params) if params else None):
                yield version, raw
            return
        except ApiMissing:
            continue


def _is_served(kube: Lists, group: str) -> bool:
    """Whether the cluster serves an API group, by discovery, which everybody may ask; True where it does not tell.

    https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles
    """
    try:
        return kube.get(f"/apis/{group}") is not None
    except ApiMissing:
        return False
    except LbdoctorError:
        return True
