"""The worlds: healthy stacks of the lab, each with what the checks look at. Faults are patches over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.scenarios_objects import _action, own_binding
from tests.lab import examples, gateway_examples
from tests.lab.api import Lab
from tests.lab.examples import ALB, NLB

Manifests = list[dict[str, Any]]


@dataclass(frozen=True)
class WorldSpec:
    """about: a sentence for the world's file. setup: what belongs to it beside its manifests. labels: of the
    namespace. restart: pods are made anew once there is a binding, so that they carry readiness gates. shared: the
    world that holds what all of the same release of the controller have in common."""

    about: str
    manifests: Callable[[], Manifests]
    subjects: tuple[str, ...] = ("Ingress/web",)
    setup: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    gates: bool = False
    whole: bool = False
    shared: str = "cluster"


def _backends() -> Manifests:
    manifests = [
        *examples.alb_ip(ingress={"backends": [("/", "web", 80), ("/api", "api", 80)]}),
        examples.app("api"),
        examples.service("api"),
        examples.app("rest"),
        examples.service("rest"),
    ]
    examples.find(manifests, "Ingress")["spec"]["defaultBackend"] = {
        "service": {"name": "rest", "port": {"number": 80}}
    }
    return manifests


def _group() -> Manifests:
    return [
        *examples.alb_ip(ingress={"group": "team"}),
        examples.app("admin"),
        examples.service("admin"),
        examples.ingress(
            "admin",
            group="team",
            backends=[("/admin", "admin", 80)],
            annotations={f"{ALB}target-type": "ip", f"{ALB}healthcheck-path": "/healthz"},
        ),
    ]


def _grpc() -> Manifests:
    return examples.alb_ip(
        annotations={
            f"{ALB}backend-protocol-version": "GRPC",
            f"{ALB}healthcheck-path": "/grpc.health.v1.Health/Check",
            f"{ALB}success-codes": "0-99",
        },
        app={
            "args": ("--listen", "h2c://:8080", "--grpc", "/*=12"),
            "readiness": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        },
        service={"ports": [{"name": "grpc", "port": 80, "targetPort": 8080, "appProtocol": "kubernetes.io/h2c"}]},
    )


@contextmanager
def _https_listener(lab: Lab, space: str) -> Iterator[None]:
    """A listener with a certificate, which gRPC needs."""
    acm = lab.aws("acm")
    certificate = acm.request_certificate(DomainName="shop.example.com")["CertificateArn"]
    changes = (f"{ALB}certificate-arn={certificate}", f'{ALB}listen-ports=[{{"HTTPS": 443}}]')
    lab.kubectl("annotate", "ingress/web", "-n", space, "--overwrite", *changes)
    yield
    # The certificate is in use until the controller has taken the listener down; it costs nothing to keep.


def _https() -> Manifests:
    return examples.alb_ip(
        annotations={f"{ALB}backend-protocol": "HTTPS", f"{ALB}healthcheck-protocol": "HTTPS"},
        app={
            "args": ("--listen", "https://:8443", "--path", "/healthz=200"),
            "container_port": 8443,
            "readiness": {"httpGet": {"path": "/healthz", "port": 8443, "scheme": "HTTPS"}, "periodSeconds": 1},
        },
        service={"port": 443, "target_port": 8443},
        ingress={"backends": [("/", "web", 443)]},
    )


def _split() -> Manifests:
    return [
        *examples.alb_ip(
            annotations={f"{ALB}actions.split": _action(("web", 80, 50), ("blue", 80, 50))},
            ingress={"backends": [("/", "split", "use-annotation")]},
        ),
        examples.app("blue"),
        examples.service("blue"),
    ]


def _udp() -> Manifests:
    return examples.nlb_ip(
        annotations={
            f"{NLB}healthcheck-protocol": "tcp",
            f"{NLB}healthcheck-path": None,
            f"{NLB}healthcheck-port": "8080",
        },
        app={
            "args": ("--listen", "udp://:5353", "--listen", ":8080", "--path", "/healthz=200"),
            "ports": [
                {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
                {"name": "http", "containerPort": 8080},
            ],
        },
        service={"ports": [{"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"}]},
    )


def _tls_check() -> Manifests:
    return examples.nlb_ip(
        annotations={f"{NLB}healthcheck-protocol": "https"},
        app={
            "args": ("--listen", "https://:8443", "--path", "/healthz=200"),
            "container_port": 8443,
            "readiness": {"httpGet": {"path": "/healthz", "port": 8443, "scheme": "HTTPS"}, "periodSeconds": 1},
        },
        service={"port": 443, "target_port": 8443},
    )


WORLDS = {
    "alb-ip": WorldSpec("An Ingress whose targets are pods.", examples.alb_ip, whole=True),
    "alb-instance": WorldSpec("An Ingress whose targets are nodes.", examples.alb_instance),
    "nlb-ip": WorldSpec("A Network Load Balancer whose targets are pods.", examples.nlb_ip, ("Service/web",)),
    "nlb-instance": WorldSpec(
        "A Network Load Balancer whose targets are nodes.", examples.nlb_instance, ("Service/web",)
    ),
    "nlb-local": WorldSpec(
        "A Network Load Balancer whose targets are nodes, with externalTrafficPolicy Local.",
        lambda: examples.nlb_instance(
            annotations={f"{NLB}healthcheck-protocol": None, f"{NLB}healthcheck-path": None},
            service={"external_traffic_policy": "Local"},
        ),
        ("Service/web",),
    ),
    "alb-local": WorldSpec(
        "An Ingress whose targets are nodes, with externalTrafficPolicy Local and a pod on each node.",
        lambda: examples.alb_instance(service={"external_traffic_policy": "Local"}),
    ),
    "alb-backends": WorldSpec("An Ingress with two paths and a default backend.", _backends),
    "alb-group": WorldSpec("Two Ingresses of one IngressGroup.", _group, ("Ingress/web", "Ingress/admin")),
    "alb-split": WorldSpec("An Ingress that splits its traffic by a use-annotation action.", _split),
    "alb-grpc": WorldSpec("An Ingress in front of a gRPC server.", _grpc, setup=_https_listener),
    "alb-https": WorldSpec("An Ingress that speaks HTTPS to its targets.", _https),
    "alb-gates": WorldSpec("Pods with target-health readiness gates.", examples.alb_ip, gates=True),
    "alb-named-port": WorldSpec("A targetPort by name.", lambda: examples.alb_ip(service={"target_port": "http"})),
    "alb-check-port": WorldSpec(
        "Health checks on a port of their own.",
        lambda: examples.alb_ip(
            annotations={f"{ALB}healthcheck-port": "9090"},
            app={
                "args": ("--listen", ":8080", "--listen", ":9090", "--path", "/healthz=200"),
                "ports": [{"name": "http", "containerPort": 8080}, {"name": "health", "containerPort": 9090}],
            },
        ),
    ),
    "nlb-udp": WorldSpec("UDP targets with a TCP check port.", _udp, ("Service/web",)),
    "nlb-tls-check": WorldSpec("A Network Load Balancer that checks by HTTPS.", _tls_check, ("Service/web",)),
    "nlb-proxy-protocol": WorldSpec(
        "Proxy protocol with checks by TCP.",
        lambda: examples.nlb_ip(
            annotations={
                f"{NLB}proxy-protocol": "*",
                f"{NLB}healthcheck-protocol": "tcp",
                f"{NLB}healthcheck-path": None,
            }
        ),
        ("Service/web",),
    ),
    "own-binding": WorldSpec(
        "A target group and a TargetGroupBinding that people made.",
        lambda: [examples.app(), examples.service()],
        ("TargetGroupBinding/own",),
        setup=own_binding,
    ),
    "gateway-alb": WorldSpec(
        "A Gateway with an HTTPRoute whose targets are pods.",
        gateway_examples.alb_ip,
        ("Gateway/web",),
        shared="cluster-3",
        whole=True,
    ),
    "alb-frontend-nlb": WorldSpec(
        "An Ingress with a Network Load Balancer before its load balancer.",
        examples.behind_frontend_nlb,
        shared="cluster-3",
    ),
    "gateway-nlb": WorldSpec(
        "A Gateway with a TCPRoute whose targets are pods.",
        gateway_examples.nlb_ip,
        ("Gateway/web",),
        shared="cluster-3",
    ),
}
