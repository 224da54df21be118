"""The ways in which `--fix` can repair a diagnosis: the one that its check prefers, and alternatives. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.plan import Alternative


def preferred(diagnosis: Diagnosis) -> Alternative:
    """The way to repair a diagnosis that its check prefers; without a name and repairs where there is none."""
    finding = diagnosis.finding
    automatic = finding.fix_automatic and bool(finding.repairs)
    return Alternative(diagnosis.fix, finding.repairs, finding.repair_template, automatic)


def ways(diagnosis: Diagnosis) -> tuple[Alternative, ...]:
    """The preferred way and the alternatives that have another name."""
    first = preferred(diagnosis)
    return (first, *(way for way in diagnosis.finding.alternatives if way.fix != first.fix))


def requests_for(way: Alternative) -> tuple[str, ...]:
    """What `--fix` has to be told to take this way: one text for each value where the evidence leaves a choice."""
    if not way.fix or not (way.repairs or way.template):
        return ()
    if way.automatic:
        return (way.fix,)
    return tuple(f"{way.fix}={repair.value}" for repair in way.repairs) or (f"{way.fix}=VALUE",)


def other_ways(diagnosis: Diagnosis, taken: Alternative) -> tuple[str, ...]:
    return tuple(text for way in ways(diagnosis) if way.fix != taken.fix for text in requests_for(way))
