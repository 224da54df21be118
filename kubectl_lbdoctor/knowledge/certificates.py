"""Whether the certificate of a webhook can be accepted by whom its configuration trusts. Pure.

The API server verifies a webhook as Go's crypto/x509 does: a chain to the configuration's caBundle, a DNS name, and the
time. All that is needed of X.509 for that is read here, without a library for cryptography: RSA signatures are one
modular power, and for other keys the key identifiers tell which authority has signed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone

from kubectl_lbdoctor.record import record

_PEM = re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)

# RFC 5280 and RFC 8017: object identifiers in DER, and the DigestInfo that precedes a hash in an RSA signature.
_RSA_KEY = bytes.fromhex("2a864886f70d010101")
_RSA_HASHES = {
    bytes.fromhex("2a864886f70d01010b"): ("sha256", bytes.fromhex("3031300d060960864801650304020105000420")),
    bytes.fromhex("2a864886f70d01010c"): ("sha384", bytes.fromhex("3041300d060960864801650304020205000430")),
    bytes.fromhex("2a864886f70d01010d"): ("sha512", bytes.fromhex("3051300d060960864801650304020305000440")),
}
_COMMON_NAME = bytes.fromhex("550403")
_SUBJECT_KEY_ID, _ALT_NAMES, _AUTHORITY_KEY_ID = (bytes.fromhex(text) for text in ("551d0e", "551d11", "551d23"))
_SEQUENCE, _OCTETS, _OID = 0x30, 0x04, 0x06
_UTC_TIME, _TIME = 0x17, 0x18
_MAX_CERTIFICATES = 64


class CertificateError(ValueError):
    """The text is no certificate."""


@record
class Certificate:
    """What the verification of a chain looks at. `names` are the DNS names of subjectAltName; the last five fields are
    raw parts of the encoding."""

    common_name: str
    issuer_name: str
    begins: datetime
    ends: datetime
    names: tuple[str, ...]
    key_id: bytes
    authority_key_id: bytes
    subject: bytes
    issuer: bytes
    algorithm: bytes
    signed: bytes
    signature: bytes
    key: tuple[int, int] | None
    """Modulus and exponent of an RSA key."""


def parse_pem(text: str) -> tuple[Certificate, ...]:
    """All certificates of a PEM text in their order. Raises CertificateError when there is none or one is broken."""
    found = []
    for block in list(_PEM.findall(text))[:_MAX_CERTIFICATES]:
        try:
            found.append(_certificate(base64.b64decode("".join(block.split()), validate=True)))
        except CertificateError:
            raise
        except (ValueError, IndexError, StopIteration) as error:  # binascii.Error is a ValueError
            raise CertificateError(f"not a certificate: {error}") from error
    if not found:
        raise CertificateError("no certificate in PEM form")
    return tuple(found)


def signed_by(certificate: Certificate, authority: Certificate) -> bool | None:
    """Whether the authority's key made the signature; None when that cannot be told."""
    if certificate.issuer != authority.subject:
        return False
    if authority.key is not None and certificate.algorithm in _RSA_HASHES:
        return _rsa_verifies(certificate, authority.key)
    if certificate.authority_key_id and authority.key_id:
        return certificate.authority_key_id == authority.key_id
    return None


def leads_to(chain: Sequence[Certificate], trusted: Iterable[Certificate]) -> bool | None:
    """Whether the first certificate leads to a trusted one, over the others; None when that cannot be told."""
    roots, reached, uncertain = tuple(trusted), [chain[0]], False
    for certificate in reached:  # Grows while it is walked.
        for root in roots:
            if root.signed == certificate.signed:
                return True
            answer = signed_by(certificate, root)
            if answer:
                return True
            uncertain = uncertain or answer is None
        for middle in chain[1:]:
            if middle not in reached and signed_by(certificate, middle) is not False:
                reached.append(middle)
    return None if uncertain else False


def admits(certificate: Certificate, host: str) -> bool:
    """Whether a DNS name of the certificate is the host's; `*` stands for one whole label, as in RFC 6125. Go does not
    look at the common name any more."""
    wanted = host.lower().rstrip(".")
    for name in certificate.names:
        pattern = name.lower().rstrip(".")
        if pattern == wanted:
            return True
        if pattern.startswith("*.") and "." in wanted and wanted.partition(".")[2] == pattern[2:]:
            return True
    return False


def _rsa_verifies(certificate: Certificate, key: tuple[int, int]) -> bool:
    """RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2)."""
    modulus, exponent = key
    name, prefix = _RSA_HASHES[certificate.algorithm]
    size = (modulus.bit_length() + 7) // 8
    digest = prefix + hashlib.new(name, certificate.signed).digest()
    padding = size - len(digest) - 3
    if padding < 8 or len(certificate.signature) != size:
        return False
    expected = b"\x00\x01" + b"\xff" * padding + b"\x00" + digest
    return pow(int.from_bytes(certificate.signature, "big"), exponent, modulus).to_bytes(size, "big") == expected


def _certificate(der: bytes) -> Certificate:
    outer = list(_values(_only(der, _SEQUENCE)))
    if len(outer) != 3:
        raise CertificateError("not a certificate: three parts were expected")
    (_, signed, raw), (_, algorithm, _), (_, signature, _) = outer
    parts = list(_values(signed))
    if parts and parts[0][0] == 0xA0:  # The version, which the oldest certificates leave out.
        parts = parts[1:]
    if len(parts) < 6:
        raise CertificateError("not a certificate: too few fields")
    _, _, (_, _, issuer), (_, validity, _), (_, _, subject), (_, key, _) = parts[:6]
    begins, ends = (_time(tag, value) for tag, value, _ in list(_values(validity))[:2])
    extensions = _extensions(parts[6:])
    return Certificate(
        common_name=_common_name(subject),
        issuer_name=_common_name(issuer),
        begins=begins,
        ends=ends,
        names=_names(extensions.get(_ALT_NAMES, b"")),
        key_id=_key_id(extensions.get(_SUBJECT_KEY_ID, b"")),
        authority_key_id=_authority(extensions.get(_AUTHORITY_KEY_ID, b"")),
        subject=subject,
        issuer=issuer,
        algorithm=next(value for tag, value, _ in _values(algorithm) if tag == _OID),
        signed=raw,
        signature=signature[1:],
        key=_rsa_key(key),
    )


def _values(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The values that stand one after the other: tag, content, and the whole encoding."""
    position = 0
    while position < len(data):
        start, tag = position, data[position]
        length, position = data[position + 1], position + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise CertificateError("not a certificate: a length cannot be read")
            length, position = int.from_bytes(data[position : position + size], "big"), position + size
        end = position + length
        if end > len(data):
            raise CertificateError("not a certificate: it is cut off")
        yield tag, data[position:end], data[start:end]
        position = end


def _only(data: bytes, tag: int) -> bytes:
    first = next(_values(data), None)
    if first is None or first[0] != tag:
        raise CertificateError("not a certificate: another value was expected")
    return first[1]


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    if tag not in (_UTC_TIME, _TIME):
        raise CertificateError("not a certificate: a time was expected")
    if tag == _UTC_TIME:  # RFC 5280, 4.1.2.5.1: years from 50 on are of the last century.
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _common_name(name: bytes) -> str:
    found = ""
    for _, relative, _ in _values(_only(name, _SEQUENCE)):
        for _, pair, _ in _values(relative):
            values = list(_values(pair))
            if len(values) == 2 and values[0][1] == _COMMON_NAME:
                found = values[1][1].decode("utf-8", "replace")
    return found


def _rsa_key(info: bytes) -> tuple[int, int] | None:
    values = list(_values(info))
    if len(values) < 2 or next(_values(values[0][1]))[1] != _RSA_KEY:
        return None
    numbers = [int.from_bytes(value, "big") for _, value, _ in _values(_only(values[1][1][1:], _SEQUENCE))]
    return (numbers[0], numbers[1]) if len(numbers) == 2 and numbers[0] > 0 else None


def _extensions(rest: Iterable[tuple[int, bytes, bytes]]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for tag, value, _ in rest:
        if tag == 0xA3:
            for _, extension, _ in _values(_only(value, _SEQUENCE)):
                parts = list(_values(extension))
                found[parts[0][1]] = parts[-1][1]
    return found


def _names(extension: bytes) -> tuple[str, ...]:
    """dNSName entries: tag [2] within GeneralNames."""
    if not extension:
        return ()
    names = _values(_only(extension, _SEQUENCE))
    return tuple(value.decode("ascii", "replace") for tag, value, _ in names if tag == 0x82)


def _key_id(extension: bytes) -> bytes:
    return _only(extension, _OCTETS) if extension else b""


def _authority(extension: bytes) -> bytes:
    if not extension:
        return b""
    return next((value for tag, value, _ in _values(_only(extension, _SEQUENCE)) if tag == 0x80), b"")
