"""Pages of AWS, Kubernetes and the controller to read on, by the hundred of a code."""

from __future__ import annotations

import re

_ELB = "https://docs.aws.amazon.com/elasticloadbalancing/latest"
_CONTROLLER = "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide"
_KUBERNETES = "https://kubernetes.io/docs"

_BY_HUNDRED: dict[str, tuple[str, ...]] = {
    "1": (f"{_CONTROLLER}/ingress/annotations/", f"{_CONTROLLER}/service/annotations/"),
    "2": (
        f"{_CONTROLLER}/targetgroupbinding/targetgroupbinding/",
        f"{_ELB}/application/load-balancer-target-groups.html",
    ),
    "3": (
        f"{_ELB}/application/target-group-health-checks.html",
        f"{_ELB}/network/target-group-health-checks.html",
    ),
    "4": (f"{_KUBERNETES}/tasks/debug/debug-application/debug-pods/",),
    "5": (
        f"{_ELB}/application/load-balancer-update-security-groups.html",
        f"{_ELB}/application/load-balancer-troubleshooting.html",
        f"{_ELB}/network/load-balancer-troubleshooting.html",
    ),
    "6": (
        f"{_KUBERNETES}/tutorials/services/source-ip/",
        f"{_ELB}/application/load-balancer-target-groups.html",
    ),
    "7": (
        f"{_KUBERNETES}/concepts/workloads/pods/pod-lifecycle/",
        "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/",
    ),
}
_URL = re.compile(r"https://[a-z][^\s`)\"']*[^\s`)\"'.,;:]")


def sources(code: str, explanation: str) -> tuple[str, ...]:
    """Where to read on: the pages that the explanation of a code names itself, else those of its hundred."""
    named = tuple(dict.fromkeys(_URL.findall(explanation)))
    return named or _BY_HUNDRED.get(code[3:4], ())
