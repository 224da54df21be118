"""LBD309: does the application answer within the check's timeout?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import SettingSource, checked_pod_port
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.pod_evidence import Ready, ready
from kubectl_lbdoctor.analysis.remediation import describe_target_health
from kubectl_lbdoctor.checks.health_check.findings import (
    READS,
    SCHEMES,
    checked_group,
    health_evidence,
    keys_of,
    probe_evidence,
)
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import HealthCheck, TargetHealth
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, TIMEOUT
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@check(
    "LBD309",
    title="the application does not answer within the check's timeout",
    passes="the application answers within the check's timeout",
    refined_by_probe=True,
    severity=Severity.ERROR,
    message='path "{path}" is not answered within {timeout} s: {why}',
    reads=(*READS, reads.EVENTS),
    fix="healthcheck-timeout",
    distinct_by=("path",),
)
def answer_is_too_slow(traffic: TrafficPath) -> Iterator[Finding]:
    """Targets time out, and the readiness probe, which asks the same path on the same port and has more time, succeeds;
    or the kubelet itself has seen that path time out. A filter on the way looks the same to the load balancer, so this
    is likely, and certain where a probe has measured it.

    Confirm by hand: `curl -w '%{time_total}' http://POD_IP:PORT/PATH`. Repair: check a path that answers at once,
    or wait longer; the timeout must stay below the interval.
    """
    group = checked_group(traffic)
    asked = group.health_check
    # A Network Load Balancer has one reason for everything: there only a measured time tells.
    failing = list(traffic.unhealthy(TIMEOUT) if traffic.is_alb else traffic.unhealthy(TIMEOUT, FAILED_HEALTH_CHECKS))
    port = checked_pod_port(traffic, failing[0]) if failing and asked.protocol in SCHEMES else None
    if port is None:
        return
    told = pod_evidence.checked(traffic, failing, port)
    measured = _measured(asked, told)
    if measured or any(a.outcome is Outcome.ANSWERED for a in told):
        if measured:
            yield _too_slow(traffic, failing, measured)
        return
    found = _known_to_the_kubelet(traffic, asked, [t for t in failing if t.reason == TIMEOUT], port)
    if found is None:
        return
    timeout, interval = _timing(traffic)
    yield Finding(
        "LBD309",
        timeout.ref,
        params={"path": asked.path, "timeout": asked.timeout, "why": found.why},
        evidence=(health_evidence(traffic, found.targets), found.evidence),
        confidence=Confidence.LIKELY,
        targets=keys_of(found.targets),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=_longer(asked, timeout, interval, found.longest, found.why),
        fix_automatic=found.patient and found.longest <= 120,
        advice=_patience(timeout, "check a path that answers at once, or wait longer for this one"),
    )


@record
class _Slow:
    """Targets whose pods the kubelet's readiness probe shows to be slow: it succeeds because it is more patient, or
    times out, too. longest: the seconds that the check should wait."""

    targets: list[TargetHealth]
    patient: bool
    longest: int
    why: str
    evidence: Evidence


def _known_to_the_kubelet(
    traffic: TrafficPath, asked: HealthCheck, failing: list[TargetHealth], port: int
) -> _Slow | None:
    same = [
        p
        for p in ready(traffic.matching_pods())
        if p.port == port and p.probe.kind == "httpGet" and (p.probe.path or "/") == asked.path
    ]
    patient = [p for p in same if p.probe.timeout > asked.timeout]
    late = _late(traffic, same)
    slow = {p.pod.meta.name for p in patient} | set(late)
    targets = [t for t in failing if traffic.target_type != "ip" or _name_of(traffic, t) in slow]
    if not slow or not targets:
        return None
    if patient:
        longest = max(p.probe.timeout for p in patient)
        why = f"the readiness probe waits {longest} s and succeeds"
        return _Slow(targets, True, longest, why, probe_evidence(patient))
    why = "the kubelet's probe of the same path times out, too"
    pod, words = next(iter(late.items()))
    return _Slow(targets, False, min(2 * asked.timeout, 120), why, Evidence(f"event on pod {pod}", words))


def _measured(asked: HealthCheck, told: tuple[ProbeAnswer, ...]) -> tuple[ProbeAnswer, ...]:
    """Answers that came later than the check waits, or not at all though the pod's loopback was asked: no filter is on
    that way."""
    late = tuple(a for a in told if a.outcome is Outcome.ANSWERED and a.seconds > asked.timeout)
    none = [a for a in told if a.outcome is Outcome.TIMEOUT and a.seconds > asked.timeout]
    quick = any(a.outcome is Outcome.ANSWERED and a.seconds <= asked.timeout for a in told)
    return late or (tuple(none) if any(a.via in pod_evidence.LOOPBACK for a in none) and not quick else ())


def _too_slow(traffic: TrafficPath, failing: list[TargetHealth], measured: tuple[ProbeAnswer, ...]) -> Finding:
    """What probes have measured: a time, and with it a timeout that fits; or that nothing comes."""
    group = checked_group(traffic)
    asked = group.health_check
    answered = [a.seconds for a in measured if a.outcome is Outcome.ANSWERED]
    timeout, interval = _timing(traffic)
    names = {a.request.pod for a in measured}
    targets = [t for t in failing if traffic.target_type != "ip" or _name_of(traffic, t) in names] or failing
    if len({t.key for t in failing}) > len(targets) and len(names) == len(pod_evidence.probed_pods(traffic)):
        targets = failing  # Only some were asked, and all of them are slow.
    fits = math.ceil(max(answered) * 1.5) if answered else 0
    seconds = f"{max(answered):.1f} s" if answered else ""
    why = f"it took {seconds} inside the cluster" if answered else "nothing came on the pod's own loopback either"
    repairs = _longer(asked, timeout, interval, fits, why)
    return Finding(
        "LBD309",
        timeout.ref,
        params={"path": asked.path, "timeout": asked.timeout, "why": why},
        evidence=(health_evidence(traffic, targets), *pod_evidence.evidence(measured)),
        targets=keys_of(targets),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=repairs if answered and fits <= 120 else (),
        fix_automatic=bool(answered) and fits <= 120,
        advice=_patience(timeout, "check a path that answers at once, or wait longer for this one")
        if answered
        else "see why it hangs (its log, what it waits for), or check a path that answers at once",
        rules_out="filters on the way: the API server reaches the application" if answered else "",
    )


def _timing(traffic: TrafficPath) -> tuple[SettingSource, SettingSource]:
    """Where the check's timeout and its interval are annotated."""
    unit = "-seconds" if traffic.is_alb else ""
    return setting_source(traffic, f"healthcheck-timeout{unit}"), setting_source(traffic, f"healthcheck-interval{unit}")


def _longer(
    asked: HealthCheck, timeout: SettingSource, interval: SettingSource, wanted: int, why: str
) -> tuple[Repair, ...]:
    """Both settings in one write where the interval has to grow with the timeout, so that neither is refused; none
    where no fix can change them."""
    if not timeout.settable:
        return ()
    wanted = min(wanted, 120)
    risk = "a target that hangs is noticed later"
    if asked.interval > wanted:
        return timeout.offer(str(wanted), why, risk)
    longer = str(wanted + 5)
    changes: tuple[Change, ...]
    if interval.ref != timeout.ref:
        changes = (interval.change(longer), timeout.change(str(wanted)))
    else:
        changes = (timeout.change(str(wanted), (interval, longer)),)
    return (Repair(str(wanted), changes).with_reason(why, risk),)


def _patience(timeout: SettingSource, advice: str) -> str:
    return advice if timeout.settable else f"{advice}; {timeout.instruction}"


def _late(traffic: TrafficPath, same: list[Ready]) -> dict[str, str]:
    """Pods whose readiness probe of the checked path ran out of time, with the kubelet's words."""
    found: dict[str, str] = {}
    for entry in same:
        for event in traffic.events_of("Pod", entry.pod.meta.name):
            timed_out = "context deadline exceeded" in event.message or "Client.Timeout exceeded" in event.message
            if event.reason == "Unhealthy" and "Readiness" in event.message and timed_out:
                found.setdefault(entry.pod.meta.name, event.message[:200])
    return found


def _name_of(traffic: TrafficPath, target: TargetHealth) -> str:
    pod = traffic.pod_of(target)
    return pod.meta.name if pod is not None else ""
