"""Faults from public reports: Gateways, groups of Ingresses, bindings of Terraform's groups, charts behind them.

The comment above each says what the reporter met. Expectations were written from the report, before the doctor saw it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from tests.e2e.reports_objects import first_container, until_it_works
from tests.e2e.scenarios import (
    ALB,
    MISMATCH,
    NLB,
    REFUSED,
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
from tests.lab import examples
from tests.lab import gateway_examples as gateways
from tests.lab.api import Lab

LBC = "https://github.com/kubernetes-sigs/aws-load-balancer-controller/"
GITHUB = "https://github.com/"

_DIGEST = "0123456789abcdef"


def _ingress(**annotations: str | None) -> Manifests:
    """The healthy ALB stack with annotations of its Ingress: `_` stands for `-`."""
    return examples.alb_ip(annotations={f"{ALB}{name.replace('_', '-')}": value for name, value in annotations.items()})


def _pod(manifests: Manifests) -> dict[str, Any]:
    spec: dict[str, Any] = examples.find(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


# --- Ingresses, their groups and actions -----------------------------------------------------------------------------


_LOGIN = {
    "issuer": "https://login.example.com",
    "authorizationEndpoint": "https://login.example.com/auth",
    "tokenEndpoint": "https://login.example.com/token",
    "userInfoEndpoint": "https://login.example.com/user",
    "secretName": "oidc-secret",
}


def _action_of_a_deleted_group() -> Manifests:
    arn = f"arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/legacy/{_DIGEST}"
    action = {"type": "forward", "targetGroupARN": arn}
    return examples.alb_ip(
        annotations={f"{ALB}actions.forward-tg": json.dumps(action)},
        ingress={"backends": [("/", "web", 80), ("/bmw", "forward-tg", "use-annotation")]},
    )


def _weighted_by_port_name() -> Manifests:
    """One of the two Services calls its port otherwise than the action does."""
    groups = [{"serviceName": name, "servicePort": "http", "weight": 50} for name in ("web", "service-b")]
    action = {"type": "forward", "forwardConfig": {"targetGroups": groups}}
    manifests = examples.alb_ip(
        annotations={f"{ALB}actions.weighted-routing": json.dumps(action)},
        ingress={"backends": [("/", "weighted-routing", "use-annotation")]},
    )
    ports = [{"name": "web", "port": 80, "targetPort": 8080}]
    return [examples.app("service-b"), examples.service("service-b", ports=ports), *manifests]


def _two_members(first: dict[str, str], second: dict[str, str], **second_ingress: Any) -> Manifests:
    group = f"more-{secrets.token_hex(3)}"
    kept = {f"{ALB}target-type": "ip", f"{ALB}scheme": "internet-facing", f"{ALB}healthcheck-path": "/healthz"}
    return [
        *examples.alb_ip(annotations={f"{ALB}{k}": v for k, v in first.items()}, ingress={"group": group}),
        examples.app("api"),
        examples.service("api"),
        examples.ingress(
            "second",
            annotations={**kept, **{f"{ALB}{k}": v for k, v in second.items()}},
            group=group,
            **{"backends": [("/api", "api", 80)], **second_ingress},
        ),
    ]


def _named() -> Manifests:
    return examples.alb_ip(annotations={f"{ALB}load-balancer-name": f"public-{secrets.token_hex(3)}"})


@contextmanager
def _same_name(lab: Lab, ns: str) -> Iterator[None]:
    """A second Ingress without a group asks for the first one's load balancer by its name, with another scheme."""
    lab.wait_targets(ns, "healthy", count=2)
    name = lab.get("ingress", "web", ns)["metadata"]["annotations"][f"{ALB}load-balancer-name"]
    asked = {f"{ALB}load-balancer-name": name, f"{ALB}target-type": "ip", f"{ALB}scheme": "internal"}
    lab.apply([examples.ingress("second", annotations=asked)], ns)
    yield


# --- what charts answer ----------------------------------------------------------------------------------------------


def _keycloak() -> Manifests:
    """Keycloak 26: "/" leads to the console, and health is told on the management port."""
    manifests = examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": None},
        app={
            "args": (
                *("--listen", ":8080", "--redirect", "/=http://keycloak.example.com/admin/:302"),
                *("--path", "/admin/=200"),
            ),
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "management", "containerPort": 9000}],
            "readiness": {"httpGet": {"path": "/health/ready", "port": 9000}, "periodSeconds": 1},
        },
    )
    second = dict(first_container(manifests), name="management", args=["--listen", ":9000", "--path", "/health*=200"])
    # One process in Keycloak; two here, because one has the same answers on all its ports.
    del second["ports"], second["readinessProbe"]
    _pod(manifests)["containers"].append(second)
    return manifests


def _management_by_tls() -> Manifests:
    """With a certificate for the main port Keycloak speaks TLS on its management port, too."""
    return examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": "/health/ready", f"{ALB}healthcheck-port": "9000"},
        app={
            "args": ("--listen", ":8080", "--listen", "https://:9000", "--path", "/health*=200"),
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "management", "containerPort": 9000}],
            "readiness": {
                "httpGet": {"path": "/health/ready", "port": 9000, "scheme": "HTTPS"},
                "periodSeconds": 1,
            },
        },
    )


def _context_path() -> Manifests:
    """Spring Boot with a context path: everything is below /api, and the probe forgot that."""
    return examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": "/api/actuator/health"},
        app={
            "args": ("--listen", ":8080", "--path", "/api/actuator/health=200"),
            "readiness": {"httpGet": {"path": "/actuator/health", "port": 8080}, "periodSeconds": 1},
        },
    )


def _cache_is_down() -> Manifests:
    """/actuator/health is DOWN because Redis is; the readiness group knows that the application serves."""
    answers = ("--path", "/actuator/health=503", "--path", "/actuator/health/readiness=200", "--path", "/=200")
    return examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": "/actuator/health"},
        app={
            "args": ("--listen", ":8080", *answers),
            "readiness": {"httpGet": {"path": "/actuator/health/readiness", "port": 8080}, "periodSeconds": 1},
        },
    )


def _ingress_gateway() -> Manifests:
    """Istio's ingress gateway without any Gateway of Istio's: only the status port is open."""
    ports = [
        {"name": "status-port", "port": 15021, "targetPort": 15021},
        {"name": "http2", "port": 80, "targetPort": 8080},
    ]
    return examples.nlb_ip(
        annotations={f"{NLB}healthcheck-protocol": None, f"{NLB}healthcheck-path": None},
        app={
            "args": ("--listen", ":15021", "--path", "/healthz/ready=200"),
            "ports": [{"containerPort": port} for port in (15021, 8080)],
            "readiness": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1},
        },
        service={"ports": ports},
    )


def _status_port_with_proxy_protocol() -> Manifests:
    """The status port knows nothing of proxy protocol, the port of the traffic does."""
    return examples.nlb_ip(
        annotations={
            f"{NLB}target-group-attributes": "proxy_protocol_v2.enabled=true",
            f"{NLB}healthcheck-port": "10254",
        },
        app={
            "args": ("--listen", "tcp://:8080", "--listen", ":10254", "--path", "/healthz=200"),
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 10254}],
            "readiness": {"httpGet": {"path": "/healthz", "port": 10254}, "periodSeconds": 1},
        },
    )


def _grpc_with_http_status() -> Manifests:
    """Behind a gRPC group Istio's gateway tells its health by HTTP/1.1, on the status port."""
    return examples.alb_ip(
        app={
            "args": ("--listen", "h2c://:8080", "--listen", ":15021", "--path", "/healthz/ready=200"),
            "ports": [{"name": "http2", "containerPort": 8080}, {"name": "status-port", "containerPort": 15021}],
            "readiness": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1},
        }
    )[:2]


# --- pods ------------------------------------------------------------------------------------------------------------


def _killed_before_it_has_started() -> Manifests:
    manifests = examples.alb_ip(app={"args": (*examples.APP_ARGS, "--listen-after", "60s")})
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 2, "periodSeconds": 1}
    first_container(manifests)["livenessProbe"] = {**probe, "failureThreshold": 2}
    return manifests


_HOST_PORT = [{"name": "http", "containerPort": 8080, "hostPort": 28080}]


@contextmanager
def _host_ports_taken(lab: Lab, ns: str) -> Iterator[None]:
    """An ingress controller that has the port of both nodes already."""
    lab.apply(examples.app("first", ports=_HOST_PORT), ns)
    lab.wait_ready_pods(ns, "app=first", 2)
    yield


@contextmanager
def _volume_of_another_zone(lab: Lab, ns: str) -> Iterator[None]:
    """A volume in a zone in which the cluster has no node any more, and its claim."""
    name = f"data-{ns}"
    terms = [{"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["us-west-2d"]}]}]
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": f"/tmp/{name}"},
            "claimRef": {"name": "data", "namespace": ns},
            "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
            "storageClassName": "",
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
            "volumeName": name,
        },
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(volume))
    try:
        lab.apply(claim, ns)
        yield
    finally:
        lab.clean(ns)
        lab.kubectl("delete", "persistentvolume", name, "--wait=false", check=False)


def _with_a_claim(*, made: bool) -> Manifests:
    """made: that the scenario makes the claim itself; otherwise it asks for a class that does not exist."""
    manifests = examples.alb_ip()
    _pod(manifests)["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    first_container(manifests)["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "gp2-fast",
        },
    }
    return manifests if made else [claim, *manifests]


def _gate_of_version_1() -> Manifests:
    gate = {"conditionType": "target-health.alb.ingress.k8s.aws/web_web_80"}
    return examples.alb_ip(app={"pod": {"readinessGates": [gate]}})


def _pod_that_was_scaled_away() -> Manifests:
    """One Service for each pod of a StatefulSet; this one's ordinal is not asked for any more."""
    manifests = examples.alb_ip(
        service={"selector": {"app": "web", "statefulset.kubernetes.io/pod-name": "web-2"}},
    )
    workload = examples.find(manifests, "Deployment")
    workload["kind"] = "StatefulSet"
    workload["spec"]["serviceName"] = "web"
    return manifests


# --- bindings of groups that Terraform makes -------------------------------------------------------------------------


def _terraform(
    *,
    group_type: str = "ip",
    binding_type: str = "ip",
    service: str = "web",
    in_another_vpc: bool = False,
    **check: Any,
) -> Callable[[Lab, str], AbstractContextManager[None]]:
    """An Application Load Balancer and a target group, and a binding that leads a Service's port 80 to it."""

    @contextmanager
    def make(lab: Lab, ns: str) -> Iterator[None]:
        elb, ec2, name = lab.aws("elbv2"), lab.aws("ec2"), f"tf-{secrets.token_hex(4)}"
        subnets = [lab.state["subnets"][zone] for zone in ("public-a", "public-c")]
        checks = {
            "HealthCheckPath": "/healthz",
            "HealthCheckIntervalSeconds": 5,
            "HealthCheckTimeoutSeconds": 2,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
            **check,
        }
        with ExitStack() as undo:
            vpc = lab.state["vpc_id"]
            if in_another_vpc:
                vpc = ec2.create_vpc(CidrBlock="172.20.0.0/16")["Vpc"]["VpcId"]
                undo.callback(ec2.delete_vpc, VpcId=vpc)
            place = {"Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": group_type}
            group = elb.create_target_group(Name=name, **place, **checks)["TargetGroups"][0]["TargetGroupArn"]
            undo.callback(until_it_works, lambda: elb.delete_target_group(TargetGroupArn=group))
            if not in_another_vpc:
                made = elb.create_load_balancer(Name=name, Type="application", Scheme="internal", Subnets=subnets)
                balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
                undo.callback(elb.delete_load_balancer, LoadBalancerArn=balancer)
                forward = [{"Type": "forward", "TargetGroupArn": group}]
                elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
            source = {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"protocol": "TCP"}]}
            spec: dict[str, Any] = {
                "serviceRef": {"name": service, "port": 80},
                "targetGroupARN": group,
                "targetType": binding_type,
                "networking": {"ingress": [source]},
            }
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


def _bound_application(**app: Any) -> Manifests:
    return [examples.app(**app), examples.service(type="NodePort")]


# --- Gateways --------------------------------------------------------------------------------------------------------


@contextmanager
def gateway_classes(lab: Lab, ns: str) -> Iterator[None]:
    lab.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, gateways.classes())))
    yield


def _gateway(*own: dict[str, Any], app: dict[str, Any] | None = None) -> Manifests:
    return [examples.app(**(app or {})), examples.service(), gateways.gateway(), *own]


def _host_behind_a_gateway() -> Manifests:
    """Behind the ALB stands Istio's gateway, which knows the route by its host alone."""
    host = "test.example.com"
    app = {
        "args": ("--listen", ":8080", "--host", f"{host}=200"),
        "readiness": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    return _gateway(gateways.route(hostnames=[host]), gateways.configuration(path="/productpage"), app=app)


def _configuration_of_another_route() -> Manifests:
    """The check is set for a route by its name, and no route has that name there."""
    check = {"healthCheckPath": "/healthz", "healthCheckProtocol": "HTTP"}
    identifier = {"kind": "HTTPRoute", "name": "web", "namespace": "changeme"}
    spec = {
        "targetReference": {"name": "web"},
        "defaultConfiguration": {
            "targetType": "ip",
            "healthCheckConfig": {"healthCheckInterval": 5, "healthCheckTimeout": 2, "unhealthyThresholdCount": 2},
        },
        "routeConfigurations": [{"routeIdentifier": identifier, "targetGroupProps": {"healthCheckConfig": check}}],
    }
    return _gateway(gateways.route(), gateways.settings("TargetGroupConfiguration", "web", spec))


def _grpc_by_http_route() -> Manifests:
    """A gRPC server behind an HTTPRoute: its group speaks HTTP/1.1."""
    args = ("--listen", "h2c://:8080", "--grpc", "/*=12")
    app = {"args": args, "readiness": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    return _gateway(gateways.route(), gateways.configuration(path="/grpc.health.v1.Health/Check"), app=app)


def _check_port_of_a_tcp_route() -> Manifests:
    own = gateways.configuration(path="")
    own["spec"]["defaultConfiguration"]["healthCheckConfig"]["healthCheckPort"] = "9901"
    gateway = gateways.gateway(gateways.NLB_CLASS, protocol="TCP")
    return [examples.app(), examples.service(), gateway, gateways.route("TCPRoute"), own]


@contextmanager
def _configuration_beside_the_gateway(lab: Lab, ns: str) -> Iterator[None]:
    """The platform team's namespace holds the Gateway and, by mistake, the settings of the Service's target group."""
    with lab.namespace("infra") as infra:
        open_to_all = {"allowedRoutes": {"namespaces": {"from": "All"}}}
        lab.apply([gateways.gateway(**open_to_all), gateways.configuration()], infra)
        lab.apply(gateways.route(parent={"namespace": infra}), ns)
        try:
            yield
        finally:
            lab.clean(ns)
            lab.clean(infra)


SCENARIOS: list[Scenario] = [
    # The controller may read no Secrets by default, and the login's client id is in one.
    Scenario(
        "login-secret-forbidden",
        lambda: examples.alb_ip()[:2],
        ["LBD103"],
        event("FailedBuildModel", "secrets"),
        setup=behind_tls(
            auth_type="oidc",
            auth_idp_oidc=json.dumps(_LOGIN),
        ),
        says=["secrets", "oidc-secret"],
        report=LBC + "issues/2906",
    ),
    # An action forwards to a target group by its ARN, and there is none.
    Scenario(
        "action-of-a-deleted-group",
        _action_of_a_deleted_group,
        ["LBD104"],
        event("FailedDeployModel"),
        object="Ingress/web",
        says=["target group of a rule"],
        report=LBC + "issues/3933",
    ),
    # A weighted action names the port "http" of both Services, and one of them calls it otherwise.
    Scenario(
        "weighted-by-the-name-of-a-port",
        _weighted_by_port_name,
        ["LBD107", "LBD103"],
        event("FailedBuildModel"),
        object="Ingress/web",
        says=["service-b", "actions.weighted-routing"],
        report=LBC + "issues/2974",
    ),
    # Members of one group ask for different security groups.
    Scenario(
        "group-of-two-security-groups",
        lambda: _two_members({"security-groups": "shop-front"}, {"security-groups": "api-front"}),
        ["LBD103", "LBD105"],
        event("FailedBuildModel", "conflicting"),
        says=["shop-front", "api-front"],
        report=LBC + "issues/1629",
    ),
    # Two members set the same attribute of their load balancer to different values.
    Scenario(
        "group-of-two-idle-timeouts",
        lambda: _two_members(
            {"load-balancer-attributes": "idle_timeout.timeout_seconds=60"},
            {"load-balancer-attributes": "idle_timeout.timeout_seconds=600"},
        ),
        ["LBD103", "LBD105"],
        event("FailedBuildModel", "conflict"),
        says=["idle_timeout.timeout_seconds"],
        report=LBC + "issues/3262",
    ),
    # The member that sorts first catches everything; the other one's path is never reached.
    Scenario(
        "catch-all-of-another-member",
        lambda: _two_members({"group.order": "1"}, {"group.order": "2"}),
        ["LBD227"],
        healthy(4),
        subject="ing/second",
        object="Ingress/second",
        exit=0,
        says=["group.order", "web"],
        report=LBC + "issues/2763",
    ),
    # Two Ingresses ask for one load balancer's name.
    Scenario(
        "name-of-another-load-balancer",
        _named,
        ["LBD104"],
        event("FailedDeployModel", "Duplicate"),
        setup=_same_name,
        subject="ing/second",
        object="Ingress/second",
        says=["name"],
        report=LBC + "issues/3173",
    ),
    # The name is longer than AWS allows.
    Scenario(
        "name-too-long",
        lambda: _ingress(load_balancer_name="the-public-load-balancer-of-the-shop"),
        ["LBD111", "LBD103"],
        event("FailedBuildModel", "32"),
        object="Ingress/web",
        says=["32"],
        report=LBC + "pull/2295",
    ),
    # Certificates of clients are to be verified, and no trust store is named.
    Scenario(
        "mutual-tls-without-trust-store",
        lambda: examples.alb_ip()[:2],
        ["LBD111", "LBD103"],
        event("FailedBuildModel", "trustStore"),
        setup=behind_tls(mutual_authentication='[{"port": 443, "mode": "verify"}]', healthcheck_path="/healthz"),
        object="Ingress/web",
        says=["mutual"],
    ),
    # Only one subnet carries the tag, and an Application Load Balancer needs two zones.
    Scenario(
        "one-subnet",
        lambda: _ingress(subnets="lbdlab-public-a"),
        ["LBD511", "LBD103"],
        event("FailedBuildModel", "subnet"),
        object="Ingress/web",
        says=["2"],
        report=LBC + "issues/1783",
    ),
    # No node carries the label that targets must have.
    Scenario(
        "label-of-no-node",
        lambda: examples.alb_instance(annotations={f"{ALB}target-node-labels": "node-label=main-private"}),
        ["LBD207"],
        both(settled(8), empty),
        object="Ingress/web",
        says=["node-label=main-private"],
        report=LBC + "issues/2512",
    ),
    # One Elastic IP address for two subnets.
    Scenario(
        "one-address-for-two-subnets",
        lambda: examples.nlb_ip(annotations={f"{NLB}eip-allocations": "eipalloc-0123456789abcdef0"}),
        ["LBD103", "LBD111"],
        event("FailedBuildModel"),
        subject="svc/web",
        object="Service/web",
        says=["eip-allocations"],
        report=GITHUB + "openshift/enhancements/pull/1593",
    ),
    # Keycloak 26 leads "/" to its console, with 302; health has a port of its own.
    Scenario(
        "keycloak",
        _keycloak,
        ["LBD303", "LBD301"],
        unhealthy(MISMATCH, count=2),
        object="Ingress/web",
        says=["9000", "/health/ready"],
        report=GITHUB + "aws-samples/cdk-keycloak/issues/218",
    ),
    # Keycloak's management port speaks TLS as soon as the main port has a certificate.
    Scenario(
        "management-port-by-tls",
        _management_by_tls,
        ["LBD305"],
        unhealthy(MISMATCH, count=2),
        object="Ingress/web",
        value="healthcheck-protocol=HTTPS",
        report=GITHUB + "keycloak/keycloak/issues/41325",
    ),
    # A context path of Spring Boot: the readiness probe asks beside it, and no pod is ever ready.
    Scenario(
        "context-path",
        _context_path,
        ["LBD404"],
        both(event("Unhealthy", "404"), empty),
        object="Deployment/web",
        says=["/actuator/health", "404"],
        report=GITHUB + "kubernetes/kubernetes/issues/91880",
    ),
    # The health page is DOWN because the cache is; the application itself says that it is ready.
    Scenario(
        "health-includes-the-cache",
        _cache_is_down,
        ["LBD317"],
        unhealthy(MISMATCH, count=2),
        says=["503", "/actuator/health/readiness"],
        report="https://openillumi.com/en/en-spring-boot-actuator-disable-redis-check",
    ),
    # Istio's gateway has nothing to listen for, except its status port.
    Scenario(
        "ingress-gateway-without-listeners",
        _ingress_gateway,
        ["LBD307"],
        unhealthy(REFUSED, "any", 2),
        subject="svc/web",
        says=["8080", "15021", "listen on 8080"],
        report=GITHUB + "istio/istio/issues/48492",
    ),
    # Proxy protocol is sent to the port of the check as well.
    Scenario(
        "proxy-protocol-to-the-status-port",
        _status_port_with_proxy_protocol,
        ["LBD314"],
        unhealthy(REFUSED, count=2),
        subject="svc/web",
        object="Service/web",
        says=["10254"],
        report=GITHUB + "kubernetes/ingress-nginx/issues/10982",
    ),
    # A gRPC group is checked by gRPC, and the status port speaks HTTP/1.1.
    Scenario(
        "grpc-checks-an-http1-status-port",
        _grpc_with_http_status,
        ["LBD306"],
        unhealthy(REFUSED, count=2),
        setup=behind_tls(backend_protocol_version="GRPC", healthcheck_path="/healthz/ready", healthcheck_port="15021"),
        object="Ingress/web",
        says=["15021"],
        report=GITHUB + "istio/istio/issues/49724",
    ),
    # Liveness gives up before the server has started.
    Scenario(
        "killed-before-it-has-started",
        _killed_before_it_has_started,
        ["LBD403", "LBD404"],
        both(restarts(3), waiting("CrashLoopBackOff")),
        object="Deployment/web",
        says=["iveness", "startup"],
        report=GITHUB + "appsmithorg/appsmith/issues/10778",
    ),
    # The nodes' ports are taken by another ingress controller.
    Scenario(
        "host-port-taken",
        lambda: examples.alb_ip(app={"ports": _HOST_PORT}),
        ["LBD401"],
        both(event("FailedScheduling", "free ports"), empty),
        around=_host_ports_taken,
        object="Deployment/web",
        says=["28080"],
        report=GITHUB + "nginx/kubernetes-ingress/issues/1789",
    ),
    # The volume is in a zone without a node that has room.
    Scenario(
        "volume-in-another-zone",
        lambda: _with_a_claim(made=True),
        ["LBD401"],
        both(event("FailedScheduling", "olume"), empty),
        around=_volume_of_another_zone,
        object="Deployment/web",
        says=["data"],
        report=GITHUB + "aerospike/aerospike-kubernetes-operator/issues/80",
    ),
    # The claim asks for a class of storage that does not exist.
    Scenario(
        "claim-that-nothing-binds",
        lambda: _with_a_claim(made=False),
        ["LBD401"],
        both(event("FailedScheduling", "PersistentVolumeClaim"), empty),
        object="Deployment/web",
        says=["data", "gp2-fast"],
        report=GITHUB + "hashicorp/consul-helm/issues/243",
    ),
    # The gates of version 1 were written by hand, and the controller of today opens none of them.
    Scenario(
        "gate-of-version-1",
        _gate_of_version_1,
        ["LBD214"],
        settled(20),
        object="Deployment/web",
        says=["target-health.alb.ingress.k8s.aws/web_web_80"],
        report=LBC + "issues/1547",
    ),
    # A Service for the third pod of a StatefulSet that has two.
    Scenario(
        "service-of-a-pod-that-is-gone",
        _pod_that_was_scaled_away,
        ["LBD201"],
        both(settled(8), empty),
        object="Service/web",
        says=["web-2"],
    ),
    # The binding says ip, and the group that Terraform made is one of instances.
    Scenario(
        "binding-of-another-target-type",
        _bound_application,
        ["LBD219", "LBD111", "LBD115"],
        settled(10),
        subject="tgb/own",
        setup=_terraform(group_type="instance"),
        object="TargetGroupBinding/own",
        says=["targetType"],
        report=LBC + "issues/3668",
    ),
    # The other way round: instances for a group of addresses.
    Scenario(
        "instances-for-a-group-of-addresses",
        _bound_application,
        ["LBD219", "LBD111", "LBD115"],
        settled(10),
        subject="tgb/own",
        setup=_terraform(binding_type="instance"),
        object="TargetGroupBinding/own",
        says=["targetType"],
        report=LBC + "issues/2741",
    ),
    # The group belongs to another VPC.
    Scenario(
        "group-of-another-vpc",
        _bound_application,
        ["LBD209"],
        settled(10),
        subject="tgb/own",
        setup=_terraform(in_another_vpc=True),
        says=["vpc-", "make the target group in"],
        report=LBC + "issues/1569",
    ),
    # The binding's Service does not exist (a release renamed it).
    Scenario(
        "binding-of-a-missing-service",
        _bound_application,
        ["LBD115"],
        event("BackendNotFound"),
        subject="tgb/own",
        setup=_terraform(service="wbe"),
        object="TargetGroupBinding/own",
        says=["wbe"],
        report=LBC + "issues/1879",
    ),
    # The group's check asks port 80; the pods listen on 8080.
    Scenario(
        "group-checks-a-fixed-port",
        _bound_application,
        ["LBD313"],
        unhealthy(REFUSED, count=2),
        subject="tgb/own",
        setup=_terraform(HealthCheckPort="80"),
        says=["80", "traffic-port"],
        report=GITHUB + "brikis98/terraform-up-and-running-code/issues/39",
    ),
    # The group's check is HTTPS, the pods speak plain HTTP.
    Scenario(
        "group-checks-by-tls",
        _bound_application,
        ["LBD305"],
        unhealthy(REFUSED, count=2),
        subject="tgb/own",
        setup=_terraform(HealthCheckProtocol="HTTPS"),
        says=["HTTPS"],
        report=GITHUB + "cn-terraform/terraform-aws-ecs-alb/pull/64",
    ),
    # Behind the Gateway stands another one that knows its routes by the host, which the check does not send.
    Scenario(
        "gateway-host-in-front-of-istio",
        _host_behind_a_gateway,
        ["LBD302"],
        unhealthy(MISMATCH, count=2),
        subject="gateway/web",
        around=gateway_classes,
        says=["Host"],
        report=LBC + "issues/4400",
    ),
    # Settings for a route that does not exist under that name.
    Scenario(
        "gateway-settings-of-another-route",
        _configuration_of_another_route,
        ["LBD149"],
        unhealthy(MISMATCH, count=2),
        subject="gateway/web",
        around=gateway_classes,
        object="TargetGroupConfiguration/web",
        says=["changeme", "routeConfigurations"],
        report=LBC + "issues/4249",
    ),
    # gRPC behind an HTTPRoute.
    Scenario(
        "gateway-grpc-by-http-route",
        _grpc_by_http_route,
        ["LBD306"],
        unhealthy(REFUSED, count=2),
        subject="gateway/web",
        around=gateway_classes,
        says=["gRPC"],
        report=GITHUB + "argoproj/argo-cd/issues/21328",
    ),
    # The check of a TCP route asks a port on which nothing listens.
    Scenario(
        "gateway-check-port-of-a-tcp-route",
        _check_port_of_a_tcp_route,
        ["LBD313"],
        unhealthy(REFUSED, count=2),
        subject="gateway/web",
        around=gateway_classes,
        object="TargetGroupConfiguration/web",
        says=["9901"],
        report=GITHUB + "envoyproxy/gateway/issues/5098",
    ),
    # Settings in the Gateway's namespace instead of the Service's.
    Scenario(
        "gateway-settings-in-another-namespace",
        lambda: [examples.app(), examples.service()],
        ["LBD149"],
        settled(10),
        subject="httproute/web",
        around=gateway_classes,
        setup=_configuration_beside_the_gateway,
        object="TargetGroupConfiguration/web",
        says=["LBD204", "counts there alone"],
        report=GITHUB + "pelotech/foundation/pull/469",
    ),
]
