"""An API server that only notes who asks: over TLS with an authority of its own, and over plain http."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ANSWER = b'{"major": "1", "minor": "34"}'


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def data(self) -> tuple[str, str]:
        return base64.b64encode(self.certificate).decode(), base64.b64encode(self.key).decode()


_AUTHORITY = ec.generate_private_key(ec.SECP256R1())


@cache
def authority() -> Identity:
    return _identity("lbdoctor-test-ca", _AUTHORITY, is_authority=True)


@cache
def identity(name: str) -> Identity:
    """A certificate of the authority; of a server where the name is a host's."""
    return _identity(name, ec.generate_private_key(ec.SECP256R1()), is_authority=False)


def _identity(name: str, key: ec.EllipticCurvePrivateKey, is_authority: bool) -> Identity:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("lbdoctor-test-ca"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(_AUTHORITY.public_key()), critical=False)
        .sign(_AUTHORITY, hashes.SHA256())
    )
    return Identity(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


Asked = tuple[tuple[str, str], ...]
"""Who asked: the headers that say so, and the name in the client certificate, sorted."""


@dataclass
class Server:
    """paths: what was asked for, in the order of `asked`."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def serving(folder: Path, secure: bool, hold: threading.Event | None = None) -> Iterator[Server]:
    """A server on the loopback. hold: answers wait until it is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = [
                (name.title(), value)
                for name, value in self.headers.items()
                if name.lower() == "authorization" or name.lower().startswith("impersonate-")
            ]
            if secure:
                certificate: Any = self.connection.getpeercert() or {}  # type: ignore[attr-defined]
                found += [("certificate", value) for ((_, value),) in certificate.get("subject", ())]
            server.asked.append(tuple(sorted(found)))
            server.paths.append(self.path)
            if hold is not None:
                hold.wait(30)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    if secure:
        own = identity("localhost")
        (folder / "server.pem").write_bytes(own.certificate + own.key)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem")
        tls.verify_mode = ssl.CERT_OPTIONAL
        tls.load_verify_locations(cadata=authority().certificate.decode())
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    server = Server(f"{'https' if secure else 'http'}://localhost:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
