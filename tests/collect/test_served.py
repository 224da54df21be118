"""An object that lacks what the API server gives with all of its kind is left out, and accuses nobody."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_lbdoctor.collect.converters import CONVERTERS
from kubectl_lbdoctor.collect.fields import NotUnderstood
from kubectl_lbdoctor.model.kinds import KINDS
from tests.support import cassette, product
from tests.support.cassette_aws import ReplayAws

Raw = dict[str, Any]


def test_every_recorded_object_is_whole() -> None:
    """What a real API server gave is never left out."""
    for name in sorted(path.name for path in cassette.WORLDS.iterdir() if path.is_dir()):
        for raw in cassette.load(name).objects:
            CONVERTERS[KINDS[raw["kind"]]](raw)


LEGAL: dict[str, list[Raw]] = {
    "Service": [
        {"spec": {"type": "ClusterIP", "clusterIP": "None"}, "status": {"loadBalancer": {}}},
        {"spec": {"type": "ExternalName", "externalName": "db.example"}, "status": {"loadBalancer": {}}},
    ],
    "Ingress": [
        {
            "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}},
            "status": {"loadBalancer": {}},
        },
        {"spec": {"rules": [{"host": "a.example"}]}, "status": {"loadBalancer": {}}},
        {
            "spec": {"rules": [{"http": {"paths": [{"backend": {"resource": {"kind": "Bucket", "name": "b"}}}]}}]},
            "status": {"loadBalancer": {}},
        },
    ],
    "EndpointSlice": [{"addressType": "IPv4", "endpoints": None, "ports": None}],
    "Node": [{"spec": {}, "status": {}}],
    "Pod": [{"spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Pending"}}],
    "NetworkPolicy": [{"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}],
    "Secret": [{"type": "Opaque"}, {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}],
    "IngressClassParams": [{}],
    "MutatingWebhookConfiguration": [
        {},
        {"webhooks": [{"name": "a", "failurePolicy": "Fail", "clientConfig": {"url": "https://a/"}}]},
    ],
    "Deployment": [
        {
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"spec": {"containers": [{"name": "a"}]}},
            },
            "status": {"observedGeneration": 1},
        }
    ],
}


@pytest.mark.parametrize("kind", LEGAL)
def test_what_may_lack_may_lack(kind: str) -> None:
    for raw in LEGAL[kind]:
        CONVERTERS[KINDS[kind]]({"metadata": {"name": "x", "namespace": "shop"}, **raw})


LACKING = {
    "Ingress": ("spec", "status", "spec.rules", "spec.rules.0.http.paths", "spec.rules.0.http.paths.0.backend"),
    "Service": ("spec", "status", "spec.type", "spec.ports", "spec.ports.0.port", "spec.ports.0.targetPort"),
    "TargetGroupBinding": ("spec", "spec.serviceRef", "spec.serviceRef.name", "spec.targetGroupARN"),
    "IngressClass": ("spec", "spec.controller"),
    "EndpointSlice": ("addressType", "endpoints", "ports", "endpoints.0.addresses", "ports.0.port"),
    "Pod": ("spec", "status", "spec.containers", "spec.containers.0.name", "status.phase"),
    "Node": ("spec", "status"),
    "Deployment": ("spec", "status", "spec.replicas", "spec.selector", "spec.template", "status.readyReplicas"),
    "ReplicaSet": ("spec", "status", "spec.replicas", "spec.selector", "spec.template"),
    "DaemonSet": ("spec", "status", "spec.selector", "status.desiredNumberScheduled", "status.numberReady"),
    "Secret": ("type", "data", "data.tls.crt"),
    "MutatingWebhookConfiguration": ("webhooks.0.clientConfig", "webhooks.0.clientConfig.service.name"),
}


def bent(raw: Raw, place: str) -> Iterator[Raw]:
    """The object without this field, and with what is nothing in it."""
    key = "tls.crt" if place.endswith("tls.crt") else place.rpartition(".")[2]
    for value in (..., None, {}, [], ""):
        changed = copy.deepcopy(raw)
        holder: Any = changed
        for step in place.removesuffix(key).strip(".").split("."):
            holder = holder[int(step)] if step.isdigit() else holder[step] if step else holder
        if value is ...:
            del holder[key]
        else:
            holder[key] = value
        yield changed


PERHAPS_EMPTY = {
    *("EndpointSlice.endpoints", "EndpointSlice.ports", "Ingress.status", "Service.status", "Node.spec", "Node.status"),
    "Secret.data.tls.crt",
}


@pytest.mark.parametrize(("kind", "place"), [(kind, place) for kind, places in LACKING.items() for place in places])
def test_what_lacks_such_a_field_is_left_out(kind: str, place: str) -> None:
    world = cassette.load("alb-ip")
    raw = next(o for o in world.objects if o["kind"] == kind)
    CONVERTERS[KINDS[kind]](raw)
    changes = list(bent(raw, place))
    for changed in changes[:1] if f"{kind}.{place}" in PERHAPS_EMPTY else changes:
        with pytest.raises(NotUnderstood):
            CONVERTERS[KINDS[kind]](changed)


@pytest.mark.parametrize(
    ("kind", "namespace", "place"),
    [
        ("Ingress", "shop", "spec"),  # LBD101
        ("Deployment", "kube-system", "status"),  # LBD102
        ("Deployment", "kube-system", "spec"),  # LBD102, LBD129
        ("IngressClass", "", "spec"),  # LBD101
        ("TargetGroupBinding", "shop", "spec"),  # LBD109
        ("Secret", "kube-system", "data"),  # LBD125
        ("EndpointSlice", "kube-system", "endpoints"),  # LBD126
        ("MutatingWebhookConfiguration", "", "webhooks.0.clientConfig"),  # LBD126
        ("Service", "shop", "spec"),  # LBD106
        ("EndpointSlice", "shop", "ports.0.port"),  # LBD205
        ("Pod", "shop", "status"),
        ("Node", "", "status"),
    ],
)
def test_half_an_object_accuses_nobody(kind: str, namespace: str, place: str) -> None:
    world = cassette.load("alb-ip")
    number, raw = next(
        (n, o)
        for n, o in enumerate(world.objects)
        if (o["kind"], o["metadata"].get("namespace", "")) == (kind, namespace)
    )
    world.objects[number] = next(bent(raw, place))
    aws = ReplayAws(world)
    kube = cassette.ReplayKube(world)
    report = product.judge(product.collect(kube, lambda _: aws, world.subjects, world.namespace, world.clock)).report
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == []
    if kind == "Secret":
        return  # It only sharpens a diagnosis, and most people may not read it.
    assert report.status.value == "unknown"
    assert any("could not be understood" in part.error for part in report.coverage.partial)
