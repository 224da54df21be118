"""The report: the result of one run, independent of how it is printed. Its JSON form is a versioned contract."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.aws import HealthCheck, LoadBalancer
from kubectl_lbdoctor.model.finding import Coverage, Diagnosis, ObjectRef, Severity
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.record import record


class Status(str, Enum):
    """UNHEALTHY: a backend has no healthy target. DEGRADED: part of it fails. UNKNOWN: nothing failed, but something
    that is needed to call it healthy is not known (yet)."""

    UNHEALTHY = "unhealthy"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"

    @property
    def order(self) -> int:
        return ("unhealthy", "degraded", "unknown", "healthy").index(self.value)


@record
class TargetView:
    """One target with what it is in the cluster. `ready`: ready containers of the pod as kubectl shows them ("1/1")."""

    id: str
    port: int
    zone: str = ""
    state: str = ""
    reason: str = ""
    description: str = ""
    pod: str = ""
    node: str = ""
    ready: str = ""

    @property
    def key(self) -> str:
        """ "id:port", by which targets are named in findings."""
        return f"{self.id}:{self.port}"


@record
class TargetGroupView:
    """One target group with its targets; `known` is False where target health could not be read. `idle`: no traffic is
    meant for it, so that what it lacks counts for nothing. `expected_unhealthy`: keys of targets that fail by design,
    or that are another cluster's."""

    arn: str
    name: str
    target_type: str = ""
    protocol: str = ""
    port: int = 0
    health_check: HealthCheck = field(default_factory=HealthCheck)
    namespace: str = ""
    service: str = ""
    service_port: str = ""
    service_target: str = ""
    targets: tuple[TargetView, ...] = ()
    known: bool = True
    expected_unhealthy: frozenset[str] = frozenset()
    idle: bool = False


@record
class SubjectView:
    """One object that was asked about, with its load balancer and target groups."""

    ref: ObjectRef
    status: Status
    class_name: str = ""
    load_balancer: LoadBalancer | None = None
    load_balancer_known: bool = True
    target_groups: tuple[TargetGroupView, ...] = ()
    backends_without_group: tuple[str, ...] = ()


@record
class CheckCounts:
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    crashed: int = 0


@record
class UnknownCheck:
    """A check that could not be answered, and why."""

    code: str
    title: str
    reason: str
    crashed: bool = False
    trace: str = ""


@record
class Report:
    status: Status
    generated_at: str
    context: Context
    subjects: tuple[SubjectView, ...]
    diagnoses: tuple[Diagnosis, ...]
    checks: CheckCounts
    coverage: Coverage
    unknown: tuple[UnknownCheck, ...] = ()

    def exit_status(self, fail_on: Severity = Severity.ERROR) -> ExitStatus:
        """0, 1 or 3, from the report alone: findings outrank unknowns, unknowns outrank health."""
        if any(d.severity.order <= fail_on.order for d in self.diagnoses):
            return ExitStatus.FINDINGS
        if self.unknown or not self.coverage.complete or self.status is Status.UNKNOWN:
            return ExitStatus.UNKNOWN
        return ExitStatus.HEALTHY
