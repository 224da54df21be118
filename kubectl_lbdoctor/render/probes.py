"""The answers of probes for people and programs: one line per answer, then what they prove."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeFacts, Transport
from kubectl_lbdoctor.render.machine import API_VERSION
from kubectl_lbdoctor.render.text import Column, Paint, clean, table


@dataclass(frozen=True, slots=True)
class Row:
    """One answer, with what was asked and the two verdicts in words. difference: what they prove side by side."""

    subject: ObjectRef
    group: str
    answer: ProbeAnswer
    request: str
    state: str
    reason: str
    description: str
    verdict: str
    health: TargetHealth
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """All answers, and the targets that could not be asked (key, reason). passed, failed, unknown: targets."""

    rows: tuple[Row, ...]
    unasked: tuple[tuple[str, str], ...]
    passed: int
    failed: int
    unknown: int
    generated_at: str = ""


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
    reason = health.reason.removeprefix("Target.").removeprefix("Elb.")
    start = health.description.find("[")
    return " ".join(w for w in (health.state, reason, health.description[start:] if start >= 0 else "") if w)


def _time(answer: ProbeAnswer) -> str:
    if answer.outcome is Outcome.INCONCLUSIVE or not answer.seconds:
        return ""
    return f"{answer.seconds:.1f}s" if answer.seconds >= 1 else f"{answer.seconds * 1000:.0f}ms"


def render(result: Result, width: int, wide: bool, colour: bool) -> str:
    """The table and the lines below it, ending with a line break."""
    paint = Paint(colour)
    columns = [
        Column("TARGET"),
        Column("POD", wide=True),
        Column("NODE", wide=True),
        Column("VIA", 90 if len({row.answer.via for row in result.rows}) > 1 else 30),
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
            said(row.answer) if wide else _short(said(row.answer)),
            _time(row.answer),
            row.verdict,
            _health(row.health) if wide or _health(row.health) != row.verdict else "the same",
            row.answer.detail,
        ]
        for row in result.rows
    ]
    blocks = [table(columns, rows, width, wide)] if rows else []
    notes = [f"{target} not asked: {reason}" for target, reason in result.unasked]
    # A refusal and silence say all; the other failures have words of their own.
    details = Counter(
        f"{said(row.answer)}: {row.answer.detail}"
        for row in result.rows
        if row.answer.detail and row.answer.outcome in _WORDED
    )
    moved = Counter(row.answer.location for row in result.rows if len(said(row.answer)) > _LONGEST)
    notes += [f"redirected to {location}" for location in moved if location and not wide]
    notes += [f"{text}" + (f" ({count} answers)" if count > 1 else "") for text, count in details.items()]
    targets = {row.answer.request.target for row in result.rows}
    for text in dict.fromkeys(row.difference for row in result.rows if row.difference):
        same = {row.answer.request.target for row in result.rows if row.difference == text}
        notes.append(f"{len(same)} of {len(targets)} target{'s' if len(targets) > 1 else ''}: {text}")
    if notes:
        blocks.append("\n".join(clean(note) for note in notes))
    blocks.append(_closing(result, paint))
    return "\n\n".join(blocks) + "\n"


def _closing(result: Result, paint: Paint) -> str:
    total = result.passed + result.failed + result.unknown
    inside = {Transport.FORWARD, Transport.CONTAINER}
    where = " on their loopback" if result.rows and all(row.answer.via in inside for row in result.rows) else ""
    words = f"{result.passed} of {total} targets answer{where} as the health check wants"
    unknown = f", {result.unknown} unknown" if result.unknown else ""
    if not total:
        return paint("yellow", "no targets are registered: nothing was sent")
    return paint("red" if result.failed else "yellow" if result.unknown else "green", words) + unknown


def document(result: Result, facts: ProbeFacts) -> dict[str, Any]:
    """The answers as plain dictionaries and lists, of the same versioned contract as the report."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ProbeReport",
        "generatedAt": result.generated_at,
        "targets": {"passed": result.passed, "failed": result.failed, "unknown": result.unknown},
        "probes": [_probe(row) for row in result.rows],
        "notAsked": [{"target": target, "reason": reason} for target, reason in result.unasked],
        "sockets": {
            pod: [{"address": s.address, "port": s.port} for s in fact.peek() or ()]
            for pod, fact in facts.sockets.items()
            if fact.is_known
        },
    }


def _probe(row: Row) -> dict[str, Any]:
    answer, request = row.answer, row.answer.request
    return {
        "subject": {"kind": row.subject.kind, "namespace": row.subject.namespace, "name": row.subject.name},
        "targetGroup": row.group,
        "target": request.target,
        "pod": request.pod,
        "node": request.node,
        "via": answer.via.value,
        "from": answer.source,
        "request": {
            "protocol": request.protocol,
            "version": request.version,
            "address": request.address,
            "port": request.port,
            "path": request.path,
            "host": request.host,
            "timeoutSeconds": request.timeout,
            "matcher": request.matcher,
        },
        "answer": {
            "outcome": answer.outcome.value,
            "status": answer.status,
            "location": answer.location,
            "seconds": answer.seconds,
            "detail": answer.detail,
        },
        "verdict": {"state": row.state, "reason": row.reason, "description": row.description},
        "targetGroupSays": {
            "state": row.health.state,
            "reason": row.health.reason,
            "description": row.health.description,
        },
        "difference": row.difference,
    }


def render_json(result: Result, facts: ProbeFacts) -> str:
    return json.dumps(document(result, facts), indent=2, ensure_ascii=True) + "\n"


def render_yaml(result: Result, facts: ProbeFacts) -> str:
    import yaml

    text: str = yaml.safe_dump(document(result, facts), sort_keys=False, allow_unicode=False, width=120)
    return text


def sockets(facts: ProbeFacts) -> Sequence[str]:
    """Where each pod that was looked into listens, one line per pod."""
    lines = []
    for pod, fact in facts.sockets.items():
        found = [f"[{s.address}]:{s.port}" if ":" in s.address else f"{s.address}:{s.port}" for s in fact.peek() or ()]
        lines.append(clean(f"{pod} listens on {', '.join(found) or 'nothing'}") if fact.is_known else "")
    return [line for line in lines if line]
