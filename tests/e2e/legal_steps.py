"""What legal set-ups need beside manifests: AWS objects that people made, and objects that name those by id."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.e2e.scenarios import ALB, Manifests, event, until
from tests.e2e.scenarios_objects import outside_group
from tests.lab import examples, faults
from tests.lab.api import Lab, Manifest

Step = Callable[[Lab, str], AbstractContextManager[object]]
# The lab's load balancers live in the public subnets, which are halves of this block.
PUBLIC_CIDR = "10.0.96.0/20"
INNER_CLASS = "lbdlab-inner"


def fixed(status: int) -> str:
    config = {"statusCode": str(status), "contentType": "text/plain", "messageBody": "back soon"}
    return json.dumps({"type": "fixed-response", "fixedResponseConfig": config})


def redirect(**config: str) -> str:
    return json.dumps({"type": "redirect", "redirectConfig": {"statusCode": "HTTP_301", **config}})


def labelled(name: str, **fields: Any) -> Manifest:
    """Another workload whose pods Service web selects, too."""
    labels = {"app": "web", "part": name}
    deployment = examples.app(name, labels={"app": "web"}, **fields)
    deployment["metadata"]["labels"] = labels
    deployment["spec"]["selector"]["matchLabels"] = labels
    deployment["spec"]["template"]["metadata"]["labels"] = labels
    return deployment


# --- steps -----------------------------------------------------------------------------------------------------------


def with_certificate(build: Callable[[str], Manifests]) -> Step:
    """Objects that name a certificate of ACM; a certificate in use cannot be deleted, so that they go first."""

    @contextmanager
    def step(lab: Lab, ns: str) -> Iterator[None]:
        acm = lab.aws("acm")
        arn: str = acm.request_certificate(DomainName="shop.example.com")["CertificateArn"]
        try:
            lab.apply(build(arn), ns)
            yield
        finally:
            lab.clean(ns)
            acm.delete_certificate(CertificateArn=arn)

    return step


def with_found_certificate(build: Callable[[], Manifests]) -> Step:
    """Objects whose certificate the controller finds in ACM by their host."""

    @contextmanager
    def step(lab: Lab, ns: str) -> Iterator[None]:
        acm = lab.aws("acm")
        certificate, key = _self_signed("shop.example.com")
        arn: str = acm.import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
        try:
            lab.apply(build(), ns)
            yield
        finally:
            lab.clean(ns)
            acm.delete_certificate(CertificateArn=arn)

    return step


def _self_signed(host: str) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(pem, *plain)


@contextmanager
def security_group(lab: Lab, ns: str, *ports: int, admits: str = "0.0.0.0/0") -> Iterator[str]:
    """A frontend group that people keep: clients come in on `ports`, everything goes out. Its users are gone after."""
    ec2 = lab.aws("ec2")
    name = f"frontend-{ns}"
    group: str = ec2.create_security_group(
        GroupName=name, Description="Clients of the shop", VpcId=lab.state["vpc_id"]
    )["GroupId"]
    try:
        for port in ports:
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_tcp(port, cidr=admits)])
        yield group
    finally:
        lab.clean(ns)
        delete_security_group(lab, group)


def with_security_group(build: Callable[[str], Manifests], *ports: int, node_port: int | None = None) -> Step:
    """Objects that name a frontend group of one's own; `node_port` is admitted from it by an own rule of the nodes'."""

    @contextmanager
    def step(lab: Lab, ns: str) -> Iterator[None]:
        with ExitStack() as undo:
            group = undo.enter_context(security_group(lab, ns, *ports))
            if node_port is not None:
                nodes = lab.state["cluster_sg"]
                undo.enter_context(faults.rule_authorised(lab, nodes, _tcp(node_port, group=group)))
                _narrow_egress(lab, group, _tcp(node_port, group=nodes))
            undo.callback(lab.clean, ns)
            lab.apply(build(group), ns)
            yield

    return step


def _narrow_egress(lab: Lab, group: str, permission: dict[str, Any]) -> None:
    """Only towards the targets, as strict companies ask for, instead of everything."""
    ec2 = lab.aws("ec2")
    every = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=every)
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[permission])


def _tcp(port: int, *, cidr: str | None = None, group: str | None = None) -> dict[str, Any]:
    source: dict[str, Any] = {"IpRanges": [{"CidrIp": cidr}]} if cidr else {"UserIdGroupPairs": [{"GroupId": group}]}
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}


def delete_security_group(lab: Lab, group: str) -> None:
    for attempt in range(20):
        try:
            lab.aws("ec2").delete_security_group(GroupId=group)
            return
        except ClientError:
            if attempt == 19:
                raise
            time.sleep(0.5)  # The load balancer's interfaces go a moment after it.


@contextmanager
def member_elsewhere(lab: Lab, ns: str) -> Iterator[None]:
    """An IngressGroup of two namespaces: the second member has its own order, check path and target type."""
    group = f"shop-{ns}"
    first = examples.alb_ip(ingress={"group": group}, annotations={f"{ALB}group.order": "10"})[2]
    with lab.namespace("other") as other:
        second = examples.alb_instance(
            name="admin",
            annotations={f"{ALB}group.order": "-5", f"{ALB}healthcheck-path": "/admin/health"},
            app={
                "args": ("--listen", ":8080", "--path", "/admin/health=200"),
                "readiness": {"httpGet": {"path": "/admin/health", "port": 8080}, "periodSeconds": 1},
            },
            ingress={"group": group, "backends": [("/admin", "admin", 80)]},
        )
        lab.apply(second, other)
        lab.apply(first, ns)
        lab.wait_targets(other, "healthy", count=2, timeout=90)
        try:
            yield
        finally:
            lab.clean(ns)  # The last member takes the load balancer down.


@contextmanager
def own_class(lab: Lab, ns: str) -> Iterator[None]:
    """An IngressClass of a platform team whose IngressClassParams say what the Ingress does not."""
    name = f"team-{ns}"
    params = {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "IngressClassParams",
        "metadata": {"name": name},
        "spec": {
            "scheme": "internal",
            "targetType": "ip",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
        },
    }
    ingress_class = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {
            "controller": "ingress.k8s.aws/alb",
            "parameters": {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": name},
        },
    }
    lab.apply([params, ingress_class], ns)
    try:
        absent = {f"{ALB}scheme": None, f"{ALB}target-type": None}
        lab.apply(examples.alb_ip(ingress={"class_name": name}, annotations=absent)[2], ns)
        yield
    finally:
        lab.clean(ns)
        lab.delete([ingress_class, params], ns)


@contextmanager
def class_of_nginx(lab: Lab, ns: str) -> Iterator[None]:
    """An IngressClass of another controller."""
    nginx = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": INNER_CLASS},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    }
    lab.apply(nginx, ns)
    try:
        yield
    finally:
        lab.delete(nginx, ns)


@contextmanager
def gates(lab: Lab, ns: str) -> Iterator[None]:
    lab.kubectl("label", "namespace", ns, "elbv2.k8s.aws/pod-readiness-gate-inject=enabled")
    yield


@contextmanager
def pods_after_binding(lab: Lab, ns: str) -> Iterator[None]:
    """The order that the page on readiness gates asks for."""
    until(lambda: bool(lab.bindings(ns)), "a binding")
    lab.apply(examples.app(), ns)
    yield


@contextmanager
def slice_by_hand(lab: Lab, ns: str) -> Iterator[None]:
    """Endpoints of a Service without selector, kept by another program, which refer to pods."""
    pods = lab.wait_ready_pods(ns, "app=web", 2)
    endpoints = [
        {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": True},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {"kind": "Pod", "namespace": ns, "name": pod["metadata"]["name"]},
        }
        for pod in pods
    ]
    lab.apply(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-patroni", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": endpoints,
        },
        ns,
    )
    yield


def _binding(name: str, service: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": name},
        "spec": {"serviceRef": {"name": service, "port": 80}, **spec},
    }


@contextmanager
def bound_by_name(lab: Lab, ns: str) -> Iterator[None]:
    """A group that Terraform made, named by its name, with the nodes' rule kept by Terraform, too (no `networking`)."""
    with ExitStack() as undo:
        rule = _tcp(8080, cidr=PUBLIC_CIDR)
        undo.enter_context(faults.rule_authorised(lab, lab.state["cluster_sg"], rule))
        group = undo.enter_context(outside_group(lab))
        binding = _binding("own", "web", targetGroupName=group.split("/")[1])
        lab.apply(binding, ns)
        undo.callback(lab.delete, binding, ns)
        yield


@contextmanager
def shared_by_clusters(lab: Lab, ns: str) -> Iterator[None]:
    """One group, two bindings that share it, and a target that somebody else registers."""
    networking = {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"protocol": "TCP"}]}]}
    with ExitStack() as undo:
        group = undo.enter_context(outside_group(lab))
        for name in ("web", "api"):
            shared = {"targetGroupARN": group, "multiClusterTargetGroup": True, "networking": networking}
            binding = _binding(name, name, **shared)
            lab.apply(binding, ns)
            undo.callback(lab.delete, binding, ns)
        pods = lab.wait_ready_pods(ns, "app=elsewhere", 1)
        target = [{"Id": pods[0]["status"]["podIP"], "Port": 8080}]
        lab.aws("elbv2").register_targets(TargetGroupArn=group, Targets=target)
        undo.callback(lab.aws("elbv2").deregister_targets, TargetGroupArn=group, Targets=target)
        yield


@contextmanager
def ailing_sibling(lab: Lab, ns: str) -> Iterator[None]:
    """Another team's member of the IngressGroup has a wrong check path; that is not this Ingress's health."""
    group = f"shop-{ns}"
    with lab.namespace("other") as other:
        ailing = {f"{ALB}healthcheck-path": "/nowhere"}
        sibling = examples.alb_ip(
            name="other", annotations=ailing, ingress={"group": group, "backends": [("/o", "other", 80)]}
        )
        lab.apply(sibling, other)
        lab.apply(examples.alb_ip(ingress={"group": group})[2], ns)
        lab.wait_targets(other, "unhealthy", timeout=90)
        yield


@contextmanager
def put_right(lab: Lab, ns: str) -> Iterator[None]:
    """The failure of before stays among the events for an hour."""
    event("FailedBuildModel")(lab, ns)
    lab.apply(examples.alb_ip()[2], ns)
    yield


@contextmanager
def scaled_down(lab: Lab, ns: str) -> Iterator[None]:
    lab.wait_targets(ns, "healthy", count=3)
    lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=2")
    yield


@contextmanager
def rolling_out(lab: Lab, ns: str) -> Iterator[None]:
    """A new version that needs a minute and a half to get ready, while the old pods serve."""
    lab.wait_targets(ns, "healthy", count=2)
    args = [*examples.APP_ARGS, "--ready-after", "90s"]
    where = "/spec/template/spec/containers/0/args"
    lab.patch("deployment", "web", ns, [{"op": "replace", "path": where, "value": args}])
    until(lambda: len(lab.objects("pods", ns)) == 3, "the new pod")
    time.sleep(12)
    yield


@contextmanager
def legacy_group(lab: Lab, ns: str) -> Iterator[None]:
    """A target group of an application outside of the cluster, which an action of the Ingress names by ARN."""
    elb = lab.aws("elbv2")
    pods = lab.wait_ready_pods(ns, "app=legacy", 1)
    group: str = elb.create_target_group(
        Name=f"legacy-{secrets.token_hex(4)}",
        Protocol="HTTP",
        Port=8080,
        VpcId=lab.state["vpc_id"],
        TargetType="ip",
        HealthCheckPath="/healthz",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    try:
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": pods[0]["status"]["podIP"], "Port": 8080}])
        action = json.dumps({"type": "forward", "targetGroupARN": group})
        backends = [("/legacy", "ec2", "use-annotation"), ("/", "web", 80)]
        lab.apply(
            examples.alb_ip(annotations={f"{ALB}actions.ec2": action}, ingress={"backends": backends})[2],
            ns,
        )
        until(lambda: states(lab, group) == ["healthy"], "the legacy target healthy")
        yield
    finally:
        lab.clean(ns)
        elb.delete_target_group(TargetGroupArn=group)


def states(lab: Lab, group: str) -> list[str]:
    answer = lab.aws("elbv2").describe_target_health(TargetGroupArn=group)
    return [entry["TargetHealth"]["State"] for entry in answer["TargetHealthDescriptions"]]
