"""Which events widen the reads of EC2: by the cause that they name, not by words that they happen to hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.collect.event_hints import decoded_warnings, no_subnet_suits, webhook_is_unreachable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Event
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot

NO_SUBNETS = (
    "Failed build model due to couldn't auto-discover subnets: unable to resolve at least one subnet "
    "(0 match VPC and tags: [kubernetes.io/role/elb])"
)
FEW_ADDRESSES = (
    "Failed build model due to couldn't auto-discover subnets: unable to resolve at least one subnet. Evaluated 2 "
    "subnets: 0 are tagged for other clusters, and 2 have insufficient available IP addresses"
)
CLOUD_PROVIDER = (
    "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for creating "
    "the ELB"
)
GROUP_OF_SUBNET = (
    'Failed build model due to ingress: shop/web: unsupported value of annotation "inbound-cidrs": subnet-range'
)
CALL = 'Internal error occurred: failed calling webhook "mtargetgroupbinding.elbv2.k8s.aws": failed to call webhook: '
POST = 'Post "https://aws-load-balancer-webhook-service.kube-system.svc:443/x?timeout=10s": '
TIMEOUT = CALL + POST + "context deadline exceeded"
CERTIFICATE = CALL + POST + "tls: failed to verify certificate: x509: certificate signed by unknown authority"
FOREIGN = 'Error creating: failed calling webhook "x.example.com": Post "https://x.y.svc:443": i/o timeout'


def heard(kind: str, reason: str, message: str, type: str = "Warning") -> tuple[bool, bool]:
    """(no subnet suits, the webhook is unreachable)"""
    event = Event(kind, "web", "shop", type=type, reason=reason, message=message)
    snapshot = Snapshot(namespaces={"shop": NamespaceFacts(events=Fact.known(reads.EVENTS, (event,)))})
    errors = decoded_warnings(snapshot)
    return no_subnet_suits(errors), webhook_is_unreachable(errors)


@pytest.mark.parametrize(
    ("kind", "reason", "message", "expected"),
    [
        ("Ingress", "FailedBuildModel", NO_SUBNETS, (True, False)),
        ("Ingress", "FailedBuildModel", FEW_ADDRESSES, (True, False)),
        ("Service", "SyncLoadBalancerFailed", CLOUD_PROVIDER, (True, False)),
        ("Ingress", "FailedBuildModel", GROUP_OF_SUBNET, (False, False)),
        ("Ingress", "FailedDeployModel", f"Failed deploy model due to {TIMEOUT}", (False, True)),
        ("ReplicaSet", "FailedCreate", f"Error creating: {TIMEOUT}", (False, True)),
        ("Ingress", "FailedDeployModel", f"Failed deploy model due to {CERTIFICATE}", (False, False)),
        ("ReplicaSet", "FailedCreate", FOREIGN, (False, False)),
    ],
)
def test_what_a_warning_widens(kind: str, reason: str, message: str, expected: tuple[bool, bool]) -> None:
    assert heard(kind, reason, message) == expected


def test_what_is_no_warning_and_what_is_not_of_the_controller_is_not_decoded() -> None:
    assert heard("Ingress", "FailedBuildModel", NO_SUBNETS, type="Normal") == (False, False)
    assert heard("Pod", "FailedMount", NO_SUBNETS) == (False, False)


def test_each_text_is_decoded_once() -> None:
    event = Event("Ingress", "web", "shop", type="Warning", reason="FailedBuildModel", message=NO_SUBNETS)
    events = Fact.known(reads.EVENTS, (event,) * 50)
    assert len(decoded_warnings(Snapshot(namespaces={"shop": NamespaceFacts(events=events)}))) == 1


def test_what_a_success_has_settled_asks_for_nothing() -> None:
    failed = Event("Ingress", "web", "shop", type="Warning", reason="FailedBuildModel", message=NO_SUBNETS)
    failed = replace(failed, last="2026-11-29T12:00:00Z")
    done = replace(failed, type="Normal", reason="SuccessfullyReconciled", last="2026-11-29T12:05:00Z")
    for events, expected in (((failed,), True), ((failed, done), False)):
        known = NamespaceFacts(events=Fact.known(reads.EVENTS, events))
        assert no_subnet_suits(decoded_warnings(Snapshot(namespaces={"shop": known}))) is expected
