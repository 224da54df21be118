"""Which pods a selector takes in by the way, and what a mesh answers in an application's place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.meshes import application_ports, is_answered_by_mesh, proxy_of
from kubectl_lbdoctor.analysis.other_workloads import is_another_application, telling_labels
from kubectl_lbdoctor.analysis.pod_evidence import ready
from kubectl_lbdoctor.model.k8s import Container, ContainerPort, Pod, Probe
from tests.support.world import meta, pod

PROXY = Container(
    "istio-proxy",
    "istio/proxyv2:1.24",
    ports=(ContainerPort(15090, "http-envoy-prom"),),
    readiness=Probe("httpGet", "15021", "/healthz/ready"),
)


def made(number: int, image: str = "shop/web:1", **labels: str) -> Pod:
    found = pod(number)
    own = replace(found.containers[0], image=image)
    return replace(found, meta=replace(found.meta, labels={"app": "web", **labels}), containers=(own,))


def meshed(**annotations: str) -> Pod:
    found = pod(1)
    app = replace(found.containers[0], ports=(), readiness=Probe("httpGet", "15020", "/app-health/app/readyz"))
    named = {key.replace("__", "/").replace("_", "."): value for key, value in annotations.items()}
    return replace(found, meta=replace(found.meta, annotations=named), containers=(app, PROXY))


@pytest.mark.parametrize(
    "one, other, another",
    [
        (made(1), made(2), False),
        (made(1), made(2, image="shop/web:2"), False),
        (made(1, version="1"), made(2, version="2"), False),
        (made(1, track="stable"), made(2, track="canary"), False),
        (made(1), made(2, image="shop/worker:1"), True),
        (made(1, component="front"), made(2, component="worker"), True),
        (made(1), made(2, part="worker"), True),
    ],
)
def test_another_application_is_told_by_image_or_purpose(one: Pod, other: Pod, another: bool) -> None:
    assert is_another_application((one,), (other,)) is another


def test_an_image_of_a_registry_with_a_port_has_no_tag() -> None:
    one, other = made(1, image="registry.example:5000/shop/web"), made(2, image="registry.example:5000/shop/web:2")
    assert not is_another_application((one,), (other,))


def test_the_telling_label_is_the_one_that_people_select_by() -> None:
    one = made(1, zone="a", component="front", version="1")
    assert telling_labels((one,), (made(2, zone="b", component="worker"),)) == (("component", "front"), ("zone", "a"))


def test_a_mesh_answers_probes_in_the_applications_place() -> None:
    found = meshed()
    assert is_answered_by_mesh(found, 15020) and not is_answered_by_mesh(found, 8080)
    assert ready((found,)) == [] and application_ports(found) == ()


@pytest.mark.parametrize(
    "annotations, port, name",
    [
        ({}, 8080, "istio-proxy"),
        ({"traffic_sidecar_istio_io__excludeInboundPorts": "80,8080"}, 8080, ""),
        ({"traffic_sidecar_istio_io__includeInboundPorts": "9000"}, 8080, ""),
        ({"traffic_sidecar_istio_io__includeInboundPorts": "*"}, 8080, "istio-proxy"),
        ({"config_linkerd_io__skip-inbound-ports": "8000-8100"}, 8080, ""),
        ({"ambient_istio_io__redirection": "enabled"}, 8080, "ztunnel"),
    ],
)
def test_what_takes_the_connections(annotations: dict[str, str], port: int, name: str) -> None:
    assert proxy_of(meshed(**annotations), port) == name


def test_a_pod_without_a_side_car_has_no_proxy() -> None:
    assert proxy_of(pod(1), 8080) == "" and not is_answered_by_mesh(replace(pod(1), meta=meta("x")), 15020)
