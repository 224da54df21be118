"""-v as kubectl has it: at 6 a line for each request, at 8 its headers, and never a credential."""

from __future__ import annotations

import re

import pytest

from kubectl_lbdoctor.collect.kube_lists import FEW
from kubectl_lbdoctor.collect.request_log import RequestLog
from tests.support.cloud import Cloud
from tests.support.program import run

KUBE = re.compile(
    rf"^GET http://127\.0\.0\.1:\d+/api/v1/namespaces/shop/pods\?limit={FEW + 1} 200 OK in \d+ milliseconds$", re.M
)
AWS = re.compile(r"^POST http://\S+/ \(elbv2:DescribeTargetHealth\) 200 OK in \d+ milliseconds$", re.M)


def test_level_6_shows_each_request(cloud: Cloud) -> None:
    result = run("ing/web", "-v=6", "-o", "json", env=cloud.env)
    assert result.status == 0 and result.json["kind"] == "Report"
    assert KUBE.search(result.stderr) and AWS.search(result.stderr)
    assert "Headers" not in result.stderr
    told = re.search(r"^(\d+) calls: ", result.stderr, re.M)
    assert told is not None
    assert len(re.findall(r"^(?:GET|POST) ", result.stderr, re.M)) == int(told[1])


def test_below_6_none_is_shown(cloud: Cloud) -> None:
    assert " milliseconds" not in run("ing/web", "-v=5", env=cloud.env).stderr


def test_level_8_shows_headers_without_credentials(cloud: Cloud) -> None:
    stderr = run("ing/web", "-v", "8", "--as", "eve", env={**cloud.env, "AWS_SESSION_TOKEN": "sess10n"}).stderr
    assert "    Authorization: AWS4-HMAC-SHA256 <masked>" in stderr
    assert "    X-Amz-Security-Token: <masked>" in stderr
    assert "    Impersonate-User: eve" in stderr
    assert "Response Headers:" in stderr
    assert "t0p-s3cr3t" not in stderr and "sess10n" not in stderr


def test_a_request_without_an_answer(cloud: Cloud) -> None:
    cloud.write_kubeconfig("http://127.0.0.1:1")
    result = run("ing/web", "-v=6", env=cloud.env)
    assert result.status == 4
    assert "GET http://127.0.0.1:1/" in result.stderr and " no answer (NewConnectionError) in " in result.stderr


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@h/x?limit=5&continue=c", "GET https://h/x?limit=5&continue=c 200 OK"),
        ("https://h/?X-Amz-Signature=5ecret&a=b", "GET https://h/?X-Amz-Signature=<masked>&a=b 200 OK"),
        ("https://h/\x1b[31m", "GET https://h/?[31m 200 OK"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    lines: list[str] = []
    RequestLog(6, lines.append).ended("GET", url, 0.0, 200, [], [])
    assert lines[0].startswith(shown)


def test_headers_that_say_who_asks() -> None:
    lines: list[str] = []
    sent = [("Cookie", "a=5ecret"), ("X-Api-Key", "5ecret"), (b"Proxy-Authorization", b"Basic 5ecret"), ("A", "b")]
    sent.append(("authorization", "Bearer 5ecret"))
    RequestLog(8, lines.append).ended("GET", "https://h/", 0.0, 302, sent, [("Location", "https://me:5ecret@h/")])
    assert "5ecret" not in lines[0]
    assert "    authorization: Bearer <masked>" in lines[0]
    assert "    A: b" in lines[0] and "    Location: https://h/" in lines[0]
