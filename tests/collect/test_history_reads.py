"""Who changed what, from CloudTrail's records: those of its documentation, in answers of the shape that botocore knows.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.history_reads import read_history
from kubectl_lbdoctor.errors import ReadFailed
from kubectl_lbdoctor.model.history import AwsChange

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
TOKYO = timezone(timedelta(hours=9))
LOOKUP = get_session().get_service_model("cloudtrail").operation_model("LookupEvents")


class Trail:
    """What is asked in place of AWS; both sides of a call are as botocore's model of CloudTrail has them."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = list(events)
        self.asked: list[dict[str, Any]] = []
        self.rates: list[float] = []

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        assert (service, operation, result_key) == ("cloudtrail", "LookupEvents", "Events")
        self.asked.append(dict(params))
        params.pop("PaginationConfig")
        for value, shape in ((params, LOOKUP.input_shape), ({"Events": self.events}, LOOKUP.output_shape)):
            report = ParamValidator().validate(value, shape)
            assert not report.has_errors(), report.generate_report()
        return self.events

    def keep_pace(self, service: str, pace: Pace) -> None:
        self.rates.append(pace.rate)


def event(identity: Any, **more: Any) -> dict[str, Any]:
    """One as LookupEvents gives it, with CloudTrail's record as the text that it is."""
    record = {"eventVersion": "1.11", "eventTime": "2026-11-24T11:48:00Z", "userIdentity": identity}
    return {
        "EventId": "0a1b",
        "EventName": "RevokeSecurityGroupIngress",
        "ReadOnly": "false",
        "EventTime": NOW - timedelta(minutes=12),
        "EventSource": "ec2.amazonaws.com",
        "Resources": [{"ResourceType": "AWS::EC2::SecurityGroup", "ResourceName": "sg-1"}],
        "CloudTrailEvent": json.dumps(record),
        **more,
    }


def changes(*events: dict[str, Any]) -> tuple[AwsChange, ...]:
    return read_history(Trail(*events), [], ["sg-1"], NOW, timedelta(hours=3)).changes.need()


SESSION = {
    "sessionIssuer": {
        "type": "Role",
        "principalId": "AROAIDPPEZS35WEXAMPLE",
        "arn": "arn:aws:iam::123456789012:role/RoleToBeAssumed",
        "accountId": "123456789012",
        "userName": "RoleToBeAssumed",
    },
    "attributes": {"mfaAuthenticated": "false", "creationDate": "20131102T010628Z"},
}


@pytest.mark.parametrize(
    ("identity", "more", "who"),
    [
        (
            {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/Alice", "userName": "Alice"},
            {"Username": "Alice"},
            "user/Alice",
        ),
        (
            {
                "type": "AssumedRole",
                "principalId": "AROAIDPPEZS35WEXAMPLE:AssumedRoleSessionName",
                "arn": "arn:aws:sts::123456789012:assumed-role/RoleToBeAssumed/MySessionName",
                "accountId": "123456789012",
                "sessionContext": SESSION,
            },
            {"Username": "MySessionName"},
            "RoleToBeAssumed/MySessionName",
        ),
        (  # CloudFormation, with the rights of the person who called it.
            {
                "type": "AssumedRole",
                "arn": "arn:aws:sts::123456789012:assumed-role/deploy/jane",
                "sessionContext": SESSION,
                "invokedBy": "cloudformation.amazonaws.com",
            },
            {},
            "deploy/jane, through cloudformation.amazonaws.com",
        ),
        (  # A role that is linked to a service.
            {
                "type": "AssumedRole",
                "arn": "arn:aws:sts::1:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling",
                "invokedBy": "autoscaling.amazonaws.com",
            },
            {},
            "AWSServiceRoleForAutoScaling/AutoScaling, through autoscaling.amazonaws.com",
        ),
        (
            {"type": "AWSService", "invokedBy": "elasticloadbalancing.amazonaws.com"},
            {},
            "elasticloadbalancing.amazonaws.com",
        ),
        ({"type": "Root", "arn": "arn:aws:iam::123456789012:root", "accountId": "123456789012"}, {}, "root"),
        ({"type": "WebIdentityUser", "userName": "system:serviceaccount:kube-system:lbc"}, {},
         "system:serviceaccount:kube-system:lbc"),
        ({"type": "IdentityCenterUser", "accountId": "123456789012", "onBehalfOf": {"userId": "u-1"}}, {},
         "123456789012"),
        ({"type": "AWSAccount", "principalId": "AIDAQRSTUVWXYZEXAMPLE", "accountId": "210987654321"}, {},
         "AIDAQRSTUVWXYZEXAMPLE"),
        ({"type": "SomethingNew"}, {"Username": "jane"}, "jane"),
        ({"type": "Unknown"}, {}, "an unknown user"),
        (None, {"Username": "jane"}, "jane"),
        ("text", {}, "an unknown user"),
    ],
)  # fmt: skip
def test_who_it_was(identity: Any, more: dict[str, Any], who: str) -> None:
    (change,) = changes(event(identity, **more))
    assert change == AwsChange("sg-1", "RevokeSecurityGroupIngress", who, "2026-11-24T11:48:00+00:00")


def test_times_of_every_zone_are_in_utc_and_the_newest_is_first() -> None:
    early, late = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    found = changes(event({}, EventTime=early.astimezone(TOKYO)), event({}, EventTime=late))
    assert [change.at for change in found] == ["2026-11-24T11:00:00+00:00", "2026-11-24T10:00:00+00:00"]


@pytest.mark.parametrize("said", ["", None])
def test_a_record_that_is_none_costs_the_author_only(said: str | None) -> None:
    more = {} if said is None else {"CloudTrailEvent": said}
    without = {key: value for key, value in event({}).items() if key != "CloudTrailEvent"}
    (change,) = changes({**without, "Username": "jane", **more})
    assert change.by == "jane"


def test_what_changed_nothing_is_left_out() -> None:
    refused = {**event({}), "CloudTrailEvent": json.dumps({"errorCode": "Client.UnauthorizedOperation"})}
    assert changes(refused, event({}, ReadOnly="true", EventName="DescribeSecurityGroups")) == ()


def test_it_asks_few_resources_at_its_pace_and_not_without_end() -> None:
    trail = Trail()
    read_history(trail, [], [f"sg-{number}" for number in range(9)], NOW, timedelta(hours=3))
    assert len(trail.asked) == 5 and trail.rates == [2.0]
    assert {asked["PaginationConfig"]["MaxItems"] for asked in trail.asked} == {100}


def test_nothing_is_asked_where_no_resource_is_named() -> None:
    trail = Trail()
    assert read_history(trail, [], [], NOW, timedelta(hours=3)).changes.need() == () and trail.asked == []


def test_throttled_is_unknown() -> None:
    class Busy(Trail):
        def call(self, *args: Any, **params: Any) -> Any:
            raise ReadFailed("cloudtrail:LookupEvents was throttled (ThrottlingException after 4 attempts)")

    fact = read_history(Busy(), [], ["sg-1"], NOW, timedelta(hours=3)).changes
    assert not fact.is_known and "throttled" in fact.reason
