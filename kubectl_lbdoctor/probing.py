"""`kubectl lbdoctor probe`: only the health checks, as the load balancer sends them, beside what its group says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.collect import bundle
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus, UsageError
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import ReadState, Unknown
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeFacts, ProbeRequest, Via
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.probe import requests as asking
from kubectl_lbdoctor.render import probes
from kubectl_lbdoctor.session import Session

READS = frozenset(
    {
        reads.INGRESSES,
        reads.SERVICES,
        reads.ENDPOINT_SLICES,
        reads.PODS,
        reads.BINDINGS,
        reads.NODES,
        reads.LOAD_BALANCERS,
        reads.LISTENERS,
        reads.TARGET_GROUPS,
        reads.TARGET_HEALTH,
        reads.TAGS,
        reads.NETWORK_INTERFACES,
    }
)
"""What the requests are made from."""


def probe(options: Options, env: Environment, wanted: tuple[tuple[str, str], ...]) -> ExitStatus:
    """Send the health check to every target of the objects and print the answers.

    Raises UsageError for options that do not go together, CouldNotRun where nothing can be asked.
    """
    if options.probe == "off":
        raise UsageError("--probe off leaves nothing to do for the probe command")
    if options.output == "name":
        raise UsageError("-o name is not an output of the probe command", "use table, wide, json or yaml")
    if options.from_file:
        snapshot = bundle.chosen(bundle.load(Path(options.from_file)), wanted, options.namespace)
        if snapshot.probes.answers.state is ReadState.NOT_ASKED:
            raise CouldNotRun(f"the bundle {options.from_file} holds no probes", "save it with: probe … --save FILE")
    else:
        with Session(options, env) as session:
            snapshot = session.collect(session.subjects(wanted), READS)
            asked, _ = _requests(snapshot)
            snapshot = replace(snapshot, probes=session.send(asked, session.ways(snapshot, default="pod")))
    env.progress("")
    result = _result(snapshot)
    if options.output == "json":
        env.out(probes.render_json(result, snapshot.probes))
    elif options.output == "yaml":
        env.out(probes.render_yaml(result, snapshot.probes))
    else:
        wide = options.output == "wide"
        env.out(probes.render(result, 0 if wide else env.width, wide, env.colour))
        for line in probes.sockets(snapshot.probes):
            env.out(line + "\n")
    if options.save:
        bundle.save(snapshot, Path(options.save))
        env.note(f"bundle saved: {options.save}")
    return _status(result, snapshot.probes)


def _requests(snapshot: Snapshot) -> tuple[tuple[ProbeRequest, ...], tuple[tuple[str, str], ...]]:
    """The requests of all routes, and what cannot be asked with the reason."""
    asked: list[ProbeRequest] = []
    unasked: list[tuple[str, str]] = []
    for traffic in traffic_paths(snapshot):
        try:
            made, left_out = asking.requests(traffic)
        except Unknown as unknown:
            fact = unknown.fact
            unasked.append((str(traffic.subject), f"{fact.source} was not read: {fact.reason}"))
            continue
        if traffic.target_group.peek() is None:
            unasked.append((str(traffic.subject), "it has no target group"))
        asked += made
        unasked += [(u.target, u.reason) for u in left_out]
    return tuple(dict.fromkeys(asked)), tuple(dict.fromkeys(unasked))


def _result(snapshot: Snapshot) -> probes.Result:
    """Each answer with the verdict on it, beside what its target group says."""
    asked, unasked = _requests(snapshot)
    answers = snapshot.probes.answers
    found: tuple[ProbeAnswer, ...] = answers.peek() or ()
    if not answers.is_known and answers.state is not ReadState.NOT_ASKED:
        found = tuple(ProbeAnswer(r, Via.POD, Outcome.UNTOLD, detail=answers.reason) for r in asked)
    # A way that failed says nothing where another did not.
    told = {a.request for a in found if a.outcome is not Outcome.UNTOLD}
    found = tuple(a for a in found if a.outcome is not Outcome.UNTOLD or a.request not in told)
    rows: list[probes.Row] = []
    seen: set[int] = set()
    for traffic in traffic_paths(snapshot):
        health = {t.key: t for t in traffic.target_health.peek() or ()}
        for number, answer in enumerate(found):
            if number not in seen and answer.request.target in health and _asks(traffic, answer.request):
                seen.add(number)
                rows.append(_row(traffic, answer, health[answer.request.target]))
    states: dict[str, list[str]] = {}
    for row in rows:
        key = f"{row.group} {row.answer.request.target}"
        states.setdefault(key, [])
        if row.state != "unknown":
            # The pod's own address counts; its loopback only where nothing is known of the address.
            direct = row.answer.via in (Via.PROXY, Via.POD) or row.state == "unhealthy"
            states[key].append(row.state if direct else f"loopback {row.state}")
    passed = failed = unknown = 0
    for verdicts in states.values():
        addressed = [v for v in verdicts if not v.startswith("loopback")]
        counted = addressed or [v.removeprefix("loopback ") for v in verdicts]
        failed += "unhealthy" in counted
        passed += bool(counted) and "unhealthy" not in counted
        unknown += not counted
    return probes.Result(tuple(rows), unasked, passed, failed, unknown + len(unasked), snapshot.taken_at)


def _asks(traffic: TrafficPath, request: ProbeRequest) -> bool:
    """Whether a request is about this route's target group (one pod may be a target of several)."""
    try:
        return request in asking.requests(traffic)[0]
    except Unknown:
        return False


def _row(traffic: TrafficPath, answer: ProbeAnswer, health: TargetHealth) -> probes.Row:
    group = traffic.target_group.need()
    verdict = asking.judge(answer, group is not None and not asking.is_application(group))
    difference = asking.difference(answer, verdict, health)
    if answer.via is Via.CONTAINER and verdict.state == "healthy" and _only_on_loopback(traffic, answer.request):
        verdict = replace(asking.REFUSED, description="listens on the loopback only")
    return probes.Row(
        subject=traffic.subject,
        group=group.name if group is not None else "",
        answer=answer,
        request=asking.describe(answer.request),
        state=verdict.state,
        reason=verdict.reason,
        description=verdict.description,
        verdict=str(verdict) if verdict.known else "unknown",
        health=health,
        difference=difference,
    )


def _only_on_loopback(traffic: TrafficPath, request: ProbeRequest) -> bool:
    """Whether the pod's sockets show that nothing on its own address listens on the checked port."""
    fact = traffic.probes.sockets.get(f"{request.namespace}/{request.pod}")
    found = fact.peek() if fact is not None else None
    return found is not None and not any(s.port == request.port and not s.loopback for s in found)


def _status(result: probes.Result, facts: ProbeFacts) -> ExitStatus:
    if result.failed:
        return ExitStatus.FINDINGS
    if facts.answers.state in (ReadState.DENIED, ReadState.FAILED):
        return ExitStatus.COULD_NOT_RUN
    if result.unknown or not result.passed:
        return ExitStatus.UNKNOWN
    return ExitStatus.HEALTHY
