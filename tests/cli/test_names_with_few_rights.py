"""What an alarm names is found with the rights that lead to it: other kinds that may not be listed do not matter."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kubectl_lbdoctor.collect.inventory import Inventory
from kubectl_lbdoctor.collect.traced_balancers import either
from kubectl_lbdoctor.errors import ExitStatus, ReadDenied
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Ingress, Meta
from kubectl_lbdoctor.model.kinds import INGRESS, Kind
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.permission import Permission
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import run
from tests.support.shop import NS


def test_an_ingress_is_found_by_its_load_balancer_though_another_kind_is_denied(cloud: Cloud) -> None:
    cloud.kube.faults = [KubeFault("denied", resources=("services",))]
    result = run("lb", cloud.aws.host, "-n", NS, "-o", "json", env=cloud.env)
    assert result.status == ExitStatus.UNKNOWN, result.stderr
    assert [subject["name"] for subject in result.json["subjects"]] == ["web"]


def test_where_nothing_that_may_be_listed_has_the_name_the_denial_is_told(cloud: Cloud) -> None:
    cloud.kube.faults = [KubeFault("denied", resources=("services",))]
    result = run("lb", "k8s-other-other-0123456789", "-n", NS, env=cloud.env)
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "may not list services" in result.stderr


def test_a_name_alone_is_a_load_balancer_s_though_bindings_are_denied() -> None:
    web = Ingress(
        meta=Meta(name="web", namespace=NS), addresses=("k8s-shop-web-0123456789-1.eu-west-1.elb.amazonaws.com",)
    )

    class Few:
        def everywhere(self, kind: Kind, namespace: str) -> Any:
            if kind is not INGRESS:
                raise ReadDenied(f"may not list {kind.plural}", Permission(said=f"list {kind.plural}"))
            return Fact.by_definition((web,))

    inventory = cast("Inventory", Few())
    assert either(inventory, "k8s-shop-web-0123456789", NS) == (ObjectRef("Ingress", NS, "web"),)
    with pytest.raises(ReadDenied, match="may not list targetgroupbindings"):
        either(inventory, "k8s-shop-other-0123456789", NS)


def test_a_pod_of_another_namespace_is_looked_for_in_the_cache_of_the_api_server(cloud: Cloud) -> None:
    """Read from etcd, one pod among 10,000 took longer than a request may, and the hint did not say where it is."""
    name = cloud.kube.objects["", "pods"][0]["metadata"]["name"]
    result = run("pod", name, "-n", "kube-system", env=cloud.env)
    assert f"hint: it is in namespace {NS}: choose it with -n" in result.stderr
    (asked,) = [a for a in cloud.kube.asked if a.resource == "pods" and not a.namespace and "fieldSelector" in a.query]
    assert asked.query["resourceVersion"] in ("0", ["0"])


def test_who_sees_one_namespace_is_not_told_what_the_cluster_lacks(cloud: Cloud) -> None:
    cloud.kube.faults = [KubeFault("denied", where=lambda namespace: namespace == "")]
    for words in (("lb", "k8s-other-other-0123456789"), ("https://elsewhere.example/",)):
        result = run(*words, "-n", NS, env=cloud.env)
        assert result.status == ExitStatus.COULD_NOT_RUN
        assert "of this cluster" not in result.stderr and "error: may not list " in result.stderr
