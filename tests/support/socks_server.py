"""A small SOCKS5 proxy (RFC 1928, RFC 1929) that notes what is asked; every name leads to the loopback."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """port: where it listens. asked: host and port of each connection, as the client has named them. login: the user
    and password that clients have to give, and those that they gave."""

    port: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)
    login: tuple[str, str] | None = None


@contextmanager
def serving(login: tuple[str, str] | None = None) -> Iterator[Proxy]:
    """A proxy on the loopback."""
    proxy = Proxy(login=login)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            with suppress(OSError):
                _, number = self._read(2)
                offered = self._read(number)
                if login is not None:
                    if 2 not in offered:
                        client.sendall(b"\x05\xff")
                        return
                    client.sendall(b"\x05\x02")
                    name = self._read(self._read(2)[1])
                    password = self._read(self._read(1)[0])
                    right = (name.decode(), password.decode()) == login
                    client.sendall(b"\x01\x00" if right else b"\x01\x01")
                    if not right:
                        return
                else:
                    client.sendall(b"\x05\x00")
                _, _, _, kind = self._read(4)
                if kind == 3:
                    host = self._read(self._read(1)[0]).decode()
                else:
                    host = socket.inet_ntop(
                        *((socket.AF_INET, self._read(4)) if kind == 1 else (socket.AF_INET6, self._read(16)))
                    )
                port = int.from_bytes(self._read(2), "big")
                proxy.asked.append((host, port))
                with socket.create_connection(("127.0.0.1", port)) as server:
                    client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
                    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                    back.start()
                    _pump(client, server)
                    back.join(5)

        def _read(self, size: int) -> bytes:
            data = b""
            while len(data) < size:
                piece = self.request.recv(size - len(data))
                if not piece:
                    raise OSError("the client has gone")
                data += piece
            return data

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = Server(("127.0.0.1", 0), Handler)
    proxy.port = int(server.server_address[1])
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
