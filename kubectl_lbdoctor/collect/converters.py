"""Which converter makes a slim record of a raw object of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kubectl_lbdoctor.collect import convert_kube, convert_network
from kubectl_lbdoctor.model.kinds import Kind

Converter = Callable[[dict[str, Any]], Any]

CONVERTERS: Mapping[str, Callable[..., Any]] = {
    "Ingress": convert_kube.ingress,
    "Service": convert_kube.service,
    "TargetGroupBinding": convert_kube.target_group_binding,
    "IngressClass": convert_kube.ingress_class,
    "IngressClassParams": convert_kube.ingress_class_params,
    "NetworkPolicy": convert_network.network_policy,
    "EndpointSlice": convert_kube.endpoint_slice,
    "Pod": convert_kube.pod,
    "Node": convert_kube.node,
    "Namespace": convert_kube.namespace,
    "Event": convert_kube.event,
    "ServiceAccount": convert_kube.service_account,
    "Secret": convert_kube.tls_certificate,
    # Items of a list do not carry their kind, and a Workload must know it.
    "Deployment": partial(convert_kube.workload, kind="Deployment"),
    "StatefulSet": partial(convert_kube.workload, kind="StatefulSet"),
    "DaemonSet": partial(convert_kube.workload, kind="DaemonSet"),
    "ReplicaSet": partial(convert_kube.workload, kind="ReplicaSet"),
    # One configuration gives all its webhooks.
    "MutatingWebhookConfiguration": convert_kube.webhooks,
    "ValidatingWebhookConfiguration": convert_kube.webhooks,
}
"""The converter of each kind, by its name. Every kind of the cluster in `model.kinds` has one."""


def converter(kind: Kind, keeps_arguments: bool = False) -> Converter:
    """The converter of a kind. keeps_arguments: of pods and workloads, with the command lines of their containers."""
    convert = CONVERTERS[kind.name]
    return partial(convert, with_args=True) if keeps_arguments else convert
