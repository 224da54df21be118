"""Which converter makes a slim record of a raw object of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kubectl_lbdoctor.collect import convert_gateway, convert_kube, convert_network
from kubectl_lbdoctor.collect.served import whole
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.kinds import Kind

Converter = Callable[[dict[str, Any]], Any]

_CONVERTERS: Mapping[Kind, Callable[..., Any]] = {
    kinds.INGRESS: convert_kube.ingress,
    kinds.SERVICE: convert_kube.service,
    kinds.TARGET_GROUP_BINDING: convert_kube.target_group_binding,
    kinds.INGRESS_CLASS: convert_kube.ingress_class,
    kinds.INGRESS_CLASS_PARAMS: convert_kube.ingress_class_params,
    kinds.NETWORK_POLICY: convert_network.network_policy,
    kinds.ENDPOINT_SLICE: convert_kube.endpoint_slice,
    kinds.POD: convert_kube.pod,
    kinds.NODE: convert_kube.node,
    kinds.NAMESPACE: convert_kube.namespace,
    kinds.EVENT: convert_kube.event,
    kinds.SERVICE_ACCOUNT: convert_kube.service_account,
    kinds.SECRET: convert_kube.tls_certificate,
    kinds.LEASE: convert_kube.lease,
    kinds.GATEWAY: convert_gateway.gateway,
    kinds.GATEWAY_CLASS: convert_gateway.gateway_class,
    kinds.LISTENER_SET: convert_gateway.listener_set,
    kinds.REFERENCE_GRANT: convert_gateway.reference_grant,
    # Items of a list do not carry their kind, and a Route, settings and a Workload must know it.
    **{kind: partial(convert_gateway.route, kind=kind.name) for kind in kinds.ROUTES},
    kinds.LOAD_BALANCER_CONFIGURATION: partial(convert_gateway.settings, kind=kinds.LOAD_BALANCER_CONFIGURATION.name),
    kinds.TARGET_GROUP_CONFIGURATION: partial(convert_gateway.settings, kind=kinds.TARGET_GROUP_CONFIGURATION.name),
    kinds.LISTENER_RULE_CONFIGURATION: convert_gateway.rule_settings,
    kinds.DEPLOYMENT: partial(convert_kube.workload, kind=kinds.DEPLOYMENT.name),
    kinds.STATEFUL_SET: partial(convert_kube.workload, kind=kinds.STATEFUL_SET.name),
    kinds.DAEMON_SET: partial(convert_kube.workload, kind=kinds.DAEMON_SET.name),
    kinds.REPLICA_SET: partial(convert_kube.workload, kind=kinds.REPLICA_SET.name),
    # One configuration gives all its webhooks.
    kinds.MUTATING_WEBHOOK_CONFIGURATION: convert_kube.webhooks,
    kinds.VALIDATING_WEBHOOK_CONFIGURATION: convert_kube.webhooks,
}

CONVERTERS: Mapping[Kind, Callable[..., Any]] = {kind: whole(kind, convert) for kind, convert in _CONVERTERS.items()}
"""The converter of each kind. Every kind of the cluster in `model.kinds` has one. All raise `fields.NotUnderstood` for
an object that lacks what the API server gives with all of its kind."""


def converter(kind: Kind, keeps_arguments: bool = False) -> Converter:
    """The converter of a kind. keeps_arguments: of pods and workloads, with the command lines of their containers."""
    convert = CONVERTERS[kind]
    return partial(convert, with_args=True) if keeps_arguments else convert
