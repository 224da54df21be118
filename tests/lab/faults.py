"""Faults as context managers: each breaks one thing of the running lab and puts it right again, errors or not.

Each says what AWS, the controller and Kubernetes do of it. Use them inside a test's namespace (`with lab.namespace()`
outside, the fault inside): the namespace's own end needs a controller and an AWS that work.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import ClientError

from tests.lab import cluster, controller, nodes, topology
from tests.lab.api import Lab, Target
from tests.lab.progress import LabError, wait_until

Effect = Literal["deny", "throttle", "delay", "error500", "hang"]
Permission = dict[str, Any]

# What the controller writes on the rules that it adds to the nodes' security groups.
CONTROLLER_RULE = "elbv2.k8s.aws/targetGroupBinding=shared"
EPHEMERAL = (1024, 65535)
_WEBHOOKS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
_WEBHOOK = "aws-load-balancer-webhook"
_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{controller.NAME}-leader"
# The packet filter follows AWS within half a second; this leaves room for two rounds.
_FILTER_SECONDS = 1.2


# --- security groups -------------------------------------------------------------------------------------------------


@contextmanager
def rule_revoked(lab: Lab, group_id: str, permission: Permission) -> Iterator[None]:
    """One inbound rule of a security group is missing. What is established goes on, new connections time out."""
    _revoke(lab, group_id, [permission])
    try:
        time.sleep(_FILTER_SECONDS)
        yield
    finally:
        _authorise(lab, group_id, [permission])


@contextmanager
def rule_authorised(lab: Lab, group_id: str, permission: Permission) -> Iterator[None]:
    """One inbound rule more."""
    _authorise(lab, group_id, [permission])
    try:
        time.sleep(_FILTER_SECONDS)
        yield
    finally:
        with suppress(ClientError):
            _revoke(lab, group_id, [permission])


@contextmanager
def controller_rules_revoked(lab: Lab) -> Iterator[dict[str, list[Permission]]]:
    """The inbound rules that the controller keeps on the nodes' security groups are gone: every target times out.

    Somebody (or a tool that owns the group) removed them. The controller does not put them back before a binding
    changes or its sync period (10 h) ends. Yields the rules by group.
    """
    revoked: dict[str, list[Permission]] = {}
    for group in lab.aws("ec2").describe_security_groups()["SecurityGroups"]:
        for permission in group["IpPermissions"]:
            pairs = [pair for pair in permission["UserIdGroupPairs"] if pair.get("Description") == CONTROLLER_RULE]
            # An NLB without security groups is admitted by the addresses of its subnets.
            ranges = [item for item in permission["IpRanges"] if item.get("Description") == CONTROLLER_RULE]
            if pairs or ranges:
                rule = _rule(permission, UserIdGroupPairs=pairs, IpRanges=ranges)
                revoked.setdefault(group["GroupId"], []).append(rule)
    if not revoked:
        raise LabError("the controller has no rules on any security group: is there a load balancer?")
    with ExitStack() as undo:
        for group_id, rules in revoked.items():
            _revoke(lab, group_id, rules)
            undo.callback(_authorise, lab, group_id, rules)
        time.sleep(_FILTER_SECONDS)
        yield revoked


@contextmanager
def nodes_do_not_admit_each_other(lab: Lab) -> Iterator[None]:
    """The cluster security group has lost the rule by which its members admit each other; load balancers' rules stay.

    In `instance` mode a node that forwards to a pod of another node times out: what still answers depends on which pod
    kube-proxy picks, so targets flap unless externalTrafficPolicy is Local. `ip` targets stay healthy. The control
    plane still reaches the nodes (as on EKS, where its own interfaces carry the group, it would not).
    """
    group_id = lab.state["cluster_sg"]
    group = lab.aws("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    own = [
        _rule(permission, UserIdGroupPairs=pairs)
        for permission in group["IpPermissions"]
        if (pairs := [pair for pair in permission["UserIdGroupPairs"] if pair["GroupId"] == group_id])
    ]
    if not own:
        raise LabError(f"{group_id} has no rule that admits its own members")
    _revoke(lab, group_id, own)
    try:
        time.sleep(_FILTER_SECONDS)
        yield
    finally:
        _authorise(lab, group_id, own)


def _rule(permission: Permission, **sources: Sequence[Mapping[str, Any]]) -> Permission:
    """A permission of an answer as a request takes it, with some of its sources only."""
    rule = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort") if permission.get(key) is not None}
    return rule | {key: list(value) for key, value in sources.items() if value}


def _revoke(lab: Lab, group_id: str, permissions: list[Permission]) -> None:
    lab.aws("ec2").revoke_security_group_ingress(GroupId=group_id, IpPermissions=permissions)


def _authorise(lab: Lab, group_id: str, permissions: list[Permission]) -> None:
    """One by one: the controller may have put some back, and the group of a source may be gone with its balancer."""
    for permission in permissions:
        try:
            lab.aws("ec2").authorize_security_group_ingress(GroupId=group_id, IpPermissions=[permission])
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("InvalidPermission.Duplicate", "InvalidGroup.NotFound"):
                raise


# --- network ACLs ----------------------------------------------------------------------------------------------------


@contextmanager
def own_acl(lab: Lab, *subnet_names: str) -> Iterator[str]:
    """Give subnets a network ACL of their own, with the same entries; yields its id.

    All subnets of the lab share the VPC's default ACL: an entry on that would deny everywhere.
    """
    ec2 = lab.aws("ec2")
    subnet_ids = {lab.state["subnets"][name] for name in subnet_names}
    present = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [lab.state["vpc_id"]]}])["NetworkAcls"]
    former = {
        association["SubnetId"]: acl
        for acl in present
        for association in acl["Associations"]
        if association["SubnetId"] in subnet_ids
    }
    acl_id: str = ec2.create_network_acl(VpcId=lab.state["vpc_id"])["NetworkAcl"]["NetworkAclId"]
    with ExitStack() as undo:
        undo.callback(ec2.delete_network_acl, NetworkAclId=acl_id)
        for entry in next(iter(former.values()))["Entries"]:
            if entry["RuleNumber"] <= 32766:  # the last one, "*", every ACL has by itself
                _add_entry(ec2, acl_id, entry)
        for subnet_id, acl in former.items():
            _associate(ec2, subnet_id, acl_id)
            undo.callback(_associate, ec2, subnet_id, acl["NetworkAclId"])
        yield acl_id


@contextmanager
def acl_denies(
    lab: Lab,
    subnet_name: str,
    egress: bool,
    port_range: tuple[int, int],
    cidr: str,
    number: int = 50,
) -> Iterator[str]:
    """One TCP entry that denies, before those that allow, on one subnet's ACL. ACLs know no connections: packets of an
    established one are dropped, too."""
    with own_acl(lab, subnet_name) as acl_id:
        _deny(lab, acl_id, egress, port_range, cidr, number)
        time.sleep(_FILTER_SECONDS)
        yield acl_id


@contextmanager
def ephemeral_return_denied(lab: Lab) -> Iterator[str]:
    """The private subnets may not answer to the public ones' ephemeral ports: health checks reach the targets, and the
    answers never come back (Target.Timeout), with security groups that are all right."""
    private = [subnet.name for subnet in topology.SUBNETS if not subnet.public]
    with own_acl(lab, *private) as acl_id:
        for number, subnet in enumerate((subnet for subnet in topology.SUBNETS if subnet.public), start=50):
            _deny(lab, acl_id, True, EPHEMERAL, subnet.cidr, number)
        time.sleep(_FILTER_SECONDS)
        yield acl_id


def _deny(lab: Lab, acl_id: str, egress: bool, ports: tuple[int, int], cidr: str, number: int) -> None:
    entry = {
        "RuleNumber": number,
        "Protocol": "6",
        "RuleAction": "deny",
        "Egress": egress,
        "Ipv6CidrBlock" if ":" in cidr else "CidrBlock": cidr,
        "PortRange": {"From": ports[0], "To": ports[1]},
    }
    _add_entry(lab.aws("ec2"), acl_id, entry)


def _add_entry(ec2: Any, acl_id: str, entry: Mapping[str, Any]) -> None:
    ec2.create_network_acl_entry(NetworkAclId=acl_id, **{key: value for key, value in entry.items() if value != {}})


def _associate(ec2: Any, subnet_id: str, acl_id: str) -> None:
    """A subnet always has exactly one ACL: associating means replacing the association that is there now."""
    acls = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet_id]}])["NetworkAcls"]
    current = next(item for acl in acls for item in acl["Associations"] if item["SubnetId"] == subnet_id)
    ec2.replace_network_acl_association(AssociationId=current["NetworkAclAssociationId"], NetworkAclId=acl_id)


# --- AWS -------------------------------------------------------------------------------------------------------------


@contextmanager
def aws_denied(
    lab: Lab,
    *actions: str,
    access_key: str = topology.CONTROLLER_ACCESS_KEY,
    effect: Effect = "deny",
    seconds: float = 0,
) -> Iterator[None]:
    """AWS refuses, throttles, delays, fails or does not answer one caller's actions (`elasticloadbalancing:Register*`).

    `seconds` is how long "delay" and "hang" take. Entries of an outer `aws_denied` stay, after these.
    """
    for action in actions or ("*",):
        if ":" not in action and action != "*":
            raise ValueError(f"{action} has no service prefix, as in IAM policies: ec2:DescribeSubnets")
    file = topology.aws_control_file()
    former = file.read_text() if file.exists() else None
    entries = [
        {"access_key": access_key, "action": action, "effect": effect} | ({"seconds": seconds} if seconds else {})
        for action in actions or ("*",)
    ]
    _write(file, json.dumps(entries + json.loads(former or "[]")))
    try:
        yield
    finally:
        if former is None:
            file.unlink(missing_ok=True)
        else:
            _write(file, former)


def _write(file: Path, text: str) -> None:
    """Whole or not at all: AWS reads it with every request."""
    partial = file.with_suffix(".partial")
    partial.write_text(text)
    os.replace(partial, file)


@contextmanager
def target_deregistered(lab: Lab, arn: str, target: Target | Mapping[str, Any]) -> Iterator[None]:
    """Somebody deregistered a target by hand. The controller believes its own memory and does not notice.

    `target` is a record of `lab.target_health` or {"Id": …, "Port": …}.
    """
    chosen = {"Id": target.id, "Port": target.port} if isinstance(target, Target) else dict(target)
    elb = lab.aws("elbv2")
    elb.deregister_targets(TargetGroupArn=arn, Targets=[chosen])
    try:
        yield
    finally:
        with suppress(elb.exceptions.TargetGroupNotFoundException, elb.exceptions.InvalidTargetException):
            elb.register_targets(TargetGroupArn=arn, Targets=[chosen])


@contextmanager
def zone_disabled(lab: Lab, lb_arn: str, zone: str) -> Iterator[None]:
    """The load balancer has no subnet in a zone any more: targets there become unused (Target.NotInUse).

    Only for an NLB: an ALB must keep two zones, and the lab has two.
    """
    elb = lab.aws("elbv2")
    zones = elb.describe_load_balancers(LoadBalancerArns=[lb_arn])["LoadBalancers"][0]["AvailabilityZones"]
    kept = [item["SubnetId"] for item in zones if item["ZoneName"] != zone]
    if len(kept) == len(zones):
        raise LabError(f"{lb_arn} is not enabled in {zone}")
    elb.set_subnets(LoadBalancerArn=lb_arn, Subnets=kept)
    try:
        yield
    finally:
        with suppress(elb.exceptions.LoadBalancerNotFoundException):
            elb.set_subnets(LoadBalancerArn=lb_arn, Subnets=[item["SubnetId"] for item in zones])


@contextmanager
def instance_stopped(lab: Lab, node: str) -> Iterator[None]:
    """A node's instance is stopped and no packet reaches it. Its instance target becomes unused (Target.InvalidState),
    its pods' ip targets time out, and after about 50 s its Node is Ready=Unknown."""
    instance = lab.state["instances"][node]["id"]
    ec2 = lab.aws("ec2")
    ec2.stop_instances(InstanceIds=[instance])
    try:
        time.sleep(_FILTER_SECONDS)
        yield
    finally:
        ec2.start_instances(InstanceIds=[instance])
        _wait_node_back(node)


# --- controller ------------------------------------------------------------------------------------------------------


@contextmanager
def controller_scaled_to_zero(lab: Lab) -> Iterator[None]:
    """Nobody reconciles: what changes from now on stays as it was in AWS, and Services are refused by the webhook that
    nobody answers (its failurePolicy is Fail)."""
    _scale(lab, 0)
    try:
        yield
    finally:
        _scale(lab, 1)
        _wait_controller()


@contextmanager
def controller_env(lab: Lab, *, wait: bool = True, **env: str | None) -> Iterator[None]:
    """The controller restarted with other environment variables (None removes one); not `wait` if it cannot start."""
    former = _container(lab).get("env", [])
    changed = [item for item in former if item["name"] not in env]
    changed += [{"name": name, "value": value} for name, value in env.items() if value is not None]
    with _container_changed(lab, "env", former, changed, wait):
        yield


@contextmanager
def controller_args(lab: Lab, *args: str, wait: bool = True) -> Iterator[None]:
    """The controller restarted with other flags: `--aws-vpc-id=x` replaces that flag, `--aws-vpc-id` removes it."""
    former = _container(lab)["args"]
    names = {arg.partition("=")[0] for arg in args}
    changed = [arg for arg in former if arg.partition("=")[0] not in names] + [arg for arg in args if "=" in arg]
    with _container_changed(lab, "args", former, changed, wait):
        yield


@contextmanager
def webhook_broken(lab: Lab) -> Iterator[None]:
    """The webhooks' caBundle is another authority's, as after a chart upgrade that made the certificates anew: the API
    server refuses Services, Ingresses and bindings with "x509: certificate signed by unknown authority", and the
    controller fails to write its own bindings."""
    # The cluster's authority is a valid one; it just did not sign the webhook's certificate.
    other = lab.kubectl("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}")
    with ExitStack() as undo:
        undo.callback(_wait_webhook, lab, True)
        for kind in _WEBHOOKS:
            hooks = lab.get(kind, _WEBHOOK)["webhooks"]
            paths = [f"/webhooks/{number}/clientConfig/caBundle" for number in range(len(hooks))]
            former = [
                {"op": "replace", "path": path, "value": hook["clientConfig"]["caBundle"]}
                for path, hook in zip(paths, hooks, strict=True)
            ]
            undo.callback(lab.patch, kind, _WEBHOOK, None, former)
            lab.patch(kind, _WEBHOOK, None, [{"op": "replace", "path": path, "value": other} for path in paths])
        _wait_webhook(lab, False)
        yield


@contextmanager
def api_unreachable(lab: Lab, service: str = "Elastic Load Balancing v2") -> Iterator[None]:
    """The controller's calls of one AWS service go where nobody listens, as to a private endpoint that is gone.

    By default it tries ten times, for minutes, before it says so; here once."""
    flag = next(arg for arg in _container(lab)["args"] if arg.startswith("--aws-api-endpoints="))
    lost = re.sub(rf"({re.escape(service)}=)[^,]+", rf"\g<1>http://{topology.CONTROL_PLANE_IP}:9", flag)
    with controller_args(lab, lost, "--aws-max-retries=1"):
        yield


@contextmanager
def webhook_refused(lab: Lab) -> Iterator[None]:
    """The webhooks' Service leads to a port on which the controller does not listen: connection refused."""
    with _webhook_service(lab, "/spec/ports/0/targetPort", 9444):
        yield


@contextmanager
def webhook_without_endpoint(lab: Lab) -> Iterator[None]:
    """The webhooks' Service selects nobody, as after a chart was installed again under another release name."""
    with _webhook_service(lab, "/spec/selector/app.kubernetes.io~1instance", "former-release"):
        yield


@contextmanager
def _webhook_service(lab: Lab, pointer: str, value: object) -> Iterator[None]:
    hooks = lab.get(_WEBHOOKS[0], _WEBHOOK)["webhooks"]
    name, namespace = (hooks[0]["clientConfig"]["service"][key] for key in ("name", "namespace"))
    former: Any = lab.get("service", name, namespace)
    for part in pointer.strip("/").split("/"):
        key = part.replace("~1", "/")
        former = former[int(key) if isinstance(former, list) else key]
    with ExitStack() as undo:
        undo.callback(_wait_webhook, lab, True)
        undo.callback(lab.patch, "service", name, namespace, [{"op": "replace", "path": pointer, "value": former}])
        lab.patch("service", name, namespace, [{"op": "replace", "path": pointer, "value": value}])
        # The API server keeps its connection to the webhook: only another pod's it has to open anew.
        deployment = f"deployment/{controller.NAME}"
        lab.kubectl("delete", "pod", "-l", f"app.kubernetes.io/name={controller.NAME}", "-n", controller.NAMESPACE)
        lab.kubectl("rollout", "status", deployment, "-n", controller.NAMESPACE, "--timeout=60s")
        _wait_webhook(lab, False)
        yield


@contextmanager
def no_leader(lab: Lab) -> Iterator[None]:
    """The controller may not write its Lease any more: it loses the lead, starts anew and waits, ready, for a lead that
    it cannot take."""
    name = f"{controller.NAME}-leader-election-rolebinding"
    former = lab.get("rolebinding", name, controller.NAMESPACE)
    kept = {key: former["metadata"][key] for key in ("name", "namespace", "labels") if key in former["metadata"]}
    lab.kubectl("delete", "rolebinding", name, "-n", controller.NAMESPACE)
    try:
        yield
    finally:
        lab.kubectl("create", "-f", "-", stdin=json.dumps({**former, "metadata": kept}))
        _wait_controller()


@contextmanager
def second_controller(lab: Lab) -> Iterator[str]:
    """Another installation of the controller with the same class and cluster, whose lease is its own: both work."""
    name = f"{controller.NAME}-second"
    deployment = lab.get("deployment", controller.NAME, controller.NAMESPACE)
    labels = {"app.kubernetes.io/name": controller.NAME, "app.kubernetes.io/instance": name}
    spec = deployment["spec"]
    spec["selector"] = {"matchLabels": labels}
    spec["template"]["metadata"]["labels"] = labels
    spec["template"]["spec"]["containers"][0]["args"].append(f"--leader-election-id={name}")
    metadata = {"name": name, "namespace": controller.NAMESPACE, "labels": labels}
    lab.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}, controller.NAMESPACE)
    try:
        lab.kubectl("rollout", "status", f"deployment/{name}", "-n", controller.NAMESPACE, "--timeout=60s")
        yield name
    finally:
        lab.kubectl("delete", "deployment", name, "-n", controller.NAMESPACE, "--ignore-not-found")
        lab.kubectl("delete", "lease", name, "-n", controller.NAMESPACE, "--ignore-not-found")


@contextmanager
def admission_ignored(lab: Lab) -> Iterator[None]:
    """The controller is down and its webhooks let everything pass: what it would have refused can be made."""
    with ExitStack() as undo:
        for kind in _WEBHOOKS:
            hooks = lab.get(kind, _WEBHOOK)["webhooks"]
            for policy in ("former", "Ignore"):
                patch = [
                    {
                        "op": "replace",
                        "path": f"/webhooks/{number}/failurePolicy",
                        "value": hook["failurePolicy"] if policy == "former" else policy,
                    }
                    for number, hook in enumerate(hooks)
                ]
                if policy == "former":
                    undo.callback(lab.patch, kind, _WEBHOOK, None, patch)
                else:
                    lab.patch(kind, _WEBHOOK, None, patch)
        with controller_scaled_to_zero(lab):
            time.sleep(2)  # The API server follows a changed configuration a moment later.
            yield


def _wait_webhook(lab: Lab, answering: bool) -> None:
    """The API server sees a changed webhook configuration a moment later; a Service that is only tried shows it."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "webhook-probe", "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    arguments = ("create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.loadBalancerClass}")

    def as_wanted() -> bool:
        return bool(lab.kubectl(*arguments, stdin=json.dumps(service), check=False).strip()) is answering

    wait_until(f"the webhook {'answers' if answering else 'is refused'}", as_wanted, timeout=30)


def _container(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.get("deployment", controller.NAME, controller.NAMESPACE)["spec"]["template"]["spec"][
        "containers"
    ][0]
    return found


@contextmanager
def _container_changed(lab: Lab, field: str, former: object, changed: object, wait: bool) -> Iterator[None]:
    """Not by a rolling update: the old pod would keep the lease, and work on, until the new one is ready."""

    def replace(value: object) -> None:
        _scale(lab, 0)
        path = f"/spec/template/spec/containers/0/{field}"
        lab.patch(
            "deployment", controller.NAME, controller.NAMESPACE, [{"op": "replace", "path": path, "value": value}]
        )
        _scale(lab, 1)

    try:
        replace(changed)
        if wait:
            _wait_controller()
        yield
    finally:
        replace(former)
        _wait_controller()


def _controller_pods() -> list[dict[str, Any]]:
    selector = f"app.kubernetes.io/name%3D{controller.NAME}"
    pods = cluster.get(f"/api/v1/namespaces/{controller.NAMESPACE}/pods?labelSelector={selector}")
    items: list[dict[str, Any]] = pods.get("items", [])
    return items


def _scale(lab: Lab, replicas: int) -> None:
    lab.kubectl("scale", "deployment", controller.NAME, "-n", controller.NAMESPACE, f"--replicas={replicas}")
    if replicas == 0:
        wait_until("the controller is gone", lambda: not _controller_pods(), timeout=60)
        # It does not give its lease back, and the next one would wait for its end.
        lab.kubectl("delete", "lease", f"{controller.NAME}-leader", "-n", controller.NAMESPACE, "--ignore-not-found")


def _wait_controller() -> None:
    """Until it is ready and leads: before that it reconciles nothing."""
    controller.wait_ready()

    def leads() -> bool:
        holder = cluster.get(_LEASE).get("spec", {}).get("holderIdentity") or ""
        return any(holder.startswith(pod["metadata"]["name"] + "_") for pod in _controller_pods())

    wait_until("the controller leads", leads, timeout=60)


# --- nodes -----------------------------------------------------------------------------------------------------------


@contextmanager
def kubelet_stopped(lab: Lab, node: str, *, until_unknown: bool = False) -> Iterator[None]:
    """kubelet is dead, pods run on. About 50 s later (`until_unknown` waits) the node is Ready=Unknown, its pods are
    not Ready any more, and the controller takes them (or the instance) out of target groups."""
    cluster.kubelet_stop(node)
    try:
        if until_unknown:
            wait_until(f"{node} is Ready=Unknown", lambda: _node_ready(node) == "Unknown", timeout=120)
        yield
    finally:
        cluster.kubelet_start(node)
        _wait_node_back(node)


@contextmanager
def kube_proxy_missing(lab: Lab, node: str) -> Iterator[None]:
    """A node on which kube-proxy never ran (an affinity or a missing toleration keeps it away): nobody listens on node
    ports, which answer with a reset (Target.FailedHealthChecks)."""
    own = lab.get("daemonset", "kube-proxy", "kube-system")["spec"]["template"]["spec"]["affinity"]
    affinity = deepcopy(own)
    terms = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    for term in terms:
        term["matchExpressions"].append({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [node]})
    try:
        _kube_proxy_affinity(lab, affinity)
        wait_until(f"{node} is without kube-proxy", lambda: _kube_proxy_pod(lab, node) is None, timeout=60)
        # Rules outlive the process that wrote them; only those of node ports go, for pods of this node (the
        # controller perhaps) need those of cluster addresses.
        _flush_node_ports(node)
        lab.kubectl("rollout", "status", "daemonset/kube-proxy", "-n", "kube-system", "--timeout=60s")
        yield
    finally:
        _kube_proxy_affinity(lab, own)
        wait_until(f"kube-proxy is back on {node}", lambda: _kube_proxy_pod(lab, node), timeout=60)
        lab.kubectl("rollout", "status", "daemonset/kube-proxy", "-n", "kube-system", "--timeout=60s")
        _wait_node_ports(node)


@contextmanager
def kube_proxy_rules_lost(lab: Lab, node: str) -> Iterator[None]:
    """kube-proxy hangs (its pod stays Running and Ready) and the rules of node ports are gone: they answer with a reset
    until the pod is replaced, as by `kubectl rollout restart`."""
    pid = _kube_proxy_process(node)
    try:
        # Stopped first, or it would write them again within syncPeriod.
        os.kill(pid, signal.SIGSTOP)
        _flush_node_ports(node)
        yield
    finally:
        with suppress(ProcessLookupError, LabError):
            # Only if it is still this one: the test may have restarted it.
            if _kube_proxy_process(node) == pid:
                os.kill(pid, signal.SIGCONT)
        pod = _kube_proxy_pod(lab, node)
        if pod is not None:
            lab.kubectl("delete", "pod", pod, "-n", "kube-system", "--ignore-not-found")
        wait_until(f"another kube-proxy on {node}", lambda: _kube_proxy_pod(lab, node) not in (None, pod), timeout=60)
        lab.kubectl("rollout", "status", "daemonset/kube-proxy", "-n", "kube-system", "--timeout=60s")
        _wait_node_ports(node)


@contextmanager
def kube_proxy_misnamed(lab: Lab, name: str = "ip-10-0-9-9.corp.example") -> Iterator[None]:
    """kube-proxy takes every node for another one, as with a custom DHCP domain: it counts no endpoint as its node's
    own, so that all nodes answer 503 on a healthCheckNodePort (externalTrafficPolicy Local). Other Services work."""
    command = lab.get("daemonset", "kube-proxy", "kube-system")["spec"]["template"]["spec"]["containers"][0]["command"]
    wrong = [f"--hostname-override={name}" if word.startswith("--hostname-override=") else word for word in command]
    try:
        _kube_proxy_command(lab, wrong)
        yield
    finally:
        _kube_proxy_command(lab, command)


def _kube_proxy_command(lab: Lab, command: Sequence[str]) -> None:
    path = "/spec/template/spec/containers/0/command"
    lab.patch("daemonset", "kube-proxy", "kube-system", [{"op": "replace", "path": path, "value": list(command)}])
    lab.kubectl("rollout", "status", "daemonset/kube-proxy", "-n", "kube-system", "--timeout=90s")
    for node in topology.NODES:
        _wait_node_ports(node.name)


def _kube_proxy_affinity(lab: Lab, affinity: Mapping[str, Any]) -> None:
    lab.patch("daemonset", "kube-proxy", "kube-system", {"spec": {"template": {"spec": {"affinity": affinity}}}})


def _kube_proxy_pod(lab: Lab, node: str) -> str | None:
    pods = lab.objects("pods", "kube-system", "k8s-app=kube-proxy")
    names = [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node]
    return names[0] if names else None


def _kube_proxy_process(node: str) -> int:
    listed = subprocess.run(["ip", "netns", "pids", nodes.by_name(node).netns], capture_output=True, text=True).stdout
    for pid in listed.split():
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "kube-proxy":
                return int(pid)
    raise LabError(f"kube-proxy does not run on {node}")


def _iptables(node: str, *arguments: str) -> str:
    command = ["nsenter", f"--net=/run/netns/{nodes.by_name(node).netns}", "iptables-nft", "-w", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _flush_node_ports(node: str) -> None:
    _iptables(node, "-t", "nat", "-F", "KUBE-NODEPORTS")


def _wait_node_ports(node: str) -> None:
    """A new kube-proxy is Ready before it has written its rules; every node has the same ones."""

    def rules(name: str) -> int:
        return _iptables(name, "-t", "nat", "-S", "KUBE-NODEPORTS").count("\n-A ")

    others = [other.name for other in topology.NODES if other.name != node]
    wait_until(f"{node} has the rules of node ports", lambda: rules(node) >= min(map(rules, others)), timeout=60)


def _node_ready(node: str) -> str:
    conditions = cluster.get(f"/api/v1/nodes/{node}").get("status", {}).get("conditions", [])
    return next((str(condition["status"]) for condition in conditions if condition["type"] == "Ready"), "")


def _wait_node_back(node: str) -> None:
    """Ready by a kubelet that lives now, and without the taint of a node that was not: pods are scheduled there and the
    controller uses it again."""
    begun = datetime.now(timezone.utc)

    def usable() -> bool:
        # Ready alone may be the word of before: kubelet repeats an unchanged status only every 5 minutes.
        lease = cluster.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}")
        renewed = datetime.fromisoformat(lease["spec"]["renewTime"].replace("Z", "+00:00"))
        taints = cluster.get(f"/api/v1/nodes/{node}")["spec"].get("taints")
        return renewed > begun and _node_ready(node) == "True" and not taints

    wait_until(f"{node} is usable again", usable, timeout=120)
    # Its pod may have run there.
    _wait_controller()
