"""What a diagnosis tells people to do fits what it knows: words that a case of tests/cases does not compare."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.knowledge.controller_errors import decode
from kubectl_lbdoctor.report import Report
from tests.support import cases


def _report(name: str) -> Report:
    return cases.result(name).report


def test_a_gateway_of_which_the_controller_says_nothing_bad_is_not_sent_to_what_it_says() -> None:
    """The condition is still True: there is nothing in it to correct, and no message to quote."""
    found = _report("LBD150-change-not-taken-over").diagnoses[0].finding
    assert [evidence.text for evidence in found.evidence] == [
        "Accepted True, Accepted",
        "generation 2; the condition is of 1",
    ]
    assert "the log of the controller" in found.advice


def test_a_gateway_that_waits_for_its_class_sends_people_to_the_class() -> None:
    """Nothing at the Gateway can be corrected."""
    (diagnosis,) = _report("LBD150-class-has-not-processed-its-configuration").diagnoses
    assert str(diagnosis.finding.object) == "gatewayclass/aws-alb"
    assert diagnosis.message.startswith("Gateway web waits for GatewayClass aws-alb, ")
    assert [command.split()[-1] for command in diagnosis.finding.confirm] == ["gatewayclass/aws-alb"]
    assert diagnosis.finding.evidence[0].source == "gateway/web"


def test_a_missing_configuration_is_told_with_those_that_there_are() -> None:
    """The evidence says what was listed, and where."""
    for name, listed in {
        "LBD146-load-balancer-configuration-missing": "loadbalancerconfigurations in shop",
        "LBD146-default-group-configuration-of-one-service": "targetgroupconfigurations in shop",
    }.items():
        assert _report(name).diagnoses[0].finding.evidence[-1].source == listed


def test_the_advice_for_a_classic_load_balancer_does_not_point_at_a_place_on_the_screen() -> None:
    """The command to confirm it stands below the advice on a screen, and in a list of its own in documents."""
    found = _report("LBD608-classic-load-balancer").diagnoses[0].finding
    assert found.advice.startswith("ask for the state of its instances;")


def test_all_interfaces_with_two_tagged_groups_are_named() -> None:
    """The controller's error names the first one, and the next one when that is corrected."""
    (diagnosis,) = [d for d in _report("LBD505-two-tagged-groups").diagnoses if d.finding.code == "LBD505"]
    named = "eni-00000000000000001 (sg-00000000000000001, sg-000000000000000aa), "
    assert diagnosis.finding.evidence[-1].text == f"{named}{named.replace('0001 (', '0002 (', 1)}".removesuffix(", ")


def test_the_tag_is_taken_from_the_group_that_eks_has_not_made() -> None:
    """EKS gives the tag back to its own; of two groups of EKS's, or of none, a person chooses."""
    (diagnosis,) = _report("LBD505-two-tagged-groups-and-no-word-of-it").diagnoses
    (command,) = diagnosis.finding.by_hand
    assert command.startswith("aws ec2 delete-tags --resources sg-000000000000000aa --tags Key=kubernetes.io/cluster/")
    (diagnosis,) = [d for d in _report("LBD505-two-tagged-groups").diagnoses if d.finding.code == "LBD505"]
    assert (diagnosis.finding.by_hand, diagnosis.finding.advice[:14]) == ((), "leave the tag ")


def test_a_gateway_is_looked_at_again_by_a_change_of_it() -> None:
    """The controller's restart would interrupt everybody; it hears of every change of the object."""
    (diagnosis,) = _report("LBD109-gateway-binding-deleted").diagnoses
    (command,) = diagnosis.finding.by_hand
    assert command.startswith("kubectl annotate gateway/web lbdoctor.io/reconcile=20300107T123000Z --overwrite")


@pytest.mark.parametrize("case", ["LBD311-annotated-and-not-applied", "LBD311-check-hot-fixed-in-aws"])
def test_a_check_that_is_not_as_annotated_is_applied_again_by_a_change_of_the_object(case: str) -> None:
    (diagnosis,) = _report(case).diagnoses
    (command,) = diagnosis.finding.by_hand
    assert command.startswith("kubectl annotate ingress/web lbdoctor.io/reconcile=2030")
    assert "restart" not in diagnosis.finding.advice


def test_a_gate_that_people_wrote_is_taken_out_of_the_template_and_others_stay() -> None:
    """New pods of the same template would wait again."""
    (first, *_) = _report("LBD214-gate-of-version-1").diagnoses
    assert first.finding.by_hand == (
        "kubectl patch deployment/web --type=merge -p "
        '\'{"spec": {"template": {"spec": {"readinessGates": [{"conditionType": "example.com/own"}]}}}}\' -n shop',
    )


def test_a_container_that_has_the_check_path_is_named() -> None:
    """The Service leads to another container of the pods; which of the two is meant, a person decides."""
    found = _report("LBD301-service-leads-to-another-container").diagnoses[0].finding
    assert "container app answers /healthz on port 8080: let service/web lead there" in found.advice
    assert not found.fix_automatic


def test_a_login_without_an_https_listener_is_not_to_be_removed() -> None:
    found = _report("LBD112-login-without-an-https-listener").diagnoses[0].finding
    assert found.advice.startswith("add an HTTPS listener")


def test_what_aws_refuses_is_named_by_the_annotation_that_asks_for_it() -> None:
    found = _report("LBD104-stickiness-of-another-load-balancer").diagnoses[0].finding
    assert "correct annotation service.beta.kubernetes.io/aws-load-balancer-target-group-attributes" in found.advice


def test_the_service_of_an_action_is_corrected_in_its_annotation() -> None:
    command = _report("LBD106-action-names-a-missing-service").diagnoses[0].finding.by_hand[0]
    assert "actions.split=" in command and '"serviceName": "blue"' in command and "bleu" not in command


def test_the_class_of_the_field_is_meant_where_an_annotation_wins_over_it() -> None:
    found = _report("LBD101-annotation-wins-over-the-field").diagnoses[0].finding
    assert [repair.value for repair in found.repairs] == ["alb"]


def test_members_that_disagree_are_told_with_their_annotations() -> None:
    found = _report("LBD103-members-disagree-on-a-tag").diagnoses[0].finding
    assert found.advice == "let the members say one value for Environment"
    assert sum("tags: " in entry.text for entry in found.evidence) >= 2


def test_members_that_disagree_are_shown_with_what_each_says() -> None:
    found = _report("LBD103-members-disagree-on-the-scheme").diagnoses[0].finding
    assert found.advice == "let the members say one value for scheme"
    assert [entry.text.rpartition("/")[2] for entry in found.evidence[1:3]] == [
        "scheme: internal",
        "scheme: internet-facing",
    ]


def test_a_gateway_of_a_class_that_is_missing_is_given_to_the_one_that_serves_its_protocol() -> None:
    (diagnosis,) = _report("LBD101-gateway-class-missing").diagnoses
    assert diagnosis.finding.by_hand == (
        """kubectl patch gateway/web --type=merge -p '{"spec": {"gatewayClassName": "aws-alb"}}' -n shop""",
    )
    assert diagnosis.finding.advice == "set gatewayClassName to aws-alb"
    (of_istio, *_) = _report("LBD101-gateway-of-another-controller-with-parameters").diagnoses
    assert of_istio.finding.by_hand == ()


@pytest.mark.parametrize(
    "case, message, advice",
    [
        (
            "LBD120-boundary-of-the-role",
            "AWS denies the controller elasticloadbalancing:CreateListener (role lbdlab-lbc), by its permissions "
            "boundary",
            "see that its permissions boundary allows it; a statement of the role's own policies does not help",
        ),
        (
            "LBD121-pod-identity-may-not-assume-the-role",
            "the controller gets no AWS credentials: EKS Pod Identity does not let it take its role",
            "give the controller a role: ",
        ),
        (
            "LBD123-proxy-not-found",
            "the controller cannot reach the AWS API at ec2.us-west-2.amazonaws.com: its HTTP proxy does not take the "
            "call",
            "let the controller reach the API: ",
        ),
        (
            "LBD219-no-primary-ipv6-address",
            "instances have no primary IPv6 address: i-00000000000000001, i-00000000000000002",
            "use target type ip, or give the nodes' interfaces a primary IPv6 address: ",
        ),
    ],
)
def test_who_keeps_the_controller_from_its_work_is_named(case: str, message: str, advice: str) -> None:
    """The one that has to be changed: another policy, the proxy, the association, the addresses of the nodes."""
    (diagnosis,) = _report(case).diagnoses
    assert diagnosis.message == message
    assert diagnosis.finding.advice.startswith(advice)


def test_what_aws_refuses_without_a_code_of_its_own_is_quoted() -> None:
    """The code says nothing; the message does."""
    said = (
        "Failed deploy model due to operation error Elastic Load Balancing v2: SetSecurityGroups, https response error "
    )
    said += (
        "StatusCode: 400, RequestID: x, InvalidConfigurationRequest: The maximum number of security groups '5' for a "
    )
    said += "load balancer is exceeded"
    summary = decode(said).summary
    assert summary == "The maximum number of security groups '5' for a load …"


def test_gates_that_no_new_pod_would_get_are_not_got_by_new_pods() -> None:
    """Argo Rollouts leads the Service to pods that are there already; a restart would make the same of them."""
    (diagnosis,) = _report("LBD215-service-led-to-pods-that-were-made-before").diagnoses
    assert diagnosis.finding.by_hand == ()
    assert diagnosis.finding.advice.startswith("let the controller of Argo Rollouts wait for the targets")
    (diagnosis,) = _report("LBD215-gates-not-injected").diagnoses
    assert diagnosis.finding.advice == "create the pods again: gates are injected into new pods only"


@pytest.mark.parametrize(
    "case, message",
    [
        ("network-balancer-sends-tls-to-a-plain-port", "by TLS, while its readiness probe succeeds by HTTP"),
        ("decrypted-for-a-tls-port", "by plain TCP, while its readiness probe succeeds by HTTPS"),
        ("decrypted-for-a-port-checked-by-https", "by plain TCP, while its health check succeeds by HTTPS"),
        ("decrypted-for-a-port-named-https", "by plain TCP, while its name says TLS"),
    ],
)
def test_what_shows_that_requests_are_sent_by_the_wrong_protocol(case: str, message: str) -> None:
    assert _report(f"LBD320-{case}").diagnoses[0].message == f"requests go to port 8080 {message}"


def test_a_missing_certificate_is_issued_or_named_where_the_object_reads_it() -> None:
    """A Gateway reads no annotation, and no certificateRefs."""
    advice = _report("LBD103-certificate-not-found").diagnoses[0].finding.advice
    assert advice.startswith("have ACM issue a certificate for ") and advice.endswith("annotation certificate-arn")
