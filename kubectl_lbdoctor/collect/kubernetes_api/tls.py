"""TLS with the API server: whom to trust, and the client certificate whose key never becomes a file.

Python's ssl module takes a client certificate and its key only by path
(https://docs.python.org/3/library/ssl.html#ssl.SSLContext.load_cert_chain). Data that stands in a kubeconfig is handed
over through a pipe, which has a path under /dev/fd: there is nothing on disk that a killed process could leave.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.held_signals import signals_held
from kubectl_lbdoctor.record import record

if TYPE_CHECKING:
    import ssl

_OPEN_FILES = Path("/dev/fd")
"""Where an open file of this process has a path (Linux with /proc, macOS, the BSDs)."""


@record
class Pem:
    """Certificates or a key: the path of a file, or else the data itself. Empty where there is none."""

    path: str = ""
    data: bytes = field(default=b"", repr=False)

    def __bool__(self) -> bool:
        return bool(self.path or self.data)


@record
class Tls:
    """How the API server is verified, and who is at this end.

    authority: whose certificates are trusted; the system's without one. server_name: expected in place of the host.
    user: the kubeconfig's name of the owner of the client certificate, for messages.
    """

    authority: Pem = Pem()
    certificate: Pem = Pem()
    key: Pem = Pem()
    server_name: str = ""
    verify: bool = True
    user: str = ""

    def context(self) -> ssl.SSLContext:
        """A new SSLContext with these certificates. Raises CouldNotRun for what is no certificate or no key."""
        import ssl

        from urllib3.util.ssl_ import create_urllib3_context

        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE)
        # urllib3 asks for it from Python 3.13 on; kubectl takes an authority without the extensions of RFC 5280
        # (https://docs.python.org/3/library/ssl.html#ssl.VERIFY_X509_STRICT).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
        elif not self.authority:
            context.load_default_certs()
        else:
            try:
                if self.authority.data:
                    context.load_verify_locations(cadata=self.authority.data.decode("ascii", "replace"))
                else:
                    context.load_verify_locations(cafile=self.authority.path)
            except (OSError, ValueError) as error:
                raise CouldNotRun(
                    f"the certificate authority of the cluster cannot be used: {_reason(error)}",
                    "renew the kubeconfig with: aws eks update-kubeconfig --name CLUSTER",
                ) from error
        if self.certificate:
            try:
                with ExitStack() as files:
                    certificate = files.enter_context(_path(self.certificate))
                    key = files.enter_context(_path(self.key)) if self.key else None
                    context.load_cert_chain(certificate, key, _no_password)
            except (OSError, ValueError) as error:
                raise CouldNotRun(
                    f"the client certificate of kubeconfig user {self.user!r} and its key cannot be used: "
                    f"{_reason(error)}",
                    "check that kubectl works with the same --context",
                ) from error
        return context


def _no_password() -> str:
    """Called for a key that is encrypted. kubectl cannot use one either, and OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    """What OpenSSL says, without the name of the library and the line of its source."""
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(text).replace("_", " ").lower()


@contextmanager
def _path(pem: Pem) -> Iterator[str]:
    """A path that this PEM can be read from once."""
    if not pem.data:
        yield pem.path
    elif _OPEN_FILES.is_dir():
        with _pipe(pem.data) as path:
            yield path
    else:
        with signals_held(), _short_lived_file(pem.data) as path:
            yield path


@contextmanager
def _pipe(data: bytes) -> Iterator[str]:
    """The path of a pipe that gives `data` and then ends. A thread fills it, because a pipe may hold less."""
    reading, writing = os.pipe()

    def fill() -> None:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(data)
        except BrokenPipeError:
            pass  # nobody wanted to read it: the certificate before it was no good

    filler = threading.Thread(target=fill, daemon=True)
    filler.start()
    try:
        yield str(_OPEN_FILES / str(reading))
    finally:
        os.close(reading)
        filler.join()


@contextmanager
def _short_lived_file(data: bytes) -> Iterator[str]:
    """A file that only this user can read (mkstemp makes it with mode 0600), while the block runs."""
    handle, path = tempfile.mkstemp(prefix="kubectl-lbdoctor-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield path
    finally:
        Path(path).unlink(missing_ok=True)
