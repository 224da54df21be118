"""LBD111, LBD112 and LBD310 of Gateways: what a TargetGroupConfiguration says in vain, and annotations.

The rules are those of the annotations that an Ingress, or the Service of a Network Load Balancer, has for the same
settings: AWS asks the same of both. Types and ranges that the schema of the kind has are refused by the API server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from kubectl_lbdoctor.analysis.annotation_readings import OF_THE_CHECK
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.gateway_settings import FIELDS, Properties, gateway_of_path, properties_of
from kubectl_lbdoctor.analysis.gateways import ALB_CONTROLLER, attachments, class_of, route_of
from kubectl_lbdoctor.analysis.ingress_backends import backends_of
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.running_version import controller_version
from kubectl_lbdoctor.knowledge.annotation_rules.linted import AnnotationContext, AnnotationProblem
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX, lint, spec_for
from kubectl_lbdoctor.knowledge.releases import parse_version
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.kinds import resource_name
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.spec_values import value_in
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_BLOCK = "healthCheckConfig"
_OF_ALB = {"healthcheck-interval": "healthcheck-interval-seconds", "healthcheck-timeout": "healthcheck-timeout-seconds"}
_OF_NLB = {
    "healthy-threshold-count": "healthcheck-healthy-threshold",
    "unhealthy-threshold-count": "healthcheck-unhealthy-threshold",
    "success-codes": "healthcheck-success-codes",
}
"""Annotations by the name of a setting, where they are called otherwise."""
_TIMING = ("healthcheck-interval", "healthcheck-timeout")


def of_gateway(traffic: TrafficPath, code: str) -> Iterator[Finding]:
    """What the configuration that holds for a Gateway's target group says and AWS refuses, of one code; nothing for
    other paths. Raises `Unknown` where configurations could not be read."""
    gateway = gateway_of_path(traffic)
    if gateway is None:
        return
    found = class_of(traffic.snapshot, gateway).need()
    if found is None:
        return
    is_alb = found.controller == ALB_CONTROLLER
    version = _version_in_vain(traffic, gateway) if is_alb and code == "LBD111" else None
    if version is not None and version.is_refused:
        yield _refused_version(traffic, version)
    block = next((b for b in properties_of(traffic) if _BLOCK in b.values), None)
    if block is None:
        return
    said = {
        name: str(value)
        for name, field in FIELDS.items()
        if field[0] == _BLOCK and name != "grpc-codes" and (value := value_in(block.values, field)) is not None
    }
    names = {f"{ALB_PREFIX if is_alb else NLB_PREFIX}{(_OF_ALB if is_alb else _OF_NLB).get(n, n)}": n for n in said}
    for problem in _refused({key: said[name] for key, name in names.items()}, is_alb):
        timing = problem.rule == "interval-timeout"
        # The defaults of a Gateway's Network Load Balancer are not those of a Service's.
        if timing and not is_alb and not set(_TIMING) <= set(said):
            continue
        if problem.key in names and code == ("LBD310" if timing else "LBD111"):
            yield _finding(traffic, code, block, names[problem.key], problem)


@record
class _InVain:
    """A protocolVersion that holds at no HTTP listener of a route: where it stands, at which of their ports, and
    whether AWS refuses it there or the controller takes HTTP1 instead."""

    route: ObjectRef
    block: Properties
    value: str
    ports: tuple[int, ...]
    is_refused: bool


_HTTP1_AT_PLAIN_LISTENERS = (2, 17, 0)
"""The release since which target groups of HTTP listeners speak HTTP/1.1 whatever is configured; earlier ones ask AWS
for what it refuses. https://github.com/kubernetes-sigs/aws-load-balancer-controller/pull/4500"""


def _version_in_vain(traffic: TrafficPath, gateway: Gateway) -> _InVain | None:
    block = next((b for b in properties_of(traffic) if _VERSION in b.values), None)
    running, backend = parse_version(controller_version(traffic)), traffic.backend
    if block is None or running is None or backend is None or backend.route is None:
        return None
    route, value = route_of(traffic.snapshot, backend.route).need(), str(block.values[_VERSION])
    attached = attachments(traffic.snapshot, route, gateway) if route is not None else ()
    listeners = [section.listener for attachment in attached for section in attachment.taken]
    plain = tuple(sorted({listener.port for listener in listeners if listener.protocol == "HTTP"}))
    refused = running < _HTTP1_AT_PLAIN_LISTENERS
    if value not in ("HTTP2", "GRPC") or not plain:
        return None
    holds_elsewhere = any(listener.protocol == "HTTPS" for listener in listeners)
    return None if holds_elsewhere and not refused else _InVain(backend.route, block, value, plain, refused)


def _refused_version(traffic: TrafficPath, version: _InVain) -> Finding:
    reason = f"AWS refuses it for HTTP port{'s' if version.ports[1:] else ''} {', '.join(map(str, version.ports))}"
    problem = AnnotationProblem("conflict", "version-listener", _VERSION, version.value, reason, "error")
    found = _finding(traffic, "LBD111", version.block, "backend-protocol-version", problem)
    return replace(found, advice=_BY_HTTPS)


def _version_without_effect(version: _InVain) -> Finding:
    ref = version.block.settings.ref
    where = version.block.pointer.removeprefix("/spec/")
    return Finding(
        "LBD112",
        ref,
        params={
            "object": str(ref),
            "what": "",
            "key": _VERSION,
            "reason": f"target groups of HTTP port {version.ports[0]} are made for HTTP1",
        },
        evidence=(
            Evidence(str(ref), f"{where} {_VERSION}: {version.value}"),
            Evidence(str(version.route), f"listeners: HTTP {', '.join(map(str, version.ports))}, none of HTTPS"),
        ),
        confirm=(kubectl("get", resource_name(ref), "-o", "yaml", namespace=ref.namespace),),
        advice=_BY_HTTPS,
        explains=("LBD306",),
    )


_VERSION = "protocolVersion"
_BY_HTTPS = "attach the route to HTTPS listeners alone (parentRefs with sectionName)"


def unread_of_gateway(traffic: TrafficPath) -> Iterator[Finding]:
    """LBD112: annotations of the controller's on a Gateway, or on a Service that serves a Gateway and nothing else; and
    a protocol version for target groups of HTTP listeners.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/customization/
    """
    gateway = gateway_of_path(traffic)
    if gateway is None:
        return
    found = class_of(traffic.snapshot, gateway).need()
    version = _version_in_vain(traffic, gateway) if found is not None and found.controller == ALB_CONTROLLER else None
    if version is not None and not version.is_refused:
        yield _version_without_effect(version)
    for key in _known(gateway.meta):
        yield _unread(gateway.ref, gateway.meta, key)
    service, ingresses = traffic.service.need(), traffic.namespace_facts.ingresses.peek()
    if service is None or service.type == "LoadBalancer" or ingresses is None:
        return
    if traffic.namespace_facts.ingresses.left_out:
        return  # One of those may lead to the Service.
    if not any(b.service == service.meta.name for ingress in ingresses for b in backends_of(ingress)):
        for key in _known(service.meta):
            yield _unread(traffic.service_ref, service.meta, key)


def _known(meta: Meta) -> list[str]:
    prefixes = (ALB_PREFIX, NLB_PREFIX)
    return [key for key in meta.annotations if key.startswith(prefixes) and spec_for(key) is not None]


def _unread(ref: ObjectRef, meta: Meta, key: str) -> Finding:
    name = key.rpartition("/")[2]
    of_group = name.removeprefix("aws-load-balancer-").startswith(_OF_TARGET_GROUPS)
    where = "TargetGroupConfiguration" if of_group else "LoadBalancerConfiguration"
    reason = f"for Gateways it is {where}"
    return Finding(
        "LBD112",
        ref,
        params={"object": str(ref), "what": "annotation", "key": name, "reason": reason},
        evidence=(Evidence(str(ref), f"{key}: {meta.annotations[key][:300]}"),),
        confirm=(kubectl("get", resource_name(ref), "-o", "yaml", namespace=ref.namespace),),
        by_hand=(kubectl("annotate", resource_name(ref), f"{key}-", namespace=ref.namespace),),
        advice=f"say it in a {where} ({_MEANS[where]}), and remove the annotation",
    )


_OF_TARGET_GROUPS = (
    *("healthcheck", "success-codes", "healthy-threshold", "unhealthy-threshold", "target-", "nlb-target-type"),
    *("backend-protocol", "proxy-protocol", "multi-cluster", "enable-tcp-udp"),
)
"""How the names of settings of a target group begin; others are of the load balancer."""
_MEANS = {
    "TargetGroupConfiguration": "targetReference names the Service",
    "LoadBalancerConfiguration": "infrastructure.parametersRef of the Gateway names it",
}


def _refused(annotations: Mapping[str, str], is_alb: bool) -> Iterator[AnnotationProblem]:
    """What would be refused of the same settings as annotations."""
    if is_alb:
        problems = lint("Ingress", annotations, owner="controller", context=AnnotationContext(is_alb=True))
    else:
        context = AnnotationContext(is_alb=False, is_nlb=True, service_type="LoadBalancer")
        problems = lint("Service", annotations, owner="controller", context=context)
    seen = set()
    for problem in problems:
        refused = problem.kind in ("invalid-value", "conflict") and problem.severity == "error"
        if refused and problem.key not in seen:
            seen.add(problem.key)
            yield problem


def _finding(traffic: TrafficPath, code: str, block: Properties, name: str, problem: AnnotationProblem) -> Finding:
    ref, field = block.settings.ref, FIELDS[name]
    shown = Evidence(str(ref), f"{block.pointer.removeprefix('/spec/')} {'.'.join(field)}: {problem.value[:300]}")
    repairs: tuple[Repair, ...] = ()
    if problem.suggested_value and not problem.suggested_key:
        value = problem.suggested_value
        source = setting_source(traffic, name)
        repairs = (source.repair(value, problem.reason),) if source.ref == ref else ()
    return Finding(
        code,
        ref,
        params={
            "object": str(ref),
            "what": "",
            "key": name,
            "name": field[-1],
            "value": problem.value[:120],
            "reason": problem.reason,
            "suggestion": problem.suggested_value,
        },
        evidence=(shown,),
        confirm=(kubectl("get", resource_name(ref), "-o", "yaml", namespace=ref.namespace),),
        repairs=repairs,
        fix_automatic=bool(repairs),
        advice="" if repairs else f"correct {'.'.join(field)} of {ref}",
        explains=OF_THE_CHECK["path"] if name == "healthcheck-path" else (),
    )
