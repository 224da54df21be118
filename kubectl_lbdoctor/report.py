"""From facts and results to the report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.correlate import correlate
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import ReadState
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
from kubectl_lbdoctor.model.report import (
    CheckCounts,
    Report,
    Status,
    SubjectView,
    TargetGroupView,
    TargetView,
    UnknownCheck,
)
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

# Codes whose targets fail by design: they count neither as healthy nor as faulty.
BY_DESIGN = frozenset({"LBD601"})


def build(
    snapshot: Snapshot, routes: Sequence[TrafficPath], results: Sequence[CheckResult], catalogue: Catalogue
) -> Report:
    """The report of one run."""
    diagnoses = correlate(catalogue, routes, results)
    coverage = _coverage(snapshot)
    unknown = _unknown(results, catalogue)
    subjects = tuple(
        _subject(ref, [r for r in routes if r.subject == ref], diagnoses, bool(unknown) or not coverage.complete)
        for ref in snapshot.subjects
    )
    status = min((s.status for s in subjects), key=lambda s: s.order, default=Status.UNKNOWN)
    return Report(
        status=status,
        generated_at=snapshot.taken_at,
        context=snapshot.context,
        subjects=subjects,
        diagnoses=diagnoses,
        checks=_counts(results),
        coverage=coverage,
        unknown=unknown,
    )


def _counts(results: Iterable[CheckResult]) -> CheckCounts:
    """Checks by outcome: one code on several routes counts once, by its worst outcome."""
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
        if r.status in (CheckStatus.UNKNOWN, CheckStatus.CRASHED):
            crashed = r.status is CheckStatus.CRASHED
            entry = UnknownCheck(r.code, catalogue[r.code].title, r.reason, crashed, r.trace)
            found.setdefault((r.code, r.reason), entry)
    return tuple(found.values())


def _coverage(snapshot: Snapshot) -> Coverage:
    known = 0
    denied: dict[tuple[str, str], Denied] = {}
    failed: dict[tuple[str, str], FailedRead] = {}
    not_asked: dict[str, str] = {}
    for fact in snapshot.facts():
        if fact.state is ReadState.KNOWN:
            known += 1
        elif fact.source in reads.OPTIONAL:
            continue
        elif fact.state is ReadState.DENIED:
            denied.setdefault((fact.source, fact.permission), Denied(fact.source, fact.permission, fact.reason))
        elif fact.state is ReadState.FAILED:
            failed.setdefault((fact.source, fact.reason), FailedRead(fact.source, fact.reason))
        elif fact.scope:
            # Facts without a scope are parts that this kind of run never needs.
            not_asked.setdefault(fact.source, f"{fact.source}: {fact.reason}")
    if snapshot.aws.reason and not not_asked:
        not_asked["aws"] = f"AWS: {snapshot.aws.reason}"
    return Coverage(known, tuple(denied.values()), tuple(failed.values()), tuple(not_asked.values()))


def _subject(
    ref: ObjectRef, routes: list[TrafficPath], diagnoses: Iterable[Diagnosis], incomplete: bool
) -> SubjectView:
    mine = [d for d in diagnoses if ref in d.affects]
    by_design = frozenset(t for d in mine if d.finding.code in BY_DESIGN for t in d.finding.targets)
    balancers = [lb for traffic in routes if (lb := traffic.load_balancer.peek()) is not None]
    groups: dict[str, TargetGroupView] = {}
    without: list[str] = []
    for traffic in routes:
        view = _group(traffic, by_design)
        if view is not None:
            groups.setdefault(view.arn, view)
        elif traffic.backend is not None and traffic.backend.service:
            without.append(f"{traffic.backend.service}:{traffic.backend.port}")
    ingress = routes[0].ingress.peek() if routes else None
    service = routes[0].service.peek() if routes and ref.kind == "Service" else None
    return SubjectView(
        ref=ref,
        status=_status(list(groups.values()), mine, without, incomplete),
        class_name=ingress.class_name if ingress else service.load_balancer_class if service else "",
        load_balancer=balancers[0] if balancers else None,
        load_balancer_known=all(traffic.load_balancer.is_known for traffic in routes),
        target_groups=tuple(groups.values()),
        backends_without_group=tuple(dict.fromkeys(without)),
    )


def _status(groups: list[TargetGroupView], diagnoses: list[Diagnosis], without: list[str], incomplete: bool) -> Status:
    """Proven faults outrank unknowns, unknowns outrank health."""
    faulty = any(d.severity is Severity.ERROR for d in diagnoses)
    serving, failing, waiting = 0, 0, 0
    dead = bool(without)
    for group in groups:
        counted = [t for t in group.targets if f"{t.id}:{t.port}" not in group.expected_unhealthy]
        good = sum(1 for t in counted if t.state == "healthy")
        serving += good
        failing += sum(1 for t in counted if t.state.startswith(("unhealthy", "unused")))
        waiting += sum(1 for t in counted if t.state in ("initial", "unavailable"))
        dead = dead or good == 0
    if faulty:
        return Status.UNHEALTHY if dead or not serving else Status.DEGRADED
    if failing:
        return Status.DEGRADED if serving else Status.UNHEALTHY
    if incomplete or waiting or dead or not groups or not all(g.known for g in groups):
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
    return TargetGroupView(
        arn=arn,
        # An ARN ends in targetgroup/NAME/ID: the name is known even where DescribeTargetGroups is denied.
        name=group.name if group is not None else arn.split("/")[-2] if arn.count("/") >= 2 else arn,
        target_type=traffic.target_type,
        protocol=group.protocol if group is not None else "",
        port=group.port if group is not None else 0,
        health_check=group.health_check if group is not None else TargetGroupView("", "").health_check,
        namespace=traffic.namespace,
        service=backend.service if backend is not None else "",
        service_port=backend.port if backend is not None else "",
        service_target=port.target if port is not None else "",
        targets=tuple(_target(traffic, target) for target in targets),
        known=traffic.target_health.is_known,
        expected_unhealthy=by_design,
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
    """What a diagnosis reads: everything that its checks declare, and what the tables show."""
    return catalogue.reads() | {
        reads.LISTENERS,
        reads.RULES,
        reads.TAGS,
        reads.INGRESS_CLASSES,
        reads.INGRESS_CLASS_PARAMS,
    }
