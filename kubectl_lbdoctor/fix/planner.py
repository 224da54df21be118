"""From diagnoses to a plan of changes. Pure.

Only what the evidence determines is planned by itself; where several values are possible they are listed, and the user
chooses one with `--fix NAME=VALUE`. What is wanted and not planned is refused with a reason, never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.fix import creations
from kubectl_lbdoctor.fix.ways import other_ways, preferred, ways
from kubectl_lbdoctor.model.finding import Confidence, Diagnosis, Severity
from kubectl_lbdoctor.model.plan import Alternative, Change, FixPlan, Refusal, Repair, Step
from kubectl_lbdoctor.model.report import SubjectView
from kubectl_lbdoctor.record import record
from kubectl_lbdoctor.suggestions import likely, question

ALL = "all"


@record
class FixRequest:
    """One item of `--fix`: a fix name, a code or "all", and the value that chooses among several ("" for none)."""

    name: str
    value: str = ""


def parse(texts: Iterable[str], catalogue: Catalogue) -> tuple[FixRequest, ...]:
    """What `--fix` asks for: NAME[=VALUE], several separated by commas.

    A value may hold commas itself ("selector=app=web,tier=front", "success-codes=200,302"): a comma separates only
    where a known name follows it. Raises UsageError for a name that no check offers.
    """
    names = fix_names(catalogue)
    found: list[FixRequest] = []
    for text in texts:
        for part in re.split(r",(?=[a-zA-Z0-9-]+(?:=|,|$))", text):
            name, _, value = part.strip().partition("=")
            code = name.upper()
            known = name.lower() in names or name.lower() == ALL
            spec = catalogue.get(code)
            if known:
                found.append(FixRequest(name.lower(), value))
            elif spec is not None and spec.fix:
                found.append(FixRequest(code, value))
            elif spec is not None:
                raise UsageError(f"there is no fix for {code}: {spec.title}", f"see: kubectl lbdoctor explain {code}")
            elif found and found[-1].value:
                found[-1] = FixRequest(found[-1].name, f"{found[-1].value},{part}")
            else:
                meant = question(likely(name, names))
                known_fixes = f"known fixes: {', '.join(sorted(names))}, {ALL}"
                raise UsageError(f'there is no fix "{name}"', f"{meant} {known_fixes}".lstrip())
    if not found:
        raise UsageError("--fix names nothing", f"known fixes: {', '.join(sorted(names))}, {ALL}")
    for item in found:
        if item.name == ALL and item.value:
            raise UsageError("--fix all takes no value", "name the fix: --fix targetport=8080")
    return tuple(dict.fromkeys(found))


def fix_names(catalogue: Catalogue) -> frozenset[str]:
    """All names that `--fix` accepts."""
    return frozenset(spec.fix for spec in catalogue if spec.fix)


def plan(
    diagnoses: Sequence[Diagnosis], requests: Iterable[FixRequest], subjects: Sequence[SubjectView] = ()
) -> FixPlan:
    """The changes that repair what is asked for, each once, in the order of the diagnoses. subjects: what was looked
    at, whose targets may be too new to be judged."""
    steps: list[Step] = []
    refusals: list[Refusal] = []
    for item in requests:
        matching = [(d, way) for d in diagnoses if (way := _way(d, item)) is not None]
        if not matching:
            refusals.append(_nothing(item, diagnoses, subjects))
        for diagnosis, way in matching:
            repair = _choose(diagnosis, way, item)
            if isinstance(repair, Refusal):
                refusals.append(repair)
                continue
            said = repair.with_reason(diagnosis.message)
            code, others = diagnosis.finding.code, other_ways(diagnosis, way)
            steps += [Step(way.fix, code, change, diagnosis.affects, others) for change in said.changes]
    return _without_conflicts(steps, refusals)


def _way(diagnosis: Diagnosis, item: FixRequest) -> Alternative | None:
    """The way that a request means for a diagnosis; None where it does not mean this diagnosis."""
    first = preferred(diagnosis)
    if item.name == ALL:
        # A guess, or what is by design, is changed only by name.
        sure = diagnosis.finding.confidence is not Confidence.POSSIBLE and diagnosis.severity is not Severity.INFO
        return first if first.fix and sure and first.repairs else None
    if first.fix and item.name in (first.fix, diagnosis.finding.code):
        return first
    return next((way for way in ways(diagnosis) if way.fix == item.name), None)


def _nothing(item: FixRequest, diagnoses: Sequence[Diagnosis], subjects: Sequence[SubjectView]) -> Refusal:
    early = _too_early(subjects)
    if early:
        return Refusal(item.name, f"nothing was found that it repairs yet: {early}")
    found = [(d, way) for d in diagnoses for way in ways(d)]
    others = [f"{way.fix} ({d.finding.code})" for d, way in found if way.fix and way.repairs]
    if item.name == ALL:
        codes = ", ".join(d.finding.code for d in diagnoses if d.severity is Severity.ERROR)
        left = f": {codes} {'has' if ',' not in codes else 'have'} no fix that can be made for you" if codes else ""
        return Refusal(ALL, f"nothing was found that --fix can repair{left}")
    hint = f"; what was found can be repaired with {', '.join(dict.fromkeys(others))}" if others else ""
    return Refusal(item.name, f"nothing was found that it repairs{hint}")


def _too_early(subjects: Sequence[SubjectView]) -> str:
    """That targets were not checked often enough to be judged; "" where all were."""
    groups = [group for subject in subjects for group in subject.target_groups if group.known]
    states = [target.state for group in groups for target in group.targets]
    new = states.count("initial")
    if not new:
        return ""
    checks = [group.health_check for group in groups if any(t.state == "initial" for t in group.targets)]
    seconds = max(check.interval * max(check.healthy_threshold, check.unhealthy_threshold) for check in checks)
    are = "target is" if new == 1 else "targets are"
    return f"{new} of {len(states)} {are} still initial, so the checks have not judged them; ask again in {seconds} s"


def _choose(diagnosis: Diagnosis, way: Alternative, item: FixRequest) -> Repair | Refusal:
    """The one repair that the evidence or the user determines, or why there is none."""
    finding, name = diagnosis.finding, way.fix
    where = f"{finding.object}{f' -n {finding.object.namespace}' if finding.object.namespace else ''}"
    choices = tuple(dict.fromkeys(repair.value for repair in way.repairs))
    if item.value:
        chosen = next((repair for repair in way.repairs if repair.value == item.value), None)
        template = way.template or (way.repairs[0] if way.repairs else None)
        made = chosen or (template.with_value(item.value) if template is not None else None)
        return made or Refusal(name, f'"{item.value}" is no choice for {where}', choices)
    if way.automatic:
        return way.repairs[0]
    if len(choices) > 1:
        return Refusal(name, f"several values are possible for {where}; choose one", choices)
    if choices:
        return Refusal(name, f"nothing proves that {choices[0]} is right for {where}; say so if it is", choices)
    if way.template is not None:
        return Refusal(name, f"which value is right for {where} only you know: --fix {name}=VALUE", (), finding.by_hand)
    todo = f": {finding.advice}" if finding.advice else ""
    return Refusal(name, f"{finding.code} on {where}: no change can be made for you{todo}", (), finding.by_hand)


def _without_conflicts(steps: list[Step], refusals: list[Refusal]) -> FixPlan:
    """Each change once; changes that give one value two contents are all refused."""
    merged: dict[tuple[object, ...], Step] = {}
    for step in steps:
        first = merged.get(_identity(step.change))
        merged[_identity(step.change)] = _for_both(first, step) if first is not None else step
    unique = creations.joined(list(merged.values()), _for_both)
    asked: dict[tuple[object, str], set[str]] = {}
    for step in unique:
        for pointer, then in _places(step.change):
            asked.setdefault((step.change.object, pointer), set()).add(then)
    conflicting = {place for place, values in asked.items() if len(values) > 1}
    kept = []
    for step in unique:
        if any((step.change.object, pointer) in conflicting for pointer, _ in _places(step.change)):
            reason = f"two repairs want different values for {step.change.field} of {step.change.object}"
            values = sorted({v for place in conflicting if place[0] == step.change.object for v in asked[place]})
            refusals.append(Refusal(step.fix, reason, tuple(values)))
        else:
            kept.append(step)
    return FixPlan(tuple(kept), tuple(dict.fromkeys(refusals)))


def _for_both(first: Step, other: Step) -> Step:
    """The first step, for all that either is to heal."""
    codes = dict.fromkeys((*first.codes, *other.codes))
    return replace(
        first,
        affects=tuple(dict.fromkeys((*first.affects, *other.affects))),
        also=tuple(code for code in codes if code != first.code),
    )


def _identity(change: Change) -> tuple[object, ...]:
    if change.aws is not None:
        return (change.object, change.aws.operation, repr(sorted(_flat(change.aws.params))))
    made = repr(sorted(_flat(change.creates))) if change.creates is not None else ""
    return (change.object, change.restart, made, tuple((e.pointer, repr(e.then)) for e in change.edits))


def _flat(value: object, path: str = "") -> list[str]:
    """Every leaf of a parameter with its path, without the words of descriptions."""
    if isinstance(value, Mapping):
        return [leaf for k, v in value.items() if k != "Description" for leaf in _flat(v, f"{path}.{k}")]
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in _flat(v, path)]
    return [f"{path}={value}"]


def _places(change: Change) -> list[tuple[str, str]]:
    made = [("/spec", repr(sorted(_flat(change.creates))))] if change.creates is not None else []
    return made + [(edit.pointer, repr(edit.then)) for edit in change.edits]
