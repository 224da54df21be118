"""What was before: counts of targets from CloudWatch, and calls that changed what the root causes name from CloudTrail.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html (of the last 90 days, two calls a
second)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.elb_reads import Aws
from kubectl_lbdoctor.collect.fields import text
from kubectl_lbdoctor.collect.outcomes import attempt
from kubectl_lbdoctor.collect.sieve import Sieve, under
from kubectl_lbdoctor.collect.target_counts import counts_at, queries_of, values_of
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.history import AwsChange, GroupHistory, HistoryFacts

LONGEST = timedelta(days=14)
"""CloudWatch keeps numbers of each minute for 15 days
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html)."""

GROUPS = 10
"""Target groups whose counts are asked for, in one call: a number for each minute of each."""

RESOURCES = 5
"""Resources that CloudTrail is asked about, one after the other."""

EVENTS = 100
"""Calls about one resource that are looked at, the newest: two pages."""

LOOKUPS_A_SECOND = 2.0
"""What CloudTrail allows an account in a region."""


def read_history(
    aws: Aws, groups: Sequence[TargetGroup], resources: Sequence[str], now: datetime, span: timedelta
) -> HistoryFacts:
    """What CloudWatch counted of these groups, and who changed these resources, in the time until now. now: with a time
    zone. What is denied or fails is unknown, and nothing rests on it."""
    since = now - span

    def counts() -> tuple[GroupHistory, ...]:
        return tuple(_counts(aws, groups[:GROUPS], since, now))

    def changes() -> tuple[AwsChange, ...]:
        if resources:
            aws.keep_pace("cloudtrail", Pace(LOOKUPS_A_SECOND, burst=1))
        found = [change for name in resources[:RESOURCES] for change in _changes(aws, sieve, name, since, now)]
        return tuple(sorted(found, key=lambda change: change.at, reverse=True))

    sieve = Sieve("events", under("EventName"))

    return HistoryFacts(
        since.isoformat(),
        attempt(reads.TARGET_COUNTS, "target groups", counts),
        sieve.marked(attempt(reads.CHANGES, "resources of AWS", changes)),
    )


def _counts(aws: Aws, groups: Sequence[TargetGroup], since: datetime, now: datetime) -> Iterator[GroupHistory]:
    asked = [(group.arn, own) for group in groups if (own := queries_of(group))]
    if not asked:
        return
    queries = [{**query, "Id": f"{query['Id']}{place}"} for place, (_, own) in enumerate(asked) for query in own]
    results = aws.call(
        *("cloudwatch", "GetMetricData", "MetricDataResults"),
        MetricDataQueries=queries,
        StartTime=since,
        EndTime=now,
        ScanBy="TimestampAscending",
    )
    values = values_of(results)
    for place, (arn, _) in enumerate(asked):
        healthy, unhealthy = values.get(f"h{place}", {}), values.get(f"u{place}", {})
        times = sorted(healthy.keys() & unhealthy.keys())
        yield GroupHistory(arn, tuple(counts_at(healthy[at], unhealthy[at], at) for at in times))


def _changes(aws: Aws, sieve: Sieve, resource: str, since: datetime, now: datetime) -> Iterator[AwsChange]:
    """The calls that changed a resource; those that only read it, were refused, or only tried it are left out."""
    events: Iterable[Mapping[str, Any]] = aws.call(
        *("cloudtrail", "LookupEvents", "Events"),
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": resource}],
        StartTime=since,
        EndTime=now,
        PaginationConfig={"MaxItems": EVENTS},
    )
    made = sieve.through(events, lambda event: _change(resource, event))
    yield from (change for change in made if change is not None)


def _change(resource: str, event: Mapping[str, Any]) -> AwsChange | None:
    record = json.loads(text(event, "CloudTrailEvent") or "{}")
    if text(event, "ReadOnly") == "true" or text(record, "errorCode"):
        return None
    at = event["EventTime"].astimezone(timezone.utc).isoformat()
    return AwsChange(resource, text(event, "EventName"), _author(event, record), at)


def _author(event: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Who it was, by whatever of it there is: ROLE/SESSION, user/NAME or root from the ARN; the service of AWS that
    called on its own; a name. A session that stands for a user of IAM Identity Center has that name as its own.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """
    found = record.get("userIdentity")
    identity = found if isinstance(found, dict) else {}
    arn = text(identity, "arn").rpartition(":")[2].removeprefix("assumed-role/")
    names = (arn, text(identity, "invokedBy"), text(identity, "userName"), text(event, "Username"))
    who = next(filter(None, (*names, text(identity, "principalId"), text(identity, "accountId"))), "an unknown user")
    by = text(identity, "invokedBy")
    return f"{who}, through {by}" if by and by != who else who
