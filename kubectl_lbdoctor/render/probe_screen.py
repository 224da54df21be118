"""The answers of probes for people: one line per answer, then what they prove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kubectl_lbdoctor.checks.wording import part_of
from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, Transport
from kubectl_lbdoctor.probe.report import ProbeReport, ProbeRow
from kubectl_lbdoctor.render.text import Column, Paint, clean, quoted, table
from kubectl_lbdoctor.render.view import View

_WORDED = (Outcome.INCONCLUSIVE, Outcome.TLS, Outcome.GARBLED, Outcome.CLOSED)


def said(answer: ProbeAnswer) -> str:
    """What came back, in a few words."""
    if answer.outcome is Outcome.ANSWERED:
        if answer.status is None:
            return "connected"
        if answer.request.version == "GRPC":
            return f"grpc-status {answer.status}"
        return f"{answer.status} -> {answer.location}" if answer.location else str(answer.status)
    return {
        Outcome.REFUSED: "connection refused",
        Outcome.TIMEOUT: "no answer",
        Outcome.CLOSED: "closed without answer",
        Outcome.TLS: "TLS failed",
        Outcome.GARBLED: "other protocol",
        Outcome.INCONCLUSIVE: "not sent",
    }[answer.outcome]


_LONGEST = 24
"""Characters of an answer in the table; where a redirect leads stands below it in full."""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _health(health: TargetHealth) -> str:
    reason = target_reasons.short(health.reason)
    start = health.description.find("[")
    return " ".join(w for w in (health.state, reason, health.description[start:] if start >= 0 else "") if w)


def _verdict(row: ProbeRow) -> str:
    return str(row.verdict) if row.verdict.known else "unknown"


def _time(answer: ProbeAnswer) -> str:
    if answer.outcome is Outcome.INCONCLUSIVE or not answer.seconds:
        return ""
    return f"{answer.seconds:.1f}s" if answer.seconds >= 1 else f"{answer.seconds * 1000:.0f}ms"


def render(report: ProbeReport, view: View) -> str:
    """The table and the lines below it, ending with a line break."""
    blocks = [_table(report, view)] if report.rows else []
    notes = list(_notes(report, view.wide))
    if notes:
        blocks.append("\n".join(clean(note) for note in notes))
    blocks.append(_closing(report, Paint(view.colour)))
    sockets = "".join(f"{line}\n" for line in _sockets(report))
    return "\n\n".join(blocks) + "\n" + sockets


def _table(report: ProbeReport, view: View) -> str:
    wide = view.wide
    columns = [
        Column("TARGET"),
        Column("POD", wide=True),
        Column("NODE", wide=True),
        Column("VIA", 90 if len({row.answer.via for row in report.rows}) > 1 else 30),
        Column("FROM", wide=True),
        Column("REQUEST", 40),
        Column("ANSWER", 95),
        Column("TIME", 20),
        Column("VERDICT"),
        Column("TARGET GROUP SAYS", 60),
        Column("DETAIL", wide=True),
    ]
    rows = [
        [
            row.answer.request.target,
            row.answer.request.pod or "-",
            row.answer.request.node or "-",
            row.answer.via.value,
            row.answer.source or "-",
            row.request,
            _said(row) if wide else _short(_said(row)),
            _time(row.answer),
            _verdict(row),
            _health(row.health) if wide or _health(row.health) != _verdict(row) else "the same",
            quoted(row.answer.detail),
        ]
        for row in report.rows
    ]
    return table(columns, rows, view.width, wide, view.headers)


def _said(row: ProbeRow) -> str:
    return quoted(said(row.answer))


def _notes(report: ProbeReport, wide: bool) -> Iterator[str]:
    """What was not asked, the failures in their own words, long redirects, and what the verdicts prove."""
    yield from (f"{left.target} not asked: {left.reason}" for left in report.unasked)
    # A refusal and silence say all; the other failures have words of their own.
    details = Counter(
        f"{_said(row)}: {quoted(row.answer.detail)}"
        for row in report.rows
        if row.answer.detail and row.answer.outcome in _WORDED
    )
    moved = Counter(quoted(row.answer.location) for row in report.rows if len(said(row.answer)) > _LONGEST)
    yield from (f"redirected to {location}" for location in moved if location and not wide)
    yield from (f"{text}" + (f" ({count} answers)" if count > 1 else "") for text, count in details.items())
    targets = {row.answer.request.target for row in report.rows}
    for text in dict.fromkeys(row.difference for row in report.rows if row.difference):
        same = {row.answer.request.target for row in report.rows if row.difference == text}
        yield f"{len(same)} of {len(targets)} target{'s' if len(targets) > 1 else ''}: {text}"


def _closing(report: ProbeReport, paint: Paint) -> str:
    total = report.passed + report.failed + report.unknown
    inside = {Transport.FORWARD, Transport.CONTAINER}
    where = " on their loopback" if report.rows and all(row.answer.via in inside for row in report.rows) else ""
    words = f"{part_of(report.passed, total)} answer{'s' * (total == 1)}{where} as the health check wants"
    unknown = f", {report.unknown} unknown" if report.unknown else ""
    if not total:
        return paint("yellow", "no targets are registered: nothing was sent")
    return paint("red" if report.failed else "yellow" if report.unknown else "green", words) + unknown


def _sockets(report: ProbeReport) -> Iterator[str]:
    """Where each pod that was looked into listens, one line per pod."""
    for pod, fact in report.sockets.items():
        if fact.is_known:
            found = [f"[{s.address}]:{s.port}" if ":" in s.address else f"{s.address}:{s.port}" for s in fact.need()]
            yield clean(f"{pod} listens on {', '.join(found) or 'nothing'}")
