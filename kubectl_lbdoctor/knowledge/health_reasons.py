"""What each reason of target health means, what it rules out, and which codes are its causes.

States and reasons: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html. What
they mean behind each type of load balancer:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html and
https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html.
"""

from __future__ import annotations

from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.record import record


@record
class HealthReason:
    """One reason. state: of a target that has it. meaning: in whole sentences. rules_out: what it excludes, "" for
    nothing. next_step: what to look at. causes: codes of checks that find what is behind it, the usual ones first."""

    name: str
    state: str
    meaning: str
    rules_out: str = ""
    next_step: str = ""
    causes: tuple[str, ...] = ()


_SOURCE = "https://docs.aws.amazon.com/elasticloadbalancing/latest"
SOURCES = (
    f"{_SOURCE}/APIReference/API_TargetHealth.html",
    f"{_SOURCE}/application/target-group-health-checks.html",
    f"{_SOURCE}/network/target-group-health-checks.html",
)

_MISSPELT = ("LBD110", "LBD112")
"""A health-check annotation that nobody reads leaves the default check, which then fails in its own way."""

_NO_ENDPOINT = (
    *("LBD201", "LBD202", "LBD203", "LBD401", "LBD402", "LBD403", "LBD404", "LBD406", "LBD410", "LBD411", "LBD412"),
)
"""With nodes as targets: no pod is ready, so the node port leads nowhere on any node."""

_ALL = (
    HealthReason(
        target_reasons.RESPONSE_CODE_MISMATCH,
        "unhealthy",
        "The application answered the health check with a status code that is not among the success codes; the "
        "target's description names it.",
        "security groups, network ACLs, routes and closed ports: an HTTP server on the checked port has answered",
        "ask the check path by hand from another pod, or: kubectl lbdoctor probe ing/NAME",
        ("LBD301", "LBD303", "LBD304", "LBD302", "LBD317", "LBD305", "LBD311", "LBD149", *_MISSPELT),
    ),
    HealthReason(
        target_reasons.TIMEOUT,
        "unhealthy",
        "No answer came within the timeout of the health check. Something on the way drops the packets, or the "
        "application is too slow. A Network Load Balancer says Target.FailedHealthChecks instead.",
        "a closed port: it is refused at once",
        "the way first (security groups, network ACLs, NetworkPolicies), then how long the application takes",
        (
            *("LBD501", "LBD502", "LBD514", "LBD503", "LBD507", "LBD508", "LBD509", "LBD513", "LBD522"),
            *("LBD602", "LBD309", "LBD206", "LBD409", "LBD220", "LBD521"),
            *_NO_ENDPOINT,
        ),
    ),
    HealthReason(
        target_reasons.FAILED_HEALTH_CHECKS,
        "unhealthy",
        "The check failed in another way. Behind an Application Load Balancer: the connection was refused or reset, "
        "the TLS handshake failed, or the answer is not HTTP. Behind a Network Load Balancer it stands for every "
        "failure, a timeout and a wrong status code included.",
        "behind an Application Load Balancer a filter that drops packets: that gives Target.Timeout",
        "which port the process listens on, and which protocol it speaks there",
        (
            *("LBD307", "LBD321", "LBD313", "LBD305", "LBD308", "LBD306", "LBD516", "LBD517", "LBD518"),
            *("LBD601", "LBD605", "LBD322", "LBD314", "LBD315", "LBD316", "LBD207", "LBD221", "LBD145", "LBD323"),
            *("LBD405", "LBD407", "LBD409", "LBD220", "LBD521", "LBD301", "LBD303", "LBD309", "LBD311"),
            *("LBD501", "LBD502", "LBD514", "LBD503", "LBD507", "LBD508", "LBD509", "LBD513", "LBD522"),
            *_MISSPELT,
            *_NO_ENDPOINT,
        ),
    ),
    HealthReason(
        target_reasons.INTERNAL_ERROR,
        "unhealthy or unavailable",
        "The load balancer itself has an error. Nothing in the cluster causes it, and nothing there repairs it.",
        "your configuration",
        "wait some minutes, look at the AWS Health Dashboard, then open a case with AWS",
    ),
    HealthReason(
        target_reasons.REGISTRATION_IN_PROGRESS,
        "initial",
        "The load balancer is still taking the target in.",
        next_step="wait; where it lasts for minutes, look whether the target's zone is one of the load balancer's",
        causes=("LBD218", "LBD234"),
    ),
    HealthReason(
        target_reasons.INITIAL_HEALTH_CHECKING,
        "initial",
        "The load balancer is still sending the first checks that decide whether the target is healthy.",
        next_step="wait for the healthy threshold times the interval",
        causes=("LBD218",),
    ),
    HealthReason(
        target_reasons.NOT_REGISTERED,
        "unused",
        "The target is not registered with the target group.",
        "the application: nobody asks it",
        "which endpoints the Service has, and whether the controller is at work",
        ("LBD205", "LBD217"),
    ),
    HealthReason(
        target_reasons.NOT_IN_USE,
        "unused",
        "No listener or rule forwards to the target group, or the target is in a zone that the load balancer does not "
        "serve. No health check is sent.",
        "the application: nobody asks it",
        "the listeners and their rules, and the zones of the load balancer",
        ("LBD209", "LBD229", "LBD234", "LBD208"),
    ),
    HealthReason(
        target_reasons.INVALID_STATE,
        "unused",
        "The instance is stopped or terminated.",
        "the application: nobody asks it",
        "the state of the instance, and why its node is still a target",
        ("LBD210",),
    ),
    HealthReason(
        target_reasons.IP_UNUSABLE,
        "unused",
        "The address belongs to a load balancer and cannot be a target.",
        "the application: nobody asks it",
        "where this address comes from",
        ("LBD211",),
    ),
    HealthReason(
        target_reasons.DEREGISTRATION_IN_PROGRESS,
        "draining",
        "The target was deregistered. Open connections may end until the deregistration delay is over, 300 s unless it "
        "is set. That is normal when pods are replaced.",
        next_step="whether the pods that take its place are healthy",
    ),
    HealthReason(
        "Target.HealthCheckDisabled",
        "unavailable",
        "Health checks are switched off for the target group, which is possible for Lambda functions only.",
    ),
)

HEALTH_REASONS: dict[str, HealthReason] = {reason.name: reason for reason in _ALL}
"""All reasons by their name in the API."""


def find(text: str) -> HealthReason | None:
    """The reason that is meant, with or without "Target." or "Elb.", in any case; None for none."""
    wanted = text.lower()
    return next((r for r in _ALL if wanted in (r.name.lower(), target_reasons.short(r.name).lower())), None)
