"""A layer in front of moto: checks the caller's key, counts calls, and refuses or slows down what a test asked for.

The control file (topology.aws_control_file()) is a JSON list of
`{"access_key": KEY or "*", "action": "ec2:Describe*", "effect": "deny|throttle|delay|error500|hang", "seconds": 3}`;
the first entry that matches decides. Errors are written as each service writes them, so that SDKs parse them.
"""

from __future__ import annotations

import fnmatch
import io
import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tests.lab import topology
from tests.lab.aws import identity

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# IAM's prefix where it is not the name that requests are signed with.
_PREFIXES = {"tagging": "tag"}
_NAMESPACES = {
    "elasticloadbalancing": "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
}
# Of services whose requests name their action by method and path.
_REST_ACTIONS = (
    ("eks", "GET", r"/clusters/[^/]+", "DescribeCluster"),
    ("eks", "GET", r"/clusters", "ListClusters"),
    ("eks", "GET", r"/clusters/[^/]+/pod-identity-associations", "ListPodIdentityAssociations"),
    ("eks", "GET", r"/clusters/[^/]+/pod-identity-associations/[^/]+", "DescribePodIdentityAssociation"),
    ("eks", "GET", r"/clusters/[^/]+/node-groups", "ListNodegroups"),
    ("eks", "GET", r"/clusters/[^/]+/node-groups/[^/]+", "DescribeNodegroup"),
)
_RESOURCE_PARAMETERS = ("TargetGroupArn", "LoadBalancerArn", "ListenerArn", "RuleArn", "ResourceArns.member.1")
HANG_SECONDS = 120.0


@dataclass(frozen=True)
class Call:
    access_key: str | None
    service: str
    action: str
    # The ARN that the request names, if any.
    resource: str | None = None

    @property
    def iam_action(self) -> str:
        return f"{_PREFIXES.get(self.service, self.service)}:{self.action}"


@dataclass(frozen=True)
class Refusal:
    status: str
    code: str
    message: str


class ControlFile:
    """The list of effects; read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._entries: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def match(self, call: Call) -> dict[str, Any] | None:
        for entry in self._read():
            key = entry.get("access_key", "*")
            if key in ("*", call.access_key) and fnmatch.fnmatchcase(call.iam_action, entry["action"]):
                return entry
        return None

    def _read(self) -> list[dict[str, Any]]:
        with self._lock:
            try:
                stat = self._path.stat()
                stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if stamp != self._stamp:
                    self._entries = json.loads(self._path.read_text())
                    self._stamp = stamp
            except FileNotFoundError:
                self._entries, self._stamp = [], None
            return self._entries


class Denials:
    def __init__(self, app: WsgiApp, control: ControlFile) -> None:
        self._app = app
        self._control = control
        # Set whenever something may have changed, for those who follow AWS's state.
        self.changed = threading.Event()
        self._calls: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        call = parse(environ)
        if call is None:
            return self._app(environ, start_response)
        with self._lock:
            self._calls[call.access_key or "", call.iam_action] += 1
        refusal = self._judge(call)
        if refusal is None:
            answer = self._app(environ, start_response)
            if not call.action.startswith(("Describe", "List", "Get")):
                self.changed.set()
            return answer
        body, headers = render(call.service, refusal)
        start_response(refusal.status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def calls(self) -> dict[str, dict[str, int]]:
        with self._lock:
            counted = dict(self._calls)
        answer: dict[str, dict[str, int]] = {}
        for (key, action), number in sorted(counted.items()):
            answer.setdefault(key, {})[action] = number
        return answer

    def reset(self) -> None:
        with self._lock:
            self._calls.clear()

    def _judge(self, call: Call) -> Refusal | None:
        if call.access_key is None:
            # The only unsigned call of this lab: the web identity token is its credential.
            if call.action == "AssumeRoleWithWebIdentity":
                return None
            return Refusal("403 FORBIDDEN", "MissingAuthenticationToken", "Request is missing Authentication Token")
        arn = identity.arn_of(call.access_key)
        if arn is None:
            return unknown_key(call)
        entry = self._control.match(call)
        if entry is None:
            return None
        effect = entry["effect"]
        if effect in ("delay", "hang"):
            time.sleep(float(entry.get("seconds", HANG_SECONDS if effect == "hang" else 1)))
            return None if effect == "delay" else Refusal("504 GATEWAY TIMEOUT", "RequestTimeout", "Request timed out")
        return refuse(call, effect, arn)


def parse(environ: dict[str, Any]) -> Call | None:
    """Caller, service and action of an AWS request; None for any other request."""
    body = _body(environ)
    is_form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    form = parse_qs(body.decode("utf-8", "replace")) if is_form else {}
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    signed = re.search(r"Credential=([^/,\s]+)/\d+/[^/]*/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    if signed:
        access_key, service = signed.groups()
    elif "Action" in form or target:
        access_key, service = None, "sts" if "AssumeRole" in form.get("Action", [""])[0] else "unsigned"
    else:
        return None
    if "Action" in form:
        action = form["Action"][0]
    elif target:
        action = target.rpartition(".")[2]
    else:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        names = (name for *key, name in _REST_ACTIONS if key[:2] == [service, method] and re.fullmatch(key[2], path))
        action = next(names, f"{method} {path}")
    resource = next((form[name][0] for name in _RESOURCE_PARAMETERS if name in form), None)
    return Call(access_key, service, action, resource)


def _body(environ: dict[str, Any]) -> bytes:
    """The request's body, left in place for moto."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def unknown_key(call: Call) -> Refusal:
    if call.service == "ec2":
        text = "AWS was not able to validate the provided access credentials"
        return Refusal("401 UNAUTHORIZED", "AuthFailure", text)
    text = "The security token included in the request is invalid."
    if call.service in _NAMESPACES:
        return Refusal("403 FORBIDDEN", "InvalidClientTokenId", text)
    return Refusal("403 FORBIDDEN", "UnrecognizedClientException", text)


def refuse(call: Call, effect: str, arn: str) -> Refusal:
    if effect == "deny":
        reason = f"because no identity-based policy allows the {call.iam_action} action"
        if call.service == "ec2":
            text = (
                "You are not authorized to perform this operation. "
                f"User: {arn} is not authorized to perform: {call.iam_action} {reason}"
            )
            return Refusal("403 FORBIDDEN", "UnauthorizedOperation", text)
        code = "AccessDenied" if call.service in _NAMESPACES else "AccessDeniedException"
        text = f"User: {arn} is not authorized to perform: {call.iam_action} on resource: {_resource(call)} {reason}"
        return Refusal("403 FORBIDDEN", code, text)
    if effect == "throttle":
        if call.service == "ec2":
            return Refusal("503 SERVICE UNAVAILABLE", "RequestLimitExceeded", "Request limit exceeded.")
        code = "Throttling" if call.service in _NAMESPACES else "ThrottlingException"
        return Refusal("400 BAD REQUEST", code, "Rate exceeded")
    if effect == "error500":
        code = "InternalError" if call.service == "ec2" else "InternalFailure"
        return Refusal("500 INTERNAL SERVER ERROR", code, "An internal error has occurred")
    raise ValueError(f"unknown effect {effect!r} in the control file")


def _resource(call: Call) -> str:
    if call.action.startswith(("Describe", "List", "Get")):
        return "*"
    if call.resource is not None:
        return call.resource
    return f"arn:aws:{call.service}:{topology.REGION}:{topology.ACCOUNT}:*"


def render(service: str, refusal: Refusal) -> tuple[bytes, list[tuple[str, str]]]:
    request_id = str(uuid.uuid4())
    code, message = refusal.code, escape(refusal.message)
    if service == "ec2":
        error = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        text = f"<Response>{error}<RequestID>{request_id}</RequestID></Response>"
    elif service in _NAMESPACES:
        kind = "Receiver" if refusal.status.startswith("5") else "Sender"
        error = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        space = _NAMESPACES[service]
        text = f'<ErrorResponse xmlns="{space}">{error}<RequestId>{request_id}</RequestId></ErrorResponse>'
    else:
        text = json.dumps({"__type": code, "message": refusal.message})
        return text.encode(), [
            ("Content-Type", "application/json"),
            ("x-amzn-ErrorType", code),
            ("x-amzn-RequestId", request_id),
        ]
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'
    return document.encode(), [("Content-Type", "text/xml;charset=UTF-8"), ("x-amzn-RequestId", request_id)]
