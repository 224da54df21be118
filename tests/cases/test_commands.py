"""What is offered as a repair, where another one lies near and would do harm."""

from __future__ import annotations

from kubectl_lbdoctor.model.finding import Diagnosis
from tests.support import cases


def first(name: str) -> Diagnosis:
    return cases.result(name).report.diagnoses[0]


def test_the_protocol_of_the_traffic_stays_where_the_check_has_a_port_of_its_own() -> None:
    commands = " ".join(first("LBD305-management-port-by-tls").finding.commands)
    assert "healthcheck-protocol=HTTPS" in commands
    assert "backend-protocol" not in commands


def test_the_traffic_takes_the_protocol_of_its_own_port() -> None:
    assert "backend-protocol=HTTP" in " ".join(first("LBD305-probe-tls").finding.commands)


def test_a_port_that_another_one_leads_to_is_a_choice_only() -> None:
    finding = first("LBD307-second-port").finding
    assert not finding.fix_automatic
    assert "let the application listen on 9091" in finding.advice


def test_a_forbidden_secret_is_granted_by_a_role_of_its_namespace() -> None:
    finding = first("LBD103-secret-forbidden").finding
    account = "kube-system:aws-load-balancer-controller"
    assert finding.by_hand == (
        "kubectl create role aws-load-balancer-controller-secrets --verb get,list,watch --resource secrets "
        "--resource-name oidc-secret -n shop && "
        "kubectl create rolebinding aws-load-balancer-controller-secrets --role aws-load-balancer-controller-secrets "
        f"--serviceaccount {account} -n shop",
    )


def test_a_member_comes_before_the_one_with_the_wider_path() -> None:
    finding = first("LBD227-wide-path-of-another-member").finding
    assert finding.by_hand == (
        "kubectl annotate ingress admin alb.ingress.kubernetes.io/group.order=0 --overwrite -n shop",
    )
    assert "of Ingress shop/web" in cases.result("LBD227-wide-path-of-another-member").report.diagnoses[0].message


def test_liveness_that_comes_too_early_is_told_from_other_crashes() -> None:
    told = first("LBD403-liveness-before-it-listens").finding.advice
    assert "about 15 s after its start" in told and "startupProbe" in told
    assert "startupProbe" not in first("LBD403-crash-loop").finding.advice


def test_the_scheduler_is_quoted_as_far_as_it_speaks_of_nodes() -> None:
    message = first("LBD401-host-port-taken").message
    assert "2 without free host port 28080" in message and "preemption" not in message


def test_settings_of_a_missing_route_are_given_to_the_one_that_leads_here() -> None:
    finding = first("LBD149-settings-of-a-missing-route").finding
    assert finding.fix_automatic
    assert '"namespace": "shop"' in " ".join(finding.commands)


def test_a_group_of_another_vpc_is_not_put_on_a_listener() -> None:
    assert "make the target group in vpc-" in first("LBD209-group-of-another-vpc").finding.advice
    assert "add a listener" in first("LBD209-own-group-on-no-listener").finding.advice


def test_what_keeps_a_claim_from_being_bound_is_told() -> None:
    diagnosis = first("LBD401-claim-that-nothing-binds")
    assert diagnosis.message.endswith("claim data is not bound")
    assert 'storageclass.storage.k8s.io "gp2-fast" not found' in diagnosis.finding.evidence[0].text


def test_a_port_of_an_action_is_corrected_in_its_annotation() -> None:
    assert (
        "in annotation alb.ingress.kubernetes.io/actions.weighted"
        in first("LBD107-action-names-another-port").finding.advice
    )
