"""The table of kinds: what people type, where the API is, and that every kind of the cluster can be converted."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.collect.converters import CONVERTERS
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.kinds import COMMAND_LINE, KINDS, SUBJECTS, kubectl_name
from kubectl_lbdoctor.model.objects import ObjectRef


@pytest.mark.parametrize(
    ("spelling", "kind"),
    [
        ("ing", "Ingress"),
        ("ingresses", "Ingress"),
        ("ingress.networking.k8s.io", "Ingress"),
        ("ingresses.networking.k8s.io", "Ingress"),
        ("ingresses.v1.networking.k8s.io", "Ingress"),
        ("svc", "Service"),
        ("services.v1.", "Service"),
        ("tgb", "TargetGroupBinding"),
        ("targetgroupbinding.elbv2.k8s.aws", "TargetGroupBinding"),
        ("targetgroupbindings.v1beta1.elbv2.k8s.aws", "TargetGroupBinding"),
        ("tg", "TargetGroup"),
        ("loadbalancers", "LoadBalancer"),
    ],
)
def test_spellings_of_kubectl(spelling: str, kind: str) -> None:
    assert [k.name for k in COMMAND_LINE if spelling in k.aliases] == [kind]


@pytest.mark.parametrize("spelling", ["ingresses.v1beta1.networking.k8s.io", "services.networking.k8s.io", "pods"])
def test_spellings_that_are_none(spelling: str) -> None:
    assert [k.name for k in COMMAND_LINE if spelling in k.aliases] == []


def test_the_first_alias_is_the_command_and_the_short_name_follows() -> None:
    assert [kind.aliases[:2] for kind in COMMAND_LINE] == [
        ("ingress", "ing"),
        ("service", "svc"),
        ("gateway", "gtw"),
        ("httproute", "httproutes"),
        ("grpcroute", "grpcroutes"),
        ("tlsroute", "tlsroutes"),
        ("tcproute", "tcproutes"),
        ("udproute", "udproutes"),
        ("targetgroupbinding", "tgb"),
        ("targetgroup", "tg"),
        ("loadbalancer", "lb"),
    ]


@pytest.mark.parametrize(
    ("kind", "where", "path"),
    [
        ("Pod", (), "/api/v1/pods"),
        ("Service", ("shop", "web"), "/api/v1/namespaces/shop/services/web"),
        ("Namespace", ("", "shop"), "/api/v1/namespaces/shop"),
        ("Ingress", ("shop",), "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"),
        ("TargetGroupBinding", ("shop",), "/apis/elbv2.k8s.aws/v1beta1/namespaces/shop/targetgroupbindings"),
        ("IngressClassParams", (), "/apis/elbv2.k8s.aws/v1beta1/ingressclassparams"),
    ],
)
def test_paths(kind: str, where: tuple[str, ...], path: str) -> None:
    assert KINDS[kind].path(*where) == path


def test_a_kind_of_aws_has_no_path() -> None:
    with pytest.raises(ValueError, match="TargetGroup is no kind of Kubernetes"):
        KINDS["TargetGroup"].path()


def test_every_kind_of_the_cluster_has_a_converter_and_no_other() -> None:
    assert set(CONVERTERS) == {kind for kind in KINDS.values() if not kind.in_aws}


def test_every_subject_is_listed_by_one_read() -> None:
    assert {kind.name: reads.read_of_subjects(kind.name).name for kind in SUBJECTS} == {
        "Ingress": "networking.k8s.io/ingresses",
        "Service": "core/services",
        "Gateway": "gateway.networking.k8s.io/gateways",
        **{f"{kind}Route": "gateway.networking.k8s.io/routes" for kind in ("HTTP", "GRPC", "TLS", "TCP", "UDP")},
        "TargetGroupBinding": "elbv2.k8s.aws/targetgroupbindings",
    }
    with pytest.raises(KeyError):
        reads.read_of_subjects("Pod")


def test_a_command_names_a_kind_of_two_groups_with_its_group() -> None:
    """Of two groups kubectl takes the bare name for the one that comes first by name: EKS Auto Mode's."""
    assert kubectl_name(ObjectRef("TargetGroupBinding", "shop", "own")) == "targetgroupbinding.elbv2.k8s.aws/own"
    of_auto_mode = ObjectRef("TargetGroupBinding", "shop", "own", "eks.amazonaws.com")
    assert kubectl_name(of_auto_mode) == "targetgroupbinding.eks.amazonaws.com/own"
    assert kubectl_name(ObjectRef("Service", "shop", "web")) == "service/web"
