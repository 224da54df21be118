"""Credentials of AWS that do not come: whatever gives them is waited for only so long, as values of the program."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.credentials import DeferredRefreshableCredentials
from botocore.response import StreamingBody

from kubectl_lbdoctor import connections
from kubectl_lbdoctor.collect.aws_api import client as aws
from kubectl_lbdoctor.collect.aws_api import session as aws_session
from kubectl_lbdoctor.collect.aws_api.client import AwsReader
from kubectl_lbdoctor.collect.aws_api.session import AwsSession
from kubectl_lbdoctor.collect.deadline import Deadline
from kubectl_lbdoctor.errors import NoCredentials, ReadFailed

LIMITS = (aws_session.PATIENCE, aws.SILENCE)
"""As the program has them: most tests are more patient (`tests.conftest`), from their first fixture on."""

REPORT_WITHIN = 8.0
"""Seconds in which a person has a report where AWS is silent."""


@pytest.fixture
def never() -> Iterator[Any]:
    """Something that hangs until the test is over."""
    over = threading.Event()
    yield lambda *_, **__: over.wait(60)
    over.set()


def session(hangs: Any) -> AwsSession:
    """A session whose credentials are asked for at the first call, as those of a role are."""
    core = botocore.session.Session()
    core._credentials = DeferredRefreshableCredentials(hangs, "assume-role")
    return AwsSession(core, "us-west-2", "", "", "")


def test_the_limits_leave_time_for_the_cluster() -> None:
    """Credentials, or the services, or one service of several: each is given up early enough for the whole report."""
    assert max(LIMITS) <= REPORT_WITHIN - 3


def test_a_role_that_is_never_given(never: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "PATIENCE", 0.3)
    reader = AwsReader(session(never))
    with pytest.raises(NoCredentials, match="did not come within"):
        reader.call("elbv2", "DescribeLoadBalancers")
    # What is asked later does not wait anew.
    assert reader._patience("ec2") <= 0 and not reader.calls


def test_a_person_who_chose_the_time_is_given_it(never: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in may take a minute: --timeout says so."""
    monkeypatch.setattr(aws, "PATIENCE", 0.0)
    reader = AwsReader(session(never), deadline=Deadline(1.0, chosen=True))
    assert reader._patience("elbv2") == float("inf")
    with pytest.raises(ReadFailed, match="no answer within the 1s of this run"):
        reader.call("elbv2", "DescribeLoadBalancers")


@pytest.mark.parametrize("chosen", [False, True])
def test_a_command_that_hangs_before_any_call(never: Any, chosen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_session, "PATIENCE", 0.2)
    opened = connections.Connections.__new__(connections.Connections)
    opened.deadline = Deadline(1.0, chosen=chosen)
    with pytest.raises(ReadFailed if chosen else NoCredentials):
        opened._credentials(never)


class Trickle:
    """A body of which a byte comes now and then, so that a limit on each of them ends nothing."""

    def read(self, amount: int | None = None) -> bytes:
        time.sleep(60)
        return b""


def test_a_body_is_read_within_the_deadline() -> None:
    reader = AwsReader(session(lambda: None), deadline=Deadline(0.3))
    body = StreamingBody(Trickle(), 100)
    meta = SimpleNamespace(method_to_api_mapping={"get_object": "GetObject"})
    client = SimpleNamespace(meta=meta, can_paginate=lambda _: False, get_object=lambda **_: {"Body": body})
    reader._clients["s3"] = client
    with pytest.raises(ReadFailed, match="s3:GetObject: no answer within"):
        reader.call("s3", "GetObject", Bucket="b", Key="k")


def test_a_body_comes_whole() -> None:
    reader = AwsReader(session(lambda: None))
    meta = SimpleNamespace(method_to_api_mapping={"get_object": "GetObject"})
    held = {"Body": StreamingBody(io.BytesIO(b"log"), 3), "ContentLength": 3}
    reader._clients["s3"] = SimpleNamespace(meta=meta, can_paginate=lambda _: False, get_object=lambda **_: held)
    assert reader.call("s3", "GetObject", Bucket="b", Key="k") == {"Body": b"log", "ContentLength": 3}
