"""LBD0xx: what the doctor reports of itself."""

from __future__ import annotations

from kubectl_lbdoctor.checks.registry import reported
from kubectl_lbdoctor.model.finding import Severity

reported(
    "LBD001",
    title="a read was denied",
    passes="every read is permitted",
    severity=Severity.WARNING,
    message="{read} was denied: add {permission}",
    doc="""
    A read that the diagnosis needs was denied, so some checks are unknown. Unknown is never shown as healthy: the
    exit status is 3 unless something else is proven to be wrong.

    Repair: add the named permission. `kubectl lbdoctor policy iam` and `kubectl lbdoctor policy rbac` print everything
    that the doctor reads.
    """,
)
reported(
    "LBD002",
    title="a read failed or was not complete",
    passes="every read is answered",
    severity=Severity.WARNING,
    message="{read} failed: {error}",
    doc="""
    A read failed, was throttled or timed out after retries. What could be read is diagnosed; what depends on this
    read is unknown. Repeat the command; raise `--request-timeout` when the API is slow.

    "Read in part" names objects that could not be understood, such as a value of another type than the API gives it.
    They are left out and the others are diagnosed; nothing is called healthy then, and nothing missing that may be
    among them. Look at the object with `kubectl get KIND NAME -o yaml`.
    """,
)
reported(
    "LBD003",
    title="a check crashed",
    passes="every check ran to its end",
    severity=Severity.ERROR,
    message="check {code} crashed: {error}",
    doc="""
    A check crashed. All other checks have run. This is a bug of the doctor: repeat with `--verbose` for the trace and
    report it together with a bundle (`--save FILE`).
    """,
)
reported(
    "LBD004",
    title="AWS was not asked",
    passes="AWS was asked",
    severity=Severity.INFO,
    message="AWS was not asked: {reason}",
    doc="""
    Without AWS credentials, or with `--no-aws`, load balancers and target health are not read. The diagnosis then
    rests on Kubernetes objects alone and calls nothing healthy.
    """,
)
reported(
    "LBD005",
    title="targets fail and no cause is proven",
    passes="the cause of every failing target is proven",
    severity=Severity.ERROR,
    message="no cause proven: {count} of {total:target} "
    "{state:unused={count:=is|are} not used|unhealthy={count:=fails its health check|fail their health check}}"
    "[ ({reasons})]",
    doc="""
    Targets fail their health check, or are not used at all, and nothing that was read proves why. The remaining
    hypotheses are listed in order of likelihood, each with what would settle it.

    Confirm by hand: `aws elbv2 describe-target-health --target-group-arn ARN` shows the reason code. Target.Timeout
    on an Application Load Balancer means that no answer came (a filter on the way, or a slow application),
    Target.FailedHealthChecks that the connection was refused or the answer was not HTTP,
    Target.ResponseCodeMismatch that an HTTP server answered with another code.
    """,
)
