"""A cluster of any size with its AWS side, as raw objects: what the API server and AWS would answer. All is healthy.

The objects are of real size (tests/support/real_size.py). `MemoryKube` and `MemoryAws` answer the product's reads from
them; `bench.server` writes them to a real API server and to moto.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any

from kubectl_lbdoctor.errors import ApiMissing
from kubectl_lbdoctor.model import selectors
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP
from tests.support import real_size

Raw = dict[str, Any]

REGION = "us-west-2"
ACCOUNT = "123456789012"
CLUSTER = "big"
# Reserved for benchmarks (RFC 2544): nothing real has such an address.
VPC_CIDR = "198.18.0.0/16"
VPC = "vpc-0123456789abcdef0"
MADE = "2026-11-23T08:00:00Z"
ALB, NLB = "alb.ingress.kubernetes.io/", "service.beta.kubernetes.io/aws-load-balancer-"
NODE_GROUP, BALANCER_GROUP = "sg-0000000000000node", "sg-0000000000balancer"
PORT = 8080
EVENT_REASONS = ("Scheduled", "Pulled", "Created", "Started", "SuccessfullyReconciled")

_ARN = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
_ZONES = (f"{REGION}a", f"{REGION}c")
# name, first address, prefix length
SUBNETS = {
    "subnet-private-a": ("198.18.0.0", 18),
    "subnet-private-c": ("198.18.64.0", 18),
    "subnet-public-a": ("198.18.128.0", 19),
    "subnet-public-c": ("198.18.160.0", 19),
}
_PRIVATE, _PUBLIC = list(SUBNETS)[:2], list(SUBNETS)[2:]
_ANYONE = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


def _address(subnet: str, number: int) -> str:
    return str(ip_address(SUBNETS[subnet][0]) + number)


@dataclass(frozen=True)
class Shape:
    """How many of each there are in the whole cluster. `ingresses` and `balanced` Services come from `services`.

    crowded: pods that belong to no Service and share the namespace team-000; they are part of `pods`.
    """

    nodes: int = 400
    namespaces: int = 100
    services: int = 2_000
    ingresses: int = 500
    balanced: int = 200
    pods: int = 10_000
    crowded: int = 3_000
    events: int = 5_000

    def scaled(self, scale: float) -> Shape:
        return Shape(**{name: max(2, round(number * scale)) for name, number in vars(self).items()})


@dataclass
class World:
    """`kube` holds lists by resource ("pods"), `elb` and `ec2` by the key of AWS's answer ("TargetGroups"); `health`
    is by target group; `subjects` are (kind, namespace, name) of everything with a load balancer."""

    kube: dict[str, list[Raw]] = field(default_factory=lambda: defaultdict(list))
    elb: dict[str, list[Raw]] = field(default_factory=lambda: defaultdict(list))
    ec2: dict[str, list[Raw]] = field(default_factory=lambda: defaultdict(list))
    health: dict[str, list[Raw]] = field(default_factory=dict)
    subjects: list[tuple[str, str, str]] = field(default_factory=list)
    _interfaces: dict[str, Raw] = field(default_factory=dict)

    @classmethod
    def with_nodes(cls, count: int) -> World:
        """A cluster of nodes, with the controller and its VPC, and nothing deployed."""
        world = cls()
        for number in range(count):
            world._node(number)
        world._vpc()
        world._controller()
        return world

    @classmethod
    def of(cls, shape: Shape) -> World:
        """A whole cluster, its applications spread over the namespaces."""
        world = cls.with_nodes(shape.nodes)
        serving = shape.pods - shape.crowded
        for number in range(shape.services):
            front = "Ingress" if number < shape.ingresses else ""
            front = "Service" if shape.ingresses <= number < shape.ingresses + shape.balanced else front
            pods = serving // shape.services + (number < serving % shape.services)
            namespace = f"team-{number % shape.namespaces:03}"
            world.application(namespace, f"app-{number:04}", pods, front)
        world.idle_pods("team-000", shape.crowded)
        everyone = world.kube["pods"]
        for number in range(shape.events):
            world._event(everyone[number % len(everyone)], EVENT_REASONS[number % len(EVENT_REASONS)], number)
        return world

    def application(self, namespace: str, name: str, pods: int, front: str = "Ingress") -> None:
        """Pods and their Service; with a `front`, an Ingress or a Service of type LoadBalancer with ip targets."""
        self._namespace(namespace)
        made = [self._pod(namespace, name) for _ in range(pods)]
        extra: dict[str, Any] = {}
        if front == "Service":
            extra = {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb"}
        service = real_size.service(name, name, namespace=namespace, **extra)
        service["status"] = {"loadBalancer": {}}
        self._add("services", service)
        self._slice(namespace, name, made)
        if front:
            self._front(front, namespace, name, service, made)

    def idle_pods(self, namespace: str, count: int) -> None:
        """Pods that belong to no Service."""
        self._namespace(namespace)
        for number in range(count):
            self._pod(namespace, f"idle-{number // 10:04}")

    # --- Kubernetes ----------------------------------------------------------------------------------------------

    def _add(self, resource: str, raw: Raw, namespace: str = "") -> Raw:
        meta = raw["metadata"]
        if namespace:
            meta["namespace"] = namespace
        meta.setdefault("creationTimestamp", MADE)
        meta.setdefault("generation", 1)
        meta.setdefault("uid", real_size.uid(resource, meta.get("namespace", ""), meta["name"]))
        self.kube[resource].append(raw)
        return raw

    def _namespace(self, name: str) -> None:
        if all(raw["metadata"]["name"] != name for raw in self.kube["namespaces"]):
            self._add("namespaces", {"metadata": {"name": name}})

    def _node(self, number: int) -> None:
        subnet, zone = _PRIVATE[number % 2], _ZONES[number % 2]
        ip = _address(subnet, 10 + number // 2)
        name = f"ip-{ip.replace('.', '-')}.{REGION}.compute.internal"
        instance = f"i-{number:017x}"
        labels = {"eks.amazonaws.com/nodegroup": "default", "node.kubernetes.io/instance-type": "m5.4xlarge"}
        provider = f"aws:///{zone}/{instance}"
        self._add("nodes", real_size.node(name, ip=ip, zone=zone, provider_id=provider, time=MADE, labels=labels))
        self._interfaces[name] = {
            "NetworkInterfaceId": f"eni-{number:017x}",
            "SubnetId": subnet,
            "VpcId": VPC,
            "PrivateIpAddress": ip,
            "PrivateIpAddresses": [{"PrivateIpAddress": ip, "Primary": True}],
            "Groups": [{"GroupId": NODE_GROUP}],
            "Attachment": {"InstanceId": instance, "DeviceIndex": 0},
            "Description": "",
            "Status": "in-use",
        }
        self.ec2["NetworkInterfaces"].append(self._interfaces[name])

    def _pod(self, namespace: str, app: str) -> Raw:
        number = len(self.kube["pods"])
        place = number % len(self.kube["nodes"])
        node = self.kube["nodes"][place]["metadata"]["name"]
        ip = _address(_PRIVATE[place % 2], 1024 + number // 2)
        interface = self._interfaces[node]
        interface["PrivateIpAddresses"].append({"PrivateIpAddress": ip, "Primary": False})
        name = f"{app}-{real_size.digest(app, length=9)}-{real_size.digest('pod', number, length=5)}"
        node_ip = interface["PrivateIpAddress"]
        made = real_size.pod(name, app, node=node, ip=ip, node_ip=node_ip, time=MADE, namespace=namespace, port=PORT)
        return self._add("pods", made)

    def _slice(self, namespace: str, service: str, pods: list[Raw]) -> None:
        endpoints = [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": pod["spec"]["nodeName"],
                "zone": _zone_of(pod),
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace},
            }
            for pod in pods
        ]
        made = {
            "metadata": {
                "name": f"{service}-{real_size.digest('slice', namespace, service, length=5)}",
                "labels": {
                    "kubernetes.io/service-name": service,
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
            "endpoints": endpoints,
        }
        self._add("endpointslices", made, namespace)

    def _event(self, pod: Raw, reason: str, number: int) -> None:
        meta = pod["metadata"]
        made = {
            "metadata": {"name": f"{meta['name']}.{number:x}"},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "name": meta["name"], "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "type": "Normal",
            "reason": reason,
            "message": f"{reason}: container app of pod {meta['namespace']}/{meta['name']}",
            "count": 1,
            "source": {"component": "kubelet", "host": pod["spec"]["nodeName"]},
            "firstTimestamp": _now(),
            "lastTimestamp": _now(),
        }  # fmt: skip
        self._add("events", made, meta["namespace"])

    def _controller(self) -> None:
        """The controller as its chart installs it, and what its flags name."""
        name, labels = "aws-load-balancer-controller", {"app.kubernetes.io/name": "aws-load-balancer-controller"}
        container = {
            "name": name,
            "image": f"public.ecr.aws/eks/{name}:v2.17.1",
            "args": [
                f"--cluster-name={CLUSTER}",
                "--ingress-class=alb",
                f"--aws-region={REGION}",
                f"--aws-vpc-id={VPC}",
            ],
            "ports": [{"containerPort": 9443, "name": "webhook-server", "protocol": "TCP"}],
        }
        spec = {"serviceAccountName": name, "containers": [container]}
        deployment = {
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
            "status": {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": 1},
        }
        self._add("deployments", deployment, "kube-system")
        node = self.kube["nodes"][0]
        pod: Raw = {
            "metadata": {"name": f"{name}-5c9f8-abcde", "labels": labels},
            "spec": {**spec, "nodeName": node["metadata"]["name"]},
        }
        pod["status"] = real_size.pod_status(pod, ip=_address(_PRIVATE[0], 900), node_ip=_ip_of(node), time=MADE)
        self._add("pods", pod, "kube-system")
        self._interfaces[node["metadata"]["name"]]["PrivateIpAddresses"].append(
            {"PrivateIpAddress": pod["status"]["podIP"], "Primary": False}
        )
        self._add("serviceaccounts", {"metadata": {"name": name}}, "kube-system")
        self._add("ingressclasses", {"metadata": {"name": "alb"}, "spec": {"controller": "ingress.k8s.aws/alb"}})

    # --- Load balancers ------------------------------------------------------------------------------------------

    def _front(self, kind: str, namespace: str, name: str, service: Raw, pods: list[Raw]) -> None:
        own = real_size.digest("balancer", namespace, name)
        title = f"k8s-{namespace[:8]}-{name[:8]}-{own[:10]}"
        layer, kind_of = ("app", "application") if kind == "Ingress" else ("net", "network")
        host = f"{title}-{int(own[:8], 16)}.{REGION}.elb.amazonaws.com"
        if kind == "Service":
            host = f"{title}-{own[:16]}.elb.{REGION}.amazonaws.com"
        balancer = f"{_ARN}:loadbalancer/{layer}/{title}/{own[:16]}"
        group = f"{_ARN}:targetgroup/{title}/{own[16:32]}"
        listener = f"{_ARN}:listener/{layer}/{title}/{own[:16]}/{own[32:48]}"
        forward = [{"Type": "forward", "TargetGroupArn": group, "Order": 1}]
        self.elb["LoadBalancers"].append(
            {
                "LoadBalancerArn": balancer,
                "LoadBalancerName": title,
                "DNSName": host,
                "Type": kind_of,
                "Scheme": "internet-facing",
                "State": {"Code": "active"},
                "VpcId": VPC,
                "IpAddressType": "ipv4",
                "SecurityGroups": [BALANCER_GROUP],
                "AvailabilityZones": [
                    {"ZoneName": zone, "SubnetId": subnet} for zone, subnet in zip(_ZONES, _PUBLIC, strict=True)
                ],
            }
        )
        fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
        self.elb["Listeners"].append(
            {
                "ListenerArn": listener,
                "LoadBalancerArn": balancer,
                "Port": 80,
                "Protocol": "HTTP" if kind == "Ingress" else "TCP",
                "DefaultActions": fixed if kind == "Ingress" else forward,
            }
        )
        if kind == "Ingress":
            self.elb["Rules"].append(
                {
                    "RuleArn": listener.replace(":listener/", ":listener-rule/") + "/" + own[48:],
                    "ListenerArn": listener,
                    "Priority": "1",
                    "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
                    "Actions": forward,
                }
            )
        http = kind == "Ingress"
        self.elb["TargetGroups"].append(
            {
                "TargetGroupArn": group,
                "TargetGroupName": title,
                "TargetType": "ip",
                "Protocol": "HTTP" if http else "TCP",
                **({"ProtocolVersion": "HTTP1"} if http else {}),
                "Port": PORT,
                "VpcId": VPC,
                "IpAddressType": "ipv4",
                "LoadBalancerArns": [balancer],
                "HealthCheckEnabled": True,
                "HealthCheckProtocol": "HTTP",
                "HealthCheckPort": "traffic-port",
                "HealthCheckPath": "/ready",
                "Matcher": {"HttpCode": "200" if http else "200-399"},
                "HealthCheckIntervalSeconds": 15 if http else 10,
                "HealthCheckTimeoutSeconds": 5 if http else 6,
                "HealthyThresholdCount": 2 if http else 3,
                "UnhealthyThresholdCount": 2 if http else 3,
            }
        )
        self.health[group] = [
            {
                "Target": {"Id": pod["status"]["podIP"], "Port": PORT, "AvailabilityZone": _zone_of(pod)},
                "HealthCheckPort": str(PORT),
                "TargetHealth": {"State": "healthy"},
            }
            for pod in pods
        ]
        self._balancer_interfaces(balancer)
        self._published(kind, namespace, name, service, host)
        self._binding(kind, namespace, name, group, title)
        self.subjects.append((kind, namespace, name))

    def _balancer_interfaces(self, balancer: str) -> None:
        for subnet in _PUBLIC:
            number = len(self.ec2["NetworkInterfaces"])
            self.ec2["NetworkInterfaces"].append(
                {
                    "NetworkInterfaceId": f"eni-{number:017x}",
                    "SubnetId": subnet,
                    "VpcId": VPC,
                    "PrivateIpAddress": _address(subnet, 10 + number),
                    "PrivateIpAddresses": [],
                    "Groups": [{"GroupId": BALANCER_GROUP}],
                    "Description": "ELB " + balancer.partition(":loadbalancer/")[2],
                    "RequesterManaged": True,
                    "Status": "in-use",
                }
            )

    def _published(self, kind: str, namespace: str, name: str, service: Raw, host: str) -> None:
        status = {"loadBalancer": {"ingress": [{"hostname": host}]}}
        if kind == "Service":
            service["metadata"]["finalizers"] = ["service.k8s.aws/resources"]
            service["metadata"]["annotations"] |= {
                f"{NLB}scheme": "internet-facing",
                f"{NLB}nlb-target-type": "ip",
                f"{NLB}healthcheck-protocol": "http",
                f"{NLB}healthcheck-path": "/ready",
                f"{NLB}healthcheck-timeout": "6",
            }
            service["status"] = status
            return
        backend = {"service": {"name": name, "port": {"number": 80}}}
        made = {
            "metadata": {
                "name": name,
                "annotations": {
                    f"{ALB}scheme": "internet-facing",
                    f"{ALB}target-type": "ip",
                    f"{ALB}healthcheck-path": "/ready",
                },
                "finalizers": ["ingress.k8s.aws/resources"],
            },
            "spec": {
                "ingressClassName": "alb",
                "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
            },
            "status": status,
        }
        self._add("ingresses", made, namespace)

    def _binding(self, kind: str, namespace: str, name: str, group: str, title: str) -> None:
        stack = kind.lower()
        made = {
            "metadata": {
                "name": title,
                "labels": {f"{stack}.k8s.aws/stack-namespace": namespace, f"{stack}.k8s.aws/stack-name": name},
                "finalizers": ["elbv2.k8s.aws/resources"],
            },
            "spec": {
                "targetGroupARN": group,
                "targetType": "ip",
                "ipAddressType": "ipv4",
                "vpcID": VPC,
                "serviceRef": {"name": name, "port": 80},
                "networking": {
                    "ingress": [
                        {
                            "from": [{"securityGroup": {"groupID": BALANCER_GROUP}}],
                            "ports": [{"port": PORT, "protocol": "TCP"}],
                        }
                    ]
                },
            },
            "status": {"observedGeneration": 1},
        }
        self._add("targetgroupbindings", made, namespace)

    def _vpc(self) -> None:
        tag = {"Key": f"kubernetes.io/cluster/{CLUSTER}", "Value": "owned"}
        admitted = [
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": NODE_GROUP}]},
            {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "UserIdGroupPairs": [{"GroupId": BALANCER_GROUP}]},
        ]
        for group, ingress, tags in ((NODE_GROUP, admitted, [tag]), (BALANCER_GROUP, _ANYONE, [])):
            self.ec2["SecurityGroups"].append(
                {
                    "GroupId": group, "GroupName": group, "VpcId": VPC, "Tags": tags,
                    "IpPermissions": ingress, "IpPermissionsEgress": _ANYONE,
                }
            )  # fmt: skip
        for number, (subnet, (first, length)) in enumerate(SUBNETS.items()):
            role = "internal-elb" if subnet in _PRIVATE else "elb"
            self.ec2["Subnets"].append(
                {
                    "SubnetId": subnet, "VpcId": VPC, "CidrBlock": f"{first}/{length}",
                    "AvailabilityZone": _ZONES[number % 2], "AvailableIpAddressCount": 4000,
                    "Tags": [{"Key": f"kubernetes.io/role/{role}", "Value": "1"}],
                }
            )  # fmt: skip
        entry = {"RuleNumber": 100, "RuleAction": "allow", "Protocol": "-1", "CidrBlock": "0.0.0.0/0"}
        self.ec2["NetworkAcls"].append(
            {
                "NetworkAclId": "acl-1", "VpcId": VPC, "IsDefault": True,
                "Associations": [{"SubnetId": subnet} for subnet in SUBNETS],
                "Entries": [{**entry, "Egress": egress} for egress in (False, True)],
            }
        )  # fmt: skip
        local = {"DestinationCidrBlock": VPC_CIDR, "GatewayId": "local", "State": "active"}
        out = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}
        for name, subnets, routes in (("public", _PUBLIC, [local, out]), ("private", _PRIVATE, [local])):
            self.ec2["RouteTables"].append(
                {
                    "RouteTableId": f"rtb-{name}", "VpcId": VPC, "Routes": routes,
                    "Associations": [{"SubnetId": subnet} for subnet in subnets],
                }
            )  # fmt: skip


def _ip_of(node: Raw) -> str:
    return str(node["status"]["addresses"][0]["address"])


def _zone_of(pod: Raw) -> str:
    return (
        _ZONES[0] if int(ip_address(pod["status"]["podIP"])) < int(ip_address(SUBNETS[_PRIVATE[1]][0])) else _ZONES[1]
    )


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- what the product reads with --------------------------------------------------------------------------------------


class MemoryKube:
    """Answers the product's reads of Kubernetes from a world."""

    def __init__(self, world: World) -> None:
        self._lists: dict[tuple[str, str], list[Raw]] = defaultdict(list)
        for resource, items in world.kube.items():
            for raw in items:
                for namespace in {"", raw["metadata"].get("namespace", "")}:
                    self._lists[resource, namespace].append(raw)

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Raw]:
        namespace, resource, _ = _parts(path)
        if f"/{AUTO_MODE_GROUP}/" in path:
            return  # A cluster without EKS Auto Mode has none of its kinds.
        given = params or {}
        labels, fields = selectors.parse(str(given.get("labelSelector", ""))), str(given.get("fieldSelector", ""))
        for raw in self._lists[resource, namespace]:
            if labels.selects(raw["metadata"].get("labels", {})) and _has_fields(raw, fields):
                yield raw

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Raw | None:
        if path == f"/apis/{AUTO_MODE_GROUP}":
            raise ApiMissing(f"the cluster does not serve {AUTO_MODE_GROUP}")
        namespace, resource, name = _parts(path)
        return next((raw for raw in self._lists[resource, namespace] if raw["metadata"]["name"] == name), None)

    def text(self, path: str, params: Mapping[str, Any] | None = None, max_bytes: int = 0) -> str:
        return ""


def _has_fields(raw: Raw, selector: str) -> bool:
    """Whether an object has the fields of a field selector: "type!=Normal,involvedObject.kind=Pod"."""
    for part in filter(None, selector.split(",")):
        field, wanted = part.replace("!=", "=").split("=")
        value: Any = raw
        for step in field.split("."):
            value = value.get(step, {})
        if (value == wanted) is ("!=" in part):
            return False
    return True


def _parts(path: str) -> tuple[str, str, str]:
    """Namespace, resource and name of a URL path."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return namespace, rest[0], rest[1] if len(rest) > 1 else ""


class MemoryAws:
    """Answers the product's reads of AWS from a world."""

    region = REGION

    def account(self) -> str:
        """Whose credentials these are."""
        return ACCOUNT

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_key = {
            "TargetGroupArn": _index(world.elb["TargetGroups"], "TargetGroupArn"),
            "LoadBalancerArn": _index(world.elb["LoadBalancers"], "LoadBalancerArn"),
            "LoadBalancerName": _index(world.elb["LoadBalancers"], "LoadBalancerName"),
            "Listeners": _index(world.elb["Listeners"], "LoadBalancerArn"),
            "Rules": _index(world.elb["Rules"], "ListenerArn"),
            "attachment.instance-id": _by(
                world.ec2["NetworkInterfaces"], lambda raw: [raw.get("Attachment", {}).get("InstanceId", "")]
            ),
            "addresses.private-ip-address": _by(
                world.ec2["NetworkInterfaces"],
                lambda raw: [raw["PrivateIpAddress"], *(a["PrivateIpAddress"] for a in raw["PrivateIpAddresses"])],
            ),
            "description": _by(world.ec2["NetworkInterfaces"], lambda raw: [raw["Description"]]),
        }

    def keep_pace(self, service: str, pace: Any) -> None:
        """Memory needs no sparing."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        if service == "cloudwatch":
            return [self._counted(query) for query in params["MetricDataQueries"]]
        if service == "ec2" and operation == "DescribeNetworkInterfaces":
            chosen = params["Filters"][0]
            return self._all(chosen["Name"], chosen["Values"])
        if service == "ec2":
            return self._world.ec2[result_key or ""]
        if operation == "DescribeTargetHealth":
            return self._world.health[params["TargetGroupArn"]]
        if operation == "DescribeTargetGroups":
            if "TargetGroupArns" not in params:
                return self._world.elb["TargetGroups"]
            return self._all("TargetGroupArn", params["TargetGroupArns"])
        if operation == "DescribeLoadBalancers":
            if "Names" in params:
                return self._all("LoadBalancerName", params["Names"])
            if "LoadBalancerArns" not in params:
                return self._world.elb["LoadBalancers"]
            return self._all("LoadBalancerArn", params["LoadBalancerArns"])
        if operation == "DescribeListeners":
            return self._all("Listeners", [params["LoadBalancerArn"]])
        if operation == "DescribeRules":
            return self._all("Rules", [params["ListenerArn"]])
        return []  # attributes and tags: nothing but defaults

    def _counted(self, query: Raw) -> Raw:
        """What CloudWatch knows of a target group: the minute that has ended."""
        metric = query["MetricStat"]["Metric"]
        dimensions = {entry["Name"]: entry["Value"] for entry in metric["Dimensions"]}
        targets = self._world.health.get(f"{_ARN}:{dimensions['TargetGroup']}", ())
        wanted = {"HealthyHostCount": "healthy", "UnHealthyHostCount": "unhealthy"}[metric["MetricName"]]
        value = sum(target["TargetHealth"]["State"] == wanted for target in targets)
        minute = datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(minutes=1)
        return {"Id": query["Id"], "Timestamps": [minute], "Values": [float(value)]}

    def _all(self, index: str, values: Iterable[str]) -> list[Raw]:
        found = [raw for value in values for raw in self._by_key[index].get(value, ())]
        return list({id(raw): raw for raw in found}.values())


def _by(items: Iterable[Raw], keys: Any) -> dict[str, list[Raw]]:
    found: dict[str, list[Raw]] = defaultdict(list)
    for raw in items:
        for key in keys(raw):
            found[key].append(raw)
    return found


def _index(items: Iterable[Raw], key: str) -> dict[str, list[Raw]]:
    return _by(items, lambda raw: [raw[key]])
