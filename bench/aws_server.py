"""The AWS side of a world over HTTP: reads of ELBv2 and EC2 from the world itself, all else from moto.

moto's own models are not filled: seven hundred load balancers would take minutes to make, and its targets have neither
zones nor reason codes. Its parsers and serializers speak the protocol. Nothing can be written. With an `Account`, more
requests than AWS allows are refused, and every answer takes as long as one from a region nearby.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.datastructures import MultiDict
from werkzeug.serving import WSGIRequestHandler, make_server

from bench.allowance import REFUSALS, Account
from bench.world import MemoryAws, World

LATENCY = 0.08
"""Seconds."""

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
    def __init__(self, world: World, account: Account | None = None) -> None:
        self._account = account
        self._reader = MemoryAws(world)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._models = {name: get_service_model(name) for name, _ in _SERVICES.values()}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        signed = _SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
        name = signed.group(1) if signed else ""
        service, results = _SERVICES.get(name, ("", {}))
        if not service and name != "monitoring":
            return self._moto(environ, start_response)
        if self._account is not None:
            time.sleep(LATENCY)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        if not service:
            return self._counts(body, start_response)
        values = MultiDict(parse_qsl(body, keep_blank_values=True))
        operation = values.get("Action", "")
        if operation not in results:
            return _answer(start_response, "501 Not Implemented", {}, f"{service}:{operation} is not served here")
        if self._account is not None and not self._account.admits(service, operation):
            status, refusal = REFUSALS[service]
            return _answer(start_response, status, {"Content-Type": "text/xml"}, refusal)
        model = self._models[service].operation_model(operation)
        asked = PROTOCOL_PARSERS[model.service_model.protocol](model).parse({"values": values})  # type: ignore[typeddict-item]
        found = _page(results[operation], self._reader.call(service, operation, results[operation], **asked), asked)
        serializer = get_serializer_class(service, model.service_model.protocol)(operation_model=model)
        answer = serializer.serialize(found)
        return _answer(start_response, "200 OK", answer["headers"], answer["body"])

    def _counts(self, body: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """CloudWatch's GetMetricData, the one operation of it that is served: in JSON, with times as seconds."""
        if self._account is not None:
            self._account.admits("cloudwatch", "GetMetricData")
        results = self._reader.call("cloudwatch", "GetMetricData", **json.loads(body))
        for result in results:
            result["Timestamps"] = [at.timestamp() for at in result["Timestamps"]]
        answer = json.dumps({"MetricDataResults": results, "Messages": []})
        return _answer(start_response, "200 OK", {"Content-Type": "application/x-amz-json-1.0"}, answer)


def _page(key: str, found: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
    """What was found, or as much of it as a page holds where pages were asked for."""
    size = asked.get("PageSize")
    if size is None:
        return {key: found}
    start = int(asked.get("Marker") or 0)
    more = {"NextMarker": str(start + size)} if start + size < len(found) else {}
    return {key: found[start : start + size], **more}


def _answer(start_response: Callable[..., Any], status: str, headers: Any, body: str | bytes) -> list[bytes]:
    raw = body.encode() if isinstance(body, str) else body
    others = [(k, v) for k, v in dict(headers).items() if k.lower() != "content-length"]
    start_response(status, [*others, ("Content-Length", str(len(raw)))])
    return [raw]


def start(world: World, account: Account | None = None) -> str:
    """Serve in a thread, on a free port, as long as this process lives; returns the URL. account: counts and limits the
    requests."""
    server = make_server("127.0.0.1", 0, WorldApplication(world, account), threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
