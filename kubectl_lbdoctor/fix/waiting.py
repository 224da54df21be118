"""Whether the target groups agree with a fix already, judged from a light snapshot. Pure.

A fix may replace a target group (another target type or protocol version): what counts is what the objects lead to
now, and only with every wanted endpoint among the healthy targets. Old targets that drain do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.route import Route
from kubectl_lbdoctor.model.wanted import wanted_endpoints

READS = frozenset(
    {
        reads.INGRESSES,
        reads.SERVICES,
        reads.ENDPOINT_SLICES,
        reads.PODS,
        reads.NODES,
        reads.BINDINGS,
        reads.INGRESS_CLASSES,
        reads.INGRESS_CLASS_PARAMS,
        reads.LOAD_BALANCERS,
        reads.LISTENERS,
        reads.TARGET_GROUPS,
        reads.TARGET_HEALTH,
        reads.TAGS,
    }
)
"""What a look costs: lists of one namespace, and DescribeTargetHealth of the target groups in question."""

# The controller notices a change within seconds; AWS takes its time to register (minutes for a Network Load Balancer).
ALB_SLACK = 90
NLB_SLACK = 240


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one target group is. `settled`: all that is wanted is registered, and all of it is healthy."""

    name: str
    healthy: int
    total: int
    settled: bool

    def __str__(self) -> str:
        return f"{self.name}  {self.healthy}/{self.total} healthy"


def progress(routes: Iterable[Route], by_design: frozenset[str]) -> tuple[Progress, ...] | None:
    """The state of every backend's target group; None where it cannot be known.

    by_design: targets ("id:port") that are unhealthy on purpose (externalTrafficPolicy Local).
    """
    found: dict[str, Progress] = {}
    for route in routes:
        if route.backend is None:
            continue
        try:
            one = _of(route, by_design)
        except Unknown:
            return None
        found.setdefault(one.name, one)
    return tuple(found.values())


def _of(route: Route, by_design: frozenset[str]) -> Progress:
    group = route.target_group.need()
    if group is None:
        where = f"{route.backend.service}:{route.backend.port}" if route.backend else ""
        return Progress(f"{where} (no target group yet)", 0, 0, False)
    targets = [t for t in route.targets() if t.state != "draining" and t.key not in by_design]
    good = {t.key for t in targets if t.state == "healthy"}
    wanted = {e.key for e in wanted_endpoints(route).wanted} if group.target_type == "ip" else set()
    settled = bool(targets) and len(good) == len(targets) and wanted <= good
    return Progress(group.name, len(good), len(targets), settled)


def longest_wait(routes: Iterable[Route]) -> int:
    """Seconds after which a change that works must have shown: registration, then threshold times interval."""
    longest = 0
    for route in routes:
        group = route.target_group.peek()
        check = group.health_check if group is not None else None
        turns = (check.healthy_threshold or 3) * (check.interval or 15) if check is not None else 45
        longest = max(longest, turns + (ALB_SLACK if route.is_alb else NLB_SLACK))
    return longest or ALB_SLACK
