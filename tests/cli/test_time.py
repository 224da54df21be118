"""The whole program as a process, against servers that are silent, drip, or never come to an end.

The limits are those of the program; what a busy machine adds to them is allowed for in SLACK.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud import Cloud

SLACK = 12.0
"""Seconds for starting Python and its SDKs on a machine with other work."""

Talk = Callable[[socket.socket], None]


@contextmanager
def server(talk: Talk) -> Iterator[str]:
    """A server that speaks to each connection in its own way; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    ended = threading.Event()

    def each(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            talk(connection)

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                threading.Thread(target=each, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.close()


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def drips(connection: socket.socket) -> None:
    """A body that comes byte by byte."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.1)


def drips_in_its_head(connection: socket.socket) -> None:
    """Headers that come byte by byte: urllib3's time limit begins anew with each."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def pages(connection: socket.socket) -> None:
    """Every page of a list leads to another one, with new objects each time."""
    number = 0
    while connection.recv(4096):
        number += 1
        items = [{"metadata": {"name": f"o{number}", "namespace": "shop", "uid": f"{id(connection)}-{number}"}}]
        body = json.dumps({"metadata": {"continue": f"t{number}"}, "items": items}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        time.sleep(0.02)


def diagnose(cloud: Cloud, *flags: str, most: float, **variables: str) -> tuple[int, dict[str, Any], str]:
    """Status, report and stderr of a process that ends within `most` seconds (and the slack)."""
    variables = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_PROXY": "127.0.0.1", **cloud.env, **variables}
    begun = time.monotonic()
    command = [sys.executable, "-m", "kubectl_lbdoctor", "ing", "web", "-o", "json", *flags]
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=most + 60, stdin=subprocess.DEVNULL
    )
    seconds = time.monotonic() - begun
    assert seconds < most + SLACK, f"{seconds:.1f}s: {done.stderr}"
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def failed(report: dict[str, Any]) -> list[str]:
    return [entry["error"] for entry in report["coverage"]["failed"]]


@pytest.mark.parametrize("talk", [silent, drips, drips_in_its_head])
def test_aws_that_answers_nothing_is_given_up_after_seconds(cloud: Cloud, talk: Talk) -> None:
    with server(talk) as url:
        status, report, _ = diagnose(cloud, AWS_ENDPOINT_URL=url, most=8)
    assert (status, report["status"]) == (3, "unknown")
    assert any("AWS has answered nothing for 4s" in error for error in failed(report))
    assert report["coverage"]["known"] > 10, "what Kubernetes told is kept"


@pytest.mark.parametrize("talk", [silent, drips, drips_in_its_head, pages])
def test_a_run_ends_at_its_deadline(cloud: Cloud, talk: Talk) -> None:
    with server(talk) as url:
        cloud.write_kubeconfig(url)
        status, report, said = diagnose(cloud, "--timeout", "2s", "--no-aws", most=2)
    assert (status, report["status"]) == (3, "unknown"), said
    assert any("no answer within the 2s of this run" in error for error in failed(report)), failed(report)


@pytest.mark.parametrize("talk", [drips, drips_in_its_head])
def test_a_request_ends_at_its_own_timeout(cloud: Cloud, talk: Talk) -> None:
    with server(talk) as url:
        cloud.write_kubeconfig(url)
        _, report, said = diagnose(cloud, "--request-timeout", "1s", "--timeout", "0", "--no-aws", most=6)
    assert any("timed out after 1s" in error for error in failed(report)), said


def test_a_cause_that_is_proven_is_told_at_the_deadline(cloud: Cloud, tmp_path: Path) -> None:
    """The credentials of AWS come from a command that hangs; the Service names a port that no pod has."""
    cloud.wrong_port()
    config = tmp_path / "aws-config"
    config.write_text("[default]\ncredential_process = sleep 600\nregion = us-west-2\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del cloud.env[name]
    cloud.env["AWS_CONFIG_FILE"] = str(config)
    status, report, said = diagnose(cloud, "--timeout", "4s", most=4)
    assert status in (1, 3) and report["coverage"]["known"] > 10, said
    assert any("the AWS credentials: no answer within the 4s" in entry for entry in report["coverage"]["notAsked"])


def test_a_credential_plugin_that_hangs_ends_the_run(cloud: Cloud, tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["600"]}
    document = json.loads(cloud.kubeconfig.read_text())
    document["users"][0]["user"] = {"exec": {**plugin, "interactiveMode": "IfAvailable"}}
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"  # no plugin is asked for a server without TLS
    cloud.kubeconfig.write_text(json.dumps(document))
    status, _, said = diagnose(cloud, "--timeout", "2s", most=2)
    assert status == 4 and "sleep 600 (credentials of kubeconfig user 'dev') gave no answer in " in said


def test_a_time_that_is_none_is_refused(cloud: Cloud) -> None:
    status, _, said = diagnose(cloud, "--timeout", "soon", most=2)
    assert status == 2 and "--timeout 'soon' is not a duration" in said
