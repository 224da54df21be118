"""Whether the annotations of a Service ask for proxy protocol on one of its ports. Pure.

Source: buildTargetGroupAttributes in
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/service/model_build_target_group.go: the
annotation of all ports wins over that of some, that one over the attributes, and without any of them the controller
asks for it to be off.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.knowledge.annotation_values import parse_list, parse_map
from kubectl_lbdoctor.knowledge.annotations import NLB_PREFIX
from kubectl_lbdoctor.model.aws import PROXY_PROTOCOL
from kubectl_lbdoctor.record import record

ALL_PORTS = f"{NLB_PREFIX}proxy-protocol"
SOME_PORTS = f"{NLB_PREFIX}proxy-protocol-per-target-group"
ATTRIBUTES = f"{NLB_PREFIX}target-group-attributes"


@record
class AskedProxyProtocol:
    """key: the annotation that decides, "" where none does and the controller's default is off."""

    on: bool
    key: str = ""


def asked_proxy_protocol(annotations: Mapping[str, str], port: int) -> AskedProxyProtocol:
    """What a Service asks for on one of its ports. Raises `ValueProblem` where its attributes cannot be read, so that
    the controller takes nothing of the Service."""
    if annotations.get(ALL_PORTS) == "*":
        return AskedProxyProtocol(True, ALL_PORTS)
    if SOME_PORTS in annotations:
        return AskedProxyProtocol(str(port) in parse_list(annotations[SOME_PORTS]), SOME_PORTS)
    value = parse_map(annotations.get(ATTRIBUTES, "")).get(PROXY_PROTOCOL)
    return AskedProxyProtocol(False) if value is None else AskedProxyProtocol(value == "true", ATTRIBUTES)
