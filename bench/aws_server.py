"""The AWS side of a world over HTTP: reads of ELBv2 and EC2 from the world itself, all else from moto.

moto's own models are not filled: seven hundred load balancers would take minutes to make, and its targets have neither
zones nor reason codes. Its parsers and serializers speak the protocol. Nothing can be written.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.datastructures import MultiDict
from werkzeug.serving import WSGIRequestHandler, make_server

from bench.world import MemoryAws, World

# By the name that requests are signed with: boto3's name, and the operations' result keys.
_ELB = {
    "DescribeTargetGroups": "TargetGroups",
    "DescribeTargetHealth": "TargetHealthDescriptions",
    "DescribeLoadBalancers": "LoadBalancers",
    "DescribeListeners": "Listeners",
    "DescribeRules": "Rules",
    "DescribeTargetGroupAttributes": "Attributes",
    "DescribeLoadBalancerAttributes": "Attributes",
    "DescribeTags": "TagDescriptions",
}
_EC2 = {
    "DescribeNetworkInterfaces": "NetworkInterfaces",
    "DescribeSecurityGroups": "SecurityGroups",
    "DescribeSubnets": "Subnets",
    "DescribeNetworkAcls": "NetworkAcls",
    "DescribeRouteTables": "RouteTables",
    "GetManagedPrefixListEntries": "Entries",
}
_SERVICES = {"elasticloadbalancing": ("elbv2", _ELB), "ec2": ("ec2", _EC2)}
_SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")


class _Quiet(WSGIRequestHandler):
    # SDKs keep connections open; with HTTP/1.0 each call would need a new one.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Thousands of reads are no news."""


class WorldApplication:
    def __init__(self, world: World) -> None:
        self._reader = MemoryAws(world)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._models = {name: get_service_model(name) for name, _ in _SERVICES.values()}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        signed = _SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
        service, results = _SERVICES.get(signed.group(1) if signed else "", ("", {}))
        if not service:
            return self._moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        values = MultiDict(parse_qsl(body, keep_blank_values=True))
        operation = values.get("Action", "")
        if operation not in results:
            return _answer(start_response, "501 Not Implemented", {}, f"{service}:{operation} is not served here")
        model = self._models[service].operation_model(operation)
        asked = PROTOCOL_PARSERS[model.service_model.protocol](model).parse({"values": values})  # type: ignore[typeddict-item]
        found = {results[operation]: self._reader.call(service, operation, results[operation], **asked)}
        serializer = get_serializer_class(service, model.service_model.protocol)(operation_model=model)
        answer = serializer.serialize(found)
        return _answer(start_response, "200 OK", answer["headers"], answer["body"])


def _answer(start_response: Callable[..., Any], status: str, headers: Any, body: str | bytes) -> list[bytes]:
    raw = body.encode() if isinstance(body, str) else body
    others = [(k, v) for k, v in dict(headers).items() if k.lower() != "content-length"]
    start_response(status, [*others, ("Content-Length", str(len(raw)))])
    return [raw]


def start(world: World) -> str:
    """Serve in a thread, on a free port, as long as this process lives; returns the URL."""
    server = make_server("127.0.0.1", 0, WorldApplication(world), threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
