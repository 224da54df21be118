"""A Kubernetes API and an AWS endpoint over real HTTP, holding one Ingress `shop/web` behind an ALB with ip targets.

The Kubernetes side is a small server of our own and no kmock: it must speak the API server's exact refusals, fail one
read in one namespace while the same resource is served elsewhere, and be asked from threads. The AWS side is moto
behind a WSGI front that fails one action at a time, that answers DescribeTargetHealth itself (moto knows neither reason
codes nor zones of ip targets), and that asks moto only once for what does not change.

The world is one in which every read of `model.reads` is really made: what no healthy diagnosis needs cannot fail.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import boto3
import werkzeug.serving
from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import create_backend_app

from kubectl_lbdoctor.model import reads
from tests.support import certificates

NS = "shop"
LONG_AGO = "2026-11-23T08:00:00Z"
REGION = "us-west-2"
# Long enough for every client of the tests to give up first, and cut short as soon as the fault is taken away.
SLOW = 20.0

Raw = dict[str, Any]


# --- Objects ---------------------------------------------------------------------------------------------------------


def _meta(name: str, namespace: str = NS, **values: Any) -> Raw:
    uid = f"{namespace}-{name}"
    return {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": LONG_AGO, "generation": 1, **values}


def _conditions(*kinds: str) -> list[Raw]:
    return [{"type": kind, "status": "True", "lastTransitionTime": LONG_AGO} for kind in kinds]


def pod(name: str, node: int, address: str, owner: str, namespace: str = NS, **values: Any) -> Raw:
    """A running, ready pod."""
    container = {
        "name": "app",
        "image": "registry.example/app:1",
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
        **values.pop("container", {}),
    }
    status = {
        "name": "app",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": LONG_AGO}},
    }
    references = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "controller": True}]
    return {
        "metadata": _meta(name, namespace, labels=values.pop("labels"), ownerReferences=references),
        "spec": {"nodeName": f"node{node}", "containers": [container], **values.pop("spec", {})},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": f"10.0.{node}.10",
            "startTime": LONG_AGO,
            "conditions": _conditions("PodScheduled", "ContainersReady", "Ready"),
            "containerStatuses": [status],
        },
    }


def workload(name: str, namespace: str, replicas: int, labels: dict[str, str], spec: Raw | None = None) -> Raw:
    """A Deployment or ReplicaSet with all its pods ready."""
    return {
        "metadata": _meta(name, namespace, labels=labels),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec or {"containers": [{"name": "app"}]}},
        },
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "readyReplicas": replicas,
            "updatedReplicas": replicas,
            "availableReplicas": replicas,
            "conditions": _conditions("Available"),
        },
    }


def _node(number: int, instance: str) -> Raw:
    zone = f"{REGION}{'ac'[number - 1]}"
    labels = {"topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": REGION}
    return {
        "metadata": {"name": f"node{number}", "uid": f"node{number}", "creationTimestamp": LONG_AGO, "labels": labels},
        "spec": {"providerID": f"aws:///{zone}/{instance}"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": f"10.0.{number}.10"}],
            "conditions": _conditions("Ready"),
            "nodeInfo": {"kubeletVersion": "v1.34.4"},
        },
    }


def _slice(name: str, service: str, namespace: str, port: int, pods: Iterable[tuple[str, str, int]]) -> Raw:
    return {
        "metadata": _meta(name, namespace, labels={"kubernetes.io/service-name": service}),
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": f"node{node}",
                "targetRef": {"kind": "Pod", "name": pod_name, "namespace": namespace},
            }
            for pod_name, address, node in pods
        ],
    }


CONTROLLER_LABELS = {
    "app.kubernetes.io/name": "aws-load-balancer-controller",
    "app.kubernetes.io/instance": "aws-load-balancer-controller",
}
CONTROLLER_LOG = (
    '{"level":"info","ts":"2026-11-23T08:00:10Z","logger":"controllers.ingress",'
    '"msg":"successfully deployed model","ingressGroup":"shop/web"}\n'
)


PRIVATE_KEY = "the private key, which nobody may ever see"
_FAR = datetime(2126, 1, 1, tzinfo=timezone.utc)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _controller() -> dict[tuple[str, str], list[Raw]]:
    """A controller as its chart 1.17 installs it, at work for four hours."""
    name = "aws-load-balancer-controller"
    container = {
        "name": name,
        "image": f"public.ecr.aws/eks/{name}:v2.17.1",
        "args": ["--cluster-name=lab", "--ingress-class=alb", f"--aws-region={REGION}"],
        "ports": [{"containerPort": 9443, "name": "webhook-server", "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 61779, "scheme": "HTTP"}},
        "env": [
            {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::123456789012:role/lbc"},
            {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"},
        ],
    }
    volume = {"name": "cert", "secret": {"secretName": "aws-load-balancer-tls", "defaultMode": 420}}
    spec = {"serviceAccountName": name, "containers": [container], "volumes": [volume]}
    tls = {"tls.crt": _base64(certificates.leaf(1, "ec", ends=_FAR)), "tls.key": _base64(PRIVATE_KEY)}
    pods = [(f"{name}-abc-{n}", f"10.0.{n}.9", n) for n in (1, 2)]
    raw_pods = [
        pod(
            pod_name,
            node,
            address,
            f"{name}-abc",
            "kube-system",
            labels={**CONTROLLER_LABELS, "pod-template-hash": "abc"},
            container=container,
            spec={"serviceAccountName": name},
        )
        for pod_name, address, node in pods
    ]
    for raw in raw_pods:
        raw["status"]["containerStatuses"][0]["name"] = name
    account = _meta(
        name, "kube-system", annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/lbc"}
    )
    hook = {
        "name": "mtargetgroupbinding.elbv2.k8s.aws",
        "failurePolicy": "Fail",
        "clientConfig": {
            "caBundle": _base64(certificates.authority(1, "ec", ends=_FAR)),
            "service": {"namespace": "kube-system", "name": "aws-load-balancer-webhook-service", "port": 443},
        },
    }
    webhook = {"metadata": {"name": "aws-load-balancer-webhook", "uid": "webhook"}, "webhooks": [hook]}
    return {
        ("apps", "deployments"): [workload(name, "kube-system", 2, CONTROLLER_LABELS, spec)],
        ("", "pods"): raw_pods,
        ("", "serviceaccounts"): [{"metadata": account}],
        ("", "secrets"): [{"metadata": _meta("aws-load-balancer-tls", "kube-system"), "data": tls}],
        ("", "services"): [
            {
                "metadata": _meta("aws-load-balancer-webhook-service", "kube-system"),
                "spec": {"type": "ClusterIP", "selector": CONTROLLER_LABELS, "ports": [{"port": 443}]},
            }
        ],
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): [webhook],
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): [],
        ("discovery.k8s.io", "endpointslices"): [
            _slice("webhook-x1", "aws-load-balancer-webhook-service", "kube-system", 9443, pods)
        ],
    }


def _kube_proxy() -> dict[tuple[str, str], list[Raw]]:
    """kube-proxy as EKS installs it, on both nodes."""
    labels = {"k8s-app": "kube-proxy"}
    daemons = workload("kube-proxy", "kube-system", 2, labels)
    daemons["status"] = {"observedGeneration": 1, "desiredNumberScheduled": 2, "numberReady": 2, "numberAvailable": 2}
    pods = [
        pod(
            f"kube-proxy-x{n}",
            n,
            f"10.0.{n}.10",
            "kube-proxy",
            "kube-system",
            labels=labels,
            spec={"hostNetwork": True},
        )
        for n in (1, 2)
    ]
    return {("apps", "daemonsets"): [daemons], ("", "pods"): pods}


def healthy_objects(group_arn: str, host: str, instances: tuple[str, str]) -> dict[tuple[str, str], list[Raw]]:
    """Everything of a healthy `shop/web` whose target group, load balancer and nodes' instances are given, by
    (API group, resource)."""
    labels = {"app": "web"}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    pods = [("web-abc-1", "10.0.1.34", 1), ("web-abc-2", "10.0.2.34", 2)]
    stack = {"ingress.k8s.aws/stack-namespace": NS, "ingress.k8s.aws/stack-name": "web"}
    event = {
        "metadata": _meta("web.1"),
        "involvedObject": {"kind": "Ingress", "name": "web", "namespace": NS},
        "type": "Normal",
        "reason": "SuccessfullyReconciled",
        "message": "Successfully reconciled",
        "count": 1,
        "firstTimestamp": LONG_AGO,
        "lastTimestamp": LONG_AGO,
        "source": {"component": "ingress"},
    }
    objects: dict[tuple[str, str], list[Raw]] = {
        ("", "namespaces"): [{"metadata": {"name": n, "uid": n}} for n in (NS, "default", "kube-system")],
        ("", "services"): [
            {
                "metadata": _meta("web"),
                "spec": {
                    "type": "ClusterIP",
                    "selector": labels,
                    "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
                },
            }
        ],
        ("", "pods"): [
            pod(name, node, address, "web-abc", labels={**labels, "pod-template-hash": "abc"})
            for name, address, node in pods
        ],
        ("", "nodes"): [_node(n, instance) for n, instance in enumerate(instances, 1)],
        ("", "events"): [event],
        ("apps", "deployments"): [workload("web", NS, 2, labels)],
        ("apps", "replicasets"): [workload("web-abc", NS, 2, {**labels, "pod-template-hash": "abc"})],
        ("apps", "statefulsets"): [],
        ("apps", "daemonsets"): [],
        ("discovery.k8s.io", "endpointslices"): [_slice("web-x1", "web", NS, 8080, pods)],
        ("networking.k8s.io", "ingresses"): [
            {
                "metadata": _meta(
                    "web",
                    annotations={
                        "alb.ingress.kubernetes.io/target-type": "ip",
                        "alb.ingress.kubernetes.io/healthcheck-path": "/healthz",
                    },
                    finalizers=["ingress.k8s.aws/resources"],
                ),
                "spec": {
                    "ingressClassName": "alb",
                    "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
                },
                "status": {"loadBalancer": {"ingress": [{"hostname": host}]}},
            }
        ],
        ("networking.k8s.io", "ingressclasses"): [
            {"metadata": {"name": "alb", "uid": "alb"}, "spec": {"controller": "ingress.k8s.aws/alb"}}
        ],
        ("networking.k8s.io", "networkpolicies"): [],
        ("elbv2.k8s.aws", "ingressclassparams"): [],
        ("elbv2.k8s.aws", "targetgroupbindings"): [
            {
                "metadata": _meta("k8s-shop-web-fdbb6ec3c4", labels=stack),
                "spec": {
                    "targetGroupARN": group_arn,
                    "targetType": "ip",
                    "serviceRef": {"name": "web", "port": 80},
                    "networking": {"ingress": []},
                },
                "status": {"observedGeneration": 1},
            }
        ],
    }
    for key, items in (*_controller().items(), *_kube_proxy().items()):
        objects[key] = [*objects.get(key, []), *items]
    return objects


# --- Faults ----------------------------------------------------------------------------------------------------------


# Reads of the same resource outside of `shop` are told apart by the labels that they select.
_SELECTED = {
    reads.CONTROLLER_PODS: "app.kubernetes.io/name=aws-load-balancer-controller",
    reads.KUBE_PROXY_PODS: "k8s-app=kube-proxy",
}
_IN_KUBE_SYSTEM = {reads.CONTROLLER_PODS, reads.KUBE_PROXY, reads.KUBE_PROXY_PODS}


@dataclass(frozen=True)
class KubeFault:
    """Requests that fail with kind "denied", "error", "slow" or "unauthorized": of these resources ("" and () for all),
    in a namespace that `where` holds for, with a label selector that has `selector` in it."""

    kind: str
    group: str = ""
    resources: tuple[str, ...] = ()
    where: Callable[[str], bool] = lambda namespace: True
    selector: str = ""
    verbs: tuple[str, ...] = ("get", "list")

    @classmethod
    def of(cls, read: str, kind: str) -> KubeFault:
        """The fault that hits exactly one read of `model.reads`."""
        rule = reads.KUBE[read]
        return cls(kind, rule.group, rule.resources, _where(read, rule), _SELECTED.get(read, ""))

    def hits(self, asked: Asked) -> bool:
        if self.resources and (asked.group, _of_rbac(asked.resource)) not in {(self.group, r) for r in self.resources}:
            return False
        selected = self.selector in asked.query.get("labelSelector", "")
        return asked.verb in self.verbs and self.where(asked.namespace) and selected


def _where(read: str, rule: reads.KubeRead) -> Callable[[str], bool]:
    if read == reads.NAMESPACES:
        return lambda namespace: True
    if read in _IN_KUBE_SYSTEM:
        return lambda namespace: namespace == "kube-system"
    return lambda namespace: (namespace == NS) is not rule.cluster_wide


@dataclass(frozen=True)
class Asked:
    """One request in RBAC's terms."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    query: dict[str, str] = field(default_factory=dict)


def _of_rbac(resource: str) -> str:
    """What is behind a proxied pod is no part of the resource."""
    return "pods/proxy" if resource.startswith("pods/proxy/") else resource


def _ask(path: str, query: dict[str, str]) -> Asked:
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    resource = "/".join([rest[0], *rest[2:]])
    name = rest[1] if len(rest) > 1 else ""
    return Asked("get" if name else "list", group, resource, namespace, name, query)


class Answer(Exception):
    """Raised to end a request: status, document or text, headers."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


def _status(code: int, reason: str, message: str, **headers: str) -> Answer:
    """A refusal as the API server words it."""
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return Answer(code, {**document, "reason": reason, "code": code}, **headers)


class FakeKube:
    """The API server. `objects` may be changed at any time; `asked` keeps what was asked, `hit` counts faults met."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], list[Raw]] = {}
        self.logs: dict[str, str] = {}
        self.faults: list[KubeFault] = []
        self.missing_groups: set[str] = set()
        self.page_size = 500
        # What the pods answer on port 8080, by path; all other paths 404, all other ports refuse.
        self.served: dict[str, int] = {"/healthz": 200}
        # How a debug pod fares, and the words with which an admission plugin refuses it ("": it does not).
        self.debug_status: Callable[[Raw], Raw] = lambda raw: {"phase": "Succeeded"}
        self.admission = ""
        # A pod's socket as /proc/net/tcp shows it, and how each request of a script ends where it is not answered.
        self.listens, self.script_says = "0100007F:1F90", ""
        self.created: list[Raw] = []
        self.deleted: list[str] = []
        self.asked: list[Asked] = []
        self.headers: list[Any] = []
        self.hit: Counter[str] = Counter()
        # What an admission webhook says against the object that a write would make ("" for nothing).
        self.webhook: Callable[[Raw], str] = lambda raw: ""
        # Called after a write was made, and just before one is looked at: controllers and other people.
        self.written: Callable[[Asked, Raw], None] = lambda asked, raw: None
        self.before_write: Callable[[Asked], None] = lambda asked: None
        self._recover = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body are two writes: without this the second waits 40 ms for the client's delayed ACK.
            disable_nagle_algorithm = True

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(lambda asked: fake.answer(asked))

            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kind = self.headers["Content-Type"]
                if self.path.endswith("/ephemeralcontainers"):
                    self._answer(lambda asked: fake.debug("patch", asked, body))
                else:
                    self._answer(lambda asked: fake.patch(replace(asked, verb="patch"), body, kind))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(lambda asked: fake.debug("create", asked, body))

            def do_DELETE(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self._answer(lambda asked: fake.debug("delete", asked, {}))

            def _answer(self, respond: Callable[[Asked], Any]) -> None:
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                fake.headers.append(self.headers)
                try:
                    answer = Answer(200, respond(_ask(parts.path, query)))
                except Answer as other:
                    answer = other
                as_text = isinstance(answer.body, str)
                data = answer.body.encode() if as_text else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    self.send_header("Content-Type", "text/plain" if as_text else "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.send_header("Audit-Id", "1")
                    for name, value in answer.headers.items():
                        self.send_header(name.replace("_", "-"), value)
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *args: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self, objects: dict[tuple[str, str], list[Raw]]) -> None:
        self._recover.set()
        self._recover = threading.Event()
        self.objects, self.faults, self.missing_groups, self.page_size = deepcopy(objects), [], set(), 500
        self.served = {"/healthz": 200}
        self.listens, self.script_says = "0100007F:1F90", ""
        self.debug_status, self.admission, self.created, self.deleted = lambda raw: {"phase": "Succeeded"}, "", [], []
        self.logs = {f"kube-system/{p['metadata']['name']}": CONTROLLER_LOG for p in self.named("pods", "kube-system")}
        self.asked, self.headers, self.hit = [], [], Counter()
        self.webhook, self.written, self.before_write = lambda raw: "", lambda asked, raw: None, lambda asked: None
        for items in self.objects.values():
            for raw in items:
                raw["metadata"].setdefault("resourceVersion", "1")

    def close(self) -> None:
        self._recover.set()
        self._server.shutdown()
        self._server.server_close()

    def named(self, resource: str, namespace: str = NS, group: str = "") -> list[Raw]:
        """The stored objects of a namespace, to bend them."""
        return [o for o in self.objects[(group, resource)] if o["metadata"].get("namespace") == namespace]

    def answer(self, asked: Asked) -> Any:
        self.asked.append(asked)
        for fault in self.faults:
            if fault.hits(asked):
                self.hit[fault.kind] += 1
                self._fail(fault, asked)
        if asked.group in self.missing_groups or (asked.group, asked.resource.split("/")[0]) not in self.objects:
            raise Answer(404, "404 page not found\n")
        if asked.resource.startswith("pods/proxy"):
            self._proxy(asked)
        if asked.resource == "pods/log":
            return self.logs.get(f"{asked.namespace}/{asked.name}", "")
        found = [
            o
            for o in self.objects[(asked.group, asked.resource)]
            if (not asked.namespace or o["metadata"].get("namespace") == asked.namespace)
            and _selected(o, asked.query.get("labelSelector", ""))
        ]
        if asked.name:
            for entry in found:
                if entry["metadata"]["name"] == asked.name:
                    return entry
            raise _status(404, "NotFound", f'{asked.resource} "{asked.name}" not found')
        start = int(asked.query.get("continue", "0"))
        end = start + min(int(asked.query.get("limit", "500")), self.page_size)
        metadata = {"resourceVersion": "1", **({"continue": str(end)} if end < len(found) else {})}
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start:end]}

    def debug(self, verb: str, asked: Asked, body: Raw) -> Any:
        """Debug pods come and go, and ephemeral containers come."""
        asked = replace(asked, verb=verb)
        self.asked.append(asked)
        for fault in self.faults:
            if fault.hits(asked):
                self.hit[fault.kind] += 1
                self._fail(fault, asked)
        pods = self.objects[("", "pods")]
        if verb == "create":
            if self.admission:
                raise _status(403, "Forbidden", self.admission)
            body["metadata"] |= {"uid": body["metadata"]["name"], "creationTimestamp": LONG_AGO}
            body["status"] = self.debug_status(body)
            pods.append(body)
            self.logs[f"{asked.namespace}/{body['metadata']['name']}"] = self._script_log(body["spec"]["containers"][0])
            self.created.append(body)
            return body
        found = next((p for p in pods if p["metadata"]["name"] == asked.name), None)
        if found is None:
            raise _status(404, "NotFound", f'pods "{asked.name}" not found')
        if verb == "delete":
            pods.remove(found)
            self.deleted.append(asked.name)
        else:
            (container,) = body["spec"]["ephemeralContainers"]
            state = {"name": container["name"], "state": {"terminated": {"exitCode": 0}}}
            found["status"].setdefault("ephemeralContainerStatuses", []).append(state)
            self.logs[f"{asked.namespace}/{asked.name}"] = self._script_log(container)
        return found

    def _script_log(self, container: Raw) -> str:
        """What the script of a debug container would have found."""
        script = container["command"][-1]
        token = re.search(r"^t=(\w+)$", script, re.MULTILINE)
        assert token is not None
        lines = []
        if "/proc/net/tcp" in script:
            lines.append(f"S    0: {self.listens} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1")
        for number, path in re.findall(r"^one (\d+) .* \S+://[^/ ]+(/\S*) &$", script, re.MULTILINE):
            lines += [f"{number} LBDW {self.served.get(path, 404)} 1.1 0.001 0.002 ", f"{number} EXIT 0"]
            if self.script_says:
                lines[-2:] = [f"{number} {self.script_says}"]
        return "".join(f"{token[1]} {line}\n" for line in lines)

    def _proxy(self, asked: Asked) -> None:
        """The pod proxy, as Kubernetes 1.34 answers."""
        _, _, path = asked.resource.partition("pods/proxy")
        port = asked.name.rpartition(":")[2]
        if port != "8080":
            said = f"error trying to reach service: dial tcp 10.0.1.34:{port}: connect: connection refused"
            raise _status(503, "ServiceUnavailable", said)
        code = self.served.get(path or "/", 404)
        raise Answer(code, f"{code} from the application\n")

    def patch(self, asked: Asked, operations: list[Raw], kind: str) -> Any:
        """A JSON patch as the API server makes it: all of it or nothing, 422 for a `test` that does not hold."""
        assert kind == "application/json-patch+json", kind
        if "dryRun" not in asked.query:
            self.before_write(asked)
        self.asked.append(asked)
        for fault in self.faults:
            if fault.hits(asked):
                self.hit[fault.kind] += 1
                self._fail(fault, asked)
        stored = self.objects[(asked.group, asked.resource)]
        found = [
            o
            for o in stored
            if (o["metadata"].get("namespace", ""), o["metadata"]["name"]) == (asked.namespace, asked.name)
        ]
        if not found:
            raise _status(404, "NotFound", f'{asked.resource} "{asked.name}" not found')
        changed = deepcopy(found[0])
        for operation in operations:
            _operate(changed, operation)
        said = self.webhook(changed)
        if said:
            raise _status(403, "Forbidden", f'admission webhook "v.example" denied the request: {said}')
        if "dryRun" not in asked.query and changed != found[0]:
            changed["metadata"]["resourceVersion"] = str(int(changed["metadata"]["resourceVersion"]) + 1)
            found[0].clear()
            found[0].update(changed)
            self.written(asked, found[0])
        return changed

    def _fail(self, fault: KubeFault, asked: Asked) -> None:
        if fault.kind == "unauthorized":
            raise _status(401, "Unauthorized", "Unauthorized")
        if fault.kind == "error":
            # The wait that it asks for saves the tests the reader's own.
            raise _status(500, "InternalError", "etcdserver: leader changed", Retry_After="0")
        if fault.kind == "denied":
            where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
            resource = _of_rbac(asked.resource)
            message = (
                f'{resource} is forbidden: User "dev" cannot {asked.verb} resource "{resource}" '
                f'in API group "{asked.group}" {where}'
            )
            raise _status(403, "Forbidden", message)
        self._recover.wait(SLOW)


def _operate(document: Raw, operation: Raw) -> None:
    """One operation of a JSON patch (RFC 6902), of those that are sent."""
    *parents, last = [s.replace("~1", "/").replace("~0", "~") for s in operation["path"].split("/")[1:]]
    place: Any = document
    try:
        for segment in parents:
            place = place[int(segment)] if isinstance(place, list) else place[segment]
        key: Any = int(last) if isinstance(place, list) else last
        if operation["op"] == "test":
            if place[key] != operation["value"] or type(place[key]) is not type(operation["value"]):
                raise KeyError(last)
        elif operation["op"] == "remove":
            del place[key]
        elif operation["op"] == "replace":
            place[key]  # it has to be there
            place[key] = operation["value"]
        else:
            place[key] = operation["value"]
    except (KeyError, IndexError, TypeError) as error:
        message = f"the server rejected our request due to an error in our request ({operation['op']} {error})"
        raise _status(422, "Invalid", message) from error


def _selected(entry: Raw, selector: str) -> bool:
    labels = entry["metadata"].get("labels", {})
    wanted = [term.split("=", 1) for term in selector.split(",") if term]
    return all(labels.get(key) == value for key, value in wanted)


# --- AWS -------------------------------------------------------------------------------------------------------------

_ERRORS = {
    "denied": (403, "AccessDenied"),
    "throttled": (400, "Throttling"),
    "error": (500, "InternalFailure"),
    "expired": (403, "ExpiredToken"),
    "dry-run": (412, "DryRunOperation"),
}


@dataclass
class Health:
    """One target as DescribeTargetHealth gives it."""

    id: str
    zone: str
    state: str = "healthy"
    reason: str = ""
    description: str = ""
    port: int = 8080

    def xml(self) -> str:
        reason = f"<Reason>{self.reason}</Reason>" if self.reason else ""
        description = f"<Description>{escape(self.description)}</Description>" if self.description else ""
        return (
            f"<member><HealthCheckPort>{self.port}</HealthCheckPort>"
            f"<Target><Id>{self.id}</Id><Port>{self.port}</Port><AvailabilityZone>{self.zone}</AvailabilityZone></Target>"
            f"<TargetHealth><State>{self.state}</State>{reason}{description}</TargetHealth></member>"
        )


class FakeAws:
    """moto with a load balancer, a listener with one rule, a target group, and the VPC around them; `faults` maps an
    action to its failure ("denied", "throttled", "error", "expired" or "slow")."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        # IAM actions ("ec2:DescribeSubnets"), and the regions that requests were signed for.
        self.asked: list[str] = []
        self.regions: set[str] = set()
        self.health: list[Health] = []
        # Called at each request that is answered.
        self.acted: Callable[[str], None] = lambda action: None
        self._recover = threading.Event()
        # moto keeps one state for all servers of a process: nothing of other tests may be in it, nor be left behind.
        moto_api_backend.reset()
        # moto's own dispatcher lists its modules on disk at every request.
        self._moto = {service: create_backend_app(service) for service in ("ec2", "iam", "eks")}
        self._moto["elasticloadbalancing"] = create_backend_app("elbv2")
        # moto's answers to reads, by checked path: all that is ever written after the seed.
        self._path = "/healthz"
        self._answers: dict[tuple[str, str, bytes], tuple[str, list[Any], bytes]] = {}
        self._server = werkzeug.serving.make_server(
            "127.0.0.1", 0, self, threaded=True, request_handler=_QuietRequestHandler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._seed()

    def client(self, service: str) -> Any:
        """As administrator, to look and to bend."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def _seed(self) -> None:
        ec2, self._elb = self.client("ec2"), self.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in ((1, "a"), (2, "c"))
        ]
        front, nodes = self._security_groups(ec2, vpc)
        balancer = self._elb.create_load_balancer(
            Name="k8s-shop-web-4ba434b31c",
            Subnets=subnets,
            SecurityGroups=[front],
            Scheme="internet-facing",
            Type="application",
        )["LoadBalancers"][0]
        group = self._elb.create_target_group(
            Name="k8s-shop-web-fdbb6ec3c4",
            Protocol="HTTP",
            ProtocolVersion="HTTP1",
            Port=8080,
            VpcId=vpc,
            TargetType="ip",
            HealthCheckProtocol="HTTP",
            HealthCheckPath=self._path,
            HealthCheckIntervalSeconds=15,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
            Matcher={"HttpCode": "200"},
            Tags=[{"Key": "ingress.k8s.aws/resource", "Value": f"{NS}/web-web:80"}],
        )["TargetGroups"][0]
        self.balancer_arn, self.host = balancer["LoadBalancerArn"], balancer["DNSName"]
        self.group_arn = group["TargetGroupArn"]
        listener = self._elb.create_listener(
            LoadBalancerArn=self.balancer_arn,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )["Listeners"][0]
        self._elb.create_rule(
            ListenerArn=listener["ListenerArn"],
            Priority=1,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": self.group_arn}],
        )
        for number, subnet in enumerate(subnets, 1):
            ec2.create_network_interface(
                SubnetId=subnet,
                Groups=[front],
                PrivateIpAddress=f"10.0.{number}.200",
                Description="ELB " + self.balancer_arn.split(":loadbalancer/")[1],
            )
        # The control plane's own interface; its group is admitted nowhere.
        control = ec2.create_security_group(GroupName="control", Description="control", VpcId=vpc)["GroupId"]
        ec2.create_network_interface(
            SubnetId=subnets[1], Groups=[control], PrivateIpAddress="10.0.2.201", Description="Amazon EKS lab"
        )
        first, second = (self._instance(ec2, number, subnet, nodes) for number, subnet in enumerate(subnets, 1))
        self.instances = (first, second)
        self._seed_identity(subnets)

    def _seed_identity(self, subnets: list[str]) -> None:
        """The controller's role: it trusts EKS Pod Identity, and its policies are two years old."""
        iam, eks = self.client("iam"), self.client("eks")
        trust = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:*"]}
        iam.create_role(RoleName="lbc", AssumeRolePolicyDocument=_policy(trust))
        old = {"Effect": "Allow", "Action": ["ec2:Describe*", "elasticloadbalancing:Describe*"], "Resource": "*"}
        policy = iam.create_policy(PolicyName="lbc-policy", PolicyDocument=_policy(old))["Policy"]
        iam.attach_role_policy(RoleName="lbc", PolicyArn=policy["Arn"])
        iam.put_role_policy(RoleName="lbc", PolicyName="more", PolicyDocument=_policy(old))
        eks.create_cluster(
            name="lab", roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": subnets}
        )

    def _security_groups(self, ec2: Any, vpc: str) -> tuple[str, str]:
        """The load balancer's, open to a managed prefix list, and the nodes', open to the load balancer."""
        offices = ec2.create_managed_prefix_list(
            PrefixListName="offices",
            MaxEntries=5,
            AddressFamily="IPv4",
            Entries=[{"Cidr": "203.0.113.0/24"}, {"Cidr": "198.51.100.0/24"}],
        )["PrefixList"]["PrefixListId"]
        front, nodes = (
            ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
            for name in ("front", "nodes")
        )
        web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "PrefixListIds": [{"PrefixListId": offices}]}
        pods = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "UserIdGroupPairs": [{"GroupId": front}]}
        each_other = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": nodes}]}
        ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[web])
        ec2.authorize_security_group_ingress(GroupId=nodes, IpPermissions=[pods, each_other])
        return front, nodes

    def _instance(self, ec2: Any, number: int, subnet: str, group: str) -> str:
        """A node; its interface holds its pods' addresses, as the VPC CNI assigns them."""
        addresses = [{"Primary": host == 10, "PrivateIpAddress": f"10.0.{number}.{host}"} for host in (10, 34, 9)]
        interface = ec2.create_network_interface(
            SubnetId=subnet, Groups=[group], PrivateIpAddresses=addresses, Description="aws-K8S"
        )["NetworkInterface"]["NetworkInterfaceId"]
        attached = [{"DeviceIndex": 0, "NetworkInterfaceId": interface}]
        answer = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, NetworkInterfaces=attached)
        return str(answer["Instances"][0]["InstanceId"])

    def reset(self) -> None:
        self._recover.set()
        self._recover = threading.Event()
        self.faults, self.acted = {}, lambda action: None
        self.health = [Health("10.0.1.34", f"{REGION}a"), Health("10.0.2.34", f"{REGION}c")]
        self.check_path("/healthz")
        self.asked, self.regions = [], set()

    def check_path(self, path: str) -> None:
        """The path that the target group checks."""
        if path != self._path:
            self._elb.modify_target_group(TargetGroupArn=self.group_arn, HealthCheckPath=path)
            self._path = path

    def close(self) -> None:
        self._recover.set()
        self._server.shutdown()
        moto_api_backend.reset()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        region, service = scope.groups() if scope else ("", "")
        if service == "eks":
            action = _eks_action(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        self.asked.append(f"{service}:{action}")
        self.regions.add(region)
        fault = self.faults.get(action)
        if fault == "slow":
            self._recover.wait(SLOW)
        elif fault is not None:
            return self._refuse(action, fault, service, start_response)
        self.acted(action)
        if "DryRun=true" in body.decode() and action.endswith("NetworkAclEntry"):
            return self._refuse(action, "dry-run", service, start_response)  # moto makes the entry all the same
        if action in _POD_IDENTITY:  # moto does not know them.
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(_POD_IDENTITY[action]).encode()]
        if action == "DescribeTargetHealth":
            members = "".join(target.xml() for target in self.health)
            return _xml(
                start_response, 200, _result(action, f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>")
            )
        status, headers, data = self._from_moto(environ, region, service, action, body)
        start_response(status, headers)
        return [data]

    def _from_moto(
        self, environ: dict[str, Any], region: str, service: str, action: str, body: bytes
    ) -> tuple[str, list[Any], bytes]:
        """moto's answer: to a read the same until the world changes."""
        key = (self._path, region, environ["PATH_INFO"].encode() + environ["QUERY_STRING"].encode() + body)
        if key in self._answers:
            return self._answers[key]
        environ["wsgi.input"] = io.BytesIO(body)
        answered: list[Any] = []
        data = b"".join(self._moto[service](environ, lambda *answer: answered.extend(answer)))
        answer = (answered[0], answered[1], data)
        if action.startswith(("Describe", "Get", "List")):
            self._answers[key] = answer
        else:
            self._answers.clear()
        return answer

    def _refuse(self, action: str, fault: str, service: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, code = _ERRORS[fault]
        message = {
            "denied": f"User: arn:aws:iam::123456789012:user/dev is not authorized to perform: {service}:{action} "
            f"because no identity-based policy allows the {service}:{action} action",
            "throttled": "Rate exceeded",
        }.get(fault, "no luck")
        if service == "eks":
            start_response(f"{status} x", [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)])
            return [json.dumps({"message": message}).encode()]
        if service == "ec2":
            code = {"AccessDenied": "UnauthorizedOperation", "Throttling": "RequestLimitExceeded"}.get(code, code)
            text = (
                f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
                "<RequestID>1</RequestID></Response>"
            )
        else:
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                "<RequestId>1</RequestId></ErrorResponse>"
            )
        return _xml(start_response, status, text)


def _policy(statement: Raw) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_POD_IDENTITY: dict[str, Raw] = {
    "ListPodIdentityAssociations": {"associations": [{"associationId": "a-1"}]},
    "DescribePodIdentityAssociation": {"association": {"roleArn": "arn:aws:iam::123456789012:role/lbc"}},
}


def _eks_action(method: str, path: str) -> str:
    """EKS names its actions by method and path."""
    *_, parent, last = f"//{path}".split("/")
    if last == "pod-identity-associations":
        return "ListPodIdentityAssociations"
    if parent == "pod-identity-associations":
        return "DescribePodIdentityAssociation"
    return "DescribeCluster" if method == "GET" else "CreateCluster"


class _QuietRequestHandler(werkzeug.serving.WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, *args: Any) -> None:
        pass


def _result(action: str, inner: str) -> str:
    return (
        f'<{action}Response xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">'
        f"<{action}Result>{inner}</{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    )


def _xml(start_response: Callable[..., Any], status: int, text: str) -> Iterable[bytes]:
    data = text.encode()
    start_response(f"{status} X", [("Content-Type", "text/xml"), ("Content-Length", str(len(data)))])
    return [data]


# --- Both ------------------------------------------------------------------------------------------------------------


class Cloud:
    """Cluster and AWS together, with a kubeconfig that leads there (contexts `lab` in namespace shop, and `bare`)."""

    def __init__(self) -> None:
        self.kube, self.aws = FakeKube(), FakeAws()
        self.env: dict[str, str] = {}

    def reset(self, directory: Path) -> None:
        """Back to health; the kubeconfig is written into `directory`."""
        self.aws.reset()
        self.kube.reset(healthy_objects(self.aws.group_arn, self.aws.host, self.aws.instances))
        self.kubeconfig = directory / "kubeconfig"
        self.write_kubeconfig()
        self.env = {
            "KUBECONFIG": str(self.kubeconfig),
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def write_kubeconfig(self, server: str = "") -> None:
        contexts = {"lab": {"namespace": NS}, "bare": {}}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": server or self.kube.url}}],
            "users": [{"name": "dev", "user": {"token": "t0p-s3cr3t"}}],
            "contexts": [
                {"name": name, "context": {"cluster": "lab", "user": "dev", **more}} for name, more in contexts.items()
            ],
        }
        self.kubeconfig.write_text(json.dumps(document))

    def close(self) -> None:
        self.kube.close()
        self.aws.close()

    # ---- Faults

    def wrong_path(self) -> None:
        """The load balancer checks "/", which the application answers with 404."""
        self.aws.check_path("/")
        annotations = self.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"]
        annotations.pop("alb.ingress.kubernetes.io/healthcheck-path", None)
        for target in self.aws.health:
            target.state, target.reason = "unhealthy", "Target.ResponseCodeMismatch"
            target.description = "Health checks failed with these codes: [404]"

    def wrong_port(self) -> None:
        """The Service sends to 9090, where no pod listens; the controller follows what is patched."""
        self.kube.named("services")[0]["spec"]["ports"][0]["targetPort"] = 9090
        self._serve(9090)

        def follow(asked: Asked, raw: Raw) -> None:
            if asked.resource == "services":
                self._serve(raw["spec"]["ports"][0]["targetPort"])

        self.kube.written = follow

    def _serve(self, port: int) -> None:
        """What endpoints and target group make of a targetPort: healthy on 8080 alone."""
        self.kube.named("endpointslices", group="discovery.k8s.io")[0]["ports"][0]["port"] = port
        good = port == 8080
        for target in self.aws.health:
            target.port = port
            target.state = "healthy" if good else "unhealthy"
            target.reason = "" if good else "Target.FailedHealthChecks"
            target.description = "" if good else "Health checks failed"

    def crash_loop(self) -> None:
        """Both pods crash: no endpoint is ready and no target is left."""
        for raw in self.kube.named("pods"):
            status = raw["status"]["containerStatuses"][0]
            status.update(ready=False, restartCount=5)
            status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
            status["lastState"] = {"terminated": {"reason": "Error", "exitCode": 2, "finishedAt": LONG_AGO}}
            for condition in raw["status"]["conditions"]:
                condition["status"] = "True" if condition["type"] == "PodScheduled" else "False"
        for piece in self.kube.named("endpointslices", group="discovery.k8s.io"):
            for endpoint in piece["endpoints"]:
                endpoint["conditions"] = {"ready": False, "serving": False, "terminating": False}
        for raw in self.kube.named("deployments", group="apps") + self.kube.named("replicasets", group="apps"):
            raw["status"].update(readyReplicas=0, availableReplicas=0)
        self.aws.health = []

    def permission_denied(self) -> None:
        """AWS denies the controller, which has its role by EKS Pod Identity, a call."""
        message = (
            "Failed deploy model due to operation error Elastic Load Balancing v2: ModifyRule, https response error "
            "StatusCode: 403, RequestID: 1, api error AccessDenied: User: arn:aws:sts::123456789012:assumed-role/lbc/1 "
            "is not authorized to perform: elasticloadbalancing:ModifyRule on resource: x because no identity-based "
            "policy allows the elasticloadbalancing:ModifyRule action"
        )
        about = {"kind": "Ingress", "namespace": NS, "name": "web"}
        event = {"involvedObject": about, "type": "Warning", "reason": "FailedDeployModel", "message": message}
        event |= {"metadata": _meta("web.1", NS), "lastTimestamp": "2099-01-01T00:00:00Z", "count": 3}
        self.kube.objects.setdefault(("", "events"), []).append(event)
        for account in self.kube.named("serviceaccounts", "kube-system"):
            account["metadata"]["annotations"] = {}
        for raw in self.kube.named("pods", "kube-system"):
            for container in raw["spec"]["containers"]:
                if any(variable["name"] == "AWS_ROLE_ARN" for variable in container.get("env", ())):
                    agent = "http://169.254.170.23/v1/credentials"
                    container["env"] = [{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": agent}]

    def in_group(self) -> None:
        """The Ingress shares its load balancer with others by an IngressGroup."""
        self.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"][
            "alb.ingress.kubernetes.io/group.name"
        ] = "front"
        binding = self.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]
        binding["metadata"]["labels"] = {"ingress.k8s.aws/stack": "front"}


@contextmanager
def cloud() -> Iterator[Cloud]:
    """One pair of servers for a package of tests."""
    made = Cloud()
    try:
        yield made
    finally:
        made.close()
