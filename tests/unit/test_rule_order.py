"""Which rule of a listener takes the requests of a later one: by hosts and paths alone, and only where that is sure."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.analysis.rule_order import rules_to, takes_all_of
from kubectl_lbdoctor.collect import convert_aws
from kubectl_lbdoctor.model.aws import Action, ListenerRule


def rule(
    priority: str, paths: str = "", hosts: str = "", group: str = "own", further: bool = False, listener: str = "l"
) -> ListenerRule:
    return ListenerRule(
        f"rule-{priority}",
        listener,
        priority,
        tuple(hosts.split()),
        tuple(paths.split()),
        (Action("forward", {group: 1}),),
        further,
    )


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (rule("1", "/*"), rule("2", "/api /api/*")),
        (rule("1", "/*"), rule("2", "/*", "shop.example.com")),
        (rule("1"), rule("2", "/api")),
        (rule("9", "/api*"), rule("10", "/api/v?/*")),
        (rule("1", "/a /b"), rule("2", "/b")),
        (rule("1", "/*", "*.example.com"), rule("2", "/*", "Shop.Example.com")),
        (rule("1", "/?"), rule("2", "/b")),
        (rule("1", "/*"), rule("2", "/admin", further=True)),
    ],
)
def test_taken(wide: ListenerRule, narrow: ListenerRule) -> None:
    assert takes_all_of([narrow, wide], narrow) == wide


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (rule("2", "/*"), rule("1", "/api")),  # asked later
        (rule("default"), rule("1", "/api")),  # the default rule comes last
        (rule("1", "/*", further=True), rule("2", "/api")),  # a header beside it: a canary
        (rule("1", "/*", listener="http"), rule("2", "/api")),  # another listener (which redirects to HTTPS)
        (rule("1", "/api"), rule("2", "/api /api/*")),
        (rule("1", "/?"), rule("2", "/*")),
        (rule("1", "/*", "shop.example.com"), rule("2", "/*")),
        (rule("1", "/*", "shop.example.com"), rule("2", "/*", "api.example.com")),
        (rule("1", "/API/*"), rule("2", "/api/*")),  # paths have a case
        (rule("1", "/a.c"), rule("2", "/abc")),
    ],
)
def test_not_taken(wide: ListenerRule, narrow: ListenerRule) -> None:
    assert takes_all_of([wide, narrow], narrow) is None


def test_default_rules_are_left_out() -> None:
    assert rules_to([rule("default"), rule("3"), rule("4", group="other")], "own") == (rule("3"),)


@pytest.mark.parametrize(
    ("conditions", "further"),
    [
        ([{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a"]}}], False),
        ([{"Field": "path-pattern", "Values": ["/a"]}, {"Field": "host-header", "Values": ["h"]}], False),
        ([{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X", "Values": ["1"]}}], True),
        ([{"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/a"]}}], True),
        ([{"Field": "path-pattern", "Values": ["/a"]}, {"Field": "path-pattern", "Values": ["/b"]}], True),
    ],
)
def test_conditions_beside_hosts_and_paths_are_noticed(conditions: list[dict[str, object]], further: bool) -> None:
    assert convert_aws.rule({"RuleArn": "arn", "Conditions": conditions}, "l").further is further
