"""The report: the result of one run, independent of how it is printed. Its JSON form is a versioned contract."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.aws import HealthCheck, LoadBalancer
from kubectl_lbdoctor.model.finding import Confidence, Coverage, Diagnosis, ObjectRef, Severity
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.model.where import NOWHERE, Where
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


class FailOn(str, Enum):
    """From where on a run ends with FINDINGS, the most patient first; each one takes in those before it.

    ERROR: a finding that is an error. DEGRADED: an object that is not healthy though no finding is an error. WARNING
    and INFO: a finding of that severity.
    """

    ERROR = "error"
    DEGRADED = "degraded"
    WARNING = "warning"
    INFO = "info"

    @property
    def severity(self) -> Severity:
        """The least severity of a finding that fails a run."""
        return Severity.ERROR if self is FailOn.DEGRADED else Severity(self.value)

    def fails(self, status: Status) -> bool:
        """Whether the state of an object fails a run, whatever was found."""
        return self is not FailOn.ERROR and status in (Status.UNHEALTHY, Status.DEGRADED)


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

    @property
    def is_load_balancer(self) -> bool:
        """Whether the target is another load balancer, in place of a pod or a node."""
        return self.id.startswith("arn:")

    @property
    def label(self) -> str:
        """The same for people, who call a load balancer by its name."""
        arn = parse_arn(self.id) if self.is_load_balancer else None
        return f"{arn.load_balancer}:{self.port}" if arn is not None and arn.load_balancer else self.key


@record
class TargetGroupView:
    """One target group with its targets; `known` is False where target health could not be read. `behind`: the Gateway
    or Ingress whose load balancer is the target, in place of a Service's pods. `idle`: no traffic is meant for it, so
    that what it lacks counts for nothing. `expected_unhealthy`: keys of targets that fail by design, or that are
    another cluster's."""

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
    behind: ObjectRef | None = None
    targets: tuple[TargetView, ...] = ()
    known: bool = True
    expected_unhealthy: frozenset[str] = frozenset()
    idle: bool = False

    @property
    def backend(self) -> str:
        """What it leads to in the cluster, as people write it: "web:80", "gateway/web:80"; "" where that is not
        known."""
        name = f"{self.behind.kind.lower()}/{self.behind.name}" if self.behind is not None else self.service
        return f"{name}:{self.service_port}" if name else ""

    @property
    def healthy(self) -> int:
        """How many of its targets are healthy."""
        return sum(1 for target in self.targets if target.state == "healthy")

    @property
    def counted(self) -> int:
        """How many targets it has, without those that are on their way out."""
        return sum(1 for target in self.targets if target.state != "draining")


@record
class SubjectView:
    """One object that was asked about, with its load balancer and target groups. `frontend`: the Network Load Balancer
    that stands before its Application Load Balancer. `dead_paths`: where the backends
    without a target group are routed from, as people write it ("/api"). `unknown_backends`: how many backends there are
    of which it is not known whether they have a target group."""

    ref: ObjectRef
    status: Status
    class_name: str = ""
    load_balancer: LoadBalancer | None = None
    load_balancer_known: bool = True
    target_groups: tuple[TargetGroupView, ...] = ()
    backends_without_group: tuple[str, ...] = ()
    dead_paths: tuple[str, ...] = ()
    unknown_backends: int = 0
    frontend: LoadBalancer | None = None


@record
class CheckCounts:
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    crashed: int = 0


@record
class UnknownCheck:
    """A check that could not be answered, and why. title: the problem that it looks for; passes: what would hold
    without it. read: what it needed and was not known (`model.reads`)."""

    code: str
    title: str
    passes: str
    reason: str
    crashed: bool = False
    trace: str = ""
    read: str = ""


@record
class Ignored:
    """A root cause that somebody has chosen not to hear of. objects: those of whose state it is left out. by: where
    that is said, the flag or an annotated object, as people write them."""

    diagnosis: Diagnosis
    objects: tuple[ObjectRef, ...]
    by: str


@record
class Report:
    """A diagnosis. applied: False where it is about manifests that are not; "healthy" then says that nothing that
    objects decide is wrong with them. where: the flags that lead the commands in it to the same cluster and account.
    ignored: root causes that are left out of `diagnoses`."""

    status: Status
    generated_at: str
    context: Context
    subjects: tuple[SubjectView, ...]
    diagnoses: tuple[Diagnosis, ...]
    checks: CheckCounts
    coverage: Coverage
    unknown: tuple[UnknownCheck, ...] = ()
    applied: bool = True
    where: Where = NOWHERE
    ignored: tuple[Ignored, ...] = ()

    def exit_status(self, fail_on: FailOn = FailOn.ERROR) -> ExitStatus:
        """0, 1 or 3, from the report alone: findings outrank unknowns, unknowns outrank health. To ignore why targets
        fail does not make them serve."""
        found = any(d.severity.order <= fail_on.severity.order for d in self.diagnoses)
        if found or self._fails_ignored or any(fail_on.fails(subject.status) for subject in self.subjects):
            return ExitStatus.FINDINGS
        if self.unknown or not self.coverage.complete or self.status is Status.UNKNOWN:
            return ExitStatus.UNKNOWN
        return ExitStatus.HEALTHY

    @property
    def is_settled(self) -> bool:
        """Whether a proven error accounts for each subject, and no other cause is left open."""
        errors = [diagnosis for diagnosis in self.diagnoses if diagnosis.severity is Severity.ERROR]
        if any(d.finding.hypotheses or d.finding.confidence is not Confidence.CERTAIN for d in errors):
            return False
        told = {ref for d in errors for ref in d.affects if d.severity_for(ref) is Severity.ERROR}
        return bool(self.subjects) and all(subject.ref in told for subject in self.subjects)

    @property
    def namespaces(self) -> frozenset[str]:
        """Those of the objects that it is about."""
        return frozenset(subject.ref.namespace for subject in self.subjects)

    @property
    def _fails_ignored(self) -> bool:
        """Whether the targets of an object fail, for a cause that is an error and ignored."""
        failing = {s.ref for s in self.subjects if s.status in (Status.UNHEALTHY, Status.DEGRADED)}
        errors = (entry for entry in self.ignored if entry.diagnosis.severity is Severity.ERROR)
        return any(not failing.isdisjoint(entry.objects) for entry in errors)
