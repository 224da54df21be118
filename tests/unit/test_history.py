"""What was before, as evidence of a diagnosis: pure, on a recorded case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.commands.examination import examine
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetCounts
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.history import AwsChange, GroupHistory, HistoryFacts
from kubectl_lbdoctor.permission import Permission
from tests.support import cases

CASE = "LBD501-security-group-rule-revoked"
SNAPSHOT = cases.result(CASE).snapshot
(ARN,) = SNAPSHOT.aws.target_groups
GROUP = cases.result(CASE).report.diagnoses[0].finding.object.name
DAY, NOW = SNAPSHOT.taken_at[:11], SNAPSHOT.taken_at


def counts(*told: tuple[str, int, int]) -> Fact[tuple[GroupHistory, ...]]:
    found = tuple(TargetCounts(healthy, unhealthy, f"{DAY}{at}:00+00:00") for at, healthy, unhealthy in told)
    return Fact.known(reads.TARGET_COUNTS, (GroupHistory(ARN, found),))


def changes(*told: AwsChange) -> Fact[tuple[AwsChange, ...]]:
    return Fact.known(reads.CHANGES, told)


def evidence(history: HistoryFacts) -> list[tuple[str, str, str]]:
    """What is said of the past: (code, source, text)."""
    report = examine(replace(SNAPSHOT, history=history))
    return [
        (d.finding.code, e.source, e.text)
        for d in report.diagnoses
        for e in d.finding.evidence
        if e.source in ("cloudwatch", "cloudtrail")
    ]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            [("09:00", 2, 0), ("11:20", 0, 2), ("11:59", 0, 2)],
            "0 of 2 healthy since 40 min ago; turned once in the last 3 h",
        ),
        ([("09:00", 0, 2), ("11:59", 1, 1)], "1 of 2 healthy, as in all of the last 3 h"),
        (
            [("09:00", 0, 2), ("10:00", 2, 0), ("11:00", 0, 0)],
            "0 of 0 healthy since 60 min ago; turned 2 times in the last 3 h",
        ),
    ],
)
def test_since_when(told: list[tuple[str, int, int]], said: str) -> None:
    assert f"{DAY}12:00:00Z" == NOW
    found = evidence(HistoryFacts(f"{DAY}09:00:00Z", counts(*told)))
    assert found == [("LBD501", "cloudwatch", f"{ARN.split('/')[1]}: {said}")]


def test_nothing_is_said_of_what_does_not_fail_or_is_not_known() -> None:
    since = f"{DAY}09:00:00Z"
    assert evidence(HistoryFacts(since, counts(("09:00", 0, 2), ("11:59", 2, 0)))) == []
    assert evidence(HistoryFacts(since, counts())) == []
    assert (
        evidence(
            HistoryFacts(since, Fact.denied(reads.TARGET_COUNTS, "no", Permission(action="cloudwatch:GetMetricData")))
        )
        == []
    )
    assert evidence(HistoryFacts()) == []


def test_who_changed_the_group_that_is_the_cause() -> None:
    told = [
        AwsChange(GROUP, "RevokeSecurityGroupIngress", "deploy/jane", f"{DAY}11:48:00Z"),
        AwsChange(GROUP, "AuthorizeSecurityGroupIngress", "deploy/jane", f"{DAY}09:30:00Z"),
        AwsChange(GROUP, "AuthorizeSecurityGroupIngress", "root", f"{DAY}09:10:00Z"),
        AwsChange("sg-0other", "RevokeSecurityGroupIngress", "root", f"{DAY}11:50:00Z"),
    ]
    assert [text for _, _, text in evidence(HistoryFacts(f"{DAY}09:00:00Z", changes=changes(*told)))] == [
        f"{GROUP}: RevokeSecurityGroupIngress by deploy/jane 12 min ago",
        f"{GROUP}: AuthorizeSecurityGroupIngress by deploy/jane 2 h ago",
    ]
