"""Faults of the Network Load Balancer before an Ingress's load balancer: its check is answered otherwise than it wants.

The lab's Application Load Balancer answers it by its listeners, rules and targets (tests/lab/aws/application.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tests.e2e.scenarios import ALB, Manifests, Scenario, Seen, certified, healthy, until
from tests.lab import examples
from tests.lab.api import Lab


def groups_before(lab: Lab, ns: str) -> list[str]:
    """ARNs of the target groups of the Network Load Balancer before Ingress "web"; none before it is made."""
    status = lab.get("ingress", "web", ns)["status"].get("loadBalancer", {}).get("ingress", [])
    published = {entry.get("hostname") for entry in status}
    elb = lab.aws("elbv2")
    found = [lb for lb in elb.describe_load_balancers()["LoadBalancers"] if lb["DNSName"] in published]
    arns = [lb["LoadBalancerArn"] for lb in found if lb["Type"] == "network"]
    groups = [g for arn in arns for g in elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"]]
    return [group["TargetGroupArn"] for group in groups]


def before_is(state: str, count: int = 1) -> Seen:
    """Wait until the load balancer of the Ingress is in this state as a target, in so many target groups."""

    def states(lab: Lab, ns: str) -> list[str]:
        elb = lab.aws("elbv2")
        asked = [elb.describe_target_health(TargetGroupArn=arn) for arn in groups_before(lab, ns)]
        return [t["TargetHealth"]["State"] for answer in asked for t in answer["TargetHealthDescriptions"]]

    return lambda lab, ns: until(lambda: states(lab, ns) == [state] * count, f"{count} targets of type alb: {state}")


def _with(**annotations: str | None) -> Callable[[], Manifests]:
    keyed = {f"{ALB}{name.replace('_', '-')}": value for name, value in annotations.items()}
    return lambda: examples.behind_frontend_nlb(keyed)


def _with_hosts() -> Manifests:
    return examples.behind_frontend_nlb(ingress={"host": "shop.example.com"})


def _redirecting() -> Callable[[Lab, str], AbstractContextManager[None]]:
    @contextmanager
    def make(lab: Lab, ns: str) -> Iterator[None]:
        with certified(lab, ns, "shop.example.com") as certificate:
            tls = {
                f"{ALB}listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
                f"{ALB}ssl-redirect": "443",
                f"{ALB}certificate-arn": certificate,
            }
            lab.apply(examples.find(examples.behind_frontend_nlb(tls), "Ingress"), ns)
            yield

    return make


@contextmanager
def _path_changed_in_aws(lab: Lab, ns: str) -> Iterator[None]:
    for arn in groups_before(lab, ns):
        lab.aws("elbv2").modify_target_group(TargetGroupArn=arn, HealthCheckPath="/drift")
    yield


def _fault(name: str, manifests: Callable[[], Manifests], code: str = "LBD323", **more: Any) -> Scenario:
    seen = more.pop("seen", before_is("unhealthy"))
    return Scenario(name, manifests, [code], seen, **{"object": "Ingress/web", **more})


SCENARIOS: Sequence[Scenario] = [
    _fault("frontend-nlb-rules-with-hosts", _with_hosts, value="200,404", says=["no rule without a host"]),
    _fault(
        "frontend-nlb-redirected-to-https",
        lambda: examples.behind_frontend_nlb()[:-1],
        setup=_redirecting(),
        seen=before_is("unhealthy", 2),
        value="HTTPS",
    ),
    _fault("frontend-nlb-asks-another-path", _with(frontend_nlb_healthcheck_path=None), value="/healthz"),
    _fault("frontend-nlb-left-out-by-inbound-cidrs", _with(inbound_cidrs="203.0.113.0/24"), says=["security group"]),
    _fault("frontend-nlb-asks-a-port-without-listener", _with(frontend_nlb_healthcheck_port="8443")),
    _fault(
        "frontend-nlb-before-a-failing-application",
        _with(healthcheck_path="/nowhere", frontend_nlb_healthcheck_path="/nowhere"),
        "LBD301",
    ),
    _fault(
        "frontend-nlb-changed-in-aws",
        examples.behind_frontend_nlb,
        "LBD311",
        fault=_path_changed_in_aws,
        object="",
    ),
    _fault(
        "frontend-nlb-port-without-listener",
        _with(frontend_nlb_listener_port_mapping="80=8080"),
        "LBD111",
        seen=healthy(),
    ),
]
