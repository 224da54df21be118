"""A node whose pods have addresses of an overlay network, which the VPC knows nothing of.

The lab's nodes have one CNI, whose pods are in the VPC. So such a node and its pods are written to the API
server, and their kubelet is played, as the crowd's are (crowd.py). The node stands for an instance that exists; it
takes no other pods and no load balancer's traffic.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

from tests.lab import crowd, topology
from tests.lab.api import Lab
from tests.lab.examples import Manifest
from tests.support import real_size

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_BEAT_SECONDS = 10
_EXCLUDED = {"node.kubernetes.io/exclude-from-external-load-balancers": "true"}
_TAINT = {"key": "lbdlab/overlay", "value": "true", "effect": "NoSchedule"}
ADDRESSES = ("172.30.1.5", "172.30.1.6")


@contextmanager
def node(lab: Lab) -> Iterator[str]:
    """The node; yields its name."""
    api, instance = crowd.Api.of_lab(), topology.NODES[0]
    name, now = f"overlay-{secrets.token_hex(3)}", _now()
    zone, identifier = lab.state["instances"][instance.name]["zone"], lab.state["instances"][instance.name]["id"]
    made = real_size.node(
        name,
        ip=instance.ip,
        zone=zone,
        provider_id=f"aws:///{zone}/{identifier}",
        time=now,
        labels=_EXCLUDED,
        taints=[_TAINT],
    )
    over = threading.Event()

    def beat() -> None:
        api.call("POST", _LEASES, {"metadata": {"name": name}, "spec": _lease(name)})
        while not over.wait(_BEAT_SECONDS):
            api.call("PATCH", f"{_LEASES}/{name}", {"spec": _lease(name)})

    kubelet = threading.Thread(target=beat, daemon=True)
    kubelet.start()
    try:
        api.call("POST", "/api/v1/nodes", made)
        api.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": made["status"]})
        yield name
    finally:
        over.set()
        kubelet.join(30)
        api.call("DELETE", f"/api/v1/nodes/{name}")
        api.call("DELETE", f"{_LEASES}/{name}")


@contextmanager
def pods(namespace: str, node_name: str, addresses: Sequence[str] = ADDRESSES) -> Iterator[None]:
    """Ready pods of Service "web" on that node, one for each address."""
    api, path = crowd.Api.of_lab(), f"/api/v1/namespaces/{namespace}/pods"
    names = [f"web-{number}" for number in range(len(addresses))]
    try:
        for name, address in zip(names, addresses, strict=True):
            made: Manifest = real_size.pod(
                name, "web", node=node_name, ip=address, node_ip=topology.NODES[0].ip, time=_now()
            )
            made["metadata"]["labels"] = {"app": "web"}
            api.call("POST", path, made)
            api.call("PATCH", f"{path}/{name}/status", {"status": made["status"]})
        yield
    finally:
        for name in names:
            # No kubelet would ever say that it has ended.
            api.call("DELETE", f"{path}/{name}?gracePeriodSeconds=0")


def _lease(holder: str) -> dict[str, object]:
    renewed = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"holderIdentity": holder, "leaseDurationSeconds": 40, "renewTime": renewed}


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
