"""The value that a repair writes, for faults where another one would heal the check and break something else."""

from __future__ import annotations

import pytest

from tests.support import cases


@pytest.mark.parametrize(
    ("case", "values"),
    [
        ("LBD303-slash-at-the-end", ["/api/ping/", "/"]),
        ("LBD303-login-page", ["200-399"]),
        ("LBD301-grpc-answers-ok", ["0"]),
        # The annotation holds for all ports of the Service: HTTPS would turn the one that speaks HTTP unhealthy.
        ("LBD305-one-annotation-for-two-ports", ["tcp"]),
        ("LBD305-probe-nlb-tls", ["HTTPS"]),
        ("LBD301-one-annotation-for-two-ports", ["/ready"]),
        # The protocol version is that of the traffic port, too, which speaks what is configured.
        ("LBD306-status-port-of-another-version", ["traffic-port"]),
        ("LBD306-protocol-version-http2", ["HTTP1"]),
    ],
)
def test_values_of_the_first_diagnosis(case: str, values: list[str]) -> None:
    finding = cases.result(case).report.diagnoses[0].finding
    assert [repair.value for repair in finding.repairs] == values


@pytest.mark.parametrize(
    ("case", "automatic"),
    [
        ("LBD303-slash-at-the-end", True),
        ("LBD303-login-page", False),
        ("LBD301-grpc-answers-ok", True),
        ("LBD301-one-annotation-for-two-ports", False),
        # What pods of the template that waits will answer is not known.
        ("LBD301-beside-a-template-that-waits", False),
        ("LBD301-another-path-on-the-deployment", True),
        ("LBD306-status-port-of-another-version", False),
        # Servers of both versions answer the kubelet, too.
        ("LBD306-protocol-version-http2", False),
        ("LBD306-probe-refused-by-http2", True),
        ("LBD303-everything-redirected", True),
        ("LBD303-redirect-that-nobody-has-seen", False),
        # A person may have chosen a port of another namespace's Service.
        ("LBD605-own-group-checks-a-former-port", False),
        ("LBD605-former-health-check-node-port", True),
        ("LBD602-local-policy-behind-alb", True),
        ("LBD602-service-has-a-load-balancer-of-its-own", False),
    ],
)
def test_whether_the_evidence_determines_it(case: str, automatic: bool) -> None:
    assert cases.result(case).report.diagnoses[0].finding.fix_automatic is automatic


def test_an_annotation_wins_over_a_field_only_where_there_is_one() -> None:
    diagnosis = cases.result("LBD101-class-annotation-alone").report.diagnoses[0]
    assert "ingress-alb" in diagnosis.message and "wins over" not in diagnosis.message


def test_a_repair_says_which_healthy_target_groups_it_holds_for_too() -> None:
    finding = cases.result("LBD301-one-annotation-for-two-ports").report.diagnoses[0].finding
    said = "it holds for port 80 of service/web, too, whose targets are healthy now"
    template = finding.repair_template
    ways = (finding.repairs[0], *([template] if template is not None else []))
    assert all(said in repair.changes[0].risk for repair in ways)
    assert not any(way.automatic for way in finding.alternatives if way.repairs)
    alone = cases.result("LBD303-slash-at-the-end").report.diagnoses[0].finding
    assert "it holds for" not in alone.repairs[0].changes[0].risk


@pytest.mark.parametrize(
    ("case", "codes"),
    [
        ("LBD301-grpc-service-unknown", "5,12"),
        ("LBD301-grpc-invalid-argument", "3,12"),
        ("LBD301-grpc-method-missing", "0,12"),
        ("LBD304-grpc-unauthenticated", "12,16"),
        ("LBD317-grpc-internal", None),
        ("LBD303-everything-redirected", "200-399"),
    ],
)
def test_other_success_codes_are_of_the_kind_that_the_group_takes(case: str, codes: str | None) -> None:
    """AWS refuses codes of HTTP for a group of gRPC, which takes 0 to 99."""
    ways = cases.result(case).report.diagnoses[0].finding.alternatives
    offered = [repair.value for way in ways if way.fix == "success-codes" for repair in way.repairs]
    assert offered == ([codes] if codes is not None else [])


@pytest.mark.parametrize(
    ("case", "group"),
    [("LBD504-shared-group-named-first", "sg-00000000000000102"), ("LBD504-shared-group-alone", None)],
)
def test_the_group_that_all_load_balancers_carry_is_not_opened(case: str, group: str | None) -> None:
    commands = cases.result(case).report.diagnoses[0].finding.by_hand
    assert all(f"--group-id {group} " in command for command in commands)
    assert bool(commands) is (group is not None)


def test_the_target_type_is_annotated_where_it_is_read() -> None:
    repairs = cases.result("LBD602-target-type-annotated-on-the-service").report.diagnoses[0].finding.repairs
    assert [repair.commands[0].split(" alb.")[0] for repair in repairs[1:]] == ["kubectl annotate service/web"]


@pytest.mark.parametrize(("case", "seconds"), [("LBD218-registering", 5), ("LBD218-registering-nlb", 10)])
def test_a_new_target_of_an_application_load_balancer_needs_one_check(case: str, seconds: int) -> None:
    """Both worlds check every 5 s, with a healthy threshold of 2."""
    assert cases.result(case).report.diagnoses[0].finding.params["seconds"] == seconds


def test_a_setting_of_a_gateway_is_named_by_its_whole_field() -> None:
    finding = cases.result("LBD301-grpc-success-of-a-gateways-group").report.diagnoses[0].finding
    assert "set healthCheckConfig.matcher.grpcCode in the TargetGroupConfiguration" in finding.advice
