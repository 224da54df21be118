"""The result of a scan: a row for each frontend, over the one report about all of them. Its JSON form is a contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, Severity
from kubectl_lbdoctor.model.report import FailOn, Ignored, Report, Status, TargetGroupView
from kubectl_lbdoctor.record import record

INGRESS_GROUP = "IngressGroup"
"""What a row is called that stands for the Ingresses of an explicit group, which share one load balancer."""


@record
class Reach:
    """How far a scan came. groups: target groups in all; known: those whose state is known; asked: those that were
    asked one by one; left: those that will still be asked. slowed: AWS has asked for fewer calls. rate: calls of ELBv2
    a second by now, 0 before AWS is asked."""

    objects: int = 0
    groups: int = 0
    known: int = 0
    asked: int = 0
    slowed: bool = False
    left: int = 0
    rate: float = 0.0


@record
class ScanRow:
    """One frontend: an object, or all Ingresses of a group that were found.

    objects: never empty. group: the IngressGroup of several, "" for one object. target_groups: each once. causes: what
    affects it, the worst first. ignored: what would, if it were not ignored. unknown_backends: of so many it is not
    known whether they have a target group.
    """

    objects: tuple[ObjectRef, ...]
    status: Status
    group: str = ""
    load_balancer: LoadBalancer | None = None
    load_balancer_known: bool = True
    target_groups: tuple[TargetGroupView, ...] = ()
    causes: tuple[Diagnosis, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    unknown_backends: int = 0

    @property
    def kind(self) -> str:
        return INGRESS_GROUP if self.group else self.objects[0].kind

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of its objects, each once."""
        return tuple(dict.fromkeys(ref.namespace for ref in self.objects))

    @property
    def name(self) -> str:
        return self.group or self.objects[0].name

    @property
    def ref(self) -> ObjectRef:
        """What it is called: the object, or a group, which is in a namespace where all of its objects are."""
        if not self.group:
            return self.objects[0]
        return ObjectRef(INGRESS_GROUP, self.namespaces[0] if len(self.namespaces) == 1 else "", self.group)

    @property
    def key(self) -> tuple[str, tuple[str, ...], str]:
        """By which it is the same frontend in two scans; a group is, though Ingresses join and leave it."""
        return self.kind, () if self.group else self.namespaces, self.name

    @property
    def healthy(self) -> int:
        """Targets that are healthy, of those that count."""
        return sum(group.healthy for group in self.target_groups)

    @property
    def targets(self) -> int:
        """Targets that are known, without those that are on their way out."""
        return sum(group.counted for group in self.target_groups)

    @property
    def unknown_groups(self) -> int:
        """Target groups whose targets are not known, and those of which nothing is known at all."""
        return sum(1 for group in self.target_groups if not group.known) + self.unknown_backends

    def severity_of(self, cause: Diagnosis) -> Severity:
        """How severe a root cause is for it."""
        mine = (cause.severity_for(ref) for ref in self.objects if ref in cause.affects)
        return min(mine, key=lambda severity: severity.order)

    @property
    def told(self) -> tuple[Diagnosis, ...]:
        """What affects it, the worst for it first, without what is mere information for it."""
        told = [cause for cause in self.causes if self.severity_of(cause) is not Severity.INFO]
        return tuple(sorted(told, key=lambda cause: (self.severity_of(cause).order, cause.rank)))

    @property
    def cause(self) -> Diagnosis | None:
        """The worst of these."""
        return next(iter(self.told), None)


@record
class ScanReport:
    """A scan. report: the diagnosis of all that was found, with every root cause once. rows: the worst first.

    left_out: objects of other controllers, which a scan says nothing of. complete: everything was read that was meant
    to be; False where the scan was ended before, or is not done yet. namespace: "" for all of them. labels: the
    selector, "" for none. fail_on: from where on it fails.
    """

    report: Report
    rows: tuple[ScanRow, ...]
    left_out: tuple[ObjectRef, ...] = ()
    reach: Reach = field(default_factory=Reach)
    complete: bool = True
    namespace: str = ""
    labels: str = ""
    fail_on: FailOn = FailOn.ERROR

    @property
    def status(self) -> Status:
        """The worst status of the rows. Nothing is wrong where that is healthy, or nothing was found, and everything
        was read: what could not be may hold a frontend that fails."""
        worst = min((row.status for row in self.rows), key=lambda status: status.order, default=Status.HEALTHY)
        whole = self.complete and self.report.coverage.complete
        return Status.UNKNOWN if worst is Status.HEALTHY and not whole else worst

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many rows have each status, the worst first."""
        return {status: sum(1 for row in self.rows if row.status is status) for status in Status}

    @property
    def shared(self) -> tuple[Diagnosis, ...]:
        """The root causes that more than one row has, information aside."""
        return tuple(d for d in self.report.diagnoses if d.severity is not Severity.INFO and len(self.rows_of(d)) > 1)

    def rows_of(self, diagnosis: Diagnosis) -> tuple[ScanRow, ...]:
        """The rows that a root cause affects."""
        affected = {*diagnosis.affects}
        return tuple(row for row in self.rows if not affected.isdisjoint(row.objects))

    def fails(self, row: ScanRow) -> bool:
        """Whether a row fails the scan: as `Report.exit_status` has it for all of them."""
        failing = row.status in (Status.UNHEALTHY, Status.DEGRADED)
        return (
            self.fail_on.fails(row.status)
            or any(row.severity_of(cause).order <= self.fail_on.severity.order for cause in row.causes)
            or (failing and any(entry.diagnosis.severity is Severity.ERROR for entry in row.ignored))
        )

    @property
    def exit_status(self) -> ExitStatus:
        """That of the report; what is not complete is UNKNOWN at best."""
        if not self.rows:
            return ExitStatus.HEALTHY if self.status is Status.HEALTHY else ExitStatus.UNKNOWN
        status = self.report.exit_status(self.fail_on)
        return ExitStatus.UNKNOWN if status is ExitStatus.HEALTHY and not self.complete else status
