"""Every read of the outside world by its stable name, with the permission that it needs.

Checks declare what they read with these names; the collector reads the union of them and no more; `policy iam` and
`policy rbac` print the permissions of that union.
"""

from __future__ import annotations

from dataclasses import dataclass

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
WEBHOOKS = "admissionregistration.k8s.io/webhookconfigurations"
WEBHOOK_SLICES = "discovery.k8s.io/endpointslices (webhook)"
ALL_INGRESSES = "networking.k8s.io/ingresses (all namespaces)"
NETWORK_POLICIES = "networking.k8s.io/networkpolicies"
WEBHOOK_SECRET = "core/secrets (webhook certificate)"
KUBE_PROXY = "apps/daemonsets (kube-proxy)"
KUBE_PROXY_PODS = "core/pods (kube-proxy)"

LOAD_BALANCERS = "elbv2:DescribeLoadBalancers"
LISTENERS = "elbv2:DescribeListeners"
RULES = "elbv2:DescribeRules"
TARGET_GROUPS = "elbv2:DescribeTargetGroups"
TARGET_HEALTH = "elbv2:DescribeTargetHealth"
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

OPTIONAL = frozenset({*IDENTITY, WEBHOOK_SECRET})
"""Reads that most people rightly lack and that can only sharpen a diagnosis, or show a fault before it is felt. Denied,
they leave a healthy object healthy; the finding that would have used them says so."""


@dataclass(frozen=True, slots=True)
class KubeRead:
    """An RBAC rule: API group, resources and verbs, and the objects' names where it is about single ones."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    cluster_wide: bool = False
    names: tuple[str, ...] = ()


KUBE: dict[str, KubeRead] = {
    INGRESSES: KubeRead("networking.k8s.io", ("ingresses",), ("get", "list")),
    INGRESS_CLASSES: KubeRead("networking.k8s.io", ("ingressclasses",), ("list",), cluster_wide=True),
    INGRESS_CLASS_PARAMS: KubeRead("elbv2.k8s.aws", ("ingressclassparams",), ("list",), cluster_wide=True),
    SERVICES: KubeRead("", ("services",), ("get", "list")),
    ENDPOINT_SLICES: KubeRead("discovery.k8s.io", ("endpointslices",), ("list",)),
    PODS: KubeRead("", ("pods",), ("list",)),
    NODES: KubeRead("", ("nodes",), ("list",), cluster_wide=True),
    NAMESPACES: KubeRead("", ("namespaces",), ("get",), cluster_wide=True),
    EVENTS: KubeRead("", ("events",), ("list",)),
    BINDINGS: KubeRead("elbv2.k8s.aws", ("targetgroupbindings",), ("get", "list")),
    WORKLOADS: KubeRead("apps", ("deployments", "statefulsets", "daemonsets", "replicasets"), ("list",)),
    CONTROLLER: KubeRead("apps", ("deployments",), ("list",), cluster_wide=True),
    CONTROLLER_PODS: KubeRead("", ("pods",), ("list",), cluster_wide=True),
    CONTROLLER_LOGS: KubeRead("", ("pods/log",), ("get",), cluster_wide=True),
    SERVICE_ACCOUNTS: KubeRead("", ("serviceaccounts",), ("get",), cluster_wide=True),
    WEBHOOKS: KubeRead(
        "admissionregistration.k8s.io",
        ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
        ("list",),
        cluster_wide=True,
    ),
    WEBHOOK_SLICES: KubeRead("discovery.k8s.io", ("endpointslices",), ("list",), cluster_wide=True),
    ALL_INGRESSES: KubeRead("networking.k8s.io", ("ingresses",), ("list",), cluster_wide=True),
    NETWORK_POLICIES: KubeRead("networking.k8s.io", ("networkpolicies",), ("list",)),
    # By name, because they are Secrets: as the chart calls it, and as the manifests of a release do.
    WEBHOOK_SECRET: KubeRead(
        *("", ("secrets",), ("get",)),
        cluster_wide=True,
        names=("aws-load-balancer-tls", "aws-load-balancer-webhook-tls"),
    ),
    KUBE_PROXY: KubeRead("apps", ("daemonsets",), ("list",)),
    KUBE_PROXY_PODS: KubeRead("", ("pods",), ("list",)),
}

_IAM_PREFIX = {"elbv2": "elasticloadbalancing"}


def is_aws(read: str) -> bool:
    return ":" in read


def iam_action(read: str) -> str:
    """The IAM action behind an AWS read: "elbv2:DescribeRules" → "elasticloadbalancing:DescribeRules"."""
    service, _, operation = read.partition(":")
    return f"{_IAM_PREFIX.get(service, service)}:{operation}"
