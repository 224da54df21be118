"""Health-check logs of an Application Load Balancer in moto's S3, in the format and under the names that AWS documents:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-health-check-logs.html"""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta

from moto.elbv2.models import FakeLoadBalancer

from tests.support.aws_front import FakeAws
from tests.support.roles import ACCOUNT
from tests.support.shop import REGION

BUCKET, PREFIX = "logs-of-the-team", "checks"

_serial = itertools.count()


def enable(aws: FakeAws) -> None:
    """Let the load balancer log its checks into a bucket that exists."""
    # moto knows the first of these attributes only.
    FakeLoadBalancer.VALID_ATTRS |= {f"health_check_logs.s3.{name}" for name in ("enabled", "bucket", "prefix")}
    _attributes(aws, enabled="true", bucket=BUCKET, prefix=PREFIX)
    location = {"LocationConstraint": REGION}
    aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)


def disable(aws: FakeAws) -> None:
    """Back to a load balancer that logs nothing, and to no bucket."""
    aws.faults, aws.allows = {}, lambda call: True
    _attributes(aws, enabled="false", bucket="", prefix="")
    s3 = aws.client("s3")
    for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def _attributes(aws: FakeAws, **values: str) -> None:
    wanted = [{"Key": f"health_check_logs.s3.{name}", "Value": value} for name, value in values.items()]
    aws.client("elbv2").modify_load_balancer_attributes(LoadBalancerArn=aws.balancer_arn, Attributes=wanted)


def line(at: datetime, outcome: str, target: str = "10.0.1.34:8080", group: str = "k8s-shop-web-fdbb6ec3c4") -> str:
    """One check. outcome: "PASS", or the reason of a failure with the status code behind a blank, if there was one."""
    reason, _, code = outcome.partition(" ")
    told = "PASS 200 -" if outcome == "PASS" else f"FAIL {code or '-'} {reason}"
    return f"http {at:%Y-%m-%dT%H:%M:%S.%fZ} 0.019584011 {target} {group} {told}"


def write(aws: FakeAws, end: datetime, lines: Iterable[str], node: str = "10.0.1.200") -> None:
    """The file of one node for the five minutes until `end`."""
    balancer = aws.balancer_arn.partition(":loadbalancer/")[2].replace("/", ".")
    delivered = end + timedelta(minutes=1)
    key = (
        f"{PREFIX}/AWSLogs/{ACCOUNT}/elasticloadbalancing/{REGION}/{delivered:%Y/%m/%d}/health_check_log_{ACCOUNT}_"
        f"elasticloadbalancing_{REGION}_{balancer}_{end:%Y%m%dT%H%MZ}_{node}_{next(_serial):08x}.log.gz"
    )
    text = "".join(f"{entry}\n" for entry in lines)
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(text.encode()))
