"""The crowded namespace: idle pods and nodes of real size that no kubelet runs, and what keeps them alive.

    python -m tests.lab.crowd

A lab of two nodes and three pods hides what a real cluster does: lists come compressed and chunked, and a namespace
holds hundreds of pods that are none of the subject's business. The objects are written to the API server; this process
then plays their kubelets: it renews the nodes' leases, and sets right what is not Running and Ready.

The nodes are those of EKS Fargate. The AWS Load Balancer Controller never registers these as instance targets (label
eks.amazonaws.com/compute-type=fargate, https://docs.aws.amazon.com/eks/latest/userguide/fargate.html), so that load
balancers with instance targets see the lab's two real nodes only, and no diagnosis has a reason to speak of them; their
taint keeps all other pods away. Only the number of pods on each is not Fargate's, which is one.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from http.client import HTTPException, HTTPSConnection
from typing import Any

from tests.lab import cluster, daemons, topology
from tests.lab.progress import LabError, say, wait_until
from tests.support import real_size

NAMESPACE = "crowd"
NODES = 60
PODS_PER_NODE = 5
PODS_PER_APPLICATION = 10
ACCOUNT = "idle"
DAEMON = "crowd"

COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
_TAINT = {"key": COMPUTE_TYPE, "value": "fargate", "effect": "NoSchedule"}
_LABELS = {COMPUTE_TYPE: "fargate"}
_IDLE = "team=commerce"
# Third octets of the pods' addresses: those of the crowd itself, and of what fills a test's namespace.
_BLOCK = 129
_FILL_BLOCK = 140
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# A node is given up 50 s after its last sign of life (kube-controller-manager's --node-monitor-grace-period).
_LEASE_SECONDS = 40
_BEAT_SECONDS = 15
_WRITERS = 6


@dataclass(frozen=True)
class Place:
    """One of the nodes. Its addresses are the VPC's, in no subnet of the lab: nothing is ever sent there."""

    number: int

    @property
    def name(self) -> str:
        return f"fargate-ip-{self.ip.replace('.', '-')}.{topology.REGION}.compute.internal"

    @property
    def ip(self) -> str:
        return f"10.0.128.{self.number + 1}"

    @property
    def zone(self) -> str:
        zones = sorted({subnet.zone for subnet in topology.SUBNETS})
        return zones[self.number % len(zones)]

    def node(self, now: str) -> dict[str, Any]:
        task = real_size.digest("task", self.name, length=32)
        provider_id = f"aws:///{self.zone}/{task[:10]}-{task}/{self.name}"
        return real_size.node(
            self.name, ip=self.ip, zone=self.zone, provider_id=provider_id, time=now, labels=_LABELS, taints=[_TAINT]
        )


PLACES = tuple(Place(number) for number in range(NODES))


def _application(number: int) -> str:
    return f"idle-{number // PODS_PER_APPLICATION:02}"


def _collection(namespace: str, resource: str = "pods") -> str:
    return f"/api/v1/namespaces/{namespace}/{resource}"


def pods(now: str, block: int = _BLOCK) -> dict[str, dict[str, Any]]:
    """All pods by name; `block` is the third octet of the first addresses."""
    found = {}
    for number in range(NODES * PODS_PER_NODE):
        place, app = PLACES[number % NODES], _application(number)
        template = real_size.digest("template", app, length=9)
        name = f"{app}-{template}-{real_size.digest('pod', number, length=5)}"
        found[name] = real_size.pod(
            name,
            app,
            node=place.name,
            ip=f"10.0.{block + number // 250}.{number % 250 + 1}",
            node_ip=place.ip,
            time=now,
            account=ACCOUNT,
            tolerations=[{**_TAINT, "operator": "Equal"}],
        )
    return found


class Api:
    """Writes to an API server, over one connection for each thread."""

    def __init__(self, host: str, port: int, token: str, certificate: str) -> None:
        self._own = threading.local()
        self._address = host, port
        self._tls = ssl.create_default_context(cafile=certificate)
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "kubelet/v1.34.4"}

    @classmethod
    def of_lab(cls) -> Api:
        certificate = str(cluster.certificate_authority())
        return cls(topology.CONTROL_PLANE_IP, topology.API_SERVER_PORT, cluster.token("admin"), certificate)

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        """None: there is no such object. A patch is a merge patch; creating what exists already is no failure."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        for last in (False, True):
            connection: HTTPSConnection | None = getattr(self._own, "connection", None)
            if connection is None:
                connection = HTTPSConnection(*self._address, timeout=30, context=self._tls)
                self._own.connection = connection
            try:
                connection.request(method, path, data, {**self._headers, "Content-Type": kind})
                answer = connection.getresponse()
                content = answer.read()
                break
            except (HTTPException, OSError):  # an idle connection that the server has closed in between
                connection.close()
                self._own.connection = None
                if last:
                    raise
        if answer.status == 404 and method != "POST":
            return None
        if answer.status >= 400 and answer.status != 409:
            raise LabError(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(content)
        return found

    def list(self, path: str, **params: str) -> list[dict[str, Any]]:
        """The API server's own copy (resourceVersion=0), which costs etcd nothing."""
        query = "&".join(f"{key}={value}" for key, value in {"resourceVersion": "0", **params}.items())
        found = self.call("GET", f"{path}?{query}")
        items: list[dict[str, Any]] = (found or {}).get("items", [])
        return items


class StandIn:
    """Plays the kubelets of the crowd."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pool = ThreadPoolExecutor(_WRITERS)

    def create(self) -> None:
        """Write all that is not there yet: nodes before their pods, or these would be collected as orphans."""
        now = _now()
        self._all(
            self._api.call,
            (("POST", "/api/v1/nodes", place.node(now)) for place in PLACES),
        )
        leases = ({"metadata": {"name": place.name}, "spec": self._lease(place)} for place in PLACES)
        self._all(self._api.call, (("POST", _LEASES, lease) for lease in leases))
        self._api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self.fill(NAMESPACE, _BLOCK)
        applications = sorted({_application(number) for number in range(NODES * PODS_PER_NODE)})
        services = (real_size.service(app, app, namespace=NAMESPACE) for app in applications)
        self._all(self._api.call, (("POST", _collection(NAMESPACE, "services"), service) for service in services))

    def fill(self, namespace: str, block: int = _FILL_BLOCK) -> None:
        """Write the idle pods into a namespace, where they are Running and Ready at once."""
        account = {"metadata": {"name": ACCOUNT}}
        self._api.call("POST", _collection(namespace, "serviceaccounts"), account)
        self._make(namespace, pods(_now(), block))

    def empty(self, namespace: str) -> None:
        """Take the idle pods out of a namespace: no kubelet would ever confirm their end."""
        now = {"gracePeriodSeconds": 0}
        self._api.call("DELETE", f"{_collection(namespace)}?labelSelector={_IDLE}", now)

    def beat(self) -> None:
        """One sign of life from every node; what does not run or is not ready is set right."""
        renewed = {"spec": {"renewTime": self._lease(PLACES[0])["renewTime"]}}
        self._all(self._api.call, (("PATCH", f"{_LEASES}/{place.name}", renewed) for place in PLACES))
        now = _now()
        for node in self._api.list("/api/v1/nodes", labelSelector=f"{COMPUTE_TYPE}=fargate"):
            if not _is_ready(node):
                place = next((place for place in PLACES if place.name == node["metadata"]["name"]), None)
                if place is not None:
                    status = real_size.node_status(place.name, place.ip, now)
                    self._api.call("PATCH", f"/api/v1/nodes/{place.name}/status", {"status": status})
        self._tend_pods()

    def _tend_pods(self) -> None:
        """Make pods that are missing, let those go that are deleted, and report all others as Running and Ready."""
        wanted, path = pods(_now()), _collection(NAMESPACE)
        seen = {pod["metadata"]["name"]: pod for pod in self._api.list(path, labelSelector=_IDLE)}
        for name in [name for name, pod in seen.items() if "deletionTimestamp" in pod["metadata"]]:
            self._api.call("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})
            del seen[name]
        lost = {name: pod for name, pod in wanted.items() if name not in seen or not _is_ready(seen[name])}
        self._make(NAMESPACE, lost)

    def _make(self, namespace: str, wanted: dict[str, dict[str, Any]]) -> None:
        def write(name: str, pod: dict[str, Any]) -> None:
            self._api.call("POST", _collection(namespace), pod)
            self._api.call("PATCH", f"{_collection(namespace)}/{name}/status", {"status": pod["status"]})

        self._all(write, wanted.items())

    def _lease(self, place: Place) -> dict[str, Any]:
        renewed = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"holderIdentity": place.name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": renewed}

    def _all(self, call: Callable[..., object], calls: Iterable[tuple[Any, ...]]) -> None:
        for done in [self._pool.submit(call, *arguments) for arguments in calls]:
            done.result()


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- used by the lab's command ---------------------------------------------------------------------------------------


def start(python: str) -> None:
    daemons.start(DAEMON, [python, "-m", "tests.lab.crowd"], group=cluster.GROUP, netns=topology.NETNS_VPC)


def wait() -> None:
    """Wait until all nodes and pods of the crowd are ready."""

    def ready() -> bool:
        nodes = cluster.get(f"/api/v1/nodes?labelSelector={COMPUTE_TYPE}%3Dfargate").get("items", [])
        idle = cluster.get(f"{_collection(NAMESPACE)}?resourceVersion=0").get("items", [])
        taints = [taint["key"] for node in nodes for taint in node["spec"].get("taints", ())]
        return (
            sum(map(_is_ready, nodes)) == NODES
            and sum(map(_is_ready, idle)) >= NODES * PODS_PER_NODE
            and set(taints) == {COMPUTE_TYPE}
        )

    log = daemons.log_file(DAEMON)
    failed = lambda: daemons.death(*cluster.CONTROL_PLANE, DAEMON)  # noqa: E731
    wait_until("crowded namespace", ready, timeout=120, failed=failed, log=log, interval=1)
    say(f"namespace {NAMESPACE}: {NODES * PODS_PER_NODE} idle pods on {NODES} nodes without kubelets")


def main() -> None:
    stand_in = StandIn(Api.of_lab())
    stand_in.create()
    while True:
        begun = time.monotonic()
        try:
            stand_in.beat()
        except (LabError, HTTPException, OSError) as error:  # an API server that is being restarted, say
            print(f"{_now()} {type(error).__name__}: {error}", flush=True)
        time.sleep(max(1.0, _BEAT_SECONDS - (time.monotonic() - begun)))


if __name__ == "__main__":
    main()
