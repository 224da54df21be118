"""EKS Auto Mode on the lab: its API group, and what AWS does for the Ingresses and Services of its classes.

Auto Mode's controller runs in AWS and nobody has its program, so `Play` does its part with AWS's own names: tags,
labels and finalizers are those that clusters show (docs/facts.md, "EKS Auto Mode"); what nobody shows is made after the
controller's. As the controller's, its work is repeated while it lasts: what is set in an object reaches AWS.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import ClientError

from tests.lab import cluster, topology
from tests.lab.api import AUTO_MODE, Lab
from tests.lab.examples import ALB, NLB, Manifest
from tests.lab.progress import LabError, wait_until

CLASS = f"{AUTO_MODE}/alb"
SERVICE_CLASS = f"{AUTO_MODE}/nlb"
CLUSTER_TAG = "eks:eks-cluster-name"
BACKEND_GROUP = "ManagedBackendSecurityGroup"
BACKEND_RULE = f"{AUTO_MODE}/targetGroupBinding=shared"
_SECONDS = 1.0
_DEFINITIONS = cluster.MANIFESTS / "auto-mode.yaml"
_KINDS = ("ingressclassparams", "targetgroupbindings")
_SETTINGS = {
    "healthcheck-path": "HealthCheckPath",
    "healthcheck-port": "HealthCheckPort",
    "healthcheck-interval-seconds": "HealthCheckIntervalSeconds",
    "healthcheck-timeout-seconds": "HealthCheckTimeoutSeconds",
    "healthy-threshold-count": "HealthyThresholdCount",
    "unhealthy-threshold-count": "UnhealthyThresholdCount",
}
_SETTINGS_OF_SERVICES = {
    "healthcheck-path": "HealthCheckPath",
    "healthcheck-port": "HealthCheckPort",
    "healthcheck-protocol": "HealthCheckProtocol",
    "healthcheck-interval": "HealthCheckIntervalSeconds",
    "healthcheck-timeout": "HealthCheckTimeoutSeconds",
    "healthcheck-healthy-threshold": "HealthyThresholdCount",
    "healthcheck-unhealthy-threshold": "UnhealthyThresholdCount",
}
_NUMBERS = ("Count", "Seconds")
_OWNERS = {"ingress": ("networking.k8s.io/v1", "Ingress"), "service": ("v1", "Service")}


@contextmanager
def served(lab: Lab) -> Iterator[None]:
    """The cluster serves Auto Mode's group, as every cluster does on which Auto Mode was ever switched on. Several
    processes may want it at once: the last one takes it away."""
    with (topology.run_dir() / "auto-mode.lock").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        lab.kubectl("apply", "-f", str(_DEFINITIONS))
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            for kind in _KINDS:
                lab.kubectl("wait", "--for=condition=Established", f"crd/{kind}.{AUTO_MODE}", "--timeout=30s")
            wait_until("Auto Mode's group", _is_served, timeout=30)
            _forget_discovery(lab)
            yield
        finally:
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lab.kubectl("delete", "--ignore-not-found", "--wait=true", "-f", str(_DEFINITIONS))
                wait_until("the end of Auto Mode's group", lambda: not _is_served(), timeout=30)
                _forget_discovery(lab)


def _is_served() -> bool:
    return all(cluster.get(f"/apis/{AUTO_MODE}/v1/{kind}") for kind in _KINDS)


def _forget_discovery(lab: Lab) -> None:
    """kubectl keeps for hours what the cluster serves; this look does not, and writes it down anew."""
    lab.kubectl("api-resources", f"--api-group={AUTO_MODE}", check=False)


def ingress_class(name: str, **spec: Any) -> list[Manifest]:
    """An IngressClass of Auto Mode with its IngressClassParams; they belong to no namespace."""
    reference = {"apiGroup": AUTO_MODE, "kind": "IngressClassParams", "name": name}
    return [
        {
            "apiVersion": f"{AUTO_MODE}/v1",
            "kind": "IngressClassParams",
            "metadata": {"name": name},
            "spec": {"scheme": "internet-facing", **spec},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": name},
            "spec": {"controller": CLASS, "parameters": reference},
        },
    ]


@contextmanager
def class_made(lab: Lab, name: str, **spec: Any) -> Iterator[str]:
    """Such a class for as long as the block runs."""
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": ingress_class(name, **spec)})
    lab.kubectl("apply", "-f", "-", stdin=manifests)
    try:
        yield name
    finally:
        lab.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=manifests)


def binding(name: str, arn: str, service: str, port: int, target_type: str, labels: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": f"{AUTO_MODE}/v1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "targetGroupARN": arn,
            "targetType": target_type,
            "ipAddressType": "ipv4",
            "serviceRef": {"name": service, "port": port},
        },
    }


class Play:
    """Does in one namespace what AWS does for objects of Auto Mode, again and again until its block ends.

    with Play(lab, namespace, class_name): ...
    """

    def __init__(self, lab: Lab, namespace: str, class_name: str = "") -> None:
        self._lab, self._namespace, self._class = lab, namespace, class_name
        self._elb, self._ec2 = lab.aws("elbv2"), lab.aws("ec2")
        self._balancers: dict[str, str] = {}
        self._groups: dict[str, str] = {}
        self._listeners: set[tuple[str, int]] = set()
        self._security_groups: list[str] = []
        self._rules: dict[int, dict[str, Any]] = {}
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Play:
        self._backend = self._security_group(
            f"k8s-traffic-{self._namespace}", "[k8s] Shared Backend SecurityGroup for LoadBalancers", BACKEND_GROUP, ""
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)
        self._take_down()
        if self._failure is not None:
            raise LabError(f"the play of Auto Mode has stopped: {self._failure!r}")

    @property
    def backend_group(self) -> str:
        """The security group that all its load balancers carry, which the nodes admit."""
        return self._backend

    @property
    def node_rules(self) -> list[dict[str, Any]]:
        """What it has written on the nodes' security group."""
        return list(self._rules.values())

    def _repeat(self) -> None:
        while not self._over.wait(_SECONDS):
            try:
                self._reconcile()
            except ClientError:
                continue  # A fault of the test's; the next round tries again, as AWS does.
            except Exception as failure:
                self._failure = failure
                return

    def _listed(self, path: str) -> list[Manifest]:
        items: list[Manifest] = cluster.get(path.format(self._namespace)).get("items", [])
        return items

    def _reconcile(self) -> None:
        services = {s["metadata"]["name"]: s for s in self._listed("/api/v1/namespaces/{}/services")}
        for ingress in self._listed("/apis/networking.k8s.io/v1/namespaces/{}/ingresses"):
            if self._class and ingress["spec"].get("ingressClassName") == self._class:
                self._ingress(ingress, services)
        for service in services.values():
            if service["spec"].get("loadBalancerClass") == SERVICE_CLASS:
                self._service(service)
        for item in self._lab.bindings(self._namespace):
            if item["apiVersion"].startswith(AUTO_MODE) and item["spec"]["serviceRef"]["name"] in services:
                self._targets(item, services[item["spec"]["serviceRef"]["name"]])

    # --- load balancers ----------------------------------------------------------------------------------------------

    def _ingress(self, ingress: Manifest, services: Mapping[str, Manifest]) -> None:
        annotations = ingress["metadata"].get("annotations", {})
        params = cluster.get(f"/apis/{AUTO_MODE}/v1/ingressclassparams/{self._class}").get("spec", {})
        balancer = self._balancer(ingress, "ingress", "application", params.get("scheme", "internal"))
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = services.get(backend["name"])
                if service is None:
                    continue
                settings = {**annotations, **service["metadata"].get("annotations", {})}
                kind = settings.get(f"{ALB}target-type", "ip")
                asked = {field: settings[ALB + key] for key, field in _SETTINGS.items() if ALB + key in settings}
                port = backend["port"]["number"]
                arn = self._target_group(ingress, "ingress", f"{backend['name']}:{port}", kind, "HTTP", asked)
                self._listener(balancer, 80, "HTTP", arn)
                self._bind(ingress, "ingress", arn, backend["name"], port, kind)

    def _service(self, service: Manifest) -> None:
        annotations, name = service["metadata"].get("annotations", {}), service["metadata"]["name"]
        balancer = self._balancer(service, "service", "network", annotations.get(f"{NLB}scheme", "internal"))
        kind = annotations.get(f"{NLB}nlb-target-type", "ip")
        asked = {f: annotations[NLB + k] for k, f in _SETTINGS_OF_SERVICES.items() if NLB + k in annotations}
        for port in service["spec"]["ports"]:
            arn = self._target_group(service, "service", f"{name}:{port['port']}", kind, "TCP", asked)
            self._listener(balancer, port["port"], "TCP", arn)
            self._bind(service, "service", arn, name, port["port"], kind)

    def _tags(self, stack: str, resource: str, of: str) -> list[dict[str, str]]:
        tags = {CLUSTER_TAG: topology.CLUSTER_NAME, f"{of}.{AUTO_MODE}/resource": resource}
        if stack:
            tags[f"{of}.{AUTO_MODE}/stack"] = stack
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def _security_group(self, name: str, description: str, resource: str, stack: str, of: str = "ingress") -> str:
        group: str = self._ec2.create_security_group(
            GroupName=name,
            Description=description,
            VpcId=self._lab.state["vpc_id"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": self._tags(stack, resource, of)}],
        )["GroupId"]
        self._security_groups.append(group)
        return group

    def _balancer(self, owner: Manifest, of: str, kind: str, scheme: str) -> str:
        name = owner["metadata"]["name"]
        stack, balancer_name = f"{self._namespace}/{name}", self._name(of, name)
        if balancer_name in self._balancers:
            return self._balancers[balancer_name]
        front = self._security_group(
            balancer_name, "[k8s] Managed SecurityGroup for LoadBalancer", "ManagedLBSecurityGroup", stack, of
        )
        anyone = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self._ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[anyone])
        public = scheme == "internet-facing"
        made = self._elb.create_load_balancer(
            Name=balancer_name,
            Type=kind,
            Scheme=scheme,
            Subnets=[self._lab.state["subnets"][s.name] for s in topology.SUBNETS if s.public is public],
            SecurityGroups=[front, self._backend],
            Tags=self._tags(stack, "LoadBalancer", of),
        )["LoadBalancers"][0]
        arn: str = made["LoadBalancerArn"]
        self._balancers[balancer_name] = arn
        finalizers = {"metadata": {"finalizers": [f"{of}.{AUTO_MODE}/resources"]}}
        self._lab.patch(of, name, self._namespace, finalizers)
        status = {"status": {"loadBalancer": {"ingress": [{"hostname": made["DNSName"]}]}}}
        self._lab.patch(of, name, self._namespace, status, subresource="status")
        self._event(owner, of, "SuccessfullyReconciled", "Successfully reconciled")
        return arn

    def _name(self, of: str, name: str) -> str:
        digest = hashlib.sha256(f"{self._namespace}/{of}/{name}".encode()).hexdigest()[:10]
        return f"k8s-{self._namespace[:8]}-{name[:8]}-{digest}"

    def _event(self, owner: Manifest, of: str, reason: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        api, kind = _OWNERS[of]
        about = {key: owner["metadata"][key] for key in ("name", "namespace", "uid")}
        manifest = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{owner['metadata']['name']}.", "namespace": self._namespace},
            "involvedObject": {"apiVersion": api, "kind": kind, **about},
            "type": "Normal",
            "reason": reason,
            "message": message,
            "source": {"component": of},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._lab.kubectl("create", "-f", "-", stdin=json.dumps(manifest))

    def _listener(self, balancer: str, port: int, protocol: str, arn: str) -> None:
        if (balancer, port) not in self._listeners:
            self._elb.create_listener(
                LoadBalancerArn=balancer,
                Port=port,
                Protocol=protocol,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
            )
            self._listeners.add((balancer, port))

    # --- target groups -----------------------------------------------------------------------------------------------

    def _target_group(
        self, owner: Manifest, of: str, resource: str, kind: str, protocol: str, asked: Mapping[str, str]
    ) -> str:
        """The target group of one backend, whose check is as the objects ask for it now."""
        name = self._name(of, resource.replace(":", "-"))
        check: dict[str, Any] = {k: int(v) if k.endswith(_NUMBERS) else v for k, v in asked.items()}
        if "HealthCheckProtocol" in check:
            check["HealthCheckProtocol"] = check["HealthCheckProtocol"].upper()
        if name not in self._groups:
            stack = f"{self._namespace}/{owner['metadata']['name']}"
            tag = f"{stack}-{resource}" if of == "ingress" else f"{self._namespace}/{resource}"
            made = self._elb.create_target_group(
                Name=name,
                Protocol=protocol,
                Port=80,
                VpcId=self._lab.state["vpc_id"],
                TargetType=kind,
                Tags=self._tags(stack, tag, of),
                **check,
            )["TargetGroups"][0]
            self._groups[name] = made["TargetGroupArn"]
        arn = self._groups[name]
        if check:
            now = self._elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]
            if any(str(now.get(key)) != str(value) for key, value in check.items()):
                self._elb.modify_target_group(TargetGroupArn=arn, **check)
        return arn

    def _bind(self, owner: Manifest, of: str, arn: str, service: str, port: int, kind: str) -> None:
        name = arn.split("/")[1]
        if not cluster.get(f"/apis/{AUTO_MODE}/v1/namespaces/{self._namespace}/targetgroupbindings/{name}"):
            stack = {"stack-name": owner["metadata"]["name"], "stack-namespace": self._namespace}
            labels = {f"{of}.{AUTO_MODE}/{key}": value for key, value in stack.items()}
            made = binding(name, arn, service, port, kind, labels)
            admitted = {"securityGroup": {"groupID": self._backend}}
            made["spec"]["networking"] = {"ingress": [{"from": [admitted], "ports": [{"protocol": "TCP"}]}]}
            self._lab.apply(made, self._namespace)

    def _targets(self, bound: Manifest, service: Manifest) -> None:
        """Register what the binding's Service has behind it now, and nothing else."""
        arn, asked = bound["spec"]["targetGroupARN"], bound["spec"]["serviceRef"]["port"]
        port = next((p for p in service["spec"]["ports"] if asked in (p["port"], p.get("name"))), None)
        by_instance = bound["spec"].get("targetType") == "instance"
        wanted = set() if port is None else self._nodes(port) if by_instance else self._pods(service, port)
        answer = self._elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        there = {(t["Target"]["Id"], t["Target"]["Port"]) for t in answer if t["TargetHealth"]["State"] != "draining"}
        for act, targets in (
            (self._elb.register_targets, wanted - there),
            (self._elb.deregister_targets, there - wanted),
        ):
            if targets:
                act(TargetGroupArn=arn, Targets=[{"Id": i, "Port": number} for i, number in sorted(targets)])
        for number in {number for _, number in wanted}:
            self._admit(number)

    def _pods(self, service: Manifest, port: Mapping[str, Any]) -> set[tuple[str, int]]:
        label = f"kubernetes.io/service-name={service['metadata']['name']}"
        found = set()
        for part in self._listed(f"/apis/discovery.k8s.io/v1/namespaces/{{}}/endpointslices?labelSelector={label}"):
            numbers = [p["port"] for p in part.get("ports") or () if p.get("name", "") == port.get("name", "")]
            for endpoint in part.get("endpoints") or ():
                if endpoint["conditions"].get("ready"):
                    found |= {(address, number) for address in endpoint["addresses"] for number in numbers}
        return found

    def _nodes(self, port: Mapping[str, Any]) -> set[tuple[str, int]]:
        number = port.get("nodePort")
        return {(i["id"], number) for i in self._lab.state["instances"].values()} if number else set()

    def _admit(self, port: int) -> None:
        """The nodes' group lets the shared group in; written once, as the controller does it."""
        if port not in self._rules:
            pairs = [{"GroupId": self._backend, "Description": BACKEND_RULE}]
            rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": pairs}
            self._ec2.authorize_security_group_ingress(GroupId=self._lab.state["cluster_sg"], IpPermissions=[rule])
            self._rules[port] = rule

    # --- the end -----------------------------------------------------------------------------------------------------

    def _take_down(self) -> None:
        """All that was made, also when the test has failed in the middle."""
        for resource in ("ingress", "service"):
            for item in self._lab.objects(resource, self._namespace):
                if any(AUTO_MODE in f for f in item["metadata"].get("finalizers", ())):
                    name = item["metadata"]["name"]
                    self._lab.kubectl("delete", resource, name, "-n", self._namespace, "--wait=false")
                    with suppress(LabError):  # It may be gone by now.
                        self._lab.patch(resource, name, self._namespace, {"metadata": {"finalizers": None}})
        self._lab.kubectl("delete", f"targetgroupbindings.{AUTO_MODE}", "--all", "-n", self._namespace, check=False)
        for arn in self._balancers.values():
            self._elb.delete_load_balancer(LoadBalancerArn=arn)
        for arn in self._groups.values():
            self._elb.delete_target_group(TargetGroupArn=arn)
        for rule in self._rules.values():
            with suppress(ClientError):  # A test may have revoked it.
                self._ec2.revoke_security_group_ingress(GroupId=self._lab.state["cluster_sg"], IpPermissions=[rule])
        for group in reversed(self._security_groups):
            self._ec2.delete_security_group(GroupId=group)
