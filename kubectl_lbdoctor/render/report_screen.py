"""The screen for people: object, target groups, targets, then numbered root causes with evidence and repair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.model.aws import HealthCheck, describe_check
from kubectl_lbdoctor.model.finding import Confidence, Diagnosis, Evidence, Finding, Hypothesis, Severity, Source
from kubectl_lbdoctor.model.report import Report, Status, SubjectView, TargetGroupView, TargetView
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.where import Where
from kubectl_lbdoctor.render import colours
from kubectl_lbdoctor.render.coverage_lines import coverage_lines
from kubectl_lbdoctor.render.text import Column, Paint, clean, table_or_records, wrapped
from kubectl_lbdoctor.render.verdict import verdicts
from kubectl_lbdoctor.render.view import View

_STATE_ORDER = ("unhealthy", "unhealthy.draining", "unused", "unavailable", "initial", "draining", "healthy")
SURENESS = {Confidence.CERTAIN: "", Confidence.LIKELY: "probably: ", Confidence.POSSIBLE: "possibly: "}
_WIDEST_SOURCE = 36
_INDENT = 12
_NARROW = 60
_FEW_GROUPS = 2
_MOST_CODES = 5
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
            blocks.append(wrapped("without a target group: ", ", ".join(subject.backends_without_group), view.width))
        targets = _targets(subject, view)
        if targets:
            blocks.append(targets)
    if report.diagnoses:
        proven = [d for d in report.diagnoses if d.finding.code != "LBD005"]
        errors = sum(1 for d in proven if d.severity is Severity.ERROR)
        blocks.append(paint("bold", _headline(errors, len(proven) - errors, len(proven) < len(report.diagnoses))))
        blocks += ["\n".join(diagnosis_lines(d, report, view, paint)) for d in report.diagnoses]
    blocks.append("\n".join(_closing(report, view, paint)))
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
    missing = "<none>" if subject.load_balancer_known else "<unknown>"
    several = [subject.frontend, subject.load_balancer] if subject.frontend is not None else [subject.load_balancer]
    rows = [
        [
            f"{subject.ref.namespace}/{subject.ref.name}",
            subject.class_name or "<none>",
            balancer.name if balancer else missing,
            balancer.type if balancer else "",
            balancer.scheme if balancer else "",
            balancer.state if balancer else "",
            _zones(balancer.zones, view) if balancer else "",
            balancer.dns_name if balancer else "",
        ]
        for balancer in several
    ]
    return table_or_records(columns, rows, view.width, view.wide, view.headers)


def _zones(zones: Iterable[str], view: View) -> str:
    joined = ",".join(sorted(zones))
    return joined if view.wide else _short_zones(joined)


def _short_zones(zones: str) -> str:
    """Zones without their region: "us-west-2a,us-west-2c" → "2a,2c"."""
    return ",".join(zone.rsplit("-", 1)[-1] for zone in zones.split(",") if zone)


def describe_rhythm(check: HealthCheck) -> str:
    """How often a health check is made, and how many results in a row change a target's state: "15s, 2 to turn"."""
    turns = (
        f"{check.healthy_threshold} to turn"
        if check.healthy_threshold == check.unhealthy_threshold
        else f"{check.healthy_threshold} up, {check.unhealthy_threshold} down"
    )
    return f"{check.interval}s, {turns}"


def _target_groups(subject: SubjectView, view: View) -> str:
    columns = [
        # Where there are many, one line for each is worth more than the name of each.
        Column("TARGET GROUP", 100 if len(subject.target_groups) <= _FEW_GROUPS else 90),
        Column("BACKEND"),
        Column("TARGETS", 35),
        Column("HEALTHY"),
        Column("CHECK"),
        Column("EVERY", 40),
        Column("TIMEOUT", wide=True),
        Column("ARN", wide=True),
    ]
    rows = []
    for group in subject.target_groups:
        backend = group.backend or "<none>"
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
                describe_rhythm(check) if check.protocol else "",
                f"{check.timeout}s" if check.timeout else "",
                group.arn,
            ]
        )
    return table_or_records(columns, rows, view.width, view.wide, view.headers)


def count_healthy(group: TargetGroupView) -> str:
    """ "1/2": healthy targets of those that count, "?/?" where health was not read."""
    return f"{group.healthy}/{group.counted}" if group.known else "?/?"


def _targets(subject: SubjectView, view: View) -> str:
    rows = []
    several = len(subject.target_groups) > 1
    for group in subject.target_groups:
        for target in sorted(group.targets, key=_state_order):
            rows.append(
                [
                    target.label,
                    target.zone if view.wide else _short_zones(target.zone),
                    target.pod or ("-" if target.id.startswith("i-") or target.is_load_balancer else "<unknown>"),
                    target.node or ("-" if target.is_load_balancer else "<unknown>"),
                    target.ready,
                    target.state,
                    target_reasons.with_codes(target.reason, target.description)
                    + (" (by design)" if target.key in group.expected_unhealthy else ""),
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
    text = table_or_records(columns, cut, view.width, view.wide, view.headers)
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


def diagnosis_lines(diagnosis: Diagnosis, report: Report, view: View, paint: Paint) -> Iterator[str]:
    """A root cause with its evidence and its repair."""
    finding, where = diagnosis.finding, report.where
    yield from _heading(diagnosis, view, paint)
    namespace = f" -n {finding.object.namespace}" if finding.object.namespace else ""
    yield _text("object", f"{finding.object}{namespace}", view)
    yield from _evidence(finding.evidence, view)
    if len(report.subjects) > 1:
        yield _text("affects", ", ".join(ref.among(report.namespaces) for ref in diagnosis.affects), view)
    if finding.rules_out:
        yield _text("rules out", finding.rules_out, view)
    label = "explains"
    told = {entry.text[:6] for entry in finding.evidence if entry.source == Source.EFFECT}
    for effect in (effect for effect in diagnosis.effects if effect.code not in told):
        yield _text(label, f"{effect.title} ({effect.code})", view)
        label = ""
    label = "to settle"
    for command in finding.confirm if finding.hypotheses else ():
        yield _command(label, where.command(command))
        label = ""
    yield from _hypotheses(finding, view, where)
    if finding.advice:
        yield _text("repair", where.sentence(finding.advice), view)
    label = "fix"
    for command in fix_commands(diagnosis):
        yield _command(label, where.command(command))
        label = "or"
    for label, command in by_hand(finding):
        yield _command(label, where.command(command))
    label = "confirm" if finding.confidence is Confidence.CERTAIN else "to settle"
    for command in finding.confirm if not finding.hypotheses else ():
        yield _command(label, where.command(command))
        label = ""
    yield _command("more", f"kubectl lbdoctor explain {finding.code}")


def _heading(diagnosis: Diagnosis, view: View, paint: Paint) -> Iterator[str]:
    """The code, its severity and what is wrong; what is not proven says so in its first words."""
    finding = diagnosis.finding
    head = f"{finding.code} {diagnosis.severity.value}"
    # The message of one with hypotheses says itself that nothing is proven.
    indent = len(head) + 2 if view.width > _NARROW else 2
    first, *others = wrapped(f"{head}  ", sentence_of(diagnosis), view.width, indent).splitlines()
    yield f"{paint(colours.SEVERITIES[diagnosis.severity], head)}  {paint('bold', first[len(head) + 2 :])}"
    yield from (f"{' ' * indent}{paint('bold', line.strip())}" for line in others)


def _hypotheses(finding: Finding, view: View, where: Where) -> Iterator[str]:
    """What may be the cause, most likely first; what the same command settles stands together above it."""
    by_command: dict[tuple[str, ...], list[Hypothesis]] = {}
    for number, hypothesis in enumerate(finding.hypotheses):
        by_command.setdefault(hypothesis.settle or (str(number),), []).append(hypothesis)
    label = "may be"
    for together in by_command.values():
        for hypothesis in together:
            yield _text(label, f"{hypothesis.text} ({hypothesis.code})", view)
            label = "or"
        yield from (_command("", where.command(command)) for command in together[0].settle)


def _evidence(evidence: tuple[Evidence, ...], view: View) -> Iterator[str]:
    """The observed facts under each other; a source that is longer than most does not push the others aside."""
    facts = grouped_evidence(evidence)
    sources = [source for source, _ in facts]
    pad = max((len(source) for source in sources if len(source) <= _WIDEST_SOURCE), default=0)
    if view.width and pad > view.width // 4:
        pad = 0
    label, before = "evidence", ""
    for source, text in facts:
        shown = " " * len(source) if source == before and len(source) <= pad else source
        if len(source) <= pad:
            yield wrapped(f"  {label:<9} {shown.ljust(pad)}  ", text, view.width)
        else:
            yield wrapped(f"  {label:<9} ", f"{source}  {text}", view.width, _INDENT + 2)
        label, before = "", source


def grouped_evidence(evidence: tuple[Evidence, ...]) -> list[tuple[str, str]]:
    """Source and text of each fact; what several of a kind show alike is said once, with how many more there are."""
    by_text: dict[tuple[str, str], list[str]] = {}
    for entry in evidence:
        kind = entry.source.partition(" ")[0]
        by_text.setdefault((kind, clean(entry.text)), []).append(clean(entry.source))
    return [
        (sources[0] + (f" and {len(sources) - 1} more" if len(sources) > 1 else ""), text)
        for (_, text), sources in by_text.items()
    ]


def by_hand(finding: Finding) -> Iterator[tuple[str, str]]:
    """The commands of every way to repair it: those of one way belong together, the ways are alternatives."""
    label = "by hand"
    for way in (*(repair.commands for repair in finding.repairs), *((command,) for command in finding.by_hand)):
        for command in way:
            yield label, command
            label = "and"
        label = "or" if way or label != "by hand" else label


def sentence_of(diagnosis: Diagnosis) -> str:
    """What is wrong in one sentence, which says where it is not certain."""
    finding = diagnosis.finding
    return f"{'' if finding.hypotheses else SURENESS[finding.confidence]}{diagnosis.message}"


def first_repair(diagnosis: Diagnosis) -> str:
    """The one command that repairs it and runs as it stands, of the program itself or else by hand; "" for none."""
    finding = diagnosis.finding
    own = fix_commands(diagnosis) if finding.repairs else ()  # Else it has a word in it that a person replaces.
    return next(iter((*own, *finding.commands)), "")


def fix_commands(diagnosis: Diagnosis) -> Iterator[str]:
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


def _text(label: str, text: str, view: View) -> str:
    """A labelled sentence, in lines of the width."""
    return wrapped(f"  {label:<9} ", text, view.width)


def _command(label: str, command: str) -> str:
    """A labelled command on one line, however long it is: it is there to be copied."""
    return f"  {label:<9} {clean(command)}".rstrip()


def _before_apply(report: Report, paint: Paint) -> str:
    """The last line about manifests: what their objects decide, and no word of targets that are not there."""
    checks = report.checks.passed + report.checks.failed + report.checks.unknown + report.checks.crashed
    if report.status is Status.HEALTHY:
        return paint("green", "not applied") + f": nothing is wrong with it, as far as {checks} checks can tell before"
    if report.status is Status.UNKNOWN:
        return (
            paint("yellow", "not applied") + f": nothing is proven to be wrong with it, {checks} checks, some unknown"
        )
    return paint("red", "not applied") + f": it would not work, {report.checks.failed} of {checks} checks failed"


def _closing(report: Report, view: View, paint: Paint) -> Iterator[str]:
    """The last lines: what does not work, and everything that is not known, with what to add."""
    if not report.applied:
        yield _before_apply(report, paint)
    for verdict in verdicts(report) if report.applied else ():
        text = wrapped("", f"{verdict}", view.width, 2)
        colour = colours.STATUSES[verdict.status]
        yield paint(colour, verdict.word) + text[len(verdict.word) :]
    for line in coverage_lines(report, view.wide):
        yield clean(line) if line.startswith(" ") else wrapped("", line, view.width, 2)
    for line in ignored_lines(report):
        yield wrapped("", line, view.width, 2)
    if report.diagnoses:
        yield from (wrapped("", note, view.width, 2) for note in report.where.notes)


def ignored_lines(report: Report) -> Iterator[str]:
    """How many findings are left out because somebody has said so, and where that is said."""
    by: dict[str, list[str]] = {}
    for entry in report.ignored:
        by.setdefault(entry.by, []).append(entry.diagnosis.finding.code)
    for where, codes in by.items():
        number = counted(len(codes), "finding")
        yield f"ignored: {number} ({listed(sorted(dict.fromkeys(codes)), _MOST_CODES)}), by {where}"
