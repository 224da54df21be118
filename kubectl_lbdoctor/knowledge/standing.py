"""What is over is over: which complaints about an object still hold, by the time and the step of everything said of it.

One rule, applied to events and log lines alike. The controller works off an object step by step and stops at the first
error (`reconcile_steps`). Hence, of one object:

- a later success ends every complaint of the steps that it passed;
- a later complaint ends every other one of the same and of earlier steps: the controller came past them;
- a later complaint of an earlier step hides those of later steps: the controller does not come to them any more. They
  may hold or not; it says so again once the earlier one is repaired;
- a complaint that waiting may cure (throttling) proves the steps before it passed, and the rest only when it is heard
  again and again;
- what was said before the controller was configured as it is now is a hint and proves nothing;
- without anything later a complaint holds, however old: the controller tries again after up to 17 minutes
  (controller-runtime's rate limiter: 5 ms, doubled up to 1000 s), and a failure that was not repeated may be awaiting
  that.

Times are compared as exactly as they are told: they are all of the controller's own clock. Two statements of one second
are in the order of their steps, because a failure would be repeated. (What is compared with other clocks, the start of
a pod and the creation of an object, is given `CLOCK_TOLERANCE` by those who do.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum

from kubectl_lbdoctor.knowledge.reconcile_steps import Reached
from kubectl_lbdoctor.model.k8s import Event
from kubectl_lbdoctor.model.times import whole_second
from kubectl_lbdoctor.record import record

__all__ = ["SUCCESS", "Statement", "Verdict", "unsettled", "verdicts"]

SUCCESS = frozenset({"SuccessfullyReconciled", "EnsuredLoadBalancer"})
"""The reasons of events that say that an object is reconciled: of the controller, and of the in-tree provider."""

HEARD_AGAIN = 3
"""So often must a complaint that waiting may cure be heard before it counts as lasting."""


class Verdict(Enum):
    """STANDS: it holds by all that is known. HIDDEN: the controller does not come to that step any more. FORMER: said
    by a controller that has since been configured anew. OVER: something later proves it gone."""

    STANDS = "stands"
    HIDDEN = "hidden"
    FORMER = "former"
    OVER = "over"


@record
class Statement:
    """One thing that was said about an object, all its repetitions together.

    about: the object that is reconciled. cause: what the complaint says, however worded; None for a success.
    reached: where in the order of steps. at: when it was last said; None where nothing tells.
    exact: the time has a fraction (a log line); an event tells whole seconds.
    speaker: who says it ("" for the controller): a complaint of one speaker ends none of another.
    passing: waiting alone may cure it. former: said before the controller was configured as it is now.
    over_at: when the same log proved it over.
    """

    about: Hashable
    cause: Hashable | None
    reached: Reached
    at: datetime | None
    exact: bool = False
    speaker: str = ""
    count: int = 1
    passing: bool = False
    former: bool = False
    over_at: datetime | None = None

    @property
    def is_success(self) -> bool:
        """Whether it says that steps were passed, and nothing else."""
        return self.cause is None


def verdicts(statements: Sequence[Statement]) -> tuple[Verdict, ...]:
    """What is to be made of each statement, in the order given. A success stands; it is no complaint."""
    by_object: dict[Hashable, list[Statement]] = defaultdict(list)
    for statement in statements:
        by_object[statement.about].append(statement)
    return tuple(_verdict(statement, by_object[statement.about]) for statement in statements)


def _verdict(one: Statement, others: Iterable[Statement]) -> Verdict:
    if one.is_success:
        return Verdict.STANDS
    if _over_in_its_log(one) or any(_ends(other, one) for other in others):
        return Verdict.OVER
    if one.former:
        return Verdict.FORMER
    return Verdict.HIDDEN if any(_hides(other, one) for other in others) else Verdict.STANDS


def _over_in_its_log(one: Statement) -> bool:
    """Whether the log that repeats it also proves it over. An event's second may hold both."""
    if one.over_at is None or one.at is None:
        return False
    return one.at <= one.over_at if one.exact else whole_second(one.at) <= whole_second(one.over_at)


def _order(other: Statement, one: Statement) -> int:
    """1 where `other` was said after `one`, -1 where before, 0 where that cannot be told."""
    if other.at is None or one.at is None:
        return 0
    left, right = other.at, one.at
    if not (other.exact and one.exact):
        left, right = whole_second(left), whole_second(right)
    return (left > right) - (left < right)


def _ends(other: Statement, one: Statement) -> bool:
    """Whether `other` proves that `one` is over."""
    if other.at is None or one.at is None or other.cause == one.cause:
        return False
    order = _order(other, one)
    if other.is_success:
        return one.reached.last <= other.reached.first and order >= 0
    if other.speaker != one.speaker:
        return False
    if order > 0 and _lasts(other):
        return one.reached.last <= other.reached.first
    return order >= 0 and one.reached.last < other.reached.first


def _hides(other: Statement, one: Statement) -> bool:
    """Whether `other` says that the controller does not come to the step of `one` any more."""
    if other.is_success or other.cause == one.cause or other.speaker != one.speaker or _order(other, one) <= 0:
        return False
    if not other.reached.halts or not _lasts(other):
        return False
    return one.reached.halts or other.reached.last < one.reached.first


def _lasts(complaint: Statement) -> bool:
    """Whether a complaint says more of the object than that one attempt failed by chance."""
    return not complaint.passing or complaint.count >= HEARD_AGAIN


def unsettled(events: Iterable[Event]) -> Iterator[Event]:
    """The warnings among events that no success of the same object has followed: where little is to be known, what may
    still hold. What does hold is told by `verdicts`."""
    known = tuple(events)
    over: dict[tuple[str, str, str], str] = {}
    for event in known:
        if event.reason in SUCCESS:
            key = (event.kind, event.name, event.uid)
            over[key] = max(over.get(key, ""), event.last)
    for event in known:
        done = over.get((event.kind, event.name, event.uid), "")
        if event.type == "Warning" and not (done and event.last <= done):
            yield event
