"""CloudWatch's counts: two numbers for each target group, 500 in a call, of the latest minute that has both."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.target_counts import read_counts
from kubectl_lbdoctor.errors import ReadDenied
from kubectl_lbdoctor.model.aws import TargetCounts, TargetGroup
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.permission import Permission

PREFIX = "arn:aws:elasticloadbalancing:us-west-2:123456789012"
NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
ONE, TWO = NOON - timedelta(minutes=2), NOON - timedelta(minutes=3)


def group(name: str, *balancers: str) -> TargetGroup:
    arns = tuple(f"{PREFIX}:loadbalancer/{balancer}" for balancer in balancers or ("app/web/50dc6c495c0c9188",))
    return TargetGroup(arn=f"{PREFIX}:targetgroup/{name}/6d0ecf831eec9f09", name=name, load_balancer_arns=arns)


class CloudWatch:
    """Answers with the same values for every query that it has an answer for."""

    def __init__(self, answers: dict[str, list[tuple[list[datetime], list[float]]]] | None = None) -> None:
        self.answers = answers
        self.calls: list[dict[str, Any]] = []

    def keep_pace(self, service: str, pace: Pace) -> None:
        raise AssertionError("only Elastic Load Balancing has to be spared")

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        assert (service, operation, result_key) == ("cloudwatch", "GetMetricData", "MetricDataResults")
        self.calls.append(params)
        found = []
        for query in params["MetricDataQueries"]:
            parts = [([ONE], [2.0])] if self.answers is None else self.answers.get(query["Id"], [])
            found += [{"Id": query["Id"], "Timestamps": times, "Values": values} for times, values in parts]
        return found


def read(aws: Any, *groups: TargetGroup) -> Fact[Any]:
    with ThreadPoolExecutor(2) as pool:
        return read_counts(aws, pool, groups, NOON)


def test_what_is_asked() -> None:
    aws = CloudWatch()
    read(aws, group("web"))
    (call,) = aws.calls
    assert (call["StartTime"], call["EndTime"]) == (NOON - timedelta(minutes=6), NOON)
    dimensions = [
        {"Name": "TargetGroup", "Value": "targetgroup/web/6d0ecf831eec9f09"},
        {"Name": "LoadBalancer", "Value": "app/web/50dc6c495c0c9188"},
    ]
    assert [(q["Id"], q["MetricStat"]) for q in call["MetricDataQueries"]] == [
        (
            "h0",
            {
                "Metric": {
                    "Namespace": "AWS/ApplicationELB", "MetricName": "HealthyHostCount", "Dimensions": dimensions
                },
                "Period": 60,
                "Stat": "Minimum",
            },
        ),
        (
            "u0",
            {
                "Metric": {
                    "Namespace": "AWS/ApplicationELB", "MetricName": "UnHealthyHostCount", "Dimensions": dimensions
                },
                "Period": 60,
                "Stat": "Maximum",
            },
        ),
    ]  # fmt: skip


def test_a_network_load_balancer_reports_elsewhere() -> None:
    aws = CloudWatch()
    read(aws, group("web", "net/web/1"))
    metrics = [query["MetricStat"]["Metric"] for query in aws.calls[0]["MetricDataQueries"]]
    assert {metric["Namespace"] for metric in metrics} == {"AWS/NetworkELB"}


def test_seven_hundred_groups_are_three_calls() -> None:
    aws = CloudWatch()
    found = read(aws, *(group(f"web-{number}") for number in range(700)))
    assert sorted(len(call["MetricDataQueries"]) for call in aws.calls) == [400, 500, 500]
    assert len(found.need()) == 700


def test_groups_of_no_or_several_load_balancers_are_not_counted() -> None:
    aws = CloudWatch()
    lonely = TargetGroup(arn=f"{PREFIX}:targetgroup/lonely/1")
    assert read(aws, lonely, group("twice", "app/a/1", "app/b/2"), group("odd", "gwy/x/1")).need() == {}
    assert aws.calls == []


@pytest.mark.parametrize(
    ("healthy", "unhealthy", "expected"),
    [
        ([([ONE, TWO], [3.0, 2.0])], [([ONE, TWO], [0.0, 1.0])], TargetCounts(3, 0, ONE.isoformat())),
        # The latest minute is there for one of both only.
        ([([ONE, TWO], [3.0, 2.0])], [([TWO], [1.0])], TargetCounts(2, 1, TWO.isoformat())),
        # One query on two pages.
        ([([ONE], [3.0]), ([TWO], [2.0])], [([ONE], [0.0])], TargetCounts(3, 0, ONE.isoformat())),
        # What is no whole number counts for no health.
        ([([ONE], [2.6])], [([ONE], [0.4])], TargetCounts(2, 1, ONE.isoformat())),
        ([([ONE], [3.0])], [], None),
        ([([ONE], [3.0])], [([TWO], [0.0])], None),
        ([], [], None),
    ],
)
def test_the_latest_minute_that_has_both(healthy: Any, unhealthy: Any, expected: TargetCounts | None) -> None:
    web = group("web")
    found = read(CloudWatch({"h0": healthy, "u0": unhealthy}), web).need()
    assert found.get(web.arn) == expected


def test_an_answer_that_says_nothing_of_a_group_leaves_it_out() -> None:
    both = {"h1": [([ONE], [2.0])], "u1": [([ONE], [0.0])]}
    found = read(CloudWatch(both), group("a"), group("b")).need()
    assert [arn.split("/")[1] for arn in found] == ["b"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), "2", None])
def test_a_count_that_is_none_is_a_failed_read(odd: Any) -> None:
    found = read(CloudWatch({"h0": [([ONE], [odd])], "u0": [([ONE], [0.0])]}), group("web"))
    assert found.state is ReadState.FAILED


def test_an_answer_of_another_shape_is_a_failed_read() -> None:
    found = read(CloudWatch({"h0": [([ONE, TWO], [1.0])]}), group("web"))
    assert found.state is ReadState.FAILED


def test_a_denial_is_a_denial() -> None:
    class Denied(CloudWatch):
        def call(self, *_: Any, **__: Any) -> Any:
            raise ReadDenied("no", Permission(action="cloudwatch:GetMetricData"))

    found = read(Denied(), group("web"))
    assert (found.state, found.permission) == (ReadState.DENIED, Permission(action="cloudwatch:GetMetricData"))
