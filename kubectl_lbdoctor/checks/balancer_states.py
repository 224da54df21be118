"""LBD234: a load balancer that AWS does not bring up."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.remediation import describe_load_balancer
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_FAILED, _PROVISIONING = "failed", "provisioning"
PATIENCE = 15 * 60
"""Our own patience: the seconds after which a load balancer that is not up is spoken of. AWS names no limit."""


@check(
    "LBD234",
    title="AWS does not bring the load balancer up",
    passes="AWS has brought the load balancer up",
    severity=Severity.ERROR,
    message="load balancer {balancer} {state:failed=could not be set up|*=has been provisioning for {minutes} minutes}",
    reads=(
        *(reads.INGRESSES, reads.SERVICES, reads.BINDINGS, reads.LOAD_BALANCERS),
        *(reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    explains=("LBD209", "LBD218"),
)
def load_balancer_not_up(traffic: TrafficPath) -> Iterator[Finding]:
    """AWS has taken the order for the load balancer and could not carry it out (state `failed`), or has been at it for
    more than 15 minutes (`provisioning`; that limit is our own, AWS names none): it takes no requests, and its targets
    are not checked. Nothing in the cluster shows it: the controller sees a load balancer that is as it was ordered.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html

    Confirm by hand: `aws elbv2 describe-load-balancers` (State). Repair: what the reason names, if it names one; else
    open a case with AWS.
    """
    balancer = traffic.load_balancer.need()
    if balancer is None:
        raise NotApplicable("no load balancer")
    age = traffic.age(balancer.created) if balancer.created else 0.0
    if balancer.state != _FAILED and (balancer.state != _PROVISIONING or age < PATIENCE):
        return
    said = f": {balancer.state_reason}" if balancer.state_reason else ""
    yield Finding(
        "LBD234",
        ObjectRef("LoadBalancer", "", balancer.name),
        params={
            "balancer": balancer.name,
            "state": balancer.state,
            "minutes": int(age // 60),
        },
        evidence=(Evidence(reads.LOAD_BALANCERS, f"{balancer.name}: state {balancer.state}{said}"),),
        targets=tuple(t.key for t in traffic.target_health.peek() or () if t.state in ("unused", "initial")),
        confirm=(describe_load_balancer(balancer.arn, traffic.context.region),),
        advice="correct what the reason names" if balancer.state_reason else "open a case with AWS",
    )
