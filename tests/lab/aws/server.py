"""The HTTP server: moto's services behind the denials layer, and the lab's own paths below /lab."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from tests.lab.aws.denials import ControlFile, Denials

Handler = Callable[[], Any]


class Quiet(WSGIRequestHandler):
    # SDKs keep connections open; with HTTP/1.0 each call would need a new one.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Thousands of polls are no news; calls can be counted at /lab/calls."""


class LabPaths:
    """What is not AWS: `GET /lab/calls` and the like; answers are JSON."""

    def __init__(self, app: Denials) -> None:
        self._app = app
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/lab/calls"): app.calls,
            ("DELETE", "/lab/calls"): app.reset,
        }
        self._lock = threading.Lock()

    def add(self, method: str, path: str, handler: Handler) -> None:
        self._handlers[method, path] = handler

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/lab/"):
            return self._app(environ, start_response)
        handler = self._handlers.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        status, answer = "404 NOT FOUND", None
        if handler is not None:
            with self._lock:
                status, answer = "200 OK", handler()
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def build(host: str, port: int, control: ControlFile) -> tuple[BaseWSGIServer, LabPaths, threading.Event]:
    """The server, its paths below /lab, and an event that is set when a call may have changed something."""
    denials = Denials(DomainDispatcherApplication(create_backend_app), control)
    app = LabPaths(denials)
    server = make_server(host, port, app, threaded=True, request_handler=Quiet)
    return server, app, denials.changed
