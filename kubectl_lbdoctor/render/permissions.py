"""The permissions that the doctor needs: to read (generated from what its checks declare), to probe, to repair."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.reads import KUBE, iam_action, is_aws


def iam(reads: Iterable[str]) -> str:
    """An IAM policy with every AWS action. ELBv2 and EC2 Describe actions know no resources, so it stays "*"."""
    actions = sorted({iam_action(read) for read in reads if is_aws(read)})
    return _iam_policy(_statement("LbdoctorRead", actions, "*"))


def _statement(sid: str, actions: list[str], resources: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _iam_policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2) + "\n"


def _cluster_role(name: str, rules: list[dict[str, Any]]) -> str:
    import yaml

    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
    text: str = yaml.safe_dump(role, sort_keys=False)
    return text


def rbac(reads: Iterable[str]) -> str:
    """A ClusterRole with every Kubernetes read."""
    merged: dict[tuple[str, tuple[str, ...], tuple[str, ...]], set[str]] = {}
    for name in reads:
        if not is_aws(name):
            read = KUBE[name]
            merged.setdefault((read.group, tuple(sorted(read.verbs)), read.object_names), set()).update(read.resources)
    rules = [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": list(verbs)}
        | ({"resourceNames": list(names)} if names else {})
        for (group, verbs, names), resources in sorted(merged.items())
    ]
    return _cluster_role("lbdoctor-read", rules)


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
    return _cluster_role("lbdoctor-probe", rules)


# What a fix writes, and `undo` again: annotations and specs of what the controller reads, and kube-proxy's restart.
_OF_GATEWAYS = (kinds.GATEWAY, *kinds.ROUTES, kinds.TARGET_GROUP_CONFIGURATION)
_FIX_RULES = tuple(
    (kind.group, (kind.plural,), ("get", "patch"))
    for kind in (kinds.SERVICE, kinds.INGRESS, kinds.DAEMON_SET, *_OF_GATEWAYS)
)


def rbac_fix() -> str:
    """A ClusterRole with what `--fix` and `undo` need beyond the reads. Bind it in single namespaces; kube-proxy's
    DaemonSet is in kube-system."""
    rules = [{"apiGroups": [group], "resources": list(what), "verbs": list(verbs)} for group, what, verbs in _FIX_RULES]
    return _cluster_role("lbdoctor-fix", rules)


def iam_fix(operations: Iterable[str], group_operations: Iterable[str]) -> str:
    """An IAM policy with the calls of `--fix` and `undo`: those of EC2 for all security groups and network ACLs, those
    of Elastic Load Balancing for all target groups."""
    resources = [f"arn:*:ec2:*:*:{kind}/*" for kind in ("network-acl", "security-group", "security-group-rule")]
    actions = sorted(f"ec2:{operation}" for operation in operations)
    group_actions = sorted(f"elasticloadbalancing:{operation}" for operation in group_operations)
    return _iam_policy(
        _statement("LbdoctorFix", actions, resources),
        _statement("LbdoctorFixTargetGroups", group_actions, ["arn:*:elasticloadbalancing:*:*:targetgroup/*"]),
    )
