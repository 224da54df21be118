"""Fixtures of the whole-program tests: one pair of servers for all, healthy again before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import botocore.loaders
import pytest

from kubectl_lbdoctor.collect.aws_api import models as aws_models
from tests.support import cloud as example
from tests.support import health_logs
from tests.support.cloud import Cloud


@pytest.fixture(scope="package", autouse=True)
def one_loader() -> Iterator[None]:
    """botocore parses its service models once for all tests instead of once for each: half of a run's time."""
    loader, own = botocore.loaders.create_loader(), aws_models.model_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda *args: loader)
        patch.setattr("kubectl_lbdoctor.collect.aws_api.models.model_loader", lambda *args: own)
        yield


@pytest.fixture(scope="package")
def servers() -> Iterator[Cloud]:
    with example.cloud() as made:
        yield made


@pytest.fixture
def cloud(servers: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Healthy servers; what botocore waits between attempts is not waited for."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *args: 0.0)
    monkeypatch.setattr("botocore.retries.adaptive.ClientRateLimiter.on_sending_request", lambda *args, **more: None)
    servers.reset(tmp_path)
    yield servers
    servers.reset(tmp_path)


@pytest.fixture
def logged(cloud: Cloud) -> Iterator[Cloud]:
    """The load balancer logs its health checks."""
    health_logs.enable(cloud.aws)
    yield cloud
    health_logs.disable(cloud.aws)
