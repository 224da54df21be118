"""Who makes what, and what keeps him from it: one declaration, which every check that it names follows."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.analysis.responsibility import (
    STOPPED_AT,
    Duty,
    Step,
    is_kept_from_work,
    step_of_access,
    step_of_action,
    undone_by,
)
from kubectl_lbdoctor.checks import CATALOGUE


@pytest.mark.parametrize("code", sorted(STOPPED_AT))
def test_every_check_explains_what_it_leaves_undone(code: str) -> None:
    assert set(undone_by(code)) <= set(CATALOGUE[code].explains)
    assert is_kept_from_work(code)


@pytest.mark.parametrize("code", sorted(code for duty in Duty for code in duty.value))
def test_every_piece_of_work_is_seen_by_a_check(code: str) -> None:
    assert CATALOGUE.get(code) is not None


def test_the_words_of_a_step_do_not_explain_each_other() -> None:
    assert not {"LBD103", "LBD104"} & {*undone_by("LBD103"), *undone_by("LBD104")}
    assert {"LBD103", "LBD104"} <= set(undone_by("LBD511"))


def test_a_model_that_is_not_built_leaves_the_rules_of_bindings_alone() -> None:
    assert "LBD501" not in undone_by("LBD111") and "LBD501" in undone_by("LBD104")


@pytest.mark.parametrize(
    ("action", "step"),
    [
        ("ec2:AuthorizeSecurityGroupIngress", Step.RULES),
        ("ec2:CreateSecurityGroup", Step.DEPLOY),
        ("ec2:DescribeSecurityGroups", Step.DEPLOY),
        ("elasticloadbalancing:CreateTargetGroup", Step.DEPLOY),
        ("elasticloadbalancing:DescribeTargetHealth", Step.RULES),
        ("elasticloadbalancing:RegisterTargets", Step.REGISTER),
        ("wafv2:GetWebACLForResource", Step.REGISTER),
        ("", Step.DEPLOY),
    ],
)
def test_a_denied_action_stops_the_step_that_calls_it(action: str, step: Step) -> None:
    assert step_of_action(action) is step


@pytest.mark.parametrize(
    ("verb", "kind", "part", "step"),
    [
        ("list", "endpointslices.discovery.k8s.io", "", Step.START),
        ("watch", "targetgroupbindings.elbv2.k8s.aws", "", Step.START),
        ("create", "targetgroupbindings.elbv2.k8s.aws", "", Step.RULES),
        ("patch", "ingresses.networking.k8s.io", "", Step.START),
        ("patch", "pods", "status", Step.REGISTER),
    ],
)
def test_a_denied_request_to_kubernetes_stops_the_step_that_makes_it(
    verb: str, kind: str, part: str, step: Step
) -> None:
    assert step_of_access(verb, kind, part) is step
