"""Faults that the lab makes real, each with the code that the first diagnosis must name.

A scenario with `fault` starts from a healthy object, which the doctor must call healthy (its healthy twin), and then
breaks it; one without is broken by its manifests. `seen` waits until the fault shows as AWS or Kubernetes shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.lab import examples, faults
from tests.lab.api import Lab

Manifests = list[dict[str, Any]]
Seen = Callable[[Lab, str], object]

MISMATCH, TIMEOUT, REFUSED = "Target.ResponseCodeMismatch", "Target.Timeout", "Target.FailedHealthChecks"


@dataclass(frozen=True)
class Scenario:
    """codes: accepted codes of the first diagnosis. object: "kind/name" that it must blame. also: codes that it must
    list as explained. exit: 0 where the cause is a warning only. setup: what belongs to the object beside its
    manifests. around: what begins before the manifests. subject: what the doctor is asked about, or how to find that.
    says: texts that the screen must contain. value: of the repair, which must be determined. report: the address of
    the public report that met it. alone: changes what all of the lab share, so no other test may run meanwhile.
    """

    name: str
    manifests: Callable[[], Manifests]
    codes: Sequence[str]
    seen: Seen
    subject: str | Callable[[Lab, str], str] = "ing/web"
    setup: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    fault: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    object: str = ""
    smoke: bool = False
    also: Sequence[str] = ()
    exit: int = 1
    around: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    says: Sequence[str] = ()
    value: str = ""
    report: str = ""
    alone: bool = False

    def __str__(self) -> str:
        return self.name


def alone(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """The same scenarios, each of which needs the lab for itself."""
    return [replace(scenario, alone=True) for scenario in scenarios]


def unhealthy(reason: str, every: str = "all", count: int | None = None) -> Seen:
    return lambda lab, ns: lab.wait_targets(ns, "unhealthy", reason, all_or_any=every, count=count)


def healthy(count: int = 2) -> Seen:
    return lambda lab, ns: lab.wait_targets(ns, "healthy", count=count)


def empty(lab: Lab, ns: str) -> object:
    return lab.wait_no_targets(ns)


def event(reason: str, containing: str = "") -> Seen:
    """Wait for an event in the namespace."""

    def look(lab: Lab, ns: str) -> object:
        return until(
            lambda: any(
                e.get("reason") == reason and containing in e.get("message", "") for e in lab.objects("events", ns)
            ),
            f"event {reason}",
        )

    return look


def waiting(*reasons: str) -> Seen:
    """Wait until a container of the namespace waits for one of the reasons."""

    def look(lab: Lab, ns: str) -> object:
        def found() -> bool:
            for pod in lab.objects("pods", ns):
                for status in pod["status"].get("containerStatuses", ()):
                    if status["state"].get("waiting", {}).get("reason") in reasons:
                        return True
            return False

        return until(found, f"a container waiting for {reasons}")

    return look


def settled(seconds: float) -> Seen:
    """Wait a moment: for faults that show only by what does not happen."""
    return lambda lab, ns: time.sleep(seconds)


def until(condition: Callable[[], bool], what: str, timeout: float = 90) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not seen within {timeout:.0f} s: {what}")
        time.sleep(0.5)


@contextmanager
def certified(lab: Lab, ns: str, host: str) -> Iterator[str]:
    """The ARN of a certificate for the host, which goes after what uses it in the namespace."""
    acm = lab.aws("acm")
    certificate = acm.request_certificate(DomainName=host, ValidationMethod="DNS")["CertificateArn"]
    try:
        yield certificate
    finally:
        lab.clean(ns)
        acm.delete_certificate(CertificateArn=certificate)


def behind_tls(**annotations: str) -> Callable[[Lab, str], AbstractContextManager[None]]:
    """The Ingress, with a certificate: AWS wants an HTTPS listener for HTTP/2 and gRPC target groups."""

    @contextmanager
    def make(lab: Lab, ns: str) -> Iterator[None]:
        with certified(lab, ns, "grpc.example.com") as certificate:
            asked = {f"{ALB}{name.replace('_', '-')}": value for name, value in annotations.items()}
            tls = {f"{ALB}listen-ports": '[{"HTTPS": 443}]', f"{ALB}certificate-arn": certificate}
            manifests = examples.alb_ip(annotations={f"{ALB}healthcheck-path": None, **asked, **tls})
            lab.apply(examples.find(manifests, "Ingress"), ns)
            yield

    return make


def _probe(**changes: Any) -> Mapping[str, Any]:
    return {**examples.READINESS, **changes}


def _container(**changes: Any) -> Callable[[], Manifests]:
    """The healthy ALB stack with fields of the container replaced."""

    def build() -> Manifests:
        manifests = examples.alb_ip()
        spec = examples.find(manifests, "Deployment")["spec"]["template"]["spec"]
        spec["containers"][0].update(changes)
        return manifests

    return build


def _two_workloads() -> Manifests:
    """The Service's selector matches the pods of another Deployment, too, which do not know the path."""
    other = examples.app("other", replicas=1, args=("--listen", ":8080"), readiness=None)
    other["spec"]["selector"]["matchLabels"] = {"app": "web", "part": "other"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "web", "part": "other"}
    manifests = examples.alb_ip(app={"labels": {"app": "web", "part": "web"}})
    return [*manifests, other]


def _silent(*args: str) -> dict[str, Any]:
    """An application that says nothing of itself: only probes tell how it answers, and where."""
    return {"args": args or examples.APP_ARGS, "readiness": None, "container_port": None}


def _checked(protocol: str, path: str = "/healthz", **more: str) -> dict[str, str | None]:
    """A Network Load Balancer's check by HTTP."""
    asked = {"healthcheck-protocol": protocol, "healthcheck-path": path, **more}
    return {f"{NLB}{name}": value for name, value in asked.items()}


ALB = examples.ALB
NLB = examples.NLB
OK = ("--path", "/healthz=200")

SCENARIOS = [
    Scenario(
        "path-404",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-path": None}),
        ["LBD301"],
        unhealthy(MISMATCH),
        object="Ingress/web",
        smoke=True,
        also=["LBD607"],
    ),
    Scenario(
        "path-404-instance",
        lambda: examples.alb_instance(annotations={f"{ALB}healthcheck-path": "/nowhere"}),
        ["LBD301"],
        unhealthy(MISMATCH),
    ),
    Scenario(
        "path-redirect",
        lambda: examples.alb_ip(
            annotations={f"{ALB}healthcheck-path": "/old"},
            app={"args": (*examples.APP_ARGS, "--redirect", "/old=https://shop.example/:301")},
        ),
        ["LBD303"],
        unhealthy(MISMATCH),
    ),
    Scenario(
        "path-auth",
        lambda: examples.alb_ip(
            annotations={f"{ALB}healthcheck-path": "/admin"},
            app={"args": (*examples.APP_ARGS, "--auth", "/admin=401")},
        ),
        ["LBD304"],
        unhealthy(MISMATCH),
    ),
    Scenario(
        "path-500",
        lambda: examples.alb_ip(
            annotations={f"{ALB}healthcheck-path": "/db"}, app={"args": (*examples.APP_ARGS, "--path", "/db=503")}
        ),
        ["LBD317"],
        unhealthy(MISMATCH),
    ),
    Scenario(
        "wrong-target-port",
        lambda: examples.alb_ip(service={"target_port": 9090}),
        ["LBD307"],
        unhealthy(REFUSED),
        object="Service/web",
        smoke=True,
    ),
    Scenario(
        "wrong-target-port-instance",
        lambda: examples.alb_instance(service={"target_port": 9090}),
        ["LBD307"],
        unhealthy(REFUSED),
        object="Service/web",
    ),
    Scenario(
        "wrong-target-port-nlb",
        lambda: examples.nlb_ip(service={"target_port": 9090}),
        ["LBD307"],
        unhealthy(REFUSED),
        subject="svc/web",
    ),
    Scenario(
        "selector-mismatch",
        lambda: examples.alb_ip(service={"selector": {"app": "wbe"}}),
        ["LBD201"],
        empty,
        object="Service/web",
        smoke=True,
    ),
    Scenario(
        "local-policy-behind-alb",
        lambda: examples.alb_instance(app={"replicas": 1}, service={"external_traffic_policy": "Local"}),
        ["LBD602"],
        unhealthy(TIMEOUT, "any", 1),
        object="Service/web",
        smoke=True,
    ),
    Scenario(
        "missing-service",
        lambda: examples.alb_ip(ingress={"backends": [("/", "web", 80), ("/api", "wep", 80)]}),
        ["LBD106"],
        healthy(),
        object="Ingress/web",
    ),
    Scenario(
        "missing-port",
        lambda: examples.alb_ip(ingress={"backends": [("/", "web", 8080)]}),
        ["LBD107"],
        event("FailedBuildModel"),
        object="Ingress/web",
    ),
    Scenario(
        "image-missing",
        _container(image="lbdlab/none:1"),
        ["LBD402"],
        waiting("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff"),
        object="Deployment/web",
    ),
    Scenario(
        "crash-loop",
        lambda: examples.alb_ip(app={"args": (*examples.APP_ARGS, "--exit-after", "1s", "--exit-code", "3")}),
        ["LBD403"],
        waiting("CrashLoopBackOff"),
        object="Deployment/web",
        smoke=True,
    ),
    Scenario(
        "config-missing",
        _container(envFrom=[{"configMapRef": {"name": "absent"}}]),
        ["LBD410"],
        waiting("CreateContainerConfigError"),
        object="Deployment/web",
    ),
    Scenario(
        "command-missing",
        _container(command=["/no/such/program"]),
        ["LBD410", "LBD403"],
        waiting("CrashLoopBackOff", "RunContainerError", "StartError"),
        object="Deployment/web",
    ),
    Scenario(
        "unschedulable",
        _container(resources={"requests": {"cpu": "900"}}),
        ["LBD401"],
        settled(6),
        object="Deployment/web",
    ),
    Scenario(
        "readiness-fails",
        lambda: examples.alb_ip(app={"readiness": {"httpGet": {"path": "/nope", "port": 8080}, "periodSeconds": 1}}),
        ["LBD404"],
        event("Unhealthy", "404"),
        object="Deployment/web",
        smoke=True,
    ),
    Scenario(
        "scaled-to-zero", lambda: examples.alb_ip(app={"replicas": 0}), ["LBD406"], empty, object="Deployment/web"
    ),
    Scenario(
        "named-port-missing",
        lambda: examples.alb_ip(service={"target_port": "web"}),
        ["LBD203"],
        empty,
        object="Service/web",
    ),
    Scenario(
        "targets-deregistered",
        examples.alb_ip,
        ["LBD217"],
        empty,
        fault=lambda lab, ns: _all_deregistered(lab, ns),
        smoke=True,
    ),
    Scenario(
        "app-on-loopback",
        lambda: examples.alb_ip(
            app={
                "args": ("--listen", "127.0.0.1:8080", "--path", "/healthz=200"),
                "readiness": {"exec": {"command": ["/app", "--help"]}, "periodSeconds": 2},
            }
        ),
        ["LBD308"],
        unhealthy(REFUSED),
    ),
    Scenario(
        "security-group-rule-revoked",
        examples.alb_ip,
        ["LBD501"],
        unhealthy(TIMEOUT),
        fault=lambda lab, ns: faults.controller_rules_revoked(lab),
        alone=True,
    ),
    Scenario(
        "acl-return-denied",
        examples.alb_ip,
        ["LBD508"],
        unhealthy(TIMEOUT),
        fault=lambda lab, ns: faults.ephemeral_return_denied(lab),
        alone=True,
    ),
    Scenario(
        "nodes-do-not-admit-each-other",
        lambda: examples.alb_instance(app={"replicas": 1}),
        ["LBD502"],
        unhealthy(TIMEOUT, "any", 1),
        fault=lambda lab, ns: faults.nodes_do_not_admit_each_other(lab),
        alone=True,
    ),
    Scenario(
        "security-group-rule-revoked-nlb",
        examples.nlb_instance,
        ["LBD501"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=lambda lab, ns: faults.controller_rules_revoked(lab),
        alone=True,
    ),
    Scenario(
        "acl-request-denied-in-one-zone",
        examples.alb_ip,
        ["LBD507"],
        unhealthy(TIMEOUT, "any", 1),
        fault=lambda lab, ns: faults.acl_denies(lab, "private-a", False, (8080, 8080), "10.0.96.0/20"),
        alone=True,
    ),
    Scenario(
        "balancer-egress-revoked",
        examples.alb_ip,
        ["LBD503"],
        unhealthy(TIMEOUT),
        fault=lambda lab, ns: _egress_revoked(lab, ns),
        alone=True,
    ),
    Scenario(
        "kube-proxy-missing-on-a-node",
        examples.alb_instance,
        ["LBD516"],
        unhealthy(REFUSED, "any", 1),
        fault=lambda lab, ns: faults.kube_proxy_missing(lab, "node2"),
        alone=True,
    ),
    Scenario(
        "kube-proxy-rules-lost-on-a-node",
        examples.alb_instance,
        ["LBD517"],
        unhealthy(REFUSED, "any", 1),
        fault=lambda lab, ns: faults.kube_proxy_rules_lost(lab, "node2"),
        alone=True,
    ),
    Scenario(
        "clients-not-admitted",
        examples.alb_ip,
        ["LBD504"],
        settled(1),
        fault=lambda lab, ns: _clients_revoked(lab, ns),
        exit=0,
    ),
    Scenario(
        "register-denied",
        examples.alb_ip,
        ["LBD120"],
        settled(8),
        fault=lambda lab, ns: _denied_while_scaling(lab, ns),
        alone=True,
    ),
    Scenario(
        "controller-scaled-to-zero",
        examples.alb_ip,
        ["LBD102"],
        settled(2),
        fault=lambda lab, ns: faults.controller_scaled_to_zero(lab),
        alone=True,
        object="Deployment/aws-load-balancer-controller",
    ),
    Scenario(
        "controller-without-credentials",
        examples.alb_ip,
        ["LBD121"],
        settled(10),
        fault=lambda lab, ns: _touched(lab, ns, faults.controller_env(lab, AWS_ACCESS_KEY_ID="AKIAWRONG00000000000")),
        alone=True,
    ),
    Scenario(
        "controller-without-vpc",
        examples.alb_ip,
        ["LBD122"],
        settled(10),
        fault=lambda lab, ns: faults.controller_args(lab, "--aws-vpc-id", wait=False),
        alone=True,
    ),
    Scenario(
        "group-poisoned",
        lambda: [
            *examples.alb_ip(ingress={"group": "team"}),
            examples.ingress("bad", group="team", backends=[("/x", "web", 9999)]),
        ],
        ["LBD105"],
        event("FailedBuildModel"),
        object="Ingress/bad",
    ),
    Scenario(
        "class-of-another-controller",
        lambda: [
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": "lbdlab-nginx"},
                "spec": {"controller": "k8s.io/ingress-nginx"},
            },
            *examples.alb_ip(ingress={"class_name": "lbdlab-nginx"}),
        ],
        ["LBD101"],
        settled(3),
        object="Ingress/web",
    ),
    Scenario("no-class", lambda: examples.alb_ip(ingress={"class_name": None}), ["LBD101"], settled(3)),
    Scenario(
        "check-timeout-above-interval",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-timeout-seconds": "9"}),
        ["LBD310"],
        event("FailedDeployModel"),
    ),
    Scenario(
        "check-protocol-lower-case",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-protocol": "http"}),
        ["LBD111"],
        event("FailedBuildModel"),
    ),
    Scenario(
        "annotation-key-mistyped",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-path": None, f"{ALB}health-check-path": "/healthz"}),
        ["LBD301", "LBD110"],
        unhealthy(MISMATCH),
    ),
    Scenario(
        "action-missing",
        lambda: examples.alb_ip(
            annotations={
                f"{ALB}actions.go": '{"type":"fixed-response","fixedResponseConfig":{"statusCode":"200",'
                '"contentType":"text/plain"}}'
            },
            ingress={"backends": [("/", "web", 80), ("/go", "goo", "use-annotation")]},
        ),
        ["LBD108"],
        healthy(),
    ),
    Scenario(
        "instance-targets-without-node-port",
        lambda: examples.alb_instance(service={"type": "ClusterIP"}),
        ["LBD204"],
        event("FailedBuildModel"),
    ),
    Scenario(
        "zone-disabled",
        examples.nlb_ip,
        ["LBD208"],
        lambda lab, ns: lab.wait_targets(ns, "unused", "Target.NotInUse", all_or_any="any", count=1),
        subject="svc/web",
        fault=lambda lab, ns: faults.zone_disabled(lab, lab.load_balancer_arn("service", "web", ns), "us-west-2c"),
    ),
    Scenario(
        "instance-stopped",
        examples.alb_instance,
        ["LBD210"],
        lambda lab, ns: lab.wait_targets(ns, "unused", "Target.InvalidState", all_or_any="any", count=1),
        fault=lambda lab, ns: faults.instance_stopped(lab, "node2"),
        alone=True,
    ),
    Scenario(
        "one-target-deregistered",
        examples.alb_ip,
        ["LBD205"],
        settled(31),
        fault=lambda lab, ns: faults.target_deregistered(lab, lab.target_group_arns(ns)[0], lab.target_health(ns)[0]),
    ),
    Scenario(
        "stale-target",
        examples.alb_ip,
        ["LBD206"],
        settled(32),
        exit=0,
        fault=lambda lab, ns: _stale_target(lab, ns),
        alone=True,
    ),
    Scenario(
        "rule-deleted-by-hand",
        examples.alb_ip,
        ["LBD209"],
        lambda lab, ns: lab.wait_targets(ns, "unused", "Target.NotInUse"),
        fault=lambda lab, ns: _rules_deleted(lab, ns),
    ),
    Scenario(
        "tls-port-checked-by-http",
        lambda: examples.alb_ip(
            app={
                "args": ("--listen", "https://:8080", "--path", "/healthz=200"),
                "readiness": {
                    "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTPS"},
                    "periodSeconds": 1,
                },
            }
        ),
        ["LBD305"],
        lambda lab, ns: lab.wait_targets(ns, "unhealthy"),
    ),
    Scenario(
        "health-check-port-wrong",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-port": "9999"}),
        ["LBD313"],
        unhealthy(REFUSED),
    ),
    Scenario(
        "proxy-protocol-on-http-check",
        lambda: examples.nlb_ip(annotations={f"{NLB}proxy-protocol": "*"}),
        ["LBD314"],
        unhealthy(REFUSED),
        subject="svc/web",
    ),
    Scenario(
        "application-slower-than-timeout",
        lambda: examples.alb_ip(
            app={
                "args": (*examples.APP_ARGS, "--delay", "/healthz=4s"),
                "readiness": {**examples.READINESS, "timeoutSeconds": 10, "periodSeconds": 10},
            }
        ),
        ["LBD309"],
        unhealthy(TIMEOUT),
    ),
    Scenario(
        "protocol-version-http2",
        lambda: examples.alb_ip()[:2],
        ["LBD306"],
        lambda lab, ns: lab.wait_targets(ns, "unhealthy"),
        setup=behind_tls(backend_protocol_version="HTTP2", healthcheck_path="/healthz"),
    ),
    Scenario(
        "kubelet-stopped",
        lambda: examples.alb_ip(app={"replicas": 1, "pod": {"nodeSelector": {"kubernetes.io/hostname": "node2"}}}),
        ["LBD409"],
        settled(1),
        fault=lambda lab, ns: faults.kubelet_stopped(lab, "node2", until_unknown=True),
        alone=True,
    ),
]


@contextmanager
def _touched(lab: Lab, ns: str, fault: AbstractContextManager[object]) -> Iterator[None]:
    """The fault, and a change of the Ingress that makes the controller reconcile it under the fault."""
    with fault:
        lab.kubectl("annotate", "ingress/web", "-n", ns, f"{ALB}healthcheck-path=/healthz?x", "--overwrite")
        yield


@contextmanager
def _denied_while_scaling(lab: Lab, ns: str) -> Iterator[None]:
    with faults.aws_denied(lab, "elasticloadbalancing:RegisterTargets"):
        lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=3")
        yield
        lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=2")


def _balancer_groups(lab: Lab, ns: str) -> list[str]:
    arn = lab.load_balancer_arn("ingress", "web", ns)
    found: list[str] = lab.aws("elbv2").describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0][
        "SecurityGroups"
    ]
    return found


@contextmanager
def _egress_revoked(lab: Lab, ns: str) -> Iterator[None]:
    """All outbound rules of the load balancer's groups; the shared one is put back."""
    ec2, undo = lab.aws("ec2"), []
    for group in ec2.describe_security_groups(GroupIds=_balancer_groups(lab, ns))["SecurityGroups"]:
        if group["IpPermissionsEgress"]:
            ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
            undo.append(group)
    try:
        yield
    finally:
        for group in undo:
            ec2.authorize_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])


@contextmanager
def _clients_revoked(lab: Lab, ns: str) -> Iterator[None]:
    """The inbound rules of the load balancer's own groups."""
    ec2 = lab.aws("ec2")
    for group in ec2.describe_security_groups(GroupIds=_balancer_groups(lab, ns))["SecurityGroups"]:
        if group["IpPermissions"]:
            ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    yield


@contextmanager
def _stale_target(lab: Lab, ns: str) -> Iterator[None]:
    """An address of a pod that is gone, registered behind the controller's back."""
    target = {"Id": "10.0.1.62", "Port": 8080}
    arn = lab.target_group_arns(ns)[0]
    lab.aws("elbv2").register_targets(TargetGroupArn=arn, Targets=[target])
    try:
        yield
    finally:
        lab.aws("elbv2").deregister_targets(TargetGroupArn=arn, Targets=[target])


@contextmanager
def _rules_deleted(lab: Lab, ns: str) -> Iterator[None]:
    elb = lab.aws("elbv2")
    balancer = lab.load_balancer_arn("ingress", "web", ns)
    for listener in elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
        for rule in elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]:
            if not rule["IsDefault"]:
                elb.delete_rule(RuleArn=rule["RuleArn"])
    yield


class _all_deregistered:
    """All targets taken out of AWS behind the controller's back; registered again on exit."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        self._lab, self._namespace = lab, namespace

    def __enter__(self) -> None:
        self._targets = self._lab.target_health(self._namespace)
        for target in self._targets:
            self._lab.aws("elbv2").deregister_targets(
                TargetGroupArn=target.group, Targets=[{"Id": target.id, "Port": target.port}]
            )
        time.sleep(31)  # A younger endpoint is not late yet.

    def __exit__(self, *_: object) -> None:
        for target in self._targets:
            self._lab.aws("elbv2").register_targets(
                TargetGroupArn=target.group, Targets=[{"Id": target.id, "Port": target.port}]
            )


# What only a probe tells. A Network Load Balancer says Target.FailedHealthChecks of all of these.
SCENARIOS += [
    Scenario(
        "probe-path",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-path": "/nowhere"}, app=_silent()),
        ["LBD301"],
        unhealthy(MISMATCH),
        value="/healthz",
    ),
    Scenario(
        "probe-path-instance",
        lambda: examples.alb_instance(annotations={f"{ALB}healthcheck-path": "/nowhere"}, app=_silent()),
        ["LBD301"],
        unhealthy(MISMATCH),
        value="/healthz",
    ),
    Scenario(
        "probe-port",
        lambda: examples.alb_ip(service={"target_port": 9000}, app=_silent()),
        ["LBD307"],
        unhealthy(REFUSED),
        value="8080",
    ),
    Scenario(
        "probe-host",
        lambda: examples.alb_ip(
            app=_silent("--listen", ":8080", "--host", "shop.example=200"), ingress={"host": "shop.example"}
        ),
        ["LBD302"],
        unhealthy(MISMATCH),
    ),
    Scenario(
        "probe-redirect",
        lambda: examples.alb_ip(
            app=_silent("--listen", ":8080", "--redirect", "/*=https://shop.example/:301"),
        ),
        ["LBD303"],
        unhealthy(MISMATCH),
        value="200-399",
    ),
    Scenario(
        "probe-tls",
        lambda: examples.alb_ip(app=_silent("--listen", "https://:8080", *OK)),
        ["LBD305"],
        unhealthy(MISMATCH),
        value="HTTPS",
    ),
    Scenario(
        "probe-grpc",
        lambda: examples.alb_ip(app=_silent("--listen", "h2c://:8080", "--grpc", "/*=12")),
        ["LBD306"],
        unhealthy(REFUSED),
    ),
    Scenario(
        "probe-slow",
        lambda: examples.alb_ip(app=_silent("--listen", ":8080", *OK, "--delay", "/healthz=3s")),
        ["LBD309"],
        unhealthy(TIMEOUT),
        value="5",
    ),
    Scenario(
        "probe-check-port",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-port": "9999"}, app=_silent()),
        ["LBD313"],
        unhealthy(REFUSED),
        value="traffic-port",
    ),
    Scenario(
        "probe-nlb-path",
        lambda: examples.nlb_ip(annotations=_checked("http", "/nowhere"), app=_silent()),
        ["LBD301"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="/healthz",
    ),
    Scenario(
        "probe-nlb-port",
        lambda: examples.nlb_ip(service={"target_port": 9000}, app=_silent()),
        ["LBD307"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="8080",
    ),
    Scenario(
        "probe-nlb-loopback",
        lambda: examples.nlb_ip(app=_silent("--listen", "127.0.0.1:8080", *OK)),
        ["LBD308"],
        unhealthy(REFUSED),
        subject="svc/web",
    ),
    Scenario(
        "probe-nlb-tls",
        lambda: examples.nlb_ip(annotations=_checked("http"), app=_silent("--listen", "https://:8080", *OK)),
        ["LBD305"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="HTTPS",
    ),
    Scenario(
        "probe-nlb-grpc",
        lambda: examples.nlb_ip(
            annotations=_checked("http"), app=_silent("--listen", "h2c://:8080", "--grpc", "/*=12")
        ),
        ["LBD306"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="tcp",
    ),
    Scenario(
        "probe-nlb-slow",
        lambda: examples.nlb_ip(
            annotations=_checked("http"), app=_silent("--listen", ":8080", *OK, "--delay", "/healthz=3s")
        ),
        ["LBD309"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="5",
    ),
    Scenario(
        "probe-nlb-tls13",
        lambda: examples.nlb_ip(annotations=_checked("https"), app=_silent("--listen", "https13://:8080", *OK)),
        ["LBD316"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="tcp",
    ),
    Scenario(
        "probe-nlb-check-port",
        lambda: examples.nlb_ip(annotations={f"{NLB}healthcheck-port": "9999"}, app=_silent()),
        ["LBD313"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="traffic-port",
    ),
    Scenario(
        "probe-nlb-instance-path",
        lambda: examples.nlb_instance(annotations=_checked("http", "/nowhere"), app=_silent()),
        ["LBD301"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="/healthz",
    ),
    Scenario(
        "two-workloads",
        _two_workloads,
        ["LBD221"],
        unhealthy(MISMATCH, "any"),
        object="Service/web",
    ),
    Scenario(
        "success-not-expected",
        lambda: examples.alb_ip(annotations={f"{ALB}success-codes": "201"}, app=_silent()),
        ["LBD301"],
        unhealthy(MISMATCH),
        value="success-codes=200",
    ),
    Scenario(
        "probe-no-http",
        lambda: examples.alb_ip(app=_silent("--listen", "tcp://:8080")),
        ["LBD306"],
        unhealthy(REFUSED),
    ),
    Scenario(
        "probe-nlb-no-http",
        lambda: examples.nlb_ip(annotations=_checked("http"), app=_silent("--listen", "tcp://:8080")),
        ["LBD306"],
        unhealthy(REFUSED),
        subject="svc/web",
        value="tcp",
    ),
]
