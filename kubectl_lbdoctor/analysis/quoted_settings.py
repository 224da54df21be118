"""Where the values are set that an error of the controller or of AWS quotes: an annotation, IngressClassParams, the
LoadBalancerConfiguration of a Gateway, the arguments of the controller. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from kubectl_lbdoctor.analysis.controller_objects import controller_deployment
from kubectl_lbdoctor.analysis.gateway_settings import configurations_of_gateway, properties_of
from kubectl_lbdoctor.analysis.gateways import gateway_of
from kubectl_lbdoctor.analysis.ingress_backends import class_params_of
from kubectl_lbdoctor.knowledge.controller_identity import controller_flags
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_QUOTED = re.compile(r"\b(?:sg|subnet|eipalloc|pl|ipam-pool)-[0-9a-f]{8,17}\b|\barn:aws[\w-]*:[\w:/.*-]+")
_MISSING_NAMES = re.compile(r"missing names: \[([^\]]*)\]")
"""https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/networking/subnet_resolver.go"""


_CERTIFICATES = ("certificate-arn", "ssl-cert", "listenerConfigurations", "certificateArn")
_SETTING_OF = (
    (
        re.compile(r"\bDuplicateLoadBalancerName\b"),
        ("load-balancer-name", "aws-load-balancer-name", "loadBalancerName"),
    ),
    (re.compile(r"\b(?:CertificateNotFound|UnsupportedCertificate)\b"), _CERTIFICATES),
    (
        re.compile(r"allocation IDs? (?:is|are) not available for use|\bAllocationIdNotFound\b"),
        ("eip-allocations", "loadBalancerSubnets", "frontend-nlb-eip-allocations"),
    ),
    (re.compile(r"\bSSLPolicyNotFound\b"), ("ssl-policy", "ssl-negotiation-policy", "sslPolicy", "default-ssl-policy")),
    (re.compile(r"\bTrustStoreNotFound\b"), ("mutual-authentication", "listenerConfigurations")),
    # Of target groups for HTTP/2 and gRPC, only HTTPS listeners forward to them.
    (re.compile(r"\bthe protocol-version '(?:HTTP2|GRPC)'"), ("backend-protocol-version",)),
    (re.compile(r"\bModifyTargetGroupAttributes\b"), ("target-group-attributes", "targetGroupAttributes")),
    (
        re.compile(r"\bModifyLoadBalancerAttributes\b"),
        ("load-balancer-attributes", "attributes", "loadBalancerAttributes", "frontend-nlb-attributes"),
    ),
    (
        re.compile(r"\b(?:AssociateWebACL|WAFNonexistentItemException)\b"),
        ("wafv2-acl-arn", "wafv2-acl-name", "waf-acl-id", "wafv2AclArn", "wafv2AclName", "wafV2"),
    ),
    # By tags of one's own; what the controller looks for by itself is said to be discovered.
    (
        re.compile(r"(?<!discover subnets: )unable to resolve at least one subnet"),
        ("subnets", "loadBalancerSubnetsSelector", "frontend-nlb-subnets"),
    ),
)
"""Errors and calls of AWS that name no value, with the settings that alone lead to them: ends of annotations' keys, or
fields of a spec. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Operations.html"""


@record
class QuotedSetting:
    """The object that sets the values, and where in it: "annotation KEY", a field of its spec, or "argument --FLAG".
    values: those that are quoted, or all that is set there."""

    ref: ObjectRef
    place: str
    values: tuple[str, ...]


def quoted_setting(traffic: TrafficPath, ref: ObjectRef, text: str) -> QuotedSetting | None:
    """Where `ref`, or what it takes its settings from, sets an AWS object that a text names, or what an error without a
    name can only be about; what wins comes first. None where nothing that was read does."""
    values = [*_QUOTED.findall(text), *(name for names in _MISSING_NAMES.findall(text) for name in names.split())]
    asking = next((settings for error, settings in _SETTING_OF if error.search(text)), ())
    found = [(owner, place, held) for owner, places in _sources(traffic, ref) for place, held in places]
    for owner, place, held in found:
        if mine := tuple(value for value in dict.fromkeys(values) if value in held):
            return QuotedSetting(owner, place, mine)
    end = rf"(?:/|aws-load-balancer-|spec\.(?:\w+\.)?|--)(?:{'|'.join(map(re.escape, asking))})$"
    places = [(owner, place, held) for owner, place, held in found if asking and held and re.search(end, place)]
    # Attributes of several places are taken together: the one at fault is the one that the text speaks of.
    places.sort(key=lambda place: not _is_spoken_of(place[2], text))
    for owner, place, held in places:
        return QuotedSetting(owner, place, tuple(sorted(held)))
    return None


def _is_spoken_of(values: Iterable[str], text: str) -> bool:
    """Whether a text has a value, or the key or value of a pair "key=value"."""
    return any(len(part) > len("false") and part in text for value in values for part in value.split("="))


def _sources(traffic: TrafficPath, ref: ObjectRef) -> Iterator[tuple[ObjectRef, Iterable[tuple[str, frozenset[str]]]]]:
    if ref.kind == kinds.GATEWAY.name:
        gateway = gateway_of(traffic.snapshot, ref.namespace, ref.name).peek()
        for settings in configurations_of_gateway(traffic.snapshot, gateway) if gateway is not None else ():
            yield settings.ref, _fields(settings.spec)
        with suppress(Unknown):
            for block in properties_of(traffic):
                yield block.settings.ref, _fields(block.values, f"{block.pointer.strip('/').replace('/', '.')}.")
    ingress, service = traffic.ingress.peek(), traffic.service.peek()
    if ref.kind == kinds.INGRESS.name and ingress is not None and ingress.meta.name == ref.name:
        if (params := class_params_of(ingress, traffic.snapshot)) is not None:
            yield ObjectRef(kinds.INGRESS_CLASS_PARAMS.name, "", params.meta.name), _fields(params.spec)
        yield ref, _annotations(ingress.meta.annotations)
    if ref.kind == kinds.SERVICE.name and service is not None and service.meta.name == ref.name:
        yield ref, _annotations(service.meta.annotations)
    yield from _of_the_controller(traffic)


def _of_the_controller(traffic: TrafficPath) -> Iterator[tuple[ObjectRef, Iterable[tuple[str, frozenset[str]]]]]:
    """The arguments of the controller, which hold where nothing else is said:
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/"""
    ref = controller_deployment(traffic.cluster)
    for workload in traffic.cluster.controllers.peek() or ():
        if ref is not None and (workload.meta.namespace, workload.meta.name) == (ref.namespace, ref.name):
            flags = controller_flags(workload)
            yield ref, ((f"argument --{flag}", frozenset(value.split(","))) for flag, value in flags.items() if value)


def _fields(spec: Mapping[str, object], below: str = "spec.") -> Iterator[tuple[str, frozenset[str]]]:
    return ((f"{below}{key}", frozenset(_texts(value))) for key, value in spec.items())


def _annotations(annotations: Mapping[str, str]) -> Iterator[tuple[str, frozenset[str]]]:
    parts = ((key, re.split(r"[\s,;\"'\[\]{}]+", value)) for key, value in annotations.items())
    return ((f"annotation {key}", frozenset(found)) for key, found in parts)


def _texts(value: object) -> Iterator[str]:
    """All texts of a value, however deep."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ():
        yield from _texts(part)
