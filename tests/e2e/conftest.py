"""Fixtures of the tests on the lab. Without a running lab they fail: a skipped test would look like a passed one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.api import Lab
from tests.lab.progress import LabError


@pytest.fixture(scope="session")
def lab() -> Lab:
    try:
        return Lab.connect()
    except LabError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture
def space(lab: Lab) -> Iterator[str]:
    """A namespace of this test alone; its load balancers are gone from AWS afterwards."""
    with lab.namespace() as name:
        yield name
