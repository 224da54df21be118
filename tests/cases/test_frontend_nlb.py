"""A Network Load Balancer before an Ingress's own: what repairs its check, and what is said where it was not read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.cases import test_scanned
from tests.support import cases

HEALTHY = "healthy-behind-a-frontend-nlb"
KEY = "alb.ingress.kubernetes.io/frontend-nlb-healthcheck-"


@pytest.mark.parametrize(
    ("name", "said", "annotated"),
    [
        ("LBD323-rules-have-hosts", 'no rule without a host takes "/healthz" (404)', {"success-codes": "200,404"}),
        ("LBD323-serves-by-https", "(ports 80, 443)", {"protocol": "HTTPS", "port": "443"}),
        (
            "LBD323-redirects-to-rules-with-hosts",
            "the ALB serves by HTTPS",
            {"protocol": "HTTPS", "port": "443", "success-codes": "200,404"},
        ),
        ("LBD323-application-answers-otherwise", 'does not answer "/" with 200', {"path": "/healthz"}),
        ("LBD323-no-listener-of-its-check-port", "no such listener", {"port": "traffic-port"}),
        ("LBD323-a-login-before-it", "asks for a login (302)", {"success-codes": "200,302"}),
    ],
)
def test_the_check_is_made_to_ask_what_is_answered(name: str, said: str, annotated: dict[str, str]) -> None:
    (diagnosis,) = cases.result(name).report.diagnoses
    assert said in diagnosis.message
    edits = diagnosis.finding.repairs[0].changes[0].edits
    wanted = {f"/metadata/annotations/{(KEY + name).replace('/', '~1')}": value for name, value in annotated.items()}
    assert {edit.pointer: edit.then for edit in edits} == wanted


def test_the_group_admits_the_subnets_from_which_the_check_comes() -> None:
    (diagnosis,) = cases.result("LBD323-inbound-cidrs-leave-it-out").report.diagnoses
    assert "the ALB's security group does not let it through" in diagnosis.message
    (edit,) = diagnosis.finding.repairs[0].changes[0].edits
    assert edit.then == "203.0.113.0/24,10.0.101.0/24,10.0.102.0/24"


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("LBD005-security-groups-before-a-load-balancer-not-read", {"LBD501", "LBD503", "LBD507"}),
        ("LBD005-frontend-nlb-asks-a-member-not-looked-at", set()),
    ],
)
def test_what_may_be_wrong_with_a_load_balancer_as_a_target_is_asked_of_it(name: str, filters: set[str]) -> None:
    """By its DNS name, and nothing of pods; filters only where they may stop the check."""
    (diagnosis,) = cases.result(name).report.diagnoses
    finding = diagnosis.finding
    assert {hypothesis.code for hypothesis in finding.hypotheses} == {"LBD323"} | filters
    settle = [command for hypothesis in finding.hypotheses for command in hypothesis.settle]
    assert any(
        " curl " in c and "://k8s-shop-web-0000000102-0000000101.us-west-2.elb.amazonaws.com:80/" in c for c in settle
    )
    assert not any("describe-network-interfaces" in c or "://[arn" in c for c in settle)
    assert finding.confirm == ()


def test_what_the_class_admits_is_changed_for_the_class() -> None:
    (diagnosis,) = cases.result("LBD323-inbound-cidrs-of-the-class").report.diagnoses
    assert diagnosis.finding.repairs == ()
    assert diagnosis.finding.advice.endswith("to 203.0.113.0/24,10.0.101.0/24,10.0.102.0/24")


def test_a_page_that_says_that_nothing_serves_is_not_taken_for_health() -> None:
    case = cases.load("LBD323-rules-have-hosts")
    closed = {"FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain"}, "Order": 1}
    patch = {"aws": "Listeners", "where": {"Protocol": "HTTP"}, "merge": {"DefaultActions": [closed]}}
    closed["Type"] = "fixed-response"
    (diagnosis,) = cases.run(replace(case, patches=[*case.patches, patch])).report.diagnoses
    assert (diagnosis.finding.code, diagnosis.finding.repairs) == ("LBD323", ())
    assert "frontend-nlb-healthcheck-path" in diagnosis.finding.advice


def test_a_login_that_lets_everybody_in_leaves_the_answer_to_the_targets() -> None:
    case = cases.load("LBD323-a-login-before-it")
    login = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {"OnUnauthenticatedRequest": "allow"}}
    patch = {
        "aws": "Rules",
        "where": {"Priority": "1"},
        "json": [{"op": "replace", "path": "/Actions/0", "value": login}],
    }
    (diagnosis,) = cases.run(replace(case, patches=[*case.patches, patch])).report.diagnoses
    assert 'the application does not answer "/healthz"' in diagnosis.message


def test_both_load_balancers_are_shown() -> None:
    report = cases.result(HEALTHY).report
    screen = render(report, "table", View(width=140)).splitlines()
    assert [line.split()[2:4] for line in screen[1:3]] == [
        ["k8s-shop-web-0000000102-nlb", "network"],
        ["k8s-shop-web-0000000102", "application"],
    ]
    assert "k8s-shop-web-0000000102:80" in "\n".join(screen)
    (subject,) = json.loads(render(report, "json"))["subjects"]
    assert subject["frontendLoadBalancer"]["name"] == "k8s-shop-web-0000000102-nlb"
    assert subject["loadBalancer"]["name"] == "k8s-shop-web-0000000102"
    before = next(group for group in subject["targetGroups"] if group["targetType"] == "alb")
    assert before["backend"] == {"namespace": "shop", "service": "", "gateway": "", "ingress": "web", "port": "80"}


@pytest.mark.parametrize(
    "action", ["DescribeListeners", "DescribeTargetGroups", "DescribeTargetHealth", "DescribeLoadBalancers"]
)
def test_what_was_not_read_of_it_is_unknown(action: str) -> None:
    case = replace(cases.load(HEALTHY), deny=[f"elasticloadbalancing:{action}"])
    report = cases.run(case).report
    assert (report.status.value, int(report.exit_status())) == ("unknown", 3)
    assert [str(denied.permission) for denied in report.coverage.denied] == [f"elasticloadbalancing:{action}"]


def test_rules_that_were_not_read_prove_nothing() -> None:
    case = replace(cases.load("LBD323-rules-have-hosts"), deny=["elasticloadbalancing:DescribeRules"])
    report = cases.run(case).report
    assert [d.finding.code for d in report.diagnoses] == ["LBD005"]
    assert "LBD323" in {check.code for check in report.unknown}


def test_another_member_of_the_group_may_answer_the_check() -> None:
    """A rule of another member takes the check's path: its targets were not read, and so are not blamed."""
    case = cases.load("LBD323-application-answers-otherwise")
    arn = "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/k8s-shop-other-0000000777/0000000000000777"
    theirs = {
        "Priority": "0",
        "RuleArn": "arn:aws:elasticloadbalancing:us-west-2:123456789012:listener-rule/app/x/1/2/3",
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/"]}}],
        "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}]}}],
    }
    patch = {"aws": "Rules", "like": {"Priority": "1"}, "merge": theirs}
    report = cases.run(replace(case, patches=[*case.patches, patch])).report
    assert [diagnosis.finding.code for diagnosis in report.diagnoses] == ["LBD005"]
    (unknown,) = report.unknown
    assert unknown.code == "LBD323" and "k8s-shop-other-0000000777" in str(unknown)


def test_a_scan_asks_little_where_it_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its target groups and their health: no listeners, no rules, no attributes."""
    asked: list[str] = []
    call = test_scanned.Aws.call

    def counted(self: test_scanned.Aws, service: str, operation: str, *args: Any, **params: Any) -> Any:
        asked.append(operation)
        return call(self, service, operation, *args, **params)

    monkeypatch.setattr(test_scanned.Aws, "call", counted)
    run = test_scanned.scanned(cases.load(HEALTHY))
    assert run is not None and run.report.status.value == "healthy"
    assert len(run.report.subjects[0].target_groups) == 2
    assert not {"DescribeListeners", "DescribeRules", "DescribeTargetGroupAttributes"} & {*asked}
    assert asked.count("DescribeTargetHealth") == 2


def test_what_two_members_say_of_the_check_is_changed_on_both() -> None:
    (diagnosis,) = cases.result("LBD323-two-members-set-the-path").report.diagnoses
    assert diagnosis.finding.repairs == () and diagnosis.finding.repair_template is None
    both = f"annotate ingress/admin and ingress/web alike with {KEY}path=/healthz"
    assert diagnosis.finding.advice.startswith(both)


def test_what_two_members_say_of_its_protocol_is_changed_on_both() -> None:
    case = cases.load("LBD323-serves-by-https")
    said = {"object": "Ingress/web", "merge": {"metadata": {"annotations": {f"{KEY}protocol": "HTTP"}}}}
    group = cases.load("LBD323-two-members-set-the-path").patches[:2]
    both = {"copy": "Ingress/web", "as": "admin", "merge": {}}
    diagnosis = cases.run(replace(case, patches=[*group, said, *case.patches, both])).report.diagnoses[0]
    assert (diagnosis.finding.code, diagnosis.finding.repairs) == ("LBD323", ())
    assert diagnosis.finding.advice.startswith(
        f"annotate ingress/admin and ingress/web alike with {KEY}protocol=HTTPS, and annotate ingress/"
    )


def test_the_attributes_of_the_network_load_balancer_are_annotated_apart() -> None:
    (diagnosis,) = cases.result("LBD104-attribute-of-the-frontend-nlb").report.diagnoses
    assert "annotation alb.ingress.kubernetes.io/frontend-nlb-attributes of ingress/web" in diagnosis.finding.advice


def test_the_network_load_balancer_that_is_gone_is_named() -> None:
    (diagnosis,) = cases.result("LBD229-frontend-nlb-deleted").report.diagnoses
    assert "k8s-shop-web-0000000102-nlb-" in diagnosis.message


def test_the_load_balancer_is_registered_by_hand() -> None:
    (diagnosis,) = cases.result("LBD217-load-balancer-is-no-target-of-the-one-before-it").report.diagnoses
    assert "1 load balancer should be registered" in diagnosis.message
    (command,) = diagnosis.finding.by_hand
    assert "loadbalancer/app/k8s-shop-web-0000000102/0000000000000105,Port=80" in command


def test_a_load_balancer_that_is_not_up_is_no_stopped_instance() -> None:
    case = cases.load(HEALTHY)
    slow = {"aws": "LoadBalancers", "where": {"Type": "application"}, "merge": {"State": {"Code": "provisioning"}}}
    unused = {"targets": "arn:*", "state": "unused", "reason": "Target.InvalidState", "description": "not active"}
    report = cases.run(replace(case, clock="+30m", patches=[*case.patches, slow, unused])).report
    assert report.diagnoses[0].finding.code == "LBD234"
    assert "LBD210" not in {d.finding.code for d in report.diagnoses}
