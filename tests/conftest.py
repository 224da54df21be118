"""Property tests must not fail because the machine is busy: time is no property of what they test.

CI repeats the same examples in every run, so that a change is judged by what it changes; a developer's runs explore.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
