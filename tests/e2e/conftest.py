"""Fixtures of the tests on the lab. Without a running lab they fail: a skipped test would look like a passed one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.lab.api import CROWDED, Lab
from tests.lab.progress import LabError


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of something that changes what all of the lab share is marked `alone`."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if any(getattr(value, "alone", False) for value in parameters.values()):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def lab() -> Lab:
    # A run that is cancelled or out of time must still undo its fault: the lab is everybody's.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return Lab.connect()
    except LabError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture
def space(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test alone; with the parameter CROWDED, one that hundreds of idle pods share with it.

    Its load balancers are gone from AWS afterwards.
    """
    with lab.crowded_namespace() if getattr(request, "param", "") == CROWDED else lab.namespace() as name:
        yield name
