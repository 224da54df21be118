"""What was before: counts of targets, and who changed what in AWS. Read only where it is asked for."""

from __future__ import annotations

from dataclasses import field

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetCounts
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.record import record


@record
class GroupHistory:
    """The counts of one target group, the oldest first; a minute that CloudWatch has no counts of is not among them."""

    arn: str
    counts: tuple[TargetCounts, ...]


@record
class AwsChange:
    """A call that changed something in AWS, as CloudTrail has it. resource: the one that was asked about. by: who made
    it, as CloudTrail calls them. at: RFC 3339."""

    resource: str
    operation: str
    by: str
    at: str


@record
class CheckedTarget:
    """The logged health checks of one target, as the nodes of the load balancer made them. group: ARN. target: address
    and port. nodes: that check it; failing: those whose last check failed. begun, last: the first and the last check
    that was read. failing_since: the first check of the failing run that began first, "" where none fails. turned: the
    most changes between passing and failing that one node saw. reasons: of failed checks, the most frequent first
    ("RequestTimedOut", "ResponseCodeMismatch (503)"). Times: RFC 3339."""

    group: str
    target: str
    nodes: int
    failing: int
    begun: str
    last: str
    failing_since: str = ""
    turned: int = 0
    reasons: tuple[str, ...] = ()


@record
class HistoryFacts:
    """since: from when on it was looked for, RFC 3339; "" where nobody asked. counts: of the subjects' target groups.
    changes: of what the root causes name, the newest first. checks: of the subjects' target groups, as far as their
    Application Load Balancers log them."""

    since: str = ""
    counts: Fact[tuple[GroupHistory, ...]] = field(
        default_factory=lambda: Fact.not_asked(reads.TARGET_COUNTS, "nobody asked for what was before")
    )
    changes: Fact[tuple[AwsChange, ...]] = field(
        default_factory=lambda: Fact.not_asked(reads.CHANGES, "nobody asked for what was before")
    )
    checks: Fact[tuple[CheckedTarget, ...]] = field(
        default_factory=lambda: Fact.not_asked(reads.HEALTH_LOGS, "nobody asked for what was before")
    )
