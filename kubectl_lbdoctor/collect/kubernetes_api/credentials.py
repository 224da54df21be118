"""A kubeconfig user's credentials in the form that connections need: exec plugins, tokens that expire, keys.

These three are done here because the kubernetes package (36.0.3, `config/kube_config.py`, `config/exec_provider.py`)
does them in ways that a diagnosis cannot use: it logs a failed exec plugin and goes on without credentials, crashes
with AttributeError when a plugin fails and stdout is a terminal, runs the plugin in the kubeconfig's directory instead
of the user's, keeps the newline of a tokenFile, and writes inline keys to files that only an atexit handler removes.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubectl_lbdoctor.collect import given_file
from kubectl_lbdoctor.collect.deadline import Deadline
from kubectl_lbdoctor.collect.kubernetes_api.aws_hints import plugin_flags
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_files import Entry, exec_env, text_of, texts_of, view_hint
from kubectl_lbdoctor.collect.kubernetes_api.tls import Pem
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.shell import shell
from kubectl_lbdoctor.model.times import parse_time

PLUGIN_TIMEOUT = 60.0
"""Seconds for an exec plugin that cannot ask anybody anything. `aws eks get-token` needs about one."""

RENEW_BEFORE = 60.0
"""Seconds before its stated expiry at which a token is renewed (EKS tokens live for 14 minutes)."""

MAX_TOKEN = 1 << 18
"""Characters; servers refuse headers that are longer than some ten thousand."""

TOKEN_FILE_PERIOD = 60.0
"""Seconds for which a `tokenFile` is believed; client-go reads it again every minute because kubelet rotates it."""

REFUSALS_APART = 60.0
"""Seconds after a refused token in which a second one is believed to be refused rightly."""

_EXEC_APIS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class ExecPlugin:
    """One exec credential plugin (client.authentication.k8s.io, the protocol of `aws eks get-token`).

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    Like kubectl it runs in the user's own directory and environment; a relative path starts at the kubeconfig.
    """

    def __init__(
        self,
        user: Entry,
        cluster: Mapping[str, Any],
        environ: Mapping[str, str],
        interactive: bool,
        notify: Callable[[str], None] | None,
        deadline: Deadline | None = None,
    ) -> None:
        section = user.value["exec"]
        if not isinstance(section, dict) or not section.get("command"):
            raise CouldNotRun(f"the exec section of kubeconfig user {user.name!r} names no command", view_hint(user))
        self._user = user.name
        self._api_version = text_of(section.get("apiVersion"))
        if self._api_version not in _EXEC_APIS:
            raise CouldNotRun(
                f"the exec section of kubeconfig user {user.name!r} has apiVersion {self._api_version!r}, "
                f"not {_EXEC_APIS[0]}",
                "write the kubeconfig again with: aws eks update-kubeconfig --name CLUSTER",
            )
        command = text_of(section["command"])
        if os.sep in command or (os.altsep and os.altsep in command):
            command = str(user.path.parent / command)
        args = texts_of(section.get("args"))
        self.shown = _masked([text_of(section["command"]), *args])
        self._command = command
        self._args = args
        self._install_hint = " ".join(text_of(section.get("installHint")).split())
        self._environ = {**environ, **exec_env(section)}
        self._path = environ.get("PATH")
        mode = text_of(section.get("interactiveMode")) or "IfAvailable"
        if mode == "Always" and not interactive:
            raise CouldNotRun(
                f"{self.shown} (credentials of kubeconfig user {user.name!r}) must ask you something, "
                "but stdin is not a terminal",
                "run this in a terminal, or choose another --user",
            )
        self._interactive = interactive and mode != "Never"
        self._notify = notify
        self._deadline = deadline or Deadline()
        info: dict[str, Any] = {"interactive": self._interactive}
        if section.get("provideClusterInfo") is True:
            info["cluster"] = _cluster_info(cluster)
        self._environ["KUBERNETES_EXEC_INFO"] = json.dumps(
            {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": info}
        )
        self._stderr: list[str] = []
        self._reader: threading.Thread | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start the plugin; `finish` waits for it."""
        program = shutil.which(self._command, path=self._path)
        if program is None:
            where = "does not exist or cannot be run" if os.sep in self._command else "is not on PATH"
            raise CouldNotRun(
                f"the command {self._command!r} {where}; kubeconfig user {self._user!r} gets its credentials from it",
                self._install_hint or f"install {Path(self._command).name!r}, or choose another --user or --context",
            )
        try:
            process = subprocess.Popen(
                [program, *self._args],
                stdin=None if self._interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environ,
            )
        except OSError as error:
            raise CouldNotRun(
                f"{self.shown} (credentials of kubeconfig user {self._user!r}) cannot be run: {error.strerror}",
                f"try it by hand: {self.shown}",
            ) from error
        # stderr is read by our own thread so that a prompt is shown while the plugin waits; `communicate` has the rest.
        stream, process.stderr = process.stderr, None
        self._stderr = []
        self._reader = threading.Thread(target=self._read_stderr, args=(stream,), daemon=True)
        self._reader.start()
        return process

    def _read_stderr(self, stream: Any) -> None:
        with stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip()
                self._stderr.append(line)
                if self._notify is not None and line:
                    self._notify(line)

    def finish(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """`status` of the plugin's ExecCredential: token, clientCertificateData, clientKeyData, expirationTimestamp.

        The time in which it may ask a person something does not count for the run, unless the run's time was chosen.
        """
        begun = time.monotonic()
        try:
            if self._interactive and not self._deadline.chosen:
                with self._deadline.suspended():
                    stdout = self._answer(process)
            else:
                stdout = self._answer(process)
        except subprocess.TimeoutExpired as error:
            seconds = time.monotonic() - begun
            raise CouldNotRun(
                f"{self.shown} (credentials of kubeconfig user {self._user!r}) gave no answer in {seconds:.0f}s",
                f"try it by hand: {self.shown}",
            ) from error
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._reader is not None:
            self._reader.join(timeout=1.0)
        if process.returncode != 0:
            line = _telling_line(self._stderr)
            raise CouldNotRun(
                f"{self.shown} failed with exit status {process.returncode}{': ' + line if line else ''} "
                f"(credentials of kubeconfig user {self._user!r})",
                self._failure_hint(line),
            )
        try:
            answer = json.loads(stdout)
            status = answer["status"]
            version = answer["apiVersion"]
            if not isinstance(status, dict):
                raise TypeError("status is not an object")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._bad_answer("printed no ExecCredential with a status") from error
        if version != self._api_version:
            raise self._bad_answer(f"answered with apiVersion {version}, the kubeconfig expects {self._api_version}")
        if not status.get("token") and not (status.get("clientCertificateData") and status.get("clientKeyData")):
            raise self._bad_answer("gave neither a token nor a client certificate with its key")
        return status

    def _answer(self, process: subprocess.Popen[bytes]) -> bytes:
        """What the plugin prints. Raises TimeoutExpired; one that has said something to a person is waited for."""
        try:
            return process.communicate(timeout=min(PLUGIN_TIMEOUT, self._deadline.left()))[0]
        except subprocess.TimeoutExpired:
            left = self._deadline.left()
            if not (self._interactive and self._stderr and left):
                raise
        return process.communicate(timeout=None if left == float("inf") else left)[0]

    def _bad_answer(self, what: str) -> CouldNotRun:
        return CouldNotRun(
            f"{self.shown} {what} (credentials of kubeconfig user {self._user!r})",
            f"try it by hand: {self.shown}; an old kubeconfig is renewed by: aws eks update-kubeconfig --name CLUSTER",
        )

    def _failure_hint(self, line: str) -> str:
        lowered = line.lower()
        profile = plugin_flags(self._command, self._args).get("profile") or self._environ.get("AWS_PROFILE", "")
        option = f" {shell('--profile', profile)}" if profile else ""
        if "sso" in lowered:
            return f"sign in with: aws sso login{option}"
        if "credentials" in lowered or "expired" in lowered:
            return f"check your AWS credentials with: aws sts get-caller-identity{option}"
        return f"try it by hand: {self.shown}"


class RenewingToken:
    """A bearer token that has to be renewed: `source` gives (token, expiry in epoch seconds or None) when it is due, or
    when the server refuses the last one."""

    def __init__(self, source: Callable[[], tuple[str, float | None]], first: tuple[str, float | None]) -> None:
        self._source = source
        self._token, self._expiry = first
        self._refused_at = float("-inf")
        self._lock = threading.Lock()

    def current(self) -> str:
        with self._lock:
            if self._expiry is not None and time.time() >= self._expiry:
                self._token, self._expiry = self._source()
            return self._token

    def refused(self, token: str) -> bool:
        """Whether there may be another token than this one, which the server does not accept: `current` then gets it.
        client-go, too, runs a plugin again and reads a tokenFile again after a 401 (`plugin/pkg/client/auth/exec`,
        `transport/token_source.go`). Where a new one was refused just now, another one would be, too."""
        with self._lock:
            if token == self._token:
                now = time.monotonic()
                if now - self._refused_at < REFUSALS_APART:
                    return False
                self._refused_at, self._expiry = now, 0.0
            return True


def pem_of(entry: Entry, key: str) -> Pem:
    """The certificate or key `key` of an entry (empty when it has none); inline data wins over a path, as in client-go.

    Raises CouldNotRun for data that is not base64 and for a file that cannot be read.
    """
    data, path = entry.value.get(f"{key}-data"), entry.value.get(key)
    if data:
        try:
            return Pem(data=base64.b64decode(text_of(data), validate=False))
        except (binascii.Error, ValueError) as error:
            raise CouldNotRun(
                f"{key}-data of kubeconfig entry {entry.name!r} is not base64", view_hint(entry)
            ) from error
    if not path:
        return Pem()
    absolute = entry.path.parent / text_of(path)
    try:
        given_file.check_regular(absolute)
        return Pem(str(absolute))
    except OSError as error:
        raise CouldNotRun(
            f"the {key} file {absolute} of kubeconfig entry {entry.name!r} cannot be read: {error.strerror}",
            view_hint(entry),
        ) from error


def file_token(path: str, user: str, token: str) -> RenewingToken:
    """The token of a `tokenFile`, read again every minute. Where it gives none, `token` is used, as client-go does.

    Raises CouldNotRun where neither gives a token.
    """

    def read() -> tuple[str, float | None]:
        try:
            return read_token(path, user)
        except CouldNotRun:
            if not token:
                raise
            return token, time.time() + TOKEN_FILE_PERIOD

    return RenewingToken(read, read())


def read_token(path: str, user: str) -> tuple[str, float | None]:
    try:
        token = given_file.read(Path(path)).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
        raise CouldNotRun(f"the tokenFile {path} of kubeconfig user {user!r} cannot be read: {why}") from error
    if not token:
        raise CouldNotRun(f"the tokenFile {path} of kubeconfig user {user!r} is empty")
    if len(token) > MAX_TOKEN or not token.isprintable():
        raise CouldNotRun(f"the tokenFile {path} of kubeconfig user {user!r} holds no token")
    return token, time.time() + TOKEN_FILE_PERIOD


def token_expiry(status: Mapping[str, Any]) -> float | None:
    """When to renew a plugin's token, in epoch seconds; None when it states no (readable) expiry."""
    moment = parse_time(text_of(status.get("expirationTimestamp")))
    return moment.timestamp() - RENEW_BEFORE if moment is not None else None


def _telling_line(lines: list[str]) -> str:
    """The line of a program's stderr that says what went wrong: the first, or the last of a Python traceback."""
    said = [line.strip() for line in lines if line.strip()]
    if not said:
        return ""
    return said[-1] if said[0].startswith("Traceback (most recent call last)") else said[0]


def _masked(words: list[str]) -> str:
    """A command line for messages, without the values of secrets (`kubelogin --client-secret X`)."""
    shown: list[str] = []
    hide = False
    for word in words:
        name, equals, _ = word.partition("=")
        secret = name.startswith("-") and re.search(r"secret|password|token|api-?key", name, re.IGNORECASE) is not None
        shown.append("***" if hide else f"{shlex.quote(name)}=***" if secret and equals else shlex.quote(word))
        hide = secret and not equals
    return " ".join(shown)


def _cluster_info(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """spec.cluster of ExecCredential: what the plugin needs to know about the cluster, CA as data."""
    info = {
        key: cluster[key]
        for key in ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "certificate-authority-data")
        if key in cluster
    }
    if "certificate-authority-data" not in info and cluster.get("certificate-authority"):
        try:
            content = given_file.read(Path(text_of(cluster["certificate-authority"])))
        except OSError:
            content = b""
        info["certificate-authority-data"] = base64.b64encode(content).decode()
    for extension in cluster.get("extensions") or []:
        if isinstance(extension, dict) and extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info
