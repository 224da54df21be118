"""Every result as plain data, once: the versioned contract `lbdoctor/v1`, whatever it is then written as.

Additions are free; a field that is renamed or removed is a new version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.fix.result import FixResult, UndoResult
from kubectl_lbdoctor.fix.step_run import StepRun
from kubectl_lbdoctor.fix.verify import about
from kubectl_lbdoctor.knowledge.secret_text import without_credentials
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, plain
from kubectl_lbdoctor.model.report import Report, Status, SubjectView, TargetGroupView
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.model.where import Where
from kubectl_lbdoctor.probe.report import ProbeReport, ProbeRow

API_VERSION = "lbdoctor/v1"

Document = dict[str, Any]


def document(result: Any) -> Document | list[Document]:
    """A result as plain dictionaries and lists."""
    make, _ = _DOCUMENTS[type(result)]
    made: Document | list[Document] = make(result)
    return made


def names(result: Any) -> Iterable[str]:
    """The names that -o name prints of a result; one may come twice."""
    _, named = _DOCUMENTS[type(result)]
    return named(result)


def report(report: Report) -> Document:
    """A diagnosis."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Report",
        "status": report.status.value,
        "generatedAt": report.generated_at,
        "context": _context(report.context),
        "subjects": [_subject(subject) for subject in report.subjects],
        "diagnoses": [_diagnosis(diagnosis, report.where) for diagnosis in report.diagnoses],
        "checks": {
            "passed": report.checks.passed,
            "failed": report.checks.failed,
            "unknown": report.checks.unknown,
            "skipped": report.checks.skipped,
            "crashed": report.checks.crashed,
        },
        "unknownChecks": [
            {"code": u.code, "title": u.title, "reason": u.reason, "crashed": u.crashed} for u in report.unknown
        ],
        "coverage": {
            "known": report.coverage.known,
            "denied": [
                {"read": d.read, "permission": d.permission, "reason": d.reason} for d in report.coverage.denied
            ],
            "failed": [{"read": f.read, "error": f.error} for f in report.coverage.failed],
            "partial": [{"read": f.read, "error": f.error} for f in report.coverage.partial],
            "notAsked": list(report.coverage.not_asked),
        },
    }


def ref(name: ObjectRef) -> dict[str, str]:
    """An object's name."""
    return {"kind": name.kind, "namespace": name.namespace, "name": name.name}


def _context(context: Context) -> dict[str, str]:
    return {
        "kubeContext": context.kube_context,
        "namespace": context.namespace,
        "region": context.region,
        "account": context.account,
        "cluster": context.cluster,
    }


def _subject(subject: SubjectView) -> dict[str, Any]:
    balancer = subject.load_balancer
    return {
        **ref(subject.ref),
        "status": subject.status.value,
        "class": subject.class_name,
        "loadBalancer": None
        if balancer is None
        else {
            "arn": balancer.arn,
            "name": balancer.name,
            "dnsName": balancer.dns_name,
            "type": balancer.type,
            "scheme": balancer.scheme,
            "state": balancer.state,
        },
        "targetGroups": [_group(group) for group in subject.target_groups],
        "backendsWithoutTargetGroup": list(subject.backends_without_group),
    }


def _group(group: TargetGroupView) -> dict[str, Any]:
    check = group.health_check
    return {
        "arn": group.arn,
        "name": group.name,
        "targetType": group.target_type,
        "protocol": group.protocol,
        "port": group.port,
        "known": group.known,
        "healthCheck": {
            "protocol": check.protocol,
            "port": check.port,
            "path": check.path,
            "matcher": check.matcher,
            "intervalSeconds": check.interval,
            "timeoutSeconds": check.timeout,
            "healthyThreshold": check.healthy_threshold,
            "unhealthyThreshold": check.unhealthy_threshold,
        },
        "backend": {"namespace": group.namespace, "service": group.service, "port": group.service_port},
        "targets": [
            {
                "id": t.id,
                "port": t.port,
                "zone": t.zone,
                "state": t.state,
                "reason": t.reason,
                "description": t.description,
                "pod": t.pod,
                "node": t.node,
                "expectedUnhealthy": t.key in group.expected_unhealthy,
            }
            for t in group.targets
        ],
    }


def _diagnosis(diagnosis: Diagnosis, where: Where) -> dict[str, Any]:
    finding = diagnosis.finding
    fix = None
    if diagnosis.fix or finding.commands or finding.advice:
        fix = {
            "name": diagnosis.fix,
            "commands": [where.command(line) for line in finding.commands],
            "automatic": finding.fix_automatic,
            "advice": where.sentence(finding.advice),
        }
    return {
        "rank": diagnosis.rank,
        "code": finding.code,
        "severity": diagnosis.severity.value,
        "title": diagnosis.title,
        "message": diagnosis.message,
        "confidence": finding.confidence.value,
        "object": ref(finding.object),
        "affects": [ref(name) for name in diagnosis.affects],
        "params": {name: without_credentials(plain(value)) for name, value in finding.params.items()},
        "targets": list(finding.targets),
        "evidence": [{"source": e.source, "text": e.text} for e in finding.evidence],
        "rulesOut": finding.rules_out,
        "explains": list(diagnosis.explains),
        "hypotheses": [
            {"code": h.code, "text": h.text, "settle": where.sentence(h.settle)} for h in finding.hypotheses
        ],
        "confirm": [where.command(line) for line in finding.confirm],
        "fix": fix,
    }


def probe_report(report: ProbeReport) -> Document:
    """The answers of the probe command."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ProbeReport",
        "generatedAt": report.generated_at,
        "targets": {"passed": report.passed, "failed": report.failed, "unknown": report.unknown},
        "probes": [_probe(row) for row in report.rows],
        "notAsked": [{"target": left.target, "reason": left.reason} for left in report.unasked],
        "sockets": {
            pod: [{"address": s.address, "port": s.port} for s in fact.peek() or ()]
            for pod, fact in report.sockets.items()
            if fact.is_known
        },
    }


def _probe(row: ProbeRow) -> dict[str, Any]:
    answer, request = row.answer, row.answer.request
    return {
        "subject": ref(row.subject),
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
            "location": without_credentials(answer.location),
            "seconds": answer.seconds,
            "detail": without_credentials(answer.detail),
        },
        "verdict": {
            "state": row.verdict.state,
            "reason": row.verdict.reason,
            "description": row.verdict.description,
        },
        "targetGroupSays": {
            "state": row.health.state,
            "reason": row.health.reason,
            "description": row.health.description,
        },
        "difference": row.difference,
    }


def fix_result(result: FixResult) -> Document:
    """A fix: what was planned, what became of it, and what the diagnoses before and after it say."""
    return {
        "apiVersion": API_VERSION,
        "kind": "FixPlan" if result.is_plan else "FixResult",
        "status": result.outcome.value,
        "generatedAt": result.before.generated_at,
        "context": _context(result.before.context),
        "wanted": list(result.requested),
        "lookedAt": [ref(subject.ref) for subject in result.before.subjects],
        "steps": [
            {
                **_step(run, result.before.where),
                "ownedBy": {"tool": run.owner.tool, "where": run.owner.where} if run.owner is not None else None,
            }
            for run in result.runs
        ],
        "refused": [
            {
                "fix": r.fix,
                "reason": r.reason,
                "choices": list(r.choices),
                "commands": [result.before.where.command(line) for line in r.by_hand],
            }
            for r in result.refusals
        ],
        "undoFile": result.undo_file,
        "seconds": result.seconds,
        "gone": list(result.gone),
        "errors": [
            without_credentials(error.message)
            for error in (*(f.error for f in result.failures), *filter(None, [result.error]))
        ],
        "before": _found(result.before, result.affects),
        "after": _found(result.after, result.affects) if result.after is not None else None,
    }


def undo_result(result: UndoResult) -> Document:
    """An undoing, with all steps of the undo file."""
    return {
        "apiVersion": API_VERSION,
        "kind": "UndoResult",
        "status": result.outcome.value,
        "undoFile": result.undo_file,
        "steps": [
            {**_step(run, result.where), "undoCommand": result.where.command(run.step.change.undo_command)}
            for run in result.runs
        ],
        "errors": [without_credentials(failure.error.message) for failure in result.failures],
    }


def _found(report: Report, affects: tuple[ObjectRef, ...]) -> Document:
    """What a report says of these objects; of everything where there are none."""
    return {
        "status": min((s.status for s in report.subjects), key=lambda s: s.order, default=Status.UNKNOWN).value,
        "diagnoses": [
            {
                "code": d.finding.code,
                "severity": d.severity.value,
                "object": ref(d.finding.object),
                "message": d.message,
            }
            for d in (about(report, affects) if affects else report.diagnoses)
        ],
    }


def _step(run: StepRun, where: Where) -> Document:
    change = run.step.change
    return {
        "fix": run.step.fix,
        "code": run.step.code,
        "object": ref(change.object),
        "affects": [ref(affected) for affected in run.step.affects],
        "field": change.field,
        "now": change.now,
        "then": change.then,
        "why": change.why,
        "risk": change.risk,
        "command": where.command(change.command),
        "reversible": change.reversible,
        "rehearsable": not change.not_rehearsed,
        "instead": list(run.step.instead),
        "state": run.state.value,
    }


def catalogue(checks: Catalogue) -> list[Document]:
    """All checks with their stable codes."""
    return [
        {
            "code": spec.code,
            "severity": spec.severity.value,
            "title": spec.title,
            "reads": sorted(spec.reads),
            "explains": list(spec.explains),
            "fix": spec.fix,
        }
        for spec in checks
    ]


_DOCUMENTS: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Iterable[str]]]] = {
    Report: (report, lambda result: (str(diagnosis.finding.object) for diagnosis in result.diagnoses)),
    ProbeReport: (probe_report, lambda result: ()),
    FixResult: (fix_result, lambda result: (str(run.step.change.object) for run in result.runs)),
    UndoResult: (undo_result, lambda result: (str(run.step.change.object) for run in result.runs)),
    Catalogue: (catalogue, lambda result: (spec.code for spec in result)),
}
"""How each result is written, and what -o name prints of it."""
