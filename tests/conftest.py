"""Property tests must not fail because the machine is busy: time is no property of what they test.

CI repeats the same examples in every run, so that a change is judged by what it changes; a developer's runs explore.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def patient() -> Iterator[None]:
    """The ends of a run are tested where they are the matter (tests/cli/test_time.py), and far away elsewhere: fake
    servers on a busy machine take seconds for their first answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kubectl_lbdoctor.collect.aws_api.client.SILENCE", 60.0)
        patch.setattr("kubectl_lbdoctor.collect.aws_api.client.PATIENCE", 60.0)
        patch.setattr("kubectl_lbdoctor.collect.aws_api.session.PATIENCE", 60.0)
        patch.setattr("kubectl_lbdoctor.collect.deadline.DEFAULT", 300.0)
        patch.setattr("kubectl_lbdoctor.commands.examination.DEFAULT", 300.0)
        yield
