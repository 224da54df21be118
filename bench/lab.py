"""How long one diagnosis takes beside the same reads made by kubectl and the aws command, on the running lab.

    python -m bench lab [RUNS]

Makes a healthy Ingress, then times in turn: the plugin, one `kubectl get` of the same kinds, and the same AWS reads by
the aws command one after the other (left out where it is not installed). Prints medians and ratios.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time

from tests.lab import examples, topology
from tests.lab.api import Lab

KINDS = "ingress,service,endpointslices,pods,events,targetgroupbindings,deployments,replicasets,statefulsets,daemonsets"


def timed(command: list[str], env: dict[str, str]) -> float:
    begun = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def compare(runs: int) -> None:
    lab = Lab.connect()
    # The aws command reads AWS_DEFAULT_REGION only.
    env = {**os.environ, **lab.environment(), "AWS_DEFAULT_REGION": topology.REGION}
    with lab.namespace("bench") as ns:
        lab.apply(examples.alb_ip(), ns)
        lab.wait_targets(ns, "healthy", count=2)
        group = lab.target_group_arns(ns)[0]
        balancer = lab.load_balancer_arn("ingress", "web", ns)
        aws = shutil.which("aws")
        elb = [aws or "", "elbv2"]
        commands = {
            "kubectl lbdoctor": [["kubectl", "lbdoctor", "ing", "web", "-n", ns]],
            "kubectl get": [
                ["kubectl", "get", KINDS, "-n", ns, "-o", "json"],
                ["kubectl", "get", "nodes,ingressclasses", "-o", "json"],
            ],
        }
        if aws:
            commands["aws"] = [
                [*elb, "describe-target-groups", "--target-group-arns", group],
                [*elb, "describe-target-health", "--target-group-arn", group],
                [*elb, "describe-load-balancers", "--load-balancer-arns", balancer],
                [*elb, "describe-listeners", "--load-balancer-arn", balancer],
            ]
        samples: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, steps in commands.items():
                samples[name].append(sum(timed(step, env) for step in steps))
        base = statistics.median(samples["kubectl lbdoctor"])
        for name, values in samples.items():
            middle = statistics.median(values)
            print(f"{name:<18} {middle:6.2f} s  {middle / base:5.2f} x")
