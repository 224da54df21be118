"""URL paths of the Kubernetes API, made of segments that stay what they are.

A name that comes from a file, an annotation or the command line may hold anything. Each segment is quoted, and those
that a client or a proxy would resolve ("..") are refused.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from kubectl_lbdoctor.errors import UsageError

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_IS_LABEL = re.compile(_LABEL)
_IS_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def api_path(*segments: str) -> str:
    """The absolute path of these segments. Raises UsageError for one that is empty, "." or ".."."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise UsageError(f'"{segment}" is no name of a namespace or an object')
    return "".join(f"/{quote(segment, safe=':')}" for segment in segments)


def is_label(text: str) -> bool:
    """Whether the text is a DNS label (RFC 1123), as namespaces are named.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    """
    return _IS_LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Whether the text is a DNS subdomain (RFC 1123), as most objects are named. Source: as `is_label`."""
    return len(text) <= 253 and _IS_SUBDOMAIN.fullmatch(text) is not None
