"""Which findings give way to what is known better: to healthy targets, and to the intent that a backend gets no
traffic. The one place for it; checks say what they find and do not ask.

A static suspicion is drawn from objects alone: that a setting, taken as it reads, would keep traffic from its pods, or
would be refused by the controller. Targets that are healthy all the same have the better knowledge. What health does
not disprove is no suspicion of this kind: clients who are not admitted, a controller that does not run, drift, and
what the next rollout will meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import Frontend, paths_of, traffic_paths
from kubectl_lbdoctor.analysis.idle_backends import idle
from kubectl_lbdoctor.analysis.serving import accepted_and_healthy, all_targets_healthy, served_from_elsewhere
from kubectl_lbdoctor.checks.registry import CheckSpec
from kubectl_lbdoctor.model.fact import recording
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class Suspicion:
    """What disproves a code's claim, and what is left of it then (None: nothing).

    disproof gives its evidence for a path, None where there is none.
    """

    disproof: Callable[[TrafficPath], Evidence | None]
    left: Severity | None


STATIC_SUSPICIONS: Mapping[str, Suspicion] = {
    # Settings that the controller would refuse: it has not, and what they ask for is in place.
    "LBD101": Suspicion(accepted_and_healthy, Severity.WARNING),
    "LBD107": Suspicion(accepted_and_healthy, Severity.WARNING),
    "LBD111": Suspicion(accepted_and_healthy, Severity.WARNING),
    "LBD204": Suspicion(accepted_and_healthy, Severity.WARNING),
    "LBD226": Suspicion(accepted_and_healthy, Severity.WARNING),
    "LBD310": Suspicion(accepted_and_healthy, Severity.WARNING),
    # Endpoints that should not be able to serve, or pods that should be none.
    "LBD203": Suspicion(all_targets_healthy, Severity.WARNING),
    "LBD213": Suspicion(all_targets_healthy, None),
    "LBD220": Suspicion(all_targets_healthy, None),
    "LBD221": Suspicion(all_targets_healthy, Severity.INFO),
    # No pods here: one of the clusters that share a group may be drained.
    "LBD201": Suspicion(served_from_elsewhere, Severity.INFO),
    "LBD202": Suspicion(served_from_elsewhere, Severity.INFO),
    "LBD406": Suspicion(served_from_elsewhere, Severity.INFO),
}
"""The codes that are static suspicion. Health counts only where it holds on every path that the finding is about."""

NEEDS_TRAFFIC = frozenset(
    {
        *("LBD005", "LBD201", "LBD202", "LBD203", "LBD205", "LBD206", "LBD207", "LBD208", "LBD209"),
        *("LBD210", "LBD211", "LBD212", "LBD213", "LBD216", "LBD217", "LBD218", "LBD220", "LBD221"),
        "LBD225",
        *("LBD301", "LBD302", "LBD303", "LBD304", "LBD305", "LBD306", "LBD307", "LBD308", "LBD309", "LBD312"),
        *("LBD313", "LBD314", "LBD315", "LBD316", "LBD317", "LBD318", "LBD320", "LBD321"),
        "LBD322",
        *("LBD401", "LBD402", "LBD403", "LBD404", "LBD405", "LBD406", "LBD407", "LBD408", "LBD409", "LBD410", "LBD411"),
        "LBD412",
        *("LBD501", "LBD502", "LBD503", "LBD507", "LBD508", "LBD509", "LBD513", "LBD514", "LBD515", "LBD516"),
        *("LBD517", "LBD518", "LBD522", "LBD601", "LBD602", "LBD603", "LBD604", "LBD605", "LBD607", "LBD609"),
        *("LBD701", "LBD702", "LBD703", "LBD704"),
    }
)
"""The codes whose harm is that a backend does not take its traffic: information where none is meant for it. Not among
them is what keeps the controller from building anything of the object (LBD204, LBD226): that harms all its backends."""

Subject = Snapshot | Frontend | TrafficPath
"""What a check looks at, by its scope."""


def outranked(spec: CheckSpec, finding: Finding, subject: Subject) -> Finding | None:
    """The finding as far as nothing known outranks it; None where nothing of it is left.

    What it weighs is not what the check opens, and so counts for no check's declaration.
    """
    suspicion = STATIC_SUSPICIONS.get(spec.code)
    if suspicion is None and spec.code not in NEEDS_TRAFFIC:
        return finding
    with recording():
        paths = _paths(subject)
        if spec.code in NEEDS_TRAFFIC:
            reasons = [reason.evidence for path in paths if (reason := idle(path)) is not None]
            if reasons and len(reasons) == len(paths):
                return None if spec.symptom else _unasked(_lowered(spec, finding, Severity.INFO, reasons))
        if suspicion is None or finding.targets:
            return finding  # One that accounts for failing targets rests on more than objects.
        disproof = [evidence for path in paths if (evidence := suspicion.disproof(path)) is not None]
        if not disproof or len(disproof) < len(paths):
            return finding
        return _lowered(spec, finding, suspicion.left, disproof) if suspicion.left is not None else None


def _paths(subject: Subject) -> tuple[TrafficPath, ...]:
    if isinstance(subject, TrafficPath):
        return (subject,)
    if isinstance(subject, Frontend):
        return paths_of(subject)
    return traffic_paths(subject)


def _lowered(spec: CheckSpec, finding: Finding, to: Severity, why: Iterable[Evidence]) -> Finding:
    """The finding with a milder severity and the reason for it. What is as mild already stays as it is."""
    if (finding.severity or spec.severity).order >= to.order:
        return finding
    evidence = tuple(dict.fromkeys((*finding.evidence, *why)))
    return replace(finding, severity=to, evidence=evidence)


def _unasked(finding: Finding) -> Finding:
    """The finding without what would repair it: what is meant to be idle is not to be woken."""
    return replace(finding, repairs=(), repair_template=None, fix_automatic=False, by_hand=(), advice="")
