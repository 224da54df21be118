"""The controller's flags in both of pflag's forms, wherever they are read: one parser for all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubectl_lbdoctor.collect.controller_reads import runs_controller
from kubectl_lbdoctor.collect.identity_reads import IdentityReader
from kubectl_lbdoctor.knowledge.controller_identity import command_line_flags
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.identity import IdentityFacts
from kubectl_lbdoctor.model.k8s import Container, Event, Meta, Workload
from kubectl_lbdoctor.model.snapshot import ClusterFacts, Context, NamespaceFacts, Snapshot

DENIED = (
    "Failed deploy model due to operation error Elastic Load Balancing v2: ModifyRule, https response error "
    "StatusCode: 403, RequestID: 1, api error AccessDenied: User: arn:aws:sts::123456789012:assumed-role/lbc/1 is not "
    "authorized to perform: elasticloadbalancing:ModifyRule on resource: x because no identity-based policy allows the "
    "elasticloadbalancing:ModifyRule action"
)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["--cluster-name=prod"], {"cluster-name": "prod"}),
        (["--cluster-name", "prod"], {"cluster-name": "prod"}),
        (["/controller", "--enable-waf", "--cluster-name", "prod"], {"enable-waf": "", "cluster-name": "prod"}),
        (["--ingress-class=", "prod"], {"ingress-class": ""}),
        (["prod", "-", "--"], {}),
    ],
)
def test_both_forms_of_a_flag(words: list[str], flags: dict[str, str]) -> None:
    assert command_line_flags(words) == flags


class Eks:
    """Remembers which cluster and which roles it was asked about; IAM knows a role of each name."""

    region = "us-west-2"

    def __init__(self, association: dict[str, str] | None = None) -> None:
        self.clusters: set[str] = set()
        self.roles: set[str] = set()
        self.association = association

    def account(self) -> str:
        return "123456789012"

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        if service == "eks":
            self.clusters.add(params.get("name") or params["clusterName"])
            if self.association is not None and operation != "DescribeCluster":
                return {"association": self.association} if result_key is None else [{"associationId": "a-1"}]
            return {"cluster": {}} if operation == "DescribeCluster" else []
        self.roles.add(params["RoleName"])
        return {"Role": {}} if operation == "GetRole" else []


def clusters_asked(*arguments: str) -> set[str]:
    eks = Eks()
    identity_read(eks, *arguments)
    return eks.clusters


def identity_read(eks: Eks, *arguments: str, message: str = DENIED) -> IdentityFacts:
    controller = Workload("Deployment", Meta("lbc", "kube-system"), containers=(Container("c", args=arguments),))
    complaint = Event("Ingress", "web", "shop", type="Warning", reason="FailedDeployModel", message=message)
    snapshot = Snapshot(
        context=Context(cluster="name-of-the-kubeconfig"),
        namespaces={"shop": NamespaceFacts(events=Fact.known(reads.EVENTS, (complaint,)))},
        cluster=ClusterFacts(
            controllers=Fact.known(reads.CONTROLLER, (controller,)),
            controller_pods=Fact.known(reads.CONTROLLER_PODS, ()),
            service_accounts={"kube-system/lbc": Fact.known(reads.SERVICE_ACCOUNTS, None)},
        ),
    )
    with ThreadPoolExecutor(2) as pool:
        return IdentityReader(eks, pool).read(snapshot)


def test_a_role_of_another_account_is_not_looked_up_by_its_name() -> None:
    """Ours may hold one of the same name, with other policies, or none, which says nothing of theirs."""
    theirs, ours = "arn:aws:iam::000000000002:role/lbc", "arn:aws:iam::123456789012:role/lbc"
    eks = Eks()
    found = identity_read(eks, message=DENIED.replace("::123456789012:", "::000000000002:"))
    assert not eks.roles
    for fact in (found.role(theirs), *found.policies(theirs)):
        assert fact is not None and fact.state is ReadState.NOT_ASKED
        assert fact.reason == (
            "role lbc is of account 000000000002, these credentials are of 123456789012; use --profile for that account"
        )
    assert found.role(ours) is None
    found = identity_read(Eks())
    assert (found.role(ours) or Fact.failed("", "")).is_known and found.role(theirs.replace("lbc", "other")) is None


def test_the_role_that_pod_identity_goes_on_to() -> None:
    """EKS assumes it for the pods with the first one, as a rule in another account."""
    eks = Eks(
        {"roleArn": "arn:aws:iam::123456789012:role/first", "targetRoleArn": "arn:aws:iam::000000000002:role/lbc"}
    )
    found = identity_read(eks)
    (association,) = found.associations.need()
    assert association.target_role_arn == "arn:aws:iam::000000000002:role/lbc"
    assert eks.roles == {"first", "lbc"}  # ours of that name is the one that AWS speaks of
    theirs = found.role(association.target_role_arn)
    assert theirs is not None and theirs.state is ReadState.NOT_ASKED


def test_eks_is_asked_about_the_cluster_that_the_controller_names() -> None:
    assert clusters_asked("--cluster-name=prod") == {"prod"}
    assert clusters_asked("--cluster-name", "prod", "--ingress-class", "alb") == {"prod"}
    assert clusters_asked("--ingress-class=alb") == {"name-of-the-kubeconfig"}


@pytest.mark.parametrize(
    ("image", "arguments", "expected"),
    [
        ("public.ecr.aws/eks/aws-load-balancer-controller:v2.17.1", [], True),
        ("mirror/lbc:1", ["--cluster-name=prod", "--ingress-class=alb"], True),
        ("mirror/lbc:1", ["--cluster-name", "prod", "--ingress-class", "alb"], True),
        ("nginx:1", ["--ingress-class=nginx"], False),
        ("echo:1", ["--note", "--cluster-name=prod"], False),
    ],
)
def test_a_controller_under_another_name(image: str, arguments: list[str], expected: bool) -> None:
    container = {"image": image, "args": arguments}
    assert runs_controller({"spec": {"template": {"spec": {"containers": [container]}}}}) is expected
