"""Takes out of a bundle what a person would not post in a bug report.

Account ids, access keys and public addresses become stable tokens, so that equal things stay equal. Private addresses
stay: without them nothing about networks can be diagnosed again. Environment values, arguments of applications and
`last-applied-configuration` are never read into the records in the first place.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

_ACCOUNT = re.compile(r"(?<![0-9A-Za-z])([0-9]{12})(?![0-9A-Za-z])")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b")
_IPV4 = re.compile(r"(?<![0-9.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9.])")


class Redactor:
    """Replaces in all strings of a JSON value, keys included; the same secret always becomes the same token."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {self._text(key): self(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item) for item in value]
        return value

    def _text(self, text: str) -> str:
        text = _ACCOUNT.sub(lambda m: self._token("account", m.group(1), "{:012d}"), text)
        text = _ACCESS_KEY.sub(lambda m: self._token("key", m.group(0), "REDACTEDKEY{:04d}"), text)
        return _IPV4.sub(self._address, text)

    def _address(self, match: re.Match[str]) -> str:
        text = match.group(1)
        try:
            public = ipaddress.ip_address(text).is_global
        except ValueError:
            return text
        # 198.18.0.0/15 is set aside for tests (RFC 2544): no real host can be meant.
        return self._token("address", text, "198.18.{0}.{1}", split=True) if public else text

    def _token(self, kind: str, secret: str, form: str, split: bool = False) -> str:
        known = self._tokens.get(f"{kind}:{secret}")
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = form.format(number // 256, number % 256) if split else form.format(number)
            self._tokens[f"{kind}:{secret}"] = known
        return known
