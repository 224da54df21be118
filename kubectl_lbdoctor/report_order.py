"""The report with what was asked about in front: the path of a URL before the others of its Ingress. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.report import Report, SubjectView, TargetGroupView
from kubectl_lbdoctor.model.route import Route


def asked_first(report: Report, routes: Sequence[Route]) -> Report:
    """The target groups of these routes come first, and so do the diagnoses that are about them or about all paths;
    otherwise their order stays."""
    if not routes:
        return report
    subjects = tuple(replace(s, target_groups=_sorted(s, routes)) for s in report.subjects)
    asked = [group for s in subjects for group in s.target_groups if _is_asked(s, group, routes)]
    others = [group for s in subjects for group in s.target_groups if not _is_asked(s, group, routes)]
    diagnoses = sorted(report.diagnoses, key=lambda d: _is_of_others(d, asked, others))
    ranked = tuple(replace(d, rank=rank) for rank, d in enumerate(diagnoses, 1))
    return replace(report, subjects=subjects, diagnoses=ranked)


def _is_asked(subject: SubjectView, group: TargetGroupView, routes: Sequence[Route]) -> bool:
    return any(
        route.subject == subject.ref and (route.service, route.port) == (group.service, group.service_port)
        for route in routes
    )


def _sorted(subject: SubjectView, routes: Sequence[Route]) -> tuple[TargetGroupView, ...]:
    return tuple(sorted(subject.target_groups, key=lambda group: not _is_asked(subject, group, routes)))


def _is_of_others(diagnosis: Diagnosis, asked: list[TargetGroupView], others: list[TargetGroupView]) -> bool:
    """Whether it is about other paths alone: by the targets that it accounts for, else by the Service that it names."""
    targets = {*diagnosis.finding.targets}
    if targets:
        mine = {target.key for group in asked for target in group.targets}
        theirs = {target.key for group in others for target in group.targets}
        return bool(targets & theirs) and not targets & mine
    about = diagnosis.finding.object
    named = {group.service for group in asked}
    return about.kind == "Service" and about.name not in named and about.name in {group.service for group in others}
