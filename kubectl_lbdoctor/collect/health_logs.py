"""The health-check logs of Application Load Balancers, which they may write to S3: every check with its reason.

A file holds five minutes of one node of a load balancer, packed with gzip; a line holds one check, its fields apart by
spaces: type, time, latency, target_addr, target_group_id, status, status_code, reason_code. Fields may be added at the
end. https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-health-check-logs.html; the same
fields of the deliveries by CloudWatch are enumerated as CfnLoadBalancerAlbHealthCheckLogsRecordFields in
https://github.com/aws/aws-cdk-go (awscdkmixinspreview).

What is read is bounded, the newest first.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Any, NamedTuple

from kubectl_lbdoctor.collect.elb_reads import Aws
from kubectl_lbdoctor.collect.fields import text
from kubectl_lbdoctor.collect.outcomes import attempt
from kubectl_lbdoctor.model import arn, reads
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.history import CheckedTarget

FILES = 200
"""Files that are read of one load balancer: some hours of three nodes."""

PACKED = 1 << 20
"""Bytes that are read of one file at the most, packed; unpacked ten times as many."""

LISTED = 3000
"""Names of files that are listed of one day."""

_WORKERS = 8

_NAME = re.compile(r"_(\d{8}T\d{4}Z)_([^_/]+)_[^_/]+\.log\.gz$")
"""The end of a file's name: the end of its five minutes, the address of the node, and something random."""


class LogPlace(NamedTuple):
    """Where a load balancer writes its log. balancer: ARN. prefix: "" for none."""

    balancer: str
    bucket: str
    prefix: str

    def files_of(self, day: datetime) -> str:
        """What the names of its files of that day begin with."""
        owner = arn.parse(self.balancer)
        assert owner is not None, "AWS gave this ARN"
        name = owner.resource.removeprefix("loadbalancer/").replace("/", ".")
        folder = f"AWSLogs/{owner.account}/elasticloadbalancing/{owner.region}/{day:%Y/%m/%d}"
        file = f"health_check_log_{owner.account}_elasticloadbalancing_{owner.region}_{name}_"
        return "/".join(part for part in (self.prefix.strip("/"), folder, file) if part)


def place_of(balancer: str, attributes: Mapping[str, str]) -> LogPlace | None:
    """Where a load balancer with these attributes writes its log; None where it writes none."""
    bucket = attributes.get("health_check_logs.s3.bucket", "")
    if attributes.get("health_check_logs.s3.enabled") != "true" or not bucket:
        return None
    return LogPlace(balancer, bucket, attributes.get("health_check_logs.s3.prefix", ""))


def read_logs(
    aws: Aws, places: Iterable[LogPlace], groups: Sequence[TargetGroup], since: datetime, now: datetime
) -> Fact[tuple[CheckedTarget, ...]]:
    """The checks of these groups' targets in that time, as far as they are logged. Times: with a time zone."""

    def read() -> tuple[CheckedTarget, ...]:
        return tuple(
            target
            for place in places
            for target in _targets(_checks(aws, place, _files(aws, place, since, now)), groups, since)
        )

    return attempt(reads.HEALTH_LOGS, "health-check logs", read)


class _File(NamedTuple):
    """end: of its five minutes, as its name has it."""

    end: str
    node: str
    key: str


class _Check(NamedTuple):
    """time: ISO 8601 in UTC. group: as the log names it. reason: "" where it passed."""

    time: str
    node: str
    target: str
    group: str
    passed: bool
    reason: str


def _files(aws: Aws, place: LogPlace, since: datetime, now: datetime) -> list[_File]:
    """The newest files of that time, in the order of their times. One that is delivered after midnight stands under the
    next day."""
    found: list[_File] = []
    day = (now + timedelta(minutes=10)).astimezone(timezone.utc)
    while day.date() >= since.astimezone(timezone.utc).date() and len(found) < FILES:
        beginning = place.files_of(day)
        listed = aws.call(
            *("s3", "ListObjectsV2", "Contents"),
            Bucket=place.bucket,
            Prefix=beginning,
            StartAfter=f"{beginning}{since.astimezone(timezone.utc):%Y%m%dT%H%MZ}",
            PaginationConfig={"MaxItems": LISTED},
        )
        names = (text(entry, "Key") for entry in listed)
        found += [_File(match[1], match[2], name) for name in names if (match := _NAME.search(name))]
        day -= timedelta(days=1)
    return sorted(found)[-FILES:]


def _checks(aws: Aws, place: LogPlace, files: Sequence[_File]) -> Iterator[_Check]:
    """The checks in the order of their times, for each node."""

    def lines(file: _File) -> list[str]:
        body = aws.call("s3", "GetObject", Bucket=place.bucket, Key=file.key, Range=f"bytes=0-{PACKED - 1}")["Body"]
        return unpacked(body).splitlines()

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="logs") as pool:
        read = zip(files, pool.map(lines, files), strict=True)
        for (_, node), parts in groupby(read, key=lambda part: part[0][:2]):
            checks = (check for _, text in parts for line in text if (check := _check(line, node)) is not None)
            yield from sorted(checks)


def unpacked(packed: bytes) -> str:
    """The text of a file that was packed with gzip; of one that was cut off, what is there."""
    data = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(packed, 10 * PACKED)
    return data.decode("utf-8", "replace")


def _check(line: str, node: str) -> _Check | None:
    """A line of a log; None for what is none."""
    fields = line.split()
    if len(fields) < 8 or fields[5] not in ("PASS", "FAIL"):
        return None
    _, time, _, target, group, status, code, reason = fields[:8]
    said = "no reason" if reason == "-" else reason
    why = said if code == "-" else f"{said} ({code})"
    return _Check(time, node, target, group, status == "PASS", "" if status == "PASS" else why)


@dataclass
class _Run:
    """What one node has seen of one target until now. turned_at: when it began to be as it is."""

    passed: bool
    begun: str
    turned_at: str
    last: str = ""
    turned: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, check: _Check) -> None:
        if check.passed != self.passed:
            self.passed, self.turned_at, self.turned = check.passed, check.time, self.turned + 1
        if not check.passed:
            self.reasons[check.reason] += 1
        self.last = check.time


def _targets(checks: Iterable[_Check], groups: Sequence[TargetGroup], since: datetime) -> Iterator[CheckedTarget]:
    known = {name: group.arn for group in groups for name in _names(group)}
    earliest = f"{since.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}"
    found: dict[tuple[str, str], dict[str, _Run]] = {}
    for check in checks:
        if check.group in known and check.time >= earliest:
            nodes = found.setdefault((known[check.group], check.target), {})
            nodes.setdefault(check.node, _Run(check.passed, check.time, check.time)).add(check)
    for (group, target), nodes in found.items():
        runs = nodes.values()
        reasons = sum((run.reasons for run in runs), Counter[str]())
        yield CheckedTarget(
            group=group,
            target=target,
            nodes=len(runs),
            failing=sum(not run.passed for run in runs),
            begun=min(run.begun for run in runs),
            last=max(run.last for run in runs),
            failing_since=min((run.turned_at for run in runs if not run.passed), default=""),
            turned=max(run.turned for run in runs),
            reasons=tuple(reason for reason, _ in reasons.most_common()),
        )


def _names(group: TargetGroup) -> tuple[Any, ...]:
    """How a log may call a target group: AWS's page says "the target group ID" and shows a name."""
    resource = group.arn.rpartition(":")[2]
    return group.arn, resource, group.name, resource.rpartition("/")[2]
