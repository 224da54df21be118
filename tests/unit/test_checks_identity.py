"""LBD120 and LBD121 beside what IAM says; LBD125 before anything was refused. Each with its healthy twin."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kubectl_lbdoctor.knowledge.iam_policy import required_actions
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.identity import IdentityFacts, Role, RolePolicy
from kubectl_lbdoctor.model.report import Report, Status
from kubectl_lbdoctor.permission import Permission
from tests.support.certificates import HOST, NOW, authority, leaf
from tests.support.world import JUST_NOW, NS, World, controller, controller_pod

ROLE_ARN = "arn:aws:iam::000000000001:role/team/lbc"
ISSUER = "oidc.eks.us-west-2.amazonaws.com/id/AAAA"
ACTION = "elasticloadbalancing:ModifyRule"
DENIED = (
    "Failed deploy model due to operation error Elastic Load Balancing v2: ModifyRule, https response error "
    "StatusCode: 403, RequestID: 1, api error AccessDenied: User: arn:aws:sts::000000000001:assumed-role/lbc/1 is not "
    f"authorized to perform: {ACTION} on resource: x because no identity-based policy allows the {ACTION} action"
)
NOT_ADMITTED = (
    "Failed build model due to operation error EC2: DescribeSubnets, get identity: get credentials: failed to refresh "
    "cached credentials, failed to retrieve credentials, operation error STS: AssumeRoleWithWebIdentity, https "
    "response error StatusCode: 403, RequestID: 1, api error AccessDenied: Not authorized to perform "
    "sts:AssumeRoleWithWebIdentity"
)


def allowing(*actions: str, **values: Any) -> dict[str, object]:
    return {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*", **values}]}


def trusting(
    issuer: str = ISSUER, account: str = "kube-system:aws-load-balancer-controller", audience: str = "sts.amazonaws.com"
) -> dict[str, object]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::000000000001:oidc-provider/{issuer}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{issuer}:sub": f"system:serviceaccount:{account}", f"{issuer}:aud": audience}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def world(message: str, identity: IdentityFacts) -> World:
    event = k8s.Event(
        "Ingress", "web", NS, type="Warning", reason="FailedDeployModel", message=message, last=JUST_NOW, component="x"
    )
    account = k8s.ServiceAccount(
        k8s.Meta("aws-load-balancer-controller", "kube-system", annotations={"eks.amazonaws.com/role-arn": ROLE_ARN})
    )
    name = "kube-system/aws-load-balancer-controller"
    own = replace(controller().containers[0], env={"AWS_ROLE_ARN": ROLE_ARN})
    return World(
        events=(event,),
        cluster={
            "service_accounts": {name: Fact.known(reads.SERVICE_ACCOUNTS, account)},
            "controller_pods": Fact.known(reads.CONTROLLER_PODS, (controller_pod(containers=(own,)),)),
        },
        aws={"identity": identity},
    )


def with_policies(*documents: dict[str, object], boundary: str = "") -> IdentityFacts:
    policies = tuple(RolePolicy(f"arn:aws:iam::1:policy/p{n}", d) for n, d in enumerate(documents))
    return IdentityFacts(
        roles={"lbc": Fact.known(reads.ROLE, Role("lbc", ROLE_ARN, trusting(), boundary))},
        attached={"lbc": Fact.known(reads.ATTACHED_POLICIES, policies)},
        inline={"lbc": Fact.known(reads.INLINE_POLICIES, ())},
    )


def with_role(role: Role | None, issuer: str = ISSUER) -> IdentityFacts:
    return replace(
        with_policies(allowing("*")),
        issuer=Fact.known(reads.CLUSTER, f"https://{issuer}"),
        roles={"lbc": Fact.known(reads.ROLE, role)},
    )


def told(report: Report, code: str) -> tuple[str, str, str]:
    """Message, evidence and advice of the first diagnosis, which must have this code."""
    first = report.diagnoses[0]
    assert first.finding.code == code, [d.finding.code for d in report.diagnoses]
    return first.message, " | ".join(e.text for e in first.finding.evidence), first.finding.advice


@pytest.mark.parametrize(
    ("identity", "evidence", "advice"),
    [
        (IdentityFacts(), "ModifyRule", '"Action": "elasticloadbalancing:ModifyRule"'),
        (with_policies(allowing("ec2:*")), f"p0: no statement allows {ACTION}", "use iam_policy.json of v2.17.1"),
        (
            with_policies(allowing(*required_actions("v2.17.1") - {ACTION})),
            f"p0: no statement allows {ACTION}",
            '"Action": "elasticloadbalancing:ModifyRule"',
        ),
        (
            with_policies(allowing("*", Condition={"Null": {"aws:ResourceTag/elbv2.k8s.aws/cluster": "false"}})),
            "allowed only with a condition",
            "lacks the tag elbv2.k8s.aws/cluster",
        ),
        (
            with_policies(allowing("*"), {"Statement": {"Effect": "Deny", "Action": ACTION, "Resource": "*"}}),
            f"a statement denies {ACTION}",
            "take that Deny out",
        ),
        (with_policies(allowing("*"), boundary="arn:aws:iam::1:policy/edge"), "edge limits the role", "boundary"),
    ],
)
def test_denied_action_beside_the_policies(identity: IdentityFacts, evidence: str, advice: str) -> None:
    message, shown, advised = told(world(DENIED, identity).report(), "LBD120")
    assert message == f"AWS denies the controller {ACTION} (role lbc)"
    assert evidence in shown and advice in advised


def test_only_the_denied_action_is_missing() -> None:
    identity = with_policies(allowing(*required_actions("v2.17.1") - {ACTION}))
    _, shown, advice = told(world(DENIED, identity).report(), "LBD120")
    assert "also missing" not in shown and "other missing" not in advice


def test_policies_that_may_not_be_read_are_said_and_decide_nothing() -> None:
    denied = Fact.denied(reads.ATTACHED_POLICIES, "may not", Permission(action="iam:ListAttachedRolePolicies"), "lbc")
    identity = replace(with_policies(), attached={"lbc": denied})
    report = world(DENIED, identity).report()
    assert "not compared: needs iam:ListAttachedRolePolicies" in told(report, "LBD120")[1]
    healthy = replace(world(DENIED, identity), events=()).report()
    assert healthy.status is Status.HEALTHY and healthy.coverage.complete


@pytest.mark.parametrize(
    ("role", "words"),
    [
        (None, "the role does not exist"),
        (Role("lbc", ROLE_ARN, {}), "no statement that allows sts:AssumeRoleWithWebIdentity"),
        (Role("lbc", ROLE_ARN, trusting("oidc.eks.us-west-2.amazonaws.com/id/BBBB")), f"this cluster's is {ISSUER}"),
        (
            Role("lbc", ROLE_ARN, trusting(account="default:lbc")),
            "admits the service account system:serviceaccount:default:lbc, not "
            "system:serviceaccount:kube-system:aws-load-balancer-controller",
        ),
        (Role("lbc", ROLE_ARN, trusting(audience="other")), "admits tokens for the audience other, not sts.amazonaws"),
    ],
)
def test_trust_policy_that_refuses(role: Role | None, words: str) -> None:
    message, _, advice = told(world(NOT_ADMITTED, with_role(role)).report(), "LBD121")
    assert words in message
    if role is not None:
        statement = json.loads(advice.partition(": ")[2])
        assert statement["Condition"]["StringEquals"][f"{ISSUER}:aud"] == "sts.amazonaws.com"
        assert statement["Principal"]["Federated"] == f"arn:aws:iam::000000000001:oidc-provider/{ISSUER}"


def test_trust_policy_that_admits_accuses_nobody() -> None:
    trust = trusting(account="kube-system:*")
    statement = trust["Statement"][0]  # type: ignore[index]
    statement["Condition"]["StringLike"] = statement["Condition"].pop("StringEquals")
    message, _, _ = told(world(NOT_ADMITTED, with_role(Role("lbc", ROLE_ARN, trust))).report(), "LBD121")
    assert "does not admit kube-system/" not in message


# --- LBD125 ----------------------------------------------------------------------------------------------------------


def webhook(ca_bundle: str | None, served: str | None = None, policy: str = "Fail") -> World:
    """The healthy world with a webhook that trusts `ca_bundle` and serves `served` (None: it may not be read)."""
    service = HOST.partition(".")[0]
    hook = k8s.WebhookConfiguration(
        "aws-load-balancer-webhook", "mtgb.elbv2.k8s.aws", "kube-system", service, 443, policy, ca_bundle
    )
    ready = (k8s.Endpoint(("10.0.1.40",), True),)
    slices = (k8s.EndpointSlice(k8s.Meta("s", "kube-system"), service, "IPv4", (), ready),)
    certificates: Fact[Any] = Fact.denied(reads.WEBHOOK_SECRET, "may not", Permission(("get",), "secrets"), "x")
    if served is not None:
        entry = k8s.TlsCertificate("kube-system", "aws-load-balancer-tls", served)
        certificates = Fact.known(reads.WEBHOOK_SECRET, (entry,))
    return World(
        cluster={
            "webhooks": Fact.known(reads.WEBHOOKS, (hook, replace(hook, name="vingress.elbv2.k8s.aws"))),
            "webhook_slices": Fact.known(reads.WEBHOOK_SLICES, slices),
            "webhook_certificates": certificates,
        }
    )


PAST = NOW - timedelta(days=30)


@pytest.mark.parametrize(
    ("ca_bundle", "served", "words"),
    [
        ("", None, "has no caBundle"),
        ("garbage", None, "cannot be read"),
        (authority(1, ends=PAST), None, "expired on 2026-10-25"),
        (authority(2), leaf(1), "its signer is"),
        (authority(4, "ec"), leaf(3, "ec"), "its signer is"),
        (authority(1), leaf(1, ends=PAST), "its certificate expired on 2026-10-25"),
        (authority(1), leaf(1, names=("other.kube-system.svc",)), f"its certificate is not for {HOST}"),
        (authority(1), "", "Secret aws-load-balancer-tls holds no certificate"),
    ],
)
def test_certificate_that_will_be_refused(ca_bundle: str, served: str | None, words: str) -> None:
    report = webhook(ca_bundle, served).report()
    message, _, advice = told(report, "LBD125")
    assert words in message and "keepTLSSecret" in advice
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == ["LBD125"]


@pytest.mark.parametrize(
    "healthy",
    [
        webhook(authority(1), leaf(1)),
        webhook(authority(3, "ec"), leaf(3, "ec")),
        webhook(authority(2) + authority(1), leaf(1)),
        webhook(authority(1), None),
        webhook(None, leaf(1)),
        webhook(authority(2), leaf(1), policy="Ignore"),
    ],
)
def test_certificate_that_is_accepted_or_not_known_to_be_refused(healthy: World) -> None:
    report = healthy.report()
    assert report.status is Status.HEALTHY and report.diagnoses == () and report.coverage.complete


def test_a_role_of_another_account_is_not_compared_with_ours() -> None:
    """Ours of the same name lacks everything, and says nothing of theirs."""
    theirs = DENIED.replace("::000000000001:", "::000000000002:")
    reason = "role lbc is of account 000000000002, these credentials are of 000000000001"
    ours = with_policies(allowing("ec2:*"))
    identity = replace(
        ours,
        roles={**ours.roles, "000000000002:lbc": Fact.not_asked(reads.ROLE, reason)},
        attached={**ours.attached, "000000000002:lbc": Fact.not_asked(reads.ATTACHED_POLICIES, reason)},
        inline={**ours.inline, "000000000002:lbc": Fact.not_asked(reads.INLINE_POLICIES, reason)},
    )
    _, evidence, advice = told(world(theirs, identity).report(), "LBD120")
    assert f"not compared: {reason}" in evidence and "no statement allows" not in evidence
    assert '"Action": "elasticloadbalancing:ModifyRule"' in advice


def test_a_role_of_another_account_is_not_said_not_to_exist() -> None:
    """The service account names it, and IAM of our account knows no role of that name."""
    elsewhere = replace(with_role(None), roles={"000000000001:lbc": Fact.not_asked(reads.ROLE, "of another account")})
    message, *_ = told(world(NOT_ADMITTED, elsewhere).report(), "LBD121")
    assert "does not exist" not in message
    message, *_ = told(world(NOT_ADMITTED, with_role(None)).report(), "LBD121")
    assert "does not exist" in message
