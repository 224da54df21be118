"""Everything that one run has read, as facts; what `--save` writes and `--from` reads.

A part that was not asked for holds NOT_ASKED facts, so that a check which needs it turns unknown instead of wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import Listener, ListenerRule, LoadBalancer, TargetCounts, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.derived import Memo, memo_field
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.gateway_api import (
    Gateway,
    GatewayClass,
    GatewaySettings,
    ListenerSet,
    ReferenceGrant,
    Route,
)
from kubectl_lbdoctor.model.history import HistoryFacts
from kubectl_lbdoctor.model.identity import IdentityFacts
from kubectl_lbdoctor.model.k8s import (
    EndpointSlice,
    Event,
    Ingress,
    IngressClass,
    IngressClassParams,
    Lease,
    Namespace,
    Node,
    Pod,
    Service,
    ServiceAccount,
    TargetGroupBinding,
    TlsCertificate,
    WebhookConfiguration,
    Workload,
)
from kubectl_lbdoctor.model.network import (
    NetworkAcl,
    NetworkInterface,
    NetworkPolicy,
    PrefixList,
    RouteTable,
    SecurityGroup,
    Subnet,
)
from kubectl_lbdoctor.model.probe import ProbeFacts
from kubectl_lbdoctor.record import record

T = TypeVar("T")

SCHEMA = 1

SPARED = "a scan does not look at it where all targets are healthy"
"""Why a fact about a subject of `Snapshot.spared` is not needed."""

OUTLINED = "without TargetGroupBindings, which could not be read, a scan asks AWS no more where nothing looks wrong"
"""Why a fact about a subject of `Snapshot.outlined` was not asked for."""


def _not_asked(source: str) -> Any:
    return field(default_factory=lambda: Fact.not_asked(source, "not needed for this run"))


@record
class Context:
    """Where the facts come from. `cluster` is the EKS cluster's name as far as it is known."""

    kube_context: str = ""
    server: str = ""
    namespace: str = ""
    region: str = ""
    account: str = ""
    cluster: str = ""


@record
class NamespaceFacts:
    """What was read in one namespace; each list holds all objects of its kind there, or, where the namespace holds very
    many, those that serve the subjects. selected_pods: of the pods it does not hold those that no Service of the
    subjects selects.
    """

    ingresses: Fact[tuple[Ingress, ...]] = _not_asked(reads.INGRESSES)
    services: Fact[tuple[Service, ...]] = _not_asked(reads.SERVICES)
    slices: Fact[tuple[EndpointSlice, ...]] = _not_asked(reads.ENDPOINT_SLICES)
    pods: Fact[tuple[Pod, ...]] = _not_asked(reads.PODS)
    bindings: Fact[tuple[TargetGroupBinding, ...]] = _not_asked(reads.BINDINGS)
    events: Fact[tuple[Event, ...]] = _not_asked(reads.EVENTS)
    workloads: Fact[tuple[Workload, ...]] = _not_asked(reads.WORKLOADS)
    namespace: Fact[Namespace | None] = _not_asked(reads.NAMESPACES)
    policies: Fact[tuple[NetworkPolicy, ...]] = _not_asked(reads.NETWORK_POLICIES)
    selected_pods: bool = False


_NOTHING_ASKED = NamespaceFacts()


@record
class ClusterFacts:
    """What was read of the cluster as a whole.

    controllers: deployments of AWS Load Balancer Controllers, in any namespace. controller_logs: the last lines of
    each controller pod, by "namespace/pod". leases: by which the controllers elect a leader, by "namespace/name".
    webhooks: those of the controller. webhook_slices: endpoints of the
    webhook's Service. webhook_certificates: what that Service serves, from the Secrets that the controller mounts.
    group_ingresses: Ingresses of all namespaces, read when a subject is in an IngressGroup. all_bindings: bindings of
    all namespaces that fill a target group of the subjects'; all of them when the controller says that a security
    group does not exist. services_elsewhere: Services of
    all namespaces that have the name of a backend that does not exist in its own.
    """

    nodes: Fact[tuple[Node, ...]] = _not_asked(reads.NODES)
    ingress_classes: Fact[tuple[IngressClass, ...]] = _not_asked(reads.INGRESS_CLASSES)
    class_params: Fact[tuple[IngressClassParams, ...]] = _not_asked(reads.INGRESS_CLASS_PARAMS)
    controllers: Fact[tuple[Workload, ...]] = _not_asked(reads.CONTROLLER)
    controller_pods: Fact[tuple[Pod, ...]] = _not_asked(reads.CONTROLLER_PODS)
    controller_logs: Mapping[str, Fact[str]] = field(default_factory=dict)
    service_accounts: Mapping[str, Fact[ServiceAccount | None]] = field(default_factory=dict)
    leases: Mapping[str, Fact[Lease | None]] = field(default_factory=dict)
    webhooks: Fact[tuple[WebhookConfiguration, ...]] = _not_asked(reads.WEBHOOKS)
    webhook_slices: Fact[tuple[EndpointSlice, ...]] = _not_asked(reads.WEBHOOK_SLICES)
    webhook_certificates: Fact[tuple[TlsCertificate, ...]] = _not_asked(reads.WEBHOOK_SECRET)
    group_ingresses: Fact[tuple[Ingress, ...]] = _not_asked(reads.ALL_INGRESSES)
    all_bindings: Fact[tuple[TargetGroupBinding, ...]] = _not_asked(reads.ALL_BINDINGS)
    services_elsewhere: Fact[tuple[Service, ...]] = _not_asked(reads.ALL_SERVICES)
    kube_proxy: Fact[tuple[Workload, ...]] = _not_asked(reads.KUBE_PROXY)
    kube_proxy_pods: Fact[tuple[Pod, ...]] = _not_asked(reads.KUBE_PROXY_PODS)


@record
class GatewayFacts:
    """What was read of Gateway API and of the controller's settings for it, in all namespaces; only where a subject is
    a Gateway or a route.

    routes: of all kinds. A list of all namespaces that is denied holds what is in the subjects' own, and says that the
    rest was left out.
    """

    gateways: Fact[tuple[Gateway, ...]] = _not_asked(reads.GATEWAYS)
    classes: Fact[tuple[GatewayClass, ...]] = _not_asked(reads.GATEWAY_CLASSES)
    routes: Fact[tuple[Route, ...]] = _not_asked(reads.ROUTES)
    listener_sets: Fact[tuple[ListenerSet, ...]] = _not_asked(reads.LISTENER_SETS)
    grants: Fact[tuple[ReferenceGrant, ...]] = _not_asked(reads.REFERENCE_GRANTS)
    balancer_configurations: Fact[tuple[GatewaySettings, ...]] = _not_asked(reads.LOAD_BALANCER_CONFIGURATIONS)
    group_configurations: Fact[tuple[GatewaySettings, ...]] = _not_asked(reads.TARGET_GROUP_CONFIGURATIONS)
    rule_configurations: Fact[tuple[GatewaySettings, ...]] = _not_asked(reads.LISTENER_RULE_CONFIGURATIONS)


@record
class AwsFacts:
    """What was read of AWS. Keys: load balancers by ARN and by DNS name, the rest by ARN.

    tagged_groups: target group ARNs by the resource that the controller's tags name ("ns/ingress-service:port" or
    "ns/service:port", of a Gateway "ns/gateway:ns-route:Kind-ns-service:targetPort"); read only where
    TargetGroupBindings could not be. target_counts: by target group ARN, read by
    a scan; a group that is not in it was not counted.
    `reason` says why AWS was not asked at all ("" when it was).
    """

    load_balancers: Mapping[str, Fact[LoadBalancer | None]] = field(default_factory=dict)
    listeners: Mapping[str, Fact[tuple[Listener, ...]]] = field(default_factory=dict)
    rules: Mapping[str, Fact[tuple[ListenerRule, ...]]] = field(default_factory=dict)
    target_groups: Mapping[str, Fact[TargetGroup | None]] = field(default_factory=dict)
    target_health: Mapping[str, Fact[tuple[TargetHealth, ...]]] = field(default_factory=dict)
    group_attributes: Mapping[str, Fact[Mapping[str, str]]] = field(default_factory=dict)
    balancer_attributes: Mapping[str, Fact[Mapping[str, str]]] = field(default_factory=dict)
    tagged_groups: Fact[Mapping[str, str]] = _not_asked(reads.TAGS)
    target_counts: Fact[Mapping[str, TargetCounts]] = _not_asked(reads.TARGET_COUNTS)
    identity: IdentityFacts = field(default_factory=IdentityFacts)
    reason: str = ""


@record
class NetworkFacts:
    """What was read of EC2: the interfaces of load balancers, targets and their nodes, and what they refer to."""

    interfaces: Fact[tuple[NetworkInterface, ...]] = _not_asked(reads.NETWORK_INTERFACES)
    security_groups: Fact[tuple[SecurityGroup, ...]] = _not_asked(reads.SECURITY_GROUPS)
    subnets: Fact[tuple[Subnet, ...]] = _not_asked(reads.SUBNETS)
    acls: Fact[tuple[NetworkAcl, ...]] = _not_asked(reads.NETWORK_ACLS)
    route_tables: Fact[tuple[RouteTable, ...]] = _not_asked(reads.ROUTE_TABLES)
    prefix_lists: Fact[tuple[PrefixList, ...]] = _not_asked(reads.PREFIX_LISTS)


@record
class LaidObject:
    """An object of a manifest that was laid over the facts as if it were applied. place: the file it is from."""

    ref: ObjectRef
    place: str


@record
class Snapshot:
    """All facts of one run. `taken_at` (RFC 3339, UTC) is the time that ages are measured against. laid: objects that
    are not, or not so, in the cluster: the facts are those that would be, and only what objects alone decide is known.
    spared: subjects that a scan has found healthy by less: listeners, rules, attributes and the network around them
    were not looked at for their sake, and need not be. outlined: subjects that stay unknown, because their bindings
    could not be read, and of which what few calls tell of all load balancers says nothing bad: more was not asked.
    others: which further namespaces there are with frontends; a scan does not know where neither they nor objects of
    all of them at once may be listed, or where such a list failed.
    """

    taken_at: str = ""
    context: Context = field(default_factory=Context)
    subjects: tuple[ObjectRef, ...] = ()
    namespaces: Mapping[str, NamespaceFacts] = field(default_factory=dict)
    cluster: ClusterFacts = field(default_factory=ClusterFacts)
    gateway_api: GatewayFacts = field(default_factory=GatewayFacts)
    aws: AwsFacts = field(default_factory=AwsFacts)
    network: NetworkFacts = field(default_factory=NetworkFacts)
    probes: ProbeFacts = field(default_factory=ProbeFacts)
    history: HistoryFacts = field(default_factory=HistoryFacts)
    laid: tuple[LaidObject, ...] = ()
    spared: frozenset[ObjectRef] = frozenset()
    outlined: frozenset[ObjectRef] = frozenset()
    others: Fact[tuple[str, ...]] = _not_asked(reads.NAMESPACES)
    memo: Memo = memo_field()

    def about(self, subjects: tuple[ObjectRef, ...]) -> Snapshot:
        """The same facts, about these objects."""
        return replace(self, subjects=subjects)

    def facts_of(self, namespace: str) -> NamespaceFacts:
        """What was read in a namespace; nothing was asked of one that no subject is in."""
        return self.namespaces.get(namespace) or _NOTHING_ASKED

    def network_of(self, subject: ObjectRef) -> NetworkFacts:
        """What was read of the network around a subject."""
        if subject in self.spared:
            return SPARED_NETWORK
        return OUTLINED_NETWORK if subject in self.outlined else self.network

    def unread(self, subject: ObjectRef) -> Fact[Any] | None:
        """What stands for a read that was left out for a subject; None where none is left out."""
        if subject in self.spared:
            return Fact.not_needed("", SPARED)
        return Fact.not_asked("", OUTLINED) if subject in self.outlined else None

    def facts(self) -> Iterator[Fact[Any]]:
        """Every fact that was asked for or should have been (parts never needed by this run are left out)."""
        yield from facts_within(self)


def facts_within(value: Any) -> Iterator[Fact[Any]]:
    """The facts that a record, or a table of records, holds."""
    if isinstance(value, Fact):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from facts_within(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            yield from facts_within(getattr(value, part.name))


def lookup(table: Mapping[str, Fact[T]], key: str, source: str, unread: Fact[Any] | None = None) -> Fact[T]:
    """The fact under `key`, or a NOT_ASKED one: what was never read must not look absent. What has a key was needed.

    unread: what stands for it where it was left out (`Snapshot.unread`).
    """
    if (found := table.get(key)) is not None:
        return found
    if unread is not None:
        return replace(cast("Fact[T]", unread), source=source, scope=key)
    return Fact.not_asked(source, f"{key or 'nothing'} was not read", key)


def _network(left_out: Callable[[str, str], Fact[Any]], reason: str) -> NetworkFacts:
    return NetworkFacts(
        interfaces=left_out(reads.NETWORK_INTERFACES, reason),
        security_groups=left_out(reads.SECURITY_GROUPS, reason),
        subnets=left_out(reads.SUBNETS, reason),
        acls=left_out(reads.NETWORK_ACLS, reason),
        route_tables=left_out(reads.ROUTE_TABLES, reason),
        prefix_lists=left_out(reads.PREFIX_LISTS, reason),
    )


SPARED_NETWORK = _network(Fact.not_needed, SPARED)
OUTLINED_NETWORK = _network(Fact.not_asked, OUTLINED)
