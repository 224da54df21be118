"""From raw Kubernetes JSON to slim records. Pure; tolerates absent fields, because half an object is still evidence.

What is missing becomes "", 0, False or empty, unless a function says otherwise. What is of another type than the API's
raises NotUnderstood (`fields`): such an object is left out and counted, never half read.
"""

from __future__ import annotations

import base64
import sys
from dataclasses import replace

from kubectl_lbdoctor.collect.fields import (
    NotUnderstood,
    Raw,
    flag,
    free,
    mapping,
    number,
    objects,
    optional_flag,
    optional_number,
    strings,
    text,
    texts,
)
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, CLASS_ANNOTATION, SERVICE_PREFIX
from kubectl_lbdoctor.knowledge.controller_identity import PLAIN_VARIABLES
from kubectl_lbdoctor.knowledge.managed_fields import held_fields
from kubectl_lbdoctor.model import k8s
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP
from kubectl_lbdoctor.model.plan import ANNOTATIONS, escape
from kubectl_lbdoctor.model.times import parse_time

# Written by tools, never read by the controller, large, and may hold what a person would not share in a bundle.
_DROPPED_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")


def meta(raw: Raw, managed: bool = False) -> k8s.Meta:
    """The metadata of any object; one without it gets the name "". managed: with those who wrote it.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
    """
    data = mapping(raw, "metadata")
    annotations = {k: v for k, v in strings(data, "annotations").items() if k not in _DROPPED_ANNOTATIONS}
    return k8s.Meta(
        name=text(data, "name"),
        namespace=text(data, "namespace"),
        uid=text(data, "uid"),
        resource_version=text(data, "resourceVersion"),
        generation=number(data, "generation"),
        created=text(data, "creationTimestamp"),
        deleted=text(data, "deletionTimestamp"),
        labels=strings(data, "labels"),
        annotations=annotations,
        finalizers=texts(data, "finalizers"),
        owners=tuple(
            k8s.OwnerReference(text(o, "kind"), text(o, "name"), flag(o, "controller"))
            for o in objects(data, "ownerReferences")
        ),
        managers=_managers(raw) if managed else (),
    )


def _managers(raw: Raw) -> tuple[k8s.FieldManager, ...]:
    """Who wrote the spec or the controller's annotations of an object. An entry that is odd is passed over: nothing
    rests on it. Pointers are few and the same for many objects, so that each is kept once (sys.intern)."""
    found = []
    for entry in mapping(raw, "metadata").get("managedFields") or ():
        tree = entry.get("fieldsV1") if isinstance(entry, dict) and not entry.get("subresource") else None
        name, time = (entry.get("manager"), entry.get("time")) if isinstance(tree, dict) else (None, None)
        if isinstance(tree, dict) and isinstance(name, str) and isinstance(time, str):
            fields = tuple(sys.intern(f) for f in held_fields(tree, raw) if f.startswith(_MANAGED))
            if fields:
                found.append(k8s.FieldManager(name, time, fields))
    return tuple(found)


_MANAGED = ("/spec/", *(f"{ANNOTATIONS}/{escape(prefix)}" for prefix in (ALB_PREFIX, SERVICE_PREFIX)))
"""What is kept of the fields that managers hold."""


def conditions(raw: Raw) -> tuple[k8s.Condition, ...]:
    """The conditions of an object's status (of a Pod, Node, Service, workload or binding); () without any."""
    return tuple(
        k8s.Condition(
            text(c, "type"),
            text(c, "status"),
            text(c, "reason"),
            text(c, "message"),
            text(c, "lastTransitionTime"),
            number(c, "observedGeneration"),
        )
        for c in objects(raw, "conditions")
    )


def selector(raw: Raw, key: str) -> dict[str, object]:
    """A LabelSelector as it is; {} without one. Half a selector selects other objects than the whole, so that what has
    another shape is refused.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/
    """
    found = mapping(raw, key)
    strings(found, "matchLabels")
    for requirement in objects(found, "matchExpressions"):
        text(requirement, "key"), text(requirement, "operator"), texts(requirement, "values")
    return {name: found[name] for name in ("matchLabels", "matchExpressions") if found.get(name) is not None}


def _backend(raw: Raw) -> k8s.IngressBackend:
    """An IngressBackend of networking.k8s.io/v1: a Service's port by name, else by number ("" without either), or
    another resource, written group/kind/name."""
    service, resource = mapping(raw, "service"), mapping(raw, "resource")
    port = mapping(service, "port")
    return k8s.IngressBackend(
        service=text(service, "name"),
        port=text(port, "name") or (text(port, "number") if number(port, "number") else ""),
        resource="/".join(text(resource, k) for k in ("apiGroup", "kind", "name")) if resource else "",
    )


def _addresses(raw: Raw) -> tuple[str, ...]:
    """The addresses in an Ingress's or Service's status.loadBalancer: host names (AWS gives no others), else IPs."""
    entries = objects(mapping(mapping(raw, "status"), "loadBalancer"), "ingress")
    return tuple(a for e in entries if (a := text(e, "hostname") or text(e, "ip")))


def ingress(raw: Raw) -> k8s.Ingress:
    """A networking.k8s.io/v1 Ingress. Paths keep their place in the spec, for patches that name it by index.

    https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/
    """
    spec = mapping(raw, "spec")
    paths = []
    for rule_index, rule in enumerate(objects(spec, "rules")):
        for index, path in enumerate(objects(mapping(rule, "http"), "paths")):
            paths.append(
                k8s.IngressPath(
                    host=text(rule, "host"),
                    path=text(path, "path"),
                    path_type=text(path, "pathType"),
                    backend=_backend(mapping(path, "backend")),
                    rule=rule_index,
                    index=index,
                )
            )
    default = mapping(spec, "defaultBackend")
    parsed = meta(raw, managed=True)
    return k8s.Ingress(
        meta=parsed,
        # The legacy annotation wins over the field:
        # https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/ingress/group_loader.go
        class_name=parsed.annotations.get(CLASS_ANNOTATION, "") or text(spec, "ingressClassName"),
        spec_class_name=text(spec, "ingressClassName"),
        default_backend=_backend(default) if default else None,
        paths=tuple(paths),
        tls_hosts=tuple(h for t in objects(spec, "tls") for h in texts(t, "hosts")),
        addresses=_addresses(raw),
    )


def ingress_class(raw: Raw) -> k8s.IngressClass:
    """A networking.k8s.io/v1 IngressClass; without parameters, their kind and name are ""."""
    spec = mapping(raw, "spec")
    parameters = mapping(spec, "parameters")
    return k8s.IngressClass(
        meta=meta(raw),
        controller=text(spec, "controller"),
        parameters_kind=text(parameters, "kind"),
        parameters_name=text(parameters, "name"),
        parameters_group=text(parameters, "apiGroup"),
    )


# Fields that EKS Auto Mode calls otherwise than the controller does, of IngressClassParams and of their subnets.
_AUTO_MODE_FIELDS = {"certificateARNs": "certificateArn", "matchTags": "tags"}


def ingress_class_params(raw: Raw) -> k8s.IngressClassParams:
    """An elbv2.k8s.aws/v1beta1 IngressClassParams, its spec as it is ({} without one), or one of eks.amazonaws.com/v1,
    whose fields get the controller's names.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/ingress_class/,
    https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html
    """
    group, spec = _group_of(raw), free(raw, "spec")
    if group:
        spec = {_AUTO_MODE_FIELDS.get(key, key): value for key, value in spec.items()}
        if isinstance(spec.get("subnets"), dict):
            spec["subnets"] = {_AUTO_MODE_FIELDS.get(key, key): value for key, value in spec["subnets"].items()}
    return k8s.IngressClassParams(meta=meta(raw), spec=spec, group=group)


def _group_of(raw: Raw) -> str:
    """The API group of an object that is EKS Auto Mode's, "" for any other."""
    group = text(raw, "apiVersion").partition("/")[0]
    return group if group == AUTO_MODE_GROUP else ""


def service(raw: Raw) -> k8s.Service:
    """A core/v1 Service. Without a type it is a ClusterIP one, ports are TCP, and node ports are allocated: the API's
    defaults. A targetPort that is absent ("") means the port's own number.

    https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/
    """
    spec = mapping(raw, "spec")
    return k8s.Service(
        meta=meta(raw, managed=True),
        type=text(spec, "type") or "ClusterIP",
        selector=strings(spec, "selector"),
        ports=tuple(
            k8s.ServicePort(
                port=number(p, "port"),
                name=text(p, "name"),
                protocol=text(p, "protocol") or "TCP",
                target_port=text(p, "targetPort"),
                node_port=number(p, "nodePort"),
                app_protocol=text(p, "appProtocol"),
            )
            for p in objects(spec, "ports")
        ),
        cluster_ip=text(spec, "clusterIP"),
        external_traffic_policy=text(spec, "externalTrafficPolicy"),
        health_check_node_port=number(spec, "healthCheckNodePort"),
        load_balancer_class=text(spec, "loadBalancerClass"),
        addresses=_addresses(raw),
        publish_not_ready=flag(spec, "publishNotReadyAddresses"),
        ip_families=texts(spec, "ipFamilies"),
        allocate_node_ports=flag(spec, "allocateLoadBalancerNodePorts", True),
        source_ranges=texts(spec, "loadBalancerSourceRanges"),
        external_name=text(spec, "externalName"),
        conditions=conditions(mapping(raw, "status")),
    )


def endpoint_slice(raw: Raw) -> k8s.EndpointSlice:
    """A discovery.k8s.io/v1 EndpointSlice; a label names its Service ("" without it). A condition that is absent stays
    None: `ready` then counts as true (the API reference: "nil should be interpreted as true").

    https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
    """
    parsed = meta(raw)
    endpoints = []
    for entry in objects(raw, "endpoints"):
        state, target = mapping(entry, "conditions"), mapping(entry, "targetRef")
        endpoints.append(
            k8s.Endpoint(
                addresses=texts(entry, "addresses"),
                ready=optional_flag(state, "ready"),
                serving=optional_flag(state, "serving"),
                terminating=optional_flag(state, "terminating"),
                node=text(entry, "nodeName"),
                zone=text(entry, "zone"),
                target_kind=text(target, "kind"),
                target_name=text(target, "name"),
            )
        )
    return k8s.EndpointSlice(
        meta=parsed,
        service=parsed.labels.get(k8s.SERVICE_LABEL, ""),
        address_type=text(raw, "addressType") or "IPv4",
        ports=tuple(
            k8s.EndpointPort(number(p, "port"), text(p, "name"), text(p, "protocol") or "TCP")
            for p in objects(raw, "ports")
        ),
        endpoints=tuple(endpoints),
        changed=max((text(entry, "time") for entry in objects(mapping(raw, "metadata"), "managedFields")), default=""),
    )


_PROBES = (("httpGet", "httpGet"), ("tcpSocket", "tcpSocket"), ("grpc", "grpc"), ("exec", "exec"))


def _probe(raw: Raw) -> k8s.Probe | None:
    """A container's probe; None without an action. Times in seconds; the defaults are those of the API (Probe, in
    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/)."""
    for key, kind in _PROBES:
        action = mapping(raw, key)
        if raw.get(key) is not None:
            headers = {text(h, "name").lower(): text(h, "value") for h in objects(action, "httpHeaders")}
            return k8s.Probe(
                kind=kind,
                port=text(action, "port"),
                path=text(action, "path"),
                scheme=text(action, "scheme") or "HTTP",
                host_header=headers.get("host", ""),
                headers=tuple(name for name in headers if name != "host"),
                command=texts(action, "command"),
                initial_delay=number(raw, "initialDelaySeconds"),
                period=number(raw, "periodSeconds", 10),
                timeout=number(raw, "timeoutSeconds", 1),
                failure_threshold=number(raw, "failureThreshold", 3),
            )
    return None


# Environment values may be secrets; only those are kept that say how a pod gets its identity, or how a CNI works.
_KEPT_ENV_PREFIX = "AWS_"


def _env(raw: Raw) -> dict[str, str]:
    """PLAIN_VARIABLES of a container, and, with "(set)" for their values, others whose names begin with AWS_."""
    found = {}
    for entry in objects(raw, "env"):
        name = text(entry, "name")
        if name.startswith(_KEPT_ENV_PREFIX) or name in PLAIN_VARIABLES:
            kept = name in PLAIN_VARIABLES and not mapping(entry, "valueFrom")
            found[name] = text(entry, "value") if kept else "(set)"
    return found


def container(raw: Raw, init: bool = False) -> k8s.Container:
    """A container of a pod or pod template. An init container that always restarts is a sidecar:
    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/. Probes are None where it has none."""
    return k8s.Container(
        name=text(raw, "name"),
        image=text(raw, "image"),
        ports=tuple(
            k8s.ContainerPort(
                number(p, "containerPort"), text(p, "name"), text(p, "protocol") or "TCP", number(p, "hostPort")
            )
            for p in objects(raw, "ports")
        ),
        readiness=_probe(mapping(raw, "readinessProbe")),
        liveness=_probe(mapping(raw, "livenessProbe")),
        startup=_probe(mapping(raw, "startupProbe")),
        init=init,
        sidecar=init and text(raw, "restartPolicy") == "Always",
        pre_stop=bool(mapping(mapping(raw, "lifecycle"), "preStop")),
        env=_env(raw),
    )


def _containers(spec: Raw, with_args: bool = False) -> tuple[k8s.Container, ...]:
    """The containers of a pod spec, init containers first, in the order in which they start."""
    found = []
    for key, init in (("initContainers", True), ("containers", False)):
        for raw in objects(spec, key):
            parsed = container(raw, init)
            if with_args:
                # Only the controller's and kube-proxy's flags are needed; arguments of applications may hold secrets.
                parsed = replace(
                    parsed,
                    command=texts(raw, "command"),
                    args=texts(raw, "args"),
                )
            found.append(parsed)
    return tuple(found)


def _status(raw: Raw, init: bool) -> k8s.ContainerStatus:
    """A ContainerStatus. `state` is "" where kubelet has not told one yet; exit codes are None for what has not ended;
    `since` is the start of what runs, and the start (or end) of what has ended."""
    state, last = mapping(raw, "state"), mapping(mapping(raw, "lastState"), "terminated")
    kind = next((k for k in ("waiting", "running", "terminated") if state.get(k) is not None), "")
    detail = mapping(state, kind)
    return k8s.ContainerStatus(
        name=text(raw, "name"),
        ready=flag(raw, "ready"),
        started=optional_flag(raw, "started"),
        restarts=number(raw, "restartCount"),
        state=kind,
        reason=text(detail, "reason"),
        message=text(detail, "message"),
        exit_code=optional_number(detail, "exitCode"),
        since=text(detail, "startedAt") or text(detail, "finishedAt"),
        last_reason=text(last, "reason"),
        last_message=text(last, "message"),
        last_exit_code=optional_number(last, "exitCode"),
        last_finished=text(last, "finishedAt"),
        image=text(raw, "image"),
        init=init,
    )


def pod(raw: Raw, with_args: bool = False) -> k8s.Pod:
    """A core/v1 Pod; one that has no node or address yet has "" there. The grace period is 30 s by default.

    with_args: keep command and arguments of the containers. token_audiences: of its projected service account tokens
    that name one. claims: the PersistentVolumeClaims that its volumes name.
    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
    """
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    audiences = [
        text(mapping(source, "serviceAccountToken"), "audience")
        for volume in objects(spec, "volumes")
        for source in objects(mapping(volume, "projected"), "sources")
    ]
    return k8s.Pod(
        meta=meta(raw),
        node=text(spec, "nodeName"),
        ip=text(status, "podIP"),
        ips=tuple(text(i, "ip") for i in objects(status, "podIPs")),
        host_ip=text(status, "hostIP"),
        phase=text(status, "phase"),
        reason=text(status, "reason"),
        message=text(status, "message"),
        host_network=flag(spec, "hostNetwork"),
        service_account=text(spec, "serviceAccountName"),
        started=text(status, "startTime"),
        grace_seconds=number(spec, "terminationGracePeriodSeconds", 30),
        containers=_containers(spec, with_args),
        statuses=(
            *(_status(s, True) for s in objects(status, "initContainerStatuses")),
            *(_status(s, False) for s in objects(status, "containerStatuses")),
        ),
        conditions=conditions(status),
        readiness_gates=tuple(text(g, "conditionType") for g in objects(spec, "readinessGates")),
        token_audiences=tuple(a for a in audiences if a),
        claims=tuple(
            name
            for volume in objects(spec, "volumes")
            if (name := text(mapping(volume, "persistentVolumeClaim"), "claimName"))
        ),
    )


def pod_outline(raw: Raw) -> k8s.Pod:
    """A Pod without its containers: what tells whose it is, where it is and whether it is there."""
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    return k8s.Pod(
        meta=meta(raw),
        node=text(spec, "nodeName"),
        ip=text(status, "podIP"),
        ips=tuple(text(i, "ip") for i in objects(status, "podIPs")),
        host_ip=text(status, "hostIP"),
        phase=text(status, "phase"),
        host_network=flag(spec, "hostNetwork"),
        started=text(status, "startTime"),
        grace_seconds=number(spec, "terminationGracePeriodSeconds", 30),
        conditions=conditions(status),
    )


def holds_node_ports(raw: Raw) -> bool:
    """Whether a Pod's containers listen on its node's own address."""
    spec = mapping(raw, "spec")
    ports = (port for container in objects(spec, "containers") for port in objects(container, "ports"))
    return flag(spec, "hostNetwork") or any(number(port, "hostPort") for port in ports)


def node(raw: Raw) -> k8s.Node:
    """A core/v1 Node; addresses that kubelet has not published are "".

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
    """
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    addresses = objects(status, "addresses")
    return k8s.Node(
        meta=meta(raw),
        provider_id=text(spec, "providerID"),
        internal_ip=next((text(a, "address") for a in addresses if text(a, "type") == "InternalIP"), ""),
        addresses=tuple(text(a, "address") for a in addresses),
        hostname=next((text(a, "address") for a in addresses if text(a, "type") == "Hostname"), ""),
        unschedulable=flag(spec, "unschedulable"),
        taints=tuple(k8s.Taint(text(t, "key"), text(t, "effect"), text(t, "value")) for t in objects(spec, "taints")),
        conditions=conditions(status),
        kubelet_version=text(mapping(status, "nodeInfo"), "kubeletVersion"),
    )


def target_group_binding(raw: Raw) -> k8s.TargetGroupBinding:
    """An elbv2.k8s.aws/v1beta1 TargetGroupBinding, or one of eks.amazonaws.com/v1. `node_selector` and `networking`
    are None where the spec has none: without the one, every node is eligible; without the other, the controller writes
    no security group rules.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/targetgroupbinding/spec/
    """
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    reference = mapping(spec, "serviceRef")
    networking = free(spec, "networking") if spec.get("networking") is not None else None
    return k8s.TargetGroupBinding(
        meta=meta(raw, managed=True),
        target_group_arn=text(spec, "targetGroupARN"),
        target_group_name=text(spec, "targetGroupName"),
        target_type=text(spec, "targetType"),
        service=text(reference, "name"),
        port=text(reference, "port"),
        node_selector=selector(spec, "nodeSelector") if spec.get("nodeSelector") is not None else None,
        ip_address_type=text(spec, "ipAddressType"),
        vpc_id=text(spec, "vpcID"),
        multi_cluster=flag(spec, "multiClusterTargetGroup"),
        networking=tuple(objects(networking, "ingress")) if networking is not None else None,
        observed_generation=number(status, "observedGeneration"),
        conditions=conditions(status),
        group=_group_of(raw),
    )


def event(raw: Raw) -> k8s.Event:
    """A core/v1 Event, written by the old recorder (count, lastTimestamp) or by the one of events.k8s.io (series,
    eventTime). Without a count it was seen once; without a time, when it was created. Of several times the first and
    the last count, whoever wrote them.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    """
    about = mapping(raw, "involvedObject")
    series = mapping(raw, "series")
    begun = _times(text(raw, "firstTimestamp"), text(raw, "eventTime"))
    seen = _times(text(series, "lastObservedTime"), text(raw, "lastTimestamp")) or begun
    return k8s.Event(
        kind=text(about, "kind"),
        name=text(about, "name"),
        namespace=text(about, "namespace"),
        uid=text(about, "uid"),
        type=text(raw, "type"),
        reason=text(raw, "reason"),
        message=text(raw, "message"),
        count=max(number(series, "count"), number(raw, "count"), 1),
        component=text(mapping(raw, "source"), "component") or text(raw, "reportingComponent"),
        first=begun[0] if begun else "",
        last=seen[-1] if seen else text(mapping(raw, "metadata"), "creationTimestamp"),
    )


def _times(*texts: str) -> list[str]:
    """Those of the texts that are times, the earliest first."""
    known = [(time, written) for written in texts if (time := parse_time(written)) is not None]
    return [written for _, written in sorted(known)]


def workload(raw: Raw, kind: str, with_args: bool = False) -> k8s.Workload:
    """An apps/v1 Deployment, StatefulSet, DaemonSet or ReplicaSet; `kind` is given because list items do not carry it.

    Without a number of replicas, one is wanted: the API's default. with_args: keep command and arguments of the
    containers, and the name of the Secret that holds a webhook's certificate.
    """
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    template = mapping(spec, "template")
    rolling = mapping(mapping(spec, "strategy"), "rollingUpdate") or mapping(
        mapping(spec, "updateStrategy"), "rollingUpdate"
    )
    daemon = kind == "DaemonSet"
    return k8s.Workload(
        kind=kind,
        meta=meta(raw),
        # A DaemonSet has no replicas field: what it wants is the number of nodes that it fits.
        replicas=number(status, "desiredNumberScheduled") if daemon else number(spec, "replicas", 1),
        ready=number(status, "numberReady") if daemon else number(status, "readyReplicas"),
        updated=number(status, "updatedNumberScheduled") if daemon else number(status, "updatedReplicas"),
        observed_generation=number(status, "observedGeneration"),
        selector=strings(mapping(spec, "selector"), "matchLabels"),
        template_labels=strings(mapping(template, "metadata"), "labels"),
        containers=_containers(mapping(template, "spec"), with_args),
        service_account=text(mapping(template, "spec"), "serviceAccountName"),
        conditions=conditions(status),
        strategy=text(mapping(spec, "strategy"), "type"),
        max_unavailable=text(rolling, "maxUnavailable"),
        certificate_secret=_certificate_secret(mapping(template, "spec")) if with_args else "",
        held=_held(spec),
    )


def _held(spec: Raw) -> str:
    """What keeps a changed template from the pods of a workload: `Workload.held`."""
    by_hand = mapping(spec, "updateStrategy")
    if flag(spec, "paused"):
        return "paused"
    if text(by_hand, "type") == "OnDelete":
        return "OnDelete"
    return "partition" if number(mapping(by_hand, "rollingUpdate"), "partition") > 0 else ""


def _certificate_secret(spec: Raw) -> str:
    """The Secret of the volume "cert", "" without one: the controller's chart and its release's manifests name the
    Secret differently, and the volume alike."""
    volumes = (volume for volume in objects(spec, "volumes") if text(volume, "name") == "cert")
    return next((text(mapping(volume, "secret"), "secretName") for volume in volumes), "")


def tls_certificate(raw: Raw) -> k8s.TlsCertificate:
    """The certificate of a kubernetes.io/tls Secret in PEM ("" without one); its key is not looked at."""
    return k8s.TlsCertificate(meta(raw).namespace, meta(raw).name, _decoded(mapping(raw, "data"), "tls.crt"))


def _decoded(raw: Raw, key: str) -> str:
    """A base64 field as text ("" without one). Bytes that are no text stay as they are, for a check to find; the API
    server itself makes the base64, so that what is none raises NotUnderstood."""
    coded = text(raw, key)
    try:
        content = base64.b64decode(coded, validate=True)
    except ValueError as error:
        raise NotUnderstood(f"{key}: base64 was expected") from error
    try:
        return content.decode("ascii")
    except ValueError:
        return coded


def namespace(raw: Raw) -> k8s.Namespace:
    """A core/v1 Namespace: its metadata, whose labels webhooks and policies select by."""
    return k8s.Namespace(meta(raw))


def service_account(raw: Raw) -> k8s.ServiceAccount:
    """A core/v1 ServiceAccount: its metadata, whose annotation names the IAM role of IRSA
    (https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html)."""
    return k8s.ServiceAccount(meta(raw))


def lease(raw: Raw) -> k8s.Lease:
    """A Lease, by which of several pods one leads
    (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/)."""
    spec = mapping(raw, "spec")
    return k8s.Lease(
        meta(raw), text(spec, "holderIdentity"), number(spec, "leaseDurationSeconds"), text(spec, "renewTime")
    )


def webhooks(raw: Raw) -> tuple[k8s.WebhookConfiguration, ...]:
    """Every webhook of one Mutating- or ValidatingWebhookConfiguration; one that calls a URL has no Service ("").

    The port is 443 by default (ServiceReference of
    https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/mutating-webhook-configuration-v1/).
    """
    found = []
    for hook in objects(raw, "webhooks"):
        client = mapping(hook, "clientConfig")
        target = mapping(client, "service")
        found.append(
            k8s.WebhookConfiguration(
                configuration=meta(raw).name,
                name=text(hook, "name"),
                service_namespace=text(target, "namespace"),
                service_name=text(target, "name"),
                service_port=number(target, "port", 443),
                failure_policy=text(hook, "failurePolicy"),
                ca_bundle=_decoded(client, "caBundle"),
            )
        )
    return tuple(found)
