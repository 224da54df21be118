"""What can be said of manifests before they are applied: the checks that objects alone decide, and repairs of the file.

A load balancer, targets, endpoints and pods are not there yet, so that whatever looks at them has nothing to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef
from kubectl_lbdoctor.model.k8s import TEMPLATE_POD
from kubectl_lbdoctor.model.plan import Change
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import Snapshot

DECIDED_BY_OBJECTS = frozenset(
    {
        # Reads, and the class and its controller, with whatever refuses the objects when they are applied.
        *("LBD001", "LBD002", "LBD004", "LBD101", "LBD102", "LBD125", "LBD126", "LBD127", "LBD129", "LBD130", "LBD131"),
        *("LBD132", "LBD133", "LBD134"),
        # What the objects say and name.
        *("LBD103", "LBD106", "LBD107", "LBD108", "LBD110", "LBD111", "LBD112", "LBD113", "LBD114", "LBD115"),
        *("LBD201", "LBD203", "LBD204", "LBD220", "LBD224", "LBD310", "LBD511", "LBD602", "LBD704"),
    }
)
"""The codes whose checks are run on what is not applied yet."""


def decided_by_objects(catalogue: Catalogue) -> Catalogue:
    """The catalogue in which only these checks are run; the pages of all codes stay in it."""
    return Catalogue(
        {spec.code: spec if spec.code in DECIDED_BY_OBJECTS else replace(spec, function=None) for spec in catalogue}
    )


def of_manifests(report: Report, snapshot: Snapshot) -> Report:
    """The report with repairs of the files: commands would look for objects that are not there."""
    places = {laid.ref: laid.place for laid in snapshot.laid}
    return replace(report, diagnoses=tuple(_of_manifest(diagnosis, places) for diagnosis in report.diagnoses))


def _of_manifest(diagnosis: Diagnosis, places: Mapping[ObjectRef, str]) -> Diagnosis:
    finding = diagnosis.finding
    changes = tuple(change for repair in finding.repairs[:1] for change in repair.changes)
    about = {finding.object, *(change.object for change in changes)}
    if not about & {*places}:
        return diagnosis
    advice = "; ".join(_edit(change, places) for change in changes) or finding.advice
    return replace(
        diagnosis,
        fix="",
        finding=replace(
            finding,
            repairs=(),
            repair_template=None,
            fix_automatic=False,
            alternatives=(),
            by_hand=(),
            confirm=tuple(command for command in finding.confirm if not _names(command, about)),
            advice=advice,
        ),
    )


_ABSENT = ("", "<none>")


def _edit(change: Change, places: Mapping[ObjectRef, str]) -> str:
    where = f"{places.get(change.object, 'the cluster')}, {change.object}:"
    if change.then in _ABSENT:
        return f"in {where} remove {change.field}"
    if change.now in _ABSENT:
        return f"in {where} set {change.field} to {change.then}"
    return f"in {where} change {change.field} from {change.now} to {change.then}"


def _names(command: str, refs: set[ObjectRef]) -> bool:
    words = command.split()
    by_kind = any(str(ref) in words or f"{ref.kind.lower()} {ref.name}" in command for ref in refs)
    return by_kind or TEMPLATE_POD in command
