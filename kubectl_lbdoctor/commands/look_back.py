"""`--since TIME`: since when targets fail, how often they turned, and who changed what is the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.history import groups_of, resources_of
from kubectl_lbdoctor.collect.health_logs import place_of, read_logs
from kubectl_lbdoctor.collect.history_reads import LONGEST, read_history
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import parse_duration
from kubectl_lbdoctor.commands.examination import Examination, examine, note
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.history import CheckedTarget
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import parse_time

if TYPE_CHECKING:
    from kubectl_lbdoctor.collect.elb_reads import Aws


def _checks(
    snapshot: Snapshot, aws: Aws, groups: Sequence[TargetGroup], now: datetime, span: timedelta
) -> Fact[tuple[CheckedTarget, ...]]:
    """What the groups' load balancers have logged of health checks. One that does not log, which few do, is no gap."""
    places = []
    for balancer in dict.fromkeys(arn for group in groups for arn in group.load_balancer_arns):
        attributes = snapshot.aws.balancer_attributes.get(balancer)
        if attributes is not None and not attributes.is_known:
            return Fact.not_asked(reads.HEALTH_LOGS, f"whether health checks are logged is not known: {attributes.why}")
        place = place_of(balancer, (attributes.peek() or {}) if attributes is not None else {})
        places += [place] if place is not None else []
    return read_logs(aws, places[:BALANCERS], groups, now - span, now)


BALANCERS = 2
"""Load balancers whose logs are read."""


def span_of(text: str) -> timedelta:
    """The time of --since. Raises UsageError for what is no time, for none, and for more than CloudWatch keeps."""
    seconds = parse_duration(text, "--since", "3h looks three hours back")
    if not 0 < seconds <= LONGEST.total_seconds():
        raise UsageError(f"--since {text} is not between a second and {LONGEST.days} days", "for example --since 3h")
    return timedelta(seconds=seconds)


def with_history(examination: Examination, snapshot: Snapshot, span: timedelta, ignore: Sequence[str] = ()) -> Snapshot:
    """The facts with what was before of their target groups, and of what their root causes name. What could not be
    read is told, and nothing rests on it."""
    aws, now = examination.connections.aws, parse_time(snapshot.taken_at)
    if aws is None or now is None:
        note(examination.env, f"--since: {snapshot.aws.reason or 'AWS was not asked'}")
        return snapshot
    examination.env.progress("reading what was before")
    groups = groups_of(traffic_paths(snapshot))
    resources = resources_of(examine(snapshot, ignore=ignore).diagnoses, groups)
    history = read_history(cast("Aws", aws), groups, resources, now, span)
    history = replace(history, checks=_checks(snapshot, cast("Aws", aws), groups, now, span))
    for fact in (history.counts, history.changes, history.checks):
        if not fact.is_known:
            add = f"; add permission: {fact.permission}" if fact.permission else ""
            note(examination.env, f"--since: {fact.why}{add}")
        elif fact.left_out:
            note(examination.env, f"--since: {fact.reason}")
    return replace(snapshot, history=history)
