"""What a test does with the running lab: apply manifests, look at target health, run the plugin, and clean up."""

from __future__ import annotations

import functools
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import boto3
from botocore.config import Config

from tests.lab import __main__ as command
from tests.lab import build, cluster, crowd, topology
from tests.lab.progress import LabError, say

Manifest = dict[str, Any]
Every = Literal["all", "any"]

CROWDED = "crowded"

_GATEWAY = "gateways.gateway.networking.k8s.io"
_GATEWAYS = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/gateways"
AUTO_MODE = "eks.amazonaws.com"
"""The API group of EKS Auto Mode, which the lab serves while a test plays it (auto_mode.py)."""
_BINDINGS = "/apis/elbv2.k8s.aws/v1beta1/namespaces/{}/targetgroupbindings"
_BINDINGS_OF_AUTO_MODE = f"/apis/{AUTO_MODE}/v1/namespaces/{{}}/targetgroupbindings"
_INGRESSES = "/apis/networking.k8s.io/v1/namespaces/{}/ingresses"
_SERVICES = "/api/v1/namespaces/{}/services"


@dataclass(frozen=True)
class Target:
    """One target as DescribeTargetHealth shows it; `group` is the target group's ARN."""

    group: str
    id: str
    port: int
    state: str
    reason: str | None
    description: str | None

    def __str__(self) -> str:
        name = self.group.split("/")[1]
        return f"{name} {self.id}:{self.port} {self.state} {self.reason or '-'} ({self.description or '-'})"


@dataclass(frozen=True)
class Result:
    """What a run of `kubectl lbdoctor` gave."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise AssertionError(f"no JSON on standard output; exit status {self.status}\n{self}") from error

    def __str__(self) -> str:
        return f"exit status {self.status} after {self.seconds:.1f} s\n{self.stdout}{self.stderr}"


class Lab:
    """The running lab; `Lab.connect()` fails with one line when there is none."""

    def __init__(self) -> None:
        self._cache = topology.run_dir() / "kube-cache"
        self._clients: dict[str, Any] = {}

    @classmethod
    def connect(cls) -> Lab:
        build.prepare_environment()
        if not command.running():
            raise LabError("the lab is not running: make lab")
        command.check_variant()
        return cls()

    @property
    def state(self) -> dict[str, Any]:
        """Ids of VPC, subnets, instances and security groups (tests/lab/aws/seed.py)."""
        return cluster.aws_state()

    # --- Kubernetes --------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The caller's environment without any access of its own, and with the lab's for people and the doctor."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBE"))}
        programs = [str(Path(sys.executable).parent), str(build.kubernetes("kubectl").parent)]
        return {
            **own,
            **command.exports(),
            "PATH": os.pathsep.join([*programs, own.get("PATH", os.defpath)]),
            # kubectl's discovery cache belongs to this lab's API server alone.
            "KUBECACHEDIR": str(self._cache),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def kubectl(self, *args: str, check: bool = True, stdin: str | None = None, timeout: float = 120) -> str:
        """Run the lab's own kubectl as administrator; its standard output, or LabError with what it said."""
        done = subprocess.run(
            [build.kubernetes("kubectl"), *args],
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(),
        )
        if check and done.returncode:
            raise LabError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifests: Manifest | Sequence[Manifest], namespace: str) -> None:
        """`kubectl apply`; what an admission webhook refuses becomes a LabError with its words."""
        self.kubectl("apply", "--namespace", namespace, "-f", "-", stdin=_as_list(manifests))

    def delete(self, manifests: Manifest | Sequence[Manifest], namespace: str, *, wait: bool = True) -> None:
        arguments = ("delete", "--namespace", namespace, "--ignore-not-found", f"--wait={str(wait).lower()}")
        self.kubectl(*arguments, "-f", "-", stdin=_as_list(manifests))

    def patch(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
    ) -> None:
        """A list is a JSON patch, a mapping a merge patch (None removes a key)."""
        style = "merge" if isinstance(patch, Mapping) else "json"
        arguments = ["patch", kind, name, f"--type={style}", f"--patch={json.dumps(patch)}"]
        arguments += ["--namespace", namespace] if namespace else []
        arguments += [f"--subresource={subresource}"] if subresource else []
        self.kubectl(*arguments)

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        arguments = ["get", kind, name, "-o", "json", *(["--namespace", namespace] if namespace else [])]
        found: Manifest = json.loads(self.kubectl(*arguments))
        return found

    def objects(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        where = ["--namespace", namespace] if namespace else []
        answer = self.kubectl("get", kind, "-o", "json", *where, *([f"--selector={selector}"] if selector else []))
        items: list[Manifest] = json.loads(answer)["items"]
        return items

    def wait_ready_pods(self, namespace: str, selector: str, number: int, timeout: float = 60) -> list[Manifest]:
        """Wait until exactly `number` pods are Ready and no other is left; returns them."""

        def look() -> tuple[bool, list[Manifest]]:
            pods = self.objects("pods", namespace, selector)
            return len(pods) == number and all(_ready(pod) for pod in pods), pods

        return _wait(f"{number} ready pods with {selector} in {namespace}", look, timeout, _pod_line)

    @contextmanager
    def namespace(self, prefix: str = "t", *, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """A namespace for one test. Its load balancers are gone from AWS when the block ends."""
        name = f"{prefix}-{secrets.token_hex(3)}"
        metadata = {"name": name, "labels": dict(labels or {})}
        self.kubectl(
            "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        )
        try:
            yield name
        finally:
            self.clean(name)
            self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    @contextmanager
    def crowded_namespace(self) -> Iterator[str]:
        """A namespace for one test in which hundreds of idle pods of real size live, too; its name says so."""
        stand_in = crowd.StandIn(crowd.Api.of_lab())
        with self.namespace(CROWDED) as name:
            try:
                stand_in.fill(name)
                yield name
            finally:
                stand_in.empty(name)

    def clean(self, namespace: str, timeout: float = 60) -> None:
        """Delete all that has a load balancer or targets, and wait until the controller has taken them down."""
        # Ingresses, Gateways and Services first: the controller owns their bindings and would make them again.
        self.kubectl("delete", f"ingress,{_GATEWAY}", "--all", "--namespace", namespace, "--wait=false")
        balanced = [
            item["metadata"]["name"]
            for item in self.objects("service", namespace)
            if item["spec"]["type"] == "LoadBalancer" or item["metadata"].get("finalizers")
        ]
        if balanced:
            self.kubectl("delete", "service", *balanced, "--namespace", namespace, "--wait=false", "--ignore-not-found")
        for binding in self.bindings(namespace):
            if not binding["metadata"].get("ownerReferences") and not _managed(binding):
                kind = f"targetgroupbinding.{binding['apiVersion'].partition('/')[0]}"
                name = binding["metadata"]["name"]
                self.kubectl("delete", kind, name, "-n", namespace, "--wait=false", "--ignore-not-found")
        deadline = time.monotonic() + timeout
        while left := self._managed(namespace):
            if time.monotonic() > deadline:
                # Their finalizers stay: once it works again the controller takes all down, in AWS too.
                say(f"the controller has not yet taken down {', '.join(left)} of {namespace}")
                return
            time.sleep(0.2)

    def _managed(self, namespace: str) -> list[str]:
        """What the controller still has a hand on."""
        found = []
        for kind, path in (
            *(("ingress", _INGRESSES), ("service", _SERVICES), ("gateway", _GATEWAYS)),
            ("targetgroupbinding", _BINDINGS),
        ):
            for item in cluster.get(path.format(namespace)).get("items", []):
                if kind not in ("service", "gateway") or item["metadata"].get("finalizers"):
                    found.append(f"{kind}/{item['metadata']['name']}")
        return found

    @contextmanager
    def extra_node(self) -> Iterator[topology.Node]:
        """A third node, of a second node group whose security group is its own."""
        node = topology.EXTRA_NODE
        _http("POST", "/lab/extra-node")
        try:
            cluster.start_node(node)
            yield node
        finally:
            cluster.stop_node(node, forget=True)
            _http("DELETE", "/lab/extra-node")

    # --- AWS ---------------------------------------------------------------------------------------------------------

    def aws(self, service: str) -> Any:
        """A boto3 client as administrator: never denied, and counted apart from the others."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=topology.AWS_URL,
                region_name=topology.REGION,
                aws_access_key_id=topology.ADMIN_ACCESS_KEY,
                aws_secret_access_key=topology.SECRET_KEY,
                config=Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 2}),
            )
        return self._clients[service]

    def bindings(self, namespace: str) -> list[Manifest]:
        """Those of the controller's group and of EKS Auto Mode's."""
        paths = (_BINDINGS, _BINDINGS_OF_AUTO_MODE)
        return [item for path in paths for item in cluster.get(path.format(namespace)).get("items", [])]

    def target_group_arns(self, namespace: str) -> list[str]:
        """The target groups of a namespace's bindings, by the bindings' names."""
        bindings = sorted(self.bindings(namespace), key=lambda item: str(item["metadata"]["name"]))
        return [binding["spec"]["targetGroupARN"] for binding in bindings if binding["spec"].get("targetGroupARN")]

    def load_balancer_arn(self, kind: str, name: str, namespace: str) -> str:
        """The load balancer whose host name an Ingress or a Service shows in its status."""
        status = self.get(kind, name, namespace).get("status", {}).get("loadBalancer", {})
        hosts = [entry.get("hostname") for entry in status.get("ingress", [])]
        for page in self.aws("elbv2").get_paginator("describe_load_balancers").paginate():
            for balancer in page["LoadBalancers"]:
                if balancer["DNSName"] in hosts:
                    return str(balancer["LoadBalancerArn"])
        raise LabError(f"{kind}/{name} has no load balancer yet (host names {hosts})")

    def target_health(self, namespace: str) -> list[Target]:
        found = []
        elb = self.aws("elbv2")
        for arn in self.target_group_arns(namespace):
            try:
                answer = elb.describe_target_health(TargetGroupArn=arn)
            except elb.exceptions.TargetGroupNotFoundException:
                continue  # the binding outlives its group for a moment
            for entry in answer["TargetHealthDescriptions"]:
                target, health = entry["Target"], entry["TargetHealth"]
                verdict = (health["State"], health.get("Reason"), health.get("Description"))
                found.append(Target(arn, target["Id"], target["Port"], *verdict))
        return sorted(found, key=lambda record: (record.group, record.id, record.port))

    def wait_targets(
        self,
        namespace: str,
        state: str,
        reason: str | None = None,
        all_or_any: Every = "all",
        count: int | None = None,
        timeout: float = 60,
    ) -> list[Target]:
        """Wait until targets are in a state, for a reason; returns all targets then.

        "all": there is at least one and every one matches, `count` is how many there are; "any": at least `count` (1)
        match, whatever the others do.
        """

        def look() -> tuple[bool, list[Target]]:
            targets = self.target_health(namespace)
            hits = [item for item in targets if item.state == state and reason in (None, item.reason)]
            if all_or_any == "any":
                return len(hits) >= (count or 1), targets
            return len(hits) == len(targets) > 0 and count in (None, len(hits)), targets

        number = "" if count is None else f" {count}"
        wanted = f"{all_or_any}{number} targets of {namespace} {state} {reason or ''}".rstrip()
        return _wait(wanted, look, timeout, str)

    def wait_no_targets(self, namespace: str, *, groups: int = 1, timeout: float = 60) -> None:
        """Wait until there are target groups (at least `groups`) and nothing is registered in any."""

        def look() -> tuple[bool, list[Target]]:
            targets = self.target_health(namespace)
            return not targets and len(self.target_group_arns(namespace)) >= groups, targets

        _wait(f"no targets in at least {groups} target group(s) of {namespace}", look, timeout, str)

    def calls(self, reset: bool = False) -> dict[str, dict[str, int]]:
        """AWS calls since the last reset: {access key: {"ec2:DescribeSubnets": number}}."""
        counted: dict[str, dict[str, int]] = _http("GET", "/lab/calls")
        if reset:
            _http("DELETE", "/lab/calls")
        return counted

    # --- the plugin --------------------------------------------------------------------------------------------------

    def lbdoctor(
        self,
        *args: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
    ) -> Result:
        """Run `kubectl lbdoctor ARGS` as a user does: kubectl finds the plugin on PATH. None in `env` unsets. Undo
        files are left in `cwd`, or in the folder of the lab."""
        environment = {**self.environment(), **(env or {})}
        begun = time.monotonic()
        done = subprocess.run(
            [build.kubernetes("kubectl"), "lbdoctor", *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd or topology.run_dir(),
            env={name: value for name, value in environment.items() if value is not None},
        )
        return Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)


def _managed(binding: Manifest) -> bool:
    """Made by the controller for an Ingress or a Service, which carry no owner reference but these labels."""
    labels = binding["metadata"].get("labels", {})
    makers = ("ingress.k8s.aws/", "service.k8s.aws/", "gateway.k8s.aws")
    return any(key.startswith(makers) or f".{AUTO_MODE}/stack" in key for key in labels)


def _as_list(manifests: Manifest | Sequence[Manifest]) -> str:
    items = [manifests] if isinstance(manifests, dict) else list(manifests)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _pod_line(pod: Manifest) -> str:
    status = pod.get("status", {})
    waiting = [entry.get("state") for entry in status.get("containerStatuses", []) if not entry.get("ready")]
    return f"{pod['metadata']['name']} {status.get('phase')} {waiting or ''}"


def _wait(
    what: str, look: Callable[[], tuple[bool, list[Any]]], timeout: float, describe: Callable[[Any], str]
) -> list[Any]:
    """Look until it is so; the failure says what was seen last."""
    deadline = time.monotonic() + timeout
    while True:
        reached, seen = look()
        if reached:
            return seen
        if time.monotonic() > deadline:
            last = "".join(f"\n  {describe(item)}" for item in seen) or " nothing"
            raise LabError(f"{what}: not within {timeout:.0f} s; last seen:{last}")
        time.sleep(0.25)


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    # No proxy: the lab's addresses exist on this machine only.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _http(method: str, path: str) -> Any:
    request = urllib.request.Request(topology.AWS_URL + path, method=method)
    with _opener().open(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")
