"""The only module that reads through botocore.

One generic call with the API's own operation names: paging, retries and error translation are the same for every
operation, and the name in the code is the name in the IAM policy and in the evidence.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, overload

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.aws_api.session import (
    NO_CREDENTIALS_CAME,
    PATIENCE,
    AwsSession,
    credentials_error,
    import_sdk,
)
from kubectl_lbdoctor.collect.deadline import Deadline, Late
from kubectl_lbdoctor.collect.request_log import LoggedAws, RequestLog
from kubectl_lbdoctor.errors import AwsApiError, LbdoctorError, NoCredentials, ReadDenied, ReadFailed, Unreachable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.shell import shell
from kubectl_lbdoctor.permission import Permission

__all__ = ["AwsReader", "import_sdk"]

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 10.0
"""Seconds. A reachable endpoint accepts in milliseconds; the slowest describe calls answer in a few seconds."""

SILENCE = 4.0
"""Seconds for which a service that has answered nothing yet is waited for, from the first request to it on: its retries
would only be silent, too."""

MAX_ATTEMPTS = 4
"""Times that one request is sent in all. Adaptive mode also slows the client down when AWS throttles."""

MAX_BODY = 8 << 20
"""Bytes of a body that is no document (S3)."""

MAX_CONNECTIONS = 16
"""Connections per service: one per concurrent read of the collector (botocore's default is 10)."""

# IAM action prefixes that differ from the name that requests are signed with
# (https://docs.aws.amazon.com/service-authorization/latest/reference/).
_IAM_PREFIX = {"tagging": "tag", "monitoring": "cloudwatch"}

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html and
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html; query APIs leave out the "Exception" suffix.
_DENIED = {
    "AccessDenied", "AuthorizationError", "NotAuthorized", "OperationNotPermitted", "UnauthorizedAccess",
    "UnauthorizedOperation",
}  # fmt: skip
_CREDENTIALS = {
    "AuthFailure", "ExpiredToken", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
    "InvalidSignature", "InvalidToken", "MissingAuthenticationToken", "OptInRequired", "RequestExpired",
    "SignatureDoesNotMatch", "UnrecognizedClient",
}  # fmt: skip
_THROTTLED = {
    "BandwidthLimitExceeded", "EC2Throttled", "PriorRequestNotComplete", "RequestLimitExceeded", "RequestThrottled",
    "SlowDown", "Throttled", "Throttling", "TooManyRequests",
}  # fmt: skip
_SERVER_SIDE = {"InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable", "RequestTimeout"}

# botocore exceptions about finding or renewing credentials, by name: not every botocore >= 1.35 has all of them.
_CREDENTIAL_ERRORS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound", "ConfigNotFound",
    "ConfigParseError", "InvalidConfigError", "InfiniteLoopConfigError", "UnknownCredentialError",
    "RefreshWithMFAUnsupportedError", "MetadataRetrievalError", "TokenRetrievalError", "NoAuthTokenError", "SSOError",
    "SSOTokenLoadError", "UnauthorizedSSOTokenError", "LoginError", "LoginRefreshRequired", "LoginTokenLoadError",
    "LoginInsufficientPermissions", "LoginAuthorizationCodeError", "UnknownTokenProviderError",
}  # fmt: skip


class AwsReader:
    """Reads of one account and region; safe to use from many threads. log: where requests are noted.

    `calls` counts requests that were sent, retries included, by "service:Operation". `refused`: whether AWS has not
    accepted the credentials, or they could not be had; a new session may find others. Calls end at the deadline, and
    those of a service that has answered nothing at all after SILENCE. Where no request could be sent yet, for want of
    credentials (a role is asked for at the first call), they end after `aws_session.PATIENCE`.
    """

    def __init__(
        self,
        session: AwsSession,
        *,
        read_timeout: float = READ_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        max_attempts: int = MAX_ATTEMPTS,
        deadline: Deadline | None = None,
        log: RequestLog | None = None,
    ) -> None:
        from botocore.config import Config

        self.session = session
        self.region = session.region
        self.calls: Counter[str] = Counter()
        self.refused = False
        self._read_timeout = read_timeout
        self._deadline = deadline or Deadline()
        self._begun_at = float("inf")
        self._log = LoggedAws(log) if log is not None else None
        self._asked_at: dict[str, float] = {}
        self._heard: set[str] = set()
        self._config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "adaptive", "total_max_attempts": max_attempts},
            max_pool_connections=MAX_CONNECTIONS,
            user_agent_extra=f"kubectl-lbdoctor/{__version__}",
        )
        self._clients: dict[str, Any] = {}
        self._paces: dict[str, Pace] = {}
        self._creating = threading.Lock()
        self._counting = threading.Lock()
        self._account = ""
        self._naming = threading.Lock()

    def prepare(self, *services: str) -> None:
        """Create clients early: an ec2 client takes 0.17 s, most of it parsing its service model."""
        for service in services:
            self._client(service)

    @overload
    def call(self, service: str, operation: str, result_key: None = None, **params: Any) -> dict[str, Any]: ...

    @overload
    def call(self, service: str, operation: str, result_key: str, **params: Any) -> list[Any]: ...

    def call(
        self, service: str, operation: str, result_key: str | None = None, **params: Any
    ) -> dict[str, Any] | list[Any]:
        """One operation with all its pages: `call("elbv2", "DescribeTargetGroups", "TargetGroups", Names=[…])`.

        `service` is botocore's name, `operation` and `params` are the API's. With `result_key` the list under that key,
        else the whole answer (its lists joined over all pages, its bodies as bytes, without ResponseMetadata).

        Raises ReadDenied (`permission.action` is the IAM action), NoCredentials, AwsApiError (`code`), ReadFailed,
        Unreachable; ValueError or TypeError for our own mistakes (no such operation, `result_key` is no list). An
        answer that is none of AWS's (a proxy's page) is a ReadFailed.
        """
        from botocore import xform_name
        from botocore.response import StreamingBody

        client = self._client(service)
        method = xform_name(operation)
        if method not in client.meta.method_to_api_mapping:
            raise ValueError(f"{service} has no operation {operation}")

        def ask() -> dict[str, Any]:
            if client.can_paginate(method):
                pages = client.get_paginator(method).paginate(**params)
                return dict(pages.build_full_result())
            answer = dict(getattr(client, method)(**params))
            answer.pop("ResponseMetadata", None)
            # A body comes as it is read: here, where its caller is waited for no longer than the run lasts.
            bodies = {key: value for key, value in answer.items() if isinstance(value, StreamingBody)}
            return answer | {key: body.read(MAX_BODY) for key, body in bodies.items()}

        with self._counting:
            self._begun_at = min(self._begun_at, time.monotonic())
        try:
            return self._asked(service, operation, result_key, ask)
        except NoCredentials:
            self.refused = True
            raise

    def _asked(
        self, service: str, operation: str, result_key: str | None, ask: Callable[[], dict[str, Any]]
    ) -> dict[str, Any] | list[Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._deadline.bound(f"{service}:{operation}", ask, lambda: self._patience(service))
        except Late as late:
            raise self._silent(service, operation) from late
        except ClientError as error:
            self._heard.add(service)
            raise self._refused(service, operation, error) from error
        except BotoCoreError as error:
            raise self._failed(service, operation, error) from error
        except LbdoctorError:
            raise
        except Exception as error:
            # botocore's parsers raise ResponseParserError, and KeyError, TypeError or AttributeError where an answer is
            # well-formed but of another shape than the API's.
            self._heard.add(service)
            raise _not_from_aws(service, operation, f"{type(error).__name__}: {error}") from error
        if result_key is None:
            return answer
        value = answer.get(result_key, [])
        if not isinstance(value, list):
            raise TypeError(f"{service}:{operation}: {result_key} is no list")
        return value

    def account(self) -> str:
        """The account of the credentials, asked for once. It needs no permission
        (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html). Raises as `call` does."""
        with self._naming:
            if not self._account:
                self._account = str(self.call("sts", "GetCallerIdentity")["Account"])
            return self._account

    def keep_pace(self, service: str, pace: Pace) -> None:
        """Let each request of a service, pages and retries included, wait for its turn from now on; a pace that was
        kept before counts no more."""
        kept, self._paces[service] = self._paces.get(service), pace
        if kept is not None:
            return

        def wait(**_ignored: Any) -> None:
            self._paces[service].take()

        def heed(parsed_response: Any = None, **_ignored: Any) -> None:
            code = ((parsed_response or {}).get("Error") or {}).get("Code", "")
            if _base(code) in _THROTTLED:
                self._paces[service].refused()

        events = self._client(service).meta.events
        # Before it is signed: a signature holds for minutes only.
        events.register_first("request-created", wait)
        events.register("response-received", heed)

    def iam_action(self, service: str, operation: str) -> str:
        """The IAM action of an operation: "elasticloadbalancing:DescribeTargetHealth"."""
        if (read := f"{service}:{operation}") in reads.AWS:
            return reads.iam_action(read)
        name = str(self._client(service).meta.service_model.signing_name)
        return f"{_IAM_PREFIX.get(name, name)}:{operation}"

    def _client(self, service: str) -> Any:
        """The client for one service. botocore sessions are not thread-safe, so clients are created one at a time."""
        from botocore.exceptions import BotoCoreError

        client = self._clients.get(service)
        if client is not None:
            return client
        with self._creating:
            if service not in self._clients:
                try:
                    client = self.session.session.create_client(service, region_name=self.region, config=self._config)
                except (BotoCoreError, ValueError) as error:  # ValueError: AWS_ENDPOINT_URL is no URL
                    raise self._failed(service, "", error) from error
                client.meta.events.register("before-send", self._count)
                client.meta.events.register("response-received", self._hear)
                client.meta.events.register("after-call", _check_answer)
                if self._log is not None:
                    self._log.register(client, service)
                self._clients[service] = client
            return self._clients[service]

    def _count(self, event_name: str, **_ignored: Any) -> None:
        """botocore's "before-send.<service id>.<Operation>" event, once for each request."""
        service_id, _, operation = event_name.removeprefix("before-send.").rpartition(".")
        service = _boto_name(service_id)
        with self._counting:
            self.calls[f"{service}:{operation}"] += 1
            self._asked_at.setdefault(service, time.monotonic())

    def _hear(self, event_name: str, response_dict: Any = None, **_ignored: Any) -> None:
        """botocore's "response-received.<service id>.<Operation>" event, after each request, answered or not."""
        if response_dict is not None:
            service_id = event_name.split(".")[1]
            self._heard.add(_boto_name(service_id))

    def _patience(self, service: str) -> float:
        """Seconds for which a call is waited for. Where nothing at all has come from AWS, what was asked first decides:
        the way to all of its services is the same."""
        if service in self._heard:
            return float("inf")
        with self._counting:
            asked = self._asked_at.get(service) if self._heard else min(self._asked_at.values(), default=None)
            sent = bool(self._asked_at)
        if not sent and not self._deadline.chosen:
            return self._begun_at + PATIENCE - time.monotonic()
        return float("inf") if asked is None else asked + SILENCE - time.monotonic()

    def _silent(self, service: str, operation: str) -> LbdoctorError:
        if not self._asked_at:
            return NoCredentials(*NO_CREDENTIALS_CAME)
        silent = service if self._heard else "AWS"
        return Unreachable(
            f"{service}:{operation} timed out: {silent} has answered nothing for {SILENCE:g}s",
            "check the network, HTTPS_PROXY and AWS_ENDPOINT_URL" + self._region_note(),
        )

    # --- What went wrong ---

    def _refused(self, service: str, operation: str, error: Any) -> LbdoctorError:
        """Our error for an error code that AWS answered with."""
        details = error.response.get("Error") or {}
        code = str(details.get("Code") or "")
        said = _shortened(str(details.get("Message") or ""))
        what = f"{service}:{operation}"
        base = _base(code)
        if base in _DENIED or base.startswith("AccessDenied"):
            return self._denied(service, operation, said)
        if base in _CREDENTIALS:
            return NoCredentials(
                f"AWS does not accept the credentials{self._profile_note()}, as {what} says: {code}: {said}",
                f"check with: aws sts get-caller-identity{self._profile_option()}; "
                "expired ones are renewed with aws sso login or by your own sign-in",
            )
        if base in _THROTTLED:
            tried = f"{code} after {self._attempts(error)} attempts"
            return ReadFailed(f"{what} was throttled ({tried})", "try again in a minute")
        status = (error.response.get("ResponseMetadata") or {}).get("HTTPStatusCode", 0)
        if base in _SERVER_SIDE or status >= 500:
            return ReadFailed(f"{what} failed inside AWS ({code or status}: {said or 'no explanation'})")
        return AwsApiError(f"{what} failed: {code}: {said or 'no explanation'}", code)

    def _denied(self, service: str, operation: str, said: str) -> ReadDenied:
        named = re.search(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9]+)", said)
        action = named.group(1) if named else self.iam_action(service, operation)
        who = re.search(r"(arn:aws[a-z-]*:(?:iam|sts)::\d*:\S+?)(?= is not authorized|[\s,;]|$)", said)
        principal = who.group(1) if who else f"the AWS identity{self._profile_note()}"
        if "explicit deny" in said:
            denying = re.search(r"explicit deny in an? ([a-z ]+policy|permissions boundary)", said)
            hint = f"{denying.group(1) if denying else 'a policy'} denies it; allowing it elsewhere does not help"
        else:
            policy = "iam" if operation.startswith(("Describe", "Get", "List")) else "iam --fix"
            hint = f"allow {action} (kubectl lbdoctor policy {policy} prints the whole policy)"
        return ReadDenied(
            f"{principal} may not call {action}: {said or 'access denied'}", Permission(action=action), hint
        )

    def _failed(self, service: str, operation: str, error: Exception) -> LbdoctorError:
        """Our error for what botocore itself raises: no credentials, no connection, no answer."""
        kind = type(error).__name__
        what = f"{service}:{operation}" if operation else f"the {service} client"
        text = " ".join(str(error).split())
        if kind in _CREDENTIAL_ERRORS:
            return credentials_error(error, self.session.profile)
        if kind in ("ReadTimeoutError", "ResponseStreamingError", "IncompleteReadError", "ConnectionClosedError"):
            if kind == "ReadTimeoutError":
                return ReadFailed(f"{what} timed out after {self._read_timeout:g}s")
            return ReadFailed(f"{what} failed: the connection broke: {text}")
        if kind == "ProxyConnectionError" and "://socks" in text:
            # It makes http://socks5://… of the address. The AWS CLI has the same limit.
            return Unreachable(
                f"AWS cannot be reached for {what}: botocore knows no SOCKS proxies, and HTTPS_PROXY names one",
                "name an HTTP proxy, or let AWS be asked without one: NO_PROXY=.amazonaws.com,.api.aws",
            )
        if kind in ("EndpointConnectionError", "ConnectTimeoutError", "SSLError", "ProxyConnectionError"):
            return Unreachable(
                f"AWS cannot be reached for {what}: {text}",
                "check the network, HTTPS_PROXY and AWS_ENDPOINT_URL" + self._region_note(),
            )
        if kind in ("UnknownEndpointError", "InvalidRegionError", "EndpointResolutionError", "UnknownRegionError"):
            return Unreachable(f"AWS cannot be reached for {what}: {text}", "check --region" + self._region_note())
        return ReadFailed(f"{what} failed: {kind}: {text}")

    def _profile_option(self) -> str:
        return f" {shell('--profile', self.session.profile)}" if self.session.profile else ""

    def _profile_note(self) -> str:
        if self.session.profile:
            return f" of profile {self.session.profile!r}"
        return f" ({self.session.profile_source})" if self.session.profile_source else ""

    def _region_note(self) -> str:
        return f"; the region {self.region} comes from {self.session.region_source}"

    def _attempts(self, error: Any) -> int:
        return int((error.response.get("ResponseMetadata") or {}).get("RetryAttempts", 0)) + 1


def _base(code: str) -> str:
    """An error code without what some services put around it."""
    return code.removeprefix("Client.").removesuffix("Exception")


def _boto_name(service_id: str) -> str:
    """botocore's name of a service, by the id that botocore's events carry."""
    return {"elastic-load-balancing-v2": "elbv2"}.get(service_id, service_id)


def _check_answer(http_response: Any, model: Any, **_ignored: Any) -> None:
    """botocore's "after-call" event. Its parsers are lenient: the one of EC2 makes an empty list of any XML, and the
    one of JSON an empty answer of any text, a proxy's page included. The answer of an XML protocol has the root element
    <OperationResponse>, which is never empty (EC2's has a requestId), one in JSON is an object that has a member of the
    operation's output.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/making-api-requests.html and
    https://docs.aws.amazon.com/eks/latest/APIReference/API_Operations.html
    """
    service = model.service_model
    if http_response.status_code >= 300:
        return
    protocol = getattr(service, "resolved_protocol", service.metadata.get("protocol"))
    good = True
    if protocol in ("ec2", "query"):
        good = _has_root(http_response.content, f"{model.name}Response", filled=protocol == "ec2")
    elif protocol in ("json", "rest-json"):
        good = _has_member(http_response.content, model.output_shape)
    if not good:
        kind = http_response.headers.get("content-type") or "no content type"
        raise _not_from_aws(_boto_name(service.service_id.hyphenize()), model.name, f"it says {kind}")


_BEFORE_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}(?:<\?xml[^>]{0,200}\?>\s{0,100})?<([\w.-]{1,200})(?=[\s/>])")
_FILLED_ROOT = re.compile(rb"[^<>]{0,500}(?<!/)>\s{0,100}<[\w.-]")


def _has_root(body: bytes, name: str, filled: bool) -> bool:
    """Whether a document has this root element. filled: and something in it (botocore sees to that where a protocol
    wraps its results)."""
    found = _BEFORE_ROOT.match(body)
    if found is None or found[1] != name.encode():
        return False
    return not filled or _FILLED_ROOT.match(body, found.end()) is not None


def _has_member(body: bytes, shape: Any) -> bool:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    members = {member.serialization.get("name", name) for name, member in shape.members.items()} if shape else set()
    return isinstance(document, dict) and (not members or not members.isdisjoint(document))


def _not_from_aws(service: str, operation: str, detail: str) -> ReadFailed:
    return ReadFailed(
        f"{service}:{operation} was answered with something that is no answer of AWS ({_shortened(detail)[:200]})",
        "something between here and AWS answers in its place: check HTTPS_PROXY and AWS_ENDPOINT_URL",
    )


def _shortened(message: str) -> str:
    """AWS's message on one line, without the kilobyte of base64 that EC2 adds to a denial."""
    return " ".join(re.sub(r"Encoded authorization failure message: \S+", "", message).split())
