"""The pattern pass over all texts of a bundle: takes out what a person would not post in a bug report.

Credentials become ***; account ids, access keys, e-mail addresses, queries of URLs and public addresses become stable
tokens, so that equal things stay equal. Private addresses stay: without them nothing about networks can be diagnosed
again. What is left out by its place, and not by its form, is in `collect.bundles.content`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from kubectl_lbdoctor.knowledge.secret_text import replaced

_DIGITS = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")
_SPACED = re.compile(r"(?<![0-9A-Za-z-])([0-9]{4})([- ])([0-9]{4})\2([0-9]{4})(?![0-9A-Za-z-])")
_HEX_LENGTHS = (16, 17, 32, 40, 64)
"""Lengths of hexadecimal ids (of AWS resources, digests): twelve digits inside of one are no account."""
_LONGEST_ID = 64
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA|ACCA)[A-Z0-9]{12,}\b")
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@(?!sha\d)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}(?![\w-])")
_EMAIL_TOKEN = "user{:04d}@mail.invalid"
_QUERY = re.compile(r"(?<=[\w/.~%-])\?(?!q\d{4}\b)([^\s\"'<>`\\|=]{0,2048}=[^\s\"'<>`\\|]*)")
_IPV4 = re.compile(r"(?<![0-9])(?<![0-9]\.)((?:[0-9]{1,3}\.){3}[0-9]{1,3})(/[0-9]{1,2})?(?![0-9])(?!\.[0-9])")
_DASHED = re.compile(r"(?<![0-9])(?:(?<=ec2-)|(?<![0-9]-))([0-9]{1,3}(?:-[0-9]{1,3}){3})(?![0-9])(?!-[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{3,}(?:[0-9]+(?:\.[0-9]+){3})?(?![\w:])")

_REMEMBERED = 128
"""Characters of the texts whose outcome is remembered: names and states come many times."""


class Redactor:
    """Replaces in all strings of a JSON value, keys included; the same secret always becomes the same token.

    own: blocks of the VPC's own subnets. IPv4 addresses in them are private whatever range they are from, and stay.
    places: whether account ids, queries of URLs and public addresses are replaced, too; without them no command leads
    to what it is about.
    """

    def __init__(self, own: Iterable[str] = (), *, places: bool = True) -> None:
        self._places = places
        self._tokens: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        self._nibbles: dict[str, dict[str, str]] = {}
        self._own = [block for text in own if (block := _network(text)) is not None]

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {self._text(key): self(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item) for item in value]
        return value

    def query(self, text: str) -> str:
        """The path of a URL with a token for everything behind its question mark."""
        path, mark, rest = text.partition("?")
        return f"{path}?{self._token('query', rest, 'q{:04d}')}" if mark and rest else text

    def secret(self, text: str) -> str:
        """A token for a text that is a secret as a whole; "" stays."""
        return self._token("secret", text, "SECRET{:04d}") if text else ""

    def _text(self, text: str) -> str:
        if len(text) < 6:
            return text
        if len(text) > _REMEMBERED:
            return self._replaced(text)
        known = self._seen.get(text)
        if known is None:
            known = self._seen[text] = self._replaced(text)
        return known

    def _replaced(self, text: str) -> str:
        text = replaced(text, self.secret)
        if self._places and "?" in text:
            text = _QUERY.sub(lambda m: f"?{self._token('query', m[1], 'q{:04d}')}", text)
        text = _ACCESS_KEY.sub(lambda m: self._access_key(m[0]), text)
        if "@" in text:
            text = _EMAIL.sub(lambda m: self._email(m[0]), text)
        return self._without_places(text) if self._places else text

    def _without_places(self, text: str) -> str:
        text = _SPACED.sub(self._spaced_account, text)
        text = _DIGITS.sub(self._account, text)
        if text.count(":") > 1:
            text = _IPV6.sub(self._ipv6, text)
        text = _IPV4.sub(self._address, text)
        return _DASHED.sub(self._dashed, text) if text.count("-") > 2 else text

    def _access_key(self, text: str) -> str:
        return text if text.startswith("REDACTEDKEY") else self._token("key", text, "REDACTEDKEY{:04d}")

    def _email(self, text: str) -> str:
        return text if text.endswith("@mail.invalid") else self._token("mail", text, _EMAIL_TOKEN)

    def _account(self, match: re.Match[str]) -> str:
        text, start, end = match.string, match.start(), match.end()
        while start and match.start() - start < _LONGEST_ID and text[start - 1] in "0123456789abcdef":
            start -= 1
        while end < len(text) and end - match.end() < _LONGEST_ID and text[end] in "0123456789abcdef":
            end += 1
        if end - start in _HEX_LENGTHS:
            return match[0]
        return self._token("account", match[0], "{:012d}")

    def _spaced_account(self, match: re.Match[str]) -> str:
        token = self._token("account", match[1] + match[3] + match[4], "{:012d}")
        return match[2].join((token[:4], token[4:8], token[8:]))

    def _address(self, match: re.Match[str]) -> str:
        text, block = match[1], match[2] or ""
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError:
            return match[0]
        if not address.is_global or any(address in own for own in self._own):
            return match[0]
        length = int(block[1:]) if block else 32
        if length < 32:
            network = _network(match[0])
            if network is not None and network.network_address == address:
                return self._block(text, length)
        # 198.18.0.0/15 is set aside for tests (RFC 2544): no real host can be meant.
        return self._token("address", text, "198.18.{0}.{1}", split=True) + block

    def _block(self, text: str, length: int) -> str:
        """A token for a block of addresses that ends at its own length, in ranges that no real host is in (RFC 2544,
        and 240.0.0.0/4, which is reserved)."""
        if length >= 24:
            token = self._token("block", f"{text}/{length}", "198.19.{1}.0", split=True)
        else:
            token = self._token("wide block", f"{text}/{length}", "24{0}.{1}.0.0", split=True)
        found = ipaddress.ip_network(f"{token}/{length}", strict=False)
        return str(found)

    def _dashed(self, match: re.Match[str]) -> str:
        dotted = match[1].replace("-", ".")
        whole = _IPV4.fullmatch(dotted)
        return self._address(whole).replace(".", "-") if whole else match[0]

    def _ipv6(self, match: re.Match[str]) -> str:
        text = match[0]
        tail = ":" if text.endswith(":") and not text.endswith("::") else ""
        try:
            address = ipaddress.IPv6Address(text.removesuffix(tail) if tail else text)
        except ValueError:
            return text
        if not address.is_global or address.ipv4_mapped is not None:
            return text
        return f"{self._kept_prefixes(address)}{tail}"

    def _kept_prefixes(self, address: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
        """Another address in the same /32 (of AWS: a region's). Addresses that agree in their first bits go on to agree
        in as many (in steps of four), and zeros stay: so blocks hold what they held."""
        digits = f"{int(address):032x}"
        made = digits[:8]
        for place in range(8, 32):
            table = self._nibbles.setdefault(digits[:place], {"0": "0"})
            digit = digits[place]
            if digit not in table:
                free = [other for other in "123456789abcdef" if other not in table.values()]
                table[digit] = next((other for other in free if other != digit), free[0])
            made += table[digit]
        return ipaddress.IPv6Address(int(made, 16))

    def _token(self, kind: str, secret: str, form: str, split: bool = False) -> str:
        known = self._tokens.get(f"{kind}:{secret}")
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = form.format(number // 256, number % 256) if split else form.format(number)
            self._tokens[f"{kind}:{secret}"] = known
        return known


def _network(text: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return None
