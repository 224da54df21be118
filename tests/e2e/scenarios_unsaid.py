"""Faults of which nobody says anything: what is asked for is not taken, or not all of it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.e2e.scenarios import Scenario, settled
from tests.lab import controller, examples, faults
from tests.lab.api import Lab
from tests.lab.examples import NLB

_CONTROLLER = "Deployment/aws-load-balancer-controller"
_KEPT = ("name", "namespace", "labels", "annotations")
_WEBHOOKS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")


def _as_made(found: dict[str, Any]) -> dict[str, Any]:
    """An object without what the API server adds to it."""
    metadata = {key: value for key, value in found["metadata"].items() if key in _KEPT}
    return {key: value for key, value in found.items() if key != "status"} | {"metadata": metadata}


@contextmanager
def _uninstalled(lab: Lab, ns: str) -> Iterator[None]:
    """The controller and its webhooks are gone, as after `helm uninstall`; its class and definitions stay."""
    deployment = _as_made(lab.get("deployment", controller.NAME, controller.NAMESPACE))
    hooks = [_as_made(lab.get(kind, "aws-load-balancer-webhook")) for kind in _WEBHOOKS]
    lab.kubectl("delete", "deployment", controller.NAME, "-n", controller.NAMESPACE, "--wait=true")
    for kind in _WEBHOOKS:
        lab.kubectl("delete", kind, "aws-load-balancer-webhook")
    try:
        yield
    finally:
        lab.apply(hooks, controller.NAMESPACE)
        lab.apply(deployment, controller.NAMESPACE)
        controller.wait_ready()


@contextmanager
def _class_of_auto_mode(lab: Lab, ns: str) -> Iterator[None]:
    """An IngressClass as the documentation of EKS Auto Mode has it."""
    metadata = {"name": f"{ns}-auto"}
    spec = {"controller": "eks.amazonaws.com/alb"}
    lab.apply({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": metadata, "spec": spec}, ns)
    lab.kubectl("annotate", "ingressclass", f"{ns}-auto", "ingressclass.kubernetes.io/is-default-class=true")
    try:
        yield
    finally:
        lab.kubectl("delete", "ingressclass", f"{ns}-auto", "--ignore-not-found")


@contextmanager
def _before_the_webhook(lab: Lab, ns: str) -> Iterator[None]:
    """What is made now gets no class."""
    with faults.admission_ignored(lab):
        lab.apply(_without_class(), ns)
    yield


def _without_class() -> list[dict[str, Any]]:
    return examples.nlb_instance(
        service={"load_balancer_class": None}, annotations={f"{NLB}nlb-target-type": None, f"{NLB}scheme": None}
    )


def _without_class_of_ingress() -> list[dict[str, Any]]:
    found = examples.alb_ip()
    for manifest in found:
        if manifest["kind"] == "Ingress":
            manifest["spec"].pop("ingressClassName", None)
    return found


def _two_protocols() -> list[dict[str, Any]]:
    ports = [
        {"name": "udp", "port": 80, "protocol": "UDP", "targetPort": 8080},
        {"name": "tcp", "port": 80, "protocol": "TCP", "targetPort": 8080},
    ]
    return examples.nlb_ip(service={"ports": ports}, annotations={f"{NLB}healthcheck-port": "8080"})


@contextmanager
def _groups_too_late(lab: Lab, ns: str) -> Iterator[None]:
    lab.kubectl("annotate", "service/web", "-n", ns, f"{NLB}disable-nlb-sg-")
    lab.kubectl("annotate", "service/web", "-n", ns, f"{NLB}security-groups=sg-0123456789abcdef0")
    yield


@contextmanager
def _last_pod_leaves(lab: Lab, ns: str) -> Iterator[None]:
    """The autoscaler is about to take the node with the only pod."""
    node = lab.wait_ready_pods(ns, "app=web", 1)[0]["spec"]["nodeName"]
    taint = "ToBeDeletedByClusterAutoscaler"
    lab.kubectl("taint", "node", node, f"{taint}=1:NoSchedule")
    try:
        yield
    finally:
        lab.kubectl("taint", "node", node, f"{taint}:NoSchedule-")


SCENARIOS: Sequence[Scenario] = [
    Scenario(
        "controller-uninstalled", examples.alb_ip, ["LBD129"], settled(3), around=_uninstalled, object=_CONTROLLER
    ),
    Scenario(
        "services-switched-off",
        examples.nlb_ip,
        ["LBD130"],
        settled(5),
        subject="svc/web",
        around=lambda lab, ns: faults.controller_args(lab, "--feature-gates=EnableServiceController=false"),
        object=_CONTROLLER,
    ),
    Scenario(
        "namespace-not-watched",
        examples.alb_ip,
        ["LBD131"],
        settled(5),
        around=lambda lab, ns: faults.controller_args(lab, "--watch-namespace=kube-system"),
        object=_CONTROLLER,
    ),
    Scenario(
        "name-of-another-cluster",
        examples.alb_ip,
        ["LBD134"],
        settled(8),
        around=lambda lab, ns: faults.controller_args(lab, "--cluster-name=staging"),
        object=_CONTROLLER,
    ),
    Scenario(
        "class-of-eks-auto-mode",
        _without_class_of_ingress,
        ["LBD132"],
        settled(32),
        around=_class_of_auto_mode,
        object="Ingress/web",
    ),
    Scenario(
        "service-older-than-the-webhook",
        lambda: _without_class()[:1],
        ["LBD133"],
        settled(32),
        subject="svc/web",
        around=_before_the_webhook,
        object="Service/web",
    ),
    Scenario(
        "two-protocols-on-one-port",
        _two_protocols,
        ["LBD224"],
        settled(20),
        subject="svc/web",
        object="Service/web",
        says=["enable-tcp-udp-listener"],
    ),
    Scenario(
        "security-groups-asked-for-too-late",
        lambda: examples.nlb_ip(annotations={f"{NLB}disable-nlb-sg": "true"}),
        ["LBD222"],
        settled(5),
        subject="svc/web",
        fault=_groups_too_late,
        object="Service/web",
        exit=0,
    ),
    Scenario(
        "last-pod-of-a-local-service-leaves",
        lambda: examples.nlb_instance(service={"external_traffic_policy": "Local"}, app={"replicas": 1}),
        ["LBD207"],
        settled(15),
        subject="svc/web",
        setup=_last_pod_leaves,
        says=["all ready pods run there"],
    ),
]
