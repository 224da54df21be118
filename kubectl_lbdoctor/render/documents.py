"""Every result as plain data, once: the versioned contract `lbdoctor/v1`, whatever it is then written as.

All documents begin alike: what they are, the version of the tool, what the program ends with, one sentence, and how the
run went. Additions are free; a field that is renamed or removed is a new version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from kubectl_lbdoctor import HOME_PAGE, __version__
from kubectl_lbdoctor.checks.registry import Catalogue, CheckSpec
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.fix.result import FixResult, UndoResult
from kubectl_lbdoctor.fix.step_run import StepRun
from kubectl_lbdoctor.fix.verify import about
from kubectl_lbdoctor.knowledge.further_reading import sources
from kubectl_lbdoctor.knowledge.health_reasons import SOURCES
from kubectl_lbdoctor.knowledge.secret_text import without_credentials
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.controller_page import ControllerPage, ControllerView, Leader
from kubectl_lbdoctor.model.failed import Failed
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, plain
from kubectl_lbdoctor.model.kinds import GATEWAY, INGRESS, Kind, resource_name
from kubectl_lbdoctor.model.report import Ignored, Report, Status, SubjectView, TargetGroupView
from kubectl_lbdoctor.model.run import NOT_TOLD, Run
from kubectl_lbdoctor.model.scan import ScanReport, ScanRow
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.model.version import Version
from kubectl_lbdoctor.model.where import Where
from kubectl_lbdoctor.probe.report import ProbeReport, ProbeRow
from kubectl_lbdoctor.render import summaries
from kubectl_lbdoctor.render.report_screen import fix_commands
from kubectl_lbdoctor.render.topics import Explanation, ReasonTopic, Topic, name_of

API_VERSION = "lbdoctor/v1"

_SCAN_REPORT = "ScanReport"

Document = dict[str, Any]

IN_WORDS = frozenset({"why", "reason", "summary", "effect", "answer", "differences"})
"""Params that are a part of the message in words. No program can do anything with them, and their wording is free to
change, so that documents hold them in the message only."""


def document(result: Any, run: Run = NOT_TOLD) -> Document:
    """A result as plain dictionaries and lists. run: how it was come by."""
    return _DOCUMENTS[type(result)].make(result, run)


def rows(result: Any, run: Run = NOT_TOLD) -> list[Document]:
    """What is a row of its own in a table: the items of a list, else the document."""
    made, listed = document(result, run), _DOCUMENTS[type(result)].items
    return [{"apiVersion": API_VERSION, "kind": made["kind"], **item} for item in made[listed]] if listed else [made]


def names(result: Any) -> Iterable[str]:
    """The names that -o name prints of a result; one may come twice."""
    return _DOCUMENTS[type(result)].names(result)


def _type(kind: str) -> Document:
    return {"apiVersion": API_VERSION, "kind": kind, "toolVersion": __version__}


def _head(kind: str, summary: str, run: Run) -> Document:
    """What all documents begin with. exitCode: null where the run has not ended with this result."""
    return {
        **_type(kind),
        "exitCode": None if run.exit_status is None else int(run.exit_status),
        "summary": without_credentials(summary),
    }


def _course(run: Run) -> Document:
    """How a run went that asked a cluster, AWS or a bundle. durationMs: null where it was not measured."""
    return {"durationMs": run.milliseconds, "calls": dict(sorted(run.calls.items()))}


def failure(failed: Failed, run: Run) -> Document:
    """Why there is no result."""
    return {
        **_head("Error", failed.message, run),
        "reason": failed.reason.value,
        "message": without_credentials(failed.message),
        "hint": without_credentials(failed.hint),
    }


def report(report: Report, run: Run) -> Document:
    """A diagnosis."""
    return {
        **_head("Report", summaries.of_report(report), run),
        "status": report.status.value,
        "applied": report.applied,
        "generatedAt": report.generated_at,
        **_course(run),
        "context": _context(report.context),
        "subjects": [_subject(subject) for subject in report.subjects],
        **_found_out(report),
    }


def _found_out(report: Report) -> Document:
    """What checks and reads gave, of one object or of many."""
    return {
        "diagnoses": [_diagnosis(diagnosis, report.where) for diagnosis in report.diagnoses],
        "ignored": [_ignored(entry) for entry in report.ignored],
        "checks": {
            "passed": report.checks.passed,
            "failed": report.checks.failed,
            "unknown": report.checks.unknown,
            "skipped": report.checks.skipped,
            "crashed": report.checks.crashed,
        },
        "unknownChecks": [
            {"code": u.code, "title": u.title, "passes": u.passes, "reason": u.reason, "crashed": u.crashed}
            for u in report.unknown
        ],
        "coverage": {
            "known": report.coverage.known,
            "denied": [
                {"read": d.read, "permission": str(d.permission), "reason": d.reason} for d in report.coverage.denied
            ],
            "failed": [{"read": f.read, "error": f.error} for f in report.coverage.failed],
            "partial": [{"read": f.read, "error": f.error} for f in report.coverage.partial],
            "notAsked": list(report.coverage.not_asked),
            "optional": [
                {"read": d.read, "permission": str(d.permission), "reason": d.reason} for d in report.coverage.optional
            ],
        },
    }


def _ignored(entry: Ignored) -> Document:
    return {
        "code": entry.diagnosis.finding.code,
        "severity": entry.diagnosis.severity.value,
        "message": entry.diagnosis.message,
        "object": ref(entry.diagnosis.finding.object),
        "affects": [ref(name) for name in entry.objects],
        "by": entry.by,
    }


def scan(scan: ScanReport, run: Run) -> Document:
    """A scan: a row for each frontend, and the root causes once."""
    reach = scan.reach
    return {
        **_head(_SCAN_REPORT, summaries.of_scan(scan), run),
        "status": scan.status.value,
        "complete": scan.complete,
        "generatedAt": scan.report.generated_at,
        **_course(run),
        "context": _context(scan.report.context),
        "namespace": scan.namespace,
        "selector": scan.labels,
        "soFar": [],
        "counts": {status.value: number for status, number in scan.counts.items()},
        "frontends": [_row(row) for row in scan.rows],
        "leftOut": [ref(name) for name in scan.left_out],
        "reach": {
            "objects": reach.objects,
            "targetGroups": reach.groups,
            "known": reach.known,
            "asked": reach.asked,
            "slowedDown": reach.slowed,
        },
        **_found_out(scan.report),
    }


def controllers(page: ControllerPage, run: Run) -> Document:
    """The controllers, what they say, and what is wrong with them."""
    return {
        **_head("ControllerPage", summaries.of_controllers(page), run),
        "status": page.status.value,
        "generatedAt": page.report.generated_at,
        **_course(run),
        "context": _context(page.report.context),
        "autoMode": page.auto_mode,
        "controllers": [_controller(controller) for controller in page.controllers],
        "webhooks": [
            {
                "service": ref(webhook.service),
                "port": webhook.port,
                "readyEndpoints": webhook.endpoints,
                "failurePolicies": list(webhook.policies),
            }
            for webhook in page.webhooks
        ],
        "errors": [
            {
                "code": error.code,
                "text": without_credentials(error.text),
                "count": error.count,
                "lastSeen": error.last,
                "object": None if error.about is None else ref(error.about),
                "over": error.over,
            }
            for error in page.errors
        ],
        **_found_out(page.report),
    }


def _controller(controller: ControllerView) -> Document:
    return {
        **ref(controller.ref),
        "replicas": controller.replicas,
        "ready": controller.ready,
        "version": controller.version,
        "flags": dict(controller.flags),
        "serviceAccount": controller.service_account,
        "identity": {"kind": controller.identity.value, "roleArn": controller.role},
        "leader": _leader(controller.leader),
        "pods": [
            {"name": pod.name, "node": pod.node, "ready": pod.ready, "restarts": pod.restarts, "state": pod.state}
            for pod in controller.pods
        ],
    }


def begun(scan: ScanReport) -> Document:
    """What of its document is the same from the first stage of a scan to its end."""
    return {
        **_type(_SCAN_REPORT),
        "generatedAt": scan.report.generated_at,
        "namespace": scan.namespace,
        "selector": scan.labels,
    }


def so_far(row: ScanRow) -> Document:
    """What is told of a frontend while the scan goes on: what stays true whatever its cause will be."""
    whole = _row(row)
    return {name: whole[name] for name in ("kind", "namespace", "name", "objects", "status", "targets")}


def _leader(leader: Leader | None) -> Document | None:
    if leader is None:
        return None
    return {"known": leader.known, "pod": leader.pod, "renewedAt": leader.renewed, "lapsed": leader.lapsed}


def _row(row: ScanRow) -> Document:
    cause = row.cause
    return {
        "kind": row.kind,
        "namespace": row.namespaces[0] if len(row.namespaces) == 1 else "",
        "name": row.name,
        "objects": [ref(name) for name in row.objects],
        "status": row.status.value,
        "loadBalancer": _balancer(row.load_balancer),
        "targets": {"healthy": row.healthy, "total": row.targets},
        "targetGroups": [
            {
                "arn": group.arn,
                "name": group.name,
                "known": group.known,
                "healthy": group.healthy,
                "total": group.counted,
            }
            for group in row.target_groups
        ],
        "rootCause": None if cause is None else {"code": cause.finding.code, "message": cause.message},
        "causes": [cause.rank for cause in row.causes],
        "ignored": [entry.diagnosis.finding.code for entry in row.ignored],
    }


def ref(name: ObjectRef) -> dict[str, str]:
    """An object's name."""
    return {"kind": name.kind, "namespace": name.namespace, "name": name.name}


def docs_url(code: str) -> str:
    """The page of a code: docs/checks.md has a heading for each one."""
    return f"{HOME_PAGE}/blob/main/docs/checks.md#{code.lower()}"


def _context(context: Context) -> dict[str, str]:
    return {
        "kubeContext": context.kube_context,
        "namespace": context.namespace,
        "region": context.region,
        "account": context.account,
        "cluster": context.cluster,
    }


def _subject(subject: SubjectView) -> dict[str, Any]:
    return {
        **ref(subject.ref),
        "status": subject.status.value,
        "class": subject.class_name,
        "loadBalancer": _balancer(subject.load_balancer),
        "frontendLoadBalancer": _balancer(subject.frontend),
        "targetGroups": [_group(group) for group in subject.target_groups],
        "backendsWithoutTargetGroup": list(subject.backends_without_group),
    }


def _balancer(balancer: LoadBalancer | None) -> dict[str, str] | None:
    if balancer is None:
        return None
    return {
        "arn": balancer.arn,
        "name": balancer.name,
        "dnsName": balancer.dns_name,
        "type": balancer.type,
        "scheme": balancer.scheme,
        "state": balancer.state,
    }


def _named(ref: ObjectRef | None, kind: Kind) -> str:
    """The name of an object, if it is of this kind; "" otherwise."""
    return ref.name if ref is not None and ref.kind == kind.name else ""


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
        "backend": {
            "namespace": group.namespace,
            "service": group.service,
            "gateway": _named(group.behind, GATEWAY),
            "ingress": _named(group.behind, INGRESS),
            "port": group.service_port,
        },
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
        lines = [where.command(line) for line in fix_commands(diagnosis)]
        fix = {
            "name": diagnosis.fix,
            "command": lines[0] if lines else "",
            "otherCommands": lines[1:],
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
        "params": {
            name: without_credentials(plain(value)) for name, value in finding.params.items() if name not in IN_WORDS
        },
        "targets": list(finding.targets),
        "evidence": [{"source": e.source, "text": e.text} for e in finding.evidence],
        "rulesOut": finding.rules_out,
        "explains": list(diagnosis.explains),
        "effects": [{"code": e.code, "title": e.title} for e in diagnosis.effects],
        "hypotheses": [
            {
                "code": h.code,
                "text": h.text,
                "settle": where.command("\n".join(h.settle)),
                "commands": [where.command(line) for line in h.settle],
            }
            for h in finding.hypotheses
        ],
        "confirm": [where.command(line) for line in finding.confirm],
        "fix": fix,
        "docsUrl": docs_url(finding.code),
    }


def probe_report(report: ProbeReport, run: Run) -> Document:
    """The answers of the probe command."""
    return {
        **_head("ProbeReport", summaries.of_probes(report), run),
        "status": report.status.value,
        "generatedAt": report.generated_at,
        **_course(run),
        "context": _context(report.context),
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


def fix_result(result: FixResult, run: Run) -> Document:
    """A fix: what was planned, what became of it, and what the diagnoses before and after it say."""
    return {
        **_head("FixPlan" if result.is_plan else "FixResult", summaries.of_fix(result), run),
        "status": result.outcome.value,
        "generatedAt": result.before.generated_at,
        **_course(run),
        "context": _context(result.before.context),
        "wanted": list(result.requested),
        "lookedAt": [ref(subject.ref) for subject in result.before.subjects],
        "steps": [
            {
                **_step(made, result.before.where),
                "ownedBy": {"tool": made.owner.tool, "where": made.owner.where} if made.owner is not None else None,
            }
            for made in result.runs
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


def undo_result(result: UndoResult, run: Run) -> Document:
    """An undoing, with all steps of the undo file."""
    return {
        **_head("UndoResult", summaries.of_undo(result), run),
        "status": result.outcome.value,
        "generatedAt": result.generated_at,
        **_course(run),
        "context": _context(result.context),
        "undoFile": result.undo_file,
        "steps": [
            {**_step(made, result.where), "undoCommand": result.where.command(made.step.change.undo_command)}
            for made in result.runs
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


def catalogue(checks: Catalogue, run: Run) -> Document:
    """Checks with their stable codes."""
    return {
        **_head("CheckList", counted(len(list(checks)), "check"), run),
        "checks": [_check(spec) for spec in checks],
    }


def _check(spec: CheckSpec) -> Document:
    """A check, as the list and `explain` show it."""
    return {
        "code": spec.code,
        "severity": spec.severity.value,
        "title": spec.title,
        "passes": spec.passes,
        "reads": sorted(spec.reads),
        "explains": list(spec.explains),
        "fix": spec.fix,
        "docsUrl": docs_url(spec.code),
    }


def explanation(explanation: Explanation, run: Run) -> Document:
    """What codes, reasons and fixes mean, with the codes that belong to them."""
    named = ", ".join(map(name_of, explanation.topics))
    return {
        **_head("Explanation", f"what {named} {'means' if len(explanation.topics) == 1 else 'mean'}", run),
        "topics": [_topic(topic) for topic in explanation.topics],
    }


def _topic(topic: Topic) -> Document:
    if isinstance(topic, CheckSpec):
        text = {**_check(topic), "explanation": topic.doc, "sources": list(sources(topic.code, topic.doc))}
        return {"topic": "check", "name": topic.code, **text}
    if isinstance(topic, ReasonTopic):
        reason = topic.reason
        return {
            "topic": "reason",
            "name": reason.name,
            "targetState": reason.state,
            "explanation": reason.meaning,
            "rulesOut": reason.rules_out,
            "next": reason.next_step,
            "causes": [{"code": spec.code, "title": spec.title} for spec in topic.causes],
            "sources": list(SOURCES),
        }
    return {
        "topic": "fix",
        "name": topic.name,
        "explanation": topic.changes,
        "repairs": [{"code": spec.code, "title": spec.title} for spec in topic.repairs],
    }


def version(version: Version, run: Run) -> Document:
    """What this program is."""
    return {
        **_head("Version", f"kubectl lbdoctor {version.number}", run),
        "pythonVersion": version.python,
        "platform": version.platform,
    }


class _Kind(NamedTuple):
    """How a result is written. names: what -o name prints of it. items: the field that holds the rows of a list."""

    make: Callable[[Any, Run], Document]
    names: Callable[[Any], Iterable[str]] = lambda result: ()
    items: str = ""


def _changed(result: FixResult | UndoResult) -> Iterable[str]:
    return (resource_name(run.step.change.object) for run in result.runs)


def _needing_attention(scan: ScanReport) -> Iterable[str]:
    return (resource_name(ref) for row in scan.rows if row.status is not Status.HEALTHY for ref in row.objects)


_DOCUMENTS: dict[type, _Kind] = {
    Report: _Kind(report, lambda result: (resource_name(diagnosis.finding.object) for diagnosis in result.diagnoses)),
    ScanReport: _Kind(scan, _needing_attention, "frontends"),
    ControllerPage: _Kind(controllers),
    ProbeReport: _Kind(probe_report),
    FixResult: _Kind(fix_result, _changed),
    UndoResult: _Kind(undo_result, _changed),
    Catalogue: _Kind(catalogue, lambda result: (spec.code for spec in result), "checks"),
    Explanation: _Kind(explanation, items="topics"),
    Version: _Kind(version),
    Failed: _Kind(failure),
}
