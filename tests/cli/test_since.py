"""`--since`: since when targets fail, how often they turned, and who changed what is the cause."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support import health_logs
from tests.support.cloud import Cloud
from tests.support.program import Result, run

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


def at(minutes: float) -> datetime:
    """So many minutes before now."""
    return NOW - timedelta(minutes=minutes)


def asked(cloud: Cloud, *args: str) -> Result:
    return run("ing/web", "-o", "json", *args, env=cloud.env, now=NOW.strftime("%Y-%m-%dT%H:%M:%SZ"))


def evidence(result: Result, source: str) -> list[str]:
    return [e["text"] for d in result.json["diagnoses"] for e in d["evidence"] if e["source"] == source]


def count(cloud: Cloud, *minutes: tuple[int, int, int]) -> None:
    """What CloudWatch has: (minutes ago, healthy, unhealthy)."""
    group = cloud.aws.group_arn.rpartition(":")[2]
    (balancer,) = cloud.aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    dimensions = [
        {"Name": "TargetGroup", "Value": group},
        {"Name": "LoadBalancer", "Value": balancer["LoadBalancerArn"].partition(":loadbalancer/")[2]},
    ]
    cloud.aws.client("cloudwatch").put_metric_data(
        Namespace="AWS/ApplicationELB",
        MetricData=[
            {"MetricName": name, "Dimensions": dimensions, "Timestamp": at(ago), "Value": value}
            for ago, healthy, unhealthy in minutes
            for name, value in (("HealthyHostCount", healthy), ("UnHealthyHostCount", unhealthy))
        ],
    )


def event(resource: str, operation: str, minutes: float, **more: Any) -> dict[str, Any]:
    record = {"userIdentity": {"arn": "arn:aws:sts::123456789012:assumed-role/deploy/jane"}, **more}
    return {
        "EventName": operation,
        "EventTime": at(minutes).timestamp(),
        "Username": "jane",
        "ReadOnly": "false",
        "Resources": [{"ResourceType": "AWS::EC2::SecurityGroup", "ResourceName": resource}],
        "CloudTrailEvent": json.dumps(record),
    }


def test_nothing_is_asked_without_the_flag(cloud: Cloud) -> None:
    cloud.wrong_port()
    asked(cloud)
    assert not {"cloudwatch:GetMetricData", "cloudtrail:LookupEvents"} & {*cloud.aws.asked}


def test_since_when_targets_fail_and_how_often_they_turned(cloud: Cloud) -> None:
    cloud.wrong_port()
    count(cloud, (170, 2, 0), (120, 1, 1), (90, 2, 0), (40, 0, 2), (1, 0, 2))
    (said,) = evidence(asked(cloud, "--since", "3h"), "cloudwatch")
    assert said == "k8s-shop-web-fdbb6ec3c4: 0 of 2 healthy since 40 min ago; turned 3 times in the last 3 h"


def test_who_changed_what_is_the_cause(cloud: Cloud) -> None:
    """The target group was made outside the cluster, so that its own setting is the cause."""
    cloud.wrong_path()
    cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]["metadata"]["labels"] = {}
    arn = cloud.aws.group_arn
    cloud.aws.trail = [
        event(arn, "ModifyTargetGroup", 12),
        event(arn, "ModifyTargetGroup", 20, errorCode="AccessDenied"),
        {**event(arn, "DescribeTargetHealth", 5), "ReadOnly": "true"},
        event(arn, "ModifyTargetGroup", 400),
        event("sg-0123", "RevokeSecurityGroupIngress", 3),
    ]
    binding = cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]["metadata"]["name"]
    result = run(f"tgb/{binding}", "-o", "json", "--since", "3h", env=cloud.env, now="2026-11-24T12:00:00Z")
    assert evidence(result, "cloudtrail") == ["k8s-shop-web-fdbb6ec3c4: ModifyTargetGroup by deploy/jane 12 min ago"]


def log(cloud: Cloud, *checks: tuple[float, str], node: str = "10.0.1.200", **more: str) -> None:
    """A file for each check: (minutes ago, what came of it)."""
    for minutes, outcome in checks:
        health_logs.write(cloud.aws, at(minutes - 2), [health_logs.line(at(minutes), outcome, **more)], node)


def of_a_group_of_people(cloud: Cloud) -> Result:
    """A run that asks about the target group, which was made outside the cluster."""
    binding = cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]["metadata"]
    binding["labels"] = {}
    return run(f"tgb/{binding['name']}", "-o", "json", "--since", "3h", env=cloud.env, now="2026-11-24T12:00:00Z")


def test_a_long_trail_is_read_to_its_bound(cloud: Cloud) -> None:
    cloud.wrong_path()
    cloud.aws.trail = [event(cloud.aws.group_arn, "AddTags", minutes / 10) for minutes in range(1000)]
    result = of_a_group_of_people(cloud)
    assert cloud.aws.asked.count("cloudtrail:LookupEvents") == 2 and len(evidence(result, "cloudtrail")) == 2


def test_a_trail_that_is_throttled_is_told(cloud: Cloud) -> None:
    cloud.wrong_path()
    cloud.aws.faults = {"LookupEvents": "throttled"}
    result = of_a_group_of_people(cloud)
    assert cloud.aws.asked.count("cloudtrail:LookupEvents") > 1
    assert result.status == 1 and "--since: cloudtrail:LookupEvents was throttled" in result.stderr


def test_the_log_tells_since_when_and_why_checks_fail(logged: Cloud) -> None:
    logged.wrong_port()
    log(logged, (400, "PASS"), (170, "PASS"), (150, "RequestTimedOut"), (120, "PASS"), (90, "TargetError 502"))
    log(logged, (40, "TargetError 502"), (5, "ConnectionRefused"))
    log(logged, (170, "PASS"), (5, "PASS"), target="10.0.2.34:8080")
    log(logged, (170, "RequestTimedOut"), target="10.0.9.9:8080")  # It is checked no more.
    log(logged, (5, "RequestTimedOut"), group="of-another-service")
    (said,) = evidence(asked(logged, "--since", "3h"), "health-check-log")
    assert said == (
        "10.0.1.34:8080: checks fail since 90 min ago: TargetError (502), RequestTimedOut; "
        "turned 3 times in the last 2 h"
    )


def test_the_log_tells_which_nodes_of_the_load_balancer_fail(logged: Cloud) -> None:
    logged.wrong_port()
    log(logged, (30, "PASS"), (5, "PASS"))
    log(logged, (30, "RequestTimedOut"), (5, "RequestTimedOut"), node="10.0.2.200")
    (said,) = evidence(asked(logged, "--since", "3h"), "health-check-log")
    assert said == (
        "10.0.1.34:8080: every check of the last 30 min failed from 1 of 2 nodes of the load balancer: RequestTimedOut"
    )


def test_the_log_of_two_days(logged: Cloud) -> None:
    logged.wrong_port()
    log(logged, (13 * 60, "PASS"), (12.5 * 60, "RequestTimedOut"), (11 * 60, "RequestTimedOut"), (5, "RequestTimedOut"))
    (said,) = evidence(asked(logged, "--since", "48h"), "health-check-log")
    assert said == "10.0.1.34:8080: checks fail since 12 h ago: RequestTimedOut; turned once in the last 13 h"


def test_few_targets_are_told_of(logged: Cloud) -> None:
    logged.wrong_port()
    for number in range(5):
        log(logged, (5, "RequestTimedOut"), target=f"10.0.1.{number}:8080")
    *told, rest = evidence(asked(logged, "--since", "3h"), "health-check-log")
    assert len(told) == 3 and rest == "2 more of these targets fail their checks"


def test_the_newest_files_are_read_and_no_more(logged: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.collect.health_logs.FILES", 2)
    logged.wrong_port()
    log(logged, (170, "PASS"), (40, "RequestTimedOut"), (5, "RequestTimedOut"))
    (said,) = evidence(asked(logged, "--since", "3h"), "health-check-log")
    assert said == "10.0.1.34:8080: every check of the last 40 min failed: RequestTimedOut"
    assert logged.aws.asked.count("s3:GetObject") == 2


@pytest.mark.parametrize("permission", ["s3:ListBucket", "s3:GetObject"])
def test_a_log_that_may_not_be_read_is_told(logged: Cloud, permission: str) -> None:
    logged.wrong_port()
    log(logged, (5, "RequestTimedOut"))
    before = asked(logged)
    logged.aws.faults = {permission.partition(":")[2]: "denied"}
    result = asked(logged, "--since", "3h")
    assert (result.status, result.codes) == (before.status, before.codes)
    assert f"add permission: {permission}" in result.stderr
    assert permission in [entry["permission"] for entry in result.json["coverage"]["optional"]]


def test_a_load_balancer_that_logs_nothing_costs_no_read(cloud: Cloud) -> None:
    cloud.wrong_port()
    result = asked(cloud, "--since", "3h")
    assert not [name for name in cloud.aws.asked if name.startswith("s3:")] and "s3" not in result.stderr


def test_one_odd_event_is_left_out_and_told(cloud: Cloud) -> None:
    cloud.wrong_path()
    cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]["metadata"]["labels"] = {}
    arn = cloud.aws.group_arn
    cloud.aws.trail = [
        {**event(arn, "ModifyTargetGroup", 5), "CloudTrailEvent": "[1]"},
        {**event(arn, "ModifyTargetGroup", 6), "CloudTrailEvent": "{"},
        event(arn, "ModifyTargetGroup", 12),
    ]
    binding = cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]["metadata"]["name"]
    result = run(f"tgb/{binding}", "-o", "json", "--since", "3h", env=cloud.env, now="2026-11-24T12:00:00Z")
    assert evidence(result, "cloudtrail") == ["k8s-shop-web-fdbb6ec3c4: ModifyTargetGroup by deploy/jane 12 min ago"]
    assert "--since: 2 of 3 events could not be understood" in result.stderr


def test_a_bundle_keeps_what_was_before(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    count(cloud, (170, 2, 0), (40, 0, 2), (1, 0, 2))
    bundle = str(tmp_path / "case.json")
    said = evidence(asked(cloud, "--since", "3h", "--save", bundle), "cloudwatch")
    assert len(said) == 1 and evidence(run("--from", bundle, "-o", "json"), "cloudwatch") == said


def test_a_bundle_keeps_what_was_logged(logged: Cloud, tmp_path: Path) -> None:
    logged.wrong_port()
    log(logged, (170, "PASS"), (40, "TargetError 502"), (5, "TargetError 502"))
    bundle = str(tmp_path / "case.json")
    said = evidence(asked(logged, "--since", "3h", "--save", bundle), "health-check-log")
    assert len(said) == 1 and evidence(run("--from", bundle, "-o", "json"), "health-check-log") == said


def test_a_denied_read_is_told_and_changes_nothing_else(cloud: Cloud) -> None:
    cloud.wrong_port()
    before = asked(cloud)
    cloud.aws.faults = {"GetMetricData": "denied", "LookupEvents": "denied"}
    result = asked(cloud, "--since", "3h")
    assert (result.status, result.codes) == (before.status, before.codes)
    assert "add permission: cloudwatch:GetMetricData" in result.stderr
    permissions = [entry["permission"] for entry in result.json["coverage"]["optional"]]
    assert "cloudwatch:GetMetricData" in permissions


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--since", "soon"), "is not a duration"),
        (("--since", "0"), "is not between a second and 14 days"),
        (("--since", "400h"), "is not between a second and 14 days"),
        (("--since", "3h", "--from", "docs/demo/bundle.json"), "--since goes with neither --fix nor --from"),
        (("--since", "3h", "--fix", "all"), "--since goes with neither --fix nor --from"),
    ],
)
def test_times_that_are_none(args: tuple[str, ...], sentence: str) -> None:
    result = run("ing/web", *args)
    assert result.status == 2 and sentence in result.stderr
