"""What is read of the policies of the controller's role, and when they are too many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubectl_lbdoctor.collect.identity_reads import MAX_POLICIES, IdentityReader
from kubectl_lbdoctor.model.fact import ReadState


class Iam:
    """A role with so many inline policies."""

    def __init__(self, count: int) -> None:
        self.count = count

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        if operation == "ListRolePolicies":
            return [f"policy-{number}" for number in range(self.count)]
        return {"PolicyDocument": {"Statement": []}}


@pytest.mark.parametrize(
    ("count", "state"), [(0, ReadState.KNOWN), (MAX_POLICIES, ReadState.KNOWN), (MAX_POLICIES + 1, ReadState.FAILED)]
)
def test_a_part_of_the_policies_is_not_taken_for_all(count: int, state: ReadState) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = IdentityReader(Iam(count), pool)._inline("lbc")
    assert found.state is state
    assert found.state is ReadState.FAILED or len(found.need()) == count
