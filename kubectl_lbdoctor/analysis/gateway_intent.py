"""The health check that is asked for of a target group that is made for a Gateway. Pure.

Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/model/model_build_target_group.go
(defaults of each setting, and what they depend on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from kubectl_lbdoctor.analysis.gateway_settings import target_type_of_gateway, value_of
from kubectl_lbdoctor.knowledge.annotation_health import HealthCheckIntent, Setting
from kubectl_lbdoctor.knowledge.annotation_values import TRAFFIC_PORT
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.traffic_path import TrafficPath

T = TypeVar("T")

_SOURCE: Final = "TargetGroupConfiguration"
_LOCAL_SECONDS = (10, 6, 2)
_SECONDS = (15, 5, 3)
"""Interval, timeout and both thresholds: of instances behind a Network Load Balancer whose Service has
externalTrafficPolicy Local, and of all others."""


def health_check_of_gateway(traffic: TrafficPath) -> HealthCheckIntent:
    """The health check that TargetGroupConfigurations, or without them the controller's defaults for Gateways, ask for.

    The protocol of an Application Load Balancer's check is that of its targets, and gRPC is told by the target group
    itself: both are taken from it. Raises `Unknown` where configurations, Service or target group could not be read.
    """
    service, group = traffic.service.need(), traffic.target_group.need()
    instances = (traffic.target_type or target_type_of_gateway(traffic).value) == "instance"
    local = service is not None and service.external_traffic_policy == "Local"
    local = local and instances and not traffic.is_alb
    grpc = group is not None and group.protocol_version == "GRPC"
    own = group.protocol if group is not None else "HTTP"
    # A load balancer as a target is asked by HTTP.
    default_protocol = own if traffic.is_alb else "HTTP" if local or traffic.target_type == "alb" else "TCP"
    protocol = _text(traffic, "healthcheck-protocol", default_protocol)
    plain = protocol.value == "TCP"
    interval, timeout, threshold = _LOCAL_SECONDS if local else _SECONDS
    path = "/AWS.ALB/healthcheck" if grpc else "/healthz" if local else "/"
    none: Setting[str] = Setting(None, "default")
    return HealthCheckIntent(
        protocol=protocol,
        port=_port(traffic, service, instances, local),
        path=none if plain else _text(traffic, "healthcheck-path", path),
        matcher=none
        if plain
        else _text(traffic, "grpc-codes" if grpc else "success-codes", "12" if grpc else "200-399"),
        interval_seconds=_number(traffic, "healthcheck-interval", interval),
        timeout_seconds=_number(traffic, "healthcheck-timeout", timeout),
        healthy_threshold=_number(traffic, "healthy-threshold-count", threshold),
        unhealthy_threshold=_number(traffic, "unhealthy-threshold-count", threshold),
        grpc=grpc,
    )


def _asked(traffic: TrafficPath, name: str, default: T | None, convert: Callable[[object], T]) -> Setting[T]:
    found = value_of(traffic, name)
    if found is None:
        return Setting(default, "default")
    return Setting(convert(found), _SOURCE, name, str(found))


def _text(traffic: TrafficPath, name: str, default: str) -> Setting[str]:
    return _asked(traffic, name, default, str)


def _number(traffic: TrafficPath, name: str, default: int) -> Setting[int]:
    return _asked(traffic, name, default, lambda value: value if isinstance(value, int) else default)


def _port(traffic: TrafficPath, service: Service | None, instances: bool, local: bool) -> Setting[str]:
    """A port's name is that of a Service port: its node port for instances, else its target port."""
    default = (
        str(service.health_check_node_port) if local and service and service.health_check_node_port else TRAFFIC_PORT
    )
    asked = _text(traffic, "healthcheck-port", default)
    if traffic.backend is not None and traffic.behind is not None:
        # Whatever is asked for, another port than that of the listener is never used.
        return asked if asked.value == TRAFFIC_PORT else replace(asked, value=traffic.backend.port)
    if asked.source == "default" or asked.value is None or asked.value == TRAFFIC_PORT or asked.value.isdigit():
        return asked
    port = service.find_port(asked.value) if service is not None else None
    number = str(port.node_port) if port is not None and instances else port.target if port is not None else ""
    error = ""
    if port is None:
        error = f"unable to find port {asked.value} on the Service"
    elif not number.isdigit():
        error = "cannot use named healthCheckPort for IP TargetType when service's targetPort is a named port"
    return Setting(None if error else number, _SOURCE, asked.key, asked.raw, error)
