"""Which rules of an Application Load Balancer never get a request, because rules before them take all of it. Pure.

Of a listener's rules the one with the lowest priority number that matches takes the request; patterns of hosts (in any
case) and of paths have `*` and `?`. Source:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kubectl_lbdoctor.model.aws import ListenerRule


def rules_to(rules: Iterable[ListenerRule], target_group: str) -> tuple[ListenerRule, ...]:
    """The rules, none of them a default, that forward to a target group (its ARN)."""
    return tuple(r for r in rules if _number(r) and any(target_group in a.target_groups for a in r.actions))


def takes_all_of(rules: Iterable[ListenerRule], rule: ListenerRule) -> ListenerRule | None:
    """The first rule before this one at its listener that takes every request of it; None where none is known to."""
    before = (r for r in rules if r.listener_arn == rule.listener_arn and 0 < _number(r) < _number(rule))
    return next((r for r in sorted(before, key=_number) if _covers(r, rule)), None)


def _number(rule: ListenerRule) -> int:
    """The priority; 0 for the default rule, which comes last."""
    return int(rule.priority) if rule.priority.isdecimal() else 0


def _covers(wide: ListenerRule, narrow: ListenerRule) -> bool:
    """Whether each request of `narrow` is one of `wide`. What `narrow` asks beyond hosts and paths makes it narrower
    still; what `wide` asks beyond them is not known here."""
    if wide.further:
        return False
    hosts = [host.lower() for host in wide.hosts]
    return _all_in([host.lower() for host in narrow.hosts], hosts) and _all_in(narrow.paths, wide.paths)


def _all_in(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    if not wide:
        return True
    return bool(narrow) and all(any(_pattern_holds(w, n) for w in wide) for n in narrow)


def _pattern_holds(wide: str, narrow: str) -> bool:
    """Whether what a pattern matches holds all that another one matches: its `*` takes any text, also a `*` of the
    other; its `?` takes one sign, which a `*` is not."""
    parts = (".*" if m == "*" else "[^*]" if m == "?" else re.escape(m) for m in re.split(r"([*?])", wide))
    return re.fullmatch("".join(parts), narrow, re.DOTALL) is not None
