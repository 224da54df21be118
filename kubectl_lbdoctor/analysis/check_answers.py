"""What the health check is answered with, and what the pods show that answers as it wants. Pure."""

from __future__ import annotations

from enum import Enum

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import SettingSource, checked_pod_port, readiness_of
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.management_port import HealthPort, health_port
from kubectl_lbdoctor.analysis.other_askers import NOBODY, OtherAsker, other_asker
from kubectl_lbdoctor.analysis.proxy_header import header_answers
from kubectl_lbdoctor.knowledge.success_codes import AnswerKind, accepts, kind_of
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.k8s import Pod, Probe
from kubectl_lbdoctor.model.probe import ProbeAnswer
from kubectl_lbdoctor.model.target_reasons import FAILED_HEALTH_CHECKS, RESPONSE_CODE_MISMATCH
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


class PathSource(Enum):
    """What shows that a path answers as the check wants."""

    READINESS_PROBE = "readiness probe"
    PROBE_ANSWER = "probe answer"


@record
class GoodPath:
    """A path that answers as the check wants in so many pods."""

    path: str
    source: PathSource
    pods: int


@record
class CheckAnswer:
    """Targets whose check is answered with codes of one class, and what the pods say about themselves.

    paths: what answers as the check wants, best first; `exact` when the first of them is the
    one to take. asker: who is answered well on the check path. elsewhere: a port of the same pods that serves the
    check. to: where a redirect leads. fine: the pods answer this very check with a success now.
    told, tried: answers to probes of the check itself, and of its variations. readiness: an HTTP probe of the checked
    port that succeeds, and in how many of the `pods` it does.
    """

    group: TargetGroup
    targets: tuple[TargetHealth, ...]
    codes: tuple[str, ...]
    owner: SettingSource
    paths: tuple[GoodPath, ...] = ()
    exact: bool = False
    asker: OtherAsker = NOBODY
    elsewhere: HealthPort | None = None
    to: str = ""
    fine: bool = False
    told: tuple[ProbeAnswer, ...] = ()
    tried: tuple[ProbeAnswer, ...] = ()
    readiness: tuple[Probe, int] | None = None
    pods: int = 0

    @property
    def better(self) -> str:
        """The path to take, "" where none or one of several is known."""
        return self.paths[0].path if self.exact else ""


@derived
def check_answer(traffic: TrafficPath, wanted: AnswerKind) -> CheckAnswer | None:
    """Targets answered with a code of kind `wanted`; None when there is none."""
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    told = _answered_targets(traffic, group)
    answered = [(t, codes) for t, codes in told if kind_of(codes[-1], group.is_grpc) is wanted]
    if not answered:
        return None
    failing = tuple(t for t, _ in answered)
    port = checked_pod_port(traffic, failing[0])
    if header_answers(traffic, failing, port).minds:
        return None  # What answers so is a server that takes the header for a broken request: LBD314.
    pods = traffic.matching_pods() if port is not None and traffic.namespace_facts.pods.is_known else ()
    asked = pod_evidence.conclusive_answers(pod_evidence.checked(traffic, failing, port))
    tried = pod_evidence.conclusive_answers(pod_evidence.variations(traffic, failing, port, asked))
    passing = _passing_readiness(pods, port)
    readiness = passing[0] if passing else None
    paths, exact = _good_paths(traffic, group, pods, port, asked, tried)
    codes = tuple(sorted({code for _, found in answered for code in found}))
    every_answer = pod_evidence.checked(traffic, failing, port)
    asker = other_asker(traffic, codes, readiness[0] if readiness is not None else None, every_answer, tried)
    # A readiness probe with a Host header of its own says nothing about what the load balancer's header gets.
    own = {pod_evidence.path_of(probe): count for probe, count in passing if not probe.host_header}
    if own and group.health_check.path not in own:
        others = [entry for entry in paths if entry.path not in own]
        paths = [*(GoodPath(path, PathSource.READINESS_PROBE, count) for path, count in own.items()), *others]
        exact = len(own) == 1
    elsewhere = _elsewhere(traffic, group, failing, port, paths) if pods else None
    inside = [a for a in every_answer if a.via in pod_evidence.LOOPBACK and a not in asked] if asker.client else ()
    return CheckAnswer(
        group,
        failing,
        codes,
        setting_source(traffic, "healthcheck-path"),
        paths=tuple(paths),
        exact=exact,
        asker=asker,
        elsewhere=elsewhere,
        to=next((a.location for a in asked if a.location), ""),
        fine=bool(asked) and all(pod_evidence.is_success(a, group.health_check.timeout) for a in asked),
        told=(*asked, *inside),
        tried=tried,
        readiness=readiness,
        pods=len(pods),
    )


def _elsewhere(
    traffic: TrafficPath,
    group: TargetGroup,
    failing: tuple[TargetHealth, ...],
    port: int | None,
    paths: list[GoodPath],
) -> HealthPort | None:
    """The port where the pods serve their health, unless the checked port has a path for it: that "/" answers there,
    too, says less."""
    found = health_port(traffic, failing, port, group.health_check.path)
    if found is None:
        return None
    asked = group.health_check.path.rstrip("/")
    of_the_check = found.path == group.health_check.path or (bool(asked) and found.path.startswith(f"{asked}/"))
    return found if of_the_check or all(good.path == "/" for good in paths) else None


def _passing_readiness(pods: tuple[Pod, ...], port: int | None) -> list[tuple[Probe, int]]:
    """The HTTP readiness probes of this port that succeed, and in how many pods each does, the most first: in a rollout
    the pods may ask several paths."""
    found: dict[tuple[str, str], list[Probe]] = {}
    for pod in pods:
        probe = readiness_of(pod, port or 0) if pod.containers_ready else None
        if probe is not None:
            found.setdefault((pod_evidence.path_of(probe), probe.host_header), []).append(probe)
    return sorted(((same[0], len(same)) for same in found.values()), key=lambda entry: -entry[1])


def _answered_targets(traffic: TrafficPath, group: TargetGroup) -> list[tuple[TargetHealth, tuple[str, ...]]]:
    """Failing targets and the codes that their check is answered with.

    A Network Load Balancer does not tell a wrong code from no answer: there the probes do.
    """
    found = [(t, t.codes) for t in traffic.unhealthy(RESPONSE_CODE_MISMATCH) if t.codes]
    if traffic.is_alb or group.health_check.protocol not in ("HTTP", "HTTPS"):
        return found
    for target in traffic.unhealthy(FAILED_HEALTH_CHECKS):
        told = pod_evidence.conclusive_answers(
            pod_evidence.checked(traffic, (target,), checked_pod_port(traffic, target))
        )
        wrong = [a for a in told if a.status is not None and not accepts(a.request.matcher, a.status)]
        if wrong and len(wrong) == len(told):
            found.append((target, tuple(sorted({str(a.status) for a in wrong}))))
    return found


def _good_paths(
    traffic: TrafficPath,
    group: TargetGroup,
    pods: tuple[Pod, ...],
    port: int | None,
    asked: tuple[ProbeAnswer, ...],
    tried: tuple[ProbeAnswer, ...],
) -> tuple[list[GoodPath], bool]:
    """Paths that answer probes as the check wants, those that the pods declare first, then where the server redirects
    the check to; and whether the first is the one to take: the only one, or the only one of its rank."""
    found: dict[str, set[str]] = {}
    for answer in tried:
        if answer.request.path != group.health_check.path and pod_evidence.is_success(answer):
            found.setdefault(answer.request.path, set()).add(answer.request.pod)
    failed = {a.request.path for a in tried if not pod_evidence.is_success(a)}
    good = [path for path in found if path not in failed]
    declared = {
        pod_evidence.path_of(probe)
        for pod in pods
        for container in pod.serving_containers()
        for probe in (container.readiness, container.liveness, container.startup)
        if probe is not None and probe.kind == "httpGet" and pod_evidence.port_of(pod, probe) == port
    }
    redirected = {pod_evidence.redirect_path(a) for a in asked}
    rank = {path: 0 if path in declared else 1 if path in redirected else 2 for path in good}
    good.sort(key=lambda path: rank[path])
    exact = len(good) == 1 or (bool(good) and rank[good[0]] < 2 and list(rank.values()).count(rank[good[0]]) == 1)
    return [GoodPath(path, PathSource.PROBE_ANSWER, len(found[path])) for path in good], exact
