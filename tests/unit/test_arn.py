"""ARNs and the names in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model import arn
from kubectl_lbdoctor.model.arn import Arn

ELB = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:"
GROUP = ELB + "targetgroup/k8s-shop-web-1a2b3c/0123456789abcdef"
BALANCER = ELB + "loadbalancer/app/k8s-shop-web/0123456789abcdef"


def test_parts() -> None:
    assert arn.parse("arn:aws-cn:iam::111122223333:role/team/web") == Arn(
        "aws-cn", "iam", "", "111122223333", "role/team/web"
    )
    log = arn.parse("arn:aws:logs:eu-west-1:1:log-group:name:*")
    assert log is not None and log.resource == "log-group:name:*"


@pytest.mark.parametrize(
    "text", ["", "web", "arn", "arn:aws:elasticloadbalancing", "arn:aws:iam::1", "ARN:aws:a:b:c:d"]
)
def test_what_is_no_arn(text: str) -> None:
    assert arn.parse(text) is None
    assert arn.target_group_name(text) == text
    assert arn.interface_description(text) == ""


@pytest.mark.parametrize(
    ("text", "group", "balancer", "role"),
    [
        (GROUP, "k8s-shop-web-1a2b3c", "", ""),
        (BALANCER, "", "k8s-shop-web", ""),
        (ELB + "loadbalancer/classic", "", "classic", ""),
        (ELB + "listener/app/k8s-shop-web/01/23", "", "", ""),
        (ELB + "targetgroup", "", "", ""),
        ("arn:aws:iam::1:role/web", "", "", "web"),
        ("arn:aws:iam::1:role/team/a/web", "", "", "web"),
        ("arn:aws:sts::1:assumed-role/web/i-0123", "", "", "web"),
        ("arn:aws:iam::1:role", "", "", ""),
        ("arn:aws:iam::1:user/role/web", "", "", ""),
    ],
)
def test_names(text: str, group: str, balancer: str, role: str) -> None:
    found = arn.parse(text)
    assert found is not None
    assert (found.target_group, found.load_balancer, found.role) == (group, balancer, role)


def test_names_of_target_groups_and_interfaces() -> None:
    assert arn.target_group_name(GROUP) == "k8s-shop-web-1a2b3c"
    assert arn.target_group_name(BALANCER) == BALANCER
    assert arn.interface_description(BALANCER) == "ELB app/k8s-shop-web/0123456789abcdef"
    assert arn.interface_description(GROUP) == ""


PART = st.text(st.characters(blacklist_characters=":", codec="utf-8"))


@given(PART, PART, PART, PART, st.text())
def test_an_arn_is_its_parts(partition: str, service: str, region: str, account: str, resource: str) -> None:
    whole = Arn(partition, service, region, account, resource)
    assert arn.parse(str(whole)) == whole


@given(st.text())
def test_any_text(text: str) -> None:
    for whole in (text, ELB + text, f"{ELB}targetgroup/{text}", f"{ELB}loadbalancer/{text}"):
        found = arn.parse(whole)
        assert found is None or str(found) == whole
        assert isinstance(arn.target_group_name(whole) + arn.interface_description(whole), str)
        assert found is None or not (found.target_group and found.load_balancer)
