"""The kinds of objects that the doctor knows: the one place that says what a kind is called and where its API is.

The command line resolves what people type with this table, the collector and the writers take API paths from it, and
the RBAC printer its groups and resources. How an object of a kind is converted is bound to it in
`collect.converters`; which reads are made of it is in `model.reads`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubectl_lbdoctor.model.api_path import api_path
from kubectl_lbdoctor.record import record

if TYPE_CHECKING:
    from kubectl_lbdoctor.model.objects import ObjectRef


BUILT_IN_GROUPS = frozenset(
    {
        *("", "apps", "autoscaling", "batch", "policy", "admissionregistration.k8s.io", "apiextensions.k8s.io"),
        *("apiregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "certificates.k8s.io"),
        *("coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io"),
        *("networking.k8s.io", "node.k8s.io", "rbac.authorization.k8s.io", "scheduling.k8s.io", "storage.k8s.io"),
    }
)
"""API groups that every cluster serves: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/."""


@record
class Kind:
    """One kind of object.

    name: as the API spells it ("TargetGroupBinding").
    group: the API group, "" for the core group. versions: those that are served and that we can read, the one that we
    ask for first. plural: the name of the resource in paths and in RBAC rules.
    short_names: what kubectl takes for it ("svc"), and where it knows none, what people call it ("tgb").
    namespaced: whether its objects live in namespaces.
    is_subject: whether a diagnosis can be about it, because a load balancer is made from it.
    twins: the same kind in other API groups, which is read and named together with it.
    in_aws: it is an object of AWS, which no Kubernetes API serves; named on the command line, it is traced to a
    subject.
    """

    name: str
    plural: str
    group: str = ""
    versions: tuple[str, ...] = ("v1",)
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    is_subject: bool = False
    in_aws: bool = False
    twins: tuple[Kind, ...] = ()

    @property
    def singular(self) -> str:
        """The kind in lower case ("targetgroupbinding"), as kubectl accepts it."""
        return self.name.lower()

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every spelling of the kind on kubectl's command line, in lower case: singular, short names, plural, then
        KIND.GROUP and KIND.VERSION.GROUP (https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/), where
        KIND may be short as well (kubectl, pkg/cmd/util, shortcut expander: `ing.networking.k8s.io`)."""
        plain = (self.singular, *self.short_names, self.plural)
        if self.in_aws:
            return plain
        words = (self.plural, self.singular, *self.short_names)
        grouped = tuple(f"{word}.{self.group}" for word in words) if self.group else ()
        versioned = tuple(f"{word}.{version}.{self.group}" for word in words for version in self.versions)
        of_twins = tuple(alias for twin in self.twins for alias in twin.aliases if alias not in plain)
        return (*plain, *grouped, *versioned, *of_twins)

    def path(self, namespace: str = "", name: str = "", version: str = "") -> str:
        """The URL path of a collection ("" for the namespace: of all namespaces) or of one object, in this version of
        the API ("" for the first).

        Raises ValueError for a kind of AWS, which has none, and UsageError for what is no segment of a path.
        """
        if self.in_aws:
            raise ValueError(f"{self.name} is no kind of Kubernetes")
        root = ("apis", self.group) if self.group else ("api",)
        middle = ("namespaces", namespace) if namespace else ()
        return api_path(*root, version or self.versions[0], *middle, self.plural, *((name,) if name else ()))


_NETWORKING = "networking.k8s.io"
_LBC = "elbv2.k8s.aws"
AUTO_MODE_GROUP = "eks.amazonaws.com"
"""The API group of EKS Auto Mode, which has kinds of the controller's in a group of its own:
https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html"""
_ADMISSION = "admissionregistration.k8s.io"
_GATEWAY_API = "gateway.networking.k8s.io"
_GATEWAY_SETTINGS = "gateway.k8s.aws"

INGRESS = Kind("Ingress", "ingresses", _NETWORKING, short_names=("ing",), is_subject=True)
SERVICE = Kind("Service", "services", short_names=("svc",), is_subject=True)
# The CRD serves v1alpha1 as well; v1beta1 is what it stores (AWS Load Balancer Controller, config/crd).
TARGET_GROUP_BINDING = Kind(
    *("TargetGroupBinding", "targetgroupbindings", _LBC, ("v1beta1", "v1alpha1")),
    short_names=("tgb",),
    is_subject=True,
    twins=(Kind("TargetGroupBinding", "targetgroupbindings", AUTO_MODE_GROUP, short_names=("tgb",)),),
)
# Gateway API has raised its kinds to v1 one after the other; a cluster serves what its CRDs are of
# (https://gateway-api.sigs.k8s.io/guides/getting-started/introduction/, release notes of v1.0 to v1.6).
GATEWAY = Kind("Gateway", "gateways", _GATEWAY_API, ("v1", "v1beta1"), short_names=("gtw",), is_subject=True)
HTTP_ROUTE = Kind("HTTPRoute", "httproutes", _GATEWAY_API, ("v1", "v1beta1"), is_subject=True)
GRPC_ROUTE = Kind("GRPCRoute", "grpcroutes", _GATEWAY_API, ("v1", "v1alpha2"), is_subject=True)
TLS_ROUTE = Kind("TLSRoute", "tlsroutes", _GATEWAY_API, ("v1", "v1alpha3", "v1alpha2"), is_subject=True)
TCP_ROUTE = Kind("TCPRoute", "tcproutes", _GATEWAY_API, ("v1", "v1alpha2"), is_subject=True)
UDP_ROUTE = Kind("UDPRoute", "udproutes", _GATEWAY_API, ("v1", "v1alpha2"), is_subject=True)
ROUTES = (HTTP_ROUTE, GRPC_ROUTE, TLS_ROUTE, TCP_ROUTE, UDP_ROUTE)
"""The kinds of routes that may be attached to a Gateway."""

TARGET_GROUP = Kind("TargetGroup", "targetgroups", short_names=("tg",), namespaced=False, in_aws=True)
LOAD_BALANCER = Kind("LoadBalancer", "loadbalancers", short_names=("lb",), namespaced=False, in_aws=True)

GATEWAY_CLASS = Kind(
    "GatewayClass", "gatewayclasses", _GATEWAY_API, ("v1", "v1beta1"), short_names=("gc",), namespaced=False
)
LISTENER_SET = Kind("ListenerSet", "listenersets", _GATEWAY_API, short_names=("lset",))
REFERENCE_GRANT = Kind("ReferenceGrant", "referencegrants", _GATEWAY_API, ("v1", "v1beta1"), short_names=("refgrant",))
# v1 since release 3.5 of the controller, which serves v1beta1 as well (its config/crd/gateway).
LOAD_BALANCER_CONFIGURATION = Kind(
    "LoadBalancerConfiguration", "loadbalancerconfigurations", _GATEWAY_SETTINGS, ("v1", "v1beta1")
)
TARGET_GROUP_CONFIGURATION = Kind(
    "TargetGroupConfiguration", "targetgroupconfigurations", _GATEWAY_SETTINGS, ("v1", "v1beta1")
)
LISTENER_RULE_CONFIGURATION = Kind(
    "ListenerRuleConfiguration", "listenerruleconfigurations", _GATEWAY_SETTINGS, ("v1", "v1beta1")
)
INGRESS_CLASS = Kind("IngressClass", "ingressclasses", _NETWORKING, namespaced=False)
INGRESS_CLASS_PARAMS = Kind(
    *("IngressClassParams", "ingressclassparams", _LBC, ("v1beta1",)),
    namespaced=False,
    twins=(Kind("IngressClassParams", "ingressclassparams", AUTO_MODE_GROUP, namespaced=False),),
)
NETWORK_POLICY = Kind("NetworkPolicy", "networkpolicies", _NETWORKING, short_names=("netpol",))
ENDPOINT_SLICE = Kind("EndpointSlice", "endpointslices", "discovery.k8s.io")
POD = Kind("Pod", "pods", short_names=("po",))
NODE = Kind("Node", "nodes", short_names=("no",), namespaced=False)
NAMESPACE = Kind("Namespace", "namespaces", short_names=("ns",), namespaced=False)
ENDPOINTS = Kind("Endpoints", "endpoints", short_names=("ep",))
EVENT = Kind("Event", "events", short_names=("ev",))
SERVICE_ACCOUNT = Kind("ServiceAccount", "serviceaccounts", short_names=("sa",))
SECRET = Kind("Secret", "secrets")
LEASE = Kind("Lease", "leases", "coordination.k8s.io")
DEPLOYMENT = Kind("Deployment", "deployments", "apps", short_names=("deploy",))
STATEFUL_SET = Kind("StatefulSet", "statefulsets", "apps", short_names=("sts",))
DAEMON_SET = Kind("DaemonSet", "daemonsets", "apps", short_names=("ds",))
REPLICA_SET = Kind("ReplicaSet", "replicasets", "apps", short_names=("rs",))
MUTATING_WEBHOOK_CONFIGURATION = Kind(
    "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", _ADMISSION, namespaced=False
)
VALIDATING_WEBHOOK_CONFIGURATION = Kind(
    "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", _ADMISSION, namespaced=False
)

_ALL = (
    *(INGRESS, SERVICE, GATEWAY, *ROUTES, TARGET_GROUP_BINDING, TARGET_GROUP, LOAD_BALANCER),
    *(GATEWAY_CLASS, LISTENER_SET, REFERENCE_GRANT),
    *(LOAD_BALANCER_CONFIGURATION, TARGET_GROUP_CONFIGURATION, LISTENER_RULE_CONFIGURATION),
    *(INGRESS_CLASS, INGRESS_CLASS_PARAMS, NETWORK_POLICY, ENDPOINT_SLICE),
    *(POD, NODE, NAMESPACE, EVENT, SERVICE_ACCOUNT, SECRET, LEASE),
    *(DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET),
    *(MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""All kinds by their name."""


def resource_name(ref: ObjectRef) -> str:
    """An object as kubectl's `-o name` prints it, which kubectl and this program take back:
    "ingress.networking.k8s.io/web", "service/web". What is no object of Kubernetes has no group: "securitygroup/sg-1".
    """
    kind = KINDS.get(ref.kind)
    group = ref.group or (kind.group if kind is not None else "")
    return f"{ref.kind.lower()}{'.' if group else ''}{group}/{ref.name}"


def kubectl_name(ref: ObjectRef) -> str:
    """An object in a command for kubectl: "service/web", and with its group where another group has a kind of the same
    name. Where a cluster serves both, kubectl takes the bare name for that of the group which comes first: EKS Auto
    Mode's, not the controller's (group priorities are equal, so the API server lists the groups by name).
    """
    kind = KINDS.get(ref.kind)
    return resource_name(ref) if kind is not None and kind.twins else str(ref)


SUBJECTS: tuple[Kind, ...] = tuple(kind for kind in _ALL if kind.is_subject)
"""The kinds that a diagnosis can be about."""

COMMAND_LINE: tuple[Kind, ...] = tuple(kind for kind in _ALL if kind.is_subject or kind.in_aws)
"""The kinds that may be named on the command line, in the order in which they are listed there."""

BY_ALIAS: Mapping[str, Kind] = {alias: kind for kind in COMMAND_LINE for alias in kind.aliases}
"""These kinds by every spelling."""

LEADS_TO_SUBJECTS: tuple[Kind, ...] = (
    *(DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET, POD, NODE, ENDPOINT_SLICE, ENDPOINTS, NAMESPACE),
)
"""Kinds that may be named on the command line as well: what a load balancer leads to, traced back to its subjects."""
