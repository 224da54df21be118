"""Requests as kubectl's -v shows them: from level 6 on each one, from level 8 on with its headers. No credentials."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

REQUESTS, HEADERS = 6, 8
"""kubectl's levels: https://kubernetes.io/docs/reference/kubectl/quick-reference/#kubectl-output-verbosity-and-debugging"""

_SECRET = re.compile(r"authorization|cookie|token|secret|password|credential|signature|api-?key", re.IGNORECASE)
"""Names of headers and of values in a query that say who asks."""
_MASKED = "<masked>"


class RequestLog:
    """Writes a line for each request that has ended. tell: takes lines; it is called by several threads."""

    def __init__(self, level: int, tell: Callable[[str], None]) -> None:
        self._headers = level >= HEADERS
        self._tell = tell

    def ended(
        self,
        method: str,
        url: str,
        begun: float,
        status: int,
        sent: Iterable[Any],
        received: Iterable[Any],
        what: str = "",
    ) -> None:
        """A request that was answered. begun: by `time.monotonic`. sent, received: pairs of headers. what: the name of
        an operation that the URL does not tell."""
        phrase = next((f" {known.phrase}" for known in HTTPStatus if known == status), "")
        lines = [f"{self._start(method, url, what)} {status}{phrase} in {_milliseconds(begun)} milliseconds"]
        if self._headers:
            lines += ["Request Headers:", *_lines(sent), "Response Headers:", *_lines(received)]
        self._tell("\n".join(map(_harmless, lines)))

    def broke(self, method: str, url: str, begun: float, error: BaseException, what: str = "") -> None:
        """A request that got no answer."""
        name = type(error).__name__
        line = f"{self._start(method, url, what)} no answer ({name}) in {_milliseconds(begun)} milliseconds"
        self._tell(_harmless(line))

    @staticmethod
    def _start(method: str, url: str, what: str) -> str:
        return f"{method} {_shown(url)}" + (f" ({what})" if what else "")


def _harmless(line: str) -> str:
    """A line without what a server might put into a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _milliseconds(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)


def _lines(headers: Iterable[Any]) -> list[str]:
    return [f"    {_text(name)}: {_value(_text(name), _text(value))}" for name, value in headers]


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _value(name: str, value: str) -> str:
    """The value of a header; of one that says who asks, only the scheme, and addresses without logins."""
    if name.lower() in ("location", "referer"):
        return _shown(value)
    if not _SECRET.search(name):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {_MASKED}" if space and name.lower() == "authorization" else _MASKED


def _shown(url: str) -> str:
    """A URL without login, and without signatures and tokens in its query."""
    parts = urlsplit(url)
    pairs = [pair.partition("=") for pair in parts.query.split("&")] if parts.query else []
    query = "&".join(
        f"{name}={_MASKED}" if _SECRET.search(name) else f"{name}{sign}{value}" for name, sign, value in pairs
    )
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


class LoggedPool:
    """A urllib3 pool manager whose requests are logged."""

    def __init__(self, pool: Any, log: RequestLog) -> None:
        self._pool = pool
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def request(self, method: str, url: str, **settings: Any) -> Any:
        """As the pool does."""
        begun = time.monotonic()
        try:
            response = self._pool.request(method, url, **settings)
        except Exception as error:
            self._log.broke(method, url, begun, error)
            raise
        sent = settings.get("headers") or {}
        self._log.ended(method, url, begun, response.status, sent.items(), response.headers.items())
        return response


class LoggedAws:
    """botocore's events "before-send" and "response-received", which come in the same thread, once for each attempt.

    https://docs.aws.amazon.com/boto3/latest/guide/events.html
    """

    def __init__(self, log: RequestLog) -> None:
        self._log = log
        self._sent = threading.local()

    def register(self, client: Any, service: str) -> None:
        """Log the requests of a client from now on."""

        def sent(event_name: str, request: Any = None, **_ignored: Any) -> None:
            self._sent.request, self._sent.begun = request, time.monotonic()

        def received(event_name: str, response_dict: Any = None, exception: Any = None, **_ignored: Any) -> None:
            request = getattr(self._sent, "request", None)
            if request is None:
                return
            self._sent.request = None
            what = f"{service}:{event_name.rpartition('.')[2]}"
            if response_dict is None:
                self._log.broke(request.method, request.url, self._sent.begun, exception or OSError(), what)
            else:
                status, headers = response_dict["status_code"], response_dict["headers"]
                self._log.ended(
                    request.method,
                    request.url,
                    self._sent.begun,
                    status,
                    request.headers.items(),
                    headers.items(),
                    what,
                )

        client.meta.events.register("before-send", sent)
        client.meta.events.register("response-received", received)
