"""More faults that need no lab to themselves: bindings that people made, readiness gates, several backends, settings
that differ, and what is a warning only. What alarms name (target group, load balancer) is the subject of some."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

from kubectl_lbdoctor.checks.gates import CACHE_SECONDS
from tests.e2e.scenarios import (
    ALB,
    MISMATCH,
    NLB,
    REFUSED,
    Manifests,
    Scenario,
    Seen,
    empty,
    event,
    healthy,
    settled,
    unhealthy,
    until,
)
from tests.lab import examples, images
from tests.lab.api import Lab

MINUTE = 61.0


def _action(*groups: tuple[str, int | str, int], **fields: Any) -> str:
    weighted = [{"serviceName": name, "servicePort": port, "weight": weight} for name, port, weight in groups]
    return json.dumps({"type": "forward", "forwardConfig": {"targetGroups": weighted}, **fields})


def _weighted() -> Manifests:
    """Two Services behind one `use-annotation` action; nothing listens on the second one's targetPort."""
    return [
        *examples.alb_ip(
            annotations={f"{ALB}actions.split": _action(("web", 80, 50), ("blue", 80, 50))},
            ingress={"backends": [("/", "split", "use-annotation")]},
        ),
        examples.app("blue"),
        examples.service("blue", target_port=9090),
    ]


def _default_backend() -> Manifests:
    manifests = [*examples.alb_ip(), examples.app("rest"), examples.service("rest", selector={"app": "reste"})]
    examples.find(manifests, "Ingress")["spec"]["defaultBackend"] = {
        "service": {"name": "rest", "port": {"number": 80}}
    }
    return manifests


def _two_ports() -> Manifests:
    """Two ports of one Service, of which the second leads to a container port that nobody opened."""
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "admin", "port": 81, "targetPort": 9091},
    ]
    return examples.alb_ip(
        service={"ports": ports}, ingress={"backends": [("/", "web", 80), ("/admin", "web", "admin")]}
    )


def _two_backends() -> Manifests:
    """One check path for two Services; the second has no such page."""
    return [
        *examples.alb_ip(ingress={"backends": [("/", "web", 80), ("/api", "api", 80)]}),
        examples.app("api", args=("--listen", ":8080", "--path", "/api/status=200"), readiness=None),
        examples.service("api"),
    ]


def _with_pod(target: str, **changes: Any) -> Manifests:
    manifests = examples.alb(target)
    examples.find(manifests, "Deployment")["spec"]["template"]["spec"].update(changes)
    return manifests


@contextmanager
def outside_group(lab: Lab) -> Iterator[str]:
    """A Network Load Balancer and a target group of pods that Terraform or a person made; yields the group's ARN."""
    elb = lab.aws("elbv2")
    subnets = [lab.state["subnets"][zone] for zone in ("public-a", "public-c")]
    short = f"own-{secrets.token_hex(4)}"
    with ExitStack() as undo:
        balancer = elb.create_load_balancer(Name=short, Type="network", Scheme="internal", Subnets=subnets)[
            "LoadBalancers"
        ][0]["LoadBalancerArn"]
        undo.callback(elb.delete_load_balancer, LoadBalancerArn=balancer)
        group: str = elb.create_target_group(
            Name=short,
            Protocol="TCP",
            Port=8080,
            VpcId=lab.state["vpc_id"],
            TargetType="ip",
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        undo.callback(_delete_group, lab, group)
        forward = [{"Type": "forward", "TargetGroupArn": group}]
        elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=80, DefaultActions=forward)
        yield group


@contextmanager
def own_binding(lab: Lab, ns: str, name: str = "own") -> Iterator[str]:
    """A TargetGroupBinding that leads Service web:80 to a target group of that kind. Yields the group's ARN."""
    with ExitStack() as undo:
        group = undo.enter_context(outside_group(lab))
        lab.apply(
            {
                "apiVersion": "elbv2.k8s.aws/v1beta1",
                "kind": "TargetGroupBinding",
                "metadata": {"name": name},
                "spec": {
                    "serviceRef": {"name": "web", "port": 80},
                    "targetGroupARN": group,
                    "networking": {
                        "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"protocol": "TCP"}]}]
                    },
                },
            },
            ns,
        )
        undo.callback(lab.kubectl, "delete", "targetgroupbinding", name, "-n", ns, "--ignore-not-found", "--wait=true")
        yield group


def _delete_group(lab: Lab, arn: str) -> None:
    elb = lab.aws("elbv2")
    with suppress(elb.exceptions.TargetGroupNotFoundException):
        for _ in range(20):
            try:
                elb.delete_target_group(TargetGroupArn=arn)
                return
            except elb.exceptions.ResourceInUseException:
                time.sleep(0.5)  # Its listener goes with the load balancer.


@contextmanager
def _group_deleted(lab: Lab, ns: str) -> Iterator[None]:
    elb = lab.aws("elbv2")
    arn = lab.target_group_arns(ns)[0]
    balancer = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["LoadBalancerArns"][0]
    for listener in elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
        elb.delete_listener(ListenerArn=listener["ListenerArn"])
    elb.delete_target_group(TargetGroupArn=arn)
    # The controller notices at its next turn, for example when an endpoint changes.
    lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=3")
    yield


@contextmanager
def _port_renumbered(lab: Lab, ns: str) -> Iterator[None]:
    lab.patch("service", "web", ns, [{"op": "replace", "path": "/spec/ports/0/port", "value": 8081}])
    yield


@contextmanager
def _port_renumbered_and_restarted(lab: Lab, ns: str) -> Iterator[None]:
    with _port_renumbered(lab, ns):
        lab.kubectl("rollout", "restart", "deployment/web", "-n", ns)
        yield


@contextmanager
def _kubectl(lab: Lab, ns: str, *arguments: str) -> Iterator[None]:
    lab.kubectl(*arguments, "-n", ns)
    yield


def _modified(**settings: Any) -> Callable[[Lab, str], AbstractContextManager[None]]:
    """Check settings of the target group changed in AWS, by hand or by another tool."""

    @contextmanager
    def change(lab: Lab, ns: str) -> Iterator[None]:
        lab.aws("elbv2").modify_target_group(TargetGroupArn=lab.target_group_arns(ns)[0], **settings)
        yield

    return change


@contextmanager
def _balancer_address_registered(lab: Lab, ns: str) -> Iterator[None]:
    arn = lab.target_group_arns(ns)[0]
    own = "ELB " + lab.load_balancer_arn("ingress", "web", ns).partition(":loadbalancer/")[2]
    interfaces = lab.aws("ec2").describe_network_interfaces()["NetworkInterfaces"]
    address = next(i["PrivateIpAddress"] for i in interfaces if i["Description"] == own)
    target = {"Id": address, "Port": 8080}
    lab.aws("elbv2").register_targets(TargetGroupArn=arn, Targets=[target])
    try:
        yield
    finally:
        lab.aws("elbv2").deregister_targets(TargetGroupArn=arn, Targets=[target])


@contextmanager
def _poisoned_elsewhere(lab: Lab, ns: str) -> Iterator[None]:
    """A member of the IngressGroup in another namespace that names a Service port which does not exist."""
    with lab.namespace("other") as other:
        member = examples.ingress("poison", group=_group_name(ns), backends=[("/x", "web", 9999)])
        lab.apply([examples.app(), examples.service(), member], other)
        lab.kubectl("annotate", "ingress/web", "-n", ns, f"{ALB}healthcheck-path=/healthz?x", "--overwrite")
        yield


def _group_name(ns: str) -> str:
    return f"team-{ns}"


@contextmanager
def _shared_group(lab: Lab, ns: str) -> Iterator[None]:
    lab.kubectl("annotate", "ingress/web", "-n", ns, f"{ALB}group.name={_group_name(ns)}", "--overwrite")
    yield


@contextmanager
def _gates(lab: Lab, ns: str) -> Iterator[None]:
    """The namespace asks for readiness gates; pods of before get theirs when they are made anew."""
    lab.kubectl("label", "namespace", ns, "elbv2.k8s.aws/pod-readiness-gate-inject=enabled")
    until(lambda: bool(lab.bindings(ns)), "a binding")
    lab.kubectl("rollout", "restart", "deployment/web", "-n", ns)
    yield


@contextmanager
def _gates_asked_for_late(lab: Lab, ns: str) -> Iterator[None]:
    """Pods that are younger than the binding, and a namespace that asks for gates only now."""
    # Before that the webhook of the controller may not have known the binding yet.
    time.sleep(CACHE_SECONDS + 2)
    lab.kubectl("rollout", "restart", "deployment/web", "-n", ns)
    lab.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=60s")
    lab.wait_targets(ns, "healthy", count=1)
    lab.kubectl("label", "namespace", ns, "elbv2.k8s.aws/pod-readiness-gate-inject=enabled")
    yield


def _first_group(lab: Lab, ns: str) -> str:
    return "tg/" + lab.target_group_arns(ns)[0].split("/")[-2]


def _balancer_dns(lab: Lab, ns: str) -> str:
    status = lab.get("ingress", "web", ns)["status"]["loadBalancer"]["ingress"]
    return f"lb/{status[0]['hostname']}"


def _balancer_arn(lab: Lab, ns: str) -> str:
    return lab.load_balancer_arn("ingress", "web", ns)


def restarts(count: int) -> Seen:
    def look(lab: Lab, ns: str) -> object:
        def enough() -> bool:
            statuses = [s for pod in lab.objects("pods", ns) for s in pod["status"].get("containerStatuses", ())]
            return any(s["restartCount"] >= count for s in statuses)

        return until(enough, f"{count} restarts", 150)

    return look


def _scripted(start: str, serve: str = "exec httpd -f -p 8080 -h /w", **pod: Any) -> Manifests:
    """The healthy stack with a container that runs `start` and then serves /healthz; /w outlives its restarts."""
    manifests = examples.alb_ip()
    spec = examples.find(manifests, "Deployment")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    del container["args"]
    script = f"echo ok > /w/healthz; {start}; {serve}"
    container.update(image=images.TOOLS, command=["sh", "-c", script], volumeMounts=[{"name": "w", "mountPath": "/w"}])
    spec["volumes"] = [{"name": "w", "emptyDir": {}}]
    spec.update(pod)
    return manifests


# A shell that doubles a string soon asks for more than the container's 64 MiB.
_EATS_MEMORY = "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done"


def _killed_once() -> Manifests:
    return _scripted(f"if [ ! -f /w/started ]; then touch /w/started; sleep 3; {_EATS_MEMORY}; fi")


def _restarts_three_times() -> Manifests:
    return _scripted("echo x >> /w/runs; if [ $(wc -l < /w/runs) -le 3 ]; then sleep 2; exit 1; fi")


def _stops_slowly() -> Manifests:
    """A server that does not notice that it should end, and is killed after 24 s."""
    manifests = _scripted(":", terminationGracePeriodSeconds=24)
    examples.find(manifests, "Deployment")["spec"]["replicas"] = 1
    return manifests


def _udp(check_port: str) -> Manifests:
    """A UDP Service whose TCP check asks a port that nobody opens."""
    return examples.nlb_ip(
        annotations={
            f"{NLB}healthcheck-protocol": "tcp",
            f"{NLB}healthcheck-path": None,
            f"{NLB}healthcheck-port": check_port,
        },
        app={"args": ("--listen", "udp://:5353", "--listen", ":8080", "--path", "/healthz=200")},
        service={"ports": [{"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"}]},
    )


def _external_name() -> Manifests:
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"type": "ExternalName", "externalName": "shop.example.com", "ports": [{"port": 80}]},
        },
        examples.alb_ip()[2],
    ]


def _endpoints_by_hand() -> Manifests:
    manifests = examples.alb_ip()
    examples.find(manifests, "Service")["spec"].pop("selector")
    return [
        *manifests,
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": ["10.0.1.200"]}],
        },
    ]


def several(number: int) -> Seen:
    """Wait for some targets of any state."""
    return lambda lab, ns: until(lambda: len(lab.target_health(ns)) >= number, f"{number} targets")


def both(*steps: Seen) -> Seen:
    def look(lab: Lab, ns: str) -> object:
        return [step(lab, ns) for step in steps]

    return look


@contextmanager
def _proxy_protocol_switched_on(lab: Lab, ns: str) -> Iterator[None]:
    switched = [{"Key": "proxy_protocol_v2.enabled", "Value": "true"}]
    for arn in lab.target_group_arns(ns):
        lab.aws("elbv2").modify_target_group_attributes(TargetGroupArn=arn, Attributes=switched)
    yield


@contextmanager
def _without_its_type(lab: Lab, ns: str) -> Iterator[None]:
    changed = {"spec": {"type": "ClusterIP", "loadBalancerClass": None}}
    lab.kubectl("patch", "service/web", "-n", ns, "--type=merge", "-p", json.dumps(changed))
    yield


_UNREADY = ("--listen", ":8080", "--path", "/healthz=200", "--path", "/ready=503")

SCENARIOS: Sequence[Scenario] = [
    Scenario(
        "own-binding-target-group-deleted",
        lambda: examples.alb_ip()[:2],
        ["LBD113"],
        settled(12),
        subject="tgb/own",
        setup=own_binding,
        fault=_group_deleted,
        object="TargetGroupBinding/own",
    ),
    Scenario(
        "own-binding-service-port-removed",
        lambda: examples.alb_ip()[:2],
        ["LBD115"],
        settled(3),
        subject="tgb/own",
        setup=own_binding,
        fault=_port_renumbered,
        object="TargetGroupBinding/own",
        exit=0,
    ),
    Scenario(
        "own-binding-service-port-removed-and-pods-replaced",
        lambda: examples.alb_ip()[:2],
        ["LBD115"],
        empty,
        subject="tgb/own",
        setup=own_binding,
        fault=_port_renumbered_and_restarted,
        object="TargetGroupBinding/own",
    ),
    Scenario(
        "own-binding-path-wrong",
        lambda: examples.alb_ip()[:2],
        ["LBD301"],
        unhealthy(REFUSED),
        subject="tgb/own",
        setup=own_binding,
        fault=_modified(HealthCheckProtocol="HTTP", HealthCheckPath="/nowhere"),
        says=("aws elbv2 modify-target-group",),
        value="/healthz",
    ),
    Scenario(
        "own-binding-target-port-wrong",
        lambda: [examples.app(), examples.service(target_port=9090)],
        ["LBD307"],
        unhealthy(REFUSED),
        subject="tgb/own",
        setup=own_binding,
        object="Service/web",
    ),
    Scenario(
        "binding-deleted",
        examples.alb_ip,
        ["LBD109"],
        settled(5),
        fault=lambda lab, ns: _kubectl(lab, ns, "delete", "targetgroupbinding", "--all"),
    ),
    Scenario(
        "deletion-protected",
        lambda: examples.alb_ip(annotations={f"{ALB}load-balancer-attributes": "deletion_protection.enabled=true"}),
        ["LBD116"],
        settled(MINUTE + 5),
        fault=lambda lab, ns: _protected(lab, ns),
        exit=0,
    ),
    Scenario(
        "address-of-a-load-balancer",
        examples.alb_ip,
        ["LBD211"],
        lambda lab, ns: lab.wait_targets(ns, "unused", "Target.IpUnusable", all_or_any="any"),
        fault=_balancer_address_registered,
    ),
    Scenario("external-name", _external_name, ["LBD220"], settled(6), object="Service/web"),
    Scenario("endpoints-by-hand", _endpoints_by_hand, ["LBD212"], settled(6), object="Service/web"),
    Scenario(
        "gates-closed-by-wrong-path",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-path": "/nowhere"}),
        ["LBD301"],
        both(settled(10), unhealthy(MISMATCH, "any")),
        setup=_gates,
        object="Ingress/web",
    ),
    Scenario(
        "gates-not-injected",
        lambda: examples.alb_ip(app={"replicas": 1}),
        ["LBD215"],
        settled(2),
        fault=_gates_asked_for_late,
        exit=0,
    ),
    Scenario(
        "check-changed-in-aws",
        examples.alb_ip,
        ["LBD311"],
        unhealthy(MISMATCH),
        fault=_modified(HealthCheckPath="/changed"),
    ),
    Scenario(
        "check-interval-changed-in-aws",
        examples.alb_ip,
        ["LBD311"],
        settled(90),
        fault=_modified(HealthCheckIntervalSeconds=60),
        exit=0,
    ),
    Scenario(
        "one-path-for-two-backends",
        _two_backends,
        ["LBD301", "LBD312"],
        unhealthy(MISMATCH, "any", 2),
    ),
    Scenario("udp-check-port-closed", lambda: _udp("9999"), ["LBD315"], unhealthy(REFUSED), subject="svc/web"),
    Scenario(
        "memory-loop", lambda: _scripted(f"sleep 1; {_EATS_MEMORY}"), ["LBD403"], restarts(2), object="Deployment/web"
    ),
    Scenario(
        "killed-for-memory-once",
        _killed_once,
        ["LBD405"],
        both(restarts(1), settled(3), healthy()),
        object="Deployment/web",
        exit=0,
    ),
    Scenario(
        "restarted-three-times",
        _restarts_three_times,
        ["LBD407"],
        both(restarts(3), settled(3), healthy()),
        object="Deployment/web",
        exit=0,
    ),
    Scenario(
        "one-zone-without-target",
        lambda: examples.nlb_ip(app={"pod": {"nodeSelector": {"kubernetes.io/hostname": "node1"}}}),
        ["LBD603"],
        healthy(),
        subject="svc/web",
        exit=0,
    ),
    Scenario(
        "old-health-check-node-port",
        lambda: examples.nlb_instance(annotations={f"{NLB}healthcheck-path": None, f"{NLB}healthcheck-protocol": None}),
        ["LBD605"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=_modified(HealthCheckPort="31999", HealthCheckPath="/healthz", HealthCheckProtocol="HTTP"),
    ),
    Scenario(
        "stops-before-it-is-deregistered",
        _stops_slowly,
        ["LBD701"],
        settled(4),
        fault=lambda lab, ns: _kubectl(lab, ns, "rollout", "restart", "deployment/web"),
        exit=0,
    ),
    Scenario(
        "all-pods-on-one-node",
        lambda: _with_pod("ip", nodeSelector={"kubernetes.io/hostname": "node1"}),
        ["LBD703"],
        healthy(),
        exit=0,
    ),
    Scenario(
        "unready-pods-published",
        lambda: examples.alb_ip(
            app={"args": _UNREADY, "readiness": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}},
            service={"spec": {"publishNotReadyAddresses": True}},
        ),
        ["LBD404"],
        both(healthy(), settled(20)),
    ),
    Scenario(
        "weighted-action",
        _weighted,
        ["LBD307"],
        both(several(4), unhealthy(REFUSED, "any", 2)),
        object="Service/blue",
    ),
    Scenario(
        "default-backend",
        _default_backend,
        ["LBD201"],
        both(several(2), settled(8)),
        object="Service/rest",
    ),
    Scenario(
        "second-port",
        _two_ports,
        ["LBD307"],
        both(several(4), unhealthy(REFUSED, "any", 2)),
        object="Service/web",
    ),
    # Nobody makes a load balancer for a Service of type ClusterIP, whatever its annotations say.
    Scenario(
        "annotated-service-of-another-type",
        lambda: examples.nlb_ip(service={"type": "ClusterIP", "load_balancer_class": None}),
        ["LBD137"],
        settled(8),
        subject="svc/web",
        object="Service/web",
    ),
    # The type of a Service that had a load balancer is changed: the controller takes it away.
    Scenario(
        "type-changed-to-cluster-ip",
        examples.nlb_ip,
        ["LBD137"],
        settled(10),
        fault=_without_its_type,
        subject="svc/web",
        object="Service/web",
    ),
    # kube-proxy's health port is open on every node; only its answer by HTTP tells which nodes have a pod.
    Scenario(
        "local-policy-checked-by-tcp",
        lambda: examples.nlb_instance(
            annotations={f"{NLB}healthcheck-protocol": "tcp", f"{NLB}healthcheck-path": None},
            app={"replicas": 1},
            service={"external_traffic_policy": "Local"},
        ),
        ["LBD609"],
        healthy(),
        subject="svc/web",
        object="Service/web",
    ),
    # A shift of traffic that was done by half: both targets of the action have weight 0.
    Scenario(
        "all-weights-zero",
        lambda: [
            *examples.alb_ip(
                annotations={f"{ALB}actions.split": _action(("web", 80, 0), ("blue", 80, 0))},
                ingress={"backends": [("/", "split", "use-annotation")]},
            ),
            examples.app("blue"),
            examples.service("blue"),
        ],
        ["LBD232"],
        settled(15),
        object="Ingress/web",
    ),
    # Somebody switches proxy protocol on in AWS: checks by HTTP carry the header, too.
    Scenario(
        "proxy-protocol-switched-in-aws",
        examples.nlb_ip,
        ["LBD322"],
        unhealthy(REFUSED, count=2),
        fault=_proxy_protocol_switched_on,
        subject="svc/web",
        says=["nobody asks for it", "--fix drift"],
    ),
    Scenario(
        "group-poisoned-from-another-namespace",
        examples.alb_ip,
        ["LBD105"],
        event("FailedBuildModel"),
        setup=_shared_group,
        fault=_poisoned_elsewhere,
        object="Ingress/poison",
    ),
    Scenario(
        "subject-target-group",
        lambda: examples.alb_ip(service={"target_port": 9090}),
        ["LBD307"],
        unhealthy(REFUSED),
        subject=_first_group,
        object="Service/web",
    ),
    Scenario(
        "subject-balancer-by-dns-name",
        lambda: examples.alb_ip(annotations={f"{ALB}healthcheck-path": None}),
        ["LBD301"],
        unhealthy(MISMATCH),
        subject=_balancer_dns,
        object="Ingress/web",
    ),
    Scenario(
        "subject-balancer-by-arn",
        _two_backends,
        ["LBD301", "LBD312"],
        unhealthy(MISMATCH, "any", 2),
        subject=_balancer_arn,
    ),
]


@contextmanager
def _protected(lab: Lab, ns: str) -> Iterator[None]:
    balancer = lab.load_balancer_arn("ingress", "web", ns)
    lab.kubectl("delete", "ingress/web", "-n", ns, "--wait=false")
    try:
        yield
    finally:
        lab.aws("elbv2").modify_load_balancer_attributes(
            LoadBalancerArn=balancer, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
        )
        lab.kubectl(
            *("annotate", "ingress/web", "-n", ns, "--overwrite"),
            f"{ALB}load-balancer-attributes=deletion_protection.enabled=false",
            check=False,
        )
