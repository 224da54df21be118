"""The screen for people: object, target groups, targets, then numbered root causes with evidence and repair."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.model.aws import HealthCheck
from kubectl_lbdoctor.model.finding import Diagnosis, Finding, Severity
from kubectl_lbdoctor.model.report import Report, Status, SubjectView, TargetGroupView, TargetView
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.render import unread
from kubectl_lbdoctor.render.formats import View
from kubectl_lbdoctor.render.text import Column, Paint, clean, table

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_STATE_ORDER = ("unhealthy", "unhealthy.draining", "unused", "unavailable", "initial", "draining", "healthy")
# Beyond this a person looks for the odd ones, not for the list; -o wide shows all.
MAX_TARGETS = 20


def render(report: Report, view: View) -> str:
    """The whole screen, ending with a line break."""
    paint = Paint(view.colour)
    blocks: list[str] = []
    for subject in report.subjects:
        blocks += [_subject(subject, view)]
        if subject.target_groups:
            blocks.append(_target_groups(subject, view))
        if subject.backends_without_group:
            blocks.append(clean(f"without a target group: {', '.join(subject.backends_without_group)}"))
        targets = _targets(subject, view)
        if targets:
            blocks.append(targets)
    if report.diagnoses:
        proven = [d for d in report.diagnoses if d.finding.code != "LBD005"]
        errors = sum(1 for d in proven if d.severity is Severity.ERROR)
        blocks.append(paint("bold", _headline(errors, len(proven) - errors, len(proven) < len(report.diagnoses))))
        blocks += ["\n".join(_diagnosis(d, report, view, paint)) for d in report.diagnoses]
    blocks.append("\n".join(_closing(report, paint, view)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _headline(errors: int, others: int, unexplained: bool) -> str:
    """How much was found; `unexplained`: some targets fail for reasons that nothing proves."""
    parts = [f"{errors} root cause{'s' if errors > 1 else ''}"] if errors else []
    if unexplained:
        parts.append("some targets unexplained" if errors else "no root cause proven")
    if others:
        parts.append(f"{others} {'other ' if parts else ''}finding{'s' if others > 1 else ''}")
    return ", ".join(parts)


def _subject(subject: SubjectView, view: View) -> str:
    balancer = subject.load_balancer
    missing = "<none>" if subject.load_balancer_known else "<unknown>"
    zones = ",".join(sorted(balancer.zones)) if balancer else ""
    columns = [
        Column(subject.ref.kind.upper()),
        Column("CLASS", 20),
        Column("LOAD BALANCER", 60),
        Column("TYPE", 30),
        Column("SCHEME", 25),
        Column("STATE", 40),
        Column("ZONES", 15),
        Column("DNS NAME", wide=True),
    ]
    row = [
        f"{subject.ref.namespace}/{subject.ref.name}",
        subject.class_name or "<none>",
        balancer.name if balancer else missing,
        balancer.type if balancer else "",
        balancer.scheme if balancer else "",
        balancer.state if balancer else "",
        zones if view.wide else _short_zones(zones),
        balancer.dns_name if balancer else "",
    ]
    return table(columns, [row], view.width, view.wide)


def _short_zones(zones: str) -> str:
    """Zones without their region: "us-west-2a,us-west-2c" → "2a,2c"."""
    return ",".join(zone.rsplit("-", 1)[-1] for zone in zones.split(",") if zone)


def describe_check(check: HealthCheck, port: int) -> str:
    """A health check in one phrase: "GET http :8080/healthz expects 200, every 15s, 2 to turn"."""
    # A group of a named targetPort shows the dummy port 1: the real port differs per target.
    number = check.port if check.port.isdigit() else str(port) if port > 1 else ""
    where = f":{number}" if number else "traffic-port "
    if check.protocol == "TCP":
        request = f"tcp {where}".rstrip()
    else:
        request = f"GET {check.protocol.lower()} {where}{check.path}"
    expects = f" expects {check.matcher}" if check.matcher and check.protocol != "TCP" else ""
    turns = (
        f"{check.healthy_threshold} to turn"
        if check.healthy_threshold == check.unhealthy_threshold
        else f"{check.healthy_threshold} up, {check.unhealthy_threshold} down"
    )
    return f"{request}{expects}, every {check.interval}s, {turns}"


def _target_groups(subject: SubjectView, view: View) -> str:
    columns = [
        Column("TARGET GROUP"),
        Column("BACKEND", 60),
        Column("TARGETS", 35),
        Column("HEALTHY"),
        Column("CHECK", 70),
        Column("TIMEOUT", wide=True),
        Column("ARN", wide=True),
    ]
    rows = []
    for group in subject.target_groups:
        backend = f"{group.service}:{group.service_port}" if group.service else "<none>"
        if group.service_target and group.service_target != group.service_port:
            backend += f"->{group.service_target}"
        check = group.health_check
        rows.append(
            [
                group.name,
                backend,
                group.target_type or "<unknown>",
                count_healthy(group),
                describe_check(check, group.port) if check.protocol else "<unknown>",
                f"{check.timeout}s" if check.timeout else "",
                group.arn,
            ]
        )
    return table(columns, rows, view.width, view.wide)


def count_healthy(group: TargetGroupView) -> str:
    """ "1/2": healthy targets of those that count, "?/?" where health was not read."""
    if not group.known:
        return "?/?"
    counted = [t for t in group.targets if t.state != "draining"]
    return f"{sum(1 for t in counted if t.state == 'healthy')}/{len(counted)}"


def _targets(subject: SubjectView, view: View) -> str:
    rows = []
    several = len(subject.target_groups) > 1
    for group in subject.target_groups:
        for target in sorted(group.targets, key=_state_order):
            rows.append(
                [
                    target.key,
                    target.zone if view.wide else _short_zones(target.zone),
                    target.pod or ("-" if target.id.startswith("i-") else "<unknown>"),
                    target.node or "<unknown>",
                    target.ready,
                    target.state,
                    _reason(target) + (" (by design)" if target.key in group.expected_unhealthy else ""),
                    group.name,
                    target.description,
                ]
            )
    if not rows:
        return ""
    columns = [
        Column("TARGET"),
        Column("ZONE", 20),
        Column("POD", 70),
        Column("NODE", 30),
        Column("READY", 25),
        Column("STATE"),
        Column("REASON", 80),
        Column("TARGET GROUP", 15, wide=not several),
        Column("DESCRIPTION", wide=True),
    ]
    cut = rows if view.wide else rows[:MAX_TARGETS]
    text = table(columns, cut, view.width, view.wide)
    more = len(rows) - len(cut)
    return text + (f"\n… {more} more targets ({_states(rows[MAX_TARGETS:])}), see -o wide" if more else "")


def _states(rows: list[list[str]]) -> str:
    states = [row[5] for row in rows]
    return ", ".join(f"{states.count(s)} {s}" for s in _STATE_ORDER if s in states)


def _state_order(target: TargetView) -> tuple[int, str, list[int], str, int]:
    """Failing ones first, then by zone and address (by number: 10.0.2.1 before 10.0.10.1)."""
    order = _STATE_ORDER.index(target.state) if target.state in _STATE_ORDER else 0
    parts = target.id.split(".")
    address = [int(part) for part in parts] if len(parts) == 4 and all(p.isdigit() for p in parts) else []
    return order, target.zone, address, target.id, target.port


def _reason(target: TargetView) -> str:
    """AWS's reason without its prefix, with the codes that the description adds: "ResponseCodeMismatch [404]"."""
    reason = target_reasons.short(target.reason)
    start = target.description.rfind("[")
    return f"{reason} {target.description[start:]}" if reason and start >= 0 else reason


def _diagnosis(diagnosis: Diagnosis, report: Report, view: View, paint: Paint) -> Iterator[str]:
    finding, where = diagnosis.finding, report.where
    head = f"{finding.code} {diagnosis.severity.value}"
    sure = "" if finding.confidence.value == "certain" else f" ({finding.confidence.value})"
    yield f"{paint(_COLOURS[diagnosis.severity], head)}{sure}  {paint('bold', clean(diagnosis.message))}"
    namespace = f" -n {finding.object.namespace}" if finding.object.namespace else ""
    yield _line("object", f"{finding.object}{namespace}")
    label = "evidence"
    sources = max((len(e.source) for e in finding.evidence), default=0)
    for evidence in finding.evidence:
        yield _line(label, f"{evidence.source.ljust(sources)}  {evidence.text}")
        label = ""
    if len(report.subjects) > 1:
        yield _line("affects", ", ".join(f"{ref}" for ref in diagnosis.affects))
    if finding.rules_out:
        yield _line("rules out", finding.rules_out)
    if diagnosis.explains:
        yield _line("explains", ", ".join(diagnosis.explains))
    label = "left"
    for hypothesis in finding.hypotheses:
        yield _line(label, f"{hypothesis.code}  {hypothesis.text}")
        yield _line("", f"        {where.sentence(hypothesis.settle)}")
        label = ""
    if finding.advice:
        yield _line("repair", where.sentence(finding.advice))
    label = "fix"
    for command in _fix_commands(diagnosis):
        yield _line(label, where.command(command))
        label = "or"
    for label, command in _by_hand(finding):
        yield _line(label, where.command(command))
    label = "confirm"
    for command in finding.confirm if not finding.hypotheses else ():
        yield _line(label, where.command(command))
        label = ""
    yield _line("more", f"kubectl lbdoctor explain {finding.code}")


def _by_hand(finding: Finding) -> Iterator[tuple[str, str]]:
    """The commands of every way to repair it: those of one way belong together, the ways are alternatives."""
    label = "by hand"
    for way in (*(repair.commands for repair in finding.repairs), *((command,) for command in finding.by_hand)):
        for command in way:
            yield label, command
            label = "and"
        label = "or" if way or label != "by hand" else label


def _fix_commands(diagnosis: Diagnosis) -> Iterator[str]:
    """The commands that make the repair: one for each value where the evidence leaves a choice."""
    finding = diagnosis.finding
    if not diagnosis.fix or not diagnosis.affects or not (finding.repairs or finding.repair_template):
        return
    values = [""] if finding.fix_automatic else [repair.value for repair in finding.repairs]
    if not values and finding.repair_template is not None:
        values = ["VALUE"]
    subject = diagnosis.affects[0]
    for value in values:
        name = f"{diagnosis.fix}={value}" if value else diagnosis.fix
        yield kubectl("lbdoctor", "--fix", name, str(subject), namespace=subject.namespace)


def _line(label: str, text: str) -> str:
    return f"  {label:<9} {clean(text)}".rstrip()


def _closing(report: Report, paint: Paint, view: View) -> Iterator[str]:
    """The last lines: how much was checked, and everything that is not known, with what to add."""
    counts = report.checks
    healthy = sum(1 for s in report.subjects for g in s.target_groups for t in g.targets if t.state == "healthy")
    total = sum(1 for s in report.subjects for g in s.target_groups for t in g.targets if t.state != "draining")
    if report.status is Status.HEALTHY:
        targets = f"{healthy} of {total} targets" if total else "no target is needed"
        words = f"{targets}, {counts.passed} checks passed"
        design = sum(
            1 for s in report.subjects for g in s.target_groups for t in g.targets if t.key in g.expected_unhealthy
        )
        yield paint("green", "healthy") + f": {words}" + (f", {design} unhealthy by design" if design else "")
    else:
        unknown = f", {counts.unknown} unknown" if counts.unknown else ""
        crashed = f", {counts.crashed} crashed" if counts.crashed else ""
        ran = counts.passed + counts.failed + counts.unknown + counts.crashed
        state = {
            Status.UNKNOWN: "unknown: nothing is proven to be wrong, but health is not proven either",
            Status.DEGRADED: "degraded",
            Status.UNHEALTHY: "unhealthy",
        }[report.status]
        colour = "yellow" if report.status is Status.UNKNOWN else "red"
        seen = all(g.known for s in report.subjects for g in s.target_groups)
        targets = f"{healthy} of {total} targets healthy" if seen else "target health was not read"
        yield f"{paint(colour, state)}: {targets}, {ran} checks{unknown}{crashed}"
    yield from unread.lines(report.coverage, view.wide)
    for check in report.unknown:
        if check.crashed:
            yield clean(f"LBD003 check {check.code} crashed: {check.reason} (trace with --verbose)")
    if report.diagnoses:
        yield from report.where.notes
    if policies := unread.policies(report.coverage):
        yield policies
