"""The reason codes of target health.

Source: Elastic Load Balancing API Reference (2015-12-01), TargetHealth, "Reason". An Application Load Balancer tells
FAILED_HEALTH_CHECKS (refused, reset or not HTTP) from TIMEOUT and RESPONSE_CODE_MISMATCH; a Network Load Balancer
reports FAILED_HEALTH_CHECKS for all of these.
"""

from __future__ import annotations

RESPONSE_CODE_MISMATCH = "Target.ResponseCodeMismatch"
FAILED_HEALTH_CHECKS = "Target.FailedHealthChecks"
TIMEOUT = "Target.Timeout"
NOT_REGISTERED = "Target.NotRegistered"
NOT_IN_USE = "Target.NotInUse"
INVALID_STATE = "Target.InvalidState"
IP_UNUSABLE = "Target.IpUnusable"
DEREGISTRATION_IN_PROGRESS = "Target.DeregistrationInProgress"
REGISTRATION_IN_PROGRESS = "Elb.RegistrationInProgress"
INITIAL_HEALTH_CHECKING = "Elb.InitialHealthChecking"
INTERNAL_ERROR = "Elb.InternalError"


def short(reason: str) -> str:
    """A reason without the prefix that says whose trouble it is: "Target.Timeout" → "Timeout"."""
    return reason.removeprefix("Target.").removeprefix("Elb.")


def with_codes(reason: str, description: str) -> str:
    """The short reason with the codes that AWS's description adds: "ResponseCodeMismatch [404]"."""
    start = description.rfind("[")
    return f"{short(reason)} {description[start:]}" if reason and start >= 0 else short(reason)
