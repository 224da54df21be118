"""Classic Load Balancers, told by what their addresses say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.checks.cloud_provider import name_of


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("a0b1c2-123456789.us-west-2.elb.amazonaws.com", "a0b1c2"),
        ("internal-a0b1c2-123456789.us-west-2.elb.amazonaws.com", "a0b1c2"),
        ("my-own-name-123456789.eu-west-1.elb.amazonaws.com", "my-own-name"),
        ("a0b1c2-123456789.cn-north-1.elb.amazonaws.com.cn", "a0b1c2"),
        # A Network Load Balancer has no number at its end, and its domain begins with elb.
        ("k8s-shop-web-0123456789-0123456789abcdef.elb.us-west-2.amazonaws.com", ""),
        ("203.0.113.7", ""),
        ("", ""),
    ],
)
def test_name_of_a_classic_load_balancer(address: str, name: str) -> None:
    assert name_of(address) == name


@given(st.text(max_size=40))
def test_any_address_has_a_name_or_none(address: str) -> None:
    assert name_of(address) in address
