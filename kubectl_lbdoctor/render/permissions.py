"""The permissions that the doctor needs: to read (generated from what its checks declare), to probe, to repair."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.kinds import Kind
from kubectl_lbdoctor.model.reads import KUBE, KUBE_PROXY_NAME, OPTIONAL, WATCHED, iam_action, is_aws

_RESOURCES = {
    "ec2:GetManagedPrefixListEntries": "arn:*:ec2:*:*:prefix-list/*",
    "eks:DescribeCluster": "arn:*:eks:*:*:cluster/*",
    "eks:ListPodIdentityAssociations": "arn:*:eks:*:*:cluster/*",
    "eks:DescribePodIdentityAssociation": "arn:*:eks:*:*:podidentityassociation/*",
    "iam:GetRole": "arn:*:iam::*:role/*",
    "iam:GetRolePolicy": "arn:*:iam::*:role/*",
    "iam:ListAttachedRolePolicies": "arn:*:iam::*:role/*",
    "iam:ListRolePolicies": "arn:*:iam::*:role/*",
    "iam:GetPolicy": "arn:*:iam::*:policy/*",
    "iam:GetPolicyVersion": "arn:*:iam::*:policy/*",
    "s3:ListBucket": "arn:*:s3:::*",
    "s3:GetObject": "arn:*:s3:::*/AWSLogs/*/health_check_log_*",
}
"""The resources of the actions that know any. The Describe actions of Elastic Load Balancing and EC2 know none, and are
allowed for "*" or not at all.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""


def iam(reads: Iterable[str]) -> str:
    """An IAM policy with every AWS action, on kinds of resources where the action knows them. What may be left out
    (`model.reads.OPTIONAL`) are statements of their own."""
    wanted = {iam_action(read): read in OPTIONAL for read in reads if is_aws(read)}
    logged = sorted(action for action in wanted if wanted[action] and action.startswith("s3:"))
    optional = sorted(a for a in wanted if wanted[a] and a in _RESOURCES and a not in logged)
    counted = sorted(action for action in wanted if wanted[action] and action.startswith("cloudwatch:"))
    told = sorted(action for action in wanted if wanted[action] and action.startswith("cloudtrail:"))
    scoped = sorted(action for action in wanted if action in _RESOURCES and action not in {*optional, *logged})
    others = sorted(set(wanted) - {*optional, *counted, *told, *logged, *scoped})
    return _iam_policy(
        _statement("LbdoctorRead", others, "*"),
        _statement("LbdoctorReadPrefixLists", scoped, _resources(scoped)),
        _statement("LbdoctorReadControllerRoleOptional", optional, _resources(optional)),
        _statement("LbdoctorReadTargetCountsOptional", counted, "*"),
        _statement("LbdoctorReadChangesOptional", told, "*"),
        _statement("LbdoctorReadHealthCheckLogsOptional", logged, _resources(logged)),
    )


def _resources(actions: Iterable[str]) -> list[str]:
    return sorted({_RESOURCES[action] for action in actions})


def _statement(sid: str, actions: list[str], resources: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _iam_policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2) + "\n"


def _cluster_role(name: str, rules: list[dict[str, Any]], about: str = "") -> str:
    import yaml

    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
    text: str = yaml.safe_dump(role, sort_keys=False)
    return "".join(f"# {line}\n" for line in about.splitlines()) + text


def rbac(reads: Iterable[str]) -> str:
    """A ClusterRole with every Kubernetes read: each resource once, with all verbs that some read of it needs."""
    verbs: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for name in reads:
        if not is_aws(name):
            read = KUBE[name]
            for group, resource in itertools.product(read.groups, read.resources):
                own = (*read.verbs, *(("watch",) if name in WATCHED else ()))
                verbs.setdefault((group, resource, read.object_names), set()).update(own)
    merged: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (group, resource, names), allowed in sorted(verbs.items()):
        merged.setdefault((group, tuple(sorted(allowed)), names), []).append(resource)
    rules = [
        {"apiGroups": [group], "resources": resources, "verbs": list(allowed)}
        | ({"resourceNames": list(names)} if names else {})
        for (group, allowed, names), resources in sorted(merged.items())
    ]
    return _cluster_role("lbdoctor-read", rules, _READ)


_READ = """What kubectl lbdoctor reads; bind it with a ClusterRoleBinding. The rule for Secrets may be left out:
it is for the certificate of the controller's webhook. The verb watch is for scan -w, which without it looks
once a minute."""


# What probing needs beyond the reads: pod proxy and port-forward (`--probe auto|proxy`), then debug pods and their logs
# (`--probe pod`), then an ephemeral container (`--probe-target pod`). `get` of pods/portforward opens a WebSocket;
# Kubernetes 1.35 asks for `create`, too.
_PROBE_RULES = (
    (("pods/proxy",), ("get",)),
    (("pods/portforward",), ("create", "get")),
    (("pods",), ("create", "delete", "get", "list")),
    (("pods/log",), ("get",)),
    (("pods/ephemeralcontainers",), ("patch",)),
)


def rbac_probe() -> str:
    """A ClusterRole with what probes need, apart from the read-only one. Bind it in single namespaces."""
    rules = [{"apiGroups": [""], "resources": list(what), "verbs": list(verbs)} for what, verbs in _PROBE_RULES]
    return _cluster_role("lbdoctor-probe", rules, _PROBE)


_PROBE = """What probes need beyond the reads; bind it in single namespaces with a RoleBinding.
--probe auto and proxy need pods/proxy and pods/portforward, --probe pod needs pods and pods/log,
--probe-target pod needs pods/ephemeralcontainers."""


# What a fix writes, and `undo` again: annotations and specs of what the controller reads, new configurations, and
# kube-proxy's restart.
_CHANGED = ("get", "patch")
_MADE = (kinds.TARGET_GROUP_CONFIGURATION, kinds.LOAD_BALANCER_CONFIGURATION)
_FIX_RULES: tuple[tuple[Kind, tuple[str, ...], tuple[str, ...]], ...] = (
    (kinds.SERVICE, _CHANGED, ()),
    (kinds.INGRESS, _CHANGED, ()),
    (kinds.DAEMON_SET, _CHANGED, (KUBE_PROXY_NAME,)),
    *((kind, _CHANGED, ()) for kind in (kinds.GATEWAY, *kinds.ROUTES)),
    # A setting of a Gateway may need one that does not exist yet; undoing deletes it again.
    *((kind, ("create", "delete", *_CHANGED), ()) for kind in _MADE),
)


def rbac_fix() -> str:
    """A ClusterRole with what `--fix` and `undo` need beyond the reads. Bind it in single namespaces; kube-proxy's
    DaemonSet is in kube-system."""
    rules = [
        {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": list(verbs)}
        | ({"resourceNames": list(names)} if names else {})
        for kind, verbs, names in _FIX_RULES
    ]
    return _cluster_role("lbdoctor-fix", rules, _FIX)


_FIX = """What --fix and undo need beyond the reads; bind it in single namespaces with a RoleBinding.
The rule for DaemonSets restarts kube-proxy and counts in namespace kube-system."""


def iam_fix(operations: Iterable[str], group_operations: Iterable[str]) -> str:
    """An IAM policy with the calls of `--fix` and `undo`: those of EC2 for all security groups and network ACLs, those
    of Elastic Load Balancing for all target groups."""
    of_acls = sorted(f"ec2:{operation}" for operation in operations if "NetworkAcl" in operation)
    of_groups = sorted({f"ec2:{operation}" for operation in operations} - set(of_acls))
    of_target_groups = sorted(f"elasticloadbalancing:{operation}" for operation in group_operations)
    groups = [f"arn:*:ec2:*:*:{kind}/*" for kind in ("security-group", "security-group-rule")]
    return _iam_policy(
        _statement("LbdoctorFixNetworkAcls", of_acls, ["arn:*:ec2:*:*:network-acl/*"]),
        _statement("LbdoctorFixSecurityGroups", of_groups, groups),
        _statement("LbdoctorFixTargetGroups", of_target_groups, ["arn:*:elasticloadbalancing:*:*:targetgroup/*"]),
    )
