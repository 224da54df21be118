"""The controller's permissions: what each release needs, what a role lacks, what to add."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.knowledge.iam_policy import (
    CLUSTER_TAG,
    OPTIONAL_ACTIONS,
    concerning_controller,
    missing_actions,
    permission_statement,
    required_actions,
    review_policies,
    shipped_statements,
    since_version,
    verdict,
)


def allow(*actions: str, **extra: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*", **extra}],
    }


def shipped_document() -> dict[str, Any]:
    statements = []
    for s in shipped_statements():
        entry: dict[str, Any] = {"Effect": "Allow", "Action": list(s.actions), "Resource": list(s.resources)}
        statements.append(entry | ({"Condition": dict(s.condition)} if s.condition else {}))
    return {"Version": "2012-10-17", "Statement": statements}


EVERYTHING = allow("*")


def test_the_shipped_policy_has_eighty_actions() -> None:
    assert len(required_actions("v2.17.1")) == 80
    assert len(required_actions("v3.5.0")) == 80
    assert required_actions("v3.7.0") - required_actions("v3.6.9") == {"ec2:ValidateSecurityGroupQuotasForInterface"}
    assert len(shipped_statements()) == 17
    assert not required_actions("v2.17.1") & set(OPTIONAL_ACTIONS)


@pytest.mark.parametrize(
    ("action", "before", "since"),
    [
        ("ec2:DescribeCoipPools", "2.1.1", "2.1.2"),
        ("ec2:GetCoipPoolUsage", "v2.1.0", "v2.1.2"),
        ("ec2:DescribeAvailabilityZones", "2.1.3", "2.2.0"),
        ("ec2:DescribeVpcPeeringConnections", "2.2.4", "2.3.0"),
        ("elasticloadbalancing:DescribeTrustStores", "2.6.2", "2.7.0"),
        ("elasticloadbalancing:DescribeListenerAttributes", "2.8.3", "2.9.0"),
        ("elasticloadbalancing:ModifyListenerAttributes", "2.8.3", "2.9.0"),
        ("ec2:GetSecurityGroupsForVpc", "2.9.2", "2.10.0"),
        ("elasticloadbalancing:ModifyCapacityReservation", "2.10.1", "2.11.0"),
        ("ec2:DescribeIpamPools", "2.11.0", "2.12.0"),
        ("elasticloadbalancing:SetRulePriorities", "2.11.0", "2.12.0"),
        ("ec2:DescribeRouteTables", "2.12.0", "2.13.0"),
        ("ec2:ValidateSecurityGroupQuotasForInterface", "v3.5.0", "v3.7.0"),
    ],
)
def test_since(action: str, before: str, since: str) -> None:
    assert action not in required_actions(before)
    assert action in required_actions(since)
    assert since_version(action) == since.removeprefix("v")


@pytest.mark.parametrize("version", ["", "latest", "sha256:0123", "v3.5.0", "main"])
def test_a_version_that_is_not_readable_needs_what_the_newest_known_one_does(version: str) -> None:
    assert len(required_actions(version)) == 80


def test_shipped_policy_lacks_nothing_and_writes_are_only_restricted() -> None:
    review = review_policies([shipped_document()], "v2.17.1")
    assert review.missing == ()
    assert "elasticloadbalancing:CreateLoadBalancer" in review.restricted
    assert "ec2:DescribeSubnets" not in review.restricted


def test_old_policy_lacks_what_came_later() -> None:
    old = allow(*required_actions("2.12.0"))
    assert missing_actions([old], "2.13.0") == ("ec2:DescribeRouteTables",)
    assert missing_actions([old], "2.12.0") == ()


@pytest.mark.parametrize(
    ("documents", "missing"),
    [
        ([EVERYTHING], False),
        ([allow("elasticloadbalancing:*", "ec2:*", "iam:*", "acm:*", "waf*:*", "shield:*", "cognito-idp:*")], False),
        ([allow("ELASTICLOADBALANCING:*")], False),
        ([allow("elasticloadbalancing:Register?argets")], False),
        ([{"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}], False),
        ([{"Statement": {"Effect": "Allow", "NotAction": ["elasticloadbalancing:Reg*"], "Resource": "*"}}], True),
        ([allow("elasticloadbalancing:Describe*")], True),
        ([allow("ec2:*")], True),
        ([EVERYTHING, {"Statement": {"Effect": "Deny", "Action": "elasticloadbalancing:R*", "Resource": "*"}}], True),
        ([EVERYTHING, {"Statement": {"Effect": "Deny", "NotAction": "ec2:*", "Resource": "*"}}], True),
        # a Deny that depends on a condition or names resources may not apply here
        (
            [EVERYTHING, {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {}}}}],
            False,
        ),
        ([EVERYTHING, {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::x"}}], False),
        ([], True),
        ([{}], True),
        ([{"Statement": "broken"}, {"Statement": [None, 3, {"Effect": "Allow"}]}], True),
    ],
)
def test_register_targets_is_missing(documents: list[dict[str, Any]], missing: bool) -> None:
    assert ("elasticloadbalancing:RegisterTargets" in missing_actions(documents, "2.17.1")) is missing


def test_a_deny_is_told_from_an_absence() -> None:
    document = {"Statement": [EVERYTHING["Statement"][0], {"Effect": "Deny", "Action": "shield:*", "Resource": "*"}]}
    review = review_policies([document], "2.17.1")
    assert review.missing == review.denied
    assert all(action.startswith("shield:") for action in review.denied)
    assert review_policies([allow("ec2:*")], "2.17.1").denied == ()


def test_statement_for_an_unconditional_action() -> None:
    assert json.loads(permission_statement("ec2:DescribeRouteTables")) == {
        "Effect": "Allow",
        "Action": "ec2:DescribeRouteTables",
        "Resource": "*",
    }
    assert json.loads(permission_statement("ec2:AuthorizeSecurityGroupIngress")).get("Condition") is None


def test_statement_carries_the_tag_condition() -> None:
    found = json.loads(permission_statement("elasticloadbalancing:modifytargetgroup"))
    assert found["Action"] == "elasticloadbalancing:ModifyTargetGroup"
    assert found["Condition"] == {"Null": {f"aws:ResourceTag/{CLUSTER_TAG}": "false"}}
    create = json.loads(permission_statement("elasticloadbalancing:CreateLoadBalancer"))
    assert create["Condition"] == {"Null": {f"aws:RequestTag/{CLUSTER_TAG}": "false"}}


def test_statement_for_a_resource_keeps_the_shipped_pattern_and_the_partition() -> None:
    arn = "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/k8s-x/0123"
    found = json.loads(permission_statement("elasticloadbalancing:RegisterTargets", arn))
    assert found["Resource"] == "arn:aws-cn:elasticloadbalancing:*:*:targetgroup/*/*"
    rule = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/a/b/c/d"
    tags = json.loads(permission_statement("elasticloadbalancing:AddTags", rule))
    assert "Condition" not in tags
    assert tags["Resource"] == "arn:aws:elasticloadbalancing:*:*:listener-rule/app/*/*/*"


def test_several_statements_where_the_policy_needs_several() -> None:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/b"
    found = json.loads(permission_statement("elasticloadbalancing:AddTags", arn))
    assert isinstance(found, list)
    assert len(found) == 2
    assert all(CLUSTER_TAG in json.dumps(s["Condition"]) for s in found)


def test_statement_for_what_the_policy_does_not_ship() -> None:
    role = "arn:aws:iam::210987654321:role/other"
    assert json.loads(permission_statement("sts:AssumeRole", role))["Resource"] == role
    assert json.loads(permission_statement("wafv2:ListWebACLs"))["Resource"] == "*"


@given(st.text(max_size=60), st.one_of(st.none(), st.text(max_size=80)))
def test_any_action_gives_json(action: str, resource: str | None) -> None:
    json.loads(permission_statement(action, resource))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["Statement", "Version"]), JSON, max_size=2))
def test_no_document_raises(document: dict[str, Any]) -> None:
    assert len(missing_actions([document], "2.17.1")) == 80


def test_only_statements_about_the_controllers_services_are_kept() -> None:
    document = {
        "Statement": [
            {"Sid": "x", "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::payroll"},
            {"Sid": "y", "Effect": "Allow", "Action": ["s3:Get*", "EC2:Describe*"], "Resource": "*"},
            {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            "nonsense",
        ]
    }
    kept = concerning_controller(document)["Statement"]
    assert [s.get("Action", "not") for s in kept] == [["s3:Get*", "EC2:Describe*"], "not", "*"]
    assert "payroll" not in str(kept) and all("Sid" not in s for s in kept)
    for action in required_actions(""):
        assert verdict([{"Statement": kept}], action) == verdict([document], action)
