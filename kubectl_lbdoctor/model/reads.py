"""Every read of the outside world by its stable name, with the permission that it needs.

Checks declare what they read with these names; the collector reads the union of them and no more; `policy iam` and
`policy rbac` print the permissions of that union. What a read of Kubernetes asks for and where its answer is kept is a
row of the table `KUBE`; the collector is a loop over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.kinds import Kind
from kubectl_lbdoctor.record import record

INGRESSES = "networking.k8s.io/ingresses"
INGRESS_CLASSES = "networking.k8s.io/ingressclasses"
INGRESS_CLASS_PARAMS = "elbv2.k8s.aws/ingressclassparams"
SERVICES = "core/services"
ENDPOINT_SLICES = "discovery.k8s.io/endpointslices"
PODS = "core/pods"
NODES = "core/nodes"
NAMESPACES = "core/namespaces"
EVENTS = "core/events"
BINDINGS = "elbv2.k8s.aws/targetgroupbindings"
WORKLOADS = "apps/workloads"
CONTROLLER = "apps/deployments (controller)"
CONTROLLER_PODS = "core/pods (controller)"
CONTROLLER_LOGS = "core/pods/log"
SERVICE_ACCOUNTS = "core/serviceaccounts"
CONTROLLER_LEASES = "coordination.k8s.io/leases (controller)"
WEBHOOKS = "admissionregistration.k8s.io/webhookconfigurations"
WEBHOOK_SLICES = "discovery.k8s.io/endpointslices (webhook)"
ALL_INGRESSES = "networking.k8s.io/ingresses (all namespaces)"
ALL_SERVICES = "core/services (all namespaces)"
ALL_BINDINGS = "elbv2.k8s.aws/targetgroupbindings (all namespaces)"
NETWORK_POLICIES = "networking.k8s.io/networkpolicies"
WEBHOOK_SECRET = "core/secrets (webhook certificate)"
KUBE_PROXY = "apps/daemonsets (kube-proxy)"
KUBE_PROXY_PODS = "core/pods (kube-proxy)"
GATEWAYS = "gateway.networking.k8s.io/gateways"
GATEWAY_CLASSES = "gateway.networking.k8s.io/gatewayclasses"
ROUTES = "gateway.networking.k8s.io/routes"
LISTENER_SETS = "gateway.networking.k8s.io/listenersets"
REFERENCE_GRANTS = "gateway.networking.k8s.io/referencegrants"
LOAD_BALANCER_CONFIGURATIONS = "gateway.k8s.aws/loadbalancerconfigurations"
TARGET_GROUP_CONFIGURATIONS = "gateway.k8s.aws/targetgroupconfigurations"
LISTENER_RULE_CONFIGURATIONS = "gateway.k8s.aws/listenerruleconfigurations"

LOAD_BALANCERS = "elbv2:DescribeLoadBalancers"
LISTENERS = "elbv2:DescribeListeners"
RULES = "elbv2:DescribeRules"
TARGET_GROUPS = "elbv2:DescribeTargetGroups"
TARGET_HEALTH = "elbv2:DescribeTargetHealth"
TARGET_COUNTS = "cloudwatch:GetMetricData"
CHANGES = "cloudtrail:LookupEvents"
LOG_FILES = "s3:ListObjectsV2"
HEALTH_LOGS = "s3:GetObject"
TARGET_GROUP_ATTRIBUTES = "elbv2:DescribeTargetGroupAttributes"
TAGS = "elbv2:DescribeTags"
LOAD_BALANCER_ATTRIBUTES = "elbv2:DescribeLoadBalancerAttributes"
NETWORK_INTERFACES = "ec2:DescribeNetworkInterfaces"
SECURITY_GROUPS = "ec2:DescribeSecurityGroups"
SUBNETS = "ec2:DescribeSubnets"
NETWORK_ACLS = "ec2:DescribeNetworkAcls"
ROUTE_TABLES = "ec2:DescribeRouteTables"
PREFIX_LISTS = "ec2:GetManagedPrefixListEntries"
CLUSTER = "eks:DescribeCluster"
POD_IDENTITIES = "eks:ListPodIdentityAssociations"
POD_IDENTITY = "eks:DescribePodIdentityAssociation"
ROLE = "iam:GetRole"
ATTACHED_POLICIES = "iam:ListAttachedRolePolicies"
POLICY = "iam:GetPolicy"
POLICY_VERSION = "iam:GetPolicyVersion"
INLINE_POLICIES = "iam:ListRolePolicies"
INLINE_POLICY = "iam:GetRolePolicy"

IDENTITY = (
    *(ROLE, ATTACHED_POLICIES, POLICY, POLICY_VERSION, INLINE_POLICIES, INLINE_POLICY),
    *(CLUSTER, POD_IDENTITIES, POD_IDENTITY),
)
"""What the controller's role permits and who may assume it."""

PAST = (TARGET_COUNTS, CHANGES, LOG_FILES, HEALTH_LOGS)
"""What was before; asked for by `--since`, and counts by a scan, too."""

OPTIONAL = frozenset({*IDENTITY, WEBHOOK_SECRET, CONTROLLER_LEASES, ALL_BINDINGS, ALL_SERVICES, *PAST})
"""Reads that most people rightly lack and that can only sharpen a diagnosis, show a fault before it is felt, or save a
scan other reads. Denied, they leave a healthy object healthy; the finding that would have used them says so."""


AWS = frozenset(
    {
        *(LOAD_BALANCERS, LISTENERS, RULES, TARGET_GROUPS, TARGET_HEALTH, TARGET_GROUP_ATTRIBUTES, TAGS),
        *(LOAD_BALANCER_ATTRIBUTES, NETWORK_INTERFACES, SECURITY_GROUPS, SUBNETS, NETWORK_ACLS, ROUTE_TABLES),
        *(PREFIX_LISTS, *PAST, *IDENTITY),
    }
)
"""Every read of AWS. Its name is botocore's name of the service and the API's name of the operation."""

KUBE_PROXY_NAME = "kube-proxy"
"""The name of kube-proxy's DaemonSet in kube-system, as EKS installs it."""

CONTROLLER_LEASE = "aws-load-balancer-controller-leader"
"""The controller's default for --leader-election-id:
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/"""

CONTROLLER_SELECTOR = "app.kubernetes.io/name=aws-load-balancer-controller"
"""The label that the controller's chart and its manifests set."""


class Scope(Enum):
    """Where a read is made, and by which part of the collector."""

    NAMESPACE = "each namespace of the subjects"
    CLUSTER = "the whole cluster"
    GATEWAY = "the whole cluster, where a subject is a Gateway or a route"
    KUBE_SYSTEM = "namespace kube-system"
    CONTROLLER = "where the controllers run; each step needs the one before"
    SHARED_BALANCER = "the whole cluster, where a subject shares its load balancer with other objects"
    COMPLAINT = "the whole cluster, for what an object elsewhere may have caused"
    MISSING_BACKEND = "the whole cluster, by the names of Services that backends name and that do not exist"


@record
class KubeRead:
    """One read of Kubernetes: what is asked for, where its answer is kept, and the RBAC rule that allows it.

    name: the constant above that checks declare. kinds: what is read; several are read alike and kept together.
    kept_in: the field of `NamespaceFacts` (Scope.NAMESPACE), `GatewayFacts` (Scope.GATEWAY) or `ClusterFacts` that
    holds the answer.
    params: query parameters of the list. subresource: "log" for what is read beneath an object.
    verbs: what RBAC must allow. object_names: the rule is about these objects alone.
    keeps_arguments: the command lines of containers are kept; those of applications may hold secrets.
    """

    name: str
    kinds: tuple[Kind, ...]
    scope: Scope
    kept_in: str
    verbs: tuple[str, ...] = ("list",)
    params: Mapping[str, str] = field(default_factory=dict)
    subresource: str = ""
    object_names: tuple[str, ...] = ()
    keeps_arguments: bool = False

    @property
    def kind(self) -> Kind:
        """The kind that is read, the first of several."""
        return self.kinds[0]

    @property
    def groups(self) -> tuple[str, ...]:
        """The API groups in which its kinds are read."""
        return (self.kind.group, *(twin.group for twin in self.kind.twins))

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources of the RBAC rule ("pods/log")."""
        return tuple(f"{kind.plural}/{self.subresource}" if self.subresource else kind.plural for kind in self.kinds)

    @property
    def cluster_wide(self) -> bool:
        """Whether a Role in the subjects' namespaces cannot allow it."""
        return not self.kind.namespaced or self.scope not in (Scope.NAMESPACE, Scope.KUBE_SYSTEM)


_WORKLOADS = (kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.REPLICA_SET)
_WEBHOOK_CONFIGURATIONS = (kinds.MUTATING_WEBHOOK_CONFIGURATION, kinds.VALIDATING_WEBHOOK_CONFIGURATION)

_KUBE_READS = (
    # Where only the list of these three is denied, the objects are read by their names: `get` is enough for half of it.
    KubeRead(INGRESSES, (kinds.INGRESS,), Scope.NAMESPACE, "ingresses"),
    KubeRead(SERVICES, (kinds.SERVICE,), Scope.NAMESPACE, "services"),
    KubeRead(BINDINGS, (kinds.TARGET_GROUP_BINDING,), Scope.NAMESPACE, "bindings"),
    KubeRead(ENDPOINT_SLICES, (kinds.ENDPOINT_SLICE,), Scope.NAMESPACE, "slices"),
    KubeRead(PODS, (kinds.POD,), Scope.NAMESPACE, "pods"),
    KubeRead(EVENTS, (kinds.EVENT,), Scope.NAMESPACE, "events"),
    KubeRead(NETWORK_POLICIES, (kinds.NETWORK_POLICY,), Scope.NAMESPACE, "policies"),
    # One namespace is asked for by its name; many are listed.
    KubeRead(NAMESPACES, (kinds.NAMESPACE,), Scope.NAMESPACE, "namespace", verbs=("get", "list")),
    KubeRead(WORKLOADS, _WORKLOADS, Scope.NAMESPACE, "workloads"),
    # resourceVersion=0: served from the API server's cache; a second of staleness does no harm for nodes.
    KubeRead(NODES, (kinds.NODE,), Scope.CLUSTER, "nodes", params={"resourceVersion": "0"}),
    KubeRead(INGRESS_CLASSES, (kinds.INGRESS_CLASS,), Scope.CLUSTER, "ingress_classes"),
    KubeRead(INGRESS_CLASS_PARAMS, (kinds.INGRESS_CLASS_PARAMS,), Scope.CLUSTER, "class_params"),
    # EKS installs kube-proxy under this name and label; Auto Mode and Fargate nodes have none. All DaemonSets there are
    # listed: one of them may be a network policy engine, whose arguments tell whether it is switched on.
    KubeRead(KUBE_PROXY, (kinds.DAEMON_SET,), Scope.KUBE_SYSTEM, "kube_proxy", keeps_arguments=True),
    KubeRead(
        *(KUBE_PROXY_PODS, (kinds.POD,), Scope.KUBE_SYSTEM, "kube_proxy_pods"),
        params={"labelSelector": "k8s-app=kube-proxy"},
        keeps_arguments=True,
    ),
    KubeRead(
        *(CONTROLLER, (kinds.DEPLOYMENT,), Scope.CONTROLLER, "controllers"),
        params={"labelSelector": CONTROLLER_SELECTOR},
        keeps_arguments=True,
    ),
    KubeRead(CONTROLLER_PODS, (kinds.POD,), Scope.CONTROLLER, "controller_pods", keeps_arguments=True),
    KubeRead(CONTROLLER_LOGS, (kinds.POD,), Scope.CONTROLLER, "controller_logs", verbs=("get",), subresource="log"),
    KubeRead(SERVICE_ACCOUNTS, (kinds.SERVICE_ACCOUNT,), Scope.CONTROLLER, "service_accounts", verbs=("get",)),
    KubeRead(
        *(CONTROLLER_LEASES, (kinds.LEASE,), Scope.CONTROLLER, "leases"),
        verbs=("get",),
        object_names=(CONTROLLER_LEASE,),
    ),
    KubeRead(WEBHOOKS, _WEBHOOK_CONFIGURATIONS, Scope.CONTROLLER, "webhooks"),
    KubeRead(WEBHOOK_SLICES, (kinds.ENDPOINT_SLICE,), Scope.CONTROLLER, "webhook_slices"),
    KubeRead(
        *(WEBHOOK_SECRET, (kinds.SECRET,), Scope.CONTROLLER, "webhook_certificates"),
        verbs=("get",),
        # By name, because they are Secrets: as the chart calls it, and as the manifests of a release do.
        object_names=("aws-load-balancer-tls", "aws-load-balancer-webhook-tls"),
    ),
    KubeRead(ALL_INGRESSES, (kinds.INGRESS,), Scope.SHARED_BALANCER, "group_ingresses"),
    # Two bindings of one target group take each other's targets, in whatever namespaces; and the rules of all bindings
    # that share a security group are written in one call, which one bad source spoils.
    KubeRead(ALL_BINDINGS, (kinds.TARGET_GROUP_BINDING,), Scope.COMPLAINT, "all_bindings"),
    KubeRead(ALL_SERVICES, (kinds.SERVICE,), Scope.MISSING_BACKEND, "services_elsewhere"),
    KubeRead(GATEWAYS, (kinds.GATEWAY,), Scope.GATEWAY, "gateways", verbs=("get", "list")),
    KubeRead(GATEWAY_CLASSES, (kinds.GATEWAY_CLASS,), Scope.GATEWAY, "classes"),
    KubeRead(ROUTES, kinds.ROUTES, Scope.GATEWAY, "routes", verbs=("get", "list")),
    KubeRead(LISTENER_SETS, (kinds.LISTENER_SET,), Scope.GATEWAY, "listener_sets"),
    KubeRead(REFERENCE_GRANTS, (kinds.REFERENCE_GRANT,), Scope.GATEWAY, "grants"),
    KubeRead(
        *(LOAD_BALANCER_CONFIGURATIONS, (kinds.LOAD_BALANCER_CONFIGURATION,), Scope.GATEWAY, "balancer_configurations")
    ),
    KubeRead(
        *(TARGET_GROUP_CONFIGURATIONS, (kinds.TARGET_GROUP_CONFIGURATION,), Scope.GATEWAY, "group_configurations")
    ),
    KubeRead(
        *(LISTENER_RULE_CONFIGURATIONS, (kinds.LISTENER_RULE_CONFIGURATION,), Scope.GATEWAY, "rule_configurations")
    ),
)

KUBE: dict[str, KubeRead] = {read.name: read for read in _KUBE_READS}
"""Every read of Kubernetes by its name, in the order in which the reads are begun."""


_OF_SUBJECTS = {
    kind.name: read
    for read in KUBE.values()
    if read.scope in (Scope.NAMESPACE, Scope.GATEWAY)
    for kind in read.kinds
    if kind.is_subject
}

SUBJECTS = frozenset(read.name for read in _OF_SUBJECTS.values())
"""The lists of all kinds of subjects. The one of a subject's own kind is read whatever the checks declare."""


WATCHED = (INGRESSES, SERVICES, BINDINGS, GATEWAYS, ENDPOINT_SLICES, PODS, EVENTS)
"""What `scan -w` is told of as it changes: what decides on targets, pods for their readiness gates, events for what the
controller complains of."""


def read_of_subjects(kind: str) -> KubeRead:
    """The read that lists the subjects of this kind in a namespace. Raises KeyError for a kind that is no subject."""
    return _OF_SUBJECTS[kind]


OF_GATEWAYS = frozenset(read.name for read in KUBE.values() if read.scope is Scope.GATEWAY)
"""What every path of a Gateway rests on: read where a subject is a Gateway or a route, whatever the checks declare."""


_IAM_PREFIX = {"elbv2": "elasticloadbalancing"}

_IAM_ACTIONS = {LOG_FILES: "s3:ListBucket"}
"""Of operations that IAM calls otherwise
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html)."""


def is_aws(read: str) -> bool:
    return ":" in read


def iam_action(read: str) -> str:
    """The IAM action behind an AWS read: "elbv2:DescribeRules" → "elasticloadbalancing:DescribeRules"."""
    service, _, operation = read.partition(":")
    return _IAM_ACTIONS.get(read) or f"{_IAM_PREFIX.get(service, service)}:{operation}"
