"""How many targets of each group are healthy, as CloudWatch counts them: five hundred numbers a call.

A hundred thousand of these numbers cost a dollar (https://aws.amazon.com/cloudwatch/pricing/); those of 700 target
groups cost 1.4 cents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any

from kubectl_lbdoctor.collect.elb_reads import Aws
from kubectl_lbdoctor.collect.fields import text
from kubectl_lbdoctor.collect.outcomes import attempt
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetCounts, TargetGroup
from kubectl_lbdoctor.model.fact import Fact

QUERIES = 500
"""Numbers that one call takes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""

PERIOD = 60
"""Seconds; Elastic Load Balancing reports once a minute."""

SPAN = timedelta(minutes=6)
"""How far back is looked for the latest minute."""

# What is asked of each group: the letter of the query's id, the metric, and the statistic over its balancer's nodes.
_METRICS = (("h", "HealthyHostCount", "Minimum"), ("u", "UnHealthyHostCount", "Maximum"))
_NAMESPACES = {"app": "AWS/ApplicationELB", "net": "AWS/NetworkELB"}

Table = Mapping[str, TargetCounts]


def read_counts(aws: Aws, pool: Executor, groups: Iterable[TargetGroup], now: datetime) -> Fact[Table]:
    """The counts of those groups that one load balancer leads to, by ARN, of the latest minute that has both.

    now: with a time zone. A group that CloudWatch says nothing of is not in the table.
    """
    asked = [(group.arn, query) for group in groups for query in [queries_of(group)] if query]
    share = QUERIES // len(_METRICS)
    parts = [asked[start : start + share] for start in range(0, len(asked), share)]
    futures = [pool.submit(_part, aws, part, now) for part in parts]
    table: dict[str, TargetCounts] = {}
    for fact in [future.result() for future in futures]:
        if not fact.is_known:
            return fact
        table.update(fact.need())
    return Fact.known(reads.TARGET_COUNTS, table, "target groups")


def queries_of(group: TargetGroup) -> list[dict[str, Any]]:
    """The metrics of a group, without their ids; none where no load balancer, or more than one, leads to it: each of
    them counts for itself."""
    if len(group.load_balancer_arns) != 1:
        return []
    balancer = group.load_balancer_arns[0].partition(":loadbalancer/")[2]
    namespace = _NAMESPACES.get(balancer.partition("/")[0])
    if namespace is None:
        return []
    dimensions = [
        {"Name": "TargetGroup", "Value": group.arn.rpartition(":")[2]},
        {"Name": "LoadBalancer", "Value": balancer},
    ]
    return [
        {
            "Id": letter,
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
                "Period": PERIOD,
                "Stat": statistic,
            },
        }
        for letter, metric, statistic in _METRICS
    ]


def _part(aws: Aws, part: list[tuple[str, list[dict[str, Any]]]], now: datetime) -> Fact[Table]:
    """The counts of as many groups as one call takes."""
    queries = [{**query, "Id": f"{query['Id']}{place}"} for place, (_, own) in enumerate(part) for query in own]

    def read() -> Table:
        results = aws.call(
            "cloudwatch",
            "GetMetricData",
            "MetricDataResults",
            MetricDataQueries=queries,
            StartTime=now - SPAN,
            EndTime=now,
            ScanBy="TimestampDescending",
        )
        values = values_of(results)
        found = {
            arn: _latest(values.get(f"h{place}", {}), values.get(f"u{place}", {}))
            for place, (arn, _) in enumerate(part)
        }
        return {arn: counts for arn, counts in found.items() if counts is not None}

    return attempt(reads.TARGET_COUNTS, "target groups", read)


def values_of(results: Iterable[Mapping[str, Any]]) -> dict[str, dict[datetime, float]]:
    """The values of each query by their minutes; a query's values may be spread over several pages."""
    found: dict[str, dict[datetime, float]] = {}
    for result in results:
        times, numbers = result.get("Timestamps") or [], result.get("Values") or []
        found.setdefault(text(result, "Id"), {}).update(zip(times, numbers, strict=True))
    return found


def _latest(healthy: Mapping[datetime, float], unhealthy: Mapping[datetime, float]) -> TargetCounts | None:
    at = max(healthy.keys() & unhealthy.keys(), default=None)
    if at is None:
        return None
    return counts_at(healthy[at], unhealthy[at], at)


def counts_at(healthy: float, unhealthy: float, at: datetime) -> TargetCounts:
    """The counts of one minute. What is no whole number counts for no health."""
    return TargetCounts(math.floor(healthy), math.ceil(unhealthy), at.isoformat())
