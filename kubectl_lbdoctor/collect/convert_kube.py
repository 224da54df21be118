"""From raw Kubernetes JSON to slim records. Pure; tolerates absent fields, because half an object is still evidence."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.model import k8s

Raw = Mapping[str, Any]

# Written by tools, never read by the controller, large, and may hold what a person would not share in a bundle.
_DROPPED_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")


def _map(raw: Raw, key: str) -> dict[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _list(raw: Raw, key: str) -> list[Any]:
    value = raw.get(key)
    return value if isinstance(value, list) else []


def _text(raw: Raw, key: str) -> str:
    value = raw.get(key)
    return "" if value is None else str(value)


def _int(raw: Raw, key: str, default: int = 0) -> int:
    value = raw.get(key)
    return value if isinstance(value, int) else default


def _strings(raw: Raw, key: str) -> dict[str, str]:
    return {str(k): str(v) for k, v in _map(raw, key).items()}


def meta(raw: Raw) -> k8s.Meta:
    data = _map(raw, "metadata")
    annotations = {k: v for k, v in _strings(data, "annotations").items() if k not in _DROPPED_ANNOTATIONS}
    return k8s.Meta(
        name=_text(data, "name"),
        namespace=_text(data, "namespace"),
        uid=_text(data, "uid"),
        resource_version=_text(data, "resourceVersion"),
        generation=_int(data, "generation"),
        created=_text(data, "creationTimestamp"),
        deleted=_text(data, "deletionTimestamp"),
        labels=_strings(data, "labels"),
        annotations=annotations,
        finalizers=tuple(str(f) for f in _list(data, "finalizers")),
        owners=tuple(
            k8s.OwnerReference(_text(o, "kind"), _text(o, "name"), bool(o.get("controller")))
            for o in _list(data, "ownerReferences")
        ),
    )


def conditions(raw: Raw) -> tuple[k8s.Condition, ...]:
    return tuple(
        k8s.Condition(
            _text(c, "type"),
            _text(c, "status"),
            _text(c, "reason"),
            _text(c, "message"),
            _text(c, "lastTransitionTime"),
        )
        for c in _list(raw, "conditions")
    )


def _backend(raw: Raw) -> k8s.IngressBackend:
    service, resource = _map(raw, "service"), _map(raw, "resource")
    port = _map(service, "port")
    return k8s.IngressBackend(
        service=_text(service, "name"),
        port=_text(port, "name") or (_text(port, "number") if port.get("number") else ""),
        resource="/".join(_text(resource, k) for k in ("apiGroup", "kind", "name")) if resource else "",
    )


def _addresses(raw: Raw) -> tuple[str, ...]:
    entries = _list(_map(_map(raw, "status"), "loadBalancer"), "ingress")
    return tuple(a for e in entries if (a := _text(e, "hostname") or _text(e, "ip")))


def ingress(raw: Raw) -> k8s.Ingress:
    spec = _map(raw, "spec")
    paths = []
    for number, rule in enumerate(_list(spec, "rules")):
        for index, path in enumerate(_list(_map(rule, "http"), "paths")):
            paths.append(
                k8s.IngressPath(
                    host=_text(rule, "host"),
                    path=_text(path, "path"),
                    path_type=_text(path, "pathType"),
                    backend=_backend(_map(path, "backend")),
                    rule=number,
                    index=index,
                )
            )
    default = _map(spec, "defaultBackend")
    parsed = meta(raw)
    return k8s.Ingress(
        meta=parsed,
        # The legacy annotation wins over the field (LBC ingress class loader).
        class_name=parsed.annotations.get("kubernetes.io/ingress.class", "") or _text(spec, "ingressClassName"),
        spec_class_name=_text(spec, "ingressClassName"),
        default_backend=_backend(default) if default else None,
        paths=tuple(paths),
        tls_hosts=tuple(str(h) for t in _list(spec, "tls") for h in _list(t, "hosts")),
        addresses=_addresses(raw),
    )


def ingress_class(raw: Raw) -> k8s.IngressClass:
    spec = _map(raw, "spec")
    parameters = _map(spec, "parameters")
    return k8s.IngressClass(
        meta=meta(raw),
        controller=_text(spec, "controller"),
        parameters_kind=_text(parameters, "kind"),
        parameters_name=_text(parameters, "name"),
    )


def ingress_class_params(raw: Raw) -> k8s.IngressClassParams:
    return k8s.IngressClassParams(meta=meta(raw), spec=_map(raw, "spec"))


def service(raw: Raw) -> k8s.Service:
    spec = _map(raw, "spec")
    return k8s.Service(
        meta=meta(raw),
        type=_text(spec, "type") or "ClusterIP",
        selector=_strings(spec, "selector"),
        ports=tuple(
            k8s.ServicePort(
                port=_int(p, "port"),
                name=_text(p, "name"),
                protocol=_text(p, "protocol") or "TCP",
                target_port=_text(p, "targetPort"),
                node_port=_int(p, "nodePort"),
                app_protocol=_text(p, "appProtocol"),
            )
            for p in _list(spec, "ports")
        ),
        cluster_ip=_text(spec, "clusterIP"),
        external_traffic_policy=_text(spec, "externalTrafficPolicy"),
        health_check_node_port=_int(spec, "healthCheckNodePort"),
        load_balancer_class=_text(spec, "loadBalancerClass"),
        addresses=_addresses(raw),
        publish_not_ready=bool(spec.get("publishNotReadyAddresses")),
        ip_families=tuple(str(f) for f in _list(spec, "ipFamilies")),
        allocate_node_ports=spec.get("allocateLoadBalancerNodePorts") is not False,
        source_ranges=tuple(str(r) for r in _list(spec, "loadBalancerSourceRanges")),
        external_name=_text(spec, "externalName"),
        conditions=conditions(_map(raw, "status")),
    )


def endpoint_slice(raw: Raw) -> k8s.EndpointSlice:
    parsed = meta(raw)
    endpoints = []
    for entry in _list(raw, "endpoints"):
        state, target = _map(entry, "conditions"), _map(entry, "targetRef")
        endpoints.append(
            k8s.Endpoint(
                addresses=tuple(str(a) for a in _list(entry, "addresses")),
                ready=state.get("ready"),
                serving=state.get("serving"),
                terminating=state.get("terminating"),
                node=_text(entry, "nodeName"),
                zone=_text(entry, "zone"),
                target_kind=_text(target, "kind"),
                target_name=_text(target, "name"),
            )
        )
    return k8s.EndpointSlice(
        meta=parsed,
        service=parsed.labels.get("kubernetes.io/service-name", ""),
        address_type=_text(raw, "addressType") or "IPv4",
        ports=tuple(
            k8s.EndpointPort(_int(p, "port"), _text(p, "name"), _text(p, "protocol") or "TCP")
            for p in _list(raw, "ports")
        ),
        endpoints=tuple(endpoints),
    )


_PROBES = (("httpGet", "httpGet"), ("tcpSocket", "tcpSocket"), ("grpc", "grpc"), ("exec", "exec"))


def _probe(raw: Raw) -> k8s.Probe | None:
    for key, kind in _PROBES:
        action = _map(raw, key)
        if action or key in raw:
            headers = {_text(h, "name").lower(): _text(h, "value") for h in _list(action, "httpHeaders")}
            return k8s.Probe(
                kind=kind,
                port=_text(action, "port"),
                path=_text(action, "path"),
                scheme=_text(action, "scheme") or "HTTP",
                host_header=headers.get("host", ""),
                command=tuple(str(c) for c in _list(action, "command")),
                initial_delay=_int(raw, "initialDelaySeconds"),
                period=_int(raw, "periodSeconds", 10),
                timeout=_int(raw, "timeoutSeconds", 1),
                failure_threshold=_int(raw, "failureThreshold", 3),
            )
    return None


# Environment values may be secrets; only these, which say how the controller gets its identity, are kept.
_KEPT_ENV_PREFIX = "AWS_"
_SECRET_ENV = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")


def _env(raw: Raw) -> dict[str, str]:
    found = {}
    for entry in _list(raw, "env"):
        name = _text(entry, "name")
        if name.startswith(_KEPT_ENV_PREFIX):
            found[name] = "(set)" if name in _SECRET_ENV or "valueFrom" in entry else _text(entry, "value")
    return found


def container(raw: Raw, init: bool = False) -> k8s.Container:
    return k8s.Container(
        name=_text(raw, "name"),
        image=_text(raw, "image"),
        ports=tuple(
            k8s.ContainerPort(
                _int(p, "containerPort"), _text(p, "name"), _text(p, "protocol") or "TCP", _int(p, "hostPort")
            )
            for p in _list(raw, "ports")
        ),
        readiness=_probe(_map(raw, "readinessProbe")),
        liveness=_probe(_map(raw, "livenessProbe")),
        startup=_probe(_map(raw, "startupProbe")),
        init=init,
        sidecar=init and _text(raw, "restartPolicy") == "Always",
        pre_stop=bool(_map(raw, "lifecycle").get("preStop")),
        env=_env(raw),
    )


def _containers(spec: Raw, with_args: bool = False) -> tuple[k8s.Container, ...]:
    found = []
    for key, init in (("initContainers", True), ("containers", False)):
        for raw in _list(spec, key):
            parsed = container(raw, init)
            if with_args:
                # Only the controller's and kube-proxy's flags are needed; arguments of applications may hold secrets.
                parsed = replace(
                    parsed,
                    command=tuple(str(c) for c in _list(raw, "command")),
                    args=tuple(str(a) for a in _list(raw, "args")),
                )
            found.append(parsed)
    return tuple(found)


def _status(raw: Raw, init: bool) -> k8s.ContainerStatus:
    state, last = _map(raw, "state"), _map(_map(raw, "lastState"), "terminated")
    kind = next((k for k in ("waiting", "running", "terminated") if k in state), "")
    detail = _map(state, kind)
    return k8s.ContainerStatus(
        name=_text(raw, "name"),
        ready=bool(raw.get("ready")),
        started=raw.get("started"),
        restarts=_int(raw, "restartCount"),
        state=kind,
        reason=_text(detail, "reason"),
        message=_text(detail, "message"),
        exit_code=detail.get("exitCode"),
        since=_text(detail, "startedAt") or _text(detail, "finishedAt"),
        last_reason=_text(last, "reason"),
        last_message=_text(last, "message"),
        last_exit_code=last.get("exitCode"),
        last_finished=_text(last, "finishedAt"),
        image=_text(raw, "image"),
        init=init,
    )


def pod(raw: Raw, with_args: bool = False) -> k8s.Pod:
    spec, status = _map(raw, "spec"), _map(raw, "status")
    audiences = [
        _text(_map(source, "serviceAccountToken"), "audience")
        for volume in _list(spec, "volumes")
        for source in _list(_map(volume, "projected"), "sources")
        if "serviceAccountToken" in source
    ]
    return k8s.Pod(
        meta=meta(raw),
        node=_text(spec, "nodeName"),
        ip=_text(status, "podIP"),
        ips=tuple(_text(i, "ip") for i in _list(status, "podIPs")),
        host_ip=_text(status, "hostIP"),
        phase=_text(status, "phase"),
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        host_network=bool(spec.get("hostNetwork")),
        service_account=_text(spec, "serviceAccountName"),
        started=_text(status, "startTime"),
        grace_seconds=_int(spec, "terminationGracePeriodSeconds", 30),
        containers=_containers(spec, with_args),
        statuses=(
            *(_status(s, True) for s in _list(status, "initContainerStatuses")),
            *(_status(s, False) for s in _list(status, "containerStatuses")),
        ),
        conditions=conditions(status),
        readiness_gates=tuple(_text(g, "conditionType") for g in _list(spec, "readinessGates")),
        token_audiences=tuple(a for a in audiences if a),
    )


def node(raw: Raw) -> k8s.Node:
    spec, status = _map(raw, "spec"), _map(raw, "status")
    addresses = _list(status, "addresses")
    return k8s.Node(
        meta=meta(raw),
        provider_id=_text(spec, "providerID"),
        internal_ip=next((_text(a, "address") for a in addresses if a.get("type") == "InternalIP"), ""),
        addresses=tuple(_text(a, "address") for a in addresses),
        hostname=next((_text(a, "address") for a in addresses if a.get("type") == "Hostname"), ""),
        unschedulable=bool(spec.get("unschedulable")),
        taints=tuple(k8s.Taint(_text(t, "key"), _text(t, "effect"), _text(t, "value")) for t in _list(spec, "taints")),
        conditions=conditions(status),
        kubelet_version=_text(_map(status, "nodeInfo"), "kubeletVersion"),
    )


def target_group_binding(raw: Raw) -> k8s.TargetGroupBinding:
    spec, status = _map(raw, "spec"), _map(raw, "status")
    reference = _map(spec, "serviceRef")
    networking = spec.get("networking")
    return k8s.TargetGroupBinding(
        meta=meta(raw),
        target_group_arn=_text(spec, "targetGroupARN"),
        target_group_name=_text(spec, "targetGroupName"),
        target_type=_text(spec, "targetType"),
        service=_text(reference, "name"),
        port=_text(reference, "port"),
        node_selector=_map(spec, "nodeSelector") if "nodeSelector" in spec else None,
        ip_address_type=_text(spec, "ipAddressType"),
        vpc_id=_text(spec, "vpcID"),
        multi_cluster=bool(spec.get("multiClusterTargetGroup")),
        networking=tuple(_list(networking, "ingress")) if isinstance(networking, dict) else None,
        observed_generation=_int(status, "observedGeneration"),
        conditions=conditions(status),
    )


def event(raw: Raw) -> k8s.Event:
    about = _map(raw, "involvedObject")
    series = _map(raw, "series")
    last = _text(series, "lastObservedTime") or _text(raw, "lastTimestamp") or _text(raw, "eventTime")
    return k8s.Event(
        kind=_text(about, "kind"),
        name=_text(about, "name"),
        namespace=_text(about, "namespace"),
        uid=_text(about, "uid"),
        type=_text(raw, "type"),
        reason=_text(raw, "reason"),
        message=_text(raw, "message"),
        count=_int(series, "count") or _int(raw, "count", 1),
        component=_text(_map(raw, "source"), "component") or _text(raw, "reportingComponent"),
        first=_text(raw, "firstTimestamp") or _text(raw, "eventTime"),
        last=last or _text(_map(raw, "metadata"), "creationTimestamp"),
    )


def workload(raw: Raw, kind: str, with_args: bool = False) -> k8s.Workload:
    """A Deployment, StatefulSet, DaemonSet or ReplicaSet; `kind` is given because list items do not carry it."""
    spec, status = _map(raw, "spec"), _map(raw, "status")
    template = _map(spec, "template")
    rolling = _map(_map(spec, "strategy"), "rollingUpdate") or _map(_map(spec, "updateStrategy"), "rollingUpdate")
    daemon = kind == "DaemonSet"
    return k8s.Workload(
        kind=kind,
        meta=meta(raw),
        # A DaemonSet has no replicas field: what it wants is the number of nodes that it fits.
        replicas=_int(status, "desiredNumberScheduled") if daemon else _int(spec, "replicas", 1),
        ready=_int(status, "numberReady") if daemon else _int(status, "readyReplicas"),
        updated=_int(status, "updatedNumberScheduled") if daemon else _int(status, "updatedReplicas"),
        observed_generation=_int(status, "observedGeneration"),
        selector=_strings(_map(spec, "selector"), "matchLabels"),
        template_labels=_strings(_map(template, "metadata"), "labels"),
        containers=_containers(_map(template, "spec"), with_args),
        service_account=_text(_map(template, "spec"), "serviceAccountName"),
        conditions=conditions(status),
        strategy=_text(_map(spec, "strategy"), "type"),
        max_unavailable=_text(rolling, "maxUnavailable"),
        certificate_secret=_certificate_secret(_map(template, "spec")) if with_args else "",
    )


def _certificate_secret(spec: Raw) -> str:
    """The chart and the release's manifests name the Secret differently, and the volume alike."""
    volumes = (volume for volume in _list(spec, "volumes") if volume.get("name") == "cert")
    return next((_text(_map(volume, "secret"), "secretName") for volume in volumes), "")


def tls_certificate(raw: Raw) -> k8s.TlsCertificate:
    """The certificate of a TLS Secret; its key is not looked at."""
    return k8s.TlsCertificate(meta(raw).namespace, meta(raw).name, _decoded(_map(raw, "data"), "tls.crt"))


def _decoded(raw: Raw, key: str) -> str:
    """A base64 field as text; what cannot be decoded stays as it is, for a check to find."""
    text = _text(raw, key)
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        return text


def namespace(raw: Raw) -> k8s.Namespace:
    return k8s.Namespace(meta(raw))


def service_account(raw: Raw) -> k8s.ServiceAccount:
    return k8s.ServiceAccount(meta(raw))


def webhooks(raw: Raw) -> tuple[k8s.WebhookConfiguration, ...]:
    """Every webhook of one Mutating- or ValidatingWebhookConfiguration that calls a Service."""
    found = []
    for hook in _list(raw, "webhooks"):
        client = _map(hook, "clientConfig")
        target = _map(client, "service")
        found.append(
            k8s.WebhookConfiguration(
                configuration=meta(raw).name,
                name=_text(hook, "name"),
                service_namespace=_text(target, "namespace"),
                service_name=_text(target, "name"),
                service_port=_int(target, "port", 443),
                failure_policy=_text(hook, "failurePolicy"),
                ca_bundle=_decoded(client, "caBundle"),
            )
        )
    return tuple(found)
