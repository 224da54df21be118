"""The reader of certificates against the `cryptography` library, which makes them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.knowledge.certificates import CertificateError, admits, leads_to, parse_pem, signed_by
from tests.support.certificates import HOST, authority, key, leaf, made


def test_fields_are_those_of_the_library() -> None:
    text = leaf(names=(HOST, "*.example.com"))
    ours, theirs = parse_pem(text)[0], x509.load_pem_x509_certificate(text.encode())
    assert (ours.common_name, ours.issuer_name) == ("controller", "controller-ca")
    assert (ours.begins, ours.ends) == (theirs.not_valid_before_utc, theirs.not_valid_after_utc)
    assert ours.names == (HOST, "*.example.com")
    assert ours.signature == theirs.signature and ours.signed == theirs.tbs_certificate_bytes


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_rsa_signature_tells_two_authorities_of_one_name_apart(algorithm: Any) -> None:
    certificate = parse_pem(leaf(1, algorithm=algorithm, ids=False))[0]
    assert signed_by(certificate, parse_pem(authority(1))[0]) is True
    assert signed_by(certificate, parse_pem(authority(2))[0]) is False


def test_other_keys_are_told_apart_by_their_identifiers() -> None:
    certificate = parse_pem(leaf(3, "ec"))[0]
    assert signed_by(certificate, parse_pem(authority(3, "ec"))[0]) is True
    assert signed_by(certificate, parse_pem(authority(4, "ec"))[0]) is False
    assert signed_by(parse_pem(leaf(3, "ec", ids=False))[0], parse_pem(authority(4, "ec"))[0]) is None


def test_another_issuer_is_no_authority() -> None:
    other = made("another-ca", key(1), "another-ca", key(1))
    assert signed_by(parse_pem(leaf(1))[0], parse_pem(other)[0]) is False


def test_chain_over_an_intermediate() -> None:
    middle = made("middle", key(5), "controller-ca", key(1))
    certificate = made("controller", key(9), "middle", key(5), names=(HOST,))
    chain = parse_pem(certificate + middle)
    assert leads_to(chain, parse_pem(authority(1))) is True
    assert leads_to(chain, parse_pem(authority(2))) is False
    assert leads_to(chain[:1], parse_pem(authority(1))) is False


def test_bundle_of_several_authorities_and_a_certificate_trusted_itself() -> None:
    assert leads_to(parse_pem(leaf(1)), parse_pem(authority(2) + authority(1))) is True
    own = made("controller", key(9), "controller", key(9), names=(HOST,))
    assert leads_to(parse_pem(own), parse_pem(own)) is True


@pytest.mark.parametrize(
    ("names", "admitted"),
    [
        ((HOST,), True),
        ((HOST.upper(),), True),
        (("*.kube-system.svc",), True),
        (("*.svc",), False),
        (("aws-load-balancer-webhook-service.default.svc",), False),
        (("other",), False),
    ],
)
def test_names(names: tuple[str, ...], admitted: bool) -> None:
    assert admits(parse_pem(leaf(names=names))[0], HOST) is admitted


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"])
def test_no_certificate(text: str) -> None:
    with pytest.raises(CertificateError):
        parse_pem(text)


@given(st.data())
def test_damaged_certificates_are_refused_or_read_and_never_crash(data: st.DataObject) -> None:
    der = bytearray(base64.b64decode("".join(leaf(1).splitlines()[1:-1])))
    for _ in range(data.draw(st.integers(1, 5))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = der[: data.draw(st.integers(0, len(der)))]
    for piece in (bytes(der), bytes(cut)):
        text = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(piece).decode()}\n-----END CERTIFICATE-----"
        try:
            certificate = parse_pem(text)[0]
        except CertificateError:
            continue
        assert leads_to([certificate], parse_pem(authority(2))) is not True
