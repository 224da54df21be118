"""Follows target health after a change with as few calls as will do: one DescribeTargetHealth per target group and
round, and now and then the bindings, because a change of target type or protocol replaces the target group.

What it sees only says when it is worth asking again; whether an object is healthy is for the diagnosis to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kubectl_lbdoctor.errors import AwsApiError, LbdoctorError
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.arn import target_group_name

INTERVAL = 2.0
"""Seconds between two rounds: the load balancer itself checks every 5 s at most often."""

BINDINGS_EVERY = 3
"""Rounds between two looks at the bindings."""


class Lists(Protocol):
    def list(self, path: str, params: Any = None) -> Iterable[dict[str, Any]]: ...


class Aws(Protocol):
    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Health:
    """One look: the states of the targets by target group ARN, with keys ("id:port") as in the report."""

    states: Mapping[str, Mapping[str, str]]

    def all_healthy(self, excepted: frozenset[str] = frozenset()) -> bool:
        """Every group has targets, and all are healthy that count: what drains has gone, `excepted` fail by design."""
        for targets in self.states.values():
            counted = [state for key, state in targets.items() if state != "draining" and key not in excepted]
            if not counted or any(state != "healthy" for state in counted):
                return False
        return bool(self.states)

    def lines(self) -> list[str]:
        """One line per target group: "k8s-shop-web-fdbb6ec3c4  1/2 healthy (1 initial)"."""
        return [
            f"{target_group_name(arn)}  {described(targets.values())}" for arn, targets in sorted(self.states.items())
        ]


def described(states: Iterable[str]) -> str:
    counted = Counter(states)
    draining = counted.pop("draining", 0)
    good = counted.pop("healthy", 0)
    others = [f"{number} {state}" for state, number in sorted(counted.items())]
    others += [f"{draining} draining"] if draining else []
    return f"{good}/{good + sum(counted.values())} healthy" + (f" ({', '.join(others)})" if others else "")


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
            states[arn] = {
                f"{entry['Target']['Id']}:{entry['Target'].get('Port', '')}": str(entry["TargetHealth"]["State"])
                for entry in found
            }
        return Health(states)

    def _bound(self) -> frozenset[str]:
        """The target groups that the Services' bindings name now; empty where they cannot be read."""
        found = set()
        try:
            for namespace in {namespace for namespace, _ in self._services}:
                for raw in self._kube.list(kinds.TARGET_GROUP_BINDING.path(namespace)):
                    spec = raw.get("spec") or {}
                    service = (namespace, (spec.get("serviceRef") or {}).get("name"))
                    gone = (raw.get("metadata") or {}).get("deletionTimestamp")
                    if service in self._services and spec.get("targetGroupARN") and not gone:
                        found.add(str(spec["targetGroupARN"]))
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
        self._before = self._events()

    def seen(self) -> bool:
        now = self._events()
        return now is not None and self._before is not None and bool(now - self._before)

    @property
    def known(self) -> bool:
        return self._before is not None

    def _events(self) -> frozenset[tuple[str, str]] | None:
        try:
            return frozenset(
                (str(raw["metadata"].get("name")), str(raw["metadata"].get("resourceVersion")))
                for namespace in self._namespaces
                for raw in self._kube.list(
                    kinds.EVENT.path(namespace), {"fieldSelector": "reason=SuccessfullyReconciled"}
                )
            )
        except LbdoctorError:
            return None
