"""HTML whose texts stay texts: what is no markup already is cleaned and escaped where it is put in."""

from __future__ import annotations

import html
from collections.abc import Iterable

from kubectl_lbdoctor.render.text import clean


class Markup(str):
    """Text that is HTML; only this module makes it, and whoever holds a text of this program's own."""

    __slots__ = ()


Child = str | Iterable["Child"] | None

_EMPTY = frozenset({"meta", "link", "br"})
"""Elements without an end tag (https://html.spec.whatwg.org/multipage/syntax.html#void-elements)."""


def tag(name: str, /, *children: Child, **attributes: str | bool) -> Markup:
    """An element. Attributes are named as in HTML, with "_" for "-" ("class_" for "class"); one that is "" or False is
    left out, True stands without a value."""
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value)
    start = f"<{name}{written}>"
    return Markup(start if name in _EMPTY else f"{start}{joined(children)}</{name}>")


def joined(children: Child) -> Markup:
    """Several pieces as one: markup as it is, any other text escaped."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(html.escape(clean(children)))
    return Markup("".join(map(joined, children)))


def _attribute(key: str, value: str | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(clean(str(value)))}"'
