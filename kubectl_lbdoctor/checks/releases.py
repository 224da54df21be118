"""LBD118: the release of the controller, where it is newer than what is known here."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.running_version import running
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.knowledge.releases import NEWEST_KNOWN, is_unknown, plain
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Finding, Severity
from kubectl_lbdoctor.model.snapshot import Snapshot


@check(
    "LBD118",
    title="the controller is newer than the releases that are known here",
    passes="the controller's release is one of those that are known here",
    scope=Scope.CLUSTER,
    severity=Severity.INFO,
    message="controller {running} runs; releases up to {known} are known here",
    reads=(reads.CONTROLLER, reads.CONTROLLER_PODS, reads.CONTROLLER_LOGS),
)
def newer_than_known(snapshot: Snapshot) -> Iterator[Finding]:
    """What is known here of annotations, error texts, IAM actions and feature gates is of the releases up to the one
    that is named. A newer controller may read more annotations, call more actions and say other things: an annotation
    that is like no known one is then a warning only, and an error text that is not known is quoted as it is.

    Confirm by hand: `kubectl lbdoctor version`, and the release notes of the controller. Repair: none is needed; a
    newer version of this program may know the release.
    """
    for entry in running(snapshot):
        if is_unknown(entry.text):
            yield Finding(
                "LBD118",
                entry.ref,
                params={"running": entry.text, "known": plain(NEWEST_KNOWN)},
                evidence=(entry.evidence,),
                confirm=(kubectl("get", str(entry.ref), "-o", "wide", namespace=entry.ref.namespace),),
            )
