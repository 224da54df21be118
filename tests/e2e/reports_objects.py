"""Faults from public reports: what people wrote in Ingresses, Services, bindings and workloads.

The comment above each says what the reporter met.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.scenarios import (
    ALB,
    MISMATCH,
    NLB,
    REFUSED,
    TIMEOUT,
    Manifests,
    Scenario,
    behind_tls,
    empty,
    event,
    healthy,
    settled,
    unhealthy,
    waiting,
)
from tests.e2e.scenarios_objects import both, restarts
from tests.lab import examples, images
from tests.lab.api import Lab

LBC = "https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/"
GITHUB = "https://github.com/"

FRONT_GROUP = "lbdlab-front"


def first_container(manifests: Manifests) -> dict[str, Any]:
    container: dict[str, Any] = examples.find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return container


def serving(manifests: Manifests, pages: Mapping[int, Sequence[str]]) -> Manifests:
    """One web server on each of several ports, with other pages each: all others are 404."""
    lines = []
    for port, paths in pages.items():
        lines += [f"mkdir -p /w/{port}", *(f"echo ok > /w/{port}{path}" for path in paths)]
    servers = [f"httpd -p {port} -h /w/{port}" for port in pages]
    container = first_container(manifests)
    container.pop("args", None)
    container.update(
        image=images.TOOLS,
        command=["sh", "-c", "; ".join([*lines, *servers, "exec sleep 2147483647"])],
        volumeMounts=[{"name": "w", "mountPath": "/w"}],
    )
    spec = examples.find(manifests, "Deployment")["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "w", "emptyDir": {}}]
    return manifests


def _ping_on_the_management_port() -> Manifests:
    manifests = examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": None},
        app={
            "ports": [{"name": "web", "containerPort": 8000}, {"name": "traefik", "containerPort": 9000}],
            "readiness": {"httpGet": {"path": "/ping", "port": "traefik"}, "periodSeconds": 1},
        },
        service={"target_port": "web"},
    )
    return serving(manifests, {8000: ["/app"], 9000: ["/ping"]})


def _wrong_page_of_the_management_port() -> Manifests:
    manifests = examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": "/healthz", f"{ALB}healthcheck-port": "8002"},
        app={
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 8002}],
            "readiness": {"httpGet": {"path": "/ready", "port": 8002}, "periodSeconds": 1},
        },
    )
    return serving(manifests, {8080: ["/app"], 8002: ["/ready"]})


def _trailing_slash() -> Manifests:
    """kubelet follows a redirect to the same host, so the same path satisfies the readiness probe."""
    args = ("--listen", ":8080", "--redirect", "/api/ping=/api/ping/:308", "--path", "/api/ping/=200")
    return examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": "/api/ping"},
        app={"args": args, "readiness": {"httpGet": {"path": "/api/ping", "port": 8080}, "periodSeconds": 1}},
    )


def _root_redirects() -> Manifests:
    args = ("--listen", ":8080", "--redirect", "/=/prweb:302", "--path", "/prweb=200")
    return examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": None},
        app={"args": args, "readiness": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}},
    )


def _host_in_the_probe() -> Manifests:
    headers = [{"name": "Host", "value": "shop.example.com"}]
    probe = {"path": "/healthz", "port": 8080, "httpHeaders": headers}
    return examples.alb_ip(
        app={
            "args": ("--listen", ":8080", "--host", "shop.example.com=200"),
            "readiness": {"httpGet": probe, "periodSeconds": 1},
        },
        ingress={"host": "shop.example.com"},
    )


def _two_protocols_on_one_port() -> Manifests:
    ports = [
        {"name": "tcp", "port": 4145, "targetPort": 4145, "protocol": "TCP"},
        {"name": "udp", "port": 4145, "targetPort": 4145, "protocol": "UDP"},
    ]
    return examples.nlb_ip(
        annotations={f"{NLB}healthcheck-protocol": None, f"{NLB}healthcheck-path": None},
        app={
            "args": ("--listen", "tcp://:4145", "--listen", "udp://:4145"),
            "container_port": 4145,
            "readiness": {"tcpSocket": {"port": 4145}, "periodSeconds": 1},
        },
        service={"ports": ports},
    )


def _named_check_port() -> Manifests:
    ports = [
        {"name": "game", "port": 7777, "targetPort": 7777, "protocol": "UDP"},
        {"name": "health", "port": 8080, "targetPort": "http", "protocol": "TCP"},
    ]
    return examples.nlb_ip(
        annotations={f"{NLB}healthcheck-port": "health"},
        app={"args": (*examples.APP_ARGS, "--listen", "udp://:7777")},
        service={"ports": ports},
    )


def _http_and_https() -> Manifests:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]
    return examples.nlb_ip(
        app={
            "args": ("--listen", ":8080", "--listen", "https://:8443", "--path", "/healthz=200"),
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "https", "containerPort": 8443}],
        },
        service={"ports": ports},
    )


def _wireguard() -> Manifests:
    return examples.nlb_instance(
        annotations={f"{NLB}healthcheck-protocol": None, f"{NLB}healthcheck-path": None},
        app={"args": ("--listen", "udp://:51820"), "container_port": None, "readiness": None},
        service={"ports": [{"name": "wireguard", "port": 51820, "targetPort": 51820, "protocol": "UDP"}]},
    )


def _grafana() -> Manifests:
    """Grafana listens on 3000; the Service was told 80. The annotation of Services means nothing on an Ingress."""
    manifests = examples.alb_instance(
        annotations={
            f"{ALB}healthcheck-path": None,
            f"{ALB}success-codes": "200-499",
            f"{NLB}backend-protocol": "http",
        },
        app={
            "args": ("--listen", ":3000", "--path", "/api/health=200", "--redirect", "/=/login:302"),
            "ports": [{"name": "grafana", "containerPort": 3000}],
            "readiness": {"httpGet": {"path": "/api/health", "port": 3000}, "periodSeconds": 1},
        },
        service={"target_port": 80},
    )
    return manifests


def _scheduler_shares_the_label() -> Manifests:
    """A StatefulSet that opens no port carries the label that the Service selects by."""
    other = examples.app("scheduler", labels={"app": "web", "component": "scheduler"}, replicas=1, readiness=None)
    other.update(kind="StatefulSet")
    other["spec"]["serviceName"] = "web"
    container = other["spec"]["template"]["spec"]["containers"][0]
    del container["args"], container["ports"]
    container.update(image=images.TOOLS, command=["sleep", "2147483647"])
    return [*examples.alb_ip(app={"labels": {"app": "web", "component": "api"}}), other]


def _quota() -> Manifests:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "namespace-quota"},
        "spec": {"hard": {"limits.memory": "32Mi"}},
    }
    return [quota, *examples.alb_ip()]


def _liveness() -> Manifests:
    manifests = examples.alb_ip()
    probe = {"httpGet": {"path": "/wrong", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}
    first_container(manifests)["livenessProbe"] = probe
    return manifests


def _probe_by_port_name() -> Manifests:
    return examples.alb_ip(
        app={
            "ports": [{"name": "http", "containerPort": 8003}],
            "readiness": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        }
    )


def _prefix_with_wildcard() -> Manifests:
    return examples.alb_ip(ingress={"backends": [("/*", "web", 80)]})


def _elsewhere() -> Manifests:
    return examples.alb_ip(ingress={"backends": [("/", "web", 80), ("/balances", "balances", 80)]})


def _misspelt_action() -> Manifests:
    action = '{"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}'
    return examples.alb_ip(
        annotations={f"{ALB}actions.ssl-redirect": action},
        ingress={"backends": [("/", "web", 80), ("/old", "ssl-redirect", "use-annotations")]},
    )


def _volume_of_a_missing_secret() -> Manifests:
    manifests = examples.alb_ip()
    spec = examples.find(manifests, "Deployment")["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "certificate", "secret": {"secretName": "shop-tls"}}]
    first_container(manifests)["volumeMounts"] = [{"name": "certificate", "mountPath": "/tls"}]
    return manifests


def _waits_for_its_database() -> Manifests:
    manifests = examples.alb_ip()
    spec = examples.find(manifests, "Deployment")["spec"]["template"]["spec"]
    command = ["sh", "-c", "until false; do echo waiting for database; sleep 2; done"]
    waiter = {"name": "check-db-ready", "image": images.TOOLS, "imagePullPolicy": "Never", "command": command}
    spec["initContainers"] = [waiter]
    # Ten minutes by default; after it Kubernetes itself says that the rollout is stuck (ProgressDeadlineExceeded).
    examples.find(manifests, "Deployment")["spec"]["progressDeadlineSeconds"] = 15
    return manifests


def _status_port_of_the_container() -> Manifests:
    manifests = examples.alb_instance(
        annotations={f"{ALB}healthcheck-port": "10254"},
        app={
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "healthz", "containerPort": 10254}],
            "readiness": {"httpGet": {"path": "/healthz", "port": "healthz"}, "periodSeconds": 1},
        },
    )
    return serving(manifests, {8080: ["/app"], 10254: ["/healthz"]})


@contextmanager
def _service_of_another_namespace(lab: Lab, ns: str) -> Iterator[None]:
    with lab.namespace("ledger") as other:
        lab.apply([examples.app("balances"), examples.service("balances")], other)
        yield


@contextmanager
def _front_group(lab: Lab, ns: str) -> Iterator[None]:
    """A security group of a person's own that admits clients to the load balancer, by its name."""
    ec2 = lab.aws("ec2")
    group = ec2.create_security_group(
        GroupName=FRONT_GROUP,
        Description="clients of the shop",
        VpcId=lab.state["vpc_id"],
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": FRONT_GROUP}]}],
    )["GroupId"]
    clients = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    try:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[clients])
        yield
    finally:
        lab.clean(ns)
        until_it_works(lambda: ec2.delete_security_group(GroupId=group))


def until_it_works(call: Callable[[], object], timeout: float = 30) -> None:
    """AWS refuses to delete what is still in use."""
    end = time.monotonic() + timeout
    while True:
        try:
            call()
            return
        except ClientError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _bound(
    target_type: str, networking: bool, port: Callable[[Lab, str], int]
) -> Callable[[Lab, str], AbstractContextManager[None]]:
    """A Network Load Balancer and a target group of Terraform's, and a binding that leads Service web to it."""

    @contextmanager
    def make(lab: Lab, ns: str) -> Iterator[None]:
        elb, name = lab.aws("elbv2"), f"tf-{secrets.token_hex(4)}"
        subnets = [lab.state["subnets"][zone] for zone in ("public-a", "public-c")]
        checks = {
            "HealthCheckIntervalSeconds": 5,
            "HealthCheckTimeoutSeconds": 2,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
        }
        place = {"Protocol": "TCP", "Port": 80, "VpcId": lab.state["vpc_id"], "TargetType": target_type}
        with ExitStack() as undo:
            made = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=subnets)
            balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
            group = elb.create_target_group(Name=name, **place, **checks)["TargetGroups"][0]["TargetGroupArn"]
            undo.callback(until_it_works, lambda: elb.delete_target_group(TargetGroupArn=group))
            undo.callback(elb.delete_load_balancer, LoadBalancerArn=balancer)
            forward = [{"Type": "forward", "TargetGroupArn": group}]
            elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=80, DefaultActions=forward)
            spec: dict[str, Any] = {
                "serviceRef": {"name": "web", "port": port(lab, ns)},
                "targetGroupARN": group,
                "targetType": target_type,
            }
            if networking:
                source = {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"protocol": "TCP"}]}
                spec["networking"] = {"ingress": [source]}
            binding = {
                "apiVersion": "elbv2.k8s.aws/v1beta1",
                "kind": "TargetGroupBinding",
                "metadata": {"name": "own"},
                "spec": spec,
            }
            lab.apply(binding, ns)
            undo.callback(lab.kubectl, "delete", "targetgroupbinding", "own", "-n", ns, "--wait=true", check=False)
            yield

    return make


def _node_port(lab: Lab, ns: str) -> int:
    port: int = lab.get("service", "web", ns)["spec"]["ports"][0]["nodePort"]
    return port


def _grpc_server() -> Manifests:
    args = ("--listen", "h2c://:8080", "--grpc", "/grpc.health.v1.Health/Check=0", "--grpc", "/*=12")
    tcp = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    return examples.alb_ip(app={"args": args, "readiness": tcp})[:2]


def _proxy_with_status_port() -> Manifests:
    args = ("--listen", "h2c://:8080", "--listen", ":10254", "--path", "/healthz=200")
    ports = [{"name": "proxy", "containerPort": 8080}, {"name": "status", "containerPort": 10254}]
    probe = {"httpGet": {"path": "/healthz", "port": 10254}, "periodSeconds": 1}
    return examples.alb_ip(app={"args": args, "ports": ports, "readiness": probe})[:2]


SCENARIOS: list[Scenario] = [
    # Traefik answers /ping on its own entry point, 9000; the check asks the entry point of the traffic: 404.
    Scenario(
        "ping-on-the-management-port",
        _ping_on_the_management_port,
        ["LBD301"],
        unhealthy(MISMATCH, count=2),
        object="Ingress/web",
        says=["9000", "/ping"],
        report=GITHUB + "jupyter-infra/jupyter-k8s/pull/342",
    ),
    # The check asks Envoy's metrics port for /healthz; /ready is the page that exists there, as the probe knows.
    Scenario(
        "wrong-page-of-the-management-port",
        _wrong_page_of_the_management_port,
        ["LBD301"],
        unhealthy(MISMATCH, count=2),
        object="Ingress/web",
        value="/ready",
        report=GITHUB + "projectcontour/contour/issues/4342",
    ),
    # The page is /api/ping/, as the reporter then asked; the path without the slash at its end is redirected there.
    Scenario(
        "trailing-slash",
        _trailing_slash,
        ["LBD303"],
        unhealthy(MISMATCH, count=2),
        object="Ingress/web",
        value="healthcheck-path=/api/ping/",
        report=GITHUB + "conbench/conbench/issues/989",
    ),
    # "/" answers 302 to /prweb since an update; readiness is content with that, the load balancer is not.
    Scenario(
        "root-redirects-and-readiness-follows",
        _root_redirects,
        ["LBD303"],
        unhealthy(MISMATCH, count=2),
        object="Ingress/web",
        says=["/prweb"],
        report=GITHUB + "pegasystems/pega-helm-charts/issues/934",
    ),
    # Django refuses all hosts but its own; the readiness probe sends the header, a load balancer cannot.
    Scenario(
        "host-header-only-in-the-probe",
        _host_in_the_probe,
        ["LBD302"],
        unhealthy(MISMATCH, count=2),
        report=GITHUB + "freelawproject/courtlistener/issues/2059",
    ),
    # "kuberentes.io": the prefix of one key is mistyped and the setting has no effect.
    Scenario(
        "annotation-prefix-mistyped",
        lambda: examples.alb_ip(
            annotations={f"{ALB}healthcheck-path": None, "alb.ingress.kuberentes.io/healthcheck-path": "/healthz"}
        ),
        ["LBD301", "LBD110"],
        unhealthy(MISMATCH, count=2),
        object="Ingress/web",
        says=["alb.ingress.kuberentes.io/healthcheck-path"],
        report=LBC + "2726",
    ),
    # The annotation of Network Load Balancers on a Service that an Ingress leads to: the ALB still asks "/".
    Scenario(
        "nlb-annotation-for-an-alb",
        lambda: examples.alb_ip(
            annotations={f"{ALB}healthcheck-path": None},
            service={"annotations": {f"{NLB}healthcheck-path": "/healthz"}},
        ),
        ["LBD301", "LBD112", "LBD110"],
        unhealthy(MISMATCH, count=2),
        says=[f"{NLB}healthcheck-path"],
        report=LBC + "2279",
    ),
    # An annotation of the Service has precedence over the Ingress's, which is right.
    Scenario(
        "service-annotation-overrules",
        lambda: examples.alb_ip(service={"annotations": {f"{ALB}healthcheck-path": "/old-health"}}),
        ["LBD301", "LBD112"],
        unhealthy(MISMATCH, count=2),
        object="Service/web",
        report=LBC + "1283",
    ),
    # The standard health service answers gRPC status 0 (OK); the load balancer expects its default, 12.
    Scenario(
        "grpc-health-service-answers-0",
        _grpc_server,
        ["LBD301"],
        unhealthy(MISMATCH, count=2),
        setup=behind_tls(backend_protocol_version="GRPC", healthcheck_path="/grpc.health.v1.Health/Check"),
        object="Ingress/web",
        value="success-codes=0",
        report=GITHUB + "aws/copilot-cli/issues/5958",
    ),
    # Kong proxies HTTP/2 and tells its health by HTTP/1.1 on 10254; the protocol version holds for the check, too.
    Scenario(
        "http2-checks-an-http1-status-port",
        _proxy_with_status_port,
        ["LBD306"],
        unhealthy(REFUSED, count=2),
        setup=behind_tls(backend_protocol_version="HTTP2", healthcheck_path="/healthz", healthcheck_port="10254"),
        object="Ingress/web",
        report=LBC + "2694",
    ),
    # WireGuard has no TCP port at all, and the nodes are checked by TCP on the node port.
    Scenario(
        "wireguard",
        _wireguard,
        ["LBD315"],
        unhealthy(REFUSED, count=2),
        subject="svc/web",
        object="Service/web",
        report=GITHUB + "bryopsida/wireguard-chart/issues/70",
    ),
    # TCP and UDP on one port: one of the two gets a listener, the other one silently gets none.
    Scenario(
        "tcp-and-udp-on-one-port",
        _two_protocols_on_one_port,
        ["LBD224"],
        both(healthy(), settled(5)),
        subject="svc/web",
        object="Service/web",
        says=["4145"],
        report=LBC + "2597",
    ),
    # A named health check port cannot be resolved for IP targets when its targetPort is a name, too.
    Scenario(
        "named-check-port-of-a-named-target-port",
        _named_check_port,
        ["LBD111", "LBD103"],
        event("FailedBuildModel", "named healthCheckPort"),
        subject="svc/web",
        object="Service/web",
        report=LBC + "3418",
    ),
    # One Service, an HTTP and an HTTPS port, and one check protocol for both target groups: only TCP suits both.
    Scenario(
        "http-check-of-an-https-port",
        _http_and_https,
        ["LBD305"],
        unhealthy(REFUSED, "any", 2),
        subject="svc/web",
        object="Service/web",
        value="healthcheck-protocol=tcp",
        report=LBC + "3346",
    ),
    # The binding names the node port; serviceRef wants the Service's port.
    Scenario(
        "binding-names-the-node-port",
        lambda: [examples.app(), examples.service(type="NodePort")],
        ["LBD115"],
        event("BackendNotFound"),
        subject="tgb/own",
        setup=_bound("instance", True, _node_port),
        object="TargetGroupBinding/own",
        says=["80"],
        report=LBC + "3689",
    ),
    # A binding made by hand without spec.networking: nobody opens the security group of the nodes.
    Scenario(
        "binding-without-networking",
        lambda: [examples.app(), examples.service()],
        ["LBD501"],
        unhealthy(REFUSED, count=2),
        subject="tgb/own",
        setup=_bound("ip", False, lambda lab, ns: 80),
        says=["networking"],
        report=LBC + "2582",
    ),
    # Security groups given by annotation: the controller adds no rule to the nodes' group unless told to.
    Scenario(
        "own-security-group-by-annotation",
        lambda: examples.alb_ip(annotations={f"{ALB}security-groups": FRONT_GROUP}),
        ["LBD501"],
        unhealthy(TIMEOUT, count=2),
        around=_front_group,
        says=["manage-backend-security-group-rules"],
        report=LBC + "2586",
    ),
    # "/*" with pathType Prefix, which other versions accepted.
    Scenario(
        "wildcard-in-a-prefix",
        _prefix_with_wildcard,
        ["LBD103", "LBD111"],
        event("FailedBuildModel", "wildcards"),
        object="Ingress/web",
        says=["/*"],
        report=LBC + "2041",
    ),
    # The backend exists, but in another namespace.
    Scenario(
        "backend-in-another-namespace",
        _elsewhere,
        ["LBD106"],
        healthy(),
        around=_service_of_another_namespace,
        object="Ingress/web",
        says=["own namespace"],
        report=GITHUB + "JiRaska/open-bank-oss/issues/3476",
    ),
    # Argo Rollouts left its hash in the Service's selector, and Deployments' pods do not carry it.
    Scenario(
        "rollouts-hash-left-in-the-selector",
        lambda: examples.alb_ip(service={"selector": {"app": "web", "rollouts-pod-template-hash": "7c9bcfc977"}}),
        ["LBD201"],
        empty,
        object="Service/web",
        says=["rollouts-pod-template-hash"],
        report=GITHUB + "argoproj/argo-rollouts/issues/4541",
    ),
    # A quota of the namespace refuses every pod, so there is none to look at.
    Scenario(
        "quota-refuses-the-pods",
        _quota,
        ["LBD401", "LBD406"],
        both(event("FailedCreate", "exceeded quota"), empty),
        object="Deployment/web",
        says=["namespace-quota"],
        report=GITHUB + "ministryofjustice/cloud-platform/issues/590",
    ),
    # The pods' service account does not exist; only the replica set's event says so.
    Scenario(
        "service-account-missing",
        lambda: examples.alb_ip(app={"pod": {"serviceAccountName": "shop"}}),
        ["LBD401", "LBD406", "LBD410"],
        both(event("FailedCreate", "serviceaccount"), empty),
        object="Deployment/web",
        says=["shop"],
        report=LBC + "1931",
    ),
    # A liveness probe with a wrong path kills a healthy application over and over.
    Scenario(
        "liveness-probe-kills",
        _liveness,
        ["LBD403", "LBD404"],
        both(restarts(3), waiting("CrashLoopBackOff")),
        object="Deployment/web",
        says=["iveness", "/wrong"],
        report=GITHUB + "SREGym/SREGym/issues/50",
    ),
    # The probe asks the port named "http", 8003, on which nothing listens any more.
    Scenario(
        "probe-by-the-name-of-a-closed-port",
        _probe_by_port_name,
        ["LBD404"],
        both(event("Unhealthy", "8003"), empty),
        object="Deployment/web",
        says=["8003", "refused"],
        report=GITHUB + "nautobot/helm-charts/issues/652",
    ),
    # The Service's selector takes in the pods of a StatefulSet that opens no port.
    Scenario(
        "pods-without-a-port-share-the-label",
        _scheduler_shares_the_label,
        ["LBD221"],
        both(unhealthy(REFUSED, "any", 1), settled(3)),
        says=["scheduler"],
        report=GITHUB + "storageos/helm-chart/pull/31",
    ),
    # The class that the annotation names is not the one that the controller watches.
    Scenario(
        "class-annotation-unknown",
        lambda: examples.alb_ip(
            annotations={"kubernetes.io/ingress.class": "ingress-alb"}, ingress={"class_name": None}
        ),
        ["LBD101"],
        settled(3),
        object="Ingress/web",
        says=["ingress-alb"],
        report=LBC + "2113",
    ),
    # "pod" was a target type of version 1.
    Scenario(
        "target-type-pod",
        lambda: examples.alb_ip(annotations={f"{ALB}target-type": "pod"}),
        ["LBD111"],
        event("FailedBuildModel"),
        object="Ingress/web",
        says=["pod"],
        report=LBC + "475",
    ),
    # An HTTPS listener for a host that no certificate in ACM is for.
    Scenario(
        "no-certificate-for-the-host",
        lambda: examples.alb_ip(
            annotations={f"{ALB}listen-ports": '[{"HTTPS": 443}]'}, ingress={"host": "test.example.com"}
        ),
        ["LBD103"],
        event("FailedBuildModel", "certificate"),
        object="Ingress/web",
        says=["certificate", "test.example.com"],
        report=LBC + "3401",
    ),
    # Grafana's Service was given targetPort 80; Grafana listens on 3000.
    Scenario(
        "grafana-target-port",
        _grafana,
        ["LBD307"],
        unhealthy(REFUSED, count=2),
        object="Service/web",
        says=["3000"],
        report=GITHUB + "helm/charts/issues/16772",
    ),
    # The port name of an action is use-annotation; with an "s" at its end the backend is a Service that is not there.
    Scenario(
        "use-annotations-misspelt",
        _misspelt_action,
        ["LBD108", "LBD106"],
        healthy(),
        object="Ingress/web",
        says=['"use-annotation"'],
        report=LBC + "3440",
    ),
    # The secret of a volume does not exist: the pods stay in ContainerCreating.
    Scenario(
        "secret-of-a-volume-missing",
        _volume_of_a_missing_secret,
        ["LBD401", "LBD410"],
        both(event("FailedMount", "shop-tls"), empty),
        object="Deployment/web",
        says=["shop-tls"],
        report=GITHUB + "docker-mailserver/docker-mailserver-helm/issues/132",
    ),
    # An init container waits for a database that never answers.
    Scenario(
        "init-container-never-ends",
        _waits_for_its_database,
        ["LBD401", "LBD404", "LBD410"],
        both(settled(25), empty),
        object="Deployment/web",
        says=["check-db-ready"],
        report=GITHUB + "dagster-io/dagster/issues/3827",
    ),
    # The status port of the container is no port of the nodes, which are the targets.
    Scenario(
        "container-port-as-check-port-of-instances",
        _status_port_of_the_container,
        ["LBD313"],
        unhealthy(REFUSED, count=2),
        object="Ingress/web",
        says=["10254"],
        report=GITHUB + "kubernetes/ingress-nginx/issues/6899",
    ),
]
