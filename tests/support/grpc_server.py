"""A gRPC server of another make than what the product and the lab read its answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc


def echo(message: bytes, context: grpc.ServicerContext) -> bytes:
    return message


def unavailable(message: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")
    raise AssertionError


@contextmanager
def serve(method: str, answer: Callable[[bytes, grpc.ServicerContext], bytes]) -> Iterator[int]:
    """The port of a server with this one method ("/package.Service/Method")."""
    service, name = method.strip("/").split("/")
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.method_handlers_generic_handler(service, {name: grpc.unary_unary_rpc_method_handler(answer)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None)
