"""Follows target health after a change with as few calls as will do: one DescribeTargetHealth per target group and
round, and now and then the bindings, because a change of target type or protocol replaces the target group.

What it sees only says when it is worth asking again; whether an object is healthy is for the diagnosis to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kubectl_lbdoctor.collect import convert_aws
from kubectl_lbdoctor.collect.converters import converter
from kubectl_lbdoctor.collect.fields import mapping, text
from kubectl_lbdoctor.collect.sieve import Sieve, object_name, target_id
from kubectl_lbdoctor.errors import AwsApiError, LbdoctorError, ReadFailed
from kubectl_lbdoctor.fix.clients import Aws
from kubectl_lbdoctor.fix.events import Observe, StillWaiting, TargetsChanged
from kubectl_lbdoctor.fix.health import Health
from kubectl_lbdoctor.fix.verify import Judge
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.plan import Step
from kubectl_lbdoctor.model.report import Report, SubjectView

INTERVAL = 2.0
"""Seconds between two rounds: the load balancer itself checks every 5 s at most often."""

BINDINGS_EVERY = 3
"""Rounds between two looks at the bindings."""

SLACK = 90.0
NLB_SLACK = 240.0
"""Seconds that registration, deregistration and the making of a target group may take besides the checks: a Network
Load Balancer takes minutes."""

RESTART_SLACK = 60.0
"""Seconds more for a rolling restart: one pod after the other stops and starts."""

VERIFY_EVERY = 6.0
"""Seconds between two whole diagnoses while the outcome is open: each is some 40 calls."""

LOOK_AGAIN = 15.0
"""Seconds after which a whole diagnosis is made even though target health says nothing new."""

RECONCILED_WITHIN = 45.0
"""Longest wait for the controller's word where target health was good before and so shows nothing."""

WITHOUT_AWS = 30.0
"""Longest wait where target health cannot be read: endpoints have followed by then."""


class Lists(Protocol):
    """What is needed of `collect.kube.KubeReader`."""

    def list(self, path: str, params: Any = None) -> Iterable[dict[str, Any]]: ...


class Follower:
    """Looks at the target groups of some Services, given as (namespace, name)."""

    def __init__(self, kube: Lists, aws: Aws, services: frozenset[tuple[str, str]], arns: frozenset[str]) -> None:
        self._kube = kube
        self._aws = aws
        self._services = services
        self._arns = arns
        self._round = 0

    def look(self) -> Health:
        """The states now. Raises LbdoctorError when target health cannot be read."""
        if self._round % BINDINGS_EVERY == 0:
            self._arns = self._bound() or self._arns
        self._round += 1
        states: dict[str, dict[str, str]] = {}
        for arn in sorted(self._arns):
            try:
                found = self._aws.call("elbv2", "DescribeTargetHealth", "TargetHealthDescriptions", TargetGroupArn=arn)
            except AwsApiError as error:
                if error.code != "TargetGroupNotFound":
                    raise
                self._round = 0  # It was replaced: look at the bindings in the next round.
                continue
            sieve = Sieve("targets", target_id)
            targets = sieve.marked(Fact.by_definition(tuple(sieve.through(found, convert_aws.target_health))))
            if targets.left_out:
                raise ReadFailed(f"the health of {arn} is not known: {targets.reason}")
            states[arn] = {target.key: target.state for target in targets.need()}
        return Health(states)

    def _bound(self) -> frozenset[str]:
        """The target groups that the Services' bindings name now; empty where they cannot be read."""
        kind, found = kinds.TARGET_GROUP_BINDING, set()
        try:
            for namespace in {namespace for namespace, _ in self._services}:
                raws = self._kube.list(kind.path(namespace))
                for binding in Sieve(kind.plural).through(raws, converter(kind)):
                    known = (namespace, binding.service) in self._services
                    if known and binding.target_group_arn and not binding.meta.deleted:
                        found.add(binding.target_group_arn)
        except LbdoctorError:
            return frozenset()
        return frozenset(found)


class Reconciliations:
    """Whether a controller has said since `mark` that it reconciled something in these namespaces.

    Only needed where all targets were healthy before: then their health says nothing about whether a change has
    arrived. An event is counted by its resourceVersion, for the clocks of two machines cannot be compared.
    """

    def __init__(self, kube: Lists, namespaces: Iterable[str]) -> None:
        self._kube = kube
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._before: frozenset[tuple[str, str]] | None = None

    def mark(self) -> None:
        """Remember what the controller has said until now."""
        self._before = self._events()

    def seen(self) -> bool:
        """Whether it has said something since; False where its events cannot be read."""
        now = self._events()
        return now is not None and self._before is not None and bool(now - self._before)

    @property
    def known(self) -> bool:
        """Whether its events could be read at `mark`."""
        return self._before is not None

    def _events(self) -> frozenset[tuple[str, str]] | None:
        try:
            return frozenset(
                event
                for namespace in self._namespaces
                for event in Sieve(kinds.EVENT.plural).through(
                    self._kube.list(kinds.EVENT.path(namespace), {"fieldSelector": "reason=SuccessfullyReconciled"}),
                    _version,
                )
            )
        except LbdoctorError:
            return None


def _version(raw: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a raw object, and which version of it this is."""
    return object_name(raw), text(mapping(raw, "metadata"), "resourceVersion")


def follower_of(kube: Lists, aws: Aws | None, subjects: Iterable[SubjectView]) -> Follower | None:
    """A follower of the target groups of these objects, those included that are still to be made; None without AWS."""
    if aws is None:
        return None
    services: set[tuple[str, str]] = set()
    arns: set[str] = set()
    for subject in subjects:
        for group in subject.target_groups:
            arns.add(group.arn)
            services.add((group.namespace, group.service))
        for backend in subject.backends_without_group:
            services.add((subject.ref.namespace, backend.rpartition(":")[0]))
    return Follower(kube, aws, frozenset(services), frozenset(arns))


def longest_wait(subjects: Iterable[SubjectView], steps: Iterable[Step]) -> float:
    """Seconds after which a fix that has not worked will not: the checks that turn a target, and slack."""
    views = tuple(subjects)
    checks = [group.health_check for subject in views for group in subject.target_groups]
    turns = max((check.interval * check.healthy_threshold for check in checks), default=0)
    network = any(s.load_balancer is not None and s.load_balancer.type == "network" for s in views)
    restart = any(step.change.restart for step in steps)
    return turns + (NLB_SLACK if network else SLACK) + (RESTART_SLACK if restart else 0)


@dataclass(frozen=True)
class Wait:
    """Waits for a fix to work. follower: None where target health cannot be read. reconciliations: None where target
    health alone shows whether the change has arrived. limit: seconds. clock and sleep: how time passes, in seconds."""

    follower: Follower | None
    reconciliations: Reconciliations | None
    limit: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    observe: Observe

    def until_good(self, judge: Judge, diagnose: Callable[[], Report]) -> tuple[Report, float]:
        """The diagnosis that ends the waiting, the first good one or the one at the limit, and the seconds until then.

        Raises what `diagnose` raises.
        """
        start = self.clock()
        shown: list[str] = []
        diagnosed_at = float("-inf")
        latest = judge.before
        while True:
            elapsed = self.clock() - start
            over = elapsed >= self.limit
            health = self._look()
            lines = health.lines() if health is not None else []
            if lines != shown:
                shown = lines
                if health is not None:
                    self.observe(TargetsChanged(health, elapsed))
            promising = health is None or health.all_healthy(judge.by_design(latest))
            arrived = self._has_arrived(elapsed)
            due = elapsed - diagnosed_at >= (VERIFY_EVERY if promising else LOOK_AGAIN)
            if over or (due and arrived and promising) or (due and elapsed >= LOOK_AGAIN):
                diagnosed_at = elapsed
                latest = diagnose()
                if over or (arrived and judge.is_good(latest)):
                    return latest, elapsed
            self.observe(StillWaiting(health, elapsed, self.limit))
            self.sleep(INTERVAL)

    def _look(self) -> Health | None:
        """One look; None where it failed, which says nothing: the diagnosis names what cannot be read."""
        if self.follower is None:
            return None
        try:
            return self.follower.look()
        except LbdoctorError:
            return None

    def _has_arrived(self, elapsed: float) -> bool:
        watched = self.reconciliations
        return watched is None or not watched.known or elapsed > RECONCILED_WITHIN or watched.seen()
