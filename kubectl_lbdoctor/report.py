"""From facts and results to the report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.frontends import frontend
from kubectl_lbdoctor.analysis.history import past
from kubectl_lbdoctor.analysis.idle_backends import idle
from kubectl_lbdoctor.analysis.ignores import without_ignored
from kubectl_lbdoctor.analysis.ingress_backends import spoken
from kubectl_lbdoctor.analysis.last_change import last_changes
from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.correlate import correlate
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.finding import (
    CheckResult,
    CheckStatus,
    Coverage,
    Denied,
    Diagnosis,
    FailedRead,
    ObjectRef,
    Severity,
)
from kubectl_lbdoctor.model.k8s import Pod
from kubectl_lbdoctor.model.kinds import GATEWAY, ROUTES
from kubectl_lbdoctor.model.report import (
    CheckCounts,
    Report,
    Status,
    SubjectView,
    TargetGroupView,
    TargetView,
    UnknownCheck,
)
from kubectl_lbdoctor.model.snapshot import (
    AwsFacts,
    ClusterFacts,
    GatewayFacts,
    Snapshot,
    facts_within,
)
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.permission import Permission

_OF_GATEWAYS = frozenset(kind.name for kind in (GATEWAY, *ROUTES))
_UNDECIDED = (CheckStatus.UNKNOWN, CheckStatus.CRASHED)


def build(
    snapshot: Snapshot,
    paths: Sequence[TrafficPath],
    results: Sequence[CheckResult],
    catalogue: Catalogue,
    ignore: Sequence[str] = (),
) -> Report:
    """The report of one run. ignore: beginnings of codes that are ignored everywhere (`analysis.ignores`)."""
    found = tuple(_quotable(_with_past(snapshot, paths, d)) for d in correlate(catalogue, paths, results))
    diagnoses, ignored = without_ignored(snapshot, found, ignore)
    by_design = frozenset(spec.code for spec in catalogue if spec.by_design)
    by_subject: dict[ObjectRef, list[TrafficPath]] = {ref: [] for ref in snapshot.subjects}
    for path in paths:
        by_subject[path.subject].append(path)
    undecided = {key for result in results if result.status in _UNDECIDED for key in result.paths}
    about: dict[ObjectRef, list[Diagnosis]] = {ref: [] for ref in snapshot.subjects}
    for diagnosis in diagnoses:
        for ref in diagnosis.affects:
            about[ref].append(diagnosis)
    # What is unhealthy by design stays so where nobody wants to hear of it.
    intended: dict[ObjectRef, set[str]] = {ref: set() for ref in snapshot.subjects}
    for diagnosis in found:
        if diagnosis.finding.code in by_design:
            for ref in diagnosis.affects:
                intended[ref].update(diagnosis.finding.targets)
    subjects = tuple(
        _subject(
            snapshot,
            ref,
            mine,
            about[ref],
            frozenset(intended[ref]),
            incomplete=any(path.key in undecided for path in mine) or not coverage_of(snapshot, mine).complete,
        )
        for ref, mine in by_subject.items()
    )
    status = min((s.status for s in subjects), key=lambda s: s.order, default=Status.UNKNOWN)
    return Report(
        status=status,
        generated_at=snapshot.taken_at,
        context=snapshot.context,
        subjects=subjects,
        diagnoses=diagnoses,
        checks=_counts(results),
        coverage=_coverage(snapshot.facts(), snapshot.aws.reason),
        unknown=_unknown(results, catalogue),
        applied=not snapshot.laid,
        ignored=ignored,
    )


def _with_past(snapshot: Snapshot, paths: Sequence[TrafficPath], diagnosis: Diagnosis) -> Diagnosis:
    """The diagnosis with who set what its repair changes, and what was before, as last lines of evidence."""
    finding = diagnosis.finding
    evidence = (*finding.evidence, *last_changes(snapshot, finding), *past(snapshot, paths, diagnosis))
    return replace(diagnosis, finding=replace(finding, evidence=evidence))


def _quotable(diagnosis: Diagnosis) -> Diagnosis:
    """The diagnosis without credentials in what it quotes. Its commands stay: they are to be run."""
    finding = diagnosis.finding
    without = replace(
        finding,
        evidence=tuple(replace(e, text=_quoted(e.text)) for e in finding.evidence),
        hypotheses=tuple(replace(h, text=_quoted(h.text)) for h in finding.hypotheses),
        advice=_quoted(finding.advice),
        rules_out=_quoted(finding.rules_out),
    )
    return replace(diagnosis, finding=without, message=_quoted(diagnosis.message))


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    """Words of others, without credentials. Imported where there are any: its patterns take a while to compile. What
    could not be read is said of every check and frontend that needs it, so the last ones are remembered."""
    from kubectl_lbdoctor.knowledge.secret_text import without_credentials

    return without_credentials(text)


def _counts(results: Iterable[CheckResult]) -> CheckCounts:
    """Checks by outcome: one code on several paths counts once, by its worst outcome."""
    order = (CheckStatus.FAIL, CheckStatus.CRASHED, CheckStatus.UNKNOWN, CheckStatus.PASS, CheckStatus.SKIPPED)
    worst: dict[str, CheckStatus] = {}
    for result in results:
        now = worst.get(result.code)
        if now is None or order.index(result.status) < order.index(now):
            worst[result.code] = result.status
    counted = {status: sum(1 for s in worst.values() if s is status) for status in order}
    return CheckCounts(
        passed=counted[CheckStatus.PASS],
        failed=counted[CheckStatus.FAIL],
        unknown=counted[CheckStatus.UNKNOWN],
        skipped=counted[CheckStatus.SKIPPED],
        crashed=counted[CheckStatus.CRASHED],
    )


def _unknown(results: Iterable[CheckResult], catalogue: Catalogue) -> tuple[UnknownCheck, ...]:
    found: dict[tuple[str, str], UnknownCheck] = {}
    for r in results:
        if r.status in _UNDECIDED:
            if (r.code, r.reason) in found:
                continue
            crashed = r.status is CheckStatus.CRASHED
            spec = catalogue[r.code]
            found[r.code, r.reason] = UnknownCheck(
                r.code, spec.title, spec.passes, _quoted(r.reason), crashed, r.trace, r.read
            )
    return tuple(found.values())


def coverage_of(snapshot: Snapshot, paths: Sequence[TrafficPath]) -> Coverage:
    """What was read for the paths of one subject, and what was not: a namespace that may not be read, or a target
    group that does not answer, leaves the subjects elsewhere as they are."""
    return _coverage(_facts_of(snapshot, paths), snapshot.aws.reason)


def _facts_of(snapshot: Snapshot, paths: Sequence[TrafficPath]) -> Iterator[Fact[Any]]:
    """The facts that the paths rest on: of the whole cluster and network, of their namespaces, and of their own AWS
    objects."""
    of_all = AwsFacts(tagged_groups=snapshot.aws.tagged_groups, identity=snapshot.aws.identity)
    cluster, gateway_api = snapshot.cluster, snapshot.gateway_api
    if not any(path.group for path in paths):
        cluster = replace(cluster, group_ingresses=ClusterFacts().group_ingresses)
    if not any(path.subject.kind in _OF_GATEWAYS for path in paths):
        gateway_api = GatewayFacts()
    for part in (cluster, gateway_api, of_all, snapshot.probes):
        yield from facts_within(part)
    for network in {id(found): found for path in paths for found in (path.network,)}.values():
        yield from facts_within(network)
    for namespace in {name for path in paths for name in (path.namespace, path.subject.namespace)}:
        yield from facts_within(snapshot.facts_of(namespace))
    for path in paths:
        yield from (path.target_group, path.target_health, path.load_balancer, path.listeners, path.rules)
        yield from (path.group_attributes, path.balancer_attributes)
    for ref in dict.fromkeys(path.subject for path in paths):
        yield from _facts_of_balancers(snapshot, frontend(snapshot, ref).addresses)


def _facts_of_balancers(snapshot: Snapshot, addresses: Iterable[str]) -> Iterator[Fact[Any]]:
    """What was read of all load balancers that a subject is published under: with a frontend NLB they are two, and a
    path leads through one of them only."""
    aws = snapshot.aws
    for fact in (aws.load_balancers[address] for address in addresses if address in aws.load_balancers):
        yield fact
        balancer = fact.peek()
        if balancer is None:
            continue
        listeners = aws.listeners.get(balancer.arn)
        rules = (aws.rules.get(listener.arn) for listener in (listeners.peek() if listeners else None) or ())
        of_it = (listeners, aws.balancer_attributes.get(balancer.arn), *rules)
        yield from (found for found in of_it if found is not None)


def _coverage(facts: Iterable[Fact[Any]], reason: str) -> Coverage:
    """Facts by their outcome. reason: why AWS was not asked at all, "" when it was."""
    known = 0
    denied: dict[tuple[str, Permission], Denied] = {}
    optional: dict[tuple[str, Permission], Denied] = {}
    failed: dict[tuple[str, str], FailedRead] = {}
    partial: dict[tuple[str, str], FailedRead] = {}
    not_asked: dict[str, str] = {}
    for fact in facts:
        if fact.state is ReadState.KNOWN:
            known += 1
            if fact.left_out and fact.source not in reads.OPTIONAL:
                partial.setdefault((fact.source, fact.reason), FailedRead(fact.source, fact.reason))
        elif fact.state is ReadState.DENIED:
            missing = fact.permission or Permission()
            (optional if fact.source in reads.OPTIONAL else denied).setdefault(
                (fact.source, missing), Denied(fact.source, missing, _quoted(fact.reason))
            )
        elif fact.source in reads.OPTIONAL or fact.state is ReadState.NOT_NEEDED:
            continue
        elif fact.state is ReadState.FAILED:
            failed.setdefault((fact.source, fact.why), FailedRead(fact.source, _quoted(fact.reason), fact.request))
        elif fact.scope:
            # Facts without a scope are parts that this kind of run never needs.
            not_asked.setdefault(fact.source, f"{fact.source}: {_quoted(fact.reason)}")
    if reason and not not_asked:
        not_asked["aws"] = f"AWS: {reason}"
    return Coverage(
        known=known,
        denied=tuple(denied.values()),
        failed=tuple(failed.values()),
        partial=tuple(partial.values()),
        not_asked=tuple(not_asked.values()),
        optional=tuple(optional.values()),
    )


def _subject(
    snapshot: Snapshot,
    ref: ObjectRef,
    paths: list[TrafficPath],
    mine: list[Diagnosis],
    by_design: frozenset[str],
    incomplete: bool,
) -> SubjectView:
    faulty = any(diagnosis.severity_for(ref) is Severity.ERROR for diagnosis in mine)
    before = [traffic for traffic in paths if is_before_ingress(traffic)]
    fronts = [lb for traffic in before if (lb := traffic.load_balancer.peek()) is not None]
    balancers = [lb for t in paths if t not in before and (lb := t.load_balancer.peek()) is not None]
    groups: dict[str, TargetGroupView] = {}
    without: list[str] = []
    dead: list[str] = []
    unknown: set[str] = set()
    for traffic in paths:
        view = _group(traffic, by_design)
        if view is not None:
            groups.setdefault(view.arn, view)
        elif not traffic.target_group.is_known:
            unknown.add(traffic.key)
        elif traffic.backend is not None and traffic.backend.name and idle(traffic) is None:
            # A Service that asks for no load balancer, and another Gateway, are led to without a port.
            without.append(":".join(part for part in (traffic.backend.name, traffic.backend.port) if part))
            dead += [spoken(path) for path in traffic.backend.paths]
    if snapshot.laid:
        # Nothing is made from it yet: what is found in it is all there is to say.
        return SubjectView(
            ref=ref,
            status=_status([], faulty, [], incomplete),
            class_name=frontend(snapshot, ref).class_name,
            load_balancer=balancers[0] if balancers else None,
            load_balancer_known=all(traffic.load_balancer.is_known for traffic in paths),
        )
    # A load balancer that answers by itself is healthy when it is there.
    complete = bool(groups) or (bool(balancers) and not frontend(snapshot, ref).needs_targets)
    return SubjectView(
        ref=ref,
        status=_status(list(groups.values()), faulty, without, incomplete or not complete),
        class_name=frontend(snapshot, ref).class_name,
        load_balancer=balancers[0] if balancers else None,
        load_balancer_known=all(traffic.load_balancer.is_known for traffic in paths),
        frontend=fronts[0] if fronts else None,
        target_groups=tuple(groups.values()),
        backends_without_group=tuple(dict.fromkeys(without)),
        dead_paths=tuple(dict.fromkeys(dead)),
        unknown_backends=len(unknown),
    )


def _status(groups: list[TargetGroupView], faulty: bool, without: list[str], incomplete: bool) -> Status:
    """Proven faults outrank unknowns, unknowns outrank health. faulty: a root cause is an error for it."""
    serving, failing, waiting = 0, 0, 0
    dead = bool(without)
    for group in groups:
        if group.idle:
            continue
        counted = [t for t in group.targets if f"{t.id}:{t.port}" not in group.expected_unhealthy]
        good = sum(1 for t in counted if t.state == "healthy")
        serving += good
        bad = sum(1 for t in counted if t.state.startswith(("unhealthy", "unused")))
        failing += bad
        # "initial", "unavailable", and whatever state AWS adds one day: nobody has said that these serve.
        waiting += len(counted) - good - bad - sum(1 for t in counted if t.state == "draining")
        dead = dead or good == 0
    if faulty:
        return Status.UNHEALTHY if dead or not serving else Status.DEGRADED
    if failing:
        return Status.DEGRADED if serving else Status.UNHEALTHY
    if incomplete or waiting or dead or not all(g.known for g in groups):
        return Status.UNKNOWN
    return Status.HEALTHY


def _group(traffic: TrafficPath, by_design: frozenset[str]) -> TargetGroupView | None:
    group, binding = traffic.target_group.peek(), traffic.binding.peek()
    arn = group.arn if group is not None else binding.target_group_arn if binding is not None else ""
    if not arn:
        return None
    port = traffic.service_port.peek()
    backend = traffic.backend
    targets = traffic.target_health.peek() or ()
    idle_now = idle(traffic) is not None
    expected = {t.key for t in targets if t.state != "healthy" and (idle_now or t.key in traffic.foreign)}
    return TargetGroupView(
        arn=arn,
        # The ARN holds the name, so it is known even where DescribeTargetGroups is denied.
        name=group.name if group is not None else target_group_name(arn),
        target_type=traffic.target_type,
        protocol=group.protocol if group is not None else "",
        port=group.port if group is not None else 0,
        health_check=group.health_check if group is not None else TargetGroupView("", "").health_check,
        namespace=traffic.namespace,
        service=backend.service if backend is not None else "",
        service_port=backend.port if backend is not None else "",
        service_target=port.target if port is not None else "",
        behind=traffic.behind,
        targets=tuple(_target(traffic, target) for target in targets),
        known=traffic.target_health.is_known,
        expected_unhealthy=by_design | expected,
        idle=idle_now,
    )


def _target(traffic: TrafficPath, target: TargetHealth) -> TargetView:
    pod: Pod | None = None
    node_name = ""
    if target.id.startswith("i-"):
        node = traffic.node_of(target) if traffic.cluster.nodes.is_known else None
        node_name = node.meta.name if node is not None else ""
    elif (
        traffic.namespace_facts.pods.is_known
        and traffic.service_port.is_known
        and traffic.namespace_facts.slices.is_known
    ):
        pod = traffic.pod_of(target)
        node_name = pod.node if pod is not None else ""
    ready = ""
    if pod is not None:
        running = [s for s in pod.statuses if not s.init]
        ready = f"{sum(1 for s in running if s.ready)}/{len(running)}"
    return TargetView(
        id=target.id,
        port=target.port,
        zone=target.zone,
        state=target.state,
        reason=target.reason,
        description=target.description,
        pod=pod.meta.name if pod is not None else "",
        node=node_name,
        ready=ready,
    )


def needed_reads(catalogue: Catalogue) -> frozenset[str]:
    """What a diagnosis or a scan reads: everything that its checks declare, and what the tables show."""
    return catalogue.reads() | {
        reads.LOAD_BALANCERS,
        *reads.PAST,
        reads.LISTENERS,
        reads.RULES,
        reads.TAGS,
        reads.INGRESS_CLASSES,
        reads.INGRESS_CLASS_PARAMS,
    }
