"""The report as JSON and YAML: the versioned contract `lbdoctor/v1` (design: additions are free, changes are not)."""

from __future__ import annotations

import json
from typing import Any

from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, plain
from kubectl_lbdoctor.model.report import Report, SubjectView, TargetGroupView
from kubectl_lbdoctor.render.text import clean

API_VERSION = "lbdoctor/v1"


def document(report: Report) -> dict[str, Any]:
    """The report as plain dictionaries and lists."""
    context = report.context
    return {
        "apiVersion": API_VERSION,
        "kind": "Report",
        "status": report.status.value,
        "generatedAt": report.generated_at,
        "context": {
            "kubeContext": context.kube_context,
            "namespace": context.namespace,
            "region": context.region,
            "account": context.account,
            "cluster": context.cluster,
        },
        "subjects": [_subject(subject) for subject in report.subjects],
        "diagnoses": [_diagnosis(diagnosis) for diagnosis in report.diagnoses],
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
            "notAsked": list(report.coverage.not_asked),
        },
    }


def render_fix(kind: str, result: dict[str, Any], output: str) -> str:
    """What `--fix` (FixPlan where nothing was tried, FixResult) or `undo` (UndoResult) came to, as JSON or YAML."""
    content = {"apiVersion": API_VERSION, "kind": kind, **result}
    if output == "json":
        return json.dumps(content, indent=2, ensure_ascii=True) + "\n"
    import yaml

    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=False, width=120)
    return text


def ref(name: ObjectRef) -> dict[str, str]:
    return {"kind": name.kind, "namespace": name.namespace, "name": name.name}


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
                "expectedUnhealthy": f"{t.id}:{t.port}" in group.expected_unhealthy,
            }
            for t in group.targets
        ],
    }


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    finding = diagnosis.finding
    fix = None
    if diagnosis.fix or finding.commands or finding.advice:
        fix = {
            "name": diagnosis.fix,
            "commands": list(finding.commands),
            "automatic": finding.fix_automatic,
            "advice": finding.advice,
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
        "params": {name: plain(value) for name, value in finding.params.items()},
        "targets": list(finding.targets),
        "evidence": [{"source": e.source, "text": e.text} for e in finding.evidence],
        "rulesOut": finding.rules_out,
        "explains": list(diagnosis.explains),
        "hypotheses": [{"code": h.code, "text": h.text, "settle": h.settle} for h in finding.hypotheses],
        "confirm": list(finding.confirm),
        "fix": fix,
    }


def render_json(report: Report) -> str:
    return json.dumps(document(report), indent=2, ensure_ascii=True) + "\n"


def render_yaml(report: Report) -> str:
    import yaml

    text: str = yaml.safe_dump(document(report), sort_keys=False, allow_unicode=False, width=120)
    return text


def render_name(report: Report) -> str:
    """One "kind/name" per object that needs attention, as kubectl's -o name."""
    names = [str(ref) for diagnosis in report.diagnoses for ref in [diagnosis.finding.object]]
    return "".join(f"{clean(name)}\n" for name in dict.fromkeys(names))
