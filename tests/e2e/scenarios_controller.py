"""Faults of the controller and its webhooks: they break what all objects share, so nothing else may run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from tests.e2e.scenarios import Scenario, settled
from tests.e2e.scenarios_objects import own_binding
from tests.lab import examples, faults
from tests.lab.api import Lab


def _while_scaling(
    broken: Callable[[Lab], AbstractContextManager[object]],
) -> Callable[[Lab, str], AbstractContextManager[None]]:
    """The fault, and a pod more: the controller registers it and keeps the binding's checkpoint."""

    @contextmanager
    def fault(lab: Lab, ns: str) -> Iterator[None]:
        with broken(lab):
            lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=3")
            yield
            lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=2")

    return fault


@contextmanager
def _bound_twice(lab: Lab, ns: str) -> Iterator[None]:
    """A second binding of the same target group, made while the webhook could not refuse it."""
    own = lab.bindings(ns)[0]
    second = {
        "apiVersion": own["apiVersion"],
        "kind": own["kind"],
        "metadata": {"name": "second"},
        "spec": own["spec"],
    }
    with faults.admission_ignored(lab):
        lab.apply(second, ns)
    try:
        yield
    finally:
        # The webhook refuses the removal of finalizers, too, while both exist, and release 3.3.0 was seen to leave its
        # own for minutes after that.
        with faults.admission_ignored(lab):
            lab.kubectl("delete", "targetgroupbinding", "second", "-n", ns, "--wait=false")
            lab.kubectl(
                *("patch", "targetgroupbinding", "second", "-n", ns, "--type=merge"),
                *("-p", '{"metadata": {"finalizers": null}}'),
            )


SCENARIOS: Sequence[Scenario] = [
    Scenario(
        "nobody-leads",
        examples.alb_ip,
        ["LBD136"],
        # It gives up after ten seconds, and a minute later another pod would long lead.
        settled(75),
        fault=_while_scaling(faults.no_leader),
        object="Deployment/aws-load-balancer-controller",
        says=["lease kube-system/aws-load-balancer-controller-leader"],
    ),
    Scenario(
        "balancer-api-unreachable",
        examples.alb_ip,
        ["LBD123"],
        settled(12),
        fault=_while_scaling(faults.api_unreachable),
    ),
    Scenario("webhook-refused", examples.alb_ip, ["LBD124"], settled(8), fault=_while_scaling(faults.webhook_refused)),
    Scenario(
        "webhook-of-another-authority",
        examples.alb_ip,
        ["LBD125"],
        settled(8),
        fault=_while_scaling(faults.webhook_broken),
    ),
    Scenario(
        "webhook-without-endpoint",
        examples.alb_ip,
        ["LBD126"],
        settled(8),
        fault=_while_scaling(faults.webhook_without_endpoint),
        object="Service/aws-load-balancer-webhook-service",
    ),
    Scenario(
        "two-controllers",
        examples.alb_ip,
        ["LBD127"],
        settled(2),
        fault=lambda lab, ns: faults.second_controller(lab),
        object="Deployment/aws-load-balancer-controller",
    ),
    Scenario(
        "bound-twice",
        lambda: examples.alb_ip()[:2],
        ["LBD114"],
        settled(5),
        subject="tgb/own",
        setup=own_binding,
        fault=_bound_twice,
        object="TargetGroupBinding/own",
    ),
]
