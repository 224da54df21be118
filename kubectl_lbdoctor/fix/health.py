"""The states of targets as one look at them shows them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.record import record


def all_healthy(targets: Iterable[tuple[str, str]], excepted: frozenset[str] = frozenset()) -> bool:
    """Whether a target group has targets that count, and all of these are healthy: what drains has gone, `excepted`
    fail by design.

    targets: (key, state), with keys ("id:port") as in the report.
    """
    counted = [state for key, state in targets if state != "draining" and key not in excepted]
    return bool(counted) and all(state == "healthy" for state in counted)


def described(states: Iterable[str]) -> str:
    """ "1/2 healthy (1 initial, 1 draining)": what drains is named and not counted."""
    counted = Counter(states)
    draining = counted.pop("draining", 0)
    good = counted.pop("healthy", 0)
    others = [f"{number} {state}" for state, number in sorted(counted.items())]
    others += [f"{draining} draining"] if draining else []
    return f"{good}/{good + sum(counted.values())} healthy" + (f" ({', '.join(others)})" if others else "")


@record
class Health:
    """One look: the states of the targets by target group ARN, with keys ("id:port") as in the report."""

    states: Mapping[str, Mapping[str, str]]

    def all_healthy(self, excepted: frozenset[str] = frozenset()) -> bool:
        """Whether there are groups, and all targets that count are healthy in each."""
        return bool(self.states) and all(all_healthy(targets.items(), excepted) for targets in self.states.values())

    def lines(self) -> list[str]:
        """One line per target group: "k8s-shop-web-fdbb6ec3c4  1/2 healthy (1 initial)"."""
        named = {target_group_name(arn): targets for arn, targets in sorted(self.states.items())}
        return [f"{name}  {described(targets.values())}" for name, targets in named.items()]
