"""Whether the annotations of a Service ask for proxy protocol on one of its ports. Pure.

Source: buildTargetGroupAttributes in
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/service/model_build_target_group.go: the
annotation of all ports wins over that of some, that one over the attributes, and without any of them the controller
asks for it to be off.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    """What a Service asks for on one of its ports."""
    if annotations.get(ALL_PORTS) == "*":
        return AskedProxyProtocol(True, ALL_PORTS)
    if SOME_PORTS in annotations:
        listed = {text.strip() for text in annotations[SOME_PORTS].split(",")}
        return AskedProxyProtocol(str(port) in listed, SOME_PORTS)
    pairs = (pair.partition("=") for pair in annotations.get(ATTRIBUTES, "").split(","))
    values = [value.strip() for key, _, value in pairs if key.strip() == PROXY_PROTOCOL]
    return AskedProxyProtocol(values[-1] == "true", ATTRIBUTES) if values else AskedProxyProtocol(False)
