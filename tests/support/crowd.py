"""A namespace of real size around the example: 300 more pods, 60 more nodes and 600 events, as large as in production.

What makes objects large, and the program does not need: managedFields, environment, annotations, images on a node.
"""

from __future__ import annotations

from typing import Any

from tests.support.cloud import Cloud
from tests.support.shop import LONG_AGO, NS, REGION, meta, pod, workload

Raw = dict[str, Any]

PODS = 300
NODES = 60
EVENTS = 600
"""More than one page of kubectl's size."""

WORKLOADS = 10
"""Deployments that the pods belong to, with one ReplicaSet each."""


def gather(cloud: Cloud) -> None:
    """Fill the namespace and the cluster; everything that is added is healthy, and none of it serves `shop/web`."""
    objects = cloud.kube.objects
    for kind in (("", "pods"), ("", "nodes")):
        for raw in objects[kind]:
            raw["metadata"] |= _clutter()
    first = objects["", "nodes"][0]
    for number in range(10, 10 + NODES):
        objects["", "nodes"].append(_node(first, number))
    for number in range(WORKLOADS):
        name, labels = f"idle-{number}", {"app": f"idle-{number}"}
        hashed = {**labels, "pod-template-hash": "abc"}
        objects["apps", "deployments"].append(workload(name, NS, PODS // WORKLOADS, labels))
        objects["apps", "replicasets"].append(workload(f"{name}-abc", NS, PODS // WORKLOADS, hashed))
    for number in range(PODS):
        owner = f"idle-{number % WORKLOADS}"
        labels = {"app": owner, "pod-template-hash": "abc"}
        address = f"10.0.{100 + number // 250}.{number % 250 + 1}"
        raw = pod(f"{owner}-abc-{number:03}", 10 + number % NODES, address, f"{owner}-abc", labels=labels)
        raw["metadata"] |= _clutter()
        raw["spec"]["containers"][0]["env"] = [
            {"name": f"SETTING_{n}", "value": f"a value of some length for setting {n}"} for n in range(40)
        ]
        objects["", "pods"].append(raw)
    for number in range(EVENTS):
        objects["", "events"].append(_event(objects["", "pods"][-1 - number % PODS], number))
    for items in objects.values():
        for raw in items:
            raw["metadata"].setdefault("resourceVersion", "1")


def _event(about: Raw, number: int) -> Raw:
    name = about["metadata"]["name"]
    return {
        "metadata": meta(f"{name}.{number:x}"),
        "involvedObject": {"kind": "Pod", "namespace": NS, "name": name, "uid": about["metadata"]["uid"]},
        "type": "Normal",
        "reason": "Pulled",
        "message": 'Container image "registry.example/app:1" already present on machine',
        "count": 1,
        "firstTimestamp": LONG_AGO,
        "lastTimestamp": LONG_AGO,
        "source": {"component": "kubelet"},
    }


def _node(like: Raw, number: int) -> Raw:
    zone = f"{REGION}{'ac'[number % 2]}"
    labels = {**like["metadata"]["labels"], "topology.kubernetes.io/zone": zone}
    metadata = {"name": f"node{number}", "uid": f"node{number}", "creationTimestamp": LONG_AGO, "labels": labels}
    images = [
        {"names": [f"registry.example/team/application-{n}:1.{n}"], "sizeBytes": 10_000_000 + n} for n in range(50)
    ]
    addresses = [{"type": "InternalIP", "address": f"10.0.{number}.10"}]
    return {
        "metadata": {**metadata, **_clutter()},
        "spec": {"providerID": f"aws:///{zone}/i-{number:017x}"},
        "status": {**like["status"], "addresses": addresses, "images": images},
    }


def _clutter() -> Raw:
    fields = {f"f:field{n}": {".": {}, "f:name": {}, "f:value": {}, "f:valueFrom": {}} for n in range(20)}
    managed = [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": LONG_AGO,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": fields, "f:spec": fields},
        }
        for manager in ("kube-controller-manager", "kubelet")
    ]
    annotations = {f"example.com/annotation-{n}": "what some tool has to remember " * 4 for n in range(10)}
    return {"managedFields": managed, "annotations": annotations}
