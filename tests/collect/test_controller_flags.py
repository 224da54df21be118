"""The controller's flags in both of pflag's forms, wherever they are read: one parser for all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubectl_lbdoctor.collect.controller_reads import runs_controller
from kubectl_lbdoctor.collect.identity_reads import IdentityReader
from kubectl_lbdoctor.knowledge.controller_identity import command_line_flags
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
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
    """Remembers which cluster it was asked about; IAM knows no role."""

    def __init__(self) -> None:
        self.clusters: set[str] = set()

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        if service == "eks":
            self.clusters.add(params.get("name") or params["clusterName"])
            return {"cluster": {}} if operation == "DescribeCluster" else []
        return {"Role": {}} if operation == "GetRole" else []


def clusters_asked(*arguments: str) -> set[str]:
    controller = Workload("Deployment", Meta("lbc", "kube-system"), containers=(Container("c", args=arguments),))
    complaint = Event("Ingress", "web", "shop", type="Warning", reason="FailedDeployModel", message=DENIED)
    snapshot = Snapshot(
        context=Context(cluster="name-of-the-kubeconfig"),
        namespaces={"shop": NamespaceFacts(events=Fact.known(reads.EVENTS, (complaint,)))},
        cluster=ClusterFacts(
            controllers=Fact.known(reads.CONTROLLER, (controller,)),
            controller_pods=Fact.known(reads.CONTROLLER_PODS, ()),
            service_accounts={"kube-system/lbc": Fact.known(reads.SERVICE_ACCOUNTS, None)},
        ),
    )
    eks = Eks()
    with ThreadPoolExecutor(2) as pool:
        IdentityReader(eks, pool).read(snapshot)
    return eks.clusters


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
