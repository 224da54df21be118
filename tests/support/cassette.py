"""A world: a recorded cluster with its AWS side as raw objects, and readers that answer from it as the APIs do.

A world is a folder that a person can read and change: `kubernetes.yaml` (manifests as kubectl prints them), `aws.yaml`
(records as boto3 gives them, one list per kind), `controller.log`, and `world.yaml` (subjects, namespace, clock). What
all worlds share, the nodes and the controller, stands once in the world that `extends` names. A world is closed: what
it does not hold does not exist; but a kind of object that was never recorded, or an operation or filter that the
readers do not know, fails the test that asked for it.
"""

from __future__ import annotations

import copy
import fnmatch
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import auto_mode, ipv6
from tests.support.api_lists import by_labels
from tests.support.product import ApiMissing, Permission, ReadDenied, ReadFailed, permission_of

WORLDS = Path(__file__).parent.parent / "worlds"

Object = dict[str, Any]

_PLURALS = {
    "Ingress": "ingresses",
    "IngressClass": "ingressclasses",
    "GatewayClass": "gatewayclasses",
    "IngressClassParams": "ingressclassparams",
    "NetworkPolicy": "networkpolicies",
}
# Without a meaning for what is answered: the size of pages and how fresh the answer has to be.
_WITHOUT_MEANING = {"limit", "resourceVersion", "resourceVersionMatch"}


class NotRecorded(AssertionError):
    """The product asked for something that the world has no answer to."""


def plural(kind: str) -> str:
    """The resource of a kind, as in URLs."""
    return _PLURALS.get(kind, f"{kind.lower()}s")


def collection_of(item: Mapping[str, Any]) -> str:
    """The collection that an object is in, without its namespace: "v1/pods"."""
    return f"{item['apiVersion']}/{plural(item['kind'])}"


@dataclass
class World:
    """All objects of a cluster, its AWS records by kind, the controller's log, and what a reader may not do.

    collections: the resources ("v1/pods") of which the world holds all objects. denied and failing: patterns of
    permissions ("list pods in namespace shop", "elasticloadbalancing:DescribeTargetHealth"). missing_apis: groups with
    their version that the cluster does not serve ("elbv2.k8s.aws/v1beta1").
    """

    name: str
    subjects: list[tuple[str, str, str]]
    namespace: str
    clock: str
    objects: list[Object] = field(default_factory=list)
    collections: set[str] = field(default_factory=set)
    aws: dict[str, list[Object]] = field(default_factory=dict)
    log: str = ""
    denied: list[str] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)
    missing_apis: list[str] = field(default_factory=list)

    def refuse(self, permission: Permission) -> None:
        """Raise what a reader raises where this permission is denied or the read fails."""
        if any(fnmatch.fnmatchcase(str(permission), pattern) for pattern in self.denied):
            raise ReadDenied(f"{permission} is denied", permission)
        if any(fnmatch.fnmatchcase(str(permission), pattern) for pattern in self.failing):
            raise ReadFailed(f"{permission} timed out")


def load(name: str) -> World:
    """A world of tests/worlds, as a copy that may be changed."""
    return copy.deepcopy(_loaded(name))


@functools.cache
def _loaded(name: str) -> World:
    folder = WORLDS / name
    about = yaml.load((folder / "world.yaml").read_text(), yaml.CSafeLoader)
    world = World(name, [], about.get("namespace", ""), about.get("clock", ""))
    if "extends" in about:
        shared = _loaded(about["extends"])
        world.objects += copy.deepcopy(shared.objects)
        world.collections |= shared.collections
        world.aws.update({kind: list(records) for kind, records in shared.aws.items()})
    world.subjects = [parse_object(text, world.namespace) for text in about.get("subjects", ())]
    world.collections |= set(about.get("collections", ()))
    objects = folder / "kubernetes.yaml"
    if objects.exists():
        world.objects += [item for item in yaml.load_all(objects.read_text(), yaml.CSafeLoader) if item]
    records = folder / "aws.yaml"
    if records.exists():
        for kind, entries in (yaml.load(records.read_text(), yaml.CSafeLoader) or {}).items():
            world.aws.setdefault(kind, [])
            world.aws[kind] = [*world.aws[kind], *entries]
    log = folder / "controller.log"
    world.log = log.read_text() if log.exists() else ""
    if "as" in about:
        _CONVERSIONS[about["as"]](world)
    return world


_CONVERSIONS = {"auto-mode": auto_mode.convert, "ipv6": ipv6.convert}
"""What a world may be, made of another one: `as` in its world.yaml."""


def parse_object(text: str, namespace: str) -> tuple[str, str, str]:
    """ "Kind/name" or "Kind/namespace/name" as (kind, namespace, name). AWS's own have ARNs, whose slashes stay."""
    kind, _, rest = text.partition("/")
    if kind in ("TargetGroup", "LoadBalancer"):
        return kind, namespace, rest
    space, slash, name = rest.partition("/")
    return (kind, space, name) if slash else (kind, namespace, space)


class ReplayKube:
    """Reads of the Kubernetes API, answered from a world: the interface of `kubernetes_api.client.KubeReader`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Object | None:
        self._world.refuse(permission_of("get", path))
        if path == f"/apis/{auto_mode.GROUP}":
            return self._discovered()
        if path.startswith("/apis/") and path.count("/") == 2:
            return self._group(path.removeprefix("/apis/"))
        collection, namespace, name = self._parsed(path)
        if not name or params:
            raise NotRecorded(f"world {self._world.name} has no answer to get {path} {dict(params or {})}")
        for item in self._in(collection):
            if item["metadata"]["name"] == name and item["metadata"].get("namespace", "") == namespace:
                return copy.deepcopy(item)
        return None

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Object]:
        self._world.refuse(permission_of("list", path))
        collection, namespace, name = self._parsed(path)
        query = {key: str(value) for key, value in (params or {}).items() if key not in _WITHOUT_MEANING}
        selector = query.pop("labelSelector", "")
        fields = query.pop("fieldSelector", "")
        if name or query:
            raise NotRecorded(f"world {self._world.name} has no answer to list {path} {query}")
        labelled = by_labels(selector)
        for item in self._in(collection):
            metadata = item["metadata"]
            if namespace and metadata.get("namespace", "") != namespace:
                continue
            if labelled(item) and _has_fields(item, fields):
                # The API server leaves kind and apiVersion out of the items of a list.
                yield {key: copy.deepcopy(part) for key, part in item.items() if key not in ("kind", "apiVersion")}

    def text(self, path: str, params: Mapping[str, Any] | None = None, max_bytes: int = 1 << 20) -> str:
        self._world.refuse(permission_of("get", path))
        if not path.endswith("/log"):
            raise NotRecorded(f"world {self._world.name} has no answer to get {path}")
        if "/namespaces/kube-system/pods/" in path:
            return self._world.log[:max_bytes]
        return ""

    def _discovered(self) -> Object:
        """What the API server says of Auto Mode's group: nothing where the cluster has none of its objects."""
        if not self._has_auto_mode():
            raise ApiMissing(f"the cluster does not serve {auto_mode.GROUP}")
        return {"kind": "APIGroup", "name": auto_mode.GROUP}

    def _group(self, name: str) -> Object:
        """Discovery of another API group, which everybody may ask."""
        if any(served.startswith(f"{name}/") for served in self._world.missing_apis):
            raise ApiMissing(f"the cluster does not serve {name}")
        return {"kind": "APIGroup", "name": name}

    def _has_auto_mode(self) -> bool:
        return any(item["apiVersion"].startswith(f"{auto_mode.GROUP}/") for item in self._world.objects)

    def _in(self, collection: str) -> Iterator[Object]:
        if collection.startswith(f"{auto_mode.GROUP}/"):
            if not self._has_auto_mode():
                raise ApiMissing(f"the cluster does not serve {collection}")
            yield from (item for item in self._world.objects if collection_of(item) == collection)
            return
        if collection.rpartition("/")[0] in self._world.missing_apis:
            raise ApiMissing(f"the cluster does not serve {collection}")
        if self._in_another_version(collection):
            raise ApiMissing(f"the cluster serves {collection} in another version")
        if collection not in self._world.collections:
            raise NotRecorded(f"world {self._world.name} has no {collection}: record it again")
        yield from (item for item in self._world.objects if collection_of(item) == collection)

    def _in_another_version(self, collection: str) -> bool:
        """Whether the world knows the resource, served or not, in another version of its API alone."""
        group, resource = collection.split("/")[0], collection.rpartition("/")[2]
        same = [known for known in self._world.collections if known.split("/")[0] == group]
        return collection not in same and any(known.rpartition("/")[2] == resource for known in same)

    def _parsed(self, path: str) -> tuple[str, str, str]:
        """The collection, namespace and name that a URL path asks for."""
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) > 2:
            version, rest = parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            version, rest = "/".join(parts[1:3]), parts[3:]
        else:
            raise NotRecorded(f"world {self._world.name} has no answer to {path}")
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if len(rest) > 2:
            raise NotRecorded(f"world {self._world.name} has no answer to {path}")
        return f"{version}/{rest[0]}", namespace, rest[1] if len(rest) > 1 else ""


_FIELDS = {
    *("metadata.name", "metadata.namespace", "spec.nodeName", "type", "reason"),
    *("involvedObject.name", "involvedObject.kind"),
}


def _has_fields(item: Object, selector: str) -> bool:
    """Whether an object has the fields of a field selector ("type!=Normal,involvedObject.kind=Pod")."""
    for part in filter(None, selector.split(",")):
        path, _, value = part.replace("!=", "=").partition("=")
        if path not in _FIELDS:
            raise NotRecorded(f"the cassette does not know the field selector {selector!r}")
        found: Any = item
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if (str(found or "") == value) is ("!=" in part):
            return False
    return True
