"""A Kubernetes API server over real HTTP, small and in memory.

It is no kmock: it must speak the API server's exact refusals and list as the real one does, fail one read in one
namespace while the same resource is served elsewhere, and be asked from threads. How it answers was compared with a
1.34 API server.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.support import api_lists
from tests.support.api_http import HttpServer, Stream, as_json
from tests.support.api_requests import Answer, Asked, about, no_such_path, not_found, rbac_resource, refusal
from tests.support.faults import SLOW, KubeFault
from tests.support.json_patch import operate
from tests.support.pods import Pods
from tests.support.roles import Role
from tests.support.shop import LONG_AGO, NS

Raw = dict[str, Any]

_KINDS = {
    ("", "v1"): {
        "events": "Event",
        "namespaces": "Namespace",
        "nodes": "Node",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    ("admissionregistration.k8s.io", "v1"): {
        "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
        "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
    },
    ("apps", "v1"): {
        "daemonsets": "DaemonSet",
        "deployments": "Deployment",
        "replicasets": "ReplicaSet",
        "statefulsets": "StatefulSet",
    },
    ("coordination.k8s.io", "v1"): {"leases": "Lease"},
    ("discovery.k8s.io", "v1"): {"endpointslices": "EndpointSlice"},
    ("networking.k8s.io", "v1"): {
        "ingressclasses": "IngressClass",
        "ingresses": "Ingress",
        "networkpolicies": "NetworkPolicy",
    },
    ("elbv2.k8s.aws", "v1beta1"): {
        "ingressclassparams": "IngressClassParams",
        "targetgroupbindings": "TargetGroupBinding",
    },
    ("eks.amazonaws.com", "v1"): {
        "ingressclassparams": "IngressClassParams",
        "targetgroupbindings": "TargetGroupBinding",
    },
    ("gateway.networking.k8s.io", "v1"): {
        "gatewayclasses": "GatewayClass",
        "gateways": "Gateway",
        "grpcroutes": "GRPCRoute",
        "httproutes": "HTTPRoute",
        "listenersets": "ListenerSet",
        "referencegrants": "ReferenceGrant",
        "tcproutes": "TCPRoute",
        "tlsroutes": "TLSRoute",
        "udproutes": "UDPRoute",
    },
    ("gateway.k8s.aws", "v1"): {
        "listenerruleconfigurations": "ListenerRuleConfiguration",
        "loadbalancerconfigurations": "LoadBalancerConfiguration",
        "targetgroupconfigurations": "TargetGroupConfiguration",
    },
}
_CUSTOM_GROUPS = {"elbv2.k8s.aws", "eks.amazonaws.com", "gateway.networking.k8s.io", "gateway.k8s.aws"}


class FakeKube:
    """The API server. `objects` may be changed at any time; `asked` keeps what was asked, `hit` counts faults met,
    `headers` those of the requests and `packed` the paths whose answers were gzipped; `pods` stands for what runs
    behind it, `pages` for what etcd remembers."""

    def __init__(self) -> None:
        self.pods = Pods()
        self._recover = threading.Event()
        self._http = HttpServer(self._respond)
        self.url = self._http.url
        self.reset({})

    def reset(self, objects: dict[tuple[str, str], list[Raw]]) -> None:
        self._recover.set()
        self._recover = threading.Event()
        self.objects: dict[tuple[str, str], list[Raw]] = deepcopy(objects)
        self.faults: list[KubeFault | Role] = []
        self.missing_groups: set[str] = set()
        self.pages = api_lists.Pages()
        self.asked: list[Asked] = []
        self.headers, self.packed = self._http.headers, self._http.packed
        self.headers.clear()
        self.packed.clear()
        self.hit: Counter[str] = Counter()
        # The words with which an admission plugin refuses a new pod ("": it does not).
        self.admission = ""
        # What an admission webhook says against the object that a write would make ("" for nothing).
        self.webhook: Callable[[Raw], str] = lambda raw: ""
        # An admission webhook has side effects, so that no dry run reaches it.
        self.no_dry_run = False
        # Called after a write was made, and just before one is looked at: controllers and other people.
        self.written: Callable[[Asked, Raw], None] = lambda asked, raw: None
        self.before_write: Callable[[Asked], None] = lambda asked: None
        # What stands between here and the client: it may make a write, or not, and answer as it likes.
        self.between: Callable[[Asked, Callable[[], Raw]], Any] = lambda asked, make: make()
        # Something is always happening in a cluster: every list finds a newer revision.
        self._revisions = itertools.count(1000)
        for items in self.objects.values():
            for raw in items:
                raw["metadata"].setdefault("resourceVersion", "1")
        self.pods.reset(self.named("pods", "kube-system"))

    def close(self) -> None:
        self._recover.set()
        self._http.close()

    def wait(self) -> None:
        """Say nothing for a while."""
        self._recover.wait(SLOW)

    def named(self, resource: str, namespace: str = NS, group: str = "") -> list[Raw]:
        """The stored objects of a namespace, to bend them."""
        return [o for o in self.objects.get((group, resource), ()) if o["metadata"].get("namespace") == namespace]

    # --- Requests ---

    def _respond(self, asked: Asked, body: Any, content_type: str) -> Any:
        if asked.verb == "discover":
            return self.discover(asked)
        if asked.verb == "create":
            return self.create(asked, body)
        if asked.verb == "delete":
            return self.delete(asked)
        if asked.verb == "patch" and asked.resource == "pods/ephemeralcontainers":
            return self.attach(asked, body)
        if asked.verb == "patch":
            return self.between(asked, lambda: self.patch(asked, body, content_type))
        return self.answer(asked)

    def discover(self, asked: Asked) -> Raw:
        """What group this is, which everybody may ask. Raises Answer (404) for a group that is not served."""
        versions = [version for group, version in _KINDS if group == asked.group]
        if asked.group in self.missing_groups or not versions:
            raise no_such_path()
        return {"kind": "APIGroup", "apiVersion": "v1", "name": asked.group}

    def answer(self, asked: Asked) -> Any:
        """A read: one object, a list, a watch, a log, or what is behind the pod proxy. Raises Answer for all else."""
        self._admit(asked)
        kind, version = self._kind(asked)
        if asked.resource.startswith("pods/proxy"):
            raise self.pods.proxy(asked)
        if asked.resource == "pods/portforward":
            raise refusal(400, "BadRequest", "Upgrade request required")  # no tunnels here
        if asked.name:
            found = self._find(asked)
            if asked.resource == "pods/log":
                return Stream([self.pods.log(asked).encode()], "text/plain")
            return self._shown(asked, found)
        labels = api_lists.by_labels(asked.query.get("labelSelector", ""))
        fields = api_lists.by_fields(asked, asked.query.get("fieldSelector", ""), asked.group in _CUSTOM_GROUPS)

        def selected() -> list[Raw]:
            there = [o for o in self.objects[asked.base] if asked.namespace in ("", o["metadata"].get("namespace"))]
            return [o for o in there if labels(o) and fields(o)]

        revision = next(self._revisions)
        if asked.verb == "watch":
            events = api_lists.watch_events(asked, selected(), kind, version, revision)
            return Stream(map(as_json, events), "application/json")
        metadata, items = self.pages.page(asked, selected, revision)
        if asked.group in _CUSTOM_GROUPS:
            metadata.setdefault("continue", "")
            items = [self._shown(asked, raw) for raw in items]
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": items}

    def create(self, asked: Asked, raw: Raw) -> Raw:
        """A new object: of pods only, as the program makes no others."""
        self._admit(asked)
        self._kind(asked)
        if self.admission:
            raise refusal(403, "Forbidden", self.admission)
        name = raw["metadata"]["name"]
        if any(other["metadata"]["name"] == name for other in self.named(asked.resource, asked.namespace)):
            message = f'{asked.full_resource} "{name}" already exists'
            raise refusal(409, "AlreadyExists", message, {"name": name, "kind": asked.resource})
        raw["metadata"] |= {"uid": name, "creationTimestamp": LONG_AGO, "resourceVersion": str(next(self._revisions))}
        self.pods.start(raw)
        self.objects[asked.base].append(raw)
        return self._shown(asked, raw)

    def delete(self, asked: Asked) -> Raw:
        self._admit(asked)
        self._kind(asked)
        found = self._find(asked)
        self.objects[asked.base].remove(found)
        self.pods.stop(found)
        return self._shown(asked, found)

    def attach(self, asked: Asked, body: Raw) -> Raw:
        """An ephemeral container for a pod."""
        self._admit(asked)
        self._kind(asked)
        found = self._find(asked)
        (container,) = body["spec"]["ephemeralContainers"]
        self.pods.attach(found, container)
        return self._shown(asked, found)

    def patch(self, asked: Asked, operations: list[Raw], content_type: str) -> Raw:
        """A JSON patch: all of it or nothing, 422 for a `test` that does not hold, 409 for another resourceVersion."""
        assert content_type == "application/json-patch+json", content_type
        if "dryRun" not in asked.query:
            self.before_write(asked)
        self._admit(asked)
        self._kind(asked)
        found = self._find(asked)
        changed = deepcopy(found)
        for operation in operations:
            operate(changed, operation)
        if changed["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            message = (
                f'Operation cannot be fulfilled on {asked.full_resource} "{asked.name}": the object has been modified; '
                "please apply your changes to the latest version and try again"
            )
            raise refusal(409, "Conflict", message, about(asked))
        if self.no_dry_run and "dryRun" in asked.query:
            raise refusal(400, "BadRequest", 'admission webhook "v.example" does not support dry run')
        said = self.webhook(changed)
        if said:
            raise refusal(403, "Forbidden", f'admission webhook "v.example" denied the request: {said}')
        if "dryRun" not in asked.query and changed != found:
            changed["metadata"]["resourceVersion"] = str(next(self._revisions))
            found.clear()
            found.update(changed)
            self.written(asked, found)
        return self._shown(asked, changed)

    # --- Parts of them ---

    def _kind(self, asked: Asked) -> tuple[str, str]:
        """The kind and apiVersion of what is asked for; raises Answer (404) for what is not served."""
        kinds = _KINDS.get((asked.group, asked.version), {})
        if asked.group in self.missing_groups or not kinds:
            raise no_such_path()
        if asked.base[1] not in kinds:
            if asked.group in _CUSTOM_GROUPS:
                raise no_such_path()
            raise refusal(404, "NotFound", "the server could not find the requested resource", {})
        self.objects.setdefault(asked.base, [])
        return kinds[asked.base[1]], f"{asked.group}/{asked.version}".lstrip("/")

    def _find(self, asked: Asked) -> Raw:
        for raw in self.objects[asked.base]:
            if (raw["metadata"].get("namespace", ""), raw["metadata"]["name"]) == (asked.namespace, asked.name):
                return raw
        raise not_found(asked)

    def _shown(self, asked: Asked, raw: Raw) -> Raw:
        kind, version = self._kind(asked)
        return {"kind": kind, "apiVersion": version, **raw}

    def _admit(self, asked: Asked) -> None:
        """Keep the request, and fail it where a fault says so."""
        self.asked.append(asked)
        for fault in self.faults:
            if fault.hits(asked):
                self.hit[fault.kind] += 1
                self._fail(fault, asked)

    def _fail(self, fault: KubeFault | Role, asked: Asked) -> None:
        if fault.kind == "unauthorized":
            raise refusal(401, "Unauthorized", "Unauthorized")
        if fault.kind == "error":
            # The wait that it asks for saves the tests the reader's own.
            raise refusal(500, "InternalError", "etcdserver: leader changed", Retry_After="0")
        if fault.kind == "denied":
            raise _denied(asked)
        self._recover.wait(SLOW)


def _denied(asked: Asked) -> Answer:
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    what = f'{asked.full_resource} "{asked.name}"' if asked.name else asked.full_resource
    message = (
        f'{what} is forbidden: User "dev" cannot {asked.verb} resource "{rbac_resource(asked.resource)}" '
        f'in API group "{asked.group}" {where}'
    )
    return refusal(403, "Forbidden", message, about(asked))
