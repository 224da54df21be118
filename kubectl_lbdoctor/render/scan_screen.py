"""The screen of a scan: a line for each frontend, the worst first, what many share once, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Scope
from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.reads import SUBJECTS
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.model.scan import ScanReport, ScanRow
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.render import colours
from kubectl_lbdoctor.render.coverage_lines import coverage_lines
from kubectl_lbdoctor.render.report_screen import ignored_lines
from kubectl_lbdoctor.render.text import Column, Paint, clean, cut, table_or_records, wrapped
from kubectl_lbdoctor.render.view import View

_STATUS = "STATUS"

MOST_ROWS = 40
"""Lines on a terminal beyond which frontends that have nothing of their own to say are counted, not listed."""

_LEAST_CAUSE = 30
"""Columns that a root cause has at least before other columns go."""

_MOST_AFFECTED = 5
_MOST_UNKNOWN = 6
_MOST_CODES = 3
_MOST_SHARED = 10
_MOST_PLACES = 3


def render(scan: ScanReport, view: View) -> str:
    """The whole screen, ending with a line break."""
    paint = Paint(view.colour)
    blocks = [_table(scan, view, paint)] if scan.rows else [_empty(scan, view)]
    shared = scan.shared if view.wide else scan.shared[:_MOST_SHARED]
    blocks += ["\n".join(_shared(diagnosis, scan, view, paint)) for diagnosis in shared]
    if len(scan.shared) > len(shared):
        blocks.append(f"… {len(scan.shared) - len(shared)} more shared causes, see -o wide")
    blocks.append("\n".join(_closing(scan, view, paint)))
    return "\n\n".join(block for block in blocks if block) + "\n"


# --- The table --------------------------------------------------------------------------------------------------------


def _table(scan: ScanReport, view: View, paint: Paint) -> str:
    rows = _shown(scan, view)
    columns, cells = _fitted(_columns(scan), [_cells(row, scan, view) for row in rows], view)
    lines = table_or_records(columns, cells, view.width, view.wide).splitlines()
    if len(lines) == len(rows) + 1:
        place = lines[0].index(_STATUS)
        painted = [_painted(line, place, row.status, paint) for line, row in zip(lines[1:], rows, strict=True)]
        lines = [*(lines[:1] if view.headers else ()), *painted]
    return "\n".join([*lines, *_hidden(scan, rows)])


def _shown(scan: ScanReport, view: View) -> list[ScanRow]:
    """All rows in a pipe. On a terminal those that have something of their own to say, and others while there is room:
    what is healthy is counted, and what only suffers from a shared cause is told with that."""
    if not view.width or len(scan.rows) <= MOST_ROWS:
        return list(scan.rows)
    shared = {diagnosis.rank for diagnosis in scan.shared}
    return [row for place, row in enumerate(scan.rows) if place < MOST_ROWS or _is_of_its_own(row, shared)]


def _is_of_its_own(row: ScanRow, shared: set[int]) -> bool:
    if row.status is Status.HEALTHY:
        return False
    return not row.told or any(cause.rank not in shared for cause in row.told)


def _hidden(scan: ScanReport, shown: Sequence[ScanRow]) -> Iterator[str]:
    seen = {id(row) for row in shown}
    hidden = [row for row in scan.rows if id(row) not in seen]
    if hidden:
        states = [row.status for row in hidden]
        counts = ", ".join(f"{states.count(status)} {status.value}" for status in Status if status in states)
        ill = any(status is not Status.HEALTHY for status in states)
        yield f"… {len(hidden)} more ({counts}{', by a shared cause alone' if ill else ''}), see -o wide"


def _painted(line: str, place: int, status: Status, paint: Paint) -> str:
    end = place + len(status.value)
    return f"{line[:place]}{paint(colours.STATUSES[status], line[place:end])}{line[end:]}"


def _columns(scan: ScanReport) -> list[Column]:
    """As with `kubectl get`, namespaces are told where there may be several."""
    return [
        Column("NAMESPACE", 100 if not scan.namespace else 0, wide=bool(scan.namespace)),
        Column("KIND", 50),
        Column("NAME"),
        Column("LOAD BALANCER", 30),
        Column("HEALTHY"),
        Column(_STATUS),
        Column("TYPE", wide=True),
        Column("SCHEME", wide=True),
        Column("OBJECTS", wide=True),
        Column("ROOT CAUSE"),
    ]


def _cells(row: ScanRow, scan: ScanReport, view: View) -> list[str]:
    balancer = row.load_balancer
    missing = "<none>" if row.load_balancer_known else "<unknown>"
    return [
        row.namespaces[0] if len(row.namespaces) == 1 else f"<{len(row.namespaces)} namespaces>",
        row.kind,
        row.name,
        balancer.name if balancer is not None else missing,
        count_healthy(row),
        row.status.value,
        balancer.type if balancer is not None else "",
        balancer.scheme if balancer is not None else "",
        ",".join(f"{ref.namespace}/{ref.name}" for ref in row.objects),
        clean(_cause(row, scan, view)),
    ]


def count_healthy(row: ScanRow) -> str:
    """ "3/4": healthy targets of those that count, "?/?" where no group's health was read, "3/4+?" where that of some
    was not; "-" without any target group."""
    if not row.target_groups and not row.unknown_groups:
        return "-"
    if all(not group.known for group in row.target_groups):
        return "?/?"
    return f"{row.healthy}/{row.targets}" + ("+?" if row.unknown_groups else "")


def _cause(row: ScanRow, scan: ScanReport, view: View) -> str:
    """The worst cause in a few words, one of its own before one that is told once for many; of what is healthy the
    codes of its warnings alone."""
    if not row.told:
        ignored = list(dict.fromkeys(entry.diagnosis.finding.code for entry in row.ignored))
        return f"ignored: {listed(ignored, _MOST_CODES)}" if ignored and row.status is not Status.HEALTHY else ""
    codes = list(dict.fromkeys(cause.finding.code for cause in row.told))
    if row.status is Status.HEALTHY and not view.wide:
        return f"warning: {listed(codes, _MOST_CODES)}"
    worst = row.severity_of(row.told[0])
    spread = {cause.rank: len(scan.rows_of(cause)) for cause in row.told if row.severity_of(cause) is worst}
    cause = min((cause for cause in row.told if cause.rank in spread), key=lambda cause: spread[cause.rank] > 1)
    code, many = cause.finding.code, spread[cause.rank]
    said = f"see below ({many} share it)" if many > 1 else cause.message
    others = [other for other in codes if other != code]
    return f"{code} {said}" + (f" (and {listed(others, _MOST_CODES)})" if others else "")


def _fitted(columns: list[Column], cells: list[list[str]], view: View) -> tuple[list[Column], list[list[str]]]:
    """The columns that leave room for the root cause in the last one, which is cut to it."""
    if view.wide or not view.width:
        return columns, cells
    shown = [i for i, column in enumerate(columns) if not column.wide]
    last = shown[-1]

    def room() -> int:
        widths = (max([len(columns[i].title), *(len(row[i]) for row in cells)]) + 2 for i in shown if i != last)
        return view.width - sum(widths)

    wanted = min(_LEAST_CAUSE, max((len(row[last]) for row in cells), default=0))
    while room() < wanted and (droppable := [i for i in shown if columns[i].keep < 100]):
        shown.remove(min(droppable, key=lambda i: columns[i].keep))
    left = max(room(), len(columns[last].title))
    for row in cells:
        row[last] = cut(row[last], left)
    return [Column(columns[i].title) for i in shown], [[row[i] for i in shown] for row in cells]


# --- Below the table --------------------------------------------------------------------------------------------------


def _shared(diagnosis: Diagnosis, scan: ScanReport, view: View, paint: Paint) -> Iterator[str]:
    """A root cause of several rows, with all that it affects."""
    finding, rows = diagnosis.finding, scan.rows_of(diagnosis)
    head = f"{finding.code} {diagnosis.severity.value}"
    text = wrapped(f"{head}  ", diagnosis.message, view.width)
    yield paint(colours.SEVERITIES[diagnosis.severity], head) + text[len(head) :]
    namespace = f" -n {finding.object.namespace}" if finding.object.namespace else ""
    yield wrapped("  object    ", f"{finding.object}{namespace}", view.width)
    names = [f"{row.namespaces[0]}/{row.name}" for row in rows]
    affected = ", ".join(names) if view.wide else listed(names, _MOST_AFFECTED)
    yield wrapped("  affects   ", f"{len(rows)} of {len(scan.rows)}: {affected}", view.width)
    yield f"  more      {_more(diagnosis, rows[0], scan)}"


def _more(diagnosis: Diagnosis, row: ScanRow, scan: ScanReport) -> str:
    """What tells more of a cause: the page of the controller for what is wrong with the whole cluster."""
    if CATALOGUE[diagnosis.finding.code].scope is Scope.CLUSTER:
        return clean(scan.report.where.command(kubectl("lbdoctor", "controller")))
    return _diagnosis_of(row.objects[0], scan)


def _diagnosis_of(ref: ObjectRef, scan: ScanReport) -> str:
    return clean(scan.report.where.command(kubectl("lbdoctor", str(ref), namespace=ref.namespace)))


def _closing(scan: ScanReport, view: View, paint: Paint) -> Iterator[str]:
    """How many have which status, what was left out, and everything that is not known, with what to add."""
    if scan.rows:
        parts = [paint(colours.STATUSES[status], f"{n} {status.value}") for status, n in scan.counts.items() if n]
        yield f"{', '.join(parts)} of {counted(len(scan.rows), 'frontend')}"
    yield from (wrapped("", line, view.width, 2) for line in _left_out(scan))
    lines = list(coverage_lines(scan.report, view.wide, scan.complete))
    for line in lines if view.wide else islice(lines, _MOST_UNKNOWN):
        yield clean(line) if line.startswith(" ") else wrapped("", line, view.width, 2)
    if len(lines) > _MOST_UNKNOWN and not view.wide:
        yield f"… {len(lines) - _MOST_UNKNOWN} more lines of what was not read, see -o wide"
    ill = [row for row in scan.rows if row.status is not Status.HEALTHY]
    if ill:
        yield f"more about the first: {_diagnosis_of(ill[0].objects[0], scan)}"


def _left_out(scan: ScanReport) -> Iterator[str]:
    if not scan.complete:
        reach = scan.reach
        groups = (
            f": the targets of {reach.known} of {counted(reach.groups, 'target group')} are known"
            if reach.groups
            else ""
        )
        yield f"not complete{groups}"
    by_place = list(ignored_lines(scan.report))
    yield from by_place[:_MOST_PLACES]
    if len(by_place) > _MOST_PLACES:
        yield f"… ignored by {len(by_place) - _MOST_PLACES} more annotations, see -o json"
    if scan.left_out:
        names = [f"{ref.namespace}/{ref.name}" for ref in scan.left_out]
        yield f"left out: {counted(len(names), 'object')} of other controllers ({listed(names, _MOST_AFFECTED)})"


def _empty(scan: ScanReport, view: View) -> str:
    where = f"in namespace {scan.namespace}" if scan.namespace else "in any namespace"
    labels = f" with the labels {scan.labels}" if scan.labels else ""
    coverage = scan.report.coverage
    denied, failed = (gap.read for gap in coverage.denied), (gap.read for gap in coverage.failed)
    if SUBJECTS.isdisjoint((*denied, *failed)):
        what = "no Ingress, no Service of type LoadBalancer, no Gateway and no TargetGroupBinding of your own"
        said = f"nothing to diagnose {where}{labels}: {what}"
    else:
        said = f"nothing is known {where}{labels}: not everything could be read that would be diagnosed"
    lines = [wrapped("", said, view.width, 2)]
    if scan.namespace:
        selector = ("-l", scan.labels) if scan.labels else ()
        command = scan.report.where.command(kubectl("lbdoctor", "scan", "-A", *selector))
        lines.append(f"all namespaces: {clean(command)}")
    return "\n".join(lines)
