"""docs/permissions.md: every permission of the declared reads, what it tells, and what is lost without it."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.reads import KUBE, OF_GATEWAYS, OPTIONAL, SUBJECTS, iam_action, is_aws
from kubectl_lbdoctor.report import needed_reads

NAMED = 5
"""Codes that a row names; above, it tells their number."""

TELLS = {
    reads.INGRESSES: "the Ingresses: class, rules, annotations, published address",
    reads.SERVICES: "the Services: ports, selector, type, annotations",
    reads.BINDINGS: "which target group the controller keeps for which Service",
    reads.ENDPOINT_SLICES: "which pods are endpoints, and whether they are ready",
    reads.PODS: "state, ports, probes and readiness gates of the pods behind the targets",
    reads.EVENTS: "what the controller, the scheduler and the kubelets complained of",
    reads.NETWORK_POLICIES: "whether policies admit the load balancer",
    reads.NAMESPACES: "labels of the namespace (readiness gates); the list where many namespaces are looked at",
    reads.WORKLOADS: "rollouts, wanted replicas, pod templates",
    reads.NODES: "node of each target: readiness, labels, instance, region",
    reads.INGRESS_CLASSES: "which controller an Ingress belongs to",
    reads.INGRESS_CLASS_PARAMS: "settings that a class imposes on its Ingresses",
    reads.KUBE_PROXY: "kube-proxy's DaemonSet in kube-system, for node ports",
    reads.KUBE_PROXY_PODS: "kube-proxy's pods in kube-system, for node ports",
    reads.CONTROLLER: "the AWS Load Balancer Controller: version, flags, replicas",
    reads.CONTROLLER_PODS: "whether the controller's pods run, and with which identity",
    reads.CONTROLLER_LOGS: "the last lines of the controller's log: why it does not do its work",
    reads.SERVICE_ACCOUNTS: "the IAM role of the controller",
    reads.CONTROLLER_LEASES: "which pod of the controller leads, and whether one does",
    reads.WEBHOOKS: "the controller's admission webhooks, where they refuse or are not reached",
    reads.WEBHOOK_SLICES: "whether the webhook's Service has a ready endpoint",
    reads.WEBHOOK_SECRET: "the certificate of the controller's webhook; of the two Secrets only tls.crt is kept",
    reads.ALL_INGRESSES: "members of an IngressGroup in other namespaces",
    reads.ALL_SERVICES: "in which namespace a backend is that is missing in its own",
    reads.ALL_BINDINGS: "bindings elsewhere that fill the same target group, or spoil a shared security group",
    reads.GATEWAYS: "Gateways: listeners, class, and what the controller says of them",
    reads.GATEWAY_CLASSES: "which controller a Gateway belongs to",
    reads.ROUTES: "routes of Gateways: parents, hosts, backends; in all namespaces",
    reads.LISTENER_SETS: "listeners that others add to a Gateway",
    reads.REFERENCE_GRANTS: "which routes may lead to Services of other namespaces",
    reads.LOAD_BALANCER_CONFIGURATIONS: "settings of Gateways and their classes",
    reads.TARGET_GROUP_CONFIGURATIONS: "target type and health check of a Gateway's target groups",
    reads.LISTENER_RULE_CONFIGURATIONS: "whether an extension that a route names is there and accepted",
    reads.LOAD_BALANCERS: "the load balancer: state, zones, subnets, security groups",
    reads.LISTENERS: "listeners of the load balancer",
    reads.RULES: "rules that forward to the target group",
    reads.TARGET_GROUPS: "the target group: kind of targets, protocol, health check",
    reads.TARGET_HEALTH: "state and reason of each target",
    reads.TARGET_GROUP_ATTRIBUTES: "attributes of the target group: proxy protocol, client addresses, draining",
    reads.TAGS: "the controller's tags; they lead to the target group where bindings may not be read",
    reads.LOAD_BALANCER_ATTRIBUTES: "attributes of the load balancer: traffic across zones",
    reads.NETWORK_INTERFACES: "addresses and security groups of load balancer, nodes and pods",
    reads.SECURITY_GROUPS: "rules on the way from the load balancer to the targets, and of clients",
    reads.SUBNETS: "zones, tags and free addresses of the subnets",
    reads.NETWORK_ACLS: "entries that drop requests or replies",
    reads.ROUTE_TABLES: "routes between load balancer and targets, and to the internet",
    reads.PREFIX_LISTS: "addresses behind prefix lists that rules and routes name",
    reads.TARGET_COUNTS: "how many targets of each group are healthy: `scan` then asks for those of the others only",
    reads.CHANGES: "`--since`: who changed the security group, network ACL or target group of a root cause",
    reads.LOG_FILES: "`--since`: which files of health-check logs an Application Load Balancer has written",
    reads.HEALTH_LOGS: "`--since`: since when which target fails its checks, why, and seen from which nodes",
    reads.CLUSTER: "the cluster's OIDC issuer, which the controller's role must trust",
    reads.POD_IDENTITIES: "whether the controller has an EKS Pod Identity association",
    reads.POD_IDENTITY: "which role EKS Pod Identity gives the controller",
    reads.ROLE: "who may assume the controller's role",
    reads.ATTACHED_POLICIES: "policies attached to the controller's role",
    reads.POLICY: "which version of each policy is in force",
    reads.POLICY_VERSION: "what each policy allows",
    reads.INLINE_POLICIES: "names of the role's inline policies",
    reads.INLINE_POLICY: "what the inline policies allow",
}
"""What each read tells. A read without a sentence, or a sentence without a read, fails a test."""


def declared() -> frozenset[str]:
    """The reads that `policy` prints."""
    return needed_reads(CATALOGUE) | SUBJECTS | OF_GATEWAYS


def page() -> str:
    """The whole document."""
    kube = [name for name in KUBE if name in declared()]
    aws = sorted((name for name in declared() if is_aws(name)), key=iam_action)
    needed = [name for name in aws if name not in OPTIONAL]
    return "\n".join(
        [
            _HEAD,
            *_table("permission", kube),
            _AWS,
            *_table("action", needed),
            _ROLE,
            *_table("action", [name for name in aws if name in OPTIONAL]),
            _REST,
        ]
    )


def _table(title: str, names: Iterable[str]) -> list[str]:
    rows = [f"| {_permission(name)} | {TELLS[name]} | {_lost(name)} |" for name in names]
    return [f"| {title} | what it tells | needed by |", "|---|---|---|", *rows]


def _permission(name: str) -> str:
    if is_aws(name):
        return f"`{iam_action(name)}`"
    read = KUBE[name]
    groups = [f".{group}" if group else "" for group in read.groups]
    what = ", ".join(f"{resource}{group}" for group in groups for resource in read.resources)
    where = {
        reads.Scope.NAMESPACE: "",
        reads.Scope.CLUSTER: "",
        reads.Scope.KUBE_SYSTEM: " in kube-system",
    }.get(read.scope, " in all namespaces" if read.kind.namespaced and "list" in read.verbs else " of the controller")
    if not read.kind.namespaced and read.scope is not reads.Scope.NAMESPACE:
        where = ""
    return f"`{','.join(read.verbs)} {what}`{where}"


def _lost(name: str) -> str:
    codes = [spec.code for spec in CATALOGUE if name in spec.reads]
    if name == reads.TARGET_COUNTS:
        return "no check; a scan is slower without it, and `--since` does not say since when targets fail"
    if name in (reads.LOG_FILES, reads.HEALTH_LOGS):
        return "no check; `--since` does not say why single checks failed"
    if name == reads.CHANGES:
        return "no check; `--since` does not say who it was"
    if not codes:
        return "no check, where bindings may be read"
    links = f"{len(codes)} checks" if len(codes) > NAMED else ", ".join(f"[{c}](checks.md#{c.lower()})" for c in codes)
    return f"{links} (less exact)" if name in OPTIONAL else links


_HEAD = """# Permissions

<!-- Generated by `make docs` from the declared reads; do not edit. -->

`kubectl lbdoctor` runs with your own rights. Without `--fix`, `undo` and `probe` it only reads, and reads only what
is listed here: the same declarations print the roles (`kubectl lbdoctor policy rbac`, `kubectl lbdoctor policy iam`),
decide what is asked, and are the rows of this page. Tests run the program against servers that refuse everything
else, and once more without each single permission.

What may not be read is **unknown**: the run says which permission to add, the checks that need it neither pass nor
fail, and an object is not called healthy (exit status 3 instead of 0). Findings that do not need it are made all the
same. Reads marked "less exact" are optional: without them a healthy object stays healthy, and a diagnosis says what
it could not compare; `-o json` lists them under `coverage.optional`, and `--verbose` names them.

## Kubernetes

`kubectl lbdoctor policy rbac | kubectl apply -f -` makes a ClusterRole `lbdoctor-read` with these rules. Bound in
some namespaces only, it gives a diagnosis of what is there; nodes, classes, the controller and its webhooks are then
unknown. Where listing Ingresses, Services or TargetGroupBindings is denied and `get` is not, the named object is read
by itself. Ingresses, Services, TargetGroupBindings, Gateways, EndpointSlices, pods and events have the verb `watch` as
well, for `scan -w`: who may list them learns nothing more by it, and without it a watched scan looks once a minute.
A controller with another `--leader-election-id` needs its Lease's name in the rule for Leases.
"""

_AWS = """
## AWS

`kubectl lbdoctor policy iam` prints this as a policy. The `Describe` actions of Elastic Load Balancing and EC2 know
no resources in IAM, so they are for `*`.
"""

_ROLE = """
Optional: the controller's role, counts of targets, health-check logs, and who changed what. The role is asked for only
where AWS denies the controller something, to say what it lacks. To narrow that, replace `*` in the statement
`LbdoctorReadControllerRoleOptional` by the cluster's and the role's name, or leave the statement out.
`cloudwatch:GetMetricData` spares `scan` most of its calls of Elastic Load Balancing; AWS charges $0.01 for a thousand
metrics, two of which are asked for each target group. `cloudtrail:LookupEvents` is asked with `--since` alone, about
five resources at most. The two actions of S3 are used with `--since` alone, where an Application Load Balancer logs its
health checks: put its bucket's name in place of the first `*`.
"""

_REST = """
`sts:GetCallerIdentity`, with which `undo` compares accounts, needs no permission.

## Fixes

`policy rbac --fix` and `policy iam --fix` print what `--fix` and `undo` write, beyond the reads: `get` and `patch` of
Services and Ingresses, the restart of kube-proxy, and in AWS rules of security groups, entries of network ACLs and
settings of target groups. Every change is rehearsed first where an API can do that (server-side dry run, EC2
`DryRun`), so that a missing permission is found before anything is changed.

## Probes

`policy rbac --probe` prints what health checks through the API server (`pods/proxy`, `pods/portforward`), debug pods
(`pods`, `pods/log`) and a look inside a pod (`pods/ephemeralcontainers`) need. Bind it where you probe. Probes need
nothing in AWS.

## In a cluster, in CI

[examples/](../examples/README.md) has a CronJob with exactly these rights, a Pod Identity association for the AWS
side, and a CI job.
"""
