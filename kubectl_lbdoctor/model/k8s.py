"""Slim records of the Kubernetes objects that a diagnosis needs; nothing else of an object is kept.

Times are RFC 3339 strings as the API server sends them ("" when absent). Names of fields follow the Kubernetes API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.record import record


@record
class OwnerReference:
    kind: str
    name: str
    controller: bool = False


@record
class FieldManager:
    """A program that has written an object, and what it holds of it: JSON pointers, of the spec and of the controller's
    annotations alone. time: of its last write to any field that it holds, RFC 3339."""

    name: str
    time: str
    fields: tuple[str, ...] = ()


@record
class Meta:
    """What every object carries. `deleted` is the deletionTimestamp: set while finalizers are still at work. managers:
    who wrote it; kept of what people write and --fix changes, and of no pod."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    created: str = ""
    deleted: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owners: tuple[OwnerReference, ...] = ()
    managers: tuple[FieldManager, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def written(self) -> str:
        """When it was made or last written, as far as its managers are kept; RFC 3339, "" where nothing tells."""
        return max((self.created, *(manager.time for manager in self.managers)))


@record
class Condition:
    """`observed_generation`: of which generation of the object it speaks; 0 where it does not say."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: str = ""
    observed_generation: int = 0


def condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of the given type, or None when the object does not carry it."""
    return next((c for c in conditions if c.type == kind), None)


@record
class IngressBackend:
    """Where an Ingress path leads: a Service and one of its ports by number or name, or another resource.

    A port named "use-annotation" makes `service` the name of an `actions.<name>` annotation instead.
    """

    service: str = ""
    port: str = ""
    resource: str = ""

    @property
    def is_action(self) -> bool:
        return self.port == "use-annotation"


@record
class IngressPath:
    """One path of an Ingress; `rule` and `index` say where it stands in spec.rules[rule].http.paths[index]."""

    host: str
    path: str
    path_type: str
    backend: IngressBackend
    rule: int = 0
    index: int = 0


@record
class Ingress:
    """`class_name` is what the controller goes by: the legacy annotation, else `spec_class_name`."""

    meta: Meta
    class_name: str = ""
    spec_class_name: str = ""
    default_backend: IngressBackend | None = None
    paths: tuple[IngressPath, ...] = ()
    tls_hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@record
class IngressClass:
    meta: Meta
    controller: str = ""
    parameters_kind: str = ""
    parameters_name: str = ""
    parameters_group: str = ""


@record
class IngressClassParams:
    """`spec` is kept as read, with the field names of the controller: its fields override annotations one by one.
    `group`: the API group, where it is EKS Auto Mode's."""

    meta: Meta
    spec: Mapping[str, object] = field(default_factory=dict)
    group: str = ""


@record
class ServicePort:
    """`target_port` is a number or a container port's name, as written ("" means the same as `port`)."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: str = ""
    node_port: int = 0
    app_protocol: str = ""

    @property
    def target(self) -> str:
        return self.target_port or str(self.port)


@record
class Service:
    meta: Meta
    type: str = "ClusterIP"
    selector: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = ""
    external_traffic_policy: str = ""
    health_check_node_port: int = 0
    load_balancer_class: str = ""
    addresses: tuple[str, ...] = ()
    publish_not_ready: bool = False
    ip_families: tuple[str, ...] = ()
    allocate_node_ports: bool = True
    source_ranges: tuple[str, ...] = ()
    external_name: str = ""
    conditions: tuple[Condition, ...] = ()

    def find_port(self, wanted: str) -> ServicePort | None:
        """The port with this number or name, as an Ingress backend or a TargetGroupBinding refers to it."""
        for port in self.ports:
            if wanted in (str(port.port), port.name) and wanted:
                return port
        return None


@record
class EndpointPort:
    port: int
    name: str = ""
    protocol: str = "TCP"


@record
class Endpoint:
    """`ready` None means ready (EndpointSlice API: unset is to be read as true)."""

    addresses: tuple[str, ...]
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None
    node: str = ""
    zone: str = ""
    target_kind: str = ""
    target_name: str = ""

    @property
    def is_ready(self) -> bool:
        return self.ready is not False


SERVICE_LABEL = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service:
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#ownership"""


@record
class EndpointSlice:
    """changed: when it was last written, RFC 3339, "" where it does not say."""

    meta: Meta
    service: str = ""
    address_type: str = "IPv4"
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    changed: str = ""


@record
class ContainerPort:
    port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0


@record
class Probe:
    """A container probe. kind: httpGet, tcpSocket, grpc or exec; times in seconds; `port` number or name. headers: the
    lower-case names of those that it sends besides Host."""

    kind: str
    port: str = ""
    path: str = ""
    scheme: str = "HTTP"
    host_header: str = ""
    headers: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    initial_delay: int = 0
    period: int = 10
    timeout: int = 1
    failure_threshold: int = 3


@record
class Container:
    """One container of a pod's spec. `sidecar` marks a native side-car (an init container that is restarted)."""

    name: str
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    init: bool = False
    sidecar: bool = False
    pre_stop: bool = False
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@record
class ContainerStatus:
    """state: waiting, running or terminated; `reason` and `message` belong to it. `last_*` describe the run before."""

    name: str
    ready: bool = False
    started: bool | None = None
    restarts: int = 0
    state: str = ""
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    since: str = ""
    last_reason: str = ""
    last_message: str = ""
    last_exit_code: int | None = None
    last_finished: str = ""
    image: str = ""
    init: bool = False


TEMPLATE_POD = "-…"
"""How the names of pods end that stand for those of a workload before it is applied; no pod can be named so."""


@record
class Pod:
    meta: Meta
    node: str = ""
    ip: str = ""
    ips: tuple[str, ...] = ()
    host_ip: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    host_network: bool = False
    service_account: str = ""
    started: str = ""
    grace_seconds: int = 30
    containers: tuple[Container, ...] = ()
    statuses: tuple[ContainerStatus, ...] = ()
    conditions: tuple[Condition, ...] = ()
    readiness_gates: tuple[str, ...] = ()
    token_audiences: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether the pod has run to its end, as a Job's does: it is no endpoint any more."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_ready(self) -> bool:
        ready = condition(self.conditions, "Ready")
        return ready is not None and ready.status == "True"

    @property
    def containers_ready(self) -> bool:
        """Whether all containers are ready, whatever the pod's readiness gates say."""
        ready = condition(self.conditions, "ContainersReady")
        return ready is not None and ready.status == "True"

    def serving_containers(self) -> tuple[Container, ...]:
        """Containers that run beside each other: ordinary ones and native side-cars, no one-shot init containers."""
        return tuple(c for c in self.containers if not c.init or c.sidecar)

    def named_port(self, name: str, protocol: str = "TCP") -> int | None:
        """The number of a declared port, as a named targetPort is resolved (side-cars included)."""
        for container in self.serving_containers():
            for port in container.ports:
                if port.name == name and port.protocol == protocol:
                    return port.port
        return None

    def declared_ports(self, protocol: str = "TCP") -> tuple[int, ...]:
        """The container ports that the serving containers declare for a protocol."""
        return tuple(p.port for c in self.serving_containers() for p in c.ports if p.protocol == protocol)


@record
class Taint:
    key: str
    effect: str = ""
    value: str = ""


@record
class Node:
    meta: Meta
    provider_id: str = ""
    internal_ip: str = ""
    addresses: tuple[str, ...] = ()
    hostname: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    conditions: tuple[Condition, ...] = ()
    kubelet_version: str = ""

    @property
    def instance_id(self) -> str:
        """The EC2 instance id that the providerID ends in ("" for Fargate, hybrid or foreign nodes)."""
        last = self.provider_id.rsplit("/", 1)[-1]
        return last if last.startswith("i-") else ""

    @property
    def zone(self) -> str:
        """The Availability Zone by the node's label; "" without one."""
        return self.meta.labels.get("topology.kubernetes.io/zone", "")

    @property
    def ready(self) -> str:
        """The status of the Ready condition: "True", "False" or "Unknown"."""
        found = condition(self.conditions, "Ready")
        return found.status if found else "Unknown"


@record
class TargetGroupBinding:
    """`networking` is None when the spec has none: then the controller writes no security group rules for it.
    `group`: the API group, where it is EKS Auto Mode's."""

    meta: Meta
    target_group_arn: str = ""
    target_group_name: str = ""
    target_type: str = ""
    service: str = ""
    port: str = ""
    node_selector: Mapping[str, object] | None = None
    ip_address_type: str = ""
    vpc_id: str = ""
    multi_cluster: bool = False
    networking: tuple[Mapping[str, object], ...] | None = None
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    group: str = ""

    @property
    def ref(self) -> ObjectRef:
        """Its name, with the API group where kubectl needs it."""
        return ObjectRef("TargetGroupBinding", self.meta.namespace, self.meta.name, self.group)

    @property
    def stack(self) -> str:
        """What a controller, that of EKS Auto Mode included, made it for: "ingress", "service" or "gateway"; "" where a
        person made it."""
        made = self._generated()
        return made[1] if made is not None else ""

    @property
    def is_generated(self) -> bool:
        """Whether a controller made it, that of EKS Auto Mode included, and no person."""
        return self._generated() is not None

    def made_for(self, stack: str, namespace: str, name: str) -> bool:
        """Whether the controller's labels say that it was made for this object of a stack ("ingress", "service")."""
        said = (self.stack_label("stack-namespace"), self.stack_label("stack-name"))
        return self.stack == stack and said == (namespace, name)

    def stack_label(self, name: str) -> str:
        """What a label of the controller that made it says: "stack" is the IngressGroup, "stack-namespace" and
        "stack-name" are those of the one object that it was made for; "" without the label."""
        made = self._generated()
        return self.meta.labels.get(f"{made[1]}.{made[2]}/{name}", "") if made is not None else ""

    def _generated(self) -> re.Match[str] | None:
        return next((found for label in self.meta.labels if (found := _STACK_LABEL.match(label))), None)


# https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/deploy/tracking/provider.go
# EKS Auto Mode has the same labels under its own name, as the tags in AmazonEKSLoadBalancingPolicy
# (https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSLoadBalancingPolicy.html).
_STACK_LABEL = re.compile(r"(ingress|service|gateway)\.((?:k8s\.aws|eks\.amazonaws\.com)(?:\.[an]lb)?)/stack")


@record
class Event:
    """`last` is when it was last seen. Events vanish after the API server's TTL (1 h): their absence proves nothing."""

    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    type: str = "Normal"
    reason: str = ""
    message: str = ""
    count: int = 1
    component: str = ""
    first: str = ""
    last: str = ""


@record
class Lease:
    """A coordination.k8s.io/v1 Lease. holder: who says that he has it, "" for nobody. seconds: for how long after
    `renewed` (RFC 3339) others leave it to him."""

    meta: Meta
    holder: str = ""
    seconds: int = 0
    renewed: str = ""


@record
class Workload:
    """A Deployment, StatefulSet, DaemonSet or ReplicaSet: who should make the pods, and how many. `certificate_secret`
    names the Secret with the controller's webhook certificate. held: what keeps a changed template from its pods:
    "paused" of a Deployment, "OnDelete" of the others, "partition" of a StatefulSet that leaves pods of a low ordinal
    as they are; "" where nothing does."""

    kind: str
    meta: Meta
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    observed_generation: int = 0
    selector: Mapping[str, str] = field(default_factory=dict)
    template_labels: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    service_account: str = ""
    conditions: tuple[Condition, ...] = ()
    strategy: str = ""
    max_unavailable: str = ""
    certificate_secret: str = ""
    held: str = ""


@record
class Namespace:
    meta: Meta


@record
class ServiceAccount:
    meta: Meta


@record
class WebhookConfiguration:
    """One webhook of a Mutating- or ValidatingWebhookConfiguration. `ca_bundle` is PEM, "" where
    there is none, None in bundles of versions that did not read it."""

    configuration: str
    name: str
    service_namespace: str = ""
    service_name: str = ""
    service_port: int = 443
    failure_policy: str = ""
    ca_bundle: str | None = None


@record
class TlsCertificate:
    """The public half of a TLS Secret, in PEM: `certificate` is its tls.crt. The private key is never kept."""

    namespace: str
    secret: str
    certificate: str = ""
