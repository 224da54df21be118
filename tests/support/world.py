"""A small cluster with its AWS side, for tests: a healthy Ingress `shop/web` by default, bent one thing at a time.

`World().build()` gives a Snapshot whose every check passes; the methods replace one part. Raw objects of real reads are
tested by the recorded cases in tests/cases; this builder is for the many small variations around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.knowledge.annotation_values import ValueProblem, parse_listen_ports
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import aws, k8s, network, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import CheckResult, ObjectRef
from kubectl_lbdoctor.model.probe import PROBES, ProbeAnswer, ProbeFacts
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import AwsFacts, ClusterFacts, Context, NamespaceFacts, NetworkFacts, Snapshot
from kubectl_lbdoctor.report import build

NOW = "2026-11-23T12:00:00Z"
LONG_AGO = "2026-11-23T08:00:00Z"
JUST_NOW = "2026-11-23T11:59:55Z"
ACCOUNT = "000000000001"
REGION = "us-west-2"
ARN = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
GROUP_ARN = f"{ARN}:targetgroup/k8s-shop-web-fdbb6ec3c4/0123456789abcdef"
ALB_ARN = f"{ARN}:loadbalancer/app/k8s-shop-web-4ba434b31c/0123456789abcdef"
NLB_ARN = f"{ARN}:loadbalancer/net/k8s-shop-web-4ba434b31c/0123456789abcdef"
HOST = f"k8s-shop-web-4ba434b31c-1234567890.{REGION}.elb.amazonaws.com"
NS = "shop"


def meta(name: str, **values: Any) -> k8s.Meta:
    return k8s.Meta(**{"name": name, "namespace": NS, "created": LONG_AGO, **values})


def conditions(**values: str) -> tuple[k8s.Condition, ...]:
    return tuple(k8s.Condition(kind, status, since=LONG_AGO) for kind, status in values.items())


READY = conditions(PodScheduled="True", ContainersReady="True", Ready="True")
NOT_READY = conditions(PodScheduled="True", ContainersReady="False", Ready="False")


def container(**values: Any) -> k8s.Container:
    return k8s.Container(
        **{
            "name": "app",
            "image": "app:1",
            "ports": (k8s.ContainerPort(8080, "http"),),
            "readiness": k8s.Probe("httpGet", port="8080", path="/healthz"),
            **values,
        }
    )


def running(**values: Any) -> k8s.ContainerStatus:
    return k8s.ContainerStatus(
        **{"name": "app", "ready": True, "started": True, "state": "running", "since": LONG_AGO, **values}
    )


def pod(number: int, **values: Any) -> k8s.Pod:
    """Pod `web-abc-N` on node N, ready, of Deployment web."""
    labels = values.pop("labels", {"app": "web", "pod-template-hash": "abc"})
    owners = (k8s.OwnerReference("ReplicaSet", "web-abc", True),)
    address = f"10.0.{number}.34"
    return k8s.Pod(
        **{
            "meta": meta(f"web-abc-{number}", labels=labels, owners=owners),
            "node": f"node{number}",
            "ip": address,
            "ips": (address,),
            "phase": "Running",
            "started": LONG_AGO,
            "containers": (container(),),
            "statuses": (running(),),
            "conditions": READY,
            **values,
        }
    )


def node(number: int, **values: Any) -> k8s.Node:
    zone = {1: "a", 2: "c"}.get(number, "a")
    labels = {"topology.kubernetes.io/zone": f"{REGION}{zone}", "topology.kubernetes.io/region": REGION}
    return k8s.Node(
        **{
            "meta": k8s.Meta(f"node{number}", labels={**labels, **values.pop("labels", {})}),
            "provider_id": f"aws:///{REGION}{zone}/i-{number:017x}",
            "internal_ip": f"10.0.{number}.10",
            "conditions": conditions(Ready="True"),
            "kubelet_version": "v1.34.4",
            **values,
        }
    )


def target(
    number: int, state: str = "healthy", reason: str = "", description: str = "", **values: Any
) -> aws.TargetHealth:
    return aws.TargetHealth(
        **{
            "id": f"10.0.{number}.34",
            "port": 8080,
            "zone": f"{REGION}{'a' if number == 1 else 'c'}",
            "state": state,
            "reason": reason,
            "description": description,
            "check_port": str(values.get("port", 8080)),
            **values,
        }
    )


def mismatch(number: int, code: str, **values: Any) -> aws.TargetHealth:
    text = f"Health checks failed with these codes: [{code}]"
    return target(number, "unhealthy", "Target.ResponseCodeMismatch", text, **values)


def refused(number: int, **values: Any) -> aws.TargetHealth:
    return target(number, "unhealthy", "Target.FailedHealthChecks", "Health checks failed", **values)


def timed_out(number: int, **values: Any) -> aws.TargetHealth:
    return target(number, "unhealthy", "Target.Timeout", "Request timed out", **values)


def instance_target(number: int, state: str = "healthy", reason: str = "", **values: Any) -> aws.TargetHealth:
    return target(number, state, reason, **{"id": f"i-{number:017x}", "port": 30080, "check_port": "30080", **values})


ANYONE = network.IpPermission("-1", cidrs=("0.0.0.0/0",))
FROM_LB = network.IpPermission("tcp", 0, 65535, groups=("sg-lb",))
FROM_SELF = network.IpPermission("-1", groups=("sg-node",))
CLUSTER_TAG = {"kubernetes.io/cluster/lab": "owned"}
SUBNETS = {
    "subnet-n1": "10.0.1.0/24",
    "subnet-n2": "10.0.2.0/24",
    "subnet-a": "10.0.101.0/24",
    "subnet-c": "10.0.102.0/24",
}
OPEN_ACL = network.NetworkAcl(
    "acl-open",
    "vpc-1",
    tuple(SUBNETS),
    tuple(network.AclEntry(100, egress, True, "-1", "0.0.0.0/0") for egress in (False, True)),
    True,
)


def lb_interface(number: int) -> network.NetworkInterface:
    """The load balancer's interface in zone a (1) or c (2)."""
    return network.NetworkInterface(
        f"eni-lb{number}",
        "subnet-a" if number == 1 else "subnet-c",
        "vpc-1",
        (f"10.0.10{number}.5",),
        security_groups=("sg-lb",),
        description=f"ELB {ALB_ARN.split(':loadbalancer/')[1]}",
        requester_managed=True,
    )


def node_interface(number: int, **values: Any) -> network.NetworkInterface:
    """Node N's primary interface, which holds its pod's address too."""
    return network.NetworkInterface(
        **{
            "id": f"eni-n{number}",
            "subnet_id": f"subnet-n{number}",
            "vpc_id": "vpc-1",
            "private_ips": (f"10.0.{number}.10", f"10.0.{number}.34"),
            "security_groups": ("sg-node",),
            "instance_id": f"i-{number:017x}",
            "device_index": 0,
            **values,
        }
    )


CONTROLLER_POD = "kube-system/aws-load-balancer-controller-abc-1"
_CONTROLLER_LABELS = {"app.kubernetes.io/name": "aws-load-balancer-controller"}


def controller(**values: Any) -> k8s.Workload:
    """The controller's Deployment with one ready replica."""
    own = k8s.Container(
        "aws-load-balancer-controller",
        "public.ecr.aws/eks/aws-load-balancer-controller:v2.17.1",
        args=("--cluster-name=lab", "--ingress-class=alb", f"--aws-region={REGION}"),
    )
    return k8s.Workload(
        **{
            "kind": "Deployment",
            "meta": k8s.Meta("aws-load-balancer-controller", "kube-system", labels=_CONTROLLER_LABELS),
            "replicas": 1,
            "ready": 1,
            "selector": _CONTROLLER_LABELS,
            "template_labels": _CONTROLLER_LABELS,
            "containers": (own,),
            "service_account": "aws-load-balancer-controller",
            **values,
        }
    )


def controller_pod(**values: Any) -> k8s.Pod:
    namespace, _, name = CONTROLLER_POD.partition("/")
    return k8s.Pod(
        **{
            "meta": k8s.Meta(name, namespace, labels=_CONTROLLER_LABELS, created=LONG_AGO),
            "node": "node1",
            "ip": "10.0.1.40",
            "phase": "Running",
            "containers": controller().containers,
            "statuses": (running(name="aws-load-balancer-controller"),),
            "conditions": READY,
            "service_account": "aws-load-balancer-controller",
            **values,
        }
    )


ALB_CHECK = aws.HealthCheck(
    protocol="HTTP", path="/healthz", matcher="200", interval=15, timeout=5, healthy_threshold=2, unhealthy_threshold=2
)


@dataclass
class World:
    """Parts of the snapshot; `None` for a list means "make it from the other parts"."""

    ingress: k8s.Ingress = field(
        default_factory=lambda: k8s.Ingress(
            meta=meta("web", finalizers=("ingress.k8s.aws/resources",)),
            class_name="alb",
            paths=(k8s.IngressPath("", "/", "Prefix", k8s.IngressBackend("web", "80")),),
            addresses=(HOST,),
        )
    )
    service: k8s.Service = field(
        default_factory=lambda: k8s.Service(
            meta=meta("web"),
            type="NodePort",
            selector={"app": "web"},
            ports=(k8s.ServicePort(80, target_port="8080", node_port=30080),),
            external_traffic_policy="Cluster",
        )
    )
    pods: tuple[k8s.Pod, ...] = field(default_factory=lambda: (pod(1), pod(2)))
    nodes: tuple[k8s.Node, ...] = field(default_factory=lambda: (node(1), node(2)))
    slices: tuple[k8s.EndpointSlice, ...] | None = None
    workloads: tuple[k8s.Workload, ...] = field(
        default_factory=lambda: (
            k8s.Workload("Deployment", meta("web"), 2, 2, selector={"app": "web"}, template_labels={"app": "web"}),
        )
    )
    events: tuple[k8s.Event, ...] = ()
    group: aws.TargetGroup = field(
        default_factory=lambda: aws.TargetGroup(
            arn=GROUP_ARN,
            name="k8s-shop-web-fdbb6ec3c4",
            target_type="ip",
            protocol="HTTP",
            protocol_version="HTTP1",
            port=8080,
            load_balancer_arns=(ALB_ARN,),
            health_check=ALB_CHECK,
        )
    )
    health: tuple[aws.TargetHealth, ...] = field(default_factory=lambda: (target(1), target(2)))
    balancer: aws.LoadBalancer = field(
        default_factory=lambda: aws.LoadBalancer(
            arn=ALB_ARN,
            name="k8s-shop-web-4ba434b31c",
            dns_name=HOST,
            type="application",
            scheme="internet-facing",
            state="active",
            vpc_id="vpc-1",
            security_groups=("sg-lb",),
            zones={f"{REGION}a": "subnet-a", f"{REGION}c": "subnet-c"},
        )
    )
    binding: k8s.TargetGroupBinding | None = None
    extra_services: tuple[k8s.Service, ...] = ()
    log: str = ""
    groups: tuple[network.SecurityGroup, ...] = field(
        default_factory=lambda: (
            network.SecurityGroup("sg-lb", "lb", "vpc-1", ingress=(ANYONE,), egress=(ANYONE,)),
            network.SecurityGroup("sg-node", "node", "vpc-1", CLUSTER_TAG, (FROM_LB, FROM_SELF), (ANYONE,)),
        )
    )
    interfaces: tuple[network.NetworkInterface, ...] = field(
        default_factory=lambda: (
            *(lb_interface(n) for n in (1, 2)),
            *(node_interface(n) for n in (1, 2)),
        )
    )
    acls: tuple[network.NetworkAcl, ...] = field(default_factory=lambda: (OPEN_ACL,))
    vpc: Mapping[str, Fact[Any]] = field(default_factory=dict)
    group_attributes: Mapping[str, str] = field(default_factory=dict)
    balancer_attributes: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Fact[Any]] = field(default_factory=dict)
    cluster: Mapping[str, Fact[Any]] = field(default_factory=dict)
    aws: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[ProbeAnswer, ...] = ()
    subject: ObjectRef = ObjectRef("Ingress", NS, "web")
    asks: bool = True
    """Give Ingress or Service the annotations that ask for the check settings of `group`, where they are silent."""

    def with_service(self, **values: Any) -> World:
        return replace(self, service=replace(self.service, **values))

    def with_group(self, **values: Any) -> World:
        return replace(self, group=replace(self.group, **values))

    def instance_mode(self) -> World:
        """Instance targets on node port 30080."""
        group = replace(self.group, target_type="instance", port=30080)
        return replace(self, group=group, health=(instance_target(1), instance_target(2)))

    def _more_listeners(self) -> tuple[aws.Listener, ...]:
        """What the object asks for besides port 80, as the controller would have made it."""
        asked: dict[int, str] = {}
        if self.subject.kind == "Service":
            asked = {port.port: port.protocol for port in self.service.ports}
        elif self.subject.kind == "Ingress" and self.ingress is not None:
            with suppress(ValueProblem):
                asked = dict(parse_listen_ports(self.ingress.meta.annotations.get(ALB_PREFIX + "listen-ports", "[]")))
        arn = self.balancer.arn
        return tuple(aws.Listener(f"{arn}/{port}", arn, kind, port) for port, kind in asked.items() if port != 80)

    def as_nlb(self) -> World:
        """The same Service behind a Network Load Balancer of its own, asked about as a Service."""
        service = replace(
            self.service, type="LoadBalancer", addresses=(HOST,), load_balancer_class="service.k8s.aws/nlb"
        )
        check = replace(self.group.health_check, protocol="TCP", path="", matcher="")
        group = replace(
            self.group, protocol="TCP", protocol_version="", load_balancer_arns=(NLB_ARN,), health_check=check
        )
        balancer = replace(self.balancer, arn=NLB_ARN, type="network")
        interfaces = tuple(
            replace(i, description=i.description.replace("ELB app/", "ELB net/")) for i in self.interfaces
        )
        subject = ObjectRef("Service", NS, "web")
        return replace(self, service=service, group=group, balancer=balancer, interfaces=interfaces, subject=subject)

    def made_slices(self) -> tuple[k8s.EndpointSlice, ...]:
        """What the EndpointSlice controller makes of Service and pods."""
        if self.slices is not None:
            return self.slices
        made = []
        for service in (self.service, *self.extra_services):
            endpoints, ports = [], []
            for p in self.pods:
                if not service.selector or not service.selector.items() <= p.meta.labels.items():
                    continue
                endpoints.append(
                    k8s.Endpoint(
                        (p.ip,),
                        p.is_ready or service.publish_not_ready,
                        node=p.node,
                        target_kind="Pod",
                        target_name=p.meta.name,
                    )
                )
            for port in service.ports:
                number = (
                    int(port.target)
                    if port.target.isdigit()
                    else next((n for p in self.pods if (n := p.named_port(port.target))), None)
                )
                if number is not None:
                    ports.append(k8s.EndpointPort(number, port.name, port.protocol))
            slice_meta = meta(f"{service.meta.name}-x1", labels={"kubernetes.io/service-name": service.meta.name})
            made.append(k8s.EndpointSlice(slice_meta, service.meta.name, "IPv4", tuple(ports), tuple(endpoints)))
        return tuple(made)

    def made_binding(self) -> k8s.TargetGroupBinding:
        if self.binding is not None:
            return self.binding
        stack = "ingress" if self.subject.kind == "Ingress" else "service"
        labels = {f"{stack}.k8s.aws/stack-namespace": NS, f"{stack}.k8s.aws/stack-name": "web"}
        return k8s.TargetGroupBinding(
            meta=meta(self.group.name, labels=labels),
            target_group_arn=self.group.arn,
            target_type=self.group.target_type,
            service=self.service.meta.name,
            port=str(self.service.ports[0].port),
            networking=(),
        )

    def asking(self) -> World:
        """The same with annotations that ask for the check settings which the target group has."""
        check, nlb = self.group.health_check, self.subject.kind == "Service"
        if self.subject.kind == "TargetGroupBinding":
            return replace(self, asks=False)
        prefix = "service.beta.kubernetes.io/aws-load-balancer-" if nlb else "alb.ingress.kubernetes.io/"
        seconds, count = ("", "") if nlb else ("-seconds", "-count")
        head = "healthcheck-" if nlb else ""
        asked = {f"healthcheck-interval{seconds}": check.interval, f"healthcheck-timeout{seconds}": check.timeout}
        asked |= {f"{head}healthy-threshold{count}": check.healthy_threshold}
        asked |= {f"{head}unhealthy-threshold{count}": check.unhealthy_threshold}
        texts = {name: str(value) for name, value in asked.items() if value} | {"healthcheck-protocol": check.protocol}
        if check.protocol in ("HTTP", "HTTPS"):
            texts |= {"healthcheck-path": check.path, f"{head}success-codes": check.matcher}
        if all(t.state == "healthy" for t in self.health):
            texts["healthcheck-port"] = check.port
        own = self.service.meta if nlb else self.ingress.meta
        theirs = {} if nlb else self.service.meta.annotations
        added = {prefix + name: text for name, text in texts.items() if text and prefix + name not in theirs}
        made = replace(own, annotations={**added, **own.annotations})
        if nlb:
            return replace(self.with_service(meta=made), asks=False)
        return replace(self, ingress=replace(self.ingress, meta=made), asks=False)

    def build(self) -> Snapshot:
        if self.asks:
            return self.asking().build()
        namespace = {
            "ingresses": Fact.known(reads.INGRESSES, (self.ingress,)),
            "services": Fact.known(reads.SERVICES, (self.service, *self.extra_services)),
            "slices": Fact.known(reads.ENDPOINT_SLICES, self.made_slices()),
            "pods": Fact.known(reads.PODS, self.pods),
            "bindings": Fact.known(reads.BINDINGS, (self.made_binding(),)),
            "events": Fact.known(reads.EVENTS, self.events),
            "workloads": Fact.known(reads.WORKLOADS, self.workloads),
            "namespace": Fact.known(reads.NAMESPACES, k8s.Namespace(k8s.Meta(NS))),
            "policies": Fact.known(reads.NETWORK_POLICIES, ()),
            **self.facts,
        }
        cluster = {
            "nodes": Fact.known(reads.NODES, self.nodes),
            "ingress_classes": Fact.known(
                reads.INGRESS_CLASSES, (k8s.IngressClass(k8s.Meta("alb"), "ingress.k8s.aws/alb"),)
            ),
            "class_params": Fact.known(reads.INGRESS_CLASS_PARAMS, ()),
            "kube_proxy": Fact.known(reads.KUBE_PROXY, ()),
            "kube_proxy_pods": Fact.known(reads.KUBE_PROXY_PODS, ()),
            "controllers": Fact.known(reads.CONTROLLER, (controller(),)),
            "controller_pods": Fact.known(reads.CONTROLLER_PODS, (controller_pod(),)),
            "controller_logs": {CONTROLLER_POD: Fact.known(reads.CONTROLLER_LOGS, self.log, CONTROLLER_POD)},
            "webhooks": Fact.known(reads.WEBHOOKS, ()),
            "webhook_slices": Fact.known(reads.WEBHOOK_SLICES, ()),
            "group_ingresses": Fact.known(reads.ALL_INGRESSES, (self.ingress,)),
            **self.cluster,
        }
        listener = aws.Listener(f"{self.balancer.arn}/80", self.balancer.arn, "HTTP", 80)
        rule = aws.ListenerRule("rule-1", listener.arn, "1", (), ("/*",), (aws.Action("forward", {self.group.arn: 1}),))
        cloud = {
            "load_balancers": {HOST: Fact.known(reads.LOAD_BALANCERS, self.balancer, HOST)},
            "listeners": {self.balancer.arn: Fact.known(reads.LISTENERS, (listener, *self._more_listeners()))},
            "rules": {listener.arn: Fact.known(reads.RULES, (rule,))},
            "target_groups": {self.group.arn: Fact.known(reads.TARGET_GROUPS, self.group, self.group.arn)},
            "target_health": {self.group.arn: Fact.known(reads.TARGET_HEALTH, self.health, self.group.arn)},
            "group_attributes": {
                self.group.arn: Fact.known(reads.TARGET_GROUP_ATTRIBUTES, self.group_attributes, self.group.arn)
            },
            "balancer_attributes": {
                self.balancer.arn: Fact.known(
                    reads.LOAD_BALANCER_ATTRIBUTES, self.balancer_attributes, self.balancer.arn
                )
            },
            **self.aws,
        }
        vpc = {
            "interfaces": Fact.known(reads.NETWORK_INTERFACES, self.interfaces),
            "security_groups": Fact.known(reads.SECURITY_GROUPS, self.groups),
            "subnets": Fact.known(
                reads.SUBNETS, tuple(network.Subnet(name, "vpc-1", (cidr,)) for name, cidr in SUBNETS.items())
            ),
            "acls": Fact.known(reads.NETWORK_ACLS, self.acls),
            "route_tables": Fact.known(
                reads.ROUTE_TABLES,
                (
                    network.RouteTable(
                        "rtb-1",
                        "vpc-1",
                        main=True,
                        routes=(
                            network.VpcRoute("10.0.0.0/16", target="local"),
                            network.VpcRoute("0.0.0.0/0", target="igw-1"),
                        ),
                    ),
                ),
            ),
            "prefix_lists": Fact.known(reads.PREFIX_LISTS, ()),
            **self.vpc,
        }
        return Snapshot(
            taken_at=NOW,
            context=Context("lab", "https://lab", NS, REGION, ACCOUNT, "lab"),
            subjects=(self.subject,),
            namespaces={NS: NamespaceFacts(**namespace)},
            cluster=ClusterFacts(**cluster),
            aws=AwsFacts(**cloud),
            network=NetworkFacts(**vpc),
            probes=ProbeFacts(Fact.known(PROBES, self.answers)) if self.answers else ProbeFacts(),
        )

    def results(self) -> tuple[CheckResult, ...]:
        return run(CATALOGUE, traffic_paths(self.build()))

    def report(self) -> Report:
        snapshot = self.build()
        joined = traffic_paths(snapshot)
        return build(snapshot, joined, run(CATALOGUE, joined), CATALOGUE)

    def codes(self) -> list[str]:
        """Codes of the diagnoses in their order, information left out."""
        return [d.finding.code for d in self.report().diagnoses if d.severity.value != "info"]
