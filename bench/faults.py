"""Faults of several kinds, planted in a generated cluster, each with the code that must be named for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.world import MADE, Raw, World

OUTSIDER = "sg-00000000outsider"
"""A security group that nothing admits."""

SHARE = 0.03
"""Of the frontends, so many are broken."""


@dataclass(frozen=True)
class Planted:
    """A broken frontend and the root cause that must be named for it."""

    kind: str
    namespace: str
    name: str
    code: str


def plant(world: World, share: float = SHARE) -> list[Planted]:
    """Break this share of the frontends, one kind of fault after the other, spread over the cluster."""
    every = max(1, round(1 / share))
    planted = []
    for number, subject in enumerate(world.subjects[every // 2 :: every]):
        code, spoil = _FAULTS[number % len(_FAULTS)]
        spoil(_Stack(world, *subject))
        planted.append(Planted(*subject, code))
    return planted


class _Stack:
    """The raw objects around one frontend."""

    def __init__(self, world: World, kind: str, namespace: str, name: str) -> None:
        self.world = world
        self.namespace, self.name = namespace, name
        self.service = self._one("services", name)
        self.slice = next(
            raw
            for raw in world.kube["endpointslices"]
            if raw["metadata"]["namespace"] == namespace
            and raw["metadata"]["labels"]["kubernetes.io/service-name"] == name
        )
        binding = next(
            raw
            for raw in world.kube["targetgroupbindings"]
            if raw["metadata"]["namespace"] == namespace and raw["spec"]["serviceRef"]["name"] == name
        )
        self.arn: str = binding["spec"]["targetGroupARN"]

    def _one(self, resource: str, name: str) -> Raw:
        return next(
            raw
            for raw in self.world.kube[resource]
            if raw["metadata"]["name"] == name and raw["metadata"]["namespace"] == self.namespace
        )

    def pods(self) -> list[Raw]:
        return [self._one("pods", endpoint["targetRef"]["name"]) for endpoint in self.slice["endpoints"]]

    def fail(self, reason: str, description: str) -> None:
        """Let every target fail its check in this way."""
        for target in self.world.health[self.arn]:
            target["TargetHealth"] = {"State": "unhealthy", "Reason": reason, "Description": description}


def _check_path(stack: _Stack) -> None:
    """The application does not know the path of the check."""
    stack.fail("Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]")


def _selector(stack: _Stack) -> None:
    """The Service selects labels that no pod has."""
    stack.service["spec"]["selector"] = {"app.kubernetes.io/name": f"{stack.name}-renamed"}
    stack.slice["endpoints"] = []
    stack.world.health[stack.arn] = []


def _crash_loop(stack: _Stack) -> None:
    """The pods end as soon as they have started, so that they are no targets."""
    for pod in stack.pods():
        status = pod["status"]
        for condition in status["conditions"]:
            if condition["type"] in ("Ready", "ContainersReady"):
                condition["status"] = "False"
        for container in status["containerStatuses"]:
            waiting = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}
            ended = {"exitCode": 1, "reason": "Error", "startedAt": MADE, "finishedAt": MADE}
            container.update(ready=False, started=False, restartCount=42, state={"waiting": waiting})
            container["lastState"] = {"terminated": ended}
    for endpoint in stack.slice["endpoints"]:
        endpoint["conditions"] = {"ready": False, "serving": False, "terminating": False}
    stack.world.health[stack.arn] = []


def _security_group(stack: _Stack) -> None:
    """The load balancer has a security group that the nodes do not admit."""
    balancer = next(
        raw
        for raw in stack.world.elb["LoadBalancers"]
        if any(raw["LoadBalancerArn"] in group["LoadBalancerArns"] for group in _groups(stack))
    )
    balancer["SecurityGroups"] = [OUTSIDER]
    description = "ELB " + balancer["LoadBalancerArn"].partition(":loadbalancer/")[2]
    for interface in stack.world.ec2["NetworkInterfaces"]:
        if interface["Description"] == description:
            interface["Groups"] = [{"GroupId": OUTSIDER}]
    if all(group["GroupId"] != OUTSIDER for group in stack.world.ec2["SecurityGroups"]):
        like = stack.world.ec2["SecurityGroups"][1]
        stack.world.ec2["SecurityGroups"].append({**like, "GroupId": OUTSIDER, "GroupName": "outsider"})
    stack.fail("Target.Timeout", "Request timed out")


def _groups(stack: _Stack) -> list[Raw]:
    return [raw for raw in stack.world.elb["TargetGroups"] if raw["TargetGroupArn"] == stack.arn]


def _target_port(stack: _Stack) -> None:
    """The Service leads to a port by a name that no container gives one."""
    for port in stack.service["spec"]["ports"]:
        port["targetPort"] = "web"
    stack.slice.update(endpoints=[], ports=[])
    stack.world.health[stack.arn] = []


_FAULTS: tuple[tuple[str, Callable[[_Stack], None]], ...] = (
    ("LBD301", _check_path),
    ("LBD201", _selector),
    ("LBD403", _crash_loop),
    ("LBD501", _security_group),
    ("LBD203", _target_port),
)
