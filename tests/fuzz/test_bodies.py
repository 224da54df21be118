"""Bytes that something sends in the place of AWS: every call ends with an answer or with one of the program's own
errors, and an answer that is no answer of AWS is never an empty list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from kubectl_lbdoctor.collect.aws_api.client import AwsReader
from kubectl_lbdoctor.collect.aws_api.session import AwsSession
from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.model import reads
from tests.fuzz.mutation import runs
from tests.fuzz.test_answers import model, of_shape

REGION = "us-west-2"
OPERATIONS = sorted(reads.AWS)
PARAMS: dict[str, dict[str, Any]] = {
    "elbv2:DescribeListeners": {"LoadBalancerArn": "arn"},
    "elbv2:DescribeRules": {"ListenerArn": "arn"},
    "elbv2:DescribeTargetHealth": {"TargetGroupArn": "arn"},
    "elbv2:DescribeTargetGroupAttributes": {"TargetGroupArn": "arn"},
    "elbv2:DescribeLoadBalancerAttributes": {"LoadBalancerArn": "arn"},
    "elbv2:DescribeTags": {"ResourceArns": ["arn"]},
    "ec2:GetManagedPrefixListEntries": {"PrefixListId": "pl-1"},
    "eks:DescribeCluster": {"name": "lab"},
    "eks:ListPodIdentityAssociations": {"clusterName": "lab"},
    "eks:DescribePodIdentityAssociation": {"clusterName": "lab", "associationId": "a-1"},
    "iam:GetRole": {"RoleName": "role"},
    "iam:ListAttachedRolePolicies": {"RoleName": "role"},
    "iam:ListRolePolicies": {"RoleName": "role"},
    "iam:GetRolePolicy": {"RoleName": "role", "PolicyName": "policy"},
    "iam:GetPolicy": {"PolicyArn": "arn:aws:iam::aws:policy/x"},
    "iam:GetPolicyVersion": {"PolicyArn": "arn:aws:iam::aws:policy/x", "VersionId": "v1"},
}
PAGES = (
    b"", b"<html><body>Blocked</body></html>", b"{}", b"[]", b"null", b"\x00\xff", b"<a",
    b"<?xml version='1.0'?><Error/>", b"OK", b"<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>",
)  # fmt: skip


class Raw:
    """What botocore reads a body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *args: Any, **more: Any) -> Any:
        yield self._body


def as_xml(operation: str, shape: Any, chance: Any, protocol: str) -> bytes:
    """An answer of the XML protocols with random values, as botocore's shape says."""
    inner = _xml(of_shape(shape, chance)) if shape is not None else ""
    wrapped = inner if protocol == "ec2" else f"<{operation}Result>{inner}</{operation}Result>"
    return f"<{operation}Response>{wrapped}</{operation}Response>".encode()


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(inner)}</{name}>" for name, inner in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_xml(inner)}</member>" for inner in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def damaged(body: bytes, chance: Any) -> bytes:
    """The body cut, with bytes changed, or with a part of it twice."""
    how, place = chance.random(), chance.randrange(len(body) + 1)
    if how < 0.4:
        return body[:place]
    if how < 0.8:
        return body[:place] + bytes((chance.randrange(256),)) + body[place + 1 :]
    return body[:place] + body


def pages(operation: str) -> dict[str, tuple[int, bytes]]:
    """What stands between here and AWS may answer to an operation."""
    root = operation.encode() + b"Response"
    return {
        "a page": (200, PAGES[1]),
        "a page, accepted": (202, PAGES[1]),
        "a page that quotes the answer": (200, b"<html><body><" + root + b"></" + root + b"></body></html>"),
        "a page with the answer in a comment": (200, b"<!-- <" + root + b"> --><html/>"),
        "a page with the answer in an attribute": (200, b"<html a='<" + root + b"'/>"),
        "nothing": (200, b""),
        "no content": (204, b""),
        "an empty answer": (200, b"<" + root + b"></" + root + b">"),
        "an empty root": (200, b"<?xml version='1.0'?>\n<" + root + b" xmlns='http://ec2.amazonaws.com/doc'/>"),
        "another operation": (200, b"<DescribeOtherThingsResponse><x/></DescribeOtherThingsResponse>"),
        "another document": (200, b'{"kind":"Status","status":"Failure"}'),
        "an empty object": (200, b"{}"),
        "a list": (200, b"[]"),
        "cut off": (200, b"<" + root + b"><a"),
        "cut off JSON": (200, b'{"associations":[{'),
        "an error in 200": (200, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        "an error of EC2 in 200": (200, b"<Response><Errors><Error><Code>X</Code></Error></Errors></Response>"),
        "throttling": (400, b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"),
        "429": (429, b"slow down"),
        "redirect": (302, PAGES[1]),
        "moved": (301, b""),
        "UTF-16": (200, f"<{operation}Response/>".encode("utf-16")),
        "zeros": (200, bytes(30)),
        "brackets": (200, b"[" * 100_000),
    }


@pytest.mark.parametrize("what", OPERATIONS)
def test_no_page_passes_for_an_answer(reader: AwsReader, what: str) -> None:
    """Never an empty list, which would say that there is nothing, and never a crash."""
    service, _, operation = what.partition(":")
    reader.prepare(service)
    events = reader._client(service).meta.events
    for name, (status, body) in pages(operation).items():

        def answer(request: Any, **more: Any) -> AWSResponse:
            return AWSResponse(request.url, status, {"location": "http://127.0.0.1:9/"}, Raw(body))  # noqa: B023

        events.register_first("before-send", answer)
        try:
            with pytest.raises(LbdoctorError):
                found = reader.call(service, operation, **PARAMS.get(what, {}))
                pytest.fail(f"{name}: {found}")
        finally:
            events.unregister("before-send", answer)


@pytest.fixture(scope="module")
def reader() -> Iterator[AwsReader]:
    """What botocore waits after a throttled call is not waited for."""
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.retries.adaptive.ClientRateLimiter.on_sending_request", lambda *args, **more: None)
        yield AwsReader(AwsSession(session, REGION, "", "", ""), max_attempts=1)


def test_bodies_that_are_no_answers(reader: AwsReader) -> None:
    answered: list[tuple[int, bytes]] = []

    def answer(request: Any, **more: Any) -> AWSResponse:
        status, body = answered[-1]
        return AWSResponse(request.url, status, {"content-type": "text/html"}, Raw(body))

    for service in sorted({operation.partition(":")[0] for operation in OPERATIONS}):
        reader.prepare(service)
        reader._client(service).meta.events.register_first("before-send", answer)
    for name, chance in runs(few=300):
        what = chance.choice(OPERATIONS)
        service, _, operation = what.partition(":")
        described = model(service).operation_model(operation)
        protocol = model(service).metadata["protocol"]
        body = chance.choice(PAGES)
        if chance.random() < 0.7:
            body = damaged(as_xml(operation, described.output_shape, chance, protocol), chance)
        answered.append((chance.choice((200, 200, 200, 302, 400, 403, 404, 500)), body))
        try:
            found = reader.call(service, operation, **PARAMS.get(what, {}))
        except LbdoctorError:
            continue
        except Exception as error:
            pytest.fail(f"FUZZ run {name}, {what}: {type(error).__name__}: {error}: {body[:200]!r}")
        assert isinstance(found, dict), name
        if protocol in ("ec2", "query"):
            assert f"<{operation}Response".encode() in body, f"FUZZ run {name}, {what}: {body[:200]!r} gave {found}"
