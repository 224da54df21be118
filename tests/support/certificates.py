"""Certificates of a webhook, made by the `cryptography` library as the chart or cert-manager makes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HOST = "aws-load-balancer-webhook-service.kube-system.svc"
NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


def key(number: int, kind: str = "rsa") -> Any:
    return _key(number, kind)


@cache
def _key(number: int, kind: str) -> Any:
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def made(
    subject: str,
    own: Any,
    issuer: str,
    signer: Any,
    *,
    names: tuple[str, ...] = (),
    algorithm: Any = None,
    ids: bool = True,
    ends: datetime = NOW + timedelta(days=90),
) -> str:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if ids:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    made_one = builder.sign(signer, algorithm or hashes.SHA256())
    return made_one.public_bytes(serialization.Encoding.PEM).decode()


def authority(number: int = 1, kind: str = "rsa", **values: Any) -> str:
    """As the chart makes it: every one has the same name."""
    return made("controller-ca", key(number, kind), "controller-ca", key(number, kind), **values)


def leaf(number: int = 1, kind: str = "rsa", **values: Any) -> str:
    values.setdefault("names", (HOST,))
    return made("controller", key(9, "ec"), "controller-ca", key(number, kind), **values)
