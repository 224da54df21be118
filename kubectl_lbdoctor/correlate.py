"""From findings to diagnoses: root causes first, symptoms folded under the cause that explains them. Pure.

Two findings belong together when they were made on a common path and one's declaration says that it explains the
other. Targets that fail their check, or that AWS does not use, and that no proven cause accounts for give LBD005: a
doctor that cannot prove a cause says so and names what is left, instead of guessing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubectl_lbdoctor.analysis.alb_answers import deciding_paths
from kubectl_lbdoctor.analysis.chained_gateways import is_made, paths_that_decide
from kubectl_lbdoctor.analysis.hypotheses import hypotheses, next_probe, probed
from kubectl_lbdoctor.analysis.node_targets import without_any_endpoint
from kubectl_lbdoctor.analysis.responsibility import is_kept_from_work
from kubectl_lbdoctor.analysis.shared_settings import with_care
from kubectl_lbdoctor.checks.outranking import outranked
from kubectl_lbdoctor.checks.registry import Catalogue, Cause, CheckSpec, Scope
from kubectl_lbdoctor.checks.wording import listed
from kubectl_lbdoctor.model import target_reasons
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import (
    CheckResult,
    Confidence,
    Diagnosis,
    Effect,
    Evidence,
    Finding,
    ObjectRef,
    Param,
    Severity,
    Source,
)
from kubectl_lbdoctor.model.kinds import GATEWAY
from kubectl_lbdoctor.model.traffic_path import TrafficPath

UNEXPLAINED = "LBD005"
NO_POD_READY = "LBD202"


@dataclass
class _Merged:
    """One finding with the keys of all paths on which it was made.

    claims: what this very finding accounts for (`Finding.explains`), as keys of paths with codes. on_path: how severe
    it is on each of its paths.
    """

    spec: CheckSpec
    finding: Finding
    paths: set[str] = field(default_factory=set)
    explains: list[str] = field(default_factory=list)
    folded: bool = False
    claims: set[tuple[str, str]] = field(default_factory=set)
    on_path: dict[str, Severity] = field(default_factory=dict)

    def weigh(self, paths: Iterable[str], severity: Severity) -> None:
        """It is at least this severe on these paths."""
        for path in paths:
            self.on_path[path] = min(severity, self.on_path.get(path, severity), key=lambda s: s.order)

    @property
    def severity(self) -> Severity:
        return self.finding.severity or self.spec.severity

    def claimed(self, effect: _Merged) -> bool:
        """Whether this very finding accounts for another one on a path that they share."""
        return bool(self.claims) and any((path, effect.spec.code) in self.claims for path in effect.paths)

    @property
    def symptom(self) -> bool:
        """Whether any error explains it."""
        return self.spec.symptom and not self.finding.is_cause


def correlate(
    catalogue: Catalogue, paths: Iterable[TrafficPath], results: Iterable[CheckResult]
) -> tuple[Diagnosis, ...]:
    """The root causes, worst and most certain first."""
    by_key = {traffic.key: traffic for traffic in paths}
    merged = _merge(catalogue, by_key, results)
    _reach_forward(by_key, merged)
    merged += _unexplained(catalogue, by_key, merged)
    _take_severity(merged)
    _fold(merged)
    _reach_the_cluster(merged)
    roots = [m for m in merged if not m.folded]
    for entry in roots:
        entry.finding = with_care(entry.finding, (by_key[key] for key in sorted(entry.paths) if key in by_key))
    roots.sort(key=_order)
    return tuple(_diagnosis(rank, m, by_key, catalogue) for rank, m in enumerate(roots, 1))


def _order(entry: _Merged) -> tuple[int, int, bool, int, str, ObjectRef]:
    """Worst first, then most certain, then what accounts for most targets."""
    finding = entry.finding
    return (
        entry.severity.order,
        finding.confidence.order,
        entry.symptom,
        -len(finding.targets),
        entry.spec.code,
        finding.object,
    )


def _merge(catalogue: Catalogue, by_key: Mapping[str, TrafficPath], results: Iterable[CheckResult]) -> list[_Merged]:
    """Findings that are one cause become one, by what their check declares (CheckSpec.distinct_by)."""
    found: dict[Cause, _Merged] = {}
    for result in results:
        for finding in result.findings:
            spec = catalogue[finding.code]
            cause = spec.cause(finding)
            entry = found.get(cause)
            if entry is None:
                entry = found[cause] = _Merged(spec, finding)
            else:
                entry.finding = _united(entry.finding, finding)
            paths = _concerned(finding, result.paths, by_key)
            entry.paths.update(paths)
            entry.weigh(paths, finding.severity or spec.severity)
            entry.claims.update((path, code) for path in paths for code in finding.explains)
    return list(found.values())


def _concerned(finding: Finding, paths: tuple[str, ...], by_key: Mapping[str, TrafficPath]) -> tuple[str, ...]:
    """The paths of a result that one of its findings is about."""
    if not finding.subjects:
        return paths
    return tuple(path for path in paths if path in by_key and by_key[path].subject in finding.subjects)


def _reach_forward(paths: Mapping[str, TrafficPath], merged: list[_Merged]) -> None:
    """Errors of a load balancer that stands behind another one are those of the path to it, too, where they decide
    whether it serves, and account for it as a target; those of a Gateway that is not made are why it cannot be one."""
    for key, traffic in paths.items():
        deciding = {*paths_that_decide(traffic), *deciding_paths(traffic)}
        if not deciding:
            continue
        ref = traffic.behind
        try:
            failing = tuple(target.key for target in traffic.failing())
        except Unknown:
            failing = ()
        unmade = ref is not None and ref.kind == GATEWAY.name and not is_made(traffic.snapshot, ref)
        for entry in merged:
            if entry.severity is Severity.ERROR and entry.paths & deciding and key not in entry.paths:
                entry.paths.add(key)
                entry.finding = replace(entry.finding, targets=_union(entry.finding.targets, failing))
                if unmade:
                    entry.claims.add((key, "LBD145"))


def _reach_the_cluster(merged: list[_Merged]) -> None:
    """What accounts for a state of the whole cluster, as a lost node for a controller that does not run, does so on
    all paths, also where nothing of its own is."""
    for cause in merged:
        for effect in merged if cause.claims and not cause.folded else ():
            if effect.folded and effect.spec.scope is Scope.CLUSTER and cause.claimed(effect):
                cause.paths |= effect.paths
                cause.weigh(effect.paths, effect.severity)


def _united(first: Finding, second: Finding) -> Finding:
    """Two findings of one cause as one: the surer and more severe speaks, whichever came first, and evidence and
    targets are those of both. So are lists in its params; its amounts are the larger ones."""
    speaker = min(first, second, key=_weight)
    other = second if speaker is first else first
    return replace(
        speaker,
        params={name: _united_param(value, other.params.get(name, value)) for name, value in speaker.params.items()},
        evidence=_union(first.evidence, second.evidence),
        targets=_union(first.targets, second.targets),
    )


def _united_param(value: Param, other: Param) -> Param:
    if isinstance(value, tuple) and isinstance(other, tuple):
        return _union(value, other)
    if isinstance(value, int) and isinstance(other, int):
        return max(value, other)
    return value


def _weight(finding: Finding) -> tuple[int, int]:
    severity = finding.severity.order if finding.severity is not None else -1
    return severity, finding.confidence.order


def _union(left: tuple, right: tuple) -> tuple:  # type: ignore[type-arg]
    return tuple(dict.fromkeys((*left, *right)))


def _unexplained(catalogue: Catalogue, paths: Mapping[str, TrafficPath], merged: list[_Merged]) -> list[_Merged]:
    found = []
    for key, traffic in paths.items():
        try:
            failing = traffic.failing()
        except Unknown:
            continue
        _account_for_nodes(key, traffic, merged)
        accounted = {t for m in merged if key in m.paths for t in m.finding.targets}
        left = [t for t in failing if t.key not in accounted]
        if not left:
            continue
        group = traffic.target_group.peek()
        name = group.name if group is not None else "the target group"
        reasons = sorted({target_reasons.with_codes(t.reason, t.description) for t in left} - {""})
        finding = Finding(
            UNEXPLAINED,
            ObjectRef("TargetGroup", "", name),
            params={
                "count": len(left),
                "total": len(traffic.targets()),
                "state": "unused" if all(t.state == "unused" for t in left) else "unhealthy",
                "reasons": tuple(reasons),
            },
            evidence=(
                *_by_reason(left),
                *probed(traffic, left),
            ),
            confidence=Confidence.POSSIBLE,
            targets=tuple(t.key for t in left),
            hypotheses=hypotheses(traffic, left),
            confirm=next_probe(traffic, left),
        )
        given = outranked(catalogue[UNEXPLAINED], finding, traffic)
        if given is not None:
            found.append(_Merged(catalogue[UNEXPLAINED], given, {key}))
    return found


def _account_for_nodes(key: str, traffic: TrafficPath, merged: list[_Merged]) -> None:
    """Whatever leaves a Service without a ready endpoint accounts for the nodes that are its targets, too: their node
    port leads nowhere."""
    causes = [m for m in merged if m.on_path.get(key) is Severity.ERROR and _leaves_no_endpoint(m.spec)]
    try:
        nodes = tuple(target.key for target in without_any_endpoint(traffic)) if causes else ()
    except Unknown:
        return
    for cause in causes:
        cause.finding = replace(cause.finding, targets=_union(cause.finding.targets, nodes))


def _leaves_no_endpoint(spec: CheckSpec) -> bool:
    """Whether a code says why no pod of a Service takes traffic: that none is ready, or what explains that."""
    return spec.code == NO_POD_READY or NO_POD_READY in spec.explains


def _by_reason(targets: list[TargetHealth]) -> Iterator[Evidence]:
    """What AWS says of these targets: what it says of several is said once."""
    said: dict[str, list[str]] = {}
    for target in targets:
        words = (f"{target.state}:", target.reason, target.description)
        said.setdefault(" ".join(filter(None, words)).rstrip(":"), []).append(target.key)
    for text, keys in said.items():
        yield Evidence(Source.TARGET_HEALTH, f"{text} ({listed(keys, 5)})")


def _take_severity(merged: list[_Merged]) -> None:
    """What is harmless by itself, such as a mistyped annotation, is as severe as what it does: it accounts for the same
    targets, and what it does is part of its evidence."""
    for cause in merged:
        effects = [m for m in merged if m is not cause and cause.claimed(m)] if cause.claims else []
        worst = min((effect.severity for effect in effects), key=lambda s: s.order, default=cause.severity)
        if worst.order >= cause.severity.order:
            continue
        told = [e for e in effects if e.severity is worst]
        for effect in told:
            cause.weigh(cause.paths & effect.paths, worst)
        cause.finding = replace(
            cause.finding,
            severity=worst,
            confidence=max(
                (cause.finding.confidence, min((e.finding.confidence for e in told), key=lambda c: c.order)),
                key=lambda c: c.order,
            ),
            targets=_union(cause.finding.targets, tuple(t for e in told for t in e.finding.targets)),
            evidence=(
                *cause.finding.evidence,
                *(Evidence(Source.EFFECT, f"{e.spec.code}: {e.spec.render(e.finding)}") for e in told[:3]),
            ),
        )


def _fold(merged: list[_Merged]) -> None:
    """Mark what another finding explains, directly or through a chain; the root cause at its head lists the codes."""
    effects = _effects(merged)
    seen: set[int] = set()
    for entry in _candidates(merged, effects):
        if id(entry) not in seen:  # Else it is a root cause already, or folded under one.
            _fold_under(entry, effects, seen)


def _candidates(merged: list[_Merged], effects: Mapping[int, list[_Merged]]) -> Iterator[_Merged]:
    """The findings in the order in which they may become root causes: those that nothing explains come first.

    In a circle of findings that explain each other there is none such, so all follow by `_order`: of a circle that no
    root cause leads to, the worst and most certain one becomes the root cause.
    """
    explained = {id(effect) for found in effects.values() for effect in found}
    yield from (entry for entry in merged if id(entry) not in explained)
    yield from sorted(merged, key=_order)


def _fold_under(root: _Merged, effects: Mapping[int, list[_Merged]], seen: set[int]) -> None:
    """Fold all that a root cause leads to, the nearest first; `seen` are the findings that were walked through.

    A circle ends because no finding is walked through twice, and where one leads back to a root cause, this or an
    earlier one, that stays what it is. What an earlier root cause has folded is listed here, too, but not what that
    leads to.
    """
    seen.add(id(root))
    chain = deque(effects[id(root)])
    while chain:
        effect = chain.popleft()
        is_root = id(effect) in seen and not effect.folded
        if is_root:
            continue
        effect.folded = True
        if effect.spec.code not in (*root.explains, root.spec.code):
            root.explains.append(effect.spec.code)
        if id(effect) not in seen:
            seen.add(id(effect))
            chain += effects[id(effect)]


def _effects(merged: list[_Merged]) -> dict[int, list[_Merged]]:
    """What each finding explains, by the finding's id. Only findings on a common path are compared, each pair once."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for position, entry in enumerate(merged):
        for path in entry.paths:
            by_path[path].append(position)
    neighbours: list[set[int]] = [set() for _ in merged]
    for positions in {tuple(found) for found in by_path.values()}:
        for position in positions:
            neighbours[position].update(positions)
    return {
        id(cause): [merged[other] for other in sorted(neighbours[position]) if _explains(cause, merged[other])]
        for position, cause in enumerate(merged)
    }


def _explains(cause: _Merged, effect: _Merged) -> bool:
    """Whether one finding explains another that was made on a common path."""
    if cause is effect:
        return False
    if not _is_possible(cause, effect):
        return False
    if effect.spec.code in cause.spec.explains or cause.claimed(effect):
        return _is_no_milder(cause, effect)
    if cause.spec.code in effect.spec.explains and _is_no_milder(effect, cause):
        return False
    if _proven_instead(cause.finding, effect.finding) and cause.severity is effect.severity is Severity.ERROR:
        return True
    # Any error explains a symptom.
    generic = effect.symptom and cause.severity is Severity.ERROR and not cause.symptom
    if cause.spec.code == UNEXPLAINED and effect.severity is Severity.INFO:
        return False  # What is worth knowing only where no cause is proven.
    return generic


def _is_possible(cause: _Merged, effect: _Merged) -> bool:
    """Whether a cause of this code may explain a finding that says which may (`stopped_by`, `effect_of`)."""
    code, finding = cause.spec.code, effect.finding
    if finding.stopped_by is not None and is_kept_from_work(code) and code not in finding.stopped_by:
        return False
    return finding.effect_of is None or code in finding.effect_of or cause.claimed(effect)


def _is_no_milder(cause: _Merged, effect: _Merged) -> bool:
    """A case milder than its code, such as an invalid value that is only ignored, explains nothing worse."""
    return cause.finding.severity is None or cause.severity.order <= effect.severity.order


def _proven_instead(certain: Finding, likely: Finding) -> bool:
    """Whether a proven cause accounts for every target that another finding only guesses about."""
    return (
        certain.confidence is Confidence.CERTAIN
        and likely.confidence is not Confidence.CERTAIN
        and bool(likely.targets)
        and set(likely.targets) <= set(certain.targets)
    )


def _diagnosis(rank: int, entry: _Merged, paths: Mapping[str, TrafficPath], catalogue: Catalogue) -> Diagnosis:
    affects: dict[ObjectRef, Severity] = {}
    for key in sorted(entry.paths & paths.keys()):
        subject, severity = paths[key].subject, entry.on_path.get(key, entry.severity)
        affects[subject] = min(severity, affects.get(subject, severity), key=lambda s: s.order)
    if not (entry.finding.commands or entry.finding.repair_template or entry.finding.advice):
        entry.finding = replace(entry.finding, advice=entry.spec.repair)
    return Diagnosis(
        rank=rank,
        finding=entry.finding,
        severity=entry.severity,
        title=entry.spec.title,
        message=entry.spec.render(entry.finding),
        affects=tuple(sorted(affects)),
        effects=tuple(Effect(code, catalogue[code].title) for code in sorted(entry.explains)),
        fix=entry.finding.fix or entry.spec.fix,
        milder=tuple((ref, affects[ref]) for ref in sorted(affects) if affects[ref].order > entry.severity.order),
        paths=tuple(sorted(entry.paths)),
    )
