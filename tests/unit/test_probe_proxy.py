"""The pod proxy's answers: the application's, and the API server's own when it did not reach the application."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.model.fact import ReadState
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe import proxy, runner

REQUEST = ProbeRequest(
    "10.0.1.34:8080", "10.0.1.34", 8080, "shop", "web-1", "node1", path="/healthz", host="10.0.1.34:8080", matcher="200"
)
PREFIX = "/api/v1/namespaces/shop/pods/web-1:8080/proxy"
AUDIT = {"Audit-Id": "1"}


def status(code: int, message: str) -> bytes:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "message": message, "code": code}).encode()


def decoded(code: int, body: bytes = b"", request: ProbeRequest = REQUEST, **headers: str) -> ProbeAnswer:
    return proxy.decode(request, code, {**AUDIT, **{k.title(): v for k, v in headers.items()}}, body, 0.01, PREFIX)


# Seen with Kubernetes 1.34, but for the 502 in plain text, which is older.
@pytest.mark.parametrize(
    ("code", "said", "outcome"),
    [
        (503, "dial tcp 10.0.2.51:9999: connect: connection refused", Outcome.REFUSED),
        (503, "dial tcp 10.0.2.51:9999: i/o timeout", Outcome.TIMEOUT),
        (503, 'net/http: HTTP/1.x transport connection broken: malformed HTTP status code "/"', Outcome.GARBLED),
        (503, 'malformed HTTP response "\\x00\\x00"', Outcome.GARBLED),
        (503, "tls: first record does not look like a TLS handshake", Outcome.TLS),
        (503, "remote error: tls: protocol version not supported", Outcome.TLS),
        (503, "EOF", Outcome.CLOSED),
        (503, "read tcp 169.254.1.1:37616->10.0.2.51:8081: read: connection reset by peer", Outcome.CLOSED),
        (503, "dial tcp 10.0.2.51:1: connect: no route to host", Outcome.INCONCLUSIVE),
    ],
)
def test_dial_errors(code: int, said: str, outcome: Outcome) -> None:
    answer = decoded(code, status(code, f"error trying to reach service: {said}"))
    assert (answer.outcome, answer.status, answer.detail) == (outcome, None, said)
    plain = decoded(502, f"error trying to reach service: {said}".encode())
    assert plain.outcome is outcome


@pytest.mark.parametrize("code", [200, 302, 401, 404, 500, 502, 503])
def test_the_applications_own_answers(code: int) -> None:
    assert decoded(code, b"Service Unavailable").status == code
    # An application that is an API server itself answers with a Status, too.
    own = decoded(code, status(code, "the server is currently unable to handle the request"))
    assert (own.outcome, own.status) == (Outcome.ANSWERED, code)
    quoted = decoded(code, b"my upstream: error trying to reach service: dial tcp: connect: connection refused")
    assert quoted.status == code


def test_refusals_of_the_api_server() -> None:
    text = 'pods "web-1" is forbidden: User "dev" cannot get resource "pods/proxy" in API group "" in the namespace "x"'
    answer = decoded(403, status(403, text))
    assert answer.outcome is Outcome.INCONCLUSIVE
    assert answer.permission == Permission(("get",), "pods/proxy", namespace="shop")
    facts = runner.as_fact([answer])
    assert (facts.state, facts.permission) == (ReadState.DENIED, answer.permission)
    for code, message in ((404, 'pods "web-1" not found'), (401, "Unauthorized"), (400, "address not allowed")):
        other = decoded(code, status(code, message))
        assert other.outcome is Outcome.INCONCLUSIVE and other.detail and not other.permission
    own = decoded(403, status(403, 'forbidden: User "system:anonymous" cannot get path "/healthz"'))
    assert own.status == 403


def test_something_else_answers_for_the_api_server() -> None:
    """A load balancer or gateway that routes by Host does not know the target's name."""
    answer = proxy.decode(REQUEST, 404, {}, b"no such host", 0.01)
    assert answer.outcome is Outcome.INCONCLUSIVE and "in front of the API server" in answer.detail
    assert runner.as_fact([answer]).state is ReadState.FAILED


@pytest.mark.parametrize(
    ("location", "real"),
    [
        (f"{PREFIX}/login?x=1", "/login?x=1"),
        (f"https://api:6443{PREFIX}/login", "/login"),
        (PREFIX, "/"),
        ("http://elsewhere/x", "http://elsewhere/x"),
        ("", ""),
        ("http://[::1", "http://[::1"),
        ("//[", "//["),
        (f"https://[{PREFIX}/login", f"https://[{PREFIX}/login"),
    ],
)
def test_redirects_lose_the_proxys_path(location: str, real: str) -> None:
    assert decoded(302, location=location).location == real


def test_a_tcp_check_only_wants_a_connection() -> None:
    tcp = replace(REQUEST, protocol="TCP", path="")
    for said in ("EOF", 'malformed HTTP response "x"', "dial tcp: connect: connection refused"):
        answer = decoded(503, status(503, f"error trying to reach service: {said}"), tcp)
        assert answer.outcome is (Outcome.REFUSED if "refused" in said else Outcome.ANSWERED)
        assert answer.status is None
    assert decoded(500, b"", tcp).outcome is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("values", "fit"),
    [
        ({}, True),
        ({"path": "/a/b/?x=/../y"}, True),
        ({"path": "/"}, True),
        ({"path": "//a"}, False),
        ({"path": "x/b"}, False),
        ({"path": "?a=b"}, False),
        ({"path": "", "protocol": "TCP"}, True),
        ({"path": "/a/../b"}, False),
        ({"path": "/a%2Fb"}, False),
        ({"path": "/%2e%2E/b"}, False),
        ({"path": "/a/.%2e/b"}, False),
        ({"path": "/..;/b"}, False),
        ({"path": "/a/.;x=y/b"}, False),
        ({"path": "/..\\b"}, False),
        ({"path": "/%5c..%5cb"}, False),
        ({"path": "/%252e%252e/b"}, False),
        ({"path": "/a;b=.../...;c"}, True),
        ({"path": "/a#b"}, False),
        ({"path": "/a?b#c"}, False),
        ({"path": "/a%20b"}, True),
        ({"version": "HTTP2"}, False),
        ({"version": "GRPC", "protocol": "HTTPS"}, False),
        ({"protocol": "HTTPS", "tls": "1.2"}, False),
        ({"pod": ""}, False),
    ],
)
def test_what_the_proxy_would_not_send_as_it_is(values: Any, fit: bool) -> None:
    assert (proxy.unsupported_reason(replace(REQUEST, **values)) == "") is fit


def test_a_few_inconclusive_answers_do_not_hide_the_others() -> None:
    told = ProbeAnswer(REQUEST, Transport.FORWARD, Outcome.ANSWERED, 200)
    inconclusive = ProbeAnswer(
        REQUEST, Transport.PROXY, Outcome.INCONCLUSIVE, detail="may not get pods/proxy in namespace shop: no"
    )
    assert runner.as_fact([inconclusive, told]).need() == (inconclusive, told)
    assert runner.as_fact([]).need() == ()
