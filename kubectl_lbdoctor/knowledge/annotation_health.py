"""The health check that annotations ask for: what the controller would set on the target group.

Computed as the controller computes it (docs/facts.md, "Health checks that the controller asks for"), so that a
difference from the real target group means something. EKS Auto Mode does not publish its numeric
defaults; it is taken to use the controller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

from kubectl_lbdoctor.knowledge.annotation_catalogue import (
    ALB_PREFIX,
    NLB_STEM,
    SERVICE_PREFIX,
    spec_for,
)
from kubectl_lbdoctor.knowledge.annotation_values import (
    TRAFFIC_PORT,
    ValueProblem,
    parse_check_path,
    parse_int,
    parse_port,
)
from kubectl_lbdoctor.knowledge.releases import Version, parse_version
from kubectl_lbdoctor.record import record

T = TypeVar("T")
Owner = Literal["controller", "cloud-provider", "auto-mode", "unknown"]
Source = Literal["default", "Ingress annotation", "Service annotation", "TargetGroupConfiguration"]
LoadBalancerKind = Literal["alb", "nlb", "frontend-nlb"]
TargetType = Literal["instance", "ip"]
NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})
_NO_PORTS: Mapping[str, int | None] = MappingProxyType({})


@record
class Resolved:
    """One annotation after precedence: the raw text, where it stands, and its full key ("" for a default)."""

    value: str | None
    source: Source
    key: str


@record
class Setting(Generic[T]):
    """One field of the wanted health check."""

    value: T | None
    """None: not set for this protocol (path of a TCP check), unknown, refused by ELB, or not computable; then see
    `error`."""
    source: Source
    key: str = ""
    """Full key of the annotation, "" for a default."""
    raw: str = ""
    """The annotation's text, "" for a default."""
    error: str = ""
    """The message with which the controller refuses the annotation and builds nothing."""


@record
class HealthCheckIntent:
    """The wanted health check, field by field."""

    protocol: Setting[str]
    """HTTP, HTTPS or TCP."""
    port: Setting[str]
    """`traffic-port` or a decimal port number."""
    path: Setting[str]
    """None with TCP."""
    matcher: Setting[str]
    """Status codes as the ELBv2 API takes them; GRPC codes when `grpc`. None with TCP and for the cloud provider."""
    interval_seconds: Setting[int]
    timeout_seconds: Setting[int]
    healthy_threshold: Setting[int]
    """Consecutive checks."""
    unhealthy_threshold: Setting[int]
    grpc: bool = False
    """The matcher holds GRPC codes instead of HTTP codes."""

    def settings(self) -> Mapping[str, Setting[Any]]:
        """The eight settings by field name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "grpc"}

    @property
    def errors(self) -> tuple[str, ...]:
        """Why the controller would build no target group; empty when it would."""
        return tuple(setting.error for setting in self.settings().values() if setting.error)


def resolve(
    suffix: str,
    ingress_annotations: Mapping[str, str] = NO_ANNOTATIONS,
    service_annotations: Mapping[str, str] = NO_ANNOTATIONS,
) -> Resolved:
    """The value in force of one annotation, the Service's before the Ingress's, each only where it is read.

    `suffix` is a full key or what follows the prefix (`target-type`, `aws-load-balancer-scheme`). Without an annotation
    the value is the documented default, or None where there is none or it depends on flags. Raises KeyError for a name
    that nobody reads. IngressClassParams, which may override the result, are the caller's business.
    """
    key = suffix if "/" in suffix else _prefix_of(suffix) + suffix
    spec = spec_for(key)
    if spec is None:
        raise KeyError(suffix)
    if "Service" in spec.locations and key in service_annotations:
        return Resolved(service_annotations[key], "Service annotation", key)
    if "Ingress" in spec.locations and key in ingress_annotations:
        return Resolved(ingress_annotations[key], "Ingress annotation", key)
    return Resolved(spec.default or None, "default", "")


def _prefix_of(suffix: str) -> str:
    return SERVICE_PREFIX if suffix.startswith((NLB_STEM, "load-balancer-source-")) else ALB_PREFIX


def effective_health_check(
    load_balancer: LoadBalancerKind,
    *,
    ingress_annotations: Mapping[str, str] = NO_ANNOTATIONS,
    service_annotations: Mapping[str, str] = NO_ANNOTATIONS,
    target_type: TargetType = "instance",
    external_traffic_policy: str = "Cluster",
    service_type: str = "LoadBalancer",
    health_check_node_port: int | None = None,
    port_names: Mapping[str, int | None] = _NO_PORTS,
    owner: Owner = "controller",
    controller_version: str | None = None,
) -> HealthCheckIntent:
    """The health check that the annotations of one Ingress and one Service ask for.

    load_balancer: `alb` reads both objects, `nlb` the Service, `frontend-nlb` (the NLB in front of an ALB) the Ingress.
    external_traffic_policy, service_type, health_check_node_port: as in the Service's spec; they matter for `nlb` only.
    port_names: Service port name → port to check: its nodePort for instance targets, its numeric targetPort for ip
        targets, None when that targetPort is itself a name (which the controller refuses).
    owner: the cloud provider has other defaults and reads no success codes.
    """
    if load_balancer == "alb":
        return _alb(ingress_annotations, service_annotations, port_names)
    if load_balancer == "frontend-nlb":
        return _frontend_nlb(ingress_annotations)
    local = is_node_local(target_type, external_traffic_policy, service_type, owner)
    return _nlb(
        service_annotations, port_names, health_check_node_port if local else None, local, owner, controller_version
    )


def is_node_local(target_type: str, external_traffic_policy: str, service_type: str, owner: Owner) -> bool:
    """Whether an NLB checks kube-proxy's healthCheckNodePort by default, instead of the traffic port."""
    if external_traffic_policy != "Local" or service_type != "LoadBalancer":
        return False
    return target_type == "instance" or owner == "cloud-provider"


# --- Application load balancer ----------------------------------------------------------------------------------------


def _alb(ingress: Mapping[str, str], service: Mapping[str, str], ports: Mapping[str, int | None]) -> HealthCheckIntent:
    def named(suffix: str) -> Resolved:
        return resolve(ALB_PREFIX + suffix, ingress, service)

    grpc = named("backend-protocol-version").value == "GRPC"
    protocol = named("healthcheck-protocol")
    if protocol.source == "default":
        protocol = named("backend-protocol")
    return HealthCheckIntent(
        protocol=_protocol(protocol, ("HTTP", "HTTPS")),
        port=_port(named("healthcheck-port"), ports, TRAFFIC_PORT),
        path=_path(named("healthcheck-path"), "/AWS.ALB/healthcheck" if grpc else "/"),
        matcher=_text(named("success-codes"), "12" if grpc else "200"),
        interval_seconds=_seconds(named("healthcheck-interval-seconds"), 15),
        timeout_seconds=_seconds(named("healthcheck-timeout-seconds"), 5),
        healthy_threshold=_seconds(named("healthy-threshold-count"), 2),
        unhealthy_threshold=_seconds(named("unhealthy-threshold-count"), 2),
        grpc=grpc,
    )


def _frontend_nlb(ingress: Mapping[str, str]) -> HealthCheckIntent:
    def named(suffix: str) -> Resolved:
        return resolve(f"{ALB_PREFIX}frontend-nlb-healthcheck-{suffix}", ingress)

    return HealthCheckIntent(
        protocol=_protocol(named("protocol"), ("HTTP", "HTTPS")),
        port=_port(named("port"), None, TRAFFIC_PORT),
        path=_path(named("path"), "/"),
        matcher=_text(named("success-codes"), "200"),
        interval_seconds=_seconds(named("interval-seconds"), 15),
        timeout_seconds=_seconds(named("timeout-seconds"), 5),
        healthy_threshold=_seconds(named("healthy-threshold-count"), 2),
        unhealthy_threshold=_seconds(named("unhealthy-threshold-count"), 2),
    )


# --- Network load balancer --------------------------------------------------------------------------------------------


@record
class _NlbDefaults:
    """What a maker of NLBs asks for without annotations; times in seconds, the same threshold both ways."""

    protocol: str
    path: str
    interval: int
    timeout: int
    thresholds: int


_NLB = _NlbDefaults("TCP", "/", interval=10, timeout=10, thresholds=3)
_NLB_LOCAL = _NlbDefaults("HTTP", "/healthz", interval=10, timeout=6, thresholds=2)
_CLOUD_PROVIDER = _NlbDefaults("TCP", "/", interval=30, timeout=10, thresholds=3)
_CLOUD_PROVIDER_LOCAL = _NlbDefaults("HTTP", "/healthz", interval=10, timeout=10, thresholds=2)


def _nlb(
    service: Mapping[str, str],
    ports: Mapping[str, int | None],
    node_port: int | None,
    local: bool,
    owner: Owner,
    controller_version: str | None,
) -> HealthCheckIntent:
    in_tree = owner == "cloud-provider"
    if in_tree:
        defaults = _CLOUD_PROVIDER_LOCAL if local else _CLOUD_PROVIDER
    else:
        defaults = _NLB_LOCAL if local else _NLB
    version = parse_version(controller_version) if owner == "controller" else None

    def named(suffix: str) -> Resolved:
        key = f"{SERVICE_PREFIX}{NLB_STEM}healthcheck-{suffix}"
        return resolve(key, service_annotations=service if _is_read(key, version) else NO_ANNOTATIONS)

    asked = named("protocol")
    protocol = _nlb_protocol(asked, defaults.protocol, in_tree)
    plain = protocol.value == "TCP"
    default_port = (str(node_port) if node_port else None) if local else TRAFFIC_PORT
    none: Setting[str] = Setting(None, "default")
    return HealthCheckIntent(
        protocol=protocol,
        port=_port(named("port"), None if in_tree else ports, default_port, in_tree=in_tree),
        path=none if plain else _path(named("path"), defaults.path),
        matcher=none if plain or in_tree else _text(named("success-codes"), "200-399"),
        interval_seconds=_seconds(named("interval"), defaults.interval, in_tree),
        timeout_seconds=_seconds(named("timeout"), defaults.timeout, in_tree),
        healthy_threshold=_seconds(named("healthy-threshold"), defaults.thresholds, in_tree),
        unhealthy_threshold=_seconds(named("unhealthy-threshold"), defaults.thresholds, in_tree),
    )


def _is_read(key: str, version: Version | None) -> bool:
    """Whether a release of the controller reads an annotation; one that is not known reads all. Older ones neither read
    the timeout and the success codes of an NLB nor set them."""
    spec = spec_for(key)
    first = parse_version(spec.since) if spec is not None else None
    return version is None or first is None or version >= first


def _nlb_protocol(asked: Resolved, default: str, in_tree: bool) -> Setting[str]:
    if asked.source == "default" or asked.value is None:
        return Setting(default, "default")
    protocol = asked.value.upper()
    if protocol in ("TCP", "HTTP", "HTTPS"):
        return Setting(protocol, asked.source, asked.key, asked.value)
    error = (
        f"Unsupported health check protocol {protocol}"
        if in_tree
        else f"unsupported health check protocol {asked.value}"
    )
    return Setting(None, asked.source, asked.key, asked.value, error)


# --- single settings --------------------------------------------------------------------------------------------------


def _protocol(asked: Resolved, allowed: tuple[str, ...]) -> Setting[str]:
    value = asked.value or ""
    if asked.source == "default":
        return Setting(value, "default")
    if value in allowed:
        return Setting(value, asked.source, asked.key, value)
    spec = spec_for(asked.key)
    error = spec.error.replace("{value}", value) if spec is not None else ""
    return Setting(None, asked.source, asked.key, value, error)


def _text(asked: Resolved, default: str) -> Setting[str]:
    if asked.source == "default" or asked.value is None:
        return Setting(default, "default")
    return Setting(asked.value, asked.source, asked.key, asked.value)


def _path(asked: Resolved, default: str) -> Setting[str]:
    """The controller hands it on as it is; what ELB refuses comes into force nowhere."""
    found = _text(asked, default)
    try:
        return replace(found, value=parse_check_path(found.value or ""))
    except ValueProblem:
        return replace(found, value=None)


def _seconds(asked: Resolved, default: int, in_tree: bool = False) -> Setting[int]:
    if asked.source == "default" or asked.value is None:
        return Setting(default, "default")
    try:
        return Setting(parse_int(asked.value), asked.source, asked.key, asked.value)
    except ValueProblem as problem:
        error = f"failed to parse int32 annotation, {asked.key}: {asked.value}{problem.detail}"
        if in_tree:
            error = f"failed to parse annotation {asked.key}={asked.value}"
        return Setting(None, asked.source, asked.key, asked.value, error)


def _port(
    asked: Resolved, names: Mapping[str, int | None] | None, default: str | None, *, in_tree: bool = False
) -> Setting[str]:
    """`names` None: port names are not resolved at all."""
    if asked.source == "default" or asked.value is None:
        return Setting(default, "default")
    text = asked.value
    error = ""
    try:
        port = parse_port(text)
    except ValueProblem:
        # Neither reader tests the range; AWS refuses it.
        return Setting(str(int(text)), asked.source, asked.key, text)
    if isinstance(port, int) or port == TRAFFIC_PORT:
        return Setting(str(port), asked.source, asked.key, text)
    if in_tree:
        error = f"Invalid health check port '{text}'"
    elif names is None:
        error = "failed to resolve healthCheckPort"
    elif port not in names:
        error = f"failed to resolve healthCheckPort: unable to find port {text} on service"
    elif names[port] is None:
        error = "cannot use named healthCheckPort for IP TargetType when service's targetPort is a named port"
    else:
        return Setting(str(names[port]), asked.source, asked.key, text)
    return Setting(None, asked.source, asked.key, text, error)
