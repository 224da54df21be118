"""Where names are looked up: in the cluster, by lists that the API server filters, or in what a bundle holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from kubectl_lbdoctor.collect.converters import converter
from kubectl_lbdoctor.collect.served_lists import Lists, objects_of
from kubectl_lbdoctor.collect.sieve import Sieve
from kubectl_lbdoctor.errors import CouldNotRun, ReadDenied
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.kinds import Kind
from kubectl_lbdoctor.model.snapshot import GatewayFacts, Snapshot

Objects = Fact[tuple[Any, ...]]


class Inventory(Protocol):
    """Objects of a kind, as records. narrowed: why `everywhere` has last given one namespace's alone, None where it has
    not: what is not among them may be in another."""

    narrowed: ReadDenied | None

    def listed(self, kind: Kind, namespace: str, labels: str = "", fields: str = "") -> Objects:
        """Those of one namespace ("": of all, or of a kind without namespaces) that the selectors take."""

    def everywhere(self, kind: Kind, namespace: str) -> Objects:
        """Those of all namespaces; where these may not be listed, those of the given one."""


class ClusterInventory:
    """The cluster. Each call is one list; it raises what the read raises, and gives nothing for a kind that the cluster
    does not serve."""

    def __init__(self, kube: Lists) -> None:
        self._kube = kube
        self.narrowed: ReadDenied | None = None

    def listed(self, kind: Kind, namespace: str, labels: str = "", fields: str = "") -> Objects:
        given = {"labelSelector": labels, "fieldSelector": fields}
        params = {key: value for key, value in given.items() if value}
        if fields and not namespace and kind.namespaced:
            # For one object, without this all of them are read from etcd: ten seconds of 10,000 pods, not half of one.
            # https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list
            params["resourceVersion"] = "0"
        sieve = Sieve(kind.plural)
        found = tuple(sieve.through(objects_of(self._kube, kind, namespace, params), converter(kind)))
        return sieve.marked(Fact.by_definition(found))

    def everywhere(self, kind: Kind, namespace: str) -> Objects:
        try:
            return self.listed(kind, "")
        except ReadDenied as error:
            if not namespace:
                raise
            found = self.listed(kind, namespace)
            self.narrowed = error
            return found


_KEPT_IN = {
    kinds.INGRESS: "ingresses",
    kinds.SERVICE: "services",
    kinds.TARGET_GROUP_BINDING: "bindings",
    kinds.POD: "pods",
    kinds.ENDPOINT_SLICE: "slices",
    **dict.fromkeys((kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.REPLICA_SET), "workloads"),
}


_OF_GATEWAY_API = {
    kinds.GATEWAY: "gateways",
    kinds.LISTENER_SET: "listener_sets",
    **dict.fromkeys(kinds.ROUTES, "routes"),
}


class BundleInventory:
    """What a bundle holds. Raises CouldNotRun for what it does not hold, or cannot select."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.narrowed: ReadDenied | None = None

    def listed(self, kind: Kind, namespace: str, labels: str = "", fields: str = "") -> Objects:
        if labels:
            raise CouldNotRun("a bundle cannot be searched by labels", "name the objects, or leave them out for all")
        if kind is kinds.NAMESPACE:
            spaces = (facts.namespace.peek() for facts in self._snapshot.namespaces.values())
            return Fact.by_definition(tuple(space for space in spaces if space is not None))
        if kind is kinds.NODE:
            facts: list[Objects] = [self._snapshot.cluster.nodes]
        elif kind is kinds.INGRESS_CLASS:
            facts = [self._snapshot.cluster.ingress_classes]
        elif kind is kinds.INGRESS_CLASS_PARAMS:
            facts = [self._snapshot.cluster.class_params]
        elif kind in _OF_GATEWAY_API:
            whole: Objects = getattr(self._snapshot.gateway_api, _OF_GATEWAY_API[kind])
            if self._snapshot.gateway_api == GatewayFacts():
                whole = Fact.by_definition(())  # Nothing of it was read, because no subject is of it.
            facts = [whole.map(lambda entries: tuple(e for e in entries if namespace in ("", e.meta.namespace)))]
        else:
            kept = self._snapshot.namespaces
            facts = [getattr(kept[name], _KEPT_IN[kind]) for name in kept if namespace in ("", name)]
        found: Objects = joined("bundle", facts)
        if not found.is_known:
            raise CouldNotRun(f"the bundle does not hold the {kind.plural}: {found.why}", "name an object of it")
        wanted = dict(part.split("=", 1) for part in fields.replace("==", "=").split(",") if "=" in part)
        return found.map(lambda objects: tuple(o for o in objects if _is_of(o, kind) and _has(o, wanted)))

    def everywhere(self, kind: Kind, namespace: str) -> Objects:
        return self.listed(kind, "")


def _is_of(record: Any, kind: Kind) -> bool:
    """Workloads of all kinds are kept together, and know theirs."""
    return getattr(record, "kind", kind.name) == kind.name


def _has(record: Any, wanted: Mapping[str, str]) -> bool:
    """Whether a record has these fields; one that is not known selects nothing, as with the API server."""
    known = {
        "metadata.name": record.meta.name,
        "metadata.namespace": record.meta.namespace,
        "spec.nodeName": getattr(record, "node", None),
    }
    return all(known.get(field) == value for field, value in wanted.items())
