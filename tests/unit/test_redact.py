"""What leaves the machine in a bundle: no account, no key, no public address; everything that a diagnosis needs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.collect.bundles.redact import Redactor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::000000000001:role/x"),
        ("123456789012", "000000000001"),
        ("AKIAIOSFODNN7EXAMPLE", "REDACTEDKEY0001"),
        ("key ASIAIOSFODNN7EXAMPLE, again", "key REDACTEDKEY0001, again"),
        ("to 8.8.8.8:443", "to 198.18.0.1:443"),
        ("52.94.76.5/32", "198.18.0.1/32"),
    ],
)
def test_secrets_become_tokens(text: str, expected: str) -> None:
    assert Redactor()(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "10.0.1.34",
        "172.16.0.0/12",
        "192.168.1.1",
        "100.64.3.4",
        "169.254.170.23",
        "127.0.0.1",
        "0.0.0.0/0",
        "1.2.3",
        "999.1.1.1",
        "v1.34.4.1.2",
        "2026-11-23T12:00:00Z",
        "i-00000000000000001",
        "0123456789abcdef",
        "1234567890123",
        "k8s-shop-web-fdbb6ec3c4",
        "sg-0123456789012abcd",
    ],
)
def test_what_a_diagnosis_needs_stays(text: str) -> None:
    assert Redactor()(text) == text


def test_equal_secrets_stay_equal_and_others_differ() -> None:
    redact = Redactor()
    value = {"a": "123456789012", "b": ["arn:123456789012:x", "210987654321"], "8.8.8.8": {"c": "8.8.8.8 8.8.4.4"}}
    assert redact(value) == {
        "a": "000000000001",
        "b": ["arn:000000000001:x", "000000000002"],
        "198.18.0.1": {"c": "198.18.0.1 198.18.0.2"},
    }


def test_many_addresses_stay_apart() -> None:
    redact = Redactor()
    tokens = {redact(f"8.8.{n // 250}.{n % 250}") for n in range(600)}
    assert len(tokens) == 600 and all(re.fullmatch(r"198\.18\.\d{1,3}\.\d{1,3}", t) for t in tokens)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_nothing_but_strings_changes_and_shapes_stay(value: Any) -> None:
    def shape(item: Any) -> Any:
        if isinstance(item, str):
            return str
        if isinstance(item, dict):
            return [shape(i) for i in item.values()]
        return [shape(i) for i in item] if isinstance(item, list) else item

    assert shape(Redactor()(value)) == shape(value)


@given(st.integers(0, 10**12 - 1), st.text("ab:/ -", max_size=3), st.text("cd:/ -", max_size=3))
def test_no_account_survives(number: int, before: str, after: str) -> None:
    account = f"{number:012d}"
    text = Redactor()(f":{before}:{account}:{after}:")
    assert account == "000000000001" or account not in text
