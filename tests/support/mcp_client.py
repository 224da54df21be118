"""The server of `kubectl lbdoctor mcp` as a client has it: a process, spoken to by the package's own client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from subprocess import PIPE
from typing import Any, TypeVar

from mcp import types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

ROOT = Path(__file__).parents[2]

_T = TypeVar("_T")

_BARE = {
    "HOME": "/nonexistent",
    "KUBECONFIG": "/nonexistent/kubeconfig",
    "AWS_CONFIG_FILE": "/nonexistent/aws-config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/aws-credentials",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "us-west-2",
    "NO_PROXY": "127.0.0.1,localhost",
    "PYTHONPATH": str(ROOT),
}

# As in tests/conftest.py: fake servers on a busy machine take seconds for their first answer.
_PATIENT = """
import sys
from unittest import mock
sys.argv[0] = "kubectl-lbdoctor"
for name in ("client.SILENCE", "client.PATIENCE", "session.PATIENCE"):
    mock.patch("kubectl_lbdoctor.collect.aws_api." + name, 60.0).start()
from kubectl_lbdoctor.__main__ import main
main()
"""

Conversation = Callable[[Client], Awaitable[_T]]


def command(*args: str) -> list[str]:
    """The command line of a server."""
    return [sys.executable, "-c", _PATIENT, "mcp", *args]


def talk(
    conversation: Conversation[_T], *args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> _T:
    """What a conversation with a fresh server gives. args: of the server's command line."""

    async def run() -> _T:
        program, *rest = command(*args)
        server = StdioServerParameters(command=program, args=rest, env={**_BARE, **(env or {})}, cwd=cwd or ROOT)
        async with Client(stdio_client(server), read_timeout_seconds=120) as client:
            return await conversation(client)

    return asyncio.run(run())


def call(name: str, *args: str, env: Mapping[str, str] | None = None, **arguments: Any) -> types.CallToolResult:
    """One call of a tool on a fresh server."""
    return talk(lambda client: client.call_tool(name, arguments), *args, env=env)


def said(result: types.CallToolResult) -> str:
    """The text of an answer."""
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    return block.text


def lines(
    *messages: dict[str, Any], args: tuple[str, ...], env: Mapping[str, str] | None = None
) -> tuple[list[Any], str]:
    """What a server writes until it has answered the last of these raw messages: the JSON of each line of stdout, and
    stderr."""
    variables = {"PATH": os.environ["PATH"], **_BARE, **(env or {})}
    with subprocess.Popen(command(*args), text=True, env=variables, stdin=PIPE, stdout=PIPE, stderr=PIPE) as server:
        assert server.stdin is not None and server.stdout is not None and server.stderr is not None
        server.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
        server.stdin.flush()
        answers: list[Any] = []
        while not answers or answers[-1].get("id") != messages[-1]["id"]:
            answers.append(json.loads(server.stdout.readline()))
        server.stdin.close()
        answers += [json.loads(line) for line in server.stdout]
        return answers, server.stderr.read()
