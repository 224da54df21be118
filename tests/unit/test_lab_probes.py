"""The lab's load balancers read what a target answers over HTTP/2."""

from __future__ import annotations

import asyncio

import pytest

from tests.lab.aws import probes
from tests.support import grpc_server

SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def headers(block: bytes) -> bytes:
    return len(block).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + block


def check(port: int, version: str, matcher: str, path: str = "/") -> probes.Check:
    return probes.Check(
        "127.0.0.1", "127.0.0.1", port, "HTTP", version, path, "web", matcher, 5.0, network=False, proxy_header=False
    )


def verdict_on(answer: bytes, version: str, matcher: str) -> probes.Outcome | None:
    """The outcome of a check of a target that answers with these bytes."""

    async def target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    async def both() -> probes.Outcome | None:
        server = await asyncio.start_server(target, "127.0.0.1", 0)
        async with server:
            return await probes.send(check(server.sockets[0].getsockname()[1], version, matcher))

    return asyncio.run(both())


@pytest.mark.parametrize("block", [b"\x8d", b"\x08\x03404", b"\x00\x07:status\x03404", b"\x10\x07:status\x03404"])
def test_status_in_every_form(block: bytes) -> None:
    assert verdict_on(SETTINGS + headers(block), "HTTP2", "200-404") == probes.OK
    assert verdict_on(SETTINGS + headers(block), "HTTP2", "200") == probes.mismatch(404)
    assert verdict_on(SETTINGS + headers(block), "GRPC", "0-500") == probes.mismatch(404)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", SETTINGS, SETTINGS + headers(b"")])
def test_no_answer(answer: bytes) -> None:
    assert verdict_on(answer, "HTTP2", "200") == probes.FAILED


def test_a_real_grpc_server() -> None:
    with grpc_server.serve("/shop.Web/Check", grpc_server.echo) as port:
        ours = asyncio.run(probes.send(check(port, "GRPC", "0", "/shop.Web/Check")))
        another = asyncio.run(probes.send(check(port, "GRPC", "0", "/AWS.ALB/healthcheck")))
    assert (ours, another) == (probes.OK, probes.mismatch(12))
