"""What the scenarios of `reports_platform.py` do to controller, nodes, networks and AWS, and how they put it back.

Nearly all of it is felt by every object of the lab: nothing else may run meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from tests.e2e.network import PRIVATE, PUBLIC, made_group, on_nodes, tagged_for_another_cluster, tcp
from tests.e2e.scenarios import ALB, NLB, event, until
from tests.lab import controller, examples, faults, nodes, topology
from tests.lab.api import Lab

Change = Callable[[Lab, str], AbstractContextManager[None]]

WEBHOOK = "aws-load-balancer-webhook"
WEBHOOK_SERVICE = f"{WEBHOOK}-service"
CLUSTER_TAG = f"kubernetes.io/cluster/{topology.CLUSTER_NAME}"
BALANCER_SUBNETS = "10.0.96.0/20"
MAX_RULES = 60
OUTSIDE = "lbdlab-outside"
NOBODY = "sg-0123456789abcdef0"
NEW_NODE = "ip-10-0-1-200.us-west-2.compute.internal"
_LEFT_OUT = ("resourceVersion", "uid", "creationTimestamp", "managedFields", "generation")


def changed(kind: str, **annotations: str | None) -> Change:
    """Annotations of the Ingress or Service that are set, or removed (None), later; `_` stands for `-`."""
    prefix = ALB if kind == "ingress" else NLB
    wanted = {f"{prefix}{name.replace('_', '-')}": value for name, value in annotations.items()}

    @contextmanager
    def change(lab: Lab, ns: str) -> Iterator[None]:
        lab.patch(kind, "web", ns, {"metadata": {"annotations": wanted}})
        yield

    return change


def touch(lab: Lab, ns: str, mark: str) -> None:
    """Make the controller reconcile the Ingress."""
    lab.kubectl("annotate", "ingress/web", "-n", ns, f"{ALB}healthcheck-path=/healthz?{mark}", "--overwrite")


def warned(lab: Lab, ns: str, *texts: str) -> None:
    """Wait for a warning of the namespace that contains one of the texts."""

    def found() -> bool:
        messages = [e.get("message", "") for e in lab.objects("events", ns) if e.get("type") == "Warning"]
        return any(text in message for text in texts for message in messages)

    until(found, f"a warning with one of {texts}", 120)


# --- the controller and its flags ------------------------------------------------------------------------------------


def flags(*arguments: str, clean: bool = False) -> Change:
    """The controller runs with other flags. `clean`: what it makes would be left behind by the next one."""

    @contextmanager
    def around(lab: Lab, ns: str) -> Iterator[None]:
        with faults.controller_args(lab, *arguments):
            try:
                yield
            finally:
                if clean:
                    lab.clean(ns)

    return around


@contextmanager
def not_installed(lab: Lab, ns: str) -> Iterator[None]:
    """Neither Deployment nor webhooks: what is left of it is an IngressClass."""
    kept: list[dict[str, Any]] = []
    with faults.controller_scaled_to_zero(lab):
        for kind, name, namespace in (
            ("mutatingwebhookconfiguration", WEBHOOK, None),
            ("validatingwebhookconfiguration", WEBHOOK, None),
            ("deployment", controller.NAME, controller.NAMESPACE),
        ):
            kept.append(lab.get(kind, name, namespace))
            where = ("-n", namespace) if namespace else ()
            lab.kubectl("delete", kind, name, *where, "--wait=true")
        try:
            yield
        finally:
            for item in reversed(kept):
                item.pop("status", None)
                for field in _LEFT_OUT:
                    item["metadata"].pop(field, None)
                lab.kubectl("create", "-f", "-", stdin=json.dumps(item))


@contextmanager
def wrong_name_and_two_groups(lab: Lab, ns: str) -> Iterator[None]:
    """The controller has another cluster's name, and nodes carry a second group: it knows neither of the two."""
    with ExitStack() as stack:
        group = stack.enter_context(made_group(lab, "lbdlab-extra"))
        stack.enter_context(on_nodes(lab, group))
        stack.enter_context(flags("--cluster-name=prod-eu", clean=True)(lab, ns))
        yield


# --- one cause after the other ----------------------------------------------------------------------------------------


def apply_ingress(lab: Lab, ns: str, **changes: Any) -> None:
    lab.apply(examples.find(examples.alb_ip(**changes), "Ingress"), ns)


@contextmanager
def denied_then_no_webhook(lab: Lab, ns: str) -> Iterator[None]:
    """CreateTargetGroup is denied; once that is cured, the webhook has no endpoint for the binding."""
    with ExitStack() as denial:
        denial.enter_context(faults.aws_denied(lab, "elasticloadbalancing:CreateTargetGroup"))
        apply_ingress(lab, ns)
        warned(lab, ns, "not authorized to perform: elasticloadbalancing:CreateTargetGroup")
        with faults.webhook_without_endpoint(lab):
            denial.close()
            yield


@contextmanager
def no_credentials_then_denied(lab: Lab, ns: str) -> Iterator[None]:
    """Credentials that AWS does not know are replaced by those of a role that may not create load balancers."""
    with faults.aws_denied(lab, "elasticloadbalancing:CreateLoadBalancer"):
        with faults.controller_env(lab, AWS_ACCESS_KEY_ID="AKIAWRONG00000000000"):
            apply_ingress(lab, ns)
            warned(lab, ns, "credential", "security token")
        yield


@contextmanager
def credentials_endpoint_vpc(lab: Lab, ns: str) -> Iterator[None]:
    """Credentials are mended, then an endpoint; now the controller does not find its VPC any more and crashes."""
    with faults.controller_env(lab, AWS_ACCESS_KEY_ID="AKIAWRONG00000000000"):
        touch(lab, ns, "1")
        warned(lab, ns, "credential", "security token")
    with faults.api_unreachable(lab):
        touch(lab, ns, "2")
        warned(lab, ns, "connection refused", "dial tcp")
    with faults.controller_args(lab, "--aws-vpc-id", wait=False):
        yield


@contextmanager
def certificate_subnet_quota(lab: Lab, ns: str) -> Iterator[None]:
    """No certificate, subnets of another cluster, more client ranges than a group has room for; two are mended."""
    wide = ",".join(f"10.1.{number}.0/24" for number in range(MAX_RULES + 1))
    with tagged_for_another_cluster(lab):
        apply_ingress(
            lab,
            ns,
            annotations={f"{ALB}listen-ports": '[{"HTTPS":443}]', f"{ALB}inbound-cidrs": wide},
            ingress={"host": "shop.example"},
        )
        warned(lab, ns, "no certificate found for host")
        lab.kubectl("annotate", "ingress/web", "-n", ns, f'{ALB}listen-ports=[{{"HTTP":80}}]', "--overwrite")
        warned(lab, ns, "tagged for other cluster")
    touch(lab, ns, "1")
    yield


# --- nodes -----------------------------------------------------------------------------------------------------------


def tainted(node: str, taint: str) -> Change:
    """The last ready pod's node is about to be removed."""

    @contextmanager
    def change(lab: Lab, ns: str) -> Iterator[None]:
        lab.wait_targets(ns, "healthy", all_or_any="any", count=1, timeout=90)
        lab.kubectl("taint", "node", node, taint)
        try:
            yield
        finally:
            lab.kubectl("taint", "node", node, f"{taint}-")

    return change


@contextmanager
def excluded(lab: Lab, ns: str) -> Iterator[None]:
    """All nodes carry the label that keeps them out of load balancers."""
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    names = [node.name for node in topology.NODES]
    lab.kubectl("label", "node", *names, f"{label}=true")
    try:
        yield
    finally:
        lab.kubectl("label", "node", *names, f"{label}-")


@contextmanager
def node_without_provider(lab: Lab, ns: str) -> Iterator[None]:
    """A node joins that has no providerID; whatever else belongs to a ready node it has."""
    metadata = {"name": NEW_NODE, "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": NEW_NODE}}
    spec = {"taints": [{"key": "dedicated", "value": "batch", "effect": "NoSchedule"}]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}
    over = threading.Event()

    def live() -> None:
        while True:
            with suppress(Exception):
                _sign_of_life(lab)
            if over.wait(5):
                return

    lab.kubectl("create", "-f", "-", stdin=json.dumps(node))
    thread = threading.Thread(target=live, daemon=True)
    try:
        _sign_of_life(lab)
        thread.start()
        yield
    finally:
        over.set()
        thread.join(30)
        lab.kubectl("delete", "node", NEW_NODE, "--ignore-not-found")
        for pod in _pods_of_new_node(lab):
            lab.kubectl("delete", "pod", pod, "-n", "kube-system", "--force", "--ignore-not-found")


def _pods_of_new_node(lab: Lab) -> list[str]:
    pods = lab.objects("pods", "kube-system")
    return [str(pod["metadata"]["name"]) for pod in pods if pod["spec"].get("nodeName") == NEW_NODE]


def _sign_of_life(lab: Lab) -> None:
    """What its kubelet would write: Ready of the node, and of the pod that the kube-proxy DaemonSet has there."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
    addresses = [{"type": "InternalIP", "address": "10.0.1.200"}, {"type": "Hostname", "address": NEW_NODE}]
    status: dict[str, Any] = {"conditions": [{**ready, "lastHeartbeatTime": now, "reason": "KubeletReady"}]}
    capacity = {"cpu": "2", "memory": "4Gi", "pods": "20"}
    lab.patch(
        *("node", NEW_NODE, None),
        {"status": {**status, "addresses": addresses, "capacity": capacity, "allocatable": capacity}},
        subresource="status",
    )
    for pod in _pods_of_new_node(lab):
        container = {"name": "kube-proxy", "ready": True, "restartCount": 0, "image": "kube-proxy", "imageID": "x"}
        running = {**container, "state": {"running": {"startedAt": now}}}
        types = [{**ready, "type": kind} for kind in ("Ready", "ContainersReady", "PodScheduled", "Initialized")]
        content = {"phase": "Running", "conditions": types, "containerStatuses": [running]}
        lab.patch("pod", pod, "kube-system", {"status": content}, subresource="status")


def packet_filter(node: str, *rule: str) -> AbstractContextManager[None]:
    """A rule of the node's own packet filter, before all others: of a hardening script, say."""

    @contextmanager
    def change() -> Iterator[None]:
        _iptables(node, "-I", *rule)
        try:
            yield
        finally:
            _iptables(node, "-D", *rule)

    return change()


def _iptables(node: str, *arguments: str) -> None:
    netns = nodes.by_name(node).netns
    command = ["nsenter", f"--net=/run/netns/{netns}", "iptables-nft", "-w", *arguments]
    subprocess.run(command, check=True, capture_output=True)


def balancers_dropped(node: str) -> Change:
    """The node drops what load balancers send to its pods."""

    def change(lab: Lab, ns: str) -> AbstractContextManager[None]:
        rule = ("FORWARD", "-s", BALANCER_SUBNETS, "-p", "tcp", "--dport", "8080", "-j", "DROP")
        return packet_filter(node, *rule)

    return change


@contextmanager
def webhook_port_dropped(lab: Lab, ns: str) -> Iterator[None]:
    """The controller's node drops what the control plane sends to the webhook's port; then an Ingress is made."""
    labels = f"app.kubernetes.io/name={controller.NAME}"
    node = lab.objects("pods", controller.NAMESPACE, labels)[0]["spec"]["nodeName"]
    # Nobody but the control plane asks for this port.
    rule = ("FORWARD", "-p", "tcp", "--dport", "9443", "-j", "DROP")
    with ExitStack() as denial:
        # The Ingress itself has to pass the webhook; its binding comes later.
        denial.enter_context(faults.aws_denied(lab, "elasticloadbalancing:CreateTargetGroup"))
        apply_ingress(lab, ns)
        warned(lab, ns, "CreateTargetGroup")
        with packet_filter(node, *rule):
            denial.close()
            yield


# --- security groups and ACLs ----------------------------------------------------------------------------------------


@contextmanager
def two_tagged_groups(lab: Lab, ns: str) -> Iterator[None]:
    """Nodes carry two groups with the cluster's tag, as Terraform's module makes them."""
    with made_group(lab, "lbdlab-node") as group:
        lab.aws("ec2").create_tags(Resources=[group], Tags=[{"Key": CLUSTER_TAG, "Value": "owned"}])
        with on_nodes(lab, group):
            yield


@contextmanager
def two_tagged_groups_seen_anew(lab: Lab, ns: str) -> Iterator[None]:
    """A controller that started later: for minutes it believes what it once read of instances."""
    with two_tagged_groups(lab, ns), faults.controller_args(lab):
        yield


@contextmanager
def group_full(lab: Lab, ns: str) -> Iterator[None]:
    """The nodes' group has as many rules as AWS allows."""
    ec2, group = lab.aws("ec2"), lab.state["cluster_sg"]
    present = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    number = sum(len(p["IpRanges"]) + len(p["UserIdGroupPairs"]) for p in present)
    rule = tcp(22, cidrs=[f"192.168.{address}.0/24" for address in range(MAX_RULES - number)])
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    try:
        yield
    finally:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])


@contextmanager
def rules_denied(lab: Lab, ns: str) -> Iterator[None]:
    """The load balancer's own group was made by somebody else; the controller may not write rules of the nodes'."""
    ec2 = lab.aws("ec2")
    with made_group(lab, "lbdlab-managed-front", ingress=[tcp(80, cidrs=["0.0.0.0/0"])]) as group:
        ec2.create_tags(Resources=[group], Tags=[{"Key": "Name", "Value": "lbdlab-managed-front"}])
        try:
            with faults.aws_denied(lab, "ec2:AuthorizeSecurityGroupIngress"):
                yield
        finally:
            lab.clean(ns)


@contextmanager
def named_group(lab: Lab, ns: str) -> Iterator[None]:
    """A group that an annotation can name."""
    with made_group(lab, "lbdlab-asked-for", ingress=[tcp(80, cidrs=["0.0.0.0/0"])]) as group:
        lab.aws("ec2").create_tags(Resources=[group], Tags=[{"Key": "Name", "Value": "lbdlab-asked-for"}])
        try:
            yield
        finally:
            lab.clean(ns)


@contextmanager
def answers_denied_to_balancers(lab: Lab, ns: str) -> Iterator[None]:
    """The ACL of the load balancers' subnets lets no answers in: nobody thought of ephemeral ports."""
    with faults.own_acl(lab, *(subnet.name for subnet in PUBLIC)) as acl:
        for number, subnet in enumerate(PRIVATE, start=50):
            lab.aws("ec2").create_network_acl_entry(
                NetworkAclId=acl,
                RuleNumber=number,
                Protocol="6",
                RuleAction="deny",
                Egress=False,
                CidrBlock=subnet.cidr,
                PortRange={"From": 1024, "To": 65535},
            )
        yield


# --- made outside the cluster ----------------------------------------------------------------------------------------


def binding(name: str, group: str, networking: Mapping[str, Any] | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"serviceRef": {"name": "web", "port": 80}, "targetGroupARN": group}
    if networking is not None:
        spec["networking"] = networking
    return {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": name},
        "spec": spec,
    }


def admits(group: str) -> dict[str, Any]:
    source = [{"securityGroup": {"groupID": group}}]
    return {"ingress": [{"from": source, "ports": [{"protocol": "TCP", "port": 8080}]}]}


@contextmanager
def target_group(lab: Lab, name: str, path: str) -> Iterator[str]:
    elb = lab.aws("elbv2")
    arn: str = elb.create_target_group(
        Name=name,
        Protocol="HTTP",
        Port=80,
        VpcId=lab.state["vpc_id"],
        TargetType="ip",
        HealthCheckPath=path,
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    try:
        yield arn
    finally:
        with suppress(elb.exceptions.TargetGroupNotFoundException):
            elb.delete_target_group(TargetGroupArn=arn)


def outside(path: str, *, networking: bool) -> Change:
    """A load balancer and a target group of Terraform's, and a binding by hand, with or without `networking`."""

    @contextmanager
    def setup(lab: Lab, ns: str) -> Iterator[None]:
        elb = lab.aws("elbv2")
        subnets: Sequence[str] = [lab.state["subnets"][subnet.name] for subnet in PUBLIC]
        with ExitStack() as undo:
            front = undo.enter_context(made_group(lab, OUTSIDE, ingress=[tcp(80, cidrs=["0.0.0.0/0"])]))
            group = undo.enter_context(target_group(lab, OUTSIDE, path))
            balancer = elb.create_load_balancer(
                Name=OUTSIDE, Type="application", Scheme="internet-facing", Subnets=subnets, SecurityGroups=[front]
            )["LoadBalancers"][0]["LoadBalancerArn"]
            undo.callback(elb.delete_load_balancer, LoadBalancerArn=balancer)
            forward = [{"Type": "forward", "TargetGroupArn": group}]
            elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
            lab.apply(binding("outside", group, admits(front) if networking else None), ns)
            undo.callback(
                lab.kubectl, "delete", "targetgroupbinding", "outside", "-n", ns, "--ignore-not-found", "--wait=true"
            )
            yield

    return setup


@contextmanager
def stray_binding(lab: Lab, ns: str) -> Iterator[None]:
    """Somebody else's binding asks for a rule whose source group does not exist, in the nodes' common group."""
    with lab.namespace("stray") as other, target_group(lab, "lbdlab-stray", "/healthz") as group:
        lab.apply([examples.app(), examples.service(), binding("stray", group, admits(NOBODY))], other)
        event("FailedNetworkReconcile")(lab, other)
        try:
            yield
        finally:
            lab.kubectl("delete", "targetgroupbinding", "stray", "-n", other, "--ignore-not-found", "--wait=true")
