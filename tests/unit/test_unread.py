"""Denied reads are said once for each set of permissions, with the command that prints the whole policy."""

from __future__ import annotations

from kubectl_lbdoctor.model.finding import Coverage, Denied, FailedRead
from kubectl_lbdoctor.render import unread


def coverage(*denied: tuple[str, str]) -> Coverage:
    return Coverage(denied=tuple(Denied(read, permission) for read, permission in denied))


PODS = ("core/pods", "list pods in namespace shop")
SERVICES = ("core/services", "list services in namespace shop")
LOGS = ("core/pods/log", "get pods/log in namespace shop")
NODES = ("core/nodes", "list nodes (cluster)")
CLASSES = ("networking.k8s.io/ingressclasses", "list ingressclasses.networking.k8s.io (cluster)")
ELSEWHERE = ("core/pods kube-system", "list pods in namespace kube-system")
HEALTH = ("elbv2:DescribeTargetHealth", "elasticloadbalancing:DescribeTargetHealth")
SUBNETS = ("ec2:DescribeSubnets", "ec2:DescribeSubnets")


def test_one_denial_is_one_line() -> None:
    assert list(unread.lines(coverage(PODS), False)) == [
        "LBD001 not read: core/pods denied; add permission: list pods in namespace shop"
    ]


def test_permissions_of_one_verb_and_place_go_together() -> None:
    assert list(unread.lines(coverage(PODS, NODES, SERVICES, LOGS, ELSEWHERE, CLASSES), False)) == [
        "LBD001 not read: core/pods, core/services denied; add permissions: list pods, services in namespace shop",
        "LBD001 not read: core/nodes, networking.k8s.io/ingressclasses denied; add permissions: "
        "list nodes, ingressclasses.networking.k8s.io (cluster)",
        "LBD001 not read: core/pods/log denied; add permission: get pods/log in namespace shop",
        "LBD001 not read: core/pods kube-system denied; add permission: list pods in namespace kube-system",
    ]


def test_all_of_aws_go_together() -> None:
    assert list(unread.lines(coverage(HEALTH, SUBNETS), False)) == [
        "LBD001 not read: elbv2:DescribeTargetHealth, ec2:DescribeSubnets denied; add permissions: "
        "elasticloadbalancing:DescribeTargetHealth, ec2:DescribeSubnets"
    ]


def test_one_permission_for_several_reads_is_named_once() -> None:
    both = coverage(PODS, ("core/pods (proxy)", PODS[1]))
    assert list(unread.lines(both, False)) == [
        "LBD001 not read: core/pods, core/pods (proxy) denied; add permission: list pods in namespace shop"
    ]


def test_what_is_no_rule_stands_alone() -> None:
    odd = coverage(("core/pods", "impersonate users (cluster)"), ("x", "get /version"), ("y", "something else"))
    assert [line.rpartition(": ")[2] for line in unread.lines(odd, False)] == [
        "impersonate users (cluster)",
        "get /version",
        "something else",
    ]


def test_the_policy_that_is_missing() -> None:
    said = "all permissions that are read with: kubectl lbdoctor policy "
    assert unread.policies(coverage(PODS)) == f"{said}rbac"
    assert unread.policies(coverage(HEALTH)) == f"{said}iam"
    assert unread.policies(coverage(HEALTH, PODS)) == f"{said}iam|rbac"
    assert unread.policies(Coverage(failed=(FailedRead("a", "b"),))) == ""
