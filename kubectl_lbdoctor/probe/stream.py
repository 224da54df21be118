"""One connection to a target: what comes from it, bounded, and every way in which it ends without an answer."""

from __future__ import annotations

from typing import Protocol

from kubectl_lbdoctor.model.probe import Outcome
from kubectl_lbdoctor.record import record

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are looked at: the head of any sane one."""


class Stream(Protocol):
    """Bytes to and from a target. `receive` gives b"" at the end, and raises Late and what the stream itself raises."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes: ...


class Late(Exception):
    """No answer in time."""


class Refused(Exception):
    """Nothing listens on the port."""


class Broken(Exception):
    """The way to the target failed: nothing is known of the target."""


@record
class Said:
    """What came back, in the terms of ProbeAnswer."""

    outcome: Outcome
    status: int | None = None
    location: str = ""
    detail: str = ""


class Garbled(Exception):
    """Something else than the protocol came back; its text says what."""


class Reader:
    """Takes an answer apart, up to MAX_ANSWER bytes of it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = b""
        self._taken = 0

    def _more(self) -> None:
        data = self._stream.receive()
        if not data:
            if self._buffer:
                raise Garbled(f"the answer ends after: {shown(self._buffer)}")
            raise EOFError
        self._buffer += data

    def until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if len(self._buffer) > MAX_ANSWER:
                raise Garbled(f"no end of the head after {MAX_ANSWER // 1024} KiB")
            self._more()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def exactly(self, size: int) -> bytes:
        self._taken += size
        if self._taken > MAX_ANSWER:
            raise Garbled(f"no status within {MAX_ANSWER // 1024} KiB")
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def start(self, size: int) -> bytes:
        """The first bytes without taking them."""
        while len(self._buffer) < size:
            self._more()
        return self._buffer[:size]


def shown(data: bytes) -> str:
    return repr(data[:_SHOWN].decode("latin-1"))


_SHOWN = 80
