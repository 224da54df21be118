"""The only module that talks to the Kubernetes API.

Raw bytes are parsed with orjson: the typed models of the kubernetes package take longer to build than the answer takes
to arrive, and the generic path needs no code per kind. Every failure leaves here as one of our own errors, with the
request, the permission and the server named. `KubeReader.send` is for the two places that write: `fix.writers`, and the
debug pods of `probe`.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, NoReturn
from urllib.parse import urlencode

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.collect.deadline import Deadline, Late
from kubectl_lbdoctor.collect.kubernetes_api.clock import ServerClock
from kubectl_lbdoctor.collect.kubernetes_api.configuration import open_pool
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import KubeContext
from kubectl_lbdoctor.collect.request_log import LoggedPool, RequestLog
from kubectl_lbdoctor.errors import (
    ApiMissing,
    CouldNotRun,
    LbdoctorError,
    ReadDenied,
    ReadFailed,
    Unreachable,
    WriteRefused,
)
from kubectl_lbdoctor.model.kinds import BUILT_IN_GROUPS, KINDS
from kubectl_lbdoctor.model.shell import shell
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.record import record

PAGE_SIZE = 500
"""Objects per list request, kubectl's own --chunk-size."""

MAX_CONNECTIONS = 16
"""Connections kept open: one per concurrent read of the collector, so that none pays a TLS handshake twice."""

ATTEMPTS = 3
"""Times that one request is sent when the server is overloaded (429, 5xx) or drops the connection."""

MAX_IDLE_PAGES = 10
"""Pages of a list that bring nothing new, one after the other, before it counts as endless."""

MAX_LINE = 8 << 20
"""Bytes of one event of a watch: etcd takes no object of more than 1.5 MiB."""

FIRST_WAIT = 0.2
MAX_WAIT = 5.0
"""Seconds before the second attempt when the server names none, and the longest Retry-After that is waited for."""

GRACE = 0.5
"""Seconds after a request's own limit at which an answer that trickles in is waited for no longer."""

MAX_BODY = 1 << 30
"""Bytes of one answer, unpacked: a page of 500 objects, each as large as etcd takes it (1.5 MiB), is smaller."""

_MAX_PIECE = 64 * 1024
"""Bytes of a body that are taken from the connection at once."""

_AS_IT_COMES: Mapping[str, Any] = {"retries": False, "redirect": False, "preload_content": False}
"""How every request is sent: nothing is repeated or followed behind our back, and the body is read as it arrives."""

Params = Mapping[str, str | int | bool]

_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}


def permission_of(verb: str, path: str) -> Permission:
    """What a request of a URL path needs to be allowed.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
    """
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 1:
        group, rest = parts[1], parts[3:]
    else:
        group, rest = "", []
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    if not rest:
        return Permission((verb,), url=path)
    resource = f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]
    return Permission((verb,), resource, group, namespace)


@record
class _Answer:
    """A complete response. `truncated`: reading stopped at the limit of bytes or time. `authorization`: the header that
    it was asked with."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False
    authorization: str = field(default="", repr=False)


class _OutOfTime(Exception):
    """A response that trickles in for longer than the request may last."""


class _NotUnpacked(Exception):
    """A compressed body that cannot be unpacked; its text says what is wrong with the body."""


class _TooLarge(Exception):
    """A body of more bytes than any answer of the API server has."""


class KubeReader:
    """Reads of one cluster; safe to use from many threads. log: where requests are noted, None for nowhere.

    `calls` counts the requests sent by verb and resource ("list pods"), `bytes_read` the size of their answers in bytes
    (after decompression), `clock` tells what time it is there.
    Besides the errors that its methods name, every read raises CouldNotRun when the server does not accept the
    credentials, ReadDenied when it forbids the read, Unreachable when it cannot be talked to, and ReadFailed. Reads end
    at the deadline; writes do not: how long one may take is the request timeout's matter.
    """

    def __init__(
        self,
        context: KubeContext,
        *,
        max_connections: int = MAX_CONNECTIONS,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        deadline: Deadline | None = None,
        log: RequestLog | None = None,
    ) -> None:
        self.context = context
        self.calls: Counter[str] = Counter()
        self.bytes_read = 0
        self.clock = ServerClock()
        self._attempts = attempts
        self._sleep = sleep
        self._timeout = context.request_timeout
        self._deadline = deadline or Deadline()
        self._counting = threading.Lock()
        self._authenticating = threading.Lock()
        self._pool: Any = open_pool(context.configuration, context.server, context.tls, max_connections, context.socks)
        self.log = log
        if log is not None:
            self._pool = LoggedPool(self._pool, log)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def get(self, path: str, params: Params | None = None) -> dict[str, Any] | None:
        """One object (or any JSON document such as "/version"); None when the object does not exist.

        Raises ApiMissing when the cluster has no such API, so that a missing CRD is not taken for a missing object.
        """
        answer = self._request("get", path, params)
        if answer.status == 404 and _status_document(answer) and not _is_api_missing(answer):
            return None
        return self._document("get", path, answer)

    def list(self, path: str, params: Params | None = None) -> Iterator[dict[str, Any]]:
        """All objects of a collection, page by page; errors are raised while iterating.

        Items of built-in kinds carry neither `kind` nor `apiVersion`: the API server leaves them out of lists.
        `resourceVersion` in `params` counts for the first page alone. When the snapshot behind the pages expires
        (410), the list goes on with the token that comes with the refusal: from the next object on, as it is by now.
        Where there is none, the list starts again once, without what was already given. Pages that bring nothing new
        end the list with ReadFailed. Raises ApiMissing when the cluster does not serve a custom resource; what is built
        into Kubernetes cannot be missing, so that its 404 is ReadFailed.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
        """
        token = renewed = ""
        restarted = False
        given: set[str] = set()
        tokens: set[str] = set()
        idle = 0
        while True:
            query: dict[str, str | int | bool] = {"limit": PAGE_SIZE, **(params or {})}
            if token:
                # "resourceVersion must not be set when using continue" (API concepts, chunked lists)
                query = {key: value for key, value in query.items() if not key.startswith("resourceVersion")}
                query["continue"] = token
            answer = self._request("list", path, query)
            if answer.status == 410 and token and token != renewed:
                renewed = _renewed_token(answer)
                if renewed or not restarted:
                    restarted = restarted or not renewed
                    token = renewed
                    continue
            page = self._document("list", path, answer)
            following = self._continue_token(path, page)
            paged = bool(token or restarted or following)
            before = len(given)
            for item in self._items(path, page):
                if paged:
                    identity = _identity(item)
                    if restarted and identity in given:
                        continue
                    given.add(identity)
                yield item
            idle = 0 if len(given) > before else idle + 1
            if following and idle and (following in tokens or idle >= MAX_IDLE_PAGES):
                raise ReadFailed(
                    f"the pages of {self.context.server} do not end",
                    "something between here and the API server answers in its place: check proxies",
                    request=permission_of("list", path),
                )
            tokens.add(following)
            token = following
            if not token:
                return

    def watch(self, path: str, params: Params, accept: str, silence: float) -> Iterator[bytes]:
        """The lines of a watch, each an event as JSON, as they come; the end is that of the server's answer.

        accept: the form of the objects. silence: seconds without a byte after which the connection is given up. Raises
        what other reads raise before the first line, and ReadFailed where the connection breaks. No deadline ends it.
        https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
        """
        import urllib3

        query = {"watch": "1", **{key: _query_value(value) for key, value in params.items()}}
        headers = self.headers()
        headers["Accept"], headers["Accept-Encoding"] = accept, "identity"
        with self._counting:
            self.calls[f"watch {permission_of('watch', path).what}"] += 1
        try:
            response = self._pool.request(
                "GET",
                f"{self.context.server}{path}?{urlencode(query)}",
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timeout, read=silence),
                **_AS_IT_COMES,
            )
            if response.status != 200:
                body, _ = _read(response, None, MAX_LINE)
                answer = _Answer(response.status, response.headers, body)
                if answer.status == 401:
                    self._may_renew(headers.get("Authorization", ""))  # whoever watches begins again
                    raise self._unauthorized(answer)
                self._refused("watch", path, answer)
            yield from _lines(response)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._not_answered("watch", path, error) from error

    def text(self, path: str, params: Params | None = None, max_bytes: int = 1 << 20) -> str:
        """Plain text such as a pod's log: its first `max_bytes` bytes, and no more than one request timeout of them.

        What was cut off ends at a whole line. Bound the log at the server too (`tailLines`, `sinceSeconds`).
        """
        answer = self._request("get", path, params, max_bytes=max_bytes)
        if answer.status != 200:
            self._refused("get", path, answer)
        body = answer.body
        if answer.truncated:
            body = body[: body.rfind(b"\n") + 1] or body
        return body.decode("utf-8", "replace")

    def send(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """One write: POST, PATCH or DELETE with a JSON body; gives the object (or Status) that the server answers.

        It is sent once: whether a write whose connection broke was made is for the caller to find out. Raises
        WriteRefused (`http_status`) for an answer that is neither success nor a denial: a conflict (409), a failed
        `test` operation or an admission webhook (422, 403 with a webhook's name, 500), an absent object (404).
        """
        import orjson

        verb = _VERBS[method]
        answer = self._request(
            verb, path, params, method=method, body=orjson.dumps(body) if body is not None else None, kind=content_type
        )
        if answer.status in (200, 201, 202):
            return self._parsed(verb, path, answer)
        said = _said(answer)
        if answer.status == 403 and not _by_admission(said):
            self._refused(verb, path, answer)
        by_server = _status_document(answer) is not None
        raise WriteRefused(f"could not {permission_of(verb, path)}: {said}", answer.status, by_server=by_server)

    def exchange(
        self, path: str, headers: Mapping[str, str], timeout: float, max_bytes: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One GET through the API server's proxy to something behind it: status, headers and the start of the body.

        `headers` replace those of a request. Nothing is followed, decoded or repeated, and no status is an error: it
        may be the answer of what is behind. Raises TimeoutError when nothing came in time, and ReadFailed when the API
        server cannot be talked to.
        """
        import urllib3

        asked, end = permission_of("get", path), time.monotonic() + timeout
        with self._counting:
            self.calls[f"get {asked.what}"] += 1
        sent = self._deadline.bound(asked, lambda: self.headers(as_text=True))
        for name, value in headers.items():
            sent[name] = value

        def ask() -> tuple[int, Mapping[str, str], bytes]:
            response = self._pool.request(
                "GET",
                f"{self.context.server}{path}",
                headers=sent,
                timeout=urllib3.Timeout(connect=self._timeout, read=timeout),
                **_AS_IT_COMES,
            )
            body = _start_of(response, end, max_bytes)
            response.close()
            return response.status, response.headers, body

        try:
            return self._deadline.bound(asked, ask, lambda: end + (self._timeout or timeout) + GRACE - time.monotonic())
        except (urllib3.exceptions.ReadTimeoutError, Late) as error:
            raise TimeoutError(f"no answer within {timeout:g}s") from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._not_answered("get", path, error) from error

    # --- One request ---

    def _request(
        self,
        verb: str,
        path: str,
        params: Params | None,
        max_bytes: int | None = None,
        method: str = "GET",
        body: bytes | None = None,
        kind: str = "",
    ) -> _Answer:
        """Send it until there is an answer worth looking at. 401 and what cannot be sent raise here; before that it is
        sent once more with new credentials, where there are: what was answered with 401 was not made."""
        query = {key: _query_value(value) for key, value in (params or {}).items()}
        url = f"{self.context.server}{path}" + (f"?{urlencode(query)}" if query else "")
        attempts = self._attempts if method == "GET" else 1
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            answer = self._send(verb, path, url, max_bytes, last, method, body, kind)
            if answer is not None and answer.status == 401 and self._may_renew(answer.authorization):
                answer = self._send(verb, path, url, max_bytes, last, method, body, kind)
            if answer is None:
                continue
            if answer.status == 401:
                raise self._unauthorized(answer)
            if method != "GET" or (answer.status != 429 and answer.status < 500):
                return answer
            wait = _retry_after(answer)
            if wait is None:
                wait = FIRST_WAIT * 2 ** (attempt - 1)
            if last or wait > min(MAX_WAIT, self._deadline.left()):
                raise self._overloaded(verb, path, answer, attempt, wait)
            self._sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(
        self,
        verb: str,
        path: str,
        url: str,
        max_bytes: int | None,
        last: bool,
        method: str,
        payload: bytes | None,
        kind: str,
    ) -> _Answer | None:
        """One attempt; None when the connection broke and there is another attempt."""
        import urllib3

        run, asked = self._deadline if method == "GET" else Deadline(), permission_of(verb, path)
        with self._counting:
            self.calls[f"{verb} {asked.what}"] += 1
        headers = run.bound(asked, lambda: self.headers(as_text=max_bytes is not None))
        if payload is not None:
            headers["Content-Type"] = kind
        deadline = None if self._timeout is None else time.monotonic() + self._timeout

        def exchange() -> _Answer:
            response = self._pool.request(
                method,
                url,
                body=payload,
                headers=headers,
                timeout=urllib3.Timeout(total=self._timeout),
                **_AS_IT_COMES,
            )
            self.clock.heard(response.headers.get("Date"))
            body, truncated = _read(response, deadline, max_bytes if response.status == 200 else None)
            with self._counting:
                self.bytes_read += len(body)
            sent = headers.get("Authorization", "")
            return _Answer(response.status, response.headers, body, truncated, sent)

        try:
            return run.bound(asked, exchange, None if deadline is None else lambda: deadline + GRACE - time.monotonic())
        except urllib3.exceptions.ProtocolError as error:
            if last:
                raise ReadFailed(f"the connection to {self.context.server} broke: {error}", request=asked) from error
            return None
        except (urllib3.exceptions.HTTPError, Late, _OutOfTime, _NotUnpacked, _TooLarge, OSError, ValueError) as error:
            raise self._not_answered(verb, path, error) from error

    def _may_renew(self, authorization: str) -> bool:
        """Whether the next request may carry other credentials than these, which were refused."""
        refused = self.context.configuration.refused
        return refused is not None and bool(authorization) and refused(authorization)

    def headers(self, as_text: bool = False) -> Any:
        """The headers of a request, with the credentials of the context (renewed where they have to be)."""
        from urllib3 import HTTPHeaderDict

        headers = HTTPHeaderDict({"User-Agent": f"kubectl-lbdoctor/{__version__}"})
        headers["Accept"] = "*/*" if as_text else "application/json"
        if not as_text:
            headers["Accept-Encoding"] = "gzip"
        with self._authenticating:  # the token hook may run an exec plugin: once, not once per thread
            try:
                authorization = self.context.configuration.authorization
                if authorization is not None and (value := authorization()):
                    headers["Authorization"] = value
            except LbdoctorError:
                raise
            except Exception as error:  # the package's own hooks (service account, oidc) raise what they meet
                raise CouldNotRun(
                    f"the credentials of {self._as_whom()} cannot be renewed: {type(error).__name__}: {error}",
                    "check that kubectl works in the same place",
                ) from error
        for name, value in self.context.headers:
            headers.add(name, value)
        return headers

    # --- What went wrong ---

    def _document(self, verb: str, path: str, answer: _Answer) -> dict[str, Any]:
        """The JSON object of a successful answer; raises for every other one."""
        if answer.status != 200:
            self._refused(verb, path, answer)
        document = self._parsed(verb, path, answer)
        if document.get("kind") == "Status":
            problem = f"the API server answered 200 with a Status: {_said(answer)}"
            raise ReadFailed(problem, request=permission_of(verb, path))
        return document

    def _parsed(self, verb: str, path: str, answer: _Answer) -> dict[str, Any]:
        """The body as a JSON object; raises ReadFailed where it is none."""
        import orjson

        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            document = None
        if isinstance(document, dict):
            return document
        kind = answer.headers.get("Content-Type", "no content type")
        what = f"with {kind} instead of JSON"
        if kind.partition(";")[0].strip() == "application/json":
            what = f"with {len(answer.body)} bytes that are no JSON object, though it calls them {kind}"
        raise ReadFailed(
            f"{self.context.server} answered {what}",
            "something between here and the API server answers in its place: check the server address and proxies",
            request=permission_of(verb, path),
        )

    def _continue_token(self, path: str, page: Mapping[str, Any]) -> str:
        """Where the next page begins, "" after the last one. Raises ReadFailed where the page does not say it, so that
        half a list is not taken for a whole one."""
        metadata = page.get("metadata")
        token = metadata.get("continue") if isinstance(metadata, dict) else metadata
        more = isinstance(metadata, dict) and metadata.get("remainingItemCount")
        if (token is None and not more) or (isinstance(token, str) and isinstance(metadata, dict)):
            return token or ""
        raise ReadFailed(
            f"{self.context.server} answered with a list whose metadata cannot be understood",
            request=permission_of("list", path),
        )

    def _items(self, path: str, page: Mapping[str, Any]) -> Sequence[Any]:
        """What stands in one page. The items of an empty list may be null, but what has no `items`, or calls itself
        another list, is none: raises ReadFailed, so that it is not taken for an empty one."""
        items, kind, expected = page.get("items", ()), page.get("kind"), _list_kind(path)
        fits = kind == expected if expected else str(kind).endswith("List")
        if items is None and fits:
            return []
        if not isinstance(items, list) or not (fits or kind is None):
            kind = kind or "an object without kind"
            raise ReadFailed(
                f"{self.context.server} answered with {kind} instead of {expected or 'a list'}",
                request=permission_of("list", path),
            )
        return items

    def _refused(self, verb: str, path: str, answer: _Answer) -> NoReturn:
        """Raise for an answer that is not 200 (and neither 401, 429 nor 5xx)."""
        asked, said = permission_of(verb, path), _said(answer)
        custom = asked.group not in BUILT_IN_GROUPS
        if answer.status == 404 and _is_api_missing(answer) and (verb != "list" or custom):
            raise ApiMissing(f"the cluster serves no {asked.what} ({path})")
        if answer.status == 403:
            permission, hint = asked, f"check with: {self._can_i(verb, path)}"
            impersonated = re.search(r'cannot impersonate resource "([^"]+)"', said)
            if impersonated:
                permission, hint = Permission(("impersonate",), impersonated.group(1)), "leave out --as and --as-group"
            elif "system:anonymous" in said:
                hint = f"{self._as_whom()} sends no credentials: check the user of the context"
            raise ReadDenied(f"may not {asked}: {said}", permission, hint)
        if answer.status == 404:
            raise ReadFailed(
                f"{self.context.server} answered 404: {said}",
                "something answers in place of the API server: check the server address with its path, and proxies",
                request=asked,
            )
        if 300 <= answer.status < 400:
            raise ReadFailed(
                f"{self.context.server} redirects to {answer.headers.get('Location', 'nowhere')}",
                "a login page or proxy answers in place of the API server: check the server address",
                request=asked,
            )
        raise ReadFailed(f"the API server answered {answer.status}: {said}", request=asked)

    def _unauthorized(self, answer: _Answer) -> CouldNotRun:
        hint = f"check with: kubectl auth whoami{self._context_flag()}"
        if self.context.plugin:
            hint = (
                f"the token comes from: {self.context.plugin}; is that identity mapped in the cluster "
                f"(EKS access entry or aws-auth)? {hint}"
            )
        elif not (
            self.context.configuration.authorization
            or self.context.tls.certificate
            or any(name == "Authorization" for name, _ in self.context.headers)
        ):
            hint = f"{self._as_whom()} sends no credentials: check the user of the context; {hint}"
        return CouldNotRun(
            f"the API server {self.context.server} does not accept the credentials of {self._as_whom()} "
            f"(401: {_said(answer)})",
            hint,
        )

    def _overloaded(self, verb: str, path: str, answer: _Answer, attempts: int, wait: float) -> ReadFailed:
        tried = f"{attempts} attempts" if attempts > 1 else "1 attempt"
        if wait > MAX_WAIT:
            tried += f", it asks to wait {wait:.0f}s"
        problem = f"the API server answered {answer.status} ({tried}): {_said(answer)}"
        return ReadFailed(problem, request=permission_of(verb, path))

    def _not_answered(self, verb: str, path: str, error: Exception) -> ReadFailed:
        from urllib3 import exceptions

        server = self.context.server
        asked = permission_of(verb, path)
        limit = "no limit" if self._timeout is None else f"{self._timeout:g}s"
        cluster_info = f"check with: kubectl cluster-info{self._context_flag()}"
        if isinstance(error, exceptions.ProxyError):
            return Unreachable(
                f"the proxy for the API server {server} does not work: {error}", "check proxy-url and HTTPS_PROXY"
            )
        if self.context.socks and isinstance(error, (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)):
            return Unreachable(
                f"the API server {server} cannot be reached through the SOCKS proxy: {_inner(error)}",
                "check proxy-url and HTTPS_PROXY, and that the proxy runs (for example: ssh -D)",
            )
        if isinstance(error, exceptions.NameResolutionError):
            return Unreachable(
                f"the name of the API server {server} cannot be resolved",
                f"is the cluster deleted, or a VPN needed? {cluster_info}",
            )
        if isinstance(error, exceptions.NewConnectionError):  # itself a ConnectTimeoutError in urllib3 2
            refused = isinstance(error.__cause__ or error.__context__, ConnectionRefusedError)
            what = "refuses connections" if refused else f"cannot be connected to: {_inner(error)}"
            return Unreachable(f"the API server {server} {what}", cluster_info)
        if isinstance(error, exceptions.ConnectTimeoutError):
            return Unreachable(
                f"the API server {server} accepted no connection within {limit}",
                f"is a VPN needed, or does the EKS endpoint's allow-list lack your address? {cluster_info}",
            )
        if isinstance(error, (exceptions.TimeoutError, Late, _OutOfTime, TimeoutError)):
            return ReadFailed(f"it timed out after {limit}", "allow more with --request-timeout 60s", request=asked)
        if isinstance(error, _NotUnpacked):
            return ReadFailed(
                f"the compressed answer of {server} cannot be unpacked: {error}",
                "something between here and the API server changes its answers: check proxies",
                request=asked,
            )
        if isinstance(error, _TooLarge):
            return ReadFailed(
                f"the answer of {server} has more than {MAX_BODY >> 20} MiB",
                "something between here and the API server answers in its place: check proxies",
                request=asked,
            )
        if isinstance(error, exceptions.SSLError) or "SSL" in type(error).__name__:
            return Unreachable(
                f"TLS with the API server {server} failed: {_inner(error)}",
                "was the cluster created anew? renew the kubeconfig with: aws eks update-kubeconfig --name CLUSTER",
            )
        if isinstance(error, ValueError) and not isinstance(error, exceptions.HTTPError):
            # http.client shows the whole header in its message, and that header may be the token.
            return ReadFailed("the token or another header holds characters that HTTP forbids", request=asked)
        return ReadFailed(f"{type(error).__name__}: {error}", request=asked)

    def _as_whom(self) -> str:
        if self.context.in_cluster:
            return "the pod's service account"
        return f"context {self.context.name!r}" if self.context.name else f"user {self.context.user!r}"

    def _context_flag(self) -> str:
        """The flags that lead kubectl to the same cluster; the context is named also where it is the current one."""
        words = self.context.where.kube
        named = () if not self.context.name or "--context" in words else ("--context", shlex.quote(self.context.name))
        return "".join(f" {word}" for word in (*words, *named))

    def _can_i(self, verb: str, path: str) -> str:
        asked = permission_of(verb, path)
        if asked.url:
            return f"{shell('kubectl', 'auth', 'can-i', verb, path)}{self._context_flag()}"
        scope = shell("-n", asked.namespace) if asked.namespace else "-A"
        resource, _, sub = asked.what.partition("/")
        subresource = f" {shell('--subresource', sub)}" if sub else ""
        return f"{shell('kubectl', 'auth', 'can-i', verb, resource)}{subresource} {scope}{self._context_flag()}"


def _read(response: Any, deadline: float | None, max_bytes: int | None) -> tuple[bytes, bool]:
    """The unpacked body, and whether it was cut at `max_bytes` or (only then allowed) at the deadline.

    urllib3's read timeout starts again with every packet, so a slow trickle needs the deadline too.
    """
    from urllib3.exceptions import ReadTimeoutError

    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _unpacked(response):
            pieces.append(piece)
            size += len(piece)
            if max_bytes is not None and size > max_bytes:
                response.close()
                return b"".join(pieces)[:max_bytes], True
            if size > MAX_BODY:
                raise _TooLarge
            if deadline is not None and time.monotonic() > deadline:
                raise _OutOfTime
    except (_OutOfTime, ReadTimeoutError):
        response.close()
        if max_bytes is None or not size:
            raise
        return b"".join(pieces), True
    except (_NotUnpacked, _TooLarge):
        response.close()
        raise
    return b"".join(pieces), False


def _lines(response: Any) -> Iterator[bytes]:
    """The whole lines of a body as they come. Raises ValueError for one that does not end."""
    left = b""
    try:
        while piece := response.read1(1 << 16):
            *whole, left = (left + piece).split(b"\n")
            yield from filter(None, whole)
            if len(left) > MAX_LINE:
                raise ValueError(f"a line of more than {MAX_LINE} bytes")
    finally:
        response.close()


def _start_of(response: Any, deadline: float, max_bytes: int) -> bytes:
    """The first bytes of a body as they were sent: what has come by the deadline, or before the connection broke."""
    from urllib3.exceptions import HTTPError

    body = b""
    try:
        while len(body) < max_bytes and time.monotonic() < deadline:
            piece = response.read1(max_bytes - len(body), decode_content=False)
            if not piece:
                break
            body += piece
    except (HTTPError, OSError):
        pass  # the status has come, and it is what counts
    return body


def _unpacked(response: Any) -> Iterator[bytes]:
    """The body as it comes, unpacked: one piece, which may be empty, for each that arrives.

    The API server sends answers of more than 128 KiB gzipped, and what is over 2 KiB in chunks. `HTTPResponse.stream`
    gives control back only when it has something to give: too late for a deadline when a body trickles in. Raises
    _NotUnpacked for a body that is damaged, incomplete, or packed in a way that was not asked for.
    https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/writers.go
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise _NotUnpacked(f"it is {encoding} where gzip was asked for")
    gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    while piece := response.read1(_MAX_PIECE, decode_content=False):
        try:
            unpacked = gzip.decompress(piece, MAX_BODY + 1) if gzip else piece
        except zlib.error as error:
            raise _NotUnpacked("its gzip data is damaged") from error
        yield unpacked
    if gzip and not gzip.eof:
        raise _NotUnpacked("its gzip data is incomplete")


_LIST_KINDS = {(kind.group, kind.plural): f"{kind.name}List" for kind in KINDS.values() if not kind.in_aws}


def _list_kind(path: str) -> str:
    """What a list of this collection calls itself ("PodList"); "" where the collection is none that we know.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#collections
    """
    asked = permission_of("list", path)
    return _LIST_KINDS.get((asked.group, asked.resource), "")


def _identity(item: Any) -> str:
    """What tells an object of a list from the others; what is no object stands for itself."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(metadata, dict):
        return repr(item)
    return str(metadata.get("uid") or f"{metadata.get('namespace', '')}/{metadata.get('name', '')}")


def _renewed_token(answer: _Answer) -> str:
    """The token of a 410 that lists on from the same object in the newest snapshot; "" where there is none."""
    metadata = (_status_document(answer) or {}).get("metadata") or {}
    return str(metadata.get("continue") or "")


def _query_value(value: str | int | bool) -> str:
    """Kubernetes reads booleans in the query as Go's strconv does: "true" and "false"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _retry_after(answer: _Answer) -> float | None:
    """Seconds of Retry-After. The API server always sends whole seconds; a date is ignored."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _is_api_missing(answer: _Answer) -> bool:
    """Whether a 404 means that nothing serves the path, not that the object is absent.

    Seen on a 1.34 API server: the plain text "404 page not found" for an unknown group, and for an unknown resource or
    version of a custom group; a Status with the message below, naming no object, for one of a built-in group. Any other
    page is not the API server's.
    """
    document = _status_document(answer)
    if document is None:
        return answer.body.strip() == b"404 page not found"
    return document.get("message") == "the server could not find the requested resource"


def _status_document(answer: _Answer) -> dict[str, Any] | None:
    """The `Status` object that the API server refuses with; None when something else answered."""
    import orjson

    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) and document.get("kind") == "Status" else None


def _said(answer: _Answer) -> str:
    """The server's own words, on one line."""
    document = _status_document(answer)
    text = str(document.get("message") or document.get("reason") or "") if document else ""
    text = text or answer.body[:200].decode("utf-8", "replace")
    return " ".join(text.split()) or "no explanation"


def _by_admission(said: str) -> bool:
    """Whether a 403 is an admission plugin's (quota, Pod Security, a webhook), and not RBAC's, which always says who
    cannot do what."""
    return "admission webhook" in said or re.search(r"cannot \S+ resource |cannot \S+ path ", said) is None


def _inner(error: Exception) -> str:
    """The system's reason inside a urllib3 error ("certificate verify failed: …"), without the wrapping."""
    cause = error.__cause__ or error.__context__ or (error.args[0] if error.args else None)
    if isinstance(cause, OSError):
        verify = getattr(cause, "verify_message", "")
        return f"certificate not trusted: {verify}" if verify else cause.strerror or str(cause)
    return str(error)
