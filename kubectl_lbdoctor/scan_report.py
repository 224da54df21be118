"""From a report about many objects to the rows of a scan. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kubectl_lbdoctor.analysis.frontends import frontend
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, Severity
from kubectl_lbdoctor.model.report import FailOn, Ignored, Report, SubjectView
from kubectl_lbdoctor.model.scan import Reach, ScanReport, ScanRow
from kubectl_lbdoctor.model.snapshot import Snapshot


def scan_report(
    snapshot: Snapshot,
    report: Report,
    left_out: Sequence[ObjectRef] = (),
    reach: Reach = Reach(),  # noqa: B008
    *,
    complete: bool = True,
    namespace: str = "",
    labels: str = "",
    fail_on: FailOn = FailOn.ERROR,
) -> ScanReport:
    """The scan of what a report is about. snapshot: the one that the report was made from. The rest: see ScanReport."""
    causes: dict[ObjectRef, list[Diagnosis]] = defaultdict(list)
    for diagnosis in report.diagnoses:
        for ref in diagnosis.affects:
            causes[ref].append(diagnosis)
    ignored: dict[ObjectRef, list[Ignored]] = defaultdict(list)
    for entry in report.ignored:
        for ref in entry.objects:
            ignored[ref].append(entry)
    rows = [_row(group, views, causes, ignored) for group, views in _frontends(snapshot, report.subjects)]
    return ScanReport(
        report=report,
        rows=_worst_first(rows),
        left_out=tuple(left_out),
        reach=reach,
        complete=complete,
        namespace=namespace,
        labels=labels,
        fail_on=fail_on,
    )


def _frontends(snapshot: Snapshot, subjects: Iterable[SubjectView]) -> list[tuple[str, list[SubjectView]]]:
    """The objects that share a load balancer by an IngressGroup stand together; any other stands by itself."""
    found: dict[str | ObjectRef, list[SubjectView]] = {}
    for subject in subjects:
        found.setdefault(frontend(snapshot, subject.ref).group or subject.ref, []).append(subject)
    return [(key if isinstance(key, str) and len(views) > 1 else "", views) for key, views in found.items()]


def _row(
    group: str,
    views: Sequence[SubjectView],
    causes: Mapping[ObjectRef, Sequence[Diagnosis]],
    ignored: Mapping[ObjectRef, Sequence[Ignored]],
) -> ScanRow:
    refs = tuple(view.ref for view in views)
    found = {diagnosis.rank: diagnosis for ref in refs for diagnosis in causes.get(ref, ())}
    groups = {target_group.arn: target_group for view in views for target_group in view.target_groups}
    return ScanRow(
        objects=refs,
        status=min((view.status for view in views), key=lambda status: status.order),
        group=group,
        load_balancer=next((view.load_balancer for view in views if view.load_balancer is not None), None),
        load_balancer_known=all(view.load_balancer_known for view in views),
        target_groups=tuple(groups.values()),
        unknown_backends=sum(view.unknown_backends for view in views),
        causes=tuple(found[rank] for rank in sorted(found)),
        ignored=tuple({id(entry): entry for ref in refs for entry in ignored.get(ref, ())}.values()),
    )


def _worst_first(rows: Sequence[ScanRow]) -> tuple[ScanRow, ...]:
    """The worst state first, then the worst cause, then what has a cause of its own, then most targets out."""
    spread = Counter(cause.rank for row in rows for cause in row.causes)

    def order(row: ScanRow) -> tuple[int, int, bool, int, tuple[str, ...], str]:
        worst = min((row.severity_of(cause).order for cause in row.causes), default=len(Severity))
        shared = all(spread[cause.rank] > 1 for cause in row.told)
        return row.status.order, worst, shared, row.healthy - row.targets, row.namespaces, row.name

    return tuple(sorted(rows, key=order))
