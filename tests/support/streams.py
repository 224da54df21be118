"""Streams for the probe's protocols: a target that answers by a script, and one at the end of a real connection."""

from __future__ import annotations

import socket

from kubectl_lbdoctor.probe import stream


class Script:
    """A target that answers with these chunks, then closes (or stays silent)."""

    def __init__(self, *chunks: bytes, silent: bool = False) -> None:
        self.sent = b""
        self._chunks = list(chunks)
        self._silent = silent

    def send(self, data: bytes) -> None:
        self.sent += data

    def receive(self) -> bytes:
        if self._chunks:
            return self._chunks.pop(0)
        if self._silent:
            raise stream.Late
        return b""


class Connected:
    """A TCP connection to a server of this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def __enter__(self) -> Connected:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except TimeoutError:
            raise stream.Late from None
